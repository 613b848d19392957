/* SPDX-License-Identifier: Apache-2.0 */
/*
 * High precision event timer (IA-PC HPET specification 1.0a), 1 KiB of registers at 0xfed00000:
 *
 *   000 GCAP_ID    ro  31:16 vendor, 15 legacy capable, 13 64-bit counter, 12:8 last timer, 7:0
 *                      revision; 63:32 femtoseconds per tick
 *   010 GEN_CONF   rw  0 ENABLE, 1 LEG_RT (timer 0 is IRQ0, timer 1 IRQ8)
 *   020 GINTR_STA  w1c one bit per level-triggered timer
 *   0f0 MAIN_CNT   rw  while stopped
 *   100 + 20n  Tn_CONF  1 level, 2 interrupt enable, 3 periodic, 4 periodic capable (ro), 5 64-bit
 *                       capable (ro), 6 VAL_SET, 8 32-bit mode, 13:9 route, 14 FSB enable,
 *                       15 FSB capable (ro), 63:32 routes that may be chosen (ro)
 *   108 + 20n  Tn_CMP   comparator; in periodic mode a write sets the period, and the comparator
 *                       itself only after VAL_SET
 *   110 + 20n  Tn_FSB   31:0 data, 63:32 address of the message
 *
 * The counter runs at 100 MHz of virtual time and is computed, not stepped; each enabled timer has
 * a host timer for its next match.
 */
#include "hw/timer/hpet.h"

#include "hw/core/msi.h"
#include "memory/memory.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"
#include "util/timer.h"

#define HPET_SIZE 0x400
#define TICK_NS 10
#define TICK_FS (TICK_NS * 1000000u)
#define TIMERS_MIN 3
#define TIMERS_MAX 32
#define TIMER_STRIDE 0x20
#define RTC_LINE 8
/* A periodic timer does not fire more often, whatever the guest asks for. */
#define MIN_PERIOD_NS (20 * NS_PER_US)

enum Register {
    HPET_GCAP_ID = 0x000, HPET_GEN_CONF = 0x010, HPET_GINTR_STA = 0x020, HPET_MAIN_CNT = 0x0f0,
    HPET_TIMERS = 0x100,
};
enum TimerRegister { TN_CONF = 0x00, TN_CMP = 0x08, TN_FSB = 0x10 };

#define GCAP_REVISION 0x01
#define GCAP_64BIT BIT(13)
#define GCAP_LEGACY BIT(15)
#define GCAP_VENDOR (0x8086u << 16)
#define CONF_ENABLE BIT_ULL(0)
#define CONF_LEGACY BIT_ULL(1)
#define TN_LEVEL BIT_ULL(1)
#define TN_INT_ENABLE BIT_ULL(2)
#define TN_PERIODIC BIT_ULL(3)
#define TN_PERIODIC_CAP BIT_ULL(4)
#define TN_SIZE_CAP BIT_ULL(5)
#define TN_VAL_SET BIT_ULL(6)
#define TN_32BIT BIT_ULL(8)
#define TN_ROUTE(config) ((unsigned)extract64(config, 9, 5))
#define TN_FSB_ENABLE BIT_ULL(14)
#define TN_FSB_CAP BIT_ULL(15)
#define TN_WRITABLE (TN_LEVEL | TN_INT_ENABLE | TN_PERIODIC | TN_VAL_SET | TN_32BIT | \
                     MASK_ULL(13, 9) | TN_FSB_ENABLE)

typedef struct Hpet Hpet;

typedef struct HpetTimer {
    Hpet *hpet;
    unsigned n;
    Timer *timer;
    uint64_t config, cmp, fsb;
    uint64_t period; /* ticks, in periodic mode */
} HpetTimer;

struct Hpet {
    Device parent_obj;
    uint8_t timers_prop; /* properties */
    bool msi, offset_saved;
    uint32_t intcap;
    Irq gsi[HPET_LINES];
    Irq pit_disable;
    MemoryRegion *window;

    uint32_t count;
    uint64_t config, status;
    uint64_t counter;    /* while stopped; else its value when ... */
    int64_t counter_ns;  /* ... virtual time was this */
    bool rtc_level;
    HpetTimer timers[TIMERS_MAX];
};

uint32_t hpet_block_id(unsigned timers)
{
    return GCAP_VENDOR | GCAP_LEGACY | GCAP_64BIT | (timers - 1) << 8 | GCAP_REVISION;
}

static uint64_t main_counter(const Hpet *hpet)
{
    if (!(hpet->config & CONF_ENABLE)) {
        return hpet->counter;
    }
    return hpet->counter + (vm_clock_ns(VM_CLOCK_VIRTUAL) - hpet->counter_ns) / TICK_NS;
}

static bool is_legacy(const Hpet *hpet, unsigned n)
{
    return (hpet->config & CONF_LEGACY) && n < 2;
}

/* The line that the timer drives; unconnected if its route is not one it may use. */
static Irq timer_line(const HpetTimer *t)
{
    const Hpet *hpet = t->hpet;
    unsigned route = TN_ROUTE(t->config);

    if (is_legacy(hpet, t->n)) {
        return hpet->gsi[t->n == 0 ? 0 : RTC_LINE];
    }
    return route < HPET_LINES && (hpet->intcap & BIT(route)) ? hpet->gsi[route] : (Irq) { 0 };
}

static void set_timer_irq(HpetTimer *t, bool level)
{
    Hpet *hpet = t->hpet;
    bool wanted = level && (t->config & TN_INT_ENABLE) && (hpet->config & CONF_ENABLE);

    if (!wanted) {
        hpet->status &= ~BIT_ULL(t->n);
        if (!(t->config & TN_FSB_ENABLE)) {
            irq_lower(timer_line(t));
        }
    } else if (t->config & TN_FSB_ENABLE) {
        msi_send(t->fsb >> 32, t->fsb);
    } else if (t->config & TN_LEVEL) {
        hpet->status |= BIT_ULL(t->n);
        irq_raise(timer_line(t));
    } else {
        hpet->status &= ~BIT_ULL(t->n);
        irq_pulse(timer_line(t));
    }
}

/* Ticks until the counter next equals the comparator. */
static uint64_t ticks_to_match(const HpetTimer *t, uint64_t counter)
{
    return t->config & TN_32BIT ? (uint32_t)(t->cmp - counter) : t->cmp - counter;
}

static void arm(HpetTimer *t, uint64_t ticks, int64_t at_least_ns)
{
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    uint64_t furthest = (uint64_t)(INT64_MAX - now) / TICK_NS;

    if (ticks >= furthest) {
        timer_del(t->timer);
        return;
    }
    timer_mod(t->timer, now + MAX((int64_t)ticks * TICK_NS, at_least_ns));
}

/* The comparator's next multiple after the counter. */
static void advance_periodic(HpetTimer *t, uint64_t counter)
{
    uint64_t behind;

    if (t->config & TN_32BIT) {
        behind = (uint32_t)(counter - t->cmp);
        t->cmp = (uint32_t)(t->cmp + (behind / t->period + 1) * t->period);
    } else {
        behind = counter - t->cmp;
        t->cmp += (behind / t->period + 1) * t->period;
    }
}

static void timer_matched(void *opaque)
{
    HpetTimer *t = opaque;
    uint64_t counter = main_counter(t->hpet);

    if ((t->config & TN_PERIODIC) && t->period) {
        advance_periodic(t, counter);
        arm(t, ticks_to_match(t, counter), MIN_PERIOD_NS);
    } else if (t->config & TN_32BIT) {
        /* It matches again each time the low half comes round. */
        uint64_t ticks = ticks_to_match(t, counter);

        arm(t, ticks ? ticks : 1ull << 32, 0);
    }
    set_timer_irq(t, true);
}

/* Comparator, mode or counter changed. */
static void rearm(HpetTimer *t)
{
    if ((t->hpet->config & CONF_ENABLE) && (t->config & TN_INT_ENABLE)) {
        arm(t, ticks_to_match(t, main_counter(t->hpet)), 0);
    } else {
        timer_del(t->timer);
    }
}

static void set_enabled(Hpet *hpet, bool enable)
{
    if (enable) {
        hpet->counter_ns = vm_clock_ns(VM_CLOCK_VIRTUAL);
        hpet->config |= CONF_ENABLE;
    } else {
        hpet->counter = main_counter(hpet);
        hpet->config &= ~CONF_ENABLE;
    }
    for (unsigned i = 0; i < hpet->count; i++) {
        HpetTimer *t = &hpet->timers[i];

        if (enable && (hpet->status & BIT_ULL(i))) {
            set_timer_irq(t, true);
        } else if (!enable && (t->config & TN_LEVEL)) {
            irq_lower(timer_line(t));
        }
        rearm(t);
    }
}

static void write_config(Hpet *hpet, uint64_t value)
{
    bool enable = value & CONF_ENABLE, legacy = value & CONF_LEGACY;

    if (enable != !!(hpet->config & CONF_ENABLE)) {
        set_enabled(hpet, enable);
    }
    if (legacy == !!(hpet->config & CONF_LEGACY)) {
        return;
    }
    if (legacy) {
        irq_lower(hpet->gsi[RTC_LINE]);
        hpet->config |= CONF_LEGACY;
    } else {
        irq_lower(hpet->gsi[0]);
        hpet->config &= ~CONF_LEGACY;
        irq_set(hpet->gsi[RTC_LINE], hpet->rtc_level);
    }
    irq_set(hpet->pit_disable, legacy);
}

static void write_status(Hpet *hpet, uint64_t value)
{
    uint64_t clear = value & hpet->status;

    for (unsigned i = 0; i < hpet->count; i++) {
        if (clear & BIT_ULL(i)) {
            set_timer_irq(&hpet->timers[i], false);
        }
    }
}

static void write_counter(Hpet *hpet, uint64_t value)
{
    if (hpet->config & CONF_ENABLE) {
        log_guest_error("hpet: write to the counter while it runs\n");
        return;
    }
    hpet->counter = value;
}

static void write_timer_config(HpetTimer *t, uint64_t value)
{
    uint64_t writable = TN_WRITABLE & ~(t->config & TN_FSB_CAP ? 0 : TN_FSB_ENABLE);
    uint64_t config = (t->config & ~writable) | (value & writable);
    bool was_raised = t->hpet->status & BIT_ULL(t->n);
    uint64_t changed;

    /* Leave the old line before the route or the mode changes. */
    if (was_raised && (!(config & TN_INT_ENABLE) || !(config & TN_LEVEL) ||
                       TN_ROUTE(config) != TN_ROUTE(t->config))) {
        set_timer_irq(t, false);
    }
    changed = config ^ t->config;
    t->config = config;
    if (config & TN_32BIT) {
        t->cmp = (uint32_t)t->cmp;
        t->period = (uint32_t)t->period;
    }
    /* Else a match that the host timer is just about to report stays as it is. */
    if (changed & (TN_INT_ENABLE | TN_PERIODIC | TN_32BIT)) {
        rearm(t);
    }
}

static void write_comparator(HpetTimer *t, uint64_t value)
{
    bool periodic = t->config & TN_PERIODIC;

    if (t->config & TN_32BIT) {
        value = (uint32_t)value;
    }
    if (!periodic || (t->config & TN_VAL_SET)) {
        t->cmp = value;
    }
    if (periodic) {
        t->period = value;
    }
    t->config &= ~TN_VAL_SET;
    rearm(t);
}

static HpetTimer *timer_at(Hpet *hpet, uint64_t offset)
{
    uint64_t n = (offset - HPET_TIMERS) / TIMER_STRIDE;

    return offset >= HPET_TIMERS && n < hpet->count ? &hpet->timers[n] : NULL;
}

/* A whole register by the offset of its low half. */
static uint64_t read_register(Hpet *hpet, uint64_t offset)
{
    HpetTimer *t = timer_at(hpet, offset);

    if (t) {
        switch ((enum TimerRegister)(offset % TIMER_STRIDE)) {
        case TN_CONF: return t->config;
        case TN_CMP: return t->cmp;
        case TN_FSB: return t->fsb;
        }
        return 0;
    }
    switch ((enum Register)offset) {
    case HPET_GCAP_ID: return hpet_block_id(hpet->count) | (uint64_t)TICK_FS << 32;
    case HPET_GEN_CONF: return hpet->config;
    case HPET_GINTR_STA: return hpet->status;
    case HPET_MAIN_CNT: return main_counter(hpet);
    case HPET_TIMERS: break;
    }
    return 0;
}

static void write_register(Hpet *hpet, uint64_t offset, uint64_t value)
{
    HpetTimer *t = timer_at(hpet, offset);

    if (t) {
        switch ((enum TimerRegister)(offset % TIMER_STRIDE)) {
        case TN_CONF: write_timer_config(t, value); break;
        case TN_CMP: write_comparator(t, value); break;
        case TN_FSB: t->fsb = value; break;
        }
        return;
    }
    switch ((enum Register)offset) {
    case HPET_GEN_CONF: write_config(hpet, value); break;
    case HPET_GINTR_STA: write_status(hpet, value); break;
    case HPET_MAIN_CNT: write_counter(hpet, value); break;
    case HPET_GCAP_ID:
    case HPET_TIMERS: break;
    }
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = read_register(opaque, offset & ~7ull);

    return size == 8 ? value : (uint32_t)(value >> (offset & 4) * 8);
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    uint64_t low = offset & ~7ull;

    if (size == 4) {
        /* Write-1-clear bits of the other half must not be written back. */
        uint64_t old = low == HPET_GINTR_STA ? 0 : read_register(opaque, low);

        value = deposit64(old, (offset & 4) * 8, 32, value);
    }
    write_register(opaque, low, value);
}

static const MemoryRegionOps window_ops = {
    .read = window_read,
    .write = window_write,
    .valid = { .min = 4, .max = 8 },
    .impl = { .min = 4, .max = 8 },
};

static void set_rtc(void *opaque, int n, bool level)
{
    Hpet *hpet = opaque;

    hpet->rtc_level = level;
    if (!(hpet->config & CONF_LEGACY)) {
        irq_set(hpet->gsi[RTC_LINE], level);
    }
}

static void hpet_reset(Device *dev)
{
    Hpet *hpet = (Hpet *)dev;

    for (unsigned i = 0; i < hpet->count; i++) {
        HpetTimer *t = &hpet->timers[i];

        set_timer_irq(t, false);
        timer_del(t->timer);
        t->config = TN_PERIODIC_CAP | TN_SIZE_CAP | (hpet->msi ? TN_FSB_CAP : 0) |
                    (uint64_t)hpet->intcap << 32;
        t->cmp = UINT64_MAX;
        t->fsb = 0;
        t->period = 0;
    }
    hpet->config = 0;
    hpet->status = 0;
    hpet->counter = 0;
    irq_lower(hpet->pit_disable);
}

static bool hpet_realize(Device *dev, GError **error)
{
    Hpet *hpet = (Hpet *)dev;

    if (!hpet->intcap) {
        error_setf(error, "hpet: hpet-intcap must name at least one interrupt line");
        return false;
    }
    hpet->count = CLAMP(hpet->timers_prop, TIMERS_MIN, TIMERS_MAX);
    for (unsigned i = 0; i < hpet->count; i++) {
        HpetTimer *t = &hpet->timers[i];

        t->hpet = hpet;
        t->n = i;
        t->timer = timer_new_virtual(timer_matched, t);
    }
    device_init_irq_in(dev, NULL, set_rtc, 1);
    device_init_irq_out(dev, NULL, hpet->gsi, HPET_LINES);
    device_init_irq_out(dev, "pit-disable", &hpet->pit_disable, 1);
    hpet->window = memory_region_new_io(OBJECT(dev), &window_ops, hpet, "hpet", HPET_SIZE);
    memory_region_add(memory_system(), HPET_ADDRESS, hpet->window);
    return true;
}

static void hpet_unrealize(Device *dev)
{
    Hpet *hpet = (Hpet *)dev;

    memory_region_remove(memory_system(), hpet->window);
    for (unsigned i = 0; i < hpet->count; i++) {
        timer_del(hpet->timers[i].timer);
    }
}

static void hpet_finalize(Object *obj)
{
    Hpet *hpet = (Hpet *)obj;

    g_clear_pointer(&hpet->window, memory_region_free);
    for (unsigned i = 0; i < hpet->count; i++) {
        g_clear_pointer(&hpet->timers[i].timer, timer_free);
    }
}

static void hpet_pre_save(void *opaque)
{
    Hpet *hpet = opaque;

    hpet->counter = main_counter(hpet);
    hpet->counter_ns = vm_clock_ns(VM_CLOCK_VIRTUAL);
}

static bool hpet_post_load(void *opaque, int version, GError **error)
{
    Hpet *hpet = opaque;

    /* The virtual clock continues where it was saved, and so does the counter. */
    hpet->counter_ns = vm_clock_ns(VM_CLOCK_VIRTUAL);
    for (unsigned i = 0; i < hpet->count; i++) {
        rearm(&hpet->timers[i]);
    }
    return true;
}

static const VmState timer_vmstate = {
    .name = "hpet timer",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U64(HpetTimer, config),
        VMSTATE_U64(HpetTimer, cmp),
        VMSTATE_U64(HpetTimer, fsb),
        VMSTATE_U64(HpetTimer, period),
        VMSTATE_END
    },
};

static bool same_count(void *opaque, const VmStateField *field, GError **error)
{
    Hpet *hpet = opaque;

    if (hpet->count != CLAMP(hpet->timers_prop, TIMERS_MIN, TIMERS_MAX)) {
        error_setf(error, "hpet: saved with %u timers, this one has %u", hpet->count,
                   hpet->timers_prop);
        hpet->count = CLAMP(hpet->timers_prop, TIMERS_MIN, TIMERS_MAX);
        return false;
    }
    return true;
}

static const VmState hpet_vmstate = {
    .name = "hpet",
    .version = 1,
    .minimum_version = 1,
    .pre_save = hpet_pre_save,
    .post_load = hpet_post_load,
    .fields = (const VmStateField[]) {
        { VMS_FIELD_(Hpet, count, VMS_U32), .valid = same_count },
        VMSTATE_U64(Hpet, config),
        VMSTATE_U64(Hpet, status),
        VMSTATE_U64(Hpet, counter),
        VMSTATE_BOOL(Hpet, rtc_level),
        VMSTATE_STRUCT_ARRAY(Hpet, timers, timer_vmstate),
        VMSTATE_END
    },
};

static const Property hpet_properties[] = {
    PROP_UINT8("timers", Hpet, timers_prop, TIMERS_MIN, "how many timers it has (3 to 32)"),
    PROP_BOOL("msi", Hpet, msi, false, "timers can send messages"),
    PROP_UINT32("hpet-intcap", Hpet, intcap, 0, "bit mask of the interrupt lines it may use"),
    PROP_BOOL("hpet-offset-saved", Hpet, offset_saved, true, "accepted; the counter is saved"),
    PROP_END
};

static const DeviceHooks hpet_hooks = {
    .realize = hpet_realize,
    .unrealize = hpet_unrealize,
    .reset = hpet_reset,
    .vmstate = &hpet_vmstate,
    .no_user = true,
};

static const TypeInfo hpet_type = {
    .name = TYPE_HPET,
    .parent = TYPE_SYS_DEVICE,
    .description = "high precision event timer",
    .instance_size = sizeof(Hpet),
    .instance_finalize = hpet_finalize,
    .properties = hpet_properties,
    .hooks = &hpet_hooks,
};
QOM_TYPE(hpet_type);

Device *hpet_new(const Irq gsi[HPET_LINES], uint32_t intcap, GError **error)
{
    Object *obj = object_new(TYPE_HPET);
    Hpet *hpet = (Hpet *)obj;

    memcpy(hpet->gsi, gsi, sizeof(hpet->gsi));
    if (!hpet->intcap) {
        hpet->intcap = intcap;
    }
    return device_realize_and_unref((Device *)obj, bus_system(), error) ? (Device *)hpet : NULL;
}
