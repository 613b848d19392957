/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK: reading. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "util/error.h"
#include "util/iov.h"

/* What was never written here was read from a backing file that must not have changed since. */
static bool parent_is_the_same(BlockNode *node)
{
    VmdkImage *image = node->opaque;
    BlockNode *parent = block_skip_filters(node->backing->node);
    const VmdkImage *other = parent->opaque;

    if (image->parent_is_checked || parent->driver != node->driver) {
        return true;
    }
    if (other->descriptor.cid != image->descriptor.parent_cid) {
        error_report("VMDK '%s': its backing file '%s' has been changed (content number %08" PRIx32
                     ", not %08" PRIx32 ")", node->filename, parent->filename,
                     other->descriptor.cid, image->descriptor.parent_cid);
        return false;
    }
    image->parent_is_checked = true;
    return true;
}

int vmdk_read_backing(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset)
{
    if (!node->backing) {
        iov_memset(vec->iov, vec->n, vec_offset, 0, bytes);
        return 0;
    }
    if (!parent_is_the_same(node)) {
        return -EINVAL;
    }
    return block_preadv(node->backing, offset, bytes, vec, vec_offset, 0);
}

static int read_run(BlockNode *node, const VmdkRun *run, int64_t offset, const BlockVec *vec,
                    size_t vec_offset)
{
    switch (run->type) {
    case VMDK_RUN_ABSENT:
        return vmdk_read_backing(node, offset, run->bytes, vec, vec_offset);
    case VMDK_RUN_ZERO:
        iov_memset(vec->iov, vec->n, vec_offset, 0, run->bytes);
        return 0;
    case VMDK_RUN_DATA:
        return block_preadv(run->extent->child, run->at, run->bytes, vec, vec_offset, 0);
    case VMDK_RUN_COMPRESSED:
        return vmdk_read_compressed(node, run, offset, vec, vec_offset);
    }
    g_assert_not_reached();
}

int vmdk_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                size_t vec_offset, unsigned flags)
{
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        VmdkRun run;

        ret = vmdk_lookup(node, offset, bytes, &run);
        if (ret >= 0) {
            ret = read_run(node, &run, offset, vec, vec_offset);
        }
        offset += run.bytes;
        bytes -= run.bytes;
        vec_offset += run.bytes;
    }
    return ret;
}

int vmdk_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                      BlockStatus *status)
{
    VmdkRun run;
    int ret = vmdk_lookup(node, offset, bytes, &run);

    if (ret < 0) {
        return ret;
    }
    status->bytes = run.bytes;
    switch (run.type) {
    case VMDK_RUN_ABSENT:
        status->flags = 0;
        break;
    case VMDK_RUN_ZERO:
        status->flags = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED;
        break;
    case VMDK_RUN_COMPRESSED:
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_COMPRESSED;
        break;
    case VMDK_RUN_DATA:
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_OFFSET_VALID |
                        BLOCK_STATUS_RECURSE;
        status->map = run.at;
        status->file = run.extent->child->node;
        break;
    }
    return 0;
}
