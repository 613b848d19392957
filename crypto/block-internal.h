/* SPDX-License-Identifier: Apache-2.0 */
/* What the formats of image encryption share. */
#ifndef VIREO_CRYPTO_BLOCK_INTERNAL_H
#define VIREO_CRYPTO_BLOCK_INTERNAL_H

#include "crypto/block.h"
#include "crypto/cipher.h"
#include "crypto/ivgen.h"
#include "crypto/luks-header.h"
#include "crypto/secret.h"

typedef struct CryptoBlockFormat {
    bool (*probe)(const void *data, size_t len);
    /* These fill in a zeroed block, which is freed by the caller also after a failure. */
    bool (*open)(CryptoBlock *block, const QCryptoBlockOpenOptions *options, const char *prefix,
                 const CryptoBlockIo *io, unsigned flags, GError **error);
    bool (*create)(CryptoBlock *block, const QCryptoBlockCreateOptions *options,
                   const char *prefix, const CryptoBlockIo *io, GError **error);
    bool (*measure)(const QCryptoBlockCreateOptions *options, uint64_t *header_len,
                    GError **error);
    bool (*amend)(CryptoBlock *block, const QCryptoBlockAmendOptions *options, const char *prefix,
                  const CryptoBlockIo *io, bool force, GError **error);
    void (*info)(const CryptoBlock *block, QCryptoBlockInfo *info); /* NULL: nothing to add */
} CryptoBlockFormat;

struct CryptoBlock {
    const CryptoBlockFormat *ops;
    QCryptoBlockFormat format;
    CryptoCipher *cipher; /* NULL with CRYPTO_BLOCK_NO_IO */
    IvGen *ivgen;
    uint64_t payload_offset;
    LuksHeader luks;
    char *key_secret;     /* what opened it, or NULL */
};

extern const CryptoBlockFormat crypto_block_qcow, crypto_block_luks;

/* The secret that option <prefix><name> gives; its absence (id NULL) is an error. */
SecretData *crypto_block_secret(const char *id, const char *prefix, const char *name,
                                GError **error);

#endif
