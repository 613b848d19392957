/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C structs to JSON, by walking descriptors. What C holds is our own data: it is asserted, not
 * checked.
 */
#include <string.h>

#include "qapi/visit-internal.h"

static void members_to_json(const QapiType *type, const void *obj, json_object *out);
static json_object *object_to_json(const QapiType *type, const void *obj);

static json_object *integer_to_json(const QapiType *type, const void *field)
{
    switch (type->kind) {
    case QAPI_KIND_INT8:
        return json_object_new_int64(*(const int8_t *)field);
    case QAPI_KIND_INT16:
        return json_object_new_int64(*(const int16_t *)field);
    case QAPI_KIND_INT32:
        return json_object_new_int64(*(const int32_t *)field);
    case QAPI_KIND_INT64:
        return json_object_new_int64(*(const int64_t *)field);
    case QAPI_KIND_UINT8:
        return json_object_new_int64(*(const uint8_t *)field);
    case QAPI_KIND_UINT16:
        return json_object_new_int64(*(const uint16_t *)field);
    case QAPI_KIND_UINT32:
        return json_object_new_int64(*(const uint32_t *)field);
    default:
        return json_object_new_uint64(*(const uint64_t *)field);
    }
}

/* A new reference; field points at the value's storage. */
static json_object *value_to_json(const QapiType *type, const void *field)
{
    void *const *pointer = field;
    int value;

    switch (type->kind) {
    case QAPI_KIND_STR:
        return json_object_new_string(*pointer ? *pointer : "");
    case QAPI_KIND_BOOL:
        return json_object_new_boolean(*(const bool *)field);
    case QAPI_KIND_NUMBER:
        return json_object_new_double(*(const double *)field);
    case QAPI_KIND_NULL:
        return NULL;
    case QAPI_KIND_ANY:
        return json_object_get(*pointer);
    case QAPI_KIND_ENUM:
        memcpy(&value, field, sizeof(value));
        return json_object_new_string(qapi_enum_str(type, value));
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
        return object_to_json(type, *pointer);
    default:
        return integer_to_json(type, field);
    }
}

json_object *qapi_list_to_json(const QapiType *element, const void *list)
{
    json_object *out = json_object_new_array();

    if (!list) {
        return out;
    }
    if (qapi_kind_is_pointer(element->kind)) {
        const GPtrArray *array = list;

        for (guint i = 0; i < array->len; i++) {
            json_object_array_add(out, value_to_json(element, &array->pdata[i]));
        }
    } else {
        const GArray *array = list;

        for (guint i = 0; i < array->len; i++) {
            json_object_array_add(out, value_to_json(element, array->data + i * element->size));
        }
    }
    return out;
}

static json_object *member_to_json(const QapiMember *member, const void *field)
{
    if (member->flags & QAPI_MEMBER_LIST) {
        return qapi_list_to_json(member->type, *(void *const *)field);
    }
    return value_to_json(member->type, field);
}

static bool member_present(const QapiMember *member, const void *obj)
{
    if (!(member->flags & QAPI_MEMBER_OPTIONAL)) {
        return true;
    }
    if (member->has_offset != QAPI_NO_HAS) {
        return *((const bool *)obj + member->has_offset);
    }
    return *(void *const *)((const char *)obj + member->offset) != NULL;
}

static void members_to_json(const QapiType *type, const void *obj, json_object *out)
{
    const QapiType *branch = qapi_union_branch(type, obj);

    for (uint32_t i = 0; i < type->n_members; i++) {
        const QapiMember *member = &type->members[i];

        if (member_present(member, obj)) {
            json_object_object_add(out, member->name,
                                   member_to_json(member, (const char *)obj + member->offset));
        }
    }
    if (branch) {
        members_to_json(branch, (const char *)obj + type->u_offset, out);
    }
}

static json_object *object_to_json(const QapiType *type, const void *obj)
{
    if (type->kind == QAPI_KIND_ALTERNATE) {
        const QapiMember *branch = qapi_alternate_branch(type, *(const QapiJsonType *)obj);

        return branch ? member_to_json(branch, (const char *)obj + type->u_offset) : NULL;
    }
    json_object *out = json_object_new_object();

    members_to_json(type, obj, out);
    return out;
}

json_object *qapi_to_json(const QapiType *type, const void *obj)
{
    if (qapi_kind_is_pointer(type->kind)) {
        return value_to_json(type, &obj);
    }
    return value_to_json(type, obj);
}
