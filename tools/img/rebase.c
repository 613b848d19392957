/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Give an image another backing file. Safely: what the image leaves to its backing file and what
 * the new one has otherwise is written into the image first. Unsafely (-u): only the header is
 * changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/open.h"
#include "tools/img/img.h"
#include "util/error.h"
#include "util/zero.h"

#define CHUNK (1024 * 1024)
/* What differs is written in pieces of this size. */
#define PIECE (64 * 1024)

static const struct option long_options[] = { IMG_LONG_COMMON, IMG_LONG_PROGRESS, IMG_LONG_END };

typedef struct RebaseArgs {
    ImgOptions common;
    const char *backing, *backing_format; /* backing "": none */
    bool unsafe;
} RebaseArgs;

typedef struct Rebase {
    BlockBackend *image, *old, *new; /* old, new: NULL if there is none */
    int64_t size;
    uint8_t *old_buf, *new_buf;
    Progress progress;
} Rebase;

/* ---- Making it independent of the change ---- */

/* Beyond its end, and without one, a backing file reads as zeroes. */
static int read_backing(BlockBackend *blk, int64_t offset, int64_t bytes, uint8_t *buf)
{
    int64_t size = blk ? block_backend_getlength(blk) : 0;
    int64_t n;

    if (size < 0) {
        return (int)size;
    }
    n = CLAMP(size - offset, 0, bytes);
    memset(buf + n, 0, bytes - n);
    return n ? block_backend_pread(blk, offset, n, buf) : 0;
}

static int write_piece(Rebase *r, int64_t offset, int64_t bytes, const uint8_t *buf)
{
    return buffer_is_zero(buf, bytes)
               ? block_backend_pwrite_zeroes(r->image, offset, bytes, BLOCK_REQ_MAY_UNMAP)
               : block_backend_pwrite(r->image, offset, bytes, buf, 0);
}

/* A range that the image leaves to its backing file. */
static int keep_range(Rebase *r, int64_t offset, int64_t bytes)
{
    int ret = read_backing(r->old, offset, bytes, r->old_buf);

    ret = ret < 0 ? ret : read_backing(r->new, offset, bytes, r->new_buf);
    for (int64_t done = 0, n; ret == 0 && done < bytes; done += n) {
        n = MIN(PIECE - (offset + done) % PIECE, bytes - done);
        if (memcmp(r->old_buf + done, r->new_buf + done, n) != 0) {
            ret = write_piece(r, offset + done, n, r->old_buf + done);
        }
    }
    return ret;
}

static bool both_are_zero(Rebase *r, int64_t offset, int64_t bytes)
{
    BlockBackend *const sides[] = { r->old, r->new };

    for (int i = 0; i < 2; i++) {
        if (sides[i] && block_is_zero(block_backend_node(sides[i]), offset, bytes) != 1) {
            return false;
        }
    }
    return true;
}

static int keep_content(Rebase *r, int64_t *failed_at)
{
    BlockNode *node = block_backend_node(r->image);
    int64_t n;
    int ret = 0;

    for (int64_t offset = 0; offset < r->size && !progress_cancelled(&r->progress); offset += n) {
        *failed_at = offset;
        ret = block_is_allocated(node, offset, r->size - offset, &n);
        if (ret == 0 && n > 0) {
            n = MIN(n, CHUNK - offset % CHUNK);
            ret = both_are_zero(r, offset, n) ? 0 : keep_range(r, offset, n);
        }
        if (ret < 0 || n == 0) {
            return ret < 0 ? ret : -EIO;
        }
        progress_advance(&r->progress, n);
    }
    return 0;
}

static bool make_safe(Rebase *r, const RebaseArgs *args, GError **error)
{
    int64_t failed_at = 0;
    int ret = -ENOMEM;

    r->old_buf = block_alloc(block_backend_node(r->image), CHUNK);
    r->new_buf = block_alloc(block_backend_node(r->image), CHUNK);
    progress_begin(&r->progress, "rebase", img_progress_style(&args->common), r->size);
    if (r->old_buf && r->new_buf) {
        ret = keep_content(r, &failed_at);
        ret = ret < 0 ? ret : block_backend_flush(r->image);
    }
    free(r->old_buf);
    free(r->new_buf);
    if (ret < 0) {
        error_set_errno(error, -ret, "could not copy at byte %" PRId64, failed_at);
    } else if (progress_cancelled(&r->progress)) {
        error_setf(error, "interrupted: the image still has its old backing file");
        ret = -EINTR;
    }
    progress_end(&r->progress, ret == 0 ? PROGRESS_COMPLETED
                               : ret == -EINTR ? PROGRESS_CANCELLED : PROGRESS_FAILED);
    return ret == 0;
}

/* ---- Opening ---- */

static bool open_new(Rebase *r, const RebaseArgs *args, GError **error)
{
    BlockNode *node = block_backend_node(r->image);
    g_autofree char *path = block_path_combine(node->filename, args->backing);
    ImgOpen open = { .format = args->backing_format, .cache = args->common.source_cache,
                     .force_share = args->common.force_share };

    if (!*args->backing) {
        return true;
    }
    r->new = img_open(path, &open, error);
    if (!r->new) {
        g_prefix_error(error, "Could not open new backing file '%s': ", args->backing);
    }
    return r->new != NULL;
}

static bool open_old(Rebase *r, GError **error)
{
    BlockNode *old = block_backing_chain_next(block_backend_node(r->image));

    if (!old) {
        return true;
    }
    r->old = block_backend_new(block_backend_loop(r->image), BLOCK_PERM_CONSISTENT_READ,
                               BLOCK_PERM_ALL);
    return block_backend_insert(r->old, old, error);
}

static bool format_is_known(const RebaseArgs *args, GError **error)
{
    if (!*args->backing) {
        return true;
    }
    if (!args->backing_format) {
        error_setf(error, "the backing file's format must be given (-F)");
        return false;
    }
    return block_driver_find(args->backing_format, error) != NULL;
}

static bool change_header(Rebase *r, const RebaseArgs *args, GError **error)
{
    BlockNode *node = block_backend_node(r->image);
    const char *file = *args->backing ? args->backing : NULL;
    int ret = node->driver->change_backing_file
                  ? node->driver->change_backing_file(node, file, file ? args->backing_format
                                                                       : NULL)
                  : -ENOTSUP;

    if (ret == -ENOSPC) {
        error_setf(error, "Could not change the backing file to '%s': No space left in the file "
                   "header", args->backing);
    } else if (ret < 0) {
        error_set_errno(error, -ret, "Could not change the backing file to '%s'", args->backing);
    }
    return ret >= 0;
}

static bool rebase(Rebase *r, const RebaseArgs *args, const char *filename, GError **error)
{
    ImgOpen open = img_open_from(&args->common);
    BlockNode *node;

    open.writable = true;
    open.open_flags = args->unsafe ? BLOCK_OPEN_NO_BACKING : 0;
    r->image = img_open(filename, &open, error);
    if (!r->image) {
        return false;
    }
    node = block_backend_node(r->image);
    if (!node->driver->change_backing_file) {
        error_setf(error, "the '%s' format has no backing file that could be changed",
                   node->driver->name);
        return false;
    }
    r->size = block_backend_getlength(r->image);
    if (r->size < 0) {
        error_set_errno(error, (int)-r->size, "Could not get the size of '%s'", filename);
        return false;
    }
    return format_is_known(args, error) &&
           (args->unsafe || (open_old(r, error) && open_new(r, args, error) &&
                             make_safe(r, args, error))) &&
           change_header(r, args, error);
}

/* ---- The command ---- */

static bool own_option(void *opaque, int c)
{
    RebaseArgs *args = opaque;

    switch (c) {
    case 'b':
        args->backing = optarg;
        return true;
    case 'F':
        args->backing_format = optarg;
        return true;
    default:
        args->unsafe = true;
        return true;
    }
}

int img_rebase(int argc, char **argv)
{
    RebaseArgs args = { .common.command = "rebase" };
    ImgParse parsed = img_parse(&args.common, argc, argv, ":hf:F:b:upt:T:qU", long_options,
                                own_option, &args);
    Rebase r = { 0 };
    GError *error = NULL;
    bool ok;

    if (parsed != IMG_PARSED) {
        return parsed == IMG_EXIT_BAD;
    }
    if (optind != argc - 1) {
        return img_usage_error("Expecting one image file name");
    }
    if (!args.backing) {
        return img_usage_error("The new backing file (-b) is missing; -b \"\" stands for none");
    }
    ok = rebase(&r, &args, argv[optind], &error);
    g_clear_pointer(&r.new, block_backend_unref);
    g_clear_pointer(&r.old, block_backend_unref);
    g_clear_pointer(&r.image, block_backend_unref);
    return ok ? 0 : img_fail(NULL, error);
}
