/* SPDX-License-Identifier: Apache-2.0 */
/* There is one VM in the process and this is its lock, hence the file-scope state. */
#include "util/vm-lock.h"

#include <sched.h>

/*
 * How often to look whether a waiter got in: longer than a wake-up takes, shorter than anyone sees.
 */
#define HAND_OVER_YIELDS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned waiters; /* atomic: threads that found it taken */
static unsigned entries; /* atomic: counts who got it */
static __thread bool held;

void vm_lock(void)
{
    g_assert(!held);
    if (pthread_mutex_trylock(&lock) != 0) {
        __atomic_fetch_add(&waiters, 1, __ATOMIC_RELAXED);
        pthread_mutex_lock(&lock);
        __atomic_fetch_sub(&waiters, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&entries, entries + 1, __ATOMIC_RELAXED);
    held = true;
}

void vm_unlock(void)
{
    g_assert(held);
    held = false;
    pthread_mutex_unlock(&lock);
}

void vm_unlock_to_others(void)
{
    unsigned before = entries;

    vm_unlock();
    for (int i = 0; i < HAND_OVER_YIELDS; i++) {
        if (__atomic_load_n(&waiters, __ATOMIC_RELAXED) == 0 ||
            __atomic_load_n(&entries, __ATOMIC_RELAXED) != before) {
            break;
        }
        sched_yield();
    }
}

bool vm_lock_held(void)
{
    return held;
}

void vm_lock_cond_wait(pthread_cond_t *cond)
{
    g_assert(held);
    held = false;
    pthread_cond_wait(cond, &lock);
    held = true;
}
