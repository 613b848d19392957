/* SPDX-License-Identifier: Apache-2.0 */
/* -object secret: from the command line or a file. What was given is forgotten when it was read. */
#include <string.h>

#include "crypto/secret-common.h"
#include "util/error.h"

typedef struct Secret {
    SecretCommon common;
    char *data;
    char *file;
} Secret;

/* Any kind of file, a pipe too. */
static SecretData *read_file(const char *path, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autofree char *bytes = NULL;
    SecretData *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &bytes, &len, &reason)) {
        error_setf(error, "cannot read secret: %s", reason->message);
        return NULL;
    }
    if (len > SECRET_MAX_LEN) {
        error_setf(error, "'%s' is too long for a secret: %zu bytes", path, len);
    } else {
        data = secret_data_new(bytes, len);
    }
    explicit_bzero(bytes, len);
    return data;
}

static SecretData *secret_load(SecretCommon *common, GError **error)
{
    Secret *secret = (Secret *)common;
    SecretData *data;

    if (!secret->data == !secret->file) {
        error_setf(error, "a secret needs either 'data' or 'file'");
        return NULL;
    }
    if (secret->file) {
        return read_file(secret->file, error);
    }
    data = secret_data_new(secret->data, strlen(secret->data));
    explicit_bzero(secret->data, strlen(secret->data));
    g_clear_pointer(&secret->data, g_free);
    return data;
}

static const Property secret_properties[] = {
    PROP_STRING("data", Secret, data, NULL, "the secret; can be read until the object is complete"),
    PROP_STRING("file", Secret, file, NULL, "a file that holds it"),
    PROP_END,
};

static const SecretOps secret_ops = {
    .load = secret_load,
};

static const TypeInfo secret_type = {
    .name = TYPE_SECRET,
    .parent = TYPE_SECRET_COMMON,
    .description = "password or key, given as text or in a file",
    .instance_size = sizeof(Secret),
    .user_creatable = true,
    .properties = secret_properties,
    .ops = &secret_ops,
};
QOM_TYPE(secret_type);
