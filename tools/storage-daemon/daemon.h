/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vireo-storage-daemon: block nodes, and exports that serve them, controlled by QMP; no virtual
 * machine. Main thread.
 */
#ifndef VIREO_TOOLS_STORAGE_DAEMON_DAEMON_H
#define VIREO_TOOLS_STORAGE_DAEMON_DAEMON_H

#include <glib.h>
#include <stdbool.h>

typedef enum DaemonOptionResult {
    DAEMON_OPTION_OK,
    DAEMON_OPTION_HELP,   /* help was printed: end with success */
    DAEMON_OPTION_FAILED, /* the error is set */
} DaemonOptionResult;

/* What concerns the process; everything else takes effect option by option. */
typedef struct DaemonOptions {
    bool daemonize;
    const char *pidfile; /* borrowed from argv, or NULL */
} DaemonOptions;

/* First, before anything is made: help, version and what concerns the process. */
DaemonOptionResult daemon_options_scan(int argc, char **argv, DaemonOptions *options,
                                       GError **error);
/* Then: make what the options name, in their order. */
DaemonOptionResult daemon_options_apply(int argc, char **argv, GError **error);

#endif
