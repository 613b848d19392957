/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorization: objects that say whether an identity, such as the distinguished name of a client's
 * certificate, may do what it asks for. With the VM lock held.
 */
#ifndef VIREO_CRYPTO_AUTHZ_H
#define VIREO_CRYPTO_AUTHZ_H

#include <glib.h>
#include <stdbool.h>

#include "qom/object.h"

#define TYPE_AUTHZ "authz"

/* TypeInfo.ops of each kind. */
typedef struct AuthzOps {
    bool (*is_allowed)(Object *authz, const char *identity);
} AuthzOps;

bool authz_exists(const char *id, GError **error);
/* False with an error that names the identity, also if the object is gone. */
bool authz_check(const char *id, const char *identity, GError **error);

#endif
