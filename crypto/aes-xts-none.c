/* SPDX-License-Identifier: Apache-2.0 */
/* Processors for which there is nothing better than nettle. */
#include "crypto/aes-xts.h"

bool aes_xts_init(AesXtsKey *xts, const uint8_t *key, size_t key_len)
{
    return false;
}

void aes_xts_encrypt(const AesXtsKey *xts, const uint8_t *ivs, const uint8_t *in, uint8_t *out,
                     size_t len, size_t n)
{
}

void aes_xts_decrypt(const AesXtsKey *xts, const uint8_t *ivs, const uint8_t *in, uint8_t *out,
                     size_t len, size_t n)
{
}
