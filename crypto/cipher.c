/* SPDX-License-Identifier: Apache-2.0 */
/* Block ciphers, by nettle. */
#include "crypto/cipher.h"

#include <nettle/aes.h>
#include <nettle/cast128.h>
#include <nettle/cbc.h>
#include <nettle/ctr.h>
#include <nettle/des.h>
#include <nettle/serpent.h>
#include <nettle/twofish.h>
#include <string.h>

#include "crypto/aes-xts.h"
#include "crypto/cipher-internal.h"
#include "util/bits.h"
#include "util/error.h"

/* A key, ready for one direction. */
typedef union KeySchedule {
    struct aes128_ctx aes128;
    struct aes192_ctx aes192;
    struct aes256_ctx aes256;
    struct cast128_ctx cast128;
    struct des_ctx des;
    struct des3_ctx des3;
    struct serpent_ctx serpent;
    struct twofish_ctx twofish;
} KeySchedule;

typedef struct Algorithm {
    size_t key_len;
    size_t block_len;
    nettle_set_key_func *set_encrypt_key;
    nettle_set_key_func *set_decrypt_key;
    nettle_cipher_func *encrypt;
    nettle_cipher_func *decrypt;
} Algorithm;

struct CryptoCipher {
    const Algorithm *alg;
    QCryptoCipherMode mode;
    KeySchedule encrypt, decrypt, tweak;
    bool has_fast; /* the processor does it by itself, and `fast` has the keys */
    AesXtsKey fast;
};

/* nettle's setters for DES also say whether the key is weak, which nobody asked. */
static void set_des_key(void *ctx, const uint8_t *key)
{
    des_set_key(ctx, key);
}

static void set_des3_key(void *ctx, const uint8_t *key)
{
    des3_set_key(ctx, key);
}

static void set_cast128_key(void *ctx, const uint8_t *key)
{
    cast128_set_key(ctx, key);
}

#define FN(fn) (nettle_cipher_func *)(fn)
#define KEY(fn) (nettle_set_key_func *)(fn)
#define SAME_KEY(len, block, set, name)                                                            \
    { (len), (block), KEY(set), KEY(set), FN(name##_encrypt), FN(name##_decrypt) }
#define AES(len, name)                                                                             \
    { (len), AES_BLOCK_SIZE, KEY(name##_set_encrypt_key), KEY(name##_set_decrypt_key),             \
      FN(name##_encrypt), FN(name##_decrypt) }

static const Algorithm algorithms[] = {
    [QCRYPTO_CIPHER_ALG_AES_128] = AES(16, aes128),
    [QCRYPTO_CIPHER_ALG_AES_192] = AES(24, aes192),
    [QCRYPTO_CIPHER_ALG_AES_256] = AES(32, aes256),
    [QCRYPTO_CIPHER_ALG_DES] = SAME_KEY(8, 8, set_des_key, des),
    [QCRYPTO_CIPHER_ALG_3DES] = SAME_KEY(24, 8, set_des3_key, des3),
    [QCRYPTO_CIPHER_ALG_CAST5_128] = SAME_KEY(16, 8, set_cast128_key, cast128),
    [QCRYPTO_CIPHER_ALG_SERPENT_128] = SAME_KEY(16, 16, serpent128_set_key, serpent),
    [QCRYPTO_CIPHER_ALG_SERPENT_192] = SAME_KEY(24, 16, serpent192_set_key, serpent),
    [QCRYPTO_CIPHER_ALG_SERPENT_256] = SAME_KEY(32, 16, serpent256_set_key, serpent),
    [QCRYPTO_CIPHER_ALG_TWOFISH_128] = SAME_KEY(16, 16, twofish128_set_key, twofish),
    [QCRYPTO_CIPHER_ALG_TWOFISH_192] = SAME_KEY(24, 16, twofish192_set_key, twofish),
    [QCRYPTO_CIPHER_ALG_TWOFISH_256] = SAME_KEY(32, 16, twofish256_set_key, twofish),
};

size_t crypto_cipher_key_len(QCryptoCipherAlgorithm alg)
{
    return algorithms[alg].key_len;
}

size_t crypto_cipher_block_len(QCryptoCipherAlgorithm alg)
{
    return algorithms[alg].block_len;
}

size_t crypto_cipher_iv_len(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode)
{
    return mode == QCRYPTO_CIPHER_MODE_ECB ? 0 : algorithms[alg].block_len;
}

bool crypto_cipher_supports(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode)
{
    return mode != QCRYPTO_CIPHER_MODE_XTS || algorithms[alg].block_len == CRYPTO_MAX_BLOCK;
}

static bool is_aes(QCryptoCipherAlgorithm alg)
{
    return alg == QCRYPTO_CIPHER_ALG_AES_128 || alg == QCRYPTO_CIPHER_ALG_AES_192 ||
           alg == QCRYPTO_CIPHER_ALG_AES_256;
}

CryptoCipher *crypto_cipher_new(QCryptoCipherAlgorithm alg, QCryptoCipherMode mode,
                                const uint8_t *key, size_t key_len, GError **error)
{
    const Algorithm *algorithm = &algorithms[alg];
    bool is_xts = mode == QCRYPTO_CIPHER_MODE_XTS;
    size_t wanted = is_xts ? 2 * algorithm->key_len : algorithm->key_len;
    CryptoCipher *cipher;

    if (!crypto_cipher_supports(alg, mode)) {
        error_setf(error, "cipher %s cannot be used in mode %s", QCryptoCipherAlgorithm_str(alg),
                   QCryptoCipherMode_str(mode));
        return NULL;
    }
    if (key_len != wanted) {
        error_setf(error, "a key of cipher %s in mode %s has %zu bytes, not %zu",
                   QCryptoCipherAlgorithm_str(alg), QCryptoCipherMode_str(mode), wanted, key_len);
        return NULL;
    }
    cipher = g_new0(CryptoCipher, 1);
    cipher->alg = algorithm;
    cipher->mode = mode;
    algorithm->set_encrypt_key(&cipher->encrypt, key);
    algorithm->set_decrypt_key(&cipher->decrypt, key);
    if (is_xts && is_aes(alg)) {
        cipher->has_fast = aes_xts_init(&cipher->fast, key, key_len);
    }
    if (is_xts) {
        algorithm->set_encrypt_key(&cipher->tweak, key + algorithm->key_len);
    }
    return cipher;
}

void crypto_cipher_free(CryptoCipher *cipher)
{
    if (cipher) {
        explicit_bzero(cipher, sizeof(*cipher));
        g_free(cipher);
    }
}

static void crypt_xts(const CryptoCipher *cipher, bool encrypt, const uint8_t *ivs,
                      const uint8_t *in, uint8_t *out, size_t len, size_t n)
{
    BlockKey data = {
        .fn = encrypt ? cipher->alg->encrypt : cipher->alg->decrypt,
        .ctx = encrypt ? &cipher->encrypt : &cipher->decrypt,
    };
    BlockKey tweak = { .fn = cipher->alg->encrypt, .ctx = &cipher->tweak };

    if (cipher->has_fast) {
        (encrypt ? aes_xts_encrypt : aes_xts_decrypt)(&cipher->fast, ivs, in, out, len, n);
        return;
    }
    crypto_xts_units(data, tweak, ivs, in, out, len, n);
}

static void crypt_one(const CryptoCipher *cipher, bool encrypt, const uint8_t *iv,
                      const uint8_t *in, uint8_t *out, size_t len)
{
    const Algorithm *alg = cipher->alg;
    uint8_t vector[CRYPTO_MAX_BLOCK];

    g_assert(cipher->mode == QCRYPTO_CIPHER_MODE_CTR || len % alg->block_len == 0);
    if (cipher->mode != QCRYPTO_CIPHER_MODE_ECB) {
        memcpy(vector, iv, alg->block_len);
    }
    switch (cipher->mode) {
    case QCRYPTO_CIPHER_MODE_ECB:
        if (encrypt) {
            alg->encrypt(&cipher->encrypt, len, out, in);
        } else {
            alg->decrypt(&cipher->decrypt, len, out, in);
        }
        break;
    case QCRYPTO_CIPHER_MODE_CBC:
        if (encrypt) {
            cbc_encrypt(&cipher->encrypt, alg->encrypt, alg->block_len, vector, len, out, in);
        } else {
            cbc_decrypt(&cipher->decrypt, alg->decrypt, alg->block_len, vector, len, out, in);
        }
        break;
    case QCRYPTO_CIPHER_MODE_CTR:
        ctr_crypt(&cipher->encrypt, alg->encrypt, alg->block_len, vector, len, out, in);
        break;
    case QCRYPTO_CIPHER_MODE_XTS:
        crypt_xts(cipher, encrypt, vector, in, out, len, 1);
        break;
    case QCRYPTO_CIPHER_MODE__MAX:
        g_assert_not_reached();
    }
}

static void crypt_sectors(const CryptoCipher *cipher, bool encrypt, const uint8_t *ivs,
                          const uint8_t *in, uint8_t *out, size_t len, size_t n)
{
    if (cipher->mode == QCRYPTO_CIPHER_MODE_XTS) {
        g_assert(len % CRYPTO_MAX_BLOCK == 0);
        crypt_xts(cipher, encrypt, ivs, in, out, len, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        crypt_one(cipher, encrypt, ivs + i * CRYPTO_MAX_BLOCK, in + i * len, out + i * len, len);
    }
}

void crypto_cipher_encrypt(const CryptoCipher *cipher, const uint8_t *iv, const void *in, void *out,
                           size_t len)
{
    crypt_one(cipher, true, iv, in, out, len);
}

void crypto_cipher_decrypt(const CryptoCipher *cipher, const uint8_t *iv, const void *in, void *out,
                           size_t len)
{
    crypt_one(cipher, false, iv, in, out, len);
}

void crypto_cipher_encrypt_sectors(const CryptoCipher *cipher, const uint8_t *ivs, const void *in,
                                   void *out, size_t len, size_t n)
{
    crypt_sectors(cipher, true, ivs, in, out, len, n);
}

void crypto_cipher_decrypt_sectors(const CryptoCipher *cipher, const uint8_t *ivs, const void *in,
                                   void *out, size_t len, size_t n)
{
    crypt_sectors(cipher, false, ivs, in, out, len, n);
}
