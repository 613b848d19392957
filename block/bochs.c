/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing images of Bochs, for reading. Little-endian.
 *
 *   header (512 bytes); catalog (a 32-bit word for each extent); extents
 *
 * A catalog entry counts extents behind the catalog, 0xffffffff is none. An extent is a bitmap of
 * its sectors, padded to sectors, and then its data; a sector whose bit is clear is zero.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/extent.h"
#include "util/bits.h"
#include "util/error.h"

#define HEADER_SIZE 512
#define MAGIC "Bochs Virtual HD Image"
#define TYPE "Redolog"
#define SUBTYPE "Growing"
#define VERSION_1 0x00010000
#define VERSION_2 0x00020000
#define NO_EXTENT UINT32_MAX
#define MAX_EXTENT (8 * MiB)
#define MAX_CATALOG 0x100000

enum {
    H_TYPE = 32, H_SUBTYPE = 48, H_VERSION = 64, H_HEADER = 68, H_CATALOG = 72, H_BITMAP = 76,
    H_EXTENT = 80, H_DISK_1 = 84, H_DISK_2 = 88,
};

typedef struct BochsImage {
    ExtentImage image;
    int64_t catalog_at, data_at;
    uint32_t catalog, extent, bitmap; /* entries, bytes, bytes in whole sectors */
} BochsImage;

static int bochs_probe(const uint8_t *buf, size_t len, const char *filename)
{
    if (len < HEADER_SIZE || memcmp(buf, MAGIC, sizeof(MAGIC)) != 0 ||
        memcmp(buf + H_TYPE, TYPE, sizeof(TYPE)) != 0 ||
        memcmp(buf + H_SUBTYPE, SUBTYPE, sizeof(SUBTYPE)) != 0) {
        return 0;
    }
    return ldl_le(buf + H_VERSION) == VERSION_1 || ldl_le(buf + H_VERSION) == VERSION_2 ? 100 : 0;
}

static int bochs_map(BlockNode *node, int64_t offset, Extent *extent)
{
    BochsImage *b = node->opaque;
    int64_t index = offset / b->extent, in_extent = offset % b->extent;
    int64_t sector = in_extent / BLOCK_SECTOR, at;
    uint32_t entry;
    uint8_t bits;
    int ret = extent_entry(node, b->catalog_at + 4 * index, &entry, sizeof(entry));

    extent->bytes = b->extent - in_extent;
    if (ret < 0 || entry == NO_EXTENT) {
        return ret;
    }
    at = b->data_at + (int64_t)le32toh(entry) * ((int64_t)b->bitmap + b->extent);
    ret = extent_entry(node, at + sector / 8, &bits, sizeof(bits));
    extent->bytes = BLOCK_SECTOR - offset % BLOCK_SECTOR;
    if (ret >= 0 && (bits & (1u << (sector % 8)))) {
        extent->kind = EXTENT_DATA;
        extent->at = at + b->bitmap + in_extent;
    }
    return ret;
}

static bool take_header(BlockNode *node, const uint8_t *h, GError **error)
{
    BochsImage *b = node->opaque;
    uint64_t size = ldq_le(h + (ldl_le(h + H_VERSION) == VERSION_1 ? H_DISK_1 : H_DISK_2));
    uint32_t header = ldl_le(h + H_HEADER), bitmap = ldl_le(h + H_BITMAP);

    b->catalog = ldl_le(h + H_CATALOG);
    b->extent = ldl_le(h + H_EXTENT);
    if (!bochs_probe(h, HEADER_SIZE, NULL)) {
        error_setf(error, "Image not in Bochs format");
    } else if (b->extent < BLOCK_SECTOR || b->extent > MAX_EXTENT ||
               (b->extent & (b->extent - 1))) {
        error_setf(error, "Bochs header: extents of %" PRIu32 " bytes are not possible", b->extent);
    } else if (b->catalog > MAX_CATALOG) {
        error_setf(error, "Bochs header: catalog size %" PRIu32 " is too large", b->catalog);
    } else if (size > (uint64_t)b->catalog * b->extent) {
        error_setf(error, "Bochs header: catalog size %" PRIu32 " is too small for this disk size",
                   b->catalog);
    } else if (bitmap < b->extent / BLOCK_SECTOR / 8 || bitmap == 0 || bitmap > MiB) {
        error_setf(error, "Bochs header: bitmaps of %" PRIu32 " bytes are not possible", bitmap);
    } else if (!range_ok(header, 4 * (uint64_t)b->catalog, (uint64_t)b->image.file_size)) {
        error_setf(error, "Bochs catalog: %" PRIu32 " entries at %" PRIu32 " are beyond the end of "
                   "the file", b->catalog, header);
    } else {
        b->bitmap = (uint32_t)ROUND_UP(bitmap, BLOCK_SECTOR);
        b->catalog_at = header;
        b->data_at = header + 4 * (int64_t)b->catalog;
        node->size = (int64_t)(size / BLOCK_SECTOR * BLOCK_SECTOR);
        return true;
    }
    return false;
}

static bool bochs_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                       GError **error)
{
    uint8_t header[HEADER_SIZE];

    if (!extent_open(node, bochs_map, error)) {
        return false;
    }
    if (!extent_read_header(node, 0, sizeof(header), header, "Bochs header", error) ||
        !take_header(node, header, error)) {
        extent_close(node);
        return false;
    }
    return true;
}

static const BlockDriver bochs_driver = {
    .name = "bochs",
    .kind = BLOCKDEV_DRIVER_BOCHS,
    .instance_size = sizeof(BochsImage),
    .is_format = true,
    .children = extent_children,
    .probe = bochs_probe,
    .open = bochs_open,
    .close = extent_close,
    .preadv = extent_preadv,
    .block_status = extent_block_status,
};
BLOCK_DRIVER(bochs_driver);
