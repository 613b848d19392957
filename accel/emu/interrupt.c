/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts and the other events that reach a CPU between two instructions, in the order of SDM
 * vol. 3, table 6-2: SMI, INIT, NMI, external interrupts. The interrupt controllers are models;
 * VCpu.irq_lines is what they show, so the VM lock is taken only when one is to be acknowledged.
 */
#include "accel/emu/exec.h"
#include "accel/emu/system-internal.h"
#include "util/error.h"
#include "util/vm-lock.h"

#define INTERRUPT_LINES (VCPU_IRQ_HARD | VCPU_IRQ_EXTINT)
#define EDGE_LINES (VCPU_IRQ_NMI | VCPU_IRQ_SMI | VCPU_IRQ_INIT | VCPU_IRQ_SIPI)

bool emu_lock_vm(EmuCpu *cpu)
{
    if (vm_lock_held()) {
        return false;
    }
    /* Who waits for the lock inside the guest could keep an exclusive section from beginning. */
    cpu->sys->left_guest = cpu->in_guest;
    if (cpu->sys->left_guest) {
        emu_guest_leave(cpu);
    }
    vm_lock();
    return true;
}

void emu_unlock_vm(EmuCpu *cpu, bool taken)
{
    if (!taken) {
        return;
    }
    vm_unlock();
    if (cpu->sys->left_guest) {
        emu_guest_enter(cpu);
    }
}

static void clear_line(EmuCpu *cpu, uint32_t line)
{
    __atomic_and_fetch(&cpu->vcpu->irq_lines, ~line, __ATOMIC_SEQ_CST);
}

void emu_check_lines(EmuCpu *cpu)
{
    uint32_t lines = emu_irq_lines(cpu);

    if ((lines & EDGE_LINES) || ((lines & INTERRUPT_LINES) && (cpu->rflags & FLAG_IF)) ||
        __atomic_load_n(&cpu->vcpu->exit_request, __ATOMIC_SEQ_CST)) {
        emu_set_attention(cpu);
    }
}

void emu_unmask_nmi(EmuCpu *cpu)
{
    cpu->nmi_masked = false;
    if (emu_irq_lines(cpu) & VCPU_IRQ_NMI) {
        emu_set_attention(cpu);
    }
}

void emu_set_halted(EmuCpu *cpu, bool halted)
{
    bool taken = emu_lock_vm(cpu);

    cpu->halted = halted;
    cpu->vcpu->halted = halted;
    emu_unlock_vm(cpu, taken);
    emu_set_attention(cpu);
}

static void wake(EmuCpu *cpu)
{
    if (cpu->halted) {
        emu_set_halted(cpu, false);
    }
}

/* ---- INIT and start-up messages (SDM vol. 3, 9.4) ---- */

static void change_state_locked(EmuCpu *cpu, void (*change)(VCpu *vcpu))
{
    g_autoptr(GError) error = NULL;

    if (emu_get_state(cpu->vcpu, &error)) {
        change(cpu->vcpu);
        emu_set_state(cpu->vcpu, &error);
    }
    if (error) {
        error_report("CPU %u: %s", cpu->vcpu->index, error->message);
    }
}

static void apply_init(VCpu *vcpu)
{
    x86_cpu_state_init(&vcpu->state, vcpu->index == 0);
    vcpu->state.regs[X86_RDX] = x86_cpu_config_signature(emu_cpu(vcpu)->sys->config);
    if (vcpu->apic_ops && vcpu->apic_ops->init_reset) {
        vcpu->apic_ops->init_reset(vcpu->apic);
    }
}

static void apply_sipi(VCpu *vcpu)
{
    X86Segment *cs = &vcpu->state.segs[X86_CS];

    cs->selector = vcpu->sipi_vector << 8;
    cs->base = (uint32_t)vcpu->sipi_vector << 12;
    cs->limit = 0xffff;
    vcpu->state.rip = 0;
    vcpu->state.mp_state = X86_MP_RUNNABLE;
}

static bool take_message(EmuCpu *cpu, uint32_t line, void (*change)(VCpu *vcpu))
{
    bool taken = emu_lock_vm(cpu);

    clear_line(cpu, line);
    change_state_locked(cpu, change);
    emu_unlock_vm(cpu, taken);
    return true;
}

static bool take_while_waiting(EmuCpu *cpu, uint32_t lines)
{
    if (lines & VCPU_IRQ_INIT) {
        return take_message(cpu, VCPU_IRQ_INIT, apply_init);
    }
    return (lines & VCPU_IRQ_SIPI) && take_message(cpu, VCPU_IRQ_SIPI, apply_sipi);
}

/* ---- The rest ---- */

static bool take_nmi(EmuCpu *cpu)
{
    clear_line(cpu, VCPU_IRQ_NMI);
    wake(cpu);
    cpu->nmi_masked = true;
    emu_deliver(cpu, X86_NMI, EMU_EVENT_EXTERNAL, false, 0);
    return true;
}

static bool take_interrupt(EmuCpu *cpu)
{
    VCpu *vcpu = cpu->vcpu;
    int vector = -1;
    bool taken;

    if (!vcpu->apic_ops || !vcpu->apic_ops->ack) {
        return false;
    }
    taken = emu_lock_vm(cpu);
    /* It may have gone while this CPU waited for the lock. */
    if (emu_irq_lines(cpu) & INTERRUPT_LINES) {
        vector = vcpu->apic_ops->ack(vcpu->apic);
    }
    if (vector >= 0) {
        cpu->halted = vcpu->halted = false;
    }
    emu_unlock_vm(cpu, taken);
    if (vector < 0) {
        return false;
    }
    emu_deliver(cpu, vector & 0xff, EMU_EVENT_EXTERNAL, false, 0);
    return true;
}

EmuBoundaryEvent emu_next_event(const EmuCpu *cpu)
{
    uint32_t lines = emu_irq_lines(cpu);
    bool mov_ss = cpu->shadow & EMU_SHADOW_MOV_SS;

    if (cpu->sys->wait_for_sipi) {
        return lines & VCPU_IRQ_INIT ? EMU_TAKE_INIT : lines & VCPU_IRQ_SIPI ? EMU_TAKE_SIPI
                                                                             : EMU_TAKE_NOTHING;
    }
    if (!cpu->in_smm && (lines & VCPU_IRQ_SMI) && !mov_ss) {
        return EMU_TAKE_SMI;
    }
    if (!cpu->in_smm && (lines & VCPU_IRQ_INIT)) {
        return EMU_TAKE_INIT;
    }
    if ((lines & VCPU_IRQ_NMI) && !cpu->nmi_masked && !mov_ss) {
        return EMU_TAKE_NMI;
    }
    if ((lines & INTERRUPT_LINES) && (cpu->rflags & FLAG_IF) && !cpu->shadow) {
        return EMU_TAKE_INTERRUPT;
    }
    return EMU_TAKE_NOTHING;
}

bool emu_take_interrupts(EmuCpu *cpu)
{
    EmuBoundaryEvent event = emu_next_event(cpu);

    if (cpu->sys->wait_for_sipi) {
        return take_while_waiting(cpu, emu_irq_lines(cpu));
    }
    if (!(emu_irq_lines(cpu) & VCPU_IRQ_INIT)) {
        clear_line(cpu, VCPU_IRQ_SIPI); /* nobody waits for it */
    }
    switch (event) {
    case EMU_TAKE_SMI:
        clear_line(cpu, VCPU_IRQ_SMI);
        emu_enter_smm(cpu);
        return true;
    case EMU_TAKE_INIT:
        return take_message(cpu, VCPU_IRQ_INIT, apply_init);
    case EMU_TAKE_NMI:
        return take_nmi(cpu);
    case EMU_TAKE_INTERRUPT:
        return take_interrupt(cpu);
    default:
        return false;
    }
}

bool emu_has_work(VCpu *vcpu)
{
    const EmuCpu *cpu = emu_cpu(vcpu);
    uint32_t lines = emu_irq_lines(cpu);
    bool waiting = cpu->sys->wait_for_sipi, accepts = cpu->rflags & FLAG_IF;
    bool in_smm = cpu->in_smm, nmi_masked = cpu->nmi_masked;

    if (vcpu->state_dirty) {
        const X86CpuState *state = &vcpu->state;

        if (state->mp_state == X86_MP_RUNNABLE) {
            return true; /* set_state will wake it */
        }
        waiting = state->mp_state == X86_MP_WAIT_FOR_SIPI ||
                  state->mp_state == X86_MP_INIT_RECEIVED;
        accepts = state->rflags & FLAG_IF;
        in_smm = state->events.in_smm;
        nmi_masked = state->events.nmi_masked;
    }
    if (waiting) {
        return lines & (VCPU_IRQ_INIT | VCPU_IRQ_SIPI);
    }
    return (!in_smm && (lines & (VCPU_IRQ_SMI | VCPU_IRQ_INIT))) ||
           (!nmi_masked && (lines & VCPU_IRQ_NMI)) || ((lines & INTERRUPT_LINES) && accepts);
}
