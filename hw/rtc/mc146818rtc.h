/* SPDX-License-Identifier: Apache-2.0 */
/* The PC's clock and CMOS memory: type "mc146818rtc". VM lock held throughout. */
#ifndef VIREO_HW_RTC_MC146818RTC_H
#define VIREO_HW_RTC_MC146818RTC_H

#include "hw/isa/isa.h"

#define TYPE_MC146818RTC "mc146818rtc"
#define RTC_CMOS_SIZE 128

typedef struct Rtc Rtc;

/* What the clock tells the machine. Slots may be NULL. */
typedef struct RtcOps {
    /* The guest set the clock: seconds by which it now differs from what -rtc had made of it. */
    void (*changed)(void *opaque, int64_t offset_seconds);
    /* The alarm interrupt fired: wakes from S3. NULL: vm_request_wakeup(). */
    void (*alarm)(void *opaque);
} RtcOps;

/*
 * A clock at ports 0x70 and 0x71, started as -rtc says. irq: where IRQ 8 leads (the HPET's RTC
 * input); unconnected: ISA IRQ 8. ops: NULL for none; borrowed.
 */
Rtc *rtc_new(IsaBus *bus, Irq irq, const RtcOps *ops, void *opaque, GError **error);
/* Bytes of CMOS memory by index (0x0e..0x7f for the board's use). Indexes wrap at 128. */
void rtc_set_cmos(Rtc *rtc, unsigned index, uint8_t value);
uint8_t rtc_get_cmos(const Rtc *rtc, unsigned index);
/*
 * Forget interrupts that were lost and would be made up for. Fails if the machine has no such
 * clock.
 */
bool rtc_reset_reinjection(GError **error);
/* Port 0x70's bit 7: the guest has NMIs masked. */
bool rtc_nmi_masked(const Rtc *rtc);

#endif
