/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: where they enter a node, and where they leave it. Here is what all of them need: the
 * checks against the edge they come through, counting for drained sections, and what a finished
 * write leaves behind (the node's size, its generation for flushes, dirty bitmaps).
 *
 * An aligned request that fits the limits costs little on its way: it is counted, linked into the
 * list of requests in flight, and handed to the driver.
 */
#include "block/io.h"

#include <errno.h>

#include "block/dirty-bitmap.h"
#include "block/io-internal.h"
#include "qapi-events-block-core.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/zero.h"

/* ---- The node's part ---- */

void block_io_init(BlockNode *node)
{
    node->limits.request_alignment = 1;
    node->limits.max_transfer = BLOCK_MAX_REQUEST;
    node->limits.max_iov = UINT_MAX;
    g_mutex_init(&node->p->bitmap_lock);
}

void block_io_cleanup(BlockNode *node)
{
    BlockNodePrivate *p = node->p;

    if (node->loop != loop_main()) {
        /* Its thread may still be in block_dec_in_flight(). */
        loop_synchronize(node->loop);
    }
    g_assert(p->tracked.length == 0 && p->flush_waiters.length == 0);
    block_dirty_bitmaps_free_all(node);
    g_mutex_clear(&p->bitmap_lock);
    g_clear_pointer(&p->named_bitmaps, g_hash_table_unref);
}

void block_inc_in_flight(BlockNode *node)
{
    __atomic_fetch_add(&node->p->in_flight, 1, __ATOMIC_SEQ_CST);
}

void block_dec_in_flight(BlockNode *node)
{
    int before = __atomic_fetch_sub(&node->p->in_flight, 1, __ATOMIC_SEQ_CST);

    g_assert(before > 0);
    /* Who drains writes the one and then reads the other, too: one of us sees it. */
    if (before == 1 && __atomic_load_n(&node->p->quiesce, __ATOMIC_SEQ_CST) > 0) {
        block_drain_kick();
    }
}

/* Its size is another node's, or follows from it. */
static bool size_comes_from_below(BlockNode *node)
{
    return node->driver->has_variable_size || block_filter_child(node);
}

void block_node_resized(BlockNode *node, int64_t size)
{
    node->size = size;
    block_dirty_bitmaps_resize(node, size);
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);
        BlockNode *parent = edge->parent_node;

        if (parent && edge == parent->file && size_comes_from_below(parent)) {
            block_getlength(parent); /* which tells its own parents */
        } else if (!parent && edge->ops->resized) {
            edge->ops->resized(edge->parent);
        }
    }
}

int64_t block_size_for(BlockNode *node, int64_t end)
{
    if (end > node->size && size_comes_from_below(node)) {
        block_getlength(node);
    }
    return node->size;
}

void block_debug_event(BlockChild *child, BlkdebugEvent event)
{
    block_node_debug_event(child->node, event);
}

/* ---- Reading ---- */

/* What lies beyond the end reads as zeroes. */
static int read_within_size(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset, unsigned flags)
{
    int64_t inside = CLAMP(block_size_for(node, offset + bytes) - offset, 0, bytes);
    int ret = 0;

    if (inside > 0) {
        ret = flags & BLOCK_REQ_COPY_ON_READ
                  ? block_io_copy_on_read(node, offset, inside, vec, vec_offset, flags)
                  : block_io_read(node, offset, inside, vec, vec_offset, 0);
    }
    if (ret == 0 && inside < bytes && vec) {
        iov_memset(vec->iov, vec->n, vec_offset + (size_t)inside, 0, (size_t)(bytes - inside));
    }
    return ret;
}

static int read_check(const BlockChild *child, int64_t offset, int64_t bytes, unsigned flags)
{
    if (!child->node) {
        return -ENOMEDIUM;
    }
    if (!block_range_valid(offset, bytes)) {
        return -EINVAL;
    }
    if (!child->node->driver->preadv) {
        return -ENOTSUP;
    }
    if ((flags & BLOCK_REQ_COPY_ON_READ) &&
        (child->node->mode.read_only ||
         !(child->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED)))) {
        return -EPERM;
    }
    return 0;
}

int block_preadv(BlockChild *child, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags)
{
    bool serialising = flags & (BLOCK_REQ_SERIALISING | BLOCK_REQ_COPY_ON_READ);
    BlockNode *node = child->node;
    BlockTracked req;
    int ret = read_check(child, offset, bytes, flags);

    if (ret < 0 || bytes == 0) {
        return ret;
    }
    block_inc_in_flight(node);
    block_track_begin(&req, node, offset, bytes, serialising,
                      flags & BLOCK_REQ_COPY_ON_READ ? block_copy_granularity(node)
                                                     : node->limits.request_alignment);
    ret = block_track_wait(&req, flags & BLOCK_REQ_NO_WAIT);
    if (ret == 0) {
        ret = read_within_size(node, offset, bytes, vec, vec_offset, flags);
    }
    block_track_end(&req);
    block_dec_in_flight(node);
    return ret;
}

int block_pread(BlockChild *child, int64_t offset, int64_t bytes, void *buf)
{
    return block_preadv(child, offset, bytes, BLOCK_VEC_BUF(buf, (size_t)bytes), 0, 0);
}

/* ---- What all changes have in common ---- */

static bool can_grow(BlockNode *node)
{
    BlockChild *filtered = block_filter_child(node);

    return node->driver->grows_on_write || (filtered && can_grow(filtered->node));
}

int block_write_check(BlockChild *child, int64_t offset, int64_t bytes, unsigned flags)
{
    unsigned perm = BLOCK_PERM_WRITE;

    if (!child->node) {
        return -ENOMEDIUM;
    }
    if (!block_range_valid(offset, bytes)) {
        return -EINVAL;
    }
    if (flags & BLOCK_REQ_WRITE_UNCHANGED) {
        perm |= BLOCK_PERM_WRITE_UNCHANGED;
    }
    if (child->node->mode.read_only || !(child->perm & perm)) {
        return -EPERM;
    }
    if (offset + bytes > block_size_for(child->node, offset + bytes)) {
        if (!(child->perm & BLOCK_PERM_RESIZE)) {
            return -EINVAL;
        }
        /* A format's file that stands on a device: the device is full. */
        return can_grow(child->node) ? 0 : -ENOSPC;
    }
    return 0;
}

/* The first write beyond the threshold is told, once. */
static void check_threshold(BlockNode *node, int64_t end)
{
    uint64_t threshold = __atomic_load_n(&node->p->write_threshold, __ATOMIC_RELAXED);

    if (G_UNLIKELY(threshold && (uint64_t)end > threshold) &&
        __atomic_compare_exchange_n(&node->p->write_threshold, &threshold, 0, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        qapi_event_send_block_write_threshold(node->name, (uint64_t)end - threshold, threshold);
    }
}

/* What follows is counted, and nobody is in its way. */
static int begin_tracked(BlockTracked *req, BlockNode *node, int64_t offset, int64_t bytes,
                         unsigned flags, bool ragged)
{
    int ret;

    block_track_begin(req, node, offset, bytes, ragged || (flags & BLOCK_REQ_SERIALISING),
                      node->limits.request_alignment);
    ret = block_track_wait(req, flags & BLOCK_REQ_NO_WAIT);
    if (ret < 0) {
        block_track_end(req);
        block_dec_in_flight(node);
    }
    return ret;
}

int block_write_begin(BlockTracked *req, BlockNode *node, int64_t offset, int64_t bytes,
                      unsigned flags, bool ragged)
{
    block_inc_in_flight(node);
    check_threshold(node, offset + bytes);
    return begin_tracked(req, node, offset, bytes, flags, ragged);
}

int block_write_end(BlockTracked *req, int64_t offset, int64_t bytes, int result, bool flush)
{
    BlockNode *node = req->node;
    BlockNodePrivate *p = node->p;
    int64_t end = offset + bytes;

    /* After a failure too: part of it may have been done. */
    p->write_gen++;
    block_dirty_bitmaps_mark(node, offset, bytes);
    if (result == 0 && end > node->size) {
        block_node_resized(node, end);
    }
    block_track_end(req);
    if (result == 0 && flush) {
        result = block_flush(node);
    }
    block_dec_in_flight(node);
    return result;
}

/* ---- Writing ---- */

static int write_compressed(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset)
{
    if (!node->driver->pwritev_compressed) {
        return -ENOTSUP;
    }
    return node->driver->pwritev_compressed(node, offset, bytes, vec, vec_offset);
}

/* Zeroes that the guest wrote as data; flags are then those of write_zeroes. */
static bool becomes_zeroes(const BlockNode *node, int64_t bytes, const BlockVec *vec,
                           size_t vec_offset, unsigned *flags)
{
    if (G_LIKELY(node->mode.detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF) ||
        !node->driver->pwrite_zeroes ||
        !iov_is_zero(vec->iov, vec->n, vec_offset, (size_t)bytes)) {
        return false;
    }
    if (node->mode.detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP) {
        *flags |= BLOCK_REQ_MAY_UNMAP;
    }
    return true;
}

static int write_data(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags, bool *stable)
{
    *stable = flags & node->write_flags & BLOCK_REQ_FUA;
    if (flags & BLOCK_REQ_COMPRESSED) {
        *stable = false;
        return write_compressed(node, offset, bytes, vec, vec_offset);
    }
    if (!node->driver->pwritev) {
        return -ENOTSUP;
    }
    if (becomes_zeroes(node, bytes, vec, vec_offset, &flags)) {
        return block_io_zero(node, offset, bytes, flags, stable);
    }
    block_node_debug_event(node, BLKDBG_PWRITEV);
    return block_io_write(node, offset, bytes, vec, vec_offset, flags);
}

int block_pwritev(BlockChild *child, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags)
{
    bool compressed = flags & BLOCK_REQ_COMPRESSED;
    BlockNode *node = child->node;
    BlockTracked req;
    bool stable;
    int ret = block_write_check(child, offset, bytes, flags);

    /* Nothing compressed ends a stream. */
    if (ret < 0 || (bytes == 0 && !compressed)) {
        return ret;
    }
    ret = block_write_begin(&req, node, offset, bytes, flags,
                            !compressed && block_is_ragged(node, offset, bytes));
    if (ret < 0) {
        return ret;
    }
    ret = write_data(node, offset, bytes, vec, vec_offset, flags, &stable);
    block_node_debug_event(node, BLKDBG_PWRITEV_DONE);
    if (ret == 0) {
        node->p->highest_write = MAX(node->p->highest_write, offset + bytes);
    }
    return block_write_end(&req, offset, bytes, ret, (flags & BLOCK_REQ_FUA) && !stable);
}

int block_pwrite(BlockChild *child, int64_t offset, int64_t bytes, const void *buf, unsigned flags)
{
    return block_pwritev(child, offset, bytes, BLOCK_VEC_BUF(buf, (size_t)bytes), 0, flags);
}

int block_pwrite_sync(BlockChild *child, int64_t offset, int64_t bytes, const void *buf)
{
    int ret = block_pwrite(child, offset, bytes, buf, 0);

    return ret < 0 ? ret : block_flush(child->node);
}

/* ---- Discarding ---- */

/*
 * The length of the next piece: up to a boundary of the driver's discard alignment, or as many
 * whole units as it takes at once, or the rest.
 */
static int64_t discard_piece(const BlockNode *node, int64_t offset, int64_t bytes)
{
    const BlockLimits *limits = &node->limits;
    int64_t align = MAX(limits->discard_alignment, limits->request_alignment);
    int64_t head = offset & (align - 1);
    int64_t max = limits->max_discard ? round_down_to(limits->max_discard, align) : INT64_MAX;

    if (head) {
        return MIN(bytes, align - head);
    }
    if (bytes < align || (bytes <= max && offset + bytes == node->size)) {
        return bytes;
    }
    return MIN(round_down_to(bytes, align), MAX(max, align));
}

static int discard_in_pieces(BlockNode *node, int64_t offset, int64_t bytes)
{
    int ret = 0;

    while (bytes > 0 && ret == 0) {
        int64_t len = discard_piece(node, offset, bytes);

        /* A hint that does not cover a block is no hint. */
        if (!block_is_ragged(node, offset, len) ||
            (!block_is_ragged(node, offset, 0) && offset + len == node->size)) {
            ret = node->driver->pdiscard(node, offset, len);
            ret = ret == -ENOTSUP ? 0 : ret;
        }
        offset += len;
        bytes -= len;
    }
    return ret;
}

int block_pdiscard(BlockChild *child, int64_t offset, int64_t bytes)
{
    BlockNode *node = child->node;
    BlockTracked req;
    int ret = block_write_check(child, 0, 0, 0);

    if (ret < 0) {
        return ret;
    }
    if (!block_range_valid(offset, bytes) || offset > node->size - bytes) {
        return -EINVAL;
    }
    if (bytes == 0 || !node->mode.discard_unmap || !node->driver->pdiscard) {
        return 0;
    }
    ret = block_write_begin(&req, node, offset, bytes, 0, false);
    if (ret < 0) {
        return ret;
    }
    ret = discard_in_pieces(node, offset, bytes);
    return block_write_end(&req, offset, bytes, ret, false);
}

/* ---- Resizing ---- */

/* What a longer backing file has there must not come to light. */
static unsigned truncate_flags(BlockNode *node, const BlockTruncate *truncate)
{
    unsigned flags = truncate->flags;

    if (node->backing && truncate->size > node->size &&
        block_getlength(node->backing->node) > node->size) {
        flags |= BLOCK_REQ_ZERO_WRITE;
    }
    return flags;
}

static int do_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    BlockTruncate request = *truncate;
    BlockChild *filtered = block_filter_child(node);

    request.flags = truncate_flags(node, truncate);
    if (!node->driver->truncate) {
        if (filtered) {
            return block_truncate(filtered, &request, error);
        }
        error_setf(error, "The '%s' block driver does not support resize", node->driver->name);
        return -ENOTSUP;
    }
    if (request.flags & ~node->truncate_flags) {
        error_setf(error, "The '%s' block driver cannot make what is added read as zeroes",
                   node->driver->name);
        return -ENOTSUP;
    }
    return node->driver->truncate(node, &request, error);
}

static int truncate_check(BlockChild *child, const BlockTruncate *truncate, GError **error)
{
    if (!child->node) {
        error_setf(error, "No medium inserted");
        return -ENOMEDIUM;
    }
    if (!block_range_valid(0, truncate->size)) {
        error_setf(error, "Image size %" PRId64 " is out of range (0 to %" PRId64 ")",
                   truncate->size, BLOCK_MAX_LENGTH);
        return -EINVAL;
    }
    if (child->node->mode.read_only || !(child->perm & BLOCK_PERM_RESIZE)) {
        error_setf(error, "Image is read-only");
        return -EACCES;
    }
    return 0;
}

int block_truncate(BlockChild *child, const BlockTruncate *truncate, GError **error)
{
    BlockNode *node = child->node;
    int64_t from, to, old_size;
    BlockTracked req;
    int ret = truncate_check(child, truncate, error);

    if (ret < 0) {
        return ret;
    }
    old_size = block_getlength(node);
    if (old_size < 0) {
        error_set_errno(error, (int)-old_size, "Failed to get the size of '%s'", node->name);
        return (int)old_size;
    }
    from = MIN(old_size, truncate->size);
    to = MAX(old_size, truncate->size);
    block_inc_in_flight(node);
    begin_tracked(&req, node, from, to - from, BLOCK_REQ_SERIALISING, true);
    ret = do_truncate(node, truncate, error);
    if (ret == 0) {
        if (!node->driver->getlength) {
            node->size = truncate->size;
        }
        block_getlength(node);
        block_node_resized(node, node->size);
    }
    /* What was added holds nothing yet: no dirty bitmap marks it. */
    return block_write_end(&req, from, 0, ret, false);
}
