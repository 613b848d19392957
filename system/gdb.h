/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's gdbstub: -gdb, -s, and the monitor's gdbserver. Main thread, VM lock held. */
#ifndef VIREO_SYSTEM_GDB_H
#define VIREO_SYSTEM_GDB_H

#include <glib.h>
#include <stdbool.h>

/*
 * Serve GDB on this character device, in the short form of -serial and its relatives; sockets are
 * servers that do not wait. "none" or NULL: stop serving. What was served before ends.
 */
bool gdb_server_start(const char *device, GError **error);
/* The machine ends. */
void gdb_server_cleanup(void);
/* The monitor's command. */
void gdb_hmp_register(void);

#endif
