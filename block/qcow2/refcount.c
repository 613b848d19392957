/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reference counts of host clusters: a table of blocks of counts, 1 to 64 bits wide. A block that
 * is missing means zeroes. New blocks stand in the clusters just before what they were needed for.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/qcow2.h"

/* ---- Counts in a block ---- */

uint64_t qcow2_get_count(const Qcow2 *q, const uint8_t *block, uint64_t index)
{
    switch (q->refcount_order) {
    case 3:
        return block[index];
    case 4:
        return ldw_be(block + 2 * index);
    case 5:
        return ldl_be(block + 4 * index);
    case 6:
        return ldq_be(block + 8 * index);
    default: {
        unsigned bits = 1u << q->refcount_order;

        return (block[index * bits / 8] >> (index * bits % 8)) & q->refcount_max;
    }
    }
}

void qcow2_set_count(const Qcow2 *q, uint8_t *block, uint64_t index, uint64_t value)
{
    switch (q->refcount_order) {
    case 3:
        block[index] = (uint8_t)value;
        break;
    case 4:
        stw_be(block + 2 * index, (uint16_t)value);
        break;
    case 5:
        stl_be(block + 4 * index, (uint32_t)value);
        break;
    case 6:
        stq_be(block + 8 * index, value);
        break;
    default: {
        unsigned bits = 1u << q->refcount_order, shift = index * bits % 8;
        uint8_t *byte = block + index * bits / 8;

        *byte = (uint8_t)((*byte & ~(q->refcount_max << shift)) | value << shift);
    }
    }
}

/* ---- Blocks ---- */

/* A part of a block, or of the clusters that a missing one would count. */
typedef struct Counts {
    TableSlice *slice; /* pinned; NULL: all are 0 */
    uint64_t index;    /* of the cluster asked for, in the slice */
    int64_t left;      /* clusters from there on */
} Counts;

static int get_counts(Qcow2 *q, int64_t cluster, Counts *counts)
{
    uint64_t block = (uint64_t)cluster >> q->refblock_bits;
    uint64_t in_block = (uint64_t)cluster & (BIT_ULL(q->refblock_bits) - 1);
    uint64_t per_slice = ((uint64_t)q->refcount_cache.slice_size * 8) >> q->refcount_order;
    uint64_t offset;

    *counts = (Counts) { .left = (int64_t)(BIT_ULL(q->refblock_bits) - in_block) };
    if (block >= q->reftable.n) {
        return 0;
    }
    offset = q->reftable.entries[block] & QCOW2_REFTABLE_MASK;
    if (!offset) {
        return 0;
    }
    if (offset > QCOW2_MAX_HOST_OFFSET || qcow2_in_cluster(q, (int64_t)offset)) {
        return qcow2_signal_corruption(q, true, -1, -1, "Refblock offset 0x%" PRIx64
                                       " unaligned (reftable index: 0x%" PRIx64 ")", offset,
                                       block);
    }
    counts->index = in_block % per_slice;
    counts->left = (int64_t)(per_slice - counts->index);
    return table_cache_get(&q->refcount_cache,
                           (int64_t)(offset + in_block / per_slice * q->refcount_cache.slice_size),
                           &counts->slice);
}

static void put_counts(Counts *counts)
{
    if (counts->slice) {
        table_cache_put(counts->slice);
    }
}

int qcow2_refcount(Qcow2 *q, int64_t cluster, uint64_t *count)
{
    Counts counts;
    int ret = get_counts(q, cluster, &counts);

    if (ret < 0) {
        return ret;
    }
    *count = counts.slice ? qcow2_get_count(q, counts.slice->data, counts.index) : 0;
    put_counts(&counts);
    return 0;
}

/* To n counts of one slice. Stops at the first that cannot take it; *done says how many could. */
static int add_in_slice(Qcow2 *q, Counts *counts, int64_t n, int64_t addend, int64_t *done)
{
    int ret = 0;

    for (*done = 0; *done < n; (*done)++) {
        uint64_t index = counts->index + (uint64_t)*done;
        uint64_t old = qcow2_get_count(q, counts->slice->data, index);

        if (addend < 0 ? old < (uint64_t)-addend : q->refcount_max - old < (uint64_t)addend) {
            ret = addend < 0 ? -EIO : -ERANGE;
            break;
        }
        qcow2_set_count(q, counts->slice->data, index, old + (uint64_t)addend);
    }
    if (*done) {
        table_cache_set_dirty(&q->refcount_cache, counts->slice);
    }
    return ret;
}

static int ensure_blocks(Qcow2 *q, int64_t first, int64_t n, int64_t at);

/* Undoes on failure what it did. */
int qcow2_refcount_add(Qcow2 *q, int64_t cluster, int64_t n, int64_t addend)
{
    int64_t done = 0, step;
    int ret = 0;

    while (done < n && ret >= 0) {
        Counts counts;

        ret = get_counts(q, cluster + done, &counts);
        if (ret >= 0 && !counts.slice) {
            ret = qcow2_signal_corruption(q, true, (cluster + done) << q->cluster_bits,
                                          q->cluster_size,
                                          "Cluster 0x%" PRIx64 " in use has no refcount block",
                                          (uint64_t)(cluster + done));
        }
        if (ret < 0) {
            break;
        }
        ret = add_in_slice(q, &counts, MIN(n - done, counts.left), addend, &step);
        put_counts(&counts);
        done += step;
    }
    if (ret < 0 && done) {
        (void)qcow2_refcount_add(q, cluster, done, -addend);
    }
    return ret;
}

/* ---- Growing ---- */

/* The longer table gets a place, and the header names it when all is in the file. */
static int move_reftable(Qcow2 *q, int64_t clusters)
{
    int64_t offset = qcow2_alloc(q, clusters, NULL);
    int ret;

    if (offset < 0) {
        return (int)offset;
    }
    ret = table_cache_write(&q->refcount_cache);
    ret = ret < 0 ? ret : qcow2_table_write_at(q, &q->reftable, offset);
    ret = ret < 0 ? ret : qcow2_barrier(q);
    if (ret < 0) {
        return ret;
    }
    q->reftable.offset = offset;
    return qcow2_header_write(q);
}

/* The table stays as short as it was: what the added part counted is lost, hence free. */
static void forget_new_blocks(Qcow2 *q, uint32_t old_n)
{
    for (uint32_t i = old_n; i < q->reftable.n; i++) {
        int64_t offset = (int64_t)(q->reftable.entries[i] & QCOW2_REFTABLE_MASK);

        if (offset) {
            table_cache_forget(&q->refcount_cache, offset, q->cluster_size);
            qcow2_metadata_remove(q, offset, q->cluster_size, QCOW2_S_REFBLOCK);
        }
    }
    qcow2_table_resize(&q->reftable, old_n);
}

/* A larger table, somewhere else; the header says where when all is in the file. */
static int grow_reftable(Qcow2 *q, uint64_t blocks)
{
    int64_t old_offset = q->reftable.offset, old_bytes = (int64_t)q->reftable.n * 8;
    uint64_t wanted = MAX(blocks, q->reftable.n + q->reftable.n / 2);
    int64_t clusters = qcow2_clusters(q, (int64_t)wanted * 8);
    int ret;

    if (blocks > QCOW2_MAX_REFTABLE_BYTES / 8) {
        return -EFBIG;
    }
    clusters = MIN(clusters, QCOW2_MAX_REFTABLE_BYTES >> q->cluster_bits);
    q->growing_reftable = true;
    qcow2_table_resize(&q->reftable, (uint32_t)(((uint64_t)clusters << q->cluster_bits) / 8));
    ret = move_reftable(q, clusters);
    q->growing_reftable = false;
    if (ret < 0) {
        forget_new_blocks(q, (uint32_t)(old_bytes / 8));
        q->reftable.offset = old_offset;
        return ret;
    }
    qcow2_metadata_remove(q, old_offset, old_bytes, QCOW2_S_REFTABLE);
    qcow2_metadata_add(q, q->reftable.offset, (int64_t)q->reftable.n * 8, QCOW2_S_REFTABLE);
    qcow2_free_clusters(q, old_offset, qcow2_clusters(q, old_bytes), QCOW2_FREE_OTHER);
    return 0;
}

static int new_block(Qcow2 *q, uint64_t block, int64_t cluster)
{
    int64_t offset = cluster << q->cluster_bits;
    int ret = 0;

    for (int64_t at = offset; at < offset + q->cluster_size && ret >= 0;
         at += (int64_t)q->refcount_cache.slice_size) {
        TableSlice *slice;

        ret = table_cache_get_new(&q->refcount_cache, at, &slice);
        if (ret >= 0) {
            table_cache_put(slice);
        }
    }
    if (ret >= 0) {
        qcow2_table_set(&q->reftable, (uint32_t)block, (uint64_t)offset);
        qcow2_metadata_add(q, offset, q->cluster_size, QCOW2_S_REFBLOCK);
    } else {
        table_cache_forget(&q->refcount_cache, offset, q->cluster_size);
    }
    return ret;
}

/*
 * Blocks for all of the free clusters [first, first + n): those that are missing are put at `at`
 * and after it, which is in that range, so that some count themselves. Returns how many.
 */
static int ensure_blocks(Qcow2 *q, int64_t first, int64_t n, int64_t at)
{
    uint64_t from = (uint64_t)first >> q->refblock_bits;
    uint64_t to = (uint64_t)(first + n - 1) >> q->refblock_bits;
    int added = 0, ret = 0;

    if (to >= q->reftable.n) {
        ret = grow_reftable(q, to + 1);
        return ret < 0 ? ret : 1;
    }
    for (uint64_t block = from; block <= to && ret >= 0; block++) {
        if (!(q->reftable.entries[block] & QCOW2_REFTABLE_MASK)) {
            ret = new_block(q, block, at + added);
            added += ret >= 0;
        }
    }
    if (ret >= 0 && added) {
        ret = qcow2_refcount_add(q, at, added, 1);
    }
    return ret < 0 ? ret : added;
}

/* ---- Allocating ---- */

/*
 * The first run of free clusters from *start on that is long enough, or, unless exact, the first
 * at all, at most n. Sets *start; returns its length or -errno.
 */
static int64_t find_run(Qcow2 *q, int64_t *start, int64_t n, bool exact)
{
    int64_t at = *start, run = 0;

    while (run < n) {
        Counts counts;
        int ret = get_counts(q, at + run, &counts);

        if (ret < 0) {
            return ret;
        }
        if (!counts.slice) {
            run += MIN(counts.left, n - run);
            continue;
        }
        for (int64_t i = 0; i < counts.left && run < n; i++) {
            if (!qcow2_get_count(q, counts.slice->data, counts.index + (uint64_t)i)) {
                run++;
            } else if (run && !exact) {
                n = run;
            } else {
                at += run + 1;
                run = 0;
            }
        }
        put_counts(&counts);
        if (at > (int64_t)(QCOW2_MAX_HOST_OFFSET >> q->cluster_bits)) {
            return -EFBIG;
        }
    }
    *start = at;
    return run;
}

int64_t qcow2_alloc(Qcow2 *q, int64_t n, int64_t *got)
{
    int64_t start = q->free_hint, first_free = -1, run;
    int ret;

    do {
        run = find_run(q, &start, n, !got);
        if (run < 0) {
            return run;
        }
        first_free = first_free < 0 ? start : first_free;
        if ((uint64_t)(start + run) > QCOW2_MAX_HOST_OFFSET >> q->cluster_bits) {
            return -EFBIG;
        }
        ret = ensure_blocks(q, start, run, start);
        if (ret < 0) {
            return ret;
        }
    } while (ret > 0);
    ret = qcow2_refcount_add(q, start, run, 1);
    if (ret < 0) {
        return ret;
    }
    /* A long table may have left a gap, which shorter requests will want. */
    if (got || n == 1 || start == q->free_hint) {
        q->free_hint = start + run;
    }
    if (got) {
        *got = run;
    }
    q->file_end = MAX(q->file_end, (start + run) << q->cluster_bits);
    return start << q->cluster_bits;
}

int64_t qcow2_alloc_at(Qcow2 *q, int64_t offset, int64_t n)
{
    int64_t cluster = offset >> q->cluster_bits, start = cluster, run;
    int ret;

    run = find_run(q, &start, n, false);
    if (run < 0) {
        return run;
    }
    if (start != cluster) {
        return 0;
    }
    ret = ensure_blocks(q, start, run, start);
    if (ret != 0) {
        return MIN(ret, 0);
    }
    ret = qcow2_refcount_add(q, start, run, 1);
    if (ret < 0) {
        return ret;
    }
    if (q->free_hint == start) {
        q->free_hint = start + run;
    }
    q->file_end = MAX(q->file_end, (start + run) << q->cluster_bits);
    return run;
}

void qcow2_unalloc(Qcow2 *q, int64_t offset, int64_t n)
{
    int64_t cluster = offset >> q->cluster_bits;

    if (n > 0 && qcow2_refcount_add(q, cluster, n, -1) >= 0) {
        q->free_hint = MIN(q->free_hint, cluster);
    }
}
