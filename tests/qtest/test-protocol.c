/* SPDX-License-Identifier: Apache-2.0 */
/* The qtest protocol itself: every command, and lines that no sane test sends. */
#include <string.h>

#include "tests/qtest/libqtest.h"

#define START "-M pc -m 16"

static void expect(QTest *qts, const char *line, const char *reply)
{
    g_autofree char *got = qtest_raw(qts, "%s", line);

    g_assert_cmpstr(got, ==, reply);
}

static void expect_refused(QTest *qts, const char *line)
{
    g_autofree char *got = qtest_raw(qts, "%s", line);

    if (!g_str_has_prefix(got, "FAIL ")) {
        g_error("%s: %s", line, got);
    }
}

static void test_memory(void)
{
    g_autoptr(QTest) qts = qtest_start(START);
    uint8_t *bytes = g_malloc(200000), *back = g_malloc(200000);

    qtest_writeq(qts, 0x1000, 0x1122334455667788);
    g_assert_cmphex(qtest_readb(qts, 0x1000), ==, 0x88);
    g_assert_cmphex(qtest_readw(qts, 0x1001), ==, 0x6677);
    g_assert_cmphex(qtest_readl(qts, 0x1004), ==, 0x11223344);
    qtest_writeb(qts, 0x1000, 0x99);
    qtest_writew(qts, 0x1002, 0xaabb);
    qtest_writel(qts, 0x1004, 0xccddeeff);
    g_assert_cmphex(qtest_readq(qts, 0x1000), ==, 0xccddeeffaabb7799);
    expect(qts, "write 0x2000 4 0x01020304", "OK");
    expect(qts, "read 0x2000 6", "OK 0x010203040000");
    expect(qts, "write 0x2000 4 0x05", "OK");
    expect(qts, "b64read 0x2000 4", "OK BQAAAA==");
    expect(qts, "b64write 0x2000 4 AQIDBA==", "OK");
    expect(qts, "read 8192 2", "OK 0x0102");
    for (unsigned i = 0; i < 200000; i++) {
        bytes[i] = i * 7;
    }
    qtest_memwrite(qts, 0x100001, bytes, 200000);
    qtest_memread(qts, 0x100001, back, 200000);
    g_assert_cmpmem(bytes, 200000, back, 200000);
    qtest_memset(qts, 0x100010, 0xa5, 16);
    g_assert_cmphex(qtest_readq(qts, 0x100010), ==, 0xa5a5a5a5a5a5a5a5);
    /* Nothing is there. */
    g_assert_cmphex(qtest_readl(qts, 0xd0000000), ==, 0xffffffff);
    qtest_writel(qts, 0xd0000000, 1);
    g_free(bytes);
    g_free(back);
}

static void test_clock(void)
{
    g_autoptr(QTest) qts = qtest_start(START);
    int64_t start = qtest_clock_step(qts, 0);

    g_assert_cmpint(qtest_clock_step(qts, 100), ==, start + 100);
    g_assert_cmpint(qtest_clock_set(qts, start + 500), ==, start + 500);
    g_assert_cmpint(qtest_clock_set(qts, 1), ==, start + 500);
    g_assert_cmpint(qtest_clock_step_next(qts), >=, start + 500);
}

static void test_nonsense(void)
{
    static const char *const lines[] = {
        "nonsense", "readb", "readb zz", "outb 0x70", "outb 0x70 x", "inb 0x10000",
        "read 0x1000", "read 0x1000 0", "read 0x1000 0x7fffffffffffffff",
        "read 0xffffffffffffffff 2", "write 0x1000 4", "write 0x1000 4 01020304",
        "write 0x1000 4 0xzz", "b64write 0x1000 5 AQIDBA==", "b64write 0x1000 1 !",
        "clock_step -1", "clock_step 9223372036854775808", "clock_set", "memset 0x1000",
        "irq_intercept_in", "irq_intercept_in /nowhere", "irq_intercept_out /machine none",
        "set_irq_in /nowhere x 0 1", "set_irq_in /machine x 0", "module_load", "module_load a b",
        "rtas x 0 0 0 0", "READB 0x1000", "readbb 0x1000", "a b c d e f g h i j k l m n o p",
    };
    g_autoptr(QTest) qts = qtest_start(START);
    g_autofree char *longest = g_strnfill(100000, 'x');

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        expect_refused(qts, lines[i]);
    }
    expect_refused(qts, longest);
    expect(qts, "  readb   0x1000\t", "OK 0x0000000000000000");
    expect(qts, "\n\nendianness", "OK little");
}

static void test_overlong_line(void)
{
    g_autoptr(QTest) qts = qtest_start(START);
    g_autofree char *line = g_strnfill(40 << 20, '7');

    expect_refused(qts, line);
    expect(qts, "endianness", "OK little");
}

static void test_qmp(void)
{
    g_autoptr(QTest) qts = qtest_start(START);
    json_object *status = qtest_qmp(qts, "{\"execute\": \"query-status\"}");
    g_autofree char *error = qtest_qmp_error(qts, "{\"execute\": \"no-such-command\"}");

    g_assert_nonnull(json_object_object_get(status, "status"));
    g_assert_nonnull(strstr(error, "no-such-command"));
    json_object_put(status);
}

static void test_refused_start(void)
{
    g_autofree char *text = qtest_start_refused("-M no-such-board");

    g_assert_nonnull(strstr(text, "no-such-board"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/protocol/memory", test_memory);
    g_test_add_func("/protocol/clock", test_clock);
    g_test_add_func("/protocol/nonsense", test_nonsense);
    g_test_add_func("/protocol/overlong-line", test_overlong_line);
    g_test_add_func("/protocol/qmp", test_qmp);
    g_test_add_func("/protocol/refused-start", test_refused_start);
    return g_test_run();
}
