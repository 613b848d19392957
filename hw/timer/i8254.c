/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 8254 programmable interval timer (data sheet 231164-005), at ports 0x40..0x43.
 *
 *   0x40..0x42  counters 0..2: write a count, read the count or what a command latched
 *   0x43        control word (write only; reads float):
 *               bits 7:6 counter, or 3 = read-back command
 *               bits 5:4 0 = latch the count now; else bytes to access: 1 low, 2 high, 3 both
 *               bits 3:1 mode 0..5 (6, 7 = 2, 3); bit 0 BCD
 *               read-back: bit 5 = 0 latches counts, bit 4 = 0 status, bits 3:1 which counters
 *   status      bit 7 OUT, bit 6 null count (the written count is not in use yet), 5:0 as written
 *
 * A counter is not stepped: its value and OUT are functions of the ticks since its count was
 * loaded, and only counter 0, whose OUT is IRQ0, has a timer, armed for the next change of OUT. The
 * count that is loaded is the full 16-bit range for 0 (65536, or 10000 in BCD).
 *
 * A new count written to a periodic counter (modes 2 and 3) takes over when the period at
 * hand ends; in the other software-started modes at once.
 */
#include "hw/timer/i8254.h"

#include "util/bits.h"
#include "util/error.h"
#include "util/timer.h"

#define PIT_PORT_BASE 0x40
#define PIT_PORTS 4
#define PORT_UNSET UINT32_MAX
/* OUT of counter 0 is not delivered faster than this, whatever the guest asks for. */
#define PIT_MIN_STEP_NS (20 * NS_PER_US)

enum PitMode {
    MODE_INTERRUPT, MODE_ONE_SHOT, MODE_RATE, MODE_SQUARE, MODE_SOFT_STROBE, MODE_HARD_STROBE,
};
enum Access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };
enum { READ_BACK_NO_COUNT = 0x20, READ_BACK_NO_STATUS = 0x10 };
enum { STATUS_OUT = 0x80, STATUS_NULL = 0x40 };

typedef struct PitChannel {
    uint32_t count;        /* in use: 1..65536, 0 = none was written since the control word */
    uint32_t next_count;   /* takes over at next_load; 0 = none waits */
    int64_t load_ns;       /* when count began; later than now if the counter waits */
    int64_t next_load_ns;
    int64_t held_ticks;    /* ticks counted when the gate stopped the counter, or -1 */
    uint16_t latched_count;
    uint8_t latched_bytes; /* of latched_count still to read */
    uint8_t latched_status;
    bool status_latched;
    bool triggered;        /* modes 1 and 5: the gate has started it */
    uint8_t mode, access;
    bool bcd, gate;
    bool read_high, write_high; /* the second byte of a pair comes next */
    uint8_t write_low;
} PitChannel;

struct I8254 {
    IsaDevice parent_obj;
    uint32_t iobase;
    Irq irq;
    MemoryRegion *ports;
    Timer *timer;
    bool silenced;
    PitChannel channels[PIT_CHANNELS];
};

static int64_t ticks_of(int64_t ns)
{
    return ns < 0 ? -1 : (int64_t)muldiv64(ns, PIT_FREQ, NS_PER_SEC);
}

/* The first nanosecond at which ticks_of() gives `ticks`. */
static int64_t ns_of(int64_t ticks)
{
    return muldiv64(ticks, NS_PER_SEC, PIT_FREQ) + (ticks != 0);
}

static bool is_periodic(const PitChannel *ch)
{
    return ch->mode == MODE_RATE || ch->mode == MODE_SQUARE;
}

static bool is_gate_started(const PitChannel *ch)
{
    return ch->mode == MODE_ONE_SHOT || ch->mode == MODE_HARD_STROBE;
}

/* Let a waiting count take over if its time has come. */
static void settle(PitChannel *ch, int64_t now)
{
    if (ch->next_count && now >= ch->next_load_ns) {
        ch->count = ch->next_count;
        ch->load_ns = ch->next_load_ns;
        ch->next_count = 0;
    }
}

/* Ticks since the count was loaded; -1 if the counter does not run. */
static int64_t elapsed(const PitChannel *ch, int64_t now)
{
    if (!ch->count || (is_gate_started(ch) && !ch->triggered)) {
        return -1;
    }
    if (is_periodic(ch) && !ch->gate) {
        return -1;
    }
    return ch->held_ticks >= 0 ? ch->held_ticks : ticks_of(now - ch->load_ns);
}

static uint32_t square_high_ticks(const PitChannel *ch)
{
    return (ch->count + 1) / 2;
}

static bool channel_out(PitChannel *ch, int64_t now)
{
    int64_t ticks;

    settle(ch, now);
    ticks = elapsed(ch, now);
    if (ticks < 0) {
        return ch->mode != MODE_INTERRUPT;
    }
    switch ((enum PitMode)ch->mode) {
    case MODE_INTERRUPT:
    case MODE_ONE_SHOT:
        return ticks >= ch->count;
    case MODE_RATE:
        return ticks % ch->count != ch->count - 1;
    case MODE_SQUARE:
        return ticks % ch->count < square_high_ticks(ch);
    case MODE_SOFT_STROBE:
    case MODE_HARD_STROBE:
        return ticks != ch->count;
    }
    return true;
}

/* Ticks since loading at which OUT changes next, or -1 if it will not by itself. */
static int64_t next_change(const PitChannel *ch, int64_t ticks)
{
    int64_t period = ch->count ? ticks / ch->count * ch->count : 0;

    switch ((enum PitMode)ch->mode) {
    case MODE_INTERRUPT:
    case MODE_ONE_SHOT:
        return ticks < ch->count ? (int64_t)ch->count : -1;
    case MODE_RATE:
        return ticks - period < ch->count - 1 ? period + ch->count - 1 : period + ch->count;
    case MODE_SQUARE:
        return ticks - period < square_high_ticks(ch) ? period + square_high_ticks(ch)
                                                      : period + ch->count;
    case MODE_SOFT_STROBE:
    case MODE_HARD_STROBE:
        return ticks < ch->count ? (int64_t)ch->count : ticks == ch->count ? ticks + 1 : -1;
    }
    return -1;
}

static uint16_t to_bcd(uint32_t value)
{
    return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t value)
{
    return (value & 0xf) + (value >> 4 & 0xf) * 10 + (value >> 8 & 0xf) * 100 +
           (value >> 12) * 1000;
}

/* The counting element as the guest reads it. */
static uint16_t channel_value(PitChannel *ch, int64_t now)
{
    uint32_t range = ch->bcd ? 10000 : 0x10000;
    int64_t ticks;
    uint32_t value;

    settle(ch, now);
    ticks = elapsed(ch, now);
    if (ticks < 0) {
        value = ch->count % range;
    } else if (ch->mode == MODE_RATE) {
        value = ch->count - ticks % ch->count;
    } else if (ch->mode == MODE_SQUARE) {
        uint32_t phase = ticks % ch->count;

        /* It steps by two, and once more from the top for the low half. */
        if (phase >= square_high_ticks(ch)) {
            phase -= square_high_ticks(ch);
        }
        value = (ch->count & ~1u) - 2 * phase;
    } else {
        /* One-time counts run on below zero. */
        value = (ch->count + range - ticks % range) % range;
    }
    value %= range;
    return ch->bcd ? to_bcd(value) : value;
}

/* Drive IRQ0 and arm the timer for its next change. */
static void update_irq(I8254 *pit)
{
    PitChannel *ch = &pit->channels[0];
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    bool out = channel_out(ch, now);
    int64_t ticks = elapsed(ch, now);
    int64_t change = ticks < 0 ? -1 : next_change(ch, ticks);
    int64_t expire;

    if (!pit->silenced) {
        irq_set(pit->irq, out);
    }
    if (change < 0 || pit->silenced) {
        timer_del(pit->timer);
        return;
    }
    expire = ch->load_ns + ns_of(change);
    if (ch->next_count && expire > ch->next_load_ns) {
        expire = ch->next_load_ns;
    }
    timer_mod(pit->timer, expire);
}

/*
 * Counter 0's OUT is due to change. When the host was late by whole periods, or the guest chose a
 * period too short to serve, the pulses between are left out: the line must only be seen to rise.
 */
static void timer_fired(void *opaque)
{
    I8254 *pit = opaque;
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    int64_t earliest = now + PIT_MIN_STEP_NS;
    bool periodic = is_periodic(&pit->channels[0]);

    if (periodic && channel_out(&pit->channels[0], now)) {
        irq_lower(pit->irq);
    }
    update_irq(pit);
    if (periodic && timer_pending(pit->timer) && timer_expire_ns(pit->timer) < earliest &&
        pit->channels[0].count < 2 * ticks_of(PIT_MIN_STEP_NS)) {
        timer_mod(pit->timer, earliest);
    }
}

static void start(PitChannel *ch, uint32_t count, int64_t now)
{
    ch->count = count;
    ch->load_ns = now;
    ch->next_count = 0;
    ch->held_ticks = -1;
    if (!ch->gate && !is_periodic(ch)) {
        ch->held_ticks = 0;
    }
}

static void load_count(I8254 *pit, PitChannel *ch, uint16_t written)
{
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    uint32_t count = ch->bcd ? from_bcd(written) : written;
    int64_t ticks;

    if (count == 0) {
        count = ch->bcd ? 10000 : 0x10000;
    }
    settle(ch, now);
    ticks = elapsed(ch, now);
    if (is_periodic(ch) && ticks >= 0) {
        int64_t end = (ticks / ch->count + 1) * ch->count;

        ch->next_count = count;
        ch->next_load_ns = ch->load_ns + ns_of(end);
    } else if (is_gate_started(ch) && ch->triggered) {
        /* The shot at hand is finished with its own count; the next trigger takes the new one. */
        ch->next_count = count;
        ch->next_load_ns = INT64_MAX;
    } else {
        start(ch, count, now);
    }
    if (ch == &pit->channels[0]) {
        update_irq(pit);
    }
}

static void latch_count(PitChannel *ch)
{
    if (ch->latched_bytes) {
        return;
    }
    ch->latched_count = channel_value(ch, vm_clock_ns(VM_CLOCK_VIRTUAL));
    ch->latched_bytes = ch->access == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(PitChannel *ch)
{
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);

    if (ch->status_latched) {
        return;
    }
    ch->latched_status = ch->access << 4 | ch->mode << 1 | ch->bcd;
    if (channel_out(ch, now)) {
        ch->latched_status |= STATUS_OUT;
    }
    if (!ch->count || ch->next_count || ch->write_high) {
        ch->latched_status |= STATUS_NULL;
    }
    ch->status_latched = true;
}

static void read_back(I8254 *pit, uint8_t command)
{
    for (int i = 0; i < PIT_CHANNELS; i++) {
        if (!(command & BIT(i + 1))) {
            continue;
        }
        if (!(command & READ_BACK_NO_COUNT)) {
            latch_count(&pit->channels[i]);
        }
        if (!(command & READ_BACK_NO_STATUS)) {
            latch_status(&pit->channels[i]);
        }
    }
}

static void write_control(I8254 *pit, uint8_t value)
{
    unsigned select = value >> 6;
    enum Access access = value >> 4 & 3;
    unsigned mode = value >> 1 & 7;
    PitChannel *ch;

    if (select == PIT_CHANNELS) {
        read_back(pit, value);
        return;
    }
    ch = &pit->channels[select];
    if (access == ACCESS_LATCH) {
        latch_count(ch);
        return;
    }
    *ch = (PitChannel) {
        .gate = ch->gate,
        .access = access,
        .mode = mode > MODE_HARD_STROBE ? mode & 3 : mode,
        .bcd = value & 1,
        .held_ticks = -1,
    };
    if (select == 0) {
        update_irq(pit);
    }
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8254 *pit = opaque;
    PitChannel *ch;

    if (offset == PIT_CHANNELS) {
        write_control(pit, value);
        return;
    }
    ch = &pit->channels[offset];
    switch ((enum Access)ch->access) {
    case ACCESS_LATCH: /* no control word was written yet */
    case ACCESS_LOW:
        load_count(pit, ch, value);
        break;
    case ACCESS_HIGH:
        load_count(pit, ch, value << 8);
        break;
    case ACCESS_BOTH:
        if (!ch->write_high) {
            ch->write_low = value;
            ch->write_high = true;
            break;
        }
        ch->write_high = false;
        load_count(pit, ch, value << 8 | ch->write_low);
        break;
    }
}

static uint8_t read_latched(PitChannel *ch)
{
    uint8_t byte = ch->latched_count;

    if (ch->access == ACCESS_HIGH) {
        byte = ch->latched_count >> 8;
    } else if (ch->access == ACCESS_BOTH && ch->latched_bytes == 1) {
        byte = ch->latched_count >> 8;
    }
    ch->latched_bytes--;
    return byte;
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    I8254 *pit = opaque;
    PitChannel *ch;
    uint16_t value;

    if (offset == PIT_CHANNELS) {
        return 0xff;
    }
    ch = &pit->channels[offset];
    if (ch->status_latched) {
        ch->status_latched = false;
        return ch->latched_status;
    }
    if (ch->latched_bytes) {
        return read_latched(ch);
    }
    value = channel_value(ch, vm_clock_ns(VM_CLOCK_VIRTUAL));
    if (ch->access == ACCESS_BOTH) {
        ch->read_high = !ch->read_high;
        return ch->read_high ? value & 0xff : value >> 8;
    }
    return ch->access == ACCESS_HIGH ? value >> 8 : value & 0xff;
}

static const MemoryRegionOps ports_ops = {
    .read = ports_read,
    .write = ports_write,
    .impl = { .min = 1, .max = 1 },
};

bool i8254_out(I8254 *pit, unsigned channel)
{
    return channel_out(&pit->channels[channel], vm_clock_ns(VM_CLOCK_VIRTUAL));
}

bool i8254_gate(const I8254 *pit, unsigned channel)
{
    return pit->channels[channel].gate;
}

void i8254_set_gate(I8254 *pit, unsigned channel, bool level)
{
    PitChannel *ch = &pit->channels[channel];
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    uint32_t waiting;

    if (ch->gate == level) {
        return;
    }
    settle(ch, now);
    waiting = ch->next_count;
    if (is_periodic(ch) || is_gate_started(ch)) {
        ch->gate = level;
        if (level && ch->count) {
            ch->triggered = true;
            start(ch, waiting ? waiting : ch->count, now);
        }
    } else if (level) {
        ch->gate = true;
        if (ch->held_ticks >= 0) {
            ch->load_ns = now - ns_of(ch->held_ticks);
            ch->held_ticks = -1;
        }
    } else {
        ch->held_ticks = MAX(elapsed(ch, now), 0);
        ch->gate = false;
    }
    if (channel == 0) {
        update_irq(pit);
    }
}

static void set_silenced(void *opaque, int n, bool level)
{
    I8254 *pit = opaque;

    if (level == pit->silenced) {
        return;
    }
    if (level) {
        irq_lower(pit->irq);
    }
    pit->silenced = level;
    update_irq(pit);
}

static void i8254_reset(Device *dev)
{
    I8254 *pit = (I8254 *)dev;

    for (int i = 0; i < PIT_CHANNELS; i++) {
        pit->channels[i] = (PitChannel) {
            .mode = MODE_SQUARE,
            .access = ACCESS_BOTH,
            .gate = i != PIT_SPEAKER,
            .held_ticks = -1,
        };
        start(&pit->channels[i], 0x10000, vm_clock_ns(VM_CLOCK_VIRTUAL));
    }
    /* As after power-on nothing was programmed, IRQ0 is quiet until a control word comes. */
    pit->channels[0].mode = MODE_INTERRUPT;
    pit->channels[0].count = 0;
    update_irq(pit);
}

static void i8254_unrealize(Device *dev)
{
    timer_del(((I8254 *)dev)->timer);
}

static void i8254_finalize(Object *obj)
{
    I8254 *pit = (I8254 *)obj;

    g_clear_pointer(&pit->timer, timer_free);
    g_clear_pointer(&pit->ports, memory_region_free);
}

static bool i8254_realize(Device *dev, GError **error)
{
    I8254 *pit = (I8254 *)dev;

    if (pit->iobase > 0x10000 - PIT_PORTS) {
        error_setf(error, "isa-pit: iobase must be an I/O port");
        return false;
    }
    device_init_irq_in(dev, NULL, set_silenced, 1);
    device_init_irq_out(dev, NULL, &pit->irq, 1);
    pit->timer = timer_new_virtual(timer_fired, pit);
    pit->ports = memory_region_new_io(OBJECT(dev), &ports_ops, pit, "pit", PIT_PORTS);
    return isa_map_ports(&pit->parent_obj, pit->ports, pit->iobase, error);
}

static bool valid_channel(void *opaque, const VmStateField *field, GError **error)
{
    PitChannel *ch = opaque;

    if (ch->count > 0x10000 || ch->next_count > 0x10000 || ch->latched_bytes > 2 ||
        ch->mode > MODE_HARD_STROBE || ch->access > ACCESS_BOTH || ch->load_ns < 0 ||
        ch->load_ns > INT64_MAX / 2 || ch->next_load_ns < 0 || ch->held_ticks < -1) {
        error_setf(error, "isa-pit: a saved counter is out of range");
        return false;
    }
    return true;
}

static const VmState channel_vmstate = {
    .name = "pit channel",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(PitChannel, count),
        VMSTATE_U32(PitChannel, next_count),
        VMSTATE_I64(PitChannel, load_ns),
        VMSTATE_I64(PitChannel, next_load_ns),
        VMSTATE_I64(PitChannel, held_ticks),
        VMSTATE_U16(PitChannel, latched_count),
        VMSTATE_U8(PitChannel, latched_bytes),
        VMSTATE_U8(PitChannel, latched_status),
        VMSTATE_BOOL(PitChannel, status_latched),
        VMSTATE_BOOL(PitChannel, triggered),
        VMSTATE_U8(PitChannel, mode),
        VMSTATE_U8(PitChannel, access),
        VMSTATE_BOOL(PitChannel, bcd),
        VMSTATE_BOOL(PitChannel, gate),
        VMSTATE_BOOL(PitChannel, read_high),
        VMSTATE_BOOL(PitChannel, write_high),
        { VMS_FIELD_(PitChannel, write_low, VMS_U8), .valid = valid_channel },
        VMSTATE_END
    },
};

static bool i8254_post_load(void *opaque, int version, GError **error)
{
    update_irq(opaque);
    return true;
}

static const VmState i8254_vmstate = {
    .name = "i8254",
    .version = 1,
    .minimum_version = 1,
    .post_load = i8254_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_BOOL(I8254, silenced),
        VMSTATE_STRUCT_ARRAY(I8254, channels, channel_vmstate),
        VMSTATE_END
    },
};

static const Property i8254_properties[] = {
    PROP_UINT32("iobase", I8254, iobase, PORT_UNSET, "first of its four I/O ports"),
    PROP_END
};

static const DeviceHooks i8254_hooks = {
    .realize = i8254_realize,
    .unrealize = i8254_unrealize,
    .reset = i8254_reset,
    .vmstate = &i8254_vmstate,
    .no_user = true,
};

static const TypeInfo i8254_type = {
    .name = TYPE_I8254,
    .parent = TYPE_ISA_DEVICE,
    .description = "8254 interval timer",
    .instance_size = sizeof(I8254),
    .properties = i8254_properties,
    .instance_finalize = i8254_finalize,
    .hooks = &i8254_hooks,
};
QOM_TYPE(i8254_type);

I8254 *i8254_new(IsaBus *bus, Irq irq, GError **error)
{
    Object *obj = object_new(TYPE_I8254);
    I8254 *pit = (I8254 *)obj;

    pit->iobase = PIT_PORT_BASE;
    if (!device_realize_and_unref((Device *)obj, (Bus *)bus, error)) {
        return NULL;
    }
    device_connect_irq_out((Device *)pit, NULL, 0, irq);
    return pit;
}
