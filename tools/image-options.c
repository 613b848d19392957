/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/image-options.h"

#include "block/open.h"
#include "qapi/keyval.h"
#include "qom/object.h"

static void set(json_object *options, const char *key, json_object *value)
{
    if (json_object_object_get_ex(options, key, NULL)) {
        json_object_put(value);
    } else {
        json_object_object_add(options, key, value);
    }
}

void tool_set_text(json_object *options, const char *key, const char *value)
{
    if (value) {
        set(options, key, json_object_new_string(value));
    }
}

void tool_set_switch(json_object *options, const char *key, bool on, bool as_text)
{
    set(options, key, as_text ? json_object_new_string(on ? "on" : "off")
                              : json_object_new_boolean(on));
}

bool tool_set_cache(json_object *options, const char *mode, bool as_text, bool *writethrough)
{
    BlockMode parsed = { 0 };
    json_object *cache;

    if (!mode) {
        return true;
    }
    if (!block_parse_cache_mode(mode, &parsed, writethrough)) {
        return false;
    }
    cache = json_object_new_object();
    tool_set_switch(cache, "direct", parsed.cache_direct, as_text);
    tool_set_switch(cache, "no-flush", parsed.cache_no_flush, as_text);
    json_object_object_add(options, "cache", cache);
    return true;
}

void tool_set_aio(json_object *options, const char *aio)
{
    json_object *file;

    if (!aio) {
        return;
    }
    if (!json_object_object_get_ex(options, "file", &file)) {
        file = json_object_new_object();
        json_object_object_add(options, "file", file);
    }
    tool_set_text(file, "aio", aio);
}

bool tool_add_object(const char *text, GError **error)
{
    json_object *options = keyval_parse(text, "qom-type", NULL, error);
    bool ok = options && user_object_create(options, !keyval_is_json(text), error);

    json_object_put(options);
    return ok;
}
