/* SPDX-License-Identifier: Apache-2.0 */
/* What kinds of secrets share: format and encryption of what they were given. */
#ifndef VIREO_CRYPTO_SECRET_COMMON_H
#define VIREO_CRYPTO_SECRET_COMMON_H

#include "crypto/secret.h"
#include "qom/object.h"

/* Longer secrets are refused, in bytes. */
#define SECRET_MAX_LEN (1 << 20)

typedef struct SecretCommon {
    Object parent;
    bool loaded; /* obsolete, without effect */
    int format;  /* QCryptoSecretFormat */
    char *keyid;
    char *iv;
    SecretData *secret; /* when complete */
} SecretCommon;

/* TypeInfo.ops of each kind: what it was given, the caller's. */
typedef struct SecretOps {
    SecretData *(*load)(SecretCommon *secret, GError **error);
} SecretOps;

#endif
