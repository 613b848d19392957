/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets are read when the object is complete, decoded from base64 and, if they name a key,
 * decrypted: AES-256-CBC with the padding of PKCS #7. The key is another secret of 32 bytes.
 */
#include "crypto/secret-common.h"

#include <string.h>

#include "crypto/cipher.h"
#include "qapi/qapi-types-crypto.h"
#include "util/error.h"

#define IV_LEN 16
#define KEY_LEN 32

SecretData *secret_data_new(const void *data, size_t len)
{
    SecretData *secret = g_malloc0(sizeof(*secret) + len + 1);

    secret->len = len;
    if (data) {
        memcpy(secret->data, data, len);
    }
    return secret;
}

void secret_data_free(SecretData *secret)
{
    if (secret) {
        explicit_bzero(secret->data, secret->len);
        g_free(secret);
    }
}

SecretData *secret_lookup(const char *id, GError **error)
{
    const SecretCommon *secret =
        (const SecretCommon *)user_object_find(id, TYPE_SECRET_COMMON, error);

    if (!secret) {
        return NULL;
    }
    if (!secret->secret) {
        error_setf(error, "secret '%s' has no data yet", id);
        return NULL;
    }
    return secret_data_new(secret->secret->data, secret->secret->len);
}

SecretData *secret_lookup_text(const char *id, GError **error)
{
    SecretData *secret = secret_lookup(id, error);

    if (secret && !g_utf8_validate((const char *)secret->data, (gssize)secret->len, NULL)) {
        error_setf(error, "secret '%s' is not text", id);
        g_clear_pointer(&secret, secret_data_free);
    }
    return secret;
}

/* g_base64_decode() skips what it does not know; a damaged secret shall be noticed. */
static SecretData *decode_base64(const char *text, const char *what, GError **error)
{
    const char *const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    g_autofree char *packed = g_malloc(strlen(text) + 1);
    size_t n = 0, pads = 0;
    g_autofree guchar *bytes = NULL;
    SecretData *decoded;
    gsize len;

    for (const char *at = text; *at; at++) {
        bool is_pad = *at == '=';

        if (g_ascii_isspace(*at)) {
            continue;
        }
        pads += is_pad;
        if ((!is_pad && (pads || !strchr(digits, *at))) || pads > 2) {
            error_setf(error, "%s is not base64", what);
            return NULL;
        }
        packed[n++] = *at;
    }
    packed[n] = '\0';
    if (n % 4) {
        error_setf(error, "%s is not base64: its end is missing", what);
        return NULL;
    }
    bytes = g_base64_decode(packed, &len);
    decoded = secret_data_new(bytes, len);
    explicit_bzero(bytes, len);
    explicit_bzero(packed, n);
    return decoded;
}

/* Takes off the padding in place: 1 to 16 bytes, each their number. */
static bool strip_padding(SecretData *secret, GError **error)
{
    size_t pads = secret->len ? secret->data[secret->len - 1] : 0;
    bool ok = pads >= 1 && pads <= IV_LEN && pads <= secret->len;

    for (size_t i = 1; ok && i <= pads; i++) {
        ok = secret->data[secret->len - i] == pads;
    }
    if (!ok) {
        error_setf(error, "the padding of the decrypted secret is wrong; key or iv may be wrong");
        return false;
    }
    secret->len -= pads;
    secret->data[secret->len] = 0;
    return true;
}

static SecretData *decrypt(const SecretCommon *common, const SecretData *input, GError **error)
{
    g_autoptr(SecretData) key = secret_lookup(common->keyid, error);
    g_autoptr(SecretData) iv = NULL;
    g_autoptr(SecretData) plain = NULL;
    g_autoptr(CryptoCipher) cipher = NULL;

    if (!key) {
        return NULL;
    }
    if (key->len != KEY_LEN) {
        error_setf(error, "secret '%s' has %zu bytes; a key for secrets has %d", common->keyid,
                   key->len, KEY_LEN);
        return NULL;
    }
    if (!common->iv) {
        error_setf(error, "a secret with 'keyid' needs 'iv'");
        return NULL;
    }
    iv = decode_base64(common->iv, "'iv'", error);
    if (!iv) {
        return NULL;
    }
    if (iv->len != IV_LEN || input->len % IV_LEN) {
        error_setf(error, iv->len != IV_LEN ? "'iv' has %zu bytes, not 16"
                                            : "an encrypted secret of %zu bytes is not whole",
                   iv->len != IV_LEN ? iv->len : input->len);
        return NULL;
    }
    cipher = crypto_cipher_new(QCRYPTO_CIPHER_ALG_AES_256, QCRYPTO_CIPHER_MODE_CBC, key->data,
                               key->len, error);
    plain = secret_data_new(NULL, input->len);
    crypto_cipher_decrypt(cipher, iv->data, input->data, plain->data, input->len);
    return strip_padding(plain, error) ? g_steal_pointer(&plain) : NULL;
}

static bool secret_complete(Object *obj, GError **error)
{
    SecretCommon *common = (SecretCommon *)obj;
    const SecretOps *ops = object_ops(obj);
    g_autoptr(SecretData) data = ops->load(common, error);

    if (!data) {
        return false;
    }
    if (common->format == QCRYPTO_SECRET_FORMAT_BASE64) {
        SecretData *decoded = decode_base64((const char *)data->data, "the secret", error);

        secret_data_free(data);
        data = decoded;
        if (!data) {
            return false;
        }
    }
    common->secret = common->keyid ? decrypt(common, data, error) : g_steal_pointer(&data);
    return common->secret != NULL;
}

static void secret_finalize(Object *obj)
{
    secret_data_free(((SecretCommon *)obj)->secret);
}

static const char *const format_names[] = {
    [QCRYPTO_SECRET_FORMAT_RAW] = "raw",
    [QCRYPTO_SECRET_FORMAT_BASE64] = "base64",
    [QCRYPTO_SECRET_FORMAT__MAX] = NULL,
};

static const Property secret_properties[] = {
    PROP_BOOL("loaded", SecretCommon, loaded, false, "has no effect"),
    PROP_ENUM("format", SecretCommon, format, format_names, QCRYPTO_SECRET_FORMAT_RAW,
              "how the data is written"),
    PROP_STRING("keyid", SecretCommon, keyid, NULL, "secret with whose key this one is encrypted"),
    PROP_STRING("iv", SecretCommon, iv, NULL, "initialisation vector of that, in base64"),
    PROP_END,
};

static const UserObjectHooks secret_hooks = {
    .complete = secret_complete,
};

static const TypeInfo secret_common_type = {
    .name = TYPE_SECRET_COMMON,
    .parent = TYPE_USER_OBJECT,
    .description = "password or key",
    .instance_size = sizeof(SecretCommon),
    .is_abstract = true,
    .properties = secret_properties,
    .instance_finalize = secret_finalize,
    .hooks = &secret_hooks,
};
QOM_TYPE(secret_common_type);
