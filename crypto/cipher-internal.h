/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of ciphers share. */
#ifndef VIREO_CRYPTO_CIPHER_INTERNAL_H
#define VIREO_CRYPTO_CIPHER_INTERNAL_H

#include <nettle/nettle-types.h>

#include "crypto/cipher.h"

/* Whole blocks with one key, any number in one call. in and out are the same or apart. */
typedef struct BlockKey {
    nettle_cipher_func *fn;
    const void *ctx;
} BlockKey;

/*
 * XTS (IEEE 1619) of n units of len bytes, whole blocks. Unit i has the vector
 * ivs + i * CRYPTO_MAX_BLOCK. data encrypts or decrypts; tweak always encrypts.
 */
void crypto_xts_units(BlockKey data, BlockKey tweak, const uint8_t *ivs, const uint8_t *in,
                      uint8_t *out, size_t len, size_t n);

#endif
