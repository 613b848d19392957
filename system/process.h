/* SPDX-License-Identifier: Apache-2.0 */
/* The process around the machine: signals, background, pid file, names. Main thread. */
#ifndef VIREO_SYSTEM_PROCESS_H
#define VIREO_SYSTEM_PROCESS_H

#include "system/options.h"

/*
 * -daemonize: fork; the parent waits and exits with 0 once the child calls process_ready(), or 1
 * if it dies before. Returns in the child only.
 */
bool process_daemonize(GError **error);
/* The machine is ready: let the waiting parent go, detach from the terminal. */
void process_ready(void);
/* Create and lock the pid file; it is removed at exit. */
bool process_write_pidfile(const char *path, GError **error);
/* SIGINT, SIGTERM and SIGHUP shut the machine down; SIGPIPE is ignored. */
bool process_handle_signals(GError **error);
/* -name process=, debug-threads=. -msg. -run-with chroot=. -overcommit mem-lock=. */
bool process_apply_settings(const VmOptions *options, GError **error);
void process_cleanup(void);

#endif
