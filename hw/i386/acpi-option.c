/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -acpitable: a table from files. file= names a whole table, whose header the other fields change;
 * data= names a body, for which a header is made. Several files, separated by ':', follow one
 * another.
 */
#include <json-c/json.h>

#include "hw/i386/acpi-internal.h"
#include "qapi/keyval.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/map-file.h"
#include "util/parse.h"

#define TABLE_MAX (16 * MiB)

enum { HEADER_LENGTH = 4, HEADER_CHECKSUM = 9 };

/* The header's fields (ACPI 6.4, 5.2.6). text: padded with blanks, or else a number. */
static const struct {
    const char *name;
    uint8_t offset, size;
    bool text;
} header_fields[] = {
    { "sig", 0, 4, true },
    { "rev", 8, 1, false },
    { "oem_id", 10, 6, true },
    { "oem_table_id", 16, 8, true },
    { "oem_rev", 24, 4, false },
    { "asl_compiler_id", 28, 4, true },
    { "asl_compiler_rev", 32, 4, false },
};

static const char *const field_names[] = {
    "sig", "rev", "oem_id", "oem_table_id", "oem_rev", "asl_compiler_id", "asl_compiler_rev",
    "data", "file", NULL,
};

static const char *option_text(json_object *option, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(option, name, &value) ? json_object_get_string(value) : NULL;
}

static bool check_names(json_object *option, GError **error)
{
    json_object_object_foreach(option, key, value)
    {
        if (!g_strv_contains(field_names, key)) {
            error_setf(error, "-acpitable has no option '%s'", key);
            error_append_nearest(error, key, field_names);
            return false;
        }
        if (!json_object_is_type(value, json_type_string)) {
            error_setf(error, "-acpitable %s= takes one text", key);
            return false;
        }
    }
    return true;
}

static bool read_files(GByteArray *table, const char *paths, GError **error)
{
    g_auto(GStrv) names = g_strsplit(paths, ":", -1);

    for (unsigned i = 0; names[i]; i++) {
        g_autoptr(GBytes) data = map_file(names[i], error);

        if (!data) {
            g_prefix_error(error, "-acpitable: ");
            return false;
        }
        if (g_bytes_get_size(data) > TABLE_MAX - table->len) {
            error_setf(error, "-acpitable: '%s' makes the table larger than 16 MiB", names[i]);
            return false;
        }
        g_byte_array_append(table, g_bytes_get_data(data, NULL), g_bytes_get_size(data));
    }
    return true;
}

static bool set_header_field(json_object *option, unsigned n, uint8_t *table, GError **error)
{
    const char *value = option_text(option, header_fields[n].name);
    unsigned size = header_fields[n].size;
    uint8_t *field = table + header_fields[n].offset;
    uint64_t number;

    if (!value) {
        return true;
    }
    if (header_fields[n].text) {
        if (strlen(value) > size) {
            error_setf(error, "-acpitable %s=%s: at most %u characters fit",
                       header_fields[n].name, value, size);
            return false;
        }
        memset(field, ' ', size);
        memcpy(field, value, strlen(value));
        return true;
    }
    if (!parse_uint64(value, &number, error)) {
        g_prefix_error(error, "-acpitable %s: ", header_fields[n].name);
        return false;
    }
    if (number >> (8 * size)) {
        error_setf(error, "-acpitable %s=%s: the number does not fit %u bytes",
                   header_fields[n].name, value, size);
        return false;
    }
    stn_le(field, size, number);
    return true;
}

static void default_header(uint8_t *header)
{
    memset(header, 0, ACPI_HEADER_SIZE);
    header[8] = 1;
    memcpy(header + 10, "VIREO VIREOPC ", 14);
    stl_le(header + 24, 1);
    memcpy(header + 28, "VIRE", 4);
    stl_le(header + 32, 1);
}

static GByteArray *read_table(json_object *option, GError **error)
{
    g_autoptr(GByteArray) table = g_byte_array_new();
    const char *data = option_text(option, "data");
    const char *file = option_text(option, "file");

    if (!data == !file) {
        error_setf(error, "-acpitable needs exactly one of data= and file=");
        return NULL;
    }
    if (data && !option_text(option, "sig")) {
        error_setf(error, "-acpitable data=%s needs sig=, the table's signature", data);
        return NULL;
    }
    if (data) {
        g_byte_array_set_size(table, ACPI_HEADER_SIZE);
        default_header(table->data);
    }
    if (!read_files(table, data ? data : file, error)) {
        return NULL;
    }
    if (table->len < ACPI_HEADER_SIZE) {
        error_setf(error, "-acpitable file=%s: %u bytes, but a table's header has %u", file,
                   table->len, ACPI_HEADER_SIZE);
        return NULL;
    }
    if (file && ldl_le(table->data + HEADER_LENGTH) != table->len) {
        warn_report("-acpitable file=%s: the header says %u bytes, there are %u", file,
                    ldl_le(table->data + HEADER_LENGTH), table->len);
    }
    return g_steal_pointer(&table);
}

GBytes *acpi_table_option(const char *text, GError **error)
{
    json_object *option = keyval_parse(text, NULL, NULL, error);
    g_autoptr(GByteArray) table = NULL;
    bool ok = option && check_names(option, error);
    uint8_t sum = 0;

    if (ok) {
        table = read_table(option, error);
        ok = table != NULL;
    }
    for (unsigned i = 0; ok && i < G_N_ELEMENTS(header_fields); i++) {
        ok = set_header_field(option, i, table->data, error);
    }
    json_object_put(option);
    if (!ok) {
        return NULL;
    }
    stl_le(table->data + HEADER_LENGTH, table->len);
    table->data[HEADER_CHECKSUM] = 0;
    for (unsigned i = 0; i < table->len; i++) {
        sum += table->data[i];
    }
    table->data[HEADER_CHECKSUM] = -sum;
    return g_byte_array_free_to_bytes(g_steal_pointer(&table));
}
