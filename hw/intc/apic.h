/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APICs, one per vCPU: type "apic" in this program, "kvm-apic" where the accelerator holds
 * the registers. VM lock held throughout.
 */
#ifndef VIREO_HW_INTC_APIC_H
#define VIREO_HW_INTC_APIC_H

#include "hw/core/cpu.h"
#include "hw/core/device.h"

#define TYPE_APIC "apic"
#define TYPE_KERNEL_APIC "kvm-apic"

/* The chips that a local APIC talks to; wired by the board, outlives the APICs. */
typedef struct ApicWiring {
    int (*pic_ack)(void *pic);         /* INTA cycle: a vector */
    bool (*pic_intr)(void *pic);       /* level of the PIC's INTR */
    void *pic;                         /* NULL: there is no PIC */
    void (*eoi)(void *ioapic, uint8_t vector); /* end of a level-triggered interrupt */
    void *ioapic;                      /* NULL: there is no I/O APIC */
} ApicWiring;

/*
 * Give the vCPU its local APIC: the model with irqchip=off, else the face of the accelerator's one
 * (which asks it for the PIC's vector and tells it of EOIs with split). Sets cpu->apic and
 * apic_ops.
 */
bool apic_attach(VCpu *cpu, const ApicWiring *wiring, GError **error);
/* Unrealize and drop what apic_attach made. */
void apic_detach(VCpu *cpu);
/* Map the register page and MSI window at 0xfee00000 (irqchip=off only). owner outlives it. */
void apic_map_window(Object *owner);
/* The PIC's INTR changed: it is wired to every LINT0. */
void apic_pic_intr_changed(bool level);
/* `info lapic`: the CPU's registers as text, the caller's. NULL with error set. */
char *apic_describe(VCpu *cpu, GError **error);
/* The board's NMI button: LINT1 of this CPU as it is programmed. false: masked there. */
bool apic_deliver_nmi(VCpu *cpu);

#endif
