/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters that jobs put into the graph while they work, above a node, so that all who used the node
 * go through them. They show what the node has. Main thread.
 */
#ifndef VIREO_BLOCK_JOB_FILTER_H
#define VIREO_BLOCK_JOB_FILTER_H

#include "block/filter.h"

/*
 * A new node of this driver above `node`, whose parents it takes over. name NULL: made up, and
 * hidden from those who ask what is in a drive. A reference; NULL with the error set.
 */
BlockNode *job_filter_insert(const BlockDriver *driver, const char *name, BlockNode *node,
                             GError **error);
/* The same for a node that stands on `node` already, but has no parents. */
bool job_filter_take_over(BlockNode *filter, BlockNode *node, GError **error);
/* Its parents get what it stands on. */
bool job_filter_remove(BlockNode *filter, GError **error);
/* For BlockDriver.refresh_filename. */
bool job_filter_refresh_filename(BlockNode *filter);

#endif
