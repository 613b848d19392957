/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coroutines: functions with a stack of their own, which can stop in the middle and go on later.
 * Code that waits for disks and networks is written with them as straight lines.
 *
 * A coroutine belongs to the loop on whose thread it was entered last; whatever wakes it enters it
 * there again. It has 1 MiB of stack with a guard page below; finished ones are pooled per thread.
 *
 * In a coroutine, do not hold the VM lock's protection as a reason that nothing changed across a
 * yield, and never yield inside an RCU read section or with a GMutex held.
 */
#ifndef VIREO_UTIL_COROUTINE_H
#define VIREO_UTIL_COROUTINE_H

#include "util/loop.h"
#include "util/timer.h"

typedef struct Coroutine Coroutine;
typedef void CoroutineFn(void *opaque);

/* Not running yet; it frees itself when fn returns. */
Coroutine *coroutine_new(CoroutineFn *fn, void *opaque);
/* Run it on this thread until it yields or ends. It must not be running anywhere. */
void coroutine_enter(Coroutine *co);
/* As coroutine_enter(coroutine_new(fn, opaque)). */
void coroutine_start(CoroutineFn *fn, void *opaque);
/* Go back to whoever entered us. In a coroutine only. */
void coroutine_yield(void);
/* The running coroutine, or NULL. */
Coroutine *coroutine_current(void);
/* The loop that coroutine_wake() will use. */
Loop *coroutine_loop(const Coroutine *co);
/*
 * Enter co soon, from its own loop. Any thread. Exactly one wake per yield; waking before the yield
 * is fine, since the loop cannot run earlier.
 */
void coroutine_wake(Coroutine *co);
/* Go on with this coroutine on another loop's thread. */
void coroutine_move(Loop *loop);
/* Run fn as a coroutine, and the current loop until it ended. Not from inside a coroutine. */
void coroutine_run(CoroutineFn *fn, void *opaque);

/* In a coroutine: wait. */
void coroutine_sleep(VmClock clock, int64_t ns);
/* Until fd can be read (or is hung up), or written. It must have no other watch on this loop. */
void coroutine_wait_readable(int fd);
void coroutine_wait_writable(int fd);

#endif
