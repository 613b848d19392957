/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: snapshots by overlays, and transactions. Main thread. */
#include "block/backup.h"
#include "block/driver.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-snapshot.h"
#include "qapi-commands-transaction.h"
#include "util/error.h"

/* ---- blockdev-snapshot ---- */

typedef struct Snapshot {
    BlockNode *node, *overlay; /* references */
} Snapshot;

static void abort_snapshot(void *data)
{
    Snapshot *snapshot = data;
    g_autoptr(GError) error = NULL;

    /* It stood there before, with the same parents. */
    if (!block_node_replace(snapshot->overlay, snapshot->node, &error) ||
        !block_node_set_backing(snapshot->overlay, NULL, &error)) {
        error_report("Cannot take the snapshot of node '%s' back: %s", snapshot->node->name,
                     error->message);
    }
}

static void clean_snapshot(void *data)
{
    Snapshot *snapshot = data;

    block_node_unref(snapshot->node);
    block_node_unref(snapshot->overlay);
    g_free(snapshot);
}

static const BlockStepOps snapshot_ops = { .abort = abort_snapshot, .clean = clean_snapshot };

static bool overlay_is_fine(BlockNode *overlay, GError **error)
{
    if (overlay->parents->len) {
        error_setf(error, "The overlay is already in use");
    } else if (overlay->backing) {
        error_setf(error, "The overlay already has a backing image");
    } else if (!overlay->driver->supports_backing) {
        error_setf(error, "The overlay does not support backing images");
    } else {
        return true;
    }
    return false;
}

static bool snapshot_action(BlockTransaction *tx, const char *device, const char *overlay_name,
                            GError **error)
{
    BlockNode *node = block_qmp_find(device, error), *overlay;
    Snapshot *snapshot;
    bool ok;

    overlay = node ? block_qmp_find_node(NULL, overlay_name, error) : NULL;
    if (!overlay || !overlay_is_fine(overlay, error)) {
        return false;
    }
    block_drain_begin(node);
    ok = block_node_set_backing(overlay, node, error);
    if (ok && !block_node_replace(node, overlay, error)) {
        block_node_set_backing(overlay, NULL, NULL);
        ok = false;
    }
    block_drain_end(node);
    if (ok) {
        snapshot = g_new0(Snapshot, 1);
        snapshot->node = block_node_ref(node);
        snapshot->overlay = block_node_ref(overlay);
        block_transaction_add(tx, &snapshot_ops, snapshot);
    }
    return ok;
}

bool qmp_blockdev_snapshot(const char *node, const char *overlay, GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, snapshot_action(tx, node, overlay, error));
}

/* ---- blockdev-backup ---- */

static void commit_backup(void *data)
{
    job_start(data);
}

static void abort_backup(void *data)
{
    job_discard(data);
}

static const BlockStepOps backup_ops = { .commit = commit_backup, .abort = abort_backup };

static bool backup_action(BlockTransaction *tx, const BlockdevBackup *arg,
                          JobTransaction *jobs, GError **error)
{
    Job *job = block_backup_new(arg, jobs, error);

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
        return backup_action(tx, action->u.blockdev_backup.data, jobs, error);
    case TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT: {
        const BlockdevSnapshot *arg = action->u.blockdev_snapshot.data;

        return snapshot_action(tx, arg->node, arg->overlay, error);
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
