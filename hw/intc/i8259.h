/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's pair of 8259A interrupt controllers: type "isa-i8259". VM lock held throughout.
 */
#ifndef VIREO_HW_INTC_I8259_H
#define VIREO_HW_INTC_I8259_H

#include "hw/isa/isa.h"

#define TYPE_I8259 "isa-i8259"

/* Lines that may be made level-triggered: not the timer, keyboard, cascade, RTC and FPU ones. */
#define I8259_MASTER_ELCR_MASK 0xf8
#define I8259_SLAVE_ELCR_MASK 0xde

typedef struct I8259 I8259;

/*
 * Create master and slave on the bus and cascade them on IR2. `intr` is the master's INTR output;
 * irqs receives the 16 inputs (IRQ2 leads nowhere). Returns the master, owned by the object tree.
 */
I8259 *i8259_new(IsaBus *bus, Irq intr, Irq irqs[ISA_IRQS], GError **error);
/* INTA cycle on the master: the vector. A request that went away meanwhile gives IR7 (spurious). */
int i8259_ack(I8259 *master);
/*
 * Reset leaves all lines masked from now on, as firmware would: for machines without firmware,
 * whose guests never look at these chips. The chips themselves come up unmasked, at vector 0.
 */
void i8259_start_masked(I8259 *master);
/* The level of the INTR output. */
bool i8259_intr(const I8259 *master);

/*
 * The same 16 lines where the accelerator holds the chips (type "kvm-i8259"; kernel-irqchip=on): no
 * ports here, only reset and saved state.
 */
#define TYPE_KERNEL_I8259 "kvm-i8259"
Device *kernel_i8259_new(IsaBus *bus, GError **error);
void kernel_i8259_start_masked(Device *dev);

#endif
