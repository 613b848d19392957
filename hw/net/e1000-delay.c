/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts that wait for more to come (manual, sections 3.2.7 and 3.4.3): a packet timer that
 * each packet starts anew, and an absolute timer that only the first starts. Both count 1.024 us.
 *
 * One timer serves both: it is armed for the earliest time that may be, and looks when it fires
 * whether packets have moved that since.
 */
#include "hw/net/e1000-internal.h"

#define DELAY_UNIT_NS 1024

static int64_t now_ns(void)
{
    return vm_clock_ns(VM_CLOCK_VIRTUAL);
}

void e1000_delay_stop(E1000Delay *delay)
{
    timer_del(delay->timer);
    delay->due = delay->limit = 0;
}

void e1000_delay_raise(E1000 *s, E1000Delay *delay, uint32_t causes, uint32_t packet_reg,
                       uint32_t absolute_reg)
{
    uint32_t packet = *e1000_reg(s, packet_reg) & 0xffff;
    uint32_t absolute = *e1000_reg(s, absolute_reg) & 0xffff;
    int64_t now = now_ns();

    if (!packet || !s->mitigation) {
        e1000_raise(s, causes);
        return;
    }
    delay->due = now + (int64_t)packet * DELAY_UNIT_NS;
    if (!timer_pending(delay->timer)) {
        delay->limit = absolute ? now + (int64_t)absolute * DELAY_UNIT_NS : INT64_MAX;
        timer_mod(delay->timer, MIN(delay->due, delay->limit));
    }
}

/* True: it is time. */
static bool is_due(E1000Delay *delay)
{
    int64_t due = MIN(delay->due, delay->limit);

    if (now_ns() < due) {
        timer_mod(delay->timer, due);
        return false;
    }
    return true;
}

static void rx_over(void *opaque)
{
    E1000 *s = opaque;

    if (is_due(&s->rx_delay)) {
        e1000_raise(s, ICR_RXT0);
    }
}

static void tx_over(void *opaque)
{
    E1000 *s = opaque;

    if (is_due(&s->tx_delay)) {
        e1000_raise(s, ICR_TXDW);
    }
}

void e1000_delay_flush_rx(E1000 *s)
{
    if (timer_pending(s->rx_delay.timer)) {
        e1000_delay_stop(&s->rx_delay);
        e1000_raise(s, ICR_RXT0);
    }
}

void e1000_delay_init(E1000 *s)
{
    s->rx_delay.timer = timer_new_virtual(rx_over, s);
    s->tx_delay.timer = timer_new_virtual(tx_over, s);
}

void e1000_delay_cleanup(E1000 *s)
{
    g_clear_pointer(&s->rx_delay.timer, timer_free);
    g_clear_pointer(&s->tx_delay.timer, timer_free);
}

const VmState e1000_delay_vmstate = {
    .name = "e1000-delay",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_TIMER(E1000Delay, timer), VMSTATE_I64(E1000Delay, due),
        VMSTATE_I64(E1000Delay, limit),
        VMSTATE_END
    },
};
