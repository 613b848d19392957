/* SPDX-License-Identifier: Apache-2.0 */
#include "block/extent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/io.h"
#include "util/bitmap.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/thread-pool.h"

#define MAX_BACKING_NAME 1023
#define CRYPT_PIECE ((int64_t)MiB)
/* 1 MiB of memory. */
#define TABLE_WINDOWS 16

const BlockChildSpec extent_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { NULL },
};

const BlockChildSpec extent_cow_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { "backing", BLOCK_ROLE_COW },
    { NULL },
};

/* ---- Life ---- */

bool extent_open(BlockNode *node, int (*map)(BlockNode *node, int64_t offset, Extent *extent),
                 GError **error)
{
    ExtentImage *image = node->opaque;
    int64_t size = block_getlength(node->file->node);

    if (size < 0) {
        error_set_errno(error, (int)-size, "Could not get the file's size");
        return false;
    }
    image->map = map;
    image->file_size = size;
    image->unit_at = -1;
    file_windows_init(&image->tables, node, TABLE_WINDOWS);
    co_mutex_init(&image->lock);
    return true;
}

void extent_close(BlockNode *node)
{
    ExtentImage *image = node->opaque;

    file_windows_cleanup(&image->tables);
    g_free(image->unit);
    crypto_block_free(image->crypto);
    co_mutex_cleanup(&image->lock);
}

bool extent_read_header(BlockNode *node, int64_t offset, size_t bytes, void *buf, const char *what,
                        GError **error)
{
    ExtentImage *image = node->opaque;
    int ret;

    if (offset < 0 || !range_ok((uint64_t)offset, bytes, (uint64_t)image->file_size)) {
        error_setf(error, "%s: %zu bytes at %" PRId64 " are beyond the end of the file", what,
                   bytes, offset);
        return false;
    }
    ret = block_pread(node->file, offset, (int64_t)bytes, buf);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the %s at %" PRId64, what, offset);
    }
    return ret >= 0;
}

bool extent_read_backing(BlockNode *node, uint64_t offset, uint64_t len, const char *format_name,
                         GError **error)
{
    g_autofree char *name = NULL;
    g_autofree char *what = g_strdup_printf("%s backing file name", format_name);

    if (len == 0) {
        return true;
    }
    if (len > MAX_BACKING_NAME || offset > INT64_MAX) {
        error_setf(error, "%s: %" PRIu64 " bytes at %" PRIu64 " are not possible (at most %d "
                   "bytes)", what, len, offset, MAX_BACKING_NAME);
        return false;
    }
    name = g_malloc0(len + 1);
    if (!extent_read_header(node, (int64_t)offset, len, name, what, error)) {
        return false;
    }
    node->header_backing_file = g_steal_pointer(&name);
    return true;
}

/* ---- Tables ---- */

int extent_entry(BlockNode *node, int64_t offset, void *entry, size_t bytes)
{
    ExtentImage *image = node->opaque;

    if (offset < 0 || !range_ok((uint64_t)offset, bytes, (uint64_t)image->file_size)) {
        return -EIO;
    }
    return file_windows_read(&image->tables, offset, entry, bytes);
}

/* ---- Packed units ---- */

typedef struct Unpack {
    const Extent *extent;
    bool *reported;      /* that the method cannot be had */
    void *dst;
    const void *src;
} Unpack;

static int unpack_work(void *opaque)
{
    const Unpack *unpack = opaque;
    size_t bytes = (size_t)unpack->extent->unit_bytes;
    g_autoptr(GError) error = NULL;
    const Codec *codec = codec_load(unpack->extent->method, &error);
    ssize_t ret;
    void *state;

    if (!codec) {
        if (!*unpack->reported) {
            error_report("%s", error->message);
        }
        *unpack->reported = true;
        return -ENOTSUP;
    }
    state = codec->state_new();
    ret = codec->decompress(state, unpack->dst, bytes, unpack->src,
                            (size_t)unpack->extent->packed_bytes);
    codec->state_free(state);
    return ret == (ssize_t)bytes ? 0 : (int)MIN(ret, -EIO);
}

static int unpack_unit(BlockNode *node, const Extent *extent)
{
    ExtentImage *image = node->opaque;
    g_autofree uint8_t *packed = g_try_malloc((size_t)extent->packed_bytes);
    Unpack unpack = { .extent = extent, .reported = &image->reported, .src = packed };
    int ret;

    image->unit_at = -1;
    if (image->unit_capacity < extent->unit_bytes) {
        g_free(image->unit);
        image->unit = g_try_malloc((size_t)extent->unit_bytes);
        image->unit_capacity = image->unit ? extent->unit_bytes : 0;
    }
    if (!packed || !image->unit) {
        return -ENOMEM;
    }
    ret = block_pread(node->file, extent->at, extent->packed_bytes, packed);
    if (ret < 0) {
        return ret;
    }
    unpack.dst = image->unit;
    ret = thread_pool_run(unpack_work, &unpack);
    if (ret >= 0) {
        image->unit_at = extent->at;
        image->unit_len = extent->unit_bytes;
    }
    return ret;
}

static int read_packed(BlockNode *node, const Extent *extent, int64_t offset, int64_t bytes,
                       const BlockVec *vec, size_t vec_offset)
{
    ExtentImage *image = node->opaque;
    int ret = 0;

    if (extent->unit_bytes <= 0 || extent->unit_bytes > EXTENT_MAX_UNIT ||
        extent->packed_bytes <= 0 || extent->packed_bytes > EXTENT_MAX_UNIT ||
        offset < extent->unit_start || offset + bytes > extent->unit_start + extent->unit_bytes ||
        extent->at < 0 || extent->at > image->file_size) {
        return -EIO;
    }
    co_mutex_lock(&image->lock);
    if (image->unit_at != extent->at || image->unit_len != extent->unit_bytes) {
        ret = unpack_unit(node, extent);
    }
    if (ret >= 0) {
        iov_from_buf(vec->iov, vec->n, vec_offset, image->unit + (offset - extent->unit_start),
                     (size_t)bytes);
    }
    co_mutex_unlock(&image->lock);
    return ret;
}

/* ---- Checking ---- */

#define MAX_UNITS (128 * (int64_t)MiB)

int extent_use_init(ExtentUse *use, int64_t file_size, int64_t unit_bytes)
{
    use->n_units = DIV_ROUND_UP(file_size, unit_bytes);
    use->last = -1;
    if (use->n_units > MAX_UNITS) {
        return -EFBIG;
    }
    use->units = bitmap_new((size_t)MAX(use->n_units, 1));
    return 0;
}

void extent_use_cleanup(ExtentUse *use)
{
    g_free(use->units);
}

bool extent_use_claim(ExtentUse *use, int64_t first, int64_t count, const char **why)
{
    if (first < 0 || first >= use->n_units || count > use->n_units - first) {
        *why = "beyond the end of the file";
        return false;
    }
    for (int64_t i = first; i < first + count; i++) {
        if (bitmap_test(use->units, (size_t)i)) {
            *why = "in use already";
            return false;
        }
    }
    bitmap_set_range(use->units, (size_t)first, (size_t)count);
    return true;
}

void extent_use_data(ExtentUse *use, int64_t unit, int64_t entry, BlockCheckResult *result)
{
    const char *why;

    if (!extent_use_claim(use, unit, 1, &why)) {
        fprintf(stderr, "ERROR: entry %" PRId64 " points to cluster %" PRId64 " of the file, %s\n",
                entry, unit, why);
        result->corruptions++;
    }
    result->allocated_clusters++;
    result->fragmented_clusters += use->last >= 0 && unit != use->last + 1;
    use->last = unit;
}

/* ---- Requests ---- */

static int read_encrypted(BlockNode *node, int64_t at, int64_t offset, int64_t bytes,
                          const BlockVec *vec, size_t vec_offset)
{
    ExtentImage *image = node->opaque;
    uint8_t *bounce = block_alloc(node->file->node, (size_t)MIN(bytes, CRYPT_PIECE));
    int ret = bounce ? 0 : -ENOMEM;

    for (int64_t done = 0, n; done < bytes && ret >= 0; done += n) {
        n = MIN(bytes - done, CRYPT_PIECE);
        ret = block_pread(node->file, at + done, n, bounce);
        if (ret >= 0) {
            crypto_block_decrypt(image->crypto, (uint64_t)(offset + done), bounce, bounce,
                                 (size_t)n);
            iov_from_buf(vec->iov, vec->n, vec_offset + (size_t)done, bounce, (size_t)n);
        }
    }
    free(bounce);
    return ret;
}

static int read_extent(BlockNode *node, const Extent *extent, int64_t offset, int64_t bytes,
                       const BlockVec *vec, size_t vec_offset)
{
    ExtentImage *image = node->opaque;

    if (extent->kind == EXTENT_ABSENT && node->backing) {
        return block_preadv(node->backing, offset, bytes, vec, vec_offset, 0);
    }
    if (extent->kind == EXTENT_PACKED) {
        return read_packed(node, extent, offset, bytes, vec, vec_offset);
    }
    if (extent->kind != EXTENT_DATA) {
        iov_memset(vec->iov, vec->n, vec_offset, 0, (size_t)bytes);
        return 0;
    }
    if (extent->at < 0 || extent->at > BLOCK_MAX_LENGTH - bytes) {
        return -EIO;
    }
    return image->crypto
        ? read_encrypted(node, extent->at, offset, bytes, vec, vec_offset)
        : block_preadv(node->file, extent->at, bytes, vec, vec_offset, 0);
}

int extent_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags)
{
    ExtentImage *image = node->opaque;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        Extent extent = { 0 };
        int64_t n;

        ret = image->map(node, offset, &extent);
        n = MIN(bytes, extent.bytes);
        if (ret >= 0) {
            ret = n > 0 ? read_extent(node, &extent, offset, n, vec, vec_offset) : -EIO;
        }
        offset += n;
        bytes -= n;
        vec_offset += (size_t)n;
    }
    return MIN(ret, 0);
}

int extent_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                        BlockStatus *status)
{
    ExtentImage *image = node->opaque;
    Extent extent = { 0 };
    int ret = image->map(node, offset, &extent);

    if (ret < 0 || extent.bytes <= 0) {
        return ret < 0 ? ret : -EIO;
    }
    status->bytes = MIN(bytes, extent.bytes);
    switch (extent.kind) {
    case EXTENT_ABSENT:
        status->flags = node->driver->supports_backing ? 0 : BLOCK_STATUS_ZERO;
        break;
    case EXTENT_ZERO:
        status->flags = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED;
        break;
    case EXTENT_PACKED:
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_COMPRESSED;
        break;
    case EXTENT_DATA:
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED;
        if (!image->crypto && extent.at >= 0 && extent.at <= image->file_size) {
            status->flags |= BLOCK_STATUS_OFFSET_VALID;
            status->map = extent.at;
            status->file = node->file->node;
        }
        break;
    }
    return 0;
}
