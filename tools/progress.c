/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/progress.h"

#include <glib-unix.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/parse.h"

#define TERMINAL_INTERVAL_US 200000
#define JSON_INTERVAL_US 1000000
/* Percents are printed when they have grown by so much. */
#define PERCENT_STEP 1.0
#define COLUMNS 79

static double percent(const Progress *p)
{
    return p->total > 0 ? 100.0 * p->done / p->total : 100.0;
}

static double seconds_passed(const Progress *p)
{
    return (g_get_monotonic_time() - p->began_us) / 1e6;
}

/* Bytes a second since the beginning; 0: too early to tell. */
static double rate(const Progress *p)
{
    double seconds = seconds_passed(p);

    return seconds > 0.05 ? (p->done - p->skipped) / seconds : 0;
}

/* Seconds, or -1 if nobody knows. */
static int64_t time_left(const Progress *p)
{
    double speed = rate(p);

    return speed > 0 ? (int64_t)((p->total - p->done) / speed + 0.5) : -1;
}

static char *time_text(int64_t seconds)
{
    if (seconds < 0) {
        return g_strdup("--:--");
    }
    return seconds < 3600
               ? g_strdup_printf("%02d:%02d", (int)(seconds / 60), (int)(seconds % 60))
               : g_strdup_printf("%" PRId64 ":%02d:%02d", seconds / 3600,
                                 (int)(seconds / 60 % 60), (int)(seconds % 60));
}

static char *line(const Progress *p)
{
    g_autofree char *done = format_size(p->done);
    g_autofree char *total = format_size(p->total);
    g_autofree char *speed = format_size(rate(p));
    g_autofree char *left = time_text(time_left(p));

    return g_strdup_printf("%s: %5.1f %%, %s of %s, %s/s, %s left", p->what, percent(p), done,
                           total, speed, left);
}

static void print_terminal(const Progress *p)
{
    g_autofree char *text = line(p);

    fprintf(stderr, "\r%-*s", COLUMNS, text);
    fflush(stderr);
}

static void print_percent(const Progress *p)
{
    printf("    (%3.2f/100%%)\r", percent(p));
    fflush(stdout);
}

static void print_json(const Progress *p, const char *status)
{
    json_object *json = json_object_new_object();

    json_object_object_add(json, "command", json_object_new_string(p->what));
    json_object_object_add(json, "status", json_object_new_string(status));
    json_object_object_add(json, "done", json_object_new_int64(p->done));
    json_object_object_add(json, "total", json_object_new_int64(p->total));
    json_object_object_add(json, "elapsed-ms", json_object_new_int64(seconds_passed(p) * 1000));
    json_object_object_add(json, "bytes-per-second", json_object_new_int64(rate(p)));
    if (time_left(p) >= 0) {
        json_object_object_add(json, "seconds-left", json_object_new_int64(time_left(p)));
    }
    printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(json);
}

static bool is_due(const Progress *p, int64_t interval_us)
{
    return g_get_monotonic_time() - p->printed_us >= interval_us;
}

static void show(Progress *p)
{
    if (p->style == PROGRESS_JSON) {
        if (!is_due(p, JSON_INTERVAL_US)) {
            return;
        }
        print_json(p, "running");
    } else if (p->on_terminal) {
        if (!is_due(p, TERMINAL_INTERVAL_US)) {
            return;
        }
        print_terminal(p);
    } else if (p->style == PROGRESS_PERCENT) {
        if (percent(p) - p->printed_percent < PERCENT_STEP) {
            return;
        }
        print_percent(p);
        p->printed_percent = percent(p);
    }
    p->printed_us = g_get_monotonic_time();
}

/* ---- Signals ---- */

static gboolean on_usr1(gpointer opaque)
{
    g_autofree char *text = line(opaque);

    fprintf(stderr, "%s\n", text);
    return G_SOURCE_CONTINUE;
}

/* The next one finds the default action. */
static gboolean on_stop(gpointer opaque)
{
    Progress *p = opaque;

    p->cancelled = true;
    for (unsigned i = 1; i < G_N_ELEMENTS(p->signals); i++) {
        if (p->signals[i]) {
            g_source_remove(p->signals[i]);
            p->signals[i] = 0;
        }
    }
    return G_SOURCE_CONTINUE;
}

/* ---- Life ---- */

void progress_begin(Progress *p, const char *what, ProgressStyle style, int64_t total)
{
    *p = (Progress){ .what = what, .style = style, .total = total };
    p->on_terminal = (style == PROGRESS_AUTO || style == PROGRESS_PERCENT) && isatty(STDERR_FILENO);
    p->began_us = p->printed_us = g_get_monotonic_time();
    p->signals[0] = g_unix_signal_add(SIGUSR1, on_usr1, p);
    p->signals[1] = g_unix_signal_add(SIGINT, on_stop, p);
    p->signals[2] = g_unix_signal_add(SIGTERM, on_stop, p);
    if (style == PROGRESS_PERCENT && !p->on_terminal) {
        print_percent(p);
    }
}

void progress_skip(Progress *p, int64_t bytes)
{
    p->skipped += bytes;
    p->done += bytes;
}

void progress_advance(Progress *p, int64_t bytes)
{
    p->done += bytes;
    show(p);
}

void progress_set(void *opaque, int64_t done, int64_t total)
{
    Progress *p = opaque;

    p->done = done;
    p->total = total;
    show(p);
}

void progress_end(Progress *p, ProgressEnd end)
{
    static const char *const words[] = {
        [PROGRESS_COMPLETED] = "completed", [PROGRESS_FAILED] = "failed",
        [PROGRESS_CANCELLED] = "cancelled",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(p->signals); i++) {
        if (p->signals[i]) {
            g_source_remove(p->signals[i]);
        }
    }
    if (end == PROGRESS_COMPLETED) {
        p->done = p->total;
    }
    if (p->style == PROGRESS_JSON) {
        print_json(p, words[end]);
    } else if (p->on_terminal) {
        fprintf(stderr, "\r%*s\r", COLUMNS, "");
    } else if (p->style == PROGRESS_PERCENT) {
        print_percent(p);
        printf("\n");
    }
}
