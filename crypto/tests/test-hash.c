/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes, HMAC and PBKDF2 with the vectors of their RFCs; the anti-forensic splitter. */
#include "crypto/afsplit.h"
#include "crypto/hash.h"
#include "crypto/pbkdf.h"
#include "crypto/random.h"
#include "crypto/tests/hex.h"

typedef struct HashCase {
    QCryptoHashAlgorithm alg;
    const char *digest; /* of "abc" */
} HashCase;

/* RFC 1321, RFC 3174, FIPS 180-4, RIPEMD-160's paper. */
static const HashCase hash_cases[] = {
    { QCRYPTO_HASH_ALG_MD5, "900150983cd24fb0d6963f7d28e17f72" },
    { QCRYPTO_HASH_ALG_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { QCRYPTO_HASH_ALG_SHA224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
    { QCRYPTO_HASH_ALG_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { QCRYPTO_HASH_ALG_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
      "8086072ba1e7cc2358baeca134c825a7" },
    { QCRYPTO_HASH_ALG_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
    { QCRYPTO_HASH_ALG_RIPEMD160, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc" },
};

static void test_hashes(void)
{
    uint8_t digest[CRYPTO_MAX_DIGEST];
    struct iovec iov[3] = {
        { .iov_base = (char *)"a", .iov_len = 1 },
        { 0 },
        { .iov_base = (char *)"bc", .iov_len = 2 },
    };

    g_assert_cmpuint(G_N_ELEMENTS(hash_cases), ==, QCRYPTO_HASH_ALG__MAX);
    for (size_t i = 0; i < G_N_ELEMENTS(hash_cases); i++) {
        const HashCase *hash = &hash_cases[i];

        crypto_hash(hash->alg, "abc", 3, digest);
        assert_hex(digest, crypto_hash_len(hash->alg), hash->digest);
        crypto_hash_iov(hash->alg, iov, 3, digest);
        assert_hex(digest, crypto_hash_len(hash->alg), hash->digest);
    }
}

/* RFC 2202, RFC 2286 and RFC 4231, test case 2; test case 6 of RFC 4231 for a long key. */
static void test_hmac(void)
{
    static const HashCase cases[] = {
        { QCRYPTO_HASH_ALG_MD5, "750c783e6ab0b503eaa86e310a5db738" },
        { QCRYPTO_HASH_ALG_SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
        { QCRYPTO_HASH_ALG_SHA256,
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
        { QCRYPTO_HASH_ALG_RIPEMD160, "dda6c0213a485a9e24f4742064a7f033b43c4069" },
    };
    const char *data = "what do ya want for nothing?";
    const char *long_data = "Test Using Larger Than Block-Size Key - Hash Key First";
    uint8_t digest[CRYPTO_MAX_DIGEST], key[131];

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        crypto_hmac(cases[i].alg, "Jefe", 4, data, strlen(data), digest);
        assert_hex(digest, crypto_hash_len(cases[i].alg), cases[i].digest);
    }
    memset(key, 0xaa, sizeof(key));
    crypto_hmac(QCRYPTO_HASH_ALG_SHA256, key, sizeof(key), long_data, strlen(long_data), digest);
    assert_hex(digest, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 6070 and, for SHA-256, RFC 7914. */
static void test_pbkdf2(void)
{
    uint8_t key[64];

    crypto_pbkdf2(QCRYPTO_HASH_ALG_SHA1, "password", 8, "salt", 4, 1, key, 20);
    assert_hex(key, 20, "0c60c80f961f0e71f3a9b524af6012062fe037a6");
    crypto_pbkdf2(QCRYPTO_HASH_ALG_SHA1, "password", 8, "salt", 4, 4096, key, 20);
    assert_hex(key, 20, "4b007901b765489abead49d926f721d065a429c1");
    crypto_pbkdf2(QCRYPTO_HASH_ALG_SHA1, "pass\0word", 9, "sa\0lt", 5, 4096, key, 16);
    assert_hex(key, 16, "56fa6aa75548099dcc37d7f03425e0c3");
    crypto_pbkdf2(QCRYPTO_HASH_ALG_SHA256, "passwd", 6, "salt", 4, 1, key, 64);
    assert_hex(key, 64, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                        "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783");
}

static void test_rate(void)
{
    g_assert_cmpuint(crypto_pbkdf2_rate(QCRYPTO_HASH_ALG_SHA256, 32), >, 1000);
}

static void test_af(void)
{
    static const size_t lens[] = { 1, 16, 20, 32, 33, 64 };
    uint8_t key[64], merged[64];
    g_autofree uint8_t *material = g_malloc(64 * 100);

    for (size_t i = 0; i < G_N_ELEMENTS(lens); i++) {
        size_t len = lens[i];

        g_assert_true(crypto_random_bytes(key, len, NULL));
        g_assert_true(crypto_af_split(QCRYPTO_HASH_ALG_SHA256, key, len, 100, material, NULL));
        crypto_af_merge(QCRYPTO_HASH_ALG_SHA256, material, len, 100, merged);
        g_assert_cmpmem(key, len, merged, len);
    }
    /* The loss of one bit of any stripe changes about half of the key. */
    material[5] ^= 1;
    crypto_af_merge(QCRYPTO_HASH_ALG_SHA256, material, 64, 100, merged);
    g_assert_true(memcmp(key, merged, 64) != 0);
}

/* Material of one stripe is the key itself; of two, its first is diffused. */
static void test_af_fixed(void)
{
    uint8_t material[40], key[20], digest[20];
    uint8_t input[24] = { 0 };

    memset(material, 0x11, 20);
    memset(material + 20, 0x22, 20);
    crypto_af_merge(QCRYPTO_HASH_ALG_SHA1, material, 20, 1, key);
    g_assert_cmpmem(key, 20, material, 20);
    crypto_af_merge(QCRYPTO_HASH_ALG_SHA1, material, 20, 2, key);
    memset(input + 4, 0x11, 20);
    crypto_hash(QCRYPTO_HASH_ALG_SHA1, input, 24, digest);
    for (int i = 0; i < 20; i++) {
        g_assert_cmpuint(key[i], ==, digest[i] ^ 0x22);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crypto/hash", test_hashes);
    g_test_add_func("/crypto/hmac", test_hmac);
    g_test_add_func("/crypto/pbkdf2", test_pbkdf2);
    g_test_add_func("/crypto/pbkdf2-rate", test_rate);
    g_test_add_func("/crypto/afsplit", test_af);
    g_test_add_func("/crypto/afsplit-fixed", test_af_fixed);
    return g_test_run();
}
