/* SPDX-License-Identifier: Apache-2.0 */
/* VDI: round trips, a crash, spoilt headers. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "block/io.h"
#include "block/tests/format-fixture.h"
#include "util/bits.h"

/* In the file; the map follows the header. */
enum {
    SIGNATURE_AT = 64, VERSION_AT = 68, TYPE_AT = 76, MAP_OFFSET_AT = 340, DATA_OFFSET_AT = 344,
    SECTOR_SIZE_AT = 360, DISK_SIZE_AT = 368, BLOCK_SIZE_AT = 376, EXTRA_AT = 380, BLOCKS_AT = 384,
    ALLOCATED_AT = 388, LINK_AT = 424, PARENT_AT = 440, MAP_AT = 512, DATA_AT = 1024,
};

static void test_model(void)
{
    format_against_model("vdi", "", 9 * MiB + 512, true);
    format_against_model("vdi", "static=on", 9 * MiB, true);
}

static const FormatFault faults[] = {
    { SIGNATURE_AT, 4, 0, "signature" },
    { VERSION_AT, 4, 0x00020000, "version" },
    { TYPE_AT, 4, 3, "image type 3" },
    { SECTOR_SIZE_AT, 4, 4096, "sector size" },
    { EXTRA_AT, 4, 1, "extra data per block" },
    { BLOCK_SIZE_AT, 4, 0, "block size 0" },
    { BLOCK_SIZE_AT, 4, 3 << 20, "block size 3145728" },
    { BLOCK_SIZE_AT, 4, 1u << 31, "block size 2147483648" },
    { BLOCKS_AT, 4, 0xffffffff, "4294967295 blocks" },
    { BLOCKS_AT, 4, 1, "needs more than its 1 blocks" },
    { DISK_SIZE_AT, 8, UINT64_MAX, "disk size" },
    { DISK_SIZE_AT, 8, 1ull << 63, "disk size" },
    { MAP_OFFSET_AT, 4, 0, "block map at 0" },
    { MAP_OFFSET_AT, 4, 513, "block map at 513" },
    { MAP_OFFSET_AT, 4, 0xfffffe00, "do not fit" },
    { DATA_OFFSET_AT, 4, 512, "data at 512" },
    { LINK_AT, 1, 1, "differencing" },
    { PARENT_AT, 1, 1, "differencing" },
    { MAP_AT, 4, 1000, "entry 0 (0x3e8) is beyond the last block" },
    { MAP_AT, 4, 0xfffffffd, "beyond the last block" },
    { MAP_AT + 4 * 3, 4, 1, "entry 3 (0x1) is in use twice" },
};

static char *used_image(const char *dir)
{
    char *path = format_create(dir, "image", "vdi", "size=20M");
    BlockChild *root = format_open("vdi", path);
    uint8_t byte = 1;

    g_assert_cmpint(fixture_write(root, 3 * MiB, 1, &byte, 0), ==, 0);
    g_assert_cmpint(fixture_write(root, 2 * MiB, 1, &byte, 0), ==, 0);
    fixture_close(root);
    return path;
}

static void test_malformed(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = used_image(dir);

    format_expect_refusals("vdi", path, false, faults, G_N_ELEMENTS(faults), NULL);
    fixture_dir_free(dir);
}

/* Data of a new block was written, its entry not: the place is taken anew and shows nothing. */
static void test_crash(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = used_image(dir);
    uint32_t unallocated = UINT32_MAX, none = 0;
    uint8_t byte = 7, back[512];
    BlockChild *root;

    format_poke(path, MAP_AT + 4 * 2, 4, &unallocated);
    root = format_open("vdi", path);
    g_assert_cmpint(fixture_read(root, 2 * MiB, 512, back), ==, 0);
    g_assert_cmpint(back[0], ==, 0);
    g_assert_cmpint(fixture_write(root, 9 * MiB + 4096, 1, &byte, 0), ==, 0);
    g_assert_cmpint(fixture_read(root, 9 * MiB, 512, back), ==, 0);
    g_assert_cmpint(back[0], ==, 0);
    fixture_close(root);
    /* The count is behind the map: no place may be given away twice. */
    format_poke(path, ALLOCATED_AT, 4, &none);
    root = format_open("vdi", path);
    g_assert_cmpint(fixture_write(root, 15 * MiB, 1, &byte, 0), ==, 0);
    g_assert_cmpint(fixture_read(root, 3 * MiB, 512, back), ==, 0);
    g_assert_cmpint(back[0], ==, 1);
    fixture_close(root);
    fixture_peer("qemu-img check -f vdi %s", path);
    fixture_dir_free(dir);
}

/* A power cut took a block's entry: its place is not lost, and does not show what was there. */
static void test_gap(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = used_image(dir);
    uint32_t unallocated = UINT32_MAX;
    uint8_t byte = 7, back[512];
    struct stat before, after;
    BlockChild *root;

    format_poke(path, MAP_AT + 4 * 3, 4, &unallocated);
    g_assert_cmpint(stat(path, &before), ==, 0);
    root = format_open("vdi", path);
    g_assert_cmpint(fixture_write(root, 5 * MiB + 4096, 1, &byte, 0), ==, 0);
    g_assert_cmpint(fixture_read(root, 5 * MiB, 512, back), ==, 0);
    g_assert_cmpint(back[0], ==, 0);
    g_assert_cmpint(fixture_read(root, 2 * MiB, 512, back), ==, 0);
    g_assert_cmpint(back[0], ==, 1);
    g_assert_cmpint(stat(path, &after), ==, 0);
    g_assert_cmpint(after.st_size, ==, before.st_size);
    g_assert_cmpint(fixture_write(root, 6 * MiB, 1, &byte, 0), ==, 0);
    fixture_close(root);
    g_assert_cmpint(stat(path, &after), ==, 0);
    g_assert_cmpint(after.st_size, ==, before.st_size + MiB);
    fixture_peer("qemu-img check -f vdi %s", path);
    fixture_dir_free(dir);
}

/*
 * A map of more entries than are kept in memory: each of the blocks, which are far from each other,
 * has its own data, also when it is looked up again.
 */
static void test_long_map(void)
{
    enum { BLOCKS = 300, EVERY = 16 * 1024 };
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vdi", "size=5T");
    BlockChild *root = format_open("vdi", path);

    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < BLOCKS; i++) {
            uint8_t byte = (uint8_t)(i * 7 + pass + 1), back = 0;

            g_assert_cmpint(fixture_write(root, i * (int64_t)EVERY * MiB, 1, &byte, 0), ==, 0);
            g_assert_cmpint(fixture_read(root, i / 2 * (int64_t)EVERY * MiB, 1, &back), ==, 0);
            g_assert_cmpint(back, ==, (uint8_t)(i / 2 * 7 + pass + 1));
        }
    }
    fixture_close(root);
    fixture_peer("qemu-img check -f vdi %s", path);
    fixture_dir_free(dir);
}

/* Only what was asked for is written behind the end, and the file ends with a block still. */
static void test_new_block(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vdi", "size=20M");
    g_autofree uint8_t *back = g_malloc(MiB);
    BlockChild *root = format_open("vdi", path);
    uint8_t byte = 7;
    struct stat info;

    g_assert_cmpint(fixture_write(root, 3 * MiB + 4096, 1, &byte, 0), ==, 0);
    g_assert_cmpint(fixture_read(root, 3 * MiB, MiB, back), ==, 0);
    fixture_close(root);
    for (size_t i = 0; i < MiB; i++) {
        g_assert_cmpint(back[i], ==, i == 4096 ? 7 : 0);
    }
    g_assert_cmpint(stat(path, &info), ==, 0);
    g_assert_cmpint(info.st_size, ==, DATA_AT + MiB);
    g_assert_cmpint(info.st_blocks, <, MiB / 2 / 512);
    fixture_peer("qemu-img check -f vdi %s", path);
    fixture_dir_free(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vdi/model", test_model);
    g_test_add_func("/vdi/malformed", test_malformed);
    g_test_add_func("/vdi/crash", test_crash);
    g_test_add_func("/vdi/gap", test_gap);
    g_test_add_func("/vdi/long-map", test_long_map);
    g_test_add_func("/vdi/new-block", test_new_block);
    return g_test_run();
}
