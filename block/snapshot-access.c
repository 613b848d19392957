/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The old state that a copy-before-write filter keeps, as a disk of its own. It cannot be written;
 * a discard tells the filter that nobody will read there again.
 */
#include <errno.h>

#include "block/copy-before-write.h"
#include "block/io.h"
#include "util/error.h"

static bool access_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                        GError **error)
{
    if (!block_cbw_is_filter(node->file->node)) {
        error_setf(error, "Node '%s' keeps no old state: a copy-before-write filter does",
                   node->file->node->name);
        return false;
    }
    node->size = node->file->node->size;
    return true;
}

/* The filter has the permissions; here is nothing that could be in anybody's way. */
static void access_child_perm(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                              unsigned shared, unsigned *child_perm, unsigned *child_shared)
{
    *child_perm = 0;
    *child_shared = BLOCK_PERM_ALL;
}

static int access_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                         size_t vec_offset, unsigned flags)
{
    return block_cbw_read_old(node->file->node, offset, bytes, vec, vec_offset);
}

static int access_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                          size_t vec_offset, unsigned flags)
{
    return -EPERM;
}

static int access_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    return -EPERM;
}

static int access_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    return block_cbw_forget_old(node->file->node, offset, bytes);
}

static int access_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                               BlockStatus *status)
{
    return block_cbw_old_status(node->file->node, offset, bytes, status);
}

static const BlockChildSpec access_children[] = {
    { "file", BLOCK_ROLE_DATA | BLOCK_ROLE_PRIMARY, .required = true },
    { NULL },
};

static const BlockDriver snapshot_access_driver = {
    .name = "snapshot-access",
    .kind = BLOCKDEV_DRIVER_SNAPSHOT_ACCESS,
    .children = access_children,
    .open = access_open,
    .child_perm = access_child_perm,
    .preadv = access_preadv,
    .pwritev = access_pwritev,
    .pwrite_zeroes = access_pwrite_zeroes,
    .pdiscard = access_pdiscard,
    .block_status = access_block_status,
};
BLOCK_DRIVER(snapshot_access_driver);
