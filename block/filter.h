/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For filters: what goes to the file child as it comes. Each function suits the member of
 * BlockDriver that its name ends with.
 */
#ifndef VIREO_BLOCK_FILTER_H
#define VIREO_BLOCK_FILTER_H

#include "block/node.h"

/* The table of children of a filter over "file". */
extern const BlockChildSpec block_filter_children[];

/* In open: take the flags that the child takes. */
void block_filter_take_flags(BlockNode *node);

int block_filter_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags);
int block_filter_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                         size_t vec_offset, unsigned flags);
int block_filter_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes,
                                    const BlockVec *vec, size_t vec_offset);
int block_filter_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags);
int block_filter_pdiscard(BlockNode *node, int64_t offset, int64_t bytes);
int block_filter_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                              BlockStatus *status);
int block_filter_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error);
int64_t block_filter_getlength(BlockNode *node);
int block_filter_get_info(BlockNode *node, BlockNodeInfo *info);
bool block_filter_has_zero_init(BlockNode *node);

/* What filters over "file" have in common: all but opening, reading and writing. */
#define BLOCK_FILTER_COMMON                                                                        \
    .is_filter = true, .children = block_filter_children,                                          \
    .pwritev_compressed = block_filter_pwritev_compressed,                                         \
    .pwrite_zeroes = block_filter_pwrite_zeroes, .pdiscard = block_filter_pdiscard,                \
    .block_status = block_filter_block_status, .truncate = block_filter_truncate,                  \
    .getlength = block_filter_getlength, .get_info = block_filter_get_info,                        \
    .has_zero_init = block_filter_has_zero_init

#endif
