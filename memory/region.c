/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions: making them, linking them into a tree, changing them. Life is described in internal.h.
 */
#include "memory/internal.h"
#include "util/bits.h"
#include "util/vm-lock.h"

static Int128 region_size_from(uint64_t size)
{
    return size ? (Int128)size : MEM_2_64;
}

static MemoryRegion *region_new(Object *owner, const char *name, Int128 size)
{
    MemoryRegion *region = g_new0(MemoryRegion, 1);

    region->owner = owner;
    region->name = g_strdup(name);
    region->size = size;
    region->enabled = true;
    region->refs = 1;
    region->created = true;
    region->link.data = region;
    return region;
}

MemoryRegion *memory_region_new_container(Object *owner, const char *name, uint64_t size)
{
    return region_new(owner, name, region_size_from(size));
}

MemoryRegion *memory_region_new_io(Object *owner, const MemoryRegionOps *ops, void *opaque,
                                   const char *name, uint64_t size)
{
    MemoryRegion *region = region_new(owner, name, region_size_from(size));

    region->ops = ops;
    region->opaque = opaque;
    return region;
}

static MemoryRegion *region_new_ram(Object *owner, const RamBlockInfo *info, GError **error)
{
    MemoryRegion *region = region_new(owner, info->name, info->length);

    region->block = ram_block_new(region, info, error);
    if (!region->block) {
        memory_region_free(region);
        return NULL;
    }
    return region;
}

MemoryRegion *memory_region_new_ram(Object *owner, const char *name, uint64_t size, GError **error)
{
    RamBlockInfo info = { .name = name, .length = size, .max_length = size, .fd = -1 };

    return region_new_ram(owner, &info, error);
}

MemoryRegion *memory_region_new_resizable_ram(Object *owner, const char *name, uint64_t size,
                                              uint64_t max_size,
                                              void (*resized)(void *opaque, uint64_t size),
                                              void *opaque, GError **error)
{
    RamBlockInfo info = { .name = name, .length = size, .max_length = max_size, .fd = -1,
                          .resized = resized, .opaque = opaque };

    return region_new_ram(owner, &info, error);
}

MemoryRegion *memory_region_new_rom(Object *owner, const char *name, uint64_t size, GError **error)
{
    MemoryRegion *region = memory_region_new_ram(owner, name, size, error);

    if (region) {
        region->readonly = true;
    }
    return region;
}

MemoryRegion *memory_region_new_rom_device(Object *owner, const MemoryRegionOps *ops, void *opaque,
                                           const char *name, uint64_t size, GError **error)
{
    MemoryRegion *region = memory_region_new_ram(owner, name, size, error);

    if (region) {
        region->ops = ops;
        region->opaque = opaque;
        region->rom_device = true;
        region->romd = true;
    }
    return region;
}

MemoryRegion *memory_region_new_ram_ptr(Object *owner, const char *name, uint64_t size, void *host,
                                        int fd, uint64_t fd_offset)
{
    RamBlockInfo info = { .name = name, .length = size, .max_length = size, .host = host, .fd = fd,
                          .fd_offset = fd_offset };
    MemoryRegion *region = region_new_ram(owner, &info, NULL);

    g_assert(region); /* borrowed memory has nothing that could fail */
    return region;
}

MemoryRegion *memory_region_new_alias(Object *owner, const char *name, MemoryRegion *target,
                                      uint64_t offset, uint64_t size)
{
    MemoryRegion *region = region_new(owner, name, region_size_from(size));

    region->alias = target;
    region->alias_offset = offset;
    region_ref(target);
    return region;
}

void region_ref(MemoryRegion *region)
{
    region->refs++;
}

static void region_free_rcu(struct rcu_head *head)
{
    MemoryRegion *region = caa_container_of(head, MemoryRegion, rcu);

    g_free(region->name);
    g_free(region);
}

void region_unref(MemoryRegion *region)
{
    g_assert(region->refs > 0);
    if (--region->refs) {
        return;
    }
    g_assert(!region->container && g_queue_is_empty(&region->subregions));
    reclaim_forget(region);
    if (region->alias) {
        region_unref(region->alias);
    }
    if (region->block) {
        ram_block_free(region->block);
    }
    g_clear_pointer(&region->eventfds, g_array_unref);
    g_clear_pointer(&region->coalesced, g_array_unref);
    /* Readers may have come here through the RAM list. */
    reclaim_call_rcu(&region->rcu, region_free_rcu);
}

void memory_region_free(MemoryRegion *region)
{
    if (!region) {
        return;
    }
    g_assert(region->created && !region->container);
    region->created = false;
    while (!g_queue_is_empty(&region->subregions)) {
        memory_region_remove(region, region->subregions.head->data);
    }
    region_unref(region);
}

void region_pin(MemoryRegion *region)
{
    if (__atomic_fetch_add(&region->pins, 1, __ATOMIC_RELAXED) == 0 && !region->owner_held) {
        region->owner_held = true;
        region_ref(region);
        if (region->owner) {
            object_ref(region->owner);
        }
    }
}

void region_unpin(MemoryRegion *region)
{
    if (__atomic_fetch_sub(&region->pins, 1, __ATOMIC_ACQ_REL) == 1) {
        reclaim_queue(region);
    }
}

/* Tell the aliased region whether one more or one less of its aliases has a place. */
static void region_count_alias(MemoryRegion *region, int step)
{
    for (MemoryRegion *target = region->alias; target; target = target->alias) {
        target->mapped_aliases += step;
    }
}

void memory_region_add_overlap(MemoryRegion *container, uint64_t offset, MemoryRegion *sub,
                               int priority)
{
    GList *place;

    g_assert(!sub->container && sub != container);
    memory_transaction_begin();
    sub->container = container;
    sub->offset = offset;
    sub->priority = priority;
    for (place = container->subregions.head; place; place = place->next) {
        if (priority >= ((MemoryRegion *)place->data)->priority) {
            break;
        }
    }
    g_queue_insert_before_link(&container->subregions, place, &sub->link);
    region_count_alias(sub, 1);
    memory_state()->changed = true;
    memory_transaction_commit();
}

void memory_region_add(MemoryRegion *container, uint64_t offset, MemoryRegion *sub)
{
    memory_region_add_overlap(container, offset, sub, 0);
}

void memory_region_remove(MemoryRegion *container, MemoryRegion *sub)
{
    g_assert(sub->container == container);
    memory_transaction_begin();
    g_queue_unlink(&container->subregions, &sub->link);
    sub->container = NULL;
    region_count_alias(sub, -1);
    memory_state()->changed = true;
    memory_transaction_commit();
}

const char *memory_region_name(const MemoryRegion *region)
{
    return region->name;
}

uint64_t memory_region_size(const MemoryRegion *region)
{
    return region->size;
}

Object *memory_region_owner(const MemoryRegion *region)
{
    return region->owner;
}

bool memory_region_is_ram(const MemoryRegion *region)
{
    return region->block && !region->rom_device;
}

bool memory_region_is_rom(const MemoryRegion *region)
{
    return region->block && (region->readonly || region->rom_device);
}

bool memory_region_address(const MemoryRegion *region, uint64_t *addr)
{
    *addr = 0;
    while (region->container) {
        *addr += region->offset;
        region = region->container;
    }
    return region == memory_system();
}

bool memory_region_is_mapped(const MemoryRegion *region)
{
    return region->container || region->mapped_aliases;
}

void *memory_region_ram_ptr(const MemoryRegion *region)
{
    return region->block ? ram_block_host(region->block) : NULL;
}

RamBlock *memory_region_ram_block(const MemoryRegion *region)
{
    return region->block;
}

int memory_region_fd(const MemoryRegion *region)
{
    return region->block ? ram_block_fd(region->block) : -1;
}

MemoryRegion *memory_region_from_host(const void *host, uint64_t *offset)
{
    MemoryRegion *region = NULL;
    RamBlock *block;

    rcu_read_lock();
    block = ram_block_from_host(host);
    if (block) {
        region = ram_block_region(block);
        *offset = (const uint8_t *)host - (uint8_t *)ram_block_host(block);
    }
    rcu_read_unlock();
    return region;
}

/* One property of the region becomes `value`: a transaction, if that is a change. */
#define REGION_CHANGE(region, field, value)                                                        \
    do {                                                                                           \
        if ((region)->field != (value)) {                                                          \
            memory_transaction_begin();                                                            \
            (region)->field = (value);                                                             \
            memory_state()->changed = true;                                                        \
            memory_transaction_commit();                                                           \
        }                                                                                          \
    } while (0)

void memory_region_set_enabled(MemoryRegion *region, bool enabled)
{
    REGION_CHANGE(region, enabled, enabled);
}

void memory_region_set_readonly(MemoryRegion *region, bool readonly)
{
    REGION_CHANGE(region, readonly, readonly);
}

void memory_region_set_address(MemoryRegion *region, uint64_t offset)
{
    REGION_CHANGE(region, offset, offset);
}

void memory_region_set_size(MemoryRegion *region, uint64_t size)
{
    Int128 new_size = region_size_from(size);

    g_assert(!region->block || new_size <= ram_block_max_length(region->block));
    REGION_CHANGE(region, size, new_size);
}

void memory_region_set_alias_offset(MemoryRegion *region, uint64_t offset)
{
    g_assert(region->alias);
    REGION_CHANGE(region, alias_offset, offset);
}

void memory_region_rom_device_set_romd(MemoryRegion *region, bool romd)
{
    g_assert(region->rom_device);
    REGION_CHANGE(region, romd, romd);
}

/* Index of an equal entry, or -1. */
static int region_find_eventfd(const MemoryRegion *region, const RegionEventfd *key)
{
    for (unsigned i = 0; i < region->eventfd_count; i++) {
        const RegionEventfd *entry = &g_array_index(region->eventfds, RegionEventfd, i);

        if (entry->offset == key->offset && entry->size == key->size &&
            entry->match_data == key->match_data && entry->data == key->data &&
            entry->notifier == key->notifier) {
            return i;
        }
    }
    return -1;
}

static void region_set_eventfd_count(MemoryRegion *region)
{
    __atomic_store_n(&region->eventfd_count, region->eventfds->len, __ATOMIC_RELEASE);
    memory_state()->changed = true;
}

void memory_region_add_eventfd(MemoryRegion *region, uint64_t offset, unsigned size,
                               bool match_data, uint64_t data, EventNotifier *notifier)
{
    RegionEventfd entry = { offset, size, match_data, match_data ? data : 0, notifier };

    g_assert(region->ops && region_find_eventfd(region, &entry) < 0);
    memory_transaction_begin();
    if (!region->eventfds) {
        region->eventfds = g_array_new(FALSE, FALSE, sizeof(RegionEventfd));
    }
    g_array_append_val(region->eventfds, entry);
    region_set_eventfd_count(region);
    memory_transaction_commit();
}

void memory_region_del_eventfd(MemoryRegion *region, uint64_t offset, unsigned size,
                               bool match_data, uint64_t data, EventNotifier *notifier)
{
    RegionEventfd entry = { offset, size, match_data, match_data ? data : 0, notifier };
    int index = region_find_eventfd(region, &entry);

    g_assert(index >= 0);
    memory_transaction_begin();
    g_array_remove_index(region->eventfds, index);
    region_set_eventfd_count(region);
    memory_transaction_commit();
}

/* Take [offset, offset + size) out of the region's coalesced ranges; a range may fall in two. */
static void region_uncoalesce(MemoryRegion *region, uint64_t offset, uint64_t size)
{
    uint64_t end = offset + size;

    for (unsigned i = region->coalesced->len; i-- > 0;) {
        RegionRange range = g_array_index(region->coalesced, RegionRange, i);

        if (!ranges_overlap(range.offset, range.size, offset, size)) {
            continue;
        }
        g_array_remove_index(region->coalesced, i);
        if (range.offset < offset) {
            RegionRange head = { range.offset, offset - range.offset };

            g_array_append_val(region->coalesced, head);
        }
        if (range.offset + range.size > end) {
            RegionRange tail = { end, range.offset + range.size - end };

            g_array_append_val(region->coalesced, tail);
        }
    }
}

void memory_region_set_coalescing(MemoryRegion *region, uint64_t offset, uint64_t size, bool on)
{
    RegionRange range = { offset, size };

    g_assert(size && offset + size > offset);
    memory_transaction_begin();
    if (!region->coalesced) {
        region->coalesced = g_array_new(FALSE, FALSE, sizeof(RegionRange));
    }
    region_uncoalesce(region, offset, size);
    if (on) {
        g_array_append_val(region->coalesced, range);
    }
    memory_state()->changed = true;
    memory_transaction_commit();
}

bool region_logging(const MemoryRegion *region)
{
    return region->log_mask & ~BIT(DIRTY_CODE);
}

void memory_region_set_log(MemoryRegion *region, DirtyClient client, bool on)
{
    bool was_logging;

    g_assert(region->block);
    if (on == !!(region->log_mask & BIT(client))) {
        return;
    }
    was_logging = region_logging(region);
    memory_transaction_begin();
    if (on) {
        ram_block_start_log(region->block, client);
        __atomic_fetch_or(&region->log_mask, BIT(client), __ATOMIC_RELEASE);
    } else {
        __atomic_fetch_and(&region->log_mask, ~BIT(client), __ATOMIC_RELEASE);
    }
    memory_state()->changed = true;
    memory_transaction_commit();
    /* That a logged region has one more client is no news to listeners, but its bits are clear. */
    if (on && was_logging && client != DIRTY_CODE) {
        listeners_log_clear(region, 0, ram_block_max_length(region->block));
    }
}
