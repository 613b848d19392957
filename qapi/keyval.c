/* SPDX-License-Identifier: Apache-2.0 */
/* "key=value,..." to JSON objects of strings. */
#include "qapi/keyval.h"

#include <string.h>

#include "util/error.h"

/* Longest key and deepest nesting; both far beyond any option. */
#define KEY_MAX 128
#define DEPTH_MAX 16
#define LIST_MAX 1024

/* The text up to the next single comma, with doubled commas undone; *str moves past the comma. */
static char *next_part(const char **str)
{
    GString *part = g_string_new(NULL);
    const char *p = *str;

    while (*p) {
        if (*p == ',') {
            p++;
            if (*p != ',') {
                break;
            }
        }
        g_string_append_c(part, *p++);
    }
    *str = p;
    return g_string_free(part, false);
}

static bool step_is_valid(const char *step)
{
    if (!g_ascii_isalnum(*step)) {
        return false;
    }
    for (const char *p = step; *p; p++) {
        if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_' && *p != ':' && *p != '/') {
            return false;
        }
    }
    return true;
}

/* Store value under the dotted key. */
static bool store(json_object *root, const char *key, const char *value, GError **error)
{
    g_auto(GStrv) steps = NULL;
    json_object *at = root;
    guint n;

    if (strlen(key) > KEY_MAX) {
        error_setf(error, "Key '%.32s...' is too long", key);
        return false;
    }
    if (!*key) {
        error_setf(error, "'' is not a valid key");
        return false;
    }
    steps = g_strsplit(key, ".", -1);
    n = g_strv_length(steps);
    for (guint i = 0; i < n; i++) {
        json_object *next;

        if (!step_is_valid(steps[i]) || n > DEPTH_MAX) {
            error_setf(error, "'%s' is not a valid key", key);
            return false;
        }
        if (i + 1 == n) {
            break;
        }
        if (!json_object_object_get_ex(at, steps[i], &next)) {
            next = json_object_new_object();
            json_object_object_add(at, steps[i], next);
        } else if (!json_object_is_type(next, json_type_object)) {
            error_setf(error, "Key '%s' has a value and members too", steps[i]);
            return false;
        }
        at = next;
    }
    if (json_object_is_type(json_object_object_get(at, steps[n - 1]), json_type_object)) {
        error_setf(error, "Key '%s' has a value and members too", key);
        return false;
    }
    json_object_object_add(at, steps[n - 1], json_object_new_string(value));
    return true;
}

static bool all_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Do the keys say that this object is a list? Mixed keys are an error. */
static bool is_list(json_object *object, const char *key, bool *list, GError **error)
{
    size_t digits = 0, others = 0;

    json_object_object_foreach(object, name, value) {
        (void)value;
        if (all_digits(name)) {
            digits++;
        } else {
            others++;
        }
    }
    if (digits && others) {
        error_setf(error, "Key '%s' has both numbered and named members", key);
        return false;
    }
    *list = digits > 0;
    return true;
}

static bool listify(json_object *object, GError **error);

/* The array for an object with keys 0..n-1; the object is borrowed. */
static json_object *make_array(json_object *object, const char *key, GError **error)
{
    size_t n = (size_t)json_object_object_length(object);
    json_object *array = json_object_new_array();

    for (size_t i = 0; i < n && n <= LIST_MAX; i++) {
        g_autofree char *index = g_strdup_printf("%zu", i);
        json_object *element;

        if (!json_object_object_get_ex(object, index, &element)) {
            error_setf(error, "List '%s' lacks element %zu", key, i);
            json_object_put(array);
            return NULL;
        }
        json_object_array_add(array, json_object_get(element));
    }
    if (n > LIST_MAX) {
        error_setf(error, "List '%s' is longer than %d elements", key, LIST_MAX);
        json_object_put(array);
        return NULL;
    }
    return array;
}

/* Turn numbered members into arrays, from the innermost out. */
static bool listify(json_object *object, GError **error)
{
    json_object_object_foreach(object, key, value) {
        bool list;

        if (!json_object_is_type(value, json_type_object)) {
            continue;
        }
        if (!listify(value, error) || !is_list(value, key, &list, error)) {
            return false;
        }
        if (list) {
            json_object *array = make_array(value, key, error);

            if (!array) {
                return false;
            }
            json_object_object_add(object, key, array);
        }
    }
    return true;
}

static bool parse_part(json_object *root, const char *part, const char *implied_key, bool *help,
                       GError **error)
{
    const char *equals = strchr(part, '=');
    g_autofree char *key = NULL;

    if (!equals && help && (!strcmp(part, "help") || !strcmp(part, "?"))) {
        *help = true;
        return true;
    }
    if (!equals && implied_key && *part) {
        return store(root, implied_key, part, error);
    }
    if (!equals) {
        error_setf(error, "Expected '=' after parameter '%s'", part);
        return false;
    }
    key = g_strndup(part, (size_t)(equals - part));
    return store(root, key, equals + 1, error);
}

json_object *json_parse_text(const char *str, GError **error)
{
    struct json_tokener *tokener = json_tokener_new_ex(QAPI_MAX_DEPTH);
    json_object *json;

    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    /* With the closing NUL, so that a number at the end is complete. */
    json = json_tokener_parse_ex(tokener, str, (int)strlen(str) + 1);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        error_setf(error, "JSON: %s at byte %zu",
                   json_tokener_error_desc(json_tokener_get_error(tokener)),
                   json_tokener_get_parse_end(tokener));
        json_object_put(json);
        json = NULL;
    } else if (json_tokener_get_parse_end(tokener) < strlen(str)) {
        error_setf(error, "JSON: unexpected text at byte %zu", json_tokener_get_parse_end(tokener));
        json_object_put(json);
        json = NULL;
    }
    json_tokener_free(tokener);
    return json;
}

static json_object *parse_json(const char *str, GError **error)
{
    json_object *json = json_parse_text(str, error);

    if (json && !json_object_is_type(json, json_type_object)) {
        error_setf(error, "JSON: expected an object");
        json_object_put(json);
        return NULL;
    }
    return json;
}

json_object *keyval_parse(const char *str, const char *implied_key, bool *help, GError **error)
{
    json_object *root;
    bool first = true;

    if (help) {
        *help = false;
    }
    if (keyval_is_json(str)) {
        return parse_json(str, error);
    }
    root = json_object_new_object();
    while (*str) {
        g_autofree char *part = next_part(&str);

        if (!parse_part(root, part, first ? implied_key : NULL, help, error)) {
            json_object_put(root);
            return NULL;
        }
        first = false;
    }
    if (!listify(root, error)) {
        json_object_put(root);
        return NULL;
    }
    return root;
}
