/* SPDX-License-Identifier: Apache-2.0 */
/* Initialisation vectors of sectors. */
#include "crypto/ivgen.h"

#include <string.h>

#include "crypto/hash.h"
#include "util/bits.h"
#include "util/error.h"

struct IvGen {
    QCryptoIVGenAlgorithm alg;
    size_t block_len;      /* of the data's cipher */
    CryptoCipher *encrypt; /* essiv only */
};

/* Ciphers that differ in the key's length only; a digest's length chooses among them. */
static const QCryptoCipherAlgorithm families[][3] = {
    { QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_ALG_AES_192, QCRYPTO_CIPHER_ALG_AES_256 },
    { QCRYPTO_CIPHER_ALG_SERPENT_128, QCRYPTO_CIPHER_ALG_SERPENT_192,
      QCRYPTO_CIPHER_ALG_SERPENT_256 },
    { QCRYPTO_CIPHER_ALG_TWOFISH_128, QCRYPTO_CIPHER_ALG_TWOFISH_192,
      QCRYPTO_CIPHER_ALG_TWOFISH_256 },
};

/* The family of a cipher: three of one kind, or the cipher alone. */
static size_t family_of(const QCryptoCipherAlgorithm *cipher,
                        const QCryptoCipherAlgorithm **family)
{
    for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(families[i]); j++) {
            if (families[i][j] == *cipher) {
                *family = families[i];
                return G_N_ELEMENTS(families[i]);
            }
        }
    }
    *family = cipher;
    return 1;
}

static bool essiv_cipher(QCryptoCipherAlgorithm cipher, QCryptoHashAlgorithm hash,
                         QCryptoCipherAlgorithm *found)
{
    const QCryptoCipherAlgorithm *family;
    size_t n = family_of(&cipher, &family);

    for (size_t i = 0; i < n; i++) {
        if (crypto_cipher_key_len(family[i]) == crypto_hash_len(hash)) {
            *found = family[i];
            return true;
        }
    }
    return false;
}

bool crypto_ivgen_essiv_supports(QCryptoCipherAlgorithm cipher, QCryptoHashAlgorithm hash)
{
    QCryptoCipherAlgorithm found;

    return essiv_cipher(cipher, hash, &found);
}

static CryptoCipher *new_essiv(QCryptoCipherAlgorithm cipher, QCryptoHashAlgorithm hash,
                               const uint8_t *key, size_t key_len, GError **error)
{
    uint8_t digest[CRYPTO_MAX_DIGEST];
    QCryptoCipherAlgorithm found;
    CryptoCipher *encrypt;

    if (!essiv_cipher(cipher, hash, &found)) {
        error_setf(error, "essiv with hash %s does not go with cipher %s: the digest has %zu bytes",
                   QCryptoHashAlgorithm_str(hash), QCryptoCipherAlgorithm_str(cipher),
                   crypto_hash_len(hash));
        return NULL;
    }
    crypto_hash(hash, key, key_len, digest);
    encrypt = crypto_cipher_new(found, QCRYPTO_CIPHER_MODE_ECB, digest, crypto_hash_len(hash),
                                error);
    explicit_bzero(digest, sizeof(digest));
    return encrypt;
}

IvGen *crypto_ivgen_new(QCryptoIVGenAlgorithm alg, QCryptoCipherAlgorithm cipher,
                        QCryptoHashAlgorithm hash, const uint8_t *key, size_t key_len,
                        GError **error)
{
    CryptoCipher *encrypt = NULL;
    IvGen *ivgen;

    if (alg == QCRYPTO_IVGEN_ALG_ESSIV) {
        encrypt = new_essiv(cipher, hash, key, key_len, error);
        if (!encrypt) {
            return NULL;
        }
    }
    ivgen = g_new0(IvGen, 1);
    ivgen->alg = alg;
    ivgen->block_len = crypto_cipher_block_len(cipher);
    ivgen->encrypt = encrypt;
    return ivgen;
}

void crypto_ivgen_free(IvGen *ivgen)
{
    if (ivgen) {
        crypto_cipher_free(ivgen->encrypt);
        g_free(ivgen);
    }
}

void crypto_ivgen_vectors(const IvGen *ivgen, uint64_t sector, size_t n, uint8_t *ivs)
{
    memset(ivs, 0, n * CRYPTO_MAX_BLOCK);
    for (size_t i = 0; i < n; i++) {
        uint8_t *iv = ivs + i * CRYPTO_MAX_BLOCK;
        uint64_t number = sector + i;

        stq_le(iv, ivgen->alg == QCRYPTO_IVGEN_ALG_PLAIN ? (uint32_t)number : number);
        if (ivgen->encrypt) {
            crypto_cipher_encrypt(ivgen->encrypt, NULL, iv, iv, ivgen->block_len);
        }
    }
}
