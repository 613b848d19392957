/* SPDX-License-Identifier: Apache-2.0 */
/* A filter whose writes go into compressed clusters of the image below. */
#include "block/filter.h"
#include "block/io.h"
#include "util/error.h"

static bool compress_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                          GError **error)
{
    BlockNode *image = block_skip_filters(node->file->node);

    if (!image || !image->driver->pwritev_compressed) {
        error_setf(error, "Compression is not supported by the driver '%s'",
                   node->file->node->driver->name);
        return false;
    }
    block_filter_take_flags(node);
    node->write_flags = 0;
    return true;
}

/* A cluster is compressed as a whole. */
static void compress_refresh_limits(BlockNode *node)
{
    BlockNodeInfo info = { 0 };

    if (node->file && block_get_info(node->file->node, &info) >= 0 && info.cluster_size > 0 &&
        info.cluster_size <= UINT32_MAX / 2) {
        node->limits.request_alignment = (uint32_t)info.cluster_size;
    }
}

static int compress_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset, unsigned flags)
{
    return block_filter_pwritev_compressed(node, offset, bytes, vec, vec_offset);
}

static const BlockDriver compress_driver = {
    .name = "compress",
    .kind = BLOCKDEV_DRIVER_COMPRESS,
    BLOCK_FILTER_COMMON,
    .open = compress_open,
    .refresh_limits = compress_refresh_limits,
    .preadv = block_filter_preadv,
    .pwritev = compress_pwritev,
};
BLOCK_DRIVER(compress_driver);
