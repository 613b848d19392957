/* SPDX-License-Identifier: Apache-2.0 */
/* Making an image longer or shorter, and allocating it beforehand. */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/bitmap.h"
#include "block/qcow2/snapshot.h"
#include "util/error.h"

/* ---- Longer ---- */

/* What the mode asks of the file that has the data. */
static PreallocMode file_mode(PreallocMode mode)
{
    return mode == PREALLOC_MODE_METADATA ? PREALLOC_MODE_OFF : mode;
}

/* Host clusters for a new range, with or without room in the file; a data file has it already. */
static bool preallocate(Qcow2 *q, int64_t from, int64_t to, PreallocMode mode, GError **error)
{
    BlockTruncate file = { .prealloc = file_mode(mode) };
    int ret = 0;

    /* In one go where the file can: then the clusters are reserved in that place. */
    for (int64_t at = from, n; at < to && ret >= 0; at += n) {
        n = MIN(to - at, (int64_t)GiB);
        ret = qcow2_allocate_range(q, at, n);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not preallocate clusters");
        return false;
    }
    file.size = q->file_end;
    if (qcow2_has_data_file(q) || (block_getlength(q->data_file->node) >= file.size &&
                                   file.prealloc == PREALLOC_MODE_OFF)) {
        return true;
    }
    return block_truncate(q->data_file, &file, error) >= 0;
}

/* What the last cluster has beyond the end would come to light. */
static int clear_tail(Qcow2 *q, int64_t size)
{
    int64_t end = MIN(qcow2_cluster_start(q, q->disk_size + q->cluster_size - 1), size);
    int64_t n = end - q->disk_size, old = q->disk_size;
    g_autofree uint8_t *zeroes = NULL;
    Qcow2Run run;
    int ret;

    if (n <= 0) {
        return 0;
    }
    ret = qcow2_lookup(q, old, n, false, &run);
    if (ret < 0 || (run.bytes == n && run.type != QCOW2_NORMAL &&
                    run.type != QCOW2_COMPRESSED_DATA && !q->node->backing)) {
        return ret;
    }
    zeroes = g_malloc0((size_t)n);
    return qcow2_write(q, old, n, BLOCK_VEC_BUF(zeroes, (size_t)n), 0);
}

/* The backing file must not show where the disk was shorter. */
static int hide_backing(Qcow2 *q, int64_t from, int64_t to)
{
    int64_t start = qcow2_cluster_start(q, from + q->cluster_size - 1);

    return q->node->backing && start < to
        ? qcow2_pwrite_zeroes(q->node, start, to - start, 0) : 0;
}

static int set_size(Qcow2 *q, int64_t size)
{
    int64_t old = q->disk_size;
    int ret;

    q->disk_size = size;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        q->disk_size = old;
    }
    return ret;
}

static bool grow(Qcow2 *q, const BlockTruncate *truncate, GError **error)
{
    int64_t old = q->disk_size, size = truncate->size;
    int ret = old % BLOCK_SECTOR || qcow2_in_cluster(q, old) ? clear_tail(q, size) : 0;

    if (ret >= 0) {
        co_mutex_lock(&q->lock);
        ret = qcow2_grow_l1(q, qcow2_l1_entries(q, size));
        ret = ret < 0 ? ret : qcow2_write_back(q);
        ret = ret < 0 ? ret : qcow2_barrier(q);
        co_mutex_unlock(&q->lock);
    }
    if (ret >= 0 && qcow2_has_data_file(q) && block_getlength(q->data_file->node) < size) {
        BlockTruncate data = { .size = size, .prealloc = file_mode(truncate->prealloc) };

        if (block_truncate(q->data_file, &data, error) < 0) {
            return false;
        }
    }
    if (ret >= 0) {
        ret = set_size(q, size);
    }
    if (ret >= 0) {
        ret = hide_backing(q, old, size);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Failed to grow the qcow2 image");
        return false;
    }
    return truncate->prealloc == PREALLOC_MODE_OFF || preallocate(q, old, size, truncate->prealloc,
                                                                  error);
}

/* ---- Shorter ---- */

/* The file's end moves down to the last cluster in use. */
static int cut_file(Qcow2 *q)
{
    BlockTruncate file = { 0 };
    int64_t clusters = qcow2_clusters(q, block_getlength(q->node->file->node));
    uint64_t count = 0;
    int ret = 0;

    while (clusters > 1 && ret >= 0 && !count) {
        ret = qcow2_refcount(q, clusters - 1, &count);
        clusters -= !count;
    }
    if (ret < 0 || clusters << q->cluster_bits >= block_getlength(q->node->file->node)) {
        return ret;
    }
    file.size = clusters << q->cluster_bits;
    if (block_truncate(q->node->file, &file, NULL) >= 0) {
        q->file_end = file.size;
    }
    return 0;
}

static bool shrink(Qcow2 *q, const BlockTruncate *truncate, GError **error)
{
    int64_t start = qcow2_cluster_start(q, truncate->size + q->cluster_size - 1);
    int64_t end = qcow2_cluster_start(q, q->disk_size + q->cluster_size - 1);
    int ret;

    if (truncate->prealloc != PREALLOC_MODE_OFF) {
        error_setf(error, "Preallocation can't be used for shrinking an image");
        return false;
    }
    ret = start < end ? qcow2_deallocate(q, start, end - start, QCOW2_FREE_ALWAYS) : 0;
    if (ret >= 0) {
        co_mutex_lock(&q->lock);
        ret = set_size(q, truncate->size);
        ret = ret < 0 ? ret : qcow2_flush_all(q);
        ret = ret < 0 ? ret : cut_file(q);
        co_mutex_unlock(&q->lock);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Failed to shrink the qcow2 image");
    }
    return ret >= 0;
}

int qcow2_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    Qcow2 *q = node->opaque;
    bool ok;

    if (q->snapshots->len && q->version < 3) {
        error_setf(error, "Can't resize a v2 image which has snapshots");
        return -ENOTSUP;
    }
    if (!qcow2_bitmaps_can_resize(q)) {
        error_setf(error, "Can't resize an image with inconsistent persistent dirty bitmaps");
        return -ENOTSUP;
    }
    if (!qcow2_check_size(q, truncate->size, error)) {
        return -EFBIG;
    }
    ok = truncate->size < q->disk_size ? shrink(q, truncate, error)
       : truncate->size > q->disk_size ? grow(q, truncate, error) : true;
    /* A failure may have come after the new size was in force. */
    node->size = q->disk_size;
    return ok ? 0 : -EIO;
}
