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
    { VPC_TYPE, 4, VPC_TYPE_DIFFERENCING, "disk type 4 is not supported" },
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vpc/model", test_model);
    g_test_add_func("/vpc/malformed", test_malformed);
    g_test_add_func("/vpc/short-files", test_short_files);
    g_test_add_func("/vpc/crash", test_crash);
    return g_test_run();
}
