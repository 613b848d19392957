/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and timers. Each loop has one binary heap of timers per clock. The virtual clock is one
 * per process (there is one VM), so its state is at file scope; it is read without a lock.
 */
#include "util/timer.h"

#include <time.h>

#include "util/loop-internal.h"
#include "util/vm-lock.h"

/* A timer that re-arms itself for "now" must not keep a manual clock from ever advancing. */
#define MAX_RUNS_PER_INSTANT 10000

struct Timer {
    TimerQueue *queue;
    VmClock clock;
    LoopFn *fn;
    void *opaque;
    int64_t expire_ns;
    uint64_t seq;  /* order of arming: equal deadlines fire in this order */
    int heap_index; /* -1: not armed */
};

/* Writers hold clock_lock and make `seq` odd meanwhile. */
static struct {
    uint32_t seq;
    bool enabled;
    bool manual;
    int64_t offset;  /* running: virtual = monotonic + offset */
    int64_t stopped; /* else: the value itself */
} virtual_clock;
static GMutex clock_lock;

/* Every loop's timers, so that starting or setting the virtual clock reaches all of them. */
static GQueue all_queues;
static GMutex all_queues_lock;

static int64_t host_clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int64_t virtual_clock_ns(bool *enabled)
{
    uint32_t seq;
    int64_t now;

    do {
        seq = __atomic_load_n(&virtual_clock.seq, __ATOMIC_ACQUIRE);
        *enabled = __atomic_load_n(&virtual_clock.enabled, __ATOMIC_RELAXED);
        if (*enabled && !__atomic_load_n(&virtual_clock.manual, __ATOMIC_RELAXED)) {
            now = host_clock_ns(CLOCK_MONOTONIC) +
                  __atomic_load_n(&virtual_clock.offset, __ATOMIC_RELAXED);
        } else {
            now = __atomic_load_n(&virtual_clock.stopped, __ATOMIC_RELAXED);
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((seq & 1) || seq != __atomic_load_n(&virtual_clock.seq, __ATOMIC_RELAXED));
    return now;
}

int64_t vm_clock_ns(VmClock clock)
{
    bool enabled;

    switch (clock) {
    case VM_CLOCK_REALTIME:
        return host_clock_ns(CLOCK_MONOTONIC);
    case VM_CLOCK_HOST:
        return host_clock_ns(CLOCK_REALTIME);
    default:
        return virtual_clock_ns(&enabled);
    }
}

static void clock_write_begin(void)
{
    g_mutex_lock(&clock_lock);
    __atomic_store_n(&virtual_clock.seq, virtual_clock.seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void clock_write_end(void)
{
    __atomic_store_n(&virtual_clock.seq, virtual_clock.seq + 1, __ATOMIC_RELEASE);
    g_mutex_unlock(&clock_lock);
}

static void wake_all_loops(void)
{
    g_mutex_lock(&all_queues_lock);
    for (GList *link = all_queues.head; link; link = link->next) {
        loop_wake(((TimerQueue *)link->data)->loop);
    }
    g_mutex_unlock(&all_queues_lock);
}

void vm_clock_start(void)
{
    clock_write_begin();
    if (!virtual_clock.enabled) {
        virtual_clock.offset = virtual_clock.stopped - host_clock_ns(CLOCK_MONOTONIC);
        virtual_clock.enabled = true;
    }
    clock_write_end();
    wake_all_loops();
}

void vm_clock_stop(void)
{
    clock_write_begin();
    if (virtual_clock.enabled) {
        if (!virtual_clock.manual) {
            virtual_clock.stopped = host_clock_ns(CLOCK_MONOTONIC) + virtual_clock.offset;
        }
        virtual_clock.enabled = false;
    }
    clock_write_end();
}

void vm_clock_set_manual(void)
{
    clock_write_begin();
    if (virtual_clock.enabled && !virtual_clock.manual) {
        virtual_clock.stopped = host_clock_ns(CLOCK_MONOTONIC) + virtual_clock.offset;
    }
    virtual_clock.manual = true;
    clock_write_end();
}

bool vm_clock_is_manual(void)
{
    return __atomic_load_n(&virtual_clock.manual, __ATOMIC_RELAXED);
}

void vm_clock_set_ns(int64_t ns)
{
    clock_write_begin();
    virtual_clock.stopped = ns;
    virtual_clock.offset = ns - host_clock_ns(CLOCK_MONOTONIC);
    clock_write_end();
    wake_all_loops();
}

/* Heap. */

static Timer *heap_at(const TimerHeap *heap, guint i)
{
    return g_ptr_array_index(heap->timers, i);
}

static bool fires_before(const Timer *a, const Timer *b)
{
    return a->expire_ns != b->expire_ns ? a->expire_ns < b->expire_ns : a->seq < b->seq;
}

static void heap_place(TimerHeap *heap, Timer *timer, guint i)
{
    heap->timers->pdata[i] = timer;
    timer->heap_index = (int)i;
}

static void heap_sift(TimerHeap *heap, Timer *timer, guint i)
{
    while (i > 0 && fires_before(timer, heap_at(heap, (i - 1) / 2))) {
        heap_place(heap, heap_at(heap, (i - 1) / 2), i);
        i = (i - 1) / 2;
    }
    for (;;) {
        guint child = 2 * i + 1;

        if (child + 1 < heap->timers->len &&
            fires_before(heap_at(heap, child + 1), heap_at(heap, child))) {
            child++;
        }
        if (child >= heap->timers->len || !fires_before(heap_at(heap, child), timer)) {
            break;
        }
        heap_place(heap, heap_at(heap, child), i);
        i = child;
    }
    heap_place(heap, timer, i);
}

static void heap_insert(TimerHeap *heap, Timer *timer)
{
    g_ptr_array_add(heap->timers, timer);
    heap_sift(heap, timer, heap->timers->len - 1);
}

static void heap_remove(TimerHeap *heap, Timer *timer)
{
    guint i = (guint)timer->heap_index;
    Timer *last = heap_at(heap, heap->timers->len - 1);

    g_ptr_array_set_size(heap->timers, (int)heap->timers->len - 1);
    timer->heap_index = -1;
    if (last != timer) {
        heap_sift(heap, last, i);
    }
}

static Timer *heap_first(const TimerHeap *heap)
{
    return heap->timers->len ? heap_at(heap, 0) : NULL;
}

/* Queues. */

void timer_queue_init(TimerQueue *queue, Loop *loop)
{
    queue->loop = loop;
    g_mutex_init(&queue->lock);
    for (int clock = 0; clock < VM_CLOCK__MAX; clock++) {
        queue->heaps[clock].timers = g_ptr_array_new();
    }
    queue->link.data = queue;
    g_mutex_lock(&all_queues_lock);
    g_queue_push_tail_link(&all_queues, &queue->link);
    g_mutex_unlock(&all_queues_lock);
}

void timer_queue_cleanup(TimerQueue *queue)
{
    g_mutex_lock(&all_queues_lock);
    g_queue_unlink(&all_queues, &queue->link);
    g_mutex_unlock(&all_queues_lock);
    for (int clock = 0; clock < VM_CLOCK__MAX; clock++) {
        g_assert(queue->heaps[clock].timers->len == 0); /* a timer outlives its loop */
        g_ptr_array_free(queue->heaps[clock].timers, TRUE);
    }
    g_mutex_clear(&queue->lock);
}

/* Do the clock's timers run now, and what time is it? */
static bool clock_now(VmClock clock, int64_t *now)
{
    bool enabled = true;

    *now = clock == VM_CLOCK_VIRTUAL ? virtual_clock_ns(&enabled) : vm_clock_ns(clock);
    return enabled;
}

static bool clock_moves(VmClock clock)
{
    return clock != VM_CLOCK_VIRTUAL || !vm_clock_is_manual();
}

int64_t timer_queue_wait_ns(TimerQueue *queue)
{
    int64_t wait = -1;

    g_mutex_lock(&queue->lock);
    for (int clock = 0; clock < VM_CLOCK__MAX; clock++) {
        Timer *first = heap_first(&queue->heaps[clock]);
        int64_t now;

        if (!first || !clock_now(clock, &now)) {
            continue;
        }
        if (first->expire_ns <= now) {
            wait = 0;
        } else if (clock_moves(clock) && (wait < 0 || first->expire_ns - now < wait)) {
            wait = first->expire_ns - now;
        }
    }
    g_mutex_unlock(&queue->lock);
    return wait;
}

/* Run the timers of one clock that are due at `now` and were armed up to last_seq. */
static bool run_clock(TimerQueue *queue, VmClock clock, int64_t now, uint64_t last_seq)
{
    bool ran = false;

    g_mutex_lock(&queue->lock);
    for (;;) {
        Timer *timer = heap_first(&queue->heaps[clock]);
        LoopFn *fn;
        void *opaque;

        if (!timer || timer->expire_ns > now || timer->seq > last_seq) {
            break;
        }
        heap_remove(&queue->heaps[clock], timer);
        fn = timer->fn;
        opaque = timer->opaque;
        g_mutex_unlock(&queue->lock);
        fn(opaque); /* may free the timer */
        ran = true;
        g_mutex_lock(&queue->lock);
    }
    g_mutex_unlock(&queue->lock);
    return ran;
}

bool timer_queue_run(TimerQueue *queue)
{
    bool ran = false;

    for (int clock = 0; clock < VM_CLOCK__MAX; clock++) {
        uint64_t last_seq;
        int64_t now;
        bool any;

        g_mutex_lock(&queue->lock);
        last_seq = queue->last_seq;
        any = heap_first(&queue->heaps[clock]) != NULL;
        g_mutex_unlock(&queue->lock);
        if (any && clock_now(clock, &now)) {
            ran |= run_clock(queue, clock, now, last_seq);
        }
    }
    return ran;
}

static int64_t first_deadline(TimerQueue *queue, VmClock clock)
{
    Timer *first;
    int64_t deadline;

    g_mutex_lock(&queue->lock);
    first = heap_first(&queue->heaps[clock]);
    deadline = first ? first->expire_ns : -1;
    g_mutex_unlock(&queue->lock);
    return deadline;
}

int64_t vm_clock_deadline(void)
{
    int64_t nearest = -1;

    g_mutex_lock(&all_queues_lock);
    for (GList *link = all_queues.head; link; link = link->next) {
        int64_t deadline = first_deadline(link->data, VM_CLOCK_VIRTUAL);

        if (deadline >= 0 && (nearest < 0 || deadline < nearest)) {
            nearest = deadline;
        }
    }
    g_mutex_unlock(&all_queues_lock);
    return nearest;
}

static void set_manual_time(int64_t ns)
{
    clock_write_begin();
    virtual_clock.stopped = MAX(virtual_clock.stopped, ns);
    clock_write_end();
}

void vm_clock_advance_to(int64_t ns)
{
    TimerQueue *queue = loop_timer_queue(loop_main());
    int64_t instant = -1;
    unsigned runs = 0;
    int64_t next;

    g_assert(virtual_clock.manual && vm_lock_held());
    while ((next = first_deadline(queue, VM_CLOCK_VIRTUAL)) >= 0 && next <= ns) {
        int64_t now;

        set_manual_time(next);
        now = vm_clock_ns(VM_CLOCK_VIRTUAL);
        runs = now == instant ? runs + 1 : 0;
        instant = now;
        if (runs > MAX_RUNS_PER_INSTANT) {
            break;
        }
        run_clock(queue, VM_CLOCK_VIRTUAL, now, queue->last_seq);
    }
    set_manual_time(ns);
    wake_all_loops();
}

/* Timers. */

Timer *timer_new(Loop *loop, VmClock clock, LoopFn *fn, void *opaque)
{
    Timer *timer = g_new0(Timer, 1);

    timer->queue = loop_timer_queue(loop);
    timer->clock = clock;
    timer->fn = fn;
    timer->opaque = opaque;
    timer->heap_index = -1;
    if (clock == VM_CLOCK_HOST) {
        loop_watch_wall_clock(loop);
    }
    return timer;
}

Timer *timer_new_virtual(LoopFn *fn, void *opaque)
{
    return timer_new(loop_main(), VM_CLOCK_VIRTUAL, fn, opaque);
}

void timer_free(Timer *timer)
{
    if (timer) {
        timer_del(timer);
        g_free(timer);
    }
}

void timer_mod(Timer *timer, int64_t expire_ns)
{
    TimerQueue *queue = timer->queue;
    TimerHeap *heap = &queue->heaps[timer->clock];
    bool nearer;

    g_mutex_lock(&queue->lock);
    if (timer->heap_index >= 0) {
        heap_remove(heap, timer);
    }
    timer->expire_ns = MAX(expire_ns, 0);
    timer->seq = ++queue->last_seq;
    heap_insert(heap, timer);
    nearer = timer->heap_index == 0;
    g_mutex_unlock(&queue->lock);
    if (nearer) {
        loop_wake(queue->loop);
    }
}

void timer_del(Timer *timer)
{
    TimerQueue *queue = timer->queue;

    g_mutex_lock(&queue->lock);
    if (timer->heap_index >= 0) {
        heap_remove(&queue->heaps[timer->clock], timer);
    }
    g_mutex_unlock(&queue->lock);
}

bool timer_pending(const Timer *timer)
{
    return timer_expire_ns(timer) >= 0;
}

int64_t timer_expire_ns(const Timer *timer)
{
    int64_t expire;

    g_mutex_lock(&timer->queue->lock);
    expire = timer->heap_index >= 0 ? timer->expire_ns : -1;
    g_mutex_unlock(&timer->queue->lock);
    return expire;
}

uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 result = (unsigned __int128)a * b / c;

    return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}
