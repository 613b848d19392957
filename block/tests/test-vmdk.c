/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK: round trips of every kind of image, and images that somebody made to hurt. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "block/vmdk/format.h"
#include "block/tests/file-fixture.h"
#include "util/bits.h"

#define GRAIN 65536
#define SIZE (40 * (int64_t)MiB)

static char *image_path(const char *dir, const char *name)
{
    return g_build_filename(dir, name, NULL);
}

static char *create(const char *dir, const char *name, const char *options)
{
    char *path = image_path(dir, name);
    GError *error = NULL;

    fixture_create_image(path, "vmdk", options, &error);
    g_assert_no_error(error);
    return path;
}

static BlockChild *open_image(const char *path)
{
    return fixture_open("driver=vmdk,file.driver=file,file.filename=%s", path);
}

static void assert_filled(BlockChild *child, int64_t offset, int64_t bytes, uint8_t byte)
{
    g_autofree uint8_t *buf = g_malloc(bytes);

    g_assert_cmpint(fixture_read(child, offset, bytes, buf), ==, 0);
    for (int64_t i = 0; i < bytes; i++) {
        g_assert_cmpuint(buf[i], ==, byte);
    }
}

static int fill(BlockChild *child, int64_t offset, int64_t bytes, uint8_t byte, unsigned flags)
{
    g_autofree uint8_t *buf = g_malloc(bytes);

    memset(buf, byte, bytes);
    return fixture_write(child, offset, bytes, buf, flags);
}

/* ---- Round trips ---- */

static void round_trip(const char *dir, const char *subformat, unsigned files)
{
    g_autofree char *options = g_strdup_printf("size=40M,subformat=%s", subformat);
    g_autofree char *path = create(dir, "r.vmdk", options);
    BlockChild *child = open_image(path);
    GDir *listing;
    unsigned n = 0;

    g_assert_cmpint(block_getlength(child->node), ==, SIZE);
    g_assert_cmpint(fill(child, 1000, 70000, 5, 0), ==, 0);
    g_assert_cmpint(fill(child, 33 * MiB + 512, 512, 6, 0), ==, 0);
    g_assert_cmpint(fixture_zero(child, 2048, 512, 0), ==, 0);
    fixture_close(child);

    child = open_image(path);
    assert_filled(child, 0, 1000, 0);
    assert_filled(child, 1000, 1048, 5);
    assert_filled(child, 2048, 512, 0);
    assert_filled(child, 2560, 68440, 5);
    assert_filled(child, 71000, 200000, 0);
    assert_filled(child, 33 * MiB, 512, 0);
    assert_filled(child, 33 * MiB + 512, 512, 6);
    assert_filled(child, SIZE - 512, 512, 0);
    fixture_close(child);

    listing = g_dir_open(dir, 0, NULL);
    while (g_dir_read_name(listing)) {
        n++;
    }
    g_dir_close(listing);
    g_assert_cmpuint(n, ==, files);
}

static void test_sparse(const char *dir)
{
    round_trip(dir, "monolithicSparse", 1);
}

static void test_flat(const char *dir)
{
    round_trip(dir, "monolithicFlat", 2);
}

static void test_split_sparse(const char *dir)
{
    round_trip(dir, "twoGbMaxExtentSparse", 2);
}

static void test_split_flat(const char *dir)
{
    round_trip(dir, "twoGbMaxExtentFlat", 2);
}

/* A write across the end of the first extent. */
static void test_seam(const char *dir)
{
    g_autofree char *path = create(dir, "s.vmdk", "size=3G,subformat=twoGbMaxExtentSparse");
    BlockChild *child = open_image(path);
    BlockStatus status;

    g_assert_cmpint(fill(child, 2 * GiB - 1024, 2048, 9, 0), ==, 0);
    fixture_close(child);
    child = open_image(path);
    assert_filled(child, 2 * GiB - 1024, 2048, 9);
    assert_filled(child, 2 * GiB - 2048, 1024, 0);
    assert_filled(child, 2 * GiB + 1024, 1024, 0);
    g_assert_cmpint(fixture_status(child, 2 * GiB - 1024, 2048, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 1024);
    fixture_close(child);
}

static void test_stream(const char *dir)
{
    g_autofree char *path = create(dir, "s.vmdk", "size=40M,subformat=streamOptimized");
    BlockChild *child = open_image(path);
    BlockStatus status;

    g_assert_cmpint(fill(child, 3 * GRAIN, 40 * GRAIN, 5, BLOCK_REQ_COMPRESSED), ==, 0);
    g_assert_cmpint(fill(child, SIZE - GRAIN, GRAIN, 6, BLOCK_REQ_COMPRESSED), ==, 0);
    /* Once only, and whole. */
    g_assert_cmpint(fill(child, 3 * GRAIN, GRAIN, 7, BLOCK_REQ_COMPRESSED), ==, -EIO);
    g_assert_cmpint(fill(child, 512, GRAIN, 7, BLOCK_REQ_COMPRESSED), ==, -EINVAL);
    fixture_close(child);

    child = open_image(path);
    g_assert_cmpint(fill(child, 0, GRAIN, 8, BLOCK_REQ_COMPRESSED), ==, 0);
    fixture_close(child);
    child = open_image(path);
    assert_filled(child, 0, GRAIN, 8);
    assert_filled(child, GRAIN, 2 * GRAIN, 0);
    assert_filled(child, 3 * GRAIN, 40 * GRAIN, 5);
    assert_filled(child, SIZE - GRAIN, GRAIN, 6);
    g_assert_cmpint(fixture_status(child, 3 * GRAIN, GRAIN, &status), ==, 0);
    g_assert_true(status.flags & BLOCK_STATUS_COMPRESSED);
    fixture_close(child);
}

/* The backing file's data around new data; zeroes that hide it; a backing file that changed. */
static void test_backing(const char *dir)
{
    g_autofree char *base = create(dir, "base.vmdk", "size=1M");
    BlockChild *child = open_image(base);
    g_autofree char *path = NULL;
    uint8_t buf[512];

    g_assert_cmpint(fill(child, 0, MiB, 3, 0), ==, 0);
    fixture_close(child);
    path = create(dir, "top.vmdk", "backing_file=base.vmdk,backing_fmt=vmdk,zeroed_grain=on");
    child = open_image(path);
    g_assert_cmpstr(child->node->header_backing_file, ==, "base.vmdk");
    g_assert_cmpstr(child->node->header_backing_format, ==, "vmdk");
    g_assert_cmpint(fill(child, 1024, 512, 4, 0), ==, 0);
    g_assert_cmpint(fixture_zero(child, GRAIN, 2 * GRAIN, 0), ==, 0);
    fixture_close(child);
    child = open_image(path);
    assert_filled(child, 0, 1024, 3);
    assert_filled(child, 1024, 512, 4);
    assert_filled(child, 1536, GRAIN - 1536, 3);
    assert_filled(child, GRAIN, 2 * GRAIN, 0);
    assert_filled(child, 3 * GRAIN, GRAIN, 3);
    fixture_close(child);

    child = open_image(base);
    g_assert_cmpint(fill(child, 0, 512, 7, 0), ==, 0);
    fixture_close(child);
    child = open_image(path);
    g_assert_cmpint(fixture_read(child, 4 * GRAIN, 512, buf), ==, -EINVAL);
    fixture_close(child);
}

/* Nothing is left of an image that could not be made. */
static void test_failed_create(const char *dir)
{
    g_autofree char *path = image_path(dir, "f.vmdk");
    GError *error = NULL;
    GDir *listing;

    g_assert_false(fixture_create_image(path, "vmdk", "size=1M,subformat=twoGbMaxExtentFlat,"
                                        "toolsversion=a\"b", &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
    listing = g_dir_open(dir, 0, NULL);
    g_assert_null(g_dir_read_name(listing));
    g_dir_close(listing);
    g_assert_false(fixture_create_image(path, "vmdk", "size=1M,compat6=on,hwversion=7", &error));
    g_clear_error(&error);
}

/* More tables than the cache holds: changed ones go to the file in the middle of things. */
static void test_many_tables(const char *dir)
{
    g_autofree char *path = create(dir, "m.vmdk", "size=20G");
    const int64_t table = 32 * MiB, n = 20 * GiB / table;
    BlockChild *child = open_image(path);

    for (int64_t i = 0; i < n; i++) {
        g_assert_cmpint(fill(child, i * table + i * 512, 512, i % 255 + 1, 0), ==, 0);
    }
    for (int64_t i = 0; i < n; i++) {
        assert_filled(child, i * table + i * 512, 512, i % 255 + 1);
    }
    fixture_close(child);
    child = open_image(path);
    for (int64_t i = 0; i < n; i++) {
        assert_filled(child, i * table + i * 512, 512, i % 255 + 1);
        assert_filled(child, i * table + (i + 1) * 512, 512, 0);
    }
    fixture_close(child);
}

/* A grain that could not be written is not in the tables, and its room is not given away twice. */
static void test_failed_write(const char *dir)
{
    g_autofree char *path = create(dir, "w.vmdk", "size=1M");
    g_autofree char *rules = image_path(dir, "rules");
    BlockChild *child;

    /* The first grain's place. */
    g_assert_true(g_file_set_contents(rules, "[inject-error]\nevent = \"none\"\n"
                                      "iotype = \"write\"\nerrno = \"5\"\n"
                                      "sector = \"128\"\nonce = \"on\"\n", -1, NULL));
    child = fixture_open("driver=vmdk,file.driver=blkdebug,file.config=%s,"
                         "file.image.driver=file,file.image.filename=%s", rules, path);
    g_assert_cmpint(fill(child, 0, GRAIN, 5, 0), ==, -EIO);
    assert_filled(child, 0, GRAIN, 0);
    g_assert_cmpint(fill(child, 0, GRAIN, 6, 0), ==, 0);
    g_assert_cmpint(fill(child, GRAIN, GRAIN, 7, 0), ==, 0);
    fixture_close(child);
    child = open_image(path);
    assert_filled(child, 0, GRAIN, 6);
    assert_filled(child, GRAIN, GRAIN, 7);
    fixture_close(child);
}

/* ---- Malformed images ---- */

typedef struct Damage {
    size_t offset;
    unsigned bytes;
    uint64_t value;
    const char *error;
} Damage;

static void damage_file(const char *path, const Damage *d)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t raw[8];

    stq_le(raw, d->value);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pwrite(fd, raw, d->bytes, d->offset), ==, d->bytes);
    close(fd);
}

static void expect_refusal(const char *path, const char *error)
{
    fixture_expect_refusal(fixture_options("driver=vmdk,file.driver=file,file.filename=%s", path),
                           error);
}

static void test_bad_headers(const char *dir)
{
    static const Damage all[] = {
        { VMDK_VERSION, 4, 0, "unsupported version 0" },
        { VMDK_VERSION, 4, 4, "unsupported version 4" },
        { VMDK_CAPACITY, 8, 0, "invalid capacity" },
        { VMDK_CAPACITY, 8, UINT64_MAX, "invalid capacity" },
        { VMDK_CAPACITY, 8, 1ull << 50, "too large" },
        { VMDK_CAPACITY, 8, 1ull << 36, "beyond the end of the file" },
        { VMDK_GRAIN_SIZE, 8, 0, "not a power of two" },
        { VMDK_GRAIN_SIZE, 8, 96, "not a power of two" },
        { VMDK_GRAIN_SIZE, 8, 1ull << 40, "not a power of two" },
        { VMDK_GTES_PER_GT, 4, 0, "grain tables of 0 entries" },
        { VMDK_GTES_PER_GT, 4, UINT32_MAX, "grain tables of 4294967295 entries" },
        { VMDK_RGD_AT, 8, UINT64_MAX, "redundant grain directory" },
        { VMDK_GD_AT, 8, 1ull << 62, "grain directory at sector" },
        { VMDK_GD_AT, 8, VMDK_GD_AT_END, "does not end with a footer" },
        { VMDK_OVERHEAD, 8, UINT64_MAX, "beyond the end of the file" },
        { VMDK_NEWLINES, 1, '\r', "transfer as text" },
        { VMDK_DESCRIPTOR_AT, 8, UINT64_MAX, "is not possible" },
        { VMDK_DESCRIPTOR_AT, 8, 1 << 20, "beyond the end of the file" },
        { VMDK_DESCRIPTOR_SIZE, 8, UINT64_MAX, "is not possible" },
        { VMDK_FLAGS, 4, VMDK_FLAG_COMPRESSED, "unknown compression" },
        { 22 * 512 - 512, 4, UINT32_MAX, "points to sector 4294967295" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *path = create(dir, "bad.vmdk", "size=40M");

        damage_file(path, &all[i]);
        expect_refusal(path, all[i].error);
    }
}

static void test_bad_descriptors(const char *dir)
{
    static const struct { const char *text, *error; } all[] = {
        { "", "no createType" },
        { "createType=\"x\"\n", "Unsupported image type 'x'" },
        { "createType=x\n", "line 2: no text in quotes" },
        { "createType=\"vmfs\"\ncreateType=\"vmfs\"\n", "line 3: given twice" },
        { "createType=\"vmfs\"\n", "no extents" },
        { "CID=xyz\n", "line 2: 'xyz' is not" },
        { "CID=123456789\n", "not a hexadecimal" },
        { "rubbish\n", "line 2: neither" },
        { "RW 0 FLAT \"flat.raw\" 0\n", "line 2: invalid extent" },
        { "RW -1 FLAT \"flat.raw\" 0\n", "invalid extent" },
        { "RW 99999999999999999999 FLAT \"flat.raw\" 0\n", "invalid extent" },
        { "RW 1 FLAT \"flat.raw 0\n", "invalid extent" },
        { "RW 1 FLAT\n", "invalid extent" },
        { "RW 1 ZERO \"flat.raw\"\n", "invalid extent" },
        { "RW 1 FLAT \"flat.raw\" 0 1\n", "invalid extent" },
        { "NOACCESS 1 FLAT \"flat.raw\" 0\n", "without access" },
        { "createType=\"vmfs\"\nRW 1 FLAT \"/etc/passwd\" 0\n", "not in the descriptor's" },
        { "createType=\"vmfs\"\nRW 1 FLAT \"../flat.raw\" 0\n", "not in the descriptor's" },
        { "createType=\"vmfs\"\nRW 1 FLAT \"nbd:localhost:1\" 0\n", "not in the descriptor's" },
        { "createType=\"vmfs\"\nRW 9 FLAT \"flat.raw\" 0\n", "too few" },
        { "createType=\"vmfs\"\nRW 1 FLAT \"flat.raw\" 8\n", "too few" },
        { "createType=\"vmfs\"\nRW 1 FLAT \"none.raw\" 0\n", "none.raw" },
        { "createType=\"vmfs\"\nRW 1 SPARSE \"flat.raw\"\n", "no sparse extent" },
        { "createType=\"vmfs\"\nRW 1 SESPARSE \"flat.raw\"\n", "unsupported extent type" },
        { "createType=\"vmfs\"\nRW 18014398507384832 ZERO\nRW 18014398507384832 ZERO\n",
          "too long" },
    };
    g_autofree char *flat = fixture_file(dir, "flat.raw", 4096);
    g_autofree char *path = image_path(dir, "bad.vmdk");

    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *text = g_strconcat("version=1\n", all[i].text, NULL);

        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        expect_refusal(path, all[i].error);
    }
}

static void test_long_descriptors(const char *dir)
{
    g_autoptr(GString) text = g_string_new("version=1\ncreateType=\"vmfs\"\n");
    g_autofree char *path = image_path(dir, "bad.vmdk");

    for (unsigned i = 0; i < 2049; i++) {
        g_string_append(text, "RW 1 ZERO\n");
    }
    g_assert_true(g_file_set_contents(path, text->str, -1, NULL));
    expect_refusal(path, "more than 2048 extents");
    g_string_set_size(text, 0);
    g_string_append(text, "version=1\n");
    while (text->len < 300 * 1024) {
        g_string_append(text, "# and so on\n");
    }
    g_assert_true(g_file_set_contents(path, text->str, -1, NULL));
    expect_refusal(path, "too many");
}

/* Entries that point nowhere, into the metadata, and to rubbish instead of a stream. */
static void test_bad_entries(const char *dir)
{
    g_autofree char *path = create(dir, "e.vmdk", "size=1M");
    g_autofree char *stream = create(dir, "s.vmdk", "size=1M,subformat=streamOptimized");
    const Damage into_metadata = { 27 * 512, 4, 1, NULL }, broken = { GRAIN + 12, 4, 0, NULL };
    BlockChild *child;
    uint8_t buf[512];

    damage_file(path, &into_metadata);
    child = open_image(path);
    g_assert_cmpint(fixture_read(child, 0, 512, buf), ==, -EIO);
    fixture_close(child);

    child = open_image(stream);
    g_assert_cmpint(fill(child, 0, GRAIN, 8, BLOCK_REQ_COMPRESSED), ==, 0);
    fixture_close(child);
    damage_file(stream, &broken);
    child = open_image(stream);
    g_assert_cmpint(fixture_read(child, 0, 512, buf), ==, -EIO);
    fixture_close(child);
}

typedef struct Test {
    const char *name;
    void (*run)(const char *dir);
} Test;

static void run_in_dir(const void *opaque)
{
    const Test *test = opaque;
    char *dir = fixture_dir_new();

    test->run(dir);
    fixture_dir_free(dir);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        { "/vmdk/sparse", test_sparse },
        { "/vmdk/flat", test_flat },
        { "/vmdk/split-sparse", test_split_sparse },
        { "/vmdk/split-flat", test_split_flat },
        { "/vmdk/seam", test_seam },
        { "/vmdk/stream", test_stream },
        { "/vmdk/backing", test_backing },
        { "/vmdk/failed-create", test_failed_create },
        { "/vmdk/many-tables", test_many_tables },
        { "/vmdk/failed-write", test_failed_write },
        { "/vmdk/bad-headers", test_bad_headers },
        { "/vmdk/bad-descriptors", test_bad_descriptors },
        { "/vmdk/long-descriptors", test_long_descriptors },
        { "/vmdk/bad-entries", test_bad_entries },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add_data_func(tests[i].name, &tests[i], run_in_dir);
    }
    return g_test_run();
}
