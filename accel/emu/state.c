/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU's state, to and from VCpu.state. What comes in is held to what a guest could have made. */
#include <string.h>

#include "accel/emu/block.h"
#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/mem.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/x87.h"
#include "util/error.h"

#define XSAVE_XMM_AT 160
#define XSAVE_BV_AT 512
#define XSAVE_AVX_AT 576
#define XSAVE_SIZE 832
#define MXCSR_AT 24
#define MXCSR_MASK 0xffffu
enum { STATE_X87 = 1, STATE_SSE = 2, STATE_AVX = 4 };

/* ---- Out ---- */

static void get_xsave(const EmuCpu *cpu, X86CpuState *state)
{
    memset(state->xsave, 0, sizeof(state->xsave));
    emu_fxsave_put(cpu, state->xsave, STATE_X87, cpu->efer & EFER_LMA);
    stl_le(state->xsave + MXCSR_AT, cpu->mxcsr);
    stl_le(state->xsave + MXCSR_AT + 4, MXCSR_MASK);
    stq_le(state->xsave + XSAVE_BV_AT, STATE_X87 | STATE_SSE | STATE_AVX);
    /* All sixteen, whatever the mode. */
    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->vec); i++) {
        memcpy(state->xsave + XSAVE_XMM_AT + 16 * i, &cpu->vec[i].u8[0], 16);
        memcpy(state->xsave + XSAVE_AVX_AT + 16 * i, &cpu->vec[i].u8[16], 16);
    }
    state->xsave_size = XSAVE_SIZE;
    state->xcr0 = cpu->xcr0;
}

static void get_events(const EmuCpu *cpu, X86CpuState *state)
{
    const EmuSystem *sys = cpu->sys;
    uint32_t lines = emu_irq_lines(cpu);

    state->events = sys->injected;
    state->events.interrupt_shadow = (cpu->shadow & EMU_SHADOW_MOV_SS ? 1 : 0) |
                                     (cpu->shadow & EMU_SHADOW_STI ? 2 : 0);
    state->events.nmi_pending = lines & VCPU_IRQ_NMI;
    state->events.nmi_masked = cpu->nmi_masked;
    state->events.smi_pending = lines & VCPU_IRQ_SMI;
    state->events.in_smm = cpu->in_smm;
    state->events.smm_inside_nmi = cpu->in_smm && cpu->nmi_masked_before_smm;
    state->events.init_latched = lines & VCPU_IRQ_INIT;
    state->events.triple_fault_pending = cpu->triple_fault;
    state->events.sipi_vector = cpu->vcpu->sipi_vector;
    state->mp_state = sys->wait_for_sipi ? X86_MP_WAIT_FOR_SIPI :
                      cpu->halted ? X86_MP_HALTED : X86_MP_RUNNABLE;
}

bool emu_get_state(VCpu *vcpu, GError **error)
{
    EmuCpu *cpu = emu_cpu(vcpu);
    X86CpuState *state = &vcpu->state;

    memcpy(state->regs, cpu->regs, sizeof(state->regs));
    memcpy(state->segs, cpu->segs, sizeof(state->segs));
    state->rip = cpu->rip;
    state->rflags = emu_rflags(cpu);
    state->gdt = cpu->gdt;
    state->idt = cpu->idt;
    state->cr0 = cpu->cr0;
    state->cr2 = cpu->cr2;
    state->cr3 = cpu->cr3;
    state->cr4 = cpu->cr4;
    state->efer = cpu->efer;
    state->cr8 = emu_read_cr8(cpu);
    state->apic_base = emu_read_apic_base(cpu);
    state->pdptrs_valid = (cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) &&
                          !(cpu->efer & EFER_LMA);
    memcpy(state->pdptrs, cpu->pdptr, sizeof(state->pdptrs));
    memcpy(state->dr, cpu->dr, sizeof(state->dr));
    get_xsave(cpu, state);
    emu_get_msr_list(cpu, state);
    get_events(cpu, state);
    return true;
}

/* ---- In ---- */

/* Components that XSTATE_BV leaves out have their initial values. */
static void set_xsave(EmuCpu *cpu, const X86CpuState *state)
{
    static const uint8_t initial[X86_XSAVE_MAX] = { 0x7f, 0x03 };
    uint64_t present = ldq_le(state->xsave + XSAVE_BV_AT);
    const uint8_t *sse = present & STATE_SSE ? state->xsave : initial;
    const uint8_t *avx = present & STATE_AVX ? state->xsave : initial;

    emu_fxsave_get(cpu, present & STATE_X87 ? state->xsave : initial, STATE_X87,
                   cpu->efer & EFER_LMA);
    cpu->mxcsr = ldl_le(state->xsave + MXCSR_AT) & MXCSR_MASK;
    for (unsigned i = 0; i < G_N_ELEMENTS(cpu->vec); i++) {
        memcpy(&cpu->vec[i].u8[0], sse + XSAVE_XMM_AT + 16 * i, 16);
        memcpy(&cpu->vec[i].u8[16], avx + XSAVE_AVX_AT + 16 * i, 16);
    }
    cpu->xcr0 = (state->xcr0 & cpu->sys->xcr0_allowed) | STATE_X87;
    if (!(cpu->xcr0 & STATE_SSE)) {
        cpu->xcr0 &= ~(uint64_t)STATE_AVX;
    }
}

static void set_control(EmuCpu *cpu, const X86CpuState *state)
{
    const uint64_t efer_known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    bool long_mode = (state->cr0 & CR0_PG) && (state->efer & EFER_LME);

    cpu->cr0 = (state->cr0 & UINT32_MAX) | CR0_ET;
    cpu->cr2 = state->cr2;
    cpu->cr3 = state->cr3 & cpu->sys->physical_mask;
    cpu->cr4 = state->cr4 & emu_cr4_allowed(cpu->sys);
    cpu->efer = (state->efer & efer_known & ~(uint64_t)EFER_LMA) | (long_mode ? EFER_LMA : 0);
    memcpy(cpu->pdptr, state->pdptrs, sizeof(cpu->pdptr));
    memcpy(cpu->dr, state->dr, sizeof(cpu->dr));
    cpu->dr[6] = (state->dr[6] & 0xe00f) | DR6_FIXED;
    cpu->dr[7] = (state->dr[7] & 0xffff23ff) | DR7_FIXED;
}

static void set_apic(EmuCpu *cpu, const X86CpuState *state)
{
    const VCpuApicOps *ops = cpu->vcpu->apic_ops;
    void *apic = cpu->vcpu->apic;

    if (ops && ops->set_tpr && ops->get_tpr && ops->get_tpr(apic) != state->cr8) {
        ops->set_tpr(apic, state->cr8 & 0xf);
    }
    if (ops && ops->set_base && ops->get_base && ops->get_base(apic) != state->apic_base) {
        ops->set_base(apic, state->apic_base);
    }
}

static void set_events(EmuCpu *cpu, const X86CpuState *state)
{
    const X86Events *in = &state->events;
    EmuSystem *sys = cpu->sys;
    uint32_t lines = (in->nmi_pending ? VCPU_IRQ_NMI : 0) | (in->smi_pending ? VCPU_IRQ_SMI : 0) |
                     (in->init_latched ? VCPU_IRQ_INIT : 0);

    sys->injected = (X86Events) {
        .exception_injected = in->exception_injected || in->exception_pending,
        .exception_has_error = in->exception_has_error,
        .exception_vector = in->exception_vector & 0x1f,
        .exception_error = in->exception_error,
        .interrupt_injected = in->interrupt_injected,
        .interrupt_soft = in->interrupt_soft,
        .interrupt_vector = in->interrupt_vector,
    };
    if (in->exception_pending && in->exception_has_payload && in->exception_vector == X86_PF) {
        cpu->cr2 = in->exception_payload;
    }
    cpu->shadow = (in->interrupt_shadow & 1 ? EMU_SHADOW_MOV_SS : 0) |
                  (in->interrupt_shadow & 2 ? EMU_SHADOW_STI : 0);
    cpu->nmi_masked = in->nmi_masked;
    cpu->in_smm = in->in_smm;
    cpu->nmi_masked_before_smm = in->smm_inside_nmi;
    cpu->triple_fault = false;
    sys->debug_pending = 0;
    sys->debugger_pending = false;
    sys->traced = false;
    sys->wait_for_sipi = state->mp_state == X86_MP_WAIT_FOR_SIPI ||
                         state->mp_state == X86_MP_INIT_RECEIVED;
    cpu->halted = sys->wait_for_sipi || state->mp_state == X86_MP_HALTED;
    cpu->vcpu->halted = cpu->halted;
    if (lines) {
        __atomic_or_fetch(&cpu->vcpu->irq_lines, lines, __ATOMIC_SEQ_CST);
    }
}

bool emu_set_state(VCpu *vcpu, GError **error)
{
    EmuCpu *cpu = emu_cpu(vcpu);
    const X86CpuState *state = &vcpu->state;

    if ((state->cr0 & CR0_PG) && !(state->cr0 & CR0_PE)) {
        error_setf(error, "CR0 has paging without protected mode");
        return false;
    }
    memcpy(cpu->regs, state->regs, sizeof(state->regs));
    memcpy(cpu->segs, state->segs, sizeof(state->segs));
    cpu->rip = state->rip;
    cpu->gdt = state->gdt;
    cpu->idt = state->idt;
    set_control(cpu, state);
    set_xsave(cpu, state);
    emu_set_msr_list(cpu, state);
    set_apic(cpu, state);
    set_events(cpu, state);
    cpu->rflags = (state->rflags & 0x3f7fd5 & ~(uint64_t)FLAG_ARITH) | FLAG_ONE;
    emu_flags_set(cpu, (uint32_t)state->rflags);
    emu_tlb_flush_all(cpu);
    emu_update_mode(cpu);
    emu_set_attention(cpu);
    return true;
}
