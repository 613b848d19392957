/* SPDX-License-Identifier: Apache-2.0 */
/* Getting and setting properties by name, and -global defaults. */
#include "qom/object.h"

#include <string.h>

#include "qom/qom-internal.h"
#include "util/error.h"

typedef struct Global {
    char *driver;
    char *property;
    char *value;
    bool used;
} Global;

/*
 * Command line and machine version speak for the whole process; filled before any device is made.
 */
static GPtrArray *globals;

static bool collect_name(const TypeInfo *owner, const Property *prop, void *opaque)
{
    g_ptr_array_add(opaque, (void *)prop->name);
    return true;
}

static void no_such_property(Object *obj, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    error_setf(error, "'%s' has no property '%s'", obj->type->name, name);
    type_foreach_property(obj->type, collect_name, names);
    g_ptr_array_add(names, NULL);
    error_append_nearest(error, name, (const char *const *)names->pdata);
}

/* The declared property if it may be set now. */
static const Property *settable(Object *obj, const char *name, GError **error)
{
    const Property *prop = type_find_property(obj->type, name);

    if (!prop) {
        if (object_child(obj, name) || (obj->links && g_hash_table_contains(obj->links, name))) {
            error_setf(error, "property '%s.%s' cannot be set", obj->type->name, name);
        } else {
            no_such_property(obj, name, error);
        }
        return NULL;
    }
    if ((prop->flags & PROP_READ_ONLY) || !(prop->set || property_field(obj, prop))) {
        error_setf(error, "property '%s.%s' cannot be set", obj->type->name, name);
        return NULL;
    }
    if (obj->sealed && !(prop->flags & PROP_LIVE)) {
        error_setf(error, "property '%s.%s' cannot be changed any more: the object is in use",
                   obj->type->name, name);
        return NULL;
    }
    return prop;
}

static bool set_declared(Object *obj, const Property *prop, json_object *value, GError **error)
{
    if (prop->set) {
        return prop->set(obj, prop, value, error);
    }
    return prop->kind->set(obj, prop, property_field(obj, prop), value, error);
}

bool object_property_set(Object *obj, const char *name, json_object *value, GError **error)
{
    const Property *prop = settable(obj, name, error);

    return prop && set_declared(obj, prop, value, error);
}

bool object_property_parse(Object *obj, const char *name, const char *text, GError **error)
{
    const Property *prop = settable(obj, name, error);
    json_object *value;
    bool ok;

    if (!prop) {
        return false;
    }
    if (prop->kind->parse) {
        return prop->kind->parse(obj, prop, property_field(obj, prop), text, error);
    }
    value = json_object_new_string(text);
    ok = set_declared(obj, prop, value, error);
    json_object_put(value);
    return ok;
}

static json_object *path_of(Object *target)
{
    g_autofree char *path = target ? object_path(target) : NULL;

    return json_object_new_string(path ? path : "");
}

json_object *object_property_get(Object *obj, const char *name, GError **error)
{
    const Property *prop = type_find_property(obj->type, name);
    Object *child;
    const ObjectLink *link;

    if (prop && prop->get) {
        return prop->get(obj, prop);
    }
    if (prop && property_field(obj, prop)) {
        return prop->kind->get(obj, prop, property_field(obj, prop));
    }
    if (prop) {
        error_setf(error, "property '%s.%s' cannot be read", obj->type->name, name);
        return NULL;
    }
    child = object_child(obj, name);
    if (child) {
        return path_of(child);
    }
    link = obj->links ? g_hash_table_lookup(obj->links, name) : NULL;
    if (link) {
        return path_of(*link->target);
    }
    no_such_property(obj, name, error);
    return NULL;
}

static bool set_and_put(Object *obj, const char *name, json_object *value, GError **error)
{
    bool ok = object_property_set(obj, name, value, error);

    json_object_put(value);
    return ok;
}

bool object_property_set_str(Object *obj, const char *name, const char *value, GError **error)
{
    return set_and_put(obj, name, json_object_new_string(value), error);
}

bool object_property_set_int(Object *obj, const char *name, int64_t value, GError **error)
{
    return set_and_put(obj, name, json_object_new_int64(value), error);
}

bool object_property_set_bool(Object *obj, const char *name, bool value, GError **error)
{
    return set_and_put(obj, name, json_object_new_boolean(value), error);
}

typedef struct RequiredCheck {
    Object *obj;
    const char *missing;
} RequiredCheck;

static bool check_required(const TypeInfo *owner, const Property *prop, void *opaque)
{
    RequiredCheck *check = opaque;
    void *field = property_field(check->obj, prop);

    if ((prop->flags & PROP_REQUIRED) && field && !*(void **)field) {
        check->missing = prop->name;
    }
    return !check->missing;
}

bool object_check_required(Object *obj, GError **error)
{
    RequiredCheck check = { .obj = obj };

    type_foreach_property(obj->type, check_required, &check);
    if (check.missing) {
        error_setf(error, "property '%s.%s' must be given", obj->type->name, check.missing);
        return false;
    }
    return true;
}

static void global_free(void *opaque)
{
    Global *global = opaque;

    g_free(global->driver);
    g_free(global->property);
    g_free(global->value);
    g_free(global);
}

void object_add_global(const char *driver, const char *property, const char *value)
{
    Global *global = g_new0(Global, 1);

    if (!globals) {
        globals = g_ptr_array_new_with_free_func(global_free);
    }
    global->driver = g_strdup(driver);
    global->property = g_strdup(property);
    global->value = g_strdup(value);
    g_ptr_array_add(globals, global);
}

void object_clear_globals(void)
{
    g_clear_pointer(&globals, g_ptr_array_unref);
}

void object_try_globals(Object *obj)
{
    for (guint i = 0; globals && i < globals->len; i++) {
        Global *global = g_ptr_array_index(globals, i);

        if (!type_is_a(obj->type, global->driver)) {
            continue;
        }
        global->used = true;
        if (!object_property_parse(obj, global->property, global->value,
                                   obj->globals_error ? NULL : &obj->globals_error)) {
            g_prefix_error(&obj->globals_error, "-global %s.%s=%s: ", global->driver,
                           global->property, global->value);
        }
    }
}

bool object_apply_globals(Object *obj, GError **error)
{
    if (!obj->globals_error) {
        return true;
    }
    g_propagate_error(error, g_steal_pointer(&obj->globals_error));
    return false;
}

char **object_unused_globals(void)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();

    for (guint i = 0; globals && i < globals->len; i++) {
        const Global *global = g_ptr_array_index(globals, i);

        if (!global->used) {
            g_autofree char *text = g_strdup_printf("%s.%s=%s", global->driver, global->property,
                                                    global->value);

            g_strv_builder_add(names, text);
        }
    }
    return g_strv_builder_end(names);
}
