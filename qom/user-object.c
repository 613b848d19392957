/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that a person makes: -object, object-add, object-del. They live below /objects. */
#include "qom/object.h"

#include <string.h>

#include "qom/qom-internal.h"
#include "util/error.h"

#define OBJECTS_PATH "/objects"

/* By this name managers ask which objects can be made. */
static const char *const user_object_interfaces[] = { "user-creatable", NULL };

static const TypeInfo user_object_type = {
    .name = TYPE_USER_OBJECT,
    .parent = TYPE_OBJECT,
    .description = "object that -object can make",
    .instance_size = sizeof(Object),
    .is_abstract = true,
    .interfaces = user_object_interfaces,
};
QOM_TYPE(user_object_type);

/* A letter, then letters, digits, '-', '.', '_'. */
bool object_id_is_valid(const char *id)
{
    if (!g_ascii_isalpha(*id)) {
        return false;
    }
    while (*++id) {
        if (!g_ascii_isalnum(*id) && !strchr("-._", *id)) {
            return false;
        }
    }
    return true;
}

static const TypeInfo *find_creatable(const char *name, GError **error)
{
    const TypeInfo *type = type_find(name);
    g_autoptr(GPtrArray) types = NULL;
    g_autoptr(GPtrArray) names = NULL;

    if (type && type->user_creatable && !type->is_abstract && type_is_a(type, TYPE_USER_OBJECT)) {
        return type;
    }
    error_setf(error, "'%s' is not an object type", name);
    types = type_list(TYPE_USER_OBJECT, false);
    names = g_ptr_array_new();
    for (guint i = 0; i < types->len; i++) {
        type = g_ptr_array_index(types, i);
        if (type->user_creatable) {
            g_ptr_array_add(names, (void *)type->name);
        }
    }
    g_ptr_array_add(names, NULL);
    error_append_nearest(error, name, (const char *const *)names->pdata);
    return NULL;
}

/* A string member that must be there. */
static const char *required_string(json_object *options, const char *name, GError **error)
{
    json_object *value;

    if (!json_object_object_get_ex(options, name, &value)) {
        error_setf(error, "an object needs '%s'", name);
        return NULL;
    }
    if (!json_object_is_type(value, json_type_string)) {
        error_setf(error, "'%s' of an object must be a string", name);
        return NULL;
    }
    return json_object_get_string(value);
}

static bool set_properties(Object *obj, json_object *options, bool text, GError **error)
{
    json_object_object_foreach(options, name, value) {
        bool ok;

        if (strcmp(name, "qom-type") == 0 || strcmp(name, "id") == 0) {
            continue;
        }
        if (text && json_object_is_type(value, json_type_string)) {
            ok = object_property_parse(obj, name, json_object_get_string(value), error);
        } else {
            ok = object_property_set(obj, name, value, error);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* The hooks of every level below user-object, root first. */
static bool run_complete(Object *obj, GError **error)
{
    const TypeInfo *chain[TYPE_CHAIN_MAX];

    for (size_t i = type_chain(obj->type, chain); i-- > 0;) {
        const UserObjectHooks *hooks = chain[i]->hooks;

        if (hooks && hooks->complete && !hooks->complete(obj, error)) {
            return false;
        }
    }
    return true;
}

static bool run_may_delete(Object *obj, GError **error)
{
    const TypeInfo *chain[TYPE_CHAIN_MAX];
    size_t depth = type_chain(obj->type, chain);

    for (size_t i = 0; i < depth; i++) {
        const UserObjectHooks *hooks = chain[i]->hooks;

        if (hooks && hooks->may_delete && !hooks->may_delete(obj, error)) {
            return false;
        }
    }
    return true;
}

Object *user_object_create(json_object *options, bool text, GError **error)
{
    const char *type_name = required_string(options, "qom-type", error);
    const char *id = type_name ? required_string(options, "id", error) : NULL;
    const TypeInfo *type;
    g_autoptr(Object) obj = NULL;

    if (!id) {
        return NULL;
    }
    type = find_creatable(type_name, error);
    if (!type) {
        return NULL;
    }
    if (!object_id_is_valid(id)) {
        error_setf(error, "'%s' is not a valid id: a letter, then letters, digits, '-', '.', '_'",
                   id);
        return NULL;
    }
    obj = object_new_with_type(type);
    if (!object_apply_globals(obj, error) || !set_properties(obj, options, text, error) ||
        !object_check_required(obj, error) ||
        !object_add_child(object_container(OBJECTS_PATH), id, obj, error)) {
        return NULL;
    }
    if (!run_complete(obj, error)) {
        object_unparent(obj);
        return NULL;
    }
    obj->sealed = true;
    return obj; /* the tree holds it; our own reference goes */
}

bool user_object_delete(const char *id, GError **error)
{
    Object *obj = object_child(object_container(OBJECTS_PATH), id);

    if (!obj) {
        error_setf(error, "there is no object '%s'", id);
        return false;
    }
    if (!run_may_delete(obj, error)) {
        return false;
    }
    object_unparent(obj);
    return true;
}

Object *user_object_find(const char *id, const char *type_name, GError **error)
{
    Object *obj = object_child(object_container(OBJECTS_PATH), id);

    if (!obj) {
        error_setf(error, "there is no object '%s'", id);
        return NULL;
    }
    if (!object_is_a(obj, type_name)) {
        error_setf(error, "object '%s' is a %s, not a %s", id, obj->type->name, type_name);
        return NULL;
    }
    return obj;
}
