/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed between two views of an address space, told to its listeners.
 *
 * Order of one update: begin; eventfds and coalesced ranges that go; ranges that go; ranges that
 * come (each with log_start if it is logged); log_start and log_stop of ranges that stay; the new
 * view is published; coalesced ranges and eventfds that come; commit.
 */
#include "memory/internal.h"
#include "util/vm-lock.h"

static bool range_same_place(const FlatRange *a, const FlatRange *b)
{
    return a->addr == b->addr && a->last == b->last && a->region == b->region &&
           a->offset == b->offset && a->readonly == b->readonly && a->romd == b->romd;
}

static bool eventfd_same(const FlatEventfd *a, const FlatEventfd *b)
{
    return a->addr == b->addr && a->size == b->size && a->region == b->region &&
           a->match_data == b->match_data && a->data == b->data && a->notifier == b->notifier;
}

static bool coalesced_same(const FlatCoalesced *a, const FlatCoalesced *b)
{
    return a->addr == b->addr && a->size == b->size && a->region == b->region;
}

bool flatview_equal(const FlatView *a, const FlatView *b)
{
    if (a->count != b->count || a->eventfd_count != b->eventfd_count ||
        a->coalesced_count != b->coalesced_count) {
        return false;
    }
    for (unsigned i = 0; i < a->count; i++) {
        if (!range_same_place(&a->ranges[i], &b->ranges[i]) ||
            a->ranges[i].logging != b->ranges[i].logging) {
            return false;
        }
    }
    for (unsigned i = 0; i < a->eventfd_count; i++) {
        if (!eventfd_same(&a->eventfds[i], &b->eventfds[i])) {
            return false;
        }
    }
    for (unsigned i = 0; i < a->coalesced_count; i++) {
        if (!coalesced_same(&a->coalesced[i], &b->coalesced[i])) {
            return false;
        }
    }
    return true;
}

/* Call an optional slot of every listener, from low priority to high, or from high to low. */
#define CALL_UP(as, slot, ...)                                                                     \
    for (GList *call_item = (as)->listeners.head; call_item; call_item = call_item->next) {        \
        MemoryListener *call_to = call_item->data;                                                 \
        if (call_to->slot) {                                                                       \
            call_to->slot(call_to, ##__VA_ARGS__);                                                 \
        }                                                                                          \
    }
#define CALL_DOWN(as, slot, ...)                                                                   \
    for (GList *call_item = (as)->listeners.tail; call_item; call_item = call_item->prev) {        \
        MemoryListener *call_to = call_item->data;                                                 \
        if (call_to->slot) {                                                                       \
            call_to->slot(call_to, ##__VA_ARGS__);                                                 \
        }                                                                                          \
    }

static MemorySection eventfd_section(AddressSpace *as, const FlatEventfd *entry)
{
    return (MemorySection){ .as = as, .region = entry->region, .addr = entry->addr,
                            .size = entry->size, .offset = entry->offset };
}

static MemorySection coalesced_section(AddressSpace *as, const FlatCoalesced *entry)
{
    return (MemorySection){ .as = as, .region = entry->region, .addr = entry->addr,
                            .size = entry->size, .offset = entry->offset };
}

/* The counterpart of range in view, or NULL. Ranges are disjoint, so at most one starts there. */
static const FlatRange *same_range(const FlatView *view, const FlatRange *range)
{
    unsigned i = view ? flatview_lower_bound(view, range->addr) : 0;

    if (!view || i == view->count || !range_same_place(&view->ranges[i], range)) {
        return NULL;
    }
    return &view->ranges[i];
}

static void tell_ranges_gone(AddressSpace *as, const FlatView *old, const FlatView *new_view)
{
    for (unsigned i = 0; old && i < old->count; i++) {
        if (!same_range(new_view, &old->ranges[i])) {
            MemorySection section = flat_range_section(as, &old->ranges[i]);

            CALL_DOWN(as, region_del, &section);
        }
    }
}

static void tell_ranges_here(AddressSpace *as, const FlatView *old, const FlatView *new_view)
{
    for (unsigned i = 0; i < new_view->count; i++) {
        const FlatRange *range = &new_view->ranges[i];
        const FlatRange *before = same_range(old, range);
        bool was_logging = before && before->logging;
        MemorySection section = flat_range_section(as, range);

        if (!before) {
            CALL_UP(as, region_add, &section);
        }
        if (range->logging && !was_logging) {
            CALL_UP(as, log_start, &section);
        } else if (!range->logging && was_logging) {
            CALL_DOWN(as, log_stop, &section);
        }
    }
}

/* Eventfds are few: a scan of the other view is enough. */
static bool has_eventfd(const FlatView *view, const FlatEventfd *entry)
{
    for (unsigned i = 0; view && i < view->eventfd_count; i++) {
        if (eventfd_same(&view->eventfds[i], entry)) {
            return true;
        }
    }
    return false;
}

static bool has_coalesced(const FlatView *view, const FlatCoalesced *entry)
{
    for (unsigned i = 0; view && i < view->coalesced_count; i++) {
        if (coalesced_same(&view->coalesced[i], entry)) {
            return true;
        }
    }
    return false;
}

static void tell_extras_gone(AddressSpace *as, const FlatView *old, const FlatView *new_view)
{
    for (unsigned i = 0; old && i < old->eventfd_count; i++) {
        const FlatEventfd *entry = &old->eventfds[i];

        if (!has_eventfd(new_view, entry)) {
            MemorySection section = eventfd_section(as, entry);

            CALL_DOWN(as, eventfd_del, &section, entry->match_data, entry->data, entry->notifier);
        }
    }
    for (unsigned i = 0; old && i < old->coalesced_count; i++) {
        if (!has_coalesced(new_view, &old->coalesced[i])) {
            MemorySection section = coalesced_section(as, &old->coalesced[i]);

            CALL_DOWN(as, coalesced_del, &section);
        }
    }
}

static void tell_extras_here(AddressSpace *as, const FlatView *old, const FlatView *new_view)
{
    for (unsigned i = 0; i < new_view->coalesced_count; i++) {
        if (!has_coalesced(old, &new_view->coalesced[i])) {
            MemorySection section = coalesced_section(as, &new_view->coalesced[i]);

            CALL_UP(as, coalesced_add, &section);
        }
    }
    for (unsigned i = 0; i < new_view->eventfd_count; i++) {
        const FlatEventfd *entry = &new_view->eventfds[i];

        if (!has_eventfd(old, entry)) {
            MemorySection section = eventfd_section(as, entry);

            CALL_UP(as, eventfd_add, &section, entry->match_data, entry->data, entry->notifier);
        }
    }
}

void listeners_update(AddressSpace *as, FlatView *old, FlatView *new_view)
{
    CALL_UP(as, begin);
    tell_extras_gone(as, old, new_view);
    tell_ranges_gone(as, old, new_view);
    tell_ranges_here(as, old, new_view);
    __atomic_store_n(&as->view, new_view, __ATOMIC_RELEASE);
    tell_extras_here(as, old, new_view);
    CALL_UP(as, commit);
}

/* Run part of the update machinery for one listener: the space's list is swapped for it alone. */
static void tell_one(MemoryListener *listener, AddressSpace *as, bool here)
{
    static const FlatView empty;
    GQueue all = as->listeners;
    GList only = { .data = listener };

    as->listeners = (GQueue){ &only, &only, 1 };
    CALL_UP(as, begin);
    if (here) {
        tell_ranges_here(as, NULL, as->view);
        tell_extras_here(as, NULL, as->view);
    } else {
        tell_extras_gone(as, as->view, &empty);
        tell_ranges_gone(as, as->view, &empty);
    }
    CALL_UP(as, commit);
    as->listeners = all;
}

void memory_listener_register(MemoryListener *listener, AddressSpace *as)
{
    GList *place;

    g_assert(vm_lock_held() && !listener->as);
    listener->as = as;
    listener->link = (GList){ .data = listener };
    for (place = as->listeners.head; place; place = place->next) {
        if (listener->priority < ((MemoryListener *)place->data)->priority) {
            break;
        }
    }
    g_queue_insert_before_link(&as->listeners, place, &listener->link);
    tell_one(listener, as, true);
}

void memory_listener_unregister(MemoryListener *listener)
{
    AddressSpace *as = listener->as;

    g_assert(vm_lock_held() && as);
    g_queue_unlink(&as->listeners, &listener->link);
    tell_one(listener, as, false);
    listener->as = NULL;
}

/* Call a logging slot for every place where [offset, offset + size) of region is visible. */
static void for_each_logged(MemoryRegion *region, uint64_t offset, uint64_t size, bool clear)
{
    for (GList *item = memory_state()->spaces.head; item; item = item->next) {
        AddressSpace *as = item->data;

        for (unsigned i = 0; !g_queue_is_empty(&as->listeners) && i < as->view->count; i++) {
            FlatRange part = as->view->ranges[i];
            uint64_t first = MAX(offset, part.offset);
            uint64_t last = MIN(offset + (size - 1), part.offset + (part.last - part.addr));

            if (part.region != region || !part.logging || first > last) {
                continue;
            }
            part.last = part.addr + (last - part.offset);
            part.addr += first - part.offset;
            part.offset = first;
            MemorySection section = flat_range_section(as, &part);

            if (clear) {
                CALL_UP(as, log_clear, &section);
            } else {
                CALL_UP(as, log_sync, &section);
            }
        }
    }
}

void listeners_log_sync(MemoryRegion *region, uint64_t offset, uint64_t size)
{
    for_each_logged(region, offset, size, false);
}

void listeners_log_clear(MemoryRegion *region, uint64_t offset, uint64_t size)
{
    for_each_logged(region, offset, size, true);
}
