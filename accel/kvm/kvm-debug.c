/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger's breakpoints and single steps, by KVM_SET_GUEST_DEBUG. */
#include "accel/kvm/kvm-internal.h"

#include "accel/vm-events.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/vm-lock.h"

#define DR7_FIXED 0x600 /* GE and the bit that is always 1 */
#define DB_VECTOR 1
#define BP_VECTOR 3

/* DR7's LEN codes by length in bytes (SDM vol. 3, 18.2.4). */
static uint64_t length_code(uint32_t length)
{
    static const uint8_t codes[9] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

    return length <= 8 ? codes[length] : 0;
}

bool kvm_update_debug(VCpu *cpu, GError **error)
{
    const VCpuDebug *wanted = &cpu->debug;
    struct kvm_guest_debug debug = { 0 };
    int ret;

    if (wanted->single_step) {
        debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    }
    if (wanted->single_step && wanted->holds_interrupts && kvm_accel()->has_blockirq) {
        debug.control |= KVM_GUESTDBG_BLOCKIRQ;
    }
    if (wanted->software_breakpoints) {
        debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    }
    if (wanted->count) {
        debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        debug.arch.debugreg[7] = DR7_FIXED;
    }
    for (unsigned i = 0; i < MIN(wanted->count, KVM_DEBUG_POINTS); i++) {
        uint64_t rw = wanted->points[i].kind, len = length_code(wanted->points[i].length);

        debug.arch.debugreg[i] = wanted->points[i].address;
        debug.arch.debugreg[7] |= 2ull << (i * 2) | (len << 2 | rw) << (16 + i * 4);
    }
    ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_GUEST_DEBUG, &debug);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_SET_GUEST_DEBUG");
        return false;
    }
    return true;
}

/* Is this stop the debugger's? Else it is an exception that the guest itself asked for. */
static bool is_debuggers(const VCpu *cpu, const struct kvm_debug_exit_arch *arch)
{
    if (arch->exception == BP_VECTOR) {
        return cpu->debug.software_breakpoints;
    }
    return cpu->debug.single_step || (arch->dr6 & MASK_ULL(3, 0));
}

static void note_stop(VCpuDebug *debug, const struct kvm_debug_exit_arch *arch)
{
    uint64_t hits = arch->dr6 & MASK_ULL(3, 0);

    debug->hit_address = arch->pc;
    debug->stop = VCPU_STOP_STEP;
    if (arch->exception == BP_VECTOR) {
        debug->stop = VCPU_STOP_INT3;
    } else if (hits && (unsigned)__builtin_ctzll(hits) < debug->count) {
        debug->stop = VCPU_STOP_POINT;
        debug->hit_point = __builtin_ctzll(hits);
    }
}

/*
 * A KVM that interprets the guest's privileged code cannot run an INT3 and says so, as of any other
 * instruction that it does not know. Was it the debugger's?
 */
bool kvm_stop_at_failed_int3(VCpu *cpu, const struct kvm_run *run)
{
    const uint8_t int3 = 0xcc;
    VCpuDebug *debug = &cpu->debug;
    VM_LOCK_GUARD();

    if (!debug->software_breakpoints || run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
        run->emulation_failure.ndata < 3 ||
        !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) ||
        run->emulation_failure.insn_size < 1 || run->emulation_failure.insn_bytes[0] != int3 ||
        !vcpu_sync_state(cpu, NULL)) {
        return false;
    }
    debug->stop = VCPU_STOP_INT3;
    debug->hit_address = cpu->state.segs[X86_CS].base + cpu->state.rip;
    cpu->stop_requested = true;
    vm_report_debug_stop(cpu->index);
    return true;
}

int kvm_handle_debug(VCpu *cpu, struct kvm_run *run)
{
    const struct kvm_debug_exit_arch *arch = &run->debug.arch;
    VM_LOCK_GUARD();

    if (!is_debuggers(cpu, arch)) {
        if (vcpu_sync_state(cpu, NULL)) {
            cpu->state.events.exception_injected = true;
            cpu->state.events.exception_vector = arch->exception;
            cpu->state.events.exception_has_error = false;
            cpu->state.dr[6] = arch->exception == DB_VECTOR ? arch->dr6 : cpu->state.dr[6];
            vcpu_state_changed(cpu);
        }
        return 1;
    }
    note_stop(&cpu->debug, arch);
    cpu->stop_requested = true;
    vm_report_debug_stop(cpu->index);
    return 1;
}
