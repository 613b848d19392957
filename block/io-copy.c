/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that move data: copying on read, and copying within the storage. */
#include <errno.h>
#include <stdlib.h>

#include "block/io-internal.h"
#include "util/iov.h"
#include "util/zero.h"

/* Clusters larger than this are not filled as a whole. */
#define COPY_CLUSTER_MAX (2 * 1024 * 1024)

/* ---- Copying on read ---- */

int64_t block_copy_granularity(BlockNode *node)
{
    BlockNodeInfo info;
    int64_t align = node->limits.request_alignment;

    if (block_get_info(node, &info) < 0 || info.cluster_size <= align ||
        info.cluster_size > COPY_CLUSTER_MAX || (info.cluster_size & (info.cluster_size - 1))) {
        return align;
    }
    return info.cluster_size;
}

/* Nobody else writes there meanwhile: the request that we are part of is serialising. */
static int write_copied(BlockNode *node, int64_t offset, int64_t bytes, const void *buf)
{
    unsigned flags = BLOCK_REQ_WRITE_UNCHANGED;
    bool stable;

    block_node_debug_event(node, BLKDBG_COR_WRITE);
    if (node->driver->pwrite_zeroes && buffer_is_zero(buf, (size_t)bytes)) {
        return block_io_zero(node, offset, bytes, flags, &stable);
    }
    return block_io_write(node, offset, bytes, BLOCK_VEC_BUF(buf, (size_t)bytes), 0, flags);
}

/* What is wanted of [start, start + len), which is in buf. */
static void give_out(const BlockVec *vec, size_t vec_offset, int64_t offset, int64_t bytes,
                     const uint8_t *buf, int64_t start, int64_t len)
{
    int64_t from = MAX(offset, start), to = MIN(offset + bytes, start + len);

    if (vec && from < to) {
        iov_from_buf(vec->iov, vec->n, vec_offset + (size_t)(from - offset), buf + (from - start),
                     (size_t)(to - from));
    }
}

int block_io_copy_on_read(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                          size_t vec_offset, unsigned flags)
{
    int64_t granularity = block_copy_granularity(node);
    int64_t at = round_down_to(offset, granularity);
    int64_t end = MIN(round_up_to(offset + bytes, granularity), node->size);
    int64_t capacity = MIN(MAX(BLOCK_BOUNCE_MAX, granularity), end - at);
    uint8_t *buf = NULL;
    int ret = 0;

    if (flags & BLOCK_REQ_PREFETCH) {
        vec = NULL;
    }
    while (at < end && ret >= 0) {
        int64_t len;

        ret = block_is_allocated(node, at, end - at, &len);
        if (len == 0) {
            break; /* it has become shorter behind our back */
        }
        if (ret == 0) {
            len = MIN(len, capacity);
            buf = buf ? buf : block_alloc(node, (size_t)capacity);
            ret = buf ? block_io_read(node, at, len, BLOCK_VEC_BUF(buf, (size_t)len), 0, 0)
                      : -ENOMEM;
            ret = ret < 0 ? ret : write_copied(node, at, len, buf);
            if (ret == 0) {
                node->p->write_gen++;
                give_out(vec, vec_offset, offset, bytes, buf, at, len);
            }
        } else if (ret > 0) {
            int64_t from = MAX(at, offset), to = MIN(at + len, offset + bytes);

            ret = vec && from < to
                      ? block_io_read(node, from, to - from, vec,
                                      vec_offset + (size_t)(from - offset), 0)
                      : 0;
        }
        at += len;
    }
    free(buf);
    return MIN(ret, 0);
}

/* ---- Copying in the storage ---- */

/*
 * First the source's formats say where the data really is, each by calling us again with its own
 * child; then the destination's formats make room, in the same way. When both are storage, and of
 * one kind, the destination's driver copies.
 *
 * Each node is tracked at its own turn, and only then: a request that is within another of the same
 * node could come to wait for one that waits for the outer.
 */

static int find_source(BlockChild *src, int64_t src_offset, BlockChild *dst, int64_t dst_offset,
                       int64_t bytes, unsigned flags)
{
    const BlockDriver *driver = src->node->driver;

    if (!driver->copy_range_from) {
        return -ENOTSUP;
    }
    return driver->copy_range_from(src->node, src, src_offset, dst, dst_offset, bytes, flags);
}

static int find_destination(BlockChild *src, int64_t src_offset, BlockChild *dst,
                            int64_t dst_offset, int64_t bytes, unsigned flags)
{
    const BlockDriver *driver = dst->node->driver;

    if (!driver->copy_range_to || (driver->protocol && driver != src->node->driver)) {
        return -ENOTSUP;
    }
    return driver->copy_range_to(dst->node, src, src_offset, dst, dst_offset, bytes, flags);
}

typedef int CopyFn(BlockChild *src, int64_t src_offset, BlockChild *dst, int64_t dst_offset,
                   int64_t bytes, unsigned flags);

static int tracked_at_source(CopyFn *fn, BlockChild *src, int64_t src_offset, BlockChild *dst,
                             int64_t dst_offset, int64_t bytes, unsigned flags)
{
    BlockNode *node = src->node;
    BlockTracked req;
    int ret;

    block_inc_in_flight(node);
    block_track_begin(&req, node, src_offset, bytes, false, 1);
    ret = block_track_wait(&req, flags & BLOCK_REQ_NO_WAIT);
    if (ret == 0) {
        ret = fn(src, src_offset, dst, dst_offset, bytes, flags);
    }
    block_track_end(&req);
    block_dec_in_flight(node);
    return ret;
}

static int tracked_at_destination(BlockChild *src, int64_t src_offset, BlockChild *dst,
                                  int64_t dst_offset, int64_t bytes, unsigned flags)
{
    BlockNode *node = dst->node;
    BlockTracked req;
    int ret = block_write_begin(&req, node, dst_offset, bytes, flags, false);

    if (ret < 0) {
        return ret;
    }
    if (node->driver->protocol) {
        ret = tracked_at_source(find_destination, src, src_offset, dst, dst_offset, bytes, flags);
    } else {
        ret = find_destination(src, src_offset, dst, dst_offset, bytes, flags);
    }
    if (ret == 0) {
        node->p->highest_write = MAX(node->p->highest_write, dst_offset + bytes);
    }
    return block_write_end(&req, dst_offset, bytes, ret, flags & BLOCK_REQ_FUA);
}

int block_copy_range(BlockChild *src, int64_t src_offset, BlockChild *dst, int64_t dst_offset,
                     int64_t bytes, unsigned flags)
{
    int ret = block_write_check(dst, dst_offset, bytes, flags);

    if (ret < 0) {
        return ret;
    }
    if (!src->node) {
        return -ENOMEDIUM;
    }
    if (!block_range_valid(src_offset, bytes) ||
        src_offset + bytes > block_size_for(src->node, src_offset + bytes)) {
        return -EINVAL;
    }
    if (bytes == 0) {
        return 0;
    }
    if (bytes > BLOCK_MAX_REQUEST || block_is_ragged(src->node, src_offset, bytes) ||
        block_is_ragged(dst->node, dst_offset, bytes) || src->node->loop != dst->node->loop) {
        return -ENOTSUP;
    }
    return src->node->driver->protocol
               ? tracked_at_destination(src, src_offset, dst, dst_offset, bytes, flags)
               : tracked_at_source(find_source, src, src_offset, dst, dst_offset, bytes, flags);
}
