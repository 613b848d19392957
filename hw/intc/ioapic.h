/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC: type "ioapic", or "kvm-ioapic" where the accelerator holds it. Both are mapped at
 * IOAPIC_ADDRESS by their realize step. VM lock held throughout.
 */
#ifndef VIREO_HW_INTC_IOAPIC_H
#define VIREO_HW_INTC_IOAPIC_H

#include "hw/core/device.h"

#define TYPE_IOAPIC "ioapic"
#define TYPE_KERNEL_IOAPIC "kvm-ioapic"
#define IOAPIC_PINS 24
#define IOAPIC_ADDRESS 0xfec00000u

typedef struct Ioapic Ioapic;

/* The interrupt acknowledge cycle of pins in ExtINT mode; returns a vector. */
typedef int IoapicExtIntFn(void *opaque);

/* Made with its 24 inputs as the unnamed IRQ group. ext_int may be NULL. */
Ioapic *ioapic_new(IoapicExtIntFn *ext_int, void *opaque, GError **error);
/* A local APIC finished a level-triggered vector. */
void ioapic_eoi(Ioapic *ioapic, uint8_t vector);

/* With irqchip=on: reset and saved state only. */
bool kernel_ioapic_new(GError **error);

#endif
