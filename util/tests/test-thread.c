/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, the VM lock and RCU. */
#include "util/thread.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "util/loop.h"
#include "util/rcu.h"
#include "util/timer.h"
#include "util/vm-lock.h"

static void *look_around(void *opaque)
{
    char *name = opaque;
    sigset_t blocked;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    g_assert_true(sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGALRM));
    pthread_getname_np(pthread_self(), name, 16);
    {
        RCU_READ_GUARD();

        g_assert_true(rcu_read_ongoing());
    }
    g_assert_false(rcu_read_ongoing());
    return name;
}

static void test_thread(void)
{
    g_autoptr(GError) error = NULL;
    char name[16];
    pthread_t thread;
    sigset_t blocked;
    void *result;

    g_assert_true(thread_create(&thread, "a name that is too long", look_around, name, &error));
    pthread_join(thread, &result);
    g_assert_true(result == name);
    g_assert_cmpstr(name, ==, "a name that is ");
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    g_assert_false(sigismember(&blocked, SIGINT));
    g_assert_cmpint(thread_current_tid(), ==, getpid());
}

typedef struct Shared {
    pthread_cond_t cond;
    bool ready;
    int value;
    int *pointer; /* RCU */
    bool stop;    /* atomic */
} Shared;

static void *wait_ready(void *opaque)
{
    Shared *s = opaque;

    vm_lock();
    while (!s->ready) {
        vm_lock_cond_wait(&s->cond);
        g_assert_true(vm_lock_held());
    }
    s->value = 1;
    vm_unlock();
    return NULL;
}

static void test_cond(void)
{
    Shared s = { .cond = PTHREAD_COND_INITIALIZER };
    pthread_t thread;

    g_assert_true(thread_create(&thread, "waiter", wait_ready, &s, NULL));
    g_usleep(5000);
    {
        VM_LOCK_GUARD();

        s.ready = true;
        pthread_cond_broadcast(&s.cond);
        {
            g_auto(VmLockGuard) inner = vm_lock_guard_enter(); /* held already */

            g_assert_false(inner.taken);
        }
        g_assert_true(vm_lock_held());
    }
    g_assert_false(vm_lock_held());
    pthread_join(thread, NULL);
    g_assert_cmpint(s.value, ==, 1);
}

#define ENTRIES 2000

static void busy(int64_t ns)
{
    int64_t until = vm_clock_ns(VM_CLOCK_REALTIME) + ns;

    while (vm_clock_ns(VM_CLOCK_REALTIME) < until) {
    }
}

static void *enter_often(void *opaque)
{
    for (int i = 0; i < ENTRIES; i++) {
        busy(20 * NS_PER_US); /* the guest runs */
        vm_lock();
        vm_unlock();
    }
    __atomic_store_n((bool *)opaque, true, __ATOMIC_RELEASE);
    return NULL;
}

static void again(void *opaque)
{
    busy(50 * NS_PER_US);
    loop_bh_schedule(*(LoopBh **)opaque);
}

/* A main loop that never sleeps must let the vCPUs in all the same. */
static void test_busy_main_loop(void)
{
    LoopBh *bh = NULL;
    bool done = false;
    int64_t start = vm_clock_ns(VM_CLOCK_REALTIME);
    pthread_t thread;

    bh = loop_bh_new(loop_main(), again, &bh);
    loop_bh_schedule(bh);
    vm_lock();
    g_assert_true(thread_create(&thread, "vcpu", enter_often, &done, NULL));
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        loop_iterate(loop_main(), true);
    }
    vm_unlock();
    pthread_join(thread, NULL);
    loop_bh_free(bh);
    g_test_message("%d entries in %d us", ENTRIES,
                   (int)((vm_clock_ns(VM_CLOCK_REALTIME) - start) / NS_PER_US));
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME) - start, <, 20 * NS_PER_SEC);
}

static void *read_pointer(void *opaque)
{
    Shared *s = opaque;

    while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
        RCU_READ_GUARD();

        g_assert_cmpint(*rcu_dereference(s->pointer), ==, 42);
    }
    return NULL;
}

static void test_rcu(void)
{
    Shared s = { .pointer = g_new(int, 1) };
    pthread_t thread;

    *s.pointer = 42;
    g_assert_true(thread_create(&thread, "reader", read_pointer, &s, NULL));
    for (int i = 0; i < 200; i++) {
        int *old = s.pointer;
        int *fresh = g_new(int, 1);

        *fresh = 42;
        rcu_assign_pointer(s.pointer, fresh);
        synchronize_rcu();
        *old = -1;
        g_free(old);
    }
    __atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    g_free(s.pointer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/thread/create", test_thread);
    g_test_add_func("/vm-lock/cond", test_cond);
    g_test_add_func("/vm-lock/busy-main-loop", test_busy_main_loop);
    g_test_add_func("/rcu", test_rcu);
    return g_test_run();
}
