/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace points. Each folder lists its own in a file trace-events, from which scripts/tracegen.py
 * makes "<folder>/trace.h" with one function trace_<event>() each. They are off until someone asks
 * (-trace, trace-event-set-state), and then write lines to the log.
 */
#ifndef VIREO_UTIL_TRACE_H
#define VIREO_UTIL_TRACE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct TracePoint {
    const char *name;
    uint8_t on;
} TracePoint;

/* For generated code: put the point's address into a linker section, where it is found by name. */
#define TRACE_POINT(point)                                                                         \
    static TracePoint *const point##_entry                                                         \
        __attribute__((used, retain, section("vireo_traces"))) = &(point)

static inline bool trace_is_on(const TracePoint *point)
{
    return G_UNLIKELY(__atomic_load_n(&point->on, __ATOMIC_RELAXED));
}

/* Any thread. */
void trace_emit(const TracePoint *point, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* Every trace point in the program whose name matches (* and ?; NULL: all), by name. */
void trace_foreach(const char *pattern, void (*fn)(TracePoint *point, void *opaque), void *opaque);
/*
 * Switch those that match. A name without * and ? that does not exist is an error, which names the
 * nearest.
 */
bool trace_set(const char *pattern, bool on, GError **error);
/*
 * The argument of -trace: "PATTERN" or "enable=PATTERN", "events=FILE" (a pattern a line, '-'
 * before those to switch off, '#' comments), "file=LOG", separated by commas.
 */
bool trace_option(const char *argument, GError **error);
/* All names, one a line, for -trace help. */
char *trace_help(void);

#endif
