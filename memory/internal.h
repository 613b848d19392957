/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of memory/: structs shared by its files and by nobody else.
 *
 * Life of a region. `refs` (VM lock) counts the creator, aliases of the region, and one while the
 * region is pinned. `pins` (atomic) counts the views it appears in and the mappings that
 * address_space_map() handed out, and I/O under way; only a view, built with the VM lock held,
 * raises it from 0. While pinned, the owner is referenced. When the last pin goes, on whatever
 * thread, the region is queued and the main loop drops the owner's reference and the pin's (object
 * references need the VM lock).
 *
 * A view that is replaced waits for an RCU grace period and then drops its pins. The writer, who
 * has the VM lock, does not wait.
 */
#ifndef VIREO_MEMORY_INTERNAL_H
#define VIREO_MEMORY_INTERNAL_H

#include "util/rcu.h"

#include "memory/memory.h"
#include "memory/ram-block.h"

/* Sizes and ends of ranges reach 2^64; aliases can start below 0. */
typedef __int128 Int128;
#define MEM_2_64 ((Int128)1 << 64)

typedef struct RegionEventfd {
    uint64_t offset;
    unsigned size;
    bool match_data;
    uint64_t data;
    EventNotifier *notifier;
} RegionEventfd;

typedef struct RegionRange {
    uint64_t offset;
    uint64_t size;
} RegionRange;

struct MemoryRegion {
    const MemoryRegionOps *ops; /* I/O regions and ROM devices */
    void *opaque;
    RamBlock *block;    /* RAM, ROM and ROM devices */
    Object *owner;      /* borrowed, but for the pin's reference */
    char *name;
    Int128 size;
    MemoryRegion *alias; /* a reference */
    uint64_t alias_offset;

    MemoryRegion *container;
    uint64_t offset; /* in container */
    int priority;
    GList link;      /* in container->subregions */
    GQueue subregions; /* highest precedence first */
    unsigned mapped_aliases; /* aliases of this region that are in a container */

    bool enabled;
    bool readonly;
    bool rom_device;
    bool romd;
    uint8_t log_mask;        /* BIT(DirtyClient); read by any thread */
    unsigned eventfd_count;  /* read by any thread before it takes the VM lock */
    GArray *eventfds;        /* RegionEventfd, or NULL */
    GArray *coalesced;       /* RegionRange, or NULL */

    unsigned refs;
    unsigned pins;
    bool owner_held;
    bool created; /* memory_region_free() has not been called */
    bool queued;  /* under the reclaim queue's lock */
    struct rcu_head rcu;
};

/* One contiguous piece of an address space that leads to one region. */
typedef struct FlatRange {
    uint64_t addr;
    uint64_t last; /* inclusive */
    uint8_t *host_read;  /* host address of addr, if reads come from memory */
    uint8_t *host_write; /* the same for writes */
    MemoryRegion *region;
    uint64_t offset; /* of addr in region */
    bool readonly;   /* by the region or an alias on the way */
    bool romd;
    bool logging;
} FlatRange;

typedef struct FlatEventfd {
    uint64_t addr;
    uint64_t offset;
    MemoryRegion *region;
    unsigned size;
    bool match_data;
    uint64_t data;
    EventNotifier *notifier;
} FlatEventfd;

typedef struct FlatCoalesced {
    uint64_t addr;
    uint64_t size;
    uint64_t offset;
    MemoryRegion *region;
} FlatCoalesced;

/* Immutable once published, but for refs. */
struct FlatView {
    uint64_t id; /* never used again, unlike the address: keys the per-thread look-up caches */
    unsigned refs; /* VM lock: address spaces that publish it */
    unsigned count;
    unsigned eventfd_count;
    unsigned coalesced_count;
    FlatRange *ranges;       /* sorted, disjoint */
    FlatEventfd *eventfds;   /* sorted by address, size, match, data, notifier */
    FlatCoalesced *coalesced; /* sorted by address */
    struct rcu_head rcu;
};

struct AddressSpace {
    FlatView *view; /* published under RCU */
    MemoryRegion *root; /* a reference */
    char *name;
    GQueue listeners; /* low priority first */
    GList link; /* in MemoryState.spaces */
    struct rcu_head rcu;
};

typedef struct RamList RamList;

/* The one mutable object of this layer: the process is one virtual machine (see memory.c). */
typedef struct MemoryState {
    unsigned depth;     /* open transactions */
    bool changed;       /* something since the last commit may alter a view */
    uint64_t last_view_id;
    GQueue spaces;
    MemoryRegion *system;
    MemoryRegion *io;
    AddressSpace *system_space;
    AddressSpace *io_space;
    /* SMM's container, its alias of `system`, and the space; NULL without memory_smm_init(). */
    MemoryRegion *smm, *smm_system;
    AddressSpace *smm_space;
    RamList *ram_list; /* published under RCU (ram-block.c) */
    uint64_t last_ram_serial;
    bool ram_no_merge;
    bool ram_no_dump;
    /* Regions without a pin, for the main loop (reclaim.c). */
    GMutex reclaim_lock;
    GQueue reclaim_regions;
    struct LoopBh *reclaim_bh;
} MemoryState;
MemoryState *memory_state(void);

static inline const FlatView *address_space_view(const AddressSpace *as)
{
    return __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
}

/* region.c */
void region_ref(MemoryRegion *region);
void region_unref(MemoryRegion *region);
/* From a view's construction (VM lock), or where a pin is known to exist already (any thread). */
void region_pin(MemoryRegion *region);
/* In an RCU read section or callback. */
void region_unpin(MemoryRegion *region);
bool region_is_rom_device(const MemoryRegion *region);
/* Does a listener care about writes to it? (The software CPU's own client is not for listeners.) */
bool region_logging(const MemoryRegion *region);

/* reclaim.c */
/* call_rcu(), and listeners are told that somebody waits for readers. VM lock held. */
void reclaim_call_rcu(struct rcu_head *head, void (*fn)(struct rcu_head *head));
void reclaim_init(void);
/* Any thread, in an RCU read section or callback. */
void reclaim_queue(MemoryRegion *region);
/*
 * The region is going: a thread that saw the last pin go, and was slow to say so, comes too late.
 */
void reclaim_forget(MemoryRegion *region);
/* VM lock. Finish what is queued now. */
void reclaim_run(void);
/* Wait for all readers and finish everything. No reader may be waiting for the VM lock. */
void reclaim_drain(void);

/* flatview.c */
FlatView *flatview_render(MemoryRegion *root);
/* VM lock. Drop an address space's hold. */
void flatview_release(FlatView *view);
/*
 * The last range found, per thread, for a few views. A view's id is never used again, so a slot
 * whose id is right belongs to the view that the caller's RCU section keeps alive. File scope
 * because a thread-local has to be.
 */
#define FLAT_FIND_SLOTS 8
typedef struct FlatFindSlot {
    uint64_t view_id;
    const FlatRange *range;
} FlatFindSlot;
extern __thread FlatFindSlot flat_find_cache[FLAT_FIND_SLOTS];
const FlatRange *flatview_find_slow(const FlatView *view, uint64_t addr);
/* The range that holds addr, or NULL. RCU read section. */
static inline const FlatRange *flatview_find(const FlatView *view, uint64_t addr)
{
    const FlatFindSlot *slot = &flat_find_cache[view->id % FLAT_FIND_SLOTS];

    if (G_LIKELY(slot->view_id == view->id && addr >= slot->range->addr &&
                 addr <= slot->range->last)) {
        return slot->range;
    }
    return flatview_find_slow(view, addr);
}
/* The first range whose last byte is at addr or above, or view->count. */
unsigned flatview_lower_bound(const FlatView *view, uint64_t addr);
MemorySection flat_range_section(AddressSpace *as, const FlatRange *range);
/* The region that decides everything below root: trivial containers and aliases are skipped. */
MemoryRegion *flatview_canonical_root(MemoryRegion *root);

/* listener.c: tell as's listeners how old became new; publishes new. */
void listeners_update(AddressSpace *as, FlatView *old, FlatView *new_view);
bool flatview_equal(const FlatView *a, const FlatView *b);
/* size > 0. Fetch from, and re-arm in, every listener that logs this part of region. */
void listeners_log_sync(MemoryRegion *region, uint64_t offset, uint64_t size);
void listeners_log_clear(MemoryRegion *region, uint64_t offset, uint64_t size);

/* io.c */
MemResult region_io_read(MemoryRegion *region, uint64_t offset, unsigned size, uint64_t *value);
MemResult region_io_write(MemoryRegion *region, uint64_t offset, unsigned size, uint64_t value);
/* The widest access that region takes at offset when `left` bytes remain; 0 if it takes none. */
unsigned region_io_chunk(const MemoryRegion *region, uint64_t offset, uint64_t left);

/* dirty.c */
void ram_block_mark_dirty(RamBlock *block, uint8_t clients, uint64_t offset, uint64_t size);
/* Make the client's bitmap, all clean. */
void ram_block_start_log(RamBlock *block, DirtyClient client);

/* Note that host memory of region was written. Any thread. */
static inline void region_note_write(MemoryRegion *region, uint64_t offset, uint64_t size)
{
    uint8_t clients = __atomic_load_n(&region->log_mask, __ATOMIC_RELAXED);

    if (G_UNLIKELY(clients)) {
        ram_block_mark_dirty(region->block, clients, offset, size);
    }
}

#endif
