/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP: blockdev-mirror, and the jobs that make and open their target themselves: drive-mirror and
 * drive-backup. Main thread.
 */
#include <string.h>

#include "block/backup.h"
#include "block/create.h"
#include "block/job-chain.h"
#include "block/mirror.h"
#include "block/open.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-job.h"
#include "util/coroutine.h"
#include "util/error.h"

/* ---- blockdev-mirror ---- */

static BlockdevOnError policy(bool given, BlockdevOnError on_error)
{
    return given ? on_error : BLOCKDEV_ON_ERROR_REPORT;
}

static bool names_are_fine(const char *filter_node_name, GError **error)
{
    return !filter_node_name || block_node_name_valid(filter_node_name, error);
}

/* What both commands call the same: their arguments are two structs of the schema. */
#define COMMON_ARGS(arg) \
    .replaces = (arg)->replaces, .sync = (arg)->sync, \
    .write_blocking = (arg)->has_copy_mode && \
                      (arg)->copy_mode == MIRROR_COPY_MODE_WRITE_BLOCKING, \
    .has_granularity = (arg)->has_granularity && (arg)->granularity, \
    .granularity = (arg)->granularity, .buf_size = (arg)->has_buf_size ? (arg)->buf_size : 0, \
    .speed = (arg)->has_speed ? (arg)->speed : 0, \
    .on_source_error = policy((arg)->has_on_source_error, (arg)->on_source_error), \
    .on_target_error = policy((arg)->has_on_target_error, (arg)->on_target_error), \
    .flags = { .manual_finalize = (arg)->has_auto_finalize && !(arg)->auto_finalize, \
               .manual_dismiss = (arg)->has_auto_dismiss && !(arg)->auto_dismiss }

bool qmp_blockdev_mirror(const BlockdevMirrorOptions *arg, GError **error)
{
    MirrorArgs mirror = {
        .filter_node_name = arg->filter_node_name,
        .backing = MIRROR_BACKING_LEAVE, .unmap = true,
        COMMON_ARGS(arg),
    };

    mirror.source = block_qmp_find_root(arg->device, error);
    mirror.target = mirror.source ? block_qmp_find(arg->target, error) : NULL;
    if (!mirror.target || !names_are_fine(arg->filter_node_name, error)) {
        return false;
    }
    mirror.job_id = arg->job_id ? arg->job_id : block_qmp_job_id(mirror.source);
    return block_qmp_start_job(block_mirror_new(&mirror, error));
}

/* ---- Targets by file name ---- */

typedef struct Target {
    const char *filename, *format, *node_name; /* format, node_name: NULL if not given */
    NewImageMode mode;
    BlockNode *source;
    BlockNode *backing;   /* what the new image is to say in its header; NULL: none */
    bool open_backing;    /* with its backing chain */
    bool unmap;
    GError **error;
    BlockNode *node;      /* the result: a reference */
} Target;

static bool create_target(const Target *target)
{
    json_object *options = json_object_new_object();
    int64_t size = job_node_length(target->source, target->error);
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, size);
    bool ok;

    json_object_object_add(options, "size", json_object_new_string(text));
    if (target->backing) {
        json_object_object_add(options, "backing_file",
                               json_object_new_string(target->backing->filename));
        json_object_object_add(options, "backing_fmt",
                               json_object_new_string(target->backing->driver->name));
    }
    /* The backing image is in use: it is not opened here. */
    ok = size >= 0 &&
         block_create_image(target->filename, target->format, options, true, target->error);
    json_object_put(options);
    return ok;
}

static void add_text(json_object *options, const char *key, const char *value)
{
    if (value) {
        json_object_object_add(options, key, json_object_new_string(value));
    }
}

static void make_target(void *opaque)
{
    Target *target = opaque;
    json_object *options;

    if (target->mode == NEW_IMAGE_MODE_ABSOLUTE_PATHS && !create_target(target)) {
        return;
    }
    options = json_object_new_object();
    add_text(options, "driver", target->format);
    add_text(options, "node-name", target->node_name);
    add_text(options, "discard", target->unmap ? "unmap" : NULL);
    target->node = block_open(target->filename, NULL, options, QAPI_KEYVAL,
                              target->open_backing ? 0 : BLOCK_OPEN_NO_BACKING, target->error);
    json_object_put(options);
}

/* A reference; NULL with the error set. */
static BlockNode *open_target(Target *target, GError **error)
{
    target->error = error;
    if (target->node_name && !block_node_name_valid(target->node_name, error)) {
        return NULL;
    }
    if (target->mode == NEW_IMAGE_MODE_ABSOLUTE_PATHS && !target->format) {
        target->format = block_skip_filters(target->source)->driver->name;
    }
    if (coroutine_current()) {
        make_target(target);
    } else {
        coroutine_run(make_target, target);
    }
    return target->node;
}

/* ---- drive-mirror ---- */

/* What the target stands on when it is made. */
static BlockNode *backing_of_copy(BlockNode *source, MirrorSyncMode sync)
{
    switch (sync) {
    case MIRROR_SYNC_MODE_NONE:
        return block_skip_filters(source);
    case MIRROR_SYNC_MODE_TOP:
        return block_backing_chain_next(source);
    default:
        return NULL;
    }
}

static bool check_drive_mirror(const DriveMirror *arg, BlockNode *source, GError **error)
{
    if (!job_node_is_free(source, error)) {
        return false;
    }
    if (arg->replaces && !arg->node_name) {
        error_setf(error, "a node-name must be provided when replacing a named node of the graph");
        return false;
    }
    return true;
}

static void fill_mirror(MirrorArgs *mirror, const DriveMirror *arg, const Target *target)
{
    bool created = target->mode == NEW_IMAGE_MODE_ABSOLUTE_PATHS;

    *mirror = (MirrorArgs){
        .job_id = arg->job_id ? arg->job_id : block_qmp_job_id(target->source),
        .source = target->source, .target = target->node,
        .backing = created ? MIRROR_BACKING_SOURCE : MIRROR_BACKING_OPEN,
        .target_is_new = created && block_has_zero_init(target->node),
        .unmap = target->unmap,
        COMMON_ARGS(arg),
    };
}

bool qmp_drive_mirror(const DriveMirror *arg, GError **error)
{
    Target target = {
        .filename = arg->target, .format = arg->format, .node_name = arg->node_name,
        .mode = arg->has_mode ? arg->mode : NEW_IMAGE_MODE_ABSOLUTE_PATHS,
        .unmap = !arg->has_unmap || arg->unmap,
    };
    g_autoptr(BlockNode) node = NULL;
    MirrorArgs mirror;

    target.source = block_qmp_find_root(arg->device, error);
    if (!target.source || !check_drive_mirror(arg, target.source, error)) {
        return false;
    }
    target.backing = backing_of_copy(target.source, arg->sync);
    node = open_target(&target, error);
    if (!node) {
        return false;
    }
    fill_mirror(&mirror, arg, &target);
    return block_qmp_start_job(block_mirror_new(&mirror, error));
}

/* ---- drive-backup ---- */

/* What both commands have in common, borrowed. */
static BlockdevBackup common_part(const DriveBackup *arg)
{
    return (BlockdevBackup){
        .job_id = arg->job_id, .device = arg->device, .sync = arg->sync,
        .has_speed = arg->has_speed, .speed = arg->speed, .bitmap = arg->bitmap,
        .has_bitmap_mode = arg->has_bitmap_mode, .bitmap_mode = arg->bitmap_mode,
        .has_compress = arg->has_compress, .compress = arg->compress,
        .has_on_source_error = arg->has_on_source_error, .on_source_error = arg->on_source_error,
        .has_on_target_error = arg->has_on_target_error, .on_target_error = arg->on_target_error,
        .has_auto_finalize = arg->has_auto_finalize, .auto_finalize = arg->auto_finalize,
        .has_auto_dismiss = arg->has_auto_dismiss, .auto_dismiss = arg->auto_dismiss,
        .filter_node_name = arg->filter_node_name, .x_perf = arg->x_perf,
    };
}

Job *block_drive_backup_new(const DriveBackup *arg, JobTransaction *transaction, GError **error)
{
    BlockdevBackup common = common_part(arg);
    Target target = {
        .filename = arg->target, .format = arg->format,
        .mode = arg->has_mode ? arg->mode : NEW_IMAGE_MODE_ABSOLUTE_PATHS,
        .unmap = true,
    };
    g_autoptr(BlockNode) node = NULL;

    target.source = block_qmp_find(arg->device, error);
    if (!target.source || !job_node_is_free(target.source, error)) {
        return NULL;
    }
    target.backing = backing_of_copy(target.source, arg->sync);
    node = open_target(&target, error);
    if (!node) {
        return NULL;
    }
    if (arg->sync == MIRROR_SYNC_MODE_NONE &&
        target.mode == NEW_IMAGE_MODE_ABSOLUTE_PATHS &&
        !block_node_set_backing(node, target.backing, error)) {
        return NULL;
    }
    return block_backup_new_to(&common, target.source, node, transaction, error);
}

bool qmp_drive_backup(const DriveBackup *arg, GError **error)
{
    return block_qmp_start_job(block_drive_backup_new(arg, NULL, error));
}
