/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions whose last pin went away, on any thread, wait here until the main loop drops the references
 * that stood for the pin. Not sooner: that may finalize a device, which nobody in the middle of a
 * change of the tree expects.
 */
#include "memory/internal.h"
#include "util/loop.h"
#include "util/vm-lock.h"

/* The queue is global as the memory tree is: one process is one virtual machine. */
static struct {
    GMutex lock;
    GQueue regions;
    LoopBh *bh;
} reclaim;

static void reclaim_bh(void *opaque)
{
    reclaim_run();
}

void reclaim_init(void)
{
    reclaim.bh = loop_bh_new(loop_main(), reclaim_bh, NULL);
}

void reclaim_queue(MemoryRegion *region)
{
    bool first;

    g_mutex_lock(&reclaim.lock);
    first = g_queue_is_empty(&reclaim.regions);
    if (!region->queued) {
        region->queued = true;
        g_queue_push_tail(&reclaim.regions, region);
    }
    g_mutex_unlock(&reclaim.lock);
    if (first && reclaim.bh) {
        loop_bh_schedule(reclaim.bh);
    }
}

void reclaim_run(void)
{
    for (;;) {
        MemoryRegion *region;

        g_mutex_lock(&reclaim.lock);
        region = g_queue_pop_head(&reclaim.regions);
        if (region) {
            region->queued = false;
        }
        g_mutex_unlock(&reclaim.lock);
        if (!region) {
            return;
        }
        /* A new view may have pinned it again meanwhile. */
        if (!region->owner_held || __atomic_load_n(&region->pins, __ATOMIC_ACQUIRE)) {
            continue;
        }
        region->owner_held = false;
        if (region->owner) {
            object_unref(region->owner);
        }
        region_unref(region);
    }
}

void reclaim_drain(void)
{
    bool again;

    do {
        rcu_barrier();
        g_mutex_lock(&reclaim.lock);
        again = !g_queue_is_empty(&reclaim.regions);
        g_mutex_unlock(&reclaim.lock);
        reclaim_run();
    } while (again);
    rcu_barrier();
    if (reclaim.bh) {
        g_clear_pointer(&reclaim.bh, loop_bh_free);
    }
}
