/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device cannot re-enter itself by DMA: while one of its callbacks runs, an access by the same
 * thread that leads back to a region of the same owner is refused (MEM_BUSY, logged as the guest's
 * error).
 *
 * Memory dispatch guards I/O callbacks itself. A device whose timers or deferred callbacks do DMA
 * guards those with this.
 */
#ifndef VIREO_MEMORY_GUARD_H
#define VIREO_MEMORY_GUARD_H

#include <glib.h>
#include <stdbool.h>

typedef struct MemoryGuard MemoryGuard;
struct MemoryGuard {
    const void *owner;
    MemoryGuard *outer;
    unsigned depth;
};

/*
 * Any thread. False if owner is busy already on this thread, or nesting is too deep: then do not
 * exit. A NULL owner only counts for depth. guard lives on the caller's stack.
 */
bool memory_guard_enter(MemoryGuard *guard, const void *owner) G_GNUC_WARN_UNUSED_RESULT;
void memory_guard_exit(MemoryGuard *guard);

#endif
