/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt chips and timer of the PC boards: models, the accelerator's, or some of each. */
#include "hw/i386/irqchip.h"

#include "hw/core/cpu.h"

/* Where ISA IRQ 0 arrives at the I/O APIC. */
#define TIMER_PIN 2

static void pic_intr(void *opaque, int n, bool level)
{
    apic_pic_intr_changed(level);
}

static int pic_ack(void *pic)
{
    return i8259_ack(pic);
}

static bool pic_level(void *pic)
{
    return i8259_intr(pic);
}

static void ioapic_done(void *ioapic, uint8_t vector)
{
    ioapic_eoi(ioapic, vector);
}

static void set_gsi(void *opaque, int n, bool level)
{
    PcIrqChip *chip = opaque;

    if (n < ISA_IRQS) {
        irq_set(chip->pic_in[n], level);
    }
    irq_set(chip->ioapic_in[n == 0 ? TIMER_PIN : n], level);
}

static void set_kernel_gsi(void *opaque, int n, bool level)
{
    accel_ops()->set_gsi(accel_current(), n, level);
}

static bool create_models(PcIrqChip *chip, IsaBus *bus, unsigned parts, GError **error)
{
    if (parts & PC_IRQCHIP_PIC) {
        chip->pic = i8259_new(bus, (Irq) { pic_intr, chip, 0 }, chip->pic_in, error);
        if (!chip->pic) {
            return false;
        }
        if (parts & PC_IRQCHIP_MASKED) {
            i8259_start_masked(chip->pic);
        }
    }
    chip->ioapic = ioapic_new(chip->pic ? pic_ack : NULL, chip->pic, error);
    if (!chip->ioapic) {
        return false;
    }
    for (int i = 0; i < IOAPIC_PINS; i++) {
        chip->ioapic_in[i] = device_irq_in((Device *)chip->ioapic, NULL, i);
    }
    chip->wiring.pic = chip->pic;
    chip->wiring.ioapic = chip->ioapic;
    return true;
}

/* The kernel has the pair whether the board wants it or not; unwanted, it stays masked. */
static bool create_kernel_pic(IsaBus *bus, unsigned parts, GError **error)
{
    Device *pic = kernel_i8259_new(bus, error);

    if (pic && (!(parts & PC_IRQCHIP_PIC) || (parts & PC_IRQCHIP_MASKED))) {
        kernel_i8259_start_masked(pic);
    }
    return pic != NULL;
}

static bool create_chips(PcIrqChip *chip, IsaBus *bus, unsigned parts, GError **error)
{
    if (accel_irqchip() != ACCEL_IRQCHIP_ON) {
        return create_models(chip, bus, parts, error);
    }
    return create_kernel_pic(bus, parts, error) && kernel_ioapic_new(error);
}

static bool attach_apics(PcIrqChip *chip, GError **error)
{
    for (VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        if (!apic_attach(cpu, &chip->wiring, error)) {
            return false;
        }
    }
    return true;
}

bool pc_irqchip_attach(PcIrqChip *chip, VCpu *cpu, GError **error)
{
    if (!apic_attach(cpu, &chip->wiring, error)) {
        return false;
    }
    device_reset_tree(cpu->apic); /* the machine's reset is over, or comes once more */
    return true;
}

PcIrqChip *pc_irqchip_new(Object *owner, IsaBus *bus, unsigned parts, GError **error)
{
    g_autofree PcIrqChip *chip = g_new0(PcIrqChip, 1);
    IrqFn *fn = accel_irqchip() == ACCEL_IRQCHIP_ON ? set_kernel_gsi : set_gsi;

    chip->wiring = (ApicWiring) {
        .pic_ack = pic_ack,
        .pic_intr = pic_level,
        .eoi = ioapic_done,
    };
    for (int i = 0; i < IOAPIC_PINS; i++) {
        chip->gsi[i] = (Irq) { fn, chip, i };
    }
    if (!create_chips(chip, bus, parts, error) || !attach_apics(chip, error)) {
        return NULL;
    }
    if (accel_irqchip() == ACCEL_IRQCHIP_OFF) {
        apic_map_window(owner);
    }
    if (bus) {
        isa_bus_connect_irqs(bus, chip->gsi);
    }
    return g_steal_pointer(&chip);
}

Device *pc_timer_new(PcIrqChip *chip, IsaBus *bus, GError **error)
{
    I8254 *pit;

    if (accel_irqchip() == ACCEL_IRQCHIP_ON) {
        return kernel_pit_new(bus, error);
    }
    pit = i8254_new(bus, chip->gsi[0], error);
    if (!pit || !pcspk_new(bus, pit, error)) {
        return NULL;
    }
    return (Device *)pit;
}
