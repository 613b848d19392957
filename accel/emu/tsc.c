/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time stamp counter: ticks of the virtual clock, so that it stands while the VM is stopped,
 * runs at one rate for ever, and agrees between CPUs (each adds what its guest wrote). At the
 * default rate a tick is a nanosecond.
 */
#include "accel/emu/system-internal.h"
#include "util/timer.h"

#define DEFAULT_KHZ 1000000u
#define KHZ_PER_GHZ 1000000u
/* Writes to the CPUs' counters that lie closer together than this meant the same time. */
#define SAME_TIME_TICKS(khz) ((khz) * 1000)

void emu_tsc_init(EmuCpu *cpu)
{
    uint32_t khz = x86_cpu_config_tsc_khz(cpu->sys->config);

    cpu->sys->tsc_khz = khz ? khz : DEFAULT_KHZ;
}

/* Of a counter that nobody wrote. */
static uint64_t ticks_at(const EmuSystem *sys, uint64_t ns)
{
    return sys->tsc_khz == DEFAULT_KHZ ? ns : muldiv64(ns, sys->tsc_khz, KHZ_PER_GHZ);
}

static uint64_t ticks_now(const EmuSystem *sys)
{
    return ticks_at(sys, (uint64_t)vm_clock_ns(VM_CLOCK_VIRTUAL));
}

uint64_t emu_read_tsc_at(const EmuCpu *cpu, uint64_t *ns)
{
    *ns = (uint64_t)vm_clock_ns(VM_CLOCK_VIRTUAL);
    return ticks_at(cpu->sys, *ns) + cpu->sys->tsc_offset;
}

uint64_t emu_read_tsc(EmuCpu *cpu)
{
    return ticks_now(cpu->sys) + cpu->sys->tsc_offset;
}

/* SDM vol. 3, 18.17.3: writing one of the two registers moves the other by as much. */
void emu_write_tsc(EmuCpu *cpu, uint64_t value)
{
    EmuSystem *sys = cpu->sys;
    uint64_t delta = value - emu_read_tsc(cpu);

    sys->tsc_offset += delta;
    sys->tsc_adjust += delta;
    emu_kvmclock_tsc_changed(cpu);
}

void emu_write_tsc_adjust(EmuCpu *cpu, uint64_t value)
{
    EmuSystem *sys = cpu->sys;

    sys->tsc_offset += value - sys->tsc_adjust;
    sys->tsc_adjust = value;
    emu_kvmclock_tsc_changed(cpu);
}

/* On another CPU of the machine, set at about the same time? Then both count alike. */
static bool find_partner(const EmuCpu *cpu, uint64_t *offset)
{
    for (const VCpu *other = vcpu_next(NULL); other; other = vcpu_next(other)) {
        const EmuCpu *that = emu_cpu(other);

        if (that && that != cpu && that->sys && that->sys->tsc_khz == cpu->sys->tsc_khz) {
            int64_t distance = (int64_t)(that->sys->tsc_offset - *offset);

            if (ABS(distance) < (int64_t)SAME_TIME_TICKS(cpu->sys->tsc_khz)) {
                *offset = that->sys->tsc_offset;
                return true;
            }
        }
    }
    return false;
}

void emu_restore_tsc(EmuCpu *cpu, uint64_t value)
{
    uint64_t offset = value - ticks_now(cpu->sys);

    if (value == cpu->sys->tsc_told) {
        return; /* nobody changed it since */
    }
    find_partner(cpu, &offset);
    cpu->sys->tsc_offset = offset;
}

uint64_t emu_read_tsc_deadline(EmuCpu *cpu)
{
    EmuSystem *sys = cpu->sys;

    if (sys->tsc_deadline && sys->tsc_deadline <= emu_read_tsc(cpu)) {
        sys->tsc_deadline = 0; /* it has fired */
    }
    return sys->tsc_deadline;
}

void emu_write_tsc_deadline(EmuCpu *cpu, uint64_t value)
{
    VCpu *vcpu = cpu->vcpu;
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    uint64_t tsc = emu_read_tsc(cpu);
    int64_t when = 0;
    bool taken;

    cpu->sys->tsc_deadline = value;
    if (value) {
        uint64_t left = value > tsc ? value - tsc : 0;
        uint64_t ns = muldiv64(left, KHZ_PER_GHZ, cpu->sys->tsc_khz);

        when = MAX(now + (int64_t)MIN(ns, INT64_MAX / 4), 1);
    }
    if (vcpu->apic_ops && vcpu->apic_ops->set_deadline) {
        taken = emu_lock_vm(cpu);
        vcpu->apic_ops->set_deadline(vcpu->apic, when);
        emu_unlock_vm(cpu, taken);
        emu_check_lines(cpu);
    }
}
