/* SPDX-License-Identifier: Apache-2.0 */
/* Digests, by nettle. */
#include "crypto/hash.h"

#include <glib.h>

#include "crypto/hash-internal.h"

static const struct nettle_hash *const hashes[] = {
    [QCRYPTO_HASH_ALG_MD5] = &nettle_md5,
    [QCRYPTO_HASH_ALG_SHA1] = &nettle_sha1,
    [QCRYPTO_HASH_ALG_SHA224] = &nettle_sha224,
    [QCRYPTO_HASH_ALG_SHA256] = &nettle_sha256,
    [QCRYPTO_HASH_ALG_SHA384] = &nettle_sha384,
    [QCRYPTO_HASH_ALG_SHA512] = &nettle_sha512,
    [QCRYPTO_HASH_ALG_RIPEMD160] = &nettle_ripemd160,
};

const struct nettle_hash *crypto_hash_ops(QCryptoHashAlgorithm alg)
{
    const struct nettle_hash *hash = hashes[alg];

    g_assert(hash->context_size <= sizeof(HashState) && hash->digest_size <= CRYPTO_MAX_DIGEST);
    return hash;
}

size_t crypto_hash_len(QCryptoHashAlgorithm alg)
{
    return hashes[alg]->digest_size;
}

void crypto_hash_iov(QCryptoHashAlgorithm alg, const struct iovec *iov, unsigned n,
                     uint8_t *digest)
{
    const struct nettle_hash *hash = crypto_hash_ops(alg);
    HashState state;

    hash->init(&state);
    for (unsigned i = 0; i < n; i++) {
        hash->update(&state, iov[i].iov_len, iov[i].iov_base);
    }
    hash->digest(&state, hash->digest_size, digest);
}

void crypto_hash(QCryptoHashAlgorithm alg, const void *data, size_t len, uint8_t *digest)
{
    struct iovec iov = { .iov_base = (void *)data, .iov_len = len };

    crypto_hash_iov(alg, &iov, 1, digest);
}

void crypto_hmac_init(HmacState *hmac, QCryptoHashAlgorithm alg, const void *key, size_t key_len)
{
    hmac->hash = crypto_hash_ops(alg);
    hmac_set_key(&hmac->outer, &hmac->inner, &hmac->state, hmac->hash, key_len, key);
}

void crypto_hmac(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const void *data,
                 size_t len, uint8_t *digest)
{
    HmacState hmac;

    crypto_hmac_init(&hmac, alg, key, key_len);
    hmac_update(&hmac.state, hmac.hash, len, data);
    hmac_digest(&hmac.outer, &hmac.inner, &hmac.state, hmac.hash, hmac.hash->digest_size, digest);
    explicit_bzero(&hmac, sizeof(hmac));
}
