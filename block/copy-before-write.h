/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The old state that a copy-before-write filter keeps: for snapshot-access. In a coroutine on the
 * filter's loop; the filter's own requests go on meanwhile.
 */
#ifndef VIREO_BLOCK_COPY_BEFORE_WRITE_H
#define VIREO_BLOCK_COPY_BEFORE_WRITE_H

#include "block/node.h"

/* Is this node such a filter? Else the functions below must not be called. */
bool block_cbw_is_filter(const BlockNode *node);
/* -EACCES: part of the range is not kept, or nothing is any more. */
int block_cbw_read_old(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset);
int block_cbw_old_status(BlockNode *node, int64_t offset, int64_t bytes, BlockStatus *status);
/* Nobody will read this any more: it is not saved before writes, and what was saved is dropped. */
int block_cbw_forget_old(BlockNode *node, int64_t offset, int64_t bytes);

#endif
