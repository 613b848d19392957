/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -smbios type=N,field=value,... and -smbios file=PATH: which fields there are, and their values.
 */
#include "hw/i386/smbios-internal.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/map-file.h"
#include "util/parse.h"

#define FILE_MAX 65535
#define STRUCTURE_HEADER 4

typedef enum FieldKind {
    FIELD_TEXT,
    FIELD_BOOL,
    FIELD_U8,
    FIELD_U16,
    FIELD_U64,
    FIELD_UUID,
    FIELD_RELEASE, /* "major.minor" */
    FIELD_TEXTS,   /* may be an array */
} FieldKind;

typedef struct SmbiosField {
    uint8_t type;
    const char *name;
    FieldKind kind;
    const char *description;
} SmbiosField;

static const SmbiosField fields[] = {
    { 0, "vendor", FIELD_TEXT, "who wrote the firmware" },
    { 0, "version", FIELD_TEXT, "the firmware's version" },
    { 0, "date", FIELD_TEXT, "the firmware's date, mm/dd/yyyy" },
    { 0, "release", FIELD_RELEASE, "the firmware's release, MAJOR.MINOR" },
    { 0, "uefi", FIELD_BOOL, "say that this is UEFI firmware" },
    { 1, "manufacturer", FIELD_TEXT, "who made the machine" },
    { 1, "product", FIELD_TEXT, "the machine's name" },
    { 1, "version", FIELD_TEXT, "the machine's version" },
    { 1, "serial", FIELD_TEXT, "the machine's serial number" },
    { 1, "uuid", FIELD_UUID, "the machine's UUID" },
    { 1, "sku", FIELD_TEXT, "the machine's order number" },
    { 1, "family", FIELD_TEXT, "the machine's family" },
    { 2, "manufacturer", FIELD_TEXT, "who made the board" },
    { 2, "product", FIELD_TEXT, "the board's name" },
    { 2, "version", FIELD_TEXT, "the board's version" },
    { 2, "serial", FIELD_TEXT, "the board's serial number" },
    { 2, "asset", FIELD_TEXT, "the board's asset tag" },
    { 2, "location", FIELD_TEXT, "where in the chassis the board is" },
    { 3, "manufacturer", FIELD_TEXT, "who made the chassis" },
    { 3, "version", FIELD_TEXT, "the chassis's version" },
    { 3, "serial", FIELD_TEXT, "the chassis's serial number" },
    { 3, "asset", FIELD_TEXT, "the chassis's asset tag" },
    { 3, "sku", FIELD_TEXT, "the chassis's order number" },
    { 4, "sock_pfx", FIELD_TEXT, "what sockets are called, before their number" },
    { 4, "manufacturer", FIELD_TEXT, "who made the processors" },
    { 4, "version", FIELD_TEXT, "the processors' name" },
    { 4, "serial", FIELD_TEXT, "the processors' serial number" },
    { 4, "asset", FIELD_TEXT, "the processors' asset tag" },
    { 4, "part", FIELD_TEXT, "the processors' part number" },
    { 4, "max-speed", FIELD_U16, "highest speed in MHz" },
    { 4, "current-speed", FIELD_U16, "speed at start in MHz" },
    { 4, "processor-id", FIELD_U64, "CPUID signature and features" },
    { 8, "internal_reference", FIELD_TEXT, "the port's name on the board" },
    { 8, "external_reference", FIELD_TEXT, "the port's name on the case" },
    { 8, "connector_type", FIELD_U8, "the outside plug's kind" },
    { 8, "port_type", FIELD_U8, "the port's kind" },
    { 11, "value", FIELD_TEXTS, "a string for the guest" },
    { 11, "path", FIELD_TEXTS, "a file that holds a string for the guest" },
    { 17, "loc_pfx", FIELD_TEXT, "what memory slots are called, before their number" },
    { 17, "bank", FIELD_TEXT, "the memory's bank" },
    { 17, "manufacturer", FIELD_TEXT, "who made the memory" },
    { 17, "serial", FIELD_TEXT, "the memory's serial number" },
    { 17, "asset", FIELD_TEXT, "the memory's asset tag" },
    { 17, "part", FIELD_TEXT, "the memory's part number" },
    { 17, "speed", FIELD_U16, "the memory's speed in MT/s" },
};

static const SmbiosField *find_field(unsigned type, const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (fields[i].type == type && g_str_equal(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}

static void append_nearest_field(GError **error, unsigned type, const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (fields[i].type == type) {
            g_ptr_array_add(names, (char *)fields[i].name);
        }
    }
    g_ptr_array_add(names, NULL);
    error_append_nearest(error, name, (const char *const *)names->pdata);
}

static bool check_number(const char *text, uint64_t max, GError **error)
{
    uint64_t value;

    if (!parse_uint64(text, &value, error)) {
        return false;
    }
    if (value > max) {
        error_setf(error, "'%s' is more than %" PRIu64, text, max);
        return false;
    }
    return true;
}

static bool check_release(const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ".", -1);

    if (g_strv_length(parts) != 2) {
        error_setf(error, "'%s' is not MAJOR.MINOR", text);
        return false;
    }
    return check_number(parts[0], UINT8_MAX, error) && check_number(parts[1], UINT8_MAX, error);
}

static bool check_value(const SmbiosField *field, const char *text, GError **error)
{
    uint8_t uuid[16];
    bool flag;

    switch (field->kind) {
    case FIELD_TEXT:
    case FIELD_TEXTS:
        return true;
    case FIELD_BOOL:
        return parse_bool(text, &flag, error);
    case FIELD_U8:
        return check_number(text, UINT8_MAX, error);
    case FIELD_U16:
        return check_number(text, UINT16_MAX, error);
    case FIELD_U64:
        return check_number(text, UINT64_MAX, error);
    case FIELD_UUID:
        return parse_uuid(text, uuid, error);
    case FIELD_RELEASE:
        return check_release(text, error);
    }
    g_assert_not_reached();
}

static bool add_string(SmbiosValues *values, const char *name, const char *text, GError **error)
{
    g_autoptr(GBytes) file = NULL;
    const char *data;
    gsize len;

    if (g_str_equal(name, "value")) {
        g_ptr_array_add(values->strings, g_strdup(text));
        return true;
    }
    file = map_file(text, error);
    if (!file) {
        g_prefix_error(error, "-smbios type=11: ");
        return false;
    }
    data = g_bytes_get_data(file, &len);
    if (len && memchr(data, 0, len)) {
        error_setf(error, "-smbios type=11: '%s' holds a NUL byte", text);
        return false;
    }
    g_ptr_array_add(values->strings, g_strndup(data, len));
    return true;
}

/* The texts of one or several values. */
static bool add_strings(SmbiosValues *values, const char *name, json_object *value, GError **error)
{
    if (!json_object_is_type(value, json_type_array)) {
        return add_string(values, name, json_object_get_string(value), error);
    }
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        if (!add_string(values, name, json_object_get_string(json_object_array_get_idx(value, i)),
                        error)) {
            return false;
        }
    }
    return true;
}

static void add_port(SmbiosValues *values)
{
    SmbiosPort port = {
        .internal = g_strdup(smbios_text(values, "8.internal_reference", NULL)),
        .external = g_strdup(smbios_text(values, "8.external_reference", NULL)),
        .connector = smbios_number(values, "8.connector_type", 0),
        .port = smbios_number(values, "8.port_type", 0),
    };

    g_array_append_val(values->ports, port);
    g_hash_table_remove(values->fields, "8.internal_reference");
    g_hash_table_remove(values->fields, "8.external_reference");
    g_hash_table_remove(values->fields, "8.connector_type");
    g_hash_table_remove(values->fields, "8.port_type");
}

/* A binary structure: formatted part of the length that it says, strings that end with two NULs. */
static bool add_file(SmbiosValues *values, const char *path, GError **error)
{
    g_autoptr(GBytes) file = map_file(path, error);
    uint8_t type, formatted;
    const uint8_t *data;
    gsize len;

    if (!file) {
        g_prefix_error(error, "-smbios file: ");
        return false;
    }
    data = g_bytes_get_data(file, &len);
    if (len < STRUCTURE_HEADER + 2 || len > FILE_MAX) {
        error_setf(error, "-smbios file: '%s' has %zu bytes, a structure has 6 to %d", path, len,
                   FILE_MAX);
        return false;
    }
    type = data[0];
    formatted = data[1];
    if (formatted < STRUCTURE_HEADER || formatted + 2u > len || data[len - 1] || data[len - 2]) {
        error_setf(error, "-smbios file: '%s' is broken: a formatted part of %u bytes and strings "
                   "with two NULs at their end do not make %zu bytes", path, formatted, len);
        return false;
    }
    if (type >= SMBIOS_TYPE_MAX) {
        error_setf(error, "-smbios file: '%s' has type %u, which cannot be given", path, type);
        return false;
    }
    if (values->seen[type]) {
        error_setf(error, "-smbios file: '%s': type %u has fields given already", path, type);
        return false;
    }
    values->from_file[type] = true;
    g_ptr_array_add(values->files, g_steal_pointer(&file));
    return true;
}

static bool add_field(SmbiosValues *values, unsigned type, const char *name, json_object *value,
                      GError **error)
{
    const SmbiosField *field = find_field(type, name);
    g_autofree char *key = NULL;

    if (!field) {
        error_setf(error, "-smbios type=%u has no field '%s'", type, name);
        append_nearest_field(error, type, name);
        return false;
    }
    if (field->kind == FIELD_TEXTS) {
        return add_strings(values, name, value, error);
    }
    if (json_object_is_type(value, json_type_object) ||
        json_object_is_type(value, json_type_array) ||
        !check_value(field, json_object_get_string(value), error)) {
        if (error && !*error) {
            error_setf(error, "one value is needed");
        }
        g_prefix_error(error, "-smbios type=%u,%s: ", type, name);
        return false;
    }
    key = g_strdup_printf("%u.%s", type, name);
    g_hash_table_replace(values->fields, g_steal_pointer(&key),
                         g_strdup(json_object_get_string(value)));
    return true;
}

static bool type_is_known(unsigned type)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (fields[i].type == type) {
            return true;
        }
    }
    return false;
}

static bool add_option(SmbiosValues *values, json_object *option, GError **error)
{
    json_object *item;
    uint64_t type;

    if (json_object_object_get_ex(option, "file", &item)) {
        if (json_object_object_length(option) != 1) {
            error_setf(error, "-smbios file= stands alone");
            return false;
        }
        return add_file(values, json_object_get_string(item), error);
    }
    if (!json_object_object_get_ex(option, "type", &item)) {
        error_setf(error, "-smbios needs type=N or file=PATH");
        return false;
    }
    if (!parse_uint64(json_object_get_string(item), &type, error)) {
        g_prefix_error(error, "-smbios type: ");
        return false;
    }
    if (type > SMBIOS_TYPE_MAX || !type_is_known(type)) {
        error_setf(error, "-smbios type=%" PRIu64 " has no fields that can be set", type);
        return false;
    }
    if (values->from_file[type]) {
        error_setf(error, "-smbios type=%" PRIu64 " is given by a file already", type);
        return false;
    }
    json_object_object_foreach(option, key, value)
    {
        if (!g_str_equal(key, "type") && !add_field(values, type, key, value, error)) {
            return false;
        }
    }
    values->seen[type] = true;
    if (type == 8) {
        add_port(values);
    }
    return true;
}

static void port_clear(void *data)
{
    SmbiosPort *port = data;

    g_free(port->internal);
    g_free(port->external);
}

static void bytes_unref(void *data)
{
    g_bytes_unref(data);
}

static SmbiosValues *values_alloc(void)
{
    SmbiosValues *values = g_new0(SmbiosValues, 1);

    values->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    values->strings = g_ptr_array_new_with_free_func(g_free);
    values->files = g_ptr_array_new_with_free_func(bytes_unref);
    values->ports = g_array_new(false, false, sizeof(SmbiosPort));
    g_array_set_clear_func(values->ports, port_clear);
    return values;
}

SmbiosValues *smbios_values_new(const GPtrArray *options, GError **error)
{
    g_autoptr(SmbiosValues) values = values_alloc();

    for (unsigned i = 0; options && i < options->len; i++) {
        if (!add_option(values, g_ptr_array_index(options, i), error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&values);
}

void smbios_values_free(SmbiosValues *values)
{
    if (values) {
        g_hash_table_unref(values->fields);
        g_ptr_array_unref(values->strings);
        g_ptr_array_unref(values->files);
        g_array_unref(values->ports);
        g_free(values);
    }
}

const char *smbios_text(const SmbiosValues *values, const char *field, const char *fallback)
{
    const char *text = g_hash_table_lookup(values->fields, field);

    return text ? text : fallback;
}

uint64_t smbios_number(const SmbiosValues *values, const char *field, uint64_t fallback)
{
    const char *text = g_hash_table_lookup(values->fields, field);
    uint64_t value = fallback;

    if (text) {
        parse_uint64(text, &value, NULL);
    }
    return value;
}

bool smbios_check_option(json_object *option, GError **error)
{
    g_autoptr(SmbiosValues) values = values_alloc();

    return add_option(values, option, error);
}

char *smbios_options_help(void)
{
    GString *text = g_string_new("file=PATH  a whole structure, binary\n");

    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_string_append_printf(text, "type=%u,%s=  %s\n", fields[i].type, fields[i].name,
                               fields[i].description);
    }
    return g_string_free(text, false);
}
