/* SPDX-License-Identifier: Apache-2.0 */
/* The image and what stands over it: a part of it (--offset), a temporary overlay (--snapshot). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/create.h"
#include "block/open.h"
#include "qapi/keyval.h"
#include "tools/image-options.h"
#include "tools/nbd/nbd.h"
#include "util/error.h"

static json_object *image_options(const NbdToolOptions *o, bool *writethrough, GError **error)
{
    json_object *options = o->image_opts ? keyval_parse(o->file, "file", NULL, error)
                                         : json_object_new_object();

    if (!options) {
        return NULL;
    }
    tool_set_text(options, "driver", o->format);
    tool_set_text(options, "read-only", o->read_only || o->snapshot ? "on" : "off");
    tool_set_text(options, "discard", o->discard ? o->discard : "unmap");
    tool_set_text(options, "detect-zeroes", o->detect_zeroes);
    tool_set_aio(options, o->aio);
    if (!tool_set_cache(options, o->cache, true, writethrough)) {
        error_setf(error, "Invalid cache mode `%s'", o->cache);
        json_object_put(options);
        return NULL;
    }
    return options;
}

/* A node of this driver over `below`, whose reference is the new node's. */
static BlockNode *put_above(BlockNode *below, json_object *options, const char *child,
                            GError **error)
{
    BlockNode *node;

    tool_set_text(options, child, below->name);
    node = block_open(NULL, NULL, options, QAPI_KEYVAL, 0, error);
    block_node_unref(below);
    return node;
}

static BlockNode *cut_offset(BlockNode *node, const NbdToolOptions *o, GError **error)
{
    json_object *options = json_object_new_object();
    g_autofree char *offset = g_strdup_printf("%" G_GUINT64_FORMAT, o->offset);

    tool_set_text(options, "driver", "raw");
    tool_set_text(options, "offset", offset);
    tool_set_text(options, "read-only", o->read_only ? "on" : "off");
    node = put_above(node, options, "file", error);
    json_object_put(options);
    return node;
}

typedef struct OverlayRun {
    const char *filename;
    int64_t size;
    GError **error;
    bool ok;
} OverlayRun;

static void overlay_run(void *opaque)
{
    OverlayRun *run = opaque;
    json_object *options = json_object_new_object();
    g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT, run->size);

    tool_set_text(options, "size", size);
    run->ok = block_create_image(run->filename, "qcow2", options, false, run->error);
    json_object_put(options);
}

/* Writes go to a temporary file, whose name is gone as soon as it is open. */
static BlockNode *put_overlay(BlockNode *node, GError **error)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-nbd-XXXXXX", NULL);
    OverlayRun run = { path, node->size, error };
    int fd = mkstemp(path);
    json_object *options, *file;

    if (fd < 0) {
        error_set_errno(error, errno, "Could not make a temporary file");
        block_node_unref(node);
        return NULL;
    }
    close(fd);
    block_run(node, overlay_run, &run);
    if (!run.ok) {
        unlink(path);
        block_node_unref(node);
        return NULL;
    }
    options = json_object_new_object();
    file = json_object_new_object();
    tool_set_text(file, "driver", "file");
    tool_set_text(file, "filename", path);
    tool_set_text(options, "driver", "qcow2");
    tool_set_text(options, "discard", "unmap");
    json_object_object_add(options, "file", file);
    node = put_above(node, options, "backing", error);
    json_object_put(options);
    unlink(path);
    return node;
}

typedef struct LoadRun {
    BlockNode *node;
    const char *id;
    GError **error;
    bool ok;
} LoadRun;

static void load_run(void *opaque)
{
    LoadRun *run = opaque;

    run->ok = run->node->driver->snapshot_load_tmp(run->node, run->id, run->error);
}

static bool load_snapshot(BlockNode *node, const char *text, GError **error)
{
    static const char *const keys[] = { "snapshot.id=", "snapshot.name=" };
    LoadRun run = { node, text, error };

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (g_str_has_prefix(text, keys[i])) {
            run.id = text + strlen(keys[i]);
        }
    }
    if (!node->driver->snapshot_load_tmp) {
        error_setf(error, "Failed to load snapshot: Device '%s' does not support internal "
                   "snapshots", node->name);
        return false;
    }
    block_run(node, load_run, &run);
    return run.ok;
}

BlockNode *nbd_tool_open(const NbdToolOptions *o, bool *writethrough, GError **error)
{
    json_object *options = image_options(o, writethrough, error);
    BlockNode *node;

    if (!options) {
        return NULL;
    }
    node = block_open(o->image_opts ? NULL : o->file, NULL, options,
                      o->image_opts ? keyval_flags(o->file) : QAPI_KEYVAL, 0, error);
    json_object_put(options);
    if (node && o->load_snapshot && !load_snapshot(node, o->load_snapshot, error)) {
        block_node_unref(node);
        return NULL;
    }
    if (node && o->snapshot) {
        node = put_overlay(node, error);
    }
    if (node && o->offset) {
        node = cut_offset(node, o, error);
    }
    return node;
}
