/* SPDX-License-Identifier: Apache-2.0 */
/* -object secret_keyring: a key of the kernel's keyring, which this process may read. */
#include <errno.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crypto/secret-common.h"
#include "util/error.h"

typedef struct KeyringSecret {
    SecretCommon common;
    int32_t serial;
} KeyringSecret;

/* The length of the key, of which at most len bytes were read; -1 with errno. */
static long read_key(int32_t serial, void *buf, size_t len)
{
    return syscall(SYS_keyctl, KEYCTL_READ, serial, buf, len, 0);
}

static SecretData *keyring_load(SecretCommon *common, GError **error)
{
    const KeyringSecret *keyring = (KeyringSecret *)common;
    long len = read_key(keyring->serial, NULL, 0);
    SecretData *data;

    if (len < 0) {
        error_set_errno(error, errno, "cannot read key %d of the keyring", keyring->serial);
        return NULL;
    }
    if (len > SECRET_MAX_LEN) {
        error_setf(error, "key %d of the keyring is too long for a secret: %ld bytes",
                   keyring->serial, len);
        return NULL;
    }
    data = secret_data_new(NULL, (size_t)len);
    if (read_key(keyring->serial, data->data, data->len) != len) {
        error_setf(error, "key %d of the keyring changed while it was read", keyring->serial);
        g_clear_pointer(&data, secret_data_free);
    }
    return data;
}

static const Property keyring_properties[] = {
    PROP_INT32("serial", KeyringSecret, serial, 0, "the key's serial number"),
    PROP_END,
};

static const SecretOps keyring_ops = {
    .load = keyring_load,
};

static const TypeInfo keyring_type = {
    .name = TYPE_SECRET_KEYRING,
    .parent = TYPE_SECRET_COMMON,
    .description = "password or key in the kernel's keyring",
    .instance_size = sizeof(KeyringSecret),
    .user_creatable = true,
    .properties = keyring_properties,
    .ops = &keyring_ops,
};
QOM_TYPE(keyring_type);
