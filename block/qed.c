/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QED, for reading. Little-endian.
 *
 *   header (64 bytes, in header_size clusters); backing file's name; L1 table; L2 tables, clusters
 *
 * Both kinds of table are table_size clusters of 64-bit offsets. 0 is what was never written, 1 in
 * an L2 table a cluster of zeroes. An image that was not closed (NEED_CHECK) may have leaks and
 * half-done changes, which do not matter for reading what was written before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "block/extent.h"
#include "util/bitmap.h"
#include "util/bits.h"
#include "util/error.h"

#define HEADER_SIZE 64
#define MAGIC 0x00444551
#define ZERO_CLUSTER 1

enum {
    H_MAGIC = 0, H_CLUSTER = 4, H_TABLE = 8, H_HEADER = 12, H_FEATURES = 16, H_L1 = 40,
    H_SIZE = 48, H_BACKING = 56, H_BACKING_SIZE = 60,
};
enum { F_BACKING = 1, F_NEED_CHECK = 2, F_BACKING_RAW = 4, F_ALL = 7 };

typedef struct QedImage {
    ExtentImage image;
    uint64_t features;
    int64_t cluster, entries; /* bytes; in a table */
    int64_t l1, header_clusters;
} QedImage;

static int qed_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= HEADER_SIZE && ldl_le(buf + H_MAGIC) == MAGIC ? 100 : 0;
}

static int read_entry(BlockNode *node, uint64_t table, int64_t index, uint64_t *entry)
{
    QedImage *q = node->opaque;
    int ret;

    /* Tables and clusters stand on whole clusters. */
    if (table > (uint64_t)BLOCK_MAX_LENGTH || table % (uint64_t)q->cluster) {
        return -EIO;
    }
    ret = extent_entry(node, (int64_t)table + 8 * index, entry, sizeof(*entry));
    *entry = ret < 0 ? 0 : le64toh(*entry);
    return ret;
}

static int qed_map(BlockNode *node, int64_t offset, Extent *extent)
{
    QedImage *q = node->opaque;
    int64_t index = offset / q->cluster, in_cluster = offset % q->cluster;
    uint64_t entry = 0;
    int ret = read_entry(node, (uint64_t)q->l1, index / q->entries, &entry);

    extent->bytes = q->cluster - in_cluster;
    if (ret >= 0 && entry) {
        ret = read_entry(node, entry, index % q->entries, &entry);
    }
    if (ret < 0 || !entry) {
        return ret;
    }
    if (entry == ZERO_CLUSTER) {
        extent->kind = EXTENT_ZERO;
        return 0;
    }
    if (entry % (uint64_t)q->cluster || entry > (uint64_t)BLOCK_MAX_LENGTH) {
        return -EIO;
    }
    extent->kind = EXTENT_DATA;
    extent->at = (int64_t)entry + in_cluster;
    return 0;
}

static bool is_power_of_two(uint32_t n, uint32_t min, uint32_t max)
{
    return n >= min && n <= max && (n & (n - 1)) == 0;
}

static bool take_header(BlockNode *node, const uint8_t *h, GError **error)
{
    QedImage *q = node->opaque;
    uint32_t cluster = ldl_le(h + H_CLUSTER), table = ldl_le(h + H_TABLE);
    uint64_t size = ldq_le(h + H_SIZE), l1 = ldq_le(h + H_L1);

    q->features = ldq_le(h + H_FEATURES);
    if (!qed_probe(h, HEADER_SIZE, NULL)) {
        error_setf(error, "Image not in QED format");
    } else if (q->features & ~(uint64_t)F_ALL) {
        error_setf(error, "Unsupported QED features: %" PRIx64, q->features & ~(uint64_t)F_ALL);
    } else if (!is_power_of_two(cluster, 4096, 64 << 20)) {
        error_setf(error, "QED header: invalid cluster size %" PRIu32, cluster);
    } else if (!is_power_of_two(table, 1, 16)) {
        error_setf(error, "QED header: invalid table size %" PRIu32, table);
    } else if (l1 == 0 || l1 % cluster || !range_ok(l1, (uint64_t)cluster * table,
                                         (uint64_t)q->image.file_size)) {
        error_setf(error, "QED header: the L1 table at %" PRIu64 " is beyond the end of the file "
                   "or not aligned", l1);
    } else {
        q->cluster = cluster;
        q->entries = (int64_t)cluster * table / 8;
        q->l1 = (int64_t)l1;
        q->header_clusters = ldl_le(h + H_HEADER);
        node->size = (int64_t)size;
        if (size <= (uint64_t)BLOCK_MAX_LENGTH && size % BLOCK_SECTOR == 0 &&
            (size == 0 || (int64_t)(size - 1) / q->cluster / q->entries < q->entries)) {
            return true;
        }
        error_setf(error, "QED header: invalid image size %" PRIu64, size);
    }
    return false;
}

static bool take_backing(BlockNode *node, const uint8_t *h, GError **error)
{
    QedImage *q = node->opaque;
    uint64_t header_bytes = ldl_le(h + H_HEADER) * (uint64_t)q->cluster;
    uint32_t at = ldl_le(h + H_BACKING), len = ldl_le(h + H_BACKING_SIZE);

    if (!(q->features & F_BACKING)) {
        return true;
    }
    if (!range_ok(at, len, header_bytes)) {
        error_setf(error, "QED header: the backing file name (%" PRIu32 " bytes at %" PRIu32
                   ") is not inside the header", len, at);
        return false;
    }
    if (!extent_read_backing(node, at, len, "QED", error)) {
        return false;
    }
    if (node->header_backing_file && (q->features & F_BACKING_RAW)) {
        node->header_backing_format = g_strdup("raw");
    }
    return true;
}

static bool qed_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    uint8_t header[HEADER_SIZE];

    if (!extent_open(node, qed_map, error)) {
        return false;
    }
    if (!extent_read_header(node, 0, sizeof(header), header, "QED header", error) ||
        !take_header(node, header, error) || !take_backing(node, header, error)) {
        extent_close(node);
        return false;
    }
    return true;
}

static int qed_get_info(BlockNode *node, BlockNodeInfo *info)
{
    QedImage *q = node->opaque;

    info->cluster_size = q->cluster;
    info->is_dirty = q->features & F_NEED_CHECK;
    return 0;
}

/* ---- Checking ---- */

static int64_t table_clusters(const QedImage *q)
{
    return q->entries * 8 / q->cluster;
}

static void complain(BlockCheckResult *result, const char *what, int64_t index, const char *why)
{
    fprintf(stderr, "ERROR: %s %" PRId64 ": %s\n", what, index, why);
    result->corruptions++;
}

static int check_table(BlockNode *node, ExtentUse *use, uint64_t table, int64_t first,
                       BlockCheckResult *result)
{
    QedImage *q = node->opaque;
    int64_t last = DIV_ROUND_UP(node->size, q->cluster);

    for (int64_t i = 0; i < q->entries && first + i < last; i++) {
        uint64_t entry;
        int ret = read_entry(node, table, i, &entry);

        if (ret < 0) {
            return ret;
        }
        if (entry == 0 || entry == ZERO_CLUSTER) {
            continue;
        }
        if (entry % (uint64_t)q->cluster) {
            complain(result, "entry of cluster", first + i, "it is not aligned");
        } else {
            extent_use_data(use, (int64_t)(entry / (uint64_t)q->cluster), first + i, result);
        }
    }
    return 0;
}

static int check_tables(BlockNode *node, ExtentUse *use, BlockCheckResult *result)
{
    QedImage *q = node->opaque;
    int64_t n = DIV_ROUND_UP(DIV_ROUND_UP(node->size, q->cluster), q->entries);

    for (int64_t i = 0; i < n; i++) {
        const char *why = "it is not aligned";
        uint64_t entry;
        int ret = read_entry(node, (uint64_t)q->l1, i, &entry);

        if (ret >= 0 && entry) {
            if (entry % (uint64_t)q->cluster ||
                !extent_use_claim(use, (int64_t)(entry / (uint64_t)q->cluster), table_clusters(q),
                                  &why)) {
                complain(result, "entry of table", i, why);
            } else {
                ret = check_table(node, use, entry, i * q->entries, result);
            }
        }
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static int qed_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error)
{
    QedImage *q = node->opaque;
    const char *why;
    ExtentUse use;
    int ret;

    if (fix) {
        error_setf(error, "QED images cannot be repaired");
        return -ENOTSUP;
    }
    ret = extent_use_init(&use, q->image.file_size, q->cluster);
    if (ret < 0) {
        return ret;
    }
    if (!extent_use_claim(&use, 0, q->header_clusters, &why) ||
        !extent_use_claim(&use, q->l1 / q->cluster, table_clusters(q), &why)) {
        complain(result, "header or L1 table at cluster", q->l1 / q->cluster, why);
    }
    ret = check_tables(node, &use, result);
    for (int64_t i = 0; ret >= 0 && i < q->image.file_size / q->cluster; i++) {
        result->leaks += !bitmap_test(use.units, (size_t)i);
    }
    result->total_clusters = DIV_ROUND_UP(node->size, q->cluster);
    extent_use_cleanup(&use);
    return ret;
}

static const BlockDriver qed_driver = {
    .name = "qed",
    .kind = BLOCKDEV_DRIVER_QED,
    .instance_size = sizeof(QedImage),
    .is_format = true,
    .supports_backing = true,
    .only_reads_backing = true,
    .children = extent_cow_children,
    .probe = qed_probe,
    .open = qed_open,
    .close = extent_close,
    .preadv = extent_preadv,
    .block_status = extent_block_status,
    .get_info = qed_get_info,
    .check = qed_check,
};
BLOCK_DRIVER(qed_driver);
