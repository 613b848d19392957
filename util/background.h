/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going into the background, and pid files. Before other threads and loops exist (but for the pid
 * file, whose content is the process that writes it).
 */
#ifndef VIREO_UTIL_BACKGROUND_H
#define VIREO_UTIL_BACKGROUND_H

#include <glib.h>
#include <stdbool.h>

/*
 * Fork. The parent never returns: it ends with 0 when the child calls background_ready(), with 1 if
 * the child ends before. The child gets a session of its own, and in *ready_fd what
 * background_ready() wants.
 */
bool background_fork(int *ready_fd, GError **error);
/* Detach from the terminal, and let the waiting parent go. *ready_fd -1: nothing to do. */
void background_ready(int *ready_fd);

/*
 * Create and lock a pid file. It stays locked as long as the descriptor is open, that is until the
 * process ends; whoever holds it otherwise is named. -1 with the error set.
 */
int pid_file_create(const char *path, GError **error);

#endif
