/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/json-print.h"

static void indent(FILE *out, int level)
{
    fprintf(out, "%*s", level * 4, "");
}

static void print_scalar(FILE *out, json_object *value)
{
    fputs(value ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE) : "null",
          out);
}

static void print_value(FILE *out, json_object *value, int level);

static void print_object(FILE *out, json_object *object, int level)
{
    const char *separator = "\n";

    fputs("{", out);
    json_object_object_foreach(object, key, member) {
        json_object *name = json_object_new_string(key);

        fputs(separator, out);
        separator = ",\n";
        indent(out, level + 1);
        print_scalar(out, name);
        json_object_put(name);
        fputs(": ", out);
        print_value(out, member, level + 1);
    }
    fputs("\n", out);
    indent(out, level);
    fputs("}", out);
}

static void print_array(FILE *out, json_object *array, int level)
{
    size_t n = json_object_array_length(array);

    fputs("[", out);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ",\n" : "\n", out);
        indent(out, level + 1);
        print_value(out, json_object_array_get_idx(array, i), level + 1);
    }
    fputs("\n", out);
    indent(out, level);
    fputs("]", out);
}

static void print_value(FILE *out, json_object *value, int level)
{
    if (json_object_is_type(value, json_type_object)) {
        print_object(out, value, level);
    } else if (json_object_is_type(value, json_type_array)) {
        print_array(out, value, level);
    } else {
        print_scalar(out, value);
    }
}

void json_print(FILE *out, json_object *value)
{
    print_value(out, value, 0);
    fputs("\n", out);
}
