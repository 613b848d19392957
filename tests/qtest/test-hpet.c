/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HPET, through the I/O APIC to the local APIC of the boot CPU; legacy replacement at the PIC.
 */
#include "tests/qtest/pc-ports.h"

#define LINE 20
#define VECTOR 0x54
enum {
    GCAP_ID = 0x000, GEN_CONF = 0x010, GINTR_STA = 0x020, MAIN_CNT = 0x0f0, T0 = 0x100, T1 = 0x120,
    T2 = 0x140, CONF = 0, CMP = 8,
};
enum { LEVEL = 2, ENABLE = 4, PERIODIC = 8, VAL_SET = 0x40, BITS32 = 0x100 };

static uint64_t get(QTest *qts, unsigned offset)
{
    return qtest_readq(qts, HPET_BASE + offset);
}

static void put(QTest *qts, unsigned offset, uint64_t value)
{
    qtest_writeq(qts, HPET_BASE + offset, value);
}

static QTest *start(void)
{
    QTest *qts = qtest_start("-M pc");

    qtest_clock_set(qts, 1000);
    pic_init(qts);
    while (pic_take(qts, PIC_MASTER) >= 0) {
    }
    qtest_writel(qts, APIC_BASE + 0xf0, 0x1ff);
    ioapic_write(qts, 0x10 + 2 * LINE, VECTOR);
    return qts;
}

static bool requested(QTest *qts)
{
    return qtest_readl(qts, APIC_BASE + 0x200 + VECTOR / 32 * 0x10) & 1u << VECTOR % 32;
}

static void test_registers(void)
{
    QTest *qts = start();

    g_assert_cmphex(qtest_readl(qts, HPET_BASE), ==, 0x8086a201);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + 4), ==, 10000000);
    g_assert_cmphex(get(qts, GEN_CONF), ==, 0);
    g_assert_cmphex(get(qts, MAIN_CNT), ==, 0);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmphex(get(qts, T0 + 0x20 * i + CONF) & 0xffffffff, ==, 0x30);
        g_assert_cmphex(get(qts, T0 + 0x20 * i + CONF) >> 32, !=, 0);
        g_assert_cmphex(get(qts, T0 + 0x20 * i + CMP), ==, UINT64_MAX);
    }
    g_assert_cmphex(get(qts, T0 + 0x60), ==, 0);
    put(qts, GCAP_ID, 0);
    put(qts, T0 + CONF, UINT64_MAX);
    g_assert_cmphex(get(qts, GCAP_ID) & 0xffffffff, ==, 0x8086a201);
    g_assert_cmphex(get(qts, T0 + CONF) & 0xffffffff, ==, 0x3f7e & ~0x4000);
    qtest_stop(qts);
}

static void test_counter(void)
{
    QTest *qts = start();

    put(qts, MAIN_CNT, 0x1122334455ull);
    put(qts, GEN_CONF, 1);
    qtest_clock_step(qts, 1000);
    g_assert_cmphex(get(qts, MAIN_CNT), ==, 0x1122334455ull + 100);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + MAIN_CNT + 4), ==, 0x11);
    put(qts, MAIN_CNT, 0); /* refused while it runs */
    g_assert_cmphex(get(qts, MAIN_CNT), ==, 0x1122334455ull + 100);
    put(qts, GEN_CONF, 0);
    qtest_clock_step(qts, 1000);
    g_assert_cmphex(get(qts, MAIN_CNT), ==, 0x1122334455ull + 100);
    qtest_writel(qts, HPET_BASE + MAIN_CNT, 7);
    g_assert_cmphex(get(qts, MAIN_CNT), ==, 0x1100000007ull);
    qtest_stop(qts);
}

static void test_one_shot(void)
{
    QTest *qts = start();

    put(qts, T2 + CONF, LINE << 9 | ENABLE);
    put(qts, T2 + CMP, 500);
    put(qts, GEN_CONF, 1);
    qtest_clock_step(qts, 4990);
    g_assert_false(requested(qts));
    qtest_clock_step(qts, 10);
    g_assert_true(requested(qts));
    g_assert_cmphex(get(qts, GINTR_STA), ==, 0);
    qtest_stop(qts);
}

static void test_level(void)
{
    QTest *qts = start();

    ioapic_write(qts, 0x10 + 2 * LINE, VECTOR | 1 << 15);
    put(qts, T1 + CONF, LINE << 9 | ENABLE | LEVEL | BITS32);
    put(qts, T1 + CMP, 100);
    put(qts, GEN_CONF, 1);
    qtest_clock_step(qts, 1000);
    g_assert_true(requested(qts));
    g_assert_cmphex(get(qts, GINTR_STA), ==, 2);
    put(qts, GINTR_STA, 5);
    g_assert_cmphex(get(qts, GINTR_STA), ==, 2);
    put(qts, GINTR_STA, 2);
    g_assert_cmphex(get(qts, GINTR_STA), ==, 0);
    /* A 32-bit timer matches again when the low half comes round. */
    qtest_clock_step(qts, (1ll << 32) * 10);
    g_assert_cmphex(get(qts, GINTR_STA), ==, 2);
    qtest_stop(qts);
}

static void test_periodic(void)
{
    QTest *qts = start();

    put(qts, T0 + CONF, LINE << 9 | ENABLE | LEVEL | PERIODIC | VAL_SET);
    put(qts, T0 + CMP, 10000);
    put(qts, T0 + CMP, 4000);
    put(qts, GEN_CONF, 1);
    g_assert_cmphex(get(qts, T0 + CMP), ==, 10000);
    qtest_clock_step(qts, 100000);
    g_assert_cmphex(get(qts, GINTR_STA), ==, 1);
    for (int i = 0; i < 5; i++) {
        put(qts, GINTR_STA, 1);
        qtest_clock_step(qts, 39990);
        g_assert_cmphex(get(qts, GINTR_STA), ==, 0);
        qtest_clock_step(qts, 10);
        g_assert_cmphex(get(qts, GINTR_STA), ==, 1);
    }
    g_assert_cmpuint(get(qts, T0 + CMP), ==, 10000 + 6 * 4000);
    qtest_stop(qts);
}

static void test_legacy(void)
{
    QTest *qts = start();

    /* The PIT is silenced, timer 0 is IRQ 0 and timer 1 IRQ 8. */
    qtest_outb(qts, PIT_CONTROL, 0x34);
    qtest_outb(qts, PIT, 0x00);
    qtest_outb(qts, PIT, 0x10);
    put(qts, GEN_CONF, 3);
    while (pic_take(qts, PIC_MASTER) >= 0) {
    }
    qtest_clock_step(qts, 20000000);
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, -1);
    put(qts, T0 + CONF, ENABLE);
    put(qts, T0 + CMP, get(qts, MAIN_CNT) + 100);
    qtest_clock_step(qts, 1000);
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    put(qts, T1 + CONF, ENABLE);
    put(qts, T1 + CMP, get(qts, MAIN_CNT) + 100);
    qtest_clock_step(qts, 1000);
    g_assert_cmpint(pic_take(qts, PIC_SLAVE), ==, 0);
    put(qts, T0 + CONF, 0);
    put(qts, GEN_CONF, 1);
    while (pic_take(qts, PIC_MASTER) >= 0) {
    }
    qtest_clock_step(qts, 20000000);
    g_assert_cmpint(pic_take(qts, PIC_MASTER), ==, 0);
    qtest_stop(qts);
}

static void test_hostile(void)
{
    QTest *qts = start();
    GRand *rand = g_rand_new_with_seed(1000);

    put(qts, T0 + CONF, LINE << 9 | ENABLE | PERIODIC | VAL_SET);
    put(qts, T0 + CMP, 1);
    put(qts, GEN_CONF, 1);
    qtest_clock_step(qts, 10000000);
    put(qts, T0 + CMP, 0);
    qtest_clock_step(qts, 10000000);
    for (int i = 0; i < 4000; i++) {
        unsigned offset = g_rand_int_range(rand, 0, 0x3f8) & ~3u;

        if (g_rand_boolean(rand)) {
            qtest_writel(qts, HPET_BASE + offset, g_rand_int(rand));
        } else {
            put(qts, offset & ~7u, (uint64_t)g_rand_int(rand) << g_rand_int_range(rand, 0, 33));
        }
        qtest_readl(qts, HPET_BASE + offset);
        if (i % 16 == 0) {
            qtest_clock_step(qts, g_rand_int_range(rand, 1, 100000));
        }
    }
    g_rand_free(rand);
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hpet/registers", test_registers);
    g_test_add_func("/hpet/counter", test_counter);
    g_test_add_func("/hpet/one-shot", test_one_shot);
    g_test_add_func("/hpet/level", test_level);
    g_test_add_func("/hpet/periodic", test_periodic);
    g_test_add_func("/hpet/legacy", test_legacy);
    g_test_add_func("/hpet/hostile", test_hostile);
    return g_test_run();
}
