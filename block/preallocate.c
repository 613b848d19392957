/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter between a format and its file that allocates file space in large steps: file systems
 * lay out one large area better than many small ones, and network ones are slow at growing files.
 *
 *   |--- data ---|--- allocated ahead, zeroes ---|
 *                data_end                        file_end
 *
 * Parents see a file that ends at data_end. What is left over is cut off when the node is closed or
 * handed over; after a crash it stays, as zeroes behind the image.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/filter.h"
#include "block/io.h"
#include "util/bits.h"
#include "util/error.h"

typedef struct Preallocate {
    int64_t align, ahead;
    int64_t data_end, file_end;
    bool is_off;    /* the file cannot, or we may not write */
    CoMutex lock;   /* of file_end while it grows */
} Preallocate;

static bool take_options(Preallocate *p, const BlockdevOptionsPreallocate *o, GError **error)
{
    p->align = o->has_prealloc_align ? o->prealloc_align : (int64_t)MiB;
    p->ahead = o->has_prealloc_size ? o->prealloc_size : (int64_t)(128 * MiB);
    if (p->align <= 0 || p->align % BLOCK_SECTOR || p->align > (int64_t)GiB) {
        error_setf(error, "prealloc-align must be a multiple of %d up to 1 GiB, not %" PRId64,
                   BLOCK_SECTOR, p->align);
        return false;
    }
    if (p->ahead < 0 || p->ahead > BLOCK_MAX_LENGTH / 2) {
        error_setf(error, "prealloc-size %" PRId64 " is not possible", p->ahead);
        return false;
    }
    return true;
}

static bool preallocate_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                             GError **error)
{
    Preallocate *p = node->opaque;

    if (!take_options(p, &options->u.preallocate, error)) {
        return false;
    }
    p->file_end = block_getlength(node->file->node);
    if (p->file_end < 0) {
        error_set_errno(error, (int)-p->file_end, "Could not get the file's size");
        return false;
    }
    block_filter_take_flags(node);
    p->is_off = node->mode.read_only || (flags & BLOCK_OPEN_INACTIVE);
    p->data_end = node->size = p->file_end;
    co_mutex_init(&p->lock);
    return true;
}

static int drop_rest(BlockNode *node)
{
    Preallocate *p = node->opaque;
    BlockTruncate cut = { .size = p->data_end, .exact = true };
    int ret = 0;

    if (p->file_end > p->data_end) {
        ret = block_truncate(node->file, &cut, NULL);
        p->file_end = ret < 0 ? p->file_end : p->data_end;
    }
    return ret;
}

static void drop_rest_at_close(void *opaque)
{
    BlockNode *node = opaque;
    int ret = drop_rest(node);

    if (ret < 0) {
        warn_report("Could not cut off the preallocated end of '%s': %s",
                    node->file->node->filename, g_strerror(-ret));
    }
}

static void preallocate_close(BlockNode *node)
{
    Preallocate *p = node->opaque;

    block_run(node, drop_rest_at_close, node);
    co_mutex_cleanup(&p->lock);
}

static int preallocate_inactivate(BlockNode *node)
{
    Preallocate *p = node->opaque;

    p->is_off = true;
    return drop_rest(node);
}

/* The rest is cut off at the end, when there are no parents left that could permit it. */
static void preallocate_child_perm(BlockNode *node, const char *child_name, unsigned role,
                                   unsigned perm, unsigned shared, unsigned *child_perm,
                                   unsigned *child_shared)
{
    *child_perm = perm;
    *child_shared = shared;
    if (!node->mode.read_only && !(node->open_flags & BLOCK_OPEN_INACTIVE)) {
        *child_perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
        *child_shared &= ~(unsigned)(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    }
}

/* With the lock held. That the file cannot is no error: it grows as it would without us. */
static void allocate_ahead(BlockNode *node, int64_t end)
{
    Preallocate *p = node->opaque;
    int64_t target;

    if (p->is_off || end <= p->file_end || end > BLOCK_MAX_LENGTH - p->ahead - p->align) {
        return;
    }
    target = (int64_t)ROUND_UP(end + p->ahead, p->align);
    if (block_pwrite_zeroes(node->file, p->file_end, target - p->file_end,
                            BLOCK_REQ_NO_FALLBACK) < 0) {
        p->is_off = true;
    } else {
        p->file_end = target;
    }
}

static void make_room(BlockNode *node, int64_t end)
{
    Preallocate *p = node->opaque;

    if (!p->is_off && end > p->file_end) {
        co_mutex_lock(&p->lock);
        allocate_ahead(node, end);
        co_mutex_unlock(&p->lock);
    }
}

static int written(BlockNode *node, int64_t end, int ret)
{
    Preallocate *p = node->opaque;

    if (ret >= 0) {
        p->data_end = MAX(p->data_end, end);
        p->file_end = MAX(p->file_end, end);
    }
    return ret;
}

static int preallocate_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                               size_t vec_offset, unsigned flags)
{
    make_room(node, offset + bytes);
    return written(node, offset + bytes,
                   block_pwritev(node->file, offset, bytes, vec, vec_offset, flags));
}

static int preallocate_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes,
                                     unsigned flags)
{
    make_room(node, offset + bytes);
    return written(node, offset + bytes, block_pwrite_zeroes(node->file, offset, bytes, flags));
}

/* Up to file_end there are zeroes already. */
static int preallocate_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    Preallocate *p = node->opaque;
    int ret = 0;

    if (truncate->size < p->data_end || truncate->size > p->file_end ||
        (truncate->prealloc != PREALLOC_MODE_OFF && truncate->prealloc != PREALLOC_MODE_FALLOC)) {
        ret = drop_rest(node);
        if (ret < 0) {
            error_set_errno(error, -ret, "Could not cut off the preallocated end");
            return ret;
        }
        ret = block_truncate(node->file, truncate, error);
        p->file_end = ret < 0 ? p->file_end : truncate->size;
    }
    p->data_end = ret < 0 ? p->data_end : truncate->size;
    return ret;
}

static int64_t preallocate_getlength(BlockNode *node)
{
    Preallocate *p = node->opaque;

    return p->data_end;
}

static const BlockDriver preallocate_driver = {
    .name = "preallocate",
    .kind = BLOCKDEV_DRIVER_PREALLOCATE,
    .instance_size = sizeof(Preallocate),
    .is_filter = true,
    .children = block_filter_children,
    .open = preallocate_open,
    .close = preallocate_close,
    .inactivate = preallocate_inactivate,
    .child_perm = preallocate_child_perm,
    .preadv = block_filter_preadv,
    .pwritev = preallocate_pwritev,
    .pwrite_zeroes = preallocate_pwrite_zeroes,
    .pdiscard = block_filter_pdiscard,
    .block_status = block_filter_block_status,
    .truncate = preallocate_truncate,
    .getlength = preallocate_getlength,
    .get_info = block_filter_get_info,
    .has_zero_init = block_filter_has_zero_init,
};
BLOCK_DRIVER(preallocate_driver);
