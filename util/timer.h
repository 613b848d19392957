/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and timers. Times are nanoseconds in int64_t.
 *
 * VM_CLOCK_VIRTUAL is the guest's time: it stops while the VM is stopped and, under the qtest
 * accelerator, moves only when the test says so. Device models use it for everything the guest can
 * see. VM_CLOCK_REALTIME is the host's monotonic clock, for host-side time-outs. VM_CLOCK_HOST is
 * wall time (it may jump), for the RTC.
 */
#ifndef VIREO_UTIL_TIMER_H
#define VIREO_UTIL_TIMER_H

#include "util/loop.h"

#define NS_PER_SEC 1000000000LL
#define NS_PER_MS 1000000LL
#define NS_PER_US 1000LL

typedef enum VmClock {
    VM_CLOCK_REALTIME,
    VM_CLOCK_VIRTUAL,
    VM_CLOCK_HOST,
    VM_CLOCK__MAX,
} VmClock;

/* Any thread. */
int64_t vm_clock_ns(VmClock clock);

/* VM_CLOCK_VIRTUAL control, by the run state and by qtest; with the VM lock held. */
void vm_clock_start(void);
void vm_clock_stop(void);
/* Take the virtual clock from the host: it then stands still until stepped (qtest). */
void vm_clock_set_manual(void);
/* Any thread. */
bool vm_clock_is_manual(void);
/* Advance a manual clock to `ns`, running every timer on the way at its own time. */
void vm_clock_advance_to(int64_t ns);
/* The nearest deadline of a virtual timer in ns of that clock, or -1 if none is armed. */
int64_t vm_clock_deadline(void);
/* Set the virtual clock's value (incoming migration), while stopped. */
void vm_clock_set_ns(int64_t ns);

typedef struct Timer Timer;

/* A timer whose callback runs on loop (loop_main() for devices, thus with the VM lock held). */
Timer *timer_new(Loop *loop, VmClock clock, LoopFn *fn, void *opaque);
/* A device's timer: on the main loop and the virtual clock. */
Timer *timer_new_virtual(LoopFn *fn, void *opaque);
/* NULL is ignored. With the loop's lock (main loop: the VM lock) held. */
void timer_free(Timer *timer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Timer, timer_free)

/*
 * Arm (or re-arm) to fire once when the clock reaches `expire_ns`; a past time fires soon. Any
 * thread.
 */
void timer_mod(Timer *timer, int64_t expire_ns);
void timer_del(Timer *timer);
bool timer_pending(const Timer *timer);
/* The time it is armed for, or -1. */
int64_t timer_expire_ns(const Timer *timer);

/* a * b / c with a 128-bit intermediate, saturating; c != 0. For ticks <-> ns. */
uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c);

#endif
