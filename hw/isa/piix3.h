/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PIIX3 (Intel 82371SB) function 0: the PCI-to-ISA bridge. It routes PIRQA..D to ISA interrupts and
 * holds the reset control register at port 0xCF9.
 */
#ifndef VIREO_HW_ISA_PIIX3_H
#define VIREO_HW_ISA_PIIX3_H

#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

#define TYPE_PIIX3 "PIIX3"
#define PIIX_PIRQS 4

/*
 * Makes the bridge at devfn with its ISA bus (found by isa_bus()) and takes over the PCI bus's
 * INTx.
 */
IsaBus *piix3_new(PciBus *bus, int devfn, MemoryRegion *memory, MemoryRegion *io, GError **error);
/* Where PIRQs end: the 16 ISA lines of the interrupt controllers. */
void piix3_connect_irqs(IsaBus *bus, const Irq irqs[ISA_IRQS]);
/* The PIRQ (0..3) of a slot's pin (0..3): the board's wiring; ACPI's _PRT says the same. */
int piix3_slot_pirq(unsigned slot, int pin);

#endif
