/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: transactions. Main thread. */
#include "block/backup.h"
#include "block/driver.h"
#include "block/qmp-internal.h"
#include "qapi-commands-transaction.h"
#include "util/error.h"

/* ---- blockdev-backup, drive-backup ---- */

static void commit_backup(void *data)
{
    job_start(data);
}

static void abort_backup(void *data)
{
    job_discard(data);
}

static const BlockStepOps backup_ops = { .commit = commit_backup, .abort = abort_backup };

static bool backup_action(BlockTransaction *tx, Job *job)
{
    if (job) {
        block_transaction_add(tx, &backup_ops, job);
    }
    return job != NULL;
}

/* ---- transaction ---- */

static bool run_action(BlockTransaction *tx, const TransactionAction *action,
                       JobTransaction *jobs, GError **error)
{
    switch (action->type) {
    case TRANSACTION_ACTION_KIND_ABORT:
        error_setf(error, "Transaction aborted using Abort action");
        return false;
    case TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_ADD:
        return block_bitmap_action_add(tx, action->u.block_dirty_bitmap_add.data, error);
    case TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_REMOVE: {
        const BlockDirtyBitmap *arg = action->u.block_dirty_bitmap_remove.data;

        return block_bitmap_action_remove(tx, arg->node, arg->name, error);
    }
    case TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_CLEAR: {
        const BlockDirtyBitmap *arg = action->u.block_dirty_bitmap_clear.data;

        return block_bitmap_action_clear(tx, arg->node, arg->name, error);
    }
    case TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_ENABLE: {
        const BlockDirtyBitmap *arg = action->u.block_dirty_bitmap_enable.data;

        return block_bitmap_action_enable(tx, arg->node, arg->name, true, error);
    }
    case TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_DISABLE: {
        const BlockDirtyBitmap *arg = action->u.block_dirty_bitmap_disable.data;

        return block_bitmap_action_enable(tx, arg->node, arg->name, false, error);
    }
    case TRANSACTION_ACTION_KIND_BLOCK_DIRTY_BITMAP_MERGE: {
        const BlockDirtyBitmapMerge *arg = action->u.block_dirty_bitmap_merge.data;

        return block_bitmap_action_merge(tx, arg->node, arg->target, arg->bitmaps, error);
    }
    case TRANSACTION_ACTION_KIND_BLOCKDEV_BACKUP:
        return backup_action(tx, block_backup_new(action->u.blockdev_backup.data, jobs, error));
    case TRANSACTION_ACTION_KIND_DRIVE_BACKUP:
        return backup_action(tx, block_drive_backup_new(action->u.drive_backup.data, jobs, error));
    case TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT: {
        const BlockdevSnapshot *arg = action->u.blockdev_snapshot.data;

        return block_snapshot_action(tx, arg->node, arg->overlay, error);
    }
    case TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_SYNC:
        return block_snapshot_action_sync(tx, action->u.blockdev_snapshot_sync.data, error);
    case TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_INTERNAL_SYNC: {
        const BlockdevSnapshotInternal *arg = action->u.blockdev_snapshot_internal_sync.data;

        return block_snapshot_action_internal(tx, arg->device, arg->name, error);
    }
    default:
        error_setf(error, "The action '%s' is not implemented yet",
                   TransactionActionKind_str(action->type));
        return false;
    }
}

bool qmp_transaction(GPtrArray *actions, const TransactionProperties *properties, GError **error)
{
    bool grouped = properties && properties->has_completion_mode &&
                   properties->completion_mode == ACTION_COMPLETION_MODE_GROUPED;
    JobTransaction *jobs = grouped ? job_transaction_new() : NULL;
    BlockTransaction *tx = block_transaction_new();
    bool ok = true;

    /* No writes between the actions: they are one moment. */
    block_drain_all_begin();
    for (guint i = 0; i < actions->len && ok; i++) {
        ok = run_action(tx, g_ptr_array_index(actions, i), jobs, error);
    }
    ok = block_transaction_end(tx, ok);
    block_drain_all_end();
    if (jobs) {
        job_transaction_unref(jobs);
    }
    return ok;
}
