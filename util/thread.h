/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of this process. Every thread that reads the memory tree must be an RCU reader; threads
 * made here are registered with liburcu (memb flavour) for their whole life and carry a name that
 * debuggers and `top -H` show.
 */
#ifndef VIREO_UTIL_THREAD_H
#define VIREO_UTIL_THREAD_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

/* Start a joinable thread. name is cut to 15 bytes. All signals are blocked in it. */
bool thread_create(pthread_t *thread, const char *name, void *(*fn)(void *), void *opaque,
                   GError **error);
/* Kernel thread id of the caller. */
int thread_current_tid(void);

#endif
