/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coroutines. Each thread has a record for its own stack (`leader`) and a pool of finished
 * coroutines.
 *
 * A coroutine may go on in another thread than the one where it stopped, so no function may keep
 * the address of a thread-local variable across a switch: they are reached only through
 * this_thread(), which is never inlined.
 */
#include "util/coroutine.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/coroutine-switch.h"
#include "util/error.h"
#include "util/sanitizer.h"

#define STACK_SIZE (1024 * 1024)
/* A burst may make more; they are freed when it is over. */
#define POOL_MAX 64

struct Coroutine {
    CoroutineContext context;
    CoroutineFiber fiber;
    Coroutine *caller; /* who entered it; NULL while it is suspended */
    CoroutineFn *fn;
    void *opaque;
    Loop *loop;
    void *stack; /* with the guard page at its low end; NULL for a thread's own */
    Coroutine *next_pooled;
    bool finished;
};

typedef struct ThreadState {
    Coroutine leader;
    Coroutine *current;
    Coroutine *switched_from; /* handed over by a switch */
    Coroutine *pool;
    unsigned pooled;
} ThreadState;

static void thread_state_free(void *opaque);
static GPrivate thread_state_key = G_PRIVATE_INIT(thread_state_free);
static __thread ThreadState *thread_state;

static __attribute__((noinline)) ThreadState *this_thread(void)
{
    __asm__ volatile(""); /* or two calls are merged into one */
    if (G_UNLIKELY(!thread_state)) {
        thread_state = g_new0(ThreadState, 1);
        thread_state->current = &thread_state->leader;
        g_private_set(&thread_state_key, thread_state);
    }
    return thread_state;
}

static void coroutine_free(Coroutine *co)
{
    munmap(co->stack, STACK_SIZE);
    g_free(co);
}

static void thread_state_free(void *opaque)
{
    ThreadState *state = opaque;

    while (state->pool) {
        Coroutine *co = state->pool;

        state->pool = co->next_pooled;
        coroutine_free(co);
    }
    g_free(state);
    thread_state = NULL;
}

static void switch_to(Coroutine *from, Coroutine *to)
{
    ThreadState *state = this_thread();

    state->current = to;
    state->switched_from = from;
    coroutine_fiber_leave(from->finished ? NULL : &from->fiber, &to->fiber);
    coroutine_context_switch(&from->context, &to->context);
    /* Perhaps in another thread now. */
    coroutine_fiber_arrive(&from->fiber, &this_thread()->switched_from->fiber);
}

static void leave(Coroutine *co)
{
    Coroutine *caller = co->caller;

    co->caller = NULL;
    switch_to(co, caller);
}

/* Where every coroutine begins; a pooled one goes round the loop again. */
static void coroutine_entry(void)
{
    ThreadState *state = this_thread();
    Coroutine *co = state->current;

    coroutine_fiber_arrive(&co->fiber, &state->switched_from->fiber);
    co->fn(co->opaque);
    co->finished = true;
    leave(co);
    g_assert_not_reached();
}

static Coroutine *coroutine_alloc(void)
{
    Coroutine *co = g_new0(Coroutine, 1);
    size_t page = (size_t)getpagesize();

    co->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (co->stack == MAP_FAILED) {
        g_error("no address space for a coroutine's stack: %s", g_strerror(errno));
    }
    mprotect(co->stack, page, PROT_NONE);
    co->fiber.bottom = (char *)co->stack + page;
    co->fiber.size = STACK_SIZE - page;
    return co;
}

Coroutine *coroutine_new(CoroutineFn *fn, void *opaque)
{
    ThreadState *state = this_thread();
    Coroutine *co = state->pool;

    if (co) {
        state->pool = co->next_pooled;
        state->pooled--;
    } else {
        co = coroutine_alloc();
    }
    co->fn = fn;
    co->opaque = opaque;
    co->finished = false;
    co->fiber.fake_stack = NULL;
    coroutine_context_init(&co->context, (void *)co->fiber.bottom, co->fiber.size,
                           coroutine_entry);
    sanitizer_add_owner(co->fiber.bottom, co->fiber.size);
    return co;
}

static void coroutine_recycle(Coroutine *co)
{
    ThreadState *state = this_thread();

    sanitizer_remove_owner(co->fiber.bottom, co->fiber.size);
    if (state->pooled == POOL_MAX) {
        coroutine_free(co);
        return;
    }
    co->next_pooled = state->pool;
    state->pool = co;
    state->pooled++;
}

void coroutine_enter(Coroutine *co)
{
    ThreadState *state = this_thread();

    g_assert(!co->caller && !co->finished); /* it runs already, or is over */
    co->caller = state->current;
    co->loop = loop_current();
    switch_to(state->current, co);
    if (co->finished) {
        coroutine_recycle(co);
    }
}

void coroutine_start(CoroutineFn *fn, void *opaque)
{
    coroutine_enter(coroutine_new(fn, opaque));
}

Coroutine *coroutine_current(void)
{
    ThreadState *state = this_thread();

    return state->current == &state->leader ? NULL : state->current;
}

void coroutine_yield(void)
{
    Coroutine *co = coroutine_current();

    g_assert(co);
    leave(co);
}

Loop *coroutine_loop(const Coroutine *co)
{
    return co->loop;
}

static void enter_posted(void *opaque)
{
    coroutine_enter(opaque);
}

void coroutine_wake(Coroutine *co)
{
    loop_post(co->loop, enter_posted, co);
}

static void wake_posted(void *opaque)
{
    coroutine_wake(opaque);
}

void coroutine_move(Loop *loop)
{
    Coroutine *co = coroutine_current();

    g_assert(co);
    if (loop != loop_current()) {
        co->loop = loop;
        /*
         * The other thread could enter us before we have left here; a callback of the old loop,
         * which runs after we left, hands us over.
         */
        loop_post(loop_current(), wake_posted, co);
        coroutine_yield();
    }
}

typedef struct SyncRun {
    CoroutineFn *fn;
    void *opaque;
    bool done;
} SyncRun;

static void sync_run_entry(void *opaque)
{
    SyncRun *run = opaque;

    run->fn(run->opaque);
    run->done = true;
}

void coroutine_run(CoroutineFn *fn, void *opaque)
{
    SyncRun run = { .fn = fn, .opaque = opaque };

    g_assert(!coroutine_current());
    coroutine_start(sync_run_entry, &run);
    while (!run.done) {
        loop_iterate(loop_current(), true);
    }
}

void coroutine_sleep(VmClock clock, int64_t ns)
{
    Timer *timer = timer_new(loop_current(), clock, enter_posted, coroutine_current());

    timer_mod(timer, vm_clock_ns(clock) + ns);
    coroutine_yield();
    timer_free(timer);
}

void coroutine_wait_readable(int fd)
{
    Loop *loop = loop_current();

    loop_set_fd(loop, fd, enter_posted, NULL, coroutine_current());
    coroutine_yield();
    loop_set_fd(loop, fd, NULL, NULL, NULL);
}

void coroutine_wait_writable(int fd)
{
    Loop *loop = loop_current();

    loop_set_fd(loop, fd, NULL, enter_posted, coroutine_current());
    coroutine_yield();
    loop_set_fd(loop, fd, NULL, NULL, NULL);
}
