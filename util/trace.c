/* SPDX-License-Identifier: Apache-2.0 */
/* Finding, switching and printing trace points. */
#include "util/trace.h"

#include <string.h>

#include "util/error.h"
#include "util/log.h"

/* Made by the linker; absent in a program without trace points. */
extern TracePoint *const __start_vireo_traces[] __attribute__((weak));
extern TracePoint *const __stop_vireo_traces[] __attribute__((weak));

void trace_emit(const TracePoint *point, const char *fmt, ...)
{
    gint64 now = g_get_real_time();
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, fmt);
    text = g_strdup_vprintf(fmt, args);
    va_end(args);
    log_write("%" G_GINT64_FORMAT ".%06d %s %s", now / G_USEC_PER_SEC, (int)(now % G_USEC_PER_SEC),
              point->name, text);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(TracePoint *const *)a)->name, (*(TracePoint *const *)b)->name);
}

static GPtrArray *sorted_points(void)
{
    GPtrArray *points = g_ptr_array_new();

    for (TracePoint *const *at = __start_vireo_traces; at < __stop_vireo_traces; at++) {
        g_ptr_array_add(points, *at);
    }
    g_ptr_array_sort(points, compare_names);
    return points;
}

void trace_foreach(const char *pattern, void (*fn)(TracePoint *point, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) points = sorted_points();

    for (guint i = 0; i < points->len; i++) {
        TracePoint *point = g_ptr_array_index(points, i);

        if (!pattern || g_pattern_match_simple(pattern, point->name)) {
            fn(point, opaque);
        }
    }
}

typedef struct Switch {
    bool on;
    bool any;
} Switch;

static void switch_point(TracePoint *point, void *opaque)
{
    Switch *change = opaque;

    change->any = true;
    __atomic_store_n(&point->on, change->on, __ATOMIC_RELAXED);
}

static void add_name(TracePoint *point, void *opaque)
{
    g_ptr_array_add(opaque, (void *)point->name);
}

bool trace_set(const char *pattern, bool on, GError **error)
{
    Switch change = { .on = on };

    trace_foreach(pattern, switch_point, &change);
    if (!change.any && !strpbrk(pattern, "*?")) {
        g_autoptr(GPtrArray) names = g_ptr_array_new();

        error_setf(error, "there is no trace event '%s'", pattern);
        trace_foreach(NULL, add_name, names);
        g_ptr_array_add(names, NULL);
        error_append_nearest(error, pattern, (const char *const *)names->pdata);
        return false;
    }
    return true;
}

static bool read_events(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GError) reason = NULL;

    if (!g_file_get_contents(path, &text, NULL, &reason)) {
        error_setf(error, "cannot read trace events: %s", reason->message);
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *word = g_strstrip(*line);
        bool off = *word == '-';

        if (*word != '\0' && *word != '#' && !trace_set(word + off, !off, error)) {
            g_prefix_error(error, "%s: ", path);
            return false;
        }
    }
    return true;
}

bool trace_option(const char *argument, GError **error)
{
    g_auto(GStrv) words = g_strsplit(argument, ",", -1);

    for (char **word = words; *word; word++) {
        bool ok;

        if (g_str_has_prefix(*word, "events=")) {
            ok = read_events(*word + strlen("events="), error);
        } else if (g_str_has_prefix(*word, "file=")) {
            ok = log_set_file(*word + strlen("file="), error);
        } else if (g_str_has_prefix(*word, "enable=")) {
            ok = trace_set(*word + strlen("enable="), true, error);
        } else {
            ok = trace_set(*word, true, error);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void add_line(TracePoint *point, void *opaque)
{
    g_string_append_printf(opaque, "%s\n", point->name);
}

char *trace_help(void)
{
    GString *text = g_string_new(NULL);

    trace_foreach(NULL, add_line, text);
    return g_string_free(text, FALSE);
}
