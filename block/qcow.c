/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first version of qcow, for reading. Big-endian.
 *
 *   header (48 bytes); backing file's name; L1 table; L2 tables and clusters anywhere
 *
 * Entries of both tables are 64-bit offsets in the file, 0 for what was never written. If an L2
 * entry's highest bit is set, the cluster is compressed: the next cluster_bits bits are the length
 * of a deflate stream, the rest is its place. Encrypted clusters (crypto/block-qcow.c) are
 * encrypted by the guest's sector; compressed ones are not encrypted.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/extent.h"
#include "util/bits.h"
#include "util/error.h"

#define HEADER_SIZE 48
#define MAGIC 0x514649fb
#define VERSION 1
#define COMPRESSED (1ULL << 63)

enum {
    H_MAGIC = 0, H_VERSION = 4, H_BACKING = 8, H_BACKING_SIZE = 16, H_SIZE = 24,
    H_CLUSTER_BITS = 32, H_L2_BITS = 33, H_CRYPT = 36, H_L1 = 40,
};
enum { CRYPT_NONE, CRYPT_AES };

typedef struct QcowImage {
    ExtentImage image;
    unsigned cluster_bits, l2_bits;
    int64_t l1;
} QcowImage;

static int qcow_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= HEADER_SIZE && ldl_be(buf + H_MAGIC) == MAGIC &&
           ldl_be(buf + H_VERSION) == VERSION ? 100 : 0;
}

static int read_entry(BlockNode *node, uint64_t table, uint64_t index, uint64_t *entry)
{
    int ret = table > (uint64_t)BLOCK_MAX_LENGTH
                  ? -EIO : extent_entry(node, (int64_t)(table + 8 * index), entry, sizeof(*entry));

    *entry = ret < 0 ? 0 : be64toh(*entry);
    return ret;
}

static void compressed_extent(const QcowImage *q, int64_t offset, uint64_t entry, Extent *extent)
{
    int64_t cluster = (int64_t)1 << q->cluster_bits;

    extent->kind = EXTENT_PACKED;
    extent->at = (int64_t)(entry & ((1ULL << (63 - q->cluster_bits)) - 1));
    extent->packed_bytes = (int64_t)(entry >> (63 - q->cluster_bits)) & (cluster - 1);
    extent->unit_start = offset & ~(cluster - 1);
    extent->unit_bytes = cluster;
    extent->method = CODEC_DEFLATE;
}

static int qcow_map(BlockNode *node, int64_t offset, Extent *extent)
{
    QcowImage *q = node->opaque;
    int64_t cluster = (int64_t)1 << q->cluster_bits;
    uint64_t index = (uint64_t)offset >> q->cluster_bits, entry = 0;
    int ret = read_entry(node, (uint64_t)q->l1, index >> q->l2_bits, &entry);

    extent->bytes = cluster - (offset & (cluster - 1));
    if (ret >= 0 && entry) {
        ret = read_entry(node, entry, index & ((1u << q->l2_bits) - 1), &entry);
    }
    if (ret < 0 || !entry) {
        return ret;
    }
    if (entry & COMPRESSED) {
        compressed_extent(q, offset, entry, extent);
    } else if (entry > (uint64_t)BLOCK_MAX_LENGTH) {
        return -EIO;
    } else {
        extent->kind = EXTENT_DATA;
        extent->at = (int64_t)(entry + ((uint64_t)offset & ((uint64_t)cluster - 1)));
    }
    return 0;
}

static bool take_geometry(BlockNode *node, const uint8_t *h, GError **error)
{
    QcowImage *q = node->opaque;
    uint64_t size = ldq_be(h + H_SIZE), l1 = ldq_be(h + H_L1), entries;

    q->cluster_bits = h[H_CLUSTER_BITS];
    q->l2_bits = h[H_L2_BITS];
    if (q->cluster_bits < 9 || q->cluster_bits > 16) {
        error_setf(error, "qcow header: cluster size must be between 512 and 64k");
    } else if (q->l2_bits < 6 || q->l2_bits > 13) {
        error_setf(error, "qcow header: L2 table size must be between 512 and 64k");
    } else if (size == 0 || size > (uint64_t)BLOCK_MAX_LENGTH) {
        error_setf(error, "qcow header: image size %" PRIu64 " is not possible", size);
    } else {
        entries = ((size - 1) >> (q->cluster_bits + q->l2_bits)) + 1;
        if (range_ok(l1, 8 * entries, (uint64_t)q->image.file_size)) {
            q->l1 = (int64_t)l1;
            node->size = (int64_t)size;
            return true;
        }
        error_setf(error, "qcow header: the L1 table, %" PRIu64 " entries at %" PRIu64
                   ", is beyond the end of the file", entries, l1);
    }
    return false;
}

static bool take_encryption(BlockNode *node, const uint8_t *h, const BlockdevQcowEncryption *given,
                            unsigned flags, GError **error)
{
    QcowImage *q = node->opaque;
    QCryptoBlockOpenOptions options = {
        .format = QCRYPTO_BLOCK_FORMAT_QCOW,
        .u.qcow.key_secret = given ? given->u.aes.key_secret : NULL,
    };
    uint32_t method = ldl_be(h + H_CRYPT);

    if (method == CRYPT_NONE) {
        if (given) {
            error_setf(error, "No encryption in image header, but options specified format 'aes'");
        }
        return !given;
    }
    if (method != CRYPT_AES) {
        error_setf(error, "qcow header: encryption method %" PRIu32 " is not known", method);
        return false;
    }
    q->image.crypto = crypto_block_open(&options, "encrypt.", NULL,
                                        flags & BLOCK_OPEN_NO_IO ? CRYPTO_BLOCK_NO_IO : 0, error);
    return q->image.crypto;
}

static bool read_all(BlockNode *node, const BlockdevQcowEncryption *encrypt, unsigned flags,
                     GError **error)
{
    uint8_t h[HEADER_SIZE];

    if (!extent_read_header(node, 0, sizeof(h), h, "qcow header", error)) {
        return false;
    }
    if (!qcow_probe(h, sizeof(h), NULL)) {
        error_setf(error, "Image not in qcow format");
        return false;
    }
    return take_geometry(node, h, error) && take_encryption(node, h, encrypt, flags, error) &&
           (ldq_be(h + H_BACKING) == 0 ||
            extent_read_backing(node, ldq_be(h + H_BACKING), ldl_be(h + H_BACKING_SIZE), "qcow",
                                error));
}

static bool qcow_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error)
{
    if (!extent_open(node, qcow_map, error)) {
        return false;
    }
    if (!read_all(node, options->u.qcow.encrypt, flags, error)) {
        extent_close(node);
        return false;
    }
    return true;
}

static void qcow_refresh_limits(BlockNode *node)
{
    QcowImage *q = node->opaque;

    if (q->image.crypto) {
        node->limits.request_alignment = CRYPTO_BLOCK_SECTOR;
    }
}

static int qcow_get_info(BlockNode *node, BlockNodeInfo *info)
{
    QcowImage *q = node->opaque;

    info->cluster_size = (int64_t)1 << q->cluster_bits;
    info->is_encrypted = q->image.crypto;
    return 0;
}

static const char *const qcow_strong_options[] = { "encrypt.key-secret", NULL };

static const BlockDriver qcow_driver = {
    .name = "qcow",
    .kind = BLOCKDEV_DRIVER_QCOW,
    .instance_size = sizeof(QcowImage),
    .is_format = true,
    .supports_backing = true,
    .only_reads_backing = true,
    .children = extent_cow_children,
    .strong_options = qcow_strong_options,
    .probe = qcow_probe,
    .open = qcow_open,
    .close = extent_close,
    .refresh_limits = qcow_refresh_limits,
    .preadv = extent_preadv,
    .block_status = extent_block_status,
    .get_info = qcow_get_info,
};
BLOCK_DRIVER(qcow_driver);
