/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run-time half of QAPI: the generator writes one const descriptor per schema type, and the
 * functions here walk descriptors to turn JSON into C structs and back, copy and free them.
 *
 * How schema types look in C:
 *   str                     char *, owned
 *   int, size, number, bool int64_t, uint64_t, double, bool (intN and uintN as named)
 *   enum                    enum Foo; Foo_str(), Foo_parse()
 *   struct, union           Foo *; a union's branch is embedded in `u` under the branch's name
 *   alternate               Foo *, { QapiJsonType type; union { ... } u; }
 *   alternate               Foo *: { QapiJsonType type; union { ... } u; }
 *   any                     json_object *, owned reference (NULL is JSON's null)
 * An optional pointer is NULL when absent; an optional scalar or enum has a `bool has_x` before it.
 *
 * Input is hostile: depth is bounded by QAPI_MAX_DEPTH, size by whoever parsed the JSON. Everything
 * here may run on any thread; nothing is shared.
 */
#ifndef VIREO_QAPI_VISIT_H
#define VIREO_QAPI_VISIT_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QAPI_MAX_DEPTH 64

typedef enum QapiKind {
    QAPI_KIND_STR,
    QAPI_KIND_BOOL,
    QAPI_KIND_INT8,
    QAPI_KIND_INT16,
    QAPI_KIND_INT32,
    QAPI_KIND_INT64,
    QAPI_KIND_UINT8,
    QAPI_KIND_UINT16,
    QAPI_KIND_UINT32,
    QAPI_KIND_UINT64,
    QAPI_KIND_SIZE,
    QAPI_KIND_NUMBER,
    QAPI_KIND_NULL,
    QAPI_KIND_ANY,
    QAPI_KIND_ENUM,
    QAPI_KIND_OBJECT,
    QAPI_KIND_ALTERNATE,
} QapiKind;

typedef enum QapiJsonType {
    QAPI_JSON_NULL,
    QAPI_JSON_BOOL,
    QAPI_JSON_NUMBER,
    QAPI_JSON_STRING,
    QAPI_JSON_OBJECT,
    QAPI_JSON_ARRAY,
} QapiJsonType;

/* The C form of the schema's 'null' type: it carries nothing. */
typedef struct QapiNull {
    char unused;
} QapiNull;

typedef enum QapiMemberFlags {
    QAPI_MEMBER_OPTIONAL = 1u << 0,
    QAPI_MEMBER_LIST = 1u << 1,
    QAPI_MEMBER_DEPRECATED = 1u << 2,
    QAPI_MEMBER_UNSTABLE = 1u << 3,
} QapiMemberFlags;

#define QAPI_NO_HAS UINT32_MAX

typedef struct QapiType QapiType;

/* A struct's member or an alternate's branch. Offsets are within the struct. */
typedef struct QapiMember {
    const char *name;
    const QapiType *type; /* of the element for lists */
    uint32_t offset;
    uint32_t has_offset;  /* of the has_ flag, or QAPI_NO_HAS */
    uint32_t flags;
    const char *doc;      /* one paragraph for help texts, or NULL */
} QapiMember;

struct QapiType {
    const char *name;
    QapiKind kind;
    uint32_t size;                  /* sizeof the C type */
    const char *const *values;      /* enum: n_values names, then NULL */
    uint32_t n_values;
    const QapiMember *members;      /* object: all members, the base's first; alternate: branches */
    uint32_t n_members;
    uint32_t tag_offset;            /* union: where the discriminating enum stands */
    uint32_t u_offset;              /* union and alternate: where `u` stands */
    const QapiType *tag;            /* union: the discriminator's enum type; else NULL */
    const char *tag_name;
    const QapiType *const *branches; /* union: per enum value, NULL where the branch is empty */
    GDestroyNotify destroy;          /* object and alternate: as qapi_free, for lists */
};

extern const QapiType qapi_str_type, qapi_number_type, qapi_int_type, qapi_int8_type,
    qapi_int16_type, qapi_int32_type, qapi_int64_type, qapi_uint8_type, qapi_uint16_type,
    qapi_uint32_type, qapi_uint64_type, qapi_size_type, qapi_bool_type, qapi_any_type,
    qapi_null_type;

typedef enum QapiFlags {
    QAPI_JSON = 0,
    /*
     * Scalars come as text, as a command line has them: on/off, 0x10, sizes with suffix; and a list
     * of integers may be one string such as "0-3,6".
     */
    QAPI_KEYVAL = 1u << 0,
} QapiFlags;

/*
 * JSON to a new object or alternate (caller frees with qapi_free). Unknown members, wrong types and
 * numbers out of range are refused with an error that names the member's whole path.
 */
bool qapi_from_json(const QapiType *type, json_object *json, QapiFlags flags, void **out,
                    GError **error);
/* As above for a list; *out is a GPtrArray or a GArray, as the element demands. */
bool qapi_list_from_json(const QapiType *element, json_object *json, QapiFlags flags, void **out,
                         GError **error);

/* A new reference; obj is borrowed. obj is the C pointer that the table at the top names. */
json_object *qapi_to_json(const QapiType *type, const void *obj);
json_object *qapi_list_to_json(const QapiType *element, const void *list);

/* NULL is ignored. For objects and alternates. */
void qapi_free(const QapiType *type, void *obj);
void *qapi_clone(const QapiType *type, const void *obj);

/* A list with room for elements of this type: GPtrArray that owns its elements, or GArray. */
void *qapi_list_new(const QapiType *element);
void qapi_list_free(const QapiType *element, void *list);

/* The value's name; the value must be valid. */
const char *qapi_enum_str(const QapiType *type, int value);
/* The error lists the nearest valid value, or all of them if they are few. */
bool qapi_enum_parse(const QapiType *type, const char *name, int *value, GError **error);

#endif
