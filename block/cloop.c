/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed loop images of Linux (version 2), for reading. Big-endian.
 *
 *   a shell script (128 bytes); block size, number of blocks n (32 bits each);
 *   n + 1 offsets (64 bits); blocks, each a zlib stream from its offset to the next one
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/extent.h"
#include "util/bits.h"
#include "util/error.h"

#define H_BLOCK_SIZE 128
#define H_BLOCKS 132
#define H_OFFSETS 136
#define SCRIPT "#!/bin/sh\n#V2.0 Format\n"

typedef struct CloopImage {
    ExtentImage image;
    uint32_t block_size, blocks;
} CloopImage;

/* The script is a weak sign: nobody is kept from writing another. */
static int cloop_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= strlen(SCRIPT) && memcmp(buf, SCRIPT, strlen(SCRIPT)) == 0 ? 2 : 0;
}

static int cloop_map(BlockNode *node, int64_t offset, Extent *extent)
{
    CloopImage *c = node->opaque;
    int64_t index = offset / c->block_size;
    uint64_t from, to;
    int ret = extent_entry(node, H_OFFSETS + 8 * index, &from, sizeof(from));

    if (ret >= 0) {
        ret = extent_entry(node, H_OFFSETS + 8 * (index + 1), &to, sizeof(to));
    }
    if (ret < 0) {
        return ret;
    }
    from = be64toh(from);
    to = be64toh(to);
    if (from >= to || to > (uint64_t)c->image.file_size ||
        to - from > 2 * (uint64_t)c->block_size) {
        return -EIO;
    }
    *extent = (Extent){
        .kind = EXTENT_PACKED, .bytes = c->block_size - offset % c->block_size,
        .at = (int64_t)from, .unit_start = index * c->block_size, .unit_bytes = c->block_size,
        .packed_bytes = (int64_t)(to - from), .method = CODEC_ZLIB,
    };
    return 0;
}

static bool take_header(BlockNode *node, GError **error)
{
    CloopImage *c = node->opaque;
    uint8_t h[H_OFFSETS];

    if (!extent_read_header(node, 0, sizeof(h), h, "cloop header", error)) {
        return false;
    }
    c->block_size = ldl_be(h + H_BLOCK_SIZE);
    c->blocks = ldl_be(h + H_BLOCKS);
    if (c->block_size == 0 || c->block_size % BLOCK_SECTOR || c->block_size > EXTENT_MAX_UNIT / 2) {
        error_setf(error, "cloop header: blocks of %" PRIu32 " bytes are not possible (a multiple "
                   "of 512, at most 8 MiB)", c->block_size);
        return false;
    }
    if (!range_ok(H_OFFSETS, 8 * ((uint64_t)c->blocks + 1), (uint64_t)c->image.file_size)) {
        error_setf(error, "cloop header: %" PRIu32 " blocks are too many for this file", c->blocks);
        return false;
    }
    node->size = (int64_t)c->block_size * c->blocks;
    return true;
}

static bool cloop_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                       GError **error)
{
    if (!extent_open(node, cloop_map, error)) {
        return false;
    }
    if (!take_header(node, error)) {
        extent_close(node);
        return false;
    }
    return true;
}

static const BlockDriver cloop_driver = {
    .name = "cloop",
    .kind = BLOCKDEV_DRIVER_CLOOP,
    .instance_size = sizeof(CloopImage),
    .is_format = true,
    .children = extent_children,
    .probe = cloop_probe,
    .open = cloop_open,
    .close = extent_close,
    .preadv = extent_preadv,
    .block_status = extent_block_status,
};
BLOCK_DRIVER(cloop_driver);
