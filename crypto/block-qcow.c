/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encryption of qcow and, as crypt_method 1, of qcow2: AES-128-CBC whose key is the password
 * itself, cut or filled up with zeroes to 16 bytes, and whose vector is the number of the guest's
 * sector. There is no header: a wrong password shows as garbage. For reading old images.
 */
#include <string.h>

#include "crypto/block-internal.h"

#define KEY_LEN 16

static bool set_key(CryptoBlock *block, const char *secret_id, const char *prefix, GError **error)
{
    g_autoptr(SecretData) secret = crypto_block_secret(secret_id, prefix, "key-secret", error);
    uint8_t key[KEY_LEN] = { 0 };

    if (!secret) {
        return false;
    }
    memcpy(key, secret->data, MIN(secret->len, sizeof(key)));
    block->key_secret = g_strdup(secret_id);
    block->cipher = crypto_cipher_new(QCRYPTO_CIPHER_ALG_AES_128, QCRYPTO_CIPHER_MODE_CBC, key,
                                      sizeof(key), error);
    explicit_bzero(key, sizeof(key));
    block->ivgen = crypto_ivgen_new(QCRYPTO_IVGEN_ALG_PLAIN64, QCRYPTO_CIPHER_ALG_AES_128, 0, NULL,
                                    0, NULL);
    return block->cipher != NULL;
}

static bool qcow_open(CryptoBlock *block, const QCryptoBlockOpenOptions *options,
                      const char *prefix, const CryptoBlockIo *io, unsigned flags, GError **error)
{
    return (flags & CRYPTO_BLOCK_NO_IO) ||
           set_key(block, options->u.qcow.key_secret, prefix, error);
}

static bool qcow_create(CryptoBlock *block, const QCryptoBlockCreateOptions *options,
                        const char *prefix, const CryptoBlockIo *io, GError **error)
{
    return set_key(block, options->u.qcow.key_secret, prefix, error);
}

const CryptoBlockFormat crypto_block_qcow = {
    .open = qcow_open,
    .create = qcow_create,
};
