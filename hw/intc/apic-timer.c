/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC's timer (SDM vol. 3, 11.5.4). It counts a 1 GHz bus clock, one tick per nanosecond
 * of virtual time, divided by TDCR. Nothing is stepped: the current count is computed from the time
 * that TMICT was written, and a host timer is armed only while the LVT entry is unmasked.
 *
 * In TSC-deadline mode the accelerator, which knows the CPU's TSC, says when the deadline comes.
 */
#include "hw/intc/apic-internal.h"

/* A periodic timer does not fire more often, whatever the guest asks for. */
#define MIN_PERIOD_NS (50 * NS_PER_US)

static enum ApicTimerMode timer_mode(const Apic *apic)
{
    return LVT_TIMER_MODE(apic->lvt[LVT_TIMER]);
}

/* Bits 3, 1, 0 give log2 of the divisor less one, modulo 8. */
static unsigned divide_shift(const Apic *apic)
{
    unsigned code = (apic->timer_divide & 3) | (apic->timer_divide >> 1 & 4);

    return (code + 1) & 7;
}

static uint64_t elapsed_ticks(const Apic *apic, int64_t now)
{
    return now < apic->timer_start ? 0 : (uint64_t)(now - apic->timer_start) >> divide_shift(apic);
}

static uint32_t count_at(const Apic *apic, int64_t now)
{
    uint64_t ticks = elapsed_ticks(apic, now);

    if (!apic->timer_initial || timer_mode(apic) == TIMER_TSC_DEADLINE) {
        return 0;
    }
    if (timer_mode(apic) == TIMER_PERIODIC) {
        return apic->timer_initial - ticks % apic->timer_initial;
    }
    return ticks < apic->timer_initial ? apic->timer_initial - ticks : 0;
}

uint32_t apic_timer_count(const Apic *apic)
{
    return count_at(apic, vm_clock_ns(VM_CLOCK_VIRTUAL));
}

/*
 * A one-shot count that is over is left alone: either it has fired, or its host timer is just about
 * to, and taking that away would lose the interrupt.
 */
static void arm(Apic *apic, int64_t now)
{
    unsigned shift = divide_shift(apic);
    uint64_t ticks = elapsed_ticks(apic, now);

    if (timer_mode(apic) == TIMER_TSC_DEADLINE) {
        if (apic->deadline_ns) {
            timer_mod(apic->timer, apic->deadline_ns);
        } else {
            timer_del(apic->timer);
        }
        return;
    }
    if (!apic->timer_initial || (apic->lvt[LVT_TIMER] & LVT_MASKED)) {
        timer_del(apic->timer);
        return;
    }
    if (timer_mode(apic) == TIMER_PERIODIC) {
        uint64_t periods = ticks / apic->timer_initial + 1;
        int64_t expire = apic->timer_start + (int64_t)(periods * apic->timer_initial << shift);

        timer_mod(apic->timer, MAX(expire, now + MIN_PERIOD_NS));
    } else if (ticks < apic->timer_initial) {
        timer_mod(apic->timer, apic->timer_start + ((int64_t)apic->timer_initial << shift));
    }
}

void apic_timer_arm(Apic *apic)
{
    arm(apic, vm_clock_ns(VM_CLOCK_VIRTUAL));
}

void apic_timer_fired(void *opaque)
{
    Apic *apic = opaque;

    apic->deadline_ns = 0;
    apic_local(apic, LVT_TIMER);
    if (timer_mode(apic) == TIMER_PERIODIC) {
        apic_timer_arm(apic);
    }
}

void apic_timer_set_initial(Apic *apic, uint32_t count)
{
    if (timer_mode(apic) == TIMER_TSC_DEADLINE) {
        return;
    }
    apic->timer_initial = count;
    apic->timer_start = vm_clock_ns(VM_CLOCK_VIRTUAL);
    /* By the same time: a short count may be over when the clock is read again. */
    arm(apic, apic->timer_start);
}

void apic_timer_set_divide(Apic *apic, uint32_t divide)
{
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    uint32_t remaining = count_at(apic, now);

    apic->timer_divide = divide & 0xb;
    /* What is left to count goes on at the new rate. */
    apic->timer_start = now - ((int64_t)(apic->timer_initial - remaining) << divide_shift(apic));
    arm(apic, now);
}

void apic_timer_lvt_changed(Apic *apic, uint32_t old)
{
    bool was_deadline = LVT_TIMER_MODE(old) == TIMER_TSC_DEADLINE;

    if (was_deadline != (timer_mode(apic) == TIMER_TSC_DEADLINE)) {
        apic->timer_initial = 0;
        apic->deadline_ns = 0;
    }
    apic_timer_arm(apic);
}

void apic_timer_set_deadline(Apic *apic, int64_t virtual_ns)
{
    if (timer_mode(apic) == TIMER_TSC_DEADLINE) {
        apic->deadline_ns = virtual_ns;
        apic_timer_arm(apic);
    }
}

void apic_timer_reset(Apic *apic)
{
    apic->timer_initial = 0;
    apic->timer_divide = 0;
    apic->timer_start = 0;
    apic->deadline_ns = 0;
    timer_del(apic->timer);
}
