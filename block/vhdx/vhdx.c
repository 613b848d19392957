/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hyper-V's VHDX ([MS-VHDX]):
 *
 *   0         file identifier, two headers (64 KiB, 128 KiB), two equal region tables (192, 256)
 *   anywhere  on multiples of 1 MiB: the log, the BAT, the metadata, blocks of data, and bitmaps
 *             that say which sectors of a block a differencing image has of its own
 *
 * Crashes: a new block goes behind the last one and reads as zeroes from the start; its entry in
 * the BAT is changed in memory. When the image is flushed, first the data is, then the changed
 * sectors of the BAT go to the log (block/vhdx/log.c), and from there to their places. So the
 * table never names what is not there, and a torn write of it is mended from the log.
 *
 * Zeroing and discarding keep a block and make a hole in the file where it stands. Differencing
 * images are read only.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/io.h"
#include "block/vhdx/internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

static int vhdx_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= 8 && !memcmp(buf, VHDX_FILE_SIGNATURE, 8) ? 100 : 0;
}

/* ---- Opening and closing ---- */

static void forget(VhdxImage *image)
{
    vhdx_bat_close(image);
    vhdx_drop_overlay(image);
    co_mutex_cleanup(&image->lock);
}

static bool vhdx_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error)
{
    VhdxImage *image = node->opaque;

    co_mutex_init(&image->lock);
    if (!vhdx_read_header(node, error) || !vhdx_replay_log(node, error) ||
        !vhdx_read_regions(node, error) || !vhdx_read_metadata(node, error) ||
        (image->has_parent &&
         !block_node_fall_to_read_only(node, "VHDX differencing images are only read", error)) ||
        !vhdx_bat_open(node, flags & BLOCK_OPEN_CHECK, error)) {
        forget(image);
        return false;
    }
    node->zero_flags = BLOCK_REQ_MAY_UNMAP;
    node->truncate_flags = BLOCK_REQ_ZERO_WRITE;
    return true;
}

/* The core has flushed before. If this fails, the log is replayed once more. */
static void settle(void *opaque)
{
    BlockNode *node = opaque;
    VhdxImage *image = node->opaque;

    co_mutex_lock(&image->lock);
    if (!image->dirty && block_flush(node->file->node) >= 0) {
        (void)vhdx_close_log(node);
    }
    co_mutex_unlock(&image->lock);
}

static void vhdx_close(BlockNode *node)
{
    if (!block_node_is_read_only(node)) {
        block_run(node, settle, node);
    }
    forget(node->opaque);
}

static bool vhdx_reopen_prepare(BlockReopen *reopen, GError **error)
{
    VhdxImage *image = reopen->node->opaque;

    if (!reopen->read_only && (image->has_parent || image->overlay)) {
        error_setf(error, "%s", image->overlay
                   ? "The VHDX log was replayed in memory: close the image and open it for writing"
                   : "VHDX differencing images are only read");
        return false;
    }
    return true;
}

/* A parent that has been written to since is no parent any more. */
static void vhdx_backing_changed(BlockNode *node)
{
    VhdxImage *image = node->opaque;
    BlockNode *parent = node->backing ? block_skip_filters(node->backing->node) : NULL;
    const VhdxImage *other = parent && parent->driver == node->driver ? parent->opaque : NULL;

    image->parent_is_wrong = other && memcmp(other->header + VHDX_HEAD_DATA_GUID,
                                             image->parent_linkage, 16) != 0;
    if (image->parent_is_wrong) {
        error_report("%s: VHDX parent locator: '%s' is not the parent, or was changed since",
                     node->filename, parent->filename);
    }
}

static void vhdx_refresh_limits(BlockNode *node)
{
    VhdxImage *image = node->opaque;

    node->limits.request_alignment = MAX(node->limits.request_alignment, image->sector_size);
}

/* ---- Where data is ---- */

typedef enum Source { FROM_ZERO, FROM_FILE, FROM_PARENT } Source;

typedef struct Extent {
    Source source;
    int64_t bytes;
    int64_t at; /* in the file */
} Extent;

/* Of a partial block: as many sectors as are alike, of those that one piece of bitmap tells. */
static int find_in_bitmap(BlockNode *node, int64_t offset, Extent *e)
{
    VhdxImage *image = node->opaque;
    uint64_t in_chunk = offset / image->sector_size % VHDX_CHUNK_SECTORS;
    uint64_t sectors = DIV_ROUND_UP((uint64_t)e->bytes, image->sector_size);
    uint8_t bits[512];
    int64_t at;
    uint64_t n = 1;
    unsigned bit = in_chunk % 8;
    bool own;
    int ret = vhdx_bitmap_at(node, offset / image->block_size, &at);

    sectors = MIN(sectors, sizeof(bits) * 8 - bit);
    if (ret >= 0) {
        ret = vhdx_read(node, at + in_chunk / 8, DIV_ROUND_UP(bit + sectors, 8), bits);
    }
    if (ret < 0) {
        return ret;
    }
    own = bits[0] >> bit & 1;
    while (n < sectors && (bits[(bit + n) / 8] >> (bit + n) % 8 & 1) == own) {
        n++;
    }
    e->source = own ? FROM_FILE : FROM_PARENT;
    e->bytes = MIN(e->bytes, (int64_t)(n * image->sector_size));
    return 0;
}

static int find_extent(BlockNode *node, int64_t offset, int64_t bytes, Extent *e)
{
    VhdxImage *image = node->opaque;
    uint32_t in_block = offset % image->block_size;
    uint64_t entry;
    int ret = vhdx_bat_get(node, offset / image->block_size, &entry);

    if (ret < 0) {
        return ret;
    }
    *e = (Extent){ FROM_ZERO, MIN(bytes, image->block_size - in_block),
                   VHDX_ENTRY_OFFSET(entry) + in_block };
    switch (entry & VHDX_STATE_MASK) {
    case VHDX_NOT_PRESENT:
        e->source = image->has_parent ? FROM_PARENT : FROM_ZERO;
        break;
    case VHDX_FULLY_PRESENT:
        e->source = FROM_FILE;
        break;
    case VHDX_PARTIALLY_PRESENT:
        return find_in_bitmap(node, offset, e);
    }
    return 0;
}

/* ---- Requests ---- */

static int read_parent(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset)
{
    VhdxImage *image = node->opaque;

    if (image->parent_is_wrong) {
        return -EIO;
    }
    if (!node->backing) {
        iov_memset(vec->iov, vec->n, vec_offset, 0, bytes);
        return 0;
    }
    return block_preadv(node->backing, offset, bytes, vec, vec_offset, 0);
}

static int vhdx_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    while (bytes > 0) {
        Extent e;
        int ret = find_extent(node, offset, bytes, &e);

        if (ret >= 0 && e.source == FROM_FILE) {
            ret = vhdx_readv(node, e.at, e.bytes, vec, vec_offset);
        } else if (ret >= 0 && e.source == FROM_PARENT) {
            ret = read_parent(node, offset, e.bytes, vec, vec_offset);
        } else if (ret >= 0) {
            iov_memset(vec->iov, vec->n, vec_offset, 0, e.bytes);
        }
        if (ret < 0) {
            return ret;
        }
        offset += e.bytes;
        bytes -= e.bytes;
        vec_offset += e.bytes;
    }
    return 0;
}

/* Room for a block that reads as zeroes. With the lock held. */
static int make_room(BlockNode *node, int64_t at)
{
    VhdxImage *image = node->opaque;
    BlockTruncate longer = {
        .size = at + image->block_size, .flags = BLOCK_REQ_ZERO_WRITE,
    };
    int ret;

    if (longer.size > image->file_end) {
        ret = block_truncate(node->file, &longer, NULL);
        if (ret < 0) {
            return ret;
        }
    }
    /* Of what a crash has left behind, or of a device. */
    if (at < image->file_end) {
        ret = block_pwrite_zeroes(node->file, at, MIN(image->file_end - at, image->block_size),
                                  BLOCK_REQ_MAY_UNMAP);
        if (ret < 0) {
            return ret;
        }
    }
    image->file_end = MAX(image->file_end, longer.size);
    return 0;
}

int vhdx_allocate_locked(BlockNode *node, uint64_t block)
{
    VhdxImage *image = node->opaque;
    int64_t at = image->next_block;
    uint64_t entry;
    int ret = vhdx_bat_get_locked(node, block, &entry);

    if (ret < 0 || (entry & VHDX_STATE_MASK) == VHDX_FULLY_PRESENT) {
        return ret;
    }
    ret = make_room(node, at);
    if (ret >= 0) {
        ret = vhdx_bat_set(node, block, at | VHDX_FULLY_PRESENT);
    }
    if (ret >= 0) {
        image->next_block += image->block_size;
    }
    return ret;
}

static int allocate(BlockNode *node, uint64_t block)
{
    VhdxImage *image = node->opaque;
    int ret;

    co_mutex_lock(&image->lock);
    ret = vhdx_allocate_locked(node, block);
    co_mutex_unlock(&image->lock);
    return ret;
}

static int write_chunk(BlockNode *node, int64_t offset, int64_t *bytes, const BlockVec *vec,
                       size_t vec_offset)
{
    VhdxImage *image = node->opaque;
    Extent e;
    int ret = find_extent(node, offset, *bytes, &e);

    if (ret >= 0 && e.source != FROM_FILE) {
        ret = allocate(node, offset / image->block_size);
        if (ret >= 0) {
            ret = find_extent(node, offset, *bytes, &e);
        }
    }
    if (ret < 0) {
        return ret;
    }
    *bytes = e.bytes;
    return block_pwritev(node->file, e.at, e.bytes, vec, vec_offset, 0);
}

static int vhdx_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags)
{
    int ret = vhdx_announce_writing(node);

    while (bytes > 0 && ret >= 0) {
        int64_t chunk = bytes;

        ret = write_chunk(node, offset, &chunk, vec, vec_offset);
        offset += chunk;
        bytes -= chunk;
        vec_offset += chunk;
    }
    return ret;
}

typedef int ClearFn(BlockNode *node, int64_t at, int64_t bytes, unsigned flags);

static int zero_in_file(BlockNode *node, int64_t at, int64_t bytes, unsigned flags)
{
    return block_pwrite_zeroes(node->file, at, bytes, flags);
}

static int discard_in_file(BlockNode *node, int64_t at, int64_t bytes, unsigned flags)
{
    return block_pdiscard(node->file, at, bytes);
}

/* What has no place in the file is zero already. */
static int clear(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags, ClearFn *fn)
{
    int ret = vhdx_announce_writing(node);

    while (bytes > 0 && ret >= 0) {
        Extent e;

        ret = find_extent(node, offset, bytes, &e);
        if (ret >= 0 && e.source == FROM_FILE) {
            ret = fn(node, e.at, e.bytes, flags);
        }
        if (ret >= 0) {
            offset += e.bytes;
            bytes -= e.bytes;
        }
    }
    return ret;
}

static int vhdx_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    return clear(node, offset, bytes, flags, zero_in_file);
}

static int vhdx_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    return clear(node, offset, bytes, 0, discard_in_file);
}

static int vhdx_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                             BlockStatus *status)
{
    VhdxImage *image = node->opaque;
    Extent e;
    int ret = find_extent(node, offset, bytes, &e);

    if (ret < 0) {
        return ret;
    }
    if (e.source == FROM_PARENT && image->parent_is_wrong) {
        return -EIO;
    }
    status->bytes = e.bytes;
    if (e.source == FROM_ZERO) {
        status->flags = BLOCK_STATUS_ZERO | (image->has_parent ? BLOCK_STATUS_ALLOCATED : 0);
    } else if (e.source == FROM_PARENT) {
        status->flags = 0;
    } else {
        status->map = e.at;
        status->file = node->file->node;
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_OFFSET_VALID |
                        (image->overlay ? 0 : BLOCK_STATUS_RECURSE);
    }
    return 0;
}

static int vhdx_flush_to_os(BlockNode *node)
{
    VhdxImage *image = node->opaque;
    int ret;

    if (!image->dirty) {
        return 0;
    }
    co_mutex_lock(&image->lock);
    ret = vhdx_bat_commit(node);
    co_mutex_unlock(&image->lock);
    return ret;
}

/* ---- Facts ---- */

static int vhdx_get_info(BlockNode *node, BlockNodeInfo *info)
{
    VhdxImage *image = node->opaque;

    info->cluster_size = image->block_size;
    info->unallocated_reads_zero = true;
    return 0;
}

static bool vhdx_has_zero_init(BlockNode *node)
{
    VhdxImage *image = node->opaque;

    return !image->is_fixed || block_has_zero_init(node->file->node);
}

static void count_fault(void *opaque, uint64_t index, uint64_t entry, const char *fault)
{
    BlockCheckResult *result = opaque;

    fprintf(stderr, "ERROR: BAT entry %" PRIu64 " (0x%" PRIx64 ") %s\n", index, entry, fault);
    result->corruptions++;
}

static int vhdx_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error)
{
    VhdxImage *image = node->opaque;
    uint64_t allocated = 0;
    int ret;

    if (fix) {
        ret = block_flush(node);
        if (ret < 0) {
            return ret;
        }
    }
    co_mutex_lock(&image->lock);
    ret = vhdx_bat_commit(node);
    if (ret >= 0) {
        ret = vhdx_bat_scan(node, count_fault, result, &allocated);
    }
    co_mutex_unlock(&image->lock);
    result->total_clusters = image->blocks;
    result->allocated_clusters = allocated;
    result->image_end_offset = image->next_block;
    if (ret >= 0 && fix && result->corruptions) {
        error_setf(error, "VHDX images cannot be repaired, but for replaying their log");
        return -ENOTSUP;
    }
    return ret;
}

static const BlockChildSpec vhdx_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { NULL },
};

static const BlockDriver vhdx_driver = {
    .name = "vhdx",
    .kind = BLOCKDEV_DRIVER_VHDX,
    .instance_size = sizeof(VhdxImage),
    .is_format = true,
    .supports_backing = true,
    .only_reads_backing = true,
    .children = vhdx_children,
    .probe = vhdx_probe,
    .open = vhdx_open,
    .close = vhdx_close,
    .reopen_prepare = vhdx_reopen_prepare,
    .backing_changed = vhdx_backing_changed,
    .refresh_limits = vhdx_refresh_limits,
    .preadv = vhdx_preadv,
    .pwritev = vhdx_pwritev,
    .pwrite_zeroes = vhdx_pwrite_zeroes,
    .pdiscard = vhdx_pdiscard,
    .block_status = vhdx_block_status,
    .peek = block_peek_by_status,
    .flush_to_os = vhdx_flush_to_os,
    .truncate = vhdx_truncate,
    .get_info = vhdx_get_info,
    .has_zero_init = vhdx_has_zero_init,
    .check = vhdx_check,
    .create_options = vhdx_create_options,
    .create = vhdx_create,
};
BLOCK_DRIVER(vhdx_driver);
