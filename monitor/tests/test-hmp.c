/* SPDX-License-Identifier: Apache-2.0 */
/* The human monitor: expressions, arguments, memory dumps, help, completion, a session. */
#include <string.h>

#include "monitor/expr.h"
#include "monitor/hmp-internal.h"
#include "monitor/tests/harness.h"
#include "util/error.h"
#include "util/vm-lock.h"

static bool test_register(const char *name, uint64_t *value, void *opaque, GError **error)
{
    *value = 0x1000;
    if (strcmp(name, "rip")) {
        error_setf(error, "no register '$%s'", name);
        return false;
    }
    return true;
}

static void test_expressions(void)
{
    static const struct {
        const char *text;
        uint64_t value;
        const char *rest;
    } cases[] = {
        { "1", 1, "" },
        { "0x10", 16, "" },
        { "010", 8, "" },
        { "1+2*3", 7, "" },
        { "(1+2)*3", 9, "" },
        { "10-3-2", 5, "" },
        { "7/2 % 2", 1, "" },
        { "1|2^3&2", 1 | (2 ^ (3 & 2)), "" },
        { "1<<4+1", 32, "" },
        { "~0", UINT64_MAX, "" },
        { "-1", UINT64_MAX, "" },
        { "- - 5", 5, "" },
        { "'a'+1", 'b', "" },
        { "$rip+4", 0x1004, "" },
        { "1 << 64", 0, "" },
        { "0xffffffffffffffff + 1", 0, "" },
        { " 5 6", 5, "6" },
        { "5 file", 5, "file" },
        { "-9223372036854775808 / -1", 0, "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *p = cases[i].text;
        g_autoptr(GError) error = NULL;
        uint64_t value;

        g_assert_true(expr_eval(&p, test_register, NULL, &value, &error));
        g_assert_no_error(error);
        g_assert_cmphex(value, ==, cases[i].value);
        g_assert_cmpstr(p, ==, cases[i].rest);
    }
}

static void test_bad_expressions(void)
{
    static const char *const cases[] = {
        "", "(1", "1+", "foo", "1/0", "1%0", "$rsp", "$", "'", "'ab", "0x", "12ab", "*1", ")",
    };
    g_autofree char *deep = g_strnfill(100000, '(');
    g_autofree char *minus = g_strnfill(100000, '-');
    g_autoptr(GError) error = NULL;
    const char *p;
    uint64_t value;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        p = cases[i];
        g_test_message("'%s'", p);
        g_assert_false(expr_eval(&p, test_register, NULL, &value, &error));
        g_assert_nonnull(error);
        g_clear_error(&error);
    }
    p = deep;
    g_assert_false(expr_eval(&p, NULL, NULL, &value, &error));
    g_clear_error(&error);
    p = minus;
    g_assert_false(expr_eval(&p, NULL, NULL, &value, &error));
}

/* A machine whose memory holds its own addresses, up to 64 KiB. */
static bool read_memory(uint64_t addr, void *buf, size_t len, GError **error)
{
    for (size_t i = 0; i < len; i++) {
        if (addr + i > UINT16_MAX) {
            error_setf(error, "no memory at 0x%" G_GINT64_MODIFIER "x", addr + i);
            return false;
        }
        ((uint8_t *)buf)[i] = (uint8_t)(addr + i);
    }
    return true;
}

static bool read_virtual(int cpu, uint64_t addr, void *buf, size_t len, GError **error)
{
    return read_memory(addr + 0x20, buf, len, error);
}

static bool read_register(int cpu, const char *name, uint64_t *value, GError **error)
{
    return test_register(name, value, NULL, error);
}

static bool read_port(uint16_t port, unsigned size, uint32_t *value, GError **error)
{
    *value = port + size;
    return true;
}

static unsigned n_cpus(void)
{
    return 2;
}

static const HmpMachine machine = {
    .n_cpus = n_cpus,
    .read_physical = read_memory,
    .read_virtual = read_virtual,
    .read_register = read_register,
    .read_port = read_port,
};

static const struct {
    const char *line, *expected;
} lines[] = {
    { "", "" },
    { "   ", "" },
    { "# remark", "" },
    { "print 2+3", "0x5\n" },
    { "p /d -1", "-1\n" },
    { "p/u 7", "7\n" },
    { "p /o 8", "010\n" },
    { "p /c 65", "'A'\n" },
    { "p /c 10", "'\\n'\n" },
    { "p $rip", "0x1000\n" },
    { "p $foo", "Error: print: no register '$foo'\nTry \"help print\"*" },
    { "p 1 2", "*one argument too many*" },
    { "p", "*argument 'expr' is missing*" },
    { "xp /4xb 0x41", "0000000000000041: 0x41 0x42 0x43 0x44\n" },
    { "xp /2xw 0", "0000000000000000: 0x03020100 0x07060504\n" },
    { "xp 0", "0000000000000000: 0x03020100\n" },
    { "xp /1xg 0", "0000000000000000: 0x0706050403020100\n" },
    { "xp /3dh 0xfe", "00000000000000fe:    -2   256   770\n" },
    { "xp /9cb 0x40", "0000000000000040: '@' 'A' 'B' 'C' 'D' 'E' 'F' 'G'\n"
                      "0000000000000048: 'H'\n" },
    { "xp /17xb 0", "0000000000000000: 0x00*\n0000000000000010: 0x10\n" },
    { "x /1xb 0", "0000000000000000: 0x20\n" },
    { "xp /1xb 0x10000", "Error: no memory at 0x10000\n" },
    { "xp /zz 0", "Error: xp: 'z' in the format*" },
    { "xp /2i 0", "Error: *no disassembler*" },
    { "i /1xb 0x70", "portb[0x0070] = 0x71\n" },
    { "i 0x10000", "Error: *ports*" },
    { "o 0x70 1", "Error: *no ports*" },
    { "sum 0 4", "?????\n" },
    { "cpu 1", "" },
    { "cpu 2", "Error: *no CPU 2*" },
    { "foo", "Error: unknown command: 'foo'*" },
    { "info foo", "Error: unknown command: 'info foo'*" },
    { "inof", "*did you mean 'info'*" },
    { "info version", "vireo-*compatible with 7.2.0*" },
    { "info fdsets", "" },
    { "help xp", "xp [/fmt] addr -- *\n" },
    { "help info version", "info version -- *\n" },
    { "help foo", "Error: unknown command: 'foo'*" },
    { "help", "*chardev-add options -- *\n*xp [/fmt] addr -- *" },
    { "info", "info *-- *\ninfo *-- *" },
    { "qom-set", "*argument 'path' is missing*" },
    { "log nonsense", "Error: *nonsense*" },
    { "chardev-add null,id=hmp0", "" },
    { "chardev-add nul,id=hmp1", "Error: *did you mean 'null'*" },
    { "chardev-change hmp0 ringbuf,size=64", "" },
    { "object_add nonsense,id=x", "Error: *nonsense*" },
    { "memsave 0 16 \"unfinished", "Error: memsave: the closing*" },
    { "stop", "Error: This program has no command 'stop'\n" },
};

static void test_lines(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *out = monitor_run_line(lines[i].line, 0, &error);

        g_assert_no_error(error);
        if (!g_pattern_match_simple(lines[i].expected, out)) {
            g_error("'%s': '%s' is not like '%s'", lines[i].line, out, lines[i].expected);
        }
    }
    g_assert_null(monitor_run_line("info version", 2, NULL));
    g_assert_null(monitor_run_line("info version", -1, NULL));
}

static void check_completion(const char *line, const char *expected)
{
    int cpu = 0;
    Hmp hmp = { .out = g_string_new(NULL), .cpu = &cpu };
    size_t start = 0;
    g_autoptr(GPtrArray) words = hmp_complete(&hmp, line, strlen(line), &start);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; words && i < words->len; i++) {
        g_string_append_printf(text, "%s ", (char *)g_ptr_array_index(words, i));
    }
    g_test_message("'%s'", line);
    g_assert_cmpstr(text->str, ==, expected);
    g_string_free(hmp.out, true);
}

static void test_completion(void)
{
    check_completion("system_r", "system_reset ");
    check_completion("chardev-", "chardev-add chardev-change chardev-remove chardev-send-break ");
    check_completion("info vers", "version ");
    check_completion("trace-event x o", "off on ");
    check_completion("watchdog_action p", "pause poweroff ");
    check_completion("nonsense x", "");
    check_completion("xp /4x 0x", "");
    check_completion("info nonsense x", "");
}

static void test_session(void)
{
    Client *client = client_new(MONITOR_HMP);
    g_autofree char *text = client_until(client, "(qemu) ");

    g_assert_nonnull(strstr(text, "monitor - type 'help'"));
    client_send(client, "p 1+");
    client_send(client, "1\r");
    g_free(g_steal_pointer(&text));
    text = client_until(client, "(qemu) ");
    g_assert_cmpstr(text, ==, "p 1+1\r\n0x2\r\n(qemu) ");
    client_send(client, "cpu 1\ninfo history\n");
    g_free(g_steal_pointer(&text));
    text = client_until(client, "'info history'\r\n(qemu) ");
    g_assert_nonnull(strstr(text, "0: 'p 1+1'\r\n1: 'cpu 1'\r\n"));
    client_send(client, "help\n");
    g_free(g_steal_pointer(&text));
    text = client_until(client, "xp [/fmt]");
    client_free(client);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    vm_lock();
    monitor_init(&test_commands);
    hmp_set_machine(&machine);
    g_test_add_func("/monitor/hmp/expressions", test_expressions);
    g_test_add_func("/monitor/hmp/bad-expressions", test_bad_expressions);
    g_test_add_func("/monitor/hmp/lines", test_lines);
    g_test_add_func("/monitor/hmp/completion", test_completion);
    g_test_add_func("/monitor/hmp/session", test_session);
    status = g_test_run();
    monitor_cleanup();
    return status;
}
