/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debugging log. One per process: the mask is read without a lock on hot paths, the stream
 * and the rate limiter are guarded by log_state.lock.
 */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/trace.h"

#define GUEST_LINES_PER_SECOND 16
/* "trace:PATTERN" among the items switches trace points. */
#define TRACE_PREFIX "trace:"

static const struct {
    const char *name;
    LogItem item;
    const char *description;
} log_items[] = {
    { "guest_errors", LOG_GUEST_ERRORS, "what the guest did that hardware forbids" },
    { "unimp", LOG_UNIMP, "features the guest asked for that are not implemented" },
    { "int", LOG_INT, "interrupts and exceptions" },
    { "cpu_reset", LOG_CPU_RESET, "CPU state before each reset" },
    { "in_asm", LOG_IN_ASM, "guest code as the software CPU decodes it" },
};

static struct {
    uint32_t items; /* atomic */
    GMutex lock;
    int fd; /* 0: stderr (a log is never standard input) */
    gint64 window_start_us;
    unsigned window_lines;
    unsigned dropped;
} log_state;

bool log_enabled(LogItem item)
{
    return (__atomic_load_n(&log_state.items, __ATOMIC_RELAXED) & item) != 0;
}

static void write_locked(const char *text, size_t length)
{
    int fd = log_state.fd ? log_state.fd : STDERR_FILENO;

    while (length > 0) {
        ssize_t n = write(fd, text, length);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* a full disk must not stop the guest */
        }
        text += n;
        length -= n;
    }
}

/* Complete the line if its writer did not. */
static char *format_line(const char *fmt, va_list args)
{
    char *text = g_strdup_vprintf(fmt, args);
    size_t length = strlen(text);

    if (length == 0 || text[length - 1] != '\n') {
        text = g_realloc(text, length + 2);
        text[length] = '\n';
        text[length + 1] = '\0';
    }
    return text;
}

static void write_line(const char *fmt, va_list args)
{
    g_autofree char *text = format_line(fmt, args);

    g_mutex_lock(&log_state.lock);
    write_locked(text, strlen(text));
    g_mutex_unlock(&log_state.lock);
}

void log_printf(LogItem item, const char *fmt, ...)
{
    va_list args;

    if (log_enabled(item)) {
        va_start(args, fmt);
        write_line(fmt, args);
        va_end(args);
    }
}

void log_write(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    write_line(fmt, args);
    va_end(args);
}

/* May one more guest-caused line be written? Reports what was dropped when a new second begins. */
static bool admit_locked(void)
{
    gint64 now = g_get_monotonic_time();

    if (log_state.window_start_us == 0 ||
        now - log_state.window_start_us >= G_USEC_PER_SEC) {
        log_state.window_start_us = now;
        log_state.window_lines = 0;
        if (log_state.dropped) {
            g_autofree char *note =
                g_strdup_printf("(%u similar lines dropped)\n", log_state.dropped);

            log_state.dropped = 0;
            write_locked(note, strlen(note));
        }
    }
    if (log_state.window_lines >= GUEST_LINES_PER_SECOND) {
        log_state.dropped++;
        return false;
    }
    log_state.window_lines++;
    return true;
}

static void log_limited(const char *fmt, va_list args)
{
    g_mutex_lock(&log_state.lock);
    if (admit_locked()) {
        g_autofree char *text = format_line(fmt, args);

        write_locked(text, strlen(text));
    }
    g_mutex_unlock(&log_state.lock);
}

void log_guest_error(const char *fmt, ...)
{
    va_list args;

    if (log_enabled(LOG_GUEST_ERRORS)) {
        va_start(args, fmt);
        log_limited(fmt, args);
        va_end(args);
    }
}

void log_unimplemented(const char *fmt, ...)
{
    va_list args;

    if (log_enabled(LOG_UNIMP)) {
        va_start(args, fmt);
        log_limited(fmt, args);
        va_end(args);
    }
}

static bool find_item(const char *word, uint32_t *items, GError **error)
{
    const char *names[G_N_ELEMENTS(log_items) + 1] = { NULL };

    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        if (strcmp(word, log_items[i].name) == 0) {
            *items |= log_items[i].item;
            return true;
        }
        names[i] = log_items[i].name;
    }
    error_setf(error, "'%s' is not a log item", word);
    error_append_nearest(error, word, names);
    return false;
}

bool log_set_items(const char *items, GError **error)
{
    g_auto(GStrv) words = g_strsplit(items, ",", -1);
    uint32_t mask = 0;

    for (char **word = words; *word; word++) {
        if (strcmp(*word, "none") == 0 || **word == '\0') {
            continue;
        }
        if (strcmp(*word, "all") == 0) {
            mask = ~0u;
            continue;
        }
        if (g_str_has_prefix(*word, TRACE_PREFIX)) {
            if (!trace_set(*word + strlen(TRACE_PREFIX), true, error)) {
                return false;
            }
        } else if (!find_item(*word, &mask, error)) {
            return false;
        }
    }
    __atomic_store_n(&log_state.items, mask, __ATOMIC_RELAXED);
    return true;
}

bool log_set_file(const char *path, GError **error)
{
    g_autofree char *name = NULL;
    const char *percent;
    int fd = 0;

    if (path) {
        percent = strchr(path, '%');
        if (percent && (percent[1] != 'd' || strchr(percent + 1, '%'))) {
            error_setf(error, "log file name '%s': only one %%d may stand in it", path);
            return false;
        }
        name = percent ? g_strdup_printf("%.*s%d%s", (int)(percent - path), path, (int)getpid(),
                                         percent + 2)
                       : g_strdup(path);
        fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0) {
            error_set_errno(error, errno, "cannot open log file '%s'", name);
            return false;
        }
    }
    g_mutex_lock(&log_state.lock);
    if (log_state.fd) {
        close(log_state.fd);
    }
    log_state.fd = fd;
    g_mutex_unlock(&log_state.lock);
    return true;
}

char *log_items_help(void)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        g_string_append_printf(text, "%-14s %s\n", log_items[i].name, log_items[i].description);
    }
    g_string_append(text, "trace:PATTERN  trace points (-trace help lists them)\n");
    return g_string_free(text, FALSE);
}
