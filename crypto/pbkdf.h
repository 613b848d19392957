/* SPDX-License-Identifier: Apache-2.0 */
/* PBKDF2 with HMAC (RFC 8018, section 5.2): keys from passwords, slow on purpose. Any thread. */
#ifndef VIREO_CRYPTO_PBKDF_H
#define VIREO_CRYPTO_PBKDF_H

#include <stddef.h>
#include <stdint.h>

#include "qapi/qapi-types-crypto.h"

/* iterations is at least 1. */
void crypto_pbkdf2(QCryptoHashAlgorithm alg, const void *password, size_t password_len,
                   const void *salt, size_t salt_len, uint32_t iterations, uint8_t *key,
                   size_t key_len);
/*
 * How many iterations of deriving key_len bytes take one second of this thread's CPU time here. It
 * takes a few hundredths of a second to find out.
 */
uint64_t crypto_pbkdf2_rate(QCryptoHashAlgorithm alg, size_t key_len);

#endif
