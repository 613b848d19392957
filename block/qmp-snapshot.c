/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP: snapshots of single disks, by overlays and inside images, as commands and as actions of
 * transactions. Main thread.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block/create.h"
#include "block/info.h"
#include "block/io.h"
#include "block/open.h"
#include "block/qmp-internal.h"
#include "block/snapshot.h"
#include "qapi-commands-block-snapshot.h"
#include "util/error.h"

/* ---- blockdev-snapshot ---- */

typedef struct Overlay {
    BlockNode *node, *overlay; /* references */
} Overlay;

static void abort_overlay(void *data)
{
    Overlay *step = data;
    g_autoptr(GError) error = NULL;

    /* It stood there before, with the same parents. */
    if (!block_node_replace(step->overlay, step->node, &error) ||
        !block_node_set_backing(step->overlay, NULL, &error)) {
        error_report("Cannot take the snapshot of node '%s' back: %s", step->node->name,
                     error->message);
    }
}

static void clean_overlay(void *data)
{
    Overlay *step = data;

    block_node_unref(step->node);
    block_node_unref(step->overlay);
    g_free(step);
}

/* Nobody is to write to it any more; unless somebody does. */
static void commit_overlay(void *data)
{
    block_reopen_read_only(((Overlay *)data)->node, true, NULL);
}

static const BlockStepOps overlay_ops = {
    .commit = commit_overlay, .abort = abort_overlay, .clean = clean_overlay,
};

static bool takes_overlays(const BlockDriver *driver)
{
    return driver->supports_backing && !driver->only_reads_backing;
}

static bool overlay_is_fine(BlockNode *overlay, GError **error)
{
    if (overlay->parents->len) {
        error_setf(error, "The overlay is already in use");
    } else if (overlay->backing) {
        error_setf(error, "The overlay already has a backing image");
    } else if (!takes_overlays(overlay->driver)) {
        error_setf(error, "The overlay does not support backing images");
    } else {
        return true;
    }
    return false;
}

static bool put_on_top(BlockTransaction *tx, BlockNode *node, BlockNode *overlay, GError **error)
{
    Overlay *step;
    bool ok;

    if (!overlay_is_fine(overlay, error)) {
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
        step = g_new0(Overlay, 1);
        step->node = block_node_ref(node);
        step->overlay = block_node_ref(overlay);
        block_transaction_add(tx, &overlay_ops, step);
    }
    return ok;
}

bool block_snapshot_action(BlockTransaction *tx, const char *device, const char *overlay_name,
                           GError **error)
{
    BlockNode *node = block_qmp_find(device, error), *overlay;

    if (!node || !job_node_is_free(node, error)) {
        return false;
    }
    overlay = block_qmp_find_node(NULL, overlay_name, error);
    return overlay && put_on_top(tx, node, overlay, error);
}

bool qmp_blockdev_snapshot(const char *node, const char *overlay, GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, block_snapshot_action(tx, node, overlay, error));
}

/* ---- blockdev-snapshot-sync ---- */

typedef struct NewImage {
    BlockNode *node;      /* that gets the overlay */
    const char *filename, *format;
    GError **error;
    bool ok;
} NewImage;

static void set_text(json_object *options, const char *key, const char *value)
{
    json_object_object_add(options, key, json_object_new_string(value));
}

/* What the overlay's header says of the image below. */
static char *absolute_name(const BlockNode *node)
{
    return block_path_has_protocol(node->filename) || g_path_is_absolute(node->filename)
               ? g_strdup(node->filename) : g_canonicalize_filename(node->filename, NULL);
}

static void create_image(void *opaque)
{
    NewImage *image = opaque;
    g_autofree char *below = absolute_name(image->node);
    g_autofree char *text = NULL;
    json_object *options = json_object_new_object();
    int64_t size = block_getlength(image->node);

    if (size < 0) {
        error_set_errno(image->error, (int)-size, "Could not get the size of node '%s'",
                        image->node->name);
    } else {
        text = g_strdup_printf("%" G_GINT64_FORMAT, size);
        set_text(options, "size", text);
        set_text(options, "backing_file", below);
        set_text(options, "backing_fmt", block_skip_filters(image->node)->driver->name);
        image->ok = block_create_image(image->filename, image->format, options, true,
                                       image->error);
    }
    json_object_put(options);
}

static bool make_image(NewImage *image)
{
    if (!*image->node->filename) {
        error_setf(image->error, "Node '%s' has no file name that the overlay's header could have",
                   image->node->name);
        return false;
    }
    if (coroutine_current()) {
        create_image(image);
    } else {
        coroutine_run(create_image, image);
    }
    return image->ok;
}

/* Without a backing file, which is there already; else like the node that it stands on. */
static BlockNode *open_overlay(const BlockNode *node, const BlockdevSnapshotSync *arg,
                               const char *format, GError **error)
{
    json_object *options = json_object_new_object(), *cache = json_object_new_object();
    const BlockMode *mode = &node->mode;
    BlockNode *overlay;

    set_text(options, "driver", format);
    if (arg->snapshot_node_name) {
        set_text(options, "node-name", arg->snapshot_node_name);
    }
    set_text(options, "discard", mode->discard_unmap ? "unmap" : "ignore");
    set_text(options, "detect-zeroes", BlockdevDetectZeroesOptions_str(mode->detect_zeroes));
    json_object_object_add(cache, "direct", json_object_new_boolean(mode->cache_direct));
    json_object_object_add(cache, "no-flush", json_object_new_boolean(mode->cache_no_flush));
    json_object_object_add(options, "cache", cache);
    json_object_object_add(options, "read-only", json_object_new_boolean(mode->read_only));
    overlay = block_open(arg->snapshot_file, NULL, options, QAPI_JSON, BLOCK_OPEN_NO_BACKING,
                         error);
    json_object_put(options);
    return overlay;
}

static void abort_image(void *data)
{
    unlink(data);
}

/* The file that was made goes if the transaction is taken back. */
static const BlockStepOps image_ops = { .abort = abort_image, .clean = g_free };

static bool names_are_fine(const BlockdevSnapshotSync *arg, GError **error)
{
    if (!arg->device == !arg->node_name) {
        error_setf(error, "Need exactly one of 'device' and 'node-name'");
    } else if (arg->node_name && !arg->snapshot_node_name) {
        error_setf(error, "New overlay node-name missing");
    } else if (arg->snapshot_node_name && block_node_find(arg->snapshot_node_name)) {
        error_setf(error, "New overlay node-name already in use");
    } else {
        return true;
    }
    return false;
}

static bool need_image(BlockTransaction *tx, const BlockdevSnapshotSync *arg, BlockNode *node,
                       const char *format, GError **error)
{
    NewImage image = { .node = node, .filename = arg->snapshot_file, .format = format,
                       .error = error };
    bool was_there = block_path_has_protocol(arg->snapshot_file) ||
                     access(arg->snapshot_file, F_OK) == 0;

    if (arg->has_mode && arg->mode == NEW_IMAGE_MODE_EXISTING) {
        return true;
    }
    if (!make_image(&image)) {
        return false;
    }
    if (!was_there) {
        block_transaction_add(tx, &image_ops, g_strdup(arg->snapshot_file));
    }
    return true;
}

bool block_snapshot_action_sync(BlockTransaction *tx, const BlockdevSnapshotSync *arg,
                                GError **error)
{
    const char *format = arg->format ? arg->format : "qcow2";
    g_autoptr(BlockNode) overlay = NULL;
    const BlockDriver *driver;
    BlockNode *node;

    if (!names_are_fine(arg, error)) {
        return false;
    }
    node = block_qmp_find_node(arg->device, arg->node_name, error);
    driver = node && job_node_is_free(node, error) ? block_driver_find(format, error) : NULL;
    if (!driver) {
        return false;
    }
    if (!takes_overlays(driver)) {
        error_setf(error, "The overlay does not support backing images");
        return false;
    }
    if (!need_image(tx, arg, node, format, error)) {
        return false;
    }
    overlay = open_overlay(node, arg, format, error);
    return overlay && put_on_top(tx, node, overlay, error);
}

bool qmp_blockdev_snapshot_sync(const char *device, const char *node_name,
                                const char *snapshot_file, const char *snapshot_node_name,
                                const char *format, bool has_mode, NewImageMode mode,
                                GError **error)
{
    BlockTransaction *tx = block_transaction_new();
    BlockdevSnapshotSync arg = {
        .device = (char *)device, .node_name = (char *)node_name,
        .snapshot_file = (char *)snapshot_file, .snapshot_node_name = (char *)snapshot_node_name,
        .format = (char *)format, .has_mode = has_mode, .mode = mode,
    };

    return block_transaction_end(tx, block_snapshot_action_sync(tx, &arg, error));
}

/* ---- blockdev-snapshot-internal-sync ---- */

typedef struct Internal {
    BlockNode *node; /* a reference */
    char *id;
} Internal;

static void abort_internal(void *data)
{
    Internal *step = data;
    g_autoptr(GError) error = NULL;

    if (!block_snapshot_delete(step->node, step->id, &error)) {
        error_report("Cannot delete snapshot %s of node '%s' again: %s", step->id,
                     step->node->name, error->message);
    }
}

static void clean_internal(void *data)
{
    Internal *step = data;

    block_node_unref(step->node);
    g_free(step->id);
    g_free(step);
}

static const BlockStepOps internal_ops = { .abort = abort_internal, .clean = clean_internal };

static bool name_is_free(BlockNode *node, const char *device, const char *name, GError **error)
{
    g_autoptr(BlockSnapshot) found = NULL;

    if (!*name) {
        error_setf(error, "Name is empty");
        return false;
    }
    if (!block_snapshot_find(node, NULL, name, &found, error)) {
        return false;
    }
    if (found) {
        error_setf(error, "Snapshot with name '%s' already exists on device '%s'", name, device);
    }
    return !found;
}

bool block_snapshot_action_internal(BlockTransaction *tx, const char *device, const char *name,
                                    GError **error)
{
    BlockNode *node = block_qmp_find(device, error);
    g_autoptr(BlockSnapshot) snapshot = NULL;
    Internal *step;

    if (!node || !job_node_is_free(node, error) || !block_snapshot_possible(node, error) ||
        !name_is_free(node, device, name, error)) {
        return false;
    }
    snapshot = block_snapshot_new(name);
    if (!block_snapshot_create(node, snapshot, error)) {
        g_prefix_error(error, "Failed to create snapshot '%s' on device '%s': ", name, device);
        return false;
    }
    step = g_new0(Internal, 1);
    step->node = block_node_ref(node);
    step->id = g_strdup(snapshot->id);
    block_transaction_add(tx, &internal_ops, step);
    return true;
}

bool qmp_blockdev_snapshot_internal_sync(const char *device, const char *name, GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, block_snapshot_action_internal(tx, device, name, error));
}

SnapshotInfo *qmp_blockdev_snapshot_delete_internal_sync(const char *device, const char *id,
                                                         const char *name, GError **error)
{
    BlockNode *node = block_qmp_find(device, error);
    g_autoptr(BlockSnapshot) found = NULL;

    if (!node) {
        return NULL;
    }
    if (!id && !name) {
        error_setf(error, "Name and id are both missing: need at least one of them");
        return NULL;
    }
    if (!job_node_is_free(node, error) || !block_snapshot_possible(node, error) ||
        !block_snapshot_find(node, id, name, &found, error)) {
        return NULL;
    }
    if (!found) {
        error_setf(error, "Snapshot with id '%s' and name '%s' does not exist on device '%s'",
                   id ? id : "", name ? name : "", device);
        return NULL;
    }
    return block_snapshot_delete(node, found->id, error) ? block_snapshot_info(found) : NULL;
}
