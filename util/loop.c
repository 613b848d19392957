/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop. Every loop owns an epoll set, an eventfd that wakes it, a queue of posted
 * callbacks and its timers.
 *
 * An iothread's loop sleeps in epoll_pwait2(). The main loop is a GSource whose one descriptor is
 * the epoll set; glib sleeps in main_poll(), our poll function, which releases the VM lock
 * meanwhile and cuts the sleep at the nearest timer with nanosecond precision.
 *
 * Waking: a poster puts its callback into the queue and then looks at `sleeping`; the loop sets
 * `sleeping` and then looks at the queue. One of the two sees the other. Only the first poster of a
 * sleep pays for the eventfd write.
 */
#include "util/loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/error.h"
#include "util/event-notifier.h"
#include "util/file-io-internal.h"
#include "util/loop-internal.h"
#include "util/thread.h"
#include "util/timer.h"
#include "util/vm-lock.h"

#define MAX_EVENTS 64
/* Where adaptive polling starts. */
#define POLL_FIRST_NS 4000

typedef struct LoopWatch {
    int fd;
    LoopFn *on_read;
    LoopFn *on_write;
    void *opaque;
    bool always_ready; /* a regular file: epoll refuses it, poll(2) calls it ready */
    bool dead;         /* removed; kept until no dispatch can still point to it */
} LoopWatch;

struct LoopBh {
    Loop *loop;
    LoopFn *fn;
    void *opaque;
    bool once;   /* made by loop_post: freed before it is called */
    bool queued; /* under loop->lock */
    GList link;
};

struct Loop {
    bool is_main;
    int epoll_fd;
    int wall_clock_fd; /* -1, or a timerfd that is cancelled when the wall clock is set */
    EventNotifier wake;
    bool sleeping; /* atomic: about to sleep or asleep, and not yet woken */
    bool quit;     /* atomic */
    size_t may_wait; /* in system calls that move so many bytes */
    bool running;  /* atomic: in loop_run(), of an iothread */
    GSource *source;
    GHashTable *watches; /* fd -> LoopWatch */
    GPtrArray *always_ready;
    GSList *dead_watches;
    unsigned dispatch_depth;
    int64_t poll_max_ns; /* atomic, as the next two; 0: no polling */
    int64_t poll_grow;
    int64_t poll_shrink;
    int64_t poll_ns; /* how long to poll now */
    GMutex lock;     /* guards bhs */
    GQueue bhs;
    TimerQueue timers;
    FileRing *file_ring;
    FileAio *file_aio;
    bool file_ring_tried, file_aio_tried;
};

typedef struct LoopSource {
    GSource source;
    Loop *loop;
    void *epoll_tag;
} LoopSource;

/* There is one main loop and one loop per thread by definition. */
static Loop *main_loop;
static __thread Loop *thread_loop;
static __thread int thread_is_main; /* 0 unknown, 1 yes, -1 no */

bool loop_in_main_thread(void)
{
    if (thread_is_main == 0) {
        thread_is_main = thread_current_tid() == getpid() ? 1 : -1;
    }
    return thread_is_main > 0;
}

static bool on_own_thread(Loop *loop)
{
    return loop->is_main ? loop_in_main_thread() : thread_loop == loop;
}

TimerQueue *loop_timer_queue(Loop *loop)
{
    return &loop->timers;
}

void loop_wake(Loop *loop)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&loop->sleeping, __ATOMIC_RELAXED) &&
        __atomic_exchange_n(&loop->sleeping, false, __ATOMIC_RELAXED)) {
        event_notifier_set(&loop->wake);
    }
}

/* Posted callbacks. */

static bool bhs_pending(Loop *loop)
{
    bool pending;

    g_mutex_lock(&loop->lock);
    pending = !g_queue_is_empty(&loop->bhs);
    g_mutex_unlock(&loop->lock);
    return pending;
}

/*
 * Run what is queued now; what is queued meanwhile waits for the next round, so that descriptors
 * get their turn. A nested loop_iterate() may take entries from under us: never wait for a count.
 */
static bool run_bhs(Loop *loop)
{
    bool ran = false;
    guint budget;

    g_mutex_lock(&loop->lock);
    for (budget = loop->bhs.length; budget > 0; budget--) {
        GList *link = g_queue_pop_head_link(&loop->bhs);
        LoopBh *bh;
        LoopFn *fn;
        void *opaque;

        if (!link) {
            break;
        }
        bh = link->data;
        bh->queued = false;
        fn = bh->fn;
        opaque = bh->opaque;
        g_mutex_unlock(&loop->lock);
        if (bh->once) {
            g_free(bh);
        }
        fn(opaque);
        ran = true;
        g_mutex_lock(&loop->lock);
    }
    g_mutex_unlock(&loop->lock);
    return ran;
}

static LoopBh *bh_new(Loop *loop, LoopFn *fn, void *opaque, bool once)
{
    LoopBh *bh = g_new0(LoopBh, 1);

    bh->loop = loop;
    bh->fn = fn;
    bh->opaque = opaque;
    bh->once = once;
    bh->link.data = bh;
    return bh;
}

LoopBh *loop_bh_new(Loop *loop, LoopFn *fn, void *opaque)
{
    return bh_new(loop, fn, opaque, false);
}

void loop_bh_schedule(LoopBh *bh)
{
    Loop *loop = bh->loop; /* a `once` bh may be gone as soon as the lock is dropped */

    g_mutex_lock(&loop->lock);
    if (!bh->queued) {
        bh->queued = true;
        g_queue_push_tail_link(&loop->bhs, &bh->link);
    }
    g_mutex_unlock(&loop->lock);
    loop_wake(loop);
}

void loop_bh_cancel(LoopBh *bh)
{
    g_mutex_lock(&bh->loop->lock);
    if (bh->queued) {
        bh->queued = false;
        g_queue_unlink(&bh->loop->bhs, &bh->link);
    }
    g_mutex_unlock(&bh->loop->lock);
}

void loop_bh_free(LoopBh *bh)
{
    if (bh) {
        loop_bh_cancel(bh);
        g_free(bh);
    }
}

void loop_post(Loop *loop, LoopFn *fn, void *opaque)
{
    loop_bh_schedule(bh_new(loop, fn, opaque, true));
}

typedef struct PostWait {
    LoopFn *fn;
    void *opaque;
    GMutex lock;
    GCond done_cond;
    bool done;
} PostWait;

static void post_wait_run(void *opaque)
{
    PostWait *wait = opaque;

    wait->fn(wait->opaque);
    g_mutex_lock(&wait->lock);
    wait->done = true;
    g_cond_signal(&wait->done_cond);
    g_mutex_unlock(&wait->lock);
}

void loop_post_wait(Loop *loop, LoopFn *fn, void *opaque)
{
    PostWait wait = { .fn = fn, .opaque = opaque };

    if (on_own_thread(loop)) {
        fn(opaque);
        return;
    }
    g_assert(!(loop->is_main && vm_lock_held())); /* the main loop would wait for us */
    g_mutex_init(&wait.lock);
    g_cond_init(&wait.done_cond);
    loop_post(loop, post_wait_run, &wait);
    g_mutex_lock(&wait.lock);
    while (!wait.done) {
        g_cond_wait(&wait.done_cond, &wait.lock);
    }
    g_mutex_unlock(&wait.lock);
    g_cond_clear(&wait.done_cond);
    g_mutex_clear(&wait.lock);
}

static void nothing(void *opaque)
{
}

void loop_kick(Loop *loop)
{
    loop_post(loop, nothing, NULL);
}

void loop_synchronize(Loop *loop)
{
    loop_post_wait(loop, nothing, NULL);
}

/* Descriptors. */

static void watch_remove(Loop *loop, LoopWatch *watch)
{
    if (watch->always_ready) {
        g_ptr_array_remove(loop->always_ready, watch);
    } else {
        /* Fails harmlessly if the descriptor was closed before. */
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    }
    g_hash_table_remove(loop->watches, GINT_TO_POINTER(watch->fd));
    watch->dead = true;
    loop->dead_watches = g_slist_prepend(loop->dead_watches, watch);
}

static void free_dead_watches(Loop *loop)
{
    if (loop->dispatch_depth == 0) {
        g_slist_free_full(g_steal_pointer(&loop->dead_watches), g_free);
    }
}

static void watch_update(Loop *loop, LoopWatch *watch)
{
    struct epoll_event event = {
        .events = (watch->on_read ? EPOLLIN : 0u) | (watch->on_write ? EPOLLOUT : 0u),
        .data.ptr = watch,
    };

    if (watch->always_ready ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0 ||
        (errno == ENOENT && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0)) {
        return;
    }
    g_assert(errno == EPERM); /* else: not an open descriptor, or no kernel memory */
    watch->always_ready = true;
    g_ptr_array_add(loop->always_ready, watch);
    loop_wake(loop);
}

/*
 * May this thread touch the watches? The main thread does so only with the VM lock, which device
 * models on vCPU threads hold too; before a loop runs it is its maker's.
 */
static bool may_change_watches(Loop *loop)
{
    if (loop->is_main) {
        return loop_in_main_thread() || vm_lock_held();
    }
    return thread_loop == loop || !__atomic_load_n(&loop->running, __ATOMIC_ACQUIRE);
}

void loop_set_fd(Loop *loop, int fd, LoopFn *on_read, LoopFn *on_write, void *opaque)
{
    LoopWatch *watch = g_hash_table_lookup(loop->watches, GINT_TO_POINTER(fd));

    g_assert(may_change_watches(loop));
    if (!on_read && !on_write) {
        if (watch) {
            watch_remove(loop, watch);
            free_dead_watches(loop);
        }
        return;
    }
    if (!watch) {
        watch = g_new0(LoopWatch, 1);
        watch->fd = fd;
        g_hash_table_insert(loop->watches, GINT_TO_POINTER(fd), watch);
    }
    watch->on_read = on_read;
    watch->on_write = on_write;
    watch->opaque = opaque;
    watch_update(loop, watch);
}

/* What a hung-up descriptor wakes: whoever is listening. */
static bool watch_dispatch(LoopWatch *watch, uint32_t events)
{
    bool ran = false;

    if (!watch->dead && watch->on_read && (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))) {
        watch->on_read(watch->opaque);
        ran = true;
    }
    if (!watch->dead && watch->on_write && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))) {
        watch->on_write(watch->opaque);
        ran = true;
    }
    return ran;
}

static void reread_wall_clock(Loop *loop)
{
    struct itimerspec far = { .it_value.tv_sec = INT32_MAX };

    timerfd_settime(loop->wall_clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

void loop_watch_wall_clock(Loop *loop)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &loop->wall_clock_fd };

    g_mutex_lock(&loop->lock);
    if (loop->wall_clock_fd < 0) {
        loop->wall_clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (loop->wall_clock_fd >= 0) {
            reread_wall_clock(loop);
            epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wall_clock_fd, &event);
        }
    }
    g_mutex_unlock(&loop->lock);
}

/* ns < 0: for ever. */
static int wait_events(Loop *loop, struct epoll_event *events, int64_t ns)
{
    struct timespec ts = { .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };
    int n = epoll_pwait2(loop->epoll_fd, events, MAX_EVENTS, ns < 0 ? NULL : &ts, NULL);

    if (n < 0 && errno == ENOSYS) { /* Linux before 5.11 */
        n = epoll_wait(loop->epoll_fd, events, MAX_EVENTS,
                       ns < 0 ? -1 : (int)MIN((ns + NS_PER_MS - 1) / NS_PER_MS, INT_MAX));
    }
    return MAX(n, 0);
}

static bool dispatch_events(Loop *loop, const struct epoll_event *events, int n)
{
    bool ran = false;

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == loop) {
            event_notifier_test_and_clear(&loop->wake);
        } else if (events[i].data.ptr == &loop->wall_clock_fd) {
            reread_wall_clock(loop);
        } else {
            ran |= watch_dispatch(events[i].data.ptr, events[i].events);
        }
    }
    for (guint i = 0; i < loop->always_ready->len; i++) {
        ran |= watch_dispatch(g_ptr_array_index(loop->always_ready, i), EPOLLIN | EPOLLOUT);
    }
    return ran;
}

/* Polling. */

void loop_set_polling(Loop *loop, int64_t max_ns, int64_t grow, int64_t shrink)
{
    g_assert(!loop->is_main);
    __atomic_store_n(&loop->poll_grow, grow, __ATOMIC_RELAXED);
    __atomic_store_n(&loop->poll_shrink, shrink, __ATOMIC_RELAXED);
    __atomic_store_n(&loop->poll_max_ns, max_ns, __ATOMIC_RELAXED);
    loop_wake(loop);
}

/* Look for work until the time is over or there is some. */
static void poll_busily(Loop *loop)
{
    int64_t max = __atomic_load_n(&loop->poll_max_ns, __ATOMIC_RELAXED);
    int64_t until;
    struct epoll_event event;

    loop->poll_ns = MIN(loop->poll_ns, max);
    if (loop->poll_ns <= 0) {
        return;
    }
    until = vm_clock_ns(VM_CLOCK_REALTIME) + loop->poll_ns;
    while (!bhs_pending(loop) && !__atomic_load_n(&loop->quit, __ATOMIC_ACQUIRE) &&
           timer_queue_wait_ns(&loop->timers) != 0 &&
           epoll_wait(loop->epoll_fd, &event, 1, 0) <= 0) {
        if (vm_clock_ns(VM_CLOCK_REALTIME) >= until) {
            break;
        }
    }
}

/* Learn from how long the loop slept. */
static void adapt_polling(Loop *loop, int64_t slept_ns)
{
    int64_t max = __atomic_load_n(&loop->poll_max_ns, __ATOMIC_RELAXED);
    int64_t grow = __atomic_load_n(&loop->poll_grow, __ATOMIC_RELAXED);
    int64_t shrink = __atomic_load_n(&loop->poll_shrink, __ATOMIC_RELAXED);

    if (slept_ns > max) {
        loop->poll_ns = shrink > 0 ? loop->poll_ns / shrink : 0;
    } else if (loop->poll_ns == 0) {
        loop->poll_ns = MIN(POLL_FIRST_NS, max);
    } else if (__builtin_mul_overflow(loop->poll_ns, grow > 0 ? grow : 2, &loop->poll_ns) ||
               loop->poll_ns > max) {
        loop->poll_ns = max;
    }
}

static int wait_and_learn(Loop *loop, struct epoll_event *events, int64_t ns)
{
    int64_t start;
    int n;

    if (ns == 0 || __atomic_load_n(&loop->poll_max_ns, __ATOMIC_RELAXED) == 0) {
        return wait_events(loop, events, ns);
    }
    start = vm_clock_ns(VM_CLOCK_REALTIME);
    n = wait_events(loop, events, ns);
    adapt_polling(loop, vm_clock_ns(VM_CLOCK_REALTIME) - start);
    return n;
}

FileRing *loop_file_ring(Loop *loop)
{
    if (!loop->file_ring_tried) {
        loop->file_ring_tried = true;
        loop->file_ring = file_ring_new(loop);
    }
    return loop->file_ring;
}

FileAio *loop_file_aio(Loop *loop)
{
    if (!loop->file_aio_tried) {
        loop->file_aio_tried = true;
        loop->file_aio = file_aio_new(loop);
    }
    return loop->file_aio;
}

void loop_forbid_file_ring(Loop *loop)
{
    g_assert(!loop->file_ring);
    loop->file_ring_tried = true;
}

void loop_allow_waiting(Loop *loop, size_t bytes)
{
    loop->may_wait = bytes;
}

bool loop_may_wait(const Loop *loop, size_t bytes)
{
    return bytes <= loop->may_wait;
}

/* Run everything that is ready, after waiting up to ns for it. */
static bool dispatch(Loop *loop, int64_t ns)
{
    struct epoll_event events[MAX_EVENTS];
    bool ran;
    int n;

    loop->dispatch_depth++;
    n = wait_and_learn(loop, events, ns);
    __atomic_store_n(&loop->sleeping, false, __ATOMIC_RELAXED);
    ran = timer_queue_run(&loop->timers);
    ran |= dispatch_events(loop, events, n);
    ran |= run_bhs(loop);
    loop->dispatch_depth--;
    free_dead_watches(loop);
    return ran;
}

/* How long may the loop sleep? Declares it asleep first, so that no post is missed. */
static int64_t prepare_sleep(Loop *loop)
{
    __atomic_store_n(&loop->sleeping, true, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (loop->always_ready->len || bhs_pending(loop) ||
        __atomic_load_n(&loop->quit, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    return timer_queue_wait_ns(&loop->timers);
}

/* Life. */

static Loop *loop_create(bool is_main, GError **error)
{
    Loop *loop = g_new0(Loop, 1);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = loop };

    loop->is_main = is_main;
    loop->wall_clock_fd = -1;
    loop->wake.fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        error_set_errno(error, errno, "cannot create an epoll set");
        goto fail;
    }
    if (!event_notifier_init(&loop->wake, error)) {
        goto fail;
    }
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake.fd, &event) < 0) {
        error_set_errno(error, errno, "cannot watch an eventfd");
        goto fail;
    }
    loop->watches = g_hash_table_new(NULL, NULL);
    loop->always_ready = g_ptr_array_new();
    g_mutex_init(&loop->lock);
    g_queue_init(&loop->bhs);
    timer_queue_init(&loop->timers, loop);
    return loop;

fail:
    event_notifier_cleanup(&loop->wake);
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    g_free(loop);
    return NULL;
}

Loop *loop_new(GError **error)
{
    return loop_create(false, error);
}

void loop_free(Loop *loop)
{
    GHashTableIter iter;
    void *watch;
    GList *link;

    if (!loop) {
        return;
    }
    g_assert(!loop->is_main && loop->dispatch_depth == 0);
    file_ring_free(loop->file_ring);
    file_aio_free(loop->file_aio);
    while ((link = g_queue_pop_head_link(&loop->bhs))) {
        LoopBh *bh = link->data;

        bh->queued = false;
        if (bh->once) {
            g_free(bh);
        }
    }
    g_hash_table_iter_init(&iter, loop->watches);
    while (g_hash_table_iter_next(&iter, NULL, &watch)) {
        g_free(watch);
    }
    free_dead_watches(loop);
    g_hash_table_destroy(loop->watches);
    g_ptr_array_free(loop->always_ready, TRUE);
    timer_queue_cleanup(&loop->timers);
    g_mutex_clear(&loop->lock);
    event_notifier_cleanup(&loop->wake);
    if (loop->wall_clock_fd >= 0) {
        close(loop->wall_clock_fd);
    }
    close(loop->epoll_fd);
    g_free(loop);
}

/* The main loop as a GSource. */

static bool main_ready(Loop *loop)
{
    return loop->always_ready->len || bhs_pending(loop) ||
           timer_queue_wait_ns(&loop->timers) == 0;
}

static gboolean source_prepare(GSource *source, gint *timeout_ms)
{
    *timeout_ms = -1; /* main_poll() knows our deadlines better than milliseconds can say */
    return main_ready(((LoopSource *)source)->loop);
}

static gboolean source_check(GSource *source)
{
    LoopSource *main_source = (LoopSource *)source;

    return g_source_query_unix_fd(source, main_source->epoll_tag) || main_ready(main_source->loop);
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
    dispatch(((LoopSource *)source)->loop, 0);
    return G_SOURCE_CONTINUE;
}

/* glib's default context sleeps here, and only here. */
static gint main_poll(GPollFD *fds, guint count, gint timeout_ms)
{
    int64_t ns = timeout_ms < 0 ? -1 : timeout_ms * NS_PER_MS;
    bool locked = vm_lock_held();
    struct timespec ts;
    int64_t own;
    int result;

    G_STATIC_ASSERT(sizeof(GPollFD) == sizeof(struct pollfd));
    own = ns == 0 ? 0 : prepare_sleep(main_loop);
    if (own >= 0 && (ns < 0 || own < ns)) {
        ns = own;
    }
    ts = (struct timespec) { .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };
    if (locked) {
        if (ns == 0) {
            vm_unlock_to_others();
        } else {
            vm_unlock();
        }
    }
    result = ppoll((struct pollfd *)fds, count, ns < 0 ? NULL : &ts, NULL);
    __atomic_store_n(&main_loop->sleeping, false, __ATOMIC_RELAXED);
    if (locked) {
        vm_lock();
    }
    return result;
}

Loop *loop_main(void)
{
    static GSourceFuncs funcs = {
        .prepare = source_prepare,
        .check = source_check,
        .dispatch = source_dispatch,
    };
    g_autoptr(GError) error = NULL;
    LoopSource *source;

    if (main_loop) {
        return main_loop;
    }
    g_assert(loop_in_main_thread());
    main_loop = loop_create(true, &error);
    if (!main_loop) {
        g_error("%s", error->message); /* out of descriptors before anything began */
    }
    main_loop->source = g_source_new(&funcs, sizeof(LoopSource));
    source = (LoopSource *)main_loop->source;
    source->loop = main_loop;
    g_source_set_can_recurse(main_loop->source, TRUE);
    source->epoll_tag = g_source_add_unix_fd(main_loop->source, main_loop->epoll_fd, G_IO_IN);
    g_source_attach(main_loop->source, NULL);
    g_main_context_set_poll_func(NULL, main_poll);
    return main_loop;
}

Loop *loop_current(void)
{
    return thread_loop ? thread_loop : loop_main();
}

bool loop_iterate(Loop *loop, bool may_block)
{
    Loop *outer = thread_loop;
    bool ran;

    if (loop->is_main) {
        VM_LOCK_GUARD();

        g_assert(loop_in_main_thread());
        return g_main_context_iteration(NULL, may_block);
    }
    thread_loop = loop;
    if (may_block) {
        poll_busily(loop);
    }
    ran = dispatch(loop, may_block ? prepare_sleep(loop) : 0);
    thread_loop = outer;
    return ran;
}

void loop_run(Loop *loop)
{
    /* The default slack of 50 us would be added to every timer of the guest. */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    if (loop->is_main) {
        VM_LOCK_GUARD();

        while (!__atomic_exchange_n(&loop->quit, false, __ATOMIC_ACQ_REL)) {
            g_main_context_iteration(NULL, TRUE);
        }
        return;
    }
    __atomic_store_n(&loop->running, true, __ATOMIC_RELEASE);
    while (!__atomic_exchange_n(&loop->quit, false, __ATOMIC_ACQ_REL)) {
        loop_iterate(loop, true);
    }
    __atomic_store_n(&loop->running, false, __ATOMIC_RELEASE);
}

void loop_quit(Loop *loop)
{
    __atomic_store_n(&loop->quit, true, __ATOMIC_RELEASE);
    loop_wake(loop);
}
