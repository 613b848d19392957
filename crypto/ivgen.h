/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initialisation vectors from sector numbers, as LUKS names the ways: "plain", "plain64" and
 * "essiv" (LUKS on-disk format 1.2, and dm-crypt's documentation). Nothing changes in an IvGen once
 * it is made: any number of threads may use it.
 */
#ifndef VIREO_CRYPTO_IVGEN_H
#define VIREO_CRYPTO_IVGEN_H

#include "crypto/cipher.h"

typedef struct IvGen IvGen;

/*
 * For essiv, `cipher` is the one of the data, whose family gives the cipher for vectors, the key of
 * which is the hash of `key`; the key's length must suit that family. Others look at alg alone.
 */
IvGen *crypto_ivgen_new(QCryptoIVGenAlgorithm alg, QCryptoCipherAlgorithm cipher,
                        QCryptoHashAlgorithm hash, const uint8_t *key, size_t key_len,
                        GError **error);
/* NULL is ignored. */
void crypto_ivgen_free(IvGen *ivgen);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IvGen, crypto_ivgen_free)

/* The vectors of n sectors from `sector` on, each in CRYPTO_MAX_BLOCK bytes, zeroes at its end. */
void crypto_ivgen_vectors(const IvGen *ivgen, uint64_t sector, size_t n, uint8_t *ivs);

/* Is there a cipher of this family whose key is as long as the hash's digest? */
bool crypto_ivgen_essiv_supports(QCryptoCipherAlgorithm cipher, QCryptoHashAlgorithm hash);

#endif
