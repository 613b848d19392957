/* SPDX-License-Identifier: Apache-2.0 */
/* What all authorization objects share, and authz-simple: one identity. */
#include "crypto/authz.h"

#include <string.h>

#include "util/error.h"

bool authz_exists(const char *id, GError **error)
{
    return user_object_find(id, TYPE_AUTHZ, error) != NULL;
}

bool authz_check(const char *id, const char *identity, GError **error)
{
    Object *authz = user_object_find(id, TYPE_AUTHZ, error);
    const AuthzOps *ops;

    if (!authz) {
        return false;
    }
    ops = object_ops(authz);
    if (!ops->is_allowed(authz, identity)) {
        error_setf(error, "'%s' is not allowed by authorization object '%s'", identity, id);
        return false;
    }
    return true;
}

static const TypeInfo authz_type = {
    .name = TYPE_AUTHZ,
    .parent = TYPE_USER_OBJECT,
    .description = "who may do something",
    .instance_size = sizeof(Object),
    .is_abstract = true,
};
QOM_TYPE(authz_type);

typedef struct SimpleAuthz {
    Object parent;
    char *identity;
} SimpleAuthz;

static bool simple_is_allowed(Object *authz, const char *identity)
{
    return strcmp(((SimpleAuthz *)authz)->identity, identity) == 0;
}

static const Property simple_properties[] = {
    { PROP_FIELD_(prop_kind_string, "identity", SimpleAuthz, identity, "who is allowed"),
      .flags = PROP_REQUIRED },
    PROP_END,
};

static const AuthzOps simple_ops = {
    .is_allowed = simple_is_allowed,
};

static const TypeInfo simple_type = {
    .name = "authz-simple",
    .parent = TYPE_AUTHZ,
    .description = "one identity is allowed",
    .instance_size = sizeof(SimpleAuthz),
    .user_creatable = true,
    .properties = simple_properties,
    .ops = &simple_ops,
};
QOM_TYPE(simple_type);
