/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a vCPU stopped for good, told once and whole: the exit by name, what KVM adds to it, the
 * registers, and the instruction bytes.
 */
#include "accel/kvm/kvm-internal.h"

#include <inttypes.h>

#include "util/error.h"
#include "util/vm-lock.h"

#define BYTES_BEFORE 8
#define BYTES_SHOWN 24

static const char *const exit_names[] = {
    [KVM_EXIT_UNKNOWN] = "UNKNOWN",
    [KVM_EXIT_EXCEPTION] = "EXCEPTION",
    [KVM_EXIT_IO] = "IO",
    [KVM_EXIT_HYPERCALL] = "HYPERCALL",
    [KVM_EXIT_DEBUG] = "DEBUG",
    [KVM_EXIT_HLT] = "HLT",
    [KVM_EXIT_MMIO] = "MMIO",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
    [KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
    [KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
    [KVM_EXIT_INTR] = "INTR",
    [KVM_EXIT_SET_TPR] = "SET_TPR",
    [KVM_EXIT_TPR_ACCESS] = "TPR_ACCESS",
    [KVM_EXIT_NMI] = "NMI",
    [KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
    [KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
    [KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
    [KVM_EXIT_HYPERV] = "HYPERV",
    [KVM_EXIT_X86_RDMSR] = "X86_RDMSR",
    [KVM_EXIT_X86_WRMSR] = "X86_WRMSR",
    [KVM_EXIT_DIRTY_RING_FULL] = "DIRTY_RING_FULL",
    [KVM_EXIT_X86_BUS_LOCK] = "X86_BUS_LOCK",
    [KVM_EXIT_XEN] = "XEN",
    [KVM_EXIT_NOTIFY] = "NOTIFY",
};

/* KVM_INTERNAL_ERROR_*, Documentation/virt/kvm/api.rst, "KVM_EXIT_INTERNAL_ERROR". */
static const char *const suberror_names[] = {
    [KVM_INTERNAL_ERROR_EMULATION] = "an instruction could not be emulated",
    [KVM_INTERNAL_ERROR_SIMUL_EX] = "exceptions came at the same time",
    [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an event could not be delivered",
    [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "the processor left the guest unexpectedly",
};

const char *kvm_exit_name(uint32_t reason)
{
    const char *name = reason < G_N_ELEMENTS(exit_names) ? exit_names[reason] : NULL;

    return name ? name : "not known";
}

static void describe_internal_error(GString *text, const struct kvm_run *run)
{
    uint32_t suberror = run->internal.suberror;
    const char *name = suberror < G_N_ELEMENTS(suberror_names) ? suberror_names[suberror] : NULL;

    g_string_append_printf(text, "\n  suberror %u (%s), data", suberror, name ? name : "not known");
    for (uint32_t i = 0; i < MIN(run->internal.ndata, G_N_ELEMENTS(run->internal.data)); i++) {
        g_string_append_printf(text, " %" PRIx64, (uint64_t)run->internal.data[i]);
    }
}

static void describe_exit(GString *text, const struct kvm_run *run)
{
    g_string_append_printf(text, "\n  exit reason %u (%s)", run->exit_reason,
                           kvm_exit_name(run->exit_reason));
    switch (run->exit_reason) {
    case KVM_EXIT_UNKNOWN:
        g_string_append_printf(text, ", hardware reason 0x%" PRIx64,
                               (uint64_t)run->hw.hardware_exit_reason);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        g_string_append_printf(text, ", hardware reason 0x%" PRIx64 " on host CPU %u",
                               (uint64_t)run->fail_entry.hardware_entry_failure_reason,
                               run->fail_entry.cpu);
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        describe_internal_error(text, run);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        g_string_append_printf(text, ", type %u", run->system_event.type);
        break;
    case KVM_EXIT_IO:
        g_string_append_printf(text, ", port 0x%x size %u count %u", run->io.port, run->io.size,
                               run->io.count);
        break;
    case KVM_EXIT_MMIO:
        g_string_append_printf(text, ", address 0x%" PRIx64 " length %u",
                               (uint64_t)run->mmio.phys_addr, run->mmio.len);
        break;
    default:
        break;
    }
}

/* "code at LINEAR: .. <rip> ..": what stands there in memory, '??' where nothing is mapped. */
static void describe_code(GString *text, VCpu *cpu)
{
    uint64_t rip = cpu->state.segs[X86_CS].base + cpu->state.rip;

    g_string_append_printf(text, "  code at 0x%" PRIx64 ":", rip);
    for (unsigned i = 0; i < BYTES_BEFORE + BYTES_SHOWN; i++) {
        uint64_t linear = rip - BYTES_BEFORE + i, physical;
        uint8_t byte;

        if (vcpu_translate(cpu, linear, &physical) &&
            address_space_is_ram(address_space_memory(), physical, 1) &&
            address_space_read(address_space_memory(), physical, &byte, 1) == MEM_OK) {
            g_string_append_printf(text, i == BYTES_BEFORE ? " <%02x>" : " %02x", byte);
        } else {
            g_string_append(text, " ??");
        }
    }
}

void kvm_report_exit(VCpu *cpu, const char *what)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const struct kvm_run *run = kvm_vcpu(cpu)->run;
    VM_LOCK_GUARD();

    g_string_append_printf(text, "CPU %u: %s", cpu->index, what);
    describe_exit(text, run);
    if (vcpu_sync_state(cpu, NULL)) {
        g_autofree char *registers = x86_cpu_state_describe(&cpu->state, cpu->index);

        g_string_append_printf(text, "\n%s", registers);
        describe_code(text, cpu);
    }
    error_report("%s", text->str);
}
