/* SPDX-License-Identifier: Apache-2.0 */
/* How large the file of a new image would be. */
#include <errno.h>
#include <inttypes.h>

#include "block/create.h"
#include "block/qcow2/bitmap.h"
#include "util/error.h"

/* The file's size with so many data clusters, all metadata included. */
static uint64_t file_size(const Qcow2 *q, uint64_t disk_size, uint64_t data_clusters,
                          uint64_t header_bytes)
{
    uint64_t l2_tables = qcow2_l1_entries(q, (int64_t)disk_size);
    uint64_t fixed = 1 + ((l2_tables * 8 + q->cluster_size - 1) >> q->cluster_bits) + l2_tables +
                     ((header_bytes + q->cluster_size - 1) >> q->cluster_bits);
    uint64_t blocks = 0, table = 0, total, old;

    /* Counts count themselves. */
    do {
        old = blocks + table;
        total = fixed + data_clusters + old;
        blocks = (total + (BIT_ULL(q->refblock_bits) - 1)) >> q->refblock_bits;
        table = (blocks * 8 + q->cluster_size - 1) >> q->cluster_bits;
    } while (blocks + table != old);
    return (fixed + data_clusters + blocks + table) << q->cluster_bits;
}

/* Clusters of `in` that are not known to read as zeroes. */
static int64_t clusters_with_data(const Qcow2 *q, BlockNode *in, int64_t size, GError **error)
{
    int64_t count = 0, counted_to = 0;

    for (int64_t at = 0; at < size;) {
        BlockStatus status;
        int ret = block_status_above(in, NULL, false, at, size - at, &status);

        if (ret < 0 || status.bytes <= 0) {
            error_set_errno(error, ret < 0 ? -ret : EIO, "Unable to get block status");
            return -1;
        }
        if ((status.flags & (BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED)) &&
            !(status.flags & BLOCK_STATUS_ZERO)) {
            int64_t from = MAX(qcow2_cluster_start(q, at), counted_to);
            int64_t to = qcow2_cluster_start(q, at + status.bytes + q->cluster_size - 1);

            count += MAX(to - from, 0) >> q->cluster_bits;
            counted_to = MAX(counted_to, to);
        }
        at += status.bytes;
    }
    return count;
}

/* *all: the data is allocated too. */
static bool take_geometry(Qcow2 *q, const json_object *options, bool *all, GError **error)
{
    const BlockdevCreateOptionsQcow2 *o;
    g_autoptr(BlockdevCreateOptions) typed = NULL;
    json_object *copy = NULL, *plain = options
        ? block_options_to_qapi(qcow2_create_options, (json_object *)(uintptr_t)options)
        : json_object_new_object();
    bool ok;

    json_object_deep_copy(plain, &copy, NULL);
    json_object_put(plain);
    json_object_object_add(copy, "driver", json_object_new_string("qcow2"));
    json_object_object_add(copy, "file", json_object_new_string(""));
    /* Nothing is made: data files stay names. */
    json_object_object_del(copy, "data-file");
    json_object_object_del(copy, "data-file-raw");
    json_object_object_add(copy, "size", json_object_new_string("0"));
    ok = qcow2_translate_create_options(copy, error) &&
         BlockdevCreateOptions_from_json(copy, QAPI_KEYVAL, &typed, error);
    json_object_put(copy);
    if (!ok) {
        return false;
    }
    o = &typed->u.qcow2;
    if (!qcow2_take_options(q, o, error)) {
        return false;
    }
    q->crypto_length = 0;
    if (o->encrypt) {
        uint64_t len;

        if (!crypto_block_measure(o->encrypt, &len, error)) {
            return false;
        }
        q->crypto_length = (int64_t)len;
    }
    *all = o->has_preallocation && o->preallocation != PREALLOC_MODE_OFF &&
           o->preallocation != PREALLOC_MODE_METADATA;
    return true;
}

/* What its persistent bitmaps take, if they are copied. */
static uint64_t bitmaps_size(const Qcow2 *q, BlockNode *in, bool *known)
{
    g_autoptr(GPtrArray) list = NULL;
    uint64_t bytes = 0, directory = 0;

    *known = in && !strcmp(in->driver->name, "qcow2");
    if (!*known) {
        return 0;
    }
    list = qcow2_bitmaps_list(in->opaque, NULL);
    for (guint i = 0; list && i < list->len; i++) {
        const Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);
        const Qcow2 *from = in->opaque;
        uint64_t clusters = (uint64_t)qcow2_clusters(q, qcow2_bitmap_bytes(
            from, bitmap->granularity_bits));

        bytes += (clusters + (uint64_t)qcow2_clusters(q, (int64_t)clusters * 8)) << q->cluster_bits;
        directory += ROUND_UP(QCOW2_BE_HEADER + strlen(bitmap->name), 8);
    }
    return bytes + ((uint64_t)qcow2_clusters(q, (int64_t)directory) << q->cluster_bits);
}

BlockMeasureInfo *qcow2_measure(const json_object *options, BlockNode *in, int64_t size,
                                GError **error)
{
    Qcow2 q = { 0 };
    BlockMeasureInfo *info;
    int64_t used;
    bool all;

    if (!take_geometry(&q, options, &all, error)) {
        return NULL;
    }
    if (in) {
        size = block_getlength(in);
    }
    if (size < 0 || !qcow2_check_size(&q, size, error)) {
        if (size < 0) {
            error_set_errno(error, (int)-size, "Unable to get the image's size");
        }
        return NULL;
    }
    used = all || !in ? (all ? qcow2_clusters(&q, size) : 0)
                      : clusters_with_data(&q, in, size, error);
    if (used < 0) {
        return NULL;
    }
    info = g_new0(BlockMeasureInfo, 1);
    info->fully_allocated = (int64_t)file_size(&q, (uint64_t)size,
                                               (uint64_t)qcow2_clusters(&q, size),
                                               (uint64_t)q.crypto_length);
    /* Metadata is written as if all were allocated. */
    info->required = info->fully_allocated - ((qcow2_clusters(&q, size) - used) << q.cluster_bits);
    info->bitmaps = (int64_t)bitmaps_size(&q, in, &info->has_bitmaps);
    return info;
}
