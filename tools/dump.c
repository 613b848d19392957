/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/dump.h"

#include <json-c/json.h>
#include <stdio.h>

/* As indented "key: value" lines. */
static void dump(json_object *value, int level);

static void dump_member(const char *name, json_object *value, int level)
{
    bool composite = json_object_is_type(value, json_type_object) ||
                     json_object_is_type(value, json_type_array);

    printf("%*s%s:%s", level * 4, "", name, composite ? "\n" : " ");
    if (composite) {
        dump(value, level + 1);
    } else {
        printf("%s\n", value ? json_object_get_string(value) : "null");
    }
}

static void dump(json_object *value, int level)
{
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            g_autofree char *name = g_strdup_printf("[%zu]", i);

            dump_member(name, json_object_array_get_idx(value, i), level);
        }
        return;
    }
    json_object_object_foreach(value, key, member) {
        g_autofree char *name = g_strdelimit(g_strdup(key), "-", ' ');

        dump_member(name, member, level);
    }
}

void tool_print_specific(const ImageInfoSpecific *specific)
{
    json_object *json, *data;

    if (!specific) {
        return;
    }
    json = ImageInfoSpecific_to_json(specific);
    if (json_object_object_get_ex(json, "data", &data) && json_object_object_length(data)) {
        printf("Format specific information:\n");
        dump(data, 1);
    }
    json_object_put(json);
}
