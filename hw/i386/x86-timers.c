/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timers of an x86 board and how they are wired: the PIT on GSI 0, the RTC on ISA line 8, and
 * between both and the interrupt controllers the HPET, which can take their lines over (legacy
 * replacement).
 */
#include "hw/i386/x86.h"
#include "hw/timer/hpet.h"
#include "hw/timer/i8254.h"
#include "qapi/qapi-events-misc.h"
#include "util/bits.h"

/* Lines that HPET timers may use: the I/O APIC's pins that no ISA device has. */
#define HPET_INTCAP (BIT(16) | BIT(17) | BIT(18) | BIT(19) | BIT(20) | BIT(21) | BIT(22) | BIT(23))

static void rtc_changed(void *opaque, int64_t offset_seconds)
{
    X86Machine *machine = opaque;
    g_autofree char *path = object_path(OBJECT(machine->rtc));

    qapi_event_send_rtc_change(offset_seconds, path);
}

static const RtcOps rtc_ops = { .changed = rtc_changed };

bool x86_create_timers(X86Machine *machine, IsaBus *isa, const X86Timers *timers, GError **error)
{
    Device *pit = NULL, *hpet = NULL;
    Irq rtc_irq = { 0 };

    if (timers->pit && !(pit = pc_timer_new(machine->irqchip, isa, error))) {
        return false;
    }
    if (timers->hpet) {
        hpet = hpet_new(machine->irqchip->gsi, HPET_INTCAP, error);
        if (!hpet) {
            return false;
        }
        rtc_irq = device_irq_in(hpet, NULL, 0);
        if (pit) {
            device_connect_irq_out(hpet, "pit-disable", 0, device_irq_in(pit, NULL, 0));
        }
    }
    if (timers->rtc) {
        machine->rtc = rtc_new(isa, rtc_irq, &rtc_ops, machine, error);
    }
    return !timers->rtc || machine->rtc;
}
