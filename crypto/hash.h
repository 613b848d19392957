/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests and keyed digests (HMAC, RFC 2104). Any thread.
 *
 * The first of them loads the module crypto-nettle. Who can tell of an error asks for it before:
 * without the module the process ends there.
 */
#ifndef VIREO_CRYPTO_HASH_H
#define VIREO_CRYPTO_HASH_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "qapi/qapi-types-crypto.h"

/* No digest is longer, in bytes. */
#define CRYPTO_MAX_DIGEST 64

bool crypto_hash_load(GError **error);

/* Length of the digest in bytes. */
size_t crypto_hash_len(QCryptoHashAlgorithm alg);
/* digest has room for crypto_hash_len() bytes. */
void crypto_hash(QCryptoHashAlgorithm alg, const void *data, size_t len, uint8_t *digest);
void crypto_hash_iov(QCryptoHashAlgorithm alg, const struct iovec *iov, unsigned n,
                     uint8_t *digest);
void crypto_hmac(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const void *data,
                 size_t len, uint8_t *digest);

#endif
