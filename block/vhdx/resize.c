/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHDX: longer disks. The BAT must have room for the new entries where it is: it is made in whole
 * MiB, so that a disk of 8 MiB blocks can usually grow to 1 TiB. The new entries come first, the
 * size after them: a crash in between leaves the disk as it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io.h"
#include "block/vhdx/internal.h"
#include "util/bits.h"
#include "util/error.h"

static bool request_is_possible(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    VhdxImage *image = node->opaque;
    uint64_t blocks = DIV_ROUND_UP((uint64_t)truncate->size, image->block_size);

    if (truncate->prealloc != PREALLOC_MODE_OFF) {
        error_setf(error, "Preallocation mode '%s' is not supported for resizing VHDX images",
                   PreallocMode_str(truncate->prealloc));
    } else if (truncate->size < node->size) {
        error_setf(error, "VHDX images cannot be made shorter");
    } else if (truncate->size > (int64_t)VHDX_MAX_SIZE) {
        error_setf(error, "Image size too large; max of 64TB");
    } else if (truncate->exact && truncate->size % image->sector_size) {
        error_setf(error, "The size of this VHDX image must be a multiple of %" PRIu32,
                   image->sector_size);
    } else if (vhdx_bat_bytes(image, blocks) > (uint64_t)image->bat.length) {
        error_setf(error, "The BAT of this VHDX image has no room for %" PRIu64 " blocks", blocks);
    } else if (image->size_at % VHDX_SECTOR > VHDX_SECTOR - 8) {
        error_setf(error, "The size of this VHDX image crosses a sector's end: it cannot be "
                   "changed safely");
    } else {
        return true;
    }
    return false;
}

/* What lies behind the old end, in a block that others may have filled. */
static int clear_last_block(BlockNode *node)
{
    VhdxImage *image = node->opaque;
    uint32_t in_block = node->size % image->block_size;
    uint64_t entry;
    int ret;

    if (!in_block) {
        return 0;
    }
    ret = vhdx_bat_get_locked(node, node->size / image->block_size, &entry);
    if (ret < 0 || (entry & VHDX_STATE_MASK) != VHDX_FULLY_PRESENT) {
        return ret;
    }
    return block_pwrite_zeroes(node->file, VHDX_ENTRY_OFFSET(entry) + in_block,
                               image->block_size - in_block, 0);
}

/* Whatever stood behind the end of the table. */
static int add_blocks(BlockNode *node, uint64_t blocks)
{
    VhdxImage *image = node->opaque;
    int ret = 0;

    for (uint64_t i = image->blocks; i < blocks && ret >= 0; i++) {
        ret = vhdx_bat_set(node, i, VHDX_ZERO);
        if (ret >= 0 && image->is_fixed) {
            ret = vhdx_allocate_locked(node, i);
        }
    }
    return ret < 0 ? ret : vhdx_bat_commit(node);
}

static int write_size(BlockNode *node, uint64_t size)
{
    VhdxImage *image = node->opaque;
    int64_t sector = ROUND_DOWN(image->size_at, VHDX_SECTOR);
    g_autofree uint8_t *buf = g_malloc(VHDX_SECTOR);
    int ret = block_pread(node->file, sector, VHDX_SECTOR, buf);

    if (ret < 0) {
        return ret;
    }
    stq_le(buf + (image->size_at - sector), size);
    return vhdx_log_write(node, &sector, buf, 1);
}

int vhdx_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    VhdxImage *image = node->opaque;
    uint64_t size = ROUND_UP((uint64_t)truncate->size, image->sector_size);
    uint64_t blocks = DIV_ROUND_UP(size, image->block_size);
    int ret;

    if (!request_is_possible(node, truncate, error)) {
        return -ENOTSUP;
    }
    ret = vhdx_announce_writing(node);
    if (ret >= 0) {
        co_mutex_lock(&image->lock);
        ret = clear_last_block(node);
        if (ret >= 0) {
            ret = add_blocks(node, blocks);
        }
        if (ret >= 0) {
            ret = write_size(node, size);
        }
        if (ret >= 0) {
            image->blocks = blocks;
        }
        co_mutex_unlock(&image->lock);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not resize the VHDX image");
    }
    return ret;
}
