/* SPDX-License-Identifier: Apache-2.0 */
/* The MC146818: calendar, formats, alarm, periodic and update interrupts, memory, RTC_CHANGE. */
#include "tests/qtest/pc-ports.h"

#define SECOND 1000000000ll
enum {
    SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH, YEAR,
    REG_A, REG_B, REG_C, REG_D, CENTURY = 0x32,
};
enum { B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_BINARY = 4, B_24H = 2 };

static QTest *start(const char *base)
{
    QTest *qts = qtest_start("-M pc,hpet=off -rtc base=%s,clock=vm", base);

    pic_init(qts);
    rtc_read(qts, REG_C);
    return qts;
}

static bool irq8(QTest *qts)
{
    return pic_irr(qts, PIC_SLAVE) & 1;
}

static void take_irq8(QTest *qts)
{
    g_assert_true(irq8(qts));
    g_assert_cmpint(pic_take(qts, PIC_SLAVE), ==, 0);
    pic_take(qts, PIC_MASTER);
}

static void expect_time(QTest *qts, const char *text)
{
    g_autofree char *now = g_strdup_printf(
        "%02x%02x-%02x-%02x %02x:%02x:%02x", rtc_read(qts, CENTURY), rtc_read(qts, YEAR),
        rtc_read(qts, MONTH), rtc_read(qts, DAY), rtc_read(qts, HOURS), rtc_read(qts, MINUTES),
        rtc_read(qts, SECONDS));

    g_assert_cmpstr(now, ==, text);
}

static void test_reset(void)
{
    QTest *qts = start("2024-02-28T23:59:50");

    g_assert_cmphex(rtc_read(qts, REG_A), ==, 0x26);
    g_assert_cmphex(rtc_read(qts, REG_B), ==, 0x02);
    g_assert_cmphex(rtc_read(qts, REG_C), ==, 0);
    g_assert_cmphex(rtc_read(qts, REG_D), ==, 0x80);
    g_assert_cmphex(qtest_inb(qts, RTC_INDEX), ==, 0xff);
    qtest_stop(qts);
}

static void test_calendar(void)
{
    QTest *qts = start("2024-02-28T23:59:50");

    expect_time(qts, "2024-02-28 23:59:50");
    g_assert_cmphex(rtc_read(qts, WEEKDAY), ==, 4);
    qtest_clock_step(qts, 10 * SECOND);
    expect_time(qts, "2024-02-29 00:00:00");
    qtest_clock_step(qts, 86400 * SECOND);
    expect_time(qts, "2024-03-01 00:00:00");
    qtest_stop(qts);
    qts = start("1999-12-31T23:59:59");
    qtest_clock_step(qts, SECOND);
    expect_time(qts, "2000-01-01 00:00:00");
    g_assert_cmphex(rtc_read(qts, 0x37), ==, 0x20);
    qtest_stop(qts);
}

static void test_formats(void)
{
    QTest *qts = start("2011-11-12T13:14:15");

    rtc_write(qts, REG_B, B_24H | B_BINARY);
    g_assert_cmpuint(rtc_read(qts, HOURS), ==, 13);
    g_assert_cmpuint(rtc_read(qts, CENTURY), ==, 20);
    rtc_write(qts, REG_B, B_BINARY);
    g_assert_cmphex(rtc_read(qts, HOURS), ==, 0x81);
    rtc_write(qts, REG_B, 0);
    g_assert_cmphex(rtc_read(qts, HOURS), ==, 0x81);
    rtc_write(qts, HOURS, 0x12); /* midnight */
    rtc_write(qts, REG_B, B_24H);
    g_assert_cmphex(rtc_read(qts, HOURS), ==, 0x00);
    rtc_write(qts, REG_B, 0);
    rtc_write(qts, HOURS, 0x92); /* noon */
    rtc_write(qts, REG_B, B_24H);
    g_assert_cmphex(rtc_read(qts, HOURS), ==, 0x12);
    qtest_stop(qts);
}

static void test_set(void)
{
    QTest *qts = start("2024-01-01T00:00:00");

    rtc_write(qts, REG_B, B_24H | B_SET);
    rtc_write(qts, YEAR, 0x38);
    rtc_write(qts, MONTH, 0x12);
    rtc_write(qts, DAY, 0x31);
    rtc_write(qts, HOURS, 0x23);
    rtc_write(qts, MINUTES, 0x59);
    rtc_write(qts, SECONDS, 0x58);
    qtest_clock_step(qts, 100 * SECOND);
    g_assert_cmphex(rtc_read(qts, SECONDS), ==, 0x58);
    g_assert_cmphex(rtc_read(qts, REG_A) & 0x80, ==, 0);
    rtc_write(qts, REG_B, B_24H);
    expect_time(qts, "2038-12-31 23:59:58");
    qtest_clock_step(qts, 3 * SECOND);
    expect_time(qts, "2039-01-01 00:00:01");
    /* The divider's reset holds the clock; it goes on half a second after. */
    rtc_write(qts, REG_A, 0x76);
    qtest_clock_step(qts, 10 * SECOND);
    rtc_write(qts, REG_A, 0x26);
    expect_time(qts, "2039-01-01 00:00:01");
    qtest_clock_step(qts, SECOND / 2);
    expect_time(qts, "2039-01-01 00:00:02");
    qtest_stop(qts);
}

static void test_update(void)
{
    QTest *qts = start("2024-01-01T00:00:00");

    qtest_clock_step(qts, SECOND / 2);
    g_assert_cmphex(rtc_read(qts, REG_A), ==, 0x26);
    qtest_clock_step(qts, SECOND / 2 - 200000);
    g_assert_cmphex(rtc_read(qts, REG_A), ==, 0xa6);
    qtest_clock_step(qts, 200000);
    g_assert_cmphex(rtc_read(qts, REG_A), ==, 0x26);
    rtc_read(qts, REG_C);
    rtc_write(qts, REG_B, B_24H | B_UIE);
    for (int i = 0; i < 3; i++) {
        g_assert_false(irq8(qts));
        qtest_clock_step(qts, SECOND);
        take_irq8(qts);
        g_assert_cmphex(rtc_read(qts, REG_C) & 0xb0, ==, 0x90);
        g_assert_cmphex(rtc_read(qts, REG_C), ==, 0);
    }
    qtest_stop(qts);
}

static void test_alarm(void)
{
    QTest *qts = start("2024-01-01T10:20:30");

    rtc_write(qts, SECONDS_ALARM, 0x35);
    rtc_write(qts, MINUTES_ALARM, 0x20);
    rtc_write(qts, HOURS_ALARM, 0x10);
    rtc_read(qts, REG_C);
    rtc_write(qts, REG_B, B_24H | B_AIE);
    qtest_clock_step(qts, 4 * SECOND + 900000000);
    g_assert_false(irq8(qts));
    qtest_clock_step(qts, SECOND / 5);
    take_irq8(qts);
    g_assert_cmphex(rtc_read(qts, REG_C) & 0xa0, ==, 0xa0);
    /* Next on the same time tomorrow; then at every minute's 35th second. */
    qtest_clock_step(qts, 3600 * SECOND);
    g_assert_false(irq8(qts));
    qtest_clock_step(qts, 23 * 3600 * SECOND);
    take_irq8(qts);
    rtc_read(qts, REG_C);
    rtc_write(qts, MINUTES_ALARM, 0xc0);
    rtc_write(qts, HOURS_ALARM, 0xff);
    for (int i = 0; i < 3; i++) {
        qtest_clock_step(qts, 60 * SECOND);
        take_irq8(qts);
        g_assert_cmphex(rtc_read(qts, REG_C) & 0xa0, ==, 0xa0);
    }
    /* A time that never comes; the flag without the interrupt. */
    rtc_write(qts, SECONDS_ALARM, 0x75);
    qtest_clock_step(qts, 100000 * SECOND);
    g_assert_false(irq8(qts));
    rtc_write(qts, REG_B, B_24H);
    rtc_write(qts, SECONDS_ALARM, 0xc0);
    rtc_read(qts, REG_C);
    qtest_clock_step(qts, 2 * SECOND);
    g_assert_cmphex(rtc_read(qts, REG_C) & 0xf0, ==, 0x70);
    qtest_stop(qts);
}

static void test_periodic(void)
{
    QTest *qts = start("2024-01-01T00:00:00");
    unsigned count = 0;

    rtc_read(qts, REG_C);
    rtc_write(qts, REG_A, 0x2a); /* 64 Hz */
    rtc_write(qts, REG_B, B_24H | B_PIE);
    for (int i = 0; i < 1000; i++) {
        qtest_clock_step(qts, SECOND / 1000);
        if (irq8(qts)) {
            take_irq8(qts);
            g_assert_cmphex(rtc_read(qts, REG_C) & 0xc0, ==, 0xc0);
            count++;
        }
    }
    g_assert_cmpuint(count, >=, 63);
    g_assert_cmpuint(count, <=, 65);
    rtc_write(qts, REG_A, 0x20);
    rtc_read(qts, REG_C);
    pic_take(qts, PIC_SLAVE); /* one that came just before */
    pic_take(qts, PIC_MASTER);
    qtest_clock_step(qts, SECOND / 3);
    g_assert_false(irq8(qts));
    qtest_stop(qts);
}

static void test_memory(void)
{
    QTest *qts = start("2024-01-01T00:00:00");

    for (unsigned i = 0x0e; i < 0x80; i++) {
        if (i != CENTURY && i != 0x37) {
            rtc_write(qts, i, i ^ 0xa5);
        }
    }
    rtc_write(qts, REG_D, 0);
    for (unsigned i = 0x0e; i < 0x80; i++) {
        if (i != CENTURY && i != 0x37) {
            g_assert_cmphex(rtc_read(qts, i | 0x80), ==, i ^ 0xa5);
        }
    }
    g_assert_cmphex(rtc_read(qts, REG_D), ==, 0x80);
    qtest_stop(qts);
}

static void test_hostile(void)
{
    QTest *qts = start("2024-01-01T00:00:00");
    GRand *rand = g_rand_new_with_seed(146818);

    for (int i = 0; i < 4000; i++) {
        rtc_write(qts, g_rand_int_range(rand, 0, 0x40), g_rand_int(rand));
        rtc_read(qts, g_rand_int_range(rand, 0, 0x40));
        if (i % 8 == 0) {
            qtest_clock_step(qts, g_rand_int_range(rand, 1, 100000000));
        }
    }
    /* The fastest rate, and nobody reads register C. */
    rtc_write(qts, REG_A, 0x23);
    rtc_write(qts, REG_B, B_PIE | B_AIE | B_UIE);
    qtest_clock_step(qts, 1000 * SECOND);
    rtc_read(qts, REG_C);
    g_rand_free(rand);
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtc/reset", test_reset);
    g_test_add_func("/rtc/calendar", test_calendar);
    g_test_add_func("/rtc/formats", test_formats);
    g_test_add_func("/rtc/set", test_set);
    g_test_add_func("/rtc/update", test_update);
    g_test_add_func("/rtc/alarm", test_alarm);
    g_test_add_func("/rtc/periodic", test_periodic);
    g_test_add_func("/rtc/memory", test_memory);
    g_test_add_func("/rtc/hostile", test_hostile);
    return g_test_run();
}
