/* SPDX-License-Identifier: Apache-2.0 */
/* What every tool does with --object, --cache, --aio and the options of the image it opens. */
#ifndef VIREO_TOOLS_IMAGE_OPTIONS_H
#define VIREO_TOOLS_IMAGE_OPTIONS_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/* Unless the key is there already, or value is NULL. */
void tool_set_text(json_object *options, const char *key, const char *value);
/* The same, as "on" and "off" among text, else as a JSON boolean. */
void tool_set_switch(json_object *options, const char *key, bool on, bool as_text);
/*
 * cache.direct and cache.no-flush of a cache mode; NULL: nothing. False, without an error: there is
 * no such mode.
 */
bool tool_set_cache(json_object *options, const char *mode, bool as_text, bool *writethrough);
/* Of the file below whatever format there is; NULL: nothing. */
void tool_set_aio(json_object *options, const char *aio);
/* --object: an object that stays until the program ends. */
bool tool_add_object(const char *text, GError **error);

#endif
