/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block ciphers in four modes. A cipher is a key schedule that nothing changes any more, so any
 * number of threads may use one at once; the initialisation vector comes with each call.
 */
#ifndef VIREO_CRYPTO_CIPHER_H
#define VIREO_CRYPTO_CIPHER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi/qapi-types-crypto.h"

/* No cipher's block, and so no initialisation vector, is longer, in bytes. */
#define CRYPTO_MAX_BLOCK 16

typedef struct CryptoCipher CryptoCipher;

/* In bytes. The key's length is that of one key; XTS takes two. */
size_t crypto_cipher_key_len(QCryptoCipherAlgorithm alg);
size_t crypto_cipher_block_len(QCryptoCipherAlgorithm alg);
/* 0 for ECB, else the block's length. */
size_t crypto_cipher_iv_len(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode);
/* XTS is defined for blocks of 16 bytes only. */
bool crypto_cipher_supports(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode);

/* Copies the key. Fails if alg and mode do not go together or the key has the wrong length. */
CryptoCipher *crypto_cipher_new(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode,
                                const uint8_t *key, size_t key_len, GError **error);
/* Forgets the key. NULL is ignored. */
void crypto_cipher_free(CryptoCipher *cipher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CryptoCipher, crypto_cipher_free)

/*
 * len is a multiple of the block's length (but for CTR). in and out are the same or do not overlap;
 * iv has crypto_cipher_iv_len() bytes and stays as it is.
 */
void crypto_cipher_encrypt(const CryptoCipher *cipher, const uint8_t *iv, const void *in, void *out,
                           size_t len);
void crypto_cipher_decrypt(const CryptoCipher *cipher, const uint8_t *iv, const void *in, void *out,
                           size_t len);
/*
 * Disks: n sectors of len bytes each, one after another, sector i with the vector
 * ivs + i * CRYPTO_MAX_BLOCK. For in, out and len the above holds.
 */
void crypto_cipher_encrypt_sectors(const CryptoCipher *cipher, const uint8_t *ivs, const void *in,
                                   void *out, size_t len, size_t n);
void crypto_cipher_decrypt_sectors(const CryptoCipher *cipher, const uint8_t *ivs, const void *in,
                                   void *out, size_t len, size_t n);

#endif
