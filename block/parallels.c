/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expanding images of Parallels, for reading. Little-endian.
 *
 *   header (64 bytes); block allocation table (BAT: a 32-bit word for each cluster); clusters
 *
 * The header's magic says what the words count: "WithoutFreeSpace" sectors, "WithouFreSpacExt"
 * clusters. 0 is a cluster that was never written. The older kind has only 32 bits of disk size.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/extent.h"
#include "util/bits.h"
#include "util/error.h"

#define HEADER_SIZE 64
#define MAGIC_SIZE 16
#define MAGIC_SECTORS "WithoutFreeSpace"
#define MAGIC_CLUSTERS "WithouFreSpacExt"
#define VERSION 2

enum {
    H_VERSION = 16, H_CLUSTER = 28, H_ENTRIES = 32, H_SECTORS = 36, H_IN_USE = 44,
};
#define IN_USE 0x746f6e59

typedef struct ParallelsImage {
    ExtentImage image;
    bool in_use;        /* not closed */
    int64_t cluster;    /* bytes */
    uint32_t entries;
    uint32_t unit;      /* bytes that an entry counts */
} ParallelsImage;

static bool magic_is(const uint8_t *buf, const char *magic)
{
    return memcmp(buf, magic, MAGIC_SIZE) == 0;
}

static int parallels_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= HEADER_SIZE && ldl_le(buf + H_VERSION) == VERSION &&
           (magic_is(buf, MAGIC_SECTORS) || magic_is(buf, MAGIC_CLUSTERS)) ? 100 : 0;
}

static int parallels_map(BlockNode *node, int64_t offset, Extent *extent)
{
    ParallelsImage *p = node->opaque;
    int64_t index = offset / p->cluster, in_cluster = offset % p->cluster;
    uint32_t entry;
    int ret;

    extent->bytes = p->cluster - in_cluster;
    if (index >= p->entries) {
        return 0;
    }
    ret = extent_entry(node, HEADER_SIZE + 4 * index, &entry, sizeof(entry));
    if (ret >= 0 && entry) {
        int64_t at = (int64_t)le32toh(entry);

        extent->kind = EXTENT_DATA;
        extent->at = at <= BLOCK_MAX_LENGTH / p->unit ? at * p->unit + in_cluster : -1;
    }
    return ret;
}

static bool take_header(BlockNode *node, const uint8_t *h, GError **error)
{
    ParallelsImage *p = node->opaque;
    uint32_t cluster = ldl_le(h + H_CLUSTER);
    uint64_t sectors = ldq_le(h + H_SECTORS);

    if (parallels_probe(h, HEADER_SIZE, NULL) == 0) {
        error_setf(error, "Image not in Parallels format");
        return false;
    }
    if (magic_is(h, MAGIC_SECTORS)) {
        sectors &= UINT32_MAX;
    }
    if (cluster == 0 || cluster > INT32_MAX / BLOCK_SECTOR) {
        error_setf(error, "Parallels header: clusters of %" PRIu32 " sectors are not possible",
                   cluster);
        return false;
    }
    p->cluster = (int64_t)cluster * BLOCK_SECTOR;
    p->unit = magic_is(h, MAGIC_CLUSTERS) ? (uint32_t)p->cluster : BLOCK_SECTOR;
    p->entries = ldl_le(h + H_ENTRIES);
    if (sectors > (uint64_t)BLOCK_MAX_LENGTH / BLOCK_SECTOR) {
        error_setf(error, "Parallels header: a disk of %" PRIu64 " sectors is too large", sectors);
        return false;
    }
    if (!range_ok(HEADER_SIZE, 4 * (uint64_t)p->entries, (uint64_t)p->image.file_size)) {
        error_setf(error, "Parallels block table: %" PRIu32 " entries are beyond the end of the "
                   "file", p->entries);
        return false;
    }
    node->size = (int64_t)sectors * BLOCK_SECTOR;
    return true;
}

static bool parallels_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                           GError **error)
{
    ParallelsImage *p = node->opaque;
    uint8_t header[HEADER_SIZE];

    if (!extent_open(node, parallels_map, error)) {
        return false;
    }
    if (!extent_read_header(node, 0, sizeof(header), header, "Parallels header", error) ||
        !take_header(node, header, error)) {
        extent_close(node);
        return false;
    }
    p->in_use = ldl_le(header + H_IN_USE) == IN_USE;
    if (p->in_use && !(flags & BLOCK_OPEN_CHECK)) {
        warn_report("Parallels image '%s' was not closed", node->file->node->filename);
    }
    return true;
}

static int parallels_get_info(BlockNode *node, BlockNodeInfo *info)
{
    ParallelsImage *p = node->opaque;

    info->cluster_size = p->cluster;
    return 0;
}

/* ---- Checking ---- */

/* Clusters of the kind that counts sectors may stand anywhere; they are in two units then. */
static int check_clusters(BlockNode *node, ExtentUse *use, BlockCheckResult *result, int64_t *end)
{
    ParallelsImage *p = node->opaque;

    for (int64_t i = 0; i < p->entries; i++) {
        uint32_t entry;
        int64_t at;
        int ret = extent_entry(node, HEADER_SIZE + 4 * i, &entry, sizeof(entry));

        if (ret < 0) {
            return ret;
        }
        if (!entry) {
            continue;
        }
        at = (int64_t)le32toh(entry) * p->unit;
        if (at < HEADER_SIZE + 4 * (int64_t)p->entries) {
            fprintf(stderr, "ERROR: entry %" PRId64 " points into the block table\n", i);
            result->corruptions++;
            continue;
        }
        extent_use_data(use, at / p->cluster, i, result);
        *end = MAX(*end, at + p->cluster);
    }
    return 0;
}

static int parallels_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error)
{
    ParallelsImage *p = node->opaque;
    int64_t end = HEADER_SIZE + 4 * (int64_t)p->entries;
    ExtentUse use;
    int ret;

    if (fix) {
        error_setf(error, "Parallels images cannot be repaired");
        return -ENOTSUP;
    }
    ret = extent_use_init(&use, p->image.file_size, p->cluster);
    if (ret < 0) {
        return ret;
    }
    if (p->in_use) {
        fprintf(stderr, "ERROR: the image was not closed\n");
        result->corruptions++;
    }
    ret = check_clusters(node, &use, result, &end);
    extent_use_cleanup(&use);
    result->total_clusters = p->entries;
    result->image_end_offset = end;
    if (p->image.file_size > end && result->allocated_clusters) {
        result->leaks += DIV_ROUND_UP(p->image.file_size - end, p->cluster);
    }
    return ret;
}

static const BlockDriver parallels_driver = {
    .name = "parallels",
    .kind = BLOCKDEV_DRIVER_PARALLELS,
    .instance_size = sizeof(ParallelsImage),
    .is_format = true,
    .children = extent_children,
    .probe = parallels_probe,
    .open = parallels_open,
    .close = extent_close,
    .preadv = extent_preadv,
    .block_status = extent_block_status,
    .get_info = parallels_get_info,
    .check = parallels_check,
};
BLOCK_DRIVER(parallels_driver);
