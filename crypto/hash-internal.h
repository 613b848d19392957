/* SPDX-License-Identifier: Apache-2.0 */
/* What the hash and key derivation share: nettle's tables and room for its contexts. */
#ifndef VIREO_CRYPTO_HASH_INTERNAL_H
#define VIREO_CRYPTO_HASH_INTERNAL_H

#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/ripemd160.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>

#include "crypto/hash.h"
#include "crypto/nettle-ops.h"

/* Room for any of the hashes' states. */
typedef union HashState {
    struct md5_ctx md5;
    struct sha1_ctx sha1;
    struct sha256_ctx sha256;
    struct sha512_ctx sha512;
    struct ripemd160_ctx ripemd160;
} HashState;

/* A keyed hash at its beginning; outer and inner already hold the key. */
typedef struct HmacState {
    const NettleOps *nettle;
    const struct nettle_hash *hash;
    HashState outer, inner, state;
} HmacState;

const struct nettle_hash *crypto_hash_ops(QCryptoHashAlgorithm alg);
void crypto_hmac_init(HmacState *hmac, QCryptoHashAlgorithm alg, const void *key, size_t key_len);

#endif
