/* SPDX-License-Identifier: Apache-2.0 */
/* PBKDF2, by nettle, and how fast it is here. */
#include "crypto/pbkdf.h"

#include <glib.h>
#include <string.h>
#include <time.h>

#include "crypto/hash-internal.h"

/* Measure until a round takes this much CPU time. */
#define MEASURE_NS 16000000

static void hmac_state_update(void *ctx, size_t len, const uint8_t *data)
{
    HmacState *hmac = ctx;

    hmac->nettle->hmac_update(&hmac->state, hmac->hash, len, data);
}

static void hmac_state_digest(void *ctx, size_t len, uint8_t *digest)
{
    HmacState *hmac = ctx;

    hmac->nettle->hmac_digest(&hmac->outer, &hmac->inner, &hmac->state, hmac->hash, len, digest);
}

void crypto_pbkdf2(QCryptoHashAlgorithm alg, const void *password, size_t password_len,
                   const void *salt, size_t salt_len, uint32_t iterations, uint8_t *key,
                   size_t key_len)
{
    HmacState hmac;

    g_assert(iterations > 0);
    crypto_hmac_init(&hmac, alg, password, password_len);
    hmac.nettle->pbkdf2(&hmac, hmac_state_update, hmac_state_digest, hmac.hash->digest_size,
                        iterations, salt_len, salt, key_len, key);
    explicit_bzero(&hmac, sizeof(hmac));
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t crypto_pbkdf2_rate(QCryptoHashAlgorithm alg, size_t key_len)
{
    static const uint8_t salt[32] = { 0x5a };
    g_autofree uint8_t *key = g_malloc(key_len);
    uint64_t elapsed = 0;
    uint32_t iterations = 1 << 9;

    while (elapsed < MEASURE_NS && iterations < 1u << 30) {
        uint64_t start;

        iterations *= 2;
        start = thread_cpu_ns();
        crypto_pbkdf2(alg, "password", 8, salt, sizeof(salt), iterations, key, key_len);
        elapsed = thread_cpu_ns() - start;
    }
    return (uint64_t)((double)iterations * 1e9 / (double)MAX(elapsed, 1));
}
