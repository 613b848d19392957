/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a tree of regions to a sorted array of ranges, and look-up in it.
 *
 * Rendering walks the tree in order of precedence; each leaf fills what is still free inside its
 * clip window. Ends are 128 bits wide because a window may end at 2^64, and an aliased region may
 * begin below 0.
 */
#include "memory/internal.h"
#include "util/vm-lock.h"

/* Far more than nested bridges need; a loop of aliases is our own bug. */
#define RENDER_DEPTH_MAX 256

typedef struct Window {
    Int128 start;
    Int128 end;
} Window;

typedef struct Renderer {
    GArray *ranges; /* FlatRange, sorted, disjoint */
    unsigned depth;
} Renderer;

static unsigned ranges_lower_bound(const FlatRange *ranges, unsigned count, uint64_t addr)
{
    unsigned low = 0;

    while (low < count) {
        unsigned middle = low + (count - low) / 2;

        if (ranges[middle].last < addr) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

static FlatRange make_range(MemoryRegion *region, Int128 base, Int128 start, Int128 end,
                            bool readonly)
{
    FlatRange range = {
        .addr = start,
        .last = end - 1,
        .region = region,
        .offset = start - base,
        .readonly = readonly,
        .romd = region->block && (!region->rom_device || region->romd),
        .logging = region_logging(region),
    };

    if (range.romd) {
        range.host_read = (uint8_t *)ram_block_host(region->block) + range.offset;
        if (!readonly && !region->rom_device) {
            range.host_write = range.host_read;
        }
    }
    return range;
}

/* Put region, whose offset 0 is at base, into the free parts of the window. */
static void render_leaf(Renderer *renderer, MemoryRegion *region, Int128 base, Window window,
                        bool readonly)
{
    GArray *ranges = renderer->ranges;
    Int128 at = window.start;
    unsigned i = ranges_lower_bound((FlatRange *)(void *)ranges->data, ranges->len, at);

    while (at < window.end) {
        const FlatRange *next = i < ranges->len ? &g_array_index(ranges, FlatRange, i) : NULL;
        Int128 gap_end = window.end;

        if (next && (Int128)next->addr <= at) {
            at = (Int128)next->last + 1;
            i++;
            continue;
        }
        if (next && (Int128)next->addr < gap_end) {
            gap_end = next->addr;
        }
        FlatRange range = make_range(region, base, at, gap_end, readonly);

        g_array_insert_val(ranges, i, range);
        i++;
        at = gap_end;
    }
}

static void render(Renderer *renderer, MemoryRegion *region, Int128 base, Window window,
                   bool readonly)
{
    if (!region->enabled) {
        return;
    }
    window.start = MAX(window.start, base);
    window.end = MIN(window.end, base + region->size);
    if (window.start >= window.end) {
        return;
    }
    g_assert(++renderer->depth < RENDER_DEPTH_MAX);
    readonly |= region->readonly;
    if (region->alias) {
        render(renderer, region->alias, base - region->alias_offset, window, readonly);
    }
    for (GList *item = region->subregions.head; item; item = item->next) {
        MemoryRegion *sub = item->data;

        render(renderer, sub, base + sub->offset, window, readonly);
    }
    if (region->ops || region->block) {
        render_leaf(renderer, region, base, window, readonly);
    }
    renderer->depth--;
}

/* May b be appended to a? */
static bool ranges_join(const FlatRange *a, const FlatRange *b)
{
    return a->last + 1 == b->addr && a->region == b->region &&
           a->offset + (b->addr - a->addr) == b->offset && a->readonly == b->readonly;
}

static void join_neighbours(GArray *ranges)
{
    unsigned kept = 0;

    for (unsigned i = 1; i < ranges->len; i++) {
        FlatRange *last = &g_array_index(ranges, FlatRange, kept);
        FlatRange *range = &g_array_index(ranges, FlatRange, i);

        if (ranges_join(last, range)) {
            last->last = range->last;
        } else {
            g_array_index(ranges, FlatRange, ++kept) = *range;
        }
    }
    if (ranges->len) {
        g_array_set_size(ranges, kept + 1);
    }
}

#define COMPARE(a, b)                                                                              \
    do {                                                                                           \
        if ((a) != (b)) {                                                                          \
            return (a) < (b) ? -1 : 1;                                                             \
        }                                                                                          \
    } while (0)

static int compare_eventfds(const void *left, const void *right)
{
    const FlatEventfd *a = left;
    const FlatEventfd *b = right;

    COMPARE(a->addr, b->addr);
    COMPARE(a->size, b->size);
    COMPARE(a->match_data, b->match_data);
    COMPARE(a->data, b->data);
    COMPARE((uintptr_t)a->notifier, (uintptr_t)b->notifier);
    return 0;
}

static int compare_coalesced(const void *left, const void *right)
{
    const FlatCoalesced *a = left;
    const FlatCoalesced *b = right;

    COMPARE(a->addr, b->addr);
    COMPARE(a->size, b->size);
    return 0;
}

/* The region's eventfds whose whole access lies in the range. */
static void collect_eventfds(const FlatRange *range, GArray *out)
{
    uint64_t last_offset = range->offset + (range->last - range->addr);

    for (unsigned i = 0; i < range->region->eventfd_count; i++) {
        const RegionEventfd *entry = &g_array_index(range->region->eventfds, RegionEventfd, i);
        uint64_t tail = entry->size ? entry->size - 1 : 0;

        if (entry->offset < range->offset || entry->offset > last_offset ||
            tail > last_offset - entry->offset) {
            continue;
        }
        FlatEventfd flat = {
            .addr = range->addr + (entry->offset - range->offset), .offset = entry->offset,
            .region = range->region, .size = entry->size, .match_data = entry->match_data,
            .data = entry->data, .notifier = entry->notifier,
        };
        g_array_append_val(out, flat);
    }
}

static void collect_coalesced(const FlatRange *range, GArray *out)
{
    uint64_t last_offset = range->offset + (range->last - range->addr);
    const GArray *list = range->region->coalesced;

    for (unsigned i = 0; list && i < list->len; i++) {
        const RegionRange *entry = &g_array_index(list, RegionRange, i);
        uint64_t first = MAX(entry->offset, range->offset);
        uint64_t last = MIN(entry->offset + (entry->size - 1), last_offset);

        if (first > last) {
            continue;
        }
        FlatCoalesced flat = {
            .addr = range->addr + (first - range->offset), .size = last - first + 1,
            .offset = first, .region = range->region,
        };
        g_array_append_val(out, flat);
    }
}

FlatView *flatview_render(MemoryRegion *root)
{
    Renderer renderer = { .ranges = g_array_new(FALSE, FALSE, sizeof(FlatRange)) };
    g_autoptr(GArray) eventfds = g_array_new(FALSE, FALSE, sizeof(FlatEventfd));
    g_autoptr(GArray) coalesced = g_array_new(FALSE, FALSE, sizeof(FlatCoalesced));
    FlatView *view = g_new0(FlatView, 1);

    render(&renderer, root, 0, (Window){ 0, MEM_2_64 }, false);
    join_neighbours(renderer.ranges);
    view->id = ++memory_state()->last_view_id;
    view->count = renderer.ranges->len;
    view->ranges = (FlatRange *)(void *)g_array_free(renderer.ranges, FALSE);
    for (unsigned i = 0; i < view->count; i++) {
        region_pin(view->ranges[i].region);
        collect_eventfds(&view->ranges[i], eventfds);
        collect_coalesced(&view->ranges[i], coalesced);
    }
    g_array_sort(eventfds, compare_eventfds);
    g_array_sort(coalesced, compare_coalesced);
    view->eventfd_count = eventfds->len;
    view->eventfds = (FlatEventfd *)(void *)g_array_free(g_steal_pointer(&eventfds), FALSE);
    view->coalesced_count = coalesced->len;
    view->coalesced = (FlatCoalesced *)(void *)g_array_free(g_steal_pointer(&coalesced), FALSE);
    return view;
}

static void flatview_free_rcu(struct rcu_head *head)
{
    FlatView *view = caa_container_of(head, FlatView, rcu);

    for (unsigned i = 0; i < view->count; i++) {
        region_unpin(view->ranges[i].region);
    }
    g_free(view->ranges);
    g_free(view->eventfds);
    g_free(view->coalesced);
    g_free(view);
}

void flatview_release(FlatView *view)
{
    g_assert(view->refs > 0);
    if (--view->refs == 0) {
        reclaim_call_rcu(&view->rcu, flatview_free_rcu);
    }
}

MemoryRegion *flatview_canonical_root(MemoryRegion *root)
{
    for (;;) {
        MemoryRegion *next = NULL;

        if (!root->enabled || root->readonly || root->ops || root->block) {
            return root;
        }
        if (root->alias) {
            if (!root->alias_offset && root->size >= root->alias->size) {
                next = root->alias;
            }
        } else if (root->subregions.length == 1) {
            MemoryRegion *sub = root->subregions.head->data;

            if (!sub->offset && root->size >= sub->size && sub->enabled) {
                next = sub;
            }
        }
        if (!next) {
            return root;
        }
        root = next;
    }
}

unsigned flatview_lower_bound(const FlatView *view, uint64_t addr)
{
    return ranges_lower_bound(view->ranges, view->count, addr);
}

__thread FlatFindSlot flat_find_cache[FLAT_FIND_SLOTS];

const FlatRange *flatview_find_slow(const FlatView *view, uint64_t addr)
{
    unsigned i = flatview_lower_bound(view, addr);
    const FlatRange *range = &view->ranges[i];

    if (i == view->count || addr < range->addr) {
        return NULL;
    }
    flat_find_cache[view->id % FLAT_FIND_SLOTS] = (FlatFindSlot){ view->id, range };
    return range;
}

MemorySection flat_range_section(AddressSpace *as, const FlatRange *range)
{
    return (MemorySection){
        .as = as,
        .region = range->region,
        .addr = range->addr,
        .size = range->last - range->addr + 1,
        .offset = range->offset,
        .readonly = range->readonly || range->region->rom_device,
        .romd = range->romd,
    };
}
