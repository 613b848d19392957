/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's paravirtual clock (Linux's Documentation/virt/kvm/x86/msr.rst): two MSRs take addresses of
 * guest memory, where the guest finds the wall time at which its clock was zero and how its clock
 * follows from the TSC. It need not measure the TSC's rate then, which goes wrong on a busy host.
 *
 *     time, one per CPU                      wall time
 *      0  u32 version, odd during changes     0  u32 version
 *      8  u64 TSC and                         4  u32 seconds
 *     16  u64 ns of the clock, at one moment  8  u32 nanoseconds
 *     24  u32 multiplier: ns = ((ticks << shift) * multiplier) >> 32
 *     28  i8  shift
 *     29  u8  flags
 *
 * Clock and TSC both follow the virtual clock, which stands while the VM is stopped: what was
 * written stays true until the guest sets a TSC.
 */
#include "accel/emu/system-internal.h"
#include "memory/memory.h"
#include "util/timer.h"

#define ENABLED 1u
#define TIME_RESERVED 2u
#define WALL_RESERVED 3u
#define NUMERATOR ((uint64_t)1000000 << 32)

enum {
    AT_TSC = 8, AT_SYSTEM_TIME = 16, AT_MULTIPLIER = 24, AT_SHIFT = 28, AT_FLAGS = 29,
    TIME_SIZE = 32,
    AT_WALL_SECONDS = 4, AT_WALL_NS = 8, WALL_SIZE = 12,
};
enum { FLAG_TSC_STABLE = 1u << 0 };

/* The multiplier's top bit is set, for the best precision. */
void emu_kvmclock_scale(uint64_t khz, uint32_t *multiplier, int8_t *shift)
{
    int n = 0;

    while ((NUMERATOR >> n) / khz > UINT32_MAX) {
        n++;
    }
    while (n <= 0 && (NUMERATOR << -n) / khz <= UINT32_MAX / 2) {
        n--;
    }
    *shift = (int8_t)n;
    *multiplier = (uint32_t)((n >= 0 ? NUMERATOR >> n : NUMERATOR << -n) / khz);
}

/* May a guest hold one CPU's clock against another's? A rounded multiplier is not exact enough. */
static bool counters_agree(const EmuCpu *cpu)
{
    const EmuSystem *sys = cpu->sys;

    if (NUMERATOR / sys->tsc_khz * sys->tsc_khz != NUMERATOR) {
        return false;
    }
    for (const VCpu *other = vcpu_next(NULL); other; other = vcpu_next(other)) {
        const EmuCpu *that = emu_cpu(other);

        if (that && that->sys && (that->sys->tsc_khz != sys->tsc_khz ||
                                  that->sys->tsc_offset != sys->tsc_offset)) {
            return false;
        }
    }
    return true;
}

/* While the rest changes, the version is odd. */
static void publish(uint64_t address, const uint8_t *bytes, unsigned size)
{
    AddressSpace *as = address_space_memory();
    uint32_t version = 0;

    address_space_read(as, address, &version, sizeof(version));
    version = (version | 1) + 2;
    address_space_store(as, address, sizeof(version), version);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    address_space_write(as, address + sizeof(version), bytes + sizeof(version),
                        size - sizeof(version));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    address_space_store(as, address, sizeof(version), version + 1);
}

/* VM lock held. */
static void write_time(EmuCpu *cpu)
{
    const EmuSystem *sys = cpu->sys;
    bool stable = emu_sys_has(sys, F_KVMCLOCK_STABLE_BIT) && counters_agree(cpu);
    uint8_t bytes[TIME_SIZE] = { 0 };
    uint32_t multiplier;
    int8_t shift;
    uint64_t ns, tsc = emu_read_tsc_at(cpu, &ns);

    emu_kvmclock_scale(sys->tsc_khz, &multiplier, &shift);
    stq_le(bytes + AT_TSC, tsc);
    stq_le(bytes + AT_SYSTEM_TIME, ns);
    stl_le(bytes + AT_MULTIPLIER, multiplier);
    bytes[AT_SHIFT] = (uint8_t)shift;
    bytes[AT_FLAGS] = stable ? FLAG_TSC_STABLE : 0;
    publish(sys->plain.kvm_time & ~(uint64_t)ENABLED, bytes, sizeof(bytes));
}

bool emu_kvmclock_write_time(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    bool taken;

    if (value & TIME_RESERVED) {
        return false;
    }
    cpu->sys->plain.kvm_time = value;
    if (value & ENABLED) {
        taken = emu_lock_vm(cpu);
        write_time(cpu);
        emu_unlock_vm(cpu, taken);
    }
    return true;
}

bool emu_kvmclock_write_wall(EmuCpu *cpu, uint32_t index, uint64_t value)
{
    uint8_t bytes[WALL_SIZE] = { 0 };
    uint64_t zero;
    bool taken;

    if (value & WALL_RESERVED) {
        return false;
    }
    cpu->sys->plain.kvm_wall = value;
    taken = emu_lock_vm(cpu);
    zero = (uint64_t)(vm_clock_ns(VM_CLOCK_HOST) - vm_clock_ns(VM_CLOCK_VIRTUAL));
    stl_le(bytes + AT_WALL_SECONDS, (uint32_t)(zero / NS_PER_SEC));
    stl_le(bytes + AT_WALL_NS, (uint32_t)(zero % NS_PER_SEC));
    publish(value, bytes, sizeof(bytes));
    emu_unlock_vm(cpu, taken);
    return true;
}

void emu_kvmclock_tsc_changed(EmuCpu *cpu)
{
    bool taken = emu_lock_vm(cpu);

    for (VCpu *other = vcpu_next(NULL); other; other = vcpu_next(other)) {
        EmuCpu *that = emu_cpu(other);

        if (that && that->sys && (that->sys->plain.kvm_time & ENABLED)) {
            write_time(that);
        }
    }
    emu_unlock_vm(cpu, taken);
}
