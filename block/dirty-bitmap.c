/* SPDX-License-Identifier: Apache-2.0 */
#include "block/dirty-bitmap.h"

#include <errno.h>
#include <string.h>

#include "block/node-internal.h"
#include "util/bits.h"
#include "util/error.h"

struct DirtyBitmap {
    DirtyBitmap *next;
    BlockNode *node;
    char *name;         /* NULL: a job's own */
    unsigned flags;     /* written by the main thread with the lock held */
    HBitmap *map;
    HBitmap *successor; /* NULL: none */
    bool was_enabled;   /* before it had a successor, which then records */
};

static void lock(const DirtyBitmap *bitmap)
{
    g_mutex_lock(&bitmap->node->p->bitmap_lock);
}

static void unlock(const DirtyBitmap *bitmap)
{
    g_mutex_unlock(&bitmap->node->p->bitmap_lock);
}

/* ---- Making and finding ---- */

uint32_t block_dirty_bitmap_default_granularity(BlockNode *node)
{
    BlockNodeInfo info = { 0 };

    if (block_get_info(node, &info) < 0 || info.cluster_size <= 0) {
        return 65536;
    }
    return (uint32_t)CLAMP(info.cluster_size, 4096, 65536);
}

static bool name_is_fine(BlockNode *node, const char *name, GError **error)
{
    size_t length = strlen(name);

    if (!length) {
        error_setf(error, "Bitmap name cannot be empty");
    } else if (length > BLOCK_BITMAP_NAME_MAX) {
        error_setf(error, "Bitmap name too long: %zu bytes, and %d are the most", length,
                   BLOCK_BITMAP_NAME_MAX);
    } else if (block_dirty_bitmap_find(node, name)) {
        error_setf(error, "Bitmap already exists: %s", name);
    } else {
        return true;
    }
    return false;
}

typedef struct SizeRun {
    BlockNode *node;
    uint32_t granularity;
    int64_t size;
} SizeRun;

static void ask_node(void *opaque)
{
    SizeRun *run = opaque;

    run->size = block_getlength(run->node);
    if (!run->granularity) {
        run->granularity = block_dirty_bitmap_default_granularity(run->node);
    }
}

DirtyBitmap *block_dirty_bitmap_new(BlockNode *node, const char *name, uint32_t granularity,
                                         GError **error)
{
    SizeRun run = { node, granularity, 0 };
    DirtyBitmap *bitmap;
    HBitmap *map;

    if (name && !name_is_fine(node, name, error)) {
        return NULL;
    }
    if (granularity && (granularity < BLOCK_BITMAP_MIN_GRANULARITY ||
                        (granularity & (granularity - 1)))) {
        error_setf(error, "Granularity must be a power of two of at least %d",
                   BLOCK_BITMAP_MIN_GRANULARITY);
        return NULL;
    }
    block_run(node, ask_node, &run);
    if (run.size < 0) {
        error_set_errno(error, (int)-run.size, "Could not get length of node '%s'", node->name);
        return NULL;
    }
    map = hbitmap_new(run.size, (unsigned)__builtin_ctz(run.granularity));
    if (!map) {
        error_setf(error, "There is not enough memory for a bitmap of node '%s' with a granularity "
                   "of %u bytes: choose a larger one", node->name, run.granularity);
        return NULL;
    }
    bitmap = g_new0(DirtyBitmap, 1);
    bitmap->node = node;
    bitmap->name = g_strdup(name);
    bitmap->flags = BLOCK_BITMAP_ENABLED;
    bitmap->map = map;
    if (name) {
        if (!node->p->named_bitmaps) {
            node->p->named_bitmaps = g_hash_table_new(g_str_hash, g_str_equal);
        }
        g_hash_table_insert(node->p->named_bitmaps, bitmap->name, bitmap);
    }
    lock(bitmap);
    bitmap->next = node->p->bitmaps;
    __atomic_store_n(&node->p->bitmaps, bitmap, __ATOMIC_RELEASE);
    unlock(bitmap);
    return bitmap;
}

void block_dirty_bitmap_free(DirtyBitmap *bitmap)
{
    DirtyBitmap **link;

    if (!bitmap) {
        return;
    }
    lock(bitmap);
    for (link = &bitmap->node->p->bitmaps; *link != bitmap; link = &(*link)->next) {
    }
    __atomic_store_n(link, bitmap->next, __ATOMIC_RELEASE);
    unlock(bitmap);
    if (bitmap->name) {
        g_hash_table_remove(bitmap->node->p->named_bitmaps, bitmap->name);
    }
    hbitmap_free(bitmap->successor);
    hbitmap_free(bitmap->map);
    g_free(bitmap->name);
    g_free(bitmap);
}

DirtyBitmap *block_dirty_bitmap_find(BlockNode *node, const char *name)
{
    return node->p->named_bitmaps ? g_hash_table_lookup(node->p->named_bitmaps, name) : NULL;
}

DirtyBitmap *block_dirty_bitmap_next(BlockNode *node, DirtyBitmap *prev)
{
    return prev ? prev->next : node->p->bitmaps;
}

void block_dirty_bitmaps_free_all(BlockNode *node)
{
    while (node->p->bitmaps) {
        block_dirty_bitmap_free(node->p->bitmaps);
    }
}

/* ---- What the node tells ---- */

void block_dirty_bitmaps_mark(BlockNode *node, int64_t offset, int64_t bytes)
{
    /* Most nodes have none, and then there is nothing to lock. */
    if (G_LIKELY(!__atomic_load_n(&node->p->bitmaps, __ATOMIC_ACQUIRE))) {
        return;
    }
    g_mutex_lock(&node->p->bitmap_lock);
    for (DirtyBitmap *b = node->p->bitmaps; b; b = b->next) {
        if (b->flags & BLOCK_BITMAP_ENABLED) {
            hbitmap_set(b->map, offset, bytes);
        } else if (b->successor && b->was_enabled) {
            hbitmap_set(b->successor, offset, bytes);
        }
    }
    g_mutex_unlock(&node->p->bitmap_lock);
}

static bool resize_maps(DirtyBitmap *bitmap, int64_t size)
{
    return hbitmap_resize(bitmap->map, size) &&
           (!bitmap->successor || hbitmap_resize(bitmap->successor, size));
}

void block_dirty_bitmaps_resize(BlockNode *node, int64_t size)
{
    if (!__atomic_load_n(&node->p->bitmaps, __ATOMIC_ACQUIRE)) {
        return;
    }
    g_mutex_lock(&node->p->bitmap_lock);
    for (DirtyBitmap *b = node->p->bitmaps; b; b = b->next) {
        if (!resize_maps(b, size)) {
            /* It no longer says all that was written. */
            b->flags |= BLOCK_BITMAP_INCONSISTENT;
        }
    }
    g_mutex_unlock(&node->p->bitmap_lock);
}

/* ---- Properties ---- */

BlockNode *block_dirty_bitmap_node(const DirtyBitmap *bitmap)
{
    return bitmap->node;
}

const char *block_dirty_bitmap_name(const DirtyBitmap *bitmap)
{
    return bitmap->name;
}

uint32_t block_dirty_bitmap_granularity(const DirtyBitmap *bitmap)
{
    return (uint32_t)1 << hbitmap_shift(bitmap->map);
}

int64_t block_dirty_bitmap_size(const DirtyBitmap *bitmap)
{
    int64_t size;

    lock(bitmap);
    size = hbitmap_size(bitmap->map);
    unlock(bitmap);
    return size;
}

unsigned block_dirty_bitmap_flags(const DirtyBitmap *bitmap)
{
    unsigned flags;

    lock(bitmap);
    flags = bitmap->flags;
    unlock(bitmap);
    return flags;
}

void block_dirty_bitmap_change_flags(DirtyBitmap *bitmap, unsigned set, unsigned clear)
{
    lock(bitmap);
    bitmap->flags = (bitmap->flags & ~clear) | set;
    unlock(bitmap);
}

bool block_dirty_bitmap_is_recording(const DirtyBitmap *bitmap)
{
    return (block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_ENABLED) ||
           (bitmap->successor && bitmap->was_enabled);
}

bool block_dirty_bitmap_check(const DirtyBitmap *bitmap, unsigned refused, GError **error)
{
    unsigned flags = block_dirty_bitmap_flags(bitmap) & refused;

    if (flags & BLOCK_BITMAP_BUSY) {
        error_setf(error, "Bitmap '%s' is currently in use by another operation and cannot be used",
                   bitmap->name);
    } else if (flags & BLOCK_BITMAP_READ_ONLY) {
        error_setf(error, "Bitmap '%s' is readonly and cannot be modified", bitmap->name);
    } else if (flags & BLOCK_BITMAP_INCONSISTENT) {
        error_setf(error, "Bitmap '%s' is inconsistent and cannot be used; "
                   "block-dirty-bitmap-remove deletes it from disk", bitmap->name);
    }
    return !flags;
}

/* ---- Bits ---- */

int64_t block_dirty_bitmap_count(DirtyBitmap *bitmap)
{
    int64_t count;

    lock(bitmap);
    count = hbitmap_count(bitmap->map);
    unlock(bitmap);
    return count;
}

bool block_dirty_bitmap_get(DirtyBitmap *bitmap, int64_t offset)
{
    bool dirty;

    lock(bitmap);
    dirty = hbitmap_get(bitmap->map, offset);
    unlock(bitmap);
    return dirty;
}

void block_dirty_bitmap_set(DirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    lock(bitmap);
    hbitmap_set(bitmap->map, offset, bytes);
    unlock(bitmap);
}

void block_dirty_bitmap_reset(DirtyBitmap *bitmap, int64_t offset, int64_t bytes)
{
    lock(bitmap);
    hbitmap_clear(bitmap->map, offset, bytes);
    unlock(bitmap);
}

int64_t block_dirty_bitmap_next_dirty(DirtyBitmap *bitmap, int64_t start, int64_t end)
{
    int64_t at;

    lock(bitmap);
    at = hbitmap_next_set(bitmap->map, start, end);
    unlock(bitmap);
    return at;
}

int64_t block_dirty_bitmap_next_clean(DirtyBitmap *bitmap, int64_t start, int64_t end)
{
    int64_t at;

    lock(bitmap);
    at = hbitmap_next_clear(bitmap->map, start, end);
    unlock(bitmap);
    return at;
}

bool block_dirty_bitmap_next_area(DirtyBitmap *bitmap, int64_t start, int64_t end,
                                  int64_t max, int64_t *area_start, int64_t *area_bytes)
{
    bool found;

    lock(bitmap);
    found = hbitmap_next_area(bitmap->map, start, end, max, area_start, area_bytes);
    unlock(bitmap);
    return found;
}

/* An empty one like the bitmap's own. */
static HBitmap *new_map(DirtyBitmap *bitmap, GError **error)
{
    HBitmap *map = hbitmap_new(block_dirty_bitmap_size(bitmap), hbitmap_shift(bitmap->map));

    if (!map) {
        error_setf(error, "There is not enough memory for another copy of bitmap '%s'",
                   bitmap->name);
    }
    return map;
}

/* Gives back what was there. */
static HBitmap *swap_map(DirtyBitmap *bitmap, HBitmap *map)
{
    HBitmap *old;

    lock(bitmap);
    old = bitmap->map;
    /* The node may have another size by now; should that fail, the bits beyond are lost. */
    if (!hbitmap_resize(map, hbitmap_size(old))) {
        bitmap->flags |= BLOCK_BITMAP_INCONSISTENT;
    }
    bitmap->map = map;
    unlock(bitmap);
    return old;
}

bool block_dirty_bitmap_clear(DirtyBitmap *bitmap, HBitmap **backup, GError **error)
{
    HBitmap *fresh = new_map(bitmap, error), *old;

    if (!fresh) {
        return false;
    }
    old = swap_map(bitmap, fresh);
    if (backup) {
        *backup = old;
    } else {
        hbitmap_free(old);
    }
    return true;
}

void block_dirty_bitmap_restore(DirtyBitmap *bitmap, HBitmap *backup)
{
    hbitmap_free(swap_map(bitmap, backup));
}

bool block_dirty_bitmap_merge(DirtyBitmap *to, DirtyBitmap *from, HBitmap **backup,
                              GError **error)
{
    HBitmap *merged;
    int64_t size = block_dirty_bitmap_size(from);

    if (size != block_dirty_bitmap_size(to)) {
        error_setf(error, "Bitmaps are of different sizes (destination size is %" G_GINT64_FORMAT
                   ", source size is %" G_GINT64_FORMAT ") and can't be merged",
                   block_dirty_bitmap_size(to), size);
        return false;
    }
    merged = new_map(to, error);
    if (!merged) {
        return false;
    }
    lock(from);
    hbitmap_merge(merged, from->map);
    unlock(from);
    lock(to);
    hbitmap_merge(merged, to->map);
    unlock(to);
    merged = swap_map(to, merged);
    if (backup) {
        *backup = merged;
    } else {
        hbitmap_free(merged);
    }
    return true;
}

/* ---- Successors ---- */

bool block_dirty_bitmap_create_successor(DirtyBitmap *bitmap, GError **error)
{
    HBitmap *successor;

    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_BUSY, error) ||
        !(successor = new_map(bitmap, error))) {
        return false;
    }
    lock(bitmap);
    bitmap->successor = successor;
    bitmap->was_enabled = bitmap->flags & BLOCK_BITMAP_ENABLED;
    bitmap->flags = (bitmap->flags & ~BLOCK_BITMAP_ENABLED) | BLOCK_BITMAP_BUSY;
    unlock(bitmap);
    return true;
}

static void end_succession(DirtyBitmap *bitmap, bool keep_old)
{
    HBitmap *gone;

    lock(bitmap);
    if (keep_old) {
        gone = bitmap->successor;
        hbitmap_merge(bitmap->map, gone);
    } else {
        gone = bitmap->map;
        bitmap->map = bitmap->successor;
    }
    bitmap->successor = NULL;
    bitmap->flags &= ~BLOCK_BITMAP_BUSY;
    if (bitmap->was_enabled) {
        bitmap->flags |= BLOCK_BITMAP_ENABLED;
    }
    unlock(bitmap);
    hbitmap_free(gone);
}

void block_dirty_bitmap_abdicate(DirtyBitmap *bitmap)
{
    end_succession(bitmap, false);
}

void block_dirty_bitmap_reclaim(DirtyBitmap *bitmap)
{
    end_succession(bitmap, true);
}

/* ---- For QMP ---- */

GPtrArray *block_dirty_bitmap_info(BlockNode *node)
{
    GPtrArray *list = NULL;
    DirtyBitmap *bitmap = NULL;

    while ((bitmap = block_dirty_bitmap_next(node, bitmap))) {
        unsigned flags = block_dirty_bitmap_flags(bitmap);
        BlockDirtyInfo *info;

        if (flags & BLOCK_BITMAP_HIDDEN) {
            continue;
        }
        info = g_new0(BlockDirtyInfo, 1);
        info->name = g_strdup(bitmap->name);
        info->count = block_dirty_bitmap_count(bitmap);
        info->granularity = block_dirty_bitmap_granularity(bitmap);
        info->recording = block_dirty_bitmap_is_recording(bitmap);
        info->busy = flags & BLOCK_BITMAP_BUSY;
        info->persistent = flags & BLOCK_BITMAP_PERSISTENT;
        info->inconsistent = info->has_inconsistent = flags & BLOCK_BITMAP_INCONSISTENT;
        if (!list) {
            list = BlockDirtyInfo_list_new();
        }
        g_ptr_array_add(list, info);
    }
    return list;
}
