/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a parent asks for to what the driver takes (BlockLimits): requests are cut where they
 * are too long or have too many pieces of memory; memory that is not aligned is bounced; and where
 * a request begins or ends within a block, the whole block goes through a bounce buffer. To write
 * part of a block it is read first: the caller has made sure that nobody else writes there.
 *
 * Images need not end on a block: then the last block reaches beyond the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/io-internal.h"
#include "util/iov.h"

/* ---- What can go as it is ---- */

/*
 * How many bytes from vec_offset on, at most `bytes`, the limits' memory alignment and number of
 * elements allow.
 */
static int64_t usable_memory(const BlockLimits *limits, const BlockVec *vec, size_t vec_offset,
                             int64_t bytes)
{
    uintptr_t mask = limits->min_mem_alignment ? limits->min_mem_alignment - 1 : 0;
    int64_t usable = 0;
    unsigned i = 0, used = 0;

    for (; i < vec->n && vec_offset >= vec->iov[i].iov_len; i++) {
        vec_offset -= vec->iov[i].iov_len;
    }
    for (; i < vec->n && usable < bytes && used < limits->max_iov; i++, used++) {
        uintptr_t base = (uintptr_t)vec->iov[i].iov_base + vec_offset;
        int64_t len = MIN((int64_t)(vec->iov[i].iov_len - vec_offset), bytes - usable);

        if ((base & mask) || (len & mask)) {
            break;
        }
        usable += len;
        vec_offset = 0;
    }
    return usable;
}

static inline bool fits(const BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset)
{
    const BlockLimits *limits = &node->limits;

    return !block_is_ragged(node, offset, bytes) && bytes <= limits->max_transfer &&
           (limits->min_mem_alignment <= 1 ? vec->n <= limits->max_iov
            : usable_memory(limits, vec, vec_offset, bytes) == bytes);
}

/* How much can go to the driver directly, in whole blocks. 0: nothing. */
static int64_t direct_length(const BlockNode *node, int64_t offset, int64_t bytes,
                             const BlockVec *vec, size_t vec_offset)
{
    const BlockLimits *limits = &node->limits;
    int64_t align = limits->request_alignment;
    int64_t whole = round_down_to(bytes, align);

    /* One request of a little more is better than two or three of exactly what is wanted. */
    if (!vec || (offset & (align - 1)) || (whole < bytes && bytes < BLOCK_BOUNCE_MAX)) {
        return 0;
    }
    whole = MIN(whole, limits->max_transfer);
    return round_down_to(usable_memory(limits, vec, vec_offset, whole), align);
}

/* ---- Bouncing ---- */

typedef struct Bounce {
    uint8_t *buf;
    int64_t capacity; /* whole blocks; 0: no memory yet */
} Bounce;

/* Of a request: the blocks of one turn, and what of them is wanted. */
typedef struct Span {
    int64_t start, len;     /* whole blocks */
    int64_t offset, bytes;  /* within them */
} Span;

static bool bounce_alloc(Bounce *bounce, BlockNode *node, int64_t offset, int64_t bytes)
{
    int64_t align = node->limits.request_alignment;
    int64_t need = round_up_to(offset + bytes, align) - round_down_to(offset, align);

    if (bounce->capacity) {
        return true;
    }
    bounce->capacity = MIN(need, MIN(MAX(BLOCK_BOUNCE_MAX, align), node->limits.max_transfer));
    bounce->buf = block_alloc(node, (size_t)bounce->capacity);
    return bounce->buf != NULL;
}

static Span next_span(const Bounce *bounce, const BlockNode *node, int64_t offset, int64_t bytes)
{
    int64_t align = node->limits.request_alignment;
    Span span = { .start = round_down_to(offset, align), .offset = offset };
    int64_t end = round_up_to(offset + bytes, align);

    if (span.start < offset && end - span.start > bounce->capacity) {
        /* A long one: only as far as it is in step with the blocks, and then perhaps directly. */
        end = span.start + align;
    }
    span.len = MIN(end - span.start, bounce->capacity);
    span.bytes = MIN(span.start + span.len, offset + bytes) - offset;
    return span;
}

static int bounce_read(const Bounce *bounce, BlockNode *node, const Span *span, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    BlockVec *blocks = BLOCK_VEC_BUF(bounce->buf, (size_t)span->len);
    int ret = node->driver->preadv(node, span->start, span->len, blocks, 0, flags);

    if (ret == 0) {
        iov_from_buf(vec->iov, vec->n, vec_offset, bounce->buf + (span->offset - span->start),
                     (size_t)span->bytes);
    }
    return ret;
}

/* One block of the old content, to change part of it. Beyond the end there are zeroes. */
static int read_old_block(BlockNode *node, int64_t offset, uint8_t *buf)
{
    int64_t align = node->limits.request_alignment;

    if (offset >= node->size) {
        memset(buf, 0, (size_t)align);
        return 0;
    }
    return node->driver->preadv(node, offset, align, BLOCK_VEC_BUF(buf, (size_t)align), 0, 0);
}

/* Around what the span is to write. */
static int read_old_edges(const Bounce *bounce, BlockNode *node, const Span *span)
{
    int64_t align = node->limits.request_alignment;
    int64_t last = span->len - align;
    bool head = span->offset > span->start;
    bool tail = span->offset + span->bytes < span->start + span->len;
    int ret = 0;

    if (head) {
        block_node_debug_event(node, BLKDBG_PWRITEV_RMW_HEAD);
        ret = read_old_block(node, span->start, bounce->buf);
        block_node_debug_event(node, BLKDBG_PWRITEV_RMW_AFTER_HEAD);
    }
    if (ret == 0 && tail && !(head && last == 0)) {
        block_node_debug_event(node, BLKDBG_PWRITEV_RMW_TAIL);
        ret = read_old_block(node, span->start + last, bounce->buf + last);
        block_node_debug_event(node, BLKDBG_PWRITEV_RMW_AFTER_TAIL);
    }
    return ret;
}

static int bounce_write(const Bounce *bounce, BlockNode *node, const Span *span,
                        const BlockVec *vec, size_t vec_offset, unsigned flags)
{
    uint8_t *data = bounce->buf + (span->offset - span->start);
    int ret = read_old_edges(bounce, node, span);

    if (ret < 0) {
        return ret;
    }
    if (vec) {
        iov_to_buf(vec->iov, vec->n, vec_offset, data, (size_t)span->bytes);
    } else {
        memset(data, 0, (size_t)span->bytes);
    }
    return node->driver->pwritev(node, span->start, span->len,
                                 BLOCK_VEC_BUF(bounce->buf, (size_t)span->len), 0, flags);
}

/* ---- In pieces ---- */

typedef struct Direction {
    int (*direct)(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags);
    int (*bounce)(const Bounce *bounce, BlockNode *node, const Span *span, const BlockVec *vec,
                  size_t vec_offset, unsigned flags);
} Direction;

static int do_in_pieces(const Direction *direction, BlockNode *node, int64_t offset, int64_t bytes,
                        const BlockVec *vec, size_t vec_offset, unsigned flags)
{
    Bounce bounce = { 0 };
    int ret = 0;

    while (bytes > 0 && ret == 0) {
        int64_t len = direct_length(node, offset, bytes, vec, vec_offset);

        if (len > 0) {
            ret = direction->direct(node, offset, len, vec, vec_offset, flags);
        } else if (bounce_alloc(&bounce, node, offset, bytes)) {
            Span span = next_span(&bounce, node, offset, bytes);

            ret = direction->bounce(&bounce, node, &span, vec, vec_offset, flags);
            len = span.bytes;
        } else {
            ret = -ENOMEM;
        }
        offset += len;
        bytes -= len;
        vec_offset += (size_t)len;
    }
    free(bounce.buf);
    return ret;
}

int block_io_read(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags)
{
    if (G_LIKELY(fits(node, offset, bytes, vec, vec_offset))) {
        return node->driver->preadv(node, offset, bytes, vec, vec_offset, flags);
    }
    return do_in_pieces(&(Direction){ node->driver->preadv, bounce_read }, node, offset,
                        bytes, vec, vec_offset, flags);
}

int block_io_write(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                   size_t vec_offset, unsigned flags)
{
    flags &= node->write_flags;
    if (G_LIKELY(vec && fits(node, offset, bytes, vec, vec_offset))) {
        return node->driver->pwritev(node, offset, bytes, vec, vec_offset, flags);
    }
    return do_in_pieces(&(Direction){ node->driver->pwritev, bounce_write }, node, offset,
                        bytes, vec, vec_offset, flags);
}
