/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a node, through an edge. In a coroutine on the node's loop.
 *
 * Offsets and lengths may be anything that fits the node (see block/types.h): what the driver needs
 * aligned, bounced or split the core does. Results are 0 or -errno; a short transfer does not
 * exist. -EINVAL: negative, or a write beyond the end through an edge that may not resize; -ENOSPC:
 * one through an edge that may, but the node cannot grow; -EPERM: not opened for this, or not
 * permitted to this edge; -ENOMEDIUM.
 */
#ifndef VIREO_BLOCK_IO_H
#define VIREO_BLOCK_IO_H

#include "block/node.h"
#include "virtio/shared-mapping.h"

/* Reads beyond the end give zeroes. */
int block_preadv(BlockChild *child, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags);
int block_pwritev(BlockChild *child, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags);
int block_pread(BlockChild *child, int64_t offset, int64_t bytes, void *buf);
int block_pwrite(BlockChild *child, int64_t offset, int64_t bytes, const void *buf,
                 unsigned flags);
/* Write and then flush: for headers that later writes rely on. */
int block_pwrite_sync(BlockChild *child, int64_t offset, int64_t bytes, const void *buf);
int block_pwrite_zeroes(BlockChild *child, int64_t offset, int64_t bytes, unsigned flags);
/* Dropped unless the node was opened with discard=unmap. */
int block_pdiscard(BlockChild *child, int64_t offset, int64_t bytes);
/* What was written before is on stable storage. Nothing to do: 0. */
int block_flush(BlockNode *node);
int block_truncate(BlockChild *child, const BlockTruncate *truncate, GError **error);
/* -ENOTSUP where the storage cannot. */
int block_copy_range(BlockChild *src, int64_t src_offset, BlockChild *dst, int64_t dst_offset,
                     int64_t bytes, unsigned flags);
/* Fewest system calls for zeroing an image: 0, or -ENOTSUP if it can only be written. */
int block_make_zero(BlockChild *child, unsigned flags);

/*
 * Look at data where the page cache has it, instead of reading it: *mapping has the bytes that are
 * returned, and the caller ends it by shared_mapping_cleanup(). 0: nothing can be had so, and there
 * is no mapping. Writes show in it; and if the file is cut short it is broken
 * (shared_mapping_is_broken()) and has zeroes, or gives -EFAULT when it is written elsewhere: then
 * the data is to be read again.
 */
int64_t block_peek(BlockNode *node, int64_t offset, int64_t bytes, SharedMapping *mapping);

/* Of this node alone: ALLOCATED unset means that its backing file decides. */
int block_status(BlockNode *node, int64_t offset, int64_t bytes, BlockStatus *status);
/*
 * Of node and the layers below it down to base (and in it, if include_base). base NULL: all.
 */
int block_status_above(BlockNode *node, BlockNode *base, bool include_base, int64_t offset,
                       int64_t bytes, BlockStatus *status);
/* As block_status_above, without the costly search for zeroes. 1 allocated, 0 not, -errno. */
int block_is_allocated(BlockNode *node, int64_t offset, int64_t bytes, int64_t *pnum);
int block_is_allocated_above(BlockNode *node, BlockNode *base, bool include_base, int64_t offset,
                             int64_t bytes, int64_t *pnum);
/* 1 if the whole range is known to read as zeroes, 0 if not, -errno. */
int block_is_zero(BlockNode *node, int64_t offset, int64_t bytes);

/* Bytes, or -errno. */
int64_t block_getlength(BlockNode *node);
int64_t block_allocated_size(BlockNode *node);
int block_get_info(BlockNode *node, BlockNodeInfo *info);
bool block_has_zero_init(BlockNode *node);
/* Memory for requests: aligned as the node likes it. Free with free(); NULL if there is none. */
void *block_alloc(BlockNode *node, size_t bytes);

/* Drivers: the driver's own background request, so that drain waits for it. */
void block_inc_in_flight(BlockNode *node);
void block_dec_in_flight(BlockNode *node);
/* BlockDriver.peek for formats whose block_status says where data stands as it is read. */
int64_t block_peek_by_status(BlockNode *node, int64_t offset, int64_t bytes,
                             SharedMapping *mapping);
/* Drivers, when the node's length has changed behind their back. */
void block_node_resized(BlockNode *node, int64_t size);
/* Drivers: an event for blkdebug below this child; costs nothing else. */
void block_debug_event(BlockChild *child, BlkdebugEvent event);

#endif
