/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map, the table-loader script with hostile commands, and -acpitable. */
#include <glib/gstdio.h>

#include "hw/i386/acpi.h"
#include "hw/i386/e820.h"
#include "hw/i386/table-loader.h"
#include "util/bits.h"

static void test_e820(void)
{
    g_autoptr(E820Map) map = e820_new();
    g_autoptr(E820Map) copy = NULL;
    g_autoptr(GBytes) bytes = NULL;
    const uint8_t *data;
    gsize len;

    g_assert_cmpuint(e820_low_ram_end(map), ==, 0);
    e820_add(map, 4 * GiB, GiB, E820_RAM);
    e820_add(map, 0, 3 * GiB, E820_RAM);
    e820_add(map, 5, 0, E820_RAM);
    g_assert_cmpuint(e820_low_ram_end(map), ==, 3 * GiB);
    copy = e820_copy(map);
    g_assert_true(e820_carve(copy, 0xe0000, 0x20000, E820_ACPI));
    g_assert_true(e820_carve(copy, 0, 0x1000, E820_RESERVED));
    g_assert_false(e820_carve(copy, 3 * GiB - 1, 2, E820_RESERVED));
    g_assert_false(e820_carve(copy, UINT64_MAX, 1, E820_RESERVED));
    g_assert_cmpuint(map->entries->len, ==, 2);
    bytes = e820_to_bytes(copy);
    data = g_bytes_get_data(bytes, &len);
    g_assert_cmpuint(len, ==, 5 * 20);
    g_assert_cmpuint(ldl_le(data + 16), ==, E820_RESERVED);
    g_assert_cmphex(ldq_le(data + 20), ==, 0x1000);
    g_assert_cmphex(ldq_le(data + 28), ==, 0xdf000);
    g_assert_cmphex(ldq_le(data + 40), ==, 0xe0000);
    g_assert_cmpuint(ldl_le(data + 56), ==, E820_ACPI);
    g_assert_cmphex(ldq_le(data + 60), ==, 0x100000);
    g_assert_cmphex(ldq_le(data + 80), ==, 4 * GiB);
}

static void record_write(void *opaque, const char *dest, uint32_t offset, uint8_t size,
                         uint64_t value)
{
    uint64_t *seen = opaque;

    g_assert_cmpstr(dest, ==, "dest");
    g_assert_cmpuint(size, ==, 8);
    *seen = value;
}

static void test_script(void)
{
    g_autoptr(TableLoader) loader = table_loader_new();
    g_autoptr(GByteArray) a = g_byte_array_new();
    g_autoptr(GByteArray) b = g_byte_array_new();
    g_autoptr(GBytes) script = NULL;
    g_autoptr(GError) error = NULL;
    TableLoaderFile files[] = { { .name = "a", .data = a }, { .name = "b", .data = b },
                                { .name = "dest" } };
    uint64_t end, seen = 0;
    uint8_t sum = 0;

    g_byte_array_set_size(a, 100);
    g_byte_array_set_size(b, 50);
    memset(a->data, 1, 100);
    memset(b->data, 2, 50);
    table_loader_allocate(loader, "a", a, 16, TABLE_LOADER_HIGH);
    table_loader_allocate(loader, "b", b, 64, TABLE_LOADER_FSEG);
    table_loader_add_pointer(loader, "a", 8, 4, "b", 7);
    table_loader_add_checksum(loader, "a", 0, 100, 99);
    table_loader_write_pointer(loader, "dest", 0, 8, "b", 40);
    script = table_loader_script(loader);
    g_assert_cmpuint(g_bytes_get_size(script), ==, 5 * TABLE_LOADER_COMMAND_SIZE);
    g_assert_true(table_loader_run(script, files, 3, 0x1001, 0x2000, &end, record_write, &seen,
                                   &error));
    g_assert_no_error(error);
    g_assert_cmphex(files[0].addr, ==, 0x1010);
    g_assert_cmphex(files[1].addr, ==, 0x1080);
    g_assert_cmphex(end, ==, 0x1080 + 50);
    g_assert_cmphex(ldl_le(a->data + 8), ==, 0x1087);
    g_assert_cmphex(seen, ==, 0x1080 + 40);
    for (unsigned i = 0; i < 100; i++) {
        sum += a->data[i];
    }
    g_assert_cmpuint(sum, ==, 0);
}

/* Random scripts over two small files: errors are fine, harm is not (ASan watches). */
static void test_hostile_scripts(void)
{
    g_autoptr(GByteArray) a = g_byte_array_new();
    GRand *rand = g_rand_new_with_seed(1);

    g_byte_array_set_size(a, 64);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[2 * TABLE_LOADER_COMMAND_SIZE] = { 0 };
        TableLoaderFile files[] = { { .name = "a", .data = a }, { .name = "dest" } };
        g_autoptr(GBytes) script = NULL;
        g_autoptr(GError) error = NULL;
        uint64_t end;

        for (unsigned n = 0; n < 2; n++) {
            uint8_t *command = bytes + n * TABLE_LOADER_COMMAND_SIZE;

            for (unsigned i = 0; i < TABLE_LOADER_COMMAND_SIZE; i++) {
                command[i] = g_rand_boolean(rand) ? 0 : g_rand_int(rand);
            }
            stl_le(command, g_rand_int_range(rand, 0, 6));
            if (g_rand_int_range(rand, 0, 8)) {
                memcpy(command + 4, "a\0", 2);
            }
            command[120] = g_rand_int_range(rand, 0, 9);
            if (g_rand_boolean(rand)) {
                stl_le(command + 116, g_rand_int_range(rand, 0, 70));
                memcpy(command + 60, "a\0", 2);
            }
        }
        script = g_bytes_new(bytes, sizeof(bytes));
        table_loader_run(script, files, 2, 0x1000, 0x10000, &end, NULL, NULL, &error);
    }
    g_rand_free(rand);
}

static uint8_t sum_of(GBytes *bytes)
{
    gsize len;
    const uint8_t *data = g_bytes_get_data(bytes, &len);
    uint8_t sum = 0;

    while (len-- > 0) {
        sum += *data++;
    }
    return sum;
}

static void test_acpitable(void)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-acpitable", NULL);
    g_autofree char *data = g_strdup_printf("sig=TEST,rev=7,oem_id=ME,oem_rev=0x10,data=%s:%s",
                                            path, path);
    g_autofree char *file = g_strdup_printf("file=%s,sig=XY,asl_compiler_rev=9", path);
    g_autoptr(GBytes) table = NULL;
    g_autoptr(GBytes) again = NULL;
    g_autoptr(GError) error = NULL;
    const uint8_t *bytes;
    gsize len;

    g_assert_true(g_file_set_contents(path, "12345", 5, NULL));
    table = acpi_table_option(data, &error);
    g_assert_no_error(error);
    bytes = g_bytes_get_data(table, &len);
    g_assert_cmpuint(len, ==, 46);
    g_assert_cmpmem(bytes, 4, "TEST", 4);
    g_assert_cmpuint(ldl_le(bytes + 4), ==, 46);
    g_assert_cmpuint(bytes[8], ==, 7);
    g_assert_cmpmem(bytes + 10, 6, "ME    ", 6);
    g_assert_cmpuint(ldl_le(bytes + 24), ==, 0x10);
    g_assert_cmpmem(bytes + 36, 10, "1234512345", 10);
    g_assert_cmpuint(sum_of(table), ==, 0);

    g_assert_true(g_file_set_contents(path, (const char *)bytes, len, NULL));
    again = acpi_table_option(file, &error);
    g_assert_no_error(error);
    bytes = g_bytes_get_data(again, &len);
    g_assert_cmpuint(len, ==, 46);
    g_assert_cmpmem(bytes, 4, "XY  ", 4);
    g_assert_cmpuint(bytes[8], ==, 7);
    g_assert_cmpuint(ldl_le(bytes + 32), ==, 9);
    g_assert_cmpuint(sum_of(again), ==, 0);
    g_unlink(path);
}

static void test_acpitable_mistakes(void)
{
    static const struct {
        const char *option, *part;
    } wrong[] = {
        { "sig=TEST", "exactly one" },
        { "data=@,file=@", "exactly one" },
        { "data=@", "sig=" },
        { "file=@", "0 bytes" },
        { "sig=TOOLONG,data=@", "4 characters" },
        { "sig=A,rev=256,data=@", "256" },
        { "sig=A,rev=x,data=@", "rev" },
        { "sig=A,oem_rev=0x100000000,data=@", "oem_rev" },
        { "sgi=A,data=@", "'sig'" },
        { "sig=A,data=/nonexistent", "/nonexistent" },
        { "sig.x=A,data=@", "sig" },
    };

    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "vireo-acpitable-empty", NULL);
    bool ok = g_file_set_contents(path, "", 0, NULL);

    g_assert_true(ok);
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) parts = g_strsplit(wrong[i].option, "@", -1);
        g_autofree char *option = g_strjoinv(path, parts); /* "@" is an empty file */

        g_assert_null(acpi_table_option(option, &error));
        g_assert_nonnull(error);
        if (!strstr(error->message, wrong[i].part)) {
            g_error("%s: expected '%s' in: %s", wrong[i].option, wrong[i].part, error->message);
        }
    }
    g_unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/e820/map", test_e820);
    g_test_add_func("/table-loader/script", test_script);
    g_test_add_func("/table-loader/hostile", test_hostile_scripts);
    g_test_add_func("/acpitable/table", test_acpitable);
    g_test_add_func("/acpitable/mistakes", test_acpitable_mistakes);
    return g_test_run();
}
