/* SPDX-License-Identifier: Apache-2.0 */
#include "block/filter.h"

#include "block/io.h"

const BlockChildSpec block_filter_children[] = {
    { "file", BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, .required = true },
    { NULL },
};

void block_filter_take_flags(BlockNode *node)
{
    const BlockNode *file = node->file->node;

    node->size = file->size;
    node->write_flags = BLOCK_REQ_WRITE_UNCHANGED | (file->write_flags & BLOCK_REQ_FUA);
    node->zero_flags = BLOCK_REQ_WRITE_UNCHANGED |
                       (file->zero_flags &
                        (BLOCK_REQ_FUA | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK));
    node->truncate_flags = file->truncate_flags;
}

int block_filter_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags)
{
    return block_preadv(node->file, offset, bytes, vec, vec_offset, flags);
}

int block_filter_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                         size_t vec_offset, unsigned flags)
{
    return block_pwritev(node->file, offset, bytes, vec, vec_offset, flags);
}

int block_filter_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes,
                                    const BlockVec *vec, size_t vec_offset)
{
    return block_pwritev(node->file, offset, bytes, vec, vec_offset, BLOCK_REQ_COMPRESSED);
}

int block_filter_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    return block_pwrite_zeroes(node->file, offset, bytes, flags);
}

int block_filter_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    return block_pdiscard(node->file, offset, bytes);
}

int block_filter_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                              BlockStatus *status)
{
    *status = (BlockStatus){
        .flags = BLOCK_STATUS_RAW | BLOCK_STATUS_OFFSET_VALID, .bytes = bytes, .map = offset,
        .file = node->file->node,
    };
    return 0;
}

int block_filter_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    return block_truncate(node->file, truncate, error);
}

int64_t block_filter_getlength(BlockNode *node)
{
    return block_getlength(node->file->node);
}

int block_filter_get_info(BlockNode *node, BlockNodeInfo *info)
{
    return block_get_info(node->file->node, info);
}

bool block_filter_has_zero_init(BlockNode *node)
{
    return block_has_zero_init(node->file->node);
}
