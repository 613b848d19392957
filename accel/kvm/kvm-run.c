/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop: enter guest code, look at why it left, serve it, enter again, until another thread
 * wants this vCPU.
 *
 * KVM finishes a port or memory access only at the next KVM_RUN. The loop therefore never returns
 * between an access and that call: with exit_request set it enters once more with immediate_exit,
 * which completes the access and runs no guest code. State read after vcpu_run() is whole.
 */
#include "accel/kvm/kvm-internal.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "accel/vm-events.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"
#include "util/vm-lock.h"

/* What a handler wants next; negative: the CPU cannot go on. */
enum { RUN_AGAIN = 0, RUN_LEAVE = 1 };

typedef int ExitHandler(VCpu *cpu, struct kvm_run *run);

static int cannot_go_on(VCpu *cpu, const char *what)
{
    kvm_report_exit(cpu, what);
    vm_report_internal_error();
    return -EIO;
}

/* One IN or OUT, or one KVM-sized piece of a string instruction. */
static int handle_io(VCpu *cpu, struct kvm_run *run)
{
    uint64_t total = (uint64_t)run->io.count * run->io.size;
    unsigned size = run->io.size;
    uint8_t *data;

    if ((size != 1 && size != 2 && size != 4) ||
        !range_ok(run->io.data_offset, total, kvm_accel()->run_size)) {
        return cannot_go_on(cpu, "a port access has an impossible shape");
    }
    data = (uint8_t *)run + run->io.data_offset;
    for (uint32_t i = 0; i < run->io.count; i++, data += size) {
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            address_space_store(address_space_io(), run->io.port, size, ldn_le(data, size));
        } else {
            uint64_t value = ~0ull;

            address_space_load(address_space_io(), run->io.port, size, &value);
            stn_le(data, size, value);
        }
    }
    return RUN_AGAIN;
}

static int handle_mmio(VCpu *cpu, struct kvm_run *run)
{
    AddressSpace *memory = run->flags & KVM_RUN_X86_SMM ? address_space_smm()
                                                        : address_space_memory();
    uint32_t len = run->mmio.len;
    uint64_t value = ~0ull;

    kvm_vcpu(cpu)->apic_touched = true;
    if (len == 0 || len > sizeof(run->mmio.data)) {
        return cannot_go_on(cpu, "a memory access has an impossible size");
    }
    if ((len & (len - 1)) != 0) {
        /* A piece of an access that crosses a page: bytes in order. */
        if (run->mmio.is_write) {
            address_space_write(memory, run->mmio.phys_addr, run->mmio.data, len);
        } else {
            address_space_read(memory, run->mmio.phys_addr, run->mmio.data, len);
        }
    } else if (run->mmio.is_write) {
        address_space_store(memory, run->mmio.phys_addr, len, ldn_le(run->mmio.data, len));
    } else {
        address_space_load(memory, run->mmio.phys_addr, len, &value);
        stn_le(run->mmio.data, len, value);
    }
    return RUN_AGAIN;
}

/* Only with the APIC in userspace; else the kernel keeps halted CPUs. */
static int handle_hlt(VCpu *cpu, struct kvm_run *run)
{
    VM_LOCK_GUARD();

    if (kvm_has_lapic()) {
        return RUN_AGAIN;
    }
    cpu->halted = true;
    return RUN_LEAVE;
}

/* Until whoever was asked acts, this CPU has nothing sensible to run. */
static void stop_here(VCpu *cpu)
{
    VM_LOCK_GUARD();

    cpu->stop_requested = true;
}

/* A triple fault: PCs answer the processor's shutdown cycle with a reset. */
static int handle_shutdown(VCpu *cpu, struct kvm_run *run)
{
    if (log_enabled(LOG_CPU_RESET)) {
        kvm_report_exit(cpu, "triple fault");
    }
    stop_here(cpu);
    vm_request_reset(VM_CAUSE_GUEST_RESET);
    return RUN_LEAVE;
}

static int handle_system_event(VCpu *cpu, struct kvm_run *run)
{
    switch (run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        stop_here(cpu);
        vm_request_shutdown(VM_CAUSE_GUEST_SHUTDOWN);
        return RUN_LEAVE;
    case KVM_SYSTEM_EVENT_RESET:
        stop_here(cpu);
        vm_request_reset(VM_CAUSE_GUEST_RESET);
        return RUN_LEAVE;
    case KVM_SYSTEM_EVENT_CRASH:
        kvm_report_crash(cpu);
        return RUN_AGAIN;
    default:
        return cannot_go_on(cpu, "KVM reports a system event that this program does not know");
    }
}

static int handle_fail_entry(VCpu *cpu, struct kvm_run *run)
{
    return cannot_go_on(cpu, "the processor refuses to enter the guest");
}

static int handle_internal_error(VCpu *cpu, struct kvm_run *run)
{
    if (kvm_stop_at_failed_int3(cpu, run)) {
        return RUN_LEAVE;
    }
    return cannot_go_on(cpu, "KVM met something that it cannot emulate");
}

static int handle_unknown(VCpu *cpu, struct kvm_run *run)
{
    return cannot_go_on(cpu, "the guest was left for a reason that this program does not know");
}

static int handle_ioapic_eoi(VCpu *cpu, struct kvm_run *run)
{
    VM_LOCK_GUARD();

    if (cpu->apic_ops && cpu->apic_ops->eoi_broadcast) {
        cpu->apic_ops->eoi_broadcast(cpu->apic, run->eoi.vector);
    }
    return RUN_AGAIN;
}

static int handle_dirty_ring_full(VCpu *cpu, struct kvm_run *run)
{
    VM_LOCK_GUARD();

    kvm_dirty_ring_collect(kvm_accel());
    return RUN_AGAIN;
}

/* A guest that keeps the processor from exiting for longer than notify-window. */
static int handle_notify(VCpu *cpu, struct kvm_run *run)
{
    if (kvm_accel()->notify_vmexit == KVM_NOTIFY_VMEXIT_INTERNAL_ERROR ||
        (run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID)) {
        return cannot_go_on(cpu, "the guest held the processor longer than notify-window");
    }
    log_guest_error("CPU %u held the processor longer than notify-window", cpu->index);
    return RUN_AGAIN;
}

static int handle_nothing(VCpu *cpu, struct kvm_run *run)
{
    return RUN_AGAIN;
}

static ExitHandler *const exit_handlers[] = {
    [KVM_EXIT_UNKNOWN] = handle_unknown,
    [KVM_EXIT_IO] = handle_io,
    [KVM_EXIT_DEBUG] = kvm_handle_debug,
    [KVM_EXIT_HLT] = handle_hlt,
    [KVM_EXIT_MMIO] = handle_mmio,
    [KVM_EXIT_IRQ_WINDOW_OPEN] = handle_nothing,
    [KVM_EXIT_SHUTDOWN] = handle_shutdown,
    [KVM_EXIT_FAIL_ENTRY] = handle_fail_entry,
    [KVM_EXIT_INTR] = handle_nothing,
    [KVM_EXIT_SET_TPR] = handle_nothing,
    [KVM_EXIT_TPR_ACCESS] = handle_nothing,
    [KVM_EXIT_NMI] = handle_nothing,
    [KVM_EXIT_INTERNAL_ERROR] = handle_internal_error,
    [KVM_EXIT_SYSTEM_EVENT] = handle_system_event,
    [KVM_EXIT_IOAPIC_EOI] = handle_ioapic_eoi,
    [KVM_EXIT_HYPERV] = kvm_handle_hyperv,
    [KVM_EXIT_X86_RDMSR] = kvm_handle_rdmsr,
    [KVM_EXIT_X86_WRMSR] = kvm_handle_wrmsr,
    [KVM_EXIT_DIRTY_RING_FULL] = handle_dirty_ring_full,
    [KVM_EXIT_X86_BUS_LOCK] = handle_nothing,
    [KVM_EXIT_NOTIFY] = handle_notify,
};

static int handle_exit(VCpu *cpu, struct kvm_run *run)
{
    ExitHandler *handler = NULL;

    if (run->exit_reason < G_N_ELEMENTS(exit_handlers)) {
        handler = exit_handlers[run->exit_reason];
    }
    return (handler ? handler : handle_unknown)(cpu, run);
}

/* 0 or -errno of KVM_RUN. */
static int enter_guest(VCpu *cpu, KvmVCpu *vcpu)
{
    KvmAccel *kvm = kvm_accel();
    int ret;

    /* Whoever sets exit_request sets immediate_exit after it; so one of the two is seen. */
    __atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&cpu->exit_request, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    }
    kvm_gate_enter(kvm, vcpu);
    ret = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
    kvm_gate_leave(kvm, vcpu);
    return ret;
}

static void drain_coalesced(KvmAccel *kvm)
{
    const struct kvm_coalesced_mmio_ring *ring = kvm->coalesced_ring;

    if (ring && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
        VM_LOCK_GUARD();
        kvm_drain_coalesced(kvm);
    }
}

int kvm_vcpu_run(VCpu *cpu)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    KvmAccel *kvm = kvm_accel();

    for (;;) {
        int ret;

        if (!kvm_pre_run(cpu)) {
            return 0;
        }
        ret = enter_guest(cpu, vcpu);
        drain_coalesced(kvm);
        kvm_post_run(cpu);
        if (ret == -EINTR || ret == -EAGAIN) {
            if (__atomic_load_n(&cpu->exit_request, __ATOMIC_SEQ_CST)) {
                return 0;
            }
            continue;
        }
        if (ret < 0) {
            g_autofree char *what = g_strdup_printf("KVM_RUN failed: %s", g_strerror(-ret));

            return cannot_go_on(cpu, what);
        }
        ret = handle_exit(cpu, vcpu->run);
        if (ret != RUN_AGAIN) {
            return MIN(ret, 0);
        }
    }
}
