/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coroutine locks. Each has a GMutex that guards its few fields for a moment; waiting is done by
 * yielding. An unlock hands the lock to the first waiter, so nobody overtakes.
 */
#include "util/co-lock.h"

/* On the waiting coroutine's stack. */
typedef struct Waiter {
    Coroutine *co;
    bool write;
    GList link;
} Waiter;

static void waiter_push(GQueue *queue, Waiter *waiter, bool write)
{
    waiter->co = coroutine_current();
    waiter->write = write;
    waiter->link = (GList) { .data = waiter };
    g_queue_push_tail_link(queue, &waiter->link);
}

static Coroutine *waiter_pop(GQueue *queue)
{
    GList *link = g_queue_pop_head_link(queue);

    return link ? ((Waiter *)link->data)->co : NULL;
}

void co_mutex_init(CoMutex *mutex)
{
    *mutex = (CoMutex) { 0 };
    g_mutex_init(&mutex->guard);
}

void co_mutex_cleanup(CoMutex *mutex)
{
    g_assert(!mutex->holder);
    g_mutex_clear(&mutex->guard);
}

void co_mutex_lock(CoMutex *mutex)
{
    Waiter waiter;
    bool wait;

    g_assert(coroutine_current() && mutex->holder != coroutine_current());
    g_mutex_lock(&mutex->guard);
    wait = mutex->holder != NULL;
    if (wait) {
        waiter_push(&mutex->waiters, &waiter, true);
    } else {
        mutex->holder = coroutine_current();
    }
    g_mutex_unlock(&mutex->guard);
    if (wait) {
        coroutine_yield();
        g_assert(mutex->holder == coroutine_current());
    }
}

void co_mutex_unlock(CoMutex *mutex)
{
    Coroutine *next;

    g_assert(co_mutex_held(mutex));
    g_mutex_lock(&mutex->guard);
    next = waiter_pop(&mutex->waiters);
    mutex->holder = next;
    g_mutex_unlock(&mutex->guard);
    if (next) {
        coroutine_wake(next);
    }
}

bool co_mutex_held(CoMutex *mutex)
{
    return mutex->holder && mutex->holder == coroutine_current();
}

void co_queue_wait(CoQueue *queue, CoMutex *mutex)
{
    Waiter waiter;

    waiter_push(&queue->waiters, &waiter, false);
    co_mutex_unlock(mutex);
    coroutine_yield();
    co_mutex_lock(mutex);
}

bool co_queue_wake_one(CoQueue *queue)
{
    Coroutine *next = waiter_pop(&queue->waiters);

    if (next) {
        coroutine_wake(next);
    }
    return next != NULL;
}

void co_queue_wake_all(CoQueue *queue)
{
    while (co_queue_wake_one(queue)) {
    }
}

bool co_queue_is_empty(const CoQueue *queue)
{
    return queue->waiters.length == 0;
}

void co_rwlock_init(CoRwlock *lock)
{
    *lock = (CoRwlock) { 0 };
    g_mutex_init(&lock->guard);
}

void co_rwlock_cleanup(CoRwlock *lock)
{
    g_assert(lock->owners == 0);
    g_mutex_clear(&lock->guard);
}

static bool rwlock_try(CoRwlock *lock, bool write)
{
    if (write ? lock->owners != 0 : lock->owners < 0) {
        return false;
    }
    lock->owners = write ? -1 : lock->owners + 1;
    return true;
}

/* Let in whoever may come in now. Drops the guard. */
static void rwlock_admit_and_release(CoRwlock *lock)
{
    GQueue admitted = G_QUEUE_INIT;
    Coroutine *next;

    while (lock->waiters.head &&
           rwlock_try(lock, ((Waiter *)lock->waiters.head->data)->write)) {
        g_queue_push_tail_link(&admitted, g_queue_pop_head_link(&lock->waiters));
    }
    g_mutex_unlock(&lock->guard);
    while ((next = waiter_pop(&admitted))) {
        coroutine_wake(next);
    }
}

static void rwlock_lock(CoRwlock *lock, bool write)
{
    Waiter waiter;
    bool wait;

    g_mutex_lock(&lock->guard);
    wait = lock->waiters.head || !rwlock_try(lock, write);
    if (wait) {
        waiter_push(&lock->waiters, &waiter, write);
    }
    g_mutex_unlock(&lock->guard);
    if (wait) {
        coroutine_yield();
    }
}

void co_rwlock_read_lock(CoRwlock *lock)
{
    rwlock_lock(lock, false);
}

void co_rwlock_write_lock(CoRwlock *lock)
{
    rwlock_lock(lock, true);
}

void co_rwlock_unlock(CoRwlock *lock)
{
    g_mutex_lock(&lock->guard);
    g_assert(lock->owners != 0);
    lock->owners = lock->owners < 0 ? 0 : lock->owners - 1;
    rwlock_admit_and_release(lock);
}

void co_rwlock_downgrade(CoRwlock *lock)
{
    g_mutex_lock(&lock->guard);
    g_assert(lock->owners < 0);
    lock->owners = 1;
    rwlock_admit_and_release(lock);
}

void co_rwlock_upgrade(CoRwlock *lock)
{
    Waiter waiter;

    g_mutex_lock(&lock->guard);
    g_assert(lock->owners > 0);
    if (lock->owners == 1 && !lock->waiters.head) {
        lock->owners = -1;
        g_mutex_unlock(&lock->guard);
        return;
    }
    lock->owners--;
    waiter_push(&lock->waiters, &waiter, true);
    rwlock_admit_and_release(lock);
    coroutine_yield();
}
