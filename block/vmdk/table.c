/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grain tables: a cache of them with a limit, which is also where changes wait. A crash must not
 * leave an entry whose grain was never written, so changed tables go to the file after a flush of
 * the grains: all of them at once, when the image is flushed or a changed one must make room.
 *
 * A stream that is being written keeps its tables in memory until they are put at its end.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "util/bits.h"

/* 256 tables of usual size stand for 8 GiB of disk. */
#define SETS 64u
#define WAYS 4u

typedef struct Slot {
    const VmdkExtent *extent; /* NULL: free */
    uint32_t index;
    uint32_t *entries;        /* host order */
    uint64_t used;
    bool dirty;
} Slot;

struct VmdkTableCache {
    Slot slots[SETS][WAYS];
    uint64_t clock;
    unsigned dirty;
};

VmdkTableCache *vmdk_cache_new(void)
{
    return g_new0(VmdkTableCache, 1);
}

void vmdk_cache_free(VmdkTableCache *cache)
{
    for (unsigned i = 0; cache && i < SETS * WAYS; i++) {
        g_free(cache->slots[i / WAYS][i % WAYS].entries);
    }
    g_free(cache);
}

static Slot *set_of(VmdkImage *image, const VmdkExtent *extent, uint32_t index)
{
    return image->cache->slots[(index + (uint32_t)(extent - image->extents) * 29) % SETS];
}

static Slot *find_slot(VmdkImage *image, const VmdkExtent *extent, uint32_t index)
{
    Slot *set = set_of(image, extent, index);

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].extent == extent && set[i].index == index) {
            set[i].used = ++image->cache->clock;
            return &set[i];
        }
    }
    return NULL;
}

static Slot *oldest(Slot *set)
{
    Slot *slot = set;

    for (unsigned i = 1; i < WAYS; i++) {
        if (!set[i].extent || (slot->extent && set[i].used < slot->used)) {
            slot = &set[i];
        }
    }
    return slot;
}

/* ---- The file ---- */

static int write_table(VmdkExtent *extent, uint32_t index, const uint32_t *entries)
{
    uint32_t raw[COWD_GTES_PER_GT];
    size_t bytes = 4 * (size_t)extent->gtes;
    int ret = 0;

    for (uint32_t i = 0; i < extent->gtes; i++) {
        raw[i] = htole32(entries[i]);
    }
    if (extent->redundant && extent->redundant[index]) {
        ret = block_pwrite(extent->child, extent->redundant[index] * (int64_t)BLOCK_SECTOR, bytes,
                           raw, 0);
    }
    if (ret >= 0) {
        ret = block_pwrite(extent->child, extent->directory[index] * (int64_t)BLOCK_SECTOR, bytes,
                           raw, 0);
    }
    return ret;
}

static int flush_grains(VmdkImage *image)
{
    int ret = 0;

    for (unsigned i = 0; i < image->n && ret >= 0; i++) {
        if (image->extents[i].kind == VMDK_SPARSE) {
            ret = block_flush(image->extents[i].child->node);
        }
    }
    return ret;
}

/* With the table lock. */
static int write_dirty(BlockNode *node)
{
    VmdkImage *image = node->opaque;
    int ret;

    if (!image->cache->dirty) {
        return 0;
    }
    ret = flush_grains(image);
    for (unsigned i = 0; i < SETS * WAYS && ret >= 0; i++) {
        Slot *slot = &image->cache->slots[i / WAYS][i % WAYS];

        if (slot->dirty) {
            ret = write_table(&image->extents[slot->extent - image->extents], slot->index,
                              slot->entries);
            slot->dirty = ret < 0;
            image->cache->dirty -= ret >= 0;
        }
    }
    return ret;
}

int vmdk_tables_flush(BlockNode *node)
{
    VmdkImage *image = node->opaque;
    int ret;

    co_mutex_lock(&image->table_lock);
    ret = write_dirty(node);
    co_mutex_unlock(&image->table_lock);
    return ret;
}

/* With the table lock. */
static int load_slot(BlockNode *node, VmdkExtent *extent, uint32_t index, Slot **out)
{
    VmdkImage *image = node->opaque;
    Slot *slot = find_slot(image, extent, index);
    size_t bytes = 4 * (size_t)extent->gtes;
    uint32_t raw[COWD_GTES_PER_GT];
    int ret;

    *out = slot;
    if (slot) {
        return 0;
    }
    ret = block_pread(extent->child, extent->directory[index] * (int64_t)BLOCK_SECTOR, bytes, raw);
    if (ret < 0) {
        return ret;
    }
    slot = oldest(set_of(image, extent, index));
    if (slot->dirty) {
        ret = write_dirty(node);
        if (ret < 0) {
            return ret;
        }
    }
    slot->entries = g_realloc(slot->entries, bytes);
    for (uint32_t i = 0; i < extent->gtes; i++) {
        slot->entries[i] = le32toh(raw[i]);
    }
    slot->extent = extent;
    slot->index = index;
    slot->used = ++image->cache->clock;
    *out = slot;
    return 0;
}

int vmdk_table_get(BlockNode *node, VmdkExtent *extent, uint32_t index, const uint32_t **table)
{
    VmdkImage *image = node->opaque;
    Slot *slot;
    int ret = 0;

    *table = NULL;
    if (extent->stream) {
        *table = extent->stream[index];
        return 0;
    }
    if (!extent->directory[index]) {
        return 0;
    }
    slot = find_slot(image, extent, index);
    if (!slot) {
        co_mutex_lock(&image->table_lock);
        ret = load_slot(node, extent, index, &slot);
        co_mutex_unlock(&image->table_lock);
    }
    if (ret >= 0) {
        *table = slot->entries;
    }
    return ret;
}

int vmdk_table_set(BlockNode *node, VmdkExtent *extent, int64_t grain, uint32_t n, uint32_t value,
                   uint32_t step)
{
    VmdkImage *image = node->opaque;
    uint32_t index = grain / extent->gtes, first = grain % extent->gtes;
    uint32_t *entries;
    Slot *slot = NULL;
    int ret = 0;

    if (extent->stream) {
        if (!extent->stream[index]) {
            extent->stream[index] = g_new0(uint32_t, extent->gtes);
        }
        entries = extent->stream[index];
    } else {
        co_mutex_lock(&image->table_lock);
        ret = load_slot(node, extent, index, &slot);
        if (ret < 0) {
            co_mutex_unlock(&image->table_lock);
            return ret;
        }
        entries = slot->entries;
    }
    for (uint32_t i = 0; i < n; i++) {
        entries[first + i] = value + i * step;
    }
    if (slot) {
        image->cache->dirty += !slot->dirty;
        slot->dirty = true;
        co_mutex_unlock(&image->table_lock);
    }
    return 0;
}

/* ---- Looking up ---- */

VmdkExtent *vmdk_extent_at(VmdkImage *image, int64_t offset)
{
    unsigned low = 0, high = image->n;

    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;

        if (image->extents[middle].start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &image->extents[low];
}

static VmdkRunType type_of(const VmdkExtent *extent, uint32_t entry)
{
    if (!entry) {
        return VMDK_RUN_ABSENT;
    }
    if (entry == VMDK_GTE_ZERO && extent->zeroed_grain) {
        return VMDK_RUN_ZERO;
    }
    return extent->compressed ? VMDK_RUN_COMPRESSED : VMDK_RUN_DATA;
}

/* Grains from first on that continue what the first one is. */
static uint32_t count_run(const VmdkExtent *extent, const uint32_t *table, uint32_t first,
                          uint32_t max)
{
    uint32_t step = extent->grain_size / BLOCK_SECTOR;
    VmdkRunType type = type_of(extent, table[first]);
    uint32_t n = 1;

    if (type == VMDK_RUN_COMPRESSED) {
        return 1;
    }
    while (n < max && type_of(extent, table[first + n]) == type &&
           (type != VMDK_RUN_DATA || table[first + n] == table[first] + n * step)) {
        n++;
    }
    return n;
}

/* Where grains follow each other, the next one's place limits this one. */
static int64_t grain_room(const VmdkExtent *extent, const uint32_t *table, uint32_t index)
{
    int64_t most = ROUND_UP(2 * (int64_t)extent->grain_size + VMDK_GRAIN_MARKER, BLOCK_SECTOR);
    uint32_t next = index + 1 < extent->gtes ? table[index + 1] : 0;
    int64_t distance = ((int64_t)next - table[index]) * BLOCK_SECTOR;

    return distance > 0 ? MIN(distance, most) : most;
}

static void describe_run(VmdkExtent *extent, const uint32_t *table, int64_t at, int64_t bytes,
                         VmdkRun *run)
{
    uint32_t first = at / extent->grain_size % extent->gtes;
    uint32_t in_grain = at % extent->grain_size;
    int64_t most = DIV_ROUND_UP(in_grain + bytes, extent->grain_size);
    uint32_t n = count_run(extent, table, first, MIN(most, extent->gtes - first));

    run->bytes = MIN(bytes, n * (int64_t)extent->grain_size - in_grain);
    run->type = type_of(extent, table[first]);
    run->at = table[first] * (int64_t)BLOCK_SECTOR;
    if (run->type == VMDK_RUN_DATA) {
        run->at += in_grain;
    } else if (run->type == VMDK_RUN_COMPRESSED) {
        run->room = grain_room(extent, table, first);
    }
}

int vmdk_lookup(BlockNode *node, int64_t offset, int64_t bytes, VmdkRun *run)
{
    VmdkImage *image = node->opaque;
    VmdkExtent *extent = vmdk_extent_at(image, offset);
    int64_t at = offset - extent->start, span;
    const uint32_t *table;
    int ret;

    *run = (VmdkRun) { .extent = extent, .bytes = MIN(bytes, extent->size - at) };
    if (extent->kind != VMDK_SPARSE) {
        run->type = extent->kind == VMDK_FLAT ? VMDK_RUN_DATA : VMDK_RUN_ZERO;
        run->at = extent->base + at;
        return 0;
    }
    span = (int64_t)extent->grain_size * extent->gtes;
    run->bytes = MIN(run->bytes, span - at % span);
    ret = vmdk_table_get(node, extent, at / span, &table);
    if (ret < 0 || !table) {
        return ret;
    }
    describe_run(extent, table, at, run->bytes, run);
    if (run->type == VMDK_RUN_DATA && run->at < extent->overhead) {
        return -EIO;
    }
    return 0;
}
