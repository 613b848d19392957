/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254: every mode, reading back, BCD, the gate and port 61h, IRQ0 at the PIC. */
#include "tests/qtest/pc-ports.h"

/* The time of n ticks, rounded up. */
static int64_t ticks_ns(int64_t n)
{
    return n * 1000000000 / 1193182 + 1;
}

static uint16_t latched(QTest *qts, unsigned channel)
{
    uint8_t low;

    qtest_outb(qts, PIT_CONTROL, channel << 6);
    low = qtest_inb(qts, PIT + channel);
    return low | qtest_inb(qts, PIT + channel) << 8;
}

static void set_mode(QTest *qts, unsigned channel, unsigned mode, uint16_t count)
{
    qtest_outb(qts, PIT_CONTROL, channel << 6 | 0x30 | mode << 1);
    qtest_outb(qts, PIT + channel, count & 0xff);
    qtest_outb(qts, PIT + channel, count >> 8);
}

static uint8_t status(QTest *qts, unsigned channel)
{
    qtest_outb(qts, PIT_CONTROL, 0xe0 | 2 << channel);
    return qtest_inb(qts, PIT + channel);
}

static QTest *start(void)
{
    QTest *qts = qtest_start("-M pc");

    qtest_clock_set(qts, 1000000);
    pic_init(qts);
    return qts;
}

static void test_rate(void)
{
    QTest *qts = start();

    set_mode(qts, 0, 2, 1000);
    g_assert_cmpuint(latched(qts, 0), ==, 1000);
    while (pic_take(qts, PIC_MASTER) >= 0) {
    }
    qtest_clock_step(qts, ticks_ns(400));
    g_assert_cmpuint(latched(qts, 0), ==, 600);
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    for (int i = 0; i < 5; i++) {
        qtest_clock_step(qts, ticks_ns(1000));
        g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
        g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    }
    /* A new count takes over when the period ends. */
    qtest_outb(qts, PIT, 2000 & 0xff);
    qtest_outb(qts, PIT, 2000 >> 8);
    qtest_clock_step(qts, ticks_ns(600));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    qtest_clock_step(qts, ticks_ns(1900));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    qtest_clock_step(qts, ticks_ns(100));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    qtest_stop(qts);
}

static void test_one_time(void)
{
    QTest *qts = start();

    set_mode(qts, 0, 0, 500);
    g_assert_cmphex(status(qts, 0), ==, 0x30);
    qtest_clock_step(qts, ticks_ns(499));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    qtest_clock_step(qts, ticks_ns(1));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    g_assert_cmphex(status(qts, 0), ==, 0xb0);
    /* It counts on below zero, silently. */
    qtest_clock_step(qts, ticks_ns(10));
    g_assert_cmphex(latched(qts, 0), >=, 0xfff0);
    qtest_clock_step(qts, ticks_ns(0x20000));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    /* Only a full count starts it. */
    qtest_outb(qts, PIT_CONTROL, 0x30);
    qtest_outb(qts, PIT, 10);
    g_assert_cmphex(status(qts, 0) & 0x40, ==, 0x40);
    qtest_clock_step(qts, ticks_ns(100));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    qtest_outb(qts, PIT, 0);
    qtest_clock_step(qts, ticks_ns(10));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    qtest_stop(qts);
}

static void test_square(void)
{
    QTest *qts = start();

    set_mode(qts, 0, 3, 1001);
    g_assert_cmphex(status(qts, 0), ==, 0xb6);
    while (pic_take(qts, PIC_MASTER) >= 0) {
    }
    qtest_clock_step(qts, ticks_ns(100));
    g_assert_cmpuint(latched(qts, 0), ==, 800);
    qtest_clock_step(qts, ticks_ns(401));
    g_assert_cmphex(status(qts, 0), ==, 0x36);
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    qtest_clock_step(qts, ticks_ns(500));
    g_assert_cmphex(status(qts, 0), ==, 0xb6);
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    /* Modes 6 and 7 are 2 and 3. */
    set_mode(qts, 0, 7, 4);
    g_assert_cmphex(status(qts, 0) & 0x0e, ==, 0x06);
    qtest_stop(qts);
}

static void test_strobe(void)
{
    QTest *qts = start();

    set_mode(qts, 0, 4, 300);
    while (pic_take(qts, PIC_MASTER) >= 0) {
    }
    g_assert_cmphex(status(qts, 0), ==, 0xb8);
    qtest_clock_step(qts, ticks_ns(300));
    g_assert_cmphex(status(qts, 0), ==, 0x38);
    qtest_clock_step(qts, ticks_ns(1));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    qtest_clock_step(qts, ticks_ns(100000));
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    /* Mode 5 waits for a gate that channel 0 does not move. */
    set_mode(qts, 0, 5, 300);
    qtest_clock_step(qts, ticks_ns(1000));
    g_assert_cmphex(status(qts, 0) & 0x80, ==, 0x80);
    qtest_stop(qts);
}

static void test_latches(void)
{
    QTest *qts = start();

    set_mode(qts, 0, 2, 10000);
    qtest_outb(qts, PIT_CONTROL, 0x00);
    qtest_clock_step(qts, ticks_ns(50));
    qtest_outb(qts, PIT_CONTROL, 0x00); /* the first latch stays */
    g_assert_cmphex(qtest_inb(qts, PIT), ==, 10000 & 0xff);
    g_assert_cmphex(qtest_inb(qts, PIT), ==, 10000 >> 8);
    /* Status comes before the count that was latched with it. */
    qtest_outb(qts, PIT_CONTROL, 0xc2);
    g_assert_cmphex(qtest_inb(qts, PIT), ==, 0xb4);
    g_assert_cmphex(qtest_inb(qts, PIT), ==, 9950 & 0xff);
    g_assert_cmphex(qtest_inb(qts, PIT), ==, 9950 >> 8);
    /* One byte only. */
    qtest_outb(qts, PIT_CONTROL, 0x14);
    qtest_outb(qts, PIT, 200);
    g_assert_cmpuint(qtest_inb(qts, PIT), ==, 200);
    g_assert_cmpuint(qtest_inb(qts, PIT), ==, 200);
    qtest_outb(qts, PIT_CONTROL, 0x24);
    qtest_outb(qts, PIT, 2);
    g_assert_cmpuint(qtest_inb(qts, PIT), ==, 2);
    qtest_outb(qts, PIT_CONTROL, 0x00);
    g_assert_cmpuint(qtest_inb(qts, PIT), ==, 2);
    qtest_stop(qts);
}

static void test_bcd(void)
{
    QTest *qts = start();

    qtest_outb(qts, PIT_CONTROL, 0x35);
    qtest_outb(qts, PIT, 0x00);
    qtest_outb(qts, PIT, 0x10);
    g_assert_cmphex(latched(qts, 0), ==, 0x1000);
    qtest_clock_step(qts, ticks_ns(1));
    g_assert_cmphex(latched(qts, 0), ==, 0x0999);
    qtest_outb(qts, PIT, 0x00);
    qtest_outb(qts, PIT, 0x00);
    qtest_clock_step(qts, ticks_ns(1000));
    g_assert_cmphex(latched(qts, 0), >=, 0x9998);
    qtest_stop(qts);
}

static void test_speaker(void)
{
    QTest *qts = start();
    uint8_t toggle;

    /* Mode 0 behind the gate, as kernels measure time. */
    qtest_outb(qts, PORT_B, 0);
    set_mode(qts, 2, 0, 1000);
    qtest_clock_step(qts, ticks_ns(5000));
    g_assert_cmphex(qtest_inb(qts, PORT_B) & 0x2f, ==, 0);
    g_assert_cmpuint(latched(qts, 2), ==, 1000);
    qtest_outb(qts, PORT_B, 1);
    qtest_clock_step(qts, ticks_ns(400));
    qtest_outb(qts, PORT_B, 0);
    qtest_clock_step(qts, ticks_ns(5000));
    g_assert_cmpuint(latched(qts, 2), ==, 600);
    qtest_outb(qts, PORT_B, 1);
    qtest_clock_step(qts, ticks_ns(599));
    g_assert_cmphex(qtest_inb(qts, PORT_B) & 0x2f, ==, 0x01);
    qtest_clock_step(qts, ticks_ns(2));
    g_assert_cmphex(qtest_inb(qts, PORT_B) & 0x2f, ==, 0x21);
    /* Mode 1 starts with the gate's rising edge, again and again. */
    set_mode(qts, 2, 1, 100);
    qtest_clock_step(qts, ticks_ns(500));
    g_assert_cmphex(qtest_inb(qts, PORT_B) & 0x20, ==, 0x20);
    for (int i = 0; i < 2; i++) {
        qtest_outb(qts, PORT_B, 0);
        qtest_outb(qts, PORT_B, 1);
        qtest_clock_step(qts, ticks_ns(50));
        g_assert_cmphex(qtest_inb(qts, PORT_B) & 0x20, ==, 0);
    }
    qtest_clock_step(qts, ticks_ns(51));
    g_assert_cmphex(qtest_inb(qts, PORT_B) & 0x20, ==, 0x20);
    /* The refresh toggle moves by itself. */
    toggle = qtest_inb(qts, PORT_B) & 0x10;
    qtest_clock_step(qts, 15085);
    g_assert_cmphex(qtest_inb(qts, PORT_B) & 0x10, ==, toggle ^ 0x10);
    qtest_outb(qts, PORT_B, 0xff);
    g_assert_cmphex(qtest_inb(qts, PORT_B) & 0xcf, ==, 0x0f);
    qtest_stop(qts);
}

static void test_hostile(void)
{
    QTest *qts = start();
    GRand *rand = g_rand_new_with_seed(8254);

    /* The shortest periods must not keep the machine from answering. */
    for (unsigned mode = 0; mode < 6; mode++) {
        for (unsigned count = 0; count < 3; count++) {
            set_mode(qts, 0, mode, count);
            qtest_clock_step(qts, 20000000);
        }
    }
    for (int i = 0; i < 3000; i++) {
        if (g_rand_boolean(rand)) {
            qtest_outb(qts, PIT + g_rand_int_range(rand, 0, 4), g_rand_int(rand));
        } else {
            qtest_inb(qts, PIT + g_rand_int_range(rand, 0, 4));
        }
        qtest_outb(qts, PORT_B, g_rand_int(rand));
        if (i % 16 == 0) {
            qtest_clock_step(qts, g_rand_int_range(rand, 1, 1000000));
        }
    }
    g_rand_free(rand);
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pit/rate", test_rate);
    g_test_add_func("/pit/one-time", test_one_time);
    g_test_add_func("/pit/square", test_square);
    g_test_add_func("/pit/strobe", test_strobe);
    g_test_add_func("/pit/latches", test_latches);
    g_test_add_func("/pit/bcd", test_bcd);
    g_test_add_func("/pit/speaker", test_speaker);
    g_test_add_func("/pit/hostile", test_hostile);
    return g_test_run();
}
