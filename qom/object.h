/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects: everything that a person can name, list, set or plug is an object with a type.
 *
 * A type is one `static const TypeInfo` in the file that implements it, announced by QOM_TYPE(). It
 * names a parent type; the chain ends in "object". Each level of the chain adds properties and
 * steps of life: instance_init runs from the root type to the leaf, instance_finalize from leaf to
 * root. `hooks` is a table whose struct the root class of that family defines (DeviceHooks for
 * "device", UserObjectHooks for -object types); every level may have its own. `ops` is the leaf's
 * data for its bus or subsystem (PciDeviceOps, ChardevOps, ...): the nearest non-NULL one up the
 * chain counts.
 *
 * Objects are reference-counted and live in one tree whose root is object_root(): "/machine",
 * "/objects", "/chardevs". A parent owns a reference to each child. All with the VM lock held, if
 * not said otherwise.
 */
#ifndef VIREO_QOM_OBJECT_H
#define VIREO_QOM_OBJECT_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qom/property.h"

#define TYPE_OBJECT "object"
#define TYPE_CONTAINER "container"

typedef struct Object Object;
typedef struct TypeInfo TypeInfo;

struct TypeInfo {
    const char *name;
    const char *parent;
    const char *description; /* one line, for help */
    size_t instance_size;    /* of the struct whose first member is the parent's struct */
    bool is_abstract;
    bool user_creatable;     /* may be named in -device or -object */
    const char *const *interfaces; /* NULL-terminated names, or NULL */
    const char *const *aliases;    /* other names accepted on the command line, or NULL */
    const Property *properties;    /* ends with an entry whose name is NULL; or NULL */
    void (*instance_init)(Object *obj);     /* cannot fail; memory is zero and defaults are set */
    void (*instance_finalize)(Object *obj);
    const void *hooks;
    const void *ops;
};

/* First member of every object's struct. The fields are qom/'s own. */
struct Object {
    const TypeInfo *type;
    Object *parent;
    char *name; /* within parent */
    uint32_t refs;
    GHashTable *children;   /* name -> Object*, or NULL */
    GPtrArray *child_order; /* names in order of adding */
    GHashTable *links;      /* name -> link that object_add_link() made, or NULL */
    GError *globals_error;  /* the first -global that did not fit, until it is asked for */
    bool sealed;            /* realized or complete: only PROP_LIVE properties may be set */
};

/*
 * Announce a type. The pointer goes into a linker section, so that a registered type costs nothing
 * at start-up; the registry is a hash made at first look-up.
 */
#define QOM_TYPE(info)                                                                             \
    static const TypeInfo *const info##_entry                                                      \
        __attribute__((used, retain, section("vireo_types"))) = &(info)

/* For modules loaded at run time. The table must stay; a taken name is our own bug. Any thread. */
void type_register(const TypeInfo *info);

/* NULL if there is no such type (aliases are looked up too). Any thread. */
const TypeInfo *type_find(const char *name);
const TypeInfo *type_parent(const TypeInfo *type);
/* Is the type, or one of its parents or interfaces, called ancestor? */
bool type_is_a(const TypeInfo *type, const char *ancestor);
/* All types below ancestor, by name; the array is the caller's. */
GPtrArray *type_list(const char *ancestor, bool include_abstract);
/* The nearest non-NULL ops up the chain, or NULL. */
const void *type_ops(const TypeInfo *type);

/*
 * A new object with one reference and default property values. The type must exist and be concrete.
 */
Object *object_new(const char *type_name);
Object *object_new_with_type(const TypeInfo *type);
Object *object_ref(Object *obj);
void object_unref(Object *obj); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Object, object_unref)

/* Checked in all builds; a wrong cast is our own bug and aborts. obj may be NULL. */
void *object_cast(const void *obj, const char *type_name);
bool object_is_a(const void *obj, const char *type_name);
static inline const void *object_ops(const void *obj)
{
    return type_ops(((const Object *)obj)->type);
}
#define OBJECT(obj) ((Object *)(obj))
static inline const char *object_type_name(const void *obj)
{
    return ((const Object *)obj)->type->name;
}

/* The tree. */
Object *object_root(void);
/* "/machine/peripheral"-like fixed containers are made on the way. */
Object *object_container(const char *path);
/* parent takes a reference. A name ending in "[*]" gets the first free index. Fails if taken. */
bool object_add_child(Object *parent, const char *name, Object *child, GError **error);
/* Drops the parent's reference. */
void object_unparent(Object *obj);
Object *object_child(Object *parent, const char *name);
/*
 * Absolute ("/machine/unattached") or partial ("serial0") path; sets *ambiguous if several match.
 */
Object *object_resolve(const char *path, bool *ambiguous);
/* The caller's; NULL if not in the tree. */
char *object_path(const Object *obj);
/* Children in order of adding; stops when fn returns false. */
void object_foreach_child(Object *obj, bool (*fn)(Object *child, void *opaque), void *opaque);
/* A link that qom-list shows as link<T>; borrowed, the property vanishes when *target is NULL'd. */
void object_add_link(Object *obj, const char *name, const char *type, Object **target);

/*
 * Properties (qom/property.h). Values are JSON; a caller that has only text uses _parse. Setting
 * refuses read-only properties, values out of range and, for sealed objects (realized devices,
 * complete user objects), properties not marked PROP_LIVE.
 */
bool object_property_set(Object *obj, const char *name, json_object *value, GError **error);
bool object_property_parse(Object *obj, const char *name, const char *text, GError **error);
/* A new reference, or NULL with error set. */
json_object *object_property_get(Object *obj, const char *name, GError **error);
bool object_property_set_str(Object *obj, const char *name, const char *value, GError **error);
bool object_property_set_int(Object *obj, const char *name, int64_t value, GError **error);
bool object_property_set_bool(Object *obj, const char *name, bool value, GError **error);
/* The declared property on the type chain, or NULL. */
const Property *type_find_property(const TypeInfo *type, const char *name);
/* Every declared property from the root type to the leaf; stops when fn returns false. */
void type_foreach_property(const TypeInfo *type,
                           bool (*fn)(const TypeInfo *owner, const Property *prop, void *opaque),
                           void *opaque);
/*
 * -global DRIVER.PROP=VALUE and machine-version defaults: applied by object_new() to every object
 * whose type is_a driver, in order. Strings are copied. A global that never applied can be asked
 * for.
 */
void object_add_global(const char *driver, const char *property, const char *value);
/* The first error from applying globals to obj, if any; asked by device/object creation. */
bool object_apply_globals(Object *obj, GError **error);
/* "driver.property=value" of each that never met an object; free with g_strfreev(). */
char **object_unused_globals(void);
void object_clear_globals(void);
/* Fails naming the first PROP_REQUIRED string or link that is unset. */
bool object_check_required(Object *obj, GError **error);

/*
 * -object types: their root class is "user-object". complete() runs once all properties are
 * set, of the root type's level first; any level's may_delete() can refuse object-del.
 */
#define TYPE_USER_OBJECT "user-object"
typedef struct UserObjectHooks {
    bool (*complete)(Object *obj, GError **error);
    bool (*may_delete)(Object *obj, GError **error);
} UserObjectHooks;
/*
 * Create from {"qom-type": ..., "id": ..., props...}, as object-add does; text selects keyval
 * scalars. Puts it at /objects/<id>. Borrowed.
 */
Object *user_object_create(json_object *options, bool text, GError **error);
bool user_object_delete(const char *id, GError **error);
Object *user_object_find(const char *id, const char *type_name, GError **error);
/* May a person give this id? A letter, then letters, digits, '-', '.', '_'. */
bool object_id_is_valid(const char *id);

#endif
