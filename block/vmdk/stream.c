/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMDK: compressed grains. Each stands behind a marker (its place in the disk and its size), at a
 * whole sector, and is written once:
 *
 *   header  descriptor  grains ...  tables  directory  footer  EOS
 *
 * Tables and directory have markers too, so that all can be read as a stream. They are put behind
 * the grains whenever the image is flushed, and the next grain goes over them. Images of others may
 * have their tables in front; then only grains are appended.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"

/* Grains that one request compresses at once. */
#define BATCH 32u

/* All at once; 0, or the first failure. What is decompressed is filled up with zeroes. */
static int run_jobs(VmdkImage *image, bool compress, CodecJob *jobs, unsigned n, size_t size)
{
    int ret = codec_pool_run(image->codecs, compress, jobs, n);

    for (unsigned i = 0; i < n && ret >= 0; i++) {
        ret = (int)MIN(jobs[i].result, 0);
        if (ret >= 0 && !compress) {
            memset((uint8_t *)jobs[i].dst + jobs[i].result, 0, size - (size_t)jobs[i].result);
        }
    }
    return ret;
}

/* ---- Reading ---- */

/* The grain's marker and data in buf (room bytes) become the grain in out. */
static int unpack(BlockNode *node, const VmdkRun *run, const uint8_t *buf, uint8_t *out)
{
    VmdkImage *image = node->opaque;
    const VmdkExtent *extent = run->extent;
    CodecJob job = {
        .src = buf, .src_size = run->room, .dst = out, .dst_size = extent->grain_size,
    };

    if (extent->markers) {
        job.src = buf + VMDK_GRAIN_MARKER;
        job.src_size = ldl_le(buf + VMDK_MARKER_SIZE);
        if (job.src_size == 0 || job.src_size > (size_t)run->room - VMDK_GRAIN_MARKER) {
            return -EIO;
        }
    }
    return run_jobs(image, false, &job, 1, extent->grain_size);
}

int vmdk_read_compressed(BlockNode *node, const VmdkRun *run, int64_t offset, const BlockVec *vec,
                         size_t vec_offset)
{
    const VmdkExtent *extent = run->extent;
    int64_t in_grain = (offset - extent->start) % extent->grain_size;
    g_autofree uint8_t *buf = g_try_malloc(run->room);
    g_autofree uint8_t *grain = g_try_malloc(extent->grain_size);
    int ret = buf && grain ? 0 : -ENOMEM;

    if (ret >= 0) {
        ret = block_pread(extent->child, run->at, run->room, buf);
    }
    if (ret >= 0) {
        ret = unpack(node, run, buf, grain);
    }
    if (ret >= 0) {
        iov_from_buf(vec->iov, vec->n, vec_offset, grain + in_grain, run->bytes);
    }
    return ret;
}

/* ---- The end of a stream ---- */

static void fill_marker(uint8_t *marker, uint64_t sectors, uint32_t type)
{
    memset(marker, 0, BLOCK_SECTOR);
    stq_le(marker + VMDK_MARKER_VALUE, sectors);
    stl_le(marker + VMDK_MARKER_TYPE, type);
}

static size_t directory_bytes(uint32_t entries)
{
    return ROUND_UP(4 * (size_t)entries, BLOCK_SECTOR);
}

/* Directory, footer and end of stream, with their markers. */
static int write_directory(BlockChild *child, int64_t at, uint8_t *header, uint32_t entries,
                           const uint32_t *directory)
{
    size_t bytes = directory_bytes(entries), size = 4 * BLOCK_SECTOR + bytes;
    g_autofree uint8_t *all = g_try_malloc0(size);
    uint8_t *p = all;

    if (!all) {
        return -ENOMEM;
    }
    fill_marker(p, bytes / BLOCK_SECTOR, VMDK_MARKER_GD);
    p += BLOCK_SECTOR;
    for (uint32_t i = 0; i < entries; i++) {
        stl_le(p + 4 * (size_t)i, directory[i]);
    }
    p += bytes;
    fill_marker(p, 1, VMDK_MARKER_FOOTER);
    p += BLOCK_SECTOR;
    memcpy(p, header, VMDK_HEADER_SIZE);
    stq_le(p + VMDK_GD_AT, at / BLOCK_SECTOR + 1);
    /* The last sector, all zeroes, is the end-of-stream marker. */
    return block_pwrite(child, at, size, all, 0);
}

static int write_one_table(BlockChild *child, int64_t at, const uint32_t *entries)
{
    uint8_t buf[BLOCK_SECTOR + 4 * VMDK_GTES];

    fill_marker(buf, 4 * VMDK_GTES / BLOCK_SECTOR, VMDK_MARKER_GT);
    for (unsigned i = 0; i < VMDK_GTES; i++) {
        stl_le(buf + BLOCK_SECTOR + 4 * i, entries[i]);
    }
    return block_pwrite(child, at, sizeof(buf), buf, 0);
}

int vmdk_write_tail(BlockChild *child, int64_t at, uint8_t *header, uint32_t entries,
                    uint32_t *const *stream)
{
    g_autofree uint32_t *directory = g_try_new0(uint32_t, MAX(entries, 1));
    int ret = directory ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < entries && ret >= 0; i++) {
        if (!stream[i]) {
            continue;
        }
        if (at > (int64_t)(UINT32_MAX - 16) * BLOCK_SECTOR) {
            return -EFBIG;
        }
        directory[i] = at / BLOCK_SECTOR + 1;
        ret = write_one_table(child, at, stream[i]);
        at += BLOCK_SECTOR + 4 * VMDK_GTES;
    }
    return ret < 0 ? ret : write_directory(child, at, header, entries, directory);
}

int vmdk_stream_end(BlockNode *node, VmdkExtent *extent)
{
    uint8_t header[VMDK_HEADER_SIZE];
    int ret;

    if (!extent->stream_is_open) {
        return 0;
    }
    ret = block_pread(extent->child, 0, sizeof(header), header);
    if (ret >= 0) {
        ret = vmdk_write_tail(extent->child, extent->next, header, extent->entries,
                              extent->stream);
    }
    extent->stream_is_open = ret < 0;
    return ret;
}

/* ---- Going on with a stream ---- */

static int copy_tables(BlockNode *node, VmdkExtent *extent, uint32_t **stream, uint32_t *last)
{
    for (uint32_t i = 0; i < extent->entries; i++) {
        const uint32_t *table;
        int ret = vmdk_table_get(node, extent, i, &table);

        if (ret < 0) {
            return ret;
        }
        if (!table) {
            continue;
        }
        stream[i] = g_memdup2(table, 4 * (size_t)extent->gtes);
        for (uint32_t k = 0; k < extent->gtes; k++) {
            *last = MAX(*last, stream[i][k]);
        }
    }
    return 0;
}

static void free_tables(uint32_t **stream, uint32_t entries)
{
    for (uint32_t i = 0; i < entries; i++) {
        g_free(stream[i]);
    }
    g_free(stream);
}

/* Where the last grain ends. */
static int find_end(VmdkExtent *extent, uint32_t last, int64_t *end)
{
    uint8_t marker[VMDK_GRAIN_MARKER];
    int64_t at = last * (int64_t)BLOCK_SECTOR;
    int ret;

    *end = extent->overhead;
    if (!last) {
        return 0;
    }
    ret = block_pread(extent->child, at, sizeof(marker), marker);
    if (ret >= 0) {
        *end = at + ROUND_UP(VMDK_GRAIN_MARKER + (int64_t)ldl_le(marker + VMDK_MARKER_SIZE),
                             BLOCK_SECTOR);
    }
    return ret;
}

/* The tables come into memory, for the next grain takes their place. With the lock. */
static int begin(BlockNode *node, VmdkExtent *extent)
{
    uint32_t **stream;
    uint32_t last = 0, tables = 0;
    int ret;

    if (!extent->tables_at_end || extent->stream) {
        return 0;
    }
    for (uint32_t i = 0; i < extent->entries; i++) {
        tables += extent->directory[i] != 0;
    }
    if (extent->gtes != VMDK_GTES || tables > VMDK_MAX_DIRECTORIES / (4 * VMDK_GTES)) {
        return -EFBIG;
    }
    stream = g_new0(uint32_t *, MAX(extent->entries, 1));
    ret = copy_tables(node, extent, stream, &last);
    if (ret >= 0) {
        ret = find_end(extent, last, &extent->next);
    }
    if (ret < 0) {
        free_tables(stream, extent->entries);
        return ret;
    }
    extent->stream = stream;
    return 0;
}

/* ---- Writing ---- */

typedef struct Packed {
    CodecJob jobs[BATCH];
    uint32_t at[BATCH];     /* sectors from the first one's place */
    unsigned n;
    uint8_t *in;            /* grains; NULL: as they are in the caller's memory */
    uint8_t *out;           /* markers and streams, one after the other's room */
    size_t slot, size;      /* size: of all in the file */
} Packed;

/* The grains one after another as they go to the file. */
static void join(const VmdkExtent *extent, int64_t first, Packed *p)
{
    size_t at = 0;

    for (unsigned i = 0; i < p->n; i++) {
        uint8_t *from = p->out + i * p->slot;
        size_t bytes = VMDK_GRAIN_MARKER + p->jobs[i].result;
        size_t padded = ROUND_UP(bytes, BLOCK_SECTOR);

        if (extent->markers) {
            stq_le(from + VMDK_MARKER_VALUE, (first + i) * (extent->grain_size / BLOCK_SECTOR));
            stl_le(from + VMDK_MARKER_SIZE, p->jobs[i].result);
        } else {
            bytes -= VMDK_GRAIN_MARKER;
            from += VMDK_GRAIN_MARKER;
            padded = ROUND_UP(bytes, BLOCK_SECTOR);
        }
        memmove(p->out + at, from, bytes);
        memset(p->out + at + bytes, 0, padded - bytes);
        p->at[i] = at / BLOCK_SECTOR;
        at += padded;
    }
    p->size = at;
}

/* What is to be compressed, in one piece, the last grain filled up; NULL: no memory. */
static const uint8_t *whole_grains(const VmdkExtent *extent, int64_t bytes, const BlockVec *vec,
                                   size_t vec_offset, Packed *p)
{
    size_t size = p->n * (size_t)extent->grain_size;
    const uint8_t *there = iov_contiguous(vec->iov, vec->n, vec_offset, size);

    if (there && (size_t)bytes == size) {
        return there;
    }
    p->in = g_try_malloc0(size);
    if (p->in) {
        iov_to_buf(vec->iov, vec->n, vec_offset, p->in, bytes);
    }
    return p->in;
}

static int pack(VmdkImage *image, const VmdkExtent *extent, int64_t first, int64_t bytes,
                const BlockVec *vec, size_t vec_offset, Packed *p)
{
    const Codec *codec = codec_pool_codec(image->codecs);
    const uint8_t *grains;
    size_t bound;
    int ret;

    if (!codec) {
        return -ENOTSUP;
    }
    bound = codec->bound(extent->grain_size);
    p->n = DIV_ROUND_UP(bytes, extent->grain_size);
    p->slot = ROUND_UP(VMDK_GRAIN_MARKER + bound, BLOCK_SECTOR);
    p->out = g_try_malloc(p->n * p->slot);
    grains = p->out ? whole_grains(extent, bytes, vec, vec_offset, p) : NULL;
    if (!grains) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < p->n; i++) {
        p->jobs[i] = (CodecJob) {
            .src = grains + i * (size_t)extent->grain_size, .src_size = extent->grain_size,
            .dst = p->out + i * p->slot + VMDK_GRAIN_MARKER, .dst_size = bound,
        };
    }
    ret = run_jobs(image, true, p->jobs, p->n, 0);
    if (ret >= 0) {
        join(extent, first, p);
    }
    return ret;
}

/* With the lock. */
static int are_new(BlockNode *node, VmdkExtent *extent, int64_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const uint32_t *table;
        int64_t grain = first + i;
        int ret = vmdk_table_get(node, extent, grain / extent->gtes, &table);

        if (ret < 0) {
            return ret;
        }
        if (table ? table[grain % extent->gtes] != 0 : !extent->stream) {
            error_report("VMDK '%s': a stream's grain at %" PRId64 " cannot be written again",
                         node->filename, grain * extent->grain_size);
            return -EIO;
        }
    }
    return 0;
}

/* With the lock. */
static int append(BlockNode *node, VmdkExtent *extent, int64_t first, Packed *p)
{
    int64_t at;
    int ret = begin(node, extent);

    if (ret >= 0) {
        ret = are_new(node, extent, first, p->n);
    }
    if (ret < 0) {
        return ret;
    }
    at = ROUND_UP(extent->next, BLOCK_SECTOR);
    if (at + (int64_t)p->size > (int64_t)UINT32_MAX * BLOCK_SECTOR) {
        return -EFBIG;
    }
    extent->stream_is_open = extent->stream != NULL;
    ret = block_pwrite(extent->child, at, p->size, p->out, 0);
    for (unsigned i = 0; i < p->n && ret >= 0; i++) {
        ret = vmdk_table_set(node, extent, first + i, 1, at / BLOCK_SECTOR + p->at[i], 0);
        extent->next = at + p->size;
    }
    return ret;
}

static int write_batch(BlockNode *node, VmdkExtent *extent, int64_t offset, int64_t bytes,
                       const BlockVec *vec, size_t vec_offset)
{
    VmdkImage *image = node->opaque;
    int64_t first = offset / extent->grain_size;
    g_autofree Packed *p = g_new0(Packed, 1);
    int ret = pack(image, extent, first, bytes, vec, vec_offset, p);

    if (ret >= 0) {
        co_mutex_lock(&image->lock);
        ret = append(node, extent, first, p);
        co_mutex_unlock(&image->lock);
    }
    g_free(p->in);
    g_free(p->out);
    return ret;
}

int vmdk_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset)
{
    VmdkImage *image = node->opaque;
    VmdkExtent *extent = image->extents;
    int64_t size = extent->grain_size;
    int ret = 0;

    if (image->n != 1 || !extent->compressed) {
        return -ENOTSUP;
    }
    if (bytes == 0) {
        return vmdk_flush_to_os(node);
    }
    if (offset % size || (bytes % size && offset + bytes != node->size)) {
        return -EINVAL;
    }
    co_mutex_lock(&image->lock);
    ret = vmdk_renew_cid(node);
    co_mutex_unlock(&image->lock);
    while (bytes > 0 && ret >= 0) {
        int64_t part = MIN(bytes, (int64_t)BATCH * size);

        ret = write_batch(node, extent, offset, part, vec, vec_offset);
        offset += part;
        bytes -= part;
        vec_offset += part;
    }
    return ret;
}
