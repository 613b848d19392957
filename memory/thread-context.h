/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -object thread-context: a thread that lends others its place, the host CPUs it may run on. Memory
 * backends name one as prealloc-context. Its thread may be moved from outside as well; who makes
 * threads by it looks where it is then.
 */
#ifndef VIREO_MEMORY_THREAD_CONTEXT_H
#define VIREO_MEMORY_THREAD_CONTEXT_H

#include "qom/object.h"
#include "util/host-cpus.h"

#define TYPE_THREAD_CONTEXT "thread-context"
typedef struct ThreadContext ThreadContext;

/* Where its thread may run now. */
void thread_context_cpus(const ThreadContext *context, HostCpus *cpus);

#endif
