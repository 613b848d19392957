/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/x86/cpu-vmstate.h"

#include "util/error.h"

static const VmStateField segment_fields[] = {
    VMSTATE_U16(X86Segment, selector), VMSTATE_U64(X86Segment, base),
    VMSTATE_U32(X86Segment, limit), VMSTATE_U32(X86Segment, attr), VMSTATE_END,
};

static const VmState segment_vmstate = {
    .name = "x86-segment", .version = 1, .fields = segment_fields,
};

static const VmStateField table_fields[] = {
    VMSTATE_U64(X86Table, base), VMSTATE_U16(X86Table, limit), VMSTATE_END,
};

static const VmState table_vmstate = { .name = "x86-table", .version = 1, .fields = table_fields };

static const VmStateField msr_fields[] = {
    VMSTATE_U32(X86Msr, index), VMSTATE_U64(X86Msr, value), VMSTATE_END,
};

static const VmState msr_vmstate = { .name = "x86-msr", .version = 1, .fields = msr_fields };

static const VmStateField event_fields[] = {
    VMSTATE_BOOL(X86Events, exception_pending),
    VMSTATE_BOOL(X86Events, exception_injected),
    VMSTATE_BOOL(X86Events, exception_has_error),
    VMSTATE_U8(X86Events, exception_vector),
    VMSTATE_U32(X86Events, exception_error),
    VMSTATE_BOOL(X86Events, exception_has_payload),
    VMSTATE_U64(X86Events, exception_payload),
    VMSTATE_BOOL(X86Events, interrupt_injected),
    VMSTATE_BOOL(X86Events, interrupt_soft),
    VMSTATE_U8(X86Events, interrupt_vector),
    VMSTATE_U8(X86Events, interrupt_shadow),
    VMSTATE_BOOL(X86Events, nmi_pending),
    VMSTATE_BOOL(X86Events, nmi_injected),
    VMSTATE_BOOL(X86Events, nmi_masked),
    VMSTATE_BOOL(X86Events, smi_pending),
    VMSTATE_BOOL(X86Events, in_smm),
    VMSTATE_BOOL(X86Events, smm_inside_nmi),
    VMSTATE_BOOL(X86Events, init_latched),
    VMSTATE_BOOL(X86Events, triple_fault_pending),
    VMSTATE_U8(X86Events, sipi_vector),
    VMSTATE_END,
};

static const VmState event_vmstate = { .name = "x86-events", .version = 1,
                                       .fields = event_fields };

static bool xsave_size_is_possible(void *opaque, const VmStateField *field, GError **error)
{
    const X86CpuState *state = opaque;

    if (state->xsave_size > X86_XSAVE_MAX) {
        error_setf(error, "an XSAVE area of %" G_GUINT32_FORMAT " bytes is too large",
                   state->xsave_size);
    }
    return state->xsave_size <= X86_XSAVE_MAX;
}

static bool mp_state_is_possible(void *opaque, const VmStateField *field, GError **error)
{
    const X86CpuState *state = opaque;

    if ((unsigned)state->mp_state > X86_MP_SIPI_RECEIVED) {
        error_setf(error, "there is no such state of a processor");
        return false;
    }
    return true;
}

static const VmStateField cpu_fields[] = {
    VMSTATE_U64_ARRAY(X86CpuState, regs),
    VMSTATE_U64(X86CpuState, rip),
    VMSTATE_U64(X86CpuState, rflags),
    VMSTATE_STRUCT_ARRAY(X86CpuState, segs, segment_vmstate),
    VMSTATE_STRUCT(X86CpuState, gdt, table_vmstate),
    VMSTATE_STRUCT(X86CpuState, idt, table_vmstate),
    VMSTATE_U64(X86CpuState, cr0),
    VMSTATE_U64(X86CpuState, cr2),
    VMSTATE_U64(X86CpuState, cr3),
    VMSTATE_U64(X86CpuState, cr4),
    VMSTATE_U64(X86CpuState, cr8),
    VMSTATE_U64(X86CpuState, efer),
    VMSTATE_U64(X86CpuState, apic_base),
    VMSTATE_U64(X86CpuState, xcr0),
    VMSTATE_BOOL(X86CpuState, pdptrs_valid),
    VMSTATE_U64_ARRAY(X86CpuState, pdptrs),
    VMSTATE_U64_ARRAY(X86CpuState, dr),
    VMSTATE_U32_VALID(X86CpuState, xsave_size, xsave_size_is_possible),
    VMSTATE_BUFFER(X86CpuState, xsave),
    VMSTATE_U32(X86CpuState, msr_count),
    VMSTATE_STRUCT_VARRAY(X86CpuState, msrs, msr_count, msr_vmstate),
    VMSTATE_STRUCT(X86CpuState, events, event_vmstate),
    VMSTATE_U32_VALID(X86CpuState, mp_state, mp_state_is_possible),
    VMSTATE_BUFFER(X86CpuState, lapic),
    VMSTATE_END,
};

const VmState x86_cpu_vmstate = { .name = "x86-cpu-state", .version = 1, .fields = cpu_fields };
