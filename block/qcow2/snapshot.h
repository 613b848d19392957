/* SPDX-License-Identifier: Apache-2.0 */
/* Internal snapshots and the saved VM state. In a coroutine, while nothing else is in flight. */
#ifndef VIREO_BLOCK_QCOW2_SNAPSHOT_H
#define VIREO_BLOCK_QCOW2_SNAPSHOT_H

#include "block/qcow2/qcow2.h"

/* From the header's table to q->snapshots. */
bool qcow2_snapshots_read(Qcow2 *q, unsigned open_flags, GError **error);
void qcow2_snapshots_free(Qcow2 *q);
/* Of one Qcow2Snapshot. */
void qcow2_snapshot_free(void *snapshot);
/*
 * The table anew, at another place, and the header. With the lock held. *in_doubt (may be NULL):
 * after a failure nobody knows which table the header names.
 */
int qcow2_snapshots_write(Qcow2 *q, bool *in_doubt);

/*
 * With the lock held: the "copied" flags of the active tables by their clusters' counts, after
 * references were dropped. What fails is left for the next flush or closing; until then writes copy
 * clusters that they need not.
 */
void qcow2_settle_flags(Qcow2 *q);

bool qcow2_snapshot_create(BlockNode *node, BlockSnapshot *snapshot, GError **error);
bool qcow2_snapshot_goto(BlockNode *node, const char *id, GError **error);
bool qcow2_snapshot_delete(BlockNode *node, const char *id, GError **error);
GPtrArray *qcow2_snapshot_list(BlockNode *node, GError **error);
bool qcow2_snapshot_load_tmp(BlockNode *node, const char *id, GError **error);
int qcow2_save_vmstate(BlockNode *node, int64_t pos, const BlockVec *vec, size_t bytes);
int qcow2_load_vmstate(BlockNode *node, int64_t pos, const BlockVec *vec, size_t bytes);

#endif
