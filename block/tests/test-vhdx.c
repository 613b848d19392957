/* SPDX-License-Identifier: Apache-2.0 */
/* VHDX: round trips, crashes and the log, differencing images, spoilt structures. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "block/tests/format-fixture.h"
#include "block/vhdx/format.h"
#include "util/bits.h"
#include "util/crc32c.h"

/* Where our images have what: the log at 1 MiB, the BAT at 2, the metadata at 3. */
#define LOG_AT 0x100000
#define BAT_AT 0x200000
#define META_AT 0x300000
#define ITEM_AT(i) (META_AT + VHDX_META_ENTRIES + 32 * (i))
#define VALUE_AT(offset) (META_AT + VHDX_TABLE_SIZE + (offset))
#define REGION_AT(i) (VHDX_REGIONS_AT(0) + VHDX_REGI_ENTRIES + 32 * (i))
#define IMAGE "size=20M,block_size=1M"

static void mend_one(const char *path, int64_t at, size_t len)
{
    g_autofree uint8_t *buf = g_malloc(len);

    format_peek(path, at, len, buf);
    stl_le(buf + 4, 0);
    stl_le(buf + 4, crc32c(0, buf, len));
    format_poke(path, at, len, buf);
}

/* The faults are in the second header, which counts, and in the first table, read first. */
static void mend(const char *path)
{
    mend_one(path, VHDX_HEADER_AT(1), VHDX_SECTOR);
    mend_one(path, VHDX_REGIONS_AT(0), VHDX_TABLE_SIZE);
}

/* ---- Round trips ---- */

static void test_model(void)
{
    format_against_model("vhdx", "block_size=1M", 9 * MiB + 512, true);
    format_against_model("vhdx", "block_size=1M,block_state_zero=off", 9 * MiB, true);
    format_against_model("vhdx", "subformat=fixed", 9 * MiB, true);
    format_against_model("vhdx", "block_size=2M,log_size=3M", 16 * MiB, true);
}

static void test_create_limits(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = g_build_filename(dir, "image", NULL);
    static const struct {
        const char *options, *text;
    } rows[] = {
        { "size=65T", "max of 64TB" },
        { "size=1G,block_size=3M", "Block size must be a power of two" },
        { "size=1G,log_size=5G", "Log size must be smaller than 4 GB" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(fixture_create_image(path, "vhdx", rows[i].options, &error));
        g_assert_nonnull(strstr(error->message, rows[i].text));
    }
    fixture_dir_free(dir);
}

/* More of the BAT than is kept in memory, and further from end to end than one log entry. */
static void test_huge(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vhdx",
                                          "size=64T,block_size=256M,block_state_zero=off");
    BlockChild *root = format_open("vhdx", path);
    uint8_t buf[4096], back[4096];

    for (unsigned i = 0; i < 300; i++) {
        memset(buf, i | 1, sizeof(buf));
        g_assert_cmpint(fixture_write(root, i * 200 * (int64_t)GiB, sizeof(buf), buf, 0), ==, 0);
    }
    fixture_close(root);
    root = format_open("vhdx", path);
    for (unsigned i = 0; i < 300; i++) {
        memset(buf, i | 1, sizeof(buf));
        g_assert_cmpint(fixture_read(root, i * 200 * (int64_t)GiB, sizeof(buf), back), ==, 0);
        g_assert_cmpint(memcmp(buf, back, sizeof(buf)), ==, 0);
    }
    fixture_close(root);
    fixture_dir_free(dir);
}

/* ---- Resizing ---- */

static void expect_bytes(BlockChild *root, int64_t offset, int byte)
{
    uint8_t buf[4096], wanted[4096];

    memset(wanted, byte, sizeof(wanted));
    g_assert_cmpint(fixture_read(root, offset, sizeof(buf), buf), ==, 0);
    g_assert_cmpint(memcmp(buf, wanted, sizeof(buf)), ==, 0);
}

static void write_bytes(BlockChild *root, int64_t offset, int byte)
{
    uint8_t buf[4096];

    memset(buf, byte, sizeof(buf));
    g_assert_cmpint(fixture_write(root, offset, sizeof(buf), buf, 0), ==, 0);
}

static void grow(const char *dir, const char *options)
{
    g_autofree char *path = format_create(dir, "image", "vhdx", options);
    BlockTruncate longer = { .size = 40 * MiB, .exact = true };
    BlockChild *root = format_open("vhdx", path);
    uint64_t junk[8];

    write_bytes(root, 20 * MiB + 8192 - 4096, 1);
    fixture_close(root);
    /* What stands behind the end of the table, and of the disk in its last block, is anybody's. */
    memset(junk, 0xee, sizeof(junk));
    format_poke(path, BAT_AT + 8 * 21, sizeof(junk), junk);
    root = format_open("vhdx", path);
    g_assert_cmpint(fixture_truncate(root, &longer, NULL), ==, 0);
    g_assert_cmpint(root->node->size, ==, 40 * MiB);
    for (int64_t at = 20 * (int64_t)MiB + 8192; at < 40 * (int64_t)MiB; at += 512 * KiB) {
        expect_bytes(root, at, 0);
    }
    write_bytes(root, 39 * MiB, 2);
    fixture_close(root);
    root = format_open("vhdx", path);
    g_assert_cmpint(root->node->size, ==, 40 * MiB);
    expect_bytes(root, 20 * MiB + 4096, 1);
    expect_bytes(root, 39 * MiB, 2);
    fixture_close(root);
    if (fixture_peer("qemu-img check -f vhdx %s", path)) {
        fixture_peer("qemu-io -f vhdx -c 'read -P 1 20484k 4k' -c 'read -P 2 39M 4k' %s", path);
    }
}

static void test_grow(void)
{
    char *dir = fixture_dir_new();

    grow(dir, "size=20979712,block_size=1M");
    grow(dir, "size=20979712,block_size=1M,subformat=fixed");
    fixture_dir_free(dir);
}

static void test_resize_limits(void)
{
    static const struct {
        BlockTruncate truncate;
        const char *text;
    } rows[] = {
        { { .size = 10 * MiB }, "cannot be made shorter" },
        { { .size = 65 * TiB }, "max of 64TB" },
        { { .size = TiB }, "no room for 1048576 blocks" },
        { { .size = 20 * MiB + 1, .exact = true }, "multiple of 512" },
        { { .size = 40 * MiB, .prealloc = PREALLOC_MODE_FULL }, "Preallocation mode 'full'" },
    };
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vhdx", IMAGE);
    BlockChild *root = format_open("vhdx", path);

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(fixture_truncate(root, &rows[i].truncate, &error), ==, -ENOTSUP);
        g_assert_nonnull(strstr(error->message, rows[i].text));
    }
    g_assert_cmpint(root->node->size, ==, 20 * MiB);
    fixture_close(root);
    fixture_dir_free(dir);
}

/* ---- Crashes ---- */

/* An image with two flushed blocks, as it is while it is open; its path, the caller's. */
static char *crashed_image(const char *dir)
{
    g_autofree char *path = format_create(dir, "image", "vhdx", IMAGE);
    BlockChild *root = format_open("vhdx", path);
    char *copy;

    write_bytes(root, 3 * MiB, 1);
    g_assert_cmpint(fixture_flush(root), ==, 0);
    write_bytes(root, 7 * MiB, 2);
    g_assert_cmpint(fixture_flush(root), ==, 0);
    write_bytes(root, 9 * MiB, 3);
    copy = format_copy(path);
    fixture_close(root);
    return copy;
}

static void test_crash(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = crashed_image(dir);
    uint64_t entry;
    BlockChild *root;

    /* The table says nothing of what was not flushed, though its data may be there. */
    format_peek(path, BAT_AT + 8 * 9, 8, &entry);
    g_assert_cmphex(entry, ==, htole64(VHDX_ZERO));
    /* A torn write of the table: the log knows better, for readers and for writers. */
    entry = htole64(0x1234567);
    format_poke(path, BAT_AT + 8 * 3, 8, &entry);
    format_poke(path, BAT_AT + 8 * 7, 8, &entry);
    root = format_open_read_only("vhdx", path);
    expect_bytes(root, 3 * MiB, 1);
    expect_bytes(root, 7 * MiB, 2);
    expect_bytes(root, 9 * MiB, 0);
    fixture_close(root);
    format_peek(path, BAT_AT + 8 * 3, 8, &entry);
    g_assert_cmphex(entry, ==, htole64(0x1234567));

    root = format_open("vhdx", path);
    expect_bytes(root, 3 * MiB, 1);
    expect_bytes(root, 7 * MiB, 2);
    /* What the lost block had left in its place must not show in the next one. */
    write_bytes(root, 11 * MiB + 8192, 4);
    expect_bytes(root, 11 * MiB, 0);
    fixture_close(root);
    fixture_peer("qemu-img check -f vhdx %s", path);
    fixture_peer("qemu-io -f vhdx -c 'read -P 2 7M 4k' -c 'read -P 4 11272k 4k' %s", path);
    fixture_dir_free(dir);
}

static void test_peer_replays(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = crashed_image(dir);

    /* QEMU's tools replay a log only where they may write. */
    fixture_peer("qemu-io -f vhdx -c 'read -P 1 3M 4k' -c 'read -P 2 7M 4k' %s", path);
    fixture_dir_free(dir);
}

/* A write of the log that was cut off: the entry before it counts, and is in its place. */
static void test_torn_log(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = crashed_image(dir);
    uint8_t junk[100];
    BlockChild *root;

    memset(junk, 0xee, sizeof(junk));
    format_poke(path, LOG_AT + 0x80000 + 4096 + 200, sizeof(junk), junk);
    root = format_open("vhdx", path);
    expect_bytes(root, 3 * MiB, 1);
    fixture_close(root);
    fixture_dir_free(dir);
}

/* With checksums that fit. */
static void test_hostile_log(void)
{
    static const struct {
        int64_t at;
        uint64_t value;
        const char *text;
    } rows[] = {
        { VHDX_LOG_FLUSHED, 1ull << 50, "it should have" },
        { VHDX_LOG_LAST, 1ull << 62, "it should have" },
        { VHDX_LOG_DESCRIPTORS + VHDX_DESC_OFFSET, 0x10000, "descriptor 0" },
        { VHDX_LOG_DESCRIPTORS + VHDX_DESC_OFFSET, LOG_AT, "descriptor 0" },
        { VHDX_LOG_DESCRIPTORS + VHDX_DESC_OFFSET, 1ull << 60, "descriptor 0" },
    };
    char *dir = fixture_dir_new();
    g_autofree char *path = crashed_image(dir);
    int64_t entry = LOG_AT + 0x80000;

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint64_t value = htole64(rows[i].value), old;

        format_peek(path, entry + rows[i].at, 8, &old);
        format_poke(path, entry + rows[i].at, 8, &value);
        mend_one(path, entry, 2 * VHDX_SECTOR);
        fixture_expect_refusal(fixture_options("driver=vhdx,file.driver=file,file.filename=%s",
                                               path), rows[i].text);
        format_poke(path, entry + rows[i].at, 8, &old);
        mend_one(path, entry, 2 * VHDX_SECTOR);
    }
    fixture_close(format_open("vhdx", path));
    fixture_dir_free(dir);
}

/* Everything that was written at these places must be there. */
static void expect_all(const char *path, bool read_only, const int64_t *places, unsigned n)
{
    BlockChild *root = read_only ? format_open_read_only("vhdx", path) : format_open("vhdx", path);

    for (unsigned i = 0; i < n; i++) {
        expect_bytes(root, places[i], i + 1);
    }
    fixture_close(root);
}

/*
 * The machine stops between the log and the table: the table's sectors, four of them here, are as
 * they were one flush ago, and all that was flushed is there nevertheless.
 */
static void test_lost_table_writes(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vhdx", "size=2G,block_size=1M");
    g_autofree uint8_t *before = g_malloc(4 * VHDX_SECTOR);
    BlockChild *root = format_open("vhdx", path);
    int64_t places[24];
    unsigned n = 0;

    while (n < G_N_ELEMENTS(places)) {
        g_autofree char *copy = NULL;

        format_peek(path, BAT_AT, 4 * VHDX_SECTOR, before);
        for (unsigned i = 0; i < 3; i++, n++) {
            /* Blocks of their own: 679 and 2048 have no common divisor. */
            places[n] = (int64_t)(n * 679 % 2048) * MiB + g_test_rand_int_range(0, 255) * 4096;
            write_bytes(root, places[n], n + 1);
        }
        g_assert_cmpint(fixture_flush(root), ==, 0);
        copy = format_copy(path);
        format_poke(copy, BAT_AT, 4 * VHDX_SECTOR, before);
        expect_all(copy, true, places, n);
        expect_all(copy, false, places, n);
        unlink(copy);
    }
    fixture_close(root);
    expect_all(path, true, places, n);
    fixture_dir_free(dir);
}

/* Damage anywhere may be refused or not, but harms nobody. */
static void test_random_damage(void)
{
    static const int64_t areas[] = {
        VHDX_HEADER_AT(1), VHDX_REGIONS_AT(0), LOG_AT + 0x80000, META_AT, VALUE_AT(0), BAT_AT,
    };
    char *dir = fixture_dir_new();
    g_autofree char *path = crashed_image(dir);
    unsigned opened = 0;

    for (unsigned i = 0; i < 600; i++) {
        int64_t at = areas[i % G_N_ELEMENTS(areas)] + g_test_rand_int_range(0, 170);
        uint8_t old, junk = g_test_rand_int_range(0, 256), buf[4096];
        json_object *options = fixture_options("driver=vhdx,file.driver=file,file.filename=%s,"
                                               "read-only=on", path);
        BlockChild *root;

        format_peek(path, at, 1, &old);
        format_poke(path, at, 1, &junk);
        mend(path);
        mend_one(path, LOG_AT + 0x80000, 2 * VHDX_SECTOR);
        root = fixture_try_open(options, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, NULL);
        if (root) {
            opened++;
            (void)fixture_read(root, 7 * MiB, sizeof(buf), buf);
            fixture_close(root);
        }
        format_poke(path, at, 1, &old);
    }
    g_test_message("%u of 600 were opened", opened);
    g_assert_cmpuint(opened, >, 0);
    g_assert_cmpuint(opened, <, 600);
    fixture_dir_free(dir);
}

/* Each opening for writing that writes leaves other GUIDs; one that reads leaves the file alone. */
static void test_guids(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vhdx", IMAGE);
    uint8_t before[VHDX_SECTOR], after[VHDX_SECTOR];
    BlockChild *root = format_open("vhdx", path);

    format_peek(path, VHDX_HEADER_AT(1), sizeof(before), before);
    expect_bytes(root, 0, 0);
    fixture_close(root);
    format_peek(path, VHDX_HEADER_AT(1), sizeof(after), after);
    g_assert_cmpint(memcmp(before, after, sizeof(after)), ==, 0);
    root = format_open("vhdx", path);
    write_bytes(root, 0, 1);
    fixture_close(root);
    format_peek(path, VHDX_HEADER_AT(1), sizeof(after), after);
    g_assert_cmpint(memcmp(before + VHDX_HEAD_FILE_GUID, after + VHDX_HEAD_FILE_GUID, 16), !=, 0);
    g_assert_cmpint(memcmp(before + VHDX_HEAD_DATA_GUID, after + VHDX_HEAD_DATA_GUID, 16), !=, 0);
    g_assert_cmpint(memcmp((uint8_t[16]){ 0 }, after + VHDX_HEAD_LOG_GUID, 16), ==, 0);
    fixture_dir_free(dir);
}

/* ---- Differencing images ---- */

static void put_utf16(uint8_t *at, const char *text)
{
    for (size_t i = 0; i < strlen(text); i++) {
        stw_le(at + 2 * i, text[i]);
    }
}

/* The linkage to a parent with this DataWriteGuid. */
static char *linkage_text(const uint8_t *g)
{
    return g_strdup_printf("{%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}", ldl_le(g),
                           ldw_le(g + 4), ldw_le(g + 6), g[8], g[9], g[10], g[11], g[12], g[13],
                           g[14], g[15]);
}

static void fill_locator(uint8_t *locator, const char *linkage, const char *path)
{
    static const uint8_t type[] = VHDX_LOCATOR_TYPE_GUID;
    const char *const pairs[2][2] = { { "parent_linkage", linkage }, { "relative_path", path } };
    uint32_t at = 64;

    memcpy(locator, type, 16);
    stw_le(locator + 18, 2);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *entry = locator + 20 + 12 * i;

        for (unsigned j = 0; j < 2; j++) {
            put_utf16(locator + at, pairs[i][j]);
            stl_le(entry + 4 * j, at);
            stw_le(entry + 8 + 2 * j, 2 * strlen(pairs[i][j]));
            at += 2 * strlen(pairs[i][j]);
        }
    }
}

/*
 * Turns an empty image into one over parent.vhdx: block 0 from the parent, block 1 of it is zero,
 * block 2 its own, of block 3 the second and third 4 KiB.
 */
static void make_child(const char *path, const uint8_t *parent_guid)
{
    static const uint8_t guid[] = VHDX_PARENT_LOCATOR_GUID;
    g_autofree char *linkage = linkage_text(parent_guid);
    g_autofree uint8_t *file = g_malloc0(MiB);
    uint8_t locator[512] = { 0 }, item[32] = { 0 }, count[2] = { 6, 0 };
    uint8_t flags[4] = { VHDX_PARAM_HAS_PARENT };
    uint64_t bat[4] = {
        VHDX_NOT_PRESENT, htole64(VHDX_ZERO), htole64(4 * MiB | VHDX_FULLY_PRESENT),
        htole64(5 * MiB | VHDX_PARTIALLY_PRESENT),
    };
    uint64_t bitmap = htole64(6 * MiB | VHDX_FULLY_PRESENT);
    uint64_t empty = 0;
    uint16_t bits = htole16(0xff00); /* of sectors 0 to 15 */
    uint8_t more = 0xff;             /* of sectors 16 to 23 */

    fill_locator(locator, linkage, ".\\parent.vhdx");
    memcpy(item, guid, 16);
    stl_le(item + VHDX_ITEM_OFFSET, VHDX_TABLE_SIZE + 4096);
    stl_le(item + VHDX_ITEM_LENGTH, sizeof(locator));
    stl_le(item + VHDX_ITEM_FLAGS, VHDX_ITEM_REQUIRED);
    format_poke(path, ITEM_AT(5), sizeof(item), item);
    format_poke(path, META_AT + VHDX_META_COUNT, 2, count);
    format_poke(path, VALUE_AT(4), 4, flags);
    format_poke(path, VALUE_AT(4096), sizeof(locator), locator);
    for (unsigned i = 4; i < 20; i++) {
        format_poke(path, BAT_AT + 8 * i, 8, &empty);
    }
    format_poke(path, BAT_AT, sizeof(bat), bat);
    format_poke(path, BAT_AT + 8 * 4096, 8, &bitmap); /* after the chunk's 4096 blocks of 1 MiB */
    memset(file, 0xc2, MiB);
    format_poke(path, 4 * MiB, MiB, file);
    memset(file, 0xc3, MiB);
    format_poke(path, 5 * MiB, MiB, file);
    memset(file, 0, MiB);
    format_poke(path, 6 * MiB, MiB, file);
    /* A chunk's bitmap: block 3 begins at its sector 3 * 2048. */
    format_poke(path, 6 * MiB + 3 * 2048 / 8, 2, &bits);
    format_poke(path, 6 * MiB + 3 * 2048 / 8 + 2, 1, &more);
}

/* Parent and child; the child's path, the caller's. */
static char *make_chain(const char *dir, char **parent)
{
    char *child = format_create(dir, "child.vhdx", "vhdx", IMAGE);
    uint8_t header[VHDX_SECTOR];
    BlockChild *root;

    *parent = format_create(dir, "parent.vhdx", "vhdx", IMAGE);
    root = format_open("vhdx", *parent);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < 4; j++) {
            write_bytes(root, i * MiB + j * 4096, 0xa0 + i);
        }
    }
    fixture_close(root);
    format_peek(*parent, VHDX_HEADER_AT(1), sizeof(header), header);
    make_child(child, header + VHDX_HEAD_DATA_GUID);
    return child;
}

static void test_differencing(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *parent = NULL;
    g_autofree char *child = make_chain(dir, &parent);
    BlockChild *root = format_open_read_only("vhdx", child);
    BlockStatus status;

    expect_bytes(root, 0, 0xa0);
    expect_bytes(root, MiB, 0);
    expect_bytes(root, 2 * MiB, 0xc2);
    expect_bytes(root, 3 * MiB, 0xa3);
    expect_bytes(root, 3 * MiB + 4096, 0xc3);
    expect_bytes(root, 3 * MiB + 8192, 0xc3);
    expect_bytes(root, 3 * MiB + 12288, 0xa3);
    expect_bytes(root, 4 * MiB, 0xa4);
    g_assert_cmpint(fixture_status(root, 3 * MiB, MiB, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 4096);
    g_assert_cmpint(status.flags & BLOCK_STATUS_ALLOCATED, ==, 0);
    g_assert_cmpint(fixture_status(root, 3 * MiB + 4096, MiB - 4096, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 8192);
    g_assert_cmpint(status.flags & BLOCK_STATUS_ALLOCATED, !=, 0);
    fixture_close(root);
    fixture_expect_refusal(fixture_options("driver=vhdx,file.driver=file,file.filename=%s", child),
                           "differencing images are only read");
    fixture_dir_free(dir);
}

/* Whoever writes to a parent cuts its children off: nothing of it may be shown for theirs. */
static void test_changed_parent(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *parent = NULL;
    g_autofree char *child = make_chain(dir, &parent);
    BlockChild *root = format_open("vhdx", parent);
    uint8_t buf[4096];

    write_bytes(root, 0, 1);
    fixture_close(root);
    root = format_open_read_only("vhdx", child);
    g_assert_cmpint(fixture_read(root, 0, sizeof(buf), buf), ==, -EIO);
    expect_bytes(root, 2 * MiB, 0xc2);
    fixture_close(root);
    fixture_dir_free(dir);
}

/* ---- Spoilt structures ---- */

static const FormatFault faults[] = {
    { 0, 8, 0, "file identifier at 0" },
    { VHDX_HEADER_AT(1) + VHDX_HEAD_VERSION, 2, 2, "header at 131072: version 2" },
    { VHDX_HEADER_AT(1) + VHDX_HEAD_LOG_VERSION, 2, 1, "log version 1" },
    { VHDX_HEADER_AT(1) + VHDX_HEAD_LOG_LENGTH, 4, 0, "a log of 0 bytes" },
    { VHDX_HEADER_AT(1) + VHDX_HEAD_LOG_LENGTH, 4, 0xfff00000, "a log of" },
    { VHDX_HEADER_AT(1) + VHDX_HEAD_LOG_OFFSET, 8, 0, "bytes at 0" },
    { VHDX_HEADER_AT(1) + VHDX_HEAD_LOG_OFFSET, 8, UINT64_MAX & ~0xfffffull, "not possible" },
    { REGION_AT(0), 4, 0, "unknown kind, but required" },
    { REGION_AT(0) + VHDX_REGION_OFFSET, 8, 0, "at 0, is not possible" },
    { REGION_AT(0) + VHDX_REGION_OFFSET, 8, META_AT, "overlap" },
    { REGION_AT(0) + VHDX_REGION_OFFSET, 8, LOG_AT, "not possible" },
    { REGION_AT(0) + VHDX_REGION_LENGTH, 4, 0xfff00000, "not possible" },
    { REGION_AT(1) + VHDX_REGION_OFFSET, 8, 1ull << 63, "not possible" },
    { REGION_AT(1) + VHDX_REGION_LENGTH, 4, 12345, "not possible" },
    { VHDX_REGIONS_AT(0) + VHDX_REGI_COUNT, 4, 1, "no BAT or no metadata" },
    { META_AT, 8, 0, "metadata table at 3145728: invalid signature" },
    { META_AT + VHDX_META_COUNT, 2, 2048, "count" },
    { META_AT + VHDX_META_COUNT, 2, 0, "no file parameters" },
    { ITEM_AT(0), 4, 1, "unknown kind, but required" },
    { ITEM_AT(1) + VHDX_ITEM_OFFSET, 4, 0, "virtual disk size" },
    { ITEM_AT(1) + VHDX_ITEM_OFFSET, 4, 0xffffffff, "virtual disk size" },
    { ITEM_AT(3) + VHDX_ITEM_LENGTH, 4, 0x10000000, "logical sector size" },
    { ITEM_AT(0) + VHDX_ITEM_LENGTH, 4, 7, "file parameters" },
    { VALUE_AT(0), 4, 0, "block size 0" },
    { VALUE_AT(0), 4, 3 << 20, "block size 3145728" },
    { VALUE_AT(0), 4, 1 << 29, "block size 536870912" },
    { VALUE_AT(4), 4, VHDX_PARAM_HAS_PARENT, "without a parent locator" },
    { VALUE_AT(8), 8, 1001, "virtual disk size" },
    { VALUE_AT(8), 8, UINT64_MAX, "virtual disk size" },
    { VALUE_AT(8), 8, 64ull << 40, "too few for" },
    { VALUE_AT(32), 4, 0, "logical sector size" },
    { VALUE_AT(32), 4, 1024, "logical sector size" },
    { BAT_AT, 8, VHDX_FULLY_PRESENT, "BAT at 2097152: entry 0 (0x6) points outside" },
    { BAT_AT + 8, 8, UINT64_MAX & ~1ull, "entry 1" },
    { BAT_AT + 8, 8, META_AT | VHDX_FULLY_PRESENT, "into the log, the BAT or the metadata" },
    { BAT_AT + 8, 8, 4, "unknown state" },
    { BAT_AT + 8, 8, VHDX_PARTIALLY_PRESENT, "no parent" },
    { BAT_AT + 8 * 5, 8, 5 << 20 | VHDX_FULLY_PRESENT, "in use twice" },
};

static void test_malformed(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vhdx", IMAGE);
    BlockChild *root = format_open("vhdx", path);
    uint64_t junk = 1;
    uint64_t place;

    write_bytes(root, 2 * MiB, 1);
    write_bytes(root, 3 * MiB, 1);
    fixture_close(root);
    format_peek(path, BAT_AT + 8 * 3, 8, &place);
    g_assert_cmphex(place, ==, htole64(5 * MiB | VHDX_FULLY_PRESENT));
    /* The number of the header that counts is the second's after every change. */
    format_peek(path, VHDX_HEADER_AT(0) + VHDX_HEAD_SEQUENCE, 8, &place);
    format_peek(path, VHDX_HEADER_AT(1) + VHDX_HEAD_SEQUENCE, 8, &junk);
    g_assert_cmpuint(le64toh(junk), >, le64toh(place));
    format_expect_refusals("vhdx", path, false, faults, G_N_ELEMENTS(faults), mend);
    fixture_dir_free(dir);
}

/* One copy of each may be lost. */
static void test_copies(void)
{
    static const int64_t places[] = {
        VHDX_HEADER_AT(0), VHDX_HEADER_AT(1), VHDX_REGIONS_AT(0), VHDX_REGIONS_AT(1),
    };
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "vhdx", IMAGE);
    uint8_t old, junk = 0xee;

    for (unsigned i = 0; i < 4; i++) {
        format_peek(path, places[i] + 40, 1, &old);
        format_poke(path, places[i] + 40, 1, &junk);
        fixture_close(format_open_read_only("vhdx", path));
        format_poke(path, places[i] + 40, 1, &old);
    }
    format_poke(path, places[0] + 40, 1, &junk);
    format_poke(path, places[1] + 40, 1, &junk);
    fixture_expect_refusal(fixture_options("driver=vhdx,file.driver=file,file.filename=%s", path),
                           "neither that at 65536 nor that at 131072");
    fixture_dir_free(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vhdx/model", test_model);
    g_test_add_func("/vhdx/create-limits", test_create_limits);
    g_test_add_func("/vhdx/huge", test_huge);
    g_test_add_func("/vhdx/grow", test_grow);
    g_test_add_func("/vhdx/resize-limits", test_resize_limits);
    g_test_add_func("/vhdx/crash", test_crash);
    g_test_add_func("/vhdx/peer-replays", test_peer_replays);
    g_test_add_func("/vhdx/torn-log", test_torn_log);
    g_test_add_func("/vhdx/hostile-log", test_hostile_log);
    g_test_add_func("/vhdx/lost-table-writes", test_lost_table_writes);
    g_test_add_func("/vhdx/random-damage", test_random_damage);
    g_test_add_func("/vhdx/guids", test_guids);
    g_test_add_func("/vhdx/differencing", test_differencing);
    g_test_add_func("/vhdx/changed-parent", test_changed_parent);
    g_test_add_func("/vhdx/malformed", test_malformed);
    g_test_add_func("/vhdx/copies", test_copies);
    return g_test_run();
}
