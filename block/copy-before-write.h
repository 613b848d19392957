/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy-before-write filter, and the old state that it keeps for snapshot-access or a backup.
 */
#ifndef VIREO_BLOCK_COPY_BEFORE_WRITE_H
#define VIREO_BLOCK_COPY_BEFORE_WRITE_H

#include "block/job-copy.h"

/* Is this node such a filter? Else the functions below must not be called. */
bool block_cbw_is_filter(const BlockNode *node);

/* ---- For the backup job: main thread ---- */

/*
 * A filter above `source`, whose parents it takes over, for a job that copies to `target`. The job
 * itself keeps the old state: nothing can be read through snapshot-access. name NULL: made up. A
 * reference; NULL with the error set.
 */
BlockNode *block_cbw_insert(const char *name, BlockNode *source, BlockNode *target,
                            GError **error);
/* Who is told of writes before they are made; NULL: nobody. The filter is drained. */
void block_cbw_set_job(BlockNode *filter, JobCopy *copy);

/*
 * ---- The old state: in a coroutine on the filter's loop ----
 *
 * The filter's own requests go on meanwhile.
 */

/* -EACCES: part of the range is not kept, or nothing is any more. */
int block_cbw_read_old(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset);
int block_cbw_old_status(BlockNode *node, int64_t offset, int64_t bytes, BlockStatus *status);
/* Nobody will read this any more: it is not saved before writes, and what was saved is dropped. */
int block_cbw_forget_old(BlockNode *node, int64_t offset, int64_t bytes);

#endif
