/* SPDX-License-Identifier: Apache-2.0 */
#include "block/job-chain.h"

#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "block/node-internal.h"
#include "block/open.h"
#include "util/error.h"

/* ---- Finding ---- */

static bool is_called(BlockNode *overlay, BlockNode *node, const char *filename)
{
    g_autofree char *relative = block_path_combine(overlay->filename, filename);
    const char *in_header = overlay->header_backing_file;

    return !strcmp(node->filename, filename) || !strcmp(node->filename, relative) ||
           (in_header && !strcmp(in_header, filename));
}

BlockNode *job_chain_find(BlockNode *top, const char *filename)
{
    BlockNode *overlay = block_skip_filters(top), *node;

    while ((node = block_backing_chain_next(overlay)) && !is_called(overlay, node, filename)) {
        overlay = node;
    }
    return node;
}

BlockNode *job_chain_overlay(BlockNode *top, BlockNode *node)
{
    top = block_skip_filters(top);
    node = block_skip_filters(node);
    while (top && block_backing_chain_next(top) != node) {
        top = block_backing_chain_next(top);
    }
    return top;
}

bool job_chain_is_top(BlockNode *node, GError **error)
{
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);

        if (edge->role & BLOCK_ROLE_COW) {
            error_setf(error, "Node '%s' is busy: node is used as backing hd of '%s'", node->name,
                       edge->parent_node->name);
            return false;
        }
    }
    return true;
}

bool job_chain_hold(Job *job, BlockNode *top, BlockNode *base, unsigned shared, GError **error)
{
    BlockNode *node = block_filter_or_cow_node(top);

    for (; node && node != base; node = block_filter_or_cow_node(node)) {
        if (!job_attach(job, node, "intermediate node", 0, shared, error)) {
            return false;
        }
    }
    return true;
}

typedef struct LengthRun {
    BlockNode *node;
    int64_t length;
} LengthRun;

static void ask_length(void *opaque)
{
    LengthRun *run = opaque;

    run->length = block_getlength(run->node);
}

int64_t job_node_length(BlockNode *node, GError **error)
{
    LengthRun run = { .node = node };

    block_run(node, ask_length, &run);
    if (run.length < 0) {
        error_set_errno(error, (int)-run.length, "Unable to get length for '%s'", node->name);
        return -1;
    }
    return run.length;
}

typedef struct GrowRun {
    BlockChild *child;
    int64_t size;
    GError **error;
    int64_t result;
} GrowRun;

static void grow(void *opaque)
{
    GrowRun *run = opaque;

    run->result = block_getlength(run->child->node);
    if (run->result < 0) {
        error_set_errno(run->error, (int)-run->result, "Unable to get length for '%s'",
                        run->child->node->name);
    } else if (run->result < run->size) {
        run->result = block_truncate(run->child, &(BlockTruncate){ .size = run->size },
                                     run->error);
    }
}

bool job_grow(BlockChild *child, int64_t size, GError **error)
{
    GrowRun run = { child, size, error, 0 };

    block_run(child->node, grow, &run);
    return run.result >= 0;
}

/* ---- Headers ---- */

typedef struct HeaderRun {
    BlockNode *node;
    const char *file, *format;
    int result;
} HeaderRun;

static void change_header(void *opaque)
{
    HeaderRun *run = opaque;

    run->result = run->node->driver->change_backing_file(run->node, run->file, run->format);
    if (run->result >= 0) {
        run->result = block_flush(run->node);
    }
}

bool job_change_backing_file(BlockNode *node, const char *file, const char *format,
                             GError **error)
{
    HeaderRun run = { node, file, format, 0 };
    bool read_only = node->mode.read_only;

    if (!node->driver->change_backing_file) {
        error_setf(error, "Could not change the backing file of '%s': the '%s' format has no name "
                   "of one that could be changed", node->name, node->driver->name);
        return false;
    }
    if (read_only && !block_reopen_read_only(node, false, error)) {
        return false;
    }
    block_drain_begin(node);
    block_run(node, change_header, &run);
    block_drain_end(node);
    block_refresh_filenames_above(node);
    if (read_only) {
        block_reopen_read_only(node, true, NULL);
    }
    if (run.result < 0) {
        error_set_errno(error, -run.result, "Could not change the backing file to '%s'",
                        file ? file : "");
    }
    return run.result >= 0;
}

/* ---- Leaving layers out ---- */

typedef struct OldHeader {
    BlockNode *node; /* a reference */
    char *file, *format;
} OldHeader;

static void old_header_clear(void *opaque)
{
    OldHeader *old = opaque;

    block_node_unref(old->node);
    g_free(old->file);
    g_free(old->format);
}

static bool change_headers(BlockNode *top, BlockNode *base, const char *backing_file,
                           GArray *changed, GError **error)
{
    const char *file = backing_file ? backing_file : base->filename;

    for (guint i = 0; i < top->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(top->parents, i);
        BlockNode *node = edge->parent_node;
        OldHeader old;

        if (!node || !(edge->role & BLOCK_ROLE_COW)) {
            continue;
        }
        old = (OldHeader){ node, g_strdup(node->header_backing_file),
                           g_strdup(node->header_backing_format) };
        if (!job_change_backing_file(node, file, base->driver->name, error)) {
            g_free(old.file);
            g_free(old.format);
            return false;
        }
        block_node_ref(node);
        g_array_append_val(changed, old);
    }
    return true;
}

static void change_headers_back(GArray *changed)
{
    for (guint i = 0; i < changed->len; i++) {
        OldHeader *old = &g_array_index(changed, OldHeader, i);
        g_autoptr(GError) error = NULL;

        if (!job_change_backing_file(old->node, old->file, old->format, &error)) {
            error_report("%s", error->message);
        }
    }
}

bool job_chain_drop(BlockNode *top, BlockNode *base, const char *backing_file, GError **error)
{
    g_autoptr(GArray) changed = g_array_new(FALSE, FALSE, sizeof(OldHeader));
    bool ok;

    g_array_set_clear_func(changed, old_header_clear);
    ok = change_headers(top, base, backing_file, changed, error) &&
         block_node_replace(top, base, error);
    if (!ok) {
        change_headers_back(changed);
    }
    block_refresh_filenames_above(ok ? base : top);
    return ok;
}
