/* SPDX-License-Identifier: Apache-2.0 */
/* The RTC's saved state, what it tells the board, lost ticks, and CMOS cells of the board. */
#include "hw/core/tests/testbench.h"
#include "hw/rtc/mc146818rtc.h"

enum {
    SECONDS_ALARM = 1, MINUTES = 2, MINUTES_ALARM = 3, HOURS = 4, HOURS_ALARM = 5, YEAR = 9,
    REG_A = 10, REG_B = 11, REG_C = 12,
};

typedef struct Fixture {
    Rtc *rtc;
    Probe irq;
    unsigned changes, alarms;
    int64_t offset;
} Fixture;

static void changed(void *opaque, int64_t offset_seconds)
{
    Fixture *f = opaque;

    f->changes++;
    f->offset = offset_seconds;
}

static void alarm_fired(void *opaque)
{
    ((Fixture *)opaque)->alarms++;
}

static const RtcOps ops = { .changed = changed, .alarm = alarm_fired };

static uint8_t get(uint8_t index)
{
    bench_outb(0x70, index);
    return bench_inb(0x71);
}

static void put(uint8_t index, uint8_t value)
{
    bench_outb(0x70, index);
    bench_outb(0x71, value);
}

static void test_state(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GByteArray) saved = NULL;
    uint8_t year;

    reset_all_devices();
    put(0x40, 0x99);
    put(YEAR, 0x31);
    saved = bench_save((Device *)f->rtc);
    put(0x40, 0);
    put(YEAR, 0x07);
    g_assert_true(bench_load((Device *)f->rtc, saved));
    g_assert_cmphex(get(0x40), ==, 0x99);
    year = get(YEAR);
    g_assert_cmphex(year, ==, 0x31);
    bench_load_junk((Device *)f->rtc, saved, 3000);
}

static void test_board(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    unsigned changes = f->changes;

    reset_all_devices();
    rtc_set_cmos(f->rtc, 0x34, 0x12);
    g_assert_cmphex(get(0x34), ==, 0x12);
    put(0x35, 0x77);
    g_assert_cmphex(rtc_get_cmos(f->rtc, 0x35 + RTC_CMOS_SIZE), ==, 0x77);
    bench_outb(0x70, 0x80);
    g_assert_true(rtc_nmi_masked(f->rtc));
    bench_outb(0x70, 0x00);
    g_assert_false(rtc_nmi_masked(f->rtc));
    /* An hour on: the board hears of it. */
    put(REG_B, 0x06);
    put(MINUTES, 30);
    put(HOURS, 10);
    g_assert_cmpuint(f->changes, >, changes);
    changed(f, 0);
    put(REG_B, 0x86);
    put(HOURS, 11);
    put(REG_B, 0x06);
    g_assert_cmpint(f->offset, !=, 0);
}

/* The wall clock drives this RTC, so the alarm is brought near by setting the time. */
static void test_alarm(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    unsigned alarms = f->alarms;
    int64_t end = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;

    reset_all_devices();
    put(SECONDS_ALARM, 0xff);
    put(MINUTES_ALARM, 0xff);
    put(HOURS_ALARM, 0xff);
    put(REG_B, 0x22);
    while (f->alarms == alarms && g_get_monotonic_time() < end) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpuint(f->alarms, ==, alarms + 1);
    g_assert_true(f->irq.level);
    g_assert_cmphex(get(REG_C) & 0xa0, ==, 0xa0);
    g_assert_false(f->irq.level);
    put(REG_B, 0x02);
}

/* lost_tick_policy=slew: reading register C brings the ticks that came before it was read. */
static void test_slew(gconstpointer data)
{
    Fixture *f = (Fixture *)data;
    g_autoptr(GError) error = NULL;
    unsigned got = 0;

    reset_all_devices();
    get(REG_C);
    put(REG_A, 0x26); /* 1024 Hz */
    put(REG_B, 0x42);
    g_usleep(50000);
    while (get(REG_C) & 0x40) {
        got++;
    }
    g_assert_cmpuint(got, >=, 45);
    g_assert_true(rtc_reset_reinjection(&error));
    put(REG_B, 0x02);
    g_assert_false(f->irq.level && !(get(REG_C) & 0x80));
}

int main(int argc, char **argv)
{
    static Fixture f;
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    object_add_global(TYPE_MC146818RTC, "lost_tick_policy", "slew");
    f.rtc = rtc_new(bench_isa_bus(), probe_irq(&f.irq), &ops, &f, &error);
    g_assert_no_error(error);
    g_test_add_data_func("/rtc-state/saved", &f, test_state);
    g_test_add_data_func("/rtc-state/board", &f, test_board);
    g_test_add_data_func("/rtc-state/alarm", &f, test_alarm);
    g_test_add_data_func("/rtc-state/slew", &f, test_slew);
    return g_test_run();
}
