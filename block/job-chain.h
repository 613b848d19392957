/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs do with chains of backing files. Main thread. */
#ifndef VIREO_BLOCK_JOB_CHAIN_H
#define VIREO_BLOCK_JOB_CHAIN_H

#include "block/job.h"

/* The image below top (not top itself) with this file name; NULL: none. */
BlockNode *job_chain_find(BlockNode *top, const char *filename);
/* The node of the chain below (or at) top that stands directly on `node`, filters apart; NULL. */
BlockNode *job_chain_overlay(BlockNode *top, BlockNode *node);
/* No image stands on it; else the error says which. */
bool job_chain_is_top(BlockNode *node, GError **error);
/*
 * Edges of the job to what stands between top and base, both excluded: others may go on using them
 * only in ways that do not mind when their content changes. base NULL: to the end.
 */
bool job_chain_hold(Job *job, BlockNode *top, BlockNode *base, unsigned shared, GError **error);
/* Write the name of its backing file into an image. file NULL: none. Read-only images too. */
bool job_change_backing_file(BlockNode *node, const char *file, const char *format,
                             GError **error);
/*
 * Whoever uses `top` uses `base` instead; images above it get its name (or backing_file, if not
 * NULL) into their headers. All or nothing, but for headers that cannot be changed back.
 */
bool job_chain_drop(BlockNode *top, BlockNode *base, const char *backing_file, GError **error);
/* Make a node at least so large. */
bool job_grow(BlockChild *child, int64_t size, GError **error);
/* The length of a node; -1 with the error set. */
int64_t job_node_length(BlockNode *node, GError **error);

#endif
