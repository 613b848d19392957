/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write-back cache of metadata: pieces ("slices") of equal size of L2 tables or of refcount
 * blocks, by their offset in the file, in the file's byte order.
 *
 * Contents change, and functions that may wait are called, only with the image's lock held; so a
 * slice may be looked at without the lock as long as the coroutine does not yield.
 */
#ifndef VIREO_BLOCK_QCOW2_TABLE_CACHE_H
#define VIREO_BLOCK_QCOW2_TABLE_CACHE_H

#include <glib.h>

#include "block/io.h"

typedef struct TableSlice TableSlice;
struct TableSlice {
    int64_t offset;
    uint8_t *data;
    bool dirty;
    unsigned pins;
    unsigned age;           /* sweeps since the last use */
    GList link;             /* in lru, the last used first */
    TableSlice *next;       /* in its bucket */
};

typedef struct TableCache {
    BlockChild **file;
    size_t slice_size;
    unsigned max;           /* slices; exceeded only while all are pinned */
    unsigned n, dirty;
    void *spare;            /* data of a slice that was dropped; NULL: none */
    GQueue lru;
    TableSlice **buckets;
    unsigned bucket_bits;
    /* Writes what is dirty, together with what must be in the file before. */
    int (*write_back)(void *opaque);
    void *opaque;
} TableCache;

void table_cache_init(TableCache *cache, BlockChild **file, size_t slice_size, unsigned max,
                      int (*write_back)(void *opaque), void *opaque);
/* Forgets all, written or not. */
void table_cache_cleanup(TableCache *cache);
void table_cache_drop_all(TableCache *cache);

/* The slice if it is there, else NULL; does not wait. Valid until the coroutine yields. */
TableSlice *table_cache_peek(TableCache *cache, int64_t offset);
/* Pinned: give it back with table_cache_put. */
int table_cache_get(TableCache *cache, int64_t offset, TableSlice **slice);
/* The same for one that is new in the file: all zeroes and dirty, nothing is read. */
int table_cache_get_new(TableCache *cache, int64_t offset, TableSlice **slice);
void table_cache_put(TableSlice *slice);
void table_cache_set_dirty(TableCache *cache, TableSlice *slice);
/* Forget what lies in this range of the file, which is not in use any more. */
void table_cache_forget(TableCache *cache, int64_t offset, int64_t bytes);
/* Write all that is dirty, neighbours together. The order towards other metadata: the caller's. */
int table_cache_write(TableCache *cache);
/* Free what nobody used since the last sweep. */
void table_cache_sweep(TableCache *cache);
/* At most so many slices from now on; what is too much goes when it is clean. */
void table_cache_set_max(TableCache *cache, unsigned max);

#endif
