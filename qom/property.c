/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of property that need nothing but a field: numbers, strings, enums, links, UUIDs. */
#include "qom/property.h"

#include <string.h>
#include <sys/random.h>

#include "qom/object.h"
#include "util/error.h"
#include "util/parse.h"

/* "property 'isa-serial.irq': " before what a lower function said. */
static bool blame(Object *obj, const Property *prop, GError **error)
{
    g_prefix_error(error, "property '%s.%s': ", obj->type->name, prop->name);
    return false;
}

static bool wrong_type(Object *obj, const Property *prop, const char *wanted, json_object *value,
                       GError **error)
{
    error_setf(error, "property '%s.%s' takes %s, not %s", obj->type->name, prop->name, wanted,
               json_type_to_name(json_object_get_type(value)));
    return false;
}

/* Booleans and bits. */

static bool get_json_bool(Object *obj, const Property *prop, json_object *value, bool *on,
                          GError **error)
{
    if (!json_object_is_type(value, json_type_boolean)) {
        return wrong_type(obj, prop, "a boolean", value, error);
    }
    *on = json_object_get_boolean(value);
    return true;
}

static bool parse_as_bool(Object *obj, const Property *prop, void *field, const char *text,
                          GError **error)
{
    json_object *value;
    bool on;
    bool ok;

    if (!parse_bool(text, &on, error)) {
        return blame(obj, prop, error);
    }
    value = json_object_new_boolean(on);
    ok = prop->set ? prop->set(obj, prop, value, error)
                   : prop->kind->set(obj, prop, field, value, error);
    json_object_put(value);
    return ok;
}

static void bool_default(Object *obj, const Property *prop, void *field)
{
    *(bool *)field = prop->def.b;
}

static bool bool_set(Object *obj, const Property *prop, void *field, json_object *value,
                     GError **error)
{
    return get_json_bool(obj, prop, value, field, error);
}

static json_object *bool_get(Object *obj, const Property *prop, const void *field)
{
    return json_object_new_boolean(*(const bool *)field);
}

/* One bit of an unsigned field. */
#define BIT_KIND(name, type)                                                                       \
    static void name##_write(const Property *prop, void *field, bool on)                           \
    {                                                                                              \
        type mask = (type)1 << prop->bit;                                                          \
                                                                                                   \
        *(type *)field = on ? *(type *)field | mask : *(type *)field & ~mask;                      \
    }                                                                                              \
    static void name##_default(Object *obj, const Property *prop, void *field)                     \
    {                                                                                              \
        name##_write(prop, field, prop->def.b);                                                    \
    }                                                                                              \
    static bool name##_set(Object *obj, const Property *prop, void *field, json_object *value,     \
                           GError **error)                                                         \
    {                                                                                              \
        bool on;                                                                                   \
                                                                                                   \
        if (!get_json_bool(obj, prop, value, &on, error)) {                                        \
            return false;                                                                          \
        }                                                                                          \
        name##_write(prop, field, on);                                                             \
        return true;                                                                               \
    }                                                                                              \
    static json_object *name##_get(Object *obj, const Property *prop, const void *field)           \
    {                                                                                              \
        return json_object_new_boolean(*(const type *)field >> prop->bit & 1);                     \
    }
BIT_KIND(bit32, uint32_t)
BIT_KIND(bit64, uint64_t)

/* Unsigned numbers. */

static bool check_unsigned(Object *obj, const Property *prop, uint64_t value, uint64_t type_max,
                           GError **error)
{
    uint64_t max = prop->max ? prop->max : type_max;

    if (value > max) {
        error_setf(error, "property '%s.%s': %" G_GUINT64_FORMAT " is out of range (0 to %"
                   G_GUINT64_FORMAT ")", obj->type->name, prop->name, value, max);
        return false;
    }
    return true;
}

static bool get_json_unsigned(Object *obj, const Property *prop, json_object *value,
                              uint64_t type_max, uint64_t *number, GError **error)
{
    int64_t as_signed;

    if (!json_object_is_type(value, json_type_int)) {
        return wrong_type(obj, prop, "a number", value, error);
    }
    as_signed = json_object_get_int64(value);
    if (as_signed < 0) {
        error_setf(error, "property '%s.%s': %" G_GINT64_FORMAT " is negative", obj->type->name,
                   prop->name, as_signed);
        return false;
    }
    *number = json_object_get_uint64(value);
    return check_unsigned(obj, prop, *number, type_max, error);
}

/* Text to a JSON number, for the property's setter. */
static bool set_number(Object *obj, const Property *prop, void *field, json_object *value,
                       GError **error)
{
    bool ok = prop->set ? prop->set(obj, prop, value, error)
                        : prop->kind->set(obj, prop, field, value, error);

    json_object_put(value);
    return ok;
}

static bool parse_as_unsigned(Object *obj, const Property *prop, void *field, const char *text,
                              GError **error)
{
    uint64_t value;

    if (!parse_uint64(text, &value, error)) {
        return blame(obj, prop, error);
    }
    return set_number(obj, prop, field, json_object_new_uint64(value), error);
}

static bool parse_as_size(Object *obj, const Property *prop, void *field, const char *text,
                          GError **error)
{
    uint64_t value;

    if (!parse_size(text, 1, &value, error)) {
        return blame(obj, prop, error);
    }
    return set_number(obj, prop, field, json_object_new_uint64(value), error);
}

static bool parse_as_signed(Object *obj, const Property *prop, void *field, const char *text,
                            GError **error)
{
    int64_t value;

    if (!parse_int64(text, &value, error)) {
        return blame(obj, prop, error);
    }
    return set_number(obj, prop, field, json_object_new_int64(value), error);
}

#define UNSIGNED_KIND(name, type, type_max)                                                        \
    static void name##_default(Object *obj, const Property *prop, void *field)                     \
    {                                                                                              \
        *(type *)field = (type)prop->def.u;                                                        \
    }                                                                                              \
    static bool name##_set(Object *obj, const Property *prop, void *field, json_object *value,     \
                           GError **error)                                                         \
    {                                                                                              \
        uint64_t number;                                                                           \
        if (!get_json_unsigned(obj, prop, value, type_max, &number, error)) {                      \
            return false;                                                                          \
        }                                                                                          \
        *(type *)field = (type)number;                                                             \
        return true;                                                                               \
    }                                                                                              \
    static json_object *name##_get(Object *obj, const Property *prop, const void *field)           \
    {                                                                                              \
        return json_object_new_uint64(*(const type *)field);                                       \
    }

UNSIGNED_KIND(uint8, uint8_t, UINT8_MAX)
UNSIGNED_KIND(uint16, uint16_t, UINT16_MAX)
UNSIGNED_KIND(uint32, uint32_t, UINT32_MAX)
UNSIGNED_KIND(uint64, uint64_t, UINT64_MAX)

/* Signed numbers. */

static bool get_json_signed(Object *obj, const Property *prop, json_object *value, int64_t min,
                            int64_t type_max, int64_t *number, GError **error)
{
    int64_t max = prop->max ? (int64_t)prop->max : type_max;

    if (!json_object_is_type(value, json_type_int)) {
        return wrong_type(obj, prop, "a number", value, error);
    }
    *number = json_object_get_int64(value);
    if (*number < min || *number > max ||
        (*number > 0 && json_object_get_uint64(value) > (uint64_t)max)) {
        error_setf(error, "property '%s.%s': %s is out of range (%" G_GINT64_FORMAT " to %"
                   G_GINT64_FORMAT ")", obj->type->name, prop->name,
                   json_object_to_json_string(value), min, max);
        return false;
    }
    return true;
}

#define SIGNED_KIND(name, type, min, max)                                                          \
    static void name##_default(Object *obj, const Property *prop, void *field)                     \
    {                                                                                              \
        *(type *)field = (type)prop->def.i;                                                        \
    }                                                                                              \
    static bool name##_set(Object *obj, const Property *prop, void *field, json_object *value,     \
                           GError **error)                                                         \
    {                                                                                              \
        int64_t number;                                                                            \
                                                                                                   \
        if (!get_json_signed(obj, prop, value, min, max, &number, error)) {                        \
            return false;                                                                          \
        }                                                                                          \
        *(type *)field = (type)number;                                                             \
        return true;                                                                               \
    }                                                                                              \
    static json_object *name##_get(Object *obj, const Property *prop, const void *field)           \
    {                                                                                              \
        return json_object_new_int64(*(const type *)field);                                        \
    }
SIGNED_KIND(int32, int32_t, INT32_MIN, INT32_MAX)
SIGNED_KIND(int64, int64_t, INT64_MIN, INT64_MAX)

/* Strings. */

static void string_default(Object *obj, const Property *prop, void *field)
{
    g_free(*(char **)field);
    *(char **)field = g_strdup(prop->def.s);
}

static bool string_set(Object *obj, const Property *prop, void *field, json_object *value,
                       GError **error)
{
    if (!json_object_is_type(value, json_type_string)) {
        return wrong_type(obj, prop, "a string", value, error);
    }
    if (strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value)) {
        error_setf(error, "property '%s.%s': the string has a zero byte in it", obj->type->name,
                   prop->name);
        return false;
    }
    g_free(*(char **)field);
    *(char **)field = g_strdup(json_object_get_string(value));
    return true;
}

static json_object *string_get(Object *obj, const Property *prop, const void *field)
{
    const char *text = *(char *const *)field;

    return json_object_new_string(text ? text : "");
}

static void string_release(Object *obj, const Property *prop, void *field)
{
    g_clear_pointer((char **)field, g_free);
}

/* Enumerations. */

static bool find_enum(Object *obj, const Property *prop, const char *const *names,
                      json_object *value, int *index, GError **error)
{
    const char *word;

    if (!json_object_is_type(value, json_type_string)) {
        return wrong_type(obj, prop, "a string", value, error);
    }
    word = json_object_get_string(value);
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], word) == 0) {
            *index = i;
            return true;
        }
    }
    if (error) {
        g_autofree char *all = g_strjoinv(", ", (char **)names);

        error_setf(error, "property '%s.%s' does not take '%s' (%s)", obj->type->name, prop->name,
                   word, all);
        error_append_nearest(error, word, names);
    }
    return false;
}

static void enum_default(Object *obj, const Property *prop, void *field)
{
    *(int *)field = (int)prop->def.i;
}

static bool enum_set(Object *obj, const Property *prop, void *field, json_object *value,
                     GError **error)
{
    return find_enum(obj, prop, prop->arg, value, field, error);
}

static json_object *enum_get(Object *obj, const Property *prop, const void *field)
{
    return json_object_new_string(((const char *const *)prop->arg)[*(const int *)field]);
}

static const char *const on_off_auto_names[] = {
    [PROP_AUTO] = "auto", [PROP_ON] = "on", [PROP_OFF] = "off", NULL,
};

static void on_off_auto_default(Object *obj, const Property *prop, void *field)
{
    *(PropOnOffAuto *)field = (PropOnOffAuto)prop->def.i;
}

static bool on_off_auto_set(Object *obj, const Property *prop, void *field, json_object *value,
                            GError **error)
{
    int index;

    if (!find_enum(obj, prop, on_off_auto_names, value, &index, error)) {
        return false;
    }
    *(PropOnOffAuto *)field = (PropOnOffAuto)index;
    return true;
}

static json_object *on_off_auto_get(Object *obj, const Property *prop, const void *field)
{
    return json_object_new_string(on_off_auto_names[*(const PropOnOffAuto *)field]);
}

/* Links. */

static bool link_set(Object *obj, const Property *prop, void *field, json_object *value,
                     GError **error)
{
    Object **link = field;
    const char *path;
    Object *target;
    bool ambiguous;

    if (!json_object_is_type(value, json_type_string)) {
        return wrong_type(obj, prop, "an object's id or path", value, error);
    }
    path = json_object_get_string(value);
    if (*path == '\0') {
        object_unref(*link);
        *link = NULL;
        return true;
    }
    target = object_resolve(path, &ambiguous);
    if (!target) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND,
                       ambiguous ? "property '%s.%s': several objects are called '%s', give a path"
                                 : "property '%s.%s': there is no object '%s'",
                       obj->type->name, prop->name, path);
        return false;
    }
    if (!object_is_a(target, prop->arg)) {
        error_setf(error, "property '%s.%s': '%s' is a %s, not a %s", obj->type->name, prop->name,
                   path, target->type->name, (const char *)prop->arg);
        return false;
    }
    object_ref(target);
    object_unref(*link);
    *link = target;
    return true;
}

static json_object *link_get(Object *obj, const Property *prop, const void *field)
{
    Object *target = *(Object *const *)field;
    g_autofree char *path = target ? object_path(target) : NULL;

    return json_object_new_string(path ? path : "");
}

static void link_release(Object *obj, const Property *prop, void *field)
{
    object_unref(*(Object **)field);
    *(Object **)field = NULL;
}

/* UUIDs. */

static bool uuid_set(Object *obj, const Property *prop, void *field, json_object *value,
                     GError **error)
{
    uint8_t *uuid = field;
    const char *text;

    if (!json_object_is_type(value, json_type_string)) {
        return wrong_type(obj, prop, "a UUID string", value, error);
    }
    text = json_object_get_string(value);
    if (strcmp(text, "auto") == 0) {
        if (getrandom(uuid, 16, 0) != 16) {
            error_setf(error, "property '%s.%s': the host gives no random bytes", obj->type->name,
                       prop->name);
            return false;
        }
        /* RFC 4122, 4.4: version 4, variant 10. */
        uuid[6] = (uuid[6] & 0x0f) | 0x40;
        uuid[8] = (uuid[8] & 0x3f) | 0x80;
        return true;
    }
    return parse_uuid(text, uuid, error) || blame(obj, prop, error);
}

static json_object *uuid_get(Object *obj, const Property *prop, const void *field)
{
    g_autofree char *text = format_uuid(field);

    return json_object_new_string(text);
}

/* Any JSON value. */

static bool json_set(Object *obj, const Property *prop, void *field, json_object *value,
                     GError **error)
{
    json_object_put(*(json_object **)field);
    *(json_object **)field = json_object_get(value);
    return true;
}

static json_object *json_get(Object *obj, const Property *prop, const void *field)
{
    return json_object_get(*(json_object *const *)field);
}

static void json_release(Object *obj, const Property *prop, void *field)
{
    json_object_put(*(json_object **)field);
    *(json_object **)field = NULL;
}

#define KIND(name_, shown, json, parse_, release_)                                                 \
    const PropertyKind prop_kind_##name_ = {                                                       \
        .type_name = (shown),                                                                      \
        .json_type = (json),                                                                       \
        .set_default = name_##_default,                                                            \
        .set = name_##_set,                                                                        \
        .parse = (parse_),                                                                         \
        .get = name_##_get,                                                                        \
        .release = (release_),                                                                     \
    }

KIND(bool, "bool", "bool", parse_as_bool, NULL);
KIND(bit32, "bool", "bool", parse_as_bool, NULL);
KIND(bit64, "bool", "bool", parse_as_bool, NULL);
KIND(uint8, "uint8", "int", parse_as_unsigned, NULL);
KIND(uint16, "uint16", "int", parse_as_unsigned, NULL);
KIND(uint32, "uint32", "int", parse_as_unsigned, NULL);
KIND(uint64, "uint64", "int", parse_as_unsigned, NULL);
KIND(int32, "int32", "int", parse_as_signed, NULL);
KIND(int64, "int64", "int", parse_as_signed, NULL);
KIND(string, "str", "str", NULL, string_release);
KIND(enum, "enum", "str", NULL, NULL);
KIND(on_off_auto, "OnOffAuto", "str", NULL, NULL);

const PropertyKind prop_kind_size = {
    .type_name = "size",
    .json_type = "size",
    .set_default = uint64_default,
    .set = uint64_set,
    .parse = parse_as_size,
    .get = uint64_get,
};

const PropertyKind prop_kind_size32 = {
    .type_name = "size",
    .json_type = "size",
    .set_default = uint32_default,
    .set = uint32_set,
    .parse = parse_as_size,
    .get = uint32_get,
};

const PropertyKind prop_kind_link = {
    .type_name = "link",
    .json_type = "str",
    .set = link_set,
    .get = link_get,
    .release = link_release,
};

const PropertyKind prop_kind_uuid = {
    .type_name = "str",
    .json_type = "str",
    .set = uuid_set,
    .get = uuid_get,
};

const PropertyKind prop_kind_json = {
    .type_name = "any",
    .json_type = "any",
    .set = json_set,
    .get = json_get,
    .release = json_release,
};

json_object *property_default(const Property *prop)
{
    uint64_t storage[2] = { 0 };
    json_object *value;

    if (prop->offset == 0 || !prop->kind->set_default || !prop->kind->get) {
        return NULL;
    }
    prop->kind->set_default(NULL, prop, storage);
    value = prop->kind->get(NULL, prop, storage);
    if (prop->kind->release) {
        prop->kind->release(NULL, prop, storage);
    }
    if (json_object_is_type(value, json_type_string) && json_object_get_string_len(value) == 0) {
        json_object_put(value);
        return NULL;
    }
    return value;
}

char *property_default_text(const Property *prop)
{
    json_object *value = property_default(prop);
    char *text = value ? g_strdup(json_object_get_string(value)) : NULL;

    json_object_put(value);
    return text;
}
