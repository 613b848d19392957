/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that coroutines wait for by yielding. They are fair (first come, first served) and may be
 * used from coroutines of different loops. A lock in zeroed memory is ready for use.
 */
#ifndef VIREO_UTIL_CO_LOCK_H
#define VIREO_UTIL_CO_LOCK_H

#include <glib.h>
#include <stdbool.h>

#include "util/coroutine.h"

typedef struct CoMutex {
    GMutex guard;
    Coroutine *holder;
    GQueue waiters;
} CoMutex;

void co_mutex_init(CoMutex *mutex);
void co_mutex_cleanup(CoMutex *mutex);
/* In a coroutine; not recursive. */
void co_mutex_lock(CoMutex *mutex);
void co_mutex_unlock(CoMutex *mutex);
/* Does this coroutine hold it? */
bool co_mutex_held(CoMutex *mutex);

/* Coroutines waiting for something to become true, which `mutex` protects. */
typedef struct CoQueue {
    GQueue waiters;
} CoQueue;

/* Unlocks mutex, waits to be woken, locks it again. Look at the condition again afterwards. */
void co_queue_wait(CoQueue *queue, CoMutex *mutex);
/* With the mutex held. Returns false if nobody waited. */
bool co_queue_wake_one(CoQueue *queue);
void co_queue_wake_all(CoQueue *queue);
bool co_queue_is_empty(const CoQueue *queue);

/* Many readers or one writer. */
typedef struct CoRwlock {
    GMutex guard;
    int owners; /* readers, or -1 */
    GQueue waiters;
} CoRwlock;

void co_rwlock_init(CoRwlock *lock);
void co_rwlock_cleanup(CoRwlock *lock);
void co_rwlock_read_lock(CoRwlock *lock);
void co_rwlock_write_lock(CoRwlock *lock);
void co_rwlock_unlock(CoRwlock *lock);
/* Writer to reader, without letting another writer in between. */
void co_rwlock_downgrade(CoRwlock *lock);
/* Reader to writer; another writer may have been in between. */
void co_rwlock_upgrade(CoRwlock *lock);

#endif
