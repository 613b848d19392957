/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every direction of the visitor shares: the built-in types, lists, enums, free and copy.
 * Reading and writing JSON stand in from-json.c and to-json.c.
 */
#include "qapi/visit.h"

#include <string.h>

#include "qapi/visit-internal.h"
#include "util/error.h"

#define BUILTIN(id, kind_, ctype) \
    const QapiType qapi_##id##_type = { \
        .name = #id, .kind = QAPI_KIND_##kind_, .size = sizeof(ctype) \
    }

BUILTIN(str, STR, char *);
BUILTIN(number, NUMBER, double);
BUILTIN(int, INT64, int64_t);
BUILTIN(int8, INT8, int8_t);
BUILTIN(int16, INT16, int16_t);
BUILTIN(int32, INT32, int32_t);
BUILTIN(int64, INT64, int64_t);
BUILTIN(uint8, UINT8, uint8_t);
BUILTIN(uint16, UINT16, uint16_t);
BUILTIN(uint32, UINT32, uint32_t);
BUILTIN(uint64, UINT64, uint64_t);
BUILTIN(size, SIZE, uint64_t);
BUILTIN(bool, BOOL, bool);
BUILTIN(any, ANY, json_object *);
BUILTIN(null, NULL, QapiNull);

bool qapi_kind_is_pointer(QapiKind kind)
{
    return kind == QAPI_KIND_STR || kind == QAPI_KIND_ANY || kind == QAPI_KIND_OBJECT ||
           kind == QAPI_KIND_ALTERNATE;
}

static void any_unref(void *json)
{
    json_object_put(json);
}

void qapi_list_free(const QapiType *element, void *list)
{
    if (!list) {
        return;
    }
    if (qapi_kind_is_pointer(element->kind)) {
        g_ptr_array_unref(list);
    } else {
        g_array_unref(list);
    }
}

void *qapi_list_new(const QapiType *element)
{
    switch (element->kind) {
    case QAPI_KIND_STR:
        return g_ptr_array_new_with_free_func(g_free);
    case QAPI_KIND_ANY:
        return g_ptr_array_new_with_free_func(any_unref);
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
        return g_ptr_array_new_with_free_func(element->destroy);
    default:
        return g_array_new(false, true, element->size);
    }
}

const QapiType *qapi_union_branch(const QapiType *type, const void *obj)
{
    int tag;

    if (!type->tag) {
        return NULL;
    }
    memcpy(&tag, (const char *)obj + type->tag_offset, sizeof(tag));
    return tag >= 0 && (uint32_t)tag < type->tag->n_values ? type->branches[tag] : NULL;
}

const QapiMember *qapi_alternate_branch(const QapiType *type, QapiJsonType json_type)
{
    for (uint32_t i = 0; i < type->n_members; i++) {
        const QapiMember *branch = &type->members[i];

        if (qapi_member_accepts(branch, json_type)) {
            return branch;
        }
    }
    return NULL;
}

bool qapi_member_accepts(const QapiMember *member, QapiJsonType json_type)
{
    if (member->flags & QAPI_MEMBER_LIST) {
        return json_type == QAPI_JSON_ARRAY;
    }
    switch (member->type->kind) {
    case QAPI_KIND_STR:
    case QAPI_KIND_ENUM:
        return json_type == QAPI_JSON_STRING;
    case QAPI_KIND_BOOL:
        return json_type == QAPI_JSON_BOOL;
    case QAPI_KIND_NULL:
        return json_type == QAPI_JSON_NULL;
    case QAPI_KIND_OBJECT:
        return json_type == QAPI_JSON_OBJECT;
    case QAPI_KIND_ANY:
        return true;
    case QAPI_KIND_ALTERNATE:
        return qapi_alternate_branch(member->type, json_type) != NULL;
    default:
        return json_type == QAPI_JSON_NUMBER;
    }
}

static void alternate_clear(const QapiType *type, void *obj)
{
    const QapiMember *branch = qapi_alternate_branch(type, *(QapiJsonType *)obj);

    if (branch) {
        qapi_member_clear(branch, (char *)obj + type->u_offset);
    }
}

static void value_clear(const QapiType *type, void *field)
{
    void **pointer = field;

    switch (type->kind) {
    case QAPI_KIND_STR:
        g_free(*pointer);
        break;
    case QAPI_KIND_ANY:
        json_object_put(*pointer);
        break;
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
        qapi_free(type, *pointer);
        break;
    default:
        return;
    }
    *pointer = NULL;
}

void qapi_member_clear(const QapiMember *member, void *field)
{
    if (member->flags & QAPI_MEMBER_LIST) {
        qapi_list_free(member->type, *(void **)field);
        *(void **)field = NULL;
    } else {
        value_clear(member->type, field);
    }
}

static void members_clear(const QapiType *type, void *obj)
{
    const QapiType *branch = qapi_union_branch(type, obj);

    if (branch) {
        members_clear(branch, (char *)obj + type->u_offset);
    }
    for (uint32_t i = 0; i < type->n_members; i++) {
        qapi_member_clear(&type->members[i], (char *)obj + type->members[i].offset);
    }
}

void qapi_free(const QapiType *type, void *obj)
{
    if (!obj) {
        return;
    }
    if (type->kind == QAPI_KIND_ALTERNATE) {
        alternate_clear(type, obj);
    } else {
        members_clear(type, obj);
    }
    g_free(obj);
}

static void value_clone(const QapiType *type, void *field);

static void *list_clone(const QapiType *element, const void *list)
{
    void *copy = qapi_list_new(element);

    if (!qapi_kind_is_pointer(element->kind)) {
        const GArray *from = list;

        return g_array_append_vals(copy, from->data, from->len);
    }
    for (guint i = 0; i < ((const GPtrArray *)list)->len; i++) {
        void *value = ((const GPtrArray *)list)->pdata[i];

        value_clone(element, &value);
        g_ptr_array_add(copy, value);
    }
    return copy;
}

/* *field holds a copy of the original's bytes; make what it points at its own. */
static void value_clone(const QapiType *type, void *field)
{
    void **pointer = field;

    switch (type->kind) {
    case QAPI_KIND_STR:
        *pointer = g_strdup(*pointer);
        break;
    case QAPI_KIND_ANY:
        json_object_get(*pointer);
        break;
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
        *pointer = qapi_clone(type, *pointer);
        break;
    default:
        break;
    }
}

static void member_clone(const QapiMember *member, void *field)
{
    void **pointer = field;

    if (member->flags & QAPI_MEMBER_LIST) {
        *pointer = *pointer ? list_clone(member->type, *pointer) : NULL;
    } else {
        value_clone(member->type, field);
    }
}

static void members_clone(const QapiType *type, void *obj)
{
    const QapiType *branch = qapi_union_branch(type, obj);

    if (branch) {
        members_clone(branch, (char *)obj + type->u_offset);
    }
    for (uint32_t i = 0; i < type->n_members; i++) {
        member_clone(&type->members[i], (char *)obj + type->members[i].offset);
    }
}

void *qapi_clone(const QapiType *type, const void *obj)
{
    void *copy;

    if (!obj) {
        return NULL;
    }
    copy = g_memdup2(obj, type->size);
    if (type->kind == QAPI_KIND_ALTERNATE) {
        const QapiMember *branch = qapi_alternate_branch(type, *(const QapiJsonType *)obj);

        if (branch) {
            member_clone(branch, (char *)copy + type->u_offset);
        }
    } else {
        members_clone(type, copy);
    }
    return copy;
}

const char *qapi_enum_str(const QapiType *type, int value)
{
    g_assert(value >= 0 && (uint32_t)value < type->n_values);
    return type->values[value];
}

/* Few enough values to list them all in an error. */
#define ENUM_LIST_MAX 8

bool qapi_enum_parse(const QapiType *type, const char *name, int *value, GError **error)
{
    for (uint32_t i = 0; i < type->n_values; i++) {
        if (!strcmp(type->values[i], name)) {
            *value = (int)i;
            return true;
        }
    }
    if (type->n_values <= ENUM_LIST_MAX) {
        g_autofree char *all = g_strjoinv("', '", (char **)type->values);

        error_setf(error, "'%.64s' is not one of '%s'", name, all);
    } else {
        error_setf(error, "'%.64s' is not a valid %s", name, type->name);
        error_append_nearest(error, name, type->values);
    }
    return false;
}
