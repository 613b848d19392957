/* SPDX-License-Identifier: Apache-2.0 */
/* Data looked at in the page cache: what reading gives, from every format, or nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/io.h"
#include "block/tests/format-fixture.h"
#include "util/bits.h"
#include "util/coroutine.h"

#define SIZE ((int64_t)(8 * MiB))

typedef struct Peek {
    BlockChild *child;
    int64_t offset, bytes, got;
    SharedMapping mapping;
} Peek;

static void peek_run(void *opaque)
{
    Peek *p = opaque;

    p->got = block_peek(p->child->node, p->offset, p->bytes, &p->mapping);
}

static Peek peek(BlockChild *child, int64_t offset, int64_t bytes)
{
    Peek p = { child, offset, bytes };

    coroutine_run(peek_run, &p);
    g_assert_cmpint(p.got > 0, ==, p.mapping.data != NULL);
    return p;
}

/* Wherever something is to be seen it is what is read. How much was seen. */
static int64_t compare_all(BlockChild *child)
{
    g_autofree uint8_t *read = g_malloc(SIZE);
    int64_t seen = 0;

    g_assert_cmpint(fixture_read(child, 0, SIZE, read), ==, 0);
    for (int64_t at = 0, n; at < SIZE; at += n) {
        BlockStatus status;
        Peek p;

        g_assert_cmpint(fixture_status(child, at, MIN(SIZE - at, 586 * 512), &status), ==, 0);
        n = status.bytes;
        p = peek(child, at, n);
        g_assert_cmpint(p.got, <=, n);
        g_assert_cmpint(p.got ? memcmp(p.mapping.data, read + at, (size_t)p.got) : 0, ==, 0);
        seen += p.got;
        shared_mapping_cleanup(&p.mapping);
    }
    return seen;
}

/* Odd places, so that nothing begins with a page. */
static void write_patches(BlockChild *child)
{
    g_autofree uint8_t *data = g_malloc(MiB);

    for (unsigned i = 0; i < 6; i++) {
        memset(data, 'a' + (int)i, MiB);
        g_assert_cmpint(fixture_write(child, i * (MiB + 512 * 7) + 512 * i, MiB - 4096 - 512 * i,
                                      data, 0), ==, 0);
    }
    g_assert_cmpint(fixture_zero(child, 2 * MiB, MiB / 2, BLOCK_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, 0);
}

static const struct {
    const char *name, *format, *options;
} images[] = {
    { "raw", "raw", "" }, { "qcow2", "qcow2", "" },
    { "qcow2-subclusters", "qcow2", ",extended_l2=on,cluster_size=128k" },
    { "vdi", "vdi", "" }, { "vhdx", "vhdx", "" }, { "vpc", "vpc", ",force_size=on" },
    { "vmdk", "vmdk", "" },
};

static void test_format(const void *data)
{
    unsigned i = GPOINTER_TO_UINT(data);
    char *dir = fixture_dir_new();
    g_autofree char *options = g_strdup_printf("size=%d%s", (int)SIZE, images[i].options);
    g_autofree char *path = format_create(dir, "image", images[i].format, options);
    BlockChild *child = format_open(images[i].format, path);

    write_patches(child);
    g_assert_cmpint(compare_all(child), >=, 4 * (int64_t)MiB);
    fixture_close(child);
    fixture_dir_free(dir);
}

/* What an overlay does not have is the backing file's. */
static void test_backing(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *base = format_create(dir, "base", "raw", "size=6M");
    g_autofree char *options = g_strdup_printf("size=8M,backing_file=%s,backing_fmt=raw", base);
    g_autofree char *path = format_create(dir, "over", "qcow2", options);
    BlockChild *child = fixture_open("driver=raw,file.driver=file,file.filename=%s", base);
    uint8_t byte[65536] = { 7 };

    write_patches(child);
    fixture_close(child);
    child = format_open("qcow2", path);
    g_assert_cmpint(fixture_write(child, MiB, sizeof(byte), byte, 0), ==, 0);
    g_assert_cmpint(compare_all(child), >=, 4 * (int64_t)MiB);
    fixture_close(child);
    fixture_dir_free(dir);
}

/* Filters, encryption and direct I/O have to do with each read. */
static void test_nothing(void)
{
    static const char *const options[] = {
        "driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=%s",
        "driver=raw,file.driver=file,file.cache.direct=on,file.filename=%s",
        "driver=copy-on-read,file.driver=raw,file.file.driver=file,file.file.filename=%s",
    };
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "raw", "size=8M");
    BlockChild *child = format_open("raw", path);

    write_patches(child);
    g_assert_cmpint(peek(child, SIZE, 1).got, ==, 0);
    g_assert_cmpint(peek(child, -1, 1).got, ==, 0);
    g_assert_cmpint(peek(child, 0, 0).got, ==, 0);
    fixture_close(child);
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autofree char *text = g_strdup_printf(options[i], path);
        json_object *parsed = fixture_options("%s", text);

        child = fixture_try_open(parsed, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, NULL);
        if (child) { /* there are file systems without direct I/O */
            g_assert_cmpint(peek(child, MiB, 4096).got, ==, 0);
            fixture_close(child);
        }
    }
    fixture_dir_free(dir);
}

static void test_raw_window(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "raw", "size=9M");
    BlockChild *child = format_open("raw", path);

    write_patches(child);
    fixture_close(child);
    child = fixture_open("driver=raw,offset=1536,size=%d,file.driver=file,file.filename=%s",
                         (int)SIZE, path);
    g_assert_cmpint(compare_all(child), >=, 4 * (int64_t)MiB);
    fixture_close(child);
    fixture_dir_free(dir);
}

/* Somebody cuts the file while we look: no signal, and we are told. */
static void test_cut(void)
{
    char *dir = fixture_dir_new();
    g_autofree char *path = format_create(dir, "image", "raw", "size=8M");
    BlockChild *child = format_open("raw", path);
    Peek p;

    write_patches(child);
    p = peek(child, 0, MiB / 2);
    g_assert_cmpint(p.got, ==, MiB / 2);
    g_assert_cmpint(p.mapping.data[100], ==, 'a');
    g_assert_false(shared_mapping_is_broken(&p.mapping));
    g_assert_cmpint(truncate(path, 0), ==, 0);
    g_assert_cmpint(p.mapping.data[MiB / 4], ==, 0);
    g_assert_true(shared_mapping_is_broken(&p.mapping));
    shared_mapping_cleanup(&p.mapping);
    g_assert_cmpint(peek(child, 0, 4096).got, ==, 0);
    fixture_close(child);
    fixture_dir_free(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(images); i++) {
        g_autofree char *name = g_strconcat("/peek/", images[i].name, NULL);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_format);
    }
    g_test_add_func("/peek/backing", test_backing);
    g_test_add_func("/peek/nothing", test_nothing);
    g_test_add_func("/peek/raw-window", test_raw_window);
    g_test_add_func("/peek/cut", test_cut);
    return g_test_run();
}
