/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: looking at the object tree and at types, setting properties, making and deleting objects. */
#include <string.h>

#include "qapi/qapi-commands-qdev.h"
#include "qapi/qapi-commands-qom.h"
#include "qom/object.h"
#include "qom/qom-internal.h"
#include "util/error.h"

/* Root of the types that -device can name; hw/core defines it. */
#define DEVICE_TYPE_NAME "device"

static Object *resolve(const char *path, GError **error)
{
    bool ambiguous;
    Object *obj = object_resolve(path, &ambiguous);

    if (ambiguous) {
        error_setf(error, "several objects are called '%s'; give a longer path", path);
    } else if (!obj) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "there is no object '%s'", path);
    }
    return obj;
}

static ObjectPropertyInfo *info_new(const char *name, char *type)
{
    ObjectPropertyInfo *info = g_new0(ObjectPropertyInfo, 1);

    info->name = g_strdup(name);
    info->type = type;
    return info;
}

static char *declared_type(const Property *prop)
{
    if (prop->kind == &prop_kind_link) {
        return g_strdup_printf("link<%s>", (const char *)prop->arg);
    }
    return g_strdup(prop->kind->type_name);
}

static bool add_declared(const TypeInfo *owner, const Property *prop, void *opaque)
{
    g_ptr_array_add(opaque, info_new(prop->name, declared_type(prop)));
    return true;
}

static bool add_child(Object *child, void *opaque)
{
    g_ptr_array_add(opaque, info_new(child->name,
                                     g_strdup_printf("child<%s>", child->type->name)));
    return true;
}

GPtrArray *qmp_qom_list(const char *path, GError **error)
{
    Object *obj = resolve(path, error);
    GPtrArray *list;
    GHashTableIter iter;
    void *name;
    void *value;

    if (!obj) {
        return NULL;
    }
    list = ObjectPropertyInfo_list_new();
    type_foreach_property(obj->type, add_declared, list);
    if (obj->links) {
        g_hash_table_iter_init(&iter, obj->links);
        while (g_hash_table_iter_next(&iter, &name, &value)) {
            const ObjectLink *link = value;

            if (*link->target) {
                g_ptr_array_add(list, info_new(name, g_strdup_printf("link<%s>", link->type)));
            }
        }
    }
    object_foreach_child(obj, add_child, list);
    return list;
}

json_object *qmp_qom_get(const char *path, const char *property, GError **error)
{
    Object *obj = resolve(path, error);

    return obj ? object_property_get(obj, property, error) : NULL;
}

bool qmp_qom_set(const char *path, const char *property, json_object *value, GError **error)
{
    Object *obj = resolve(path, error);

    return obj && object_property_set(obj, property, value, error);
}

GPtrArray *qmp_qom_list_types(const char *implements, bool has_abstract, bool abstract,
                              GError **error)
{
    g_autoptr(GPtrArray) types = type_list(implements, has_abstract && abstract);
    GPtrArray *list = ObjectTypeInfo_list_new();

    for (guint i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        ObjectTypeInfo *info = g_new0(ObjectTypeInfo, 1);

        info->name = g_strdup(type->name);
        info->has_abstract = info->abstract = type->is_abstract;
        info->parent = g_strdup(type->parent);
        g_ptr_array_add(list, info);
    }
    return list;
}

GPtrArray *qmp_qom_list_properties(const char *typename, GError **error)
{
    const TypeInfo *type = type_find(typename);
    GPtrArray *list;

    if (!type) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "there is no type '%s'", typename);
        return NULL;
    }
    list = ObjectPropertyInfo_list_new();
    type_foreach_property(type, add_declared, list);
    return list;
}

/* What a person can set when plugging the device: not what every device or object has. */
static bool add_settable(const TypeInfo *owner, const Property *prop, void *opaque)
{
    ObjectPropertyInfo *info;

    if ((prop->flags & (PROP_HIDDEN | PROP_READ_ONLY)) || !type_parent(owner) ||
        strcmp(owner->name, DEVICE_TYPE_NAME) == 0) {
        return true;
    }
    info = info_new(prop->name, declared_type(prop));
    info->description = g_strdup(prop->description);
    info->default_value = property_default(prop);
    g_ptr_array_add(opaque, info);
    return true;
}

GPtrArray *qmp_device_list_properties(const char *typename, GError **error)
{
    const TypeInfo *type = type_find(typename);
    GPtrArray *list;

    if (!type) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "there is no device type '%s'",
                       typename);
        return NULL;
    }
    if (type->is_abstract || !type_is_a(type, DEVICE_TYPE_NAME)) {
        error_setf(error, "'%s' is not a type that devices can have", typename);
        return NULL;
    }
    list = ObjectPropertyInfo_list_new();
    type_foreach_property(type, add_settable, list);
    return list;
}

bool qmp_object_add(const ObjectOptions *arg, GError **error)
{
    json_object *options = ObjectOptions_to_json(arg);
    bool ok = user_object_create(options, false, error) != NULL;

    json_object_put(options);
    return ok;
}

bool qmp_object_del(const char *id, GError **error)
{
    return user_object_delete(id, error);
}
