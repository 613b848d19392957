/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroes without data, and discarding: entries of L2 tables that lose their host clusters. */
#include <errno.h>

#include "block/qcow2/qcow2.h"

typedef enum Wanted {
    READS_ZERO,        /* host clusters may stay */
    READS_ZERO_UNMAP,  /* they should go */
    BACKING_SHOWS,
} Wanted;

/* What a backing file has, or might have when there is one again. */
static bool may_have_backing(const Qcow2 *q)
{
    return q->node->backing || q->node->header_backing_file;
}

/* The entry of a whole cluster, and whether the old one's host cluster is lost. */
static Qcow2Entry whole_entry(const Qcow2 *q, Qcow2Entry old, Wanted wanted, bool *lost)
{
    bool compressed = old.desc & QCOW2_COMPRESSED;
    bool keep = wanted == READS_ZERO && !compressed && (old.desc & QCOW2_COPIED);
    Qcow2Entry entry = {
        .desc = keep ? old.desc & (QCOW2_OFFSET_MASK | QCOW2_COPIED) : 0,
    };

    *lost = !keep && (compressed || (old.desc & QCOW2_OFFSET_MASK));
    if (wanted == BACKING_SHOWS || q->version < 3) {
        return entry;
    }
    if (!keep && !may_have_backing(q) &&
        (wanted == READS_ZERO_UNMAP || !(old.desc || old.bitmap))) {
        return entry; /* without a backing file what is unallocated reads as zeroes too */
    }
    if (q->extended_l2) {
        entry.bitmap = MASK_ULL(63, 32);
    } else {
        entry.desc |= QCOW2_ZERO;
    }
    return entry;
}

/* Subclusters only. */
static int partial_entry(const Qcow2 *q, Qcow2Entry old, int64_t from, int64_t to,
                         Qcow2Entry *entry)
{
    uint64_t subs = MASK_ULL((unsigned)((to - 1) >> q->sub_bits), (unsigned)(from >> q->sub_bits));

    if (old.desc & QCOW2_COMPRESSED) {
        return -ENOTSUP;
    }
    *entry = old;
    if (old.desc || old.bitmap || may_have_backing(q)) {
        entry->bitmap = (old.bitmap & ~subs) | subs << 32;
    }
    return 0;
}

static int change_cluster(Qcow2 *q, TableSlice *slice, int64_t at, int64_t from, int64_t to,
                          Wanted wanted, Qcow2FreeKind kind)
{
    unsigned index = qcow2_slice_index(q, at);
    Qcow2Entry old = qcow2_get_entry(q, slice, index), entry;
    bool lost = false;

    if (from == 0 && (to == q->cluster_size || at + to >= q->disk_size)) {
        entry = whole_entry(q, old, wanted, &lost);
    } else {
        int ret = partial_entry(q, old, from, to, &entry);

        if (ret < 0) {
            return ret;
        }
    }
    if (entry.desc == old.desc && entry.bitmap == old.bitmap) {
        return 0;
    }
    qcow2_set_entry(q, slice, index, entry);
    if (lost) {
        qcow2_free_entry(q, old.desc, kind);
    }
    return 0;
}

/* With the lock held: a range within one slice. */
static int change_slice(Qcow2 *q, int64_t offset, int64_t end, Wanted wanted, Qcow2FreeKind kind)
{
    TableSlice *slice;
    int ret = qcow2_prepare_change(q);

    ret = ret < 0 ? ret : qcow2_l2_for_write(q, offset, &slice);
    if (ret < 0) {
        return ret;
    }
    for (int64_t at = qcow2_cluster_start(q, offset); at < end && ret >= 0;
         at += q->cluster_size) {
        ret = change_cluster(q, slice, at, MAX(offset - at, 0), MIN(end - at, q->cluster_size),
                             wanted, kind);
    }
    table_cache_put(slice);
    return ret;
}

/* Nothing to do there? Then *bytes is how far. */
static bool is_nothing(Qcow2 *q, int64_t offset, int64_t *bytes, Wanted wanted)
{
    Qcow2Run run;

    if (wanted != BACKING_SHOWS && may_have_backing(q)) {
        return false;
    }
    if (qcow2_lookup(q, offset, *bytes, true, &run) < 0 || run.type != QCOW2_UNALLOCATED) {
        return false;
    }
    *bytes = run.bytes;
    return true;
}

/* Of a unit that a request covers in part: does the rest read as zeroes already? Lock held. */
static bool rest_is_zero(Qcow2 *q, int64_t start, int64_t end)
{
    bool zero = true;

    end = MIN(end, q->disk_size);
    while (start < end && zero) {
        Qcow2Run run;

        if (qcow2_lookup(q, start, end - start, true, &run) < 0) {
            return false;
        }
        zero = run.type == QCOW2_ZERO_PLAIN || run.type == QCOW2_ZERO_HOST ||
               (run.type == QCOW2_UNALLOCATED && !q->node->backing);
        start += run.bytes;
    }
    return zero;
}

/*
 * In units; of the first and the last the request may cover a part, if the rest reads as zeroes:
 * -ENOTSUP if not, which is known only here, where nobody writes there.
 */
static int change_range(Qcow2 *q, int64_t from, int64_t bytes, int64_t unit, Wanted wanted,
                        Qcow2FreeKind kind)
{
    int64_t slice_bytes = (int64_t)q->cluster_size << q->slice_bits, to = from + bytes;
    int64_t offset = from & -unit, end = (to + unit - 1) & -unit;
    int ret = 0;

    co_mutex_lock(&q->lock);
    while (offset < end && ret >= 0) {
        int64_t n = end - offset;

        if (!is_nothing(q, offset, &n, wanted)) {
            n = MIN(end, (offset & -slice_bytes) + slice_bytes) - offset;
            qcow2_wait_allocs(q, offset, n);
            ret = (offset < from && !rest_is_zero(q, offset, from)) ||
                  (offset + n > to && !rest_is_zero(q, to, offset + n))
                ? -ENOTSUP : change_slice(q, offset, offset + n, wanted, kind);
        }
        offset += n;
    }
    co_mutex_unlock(&q->lock);
    return ret;
}

/* ---- Requests ---- */

static int zero_data_file(Qcow2 *q, int64_t offset, int64_t bytes, unsigned flags)
{
    return block_pwrite_zeroes(q->data_file, offset, bytes, flags & ~(unsigned)BLOCK_REQ_FUA);
}

int qcow2_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    Qcow2 *q = node->opaque;
    Wanted wanted = flags & BLOCK_REQ_MAY_UNMAP ? READS_ZERO_UNMAP : READS_ZERO;
    int64_t unit = (int64_t)1 << q->sub_bits;
    int ret = 0;

    if (q->version < 3 && may_have_backing(q)) {
        return -ENOTSUP;
    }
    if (qcow2_data_file_is_raw(q)) {
        ret = zero_data_file(q, offset, bytes, flags);
    }
    if (ret < 0) {
        return ret;
    }
    /* Version 2 has no mark for zeroes. */
    wanted = q->version < 3 ? BACKING_SHOWS : wanted;
    return change_range(q, offset, bytes, unit, wanted, QCOW2_FREE_REQUEST);
}

int qcow2_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    Qcow2 *q = node->opaque;
    bool at_end = offset + bytes == q->disk_size;
    int ret = 0;

    if (q->version < 3 && may_have_backing(q)) {
        return -ENOTSUP;
    }
    if (qcow2_in_cluster(q, offset) || (qcow2_in_cluster(q, bytes) && !at_end)) {
        return -ENOTSUP;
    }
    if (qcow2_has_data_file(q)) {
        ret = qcow2_data_file_is_raw(q)
            ? zero_data_file(q, offset, bytes, BLOCK_REQ_MAY_UNMAP)
            : q->settings.discard[QCOW2_FREE_REQUEST]
            ? block_pdiscard(q->data_file, offset, bytes) : 0;
    }
    return ret < 0 ? ret : change_range(q, offset, bytes, q->cluster_size,
                                        q->version < 3 ? BACKING_SHOWS : READS_ZERO_UNMAP,
                                        QCOW2_FREE_REQUEST);
}

int qcow2_deallocate(Qcow2 *q, int64_t offset, int64_t bytes, Qcow2FreeKind kind)
{
    return change_range(q, offset, bytes, q->cluster_size, BACKING_SHOWS, kind);
}

int qcow2_make_empty(BlockNode *node)
{
    Qcow2 *q = node->opaque;
    int ret = qcow2_deallocate(q, 0, (q->disk_size + q->cluster_size - 1) &
                               -(int64_t)q->cluster_size, QCOW2_FREE_ALWAYS);

    if (ret >= 0) {
        co_mutex_lock(&q->lock);
        ret = qcow2_flush_all(q);
        co_mutex_unlock(&q->lock);
    }
    return ret;
}
