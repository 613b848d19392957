/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for people and scripts: four spaces a level, as qemu-img's scripts have always seen it. */
#ifndef VIREO_TOOLS_JSON_PRINT_H
#define VIREO_TOOLS_JSON_PRINT_H

#include <json-c/json.h>
#include <stdio.h>

/* With a line feed at the end. */
void json_print(FILE *out, json_object *value);

#endif
