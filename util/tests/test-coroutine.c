/* SPDX-License-Identifier: Apache-2.0 */
/* Coroutines, their locks and waits. */
#include "util/coroutine.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/co-lock.h"
#include "util/thread.h"

typedef struct Steps {
    GString *text;
    Coroutine *co;
} Steps;

static void three_steps(void *opaque)
{
    Steps *steps = opaque;

    g_assert_true(coroutine_current() == steps->co);
    for (char c = '1'; c <= '3'; c++) {
        g_string_append_c(steps->text, c);
        coroutine_yield();
    }
    g_string_append_c(steps->text, '.');
}

static void test_yield(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Steps steps = { .text = text };

    g_assert_null(coroutine_current());
    steps.co = coroutine_new(three_steps, &steps);
    for (int i = 0; i < 4; i++) {
        g_string_append_c(text, 'm');
        coroutine_enter(steps.co);
    }
    g_assert_cmpstr(text->str, ==, "m1m2m3m.");
    g_assert_null(coroutine_current());
}

static void nest(void *opaque)
{
    int *depth = opaque;

    if (--*depth > 0) {
        coroutine_start(nest, depth);
    }
}

static void test_nested(void)
{
    int depth = 100;

    coroutine_start(nest, &depth);
    g_assert_cmpint(depth, ==, 0);
}

static void use_stack(void *opaque)
{
    volatile char big[512 * 1024];
    double sum = 0;

    memset((char *)big, 1, sizeof(big));
    for (size_t i = 0; i < sizeof(big); i += 4096) {
        sum += big[i] * 0.5;
        if (i % 65536 == 0) {
            coroutine_yield();
        }
    }
    *(double *)opaque = sum;
}

static void test_stack(void)
{
    double results[20] = { 0 };
    Coroutine *cos[G_N_ELEMENTS(results)];

    for (size_t i = 0; i < G_N_ELEMENTS(cos); i++) {
        cos[i] = coroutine_new(use_stack, &results[i]);
    }
    for (int round = 0; round < 9; round++) {
        for (size_t i = 0; i < G_N_ELEMENTS(cos); i++) {
            coroutine_enter(cos[i]);
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(cos); i++) {
        g_assert_cmpfloat(results[i], ==, 64.0);
    }
}

static void once(void *opaque)
{
    ++*(int *)opaque;
}

static void test_many(void)
{
    int runs = 0;

    for (int i = 0; i < 100000; i++) {
        coroutine_start(once, &runs);
    }
    g_assert_cmpint(runs, ==, 100000);
}

static void sleeper(void *opaque)
{
    int64_t start = vm_clock_ns(VM_CLOCK_REALTIME);

    coroutine_sleep(VM_CLOCK_REALTIME, 3 * NS_PER_MS);
    *(int64_t *)opaque = vm_clock_ns(VM_CLOCK_REALTIME) - start;
}

static void test_sleep(void)
{
    int64_t slept = 0;

    coroutine_run(sleeper, &slept);
    g_assert_cmpint(slept, >=, 3 * NS_PER_MS);
}

typedef struct Pipe {
    int fd[2];
    size_t received;
    int running;
} Pipe;

#define PIPE_TOTAL 1000000

static void pipe_reader(void *opaque)
{
    Pipe *p = opaque;
    char buf[4096];
    ssize_t n;

    while ((n = read(p->fd[0], buf, sizeof(buf))) != 0) {
        if (n < 0) {
            coroutine_wait_readable(p->fd[0]);
        } else {
            p->received += (size_t)n;
        }
    }
    p->running--;
}

static void pipe_writer(void *opaque)
{
    Pipe *p = opaque;
    g_autofree char *data = g_malloc0(PIPE_TOTAL);
    size_t sent = 0;

    while (sent < PIPE_TOTAL) {
        ssize_t n = write(p->fd[1], data + sent, PIPE_TOTAL - sent);

        if (n < 0) {
            coroutine_wait_writable(p->fd[1]);
        } else {
            sent += (size_t)n;
        }
    }
    close(p->fd[1]);
    p->running--;
}

static void test_wait_fd(void)
{
    Pipe p = { .running = 2 };

    g_assert_cmpint(pipe2(p.fd, O_NONBLOCK | O_CLOEXEC), ==, 0);
    coroutine_start(pipe_reader, &p);
    coroutine_start(pipe_writer, &p);
    while (p.running) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpuint(p.received, ==, PIPE_TOTAL);
    close(p.fd[0]);
}

typedef struct LoopThread {
    Loop *loop;
    pthread_t thread;
} LoopThread;

static void *run_loop(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static void loop_thread_start(LoopThread *t)
{
    t->loop = loop_new(NULL);
    g_assert_true(thread_create(&t->thread, "loop", run_loop, t->loop, NULL));
}

static void loop_thread_stop(LoopThread *t)
{
    loop_quit(t->loop);
    pthread_join(t->thread, NULL);
    loop_free(t->loop);
}

typedef struct Wander {
    LoopThread threads[3];
    int hops;
} Wander;

static void wander(void *opaque)
{
    Wander *w = opaque;

    for (int i = 0; i < 300; i++) {
        Loop *loop = w->threads[i % 3].loop;

        coroutine_move(loop);
        g_assert_true(loop_current() == loop);
        g_assert_true(coroutine_loop(coroutine_current()) == loop);
        w->hops++;
    }
    coroutine_move(loop_main());
    g_assert_true(loop_in_main_thread());
}

static void test_move(void)
{
    Wander w = { 0 };

    for (int i = 0; i < 3; i++) {
        loop_thread_start(&w.threads[i]);
    }
    coroutine_run(wander, &w);
    g_assert_cmpint(w.hops, ==, 300);
    for (int i = 0; i < 3; i++) {
        loop_thread_stop(&w.threads[i]);
    }
}

/* Coroutines on several threads add to one number under a lock, with a yield inside. */
typedef struct Shared {
    CoMutex mutex;
    CoRwlock rwlock;
    CoQueue queue;
    int value;
    int copy;
    int running; /* atomic */
    bool ready;
} Shared;

#define ADDERS 8
#define ROUNDS 200

static void adder(void *opaque)
{
    Shared *s = opaque;

    for (int i = 0; i < ROUNDS; i++) {
        int before;

        co_mutex_lock(&s->mutex);
        g_assert_true(co_mutex_held(&s->mutex));
        before = s->value;
        if (i % 10 == 0) {
            coroutine_sleep(VM_CLOCK_REALTIME, NS_PER_US);
        }
        s->value = before + 1;
        co_mutex_unlock(&s->mutex);
    }
    __atomic_sub_fetch(&s->running, 1, __ATOMIC_SEQ_CST);
}

static void start_adder(void *opaque)
{
    coroutine_start(adder, opaque);
}

static void wait_for(Shared *s)
{
    while (__atomic_load_n(&s->running, __ATOMIC_SEQ_CST)) {
        loop_iterate(loop_main(), false);
    }
}

static void test_mutex(void)
{
    LoopThread threads[2];
    Shared s = { .running = ADDERS };

    co_mutex_init(&s.mutex);
    for (int i = 0; i < 2; i++) {
        loop_thread_start(&threads[i]);
    }
    for (int i = 0; i < ADDERS; i++) {
        loop_post(i % 4 == 3 ? loop_main() : threads[i % 2].loop, start_adder, &s);
    }
    wait_for(&s);
    for (int i = 0; i < 2; i++) {
        loop_thread_stop(&threads[i]);
    }
    g_assert_cmpint(s.value, ==, ADDERS * ROUNDS);
    co_mutex_cleanup(&s.mutex);
}

static void queue_waiter(void *opaque)
{
    Shared *s = opaque;

    co_mutex_lock(&s->mutex);
    while (!s->ready) {
        co_queue_wait(&s->queue, &s->mutex);
    }
    s->value++;
    co_mutex_unlock(&s->mutex);
    s->running--;
}

static void queue_waker(void *opaque)
{
    Shared *s = opaque;

    co_mutex_lock(&s->mutex);
    g_assert_true(co_queue_wake_one(&s->queue)); /* for nothing: it waits again */
    co_mutex_unlock(&s->mutex);
    coroutine_sleep(VM_CLOCK_REALTIME, NS_PER_MS);
    co_mutex_lock(&s->mutex);
    g_assert_cmpint(s->value, ==, 0);
    s->ready = true;
    co_queue_wake_all(&s->queue);
    co_mutex_unlock(&s->mutex);
    s->running--;
}

static void test_queue(void)
{
    Shared s = { .running = 4 };

    co_mutex_init(&s.mutex);
    for (int i = 0; i < 3; i++) {
        coroutine_start(queue_waiter, &s);
    }
    g_assert_false(co_queue_is_empty(&s.queue));
    coroutine_start(queue_waker, &s);
    wait_for(&s);
    g_assert_cmpint(s.value, ==, 3);
    g_assert_true(co_queue_is_empty(&s.queue));
    co_mutex_cleanup(&s.mutex);
}

static void rw_writer(void *opaque)
{
    Shared *s = opaque;

    for (int i = 0; i < 100; i++) {
        co_rwlock_write_lock(&s->rwlock);
        s->value++;
        coroutine_sleep(VM_CLOCK_REALTIME, NS_PER_US);
        s->copy++;
        if (i % 2) {
            co_rwlock_downgrade(&s->rwlock);
            g_assert_cmpint(s->value, ==, s->copy);
        }
        co_rwlock_unlock(&s->rwlock);
    }
    s->running--;
}

static void rw_reader(void *opaque)
{
    Shared *s = opaque;

    for (int i = 0; i < 100; i++) {
        int seen;

        co_rwlock_read_lock(&s->rwlock);
        g_assert_cmpint(s->value, ==, s->copy);
        seen = s->value;
        coroutine_sleep(VM_CLOCK_REALTIME, NS_PER_US);
        g_assert_cmpint(s->value, ==, seen);
        if (i % 10 == 0) {
            co_rwlock_upgrade(&s->rwlock);
            s->value++;
            coroutine_sleep(VM_CLOCK_REALTIME, NS_PER_US);
            s->copy++;
        }
        co_rwlock_unlock(&s->rwlock);
    }
    s->running--;
}

static void test_rwlock(void)
{
    Shared s = { .running = 5 };

    co_rwlock_init(&s.rwlock);
    coroutine_start(rw_writer, &s);
    coroutine_start(rw_writer, &s);
    for (int i = 0; i < 3; i++) {
        coroutine_start(rw_reader, &s);
    }
    wait_for(&s);
    g_assert_cmpint(s.value, ==, 2 * 100 + 3 * 10);
    co_rwlock_cleanup(&s.rwlock);
}

static void overflow(void *opaque)
{
    volatile char big[2 * 1024 * 1024];

    big[0] = 1; /* below the guard page and the stack: at least the compiler's probes hit it */
    memset((char *)big, 1, sizeof(big));
    __asm__ volatile("" : : "r"(big) : "memory");
}

static void test_guard(void)
{
    if (g_test_subprocess()) {
        coroutine_start(overflow, NULL);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/coroutine/yield", test_yield);
    g_test_add_func("/coroutine/nested", test_nested);
    g_test_add_func("/coroutine/stack", test_stack);
    g_test_add_func("/coroutine/many", test_many);
    g_test_add_func("/coroutine/sleep", test_sleep);
    g_test_add_func("/coroutine/wait-fd", test_wait_fd);
    g_test_add_func("/coroutine/move", test_move);
    g_test_add_func("/coroutine/guard", test_guard);
    g_test_add_func("/co-lock/mutex", test_mutex);
    g_test_add_func("/co-lock/queue", test_queue);
    g_test_add_func("/co-lock/rwlock", test_rwlock);
    return g_test_run();
}
