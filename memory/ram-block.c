/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of RAM blocks: an immutable array, sorted by host address, published under RCU. Order of
 * creation is kept in each block's serial number.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/internal.h"
#include "memory/ram-block-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/vm-lock.h"

struct RamList {
    struct rcu_head rcu;
    unsigned count;
    RamBlock *blocks[];
};

static const RamList *ram_list_get(void)
{
    return __atomic_load_n(&memory_state()->ram_list, __ATOMIC_ACQUIRE);
}

static void ram_list_free_rcu(struct rcu_head *head)
{
    g_free(caa_container_of(head, RamList, rcu));
}

/* Publish a copy without `remove` and with `add`; either may be NULL. */
static void ram_list_change(RamBlock *add, RamBlock *remove)
{
    RamList *old = memory_state()->ram_list;
    unsigned count = old ? old->count : 0;
    RamList *list = g_malloc0(sizeof(*list) + (count + 1) * sizeof(list->blocks[0]));

    for (unsigned i = 0; i < count; i++) {
        RamBlock *block = old->blocks[i];

        if (add && add->host < block->host) {
            list->blocks[list->count++] = g_steal_pointer(&add);
        }
        if (block != remove) {
            list->blocks[list->count++] = block;
        }
    }
    if (add) {
        list->blocks[list->count++] = add;
    }
    __atomic_store_n(&memory_state()->ram_list, list, __ATOMIC_RELEASE);
    if (old) {
        reclaim_call_rcu(&old->rcu, ram_list_free_rcu);
    }
}

void ram_list_cleanup(void)
{
    RamList **list = &memory_state()->ram_list;

    g_assert(!*list || !(*list)->count);
    g_clear_pointer(list, g_free);
}

RamBlock *ram_block_from_host(const void *host)
{
    const RamList *list = ram_list_get();
    unsigned low = 0;
    unsigned high = list ? list->count : 0;
    const uint8_t *address = host;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        RamBlock *block = list->blocks[middle];

        if (address < block->host) {
            high = middle;
        } else if (address - block->host < (ptrdiff_t)block->max_length) {
            return block;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

RamBlock *ram_block_find(const char *idstr)
{
    const RamList *list = ram_list_get();

    for (unsigned i = 0; list && i < list->count; i++) {
        if (!strcmp(list->blocks[i]->idstr, idstr)) {
            return list->blocks[i];
        }
    }
    return NULL;
}

static int compare_serial(const void *left, const void *right)
{
    const RamBlock *a = *(RamBlock *const *)left;
    const RamBlock *b = *(RamBlock *const *)right;

    return a->serial < b->serial ? -1 : 1;
}

void ram_block_foreach(bool (*fn)(RamBlock *block, void *opaque), void *opaque)
{
    const RamList *list = ram_list_get();
    g_autofree RamBlock **blocks = NULL;
    unsigned count = list ? list->count : 0;

    if (!count) {
        return;
    }
    blocks = g_memdup2(list->blocks, count * sizeof(blocks[0]));
    qsort(blocks, count, sizeof(blocks[0]), compare_serial);
    for (unsigned i = 0; i < count; i++) {
        if (!fn(blocks[i], opaque)) {
            return;
        }
    }
}

void ram_block_set_idstr(RamBlock *block, const char *idstr)
{
    g_autofree char *name = g_strdup(idstr);

    for (unsigned n = 2; ram_block_find(name) && ram_block_find(name) != block; n++) {
        g_free(name);
        name = g_strdup_printf("%s#%u", idstr, n);
    }
    g_free(block->idstr);
    block->idstr = g_steal_pointer(&name);
}

void ram_set_defaults(bool merge, bool dump)
{
    memory_state()->ram_no_merge = !merge;
    memory_state()->ram_no_dump = !dump;
}

RamBlock *ram_block_new(MemoryRegion *region, const RamBlockInfo *info, GError **error)
{
    RamBlock *block = g_new0(RamBlock, 1);
    RamMapping mapping = {
        .size = info->max_length, .fd = -1, .merge = !memory_state()->ram_no_merge,
        .no_dump = memory_state()->ram_no_dump,
    };

    g_assert(vm_lock_held() && info->length <= info->max_length);
    block->host = info->host;
    if (!block->host) {
        block->host = ram_map(&mapping, error);
        if (!block->host) {
            g_prefix_error(error, "%s: ", info->name);
            g_free(block);
            return NULL;
        }
        block->owned = true;
    }
    block->region = region;
    block->serial = ++memory_state()->last_ram_serial;
    block->length = info->length;
    block->fd = info->fd;
    block->fd_offset = info->fd_offset;
    block->page_size = ram_fd_page_size(info->fd);
    block->max_length = info->max_length;
    block->resized = info->resized;
    block->opaque = info->opaque;
    ram_block_set_idstr(block, info->name);
    ram_list_change(block, NULL);
    return block;
}

static void ram_block_free_rcu(struct rcu_head *head)
{
    RamBlock *block = caa_container_of(head, RamBlock, rcu);

    if (block->watch) {
        block->watch->free(block->watch);
    }
    if (block->owned) {
        ram_unmap(block->host, block->max_length, -1);
    }
    for (unsigned i = 0; i < DIRTY__MAX; i++) {
        g_free(block->dirty[i]);
    }
    g_free(block->idstr);
    g_free(block);
}

void ram_block_free(RamBlock *block)
{
    ram_list_change(NULL, block);
    reclaim_call_rcu(&block->rcu, ram_block_free_rcu);
}

void ram_block_pin(RamBlock *block)
{
    region_pin(block->region);
}

void ram_block_unpin(RamBlock *block)
{
    region_unpin(block->region);
}

bool ram_block_resize(RamBlock *block, uint64_t size, GError **error)
{
    if (!size || size > block->max_length) {
        error_setf(error, "RAM block '%s' cannot have %" G_GUINT64_FORMAT
                   " bytes, at most %" G_GUINT64_FORMAT, block->idstr, size, block->max_length);
        return false;
    }
    if (size != block->length) {
        __atomic_store_n(&block->length, size, __ATOMIC_RELEASE);
        memory_region_set_size(block->region, size);
        if (block->resized) {
            block->resized(block->opaque, size);
        }
    }
    return true;
}

/*
 * Shared memory is freed by removing it from its file, also where that has no name; the kernel
 * refuses this for private mappings, of which it is enough to drop our copies.
 */
static int advise_discard(RamBlock *block, void *host, size_t size)
{
    int advice = __atomic_load_n(&block->discard_advice, __ATOMIC_RELAXED);

    if (advice) {
        return madvise(host, size, advice) ? -errno : 0;
    }
    advice = MADV_REMOVE;
    if (madvise(host, size, advice) != 0) {
        advice = MADV_DONTNEED;
        if (madvise(host, size, advice) != 0) {
            return -errno;
        }
    }
    __atomic_store_n(&block->discard_advice, advice, __ATOMIC_RELAXED);
    return 0;
}

int ram_block_discard(RamBlock *block, uint64_t offset, uint64_t size)
{
    int result;

    if (!range_ok(offset, size, ram_block_length(block)) ||
        !IS_ALIGNED(offset | size, block->page_size)) {
        return -EINVAL;
    }
    if (!size) {
        return 0;
    }
    result = advise_discard(block, block->host + offset, size);
    if (result == 0) {
        memory_region_set_dirty(block->region, offset, size);
    }
    return result;
}

RamWatch *ram_block_watch(const RamBlock *block)
{
    return __atomic_load_n(&block->watch, __ATOMIC_ACQUIRE);
}

RamWatch *ram_block_set_watch(RamBlock *block, RamWatch *watch)
{
    RamWatch *none = NULL;

    if (!__atomic_compare_exchange_n(&block->watch, &none, watch, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        return none;
    }
    __atomic_fetch_or(&block->region->log_mask, BIT(DIRTY_CODE), __ATOMIC_SEQ_CST);
    return watch;
}

const char *ram_block_idstr(const RamBlock *block)
{
    return block->idstr;
}

MemoryRegion *ram_block_region(const RamBlock *block)
{
    return block->region;
}

void *ram_block_host(const RamBlock *block)
{
    return block->host;
}

uint64_t ram_block_length(const RamBlock *block)
{
    return __atomic_load_n(&block->length, __ATOMIC_ACQUIRE);
}

uint64_t ram_block_max_length(const RamBlock *block)
{
    return block->max_length;
}

uint64_t ram_block_page_size(const RamBlock *block)
{
    return block->page_size;
}

int ram_block_fd(const RamBlock *block)
{
    return block->fd;
}

uint64_t ram_block_fd_offset(const RamBlock *block)
{
    return block->fd_offset;
}
