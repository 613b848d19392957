/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a drive: the property drive=, sizes, permissions and policies. */
#include "hw/block/block-conf.h"

#include "block/drive.h"
#include "block/open.h"
#include "util/bits.h"
#include "util/error.h"

#define BLOCK_SIZE_MAX (2 * MiB)
#define DEFAULT_BLOCK_SIZE 512

const char *const block_conf_on_error_names[] = {
    [BLOCKDEV_ON_ERROR_REPORT] = "report",
    [BLOCKDEV_ON_ERROR_IGNORE] = "ignore",
    [BLOCKDEV_ON_ERROR_ENOSPC] = "enospc",
    [BLOCKDEV_ON_ERROR_STOP] = "stop",
    [BLOCKDEV_ON_ERROR_AUTO] = "auto",
    NULL,
};

/* ---- drive= ---- */

/* A backend of our own around a node, which stays on the loop where it is. */
static BlockBackend *backend_of_node(const char *name, GError **error)
{
    BlockNode *node = block_node_find(name);
    BlockBackend *blk;

    if (!node) {
        error_setf(error, "can't find value '%s'", name);
        return NULL;
    }
    blk = block_backend_new(node->loop, 0, BLOCK_PERM_ALL);
    if (!block_backend_insert(blk, node, error)) {
        block_backend_unref(blk);
        return NULL;
    }
    return blk;
}

static BlockBackend *find_backend(const char *name, GError **error)
{
    BlockBackend *blk = block_backend_find(name);
    Drive *drive;

    if (!blk) {
        return backend_of_node(name, error);
    }
    drive = drive_of_backend(blk);
    if (drive && drive->claimed) {
        error_setf(error, drive->type == BLOCK_INTERFACE_NONE
                   ? "Drive '%s' is already in use by another block device"
                   : "Drive '%s' is already in use because it has been automatically connected to "
                     "another device (did you need 'if=none' in the drive options?)", name);
        return NULL;
    }
    return block_backend_ref(blk);
}

static bool set_drive(Object *obj, const Property *prop, void *field, json_object *value,
                      GError **error)
{
    BlockBackend **blk = field;
    BlockBackend *found;

    if (!json_object_is_type(value, json_type_string)) {
        error_setf(error, "property '%s' takes the id of a drive or the name of a node",
                   prop->name);
        return false;
    }
    found = find_backend(json_object_get_string(value), error);
    if (!found) {
        g_prefix_error(error, "Property '%s.%s': ", object_type_name(obj), prop->name);
        return false;
    }
    block_backend_unref(*blk);
    *blk = found;
    return true;
}

static json_object *get_drive(Object *obj, const Property *prop, const void *field)
{
    BlockBackend *blk = *(BlockBackend *const *)field;
    const char *name = blk ? block_backend_name(blk) : NULL;

    if (blk && !name) {
        BlockNode *node = block_backend_node(blk);

        name = node ? node->name : NULL;
    }
    return json_object_new_string(name ? name : "");
}

static void release_drive(Object *obj, const Property *prop, void *field)
{
    g_clear_pointer((BlockBackend **)field, block_backend_unref);
}

const PropertyKind prop_kind_drive = {
    .type_name = "str",
    .json_type = "str",
    .set = set_drive,
    .get = get_drive,
    .release = release_drive,
};

/* ---- Sizes ---- */

static bool check_block_size(const char *name, uint32_t *size, uint32_t def, GError **error)
{
    if (!*size) {
        *size = def;
    }
    if (*size < DEFAULT_BLOCK_SIZE || *size > BLOCK_SIZE_MAX || (*size & (*size - 1))) {
        error_setf(error, "%s=%u: must be a power of two from 512 to 2M", name, *size);
        return false;
    }
    return true;
}

static bool check_multiple(const char *name, uint32_t value, uint32_t unit, GError **error)
{
    if (value % unit) {
        error_setf(error, "%s=%u: must be a multiple of logical_block_size=%u", name, value, unit);
        return false;
    }
    return true;
}

static bool check_sizes(BlockConf *conf, GError **error)
{
    if (!check_block_size("logical_block_size", &conf->logical_block_size, DEFAULT_BLOCK_SIZE,
                          error) ||
        !check_block_size("physical_block_size", &conf->physical_block_size,
                          conf->logical_block_size, error)) {
        return false;
    }
    if (conf->logical_block_size > conf->physical_block_size) {
        error_setf(error, "logical_block_size > physical_block_size not supported");
        return false;
    }
    return check_multiple("min_io_size", conf->min_io_size, conf->logical_block_size, error) &&
           check_multiple("opt_io_size", conf->opt_io_size, conf->logical_block_size, error) &&
           (conf->discard_granularity == BLOCK_SIZE_DEFAULT ||
            check_multiple("discard_granularity", conf->discard_granularity,
                           conf->logical_block_size, error));
}

/* ---- Permissions and policies ---- */

bool block_conf_update_perm(BlockConf *conf, const BlockConfNeeds *needs, GError **error)
{
    BlockNode *node = block_backend_node(conf->blk);
    unsigned shared = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED |
                      (conf->share_rw ? BLOCK_PERM_WRITE : 0) |
                      (needs->resizable ? BLOCK_PERM_RESIZE : 0);

    conf->read_only = needs->read_only || (node && block_node_is_read_only(node));
    if (conf->read_only && !needs->read_only && !needs->may_be_read_only) {
        error_setf(error, "Block node is read-only");
        return false;
    }
    /* The next medium may be one that cannot be written to. */
    return block_backend_set_perm(conf->blk, BLOCK_PERM_CONSISTENT_READ |
                                             (conf->read_only || !node ? 0 : BLOCK_PERM_WRITE),
                                  shared, error);
}

static void apply_policies(BlockConf *conf)
{
    BlockBackend *blk = conf->blk;

    if (conf->write_cache != PROP_AUTO) {
        block_backend_set_write_cache(blk, conf->write_cache == PROP_ON);
    }
    if (conf->on_read_error != BLOCKDEV_ON_ERROR_AUTO ||
        conf->on_write_error != BLOCKDEV_ON_ERROR_AUTO) {
        block_backend_set_on_error(blk, (BlockdevOnError)conf->on_read_error,
                                   (BlockdevOnError)conf->on_write_error);
    }
    if (conf->account_invalid != PROP_AUTO || conf->account_failed != PROP_AUTO) {
        block_accounting_set(block_backend_accounting(blk), conf->account_invalid != PROP_OFF,
                             conf->account_failed != PROP_OFF);
    }
}

/* ---- Life ---- */

void block_conf_init(BlockConf *conf)
{
    conf->on_read_error = conf->on_write_error = BLOCKDEV_ON_ERROR_AUTO;
    conf->discard_granularity = BLOCK_SIZE_DEFAULT;
}

static bool find_drive(BlockConf *conf, const BlockConfNeeds *needs, GError **error)
{
    if (!conf->blk) {
        if (!needs->removable) {
            error_setf(error, "drive property not set");
            return false;
        }
        conf->blk = block_backend_new(loop_main(), 0, BLOCK_PERM_ALL);
    }
    if (!needs->removable && !block_backend_node(conf->blk)) {
        error_setf(error, "Device needs media, but drive is empty");
        return false;
    }
    return true;
}

bool block_conf_realize(BlockConf *conf, Device *dev, const BlockConfNeeds *needs,
                        const BlockBackendOps *ops, void *owner, GError **error)
{
    Drive *drive;

    if (!find_drive(conf, needs, error) || !check_sizes(conf, error)) {
        return false;
    }
    conf->owner_name = dev->id ? g_strdup(dev->id) : object_path(OBJECT(dev));
    if (!block_backend_attach_owner(conf->blk, ops, owner, conf->owner_name, error)) {
        g_clear_pointer(&conf->owner_name, g_free);
        return false;
    }
    if (!block_conf_update_perm(conf, needs, error)) {
        block_backend_detach_owner(conf->blk);
        g_clear_pointer(&conf->owner_name, g_free);
        return false;
    }
    apply_policies(conf);
    drive = drive_of_backend(conf->blk);
    if (drive) {
        drive_claim(drive);
    }
    conf->attached = true;
    return true;
}

void block_conf_unrealize(BlockConf *conf)
{
    Drive *drive;

    if (!conf->attached) {
        return;
    }
    conf->attached = false;
    drive = drive_of_backend(conf->blk);
    block_backend_detach_owner(conf->blk);
    g_clear_pointer(&conf->owner_name, g_free);
    block_backend_set_perm(conf->blk, 0, BLOCK_PERM_ALL, NULL);
    if (drive) {
        drive->claimed = false;
    }
    /*
     * A node that the device found by itself is free from now on: the device may live on until
     * nobody looks at its memory, but who hears of its end may remove the node.
     */
    if (!block_backend_name(conf->blk) && block_backend_node(conf->blk)) {
        block_backend_remove(conf->blk);
    }
}

uint64_t block_conf_length(const BlockConf *conf)
{
    int64_t length = block_backend_node(conf->blk) ? block_backend_node(conf->blk)->size : 0;

    return length > 0 ? (uint64_t)length : 0;
}
