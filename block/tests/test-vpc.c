/* SPDX-License-Identifier: Apache-2.0 */
/* VHD: round trips, a crash, spoilt headers. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "block/tests/format-fixture.h"
#include "block/vpc-format.h"
#include "util/bits.h"

/* In a dynamic image of ours: footer, dynamic header, table. */
#define DYN_AT VPC_FOOTER_SIZE
#define BAT_AT (DYN_AT + VPC_DYN_SIZE)
#define FIRST_BLOCK_AT (BAT_AT + 512)

static void test_model(void)
{
    format_against_model("vpc", "force_size=on", 9 * MiB + 512, false);
    format_against_model("vpc", "subformat=fixed,force_size=on", 9 * MiB, false);
}

/* A checksum that does not fit is only warned of; these are found behind it. */
static const FormatFault faults[] = {
    { VPC_TYPE, 4, VPC_TYPE_DIFFERENCING, "differencing images are only read" },
    { VPC_TYPE, 4, 5, "disk type 5 is not supported" },
    { VPC_CURRENT_SIZE, 8, 1ull << 62, "beyond the format's 2040 GiB" },
    { VPC_CURRENT_SIZE, 8, 1ull << 40, "too few for the disk" },
    { VPC_DATA_OFFSET, 8, 1 << 30, "invalid cookie" },
    { DYN_AT, 8, 0, "dynamic header: invalid cookie" },
    { DYN_AT + VPC_DYN_BLOCK_SIZE, 4, 0, "invalid block size 0" },
    { DYN_AT + VPC_DYN_BLOCK_SIZE, 4, 3 << 20, "invalid block size" },
    { DYN_AT + VPC_DYN_BLOCK_SIZE, 4, 1u << 31, "invalid block size" },
    { DYN_AT + VPC_DYN_ENTRIES, 4, 1, "too few" },
    { DYN_AT + VPC_DYN_ENTRIES, 4, UINT32_MAX, "more than the 4194304 supported" },
    { DYN_AT + VPC_DYN_TABLE_OFFSET, 8, 0, "is not possible" },
    { DYN_AT + VPC_DYN_TABLE_OFFSET, 8, UINT64_MAX, "is not possible" },
    { DYN_AT + VPC_DYN_TABLE_OFFSET, 8, 1ull << 40, "beyond the end of the file" },
    { BAT_AT, 4, 0, "entry 0 points to 0" },
    { BAT_AT + 4, 4, 0xfffffffe, "entry 1 points to" },
};

static char *used_image(const char *dir)
{
    char *path = format_create(dir, "image", "vpc", "size=20M,force_size=on");
    BlockChild *root = format_open("vpc", path);
    uint8_t byte = 1;

    g_assert_cmpint(fixture_write(root, 5 * MiB, 1, &byte, 0), ==, 0);
    fixture_close(root);
    return path;
}

static void test_malformed(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = used_image(dir);

    format_expect_refusals("vpc", path, true, faults, G_N_ELEMENTS(faults), NULL);
    fixture_dir_free(dir);
}

static void test_short_files(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *empty = fixture_file(dir, "empty", 0);
    g_autofree char *small = fixture_file(dir, "small", 511);
    g_autofree char *zeroes = fixture_file(dir, "zeroes", 4096);
    g_autofree char *fixed = format_create(dir, "fixed", "vpc",
                                           "size=1M,subformat=fixed,force_size=on");
    uint8_t footer[VPC_FOOTER_SIZE];

    fixture_expect_refusal(fixture_options("driver=vpc,file.driver=file,file.filename=%s", empty),
                           "too short for a footer");
    fixture_expect_refusal(fixture_options("driver=vpc,file.driver=file,file.filename=%s", small),
                           "too short for a footer");
    fixture_expect_refusal(fixture_options("driver=vpc,file.driver=file,file.filename=%s", zeroes),
                           "invalid footer cookie");
    format_peek(fixed, MiB, sizeof(footer), footer);
    format_poke(fixed, 4096, sizeof(footer), footer);
    g_assert_cmpint(truncate(fixed, 4096 + sizeof(footer)), ==, 0);
    fixture_expect_refusal(fixture_options("driver=vpc,file.driver=file,file.filename=%s", fixed),
                           "4096 bytes of data");
    fixture_dir_free(dir);
}

/* A new block overwrote the footer, and nothing more came: the copy at the start stands in. */
static void test_crash(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = used_image(dir);
    uint32_t unallocated = UINT32_MAX, entry;
    uint8_t junk[VPC_FOOTER_SIZE], byte = 7, back[512];
    int64_t footer_at = FIRST_BLOCK_AT + 512 + 2 * (int64_t)MiB;
    BlockChild *root;

    format_peek(path, footer_at, sizeof(junk), junk);
    g_assert_cmpint(memcmp(junk, VPC_COOKIE, 8), ==, 0);
    memset(junk, 0xee, sizeof(junk));
    format_poke(path, footer_at, sizeof(junk), junk);
    format_peek(path, BAT_AT + 4 * 2, 4, &entry);
    g_assert_cmpuint(be32toh(entry), ==, FIRST_BLOCK_AT / 512);
    format_poke(path, BAT_AT + 4 * 2, 4, &unallocated);
    root = format_open("vpc", path);
    g_assert_cmpint(fixture_read(root, 5 * MiB, 512, back), ==, 0);
    g_assert_cmpint(back[0], ==, 0);
    /* The lost block's place is used again, and its data is gone. */
    g_assert_cmpint(fixture_write(root, 9 * MiB, 1, &byte, 0), ==, 0);
    g_assert_cmpint(fixture_read(root, 9 * MiB + 512, 512, back), ==, 0);
    g_assert_cmpint(back[0], ==, 0);
    fixture_close(root);
    format_peek(path, footer_at, sizeof(junk), junk);
    g_assert_cmpint(memcmp(junk, VPC_COOKIE, 8), ==, 0);
    fixture_peer("qemu-io -f vpc -c 'read -P 7 9M 1' -c 'read -P 0 0 9M' %s", path);
    fixture_dir_free(dir);
}

/* ---- Differencing images ---- */

static void write_filled(BlockChild *root, int64_t offset, int64_t bytes, uint8_t value)
{
    g_autofree uint8_t *data = g_malloc(bytes);

    memset(data, value, bytes);
    g_assert_cmpint(fixture_write(root, offset, bytes, data, 0), ==, 0);
}

static void expect_filled(BlockChild *root, int64_t offset, int64_t bytes, uint8_t value)
{
    g_autofree uint8_t *data = g_malloc(bytes);

    g_assert_cmpint(fixture_read(root, offset, bytes, data), ==, 0);
    for (int64_t i = 0; i < bytes; i++) {
        g_assert_cmphex(data[i], ==, value);
    }
}

static void poke_text(const char *path, int64_t at, const char *text, bool big_endian)
{
    for (size_t i = 0; i <= strlen(text); i++) {
        uint8_t unit[2] = { (uint8_t)text[i], 0 };
        uint8_t swapped[2] = { 0, (uint8_t)text[i] };

        format_poke(path, at + 2 * (int64_t)i, 2, big_endian ? swapped : unit);
    }
}

/* The checksums of both headers and of both footers. */
static void sign(const char *path)
{
    uint8_t footer[VPC_FOOTER_SIZE], header[VPC_DYN_SIZE];

    format_peek(path, 0, sizeof(footer), footer);
    stl_be(footer + VPC_CHECKSUM, vpc_checksum(footer, sizeof(footer), VPC_CHECKSUM));
    format_poke(path, 0, sizeof(footer), footer);
    format_poke(path, FIRST_BLOCK_AT + 512 + 2 * (int64_t)MiB, sizeof(footer), footer);
    format_peek(path, DYN_AT, sizeof(header), header);
    stl_be(header + VPC_DYN_CHECKSUM, vpc_checksum(header, sizeof(header), VPC_DYN_CHECKSUM));
    format_poke(path, DYN_AT, sizeof(header), header);
}

#define LOCATOR_TEXT_AT (8 * (int64_t)MiB)

/*
 * A parent full of 0xa1, and a child that has a block (the second) of 0xc1, of which sectors 3 to
 * 17 and the last count. by_locator: the header's plain name leads nowhere.
 */
static char *make_child(const char *dir, bool by_locator)
{
    g_autofree char *parent = format_create(dir, "parent.vhd", "vpc", "size=8M,force_size=on");
    char *child = format_create(dir, "child.vhd", "vpc", "size=8M,force_size=on");
    BlockChild *root = format_open("vpc", parent);
    uint8_t locator[VPC_LOCATOR_SIZE] = "W2ru", uuid[16];
    uint8_t type[4] = { 0, 0, 0, VPC_TYPE_DIFFERENCING }, bits[512] = { 0x1f, 0xff, 0xc0 };

    write_filled(root, 0, 8 * MiB, 0xa1);
    fixture_close(root);
    root = format_open("vpc", child);
    write_filled(root, 2 * MiB, 2 * MiB, 0xc1);
    fixture_close(root);
    bits[511] = 1;
    format_poke(child, FIRST_BLOCK_AT, sizeof(bits), bits);
    format_poke(child, VPC_TYPE, sizeof(type), type);
    format_peek(parent, VPC_UUID, sizeof(uuid), uuid);
    format_poke(child, DYN_AT + VPC_DYN_PARENT_UUID, sizeof(uuid), uuid);
    poke_text(child, DYN_AT + VPC_DYN_PARENT_NAME, by_locator ? "nowhere.vhd" : "parent.vhd", true);
    if (by_locator) {
        stl_be(locator + VPC_LOCATOR_LENGTH, 24);
        stq_be(locator + VPC_LOCATOR_OFFSET, LOCATOR_TEXT_AT);
        format_poke(child, DYN_AT + VPC_DYN_LOCATORS + 2 * VPC_LOCATOR_SIZE, sizeof(locator),
                    locator);
        poke_text(child, LOCATOR_TEXT_AT, ".\\parent.vhd", false);
    }
    sign(child);
    return child;
}

static void test_differencing(const void *data)
{
    char *dir = fixture_dir_new();
    g_autofree char *child = make_child(dir, GPOINTER_TO_INT(data));
    BlockChild *root = format_open_read_only("vpc", child);
    BlockStatus status;

    expect_filled(root, 0, 2 * MiB + 3 * 512, 0xa1);
    expect_filled(root, 2 * MiB + 3 * 512, 15 * 512, 0xc1);
    expect_filled(root, 2 * MiB + 18 * 512, 2 * MiB - 19 * 512, 0xa1);
    expect_filled(root, 4 * MiB - 512, 512, 0xc1);
    expect_filled(root, 4 * MiB, 4 * MiB, 0xa1);
    expect_filled(root, 2 * MiB + 3 * 512 + 100, 50, 0xc1);
    g_assert_cmpint(fixture_status(root, 2 * MiB + 1024, MiB, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 512);
    g_assert_cmpint(status.flags & BLOCK_STATUS_ALLOCATED, ==, 0);
    g_assert_cmpint(fixture_status(root, 2 * MiB + 4 * 512, MiB, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 14 * 512);
    g_assert_cmpint(status.flags & BLOCK_STATUS_ALLOCATED, !=, 0);
    fixture_close(root);
    fixture_expect_refusal(fixture_options("driver=vpc,file.driver=file,file.filename=%s", child),
                           "differencing images are only read");
    fixture_dir_free(dir);
}

/* A file of the same name that is another disk. */
static void test_wrong_parent(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *child = make_child(dir, false);
    g_autofree char *parent = g_build_filename(dir, "parent.vhd", NULL);
    uint8_t byte = 0xee, buf[512];
    BlockChild *root;

    format_poke(parent, VPC_UUID, 1, &byte);
    root = format_open_read_only("vpc", child);
    g_assert_cmpint(fixture_read(root, 0, sizeof(buf), buf), ==, -EIO);
    expect_filled(root, 2 * MiB + 3 * 512, 15 * 512, 0xc1);
    fixture_close(root);
    fixture_dir_free(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vpc/model", test_model);
    g_test_add_func("/vpc/malformed", test_malformed);
    g_test_add_func("/vpc/short-files", test_short_files);
    g_test_add_func("/vpc/crash", test_crash);
    g_test_add_data_func("/vpc/differencing/name", GINT_TO_POINTER(false), test_differencing);
    g_test_add_data_func("/vpc/differencing/locator", GINT_TO_POINTER(true), test_differencing);
    g_test_add_func("/vpc/wrong-parent", test_wrong_parent);
    return g_test_run();
}
