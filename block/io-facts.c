/* SPDX-License-Identifier: Apache-2.0 */
/* What a node can take, and what is known about it. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "block/io-internal.h"

/* ---- Limits ---- */

/* The smaller one, where 0 is no limit. */
static int64_t min_limit(int64_t a, int64_t b)
{
    return a == 0 ? b : b == 0 ? a : MIN(a, b);
}

static void merge_limits(BlockLimits *limits, const BlockChild *child)
{
    const BlockLimits *below = &child->node->limits;

    limits->min_mem_alignment = MAX(limits->min_mem_alignment, below->min_mem_alignment);
    if (child->role & (BLOCK_ROLE_DATA | BLOCK_ROLE_FILTERED)) {
        limits->max_transfer = min_limit(limits->max_transfer, below->max_transfer);
        limits->max_iov = (unsigned)min_limit(limits->max_iov, below->max_iov);
        limits->opt_transfer = MAX(limits->opt_transfer, below->opt_transfer);
    }
}

/* Alignments are ours or our drivers', never a guest's: they are right or we are wrong. */
static void complete_limits(BlockLimits *limits)
{
    limits->request_alignment = MAX(limits->request_alignment, 1);
    g_assert((limits->request_alignment & (limits->request_alignment - 1)) == 0);
    g_assert((limits->discard_alignment & (limits->discard_alignment - 1)) == 0);
    g_assert((limits->write_zeroes_alignment & (limits->write_zeroes_alignment - 1)) == 0);
    g_assert((limits->min_mem_alignment & (limits->min_mem_alignment - 1)) == 0);
    limits->max_transfer = min_limit(limits->max_transfer, BLOCK_MAX_REQUEST);
    limits->max_transfer = MAX(round_down_to(limits->max_transfer, limits->request_alignment),
                               limits->request_alignment);
    limits->max_iov = limits->max_iov ? limits->max_iov : UINT_MAX;
}

void block_refresh_limits(BlockNode *node)
{
    BlockLimits limits = { 0 };

    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->node) {
            merge_limits(&limits, child);
        }
    }
    node->limits = limits;
    if (node->driver->refresh_limits) {
        node->driver->refresh_limits(node);
    }
    complete_limits(&node->limits);
}

void *block_alloc(BlockNode *node, size_t bytes)
{
    size_t align = MAX(node->limits.min_mem_alignment, sizeof(void *));
    void *memory;

    if (bytes >= (size_t)getpagesize()) {
        align = MAX(align, (size_t)getpagesize());
    }
    return posix_memalign(&memory, align, MAX(bytes, 1)) == 0 ? memory : NULL;
}

/* ---- Facts ---- */

/* Whom to ask where the driver has no answer of its own. */
static BlockNode *answering_node(BlockNode *node)
{
    BlockChild *child = block_filter_child(node);

    return child ? child->node : NULL;
}

int64_t block_getlength(BlockNode *node)
{
    int64_t size = node->size;

    if (node->driver->getlength) {
        size = node->driver->getlength(node);
    } else if (answering_node(node)) {
        size = block_getlength(answering_node(node));
    }
    if (size > BLOCK_MAX_LENGTH) {
        return -EFBIG;
    }
    if (size >= 0 && size != node->size) {
        block_node_resized(node, size);
    }
    return size;
}

int64_t block_allocated_size(BlockNode *node)
{
    BlockChild *primary = block_primary_child(node);

    if (node->driver->allocated_size) {
        return node->driver->allocated_size(node);
    }
    return primary && primary->node ? block_allocated_size(primary->node) : -ENOTSUP;
}

int block_get_info(BlockNode *node, BlockNodeInfo *info)
{
    *info = (BlockNodeInfo) { 0 };
    if (node->driver->get_info) {
        return node->driver->get_info(node, info);
    }
    return answering_node(node) ? block_get_info(answering_node(node), info) : -ENOTSUP;
}

bool block_has_zero_init(BlockNode *node)
{
    if (node->backing) {
        return false; /* it reads as its backing file */
    }
    if (node->driver->has_zero_init) {
        return node->driver->has_zero_init(node);
    }
    return answering_node(node) && block_has_zero_init(answering_node(node));
}
