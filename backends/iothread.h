/* SPDX-License-Identifier: Apache-2.0 */
/* -object iothread: a thread with a loop of its own, for devices that serve their queues off the main thread. */
#ifndef VIREO_BACKENDS_IOTHREAD_H
#define VIREO_BACKENDS_IOTHREAD_H

#include "qom/object.h"
#include "util/loop.h"

#define TYPE_IOTHREAD "iothread"

typedef struct IoThread IoThread;

/* Borrowed; lives as long as the object. */
Loop *iothread_loop(IoThread *iothread);
int iothread_tid(const IoThread *iothread);

#endif
