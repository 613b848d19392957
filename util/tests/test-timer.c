/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and timers: host time, guest time that stops, and guest time that a test moves by hand. */
#include "util/timer.h"

#include "util/thread.h"
#include "util/vm-lock.h"

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void quit_main(void *opaque)
{
    loop_quit(loop_main());
}

static void run_for_ms(int ms)
{
    Timer *timer = timer_new(loop_main(), VM_CLOCK_REALTIME, quit_main, NULL);

    timer_mod(timer, vm_clock_ns(VM_CLOCK_REALTIME) + ms * NS_PER_MS);
    loop_run(loop_main());
    timer_free(timer);
}

static void test_realtime(void)
{
    int64_t start = vm_clock_ns(VM_CLOCK_REALTIME);

    run_for_ms(20);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME) - start, >=, 20 * NS_PER_MS);
}

static void test_wall(void)
{
    int fired = 0;
    Timer *timer = timer_new(loop_main(), VM_CLOCK_HOST, count, &fired);

    g_assert_cmpint(vm_clock_ns(VM_CLOCK_HOST) / NS_PER_SEC, >=, g_get_real_time() / 1000000 - 2);
    timer_mod(timer, vm_clock_ns(VM_CLOCK_HOST) + NS_PER_MS);
    run_for_ms(20);
    g_assert_cmpint(fired, ==, 1);
    timer_free(timer);
}

static void test_arm(void)
{
    int fired = 0;
    Timer *timer = timer_new(loop_main(), VM_CLOCK_REALTIME, count, &fired);

    g_assert_false(timer_pending(timer));
    g_assert_cmpint(timer_expire_ns(timer), ==, -1);
    timer_mod(timer, 12345);
    g_assert_true(timer_pending(timer));
    g_assert_cmpint(timer_expire_ns(timer), ==, 12345);
    timer_del(timer);
    timer_del(timer);
    g_assert_false(timer_pending(timer));
    loop_iterate(loop_main(), false);
    g_assert_cmpint(fired, ==, 0);
    timer_mod(timer, -5); /* long ago */
    loop_iterate(loop_main(), true);
    g_assert_cmpint(fired, ==, 1);
    g_assert_false(timer_pending(timer));
    timer_free(timer);
    timer_free(NULL);
}

typedef struct Many {
    int64_t last;
    int fired;
    Timer *timers[500];
} Many;

typedef struct One {
    Many *many;
    int64_t when;
} One;

static void check_order(void *opaque)
{
    One *one = opaque;

    g_assert_cmpint(one->when, >=, one->many->last);
    one->many->last = one->when;
    one->many->fired++;
}

static void test_heap(void)
{
    g_autofree Many *many = g_new0(Many, 1);
    g_autofree One *ones = g_new0(One, G_N_ELEMENTS(many->timers));
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    int expected = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(many->timers); i++) {
        ones[i] = (One) { .many = many };
        many->timers[i] = timer_new(loop_main(), VM_CLOCK_REALTIME, check_order, &ones[i]);
    }
    for (int round = 0; round < 5000; round++) {
        size_t i = (size_t)g_rand_int_range(rand, 0, G_N_ELEMENTS(many->timers));

        if (g_rand_boolean(rand)) {
            ones[i].when = g_rand_int_range(rand, 1, 1000);
            timer_mod(many->timers[i], ones[i].when);
        } else {
            timer_del(many->timers[i]);
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(many->timers); i++) {
        expected += timer_pending(many->timers[i]);
    }
    loop_iterate(loop_main(), true);
    g_assert_cmpint(many->fired, ==, expected);
    for (size_t i = 0; i < G_N_ELEMENTS(many->timers); i++) {
        timer_free(many->timers[i]);
    }
}

typedef struct Rearm {
    Timer *timer;
    int fired;
} Rearm;

static void rearm_now(void *opaque)
{
    Rearm *rearm = opaque;

    rearm->fired++;
    timer_mod(rearm->timer, 0);
}

static void test_rearm(void)
{
    Rearm rearm = { 0 };

    /* One round of the loop runs it once, however late it is. */
    rearm.timer = timer_new(loop_main(), VM_CLOCK_REALTIME, rearm_now, &rearm);
    timer_mod(rearm.timer, 0);
    loop_iterate(loop_main(), false);
    g_assert_cmpint(rearm.fired, ==, 1);
    loop_iterate(loop_main(), false);
    g_assert_cmpint(rearm.fired, ==, 2);
    timer_free(rearm.timer);
}

static void free_self(void *opaque)
{
    Rearm *rearm = opaque;

    rearm->fired++;
    timer_free(rearm->timer);
}

static void test_free_in_callback(void)
{
    Rearm rearm = { 0 };

    rearm.timer = timer_new(loop_main(), VM_CLOCK_REALTIME, free_self, &rearm);
    timer_mod(rearm.timer, 0);
    loop_iterate(loop_main(), true);
    g_assert_cmpint(rearm.fired, ==, 1);
}

static void *mod_soon(void *opaque)
{
    g_usleep(10000);
    timer_mod(opaque, vm_clock_ns(VM_CLOCK_REALTIME));
    return NULL;
}

static void test_mod_wakes(void)
{
    Timer *timer = timer_new(loop_main(), VM_CLOCK_REALTIME, quit_main, NULL);
    int64_t start = vm_clock_ns(VM_CLOCK_REALTIME);
    pthread_t thread;

    timer_mod(timer, start + 60 * NS_PER_SEC);
    g_assert_true(thread_create(&thread, "mod", mod_soon, timer, NULL));
    loop_run(loop_main());
    pthread_join(thread, NULL);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME) - start, <, 10 * NS_PER_SEC);
    timer_free(timer);
}

static void *run_loop(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static void quit_loop(void *opaque)
{
    loop_quit(opaque);
}

static void test_thread_loop(void)
{
    Loop *loop = loop_new(NULL);
    Timer *timer = timer_new(loop, VM_CLOCK_REALTIME, quit_loop, loop);
    int64_t start = vm_clock_ns(VM_CLOCK_REALTIME);
    pthread_t thread;

    g_assert_true(thread_create(&thread, "timer", run_loop, loop, NULL));
    timer_mod(timer, start + 5 * NS_PER_MS);
    pthread_join(thread, NULL);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME) - start, >=, 5 * NS_PER_MS);
    timer_free(timer);
    loop_free(loop);
}

static void test_virtual(void)
{
    int fired = 0;
    Timer *timer = timer_new_virtual(count, &fired);
    int64_t t;

    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, 0); /* not started */
    timer_mod(timer, 2 * NS_PER_MS);
    g_assert_cmpint(vm_clock_deadline(), ==, 2 * NS_PER_MS);
    run_for_ms(10);
    g_assert_cmpint(fired, ==, 0);
    vm_clock_start();
    run_for_ms(20);
    g_assert_cmpint(fired, ==, 1);
    g_assert_cmpint(vm_clock_deadline(), ==, -1);
    vm_clock_stop();
    vm_clock_stop();
    t = vm_clock_ns(VM_CLOCK_VIRTUAL);
    g_assert_cmpint(t, >=, 20 * NS_PER_MS - NS_PER_MS);
    timer_mod(timer, t + NS_PER_US);
    run_for_ms(5);
    g_assert_cmpint(fired, ==, 1);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, t);
    vm_clock_set_ns(7 * NS_PER_SEC);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, 7 * NS_PER_SEC);
    vm_clock_start();
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), >=, 7 * NS_PER_SEC);
    run_for_ms(1);
    g_assert_cmpint(fired, ==, 2);
    timer_free(timer);
    vm_clock_stop();
}

typedef struct Periodic {
    Timer *timer;
    int64_t period;
    int64_t next;
    int fired;
} Periodic;

static void tick(void *opaque)
{
    Periodic *p = opaque;

    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, p->next);
    p->fired++;
    p->next += p->period;
    timer_mod(p->timer, p->next);
}

static void test_manual(void)
{
    int64_t base;
    Periodic fast = { .period = 7 * NS_PER_US };
    Periodic slow = { .period = NS_PER_MS };
    Rearm stuck = { 0 };

    vm_lock();
    vm_clock_set_manual();
    vm_clock_start();
    base = vm_clock_ns(VM_CLOCK_VIRTUAL);
    g_usleep(2000);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, base);
    fast.timer = timer_new_virtual(tick, &fast);
    slow.timer = timer_new_virtual(tick, &slow);
    timer_mod(fast.timer, fast.next = base + fast.period);
    timer_mod(slow.timer, slow.next = base + slow.period);
    vm_clock_advance_to(base + 7 * NS_PER_MS);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, base + 7 * NS_PER_MS);
    g_assert_cmpint(fast.fired, ==, 1000);
    g_assert_cmpint(slow.fired, ==, 7);
    vm_clock_advance_to(base); /* time does not run backwards */
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, base + 7 * NS_PER_MS);
    timer_free(fast.timer);
    timer_free(slow.timer);
    /* A timer that is always late does not stop the clock. */
    stuck.timer = timer_new_virtual(rearm_now, &stuck);
    timer_mod(stuck.timer, 0);
    vm_clock_advance_to(base + 8 * NS_PER_MS);
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_VIRTUAL), ==, base + 8 * NS_PER_MS);
    timer_free(stuck.timer);
    vm_unlock();
}

static void test_muldiv(void)
{
    g_assert_cmpuint(muldiv64(UINT64_MAX, UINT64_MAX, UINT64_MAX), ==, UINT64_MAX);
    g_assert_cmpuint(muldiv64(UINT64_MAX, 2, 1), ==, UINT64_MAX);
    g_assert_cmpuint(muldiv64(1193182, NS_PER_SEC, 1193182), ==, NS_PER_SEC);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/timer/realtime", test_realtime);
    g_test_add_func("/timer/wall", test_wall);
    g_test_add_func("/timer/arm", test_arm);
    g_test_add_func("/timer/heap", test_heap);
    g_test_add_func("/timer/rearm", test_rearm);
    g_test_add_func("/timer/free-in-callback", test_free_in_callback);
    g_test_add_func("/timer/mod-wakes", test_mod_wakes);
    g_test_add_func("/timer/thread-loop", test_thread_loop);
    g_test_add_func("/timer/virtual", test_virtual);
    g_test_add_func("/timer/manual", test_manual);
    g_test_add_func("/timer/muldiv", test_muldiv);
    return g_test_run();
}
