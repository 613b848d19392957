/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to C structs. The input comes from a client or a command line: every type, range and name is
 * checked, and each error names the whole path of the member that is wrong ("backend.data.addr").
 */
#include <math.h>
#include <string.h>

#include "qapi/visit-internal.h"
#include "util/error.h"
#include "util/parse.h"

/* One step of the path to the value that is being read; the stack of calls holds the list. */
typedef struct Path {
    const struct Path *parent;
    const char *name; /* NULL: an element of a list */
    size_t index;
    unsigned depth;
} Path;

/* A single value that a list accepts as "1,2,5-9" cannot make it longer than this. */
#define RANGE_LIST_MAX 65536

static bool value_from_json(const Path *path, const QapiType *type, json_object *json,
                            QapiFlags flags, void *field, GError **error);
static bool members_from_json(const Path *path, const QapiType *type, json_object *json,
                              QapiFlags flags, void *obj, GError **error);

QapiJsonType qapi_json_type(json_object *json)
{
    switch (json_object_get_type(json)) {
    case json_type_boolean:
        return QAPI_JSON_BOOL;
    case json_type_double:
    case json_type_int:
        return QAPI_JSON_NUMBER;
    case json_type_string:
        return QAPI_JSON_STRING;
    case json_type_object:
        return QAPI_JSON_OBJECT;
    case json_type_array:
        return QAPI_JSON_ARRAY;
    default:
        return QAPI_JSON_NULL;
    }
}

static const char *json_type_word(json_object *json)
{
    static const char *const words[] = {
        [QAPI_JSON_NULL] = "null",       [QAPI_JSON_BOOL] = "a boolean",
        [QAPI_JSON_NUMBER] = "a number", [QAPI_JSON_STRING] = "a string",
        [QAPI_JSON_OBJECT] = "an object", [QAPI_JSON_ARRAY] = "an array",
    };

    return words[qapi_json_type(json)];
}

static char *path_string(const Path *path, const char *member)
{
    GString *text = g_string_new(member);

    for (; path; path = path->parent) {
        g_autofree char *step = path->name ? g_strdup(path->name)
                                           : g_strdup_printf("[%zu]", path->index);

        if (!*step) {
            continue;
        }
        if (text->len && text->str[0] != '[') {
            g_string_prepend_c(text, '.');
        }
        g_string_prepend(text, step);
    }
    return g_string_free(text, false);
}

static bool fail(const Path *path, GError **error, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* "Parameter 'a.b' " and the formatted predicate. */
static bool fail(const Path *path, GError **error, const char *fmt, ...)
{
    g_autofree char *where = path_string(path, NULL);
    g_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    if (*where) {
        error_setf(error, "Parameter '%s' %s", where, what);
    } else {
        error_setf(error, "The argument %s", what);
    }
    return false;
}

static bool fail_type(const Path *path, json_object *json, const char *wanted, GError **error)
{
    return fail(path, error, "must be %s, not %s", wanted, json_type_word(json));
}

/* Moves an error about a word to one about the parameter that held it. */
static bool fail_nested(const Path *path, GError *inner, GError **error)
{
    g_autofree char *where = path_string(path, NULL);

    if (*where) {
        error_setf(error, "Parameter '%s': %s", where, inner->message);
    } else {
        error_setf(error, "%s", inner->message);
    }
    g_error_free(inner);
    return false;
}

/* The text of a string without NUL bytes, or NULL. */
static const char *json_text(json_object *json)
{
    const char *text = json_object_get_string(json);

    return strlen(text) == (size_t)json_object_get_string_len(json) ? text : NULL;
}

static const struct {
    int64_t min;
    uint64_t max;
    uint8_t bytes;
} int_ranges[] = {
    [QAPI_KIND_INT8] = { INT8_MIN, INT8_MAX, 1 },
    [QAPI_KIND_INT16] = { INT16_MIN, INT16_MAX, 2 },
    [QAPI_KIND_INT32] = { INT32_MIN, INT32_MAX, 4 },
    [QAPI_KIND_INT64] = { INT64_MIN, INT64_MAX, 8 },
    [QAPI_KIND_UINT8] = { 0, UINT8_MAX, 1 },
    [QAPI_KIND_UINT16] = { 0, UINT16_MAX, 2 },
    [QAPI_KIND_UINT32] = { 0, UINT32_MAX, 4 },
    [QAPI_KIND_UINT64] = { 0, UINT64_MAX, 8 },
    [QAPI_KIND_SIZE] = { 0, UINT64_MAX, 8 },
};

static void integer_store(const QapiType *type, uint64_t value, void *field)
{
    switch (int_ranges[type->kind].bytes) {
    case 1:
        *(uint8_t *)field = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)field = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)field = (uint32_t)value;
        break;
    default:
        *(uint64_t *)field = value;
        break;
    }
}

/* value is an int64 if negative, else a uint64. */
static bool integer_in_range(const QapiType *type, uint64_t value, bool negative)
{
    if (negative) {
        return (int64_t)value >= int_ranges[type->kind].min;
    }
    return value <= int_ranges[type->kind].max;
}

static bool integer_from_text(const Path *path, const QapiType *type, const char *text,
                              uint64_t *value, bool *negative, GError **error)
{
    GError *inner = NULL;
    bool ok;

    *negative = text[0] == '-';
    if (type->kind == QAPI_KIND_SIZE) {
        ok = parse_size(text, 1, value, &inner);
        *negative = false;
    } else if (*negative) {
        ok = parse_int64(text, (int64_t *)value, &inner);
    } else {
        ok = parse_uint64(text, value, &inner);
        /* Many sizes are plain integers in the schema. */
        if (!ok && type->kind == QAPI_KIND_INT64 && parse_size(text, 1, value, NULL)) {
            g_clear_error(&inner);
            ok = true;
        }
    }
    return ok || fail_nested(path, inner, error);
}

static bool integer_from_json(const Path *path, const QapiType *type, json_object *json,
                              QapiFlags flags, void *field, GError **error)
{
    uint64_t value;
    bool negative = false;

    if ((flags & QAPI_KEYVAL) && json_object_is_type(json, json_type_string)) {
        if (!integer_from_text(path, type, json_object_get_string(json), &value, &negative,
                               error)) {
            return false;
        }
    } else if (json_object_is_type(json, json_type_int)) {
        /* json-c clamps: a negative number reads as 0 unsigned, a large one as INT64_MAX signed. */
        negative = json_object_get_int64(json) < 0;
        value = negative ? (uint64_t)json_object_get_int64(json) : json_object_get_uint64(json);
    } else if (json_object_is_type(json, json_type_double)) {
        return fail(path, error, "must be an integer");
    } else {
        return fail_type(path, json, "an integer", error);
    }
    if (!integer_in_range(type, value, negative)) {
        return fail(path, error, "is out of range (%" PRId64 " to %" PRIu64 ")",
                    int_ranges[type->kind].min, int_ranges[type->kind].max);
    }
    integer_store(type, value, field);
    return true;
}

static bool number_from_json(const Path *path, json_object *json, QapiFlags flags, double *field,
                             GError **error)
{
    if ((flags & QAPI_KEYVAL) && json_object_is_type(json, json_type_string)) {
        const char *text = json_object_get_string(json);
        char *end;

        *field = g_ascii_strtod(text, &end);
        if (end == text || *end || !isfinite(*field)) {
            return fail(path, error, "must be a number, not '%.64s'", text);
        }
        return true;
    }
    if (qapi_json_type(json) != QAPI_JSON_NUMBER) {
        return fail_type(path, json, "a number", error);
    }
    *field = json_object_get_double(json);
    return isfinite(*field) || fail(path, error, "must be a finite number");
}

static bool bool_from_json(const Path *path, json_object *json, QapiFlags flags, bool *field,
                           GError **error)
{
    GError *inner = NULL;

    if ((flags & QAPI_KEYVAL) && json_object_is_type(json, json_type_string)) {
        return parse_bool(json_object_get_string(json), field, &inner) ||
               fail_nested(path, inner, error);
    }
    if (!json_object_is_type(json, json_type_boolean)) {
        return fail_type(path, json, "a boolean", error);
    }
    *field = json_object_get_boolean(json);
    return true;
}

/* A string of the JSON, without NUL bytes; borrowed. */
static const char *text_from_json(const Path *path, json_object *json, GError **error)
{
    const char *text;

    if (!json_object_is_type(json, json_type_string)) {
        fail_type(path, json, "a string", error);
        return NULL;
    }
    text = json_text(json);
    if (!text) {
        fail(path, error, "must not contain a NUL character");
    }
    return text;
}

static bool enum_from_json(const Path *path, const QapiType *type, json_object *json, int *field,
                           GError **error)
{
    const char *text = text_from_json(path, json, error);
    GError *inner = NULL;

    if (!text) {
        return false;
    }
    return qapi_enum_parse(type, text, field, &inner) || fail_nested(path, inner, error);
}

static bool has_member(const QapiType *type, const void *obj, const char *name)
{
    const QapiType *branch;

    for (uint32_t i = 0; i < type->n_members; i++) {
        if (!strcmp(type->members[i].name, name)) {
            return true;
        }
    }
    branch = qapi_union_branch(type, obj);
    return branch && has_member(branch, (const char *)obj + type->u_offset, name);
}

static void collect_names(const QapiType *type, const void *obj, GPtrArray *names)
{
    const QapiType *branch = qapi_union_branch(type, obj);

    for (uint32_t i = 0; i < type->n_members; i++) {
        g_ptr_array_add(names, (char *)type->members[i].name);
    }
    if (branch) {
        collect_names(branch, (const char *)obj + type->u_offset, names);
    }
}

static bool refuse_unknown(const Path *path, const QapiType *type, const void *obj,
                           json_object *json, GError **error)
{
    json_object_object_foreach(json, key, value) {
        g_autofree char *shown = NULL;
        g_autoptr(GPtrArray) names = NULL;

        (void)value;
        if (has_member(type, obj, key)) {
            continue;
        }
        shown = g_utf8_make_valid(key, strnlen(key, 64));
        names = g_ptr_array_new();
        collect_names(type, obj, names);
        g_ptr_array_add(names, NULL);

        g_autofree char *where = path_string(path, shown);

        error_setf(error, "Parameter '%s' is unexpected", where);
        error_append_nearest(error, shown, (const char *const *)names->pdata);
        return false;
    }
    return true;
}

static bool list_from_json(const Path *path, const QapiType *element, json_object *json,
                           QapiFlags flags, void **out, GError **error);

static bool member_value_from_json(const Path *path, const QapiMember *member, json_object *json,
                                   QapiFlags flags, void *field, GError **error)
{
    if (member->flags & QAPI_MEMBER_LIST) {
        return list_from_json(path, member->type, json, flags, field, error);
    }
    return value_from_json(path, member->type, json, flags, field, error);
}

static bool member_from_json(const Path *parent, const QapiMember *member, json_object *json,
                             QapiFlags flags, void *obj, GError **error)
{
    Path path = { .parent = parent, .name = member->name, .depth = parent->depth + 1 };
    json_object *value;

    if (!json_object_object_get_ex(json, member->name, &value)) {
        return (member->flags & QAPI_MEMBER_OPTIONAL) || fail(&path, error, "is missing");
    }
    if (member->has_offset != QAPI_NO_HAS) {
        *((bool *)obj + member->has_offset) = true;
    }
    return member_value_from_json(&path, member, value, flags, (char *)obj + member->offset, error);
}

static bool members_from_json(const Path *path, const QapiType *type, json_object *json,
                              QapiFlags flags, void *obj, GError **error)
{
    const QapiType *branch;

    for (uint32_t i = 0; i < type->n_members; i++) {
        if (!member_from_json(path, &type->members[i], json, flags, obj, error)) {
            return false;
        }
    }
    branch = qapi_union_branch(type, obj);
    return !branch ||
           members_from_json(path, branch, json, flags, (char *)obj + type->u_offset, error);
}

static bool alternate_from_json(const Path *path, const QapiType *type, json_object *json,
                                QapiFlags flags, void *obj, GError **error)
{
    QapiJsonType json_type = qapi_json_type(json);
    const QapiMember *branch = qapi_alternate_branch(type, json_type);

    /* On a command line everything is text: take the first branch that can read it. */
    for (uint32_t i = 0; (flags & QAPI_KEYVAL) && !branch && i < type->n_members; i++) {
        if (type->members[i].type->kind != QAPI_KIND_OBJECT &&
            json_type == QAPI_JSON_STRING && !(type->members[i].flags & QAPI_MEMBER_LIST)) {
            branch = &type->members[i];
            json_type = branch->type->kind == QAPI_KIND_BOOL ? QAPI_JSON_BOOL : QAPI_JSON_NUMBER;
        }
    }
    if (!branch) {
        return fail(path, error, "must not be %s", json_type_word(json));
    }
    *(QapiJsonType *)obj = json_type;
    return member_value_from_json(path, branch, json, flags, (char *)obj + type->u_offset, error);
}

static bool object_from_json(const Path *path, const QapiType *type, json_object *json,
                             QapiFlags flags, void **out, GError **error)
{
    void *obj;
    bool ok;

    if (path->depth > QAPI_MAX_DEPTH) {
        return fail(path, error, "is nested too deeply");
    }
    if (type->kind == QAPI_KIND_OBJECT && !json_object_is_type(json, json_type_object)) {
        return fail_type(path, json, "an object", error);
    }
    obj = g_malloc0(type->size);
    if (type->kind == QAPI_KIND_ALTERNATE) {
        ok = alternate_from_json(path, type, json, flags, obj, error);
    } else {
        ok = members_from_json(path, type, json, flags, obj, error) &&
             refuse_unknown(path, type, obj, json, error);
    }
    if (!ok) {
        qapi_free(type, obj);
        return false;
    }
    *out = obj;
    return true;
}

static bool value_from_json(const Path *path, const QapiType *type, json_object *json,
                            QapiFlags flags, void *field, GError **error)
{
    const char *text;

    switch (type->kind) {
    case QAPI_KIND_STR:
        text = text_from_json(path, json, error);
        if (text) {
            *(char **)field = g_strdup(text);
        }
        return text != NULL;
    case QAPI_KIND_BOOL:
        return bool_from_json(path, json, flags, field, error);
    case QAPI_KIND_NUMBER:
        return number_from_json(path, json, flags, field, error);
    case QAPI_KIND_NULL:
        return !json || fail_type(path, json, "null", error);
    case QAPI_KIND_ANY:
        *(json_object **)field = json_object_get(json);
        return true;
    case QAPI_KIND_ENUM:
        return enum_from_json(path, type, json, field, error);
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
        return object_from_json(path, type, json, flags, field, error);
    default:
        return integer_from_json(path, type, json, flags, field, error);
    }
}

static bool list_append(const Path *path, const QapiType *element, json_object *json,
                        QapiFlags flags, void *list, GError **error)
{
    union {
        uint64_t scalar;
        double number;
        void *pointer;
    } value = { 0 };

    if (!value_from_json(path, element, json, flags, &value, error)) {
        return false;
    }
    if (qapi_kind_is_pointer(element->kind)) {
        g_ptr_array_add(list, value.pointer);
    } else {
        g_array_append_vals(list, &value, 1);
    }
    return true;
}

/* "0-3,6" to five integers. */
static bool ranges_from_text(const Path *path, const QapiType *element, const char *text,
                             GArray *list, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    if (!*parts) {
        return fail(path, error, "must not be empty");
    }
    for (char **part = parts; *part; part++) {
        g_auto(GStrv) ends = g_strsplit(*part, "-", 2);
        uint64_t first = 0, last;
        GError *inner = NULL;

        if (!parse_uint64(ends[0] ? ends[0] : "", &first, &inner) ||
            !parse_uint64(ends[0] && ends[1] ? ends[1] : ends[0], &last, &inner)) {
            return fail_nested(path, inner, error);
        }
        if (last < first || last - first >= RANGE_LIST_MAX ||
            list->len + (last - first) >= RANGE_LIST_MAX ||
            !integer_in_range(element, last, false)) {
            return fail(path, error, "has a bad range '%s'", *part);
        }
        for (uint64_t i = first; i <= last; i++) {
            uint64_t stored = 0;

            integer_store(element, i, &stored);
            g_array_append_vals(list, &stored, 1);
        }
    }
    return true;
}

static bool kind_is_integer(QapiKind kind)
{
    return kind >= QAPI_KIND_INT8 && kind <= QAPI_KIND_UINT64;
}

static bool list_fill(const Path *parent, const QapiType *element, json_object *json,
                      QapiFlags flags, void *list, GError **error)
{
    if ((flags & QAPI_KEYVAL) && kind_is_integer(element->kind) &&
        json_object_is_type(json, json_type_string)) {
        return ranges_from_text(parent, element, json_object_get_string(json), list, error);
    }
    if (!json_object_is_type(json, json_type_array)) {
        return fail_type(parent, json, "an array", error);
    }
    for (size_t i = 0; i < json_object_array_length(json); i++) {
        Path path = { .parent = parent, .index = i, .depth = parent->depth + 1 };

        if (!list_append(&path, element, json_object_array_get_idx(json, i), flags, list, error)) {
            return false;
        }
    }
    return true;
}

static bool list_from_json(const Path *path, const QapiType *element, json_object *json,
                           QapiFlags flags, void **out, GError **error)
{
    void *list = qapi_list_new(element);

    if (!list_fill(path, element, json, flags, list, error)) {
        qapi_list_free(element, list);
        return false;
    }
    *out = list;
    return true;
}

bool qapi_from_json(const QapiType *type, json_object *json, QapiFlags flags, void **out,
                    GError **error)
{
    Path root = { .name = "" };

    return object_from_json(&root, type, json, flags, out, error);
}

bool qapi_list_from_json(const QapiType *element, json_object *json, QapiFlags flags, void **out,
                         GError **error)
{
    Path root = { .name = "" };

    return list_from_json(&root, element, json, flags, out, error);
}
