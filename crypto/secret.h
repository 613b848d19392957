/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: -object secret and secret_keyring hold passwords and keys, and everything that needs one
 * names it by its id. With the VM lock held.
 */
#ifndef VIREO_CRYPTO_SECRET_H
#define VIREO_CRYPTO_SECRET_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#define TYPE_SECRET_COMMON "secret_common"
#define TYPE_SECRET "secret"
#define TYPE_SECRET_KEYRING "secret_keyring"

/* len bytes, any of which may be 0, and another 0. */
typedef struct SecretData {
    size_t len;
    uint8_t data[];
} SecretData;

/* A copy, the caller's; NULL if there is no such secret. */
SecretData *secret_lookup(const char *id, GError **error);
/* As text: fails if it is not UTF-8 or has a 0 in it. */
SecretData *secret_lookup_text(const char *id, GError **error);

SecretData *secret_data_new(const void *data, size_t len);
/* Wipes it. NULL is ignored. */
void secret_data_free(SecretData *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SecretData, secret_data_free)

#endif
