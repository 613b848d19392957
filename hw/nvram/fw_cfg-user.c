/* SPDX-License-Identifier: Apache-2.0 */
/* fw_cfg: what the user says (-fw_cfg) and the order in which firmware tries to boot. */
#include "hw/nvram/fw_cfg-internal.h"
#include "util/error.h"
#include "util/map-file.h"

static const char *const user_option_fields[] = { "name", "file", "string", NULL };

/* Refuses fields that -fw_cfg does not have, and values that are not text. */
static bool fw_cfg_check_fields(json_object *option, GError **error)
{
    json_object_object_foreach(option, key, value)
    {
        if (!g_strv_contains(user_option_fields, key)) {
            error_setf(error, "-fw_cfg has no option '%s'", key);
            error_append_nearest(error, key, user_option_fields);
            return false;
        }
        if (!json_object_is_type(value, json_type_string)) {
            error_setf(error, "-fw_cfg: '%s' must be text", key);
            return false;
        }
    }
    return true;
}

static const char *fw_cfg_field(json_object *option, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(option, name, &value) ? json_object_get_string(value) : NULL;
}

static GBytes *fw_cfg_load_file(const char *name, const char *path, GError **error)
{
    GBytes *data = map_file(path, error);

    if (!data) {
        g_prefix_error(error, "-fw_cfg name=%s: ", name);
    }
    return data;
}

bool fw_cfg_add_user_option(FwCfg *fw, json_object *option, GError **error)
{
    g_autoptr(GBytes) data = NULL;
    const char *name, *path, *text;

    if (!fw_cfg_check_fields(option, error)) {
        return false;
    }
    name = fw_cfg_field(option, "name");
    path = fw_cfg_field(option, "file");
    text = fw_cfg_field(option, "string");
    if (!name || name[0] == '\0') {
        error_setf(error, "-fw_cfg needs name=opt/...");
        return false;
    }
    if (!path == !text) {
        error_setf(error, "-fw_cfg name=%s needs exactly one of file= and string=", name);
        return false;
    }
    if (!g_str_has_prefix(name, "opt/")) {
        warn_report("-fw_cfg name=%s: names outside opt/ belong to the firmware and may clash",
                    name);
    }
    data = text ? g_bytes_new(text, strlen(text)) : fw_cfg_load_file(name, path, error);
    return data && fw_cfg_add_file(fw, name, data, error);
}

/* The file is the paths in order, one to a line, and a NUL. */
static bool fw_cfg_update_boot_order(FwCfg *fw, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GBytes) bytes = NULL;

    for (unsigned i = 0; i < fw->boot_entries->len; i++) {
        const FwCfgBootEntry *entry = g_ptr_array_index(fw->boot_entries, i);

        g_string_append_printf(text, "%s%s", i ? "\n" : "", entry->path);
    }
    bytes = g_bytes_new(text->str, text->len + 1);
    return fw_cfg_modify_file(fw, "bootorder", bytes, error);
}

bool fw_cfg_add_boot_entry(FwCfg *fw, const char *path, int32_t index, GError **error)
{
    FwCfgBootEntry *entry;
    unsigned at;

    if (index < 0) {
        return true;
    }
    for (at = 0; at < fw->boot_entries->len; at++) {
        entry = g_ptr_array_index(fw->boot_entries, at);
        if (entry->index == index) {
            error_setf(error, "bootindex=%d of '%s' is taken by '%s'", index, path, entry->path);
            return false;
        }
        if (entry->index > index) {
            break;
        }
    }
    entry = g_new0(FwCfgBootEntry, 1);
    entry->path = g_strdup(path);
    entry->index = index;
    g_ptr_array_insert(fw->boot_entries, at, entry);
    return fw_cfg_update_boot_order(fw, error);
}
