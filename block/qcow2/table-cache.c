/* SPDX-License-Identifier: Apache-2.0 */
#include "block/qcow2/table-cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bits.h"

/* One write joins at most so many slices. */
#define MAX_JOINED 64

static unsigned bucket_of(const TableCache *cache, int64_t offset)
{
    uint64_t hash = (uint64_t)(offset / (int64_t)cache->slice_size) * 0x9e3779b97f4a7c15ULL;

    return (unsigned)(hash >> (64 - cache->bucket_bits));
}

void table_cache_init(TableCache *cache, BlockChild **file, size_t slice_size, unsigned max,
                      int (*write_back)(void *opaque), void *opaque)
{
    *cache = (TableCache) {
        .file = file, .slice_size = slice_size, .max = MAX(max, 2), .bucket_bits = 6,
        .write_back = write_back, .opaque = opaque,
    };
    cache->buckets = g_new0(TableSlice *, 1u << cache->bucket_bits);
}

/* Twice the buckets, when chains get long. */
static void grow_buckets(TableCache *cache)
{
    if (cache->n < 2u << cache->bucket_bits || cache->bucket_bits >= 20) {
        return;
    }
    cache->bucket_bits += 2;
    g_free(cache->buckets);
    cache->buckets = g_new0(TableSlice *, 1u << cache->bucket_bits);
    for (GList *l = cache->lru.head; l; l = l->next) {
        TableSlice *slice = l->data;
        TableSlice **bucket = &cache->buckets[bucket_of(cache, slice->offset)];

        slice->next = *bucket;
        *bucket = slice;
    }
}

static TableSlice **find(const TableCache *cache, int64_t offset)
{
    TableSlice **at = &cache->buckets[bucket_of(cache, offset)];

    while (*at && (*at)->offset != offset) {
        at = &(*at)->next;
    }
    return at;
}

/*
 * Aligned as direct I/O wants it, and no more: slices aligned to their size would take twice their
 * size from the heap. The last that became free is kept for the next, since where the cache is too
 * small for the image they come and go with every request.
 */
static void *new_data(TableCache *cache)
{
    size_t align = MAX((*cache->file)->node->limits.min_mem_alignment, sizeof(void *));
    void *data;

    if (cache->spare) {
        return g_steal_pointer(&cache->spare);
    }
    return posix_memalign(&data, align, cache->slice_size) ? NULL : data;
}

static void free_data(TableCache *cache, void *data)
{
    free(cache->spare);
    cache->spare = data;
}

static void drop(TableCache *cache, TableSlice *slice)
{
    g_assert(!slice->pins);
    *find(cache, slice->offset) = slice->next;
    g_queue_unlink(&cache->lru, &slice->link);
    cache->n--;
    cache->dirty -= slice->dirty;
    free_data(cache, slice->data);
    g_free(slice);
}

void table_cache_drop_all(TableCache *cache)
{
    while (cache->lru.head) {
        drop(cache, cache->lru.head->data);
    }
}

void table_cache_cleanup(TableCache *cache)
{
    if (cache->buckets) {
        table_cache_drop_all(cache);
        g_clear_pointer(&cache->buckets, g_free);
        free(g_steal_pointer(&cache->spare));
    }
}

static void touch(TableCache *cache, TableSlice *slice)
{
    slice->age = 0;
    if (cache->lru.head != &slice->link) {
        g_queue_unlink(&cache->lru, &slice->link);
        g_queue_push_head_link(&cache->lru, &slice->link);
    }
}

TableSlice *table_cache_peek(TableCache *cache, int64_t offset)
{
    TableSlice *slice = *find(cache, offset);

    if (slice) {
        touch(cache, slice);
    }
    return slice;
}

/* The least recently used that nobody holds, or NULL. */
static TableSlice *oldest(const TableCache *cache)
{
    for (GList *l = cache->lru.tail; l; l = l->prev) {
        TableSlice *slice = l->data;

        if (!slice->pins) {
            return slice;
        }
    }
    return NULL;
}

static int make_room(TableCache *cache)
{
    while (cache->n >= cache->max) {
        TableSlice *victim = oldest(cache);

        if (!victim) {
            return 0;
        }
        if (victim->dirty) {
            int ret = cache->write_back(cache->opaque);

            if (ret < 0) {
                return ret;
            }
        } else {
            drop(cache, victim);
        }
    }
    return 0;
}

/* Takes data. */
static int add(TableCache *cache, int64_t offset, void *data, TableSlice **out)
{
    TableSlice *slice;
    int ret = make_room(cache);

    if (ret < 0) {
        free_data(cache, data);
        return ret;
    }
    grow_buckets(cache);
    slice = g_new0(TableSlice, 1);
    slice->offset = offset;
    slice->data = data;
    slice->pins = 1;
    slice->link.data = slice;
    slice->next = cache->buckets[bucket_of(cache, offset)];
    cache->buckets[bucket_of(cache, offset)] = slice;
    g_queue_push_head_link(&cache->lru, &slice->link);
    cache->n++;
    *out = slice;
    return 0;
}

/* Read first, then show it: who only peeks must not find it empty. */
static int load(TableCache *cache, int64_t offset, TableSlice **out)
{
    void *data = new_data(cache);
    int ret;

    if (!data) {
        return -ENOMEM;
    }
    ret = block_pread(*cache->file, offset, (int64_t)cache->slice_size, data);
    if (ret < 0) {
        free_data(cache, data);
        return ret;
    }
    return add(cache, offset, data, out);
}

int table_cache_get(TableCache *cache, int64_t offset, TableSlice **slice)
{
    *slice = table_cache_peek(cache, offset);
    if (*slice) {
        (*slice)->pins++;
        return 0;
    }
    return load(cache, offset, slice);
}

int table_cache_get_new(TableCache *cache, int64_t offset, TableSlice **slice)
{
    *slice = table_cache_peek(cache, offset);
    if (*slice) {
        (*slice)->pins++;
    } else {
        void *data = new_data(cache);
        int ret = data ? add(cache, offset, data, slice) : -ENOMEM;

        if (ret < 0) {
            return ret;
        }
    }
    memset((*slice)->data, 0, cache->slice_size);
    table_cache_set_dirty(cache, *slice);
    return 0;
}

void table_cache_put(TableSlice *slice)
{
    g_assert(slice->pins);
    slice->pins--;
}

void table_cache_set_dirty(TableCache *cache, TableSlice *slice)
{
    cache->dirty += !slice->dirty;
    slice->dirty = true;
}

void table_cache_forget(TableCache *cache, int64_t offset, int64_t bytes)
{
    for (int64_t at = ROUND_DOWN(offset, (int64_t)cache->slice_size); at < offset + bytes;
         at += (int64_t)cache->slice_size) {
        TableSlice *slice = *find(cache, at);

        if (slice) {
            drop(cache, slice);
        }
    }
}

static int by_offset(const void *a, const void *b)
{
    const TableSlice *x = *(TableSlice *const *)a, *y = *(TableSlice *const *)b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int write_joined(TableCache *cache, TableSlice **slices, unsigned n)
{
    struct iovec iov[MAX_JOINED];
    BlockVec vec = { .iov = iov, .n = n };
    int ret;

    for (unsigned i = 0; i < n; i++) {
        iov[i] = (struct iovec) { slices[i]->data, cache->slice_size };
    }
    ret = block_pwritev(*cache->file, slices[0]->offset, (int64_t)(n * cache->slice_size), &vec, 0,
                        0);
    for (unsigned i = 0; i < n && ret >= 0; i++) {
        slices[i]->dirty = false;
        cache->dirty--;
    }
    return ret;
}

int table_cache_write(TableCache *cache)
{
    g_autofree TableSlice **slices = NULL;
    unsigned n = 0;
    int ret = 0;

    if (!cache->dirty) {
        return 0;
    }
    slices = g_new(TableSlice *, cache->dirty);
    for (GList *l = cache->lru.head; l; l = l->next) {
        TableSlice *slice = l->data;

        if (slice->dirty) {
            slices[n++] = slice;
        }
    }
    qsort(slices, n, sizeof(*slices), by_offset);
    for (unsigned i = 0, run; i < n && ret >= 0; i += run) {
        run = 1;
        while (i + run < n && run < MAX_JOINED &&
               slices[i + run]->offset ==
                   slices[i]->offset + (int64_t)(run * cache->slice_size)) {
            run++;
        }
        ret = write_joined(cache, slices + i, run);
    }
    return ret;
}

void table_cache_sweep(TableCache *cache)
{
    GList *next;

    for (GList *l = cache->lru.head; l; l = next) {
        TableSlice *slice = l->data;

        next = l->next;
        if (slice->age++ && !slice->dirty && !slice->pins) {
            drop(cache, slice);
        }
    }
}

void table_cache_set_max(TableCache *cache, unsigned max)
{
    cache->max = MAX(max, 2);
    while (cache->n > cache->max) {
        TableSlice *victim = oldest(cache);

        if (!victim || victim->dirty) {
            return;
        }
        drop(cache, victim);
    }
}
