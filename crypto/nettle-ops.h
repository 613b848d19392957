/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this folder needs of nettle. The library stands in the module crypto-nettle, so that a
 * program that has nothing encrypted does without it. Any thread.
 */
#ifndef VIREO_CRYPTO_NETTLE_OPS_H
#define VIREO_CRYPTO_NETTLE_OPS_H

#include <nettle/nettle-types.h>

#include "qapi/qapi-types-crypto.h"

typedef struct NettleCipher {
    nettle_set_key_func *set_encrypt_key, *set_decrypt_key;
    nettle_cipher_func *encrypt, *decrypt;
} NettleCipher;

/* Block ciphers' modes of operation: the vector changes. */
typedef void NettleMode(const void *ctx, nettle_cipher_func *fn, size_t block_len, uint8_t *iv,
                        size_t len, uint8_t *dst, const uint8_t *src);

typedef struct NettleOps {
    NettleCipher ciphers[QCRYPTO_CIPHER_ALG__MAX];
    const struct nettle_hash *hashes[QCRYPTO_HASH_ALG__MAX];
    NettleMode *cbc_encrypt, *cbc_decrypt, *ctr_crypt;
    void (*hmac_set_key)(void *outer, void *inner, void *state, const struct nettle_hash *hash,
                         size_t len, const uint8_t *key);
    void (*hmac_update)(void *state, const struct nettle_hash *hash, size_t len,
                        const uint8_t *data);
    void (*hmac_digest)(const void *outer, const void *inner, void *state,
                        const struct nettle_hash *hash, size_t len, uint8_t *digest);
    void (*pbkdf2)(void *mac, nettle_hash_update_func *update, nettle_hash_digest_func *digest,
                   size_t digest_size, unsigned iterations, size_t salt_len, const uint8_t *salt,
                   size_t len, uint8_t *dst);
} NettleOps;

/* Loads the module if need be. NULL with the error set. */
const NettleOps *nettle_ops(GError **error);
/* Somebody has loaded it, and told of the error if that failed (see crypto_hash_load()). */
const NettleOps *nettle_ops_loaded(void);

/* What the module exports. */
extern const NettleOps crypto_nettle;

#endif
