/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter that copies what is read from backing images into the image below it. The block layer
 * does the copying for requests that ask for it (block/io-copy.c); here all reads ask, or with
 * `bottom` those parts of them that stand above or in that node.
 */
#include "block/filter.h"
#include "block/io.h"
#include "util/error.h"

typedef struct CopyOnRead {
    BlockNode *bottom; /* NULL: all */
} CopyOnRead;

static bool find_bottom(BlockNode *node, const char *name, GError **error)
{
    CopyOnRead *cor = node->opaque;
    BlockNode *bottom = block_node_find(name);

    if (!bottom) {
        error_setf(error, "Bottom node '%s' not found", name);
    } else if (bottom->driver->is_filter) {
        error_setf(error, "Bottom node '%s' is a filter", name);
    } else if (!block_chain_contains(node->file->node, bottom)) {
        error_setf(error, "Bottom node '%s' is not in the backing chain of node '%s'", name,
                   node->file->node->name);
    } else {
        cor->bottom = block_node_ref(bottom);
        return true;
    }
    return false;
}

static bool cor_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    const BlockdevOptionsCor *o = &options->u.copy_on_read;

    block_filter_take_flags(node);
    return !o->bottom || find_bottom(node, o->bottom, error);
}

static void cor_close(BlockNode *node)
{
    CopyOnRead *cor = node->opaque;

    block_node_unref(cor->bottom);
}

/* Copying writes, whatever the parents do. */
static void cor_child_perm(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                           unsigned shared, unsigned *child_perm, unsigned *child_shared)
{
    *child_perm = perm;
    *child_shared = shared;
    if (!node->mode.read_only && !(node->open_flags & BLOCK_OPEN_INACTIVE)) {
        *child_perm |= BLOCK_PERM_WRITE_UNCHANGED;
    }
}

/* Does what is read here come from above the bottom, or from it? 1, 0, -errno. */
static int is_above_bottom(BlockNode *node, int64_t offset, int64_t bytes, int64_t *pnum)
{
    CopyOnRead *cor = node->opaque;
    BlockNode *image = block_skip_filters(node);
    BlockNode *next = block_backing_chain_next(image);
    int ret = block_is_allocated(image, offset, bytes, pnum);

    if (ret != 0 || !next || image == cor->bottom) {
        /* What the image has itself need not be copied. */
        return MIN(ret, 0);
    }
    return block_is_allocated_above(next, cor->bottom, true, offset, *pnum, pnum);
}

static int cor_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    CopyOnRead *cor = node->opaque;
    bool may_write = !node->mode.read_only && !(node->open_flags & BLOCK_OPEN_INACTIVE);
    int ret = 0;

    if (!may_write) {
        return block_preadv(node->file, offset, bytes, vec, vec_offset, flags);
    }
    if (!cor->bottom) {
        return block_preadv(node->file, offset, bytes, vec, vec_offset,
                            flags | BLOCK_REQ_COPY_ON_READ);
    }
    while (bytes > 0 && ret >= 0) {
        int64_t n = bytes;

        ret = is_above_bottom(node, offset, bytes, &n);
        n = n > 0 ? MIN(n, bytes) : bytes;
        if (ret >= 0 && !(flags & BLOCK_REQ_PREFETCH && ret == 0)) {
            ret = block_preadv(node->file, offset, n, vec, vec_offset,
                               flags | (ret ? BLOCK_REQ_COPY_ON_READ : 0));
        }
        offset += n;
        bytes -= n;
        vec_offset += (size_t)n;
    }
    return MIN(ret, 0);
}

static const char *const cor_strong_options[] = { "bottom", NULL };

static const BlockDriver cor_driver = {
    .name = "copy-on-read",
    .kind = BLOCKDEV_DRIVER_COPY_ON_READ,
    .instance_size = sizeof(CopyOnRead),
    BLOCK_FILTER_COMMON,
    .strong_options = cor_strong_options,
    .open = cor_open,
    .close = cor_close,
    .child_perm = cor_child_perm,
    .preadv = cor_preadv,
    .pwritev = block_filter_pwritev,
};
BLOCK_DRIVER(cor_driver);
