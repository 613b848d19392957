/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions whose last pin went away, on any thread, wait here until the main loop drops the
 * references that stood for the pin. Not sooner: that may finalize a device, which nobody in the
 * middle of a change of the tree expects.
 */
#include "memory/internal.h"
#include "util/loop.h"
#include "util/vm-lock.h"

void reclaim_call_rcu(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
    call_rcu(head, fn);
    for (GList *space = memory_state()->spaces.head; space; space = space->next) {
        const AddressSpace *as = space->data;

        for (GList *item = as->listeners.head; item; item = item->next) {
            MemoryListener *listener = item->data;

            if (listener->grace) {
                listener->grace(listener);
            }
        }
    }
}

static void reclaim_bh(void *opaque)
{
    reclaim_run();
}

void reclaim_init(void)
{
    memory_state()->reclaim_bh = loop_bh_new(loop_main(), reclaim_bh, NULL);
}

void reclaim_queue(MemoryRegion *region)
{
    bool first;

    g_mutex_lock(&memory_state()->reclaim_lock);
    first = g_queue_is_empty(&memory_state()->reclaim_regions);
    if (!region->queued) {
        region->queued = true;
        g_queue_push_tail(&memory_state()->reclaim_regions, region);
    }
    g_mutex_unlock(&memory_state()->reclaim_lock);
    if (first && memory_state()->reclaim_bh) {
        loop_bh_schedule(memory_state()->reclaim_bh);
    }
}

void reclaim_forget(MemoryRegion *region)
{
    g_mutex_lock(&memory_state()->reclaim_lock);
    if (region->queued) {
        g_queue_remove(&memory_state()->reclaim_regions, region);
    }
    region->queued = true;
    g_mutex_unlock(&memory_state()->reclaim_lock);
}

void reclaim_run(void)
{
    for (;;) {
        MemoryRegion *region;

        g_mutex_lock(&memory_state()->reclaim_lock);
        region = g_queue_pop_head(&memory_state()->reclaim_regions);
        if (region) {
            region->queued = false;
        }
        g_mutex_unlock(&memory_state()->reclaim_lock);
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
        g_mutex_lock(&memory_state()->reclaim_lock);
        again = !g_queue_is_empty(&memory_state()->reclaim_regions);
        g_mutex_unlock(&memory_state()->reclaim_lock);
        reclaim_run();
    } while (again);
    rcu_barrier();
    if (memory_state()->reclaim_bh) {
        g_clear_pointer(&memory_state()->reclaim_bh, loop_bh_free);
    }
}
