/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: file descriptors (epoll), timers (util/timer.h) and deferred callbacks.
 *
 * There is one main loop, which lives in glib's default main context, and one loop per iothread.
 * A loop's callbacks run on its thread; on the main loop they run with the VM lock held
 * (util/vm-lock.h), which is released only while the loop sleeps.
 */
#ifndef VIREO_UTIL_LOOP_H
#define VIREO_UTIL_LOOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Loop Loop;

typedef void LoopFn(void *opaque);

/* A loop for an iothread. Owned by the caller; free it on no thread's callback. */
Loop *loop_new(GError **error);
void loop_free(Loop *loop);

/* The main loop, made at first use by the main thread. Never freed before exit. */
Loop *loop_main(void);
/* The loop whose callback runs on this thread, or the main loop. */
Loop *loop_current(void);
bool loop_in_main_thread(void);

/*
 * Let an iothread's loop look for work for up to max_ns before it sleeps; 0: never, as at first.
 * The time adapts: it grows by a factor while that would have avoided sleeping, and shrinks by a
 * divisor when not even max_ns would have; grow 0 means 2, shrink 0 means down to nothing. Any
 * thread.
 */
void loop_set_polling(Loop *loop, int64_t max_ns, int64_t grow, int64_t shrink);

/*
 * For programs whose loop does nothing but their work, as tools: it may wait inside a system call
 * that moves up to so many bytes, as handing it over would cost more than doing it. Loop's thread.
 */
void loop_allow_waiting(Loop *loop, size_t bytes);
bool loop_may_wait(const Loop *loop, size_t bytes);

/* Dispatch until loop_quit(). For the main loop this runs glib's context. */
void loop_run(Loop *loop);
/* Any thread. */
void loop_quit(Loop *loop);
/* One iteration; returns true if anything was dispatched. */
bool loop_iterate(Loop *loop, bool may_block);

/*
 * Watch fd: on_read and on_write are called while it is readable (or hung up) / writable. Passing
 * NULL for both removes the watch. At most one watch per fd and loop. A callback may remove its own
 * or any other watch. Loop's thread only; for the main loop, any thread that holds the VM lock.
 */
void loop_set_fd(Loop *loop, int fd, LoopFn *on_read, LoopFn *on_write, void *opaque);

/* Run fn(opaque) once on the loop's thread, soon. Any thread; order of posting is kept. */
void loop_post(Loop *loop, LoopFn *fn, void *opaque);
/* As loop_post, and wait until it has run. Not from the loop's own thread with the VM lock held. */
void loop_post_wait(Loop *loop, LoopFn *fn, void *opaque);
/* Make the loop turn once, though there is nothing to do. Any thread. */
void loop_kick(Loop *loop);
/* As loop_post_wait: until all is over that the loop's thread is doing just now. */
void loop_synchronize(Loop *loop);

/*
 * A deferred callback that can be scheduled again and again without allocating ("bottom half").
 * schedule: any thread, idempotent until it ran. free: loop's thread.
 */
typedef struct LoopBh LoopBh;
LoopBh *loop_bh_new(Loop *loop, LoopFn *fn, void *opaque);
void loop_bh_schedule(LoopBh *bh);
void loop_bh_cancel(LoopBh *bh);
void loop_bh_free(LoopBh *bh);

#endif
