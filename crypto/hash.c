/* SPDX-License-Identifier: Apache-2.0 */
/* Digests, by nettle. */
#include "crypto/hash.h"

#include <glib.h>

#include "crypto/hash-internal.h"

bool crypto_hash_load(GError **error)
{
    return nettle_ops(error) != NULL;
}

const struct nettle_hash *crypto_hash_ops(QCryptoHashAlgorithm alg)
{
    const struct nettle_hash *hash = nettle_ops_loaded()->hashes[alg];

    g_assert(hash->context_size <= sizeof(HashState) && hash->digest_size <= CRYPTO_MAX_DIGEST);
    return hash;
}

size_t crypto_hash_len(QCryptoHashAlgorithm alg)
{
    static const uint8_t lengths[] = {
        [QCRYPTO_HASH_ALG_MD5] = MD5_DIGEST_SIZE,
        [QCRYPTO_HASH_ALG_SHA1] = SHA1_DIGEST_SIZE,
        [QCRYPTO_HASH_ALG_SHA224] = SHA224_DIGEST_SIZE,
        [QCRYPTO_HASH_ALG_SHA256] = SHA256_DIGEST_SIZE,
        [QCRYPTO_HASH_ALG_SHA384] = SHA384_DIGEST_SIZE,
        [QCRYPTO_HASH_ALG_SHA512] = SHA512_DIGEST_SIZE,
        [QCRYPTO_HASH_ALG_RIPEMD160] = RIPEMD160_DIGEST_SIZE,
    };

    return lengths[alg];
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
    hmac->nettle = nettle_ops_loaded();
    hmac->hash = crypto_hash_ops(alg);
    hmac->nettle->hmac_set_key(&hmac->outer, &hmac->inner, &hmac->state, hmac->hash, key_len, key);
}

void crypto_hmac(QCryptoHashAlgorithm alg, const void *key, size_t key_len, const void *data,
                 size_t len, uint8_t *digest)
{
    HmacState hmac;

    crypto_hmac_init(&hmac, alg, key, key_len);
    hmac.nettle->hmac_update(&hmac.state, hmac.hash, len, data);
    hmac.nettle->hmac_digest(&hmac.outer, &hmac.inner, &hmac.state, hmac.hash,
                             hmac.hash->digest_size, digest);
    explicit_bzero(&hmac, sizeof(hmac));
}
