/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tools/img/img.h"

/* Three significant digits in the largest unit that leaves at least one before the point. */
char *img_size_text(int64_t bytes)
{
    static const char units[] = "BKMGTPE";
    double value = bytes;
    unsigned unit = 0;

    while (value >= 1000 && unit < sizeof(units) - 2) {
        value /= 1024;
        unit++;
    }
    return unit ? g_strdup_printf("%0.3g %ciB", value, units[unit])
                : g_strdup_printf("%0.3g B", value);
}

static void dump_member(const char *name, json_object *value, int level)
{
    bool composite = json_object_is_type(value, json_type_object) ||
                     json_object_is_type(value, json_type_array);

    printf("%*s%s:%s", level * 4, "", name, composite ? "\n" : " ");
    if (composite) {
        img_dump(value, level + 1);
    } else {
        printf("%s\n", value ? json_object_get_string(value) : "null");
    }
}

void img_dump(json_object *value, int level)
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
