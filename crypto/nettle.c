/* SPDX-License-Identifier: Apache-2.0 */
/* The module crypto-nettle: tables of the library's functions. */
#include <nettle/aes.h>
#include <nettle/cast128.h>
#include <nettle/cbc.h>
#include <nettle/ctr.h>
#include <nettle/des.h>
#include <nettle/hmac.h>
#include <nettle/nettle-meta.h>
#include <nettle/pbkdf2.h>
#include <nettle/serpent.h>
#include <nettle/twofish.h>

#include "crypto/nettle-ops.h"

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
#define SAME_KEY(set, name)                                                                        \
    { KEY(set), KEY(set), FN(name##_encrypt), FN(name##_decrypt) }
#define AES(name)                                                                                  \
    { KEY(name##_set_encrypt_key), KEY(name##_set_decrypt_key), FN(name##_encrypt),                \
      FN(name##_decrypt) }

const NettleOps crypto_nettle = {
    .ciphers = {
        [QCRYPTO_CIPHER_ALG_AES_128] = AES(aes128),
        [QCRYPTO_CIPHER_ALG_AES_192] = AES(aes192),
        [QCRYPTO_CIPHER_ALG_AES_256] = AES(aes256),
        [QCRYPTO_CIPHER_ALG_DES] = SAME_KEY(set_des_key, des),
        [QCRYPTO_CIPHER_ALG_3DES] = SAME_KEY(set_des3_key, des3),
        [QCRYPTO_CIPHER_ALG_CAST5_128] = SAME_KEY(set_cast128_key, cast128),
        [QCRYPTO_CIPHER_ALG_SERPENT_128] = SAME_KEY(serpent128_set_key, serpent),
        [QCRYPTO_CIPHER_ALG_SERPENT_192] = SAME_KEY(serpent192_set_key, serpent),
        [QCRYPTO_CIPHER_ALG_SERPENT_256] = SAME_KEY(serpent256_set_key, serpent),
        [QCRYPTO_CIPHER_ALG_TWOFISH_128] = SAME_KEY(twofish128_set_key, twofish),
        [QCRYPTO_CIPHER_ALG_TWOFISH_192] = SAME_KEY(twofish192_set_key, twofish),
        [QCRYPTO_CIPHER_ALG_TWOFISH_256] = SAME_KEY(twofish256_set_key, twofish),
    },
    .hashes = {
        [QCRYPTO_HASH_ALG_MD5] = &nettle_md5,
        [QCRYPTO_HASH_ALG_SHA1] = &nettle_sha1,
        [QCRYPTO_HASH_ALG_SHA224] = &nettle_sha224,
        [QCRYPTO_HASH_ALG_SHA256] = &nettle_sha256,
        [QCRYPTO_HASH_ALG_SHA384] = &nettle_sha384,
        [QCRYPTO_HASH_ALG_SHA512] = &nettle_sha512,
        [QCRYPTO_HASH_ALG_RIPEMD160] = &nettle_ripemd160,
    },
    .cbc_encrypt = cbc_encrypt,
    .cbc_decrypt = cbc_decrypt,
    .ctr_crypt = ctr_crypt,
    .hmac_set_key = hmac_set_key,
    .hmac_update = hmac_update,
    .hmac_digest = hmac_digest,
    .pbkdf2 = pbkdf2,
};
