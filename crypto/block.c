/* SPDX-License-Identifier: Apache-2.0 */
/* Image encryption: what does not depend on the format. */
#include "crypto/block.h"

#include "crypto/block-internal.h"
#include "crypto/hash.h"
#include "util/bits.h"
#include "util/error.h"

/* Vectors that are made at a time. */
#define BATCH 32

static const CryptoBlockFormat *const formats[] = {
    [QCRYPTO_BLOCK_FORMAT_QCOW] = &crypto_block_qcow,
    [QCRYPTO_BLOCK_FORMAT_LUKS] = &crypto_block_luks,
};

static CryptoBlock *new_block(QCryptoBlockFormat format)
{
    CryptoBlock *block = g_new0(CryptoBlock, 1);

    block->format = format;
    block->ops = formats[format];
    return block;
}

void crypto_block_free(CryptoBlock *block)
{
    if (block) {
        crypto_cipher_free(block->cipher);
        crypto_ivgen_free(block->ivgen);
        g_free(block->key_secret);
        g_free(block);
    }
}

bool crypto_block_probe(QCryptoBlockFormat format, const void *data, size_t len)
{
    return formats[format]->probe && formats[format]->probe(data, len);
}

CryptoBlock *crypto_block_open(const QCryptoBlockOpenOptions *options, const char *prefix,
                               const CryptoBlockIo *io, unsigned flags, GError **error)
{
    g_autoptr(CryptoBlock) block = new_block(options->format);

    if (!(flags & CRYPTO_BLOCK_NO_IO) && !crypto_hash_load(error)) {
        return NULL;
    }
    if (!block->ops->open(block, options, prefix, io, flags, error)) {
        return NULL;
    }
    return g_steal_pointer(&block);
}

CryptoBlock *crypto_block_create(const QCryptoBlockCreateOptions *options, const char *prefix,
                                 const CryptoBlockIo *io, GError **error)
{
    g_autoptr(CryptoBlock) block = new_block(options->format);

    if (!crypto_hash_load(error) || !block->ops->create(block, options, prefix, io, error)) {
        return NULL;
    }
    return g_steal_pointer(&block);
}

bool crypto_block_measure(const QCryptoBlockCreateOptions *options, uint64_t *header_len,
                          GError **error)
{
    *header_len = 0;
    return !formats[options->format]->measure ||
           formats[options->format]->measure(options, header_len, error);
}

bool crypto_block_amend(CryptoBlock *block, const QCryptoBlockAmendOptions *options,
                        const char *prefix, const CryptoBlockIo *io, bool force, GError **error)
{
    if (options->format != block->format) {
        error_setf(error, "%sformat '%s' is not the image's, which is '%s'", prefix,
                   QCryptoBlockFormat_str(options->format), QCryptoBlockFormat_str(block->format));
        return false;
    }
    if (!block->ops->amend) {
        error_setf(error, "keys of %s encryption cannot be changed",
                   QCryptoBlockFormat_str(block->format));
        return false;
    }
    return crypto_hash_load(error) && block->ops->amend(block, options, prefix, io, force, error);
}

QCryptoBlockInfo *crypto_block_info(const CryptoBlock *block)
{
    QCryptoBlockInfo *info = g_new0(QCryptoBlockInfo, 1);

    info->format = block->format;
    if (block->ops->info) {
        block->ops->info(block, info);
    }
    return info;
}

uint64_t crypto_block_payload_offset(const CryptoBlock *block)
{
    return block->payload_offset;
}

SecretData *crypto_block_secret(const char *id, const char *prefix, const char *name,
                                GError **error)
{
    if (!id) {
        error_setf(error, "an encrypted image needs '%s%s', the id of a secret object", prefix,
                   name);
        return NULL;
    }
    return secret_lookup(id, error);
}

typedef void CryptSectors(const CryptoCipher *cipher, const uint8_t *ivs, const void *in, void *out,
                          size_t len, size_t n);

static void crypt_range(const CryptoBlock *block, CryptSectors *crypt, uint64_t offset,
                        const uint8_t *in, uint8_t *out, size_t len)
{
    uint8_t ivs[BATCH * CRYPTO_MAX_BLOCK];
    uint64_t sector = offset / CRYPTO_BLOCK_SECTOR;
    size_t left = len / CRYPTO_BLOCK_SECTOR;

    g_assert(block->cipher && IS_ALIGNED(offset, CRYPTO_BLOCK_SECTOR) &&
             IS_ALIGNED(len, CRYPTO_BLOCK_SECTOR));
    while (left) {
        size_t now = MIN(left, BATCH);

        crypto_ivgen_vectors(block->ivgen, sector, now, ivs);
        crypt(block->cipher, ivs, in, out, CRYPTO_BLOCK_SECTOR, now);
        sector += now;
        in += now * CRYPTO_BLOCK_SECTOR;
        out += now * CRYPTO_BLOCK_SECTOR;
        left -= now;
    }
}

void crypto_block_encrypt(const CryptoBlock *block, uint64_t offset, const void *in, void *out,
                          size_t len)
{
    crypt_range(block, crypto_cipher_encrypt_sectors, offset, in, out, len);
}

void crypto_block_decrypt(const CryptoBlock *block, uint64_t offset, const void *in, void *out,
                          size_t len)
{
    crypt_range(block, crypto_cipher_decrypt_sectors, offset, in, out, len);
}
