/* SPDX-License-Identifier: Apache-2.0 */
/* SMBIOS: both entry points, options and their mistakes; dmidecode reads what we built. */
#include <glib/gstdio.h>

#include "hw/i386/smbios.h"
#include "util/bits.h"

#define DUMP_TABLES 0x20 /* where a dump's tables begin */

static const uint8_t test_uuid[16] = {
    0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8,
};

static SmbiosConfig base_config(const E820Map *map, bool entry64, const GPtrArray *options)
{
    return (SmbiosConfig) {
        .manufacturer = "Vireo", .product = "Test Machine", .version = "pc-1",
        .uuid = test_uuid, .cpus = 4, .sockets = 2, .cores = 2, .threads = 1,
        .cpu_signature = 0x60fb1, .cpu_features = 0x78bfbfd, .ram_size = 20 * GiB, .e820 = map,
        .entry64 = entry64, .options = options,
    };
}

static void option_free(void *option)
{
    json_object_put(option);
}

static GPtrArray *make_options(const char *const *texts)
{
    GPtrArray *options = g_ptr_array_new_with_free_func(option_free);

    for (; texts && *texts; texts++) {
        json_object *option = json_tokener_parse(*texts);

        g_assert_nonnull(option);
        g_ptr_array_add(options, option);
    }
    return options;
}

/* Build, and give dmidecode's words; NULL if it is not installed. */
static char *decode(bool entry64, const char *const *texts)
{
    g_autofree char *program = g_find_program_in_path("dmidecode");
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-smbios-XXXXXX", NULL);
    g_autoptr(GPtrArray) options = make_options(texts);
    g_autoptr(E820Map) map = e820_new();
    SmbiosConfig config = base_config(map, entry64, options);
    g_autoptr(SmbiosTables) tables = NULL;
    g_autoptr(GBytes) anchor = NULL;
    g_autoptr(GByteArray) dump = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *err = NULL;
    char *out = NULL;
    int fd, status;

    e820_add(map, 0, 3 * GiB, E820_RAM);
    e820_add(map, 4 * GiB, 17 * GiB, E820_RAM);
    tables = smbios_build(&config, &error);
    g_assert_no_error(error);
    anchor = smbios_anchor_at(tables, DUMP_TABLES);
    g_byte_array_set_size(dump, DUMP_TABLES);
    memset(dump->data, 0, DUMP_TABLES);
    memcpy(dump->data, g_bytes_get_data(anchor, NULL), g_bytes_get_size(anchor));
    g_byte_array_append(dump, g_bytes_get_data(tables->tables, NULL),
                        g_bytes_get_size(tables->tables));
    if (!program && !g_file_test("/usr/sbin/dmidecode", G_FILE_TEST_IS_EXECUTABLE)) {
        g_test_skip("dmidecode is not installed");
        return NULL;
    }
    fd = g_mkstemp(path);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(path, (char *)dump->data, dump->len, NULL));
    {
        const char *argv[] = { program ? program : "/usr/sbin/dmidecode", "--from-dump", path,
                               NULL };

        g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, &err, &status, &error);
    }
    g_assert_no_error(error);
    g_unlink(path);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpstr(err, ==, "");
    return out;
}

static void expect(const char *out, const char *const *lines)
{
    for (; *lines; lines++) {
        if (!strstr(out, *lines)) {
            g_error("no '%s' in:\n%s", *lines, out);
        }
    }
    g_assert_null(strstr(out, "<BAD INDEX>"));
    g_assert_null(strstr(out, "<TRUNCATED>"));
    g_assert_null(strstr(out, "Wrong"));
}

static void test_plain(gconstpointer data)
{
    bool entry64 = GPOINTER_TO_INT(data);
    static const char *const lines[] = {
        "Manufacturer: Vireo", "Product Name: Test Machine",
        "UUID: 12345678-9abc-def0-0102-030405060708", "Socket Designation: CPU 0",
        "Socket Designation: CPU 1", "Core Count: 2", "Locator: DIMM 0", "Size: 16 GB",
        "Size: 4 GB", "Range Size: 17 GB", "System Boot Information", "End Of Table", NULL,
    };
    g_autofree char *out = decode(entry64, NULL);

    if (out) {
        expect(out, lines);
        g_assert_nonnull(strstr(out, entry64 ? "SMBIOS 3.0" : "SMBIOS 2.8"));
        g_assert_null(strstr(out, "BIOS Information"));
        g_assert_null(strstr(out, "Base Board"));
    }
}

static void test_options(void)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-smbios-file", NULL);
    g_autofree char *file_option = g_strdup_printf("{\"file\":\"%s\"}", path);
    const char *const texts[] = {
        "{\"type\":\"0\",\"vendor\":\"BV\",\"version\":\"9.9\",\"date\":\"01/02/2003\","
        "\"release\":\"4.5\",\"uefi\":\"on\"}",
        "{\"type\":\"1\",\"serial\":\"SER1\",\"sku\":\"SKU1\",\"family\":\"FAM\","
        "\"uuid\":\"00112233-4455-6677-8899-aabbccddeeff\"}",
        "{\"type\":\"2\",\"asset\":\"BOARDTAG\",\"location\":\"left\"}",
        "{\"type\":\"3\",\"serial\":\"CH1\"}",
        "{\"type\":\"4\",\"sock_pfx\":\"Sock\",\"max-speed\":\"3333\",\"current-speed\":\"2222\"}",
        "{\"type\":\"8\",\"internal_reference\":\"J1\",\"external_reference\":\"USB\","
        "\"connector_type\":\"0x12\",\"port_type\":\"0x10\"}",
        "{\"type\":\"11\",\"value\":\"one\"}",
        "{\"type\":\"11\",\"value\":[\"two\",\"three\"]}",
        "{\"type\":\"17\",\"bank\":\"B0\",\"speed\":\"2400\",\"part\":\"P1\"}",
        file_option,
        NULL,
    };
    static const char *const lines[] = {
        "Vendor: BV", "Version: 9.9", "BIOS Revision: 4.5", "UEFI is supported",
        "Serial Number: SER1", "SKU Number: SKU1", "Family: FAM",
        "UUID: 00112233-4455-6677-8899-aabbccddeeff", "Asset Tag: BOARDTAG",
        "Location In Chassis: left", "Serial Number: CH1", "Socket Designation: Sock 0",
        "Max Speed: 3333 MHz", "Current Speed: 2222 MHz", "Internal Reference Designator: J1",
        "External Connector Type: Access Bus (USB)", "String 1: one", "String 2: two",
        "String 3: three", "Bank Locator: B0", "Speed: 2400 MT/s", "Part Number: P1",
        "Handle 0x1234, DMI type 100", NULL,
    };
    static const char structure[] = { 100, 6, 0x34, 0x12, 1, 1, 'x', 0, 0 };
    g_autofree char *out = NULL;

    /* The standard does not use type 100. */
    g_assert_true(g_file_set_contents(path, structure, sizeof(structure), NULL));
    out = decode(false, texts);
    g_unlink(path);
    if (out) {
        expect(out, lines);
    }
}

static void test_mistakes(void)
{
    static const struct {
        const char *option, *part;
    } wrong[] = {
        { "{}", "type=" },
        { "{\"type\":\"x\"}", "type" },
        { "{\"type\":\"5\"}", "type=5" },
        { "{\"type\":\"99999\"}", "99999" },
        { "{\"type\":\"1\",\"serail\":\"x\"}", "'serial'" },
        { "{\"type\":\"1\",\"uuid\":\"x\"}", "uuid" },
        { "{\"type\":\"1\",\"serial\":{\"a\":\"b\"}}", "serial" },
        { "{\"type\":\"0\",\"release\":\"1\"}", "MAJOR.MINOR" },
        { "{\"type\":\"0\",\"release\":\"1.256\"}", "256" },
        { "{\"type\":\"0\",\"uefi\":\"maybe\"}", "maybe" },
        { "{\"type\":\"4\",\"max-speed\":\"65536\"}", "65536" },
        { "{\"type\":\"11\",\"path\":\"/nonexistent\"}", "/nonexistent" },
        { "{\"file\":\"/nonexistent\"}", "/nonexistent" },
        { "{\"file\":\"/dev/null\"}", "0 bytes" },
        { "{\"file\":\"/dev/null\",\"type\":\"1\"}", "alone" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        json_object *option = json_tokener_parse(wrong[i].option);
        g_autoptr(GError) error = NULL;

        g_assert_false(smbios_check_option(option, &error));
        g_assert_nonnull(error);
        if (!strstr(error->message, wrong[i].part)) {
            g_error("%s: expected '%s' in: %s", wrong[i].option, wrong[i].part, error->message);
        }
        json_object_put(option);
    }
}

/* Whole structures that are none. */
static void test_broken_files(void)
{
    static const struct {
        unsigned len;
        uint8_t bytes[8];
    } broken[] = {
        { 5, { 1, 4, 0, 0, 0 } },
        { 6, { 1, 3, 0, 0, 0, 0 } },
        { 6, { 1, 5, 0, 0, 0, 0 } },
        { 6, { 1, 255, 0, 0, 0, 0 } },
        { 7, { 1, 4, 0, 0, 'x', 0, 'y' } },
        { 6, { 127, 4, 0, 0, 0, 0 } },
        { 6, { 255, 4, 0, 0, 0, 0 } },
    };
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-smbios-broken", NULL);
    g_autofree char *text = g_strdup_printf("{\"file\":\"%s\"}", path);
    json_object *option = json_tokener_parse(text);

    for (unsigned i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(g_file_set_contents(path, (const char *)broken[i].bytes, broken[i].len,
                                          NULL));
        g_assert_false(smbios_check_option(option, &error));
    }
    json_object_put(option);
    g_unlink(path);
}

static void test_too_large(void)
{
    g_autoptr(GPtrArray) options = make_options(NULL);
    SmbiosConfig config = base_config(NULL, false, options);
    g_autoptr(GError) error = NULL;
    g_autoptr(SmbiosTables) tables = NULL;

    config.sockets = 2000;
    g_assert_null(smbios_build(&config, &error));
    g_assert_nonnull(strstr(error->message, "64"));
    g_clear_error(&error);
    config.entry64 = true;
    tables = smbios_build(&config, &error);
    g_assert_no_error(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/smbios/2.8", GINT_TO_POINTER(false), test_plain);
    g_test_add_data_func("/smbios/3.0", GINT_TO_POINTER(true), test_plain);
    g_test_add_func("/smbios/options", test_options);
    g_test_add_func("/smbios/mistakes", test_mistakes);
    g_test_add_func("/smbios/broken-files", test_broken_files);
    g_test_add_func("/smbios/too-large", test_too_large);
    return g_test_run();
}
