/* SPDX-License-Identifier: Apache-2.0 */
/* AES-XTS with the processor's own instructions, where it has them. */
#ifndef VIREO_CRYPTO_AES_XTS_H
#define VIREO_CRYPTO_AES_XTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AES_MAX_ROUND_KEYS 15

typedef struct AesXtsKey {
    uint8_t encrypt[AES_MAX_ROUND_KEYS][16];
    uint8_t decrypt[AES_MAX_ROUND_KEYS][16];
    uint8_t tweak[AES_MAX_ROUND_KEYS][16];
    unsigned rounds;
} AesXtsKey;

/* False if the processor cannot. key is both keys, key_len the bytes of both: 32, 48 or 64. */
bool aes_xts_init(AesXtsKey *xts, const uint8_t *key, size_t key_len);
/* As crypto_cipher_encrypt_sectors(); len is a multiple of 16. */
void aes_xts_encrypt(const AesXtsKey *xts, const uint8_t *ivs, const uint8_t *in, uint8_t *out,
                     size_t len, size_t n);
void aes_xts_decrypt(const AesXtsKey *xts, const uint8_t *ivs, const uint8_t *in, uint8_t *out,
                     size_t len, size_t n);

#endif
