/* SPDX-License-Identifier: Apache-2.0 */
/* The high precision event timer: type "hpet", mapped at HPET_ADDRESS. VM lock held throughout. */
#ifndef VIREO_HW_TIMER_HPET_H
#define VIREO_HW_TIMER_HPET_H

#include "hw/core/device.h"

#define TYPE_HPET "hpet"
#define HPET_ADDRESS 0xfed00000u
#define HPET_LINES 24
/* GCAP_ID's low half for `timers` timers, as the ACPI HPET table repeats it. */
uint32_t hpet_block_id(unsigned timers);

/*
 * gsi[HPET_LINES]: copied; intcap: those that its timers may use, as a bit mask (legacy
 * replacement adds 0 and 8). The unnamed IRQ input 0 takes the RTC's IRQ 8, which goes on to
 * gsi[8] but in legacy replacement; output "pit-disable" is high in that mode.
 */
Device *hpet_new(const Irq gsi[HPET_LINES], uint32_t intcap, GError **error);

#endif
