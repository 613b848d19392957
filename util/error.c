/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors and one-line reports. The reporting settings are process-wide by nature: they describe how
 * this program speaks on its one stderr. They are set at start-up and only read afterwards.
 */
#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Words longer than this are never suggested for: the search is quadratic in the length. */
#define NEAREST_MAX_LENGTH 64

G_DEFINE_QUARK(vireo-error, vireo_error)

static struct {
    char *program;
    char *guest_name;
    bool timestamps;
} report_settings;

static void set_va(GError **error, VireoError code, int err, const char *fmt, va_list args)
{
    g_autofree char *text = NULL;

    if (!error) {
        return;
    }
    text = g_strdup_vprintf(fmt, args);
    if (err) {
        g_set_error(error, VIREO_ERROR, code, "%s: %s", text, g_strerror(err));
    } else {
        g_set_error_literal(error, VIREO_ERROR, code, text);
    }
}

void error_setf(GError **error, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set_va(error, VIREO_ERROR_GENERIC, 0, fmt, args);
    va_end(args);
}

void error_set_code(GError **error, VireoError code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set_va(error, code, 0, fmt, args);
    va_end(args);
}

void error_set_errno(GError **error, int err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set_va(error, VIREO_ERROR_GENERIC, err, fmt, args);
    va_end(args);
}

/*
 * Edit distance with insertion, deletion, substitution and swap of neighbours (optimal string
 * alignment), letters compared without case, '_' equal to '-'.
 */
static char fold(char c)
{
    return c == '_' ? '-' : g_ascii_tolower(c);
}

static unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[3][NEAREST_MAX_LENGTH + 1];
    size_t alen = strlen(a);
    size_t blen = strlen(b);

    for (size_t j = 0; j <= blen; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= alen; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= blen; j++) {
            unsigned best = above[j - 1] + (fold(a[i - 1]) != fold(b[j - 1]));

            best = MIN(best, above[j] + 1);
            best = MIN(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1])) {
                best = MIN(best, above2[j - 2] + 1);
            }
            row[j] = best;
        }
    }
    return rows[alen % 3][blen];
}

const char *nearest_word(const char *word, const char *const *candidates)
{
    size_t length = strlen(word);
    unsigned best_distance = CLAMP((length + 1) / 3, 1, 3) + 1;
    const char *best = NULL;

    if (length == 0 || length > NEAREST_MAX_LENGTH) {
        return NULL;
    }
    for (; *candidates; candidates++) {
        unsigned distance;

        if (strlen(*candidates) > NEAREST_MAX_LENGTH) {
            continue;
        }
        distance = edit_distance(word, *candidates);
        if (distance < best_distance && distance < length) {
            best_distance = distance;
            best = *candidates;
        }
    }
    return best;
}

void error_append_nearest(GError **error, const char *word, const char *const *candidates)
{
    const char *nearest;
    char *text;

    if (!error || !*error) {
        return;
    }
    nearest = nearest_word(word, candidates);
    if (nearest) {
        text = g_strdup_printf("%s; did you mean '%s'?", (*error)->message, nearest);
        g_free((*error)->message);
        (*error)->message = text;
    }
}

void error_init(const char *program_name)
{
    g_free(report_settings.program);
    report_settings.program = g_path_get_basename(program_name);
}

void error_set_timestamps(bool on)
{
    report_settings.timestamps = on;
}

void error_set_guest_name(const char *name)
{
    g_free(report_settings.guest_name);
    report_settings.guest_name = g_strdup(name);
}

/* The whole line goes out in one write, so that lines of different threads do not mix. */
static void report(const char *kind, const char *text)
{
    g_autoptr(GString) line = g_string_new(NULL);
    const char *at;
    size_t left;

    if (report_settings.timestamps) {
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");

        g_string_append_printf(line, "%s.%06dZ ", stamp, g_date_time_get_microsecond(now));
    }
    if (report_settings.guest_name) {
        g_string_append_printf(line, "%s ", report_settings.guest_name);
    }
    g_string_append_printf(line, "%s: %s%s\n",
                           report_settings.program ? report_settings.program : "vireo", kind, text);
    fflush(stdout);
    at = line->str;
    left = line->len;
    while (left > 0) {
        ssize_t n = write(STDERR_FILENO, at, left);

        if (n <= 0) {
            return; /* there is nowhere left to complain */
        }
        at += n;
        left -= n;
    }
}

#define REPORT_VA(kind, fmt)                                                                       \
    do {                                                                                           \
        va_list args;                                                                              \
        g_autofree char *text = NULL;                                                              \
        va_start(args, fmt);                                                                       \
        text = g_strdup_vprintf(fmt, args);                                                        \
        va_end(args);                                                                              \
        report(kind, text);                                                                        \
    } while (0)

void error_report(const char *fmt, ...)
{
    REPORT_VA("", fmt);
}

void warn_report(const char *fmt, ...)
{
    REPORT_VA("warning: ", fmt);
}

void info_report(const char *fmt, ...)
{
    REPORT_VA("info: ", fmt);
}

void error_report_err(GError *error)
{
    report("", error->message);
    g_error_free(error);
}
