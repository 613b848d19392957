/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitors: the conversations by which people (HMP, lines of text) and programs (QMP, JSON)
 * control the machine. Any number of them, each on a character device, served by the main loop.
 *
 * A QMP session whose client enables `oob` moves to the monitor thread: that thread reads and
 * parses, runs what was sent with exec-oob at once, and queues the rest for the main thread.
 * Without such a client there is no thread.
 *
 * Nothing here knows devices or the accelerator: commands come as a table (the generated one), and
 * what only higher layers can tell people is registered with monitor/hmp.h.
 */
#ifndef VIREO_MONITOR_MONITOR_H
#define VIREO_MONITOR_MONITOR_H

#include <glib.h>
#include <stdbool.h>

#include "qapi/dispatch.h"

struct Chardev;

typedef struct Monitor Monitor;

/* Before any monitor is made. table is borrowed for ever; events go to sessions from now on. */
void monitor_init(const QapiCommandTable *table);
/* Close all monitors, having written what they still have to say. Main thread, at exit. */
void monitor_cleanup(void);

typedef enum MonitorKind {
    MONITOR_QMP,
    MONITOR_QMP_PRETTY, /* JSON over several lines */
    MONITOR_HMP,
} MonitorKind;

/* Open a monitor on chr (borrowed; fails if it has another user). Lives until monitor_cleanup(). */
bool monitor_new(MonitorKind kind, struct Chardev *chr, GError **error);

/*
 * -mon OPTIONS: {"chardev": ID, "mode": "readline|control", "pretty": bool}; text as keyval has it.
 */
bool monitor_new_from_options(json_object *options, bool text, GError **error);

/* The line of text that human-monitor-command and HMP sessions run; the output is the caller's. */
char *monitor_run_line(const char *line, int cpu_index, GError **error);

/*
 * A session's request is waiting for an answer that quit will prevent: write out all that is
 * buffered, for at most a second. Main thread.
 */
void monitor_flush_all(void);

/* The program's name and version, as query-version's `package` and `info version` show it. */
const char *monitor_package(void);

#endif
