/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The qtest protocol: lines of words in, lines "OK ..." or "FAIL ..." out, one for each, in order.
 * A test drives ports, memory, interrupt lines and the clock of a machine whose CPUs stand still.
 * Between the replies come "IRQ raise N" and "IRQ lower N" for lines that the test intercepts.
 *
 * Numbers are decimal, 0x hex or 0 octal; data is hex with 0x, or base64. The peer is a test
 * program, but no line of its may end this process.
 */
#include "system/qtest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel/accel.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "memory/memory.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"
#include "util/timer.h"

#define MAX_LINE (32 * MiB)
#define MAX_TRANSFER (12 * MiB) /* bytes in one command; as hex they fit a line */
#define MAX_WORDS 8

typedef struct QTestServer {
    CharFrontend fe;
    GString *line;
    bool overlong;     /* the line being read is dropped up to its end */
    FILE *log;
    gint64 opened_us;
    Device *intercepted;
} QTestServer;

/* One conversation per process, like the monitor's default session. */
static QTestServer *server;

static void log_line(char direction, const char *text)
{
    if (server->log) {
        double seconds = (g_get_monotonic_time() - server->opened_us) / 1e6;

        fprintf(server->log, "[%c %+.6f] %s\n", direction, seconds, text);
        fflush(server->log);
    }
}

static void send_line(const char *text)
{
    log_line('S', text);
    char_frontend_write_all(&server->fe, (const uint8_t *)text, strlen(text));
    char_frontend_write_all(&server->fe, (const uint8_t *)"\n", 1);
}

static void send_format(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
static void send_format(const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    send_line(text);
}

/* ---- commands: each gets its words and answers by itself; false: malformed ---- */

typedef struct Words {
    const char *word[MAX_WORDS];
    unsigned count;
} Words;

static bool number(const Words *words, unsigned i, uint64_t *value)
{
    return i < words->count && parse_uint64(words->word[i], value, NULL);
}

/* The access size in a command's last letter. */
static unsigned size_of(const char *command)
{
    static const struct {
        char letter;
        unsigned size;
    } sizes[] = { { 'b', 1 }, { 'w', 2 }, { 'l', 4 }, { 'q', 8 } };
    char last = command[strlen(command) - 1];

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (sizes[i].letter == last) {
            return sizes[i].size;
        }
    }
    return 1;
}

static bool cmd_out(const Words *words)
{
    uint64_t port, value;

    if (!number(words, 1, &port) || !number(words, 2, &value) || port > UINT16_MAX) {
        return false;
    }
    address_space_store(address_space_io(), port, size_of(words->word[0]), value);
    send_line("OK");
    return true;
}

static bool cmd_in(const Words *words)
{
    uint64_t port, value = UINT64_MAX;

    if (!number(words, 1, &port) || port > UINT16_MAX) {
        return false;
    }
    address_space_load(address_space_io(), port, size_of(words->word[0]), &value);
    send_format("OK 0x%04" PRIx64, value);
    return true;
}

static bool cmd_store(const Words *words)
{
    uint64_t addr, value;

    if (!number(words, 1, &addr) || !number(words, 2, &value)) {
        return false;
    }
    address_space_store(address_space_memory(), addr, size_of(words->word[0]), value);
    send_line("OK");
    return true;
}

static bool cmd_load(const Words *words)
{
    uint64_t addr, value = UINT64_MAX;

    if (!number(words, 1, &addr)) {
        return false;
    }
    address_space_load(address_space_memory(), addr, size_of(words->word[0]), &value);
    send_format("OK 0x%016" PRIx64, value);
    return true;
}

/* ADDR SIZE at words 1 and 2. */
static bool range_words(const Words *words, uint64_t *addr, uint64_t *size)
{
    return number(words, 1, addr) && number(words, 2, size) && *size > 0 &&
           *size <= MAX_TRANSFER && *addr + (*size - 1) >= *addr;
}

static bool cmd_read(const Words *words)
{
    g_autofree uint8_t *data = NULL;
    g_autoptr(GString) text = NULL;
    uint64_t addr, size;

    if (!range_words(words, &addr, &size)) {
        return false;
    }
    data = g_malloc(size);
    address_space_read(address_space_memory(), addr, data, size);
    text = g_string_sized_new(5 + 2 * size);
    g_string_append(text, "OK 0x");
    for (uint64_t i = 0; i < size; i++) {
        static const char digits[] = "0123456789abcdef";

        g_string_append_c(text, digits[data[i] >> 4]);
        g_string_append_c(text, digits[data[i] & 15]);
    }
    send_line(text->str);
    return true;
}

/* Hex digits fill data from its start; what they leave is zero. */
static bool cmd_write(const Words *words)
{
    g_autofree uint8_t *data = NULL;
    uint64_t addr, size;
    const char *hex;

    if (!range_words(words, &addr, &size) || words->count < 4) {
        return false;
    }
    hex = words->word[3];
    if (!g_str_has_prefix(hex, "0x")) {
        return false;
    }
    hex += 2;
    data = g_malloc0(size);
    for (uint64_t i = 0; i < size && hex[0] && hex[1]; i++, hex += 2) {
        int high = g_ascii_xdigit_value(hex[0]), low = g_ascii_xdigit_value(hex[1]);

        if (high < 0 || low < 0) {
            return false;
        }
        data[i] = high << 4 | low;
    }
    address_space_write(address_space_memory(), addr, data, size);
    send_line("OK");
    return true;
}

static bool cmd_b64read(const Words *words)
{
    g_autofree uint8_t *data = NULL;
    g_autofree char *text = NULL;
    uint64_t addr, size;

    if (!range_words(words, &addr, &size)) {
        return false;
    }
    data = g_malloc(size);
    address_space_read(address_space_memory(), addr, data, size);
    text = g_base64_encode(data, size);
    send_format("OK %s", text);
    return true;
}

static bool cmd_b64write(const Words *words)
{
    g_autofree uint8_t *data = NULL;
    uint64_t addr, size;
    gsize decoded = 0;

    if (!range_words(words, &addr, &size) || words->count < 4) {
        return false;
    }
    data = g_base64_decode(words->word[3], &decoded);
    if (!data || decoded != size) {
        return false;
    }
    address_space_write(address_space_memory(), addr, data, size);
    send_line("OK");
    return true;
}

static bool cmd_memset(const Words *words)
{
    uint64_t addr, size, pattern;

    if (!number(words, 1, &addr) || !number(words, 2, &size) || !number(words, 3, &pattern)) {
        return false;
    }
    if (size && addr + (size - 1) >= addr) {
        address_space_set(address_space_memory(), addr, pattern, size);
    }
    send_line("OK");
    return true;
}

static bool cmd_endianness(const Words *words)
{
    send_line("OK little");
    return true;
}

static bool clock_is_ours(void)
{
    if (!accel_is("qtest")) {
        send_line("FAIL the clock can be moved only with -accel qtest");
        return false;
    }
    return true;
}

static void move_clock_to(int64_t ns)
{
    if (ns > vm_clock_ns(VM_CLOCK_VIRTUAL)) {
        vm_clock_advance_to(ns);
    }
    send_format("OK %" PRId64, vm_clock_ns(VM_CLOCK_VIRTUAL));
}

/* With a number: by so many ns; without: to the next timer. */
static bool cmd_clock_step(const Words *words)
{
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    int64_t step;

    if (words->count > 1 &&
        (!parse_int64(words->word[1], &step, NULL) || step < 0 || step > INT64_MAX - now)) {
        return false;
    }
    if (clock_is_ours()) {
        move_clock_to(words->count > 1 ? now + step : vm_clock_deadline());
    }
    return true;
}

static bool cmd_clock_set(const Words *words)
{
    int64_t ns;

    if (words->count < 2 || !parse_int64(words->word[1], &ns, NULL)) {
        return false;
    }
    if (clock_is_ours()) {
        move_clock_to(ns);
    }
    return true;
}

/* ---- interrupt lines ---- */

static Device *find_device(const char *path)
{
    bool ambiguous = false;
    Object *obj = object_resolve(path, &ambiguous);

    if (!obj || ambiguous || !object_is_a(obj, TYPE_DEVICE)) {
        send_format("FAIL %s device '%s'", ambiguous ? "more than one" : "no", path);
        return NULL;
    }
    return (Device *)obj;
}

static void on_intercepted(void *opaque, int n, bool level)
{
    if (server) {
        send_format("IRQ %s %d", level ? "raise" : "lower", n);
    }
}

/* PATH [GROUP]: the messages do not name the device, so one at a time. */
static bool cmd_irq_intercept(const Words *words)
{
    bool outputs = g_str_has_suffix(words->word[0], "_out");
    const char *group = words->count > 2 ? words->word[2] : NULL;
    Device *dev;

    if (words->count < 2) {
        return false;
    }
    dev = find_device(words->word[1]);
    if (!dev) {
        return true;
    }
    if (server->intercepted && server->intercepted != dev) {
        send_line("FAIL another device's lines are intercepted already");
    } else if (!device_intercept_irq(dev, group, outputs, on_intercepted, NULL)) {
        send_format("FAIL '%s' has no such lines", words->word[1]);
    } else {
        server->intercepted = dev;
        send_line("OK");
    }
    return true;
}

/* PATH GROUP N LEVEL; "(null)" or "unnamed-gpio-in" is the unnamed group. */
static bool cmd_set_irq_in(const Words *words)
{
    const char *group;
    uint64_t n, level;
    Device *dev;

    if (words->count < 5 || !number(words, 3, &n) || !number(words, 4, &level) || n > INT32_MAX) {
        return false;
    }
    dev = find_device(words->word[1]);
    if (!dev) {
        return true;
    }
    group = words->word[2];
    if (g_str_equal(group, "(null)") || g_str_equal(group, "unnamed-gpio-in")) {
        group = NULL;
    }
    if (!device_set_irq_in(dev, group, n, level != 0)) {
        send_format("FAIL '%s' has no line %s %" PRIu64, words->word[1], words->word[2], n);
    } else {
        send_line("OK");
    }
    return true;
}

static bool cmd_module_load(const Words *words)
{
    if (words->count < 3) {
        return false;
    }
    send_line("FAIL this program has no loadable module of that name");
    return true;
}

static const struct {
    const char *name;
    bool (*run)(const Words *words);
} commands[] = {
    { "inb", cmd_in }, { "inw", cmd_in }, { "inl", cmd_in },
    { "outb", cmd_out }, { "outw", cmd_out }, { "outl", cmd_out },
    { "readb", cmd_load }, { "readw", cmd_load }, { "readl", cmd_load }, { "readq", cmd_load },
    { "writeb", cmd_store }, { "writew", cmd_store }, { "writel", cmd_store },
    { "writeq", cmd_store },
    { "read", cmd_read }, { "write", cmd_write }, { "memset", cmd_memset },
    { "b64read", cmd_b64read }, { "b64write", cmd_b64write },
    { "clock_step", cmd_clock_step }, { "clock_set", cmd_clock_set },
    { "irq_intercept_in", cmd_irq_intercept }, { "irq_intercept_out", cmd_irq_intercept },
    { "set_irq_in", cmd_set_irq_in },
    { "endianness", cmd_endianness }, { "module_load", cmd_module_load },
};

/* ---- the conversation ---- */

/* Cut the line in place. More words than any command has are dropped. */
static Words split(char *line)
{
    Words words = { 0 };
    char *next = NULL;

    for (char *word = strtok_r(line, " \t\r", &next); word && words.count < MAX_WORDS;
         word = strtok_r(NULL, " \t\r", &next)) {
        words.word[words.count++] = word;
    }
    return words;
}

static void run_line(char *line)
{
    Words words;

    log_line('R', line);
    words = split(line);
    if (!words.count) {
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (g_str_equal(commands[i].name, words.word[0])) {
            if (!commands[i].run(&words)) {
                send_format("FAIL wrong arguments of '%s'", words.word[0]);
            }
            return;
        }
    }
    send_format("FAIL Unknown command '%.64s'", words.word[0]);
}

static int can_read(void *opaque)
{
    return 64 * KiB;
}

static void end_line(void)
{
    if (server->overlong) {
        send_line("FAIL the line is too long");
    } else {
        run_line(server->line->str);
    }
    server->overlong = false;
    g_string_truncate(server->line, 0);
}

static void on_read(void *opaque, const uint8_t *buf, int size)
{
    while (size > 0) {
        const uint8_t *newline = memchr(buf, '\n', size);
        int part = newline ? newline - buf : size;

        if (server->line->len + part > MAX_LINE) {
            server->overlong = true;
            g_string_truncate(server->line, 0);
        }
        if (!server->overlong) {
            g_string_append_len(server->line, (const char *)buf, part);
        }
        if (newline) {
            end_line();
            part++;
        }
        buf += part;
        size -= part;
    }
}

static void on_event(void *opaque, CharEvent event)
{
    if (event == CHAR_EVENT_OPENED) {
        server->opened_us = g_get_monotonic_time();
        g_string_truncate(server->line, 0);
        server->overlong = false;
    }
}

static const CharFrontendOps frontend_ops = {
    .can_read = can_read,
    .read = on_read,
    .event = on_event,
};

static bool open_log(const char *path, GError **error)
{
    if (!path || g_str_equal(path, "none")) {
        return true;
    }
    server->log = fopen(path, "w");
    if (!server->log) {
        error_set_errno(error, errno, "-qtest-log: cannot open '%s'", path);
        return false;
    }
    return true;
}

bool qtest_server_init(const char *chardev, const char *log_path, GError **error)
{
    Chardev *chr;

    if (server) {
        error_setf(error, "-qtest is given twice");
        return false;
    }
    chr = chardev_new_from_short("qtest", chardev, error);
    if (!chr) {
        if (error && !*error) {
            error_setf(error, "-qtest %s: the protocol needs a character device", chardev);
        }
        return false;
    }
    server = g_new0(QTestServer, 1);
    server->line = g_string_new(NULL);
    server->opened_us = g_get_monotonic_time();
    if (!open_log(log_path, error) || !char_frontend_attach(&server->fe, chr, error)) {
        qtest_server_cleanup();
        return false;
    }
    char_frontend_set_handlers(&server->fe, &frontend_ops, NULL, NULL);
    return true;
}

void qtest_server_cleanup(void)
{
    if (!server) {
        return;
    }
    if (server->fe.chr) {
        char_frontend_detach(&server->fe);
    }
    if (server->log) {
        fclose(server->log);
    }
    g_string_free(server->line, TRUE);
    g_clear_pointer(&server, g_free);
}
