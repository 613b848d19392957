/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK: writing. New grains get their place under the lock, and are written without it: others that
 * want the same grains wait meanwhile. Then their entries change in the cached table.
 */
#include <errno.h>
#include <string.h>

#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

/* The last sector that an entry can name. */
#define MAX_PLACE ((int64_t)UINT32_MAX * BLOCK_SECTOR)

typedef struct VmdkAllocation {
    int64_t start, end; /* of the disk, whole grains */
} VmdkAllocation;

/* ---- New grains ---- */

typedef struct Head {
    uint8_t *buf;
    int64_t bytes;
} Head;

/* What surrounds the data in its first or last grain. */
static int read_around(BlockNode *node, bool zero, int64_t offset, Head *part)
{
    if (part->bytes == 0) {
        return 0;
    }
    part->buf = g_try_malloc0(part->bytes);
    if (!part->buf) {
        return -ENOMEM;
    }
    return zero ? 0 : vmdk_read_backing(node, offset, part->bytes,
                                        BLOCK_VEC_BUF(part->buf, part->bytes), 0);
}

/* Whole grains to `at`. offset and bytes say where in them the data is; zero: nothing else is. */
static int write_grains(BlockNode *node, const VmdkExtent *extent, bool zero, int64_t at,
                        const VmdkAllocation *grains, int64_t offset, int64_t bytes,
                        const BlockVec *vec, size_t vec_offset)
{
    g_autofree struct iovec *iov = g_new(struct iovec, vec->n + 2);
    Head head = { .bytes = offset - grains->start };
    Head tail = { .bytes = grains->end - offset - bytes };
    BlockVec whole = { .iov = iov };
    unsigned n = 0;
    int ret = read_around(node, zero, grains->start, &head);

    if (ret >= 0) {
        ret = read_around(node, zero, offset + bytes, &tail);
    }
    if (ret >= 0) {
        if (head.bytes) {
            iov[n++] = (struct iovec) { head.buf, head.bytes };
        }
        n += iov_slice(iov + n, vec->n, vec->iov, vec->n, vec_offset, bytes);
        if (tail.bytes) {
            iov[n++] = (struct iovec) { tail.buf, tail.bytes };
        }
        whole.n = n;
        ret = block_pwritev(extent->child, at, grains->end - grains->start, &whole, 0, 0);
    }
    g_free(head.buf);
    g_free(tail.buf);
    return ret;
}

static bool is_being_allocated(const VmdkImage *image, int64_t start, int64_t end)
{
    for (const GList *l = image->allocations.head; l; l = l->next) {
        const VmdkAllocation *other = l->data;

        if (other->start < end && start < other->end) {
            return true;
        }
    }
    return false;
}

/*
 * With the lock, which is dropped while the grains are written. The run is not there yet, and
 * nobody else is at it.
 */
static int allocate(BlockNode *node, const VmdkRun *run, int64_t offset, const BlockVec *vec,
                    size_t vec_offset)
{
    VmdkImage *image = node->opaque;
    VmdkExtent *extent = run->extent;
    int64_t in_extent = offset - extent->start, size = extent->grain_size;
    VmdkAllocation grains = {
        .start = extent->start + ROUND_DOWN(in_extent, size),
        .end = extent->start + ROUND_UP(in_extent + run->bytes, size),
    };
    int64_t at = extent->next, first = in_extent / size;
    uint32_t n = (grains.end - grains.start) / size;
    int ret;

    if (!extent->directory[first / extent->gtes]) {
        return -ENOTSUP;
    }
    if (at + n * size > MAX_PLACE) {
        return -EFBIG;
    }
    extent->next += n * size;
    g_queue_push_tail(&image->allocations, &grains);
    co_mutex_unlock(&image->lock);
    ret = write_grains(node, extent, run->type == VMDK_RUN_ZERO, at, &grains, offset, run->bytes,
                       vec, vec_offset);
    if (ret >= 0) {
        ret = vmdk_table_set(node, extent, first, n, at / BLOCK_SECTOR, size / BLOCK_SECTOR);
    }
    co_mutex_lock(&image->lock);
    g_queue_remove(&image->allocations, &grains);
    co_queue_wake_all(&image->allocated);
    return ret;
}

/* With the lock. Only the part of the run that is done is counted in it on return. */
static int write_new(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                     size_t vec_offset, VmdkRun *run)
{
    VmdkImage *image = node->opaque;
    int64_t size = run->extent->grain_size, base = run->extent->start;
    int64_t start = base + ROUND_DOWN(offset - base, size);
    int ret;

    while (is_being_allocated(image, start, base + ROUND_UP(offset + run->bytes - base, size))) {
        co_queue_wait(&image->allocated, &image->lock);
    }
    ret = vmdk_lookup(node, offset, bytes, run);
    if (ret < 0 || run->type == VMDK_RUN_DATA) {
        return ret;
    }
    /* The look-up may have waited, and the run may be another one. */
    if (is_being_allocated(image, start, base + ROUND_UP(offset + run->bytes - base, size))) {
        run->bytes = 0;
        return 0;
    }
    return allocate(node, run, offset, vec, vec_offset);
}

static int write_run(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                     size_t vec_offset, VmdkRun *run)
{
    VmdkImage *image = node->opaque;
    int ret;

    if (run->extent->kind == VMDK_ZERO) {
        return -EPERM;
    }
    if (run->type == VMDK_RUN_ABSENT || run->type == VMDK_RUN_ZERO) {
        co_mutex_lock(&image->lock);
        ret = write_new(node, offset, bytes, vec, vec_offset, run);
        co_mutex_unlock(&image->lock);
        if (ret < 0 || run->type != VMDK_RUN_DATA) {
            return ret;
        }
    }
    return block_pwritev(run->extent->child, run->at, run->bytes, vec, vec_offset, 0);
}

static int renew_cid(BlockNode *node)
{
    VmdkImage *image = node->opaque;
    int ret;

    if (image->cid_is_new) {
        return 0;
    }
    co_mutex_lock(&image->lock);
    ret = vmdk_renew_cid(node);
    co_mutex_unlock(&image->lock);
    return ret;
}

int vmdk_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags)
{
    VmdkImage *image = node->opaque;
    int ret = renew_cid(node);

    if (ret >= 0 && image->n && image->extents[0].compressed) {
        return vmdk_pwritev_compressed(node, offset, bytes, vec, vec_offset);
    }
    while (bytes > 0 && ret >= 0) {
        VmdkRun run;

        ret = vmdk_lookup(node, offset, bytes, &run);
        if (ret >= 0) {
            ret = write_run(node, offset, bytes, vec, vec_offset, &run);
        }
        offset += run.bytes;
        bytes -= run.bytes;
        vec_offset += run.bytes;
    }
    return ret;
}

/* ---- Zeroes ---- */

/* Grains that are nowhere yet are marked, if the image knows such marks and they are whole. */
static int mark_zero(BlockNode *node, int64_t offset, VmdkRun *run)
{
    VmdkImage *image = node->opaque;
    VmdkExtent *extent = run->extent;
    int64_t in_extent = offset - extent->start, size = extent->grain_size;
    bool to_end = in_extent + run->bytes == extent->size;
    int ret;

    if (!extent->zeroed_grain || in_extent % size || (run->bytes % size && !to_end) ||
        !extent->directory[in_extent / size / extent->gtes]) {
        return -ENOTSUP;
    }
    co_mutex_lock(&image->lock);
    ret = vmdk_lookup(node, offset, run->bytes, run);
    if (ret >= 0 && run->type == VMDK_RUN_ABSENT) {
        /* Somebody else is at them: so the zeroes may not come last, and are written instead. */
        ret = is_being_allocated(image, offset, offset + run->bytes)
                  ? -ENOTSUP
                  : vmdk_table_set(node, extent, in_extent / size, DIV_ROUND_UP(run->bytes, size),
                                   VMDK_GTE_ZERO, 0);
    }
    co_mutex_unlock(&image->lock);
    return ret;
}

int vmdk_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    int ret = renew_cid(node);

    while (bytes > 0 && ret >= 0) {
        VmdkRun run;

        ret = vmdk_lookup(node, offset, bytes, &run);
        if (ret >= 0 && run.type == VMDK_RUN_ABSENT && node->backing) {
            ret = mark_zero(node, offset, &run);
        }
        if (ret >= 0 && run.type == VMDK_RUN_COMPRESSED) {
            ret = -EIO;
        } else if (ret >= 0 && run.type == VMDK_RUN_DATA) {
            ret = block_pwrite_zeroes(run.extent->child, run.at, run.bytes, flags);
        }
        offset += run.bytes;
        bytes -= run.bytes;
    }
    return ret;
}

int vmdk_flush_to_os(BlockNode *node)
{
    VmdkImage *image = node->opaque;
    int ret = vmdk_tables_flush(node);

    for (unsigned i = 0; i < image->n && ret >= 0; i++) {
        if (image->extents[i].stream_is_open) {
            co_mutex_lock(&image->lock);
            ret = vmdk_stream_end(node, &image->extents[i]);
            co_mutex_unlock(&image->lock);
        }
    }
    return ret;
}
