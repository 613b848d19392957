/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which things reach the disk; see qcow2.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "block/qcow2/bitmap.h"
#include "block/qcow2/snapshot.h"

/* So much may wait to become free before we flush of our own accord. */
#define MAX_FREED_BYTES (256 * (int64_t)MiB)
#define MAX_FREED_RECORDS 65536

int qcow2_barrier(Qcow2 *q)
{
    int ret = 0;

    if (q->data_file != q->node->file) {
        ret = block_flush(q->data_file->node);
    }
    return ret < 0 ? ret : block_flush(q->node->file->node);
}

int qcow2_write_refcounts(void *opaque)
{
    Qcow2 *q = opaque;
    int ret = table_cache_write(&q->refcount_cache);

    if (ret >= 0 && q->reftable.is_dirty && !q->growing_reftable) {
        ret = qcow2_barrier(q);
        ret = ret < 0 ? ret : qcow2_table_write_dirty(q, &q->reftable);
    }
    return ret;
}

int qcow2_write_back(void *opaque)
{
    Qcow2 *q = opaque;
    int ret = 0;

    if (!(q->incompatible & QCOW2_INCOMPAT_DIRTY) && !q->hold_counts) {
        ret = qcow2_write_refcounts(q);
    }
    if (ret >= 0 && (q->l2_cache.dirty || q->l1.is_dirty)) {
        ret = qcow2_barrier(q);
    }
    if (ret >= 0) {
        ret = table_cache_write(&q->l2_cache);
    }
    if (ret >= 0 && q->l1.is_dirty) {
        ret = qcow2_barrier(q);
        ret = ret < 0 ? ret : qcow2_table_write_dirty(q, &q->l1);
    }
    return ret;
}

/* ---- Freed clusters ---- */

static int by_cluster(const void *a, const void *b)
{
    const Qcow2Freed *x = a, *y = b;

    return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

/* Tell the file of clusters whose count has become 0. */
static void discard_host(Qcow2 *q, int64_t *start, int64_t *n)
{
    if (*n) {
        (void)block_pdiscard(q->node->file, *start << q->cluster_bits, *n << q->cluster_bits);
    }
    *n = 0;
}

static void release(Qcow2 *q, const Qcow2Freed *freed, int64_t *start, int64_t *n)
{
    for (int64_t i = 0; i < freed->n; i++) {
        int64_t cluster = freed->cluster + i;
        uint64_t count;

        if (qcow2_refcount(q, cluster, &count) < 0) {
            continue; /* a leak */
        }
        if (!count || qcow2_refcount_add(q, cluster, 1, -1) < 0) {
            qcow2_signal_corruption(q, true, cluster << q->cluster_bits, q->cluster_size,
                                    "Freed cluster 0x%" PRIx64 " has no references",
                                    (uint64_t)cluster);
            return;
        }
        if (count > 1) {
            continue;
        }
        q->free_hint = MIN(q->free_hint, cluster);
        if (!q->settings.discard[freed->kind]) {
            continue;
        }
        if (!*n || *start + *n != cluster) {
            discard_host(q, start, n);
            *start = cluster;
        }
        (*n)++;
    }
}

static void release_draining(Qcow2 *q)
{
    int64_t start = 0, n = 0;

    if (!q->draining->len || q->io_inflight[!(q->epoch & 1)]) {
        return;
    }
    qsort(q->draining->data, q->draining->len, sizeof(Qcow2Freed), by_cluster);
    for (guint i = 0; i < q->draining->len; i++) {
        release(q, &g_array_index(q->draining, Qcow2Freed, i), &start, &n);
    }
    discard_host(q, &start, &n);
    g_array_set_size(q->draining, 0);
}

static int flush_and_release(Qcow2 *q)
{
    int ret = qcow2_write_back(q);

    if (ret < 0) {
        return ret;
    }
    release_draining(q);
    if (!q->freed->len) {
        return qcow2_barrier(q);
    }
    ret = qcow2_barrier(q);
    if (ret >= 0 && !q->draining->len) {
        GArray *swap = q->draining;

        q->draining = q->freed;
        q->freed = swap;
        q->freed_clusters = 0;
        q->epoch++;
        release_draining(q);
    }
    return ret;
}

int qcow2_flush_all(Qcow2 *q)
{
    int ret = flush_and_release(q);

    if (ret < 0 || !q->stale_flags || q->freed->len || q->draining->len) {
        return ret;
    }
    qcow2_settle_flags(q);
    return q->stale_flags ? 0 : flush_and_release(q);
}

/* Data in a cluster may begin where another ends: never write there again when it is freed. */
static void forget_compressed_place(Qcow2 *q, int64_t cluster, int64_t n)
{
    int64_t at = q->compressed_at >> q->cluster_bits;

    if (q->compressed_at && at >= cluster && at < cluster + n) {
        q->compressed_at = 0;
    }
}

void qcow2_free_clusters(Qcow2 *q, int64_t offset, int64_t n, Qcow2FreeKind kind)
{
    Qcow2Freed freed = { offset >> q->cluster_bits, n, kind };
    Qcow2Freed *last = q->freed->len
        ? &g_array_index(q->freed, Qcow2Freed, q->freed->len - 1) : NULL;

    forget_compressed_place(q, freed.cluster, n);
    q->freed_clusters += n;
    if (last && last->kind == kind && last->cluster + last->n == freed.cluster) {
        last->n += n;
    } else {
        g_array_append_val(q->freed, freed);
    }
}

void qcow2_free_entry(Qcow2 *q, uint64_t entry, Qcow2FreeKind kind)
{
    int64_t offset, bytes;

    if (entry & QCOW2_COMPRESSED) {
        qcow2_compressed_range(q, entry, &offset, &bytes);
        qcow2_free_clusters(q, qcow2_cluster_start(q, offset),
                            qcow2_clusters(q, qcow2_in_cluster(q, offset) + bytes), kind);
    } else if ((entry & QCOW2_OFFSET_MASK) && !qcow2_has_data_file(q)) {
        qcow2_free_clusters(q, (int64_t)(entry & QCOW2_OFFSET_MASK), 1, kind);
    }
}

unsigned qcow2_io_begin(Qcow2 *q)
{
    unsigned epoch = q->epoch & 1;

    q->io_inflight[epoch]++;
    return epoch;
}

void qcow2_io_end(Qcow2 *q, unsigned epoch)
{
    q->io_inflight[epoch]--;
}

static bool too_much_freed(const Qcow2 *q)
{
    return q->freed_clusters << q->cluster_bits > MAX_FREED_BYTES ||
           q->freed->len > MAX_FREED_RECORDS;
}

/*
 * Lazy reference counts: the file says that its counts cannot be trusted before that is so. Bitmaps
 * that nobody keeps up to date become stale with the first change.
 */
int qcow2_prepare_change(Qcow2 *q)
{
    int ret = 0;

    if (q->tmp_snapshot || (q->incompatible & QCOW2_INCOMPAT_CORRUPT)) {
        return -EIO;
    }
    if (q->settings.lazy_refcounts && !q->dirty_marked) {
        ret = qcow2_set_incompatible(q, QCOW2_INCOMPAT_DIRTY, 0);
        q->dirty_marked = ret >= 0;
    }
    ret = ret < 0 ? ret : qcow2_bitmaps_become_stale(q);
    if (ret >= 0 && too_much_freed(q)) {
        ret = qcow2_flush_all(q);
    }
    return ret;
}

/*
 * A file that ends inside its last cluster is fine for QEMU and us; libqcow reads rubbish there.
 * Should it fail, the image is no worse.
 */
static void pad_last_cluster(Qcow2 *q)
{
    BlockNode *file = q->node->file->node;
    int64_t size = block_getlength(file);
    BlockTruncate pad = { .size = ROUND_UP(size, (int64_t)1 << q->cluster_bits) };

    if (file->driver->grows_on_write && size > 0 && pad.size != size) {
        block_truncate(q->node->file, &pad, NULL);
    }
}

int qcow2_settle(Qcow2 *q)
{
    int ret;

    co_mutex_lock(&q->lock);
    ret = qcow2_flush_all(q);
    if (ret >= 0) {
        ret = qcow2_write_refcounts(q);
    }
    if (ret >= 0 && q->dirty_marked) {
        ret = qcow2_barrier(q);
        ret = ret < 0 ? ret : qcow2_set_incompatible(q, 0, QCOW2_INCOMPAT_DIRTY);
        q->dirty_marked = ret < 0;
    }
    pad_last_cluster(q);
    co_mutex_unlock(&q->lock);
    return ret;
}
