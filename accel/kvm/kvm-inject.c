/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts that userspace delivers: all of them when the APIC is a model (kernel-irqchip=off),
 * only the PIC's with the split irqchip.
 *
 * KVM takes an external interrupt when the guest can accept one (ready_for_interrupt_injection); if
 * one waits and it cannot, the next entry asks to leave as soon as it can
 * (request_interrupt_window).
 */
#include "accel/kvm/kvm-internal.h"

#include <sys/ioctl.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/vm-lock.h"

#define RFLAGS_IF BIT(9)
#define INTERRUPT_LINES (VCPU_IRQ_HARD | VCPU_IRQ_EXTINT)

static uint32_t lines_of(const VCpu *cpu)
{
    return __atomic_load_n(&cpu->irq_lines, __ATOMIC_SEQ_CST);
}

static void clear_line(VCpu *cpu, uint32_t line)
{
    __atomic_and_fetch(&cpu->irq_lines, ~line, __ATOMIC_SEQ_CST);
}

bool kvm_has_work(VCpu *cpu)
{
    const KvmVCpu *vcpu = kvm_vcpu(cpu);
    uint32_t lines = lines_of(cpu);
    bool waiting = vcpu->wait_for_sipi, accepts = vcpu->run->if_flag;

    if (cpu->state_dirty) {
        waiting = cpu->state.mp_state == X86_MP_WAIT_FOR_SIPI ||
                  cpu->state.mp_state == X86_MP_INIT_RECEIVED;
        accepts = cpu->state.rflags & RFLAGS_IF;
        if (cpu->state.mp_state == X86_MP_RUNNABLE) {
            return true; /* set_state will wake it */
        }
    }
    if (waiting) {
        return lines & (VCPU_IRQ_INIT | VCPU_IRQ_SIPI);
    }
    return (lines & (VCPU_IRQ_NMI | VCPU_IRQ_SMI | VCPU_IRQ_INIT)) ||
           ((lines & INTERRUPT_LINES) && accepts);
}

/* Read, change, write back on this thread. */
static void change_state(VCpu *cpu, void (*change)(VCpu *cpu))
{
    g_autoptr(GError) error = NULL;

    if (kvm_get_state(cpu, &error)) {
        change(cpu);
        kvm_set_state(cpu, &error);
    }
    if (error) {
        error_report("CPU %u: %s", cpu->index, error->message);
    }
}

static void apply_init(VCpu *cpu)
{
    x86_cpu_state_init(&cpu->state, cpu->index == 0);
    if (cpu->apic_ops->init_reset) {
        cpu->apic_ops->init_reset(cpu->apic);
    }
}

/* SDM vol. 3, 9.4.4: the AP starts at VV000h in real mode. */
static void apply_sipi(VCpu *cpu)
{
    X86Segment *cs = &cpu->state.segs[X86_CS];

    cs->selector = cpu->sipi_vector << 8;
    cs->base = (uint32_t)cpu->sipi_vector << 12;
    cs->limit = 0xffff;
    cpu->state.rip = 0;
    cpu->state.mp_state = X86_MP_RUNNABLE;
}

static void take_edges(VCpu *cpu)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    uint32_t lines = lines_of(cpu);

    if (kvm_has_lapic()) {
        lines &= VCPU_IRQ_NMI | VCPU_IRQ_SMI; /* the kernel does the others */
    }
    if (lines & VCPU_IRQ_INIT) {
        clear_line(cpu, VCPU_IRQ_INIT);
        change_state(cpu, apply_init);
    }
    if (lines & VCPU_IRQ_SIPI) {
        clear_line(cpu, VCPU_IRQ_SIPI);
        if (vcpu->wait_for_sipi) {
            change_state(cpu, apply_sipi);
        }
    }
    if (vcpu->wait_for_sipi) {
        return;
    }
    if (lines & VCPU_IRQ_NMI) {
        clear_line(cpu, VCPU_IRQ_NMI);
        ioctl(vcpu->fd, KVM_NMI);
    }
    if (lines & VCPU_IRQ_SMI) {
        clear_line(cpu, VCPU_IRQ_SMI);
        if (kvm_accel()->has_smm) {
            ioctl(vcpu->fd, KVM_SMI);
        }
    }
}

static void inject_interrupt(VCpu *cpu)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    int vector;

    if (!(lines_of(cpu) & INTERRUPT_LINES) || !vcpu->run->ready_for_interrupt_injection ||
        !cpu->apic_ops) {
        return;
    }
    vector = cpu->apic_ops->ack(cpu->apic);
    if (vector >= 0) {
        struct kvm_interrupt interrupt = { .irq = vector & 0xff };

        kvm_ioctl(vcpu->fd, KVM_INTERRUPT, &interrupt);
        vcpu->run->ready_for_interrupt_injection = 0;
    }
}

/* Can the CPU be entered without asking its interrupt controllers anything? Without the VM lock. */
static bool nothing_to_do(const VCpu *cpu)
{
    const KvmVCpu *vcpu = kvm_vcpu(cpu);
    uint32_t lines = lines_of(cpu);

    if (accel_irqchip() == ACCEL_IRQCHIP_ON) {
        return !(lines & (VCPU_IRQ_NMI | VCPU_IRQ_SMI));
    }
    if (accel_irqchip() == ACCEL_IRQCHIP_SPLIT) {
        lines &= VCPU_IRQ_EXTINT | VCPU_IRQ_NMI | VCPU_IRQ_SMI;
    } else if (vcpu->apic_touched || vcpu->wait_for_sipi || cpu->halted) {
        return false;
    }
    /* An interrupt that the guest cannot take yet only asks for the window. */
    vcpu->run->request_interrupt_window = (lines & INTERRUPT_LINES) != 0;
    return !lines || (!(lines & ~INTERRUPT_LINES) && !vcpu->run->ready_for_interrupt_injection);
}

bool kvm_pre_run(VCpu *cpu)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    AccelIrqchip irqchip = accel_irqchip();

    if (nothing_to_do(cpu)) {
        return true;
    }
    VM_LOCK_GUARD();
    take_edges(cpu);
    if (irqchip == ACCEL_IRQCHIP_ON) {
        return true;
    }
    if (irqchip == ACCEL_IRQCHIP_OFF) {
        if (vcpu->wait_for_sipi) {
            return false;
        }
        cpu->halted = false;
    }
    inject_interrupt(cpu);
    vcpu->run->request_interrupt_window = (lines_of(cpu) & INTERRUPT_LINES) != 0;
    if (irqchip == ACCEL_IRQCHIP_OFF && cpu->apic_ops) {
        vcpu->last_cr8 = cpu->apic_ops->get_tpr(cpu->apic);
        vcpu->last_apic_base = cpu->apic_ops->get_base(cpu->apic);
        vcpu->run->cr8 = vcpu->last_cr8;
        vcpu->apic_touched = false;
    }
    return true;
}

void kvm_post_run(VCpu *cpu)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    const struct kvm_run *run = vcpu->run;

    if (accel_irqchip() != ACCEL_IRQCHIP_OFF || !cpu->apic_ops ||
        (run->cr8 == vcpu->last_cr8 && run->apic_base == vcpu->last_apic_base)) {
        return;
    }
    VM_LOCK_GUARD();
    if (run->cr8 != vcpu->last_cr8) {
        cpu->apic_ops->set_tpr(cpu->apic, run->cr8);
        vcpu->last_cr8 = run->cr8;
    }
    if (run->apic_base != vcpu->last_apic_base) {
        cpu->apic_ops->set_base(cpu->apic, run->apic_base);
        vcpu->last_apic_base = run->apic_base;
    }
}
