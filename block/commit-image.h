/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commit as the human monitor knows it: at once, with everybody waiting. What clients of QMP want
 * is the job.
 */
#ifndef VIREO_BLOCK_COMMIT_IMAGE_H
#define VIREO_BLOCK_COMMIT_IMAGE_H

#include "block/node.h"

/*
 * What the image has itself goes into its backing image, which grows if it is shorter, and is
 * stable there before the image is emptied (where its format can be). Main thread; drains the node.
 */
bool block_commit_image(BlockNode *top, GError **error);

/* After each part; copied: it was not skipped. -errno ends it all. */
typedef int BlockCommitStep(void *opaque, int64_t bytes, bool copied);
/*
 * What `top` says by itself (it has no backing image now) to base, zeroes as zeroes, and stable.
 * step may be NULL. 0 or -errno, of what is at *at. In a coroutine on the nodes' loop.
 */
int block_commit_copy(BlockChild *top, BlockChild *base, int64_t size, BlockCommitStep *step,
                      void *opaque, int64_t *at);

#endif
