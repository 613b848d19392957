/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's interrupt wiring, whichever of its chips the accelerator holds: 24 global lines (GSIs),
 * of which the first 16 are the ISA IRQs and reach both the PIC pair and the I/O APIC; ISA IRQ 0 is
 * the I/O APIC's pin 2, as the MADT's override says. VM lock held throughout.
 */
#ifndef VIREO_HW_I386_IRQCHIP_H
#define VIREO_HW_I386_IRQCHIP_H

#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/timer/i8254.h"

typedef struct PcIrqChip {
    Irq gsi[IOAPIC_PINS];   /* drive these; ISA IRQs are 0..15 */
    ApicWiring wiring;      /* private, like the rest */
    I8259 *pic;
    Ioapic *ioapic;
    Irq pic_in[ISA_IRQS];
    Irq ioapic_in[IOAPIC_PINS];
} PcIrqChip;

typedef enum PcIrqChipParts {
    PC_IRQCHIP_PIC = 1, /* else there is only the I/O APIC (microvm's pic=off) */
    PC_IRQCHIP_MASKED = 2, /* no firmware will program the PIC: its lines start masked */
} PcIrqChipParts;

/*
 * Create the chips, give every vCPU made so far its local APIC and connect the bus's IRQs. `bus`
 * may be NULL if no parts are asked for. The struct is owned by `owner`'s board and outlives the
 * machine.
 */
PcIrqChip *pc_irqchip_new(Object *owner, IsaBus *bus, unsigned parts, GError **error);
/* A CPU that comes later gets its local APIC. */
bool pc_irqchip_attach(PcIrqChip *chip, VCpu *cpu, GError **error);
/*
 * Create the timer (and port 0x61) on line 0. Returns the device whose IRQ input 0 silences it
 * (HPET legacy replacement).
 */
Device *pc_timer_new(PcIrqChip *chip, IsaBus *bus, GError **error);

#endif
