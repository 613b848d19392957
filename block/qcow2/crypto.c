/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of encrypted images: LUKS keeps them in clusters of its own, AES nowhere. */
#include "block/qcow2/crypto.h"

#include <errno.h>
#include <inttypes.h>

#include "util/error.h"

static bool in_header(const Qcow2 *q, uint64_t offset, size_t len, GError **error)
{
    if (!range_ok(offset, len, (uint64_t)q->crypto_length)) {
        error_setf(error, "qcow2 encryption header: 0x%zx bytes at 0x%" PRIx64
                   " are outside its 0x%" PRIx64 " bytes", len, offset,
                   (uint64_t)q->crypto_length);
        return false;
    }
    return true;
}

static bool header_read(void *opaque, uint64_t offset, void *buf, size_t len, GError **error)
{
    Qcow2 *q = opaque;
    int ret;

    if (!in_header(q, offset, len, error)) {
        return false;
    }
    ret = block_pread(q->node->file, q->crypto_offset + (int64_t)offset, (int64_t)len, buf);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the qcow2 encryption header");
    }
    return ret >= 0;
}

static bool header_write(void *opaque, uint64_t offset, const void *buf, size_t len,
                         GError **error)
{
    Qcow2 *q = opaque;
    int ret;

    if (!in_header(q, offset, len, error)) {
        return false;
    }
    ret = block_pwrite(q->node->file, q->crypto_offset + (int64_t)offset, (int64_t)len, buf, 0);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the qcow2 encryption header");
    }
    return ret >= 0;
}

/* Clusters for the header, zeroed. The image's header names them when all is written. */
static bool header_init(void *opaque, uint64_t len, GError **error)
{
    Qcow2 *q = opaque;
    int64_t clusters = qcow2_clusters(q, (int64_t)len), offset;
    int ret = 0;

    co_mutex_lock(&q->lock);
    offset = qcow2_alloc(q, clusters, NULL);
    co_mutex_unlock(&q->lock);
    if (offset > 0) {
        ret = block_pwrite_zeroes(q->node->file, offset, clusters << q->cluster_bits, 0);
    }
    if (offset < 0 || ret < 0) {
        error_set_errno(error, (int)-MIN(offset, ret), "Could not allocate the qcow2 encryption "
                        "header");
        return false;
    }
    q->crypto_offset = offset;
    q->crypto_length = (int64_t)len;
    return true;
}

static CryptoBlockIo header_io(Qcow2 *q)
{
    return (CryptoBlockIo) { header_read, header_write, header_init, q };
}

static bool format_fits(const Qcow2 *q, const BlockdevQcow2Encryption *encrypt, GError **error)
{
    bool aes = q->crypt_method == QCOW2_CRYPT_AES;

    if (encrypt && encrypt->format != (aes ? BLOCKDEV_QCOW2_ENCRYPTION_FORMAT_AES
                                           : BLOCKDEV_QCOW2_ENCRYPTION_FORMAT_LUKS)) {
        error_setf(error, "Header reported '%s' encryption format but options specify '%s'",
                   aes ? "aes" : "luks", BlockdevQcow2EncryptionFormat_str(encrypt->format));
        return false;
    }
    return true;
}

bool qcow2_crypto_open(Qcow2 *q, const BlockdevQcow2Encryption *encrypt, unsigned open_flags,
                       GError **error)
{
    QCryptoBlockOpenOptions options = { .format = QCRYPTO_BLOCK_FORMAT_LUKS };
    unsigned flags = open_flags & BLOCK_OPEN_NO_IO ? CRYPTO_BLOCK_NO_IO : 0;
    CryptoBlockIo io = header_io(q);

    if (!q->crypt_method) {
        if (encrypt) {
            error_setf(error, "No encryption in image header, but options specified format '%s'",
                       BlockdevQcow2EncryptionFormat_str(encrypt->format));
        }
        return !encrypt;
    }
    if (!format_fits(q, encrypt, error)) {
        return false;
    }
    if (q->crypt_method == QCOW2_CRYPT_AES) {
        options.format = QCRYPTO_BLOCK_FORMAT_QCOW;
        options.u.qcow.key_secret = encrypt ? encrypt->u.aes.key_secret : NULL;
    } else {
        options.u.luks.key_secret = encrypt ? encrypt->u.luks.key_secret : NULL;
    }
    q->crypto = crypto_block_open(&options, "encrypt.", &io, flags, error);
    return q->crypto;
}

bool qcow2_crypto_create(Qcow2 *q, const QCryptoBlockCreateOptions *options, GError **error)
{
    CryptoBlockIo io = header_io(q);
    int ret;

    q->crypto = crypto_block_create(options, "encrypt.", &io, error);
    if (!q->crypto) {
        return false;
    }
    q->crypt_method = options->format == QCRYPTO_BLOCK_FORMAT_QCOW ? QCOW2_CRYPT_AES
                                                                    : QCOW2_CRYPT_LUKS;
    ret = qcow2_write_refcounts(q);
    ret = ret < 0 ? ret : qcow2_barrier(q);
    ret = ret < 0 ? ret : qcow2_header_write(q);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the qcow2 header");
    }
    return ret >= 0;
}

bool qcow2_crypto_amend(Qcow2 *q, const QCryptoBlockAmendOptions *options, bool force,
                        GError **error)
{
    CryptoBlockIo io = header_io(q);

    if (q->crypt_method != QCOW2_CRYPT_LUKS) {
        error_setf(error, "Only LUKS encryption options can be amended for qcow2 with the "
                   "'encrypt' options, and this image has none");
        return false;
    }
    return crypto_block_amend(q->crypto, options, "encrypt.", &io, force, error);
}
