/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zeroing. Many drivers can do it without moving data (holes, zero clusters); what they cannot is
 * written from a bounded buffer of zeroes.
 *
 * The driver gets the range in pieces: up to the first boundary of its write_zeroes_alignment,
 * whole units, and the rest; so only the first and the last can be in part of a unit. What ends
 * where the image ends counts as whole.
 */
#include <errno.h>

#include "block/io-internal.h"

/* A block that is zeroed in part only is read and written. */
static bool next_is_part_of_block(const BlockNode *node, int64_t offset, int64_t bytes)
{
    int64_t align = node->limits.request_alignment;

    return (offset & (align - 1)) || (bytes < align && offset + bytes < node->size);
}

/* Begins on a block. */
static int64_t zero_piece(const BlockNode *node, int64_t offset, int64_t bytes)
{
    const BlockLimits *limits = &node->limits;
    int64_t align = MAX(limits->write_zeroes_alignment, limits->request_alignment);
    int64_t max = limits->max_write_zeroes
                      ? MAX(round_down_to(limits->max_write_zeroes, align), align)
                      : round_down_to(BLOCK_MAX_REQUEST, align);
    int64_t head = offset & (align - 1);
    int64_t piece;

    if (head) {
        piece = MIN(bytes, align - head);
    } else if (bytes <= max && offset + bytes >= node->size) {
        return bytes;
    } else {
        piece = bytes < align ? bytes : MIN(round_down_to(bytes, align), max);
    }
    return offset + piece >= node->size ? piece
                                        : round_down_to(piece, limits->request_alignment);
}

static int zero_by_driver(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags,
                          bool *stable)
{
    int ret;

    if (!node->driver->pwrite_zeroes) {
        return -ENOTSUP;
    }
    ret = node->driver->pwrite_zeroes(node, offset, bytes, flags & node->zero_flags);
    if (ret == 0 && !(node->zero_flags & BLOCK_REQ_FUA)) {
        *stable = false;
    }
    return ret;
}

static int zero_by_writing(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags,
                           bool *stable)
{
    if (flags & BLOCK_REQ_NO_FALLBACK || !node->driver->pwritev) {
        return -ENOTSUP;
    }
    if (!(node->write_flags & BLOCK_REQ_FUA)) {
        *stable = false;
    }
    return block_io_write(node, offset, bytes, NULL, 0, flags);
}

int block_io_zero(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags, bool *stable)
{
    int64_t align = node->limits.request_alignment;
    int ret = 0;

    *stable = flags & BLOCK_REQ_FUA;
    if (!node->mode.discard_unmap) {
        flags &= ~(unsigned)BLOCK_REQ_MAY_UNMAP;
    }
    if ((flags & BLOCK_REQ_NO_FALLBACK) && !(node->zero_flags & BLOCK_REQ_NO_FALLBACK)) {
        return -ENOTSUP;
    }
    block_node_debug_event(node, BLKDBG_PWRITEV_ZERO);
    while (bytes > 0 && ret == 0) {
        int64_t len;

        if (next_is_part_of_block(node, offset, bytes)) {
            len = MIN(bytes, align - (offset & (align - 1)));
            ret = -ENOTSUP;
        } else {
            len = zero_piece(node, offset, bytes);
            ret = zero_by_driver(node, offset, len, flags, stable);
        }
        if (ret == -ENOTSUP) {
            ret = zero_by_writing(node, offset, len, flags, stable);
        }
        offset += len;
        bytes -= len;
    }
    return ret;
}

int block_pwrite_zeroes(BlockChild *child, int64_t offset, int64_t bytes, unsigned flags)
{
    BlockNode *node = child->node;
    BlockTracked req;
    bool stable;
    int ret = block_write_check(child, offset, bytes, flags);

    if (ret < 0 || bytes == 0) {
        return ret;
    }
    ret = block_write_begin(&req, node, offset, bytes, flags,
                            block_is_ragged(node, offset, bytes));
    if (ret < 0) {
        return ret;
    }
    ret = block_io_zero(node, offset, bytes, flags, &stable);
    if (ret == 0) {
        node->p->highest_write = MAX(node->p->highest_write, offset + bytes);
    }
    return block_write_end(&req, offset, bytes, ret, (flags & BLOCK_REQ_FUA) && !stable);
}

int block_make_zero(BlockChild *child, unsigned flags)
{
    int64_t size = child->node ? block_getlength(child->node) : -ENOMEDIUM;
    int ret = (int)MIN(size, 0);

    for (int64_t offset = 0; ret == 0 && offset < size;) {
        BlockStatus status;

        ret = block_status_above(child->node, NULL, false, offset, size - offset, &status);
        if (ret == 0 && status.bytes == 0) {
            break; /* it has become shorter */
        }
        if (ret == 0 && !(status.flags & BLOCK_STATUS_ZERO)) {
            ret = block_pwrite_zeroes(child, offset, status.bytes, flags | BLOCK_REQ_NO_FALLBACK);
        }
        offset += status.bytes;
    }
    return ret;
}
