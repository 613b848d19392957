/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphers and modes with published vectors, and initialisation vectors of sectors. */
#include <nettle/aes.h>

#include "crypto/cipher-internal.h"
#include "crypto/cipher.h"
#include "crypto/hash.h"
#include "crypto/ivgen.h"
#include "crypto/nettle-ops.h"
#include "crypto/random.h"
#include "crypto/tests/hex.h"
#include "util/bits.h"

typedef struct CipherCase {
    QCryptoCipherAlgorithm alg;
    QCryptoCipherMode mode;
    const char *key, *iv, *plain, *cipher;
} CipherCase;

#define NIST_KEY128 "2b7e151628aed2a6abf7158809cf4f3c"
#define NIST_KEY192 "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
#define NIST_KEY256 "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
#define NIST_PLAIN "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" \
                   "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define COUNTED "000102030405060708090a0b0c0d0e0f"
#define ZERO "00000000000000000000000000000000"

static const CipherCase cases[] = {
    /* NIST SP 800-38A, appendix F */
    { QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_MODE_ECB, NIST_KEY128, "", NIST_PLAIN,
      "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
      "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4" },
    { QCRYPTO_CIPHER_ALG_AES_192, QCRYPTO_CIPHER_MODE_ECB, NIST_KEY192, "", NIST_PLAIN,
      "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef"
      "ef7afd2270e2e60adce0ba2face6444e9a4b41ba738d6c72fb16691603c18e0e" },
    { QCRYPTO_CIPHER_ALG_AES_256, QCRYPTO_CIPHER_MODE_ECB, NIST_KEY256, "", NIST_PLAIN,
      "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
      "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7" },
    { QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_MODE_CBC, NIST_KEY128, COUNTED, NIST_PLAIN,
      "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
      "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7" },
    { QCRYPTO_CIPHER_ALG_AES_256, QCRYPTO_CIPHER_MODE_CBC, NIST_KEY256, COUNTED, NIST_PLAIN,
      "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
      "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b" },
    { QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_MODE_CTR, NIST_KEY128,
      "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", NIST_PLAIN,
      "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
      "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee" },
    /* IEEE 1619, vectors 1 and 2 */
    { QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_MODE_XTS, ZERO ZERO, ZERO, ZERO ZERO,
      "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e" },
    { QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_MODE_XTS,
      "1111111111111111111111111111111122222222222222222222222222222222",
      "33333333330000000000000000000000",
      "4444444444444444444444444444444444444444444444444444444444444444",
      "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0" },
    /* NIST SP 800-17, NIST SP 800-67 */
    { QCRYPTO_CIPHER_ALG_DES, QCRYPTO_CIPHER_MODE_ECB, "0101010101010101", "", "8000000000000000",
      "95f8a5e5dd31d900" },
    { QCRYPTO_CIPHER_ALG_3DES, QCRYPTO_CIPHER_MODE_ECB,
      "0123456789abcdef23456789abcdef01456789abcdef0123", "",
      "5468652071756663", "a826fd8ce53b855f" },
    /* RFC 2144, appendix B.1 */
    { QCRYPTO_CIPHER_ALG_CAST5_128, QCRYPTO_CIPHER_MODE_ECB, "0123456712345678234567893456789a",
      "", "0123456789abcdef", "238b4fe5847e44b2" },
    /* NESSIE, set 1, vector 0 */
    { QCRYPTO_CIPHER_ALG_SERPENT_128, QCRYPTO_CIPHER_MODE_ECB,
      "80000000000000000000000000000000", "", ZERO, "264e5481eff42a4606abda06c0bfda3d" },
    { QCRYPTO_CIPHER_ALG_SERPENT_192, QCRYPTO_CIPHER_MODE_ECB,
      "800000000000000000000000000000000000000000000000", "", ZERO,
      "9e274ead9b737bb21efcfca548602689" },
    { QCRYPTO_CIPHER_ALG_SERPENT_256, QCRYPTO_CIPHER_MODE_ECB,
      "8000000000000000000000000000000000000000000000000000000000000000", "", ZERO,
      "a223aa1288463c0e2be38ebd825616c0" },
    /* The paper on Twofish, appendix A */
    { QCRYPTO_CIPHER_ALG_TWOFISH_128, QCRYPTO_CIPHER_MODE_ECB, ZERO, "", ZERO,
      "9f589f5cf6122c32b6bfec2f2ae8c35a" },
    { QCRYPTO_CIPHER_ALG_TWOFISH_192, QCRYPTO_CIPHER_MODE_ECB,
      "0123456789abcdeffedcba98765432100011223344556677", "", ZERO,
      "cfd1d2e5a9be9cdf501f13b892bd2248" },
    { QCRYPTO_CIPHER_ALG_TWOFISH_256, QCRYPTO_CIPHER_MODE_ECB,
      "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", "", ZERO,
      "37527be0052334b89f0cfccae87cfa20" },
};

static CryptoCipher *new_cipher(const CipherCase *test)
{
    uint8_t key[64];
    size_t len = hex_bytes(test->key, key, sizeof(key));
    g_autoptr(GError) error = NULL;
    CryptoCipher *cipher = crypto_cipher_new(test->alg, test->mode, key, len, &error);

    g_assert_no_error(error);
    return cipher;
}

static void test_vectors(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(CryptoCipher) cipher = new_cipher(&cases[i]);
        uint8_t iv[16], plain[64], out[64];
        size_t len = hex_bytes(cases[i].plain, plain, sizeof(plain));

        hex_bytes(cases[i].iv, iv, sizeof(iv));
        crypto_cipher_encrypt(cipher, iv, plain, out, len);
        assert_hex(out, len, cases[i].cipher);
        crypto_cipher_decrypt(cipher, iv, out, out, len);
        g_assert_cmpmem(out, len, plain, len);
    }
}

typedef struct XtsCase {
    QCryptoCipherAlgorithm alg;
    const char *key, *iv;
    const char *start, *end, *sha256; /* of the ciphertext of 512 bytes */
} XtsCase;

/* IEEE 1619, vectors 4 and 10: data units of 512 bytes that count from 0 to 255 twice. */
static const XtsCase xts_cases[] = {
    { QCRYPTO_CIPHER_ALG_AES_128,
      "2718281828459045235360287471352631415926535897932384626433832795", ZERO,
      "27a7479befa1d476489f308cd4cfa6e2", "0a282df920147beabe421ee5319d0568",
      "ebee4d64dd2395bb2d6a2d37a0a48ecb2bf4913cfc99d27c2214f2f4144715ea" },
    { QCRYPTO_CIPHER_ALG_AES_256,
      "2718281828459045235360287471352662497757247093699959574966967627"
      "3141592653589793238462643383279502884197169399375105820974944592",
      "ff000000000000000000000000000000",
      "1c3b3a102f770386e4836c99e370cf9b", "c4f36ffda9fcea70b9c6e693e148c151",
      "e97e974fa393af794f7a4684395814cf820de60a01eaec677d87b452e316b364" },
};

static void test_xts_sectors(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(xts_cases); i++) {
        const XtsCase *xts = &xts_cases[i];
        CipherCase as_case = { .alg = xts->alg, .mode = QCRYPTO_CIPHER_MODE_XTS, .key = xts->key };
        g_autoptr(CryptoCipher) cipher = new_cipher(&as_case);
        uint8_t iv[16], buf[512], out[512], digest[CRYPTO_MAX_DIGEST];

        for (size_t at = 0; at < sizeof(buf); at++) {
            buf[at] = (uint8_t)at;
        }
        hex_bytes(xts->iv, iv, sizeof(iv));
        crypto_cipher_encrypt_sectors(cipher, iv, buf, out, sizeof(buf), 1);
        assert_hex(out, 16, xts->start);
        assert_hex(out + 496, 16, xts->end);
        crypto_hash(QCRYPTO_HASH_ALG_SHA256, out, sizeof(out), digest);
        assert_hex(digest, 32, xts->sha256);
        crypto_cipher_decrypt_sectors(cipher, iv, out, out, sizeof(out), 1);
        g_assert_cmpmem(out, sizeof(out), buf, sizeof(buf));
    }
}

/* Lengths around the batches within: many sectors at once are as each by itself. */
static void check_many(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode, size_t len, size_t n)
{
    size_t keys = mode == QCRYPTO_CIPHER_MODE_XTS ? 2 : 1;
    size_t key_len = keys * crypto_cipher_key_len(alg);
    g_autofree uint8_t *plain = g_malloc(n * len), *many = g_malloc(n * len);
    g_autofree uint8_t *ivs = g_malloc(n * CRYPTO_MAX_BLOCK), *one = g_malloc(len);
    g_autoptr(CryptoCipher) cipher = NULL;
    uint8_t key[64];

    g_assert_true(crypto_random_bytes(key, key_len, NULL));
    g_assert_true(crypto_random_bytes(plain, n * len, NULL));
    g_assert_true(crypto_random_bytes(ivs, n * CRYPTO_MAX_BLOCK, NULL));
    cipher = crypto_cipher_new(alg, mode, key, key_len, NULL);
    crypto_cipher_encrypt_sectors(cipher, ivs, plain, many, len, n);
    for (size_t i = 0; i < n; i++) {
        crypto_cipher_encrypt(cipher, ivs + i * CRYPTO_MAX_BLOCK, plain + i * len, one, len);
        g_assert_cmpmem(one, len, many + i * len, len);
    }
    crypto_cipher_decrypt_sectors(cipher, ivs, many, many, len, n);
    g_assert_cmpmem(many, n * len, plain, n * len);
}

static void test_many(void)
{
    static const size_t lens[] = { 16, 48, 112, 128, 144, 512, 528, 4096 };
    static const size_t counts[] = { 1, 2, 7, 8, 9, 31, 32, 33, 100 };

    for (size_t i = 0; i < G_N_ELEMENTS(lens); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(counts); j++) {
            for (int alg = 0; alg < QCRYPTO_CIPHER_ALG__MAX; alg++) {
                for (int mode = 0; mode < QCRYPTO_CIPHER_MODE__MAX; mode++) {
                    if (crypto_cipher_supports(alg, mode)) {
                        check_many(alg, mode, lens[i], counts[j]);
                    }
                }
            }
        }
    }
}

/* What the processor's instructions make of AES-XTS is what the portable loop makes of it. */
static void test_xts_portable(void)
{
    static const QCryptoCipherAlgorithm algs[] = {
        QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_ALG_AES_192, QCRYPTO_CIPHER_ALG_AES_256,
    };
    static const size_t lens[] = { 16, 32, 112, 128, 512, 1040 };
    uint8_t key[64], ivs[40 * 16], in[40 * 1040], out[sizeof(in)], expected[sizeof(in)];

    g_assert_true(crypto_random_bytes(in, sizeof(in), NULL));
    g_assert_true(crypto_random_bytes(ivs, sizeof(ivs), NULL));
    g_assert_true(crypto_random_bytes(key, sizeof(key), NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(algs) * G_N_ELEMENTS(lens); i++) {
        QCryptoCipherAlgorithm alg = algs[i % G_N_ELEMENTS(algs)];
        const NettleCipher *aes = &nettle_ops_loaded()->ciphers[alg];
        size_t len = lens[i / G_N_ELEMENTS(algs)], key_len = crypto_cipher_key_len(alg);
        struct aes256_ctx encrypt, decrypt, tweak; /* the largest of the three */
        BlockKey tweak_key = { aes->encrypt, &tweak };
        g_autoptr(CryptoCipher) cipher =
            crypto_cipher_new(alg, QCRYPTO_CIPHER_MODE_XTS, key, 2 * key_len, NULL);

        aes->set_encrypt_key(&encrypt, key);
        aes->set_decrypt_key(&decrypt, key);
        aes->set_encrypt_key(&tweak, key + key_len);
        crypto_xts_units((BlockKey) { aes->encrypt, &encrypt }, tweak_key, ivs, in, expected, len,
                         40);
        crypto_cipher_encrypt_sectors(cipher, ivs, in, out, len, 40);
        g_assert_cmpmem(out, 40 * len, expected, 40 * len);
        crypto_xts_units((BlockKey) { aes->decrypt, &decrypt }, tweak_key, ivs, in, expected, len,
                         40);
        crypto_cipher_decrypt_sectors(cipher, ivs, in, out, len, 40);
        g_assert_cmpmem(out, 40 * len, expected, 40 * len);
    }
}

static void test_refused(void)
{
    g_autoptr(GError) error = NULL;
    uint8_t key[64] = { 0 };

    g_assert_null(crypto_cipher_new(QCRYPTO_CIPHER_ALG_AES_256, QCRYPTO_CIPHER_MODE_XTS, key, 32,
                                    &error));
    g_assert_cmpstr(error->message, ==,
                    "a key of cipher aes-256 in mode xts has 64 bytes, not 32");
    g_clear_error(&error);
    g_assert_null(crypto_cipher_new(QCRYPTO_CIPHER_ALG_3DES, QCRYPTO_CIPHER_MODE_XTS, key, 48,
                                    &error));
    g_assert_cmpstr(error->message, ==, "cipher 3des cannot be used in mode xts");
}

static void test_ivgen(void)
{
    g_autoptr(IvGen) plain = crypto_ivgen_new(QCRYPTO_IVGEN_ALG_PLAIN, QCRYPTO_CIPHER_ALG_AES_256,
                                              0, NULL, 0, NULL);
    g_autoptr(IvGen) plain64 = crypto_ivgen_new(QCRYPTO_IVGEN_ALG_PLAIN64,
                                                QCRYPTO_CIPHER_ALG_AES_256, 0, NULL, 0, NULL);
    uint8_t ivs[2 * CRYPTO_MAX_BLOCK];

    crypto_ivgen_vectors(plain, 0x1ffffffffULL, 2, ivs);
    assert_hex(ivs, 32, "ffffffff000000000000000000000000" ZERO);
    crypto_ivgen_vectors(plain64, 0x1ffffffffULL, 2, ivs);
    assert_hex(ivs, 32, "ffffffff010000000000000000000000" "00000000020000000000000000000000");
}

/* ESSIV: the sector's number, encrypted with the key's hash. */
static void test_essiv(void)
{
    uint8_t key[16] = { 1, 2, 3 }, digest[CRYPTO_MAX_DIGEST], iv[16], expected[16] = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(IvGen) ivgen = crypto_ivgen_new(QCRYPTO_IVGEN_ALG_ESSIV, QCRYPTO_CIPHER_ALG_AES_128,
                                              QCRYPTO_HASH_ALG_SHA256, key, sizeof(key), &error);
    g_autoptr(CryptoCipher) cipher = NULL;

    g_assert_no_error(error);
    crypto_hash(QCRYPTO_HASH_ALG_SHA256, key, sizeof(key), digest);
    cipher = crypto_cipher_new(QCRYPTO_CIPHER_ALG_AES_256, QCRYPTO_CIPHER_MODE_ECB, digest, 32,
                               NULL);
    stq_le(expected, 0x123456789ULL);
    crypto_cipher_encrypt(cipher, NULL, expected, expected, 16);
    crypto_ivgen_vectors(ivgen, 0x123456789ULL, 1, iv);
    g_assert_cmpmem(iv, 16, expected, 16);
    g_assert_null(crypto_ivgen_new(QCRYPTO_IVGEN_ALG_ESSIV, QCRYPTO_CIPHER_ALG_AES_128,
                                   QCRYPTO_HASH_ALG_SHA512, key, sizeof(key), &error));
    g_assert_cmpstr(error->message, ==, "essiv with hash sha512 does not go with cipher aes-128: "
                    "the digest has 64 bytes");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/crypto/cipher/vectors", test_vectors);
    g_test_add_func("/crypto/cipher/xts-sectors", test_xts_sectors);
    g_test_add_func("/crypto/cipher/many-sectors", test_many);
    g_test_add_func("/crypto/cipher/xts-portable", test_xts_portable);
    g_test_add_func("/crypto/cipher/refused", test_refused);
    g_test_add_func("/crypto/ivgen/plain", test_ivgen);
    g_test_add_func("/crypto/ivgen/essiv", test_essiv);
    return g_test_run();
}
