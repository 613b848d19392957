/* SPDX-License-Identifier: Apache-2.0 */
/* Block ciphers, by nettle. */
#include "crypto/cipher.h"

#include <nettle/aes.h>
#include <nettle/cast128.h>
#include <nettle/des.h>
#include <nettle/serpent.h>
#include <nettle/twofish.h>
#include <string.h>

#include "crypto/aes-xts.h"
#include "crypto/cipher-internal.h"
#include "crypto/nettle-ops.h"
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
} Algorithm;

struct CryptoCipher {
    const Algorithm *alg;
    const NettleOps *nettle;
    const NettleCipher *fns;
    QCryptoCipherMode mode;
    KeySchedule encrypt, decrypt, tweak;
    bool has_fast; /* the processor does it by itself, and `fast` has the keys */
    AesXtsKey fast;
};

static const Algorithm algorithms[] = {
    [QCRYPTO_CIPHER_ALG_AES_128] = { 16, 16 },
    [QCRYPTO_CIPHER_ALG_AES_192] = { 24, 16 },
    [QCRYPTO_CIPHER_ALG_AES_256] = { 32, 16 },
    [QCRYPTO_CIPHER_ALG_DES] = { 8, 8 },
    [QCRYPTO_CIPHER_ALG_3DES] = { 24, 8 },
    [QCRYPTO_CIPHER_ALG_CAST5_128] = { 16, 8 },
    [QCRYPTO_CIPHER_ALG_SERPENT_128] = { 16, 16 },
    [QCRYPTO_CIPHER_ALG_SERPENT_192] = { 24, 16 },
    [QCRYPTO_CIPHER_ALG_SERPENT_256] = { 32, 16 },
    [QCRYPTO_CIPHER_ALG_TWOFISH_128] = { 16, 16 },
    [QCRYPTO_CIPHER_ALG_TWOFISH_192] = { 24, 16 },
    [QCRYPTO_CIPHER_ALG_TWOFISH_256] = { 32, 16 },
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
    const NettleOps *nettle;
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
    nettle = nettle_ops(error);
    if (!nettle) {
        return NULL;
    }
    cipher = g_new0(CryptoCipher, 1);
    cipher->alg = algorithm;
    cipher->nettle = nettle;
    cipher->fns = &nettle->ciphers[alg];
    cipher->mode = mode;
    cipher->fns->set_encrypt_key(&cipher->encrypt, key);
    cipher->fns->set_decrypt_key(&cipher->decrypt, key);
    if (is_xts && is_aes(alg)) {
        cipher->has_fast = aes_xts_init(&cipher->fast, key, key_len);
    }
    if (is_xts) {
        cipher->fns->set_encrypt_key(&cipher->tweak, key + algorithm->key_len);
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
        .fn = encrypt ? cipher->fns->encrypt : cipher->fns->decrypt,
        .ctx = encrypt ? &cipher->encrypt : &cipher->decrypt,
    };
    BlockKey tweak = { .fn = cipher->fns->encrypt, .ctx = &cipher->tweak };

    if (cipher->has_fast) {
        (encrypt ? aes_xts_encrypt : aes_xts_decrypt)(&cipher->fast, ivs, in, out, len, n);
        return;
    }
    crypto_xts_units(data, tweak, ivs, in, out, len, n);
}

static void crypt_one(const CryptoCipher *cipher, bool encrypt, const uint8_t *iv,
                      const uint8_t *in, uint8_t *out, size_t len)
{
    const NettleOps *nettle = cipher->nettle;
    const NettleCipher *fns = cipher->fns;
    size_t block_len = cipher->alg->block_len;
    uint8_t vector[CRYPTO_MAX_BLOCK];

    g_assert(cipher->mode == QCRYPTO_CIPHER_MODE_CTR || len % block_len == 0);
    if (cipher->mode != QCRYPTO_CIPHER_MODE_ECB) {
        memcpy(vector, iv, block_len);
    }
    switch (cipher->mode) {
    case QCRYPTO_CIPHER_MODE_ECB:
        if (encrypt) {
            fns->encrypt(&cipher->encrypt, len, out, in);
        } else {
            fns->decrypt(&cipher->decrypt, len, out, in);
        }
        break;
    case QCRYPTO_CIPHER_MODE_CBC:
        if (encrypt) {
            nettle->cbc_encrypt(&cipher->encrypt, fns->encrypt, block_len, vector, len, out, in);
        } else {
            nettle->cbc_decrypt(&cipher->decrypt, fns->decrypt, block_len, vector, len, out, in);
        }
        break;
    case QCRYPTO_CIPHER_MODE_CTR:
        nettle->ctr_crypt(&cipher->encrypt, fns->encrypt, block_len, vector, len, out, in);
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
