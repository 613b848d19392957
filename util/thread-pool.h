/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that would block a loop (name look-ups, file system calls) is done by a pool of threads, one
 * pool for the process. Threads are started as needed and end when they were idle for a while.
 */
#ifndef VIREO_UTIL_THREAD_POOL_H
#define VIREO_UTIL_THREAD_POOL_H

#include "util/loop.h"

/* Runs on a pool thread, without the VM lock. The result is passed on as it is. */
typedef int ThreadPoolWork(void *opaque);
/* Runs on the submitter's loop. */
typedef void ThreadPoolDone(int result, void *opaque);

/* Any thread. Work may begin in any order; it cannot be taken back. */
void thread_pool_submit(Loop *loop, ThreadPoolWork *work, ThreadPoolDone *done, void *opaque);
/* In a coroutine: yield until the work is done; returns its result. */
int thread_pool_run(ThreadPoolWork *work, void *opaque);

#endif
