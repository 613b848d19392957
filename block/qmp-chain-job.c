/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: block-stream, block-commit, change-backing-file. Main thread. */
#include <string.h>

#include "block/commit.h"
#include "block/job-chain.h"
#include "block/mirror.h"
#include "block/node-internal.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-job.h"
#include "qapi-commands-block-snapshot.h"
#include "util/error.h"

static bool filter_name_is_fine(const char *name, GError **error)
{
    return !name || block_node_name_valid(name, error);
}

/* No job has anything from top down to base (NULL: to the end; else it is included). */
static bool chain_is_free(BlockNode *top, BlockNode *base, GError **error)
{
    for (BlockNode *node = top; node; node = block_filter_or_cow_node(node)) {
        if (!job_node_is_free(node, error)) {
            return false;
        }
        if (node == base) {
            break;
        }
    }
    return true;
}

/* ---- block-stream ---- */

static bool stream_args_are_fine(const BlockStreamOptions *arg, GError **error)
{
    static const char *const together = "'%s' and '%s' cannot be specified at the same time";

    if (arg->base && arg->base_node) {
        error_setf(error, together, "base", "base-node");
    } else if (arg->base && arg->bottom) {
        error_setf(error, together, "bottom", "base");
    } else if (arg->bottom && arg->base_node) {
        error_setf(error, together, "bottom", "base-node");
    } else {
        return true;
    }
    return false;
}

static bool find_stream_base(const BlockStreamOptions *arg, StreamArgs *stream, GError **error)
{
    BlockNode *node = NULL;

    if (arg->base) {
        node = job_chain_find(stream->top, arg->base);
        if (!node) {
            error_setf(error, "Can't find '%s' in the backing chain", arg->base);
            return false;
        }
    } else if (arg->base_node || arg->bottom) {
        node = block_qmp_find_node(NULL, arg->base_node ? arg->base_node : arg->bottom, error);
        if (!node) {
            return false;
        }
    }
    if (arg->base_node && (node == stream->top || !block_chain_contains(stream->top, node))) {
        error_setf(error, "Node '%s' is not a backing image of '%s'", arg->base_node,
                   stream->top->name);
        return false;
    }
    if (arg->bottom && node->driver->is_filter) {
        error_setf(error, "Node '%s' is a filter, use a non-filter node as 'bottom'", arg->bottom);
        return false;
    }
    if (arg->bottom && !block_chain_contains(stream->top, node)) {
        error_setf(error, "Node '%s' is not in a chain starting from '%s'", arg->bottom,
                   stream->top->name);
        return false;
    }
    stream->base = arg->bottom ? block_filter_or_cow_node(node) : node;
    stream->bottom = arg->bottom ? node : node ? job_chain_overlay(stream->top, node) : NULL;
    return true;
}

bool qmp_block_stream(const BlockStreamOptions *arg, GError **error)
{
    StreamArgs stream = {
        .filter_node_name = arg->filter_node_name, .backing_file = arg->backing_file,
        .speed = arg->has_speed ? arg->speed : 0,
        .on_error = arg->has_on_error ? arg->on_error : BLOCKDEV_ON_ERROR_REPORT,
        .flags = { .manual_finalize = arg->has_auto_finalize && !arg->auto_finalize,
                   .manual_dismiss = arg->has_auto_dismiss && !arg->auto_dismiss },
    };

    if (!stream_args_are_fine(arg, error)) {
        return false;
    }
    stream.top = block_qmp_find(arg->device, error);
    if (!stream.top || !job_node_is_free(stream.top, error) ||
        !find_stream_base(arg, &stream, error)) {
        return false;
    }
    stream.job_id = arg->job_id ? arg->job_id : block_qmp_job_id(stream.top);
    stream.top = block_skip_filters(stream.top);
    if (!chain_is_free(stream.top, stream.base, error)) {
        return false;
    }
    if (arg->backing_file && !stream.base) {
        error_setf(error, "backing file specified, but streaming the entire chain");
        return false;
    }
    return filter_name_is_fine(arg->filter_node_name, error) &&
           block_qmp_start_job(block_stream_new(&stream, error));
}

/* ---- block-commit ---- */

static bool commit_args_are_fine(const BlockCommitOptions *arg, GError **error)
{
    if (arg->base_node && arg->base) {
        error_setf(error, "'base-node' and 'base' are mutually exclusive");
        return false;
    }
    if (arg->top_node && arg->top) {
        error_setf(error, "'top-node' and 'top' are mutually exclusive");
        return false;
    }
    return true;
}

static BlockNode *find_commit_top(const BlockCommitOptions *arg, BlockNode *node, GError **error)
{
    BlockNode *top = node;

    if (arg->top_node) {
        top = block_qmp_find_node(NULL, arg->top_node, error);
        if (!top) {
            return NULL;
        }
    } else if (arg->top && strcmp(node->filename, arg->top) != 0) {
        top = job_chain_find(node, arg->top);
        if (!top) {
            error_setf(error, "Top image file %s not found", arg->top);
            return NULL;
        }
    }
    if (!block_chain_contains(node, top)) {
        error_setf(error, "'%s' is not in this backing file chain", top->name);
        return NULL;
    }
    return top;
}

static BlockNode *find_commit_base(const BlockCommitOptions *arg, BlockNode *top, GError **error)
{
    BlockNode *base, *next;

    if (arg->base_node) {
        base = block_qmp_find_node(NULL, arg->base_node, error);
        if (!base) {
            return NULL;
        }
    } else if (arg->base) {
        base = job_chain_find(top, arg->base);
        if (!base) {
            error_setf(error, "Can't find '%s' in the backing chain", arg->base);
            return NULL;
        }
    } else {
        for (base = block_skip_filters(top); (next = block_backing_chain_next(base)); base = next) {
        }
    }
    if (!block_chain_contains(top, base)) {
        error_setf(error, "'%s' is not in this backing file chain", base->name);
        return NULL;
    }
    if (block_skip_filters(top) == block_skip_filters(base)) {
        error_setf(error, "cannot commit an image into itself");
        return NULL;
    }
    return base;
}

/* Somebody writes to it, so that it changes while it is committed. */
static bool is_active(BlockNode *device, BlockNode *top)
{
    unsigned perm, shared;

    block_node_cumulative_perms(top, &perm, &shared);
    return block_skip_filters(top) == block_skip_filters(device) || (perm & BLOCK_PERM_WRITE);
}

static bool commit_active(const BlockCommitOptions *arg, const CommitArgs *commit, GError **error)
{
    MirrorArgs mirror = {
        .job_id = commit->job_id, .filter_node_name = arg->filter_node_name,
        .source = commit->top, .target = commit->base, .sync = MIRROR_SYNC_MODE_FULL,
        .commit = true, .unmap = true, .speed = commit->speed,
        .on_source_error = commit->on_error, .on_target_error = commit->on_error,
        .flags = commit->flags,
    };

    if (arg->backing_file) {
        error_setf(error, "'backing-file' specified, but 'top' is the active layer");
        return false;
    }
    return block_qmp_start_job(block_mirror_new(&mirror, error));
}

static bool run_commit(const BlockCommitOptions *arg, BlockNode *device, CommitArgs *commit,
                       GError **error)
{
    commit->device = device;
    commit->top = find_commit_top(arg, device, error);
    commit->base = commit->top ? find_commit_base(arg, commit->top, error) : NULL;
    if (!commit->base || !chain_is_free(device, commit->base, error) ||
        !filter_name_is_fine(arg->filter_node_name, error)) {
        return false;
    }
    return is_active(device, commit->top) ? commit_active(arg, commit, error)
                                          : block_qmp_start_job(block_commit_new(commit, error));
}

bool qmp_block_commit(const BlockCommitOptions *arg, GError **error)
{
    BlockNode *device = block_qmp_find(arg->device, NULL);
    CommitArgs commit = {
        .filter_node_name = arg->filter_node_name, .backing_file = arg->backing_file,
        .speed = arg->has_speed ? arg->speed : 0,
        .on_error = arg->has_on_error ? arg->on_error : BLOCKDEV_ON_ERROR_REPORT,
        .flags = { .manual_finalize = arg->has_auto_finalize && !arg->auto_finalize,
                   .manual_dismiss = arg->has_auto_dismiss && !arg->auto_dismiss },
    };

    if (!commit_args_are_fine(arg, error)) {
        return false;
    }
    if (!device) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", arg->device);
        return false;
    }
    if (!block_qmp_find_root(arg->device, error)) {
        return false;
    }
    commit.job_id = arg->job_id ? arg->job_id : block_qmp_job_id(device);
    return run_commit(arg, device, &commit, error);
}

/* ---- change-backing-file ---- */

bool qmp_change_backing_file(const char *device, const char *image_node_name,
                             const char *backing_file, GError **error)
{
    BlockNode *top = block_qmp_find(device, error);
    BlockNode *node = top ? block_qmp_find_node(NULL, image_node_name, error) : NULL;
    BlockNode *below;

    if (!node) {
        return false;
    }
    below = block_backing_chain_next(node);
    if (!below) {
        error_setf(error, "not allowing backing file change on an image without a backing file");
        return false;
    }
    if (!block_chain_contains(top, node)) {
        error_setf(error, "'%s' and image file are not in the same chain", device);
        return false;
    }
    return job_node_is_free(top, error) && job_node_is_free(node, error) &&
           job_change_backing_file(node, *backing_file ? backing_file : NULL,
                                   *backing_file ? below->driver->name : NULL, error);
}
