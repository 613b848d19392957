/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/io/io.h"
#include "util/parse.h"

static char *scaled(double value, const char *format)
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    unsigned unit = 0;
    g_autofree char *number = NULL;
    char *dot;

    while (value >= 1024 && unit < G_N_ELEMENTS(units) - 1) {
        value /= 1024;
        unit++;
    }
    number = g_strdup_printf(format, value);
    /* Whole numbers without a fraction. */
    dot = strstr(number, ".000");
    if (dot && strspn(dot + 1, "0") == strlen(dot + 1)) {
        *dot = '\0';
    }
    return g_strdup_printf("%s %s", number, units[unit]);
}

char *io_size_text(double bytes)
{
    return scaled(bytes, "%.3f");
}

void io_report(const char *verb, int64_t offset, int64_t bytes, int64_t ns, bool for_programs)
{
    double seconds = MAX(ns, 1) / 1e9;
    g_autofree char *size = io_size_text(bytes);
    g_autofree char *rate = scaled(bytes / seconds, "%.3f");

    if (for_programs) {
        printf("%" PRId64 ",1,%d:%02d:%05.2f,%.3f,%.3f\n", bytes, (int)(seconds / 3600),
               (int)(seconds / 60) % 60, seconds - (int)(seconds / 60) * 60, bytes / seconds,
               1 / seconds);
        return;
    }
    printf("%s %" PRId64 "/%" PRId64 " bytes at offset %" PRId64 "\n"
           "%s, 1 ops; %05.2f sec (%s/sec and %.4f ops/sec)\n", verb, bytes, bytes, offset, size,
           seconds, rate, 1 / seconds);
}

void io_dump(const uint8_t *buf, int64_t bytes, int64_t offset)
{
    for (int64_t row = 0; row < bytes; row += 16) {
        int64_t n = MIN(16, bytes - row);

        printf("%08" PRIx64 ":  ", offset + row);
        for (int64_t i = 0; i < n; i++) {
            printf("%02x ", buf[row + i]);
        }
        putchar(' ');
        for (int64_t i = 0; i < n; i++) {
            putchar(g_ascii_isprint(buf[row + i]) ? buf[row + i] : '.');
        }
        putchar('\n');
    }
}

bool io_parse_size(const char *what, const char *text, int64_t *value)
{
    GError *error = NULL;
    uint64_t bytes;

    if (!parse_size(text, 1, &bytes, &error) || bytes > INT64_MAX) {
        printf("%s: %s\n", what, error ? error->message : "too large");
        g_clear_error(&error);
        return false;
    }
    *value = bytes;
    return true;
}

int io_fail(const char *what, int error)
{
    printf("%s failed: %s\n", what, g_strerror(-error));
    return 1;
}
