/* SPDX-License-Identifier: Apache-2.0 */
/* The file driver: every request with every engine, resizing, making, names, reopening. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/io.h"
#include "block/open.h"
#include "block/tests/file-fixture.h"
#include "util/bits.h"
#include "util/coroutine.h"
#include "util/fd-store.h"
#include "util/file-io.h"

#define SIZE (4 * MiB)

typedef struct Fixture {
    char *dir, *path;
} Fixture;

static void setup(Fixture *f, const void *data)
{
    f->dir = fixture_dir_new();
    f->path = fixture_file(f->dir, "x.img", SIZE);
}

static void teardown(Fixture *f, const void *data)
{
    g_free(f->path);
    fixture_dir_free(f->dir);
}

/* Does this directory's file system know O_DIRECT? */
static bool has_direct(Fixture *f)
{
    int fd = open(f->path, O_RDONLY | O_DIRECT);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void fill(uint8_t *buf, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245 + 12345;
        buf[i] = (uint8_t)(seed >> 16);
    }
}

/* ---- Requests, against a copy in memory ---- */

static void random_requests(BlockChild *child, uint8_t *model, GRand *rand)
{
    const int64_t longest = 200000;
    g_autofree uint8_t *buf = g_malloc((gsize)longest);

    for (int i = 0; i < 200; i++) {
        int64_t offset = g_rand_int_range(rand, 0, SIZE - 1);
        int64_t bytes = g_rand_int_range(rand, 1, (gint32)MIN(longest, SIZE - offset) + 1);

        switch (g_rand_int_range(rand, 0, 5)) {
        case 0:
            g_assert_cmpint(fixture_read(child, offset, bytes, buf), ==, 0);
            g_assert_true(memcmp(buf, model + offset, (size_t)bytes) == 0);
            break;
        case 1:
            g_assert_cmpint(fixture_zero(child, offset, bytes, i % 2 ? BLOCK_REQ_MAY_UNMAP : 0),
                            ==, 0);
            memset(model + offset, 0, (size_t)bytes);
            break;
        case 2:
            g_assert_cmpint(fixture_flush(child), ==, 0);
            break;
        default:
            fill(buf, (size_t)bytes, (unsigned)i);
            g_assert_cmpint(fixture_write(child, offset, bytes, buf,
                                          i % 3 ? 0 : BLOCK_REQ_FUA), ==, 0);
            memcpy(model + offset, buf, (size_t)bytes);
            break;
        }
    }
}

static void check_content(const char *path, const uint8_t *model, size_t size)
{
    g_autofree char *content = NULL;
    g_autoptr(GError) error = NULL;
    gsize len;

    g_file_get_contents(path, &content, &len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(len, ==, size);
    g_assert_true(memcmp(content, model, size) == 0);
}

static void check_requests(Fixture *f, const char *options)
{
    g_autofree uint8_t *model = g_malloc0(SIZE);
    GRand *rand = g_rand_new_with_seed(1);
    BlockChild *child = fixture_open("driver=file,filename=%s%s", f->path, options);

    random_requests(child, model, rand);
    g_assert_cmpint(block_getlength(child->node), ==, SIZE);
    fixture_close(child);
    g_rand_free(rand);
    check_content(f->path, model, SIZE);
}

static void test_requests(Fixture *f, const void *options)
{
    if (strstr(options, "cache.direct=on") && !has_direct(f)) {
        g_test_skip("no direct I/O in the temporary directory");
        return;
    }
    check_requests(f, options);
}

/* The end of a file that is no multiple of the block size, with direct I/O. */
static void test_ragged_end(Fixture *f, const void *data)
{
    const int64_t size = 10000;
    g_autofree char *path = fixture_file(f->dir, "ragged", size);
    uint8_t out[10000], in[10000];
    BlockChild *child;

    if (!has_direct(f)) {
        g_test_skip("no direct I/O in the temporary directory");
        return;
    }
    fill(out, sizeof(out), 3);
    child = fixture_open("driver=file,filename=%s,cache.direct=on", path);
    g_assert_cmpint(fixture_write(child, 0, 9000, out, 0), ==, 0);
    memset(out + 9000, 0, 1000);
    g_assert_cmpint(fixture_read(child, 0, size, in), ==, 0);
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    g_assert_cmpint(fixture_read(child, 9990, 10, in), ==, 0);
    fixture_close(child);
}

/* ---- Many at once ---- */

typedef struct Writer {
    BlockChild *child;
    int index;
    int *running;
} Writer;

static void write_and_read(void *opaque)
{
    Writer *writer = opaque;
    uint8_t out[4096], in[4096];
    int64_t offset = (int64_t)writer->index * 4096;

    memset(out, writer->index + 1, sizeof(out));
    g_assert_cmpint(block_pwrite(writer->child, offset, sizeof(out), out, 0), ==, 0);
    g_assert_cmpint(block_pread(writer->child, offset, sizeof(in), in), ==, 0);
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    --*writer->running;
}

static void test_parallel(Fixture *f, const void *options)
{
    enum { WRITERS = 500 };
    g_autofree Writer *writers = g_new0(Writer, WRITERS);
    BlockChild *child;
    int running = WRITERS;

    if (strstr(options, "cache.direct=on") && !has_direct(f)) {
        g_test_skip("no direct I/O in the temporary directory");
        return;
    }
    child = fixture_open("driver=file,filename=%s%s", f->path, (const char *)options);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (Writer) { child, i, &running };
        coroutine_start(write_and_read, &writers[i]);
    }
    while (running) {
        loop_iterate(loop_main(), true);
    }
    fixture_close(child);
}

/* ---- Holes ---- */

static int64_t blocks_of(const char *path)
{
    struct stat info;

    g_assert_cmpint(stat(path, &info), ==, 0);
    return info.st_blocks;
}

static void expect_status(BlockChild *child, int64_t offset, int64_t bytes, unsigned flags,
                          int64_t found)
{
    const unsigned interesting = BLOCK_STATUS_DATA | BLOCK_STATUS_ZERO;
    BlockStatus status;

    g_assert_cmpint(fixture_status(child, offset, bytes, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, found);
    g_assert_cmphex(status.flags & interesting, ==, flags);
    g_assert_true(status.flags & BLOCK_STATUS_OFFSET_VALID);
    g_assert_cmpint(status.map, ==, offset);
    g_assert_true(status.file == child->node);
}

static void test_holes(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open("driver=file,filename=%s,discard=unmap", f->path);
    g_autofree uint8_t *buf = g_malloc(MiB);

    memset(buf, 1, MiB);
    expect_status(child, 0, SIZE, BLOCK_STATUS_ZERO, SIZE);
    g_assert_cmpint(fixture_write(child, MiB, MiB, buf, 0), ==, 0);
    g_assert_cmpint(fixture_flush(child), ==, 0);
    expect_status(child, 0, SIZE, BLOCK_STATUS_ZERO, MiB);
    expect_status(child, MiB, SIZE - MiB, BLOCK_STATUS_DATA, MiB);
    /* By memory now. */
    expect_status(child, MiB + 65536, 4096, BLOCK_STATUS_DATA, 4096);
    expect_status(child, 2 * MiB, 2 * MiB, BLOCK_STATUS_ZERO, 2 * MiB);
    expect_status(child, MiB, SIZE - MiB, BLOCK_STATUS_DATA, MiB);
    g_assert_cmpint(fixture_discard(child, MiB, MiB / 2), ==, 0);
    expect_status(child, MiB, MiB, BLOCK_STATUS_ZERO, MiB / 2);
    g_assert_cmpint(fixture_read(child, MiB, 1, buf), ==, 0);
    g_assert_cmpint(buf[0], ==, 0);
    g_assert_cmpint(fixture_zero(child, MiB, MiB, BLOCK_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmpint(blocks_of(f->path), <, 64);
    g_assert_cmpint(block_allocated_size(child->node), ==, blocks_of(f->path) * 512);
    g_assert_cmpint(fixture_zero(child, MiB, MiB, 0), ==, 0);
    g_assert_cmpint(blocks_of(f->path) * 512, >=, (int64_t)MiB);
    fixture_close(child);
}

static void test_discard_ignored(Fixture *f, const void *data)
{
    g_autofree uint8_t *buf = g_malloc(MiB);
    BlockChild *child = fixture_open("driver=file,filename=%s", f->path);

    memset(buf, 1, MiB);
    g_assert_cmpint(fixture_write(child, 0, MiB, buf, 0), ==, 0);
    g_assert_cmpint(fixture_discard(child, 0, MiB), ==, 0);
    g_assert_cmpint(fixture_read(child, 5, 1, buf), ==, 0);
    g_assert_cmpint(buf[0], ==, 1);
    fixture_close(child);
}

static void test_discard_statistics(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open("driver=file,filename=%s,discard=unmap", f->path);
    g_autoptr(BlockStatsSpecific) stats = NULL;

    g_assert_cmpint(fixture_discard(child, 0, MiB), ==, 0);
    stats = child->node->driver->get_specific_stats(child->node);
    g_assert_cmpint(stats->driver, ==, BLOCKDEV_DRIVER_FILE);
    g_assert_cmpuint(stats->u.file.discard_nb_ok, ==, 1);
    g_assert_cmpuint(stats->u.file.discard_nb_failed, ==, 0);
    g_assert_cmpuint(stats->u.file.discard_bytes_ok, ==, MiB);
    fixture_close(child);
}

/* ---- Sizes ---- */

static void test_truncate(Fixture *f, const void *data)
{
    static const PreallocMode modes[] = {
        PREALLOC_MODE_OFF, PREALLOC_MODE_FALLOC, PREALLOC_MODE_FULL,
    };
    BlockChild *child = fixture_open("driver=file,filename=%s", f->path);
    g_autoptr(GError) error = NULL;
    int64_t size = SIZE;

    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        BlockTruncate grow = { .size = size + (int64_t)MiB + 123, .exact = true,
                               .prealloc = modes[i] };
        int64_t blocks = blocks_of(f->path);

        g_assert_cmpint(fixture_truncate(child, &grow, &error), ==, 0);
        g_assert_no_error(error);
        size = grow.size;
        g_assert_cmpint(block_getlength(child->node), ==, size);
        g_assert_cmpint((blocks_of(f->path) - blocks) * 512 >= (int64_t)MiB, ==,
                        modes[i] != PREALLOC_MODE_OFF);
    }
    g_assert_cmpint(fixture_truncate(child, &(BlockTruncate) {
        .size = size + 1, .prealloc = PREALLOC_MODE_METADATA }, &error), <, 0);
    g_assert_cmpstr(error->message, ==, "Unsupported preallocation mode: metadata");
    g_clear_error(&error);
    g_assert_cmpint(fixture_truncate(child, &(BlockTruncate) {
        .size = 1000, .prealloc = PREALLOC_MODE_FULL }, &error), <, 0);
    g_clear_error(&error);
    g_assert_cmpint(block_getlength(child->node), ==, size);
    g_assert_cmpint(fixture_truncate(child, &(BlockTruncate) { .size = 1000 }, NULL), ==, 0);
    g_assert_cmpint(block_getlength(child->node), ==, 1000);
    fixture_close(child);
}

static void test_grows(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open("driver=file,filename=%s", f->path);
    uint8_t byte = 7;

    g_assert_cmpint(fixture_write(child, SIZE + 100, 1, &byte, 0), ==, 0);
    g_assert_cmpint(block_getlength(child->node), ==, SIZE + 101);
    g_assert_cmpint(fixture_zero(child, SIZE + 200, 100, BLOCK_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmpint(block_getlength(child->node), ==, SIZE + 300);
    g_assert_cmpint(fixture_read(child, SIZE + 100, 1, &byte), ==, 0);
    g_assert_cmpint(byte, ==, 7);
    fixture_close(child);
}

/* ---- Copying in the storage ---- */

typedef struct Copy {
    BlockChild *src, *dst;
    int result;
} Copy;

static void run_copy(void *opaque)
{
    Copy *copy = opaque;

    copy->result = block_copy_range(copy->src, 1000, copy->dst, 77777, 500000, 0);
}

static void test_copy_range(Fixture *f, const void *data)
{
    g_autofree char *path = fixture_file(f->dir, "to", SIZE);
    g_autofree uint8_t *out = g_malloc(500000);
    g_autofree uint8_t *in = g_malloc0(500000);
    Copy copy = {
        .src = fixture_open("driver=file,filename=%s", f->path),
        .dst = fixture_open("driver=file,filename=%s", path),
    };

    fill(out, 500000, 9);
    g_assert_cmpint(fixture_write(copy.src, 1000, 500000, out, 0), ==, 0);
    expect_status(copy.dst, 0, SIZE, BLOCK_STATUS_ZERO, SIZE);
    coroutine_run(run_copy, &copy);
    if (copy.result == -ENOTSUP) {
        g_test_skip("the temporary directory cannot copy ranges");
    } else {
        g_assert_cmpint(copy.result, ==, 0);
        g_assert_cmpint(fixture_read(copy.dst, 77777, 500000, in), ==, 0);
        g_assert_true(memcmp(in, out, 500000) == 0);
    }
    fixture_close(copy.src);
    fixture_close(copy.dst);
}

/* ---- Making ---- */

static void expect_not_created(const char *path, PreallocMode prealloc, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(fixture_create(path, MiB, prealloc, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, text));
}

static void test_create(Fixture *f, const void *data)
{
    g_autofree char *path = g_build_filename(f->dir, "new", NULL);
    g_autofree char *nowhere = g_build_filename(f->dir, "none", "new", NULL);
    struct stat info;

    g_assert_true(fixture_create(path, MiB, PREALLOC_MODE_OFF, NULL));
    g_assert_cmpint(blocks_of(path), <, 16);
    g_assert_true(fixture_create(path, 2 * MiB, PREALLOC_MODE_FULL, NULL));
    g_assert_cmpint(blocks_of(path) * 512, >=, 2 * (int64_t)MiB);
    g_assert_true(fixture_create(path, MiB, PREALLOC_MODE_FALLOC, NULL));
    g_assert_cmpint(stat(path, &info), ==, 0);
    g_assert_cmpint(info.st_size, ==, MiB);

    expect_not_created(nowhere, PREALLOC_MODE_OFF, nowhere);
    expect_not_created(f->dir, PREALLOC_MODE_OFF, f->dir);
    /* What was begun is gone. */
    unlink(path);
    expect_not_created(path, PREALLOC_MODE_METADATA, "Unsupported preallocation mode: metadata");
    g_assert_cmpint(access(path, F_OK), <, 0);
}

static void test_create_by_name(Fixture *f, const void *data)
{
    g_autofree char *name = g_strdup_printf("file:%s/a:b", f->dir);
    g_autoptr(GError) error = NULL;
    struct stat info;

    g_assert_true(fixture_create_image(name, "raw", "size=1M,preallocation=falloc", &error));
    g_assert_no_error(error);
    g_assert_cmpint(stat(name + strlen("file:"), &info), ==, 0);
    g_assert_cmpint(info.st_size, ==, MiB);
    g_assert_cmpint(info.st_blocks * 512, >=, (int64_t)MiB);
    g_assert_false(fixture_create_image(name, "raw", "size=1M,colour=red", &error));
    g_assert_nonnull(strstr(error->message, "colour"));
}

/* ---- Names and kinds ---- */

static void test_refusals(Fixture *f, const void *data)
{
    g_autofree char *fifo = g_build_filename(f->dir, "fifo", NULL);

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    fixture_expect_refusal(fixture_options("driver=file,filename=%s/none", f->dir), "No such file");
    fixture_expect_refusal(fixture_options("driver=file,filename=%s", f->dir), "Is a directory");
    fixture_expect_refusal(fixture_options("driver=file,read-only=on,filename=%s", f->dir),
                           "Is a directory");
    fixture_expect_refusal(fixture_options("driver=file,filename=%s", fifo), "regular file");
    fixture_expect_refusal(fixture_options("driver=file,filename=%s,read-only=on", fifo),
                           "regular file");
    fixture_expect_refusal(fixture_options("driver=host_device,filename=%s", f->path),
                           "block device");
    fixture_expect_refusal(fixture_options("driver=file,filename=%s,aio=native", f->path),
                           "cache.direct=on");
    fixture_expect_refusal(fixture_options("driver=file,filename=%s,pr-manager=x", f->path),
                           "pr-manager");
    fixture_expect_refusal(fixture_options("driver=file,filename=%s,aio-max-batch=-1", f->path),
                           "aio-max-batch");
}

static void test_names(Fixture *f, const void *data)
{
    g_autofree char *colon = fixture_file(f->dir, "a:b", 4096);
    g_autofree char *prefixed = g_strconcat("file:", colon, NULL);
    g_autoptr(BlockNode) node = NULL;
    g_autoptr(GError) error = NULL;

    node = block_open(prefixed, NULL, NULL, QAPI_KEYVAL, BLOCK_OPEN_PROTOCOL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(node->driver->name, ==, "file");
    g_assert_cmpint(node->size, ==, 4096);
    g_assert_cmpstr(node->filename, ==, colon); /* a slash comes before the colon */
    g_clear_pointer(&node, block_node_unref);

    g_assert_cmpint(chdir(f->dir), ==, 0);
    node = block_open("file:a:b", NULL, NULL, QAPI_KEYVAL, BLOCK_OPEN_PROTOCOL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(node->filename, ==, "file:a:b");
    g_assert_cmpint(chdir("/"), ==, 0);
}

static void test_null_device(Fixture *f, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BlockNode) node = block_open("/dev/null", NULL, NULL, QAPI_KEYVAL,
                                           BLOCK_OPEN_PROTOCOL, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(node->driver->name, ==, "host_device");
    g_assert_cmpint(node->size, ==, 0);
}

static void test_fdset(Fixture *f, const void *data)
{
    int64_t set = fdset_add(FDSET_NEW, open(f->path, O_RDWR | O_CLOEXEC), NULL, NULL);
    BlockChild *child;
    uint8_t byte = 3;

    child = fixture_open("driver=file,filename=/dev/fdset/%" PRId64, set);
    g_assert_cmpint(fixture_write(child, 9, 1, &byte, 0), ==, 0);
    fixture_close(child);
    /* It has no descriptor for reading only; auto-read-only takes the one there is. */
    child = fixture_open("driver=file,auto-read-only=on,filename=/dev/fdset/%" PRId64, set);
    g_assert_cmpint(fixture_write(child, 10, 1, &byte, 0), ==, 0);
    fixture_close(child);
    fixture_expect_refusal(fixture_options("driver=file,read-only=on,filename=/dev/fdset/%"
                                           PRId64, set),
                           "reading");
    g_assert_true(fdset_remove(set, -1, NULL));
}

/* ---- Modes ---- */

static int access_mode_of(const char *path)
{
    int found = -1;

    for (int fd = 3; fd < 256; fd++) {
        g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
        g_autofree char *target = g_file_read_link(link, NULL);

        if (target && strcmp(target, path) == 0) {
            found = fcntl(fd, F_GETFL) & O_ACCMODE;
        }
    }
    return found;
}

static void test_auto_read_only(Fixture *f, const void *data)
{
    BlockChild *child;
    g_autoptr(GError) error = NULL;
    uint8_t byte = 1;

    child = fixture_try_open(fixture_options("driver=file,filename=%s,auto-read-only=on", f->path),
                             BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, &error);
    g_assert_no_error(error);
    g_assert_false(block_node_is_read_only(child->node));
    g_assert_cmpint(access_mode_of(f->path), ==, O_RDONLY);
    g_assert_true(block_child_set_perm(child, BLOCK_PERM_ALL, BLOCK_PERM_ALL, NULL));
    g_assert_cmpint(access_mode_of(f->path), ==, O_RDWR);
    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), ==, 0);
    g_assert_true(block_child_set_perm(child, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, NULL));
    g_assert_cmpint(access_mode_of(f->path), ==, O_RDONLY);
    fixture_close(child);
    g_assert_cmpint(access_mode_of(f->path), ==, -1);
}

static void test_reopen(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open("driver=file,filename=%s,read-only=on", f->path);
    g_autofree char *renamed = g_build_filename(f->dir, "renamed", NULL);
    g_autofree char *other = NULL;
    g_autoptr(GError) error = NULL;
    uint8_t byte = 1;

    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), <, 0);
    g_assert_true(block_reopen_read_only(child->node, false, &error));
    g_assert_no_error(error);
    g_assert_true(block_child_set_perm(child, BLOCK_PERM_ALL, BLOCK_PERM_ALL, NULL));
    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), ==, 0);
    g_assert_true(block_child_set_perm(child, BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, NULL));
    g_assert_true(block_reopen_read_only(child->node, true, &error));
    g_assert_cmpint(access_mode_of(f->path), ==, O_RDONLY);

    /* Another file has the name now: the open one is meant. */
    g_assert_cmpint(rename(f->path, renamed), ==, 0);
    other = fixture_file(f->dir, "x.img", 12345);
    g_assert_true(block_reopen_read_only(child->node, false, &error));
    g_assert_cmpint(block_getlength(child->node), ==, SIZE);
    fixture_close(child);
}

static void test_activate(Fixture *f, const void *data)
{
    BlockChild *child = fixture_open("driver=file,filename=%s,x-check-cache-dropped=on", f->path);
    g_autoptr(GError) error = NULL;
    uint8_t byte = 5;

    g_assert_cmpint(fixture_write(child, 0, 1, &byte, 0), ==, 0);
    g_assert_true(child->node->driver->activate(child->node, &error));
    g_assert_no_error(error);
    byte = 0;
    g_assert_cmpint(fixture_read(child, 0, 1, &byte), ==, 0);
    g_assert_cmpint(byte, ==, 5);
    fixture_close(child);
}

#define ADD(name, data, fn) g_test_add(name, Fixture, data, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/file/requests/default", "", test_requests);
    ADD("/file/requests/threads", ",aio=threads", test_requests);
    ADD("/file/requests/direct", ",cache.direct=on", test_requests);
    ADD("/file/requests/direct-threads", ",cache.direct=on,aio=threads", test_requests);
    ADD("/file/requests/unsafe", ",cache.no-flush=on", test_requests);
    ADD("/file/requests/batch", ",aio-max-batch=1", test_requests);
    if (file_io_has_engine(loop_main(), FILE_ENGINE_NATIVE)) {
        ADD("/file/requests/native", ",cache.direct=on,aio=native", test_requests);
        ADD("/file/parallel/native", ",cache.direct=on,aio=native", test_parallel);
    }
    ADD("/file/parallel/default", "", test_parallel);
    ADD("/file/parallel/direct", ",cache.direct=on", test_parallel);
    ADD("/file/ragged-end", NULL, test_ragged_end);
    ADD("/file/holes", NULL, test_holes);
    ADD("/file/discard-ignored", NULL, test_discard_ignored);
    ADD("/file/discard-statistics", NULL, test_discard_statistics);
    ADD("/file/truncate", NULL, test_truncate);
    ADD("/file/grows", NULL, test_grows);
    ADD("/file/copy-range", NULL, test_copy_range);
    ADD("/file/activate", NULL, test_activate);
    ADD("/file/create", NULL, test_create);
    ADD("/file/create-by-name", NULL, test_create_by_name);
    ADD("/file/refusals", NULL, test_refusals);
    ADD("/file/names", NULL, test_names);
    ADD("/file/null-device", NULL, test_null_device);
    ADD("/file/fdset", NULL, test_fdset);
    ADD("/file/auto-read-only", NULL, test_auto_read_only);
    ADD("/file/reopen", NULL, test_reopen);
    return g_test_run();
}
