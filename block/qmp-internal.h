/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of QMP commands share. Main thread. */
#ifndef VIREO_BLOCK_QMP_INTERNAL_H
#define VIREO_BLOCK_QMP_INTERNAL_H

#include "block/backend.h"
#include "block/dirty-bitmap.h"
#include "block/job.h"
#include "block/node.h"
#include "block/transaction.h"
#include "qapi-types-block-snapshot.h"

/*
 * A node by the name of a backend or by its own; either may be NULL, and both may be the same.
 * Borrowed; NULL with the error set.
 */
BlockNode *block_qmp_find_node(const char *device, const char *node_name, GError **error);
/* "device or node" as most commands have it. */
static inline BlockNode *block_qmp_find(const char *name, GError **error)
{
    return block_qmp_find_node(name, name, error);
}

/* By exactly one of its own name and its owner's. Borrowed; NULL with the error set. */
BlockBackend *block_qmp_find_backend(const char *device, const char *id, GError **error);
/* Is the node in a backend? */
bool block_qmp_is_medium(const BlockNode *node);
/* The limits of its throttle group, if it is in one. */
void block_qmp_show_limits(BlockBackend *blk, BlockDeviceInfo *info);
/* The same, but the error is set for one that another node stands on. */
BlockNode *block_qmp_find_root(const char *name, GError **error);
/* What a job is called without a name of its own: as the device that has the node; or "". */
const char *block_qmp_job_id(BlockNode *node);

/* qmp-job.c: unless it is NULL; then false. */
bool block_qmp_start_job(Job *job);

/* ---- qmp-bitmap.c: actions ---- */

DirtyBitmap *block_qmp_find_bitmap(const char *node, const char *name, GError **error);
bool block_bitmap_action_add(BlockTransaction *tx, const BlockDirtyBitmapAdd *add, GError **error);
bool block_bitmap_action_remove(BlockTransaction *tx, const char *node, const char *name,
                                GError **error);
bool block_bitmap_action_clear(BlockTransaction *tx, const char *node, const char *name,
                               GError **error);
bool block_bitmap_action_enable(BlockTransaction *tx, const char *node, const char *name,
                                bool enable, GError **error);
/* bitmaps: BlockDirtyBitmapOrStr. */
bool block_bitmap_action_merge(BlockTransaction *tx, const char *node, const char *target,
                               GPtrArray *bitmaps, GError **error);

/* ---- qmp-snapshot.c: actions ---- */

bool block_snapshot_action(BlockTransaction *tx, const char *device, const char *overlay,
                           GError **error);
bool block_snapshot_action_sync(BlockTransaction *tx, const BlockdevSnapshotSync *arg,
                                GError **error);
bool block_snapshot_action_internal(BlockTransaction *tx, const char *device, const char *name,
                                    GError **error);

#endif
