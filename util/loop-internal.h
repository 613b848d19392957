/* SPDX-License-Identifier: Apache-2.0 */
/* What loop.c and timer.c know of each other; nobody else includes this. */
#ifndef VIREO_UTIL_LOOP_INTERNAL_H
#define VIREO_UTIL_LOOP_INTERNAL_H

#include "util/timer.h"

/* Timers in the order of their deadlines: a binary heap. */
typedef struct TimerHeap {
    GPtrArray *timers;
} TimerHeap;

/* The timers of one loop. The lock guards heaps and the timers in them. */
typedef struct TimerQueue {
    Loop *loop;
    GMutex lock;
    TimerHeap heaps[VM_CLOCK__MAX];
    uint64_t last_seq; /* of the latest arming */
    GList link;        /* in the list of all queues */
} TimerQueue;

void timer_queue_init(TimerQueue *queue, Loop *loop);
void timer_queue_cleanup(TimerQueue *queue);
/* ns until the nearest deadline of any clock; 0 if one has passed, -1 if nothing is armed. */
int64_t timer_queue_wait_ns(TimerQueue *queue);
/* Run what is due; true if anything ran. A timer armed meanwhile waits for the next call. */
bool timer_queue_run(TimerQueue *queue);

TimerQueue *loop_timer_queue(Loop *loop);
/* Make the loop look at its deadlines and posted callbacks again. Any thread. */
void loop_wake(Loop *loop);
/* Make the loop wake when the wall clock is set (the first VM_CLOCK_HOST timer asks for it). */
void loop_watch_wall_clock(Loop *loop);

#endif
