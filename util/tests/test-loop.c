/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop, on the main thread and on threads of its own. */
#include "util/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/event-notifier.h"
#include "util/notify.h"
#include "util/thread.h"
#include "util/timer.h"
#include "util/vm-lock.h"

static void count(void *opaque)
{
    ++*(int *)opaque;
}

static void quit_main(void *opaque)
{
    loop_quit(loop_main());
}

static void *run_loop(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

typedef struct LoopThread {
    Loop *loop;
    pthread_t thread;
} LoopThread;

static LoopThread loop_thread_start(void)
{
    LoopThread t = { .loop = loop_new(NULL) };

    g_assert_nonnull(t.loop);
    g_assert_true(thread_create(&t.thread, "loop", run_loop, t.loop, NULL));
    return t;
}

static void loop_thread_stop(LoopThread *t)
{
    loop_quit(t->loop);
    pthread_join(t->thread, NULL);
    loop_free(t->loop);
}

typedef struct Order {
    GString *text;
    char letter;
} Order;

static void append(void *opaque)
{
    Order *order = opaque;

    g_string_append_c(order->text, order->letter);
}

static void test_post_order(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Order orders[] = { { text, 'a' }, { text, 'b' }, { text, 'c' } };

    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        loop_post(loop_main(), append, &orders[i]);
    }
    loop_post(loop_main(), quit_main, NULL);
    loop_run(loop_main());
    g_assert_cmpstr(text->str, ==, "abc");
    g_assert_false(vm_lock_held());
}

static void test_bh(void)
{
    int runs = 0;
    LoopBh *bh = loop_bh_new(loop_main(), count, &runs);

    loop_bh_schedule(bh);
    loop_bh_schedule(bh);
    while (loop_iterate(loop_main(), false)) {
    }
    g_assert_cmpint(runs, ==, 1);
    loop_bh_schedule(bh);
    loop_bh_cancel(bh);
    loop_iterate(loop_main(), false);
    g_assert_cmpint(runs, ==, 1);
    loop_bh_schedule(bh);
    loop_bh_free(bh);
    loop_iterate(loop_main(), false);
    g_assert_cmpint(runs, ==, 1);
}

static void check_lock(void *opaque)
{
    g_assert_true(vm_lock_held());
    g_assert_true(loop_in_main_thread());
    g_assert_true(loop_current() == loop_main());
    quit_main(NULL);
}

static void *post_from_thread(void *opaque)
{
    g_assert_false(loop_in_main_thread());
    g_usleep(20000); /* the main loop is asleep by now, and must have let go of the lock */
    vm_lock();
    vm_unlock();
    loop_post(loop_main(), check_lock, NULL);
    return NULL;
}

static void test_main_lock(void)
{
    pthread_t thread;

    g_assert_true(thread_create(&thread, "poster", post_from_thread, NULL, NULL));
    loop_run(loop_main());
    pthread_join(thread, NULL);
}

#define POSTS 20000

typedef struct Flood {
    Loop *loop;
    int received; /* on the loop's thread only */
} Flood;

static void *flood(void *opaque)
{
    Flood *f = opaque;

    for (int i = 0; i < POSTS; i++) {
        loop_post(f->loop, count, &f->received);
    }
    return NULL;
}

static void test_flood(void)
{
    LoopThread t = loop_thread_start();
    Flood f = { .loop = t.loop };
    pthread_t threads[3];
    int last = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_assert_true(thread_create(&threads[i], "flood", flood, &f, NULL));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    loop_post_wait(t.loop, count, &last);
    g_assert_cmpint(last, ==, 1);
    g_assert_cmpint(f.received, ==, POSTS * (int)G_N_ELEMENTS(threads));
    loop_thread_stop(&t);
}

static void check_own_loop(void *opaque)
{
    int runs = 0;

    g_assert_true(loop_current() == opaque);
    g_assert_false(vm_lock_held());
    g_assert_false(loop_in_main_thread());
    loop_post_wait(opaque, count, &runs); /* on its own thread: at once */
    g_assert_cmpint(runs, ==, 1);
}

static void test_own_thread(void)
{
    LoopThread t = loop_thread_start();

    loop_post_wait(t.loop, check_own_loop, t.loop);
    loop_thread_stop(&t);
}

typedef struct Pair {
    Loop *loop;
    int fd[2];
    int reads;
    int writes;
    char got[16];
} Pair;

static void on_read(void *opaque)
{
    Pair *pair = opaque;
    ssize_t n = read(pair->fd[0], pair->got, sizeof(pair->got));

    pair->reads++;
    if (n == 0) {
        loop_set_fd(pair->loop, pair->fd[0], NULL, NULL, NULL);
    }
}

static void on_write(void *opaque)
{
    ++((Pair *)opaque)->writes;
}

static void pair_open(Pair *pair)
{
    *pair = (Pair) { .loop = loop_main() };
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fd),
                    ==, 0);
}

static void test_fd(void)
{
    Pair pair;

    pair_open(&pair);
    loop_set_fd(pair.loop, pair.fd[0], on_read, NULL, &pair);
    g_assert_false(loop_iterate(pair.loop, false) && pair.reads);
    g_assert_cmpint(write(pair.fd[1], "hello", 5), ==, 5);
    while (!pair.reads) {
        loop_iterate(pair.loop, true);
    }
    g_assert_cmpmem(pair.got, 5, "hello", 5);
    loop_set_fd(pair.loop, pair.fd[0], on_read, on_write, &pair);
    while (!pair.writes) {
        loop_iterate(pair.loop, true);
    }
    loop_set_fd(pair.loop, pair.fd[0], on_read, NULL, &pair);
    /* Hang up: on_read sees the end and removes the watch from inside. */
    close(pair.fd[1]);
    while (pair.reads < 2) {
        loop_iterate(pair.loop, true);
    }
    loop_iterate(pair.loop, false);
    g_assert_cmpint(pair.reads, ==, 2);
    close(pair.fd[0]);
}

static void write_hangup(void *opaque)
{
    Pair *pair = opaque;

    pair->writes++;
    loop_set_fd(pair->loop, pair->fd[1], NULL, NULL, NULL);
}

static void test_hangup_of_writer(void)
{
    Pair pair = { .loop = loop_main() };

    /* A full pipe whose reader goes away. */
    g_assert_cmpint(pipe2(pair.fd, O_NONBLOCK | O_CLOEXEC), ==, 0);
    while (write(pair.fd[1], pair.got, sizeof(pair.got)) > 0) {
    }
    loop_set_fd(pair.loop, pair.fd[1], NULL, write_hangup, &pair);
    loop_iterate(pair.loop, false);
    g_assert_cmpint(pair.writes, ==, 0);
    close(pair.fd[0]);
    while (!pair.writes) {
        loop_iterate(pair.loop, true);
    }
    close(pair.fd[1]);
}

static void remove_other(void *opaque)
{
    Pair *pairs = opaque;

    /* Both are readable; whoever comes first silences both. */
    pairs[0].reads++;
    loop_set_fd(pairs[0].loop, pairs[0].fd[0], NULL, NULL, NULL);
    loop_set_fd(pairs[1].loop, pairs[1].fd[0], NULL, NULL, NULL);
}

static void test_remove_other(void)
{
    Pair pairs[2];

    for (int i = 0; i < 2; i++) {
        pair_open(&pairs[i]);
        g_assert_cmpint(write(pairs[i].fd[1], "x", 1), ==, 1);
        loop_set_fd(pairs[i].loop, pairs[i].fd[0], remove_other, NULL, pairs);
    }
    while (!pairs[0].reads) {
        loop_iterate(loop_main(), true);
    }
    loop_iterate(loop_main(), false);
    g_assert_cmpint(pairs[0].reads, ==, 1);
    for (int i = 0; i < 2; i++) {
        close(pairs[i].fd[0]);
        close(pairs[i].fd[1]);
    }
}

/* Close and reopen under the same number inside a callback that events are still pending for. */
static void reopen(void *opaque)
{
    Pair *pairs = opaque;
    int number = pairs[1].fd[0];

    loop_set_fd(loop_main(), pairs[0].fd[0], NULL, NULL, NULL);
    loop_set_fd(loop_main(), number, NULL, NULL, NULL);
    close(number);
    close(pairs[1].fd[1]);
    pair_open(&pairs[1]);
    if (pairs[1].fd[0] != number) {
        g_assert_cmpint(dup2(pairs[1].fd[0], number), ==, number);
        if (pairs[1].fd[1] != number) {
            close(pairs[1].fd[0]);
        }
        pairs[1].fd[0] = number;
    }
    loop_set_fd(loop_main(), number, on_read, NULL, &pairs[1]);
}

static void test_same_number_again(void)
{
    Pair pairs[2];

    for (int i = 0; i < 2; i++) {
        pair_open(&pairs[i]);
        g_assert_cmpint(write(pairs[i].fd[1], "x", 1), ==, 1);
    }
    loop_set_fd(loop_main(), pairs[0].fd[0], reopen, NULL, pairs);
    loop_set_fd(loop_main(), pairs[1].fd[0], on_read, NULL, &pairs[1]);
    loop_iterate(loop_main(), true);
    loop_iterate(loop_main(), false);
    pairs[1].reads = 0;
    g_assert_cmpint(write(pairs[1].fd[1], "yy", 2), ==, 2);
    while (!pairs[1].reads) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpmem(pairs[1].got, 2, "yy", 2);
    loop_set_fd(loop_main(), pairs[1].fd[0], NULL, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        close(pairs[i].fd[0]);
        close(pairs[i].fd[1]);
    }
}

static void *watch_from_vcpu(void *opaque)
{
    Pair *pair = opaque;

    vm_lock();
    loop_set_fd(loop_main(), pair->fd[0], on_read, NULL, pair);
    vm_unlock();
    return NULL;
}

/*
 * A device model on a vCPU thread watches a descriptor: ready at once, while the main loop
 * sleeps.
 */
static void test_watch_from_vcpu(void)
{
    for (int regular = 0; regular < 2; regular++) {
        Pair pair;
        FILE *file = tmpfile();
        pthread_t thread;

        pair_open(&pair);
        g_assert_cmpint(write(pair.fd[1], "x", 1), ==, 1);
        if (regular) {
            g_assert_cmpint(dup2(fileno(file), pair.fd[0]), ==, pair.fd[0]);
        }
        g_assert_true(thread_create(&thread, "vcpu", watch_from_vcpu, &pair, NULL));
        while (!pair.reads) {
            loop_iterate(loop_main(), true);
        }
        pthread_join(thread, NULL);
        loop_set_fd(loop_main(), pair.fd[0], NULL, NULL, NULL);
        close(pair.fd[0]);
        close(pair.fd[1]);
        fclose(file);
    }
}

static void test_regular_file(void)
{
    Pair pair = { .loop = loop_main() };
    FILE *file = tmpfile();

    fputs("text", file);
    rewind(file);
    pair.fd[0] = fileno(file);
    loop_set_fd(pair.loop, pair.fd[0], on_read, NULL, &pair);
    while (pair.reads < 2) {
        loop_iterate(pair.loop, true);
    }
    loop_iterate(pair.loop, false);
    g_assert_cmpint(pair.reads, ==, 2); /* removed itself at the end of file */
    g_assert_cmpmem(pair.got, 4, "text", 4);
    fclose(file);
}

static void nested(void *opaque)
{
    int *runs = opaque;
    int inner = 0;

    ++*runs;
    loop_post(loop_main(), count, &inner);
    while (!inner) {
        loop_iterate(loop_main(), true);
    }
}

static void test_nested(void)
{
    int runs = 0;
    int after = 0;

    loop_post(loop_main(), nested, &runs);
    loop_post(loop_main(), count, &after);
    while (!after || !runs) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpint(runs, ==, 1);
    g_assert_cmpint(after, ==, 1);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void test_idle(void)
{
    LoopThread t = loop_thread_start();
    Timer *timer = timer_new(loop_main(), VM_CLOCK_REALTIME, quit_main, NULL);
    double before = cpu_seconds();

    timer_mod(timer, vm_clock_ns(VM_CLOCK_REALTIME) + 200 * NS_PER_MS);
    loop_run(loop_main());
    g_assert_cmpfloat(cpu_seconds() - before, <, 0.05);
    timer_free(timer);
    loop_thread_stop(&t);
}

static void test_event_notifier(void)
{
    EventNotifier notifier;

    g_assert_true(event_notifier_init(&notifier, NULL));
    g_assert_false(event_notifier_test_and_clear(&notifier));
    event_notifier_set(&notifier);
    event_notifier_set(&notifier);
    g_assert_true(event_notifier_test_and_clear(&notifier));
    g_assert_false(event_notifier_test_and_clear(&notifier));
    event_notifier_cleanup(&notifier);
    event_notifier_cleanup(&notifier);
}

typedef struct Listener {
    Notifier notifier;
    NotifierList *list;
    int calls;
} Listener;

static void notify_once(Notifier *notifier, void *data)
{
    Listener *listener = (Listener *)notifier;

    listener->calls += *(int *)data;
    notifier_list_remove(listener->list, notifier);
}

static void test_notify(void)
{
    NotifierList list = { .queue = G_QUEUE_INIT };
    Listener a = { .notifier.notify = notify_once, .list = &list };
    Listener b = { .notifier.notify = notify_once, .list = &list };
    int amount = 3;

    notifier_list_add(&list, &a.notifier);
    notifier_list_add(&list, &b.notifier);
    notifier_list_run(&list, &amount);
    notifier_list_run(&list, &amount);
    notifier_list_remove(&list, &a.notifier);
    g_assert_cmpint(a.calls, ==, 3);
    g_assert_cmpint(b.calls, ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/post-order", test_post_order);
    g_test_add_func("/loop/bh", test_bh);
    g_test_add_func("/loop/main-lock", test_main_lock);
    g_test_add_func("/loop/flood", test_flood);
    g_test_add_func("/loop/own-thread", test_own_thread);
    g_test_add_func("/loop/fd", test_fd);
    g_test_add_func("/loop/hangup-of-writer", test_hangup_of_writer);
    g_test_add_func("/loop/remove-other", test_remove_other);
    g_test_add_func("/loop/same-number-again", test_same_number_again);
    g_test_add_func("/loop/watch-from-vcpu", test_watch_from_vcpu);
    g_test_add_func("/loop/regular-file", test_regular_file);
    g_test_add_func("/loop/nested", test_nested);
    g_test_add_func("/loop/idle", test_idle);
    g_test_add_func("/event-notifier", test_event_notifier);
    g_test_add_func("/notify", test_notify);
    return g_test_run();
}
