/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put what an image and the layers below it have into one of their backing files.
 *
 * The base is taken off the chain first: what is left says by itself what it has to give, and the
 * base can be opened for writing as if it stood alone. The graph is not put together again, since
 * the program ends; the headers stay as they are.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/commit-image.h"
#include "block/open.h"
#include "tools/img/img.h"
#include "util/error.h"
#include "util/ratelimit.h"

static const struct option long_options[] = { IMG_LONG_COMMON, IMG_LONG_PROGRESS, IMG_LONG_END };

typedef struct CommitArgs {
    ImgOptions common;
    const char *base;
    int64_t rate;
    bool keep; /* do not empty the image afterwards */
} CommitArgs;

typedef struct Commit {
    BlockBackend *top, *base;
    int64_t size;
    Progress progress;
    RateLimit rate;
} Commit;

/* ---- Finding the base ---- */

static bool is_called(BlockNode *node, BlockNode *top, const char *name)
{
    g_autofree char *relative = block_path_combine(top->filename, name);

    return !strcmp(node->filename, name) || !strcmp(node->filename, relative);
}

/* The layer that stands directly on the base; NULL with the error set. */
static BlockNode *find_overlay(const CommitArgs *args, BlockNode *top, GError **error)
{
    BlockNode *layer = block_skip_filters(top);

    if (!block_backing_chain_next(layer)) {
        error_setf(error, "Image does not have a backing file");
        return NULL;
    }
    while (args->base && layer) {
        BlockNode *next = block_backing_chain_next(layer);

        if (next && is_called(next, top, args->base)) {
            return layer;
        }
        layer = next;
    }
    if (!layer) {
        error_setf(error, "'%s' is not in the backing chain of '%s'", args->base, top->filename);
    }
    return layer;
}

static bool take_base(Commit *c, BlockNode *overlay, GError **error)
{
    g_autoptr(BlockNode) base = block_node_ref(block_backing_chain_next(overlay));
    Loop *loop = block_backend_loop(c->top);
    int64_t size;

    c->base = block_backend_new(loop, BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE |
                                      BLOCK_PERM_RESIZE,
                                BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED);
    if (!block_node_set_backing(overlay, NULL, error) ||
        !block_reopen_read_only(base, false, error) ||
        !block_backend_insert(c->base, base, error)) {
        return false;
    }
    size = block_backend_getlength(c->base);
    if (size >= 0 && size < c->size) {
        BlockTruncate grow = { .size = c->size, .flags = BLOCK_REQ_ZERO_WRITE };

        return block_backend_truncate(c->base, &grow, error) >= 0;
    }
    if (size < 0) {
        error_set_errno(error, (int)-size, "Could not get the size of '%s'", base->filename);
    }
    return size >= 0;
}

/* ---- Copying ---- */

static int step(void *opaque, int64_t bytes, bool copied)
{
    Commit *c = opaque;
    int64_t wait = copied ? ratelimit_delay(&c->rate, bytes, vm_clock_ns(VM_CLOCK_REALTIME)) : 0;

    if (wait > 0) {
        coroutine_sleep(VM_CLOCK_REALTIME, wait);
    }
    progress_advance(&c->progress, bytes);
    return progress_cancelled(&c->progress) ? -ECANCELED : 0;
}

static bool copy(Commit *c, const CommitArgs *args, GError **error)
{
    int64_t failed_at;
    int ret;

    ratelimit_init(&c->rate);
    ratelimit_set_speed(&c->rate, args->rate, 100 * 1000 * 1000);
    progress_begin(&c->progress, "commit", img_progress_style(&args->common), c->size);
    ret = block_commit_copy(block_backend_root(c->top), block_backend_root(c->base), c->size, step,
                            c, &failed_at);
    progress_end(&c->progress, ret >= 0 ? PROGRESS_COMPLETED
                               : ret == -ECANCELED ? PROGRESS_CANCELLED : PROGRESS_FAILED);
    if (ret == -ECANCELED) {
        error_setf(error, "interrupted: nothing is lost, commit again to finish");
    } else if (ret < 0) {
        error_set_errno(error, -ret, "could not commit at byte %" PRId64, failed_at);
    }
    ratelimit_cleanup(&c->rate);
    return ret >= 0;
}

/* The data is in the base, stable; the image need not keep it. */
static bool empty_top(Commit *c, GError **error)
{
    BlockNode *node = block_skip_filters(block_backend_node(c->top));
    int ret = node->driver->make_empty ? node->driver->make_empty(node) : -ENOTSUP;

    if (ret < 0 && ret != -ENOTSUP) {
        error_set_errno(error, -ret, "Could not empty %s", node->filename);
        return false;
    }
    return true;
}

/* ---- The command ---- */

static bool commit(Commit *c, const CommitArgs *args, const char *filename, GError **error)
{
    ImgOpen open = img_open_from(&args->common);
    BlockNode *overlay;

    open.writable = true;
    c->top = img_open(filename, &open, error);
    if (!c->top) {
        return false;
    }
    c->size = block_backend_getlength(c->top);
    if (c->size < 0) {
        error_set_errno(error, (int)-c->size, "Could not get the size of '%s'", filename);
        return false;
    }
    overlay = find_overlay(args, block_backend_node(c->top), error);
    return overlay && take_base(c, overlay, error) && copy(c, args, error) &&
           (args->keep || args->base || empty_top(c, error));
}

static bool own_option(void *opaque, int c)
{
    CommitArgs *args = opaque;

    switch (c) {
    case 'b':
        args->base = optarg;
        return true;
    case 'd':
        args->keep = true;
        return true;
    default:
        return img_parse_size("rate limit", optarg, &args->rate);
    }
}

int img_commit(int argc, char **argv)
{
    CommitArgs args = { .common.command = "commit" };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":hf:t:b:dpqr:", long_options, own_option,
                                &args);
    Commit c = { 0 };
    GError *error = NULL;
    bool ok;

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting one image file name");
    }
    ok = commit(&c, &args, argv[optind], &error);
    g_clear_pointer(&c.base, block_backend_unref);
    g_clear_pointer(&c.top, block_backend_unref);
    if (!ok) {
        return img_fail(NULL, error);
    }
    if (!args.common.quiet) {
        printf("Image committed.\n");
    }
    return 0;
}
