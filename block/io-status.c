/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a range: whether a layer has data there, whether it reads as zeroes, and where
 * it stands. A driver answers for its own layer. It may point at another node for the answer
 * (RAW), or let us look there for zeroes that it does not know of (RECURSE).
 *
 * Along a chain of backing files the first layer that has something decides. A backing file may be
 * shorter than what stands on it: there it decides too, by zeroes, whatever lies below it.
 */
#include <errno.h>

#include "block/io-internal.h"

/* ---- One node ---- */

/* Of drivers that do not know: all is data, and stands where it is if the node is storage. */
static void default_status(BlockNode *node, int64_t offset, int64_t bytes, BlockStatus *status)
{
    BlockChild *filtered = block_filter_child(node);

    status->bytes = bytes;
    status->map = offset;
    if (filtered) {
        status->flags = BLOCK_STATUS_RAW | BLOCK_STATUS_OFFSET_VALID;
        status->file = filtered->node;
    } else {
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED;
        if (node->driver->protocol) {
            status->flags |= BLOCK_STATUS_OFFSET_VALID;
            status->file = node;
        }
    }
}

/* The driver is asked in whole blocks; its answer is cut to what was asked. */
static int ask_driver(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                      BlockStatus *status)
{
    int64_t align = node->limits.request_alignment;
    int64_t start = round_down_to(offset, align);
    int64_t len = round_up_to(offset + bytes, align) - start;
    int ret;

    if (!node->driver->block_status) {
        default_status(node, offset, bytes, status);
        return 0;
    }
    ret = node->driver->block_status(node, exact, start, len, status);
    if (ret < 0) {
        return ret;
    }
    g_assert(status->bytes > offset - start); /* the driver must get on */
    status->bytes = MIN(status->bytes - (offset - start), bytes);
    if (status->flags & BLOCK_STATUS_OFFSET_VALID) {
        status->map += offset - start;
    }
    return 0;
}

static int node_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                       BlockStatus *status);

/* The driver has it at map in file, and does not know whether there is anything but zeroes. */
static int look_for_zeroes_below(BlockStatus *status)
{
    BlockStatus below;
    int ret = node_status(status->file, true, status->map, status->bytes, &below);

    if (ret < 0) {
        return ret;
    }
    if (below.bytes == 0) {
        status->flags |= BLOCK_STATUS_ZERO; /* beyond the end of the file */
    } else {
        status->bytes = below.bytes;
        status->flags |= below.flags & BLOCK_STATUS_ZERO;
    }
    return 0;
}

/* No data here, and what may stand below has none either. */
static bool unallocated_reads_zero(BlockNode *node, int64_t offset)
{
    if (!node->driver->supports_backing) {
        return false;
    }
    if (!node->backing) {
        return true;
    }
    return offset >= block_size_for(node->backing->node, offset + 1);
}

/* The node it points at answers instead. */
static int status_of_file(bool exact, int64_t bytes, BlockStatus *status)
{
    int ret;

    g_assert(status->flags & BLOCK_STATUS_OFFSET_VALID);
    ret = node_status(status->file, exact, status->map, status->bytes, status);
    if (ret == 0 && status->bytes == 0) {
        *status = (BlockStatus) { .flags = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED,
                                  .bytes = bytes };
    }
    return ret;
}

/* From what the driver says to what it means. */
static int complete_status(BlockNode *node, bool exact, int64_t offset, BlockStatus *status)
{
    const unsigned data_below = BLOCK_STATUS_RECURSE | BLOCK_STATUS_OFFSET_VALID |
                                BLOCK_STATUS_DATA;
    unsigned flags = status->flags;

    if (flags & (BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO)) {
        status->flags |= BLOCK_STATUS_ALLOCATED;
    } else if (!(flags & BLOCK_STATUS_ALLOCATED) && unallocated_reads_zero(node, offset)) {
        status->flags |= BLOCK_STATUS_ZERO;
    }
    if (exact && status->file != node && (flags & data_below) == data_below &&
        !(flags & BLOCK_STATUS_ZERO)) {
        return look_for_zeroes_below(status);
    }
    return 0;
}

static int node_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                       BlockStatus *status)
{
    int64_t size = block_size_for(node, offset + 1);
    int ret;

    *status = (BlockStatus) { 0 };
    if (offset >= size) {
        status->flags = BLOCK_STATUS_EOF;
        return 0;
    }
    bytes = MIN(bytes, size - offset);
    if (bytes <= 0) {
        return 0;
    }
    ret = ask_driver(node, exact, offset, bytes, status);
    if (ret == 0) {
        ret = status->flags & BLOCK_STATUS_RAW ? status_of_file(exact, bytes, status)
                                               : complete_status(node, exact, offset, status);
    }
    status->flags &= ~(unsigned)(BLOCK_STATUS_RECURSE | BLOCK_STATUS_RAW | BLOCK_STATUS_EOF);
    if (offset + status->bytes == size) {
        status->flags |= BLOCK_STATUS_EOF;
    }
    return ret;
}

/* ---- A chain ---- */

/* Filters that say nothing of their own are not layers. */
static BlockNode *skip_silent_filters(BlockNode *node, BlockNode *base)
{
    while (node && node != base && block_filter_child(node) && !node->driver->block_status) {
        node = block_filter_child(node)->node;
    }
    return node;
}

/*
 * Ask one layer after another. On return *status is that of the first that decides; if none does,
 * ALLOCATED is unset, and bytes says how far that holds.
 */
static int chain_status(BlockNode *node, BlockNode *base, bool include_base, bool exact,
                        int64_t offset, int64_t bytes, BlockStatus *status)
{
    int depth = 0;
    int64_t end = 0;

    *status = (BlockStatus) { .bytes = bytes };
    for (BlockNode *layer = skip_silent_filters(node, base); layer;
         layer = skip_silent_filters(block_filter_or_cow_node(layer), base)) {
        int64_t want = status->bytes;
        int ret;

        if (layer == base && !include_base) {
            break;
        }
        ret = node_status(layer, exact, offset, want, status);
        if (ret < 0) {
            return ret;
        }
        if (depth == 0 && end == 0) {
            end = status->flags & BLOCK_STATUS_EOF ? offset + status->bytes : -1;
            if (status->bytes == 0) {
                return 0;
            }
        } else if (status->bytes == 0) {
            /* Shorter than what stands on it. */
            *status = (BlockStatus) { .flags = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED,
                                      .bytes = want };
        }
        status->depth = depth;
        if ((status->flags & BLOCK_STATUS_ALLOCATED) || layer == base) {
            break;
        }
        depth += block_filter_child(layer) == NULL;
    }
    status->flags &= ~(unsigned)BLOCK_STATUS_EOF;
    if (offset + status->bytes == end) {
        status->flags |= BLOCK_STATUS_EOF;
    }
    return 0;
}

/* ---- The public ones ---- */

static bool status_args_valid(int64_t offset, int64_t bytes)
{
    return block_range_valid(offset, 0) && bytes >= 0;
}

int block_status(BlockNode *node, int64_t offset, int64_t bytes, BlockStatus *status)
{
    int ret;

    if (!status_args_valid(offset, bytes)) {
        return -EINVAL;
    }
    block_inc_in_flight(node);
    ret = node_status(node, true, offset, MIN(bytes, BLOCK_MAX_LENGTH - offset), status);
    block_dec_in_flight(node);
    return ret;
}

static int status_above(BlockNode *node, BlockNode *base, bool include_base, bool exact,
                        int64_t offset, int64_t bytes, BlockStatus *status)
{
    int ret;

    if (!status_args_valid(offset, bytes)) {
        return -EINVAL;
    }
    block_inc_in_flight(node);
    ret = chain_status(node, base, include_base, exact, offset,
                       MIN(bytes, BLOCK_MAX_LENGTH - offset), status);
    block_dec_in_flight(node);
    return ret;
}

int block_status_above(BlockNode *node, BlockNode *base, bool include_base, int64_t offset,
                       int64_t bytes, BlockStatus *status)
{
    return status_above(node, base, include_base, true, offset, bytes, status);
}

static int is_allocated_answer(int ret, const BlockStatus *status, int64_t *pnum)
{
    if (ret < 0) {
        *pnum = 0;
        return ret;
    }
    *pnum = status->bytes;
    return (status->flags & BLOCK_STATUS_ALLOCATED) != 0;
}

int block_is_allocated(BlockNode *node, int64_t offset, int64_t bytes, int64_t *pnum)
{
    BlockStatus status;
    BlockNode *layer = block_skip_filters(node);

    return is_allocated_answer(status_above(layer, layer, true, false, offset, bytes, &status),
                               &status, pnum);
}

int block_is_allocated_above(BlockNode *node, BlockNode *base, bool include_base, int64_t offset,
                             int64_t bytes, int64_t *pnum)
{
    BlockStatus status;

    return is_allocated_answer(status_above(node, base, include_base, false, offset, bytes,
                                            &status), &status, pnum);
}

int block_is_zero(BlockNode *node, int64_t offset, int64_t bytes)
{
    while (bytes > 0) {
        BlockStatus status;
        int ret = block_status_above(node, NULL, false, offset, bytes, &status);

        if (ret < 0) {
            return ret;
        }
        if (status.bytes == 0) {
            return 1; /* beyond the end */
        }
        if (!(status.flags & BLOCK_STATUS_ZERO)) {
            return 0;
        }
        offset += status.bytes;
        bytes -= status.bytes;
    }
    return 1;
}
