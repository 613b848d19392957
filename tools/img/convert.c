/* SPDX-License-Identifier: Apache-2.0 */
/* Images into another format, or into one that is packed more tightly. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/create.h"
#include "block/open.h"
#include "tools/img/convert.h"
#include "util/error.h"

/* As a shell shows a program that SIGINT ended. */
#define STATUS_INTERRUPTED 130

typedef struct Target {
    BlockNode *node;
    bool is_new;      /* made by us in this run or by one that we continue */
    bool removable;   /* and no file was there before */
    bool reads_zero;  /* a new image of this kind does */
} Target;

/* ---- Sources ---- */

/* NULL with the error set. */
static char *find_snapshot(const ConvertArgs *args, BlockNode *node, GError **error)
{
    const char *id = args->snapshot_id, *name = args->snapshot_name;
    bool either = id && !g_strcmp0(id, name);
    g_autoptr(GPtrArray) list = NULL;

    if (!node->driver->snapshot_list || !node->driver->snapshot_load_tmp) {
        error_setf(error, "the '%s' format has no internal snapshots", node->driver->name);
        return NULL;
    }
    list = node->driver->snapshot_list(node, error);
    for (guint i = 0; list && i < list->len; i++) {
        const BlockSnapshot *s = g_ptr_array_index(list, i);
        bool id_fits = !g_strcmp0(s->id, id), name_fits = !g_strcmp0(s->name, name);

        if (either ? id_fits || name_fits : (!id || id_fits) && (!name || name_fits)) {
            return g_strdup(s->id);
        }
    }
    if (list) {
        error_setf(error, "there is no snapshot '%s'", name ? name : id);
    }
    return NULL;
}

static bool load_snapshot(const ConvertArgs *args, BlockNode *node, GError **error)
{
    g_autofree char *id = NULL;
    bool ok;

    if (!args->snapshot_id && !args->snapshot_name) {
        return true;
    }
    id = find_snapshot(args, node, error);
    ok = id && node->driver->snapshot_load_tmp(node, id, error);
    if (!ok) {
        g_prefix_error(error, "Failed to load snapshot: ");
    }
    return ok;
}

static bool open_source(const ConvertArgs *args, Convert *c, const char *filename, GError **error)
{
    ConvertSource *source = &c->sources[c->n_sources];
    ImgOpen open = img_open_from(&args->common);

    open.cache = args->common.source_cache;
    open.bitmaps = args->bitmaps;
    source->blk = img_open(filename, &open, error);
    if (!source->blk) {
        return false;
    }
    c->n_sources++;
    if (!load_snapshot(args, block_backend_node(source->blk), error)) {
        return false;
    }
    source->start = c->total;
    source->size = block_backend_getlength(source->blk);
    if (source->size < 0 || source->size > BLOCK_MAX_LENGTH - c->total) {
        error_set_errno(error, source->size < 0 ? (int)-source->size : EFBIG,
                        "Could not use the size of '%s'", filename);
        return false;
    }
    c->total += source->size;
    return true;
}

static bool open_sources(const ConvertArgs *args, Convert *c, GError **error)
{
    c->sources = g_new0(ConvertSource, args->n_sources);
    for (int i = 0; i < args->n_sources; i++) {
        if (!open_source(args, c, args->sources[i], error)) {
            return false;
        }
    }
    return !args->bitmaps || convert_bitmaps_check_source(args, c, error);
}

/* ---- Target ---- */

/* Creating the target would be the end of a source that was opened without locks (-U). */
static bool is_same_file(BlockNode *node, const struct stat *target)
{
    struct stat st;

    if (node->driver->protocol) {
        return stat(node->filename, &st) == 0 && st.st_dev == target->st_dev &&
               st.st_ino == target->st_ino;
    }
    for (guint i = 0; i < node->children->len; i++) {
        const BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->node && is_same_file(child->node, target)) {
            return true;
        }
    }
    return false;
}

static bool is_no_source(const ConvertArgs *args, const Convert *c, GError **error)
{
    struct stat target;

    if (stat(args->target, &target) < 0 || !S_ISREG(target.st_mode)) {
        return true;
    }
    for (unsigned i = 0; i < c->n_sources; i++) {
        if (is_same_file(block_backend_node(c->sources[i].blk), &target)) {
            error_setf(error, "'%s' is the source, or belongs to it", args->target);
            return false;
        }
    }
    return true;
}

static void set_text(json_object *options, const char *key, const char *text)
{
    if (text) {
        json_object_object_add(options, key, json_object_new_string(text));
    }
}

static bool create_target(const ConvertArgs *args, const Convert *c, Target *target,
                          GError **error)
{
    g_autofree char *size = g_strdup_printf("%" PRId64, c->total);
    bool was_there = access(args->target, F_OK) == 0;
    json_object *options = NULL;
    bool ok;

    if (args->common.create_options) {
        json_object_deep_copy(args->common.create_options, &options, NULL);
    } else {
        options = json_object_new_object();
    }
    set_text(options, "size", size);
    set_text(options, "backing_file", args->backing);
    set_text(options, "backing_fmt", args->backing_format);
    ok = block_create_image(args->target, args->output_format, options, false, error);
    json_object_put(options);
    if (!ok) {
        g_prefix_error(error, "%s: error while converting %s: ", args->target,
                       args->output_format);
    }
    target->is_new = ok;
    target->removable = ok && !was_there;
    return ok;
}

static bool open_target(const ConvertArgs *args, Convert *c, GError **error)
{
    ImgOpen open = {
        .format = args->target_image_opts ? NULL : args->output_format,
        .image_opts = args->target_image_opts, .writable = true,
        .cache = args->common.cache ? args->common.cache : args->resume ? "writeback" : "unsafe",
    };

    c->target = img_open(args->target, &open, error);
    if (c->target) {
        block_backend_set_write_cache(c->target, !open.writethrough);
    }
    return c->target != NULL;
}

static bool has_backing(const ConvertArgs *args)
{
    json_object *file;

    return args->backing || json_object_object_get_ex(args->common.create_options, "backing_file",
                                                      &file);
}

/* What the target's format can do, and what it wants. */
static bool fit_to_target(const ConvertArgs *args, Convert *c, GError **error)
{
    BlockNode *node = block_backend_node(c->target);
    int64_t size = block_getlength(node);
    BlockNodeInfo info;
    bool has_info = block_get_info(node, &info) == 0;

    if (size < 0) {
        error_set_errno(error, (int)-size, "Could not get the size of '%s'", args->target);
        return false;
    }
    if (size < c->total) {
        error_setf(error, "'%s' has %" PRId64 " bytes, too few for the source's %" PRId64,
                   args->target, size, c->total);
        return false;
    }
    c->compressed = args->compressed || (has_info && info.needs_compressed_writes);
    if (c->compressed && !node->driver->pwritev_compressed) {
        error_setf(error, "Compression is not supported by the format '%s'", node->driver->name);
        return false;
    }
    if (has_info && info.needs_compressed_writes && (args->any_order || args->resume)) {
        error_setf(error, "'%s' is written as a stream: %s cannot be used", args->target,
                   args->resume ? "--resume" : "-W");
        return false;
    }
    c->cluster_size = c->compressed && has_info ? MAX(1, info.cluster_size) : 1;
    if (!c->workers) {
        bool direct = node->mode.cache_direct ||
                      block_backend_node(c->sources[0].blk)->mode.cache_direct;

        c->workers = direct && !c->compressed ? CONVERT_WORKERS_DIRECT : CONVERT_WORKERS;
    }
    return !args->bitmaps || convert_bitmaps_check_target(args, c, error);
}

/* What need not be written as zeroes in a target that has just been opened. */
static void learn_zeroes(const ConvertArgs *args, Convert *c, const Target *target)
{
    if (args->target_is_zero) {
        c->target_is_zero = true;
    } else if (target->is_new && !c->has_backing) {
        c->target_is_zero = block_has_zero_init(block_backend_node(c->target));
    }
    if (!c->target_is_zero && !c->has_backing && c->sparse) {
        c->target_is_zero = block_make_zero(block_backend_root(c->target),
                                            BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK) == 0;
    }
}

static bool prepare_new(const ConvertArgs *args, Convert *c, Target *target, GError **error)
{
    if (!args->no_create &&
        (!is_no_source(args, c, error) || !create_target(args, c, target, error))) {
        return false;
    }
    if (!open_target(args, c, error) || !fit_to_target(args, c, error)) {
        return false;
    }
    learn_zeroes(args, c, target);
    if (c->journal) {
        return convert_journal_begin(c->journal, c, error);
    }
    if (target->is_new) {
        convert_journal_drop(args->target);
    }
    return true;
}

static bool prepare_old(const ConvertArgs *args, Convert *c, int64_t *start, GError **error)
{
    return open_target(args, c, error) && fit_to_target(args, c, error) &&
           convert_journal_check(c->journal, c, start, error);
}

static bool prepare(const ConvertArgs *args, Convert *c, Target *target, int64_t *start,
                    GError **error)
{
    bool found = false;

    if (args->resume) {
        c->journal = convert_journal_open(args, c, &found, error);
        if (!c->journal) {
            return false;
        }
    }
    return found ? prepare_old(args, c, start, error) : prepare_new(args, c, target, error);
}

/* What is left of a target that we began is worth nothing, unless it can be continued. */
static void remove_target(const ConvertArgs *args, Convert *c, const Target *target)
{
    BlockNode *node = c->target ? block_backend_node(c->target) : NULL;
    BlockChild *storage = node ? block_primary_child(node) : NULL;

    if (!target->removable || c->journal || !node) {
        return;
    }
    if (node->driver->delete_file) {
        node->driver->delete_file(node, NULL);
    } else if (storage && storage->node->driver->delete_file) {
        storage->node->driver->delete_file(storage->node, NULL);
    }
}

/* ---- The command ---- */

static bool copy(const ConvertArgs *args, Convert *c, int64_t start, GError **error)
{
    bool ok;

    ratelimit_init(&c->rate);
    ratelimit_set_speed(&c->rate, args->rate, 100 * 1000 * 1000);
    progress_begin(&c->progress, "convert", img_progress_style(&args->common), c->total);
    progress_skip(&c->progress, start);
    ok = convert_run(c, start, error) &&
         (!args->bitmaps || convert_bitmaps_copy(args, c, error));
    if (ok && c->journal) {
        ok = convert_journal_finish(c->journal, c, error);
    } else if (ok) {
        int ret = block_backend_flush(c->target);

        if (ret < 0) {
            error_set_errno(error, -ret, "error while flushing '%s'", args->target);
            ok = false;
        }
    }
    progress_end(&c->progress, ok ? PROGRESS_COMPLETED
                                  : progress_cancelled(&c->progress) ? PROGRESS_CANCELLED
                                                                     : PROGRESS_FAILED);
    ratelimit_cleanup(&c->rate);
    return ok;
}

static void say_how_to_go_on(const ConvertArgs *args, const Convert *c, const Target *target)
{
    if (c->journal) {
        error_report("'%s' is not complete; the same command continues it", args->target);
    } else if (target->removable) {
        error_report("'%s' was not complete and is removed; with --resume it could be continued",
                     args->target);
    } else {
        error_report("'%s' is not complete; with --resume it could be continued", args->target);
    }
}

static int run(const ConvertArgs *args, Convert *c, GError **error)
{
    Target target = { 0 };
    int64_t start = 0;
    bool cancelled;

    if (!open_sources(args, c, error)) {
        return 1;
    }
    if (!prepare(args, c, &target, &start, error)) {
        remove_target(args, c, &target);
        return 1;
    }
    if (copy(args, c, start, error)) {
        return 0;
    }
    remove_target(args, c, &target);
    cancelled = progress_cancelled(&c->progress);
    if (cancelled) {
        say_how_to_go_on(args, c, &target);
    }
    return cancelled ? STATUS_INTERRUPTED : 1;
}

static void cleanup(Convert *c)
{
    if (c->target) {
        block_backend_unref(c->target);
    }
    for (unsigned i = 0; i < c->n_sources; i++) {
        block_backend_unref(c->sources[i].blk);
    }
    g_free(c->sources);
    convert_journal_free(c->journal);
}

static int convert(ConvertArgs *args)
{
    Convert c = {
        .sparse = args->sparse >= 0 ? args->sparse : 4096, .copy_range = args->copy_range,
        .any_order = args->any_order, .salvage = args->salvage, .workers = args->workers,
        .has_backing = has_backing(args),
    };
    GError *error = NULL;
    int status;

    if (!args->output_format && !args->target_image_opts) {
        args->output_format = "raw";
    }
    status = run(args, &c, &error);
    if (error && status == 1) {
        img_fail(NULL, error);
    } else {
        g_clear_error(&error);
    }
    cleanup(&c);
    return status;
}

int img_convert(int argc, char **argv)
{
    ConvertArgs args;
    ImgParse parsed = convert_parse(&args, argc, argv);
    int status;

    if (parsed != IMG_PARSED) {
        status = parsed == IMG_EXIT_BAD;
    } else if (args.common.create_help) {
        status = img_create_help(args.target, args.output_format ? args.output_format : "raw");
    } else {
        status = convert(&args);
    }
    convert_args_cleanup(&args);
    return status;
}
