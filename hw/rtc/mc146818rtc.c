/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Motorola MC146818A real-time clock with 128 bytes of CMOS memory (data sheet ADI-856R2), as in
 * the PC/AT.
 *
 *   port 0x70  wo  bits 6:0 index, bit 7 masks NMI
 *   port 0x71  rw  the byte at the index:
 *
 *   00 seconds, 01 seconds alarm, 02 minutes, 03 minutes alarm, 04 hours, 05 hours alarm,
 *   06 day of week (1 = Sunday), 07 day of month, 08 month, 09 year
 *   0a register A: 7 UIP (ro), 6:4 divider (2 = 32.768 kHz, 6 and 7 = held), 3:0 periodic rate
 *   0b register B: 7 SET, 6 PIE, 5 AIE, 4 UIE, 3 SQWE, 2 DM (binary), 1 24-hour, 0 DSE
 *   0c register C (ro, cleared by reading): 7 IRQF, 6 PF, 5 AF, 4 UF
 *   0d register D (ro): 7 valid RAM and time
 *   32 century; 37 the same byte, where PS/2 firmware looks
 *
 * Time is not ticked. While the clock runs, its registers are computed from the seconds at a base
 * and the host or virtual clock since; while it is held (SET, or the divider's reset) they are what
 * stands in `cmos`. Flags of register C are likewise brought up to date when someone looks, and a
 * timer is armed only for an interrupt that is enabled and not pending already.
 */
#include "hw/rtc/mc146818rtc.h"

#include <time.h>

#include "hw/core/cpu.h"
#include "hw/core/machine.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/timer.h"

#define PORT_INDEX 0x70
#define PORTS 2
#define CRYSTAL_HZ 32768
/* UIP warns this long before an update (data sheet, "update cycle"). */
#define UIP_NS 244140
/* After the divider's reset ends, the first update comes half a second later. */
#define FIRST_UPDATE_NS (NS_PER_SEC / 2)
#define SECONDS_PER_DAY 86400
#define REINJECT_MAX 1000
#define DEFAULT_IRQ 8

enum Index {
    RTC_SECONDS, RTC_SECONDS_ALARM, RTC_MINUTES, RTC_MINUTES_ALARM, RTC_HOURS, RTC_HOURS_ALARM,
    RTC_WEEKDAY, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_A, RTC_B, RTC_C, RTC_D,
    RTC_CENTURY = 0x32, RTC_PS2_CENTURY = 0x37,
};
enum { A_UIP = 0x80, A_DIVIDER = 0x70, A_DIVIDER_RUN = 0x20, A_DIVIDER_HELD = 0x60, A_RATE = 0x0f };
enum { B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 0x08, B_BINARY = 0x04,
       B_24H = 0x02 };
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
#define D_VALID 0x80
#define ALARM_ANY 0xc0 /* and above: the field does not matter */
#define HOUR_PM 0x80

typedef enum LostTickPolicy { LOST_DISCARD, LOST_DELAY, LOST_MERGE, LOST_SLEW } LostTickPolicy;
static const char *const lost_tick_policies[] = { "discard", "delay", "merge", "slew", NULL };

struct Rtc {
    IsaDevice parent_obj;
    int32_t base_year;      /* properties */
    uint16_t iobase;
    uint8_t isa_irq;
    int lost_tick_policy;
    Irq irq;
    const RtcOps *ops;
    void *ops_opaque;
    MemoryRegion *ports;
    Timer *timer;
    VmClock clock;

    uint8_t cmos[RTC_CMOS_SIZE];
    uint8_t index;
    bool nmi_masked;
    int64_t base_sec;       /* the guest's time, seconds since the epoch, ... */
    int64_t base_ns;        /* ... when `clock` showed this */
    int64_t origin_offset;  /* base_sec - base_ns / 1 s as -rtc had it */
    int64_t seen_ns;        /* register C is true up to here */
    uint32_t lost_ticks;    /* with slew: periodic interrupts to make up for */
};

static int64_t now_ns(const Rtc *rtc)
{
    return vm_clock_ns(rtc->clock);
}

static bool is_held(const Rtc *rtc)
{
    return (rtc->cmos[RTC_B] & B_SET) ||
           (rtc->cmos[RTC_A] & A_DIVIDER_HELD) == A_DIVIDER_HELD;
}

/* Whole seconds since base_ns, rounded down; the host's clock may have been set back. */
static int64_t seconds_since_base(const Rtc *rtc, int64_t now)
{
    int64_t ns = now - rtc->base_ns;

    return ns >= 0 ? ns / NS_PER_SEC : -((-ns + NS_PER_SEC - 1) / NS_PER_SEC);
}

static int64_t guest_seconds(const Rtc *rtc, int64_t now)
{
    return rtc->base_sec + seconds_since_base(rtc, now);
}

static uint8_t encode(const Rtc *rtc, unsigned value)
{
    return rtc->cmos[RTC_B] & B_BINARY ? value : value / 10 % 10 << 4 | value % 10;
}

static unsigned decode(const Rtc *rtc, uint8_t byte)
{
    return rtc->cmos[RTC_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

static uint8_t encode_hour(const Rtc *rtc, unsigned hour)
{
    if (rtc->cmos[RTC_B] & B_24H) {
        return encode(rtc, hour);
    }
    return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const Rtc *rtc, uint8_t byte)
{
    if (rtc->cmos[RTC_B] & B_24H) {
        return decode(rtc, byte);
    }
    return decode(rtc, byte & ~HOUR_PM) % 12 + (byte & HOUR_PM ? 12 : 0);
}

/* Fill the time registers from the running clock. */
static void load_registers(Rtc *rtc, int64_t now)
{
    time_t seconds = guest_seconds(rtc, now);
    struct tm tm;
    int year;

    gmtime_r(&seconds, &tm);
    year = MAX(tm.tm_year + 1900 - rtc->base_year, 0);
    rtc->cmos[RTC_SECONDS] = encode(rtc, tm.tm_sec);
    rtc->cmos[RTC_MINUTES] = encode(rtc, tm.tm_min);
    rtc->cmos[RTC_HOURS] = encode_hour(rtc, tm.tm_hour);
    rtc->cmos[RTC_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
    rtc->cmos[RTC_DAY] = encode(rtc, tm.tm_mday);
    rtc->cmos[RTC_MONTH] = encode(rtc, tm.tm_mon + 1);
    rtc->cmos[RTC_YEAR] = encode(rtc, year % 100);
    rtc->cmos[RTC_CENTURY] = encode(rtc, year / 100);
    rtc->cmos[RTC_PS2_CENTURY] = rtc->cmos[RTC_CENTURY];
}

/* Start counting from the time registers; impossible values are carried over (32 January). */
static void start_from_registers(Rtc *rtc, int64_t base_ns)
{
    struct tm tm = {
        .tm_sec = decode(rtc, rtc->cmos[RTC_SECONDS]),
        .tm_min = decode(rtc, rtc->cmos[RTC_MINUTES]),
        .tm_hour = decode_hour(rtc, rtc->cmos[RTC_HOURS]),
        .tm_mday = decode(rtc, rtc->cmos[RTC_DAY]),
        .tm_mon = (int)decode(rtc, rtc->cmos[RTC_MONTH]) - 1,
        .tm_year = (int)(decode(rtc, rtc->cmos[RTC_CENTURY]) * 100 +
                         decode(rtc, rtc->cmos[RTC_YEAR])) + rtc->base_year - 1900,
    };

    rtc->base_sec = timegm(&tm);
    rtc->base_ns = base_ns;
    rtc->seen_ns = MAX(base_ns, now_ns(rtc));
    if (rtc->ops && rtc->ops->changed) {
        rtc->ops->changed(rtc->ops_opaque,
                          rtc->base_sec - rtc->base_ns / NS_PER_SEC - rtc->origin_offset);
    }
}

static bool alarm_matches(const Rtc *rtc, enum Index index, unsigned value)
{
    uint8_t byte = rtc->cmos[index];

    if (byte >= ALARM_ANY) {
        return true;
    }
    return value == (index == RTC_HOURS_ALARM ? decode_hour(rtc, byte) : decode(rtc, byte));
}

/*
 * The first second after `after` (guest time) at which the alarm matches, or -1 if it never does.
 */
static int64_t next_alarm(const Rtc *rtc, int64_t after)
{
    int64_t t = after + 1;

    while (t <= after + SECONDS_PER_DAY) {
        int64_t of_day = ((t % SECONDS_PER_DAY) + SECONDS_PER_DAY) % SECONDS_PER_DAY;

        if (!alarm_matches(rtc, RTC_HOURS_ALARM, of_day / 3600)) {
            t += 3600 - of_day % 3600;
        } else if (!alarm_matches(rtc, RTC_MINUTES_ALARM, of_day / 60 % 60)) {
            t += 60 - of_day % 60;
        } else if (!alarm_matches(rtc, RTC_SECONDS_ALARM, of_day % 60)) {
            t++;
        } else {
            return t;
        }
    }
    return -1;
}

/* Ticks of the crystal between periodic interrupts; 0: none. Rates 1 and 2 are as 8 and 9. */
static unsigned period_ticks(const Rtc *rtc)
{
    unsigned rate = rtc->cmos[RTC_A] & A_RATE;

    if (!rate || (rtc->cmos[RTC_A] & A_DIVIDER_HELD) == A_DIVIDER_HELD) {
        return 0;
    }
    return 1u << ((rate <= 2 ? rate + 7 : rate) - 1);
}

static int64_t periods_since_base(const Rtc *rtc, int64_t now)
{
    int64_t ns = MAX(now - rtc->base_ns, 0);

    return muldiv64(ns, CRYSTAL_HZ, NS_PER_SEC) / period_ticks(rtc);
}

static void note_periodic(Rtc *rtc, int64_t now)
{
    int64_t ticks;

    if (!period_ticks(rtc)) {
        return;
    }
    ticks = periods_since_base(rtc, now) - periods_since_base(rtc, rtc->seen_ns);
    if (ticks <= 0) {
        return;
    }
    if (rtc->lost_tick_policy == LOST_SLEW && (rtc->cmos[RTC_B] & B_PIE)) {
        int64_t lost = rtc->cmos[RTC_C] & C_PF ? ticks : ticks - 1;

        rtc->lost_ticks = MIN(rtc->lost_ticks + lost, REINJECT_MAX);
    }
    rtc->cmos[RTC_C] |= C_PF;
}

static void alarm_fired(Rtc *rtc)
{
    if (rtc->ops && rtc->ops->alarm) {
        rtc->ops->alarm(rtc->ops_opaque);
    } else {
        vm_request_wakeup();
    }
}

/* Bring register C up to date and drive the line. */
static void settle_flags(Rtc *rtc)
{
    int64_t now = now_ns(rtc);

    note_periodic(rtc, now);
    if (!is_held(rtc)) {
        int64_t from = guest_seconds(rtc, rtc->seen_ns), to = guest_seconds(rtc, now);

        if (to > from) {
            int64_t alarm = next_alarm(rtc, from);

            rtc->cmos[RTC_C] |= C_UF;
            if (alarm != -1 && alarm <= to) {
                rtc->cmos[RTC_C] |= C_AF;
                if (rtc->cmos[RTC_B] & B_AIE) {
                    alarm_fired(rtc);
                }
            }
        }
    }
    rtc->seen_ns = now;
    if (rtc->cmos[RTC_C] & rtc->cmos[RTC_B] & (C_PF | C_AF | C_UF)) {
        rtc->cmos[RTC_C] |= C_IRQF;
        irq_raise(rtc->irq);
    }
}

static int64_t second_ns(const Rtc *rtc, int64_t guest_second)
{
    return rtc->base_ns + (guest_second - rtc->base_sec) * NS_PER_SEC;
}

/* Arm for the next event whose interrupt is enabled and whose flag is not up yet. */
static void arm_timer(Rtc *rtc)
{
    uint8_t wanted = rtc->cmos[RTC_B] & ~rtc->cmos[RTC_C];
    int64_t second = guest_seconds(rtc, rtc->seen_ns);
    int64_t next = INT64_MAX;

    if ((wanted & B_PIE) && period_ticks(rtc)) {
        uint64_t ticks = (periods_since_base(rtc, rtc->seen_ns) + 1) * period_ticks(rtc);

        next = rtc->base_ns + muldiv64(ticks, NS_PER_SEC, CRYSTAL_HZ) + 1;
    }
    if ((wanted & B_UIE) && !is_held(rtc)) {
        next = MIN(next, second_ns(rtc, second + 1));
    }
    if ((wanted & B_AIE) && !is_held(rtc)) {
        int64_t alarm = next_alarm(rtc, second);

        if (alarm != -1) {
            next = MIN(next, second_ns(rtc, alarm));
        }
    }
    if (next == INT64_MAX) {
        timer_del(rtc->timer);
    } else {
        timer_mod(rtc->timer, next);
    }
}

static void timer_fired(void *opaque)
{
    settle_flags(opaque);
    arm_timer(opaque);
}

static uint8_t read_a(const Rtc *rtc)
{
    uint8_t value = rtc->cmos[RTC_A];

    if (!is_held(rtc)) {
        int64_t now = now_ns(rtc);
        int64_t next = second_ns(rtc, guest_seconds(rtc, now) + 1);

        value |= next - now <= UIP_NS ? A_UIP : 0;
    }
    return value;
}

static uint8_t read_c(Rtc *rtc)
{
    uint8_t value;

    settle_flags(rtc);
    value = rtc->cmos[RTC_C];
    rtc->cmos[RTC_C] = 0;
    irq_lower(rtc->irq);
    if (rtc->lost_ticks && (rtc->cmos[RTC_B] & B_PIE)) {
        rtc->lost_ticks--;
        rtc->cmos[RTC_C] = C_IRQF | C_PF;
        irq_raise(rtc->irq);
    }
    arm_timer(rtc);
    return value;
}

static bool is_time_register(unsigned index)
{
    return index == RTC_SECONDS || index == RTC_MINUTES || index == RTC_HOURS ||
           (index >= RTC_WEEKDAY && index <= RTC_YEAR) || index == RTC_CENTURY;
}

static void write_a(Rtc *rtc, uint8_t value)
{
    bool was_reset = (rtc->cmos[RTC_A] & A_DIVIDER_HELD) == A_DIVIDER_HELD;
    bool is_reset = (value & A_DIVIDER_HELD) == A_DIVIDER_HELD;
    bool set = rtc->cmos[RTC_B] & B_SET;

    if (is_reset && !is_held(rtc)) {
        load_registers(rtc, now_ns(rtc));
    }
    rtc->cmos[RTC_A] = value & ~A_UIP;
    rtc->lost_ticks = 0;
    if (was_reset && !is_reset && !set) {
        start_from_registers(rtc, now_ns(rtc) - FIRST_UPDATE_NS);
    }
}

static void write_b(Rtc *rtc, uint8_t value)
{
    bool was_held = is_held(rtc);
    bool reset = (rtc->cmos[RTC_A] & A_DIVIDER_HELD) == A_DIVIDER_HELD;

    if (value & B_SET) {
        value &= ~B_UIE;
        if (!was_held) {
            load_registers(rtc, now_ns(rtc));
        }
    }
    rtc->cmos[RTC_B] = value;
    if (was_held && !(value & B_SET) && !reset) {
        start_from_registers(rtc, now_ns(rtc));
    }
    if (!(value & B_PIE)) {
        rtc->lost_ticks = 0;
    }
}

static void write_time(Rtc *rtc, unsigned index, uint8_t value)
{
    int64_t now = now_ns(rtc);
    bool running = !is_held(rtc);

    if (running) {
        load_registers(rtc, now);
    }
    rtc->cmos[index] = value;
    if (running) {
        /* The seconds' fraction goes on. */
        start_from_registers(rtc, second_ns(rtc, guest_seconds(rtc, now)));
    }
}

static void write_register(Rtc *rtc, unsigned index, uint8_t value)
{
    if (index == RTC_PS2_CENTURY) {
        index = RTC_CENTURY;
    }
    settle_flags(rtc);
    if (is_time_register(index)) {
        write_time(rtc, index, value);
    } else if (index == RTC_A) {
        write_a(rtc, value);
    } else if (index == RTC_B) {
        write_b(rtc, value);
    } else if (index != RTC_C && index != RTC_D) {
        rtc->cmos[index] = value;
    }
    rtc->cmos[RTC_PS2_CENTURY] = rtc->cmos[RTC_CENTURY];
    settle_flags(rtc);
    if (!(rtc->cmos[RTC_C] & rtc->cmos[RTC_B] & (C_PF | C_AF | C_UF))) {
        rtc->cmos[RTC_C] &= ~C_IRQF;
        irq_lower(rtc->irq);
    }
    arm_timer(rtc);
}

static uint8_t read_register(Rtc *rtc, unsigned index)
{
    if (index == RTC_A) {
        return read_a(rtc);
    }
    if (index == RTC_C) {
        return read_c(rtc);
    }
    if ((is_time_register(index) || index == RTC_PS2_CENTURY) && !is_held(rtc)) {
        load_registers(rtc, now_ns(rtc));
    }
    return rtc->cmos[index];
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    Rtc *rtc = opaque;

    return offset == 0 ? 0xff : read_register(rtc, rtc->index);
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Rtc *rtc = opaque;

    if (offset == 0) {
        rtc->index = value & 0x7f;
        rtc->nmi_masked = value & 0x80;
    } else {
        write_register(rtc, rtc->index, value);
    }
}

static const MemoryRegionOps ports_ops = {
    .read = ports_read,
    .write = ports_write,
    .impl = { .min = 1, .max = 1 },
};

void rtc_set_cmos(Rtc *rtc, unsigned index, uint8_t value)
{
    rtc->cmos[index % RTC_CMOS_SIZE] = value;
}

uint8_t rtc_get_cmos(const Rtc *rtc, unsigned index)
{
    return rtc->cmos[index % RTC_CMOS_SIZE];
}

bool rtc_nmi_masked(const Rtc *rtc)
{
    return rtc->nmi_masked;
}

/* The battery keeps the time and the memory; interrupts are switched off (data sheet, "RESET"). */
static void rtc_reset(Device *dev)
{
    Rtc *rtc = (Rtc *)dev;

    settle_flags(rtc);
    rtc->cmos[RTC_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    rtc->cmos[RTC_C] = 0;
    rtc->lost_ticks = 0;
    rtc->nmi_masked = false;
    irq_lower(rtc->irq);
    arm_timer(rtc);
}

/* The machine's idea of the time: -rtc base= and clock=. */
static void set_initial_time(Rtc *rtc)
{
    const Machine *machine = machine_current();
    int64_t now, start = machine ? machine->rtc_start : -1;

    rtc->clock = machine ? machine->rtc_clock : VM_CLOCK_HOST;
    now = now_ns(rtc);
    rtc->base_ns = now;
    rtc->base_sec = start;
    if (start == -1) {
        int64_t host = vm_clock_ns(VM_CLOCK_HOST);
        time_t seconds = host / NS_PER_SEC;
        struct tm tm;

        rtc->base_sec = seconds;
        rtc->base_ns = now - host % NS_PER_SEC;
        if (machine && !machine->rtc_utc && localtime_r(&seconds, &tm)) {
            rtc->base_sec += tm.tm_gmtoff;
        }
    }
    rtc->origin_offset = rtc->base_sec - rtc->base_ns / NS_PER_SEC;
    rtc->seen_ns = now;
}

static bool rtc_realize(Device *dev, GError **error)
{
    Rtc *rtc = (Rtc *)dev;

    if (rtc->isa_irq >= ISA_IRQS) {
        error_setf(error, "mc146818rtc: irq must be below %d, not %u", ISA_IRQS, rtc->isa_irq);
        return false;
    }
    if (rtc->lost_tick_policy == LOST_DELAY || rtc->lost_tick_policy == LOST_MERGE) {
        error_setf(error, "mc146818rtc: lost_tick_policy must be 'discard' or 'slew', not '%s'",
                   lost_tick_policies[rtc->lost_tick_policy]);
        return false;
    }
    rtc->cmos[RTC_A] = A_DIVIDER_RUN | 6;
    rtc->cmos[RTC_B] = B_24H;
    rtc->cmos[RTC_D] = D_VALID;
    set_initial_time(rtc);
    load_registers(rtc, now_ns(rtc));
    device_init_irq_out(dev, NULL, &rtc->irq, 1);
    if (!irq_connected(rtc->irq)) {
        rtc->irq = isa_irq(&rtc->parent_obj, rtc->isa_irq);
    }
    rtc->timer = timer_new(loop_main(), rtc->clock, timer_fired, rtc);
    rtc->ports = memory_region_new_io(OBJECT(dev), &ports_ops, rtc, "rtc", PORTS);
    return isa_map_ports(&rtc->parent_obj, rtc->ports, rtc->iobase, error);
}

static void rtc_unrealize(Device *dev)
{
    timer_del(((Rtc *)dev)->timer);
}

static void rtc_finalize(Object *obj)
{
    Rtc *rtc = (Rtc *)obj;

    g_clear_pointer(&rtc->timer, timer_free);
    g_clear_pointer(&rtc->ports, memory_region_free);
}

static bool rtc_post_load(void *opaque, int version, GError **error)
{
    Rtc *rtc = opaque;

    /* Within the years that struct tm and the register format can hold, and 64-bit nanoseconds. */
    if (ABS(rtc->base_sec) > 400000ll * 366 * SECONDS_PER_DAY || rtc->base_ns > INT64_MAX / 4 ||
        rtc->base_ns < INT64_MIN / 4) {
        error_setf(error, "mc146818rtc: the saved time is out of range");
        return false;
    }
    rtc->index &= 0x7f;
    rtc->lost_ticks = MIN(rtc->lost_ticks, REINJECT_MAX);
    rtc->seen_ns = now_ns(rtc);
    arm_timer(rtc);
    return true;
}

static const VmState rtc_vmstate = {
    .name = "mc146818rtc",
    .version = 1,
    .minimum_version = 1,
    .post_load = rtc_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_BUFFER(Rtc, cmos),
        VMSTATE_U8(Rtc, index),
        VMSTATE_BOOL(Rtc, nmi_masked),
        VMSTATE_I64(Rtc, base_sec),
        VMSTATE_I64(Rtc, base_ns),
        VMSTATE_I64(Rtc, origin_offset),
        VMSTATE_U32(Rtc, lost_ticks),
        VMSTATE_END
    },
};

/* The guest's date as C's struct tm has it. */
static json_object *get_date(Object *obj, const Property *prop)
{
    Rtc *rtc = (Rtc *)obj;
    json_object *date = json_object_new_object();
    time_t seconds = guest_seconds(rtc, now_ns(rtc));
    struct tm tm;

    gmtime_r(&seconds, &tm);
    json_object_object_add(date, "tm_year", json_object_new_int(tm.tm_year));
    json_object_object_add(date, "tm_mon", json_object_new_int(tm.tm_mon));
    json_object_object_add(date, "tm_mday", json_object_new_int(tm.tm_mday));
    json_object_object_add(date, "tm_hour", json_object_new_int(tm.tm_hour));
    json_object_object_add(date, "tm_min", json_object_new_int(tm.tm_min));
    json_object_object_add(date, "tm_sec", json_object_new_int(tm.tm_sec));
    return date;
}

static const Property rtc_properties[] = {
    PROP_INT32("base_year", Rtc, base_year, 1980, "the year that century and year 0 stand for"),
    PROP_UINT16("iobase", Rtc, iobase, PORT_INDEX, "first of its two I/O ports"),
    PROP_UINT8("irq", Rtc, isa_irq, DEFAULT_IRQ, "its ISA interrupt"),
    PROP_ENUM("lost_tick_policy", Rtc, lost_tick_policy, lost_tick_policies, LOST_DISCARD,
              "what becomes of periodic interrupts that the guest missed"),
    PROP_COMPUTED("date", prop_kind_json, get_date, NULL, "the guest's date and time"),
    PROP_END
};

static bool forget_lost_ticks(Device *dev, void *opaque)
{
    if (!object_is_a(dev, TYPE_MC146818RTC)) {
        return true;
    }
    ((Rtc *)dev)->lost_ticks = 0;
    *(bool *)opaque = true;
    return false;
}

bool rtc_reset_reinjection(GError **error)
{
    bool found = false;

    device_foreach(forget_lost_ticks, &found);
    if (!found) {
        error_setf(error, "this machine has no MC146818 clock");
    }
    return found;
}

static const DeviceHooks rtc_hooks = {
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .vmstate = &rtc_vmstate,
    .no_user = true,
};

static const TypeInfo rtc_type = {
    .name = TYPE_MC146818RTC,
    .parent = TYPE_ISA_DEVICE,
    .description = "real-time clock with CMOS memory",
    .instance_size = sizeof(Rtc),
    .instance_finalize = rtc_finalize,
    .properties = rtc_properties,
    .hooks = &rtc_hooks,
};
QOM_TYPE(rtc_type);

Rtc *rtc_new(IsaBus *bus, Irq irq, const RtcOps *ops, void *opaque, GError **error)
{
    Object *obj = object_new(TYPE_MC146818RTC);
    Rtc *rtc = (Rtc *)obj;

    rtc->base_year = 0;
    rtc->irq = irq;
    rtc->ops = ops;
    rtc->ops_opaque = opaque;
    return device_realize_and_unref((Device *)obj, (Bus *)bus, error) ? rtc : NULL;
}
