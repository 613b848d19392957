/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over files and qcow2 images. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "block/io.h"
#include "block/tests/file-fixture.h"
#include "util/bits.h"

#define CLUSTER ((int64_t)(64 * KiB))

typedef struct Fixture {
    char *dir, *base, *mid, *top;
} Fixture;

static void create(const char *path, const char *options)
{
    g_autoptr(GError) error = NULL;

    fixture_create_image(path, "qcow2", options, &error);
    g_assert_no_error(error);
}

static void fill(const char *path, int64_t offset, int64_t bytes, int byte)
{
    BlockChild *child = fixture_open("driver=qcow2,file.driver=file,file.filename=%s", path);
    g_autofree uint8_t *buf = g_malloc((gsize)bytes);

    memset(buf, byte, (size_t)bytes);
    g_assert_cmpint(fixture_write(child, offset, bytes, buf, 0), ==, 0);
    fixture_close(child);
}

/* base has cluster 0, mid has cluster 1, top has nothing. */
static void setup(Fixture *f, const void *data)
{
    g_autofree char *on_base = NULL, *on_mid = NULL;

    f->dir = fixture_dir_new();
    f->base = g_build_filename(f->dir, "base", NULL);
    f->mid = g_build_filename(f->dir, "mid", NULL);
    f->top = g_build_filename(f->dir, "top", NULL);
    on_base = g_strdup_printf("backing_file=%s,backing_fmt=qcow2", f->base);
    on_mid = g_strdup_printf("backing_file=%s,backing_fmt=qcow2", f->mid);
    create(f->base, "size=1M");
    fill(f->base, 0, CLUSTER, 1);
    create(f->mid, on_base);
    fill(f->mid, CLUSTER, CLUSTER, 2);
    create(f->top, on_mid);
}

static void teardown(Fixture *f, const void *data)
{
    g_free(f->base);
    g_free(f->mid);
    g_free(f->top);
    fixture_dir_free(f->dir);
}

static bool is_allocated(const char *path, int64_t offset)
{
    BlockChild *child = fixture_open("driver=qcow2,file.driver=file,file.filename=%s", path);
    BlockStatus status;

    g_assert_cmpint(fixture_status(child, offset, 512, &status), ==, 0);
    fixture_close(child);
    return status.flags & BLOCK_STATUS_ALLOCATED;
}

static void read_both(BlockChild *child)
{
    g_autofree uint8_t *buf = g_malloc(2 * CLUSTER);

    g_assert_cmpint(fixture_read(child, 100, 2 * CLUSTER - 200, buf), ==, 0);
    g_assert_cmpint(buf[0], ==, 1);
    g_assert_cmpint(buf[2 * CLUSTER - 201], ==, 2);
}

static void test_copy_on_read(Fixture *f, const void *data)
{
    BlockChild *child;

    g_assert_false(is_allocated(f->top, 0));
    child = fixture_open("driver=copy-on-read,file.driver=qcow2,file.file.driver=file,"
                         "file.file.filename=%s", f->top);
    read_both(child);
    fixture_close(child);
    g_assert_true(is_allocated(f->top, 0));
    g_assert_true(is_allocated(f->top, 2 * CLUSTER - 1));
    g_assert_false(is_allocated(f->top, 2 * CLUSTER));
}

static void test_bottom(Fixture *f, const void *data)
{
    BlockChild *child;

    child = fixture_open("driver=copy-on-read,bottom=middle,file.driver=qcow2,"
                         "file.file.driver=file,file.file.filename=%s,"
                         "file.backing.driver=qcow2,file.backing.node-name=middle,"
                         "file.backing.file.driver=file,file.backing.file.filename=%s", f->top,
                         f->mid);
    read_both(child);
    fixture_close(child);
    g_assert_false(is_allocated(f->top, 0));
    g_assert_true(is_allocated(f->top, CLUSTER));
    fixture_expect_refusal(fixture_options("driver=copy-on-read,bottom=nobody,file.driver=qcow2,"
                                           "file.file.driver=file,file.file.filename=%s", f->top),
                           "'nobody' not found");
}

static void test_compress(Fixture *f, const void *data)
{
    g_autofree uint8_t *buf = g_malloc(2 * CLUSTER), *back = g_malloc(2 * CLUSTER);
    BlockChild *child = fixture_open("driver=compress,file.driver=qcow2,file.file.driver=file,"
                                     "file.file.filename=%s", f->base);
    BlockStatus status;

    memset(buf, 5, 2 * CLUSTER);
    g_assert_cmpint(fixture_write(child, 4 * CLUSTER, 2 * CLUSTER, buf, 0), ==, 0);
    g_assert_cmpint(fixture_read(child, 4 * CLUSTER, 2 * CLUSTER, back), ==, 0);
    g_assert_cmpmem(buf, 2 * CLUSTER, back, 2 * CLUSTER);
    fixture_close(child);
    child = fixture_open("driver=qcow2,file.driver=file,file.filename=%s", f->base);
    g_assert_cmpint(fixture_status(child, 4 * CLUSTER, CLUSTER, &status), ==, 0);
    g_assert_true(status.flags & BLOCK_STATUS_COMPRESSED);
    fixture_close(child);
    fixture_expect_refusal(fixture_options("driver=compress,file.driver=file,file.filename=%s",
                                           f->base), "not supported");
}

static int64_t size_on_disk(const char *path)
{
    struct stat st;

    g_assert_cmpint(stat(path, &st), ==, 0);
    return st.st_size;
}

static void test_preallocate(Fixture *f, const void *data)
{
    g_autofree char *path = fixture_file(f->dir, "raw", 4096);
    BlockTruncate shorter = { .size = 3000, .exact = true }, longer = { .size = 9000 };
    BlockChild *child;
    uint8_t buf[6000], back[9000];

    memset(buf, 3, sizeof(buf));
    child = fixture_open("driver=preallocate,prealloc-align=65536,prealloc-size=1048576,"
                         "file.driver=file,file.filename=%s", path);
    g_assert_cmpint(block_getlength(child->node), ==, 4096);
    g_assert_cmpint(fixture_write(child, 1000, 6000, buf, 0), ==, 0);
    g_assert_cmpint(block_getlength(child->node), ==, 7000);
    if (size_on_disk(path) == 7000) {
        g_test_skip("no fallocate here");
    } else {
        g_assert_cmpint(size_on_disk(path), ==, 1048576 + 65536);
    }
    g_assert_cmpint(fixture_truncate(child, &longer, NULL), ==, 0);
    g_assert_cmpint(fixture_read(child, 0, 9000, back), ==, 0);
    g_assert_cmpint(back[6999], ==, 3);
    g_assert_cmpint(back[7000], ==, 0);
    g_assert_cmpint(block_getlength(child->node), ==, 9000);
    g_assert_cmpint(fixture_truncate(child, &shorter, NULL), ==, 0);
    g_assert_cmpint(fixture_write(child, 3000, 10, buf, 0), ==, 0);
    fixture_close(child);
    g_assert_cmpint(size_on_disk(path), ==, 3010);
    fixture_expect_refusal(fixture_options("driver=preallocate,prealloc-align=100,"
                                           "file.driver=file,file.filename=%s", path),
                           "prealloc-align");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/filters/copy-on-read", Fixture, NULL, setup, test_copy_on_read, teardown);
    g_test_add("/filters/bottom", Fixture, NULL, setup, test_bottom, teardown);
    g_test_add("/filters/compress", Fixture, NULL, setup, test_compress, teardown);
    g_test_add("/filters/preallocate", Fixture, NULL, setup, test_preallocate, teardown);
    return g_test_run();
}
