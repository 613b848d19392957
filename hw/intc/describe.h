/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt controllers as text, for `info pic` and `info lapic`: one form for the models and for
 * the chips that the accelerator holds.
 */
#ifndef VIREO_HW_INTC_DESCRIBE_H
#define VIREO_HW_INTC_DESCRIBE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct I8259Text {
    uint8_t irr, imr, isr, top, vector_base, elcr;
    bool read_isr, special_nested;
} I8259Text;

/* A line; index 0 is the master. */
void i8259_describe(GString *out, unsigned index, const I8259Text *pic);
/* Version, ID (0..15), selected register, a line for each entry, what is asserted. */
void ioapic_describe(GString *out, uint8_t version, unsigned id, uint8_t select, uint32_t irr,
                     const uint64_t *redir, unsigned pins);
/* registers: the 64 words of the register page, 16 bytes apart there. */
void apic_describe_registers(GString *out, unsigned cpu, const uint32_t registers[64]);

#endif
