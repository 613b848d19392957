/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting keys into stripes and merging them. */
#include "crypto/afsplit.h"

#include <string.h>

#include "crypto/hash.h"
#include "crypto/random.h"
#include "util/bits.h"

static void xor_into(uint8_t *sum, const uint8_t *stripe, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum[i] ^= stripe[i];
    }
}

/* Each piece of a digest's length becomes the hash of its number and itself; the last is cut. */
static void diffuse(QCryptoHashAlgorithm hash, uint8_t *block, size_t len)
{
    size_t digest_len = crypto_hash_len(hash);
    uint8_t digest[CRYPTO_MAX_DIGEST];

    for (size_t at = 0; at < len; at += digest_len) {
        uint32_t number = htobe32((uint32_t)(at / digest_len));
        size_t now = MIN(digest_len, len - at);
        struct iovec iov[2] = {
            { .iov_base = &number, .iov_len = sizeof(number) },
            { .iov_base = block + at, .iov_len = now },
        };

        crypto_hash_iov(hash, iov, 2, digest);
        memcpy(block + at, digest, now);
    }
    explicit_bzero(digest, sizeof(digest));
}

/* All stripes but the last, summed up; that sum and the last one make the key. */
static void sum_stripes(QCryptoHashAlgorithm hash, const uint8_t *material, size_t len,
                        uint32_t stripes, uint8_t *sum)
{
    memset(sum, 0, len);
    for (uint32_t i = 0; i + 1 < stripes; i++) {
        xor_into(sum, material + (size_t)i * len, len);
        diffuse(hash, sum, len);
    }
}

bool crypto_af_split(QCryptoHashAlgorithm hash, const uint8_t *key, size_t len, uint32_t stripes,
                     uint8_t *material, GError **error)
{
    uint8_t *last = material + (size_t)(stripes - 1) * len;

    if (!crypto_random_bytes(material, (size_t)(stripes - 1) * len, error)) {
        return false;
    }
    sum_stripes(hash, material, len, stripes, last);
    xor_into(last, key, len);
    return true;
}

void crypto_af_merge(QCryptoHashAlgorithm hash, const uint8_t *material, size_t len,
                     uint32_t stripes, uint8_t *key)
{
    sum_stripes(hash, material, len, stripes, key);
    xor_into(key, material + (size_t)(stripes - 1) * len, len);
}
