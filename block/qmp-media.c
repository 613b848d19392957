/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP: trays and media. Main thread.
 *
 * A device says by its operations what it can: without change_media its medium stays; without
 * is_tray_open it has no tray, and media may come and go at any time. If the guest has locked the
 * medium, the device is asked to let it go; the guest decides, unless the command has `force`.
 */
#include "block/backend-internal.h"
#include "block/open.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block.h"
#include "util/error.h"

/* ---- Finding ---- */

BlockBackend *block_qmp_find_backend(const char *device, const char *id, GError **error)
{
    BlockBackend *blk;

    if (!device == !id) {
        error_setf(error, "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    blk = device ? block_backend_find(device) : block_backend_find_by_owner(id);
    if (!blk) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found",
                       device ? device : id);
    }
    return blk;
}

/* ---- Trays ---- */

static bool check_removable(BlockBackend *blk, const char *name, GError **error)
{
    if (!block_backend_is_removable(blk)) {
        error_setf(error, "Device '%s' is not removable", name);
        return false;
    }
    return true;
}

/* *waits: the guest was asked, and has not answered yet. */
static bool open_tray(BlockBackend *blk, const char *name, bool force, bool *waits, GError **error)
{
    bool locked = block_backend_is_locked(blk);

    *waits = false;
    if (!check_removable(blk, name, error)) {
        return false;
    }
    if (!block_backend_has_tray(blk) || block_backend_tray_is_open(blk)) {
        return true;
    }
    if (locked) {
        block_backend_eject_request(blk, force);
    }
    if (locked && !force) {
        *waits = true;
        return true;
    }
    return block_backend_change_media(blk, false, error);
}

/* For commands that cannot go on before the tray is open. */
static bool open_tray_now(BlockBackend *blk, const char *name, bool force, GError **error)
{
    bool waits;

    if (!open_tray(blk, name, force, &waits, error)) {
        return false;
    }
    if (waits) {
        error_setf(error, "Device '%s' is locked and force was not specified, wait for tray to "
                   "open and try again", name);
        return false;
    }
    return true;
}

static bool close_tray(BlockBackend *blk, const char *name, GError **error)
{
    if (!check_removable(blk, name, error)) {
        return false;
    }
    return !block_backend_tray_is_open(blk) || block_backend_change_media(blk, true, error);
}

bool qmp_blockdev_open_tray(const char *device, const char *id, bool has_force, bool force,
                            GError **error)
{
    BlockBackend *blk = block_qmp_find_backend(device, id, error);
    bool waits;

    return blk && open_tray(blk, device ? device : id, has_force && force, &waits, error);
}

bool qmp_blockdev_close_tray(const char *device, const char *id, GError **error)
{
    BlockBackend *blk = block_qmp_find_backend(device, id, error);

    return blk && close_tray(blk, device ? device : id, error);
}

/* ---- Media ---- */

static bool check_accessible(BlockBackend *blk, const char *name, GError **error)
{
    if (!check_removable(blk, name, error)) {
        return false;
    }
    if (block_backend_has_tray(blk) && !block_backend_tray_is_open(blk)) {
        error_setf(error, "Tray of device '%s' is not open", name);
        return false;
    }
    return true;
}

static bool remove_medium(BlockBackend *blk, const char *name, GError **error)
{
    if (!check_accessible(blk, name, error)) {
        return false;
    }
    if (!block_backend_root(blk)) {
        return true;
    }
    if (!job_node_is_free(block_backend_node(blk), error)) {
        return false;
    }
    block_backend_remove(blk);
    /* With a tray the device hears of it when that is closed. */
    return block_backend_has_tray(blk) || block_backend_change_media(blk, false, error);
}

static bool insert_medium(BlockBackend *blk, const char *name, BlockNode *node, GError **error)
{
    if (!check_accessible(blk, name, error)) {
        return false;
    }
    if (block_backend_root(blk)) {
        error_setf(error, "There already is a medium in device '%s'", name);
        return false;
    }
    if (!block_backend_insert(blk, node, error)) {
        return false;
    }
    if (!block_backend_has_tray(blk) && !block_backend_change_media(blk, true, error)) {
        block_backend_remove(blk);
        return false;
    }
    return true;
}

bool qmp_blockdev_remove_medium(const char *id, GError **error)
{
    BlockBackend *blk = block_qmp_find_backend(NULL, id, error);

    return blk && remove_medium(blk, id, error);
}

bool block_qmp_is_medium(const BlockNode *node)
{
    g_autoptr(GPtrArray) list = block_backend_list();

    for (guint i = 0; i < list->len; i++) {
        if (block_backend_node(g_ptr_array_index(list, i)) == node) {
            return true;
        }
    }
    return false;
}

bool qmp_blockdev_insert_medium(const char *id, const char *node_name, GError **error)
{
    BlockBackend *blk = block_qmp_find_backend(NULL, id, error);
    BlockNode *node;

    if (!blk) {
        return false;
    }
    node = block_node_find(node_name);
    if (!node) {
        error_setf(error, "Node '%s' not found", node_name);
        return false;
    }
    if (block_qmp_is_medium(node)) {
        error_setf(error, "Node '%s' is already in use", node_name);
        return false;
    }
    return insert_medium(blk, id, node, error);
}

bool qmp_eject(const char *device, const char *id, bool has_force, bool force, GError **error)
{
    BlockBackend *blk = block_qmp_find_backend(device, id, error);
    const char *name = device ? device : id;

    return blk && open_tray_now(blk, name, has_force && force, error) &&
           remove_medium(blk, name, error);
}

static json_object *new_medium_options(BlockBackend *blk, const char *format,
                                       BlockdevChangeReadOnlyMode read_only_mode)
{
    json_object *options = json_object_new_object(), *cache = json_object_new_object();
    BlockMode mode;

    block_backend_medium_mode(blk, &mode);
    if (read_only_mode != BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN) {
        mode.read_only = read_only_mode == BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_ONLY;
    }
    if (format) {
        json_object_object_add(options, "driver", json_object_new_string(format));
    }
    json_object_object_add(options, "read-only", json_object_new_boolean(mode.read_only));
    json_object_object_add(options, "discard",
                           json_object_new_string(mode.discard_unmap ? "unmap" : "ignore"));
    json_object_object_add(cache, "direct", json_object_new_boolean(mode.cache_direct));
    json_object_object_add(cache, "no-flush", json_object_new_boolean(mode.cache_no_flush));
    json_object_object_add(options, "cache", cache);
    json_object_object_add(
        options, "detect-zeroes",
        json_object_new_string(BlockdevDetectZeroesOptions_str(mode.detect_zeroes)));
    return options;
}

bool qmp_blockdev_change_medium(const char *device, const char *id, const char *filename,
                                const char *format, bool has_force, bool force,
                                bool has_read_only_mode,
                                BlockdevChangeReadOnlyMode read_only_mode, GError **error)
{
    BlockBackend *blk = block_qmp_find_backend(device, id, error);
    const char *name = device ? device : id;
    g_autoptr(BlockNode) node = NULL;
    json_object *options;

    if (!blk) {
        return false;
    }
    options = new_medium_options(blk, format, has_read_only_mode
                                                  ? read_only_mode
                                                  : BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN);
    /* Before anything moves: a name that cannot be opened leaves all as it is. */
    node = block_open(filename, NULL, options, QAPI_JSON, 0, error);
    json_object_put(options);
    return node && open_tray_now(blk, name, has_force && force, error) &&
           remove_medium(blk, name, error) && insert_medium(blk, name, node, error) &&
           close_tray(blk, name, error);
}
