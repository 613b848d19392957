/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read-copy-update: liburcu's memb flavour under its usual short names (rcu_read_lock(),
 * rcu_dereference(), synchronize_rcu(), call_rcu()). Threads made by thread_create() and the main
 * thread are registered readers; any other thread must register itself. A read section must not
 * wait: neither for a lock that is held around synchronize_rcu() nor in a coroutine yield.
 */
#ifndef VIREO_UTIL_RCU_H
#define VIREO_UTIL_RCU_H

/*
 * Lets the read lock be inlined, which makes every access to guest memory a third cheaper. What is
 * used here are functions of at most ten lines, which liburcu offers to programs of any licence
 * (LGPL 2.1, section 5, and the comments in urcu/static/urcu-memb.h).
 */
#define _LGPL_SOURCE
#include <urcu.h>

#include <glib.h>

/* Held until the end of the scope. */
typedef struct RcuReadGuard {
    char unused;
} RcuReadGuard;
static inline RcuReadGuard rcu_read_guard_enter(void)
{
    RcuReadGuard guard = { 0 };

    rcu_read_lock();
    return guard;
}
static inline void rcu_read_guard_exit(RcuReadGuard *guard)
{
    (void)guard;
    rcu_read_unlock();
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RcuReadGuard, rcu_read_guard_exit)
#define RCU_READ_GUARD()                                                                           \
    g_auto(RcuReadGuard) rcu_read_guard_ G_GNUC_UNUSED = rcu_read_guard_enter()

#endif
