/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of several disks at one moment. */
#include <string.h>

#include "block/backend-internal.h"
#include "block/open.h"
#include "block/qmp-internal.h"
#include "block/snapshot.h"
#include "util/error.h"

/* ---- Which disks ---- */

static bool add_node(BlockSnapshotSet *set, BlockNode *node, GError **error)
{
    BlockNode *image = block_snapshot_image(node);

    if (!block_snapshot_possible(node, error)) {
        return false;
    }
    if (!g_ptr_array_find(set->nodes, image, NULL)) {
        g_ptr_array_add(set->nodes, block_node_ref(image));
    }
    return true;
}

static bool add_named(BlockSnapshotSet *set, const GPtrArray *devices, GError **error)
{
    if (!devices->len) {
        error_setf(error, "At least one device is required for a snapshot");
        return false;
    }
    for (guint i = 0; i < devices->len; i++) {
        BlockNode *node = block_qmp_find(g_ptr_array_index(devices, i), error);

        if (!node || !add_node(set, node, error)) {
            return false;
        }
    }
    return true;
}

/* Does anybody else stand on it, so that it is part of a disk and not one itself? */
static bool has_parents(const BlockNode *node)
{
    for (guint i = 0; i < node->parents->len; i++) {
        if (((const BlockChild *)g_ptr_array_index(node->parents, i))->parent_node) {
            return true;
        }
    }
    return false;
}

/* What devices have, and nodes that somebody made and nobody uses: a disk that comes later. */
static bool add_all(BlockSnapshotSet *set, GError **error)
{
    g_autoptr(GPtrArray) backends = block_backend_list(), nodes = block_node_list();

    for (guint i = 0; i < backends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(backends, i);
        BlockNode *node = block_backend_node(blk);

        /* Without a name or owner it is a job's or an export's. */
        if (node && (blk->name || blk->owner_name) && !block_node_is_read_only(node) &&
            !add_node(set, node, error)) {
            return false;
        }
    }
    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(nodes, i);

        if (block_monitor_owns(node) && !has_parents(node) && !node->driver->protocol &&
            !block_node_is_read_only(node) && !add_node(set, node, error)) {
            return false;
        }
    }
    return true;
}

static bool choose_state_node(BlockSnapshotSet *set, const char *state, GError **error)
{
    BlockNode *node;

    if (!state) {
        if (!set->nodes->len) {
            error_setf(error, "No block device can accept snapshots");
            return false;
        }
        set->state_node = g_ptr_array_index(set->nodes, 0);
        return true;
    }
    node = block_qmp_find(state, error);
    if (node && !g_ptr_array_find(set->nodes, block_snapshot_image(node), NULL)) {
        error_setf(error, "vmstate block device '%s' does not exist among the devices", state);
        return false;
    }
    set->state_node = node ? block_snapshot_image(node) : NULL;
    return node;
}

bool block_snapshot_set_init(BlockSnapshotSet *set, const GPtrArray *devices, const char *state,
                             GError **error)
{
    *set = (BlockSnapshotSet){
        .nodes = g_ptr_array_new_with_free_func((GDestroyNotify)block_node_unref),
    };
    return (devices ? add_named(set, devices, error) : add_all(set, error)) &&
           choose_state_node(set, state, error);
}

void block_snapshot_set_cleanup(BlockSnapshotSet *set)
{
    g_clear_pointer(&set->nodes, g_ptr_array_unref);
}

/* ---- What they have ---- */

static BlockNode *node_at(const BlockSnapshotSet *set, guint i)
{
    return g_ptr_array_index(set->nodes, i);
}

bool block_snapshot_set_is_new(const BlockSnapshotSet *set, const char *name, GError **error)
{
    for (guint i = 0; i < set->nodes->len; i++) {
        g_autoptr(BlockSnapshot) found = NULL;

        if (!block_snapshot_find(node_at(set, i), NULL, name, &found, error)) {
            return false;
        }
        if (found) {
            error_setf(error, "Snapshot '%s' already exists in one or more devices: '%s'", name,
                       node_at(set, i)->name);
            return false;
        }
    }
    return true;
}

bool block_snapshot_set_has(const BlockSnapshotSet *set, const char *name, GError **error)
{
    for (guint i = 0; i < set->nodes->len; i++) {
        g_autoptr(BlockSnapshot) found = NULL;

        if (!block_snapshot_find(node_at(set, i), NULL, name, &found, error)) {
            return false;
        }
        if (!found) {
            error_setf(error, "Snapshot '%s' does not exist in one or more devices: '%s'", name,
                       node_at(set, i)->name);
            return false;
        }
        if (node_at(set, i) == set->state_node && !found->vm_state_size) {
            error_setf(error, "Snapshot '%s' of node '%s' is of a disk only: it has no machine's "
                       "state", name, set->state_node->name);
            return false;
        }
    }
    return true;
}

/* ---- Changes ---- */

/* Of the first n. A first error is kept. */
static void delete_from(const BlockSnapshotSet *set, guint n, const char *name, GError **error)
{
    for (guint i = 0; i < n; i++) {
        g_autoptr(BlockSnapshot) found = NULL;
        GError *local = NULL;

        if (block_snapshot_find(node_at(set, i), NULL, name, &found, &local) && found) {
            block_snapshot_delete(node_at(set, i), found->id, &local);
        }
        if (local) {
            g_prefix_error(&local, "Could not delete snapshot '%s' on '%s': ", name,
                           node_at(set, i)->name);
        }
        if (local && error && !*error) {
            g_propagate_error(error, local);
        } else {
            g_clear_error(&local);
        }
    }
}

bool block_snapshot_set_create(const BlockSnapshotSet *set, const char *name, uint64_t state_size,
                               GError **error)
{
    for (guint i = 0; i < set->nodes->len; i++) {
        g_autoptr(BlockSnapshot) snapshot = block_snapshot_new(name);

        snapshot->vm_state_size = node_at(set, i) == set->state_node ? state_size : 0;
        if (!block_snapshot_create(node_at(set, i), snapshot, error)) {
            g_prefix_error(error, "Could not create snapshot '%s' on '%s': ", name,
                           node_at(set, i)->name);
            delete_from(set, i, name, NULL);
            return false;
        }
    }
    return true;
}

bool block_snapshot_set_goto(const BlockSnapshotSet *set, const char *name, GError **error)
{
    if (!block_snapshot_set_has(set, name, error)) {
        return false;
    }
    for (guint i = 0; i < set->nodes->len; i++) {
        g_autoptr(BlockSnapshot) found = NULL;

        if (!block_snapshot_find(node_at(set, i), NULL, name, &found, error) ||
            !block_snapshot_goto(node_at(set, i), found->id, error)) {
            g_prefix_error(error, "Could not load snapshot '%s' on '%s': ", name,
                           node_at(set, i)->name);
            return false;
        }
    }
    return true;
}

bool block_snapshot_set_delete(const BlockSnapshotSet *set, const char *name, GError **error)
{
    GError *local = NULL;

    for (guint i = 0; i < set->nodes->len; i++) {
        g_autoptr(BlockSnapshot) found = NULL;

        if (!block_snapshot_find(node_at(set, i), NULL, name, &found, error)) {
            return false;
        }
    }
    delete_from(set, set->nodes->len, name, &local);
    if (local) {
        g_propagate_error(error, local);
    }
    return !local;
}
