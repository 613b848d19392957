/* SPDX-License-Identifier: Apache-2.0 */
/* An object's life: making, references, casts, the end. */
#include "qom/object.h"

#include <string.h>

#include "qom/qom-internal.h"

static json_object *get_type_name(Object *obj, const Property *prop)
{
    return json_object_new_string(obj->type->name);
}

/* Lists show it as "string", which tells it from the "str" that people set. */
static const PropertyKind type_name_kind = { .type_name = "string", .json_type = "str" };

static const Property object_properties[] = {
    PROP_COMPUTED("type", type_name_kind, get_type_name, NULL, "name of the object's type"),
    PROP_END,
};

static const TypeInfo object_type = {
    .name = TYPE_OBJECT,
    .description = "root of all types",
    .instance_size = sizeof(Object),
    .is_abstract = true,
    .properties = object_properties,
};
QOM_TYPE(object_type);

static const TypeInfo container_type = {
    .name = TYPE_CONTAINER,
    .parent = TYPE_OBJECT,
    .description = "folder in the object tree",
    .instance_size = sizeof(Object),
};
QOM_TYPE(container_type);

static bool set_default(const TypeInfo *owner, const Property *prop, void *opaque)
{
    Object *obj = opaque;
    void *field = property_field(obj, prop);

    if (field && prop->kind->set_default) {
        prop->kind->set_default(obj, prop, field);
    }
    return true;
}

Object *object_new_with_type(const TypeInfo *type)
{
    const TypeInfo *chain[TYPE_CHAIN_MAX];
    size_t depth = type_chain(type, chain);
    size_t size = 0;
    Object *obj;

    g_assert(!type->is_abstract);
    for (size_t i = 0; i < depth; i++) {
        size = MAX(size, chain[i]->instance_size);
    }
    obj = g_malloc0(size);
    obj->type = type;
    obj->refs = 1;
    type_foreach_property(type, set_default, obj);
    for (size_t i = depth; i-- > 0;) {
        if (chain[i]->instance_init) {
            chain[i]->instance_init(obj);
        }
    }
    object_try_globals(obj);
    return obj;
}

Object *object_new(const char *type_name)
{
    const TypeInfo *type = type_find(type_name);

    if (!type) {
        g_error("type '%s' is not linked in", type_name);
    }
    return object_new_with_type(type);
}

Object *object_ref(Object *obj)
{
    if (obj) {
        uint32_t before = __atomic_fetch_add(&obj->refs, 1, __ATOMIC_RELAXED);

        g_assert(before > 0);
    }
    return obj;
}

static bool release_property(const TypeInfo *owner, const Property *prop, void *opaque)
{
    Object *obj = opaque;
    void *field = property_field(obj, prop);

    if (field && prop->kind->release) {
        prop->kind->release(obj, prop, field);
    }
    return true;
}

/* Children go first, the youngest before the older; then the object's own levels, leaf to root. */
static void object_finalize(Object *obj)
{
    const TypeInfo *chain[TYPE_CHAIN_MAX];
    size_t depth = type_chain(obj->type, chain);

    g_assert(!obj->parent);
    while (obj->child_order && obj->child_order->len) {
        object_unparent(object_child(
            obj, g_ptr_array_index(obj->child_order, obj->child_order->len - 1)));
    }
    for (size_t i = 0; i < depth; i++) {
        if (chain[i]->instance_finalize) {
            chain[i]->instance_finalize(obj);
        }
    }
    type_foreach_property(obj->type, release_property, obj);
    g_clear_pointer(&obj->children, g_hash_table_destroy);
    g_clear_pointer(&obj->child_order, g_ptr_array_unref);
    g_clear_pointer(&obj->links, g_hash_table_destroy);
    g_clear_error(&obj->globals_error);
    g_free(obj->name);
    g_free(obj);
}

void object_unref(Object *obj)
{
    uint32_t before;

    if (!obj) {
        return;
    }
    before = __atomic_fetch_sub(&obj->refs, 1, __ATOMIC_ACQ_REL);
    g_assert(before > 0);
    if (before == 1) {
        object_finalize(obj);
    }
}

bool object_is_a(const void *obj, const char *type_name)
{
    return obj && type_is_a(((const Object *)obj)->type, type_name);
}

void *object_cast(const void *obj, const char *type_name)
{
    if (obj && !object_is_a(obj, type_name)) {
        g_error("object of type '%s' is not a '%s'", object_type_name(obj), type_name);
    }
    return (void *)obj;
}
