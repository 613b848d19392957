/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM lock protects device models, the object tree, the memory tree and the run state. The main
 * thread holds it except while its loop sleeps; a vCPU thread takes it only to enter a device
 * model; iothreads do not take it. It is not recursive: memory dispatch asks vm_lock_held() first.
 */
#ifndef VIREO_UTIL_VM_LOCK_H
#define VIREO_UTIL_VM_LOCK_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>

void vm_lock(void);
void vm_unlock(void);
/*
 * Unlock, and if threads wait, let one of them in before returning. A mutex is not fair: who
 * unlocks and locks again at once, as a busy main loop does, would keep a sleeper out for long.
 */
void vm_unlock_to_others(void);
/* Does this thread hold it? */
bool vm_lock_held(void);
/* Wait on cond, releasing the VM lock meanwhile. */
void vm_lock_cond_wait(pthread_cond_t *cond);

/* Held until the end of the scope, unless it was held already. */
typedef struct VmLockGuard {
    bool taken;
} VmLockGuard;
static inline VmLockGuard vm_lock_guard_enter(void)
{
    VmLockGuard guard = { .taken = !vm_lock_held() };

    if (guard.taken) {
        vm_lock();
    }
    return guard;
}
static inline void vm_lock_guard_exit(VmLockGuard *guard)
{
    if (guard->taken) {
        vm_unlock();
    }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VmLockGuard, vm_lock_guard_exit)
#define VM_LOCK_GUARD() g_auto(VmLockGuard) vm_lock_guard_ G_GNUC_UNUSED = vm_lock_guard_enter()

#endif
