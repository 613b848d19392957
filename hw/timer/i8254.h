/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 8254 interval timer (type "isa-pit", or "kvm-pit" where the accelerator holds it) and the
 * port 0x61 logic beside it (type "isa-pcspk"). VM lock held throughout.
 */
#ifndef VIREO_HW_TIMER_I8254_H
#define VIREO_HW_TIMER_I8254_H

#include "hw/isa/isa.h"

#define TYPE_I8254 "isa-pit"
#define TYPE_KERNEL_PIT "kvm-pit"
#define TYPE_PCSPK "isa-pcspk"

#define PIT_FREQ 1193182u /* Hz: 14.31818 MHz / 12 */
#define PIT_CHANNELS 3
#define PIT_SPEAKER 2     /* the channel behind the speaker's gate */

typedef struct I8254 I8254;

/*
 * The model, with channel 0 on `irq`. Its unnamed IRQ input 0 silences channel 0's output while
 * it is high (HPET legacy replacement).
 */
I8254 *i8254_new(IsaBus *bus, Irq irq, GError **error);
/* The level of a channel's OUT pin and GATE input now. channel < PIT_CHANNELS. */
bool i8254_out(I8254 *pit, unsigned channel);
bool i8254_gate(const I8254 *pit, unsigned channel);
void i8254_set_gate(I8254 *pit, unsigned channel, bool level);

/* Port 0x61 before this PIT. */
bool pcspk_new(IsaBus *bus, I8254 *pit, GError **error);

/*
 * The accelerator's PIT (which serves port 0x61 too): reset, saved state, and the same IRQ input
 * 0.
 */
Device *kernel_pit_new(IsaBus *bus, GError **error);

#endif
