/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual PC's VHD (Microsoft's Virtual Hard Disk Image Format Specification). Big-endian.
 *
 *   fixed:    the data, then the footer (512 bytes)
 *   dynamic:  a copy of the footer; the dynamic header (1024); the block allocation table (BAT: one
 *             32-bit sector number a block, 0xffffffff unallocated); blocks; the footer
 *
 * A block is a bitmap of its sectors, padded to sectors, and then its data. We write whole blocks
 * with all bits set, and the bits do not matter for reading a dynamic disk: what it does not have
 * is zero either way. A differencing disk is a dynamic one whose header names a parent: sectors
 * whose bit (from the most significant one on) is not set are the parent's. It is only read.
 *
 * How long the disk is, the footer says twice: as bytes, and as a CHS geometry that is the nearest
 * one above. Virtual PC believes the geometry, Hyper-V the bytes; who wrote the image decides.
 *
 * A new block goes where the footer was. The order of writes is block, footer, BAT entry: a crash
 * in between leaves a leaked block, and perhaps no footer, for which the copy at the start stands
 * in.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "block/create.h"
#include "block/driver.h"
#include "block/io.h"
#include "block/node.h"
#include "block/vpc-format.h"
#include "util/bitmap.h"
#include "util/bits.h"
#include "util/co-lock.h"
#include "util/error.h"
#include "util/iov.h"

/* Entries of the table that are read at once. */
#define BAT_PIECE (64u * 1024)
/* Of a differencing image's bitmaps. */
#define BITMAP_WINDOWS 8
/* Bytes of a bitmap that are looked at in one go. */
#define BITMAP_PIECE 512

static int vpc_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= 8 && !memcmp(buf, VPC_COOKIE, 8) ? 100 : 0;
}

/* ---- Opening ---- */

static bool read_exactly(BlockNode *node, int64_t offset, size_t bytes, void *buf, const char *what,
                         GError **error)
{
    int ret = block_pread(node->file, offset, bytes, buf);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the VHD %s at %" PRId64, what, offset);
    }
    return ret >= 0;
}

/* A dynamic image starts with a copy; a fixed one has only the last 512 bytes. */
static bool find_footer(BlockNode *node, GError **error)
{
    VpcImage *image = node->opaque;
    int64_t size = block_getlength(node->file->node);

    if (size < 0) {
        error_set_errno(error, -size, "Could not get the file's size");
        return false;
    }
    if (!read_exactly(node, 0, VPC_FOOTER_SIZE, image->footer, "footer", error)) {
        return false;
    }
    if (!memcmp(image->footer, VPC_COOKIE, 8)) {
        image->is_fixed = ldl_be(image->footer + VPC_TYPE) == VPC_TYPE_FIXED;
        return true;
    }
    if (size < VPC_FOOTER_SIZE) {
        error_setf(error, "VHD: the file is too short for a footer");
        return false;
    }
    if (!read_exactly(node, size - VPC_FOOTER_SIZE, VPC_FOOTER_SIZE, image->footer, "footer",
                      error)) {
        return false;
    }
    if (memcmp(image->footer, VPC_COOKIE, 8) != 0) {
        error_setf(error, "VHD: invalid footer cookie");
        return false;
    }
    /* Otherwise the copy of a dynamic image is destroyed. */
    image->is_fixed = ldl_be(image->footer + VPC_TYPE) == VPC_TYPE_FIXED;
    return true;
}

static bool take_footer(BlockNode *node, GError **error)
{
    VpcImage *image = node->opaque;
    const uint8_t *f = image->footer;
    uint64_t size;

    if (vpc_checksum(f, VPC_FOOTER_SIZE, VPC_CHECKSUM) != ldl_be(f + VPC_CHECKSUM)) {
        warn_report("block-vpc: The header checksum of '%s' is incorrect.",
                    node->file->node->filename);
    }
    if (ldl_be(f + VPC_VERSION) >> 16 != 1) {
        error_setf(error, "VHD footer: unsupported version 0x%" PRIx32, ldl_be(f + VPC_VERSION));
        return false;
    }
    size = vpc_disk_size(f);
    if (size > VPC_MAX_SIZE) {
        error_setf(error, "VHD footer: disk size %" PRIu64 " is beyond the format's 2040 GiB",
                   size);
        return false;
    }
    node->size = size;
    return true;
}

static bool take_dynamic_header(BlockNode *node, const uint8_t *h, GError **error)
{
    VpcImage *image = node->opaque;

    image->bat_offset = ldq_be(h + VPC_DYN_TABLE_OFFSET);
    image->entries = ldl_be(h + VPC_DYN_ENTRIES);
    image->block_size = ldl_be(h + VPC_DYN_BLOCK_SIZE);
    if (memcmp(h, VPC_DYN_COOKIE, 8) != 0) {
        error_setf(error, "VHD dynamic header: invalid cookie");
    } else if (ldl_be(h + VPC_DYN_VERSION) >> 16 != 1) {
        error_setf(error, "VHD dynamic header: unsupported version 0x%" PRIx32,
                   ldl_be(h + VPC_DYN_VERSION));
    } else if (image->block_size < 4 * KiB || image->block_size > 64 * MiB ||
               (image->block_size & (image->block_size - 1))) {
        error_setf(error, "VHD dynamic header: invalid block size %" PRIu32, image->block_size);
    } else if (node->size > (int64_t)image->entries * image->block_size) {
        error_setf(error, "VHD dynamic header: %" PRIu32 " table entries are too few for the disk",
                   image->entries);
    } else if (image->entries > VPC_MAX_ENTRIES) {
        error_setf(error, "VHD dynamic header: a table of %" PRIu32 " entries, more than the %u "
                   "supported", image->entries, VPC_MAX_ENTRIES);
    } else if (image->bat_offset < VPC_FOOTER_SIZE) {
        error_setf(error, "VHD dynamic header: a table at %" PRId64 " is not possible",
                   image->bat_offset);
    } else {
        /* One bit a sector, in whole sectors. */
        image->bitmap_size = ROUND_UP(image->block_size / BLOCK_SECTOR / 8, BLOCK_SECTOR);
        return true;
    }
    return false;
}

/*
 * Where the blocks end is where the next one and the footer go. end: where they must. tolerant:
 * entries that lead astray are left to the check.
 */
static bool take_entries(VpcImage *image, uint32_t from, uint32_t to, int64_t end, bool tolerant,
                         GError **error)
{
    for (uint32_t i = from; i < to; i++) {
        uint32_t sector = image->bat[i] = be32toh(image->bat[i]);
        int64_t at = (int64_t)sector * BLOCK_SECTOR;

        if (sector == VPC_UNALLOCATED) {
            continue;
        }
        if (!range_ok(at, vpc_block_bytes(image), end) || at < VPC_FOOTER_SIZE) {
            if (tolerant) {
                continue;
            }
            error_setf(error, "VHD block table: entry %" PRIu32 " points to %" PRId64
                       ", beyond the last block", i, at);
            return false;
        }
        image->next_block = MAX(image->next_block, at + vpc_block_bytes(image));
    }
    return true;
}

/* In pieces: a long table of rubbish ends with its first entry, and has cost no memory. */
static bool read_bat(BlockNode *node, bool tolerant, GError **error)
{
    VpcImage *image = node->opaque;
    int64_t file_size = block_getlength(node->file->node);
    int64_t bytes = 4 * (int64_t)image->entries, last;

    if (file_size < 0 || !range_ok(image->bat_offset, bytes, file_size)) {
        error_setf(error, "VHD block table: %" PRId64 " bytes at %" PRId64
                   " are beyond the end of the file", bytes, image->bat_offset);
        return false;
    }
    image->bat = g_malloc(MAX(bytes, 1));
    image->next_block = vpc_table_end(image);
    last = vpc_last_place(image, file_size);
    for (uint32_t i = 0; i < image->entries; i += BAT_PIECE) {
        uint32_t end = MIN(i + BAT_PIECE, image->entries);

        if (!read_exactly(node, image->bat_offset + 4 * (int64_t)i, 4 * (size_t)(end - i),
                          image->bat + i, "block table", error) ||
            !take_entries(image, i, end, last, tolerant, error)) {
            return false;
        }
    }
    return true;
}

static bool open_parent(BlockNode *node, const uint8_t *header, GError **error)
{
    VpcImage *image = node->opaque;

    return !image->has_parent ||
           (block_node_fall_to_read_only(node, "VHD differencing images are only read", error) &&
            vpc_read_parent(node, header, error));
}

static bool open_dynamic(BlockNode *node, bool tolerant, GError **error)
{
    VpcImage *image = node->opaque;
    uint32_t type = ldl_be(image->footer + VPC_TYPE);
    uint8_t header[VPC_DYN_SIZE];

    image->has_parent = type == VPC_TYPE_DIFFERENCING;
    if (type != VPC_TYPE_DYNAMIC && !image->has_parent) {
        error_setf(error, "VHD: disk type %" PRIu32 " is not supported", type);
        return false;
    }
    return read_exactly(node, ldq_be(image->footer + VPC_DATA_OFFSET) & INT64_MAX, sizeof(header),
                        header, "dynamic header", error) &&
           take_dynamic_header(node, header, error) && read_bat(node, tolerant, error) &&
           open_parent(node, header, error);
}

static bool vpc_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    VpcImage *image = node->opaque;

    if (!find_footer(node, error) || !take_footer(node, error)) {
        return false;
    }
    if (image->is_fixed) {
        int64_t data = block_getlength(node->file->node) - VPC_FOOTER_SIZE;

        if (node->size > data) {
            error_setf(error, "VHD: the file has %" PRId64 " bytes of data, not the %" PRId64
                       " of its footer", data, node->size);
            return false;
        }
        image->next_block = node->size;
    } else if (!open_dynamic(node, flags & BLOCK_OPEN_CHECK, error)) {
        g_free(image->bat);
        return false;
    }
    co_mutex_init(&image->lock);
    file_windows_init(&image->bitmaps, node, image->has_parent ? BITMAP_WINDOWS : 0);
    node->zero_flags = BLOCK_REQ_MAY_UNMAP;
    return true;
}

static void vpc_close(BlockNode *node)
{
    VpcImage *image = node->opaque;

    file_windows_cleanup(&image->bitmaps);
    co_mutex_cleanup(&image->lock);
    g_free(image->bat);
}

static bool vpc_reopen_prepare(BlockReopen *reopen, GError **error)
{
    const VpcImage *image = reopen->node->opaque;

    if (image->has_parent && !reopen->read_only) {
        error_setf(error, "VHD differencing images are only read");
        return false;
    }
    return true;
}

/* ---- Requests ---- */

typedef struct Chunk {
    int64_t offset, bytes;
    int64_t at; /* in the file; -1: not allocated */
} Chunk;

/* As much of the request as lies together. */
static Chunk chunk_of(const VpcImage *image, int64_t offset, int64_t bytes)
{
    uint32_t in_block;
    uint32_t sector;

    if (image->is_fixed) {
        return (Chunk){ offset, bytes, offset };
    }
    in_block = offset % image->block_size;
    sector = image->bat[offset / image->block_size];
    return (Chunk){
        .offset = offset, .bytes = MIN(bytes, image->block_size - in_block),
        .at = sector == VPC_UNALLOCATED ? -1 : (int64_t)sector * BLOCK_SECTOR +
                                               image->bitmap_size + in_block,
    };
}

static bool bit_of(const uint8_t *bitmap, int64_t sector)
{
    return bitmap[sector / 8] >> (7 - sector % 8) & 1;
}

/* Of an allocated block of a differencing image: as much as is in the same of both files. */
static int cut_to_run(BlockNode *node, Chunk *chunk)
{
    VpcImage *image = node->opaque;
    int64_t in_block = chunk->offset % image->block_size;
    int64_t first = in_block / BLOCK_SECTOR, last = (in_block + chunk->bytes - 1) / BLOCK_SECTOR;
    int64_t from = first / 8, n = MIN(last / 8 - from + 1, BITMAP_PIECE), sector = first;
    uint8_t bitmap[BITMAP_PIECE];
    int ret;

    ret = file_windows_read(&image->bitmaps, chunk->at - in_block - image->bitmap_size + from,
                            bitmap, (size_t)n);
    if (ret < 0) {
        return ret;
    }
    last = MIN(last, (from + n) * 8 - 1);
    while (sector < last &&
           bit_of(bitmap, sector + 1 - 8 * from) == bit_of(bitmap, first - 8 * from)) {
        sector++;
    }
    chunk->bytes = MIN(chunk->bytes, (sector + 1) * BLOCK_SECTOR - in_block);
    if (!bit_of(bitmap, first - 8 * from)) {
        chunk->at = -1;
    }
    return 0;
}

static int cut_to_one_file(BlockNode *node, Chunk *chunk)
{
    const VpcImage *image = node->opaque;

    return image->has_parent && chunk->at >= 0 ? cut_to_run(node, chunk) : 0;
}

/* What has no place in this file. */
static int read_absent(BlockNode *node, const Chunk *chunk, const BlockVec *vec, size_t vec_offset)
{
    const VpcImage *image = node->opaque;

    if (image->has_parent && image->parent_is_wrong) {
        return -EIO;
    }
    if (image->has_parent && node->backing) {
        return block_preadv(node->backing, chunk->offset, chunk->bytes, vec, vec_offset, 0);
    }
    iov_memset(vec->iov, vec->n, vec_offset, 0, chunk->bytes);
    return 0;
}

static int vpc_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    VpcImage *image = node->opaque;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        Chunk chunk = chunk_of(image, offset, bytes);

        ret = cut_to_one_file(node, &chunk);
        if (ret >= 0) {
            ret = chunk.at < 0 ? read_absent(node, &chunk, vec, vec_offset)
                               : block_preadv(node->file, chunk.at, chunk.bytes, vec, vec_offset,
                                              0);
        }
        offset += chunk.bytes;
        bytes -= chunk.bytes;
        vec_offset += chunk.bytes;
    }
    return ret;
}

static int write_footer(BlockNode *node)
{
    VpcImage *image = node->opaque;

    return block_pwrite(node->file, image->next_block, VPC_FOOTER_SIZE, image->footer, 0);
}

/* The bitmap with all bits set, the data in its place, and zeroes around it. */
static int write_new_block(BlockNode *node, const Chunk *chunk, const BlockVec *vec,
                           size_t vec_offset)
{
    VpcImage *image = node->opaque;
    uint32_t in_block = chunk->offset % image->block_size;
    g_autofree uint8_t *block = g_try_malloc0(vpc_block_bytes(image));

    if (!block) {
        return -ENOMEM;
    }
    memset(block, 0xff, image->bitmap_size);
    iov_to_buf(vec->iov, vec->n, vec_offset, block + image->bitmap_size + in_block, chunk->bytes);
    return block_pwrite(node->file, image->next_block, vpc_block_bytes(image), block, 0);
}

/* With the lock held. */
static int allocate(BlockNode *node, const Chunk *chunk, const BlockVec *vec, size_t vec_offset)
{
    VpcImage *image = node->opaque;
    uint32_t index = chunk->offset / image->block_size;
    int64_t sector = image->next_block / BLOCK_SECTOR;
    uint32_t entry = htobe32(sector);
    int ret;

    if (sector >= VPC_UNALLOCATED) {
        return -EFBIG;
    }
    ret = write_new_block(node, chunk, vec, vec_offset);
    if (ret < 0) {
        return ret;
    }
    image->next_block += vpc_block_bytes(image);
    ret = write_footer(node);
    if (ret >= 0) {
        ret = block_pwrite(node->file, image->bat_offset + 4 * (int64_t)index, sizeof(entry),
                           &entry, 0);
    }
    if (ret >= 0) {
        image->bat[index] = sector;
    }
    return ret;
}

static int write_chunk(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset)
{
    VpcImage *image = node->opaque;
    Chunk chunk = chunk_of(image, offset, bytes);
    int ret;

    if (chunk.at < 0) {
        co_mutex_lock(&image->lock);
        chunk = chunk_of(image, offset, bytes);
        if (chunk.at < 0) {
            ret = allocate(node, &chunk, vec, vec_offset);
            co_mutex_unlock(&image->lock);
            return ret;
        }
        co_mutex_unlock(&image->lock);
    }
    return block_pwritev(node->file, chunk.at, chunk.bytes, vec, vec_offset, 0);
}

static int vpc_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    VpcImage *image = node->opaque;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        int64_t chunk = chunk_of(image, offset, bytes).bytes;

        ret = write_chunk(node, offset, chunk, vec, vec_offset);
        offset += chunk;
        bytes -= chunk;
        vec_offset += chunk;
    }
    return ret;
}

static int vpc_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    VpcImage *image = node->opaque;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        Chunk chunk = chunk_of(image, offset, bytes);

        if (chunk.at >= 0) {
            ret = block_pwrite_zeroes(node->file, chunk.at, chunk.bytes, flags);
        }
        offset += chunk.bytes;
        bytes -= chunk.bytes;
    }
    return ret;
}

static int vpc_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                            BlockStatus *status)
{
    VpcImage *image = node->opaque;
    Chunk chunk = chunk_of(image, offset, bytes);
    int ret = cut_to_one_file(node, &chunk);

    if (ret < 0) {
        return ret;
    }
    status->bytes = chunk.bytes;
    if (chunk.at < 0) {
        status->flags = image->has_parent ? 0 : BLOCK_STATUS_ZERO;
        return image->parent_is_wrong ? -EIO : 0;
    }
    status->map = chunk.at;
    status->file = node->file->node;
    status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_OFFSET_VALID |
                    (image->is_fixed ? BLOCK_STATUS_RECURSE : 0);
    return 0;
}

static int vpc_get_info(BlockNode *node, BlockNodeInfo *info)
{
    VpcImage *image = node->opaque;

    info->cluster_size = image->is_fixed ? 0 : image->block_size;
    info->unallocated_reads_zero = !image->is_fixed && !image->has_parent;
    return 0;
}

static bool vpc_has_zero_init(BlockNode *node)
{
    VpcImage *image = node->opaque;

    return image->has_parent ? false : !image->is_fixed || block_has_zero_init(node->file->node);
}

static const BlockChildSpec vpc_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { NULL },
};

static const BlockDriver vpc_driver = {
    .name = "vpc",
    .kind = BLOCKDEV_DRIVER_VPC,
    .instance_size = sizeof(VpcImage),
    .is_format = true,
    .supports_backing = true,
    .only_reads_backing = true,
    .children = vpc_children,
    .probe = vpc_probe,
    .open = vpc_open,
    .close = vpc_close,
    .reopen_prepare = vpc_reopen_prepare,
    .backing_changed = vpc_backing_changed,
    .preadv = vpc_preadv,
    .pwritev = vpc_pwritev,
    .pwrite_zeroes = vpc_pwrite_zeroes,
    .block_status = vpc_block_status,
    .peek = block_peek_by_status,
    .get_info = vpc_get_info,
    .has_zero_init = vpc_has_zero_init,
    .check = vpc_check,
    .create_options = vpc_create_options,
    .create = vpc_create,
};
BLOCK_DRIVER(vpc_driver);
