/* SPDX-License-Identifier: Apache-2.0 */
/* iothread objects: a thread with an event loop, for devices that link to it. */
#ifndef VIREO_BACKENDS_IOTHREAD_H
#define VIREO_BACKENDS_IOTHREAD_H

#include "qom/object.h"
#include "util/host-cpus.h"
#include "util/loop.h"

#define TYPE_IOTHREAD "iothread"
typedef struct IoThread IoThread;

/* A reference, or NULL with the error set. */
IoThread *iothread_find(const char *id, GError **error);
/* Borrowed, as long as the iothread is referenced. */
Loop *iothread_loop(const IoThread *iothread);
/* The host's thread id. */
int iothread_tid(const IoThread *iothread);
/* Run it on these CPUs from now on; an empty set: wherever the process may. VM lock held. */
bool iothread_pin(IoThread *iothread, const HostCpus *cpus, GError **error);

#endif
