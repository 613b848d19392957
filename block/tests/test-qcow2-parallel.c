/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many requests at once, and disks that fail. Each of several coroutines owns every eighth sector,
 * so that all of them write into the same clusters; what it has written is there afterwards, and
 * the image checks clean.
 */
#include <errno.h>
#include <string.h>

#include "block/tests/log-disk.h"
#include "block/tests/mem-driver.h"
#include "util/coroutine.h"

#define DISK_SIZE (512 * 1024)
#define SECTORS (DISK_SIZE / BLOCK_SECTOR)
#define WRITERS 8

typedef struct Test {
    const char *options;
    bool backing;
    bool failing;            /* one write fails now and then */
    BlockNode *file, *base, *node;
    BlockChild *root;
    uint8_t model[SECTORS];
    bool uncertain[SECTORS]; /* its last write failed: old or new */
    unsigned running;
} Test;

typedef struct Writer {
    Test *test;
    unsigned own;
} Writer;

static void one_write(Test *test, unsigned own)
{
    unsigned sector = (unsigned)g_test_rand_int_range(0, SECTORS / WRITERS) * WRITERS + own;
    uint8_t fill = (uint8_t)g_test_rand_int_range(0, 200), data[BLOCK_SECTOR];
    int ret;

    memset(data, fill, sizeof(data));
    if (fill < 20) {
        fill = 0;
        ret = block_pwrite_zeroes(test->root, (int64_t)sector * BLOCK_SECTOR, BLOCK_SECTOR,
                                  BLOCK_REQ_MAY_UNMAP);
    } else {
        ret = block_pwrite(test->root, (int64_t)sector * BLOCK_SECTOR, BLOCK_SECTOR, data, 0);
    }
    g_assert_true(ret == 0 || test->failing);
    test->uncertain[sector] = ret < 0;
    test->model[sector] = ret < 0 ? test->model[sector] : fill;
}

static void check_own(Test *test, unsigned own)
{
    unsigned sector = (unsigned)g_test_rand_int_range(0, SECTORS / WRITERS) * WRITERS + own;
    uint8_t data[BLOCK_SECTOR];
    int ret = block_pread(test->root, (int64_t)sector * BLOCK_SECTOR, BLOCK_SECTOR, data);

    /* A full cache may have to write before it can read. */
    g_assert_true(ret == 0 || test->failing);
    if (ret == 0 && !test->uncertain[sector]) {
        g_assert_cmpuint(data[7], ==, test->model[sector]);
    }
}

static void write_own(void *opaque)
{
    Writer writer = *(Writer *)opaque;
    Test *test = writer.test;

    for (unsigned i = 0; i < 120; i++) {
        int what = g_test_rand_int_range(0, 20);

        if (what == 0) {
            int ret = block_flush(test->node);

            g_assert_true(ret == 0 || test->failing);
        } else if (what < 6) {
            check_own(test, writer.own);
        } else {
            one_write(test, writer.own);
        }
        if (test->failing && !log_disk(test->file)->fail_at) {
            log_disk(test->file)->fail_at = (unsigned)g_test_rand_int_range(5, 60);
        }
    }
    test->running--;
}

static void wait_for_all(const Test *test)
{
    while (test->running) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
}

/* Large zeroes and discards, with nothing else under way. */
static void clear_some(Test *test)
{
    unsigned first = (unsigned)g_test_rand_int_range(0, SECTORS);
    unsigned n = (unsigned)g_test_rand_int_range(1, (int)(SECTORS - first) + 1);
    int ret = block_pwrite_zeroes(test->root, (int64_t)first * BLOCK_SECTOR,
                                  (int64_t)n * BLOCK_SECTOR, BLOCK_REQ_MAY_UNMAP);

    g_assert_true(ret == 0 || test->failing);
    for (unsigned s = first; s < first + n; s++) {
        test->model[s] = 0;
        test->uncertain[s] = ret < 0;
    }
}

static void verify(Test *test)
{
    g_autofree uint8_t *data = g_malloc(DISK_SIZE);
    BlockCheckResult result = { 0 };

    g_assert_cmpint(block_pread(test->root, 0, DISK_SIZE, data), ==, 0);
    for (unsigned s = 0; s < SECTORS; s++) {
        if (!test->uncertain[s]) {
            g_assert_cmpuint(data[s * BLOCK_SECTOR], ==, test->model[s]);
            g_assert_cmpuint(data[s * BLOCK_SECTOR + 511], ==, test->model[s]);
        }
    }
    g_assert_cmpint(test->node->driver->check(test->node, &result, 0, NULL), ==, 0);
    g_assert_cmpint(result.corruptions, ==, 0);
    g_assert_cmpint(result.check_errors, ==, 0);
    g_assert_true(result.leaks == 0 || test->failing);
}

static void open_again(Test *test)
{
    block_child_detach(test->root);
    block_node_unref(test->node);
    test->node = log_disk_open_qcow2(test->file, test->base);
    test->root = mem_attach(test->node, BLOCK_PERM_ALL);
}

static void run(void *opaque)
{
    Test *test = opaque;
    Writer writers[WRITERS];

    test->file = log_disk_new();
    if (test->backing) {
        test->base = log_disk_new();
        test->base->size = DISK_SIZE;
        memset(log_disk(test->base)->data, 77, DISK_SIZE);
        memset(test->model, 77, SECTORS);
    }
    log_disk_create(test->file, "qcow2", DISK_SIZE, test->options);
    test->node = log_disk_open_qcow2(test->file, test->base);
    test->root = mem_attach(test->node, BLOCK_PERM_ALL);
    log_disk(test->file)->slow = true;
    for (unsigned round = 0; round < 4; round++) {
        log_disk(test->file)->fail_errno = round & 1 ? ENOSPC : EIO;
        for (unsigned i = 0; i < WRITERS; i++) {
            writers[i] = (Writer) { test, i };
            test->running++;
            coroutine_start(write_own, &writers[i]);
        }
        wait_for_all(test);
        clear_some(test);
        log_disk(test->file)->fail_at = 0;
        g_assert_cmpint(block_flush(test->node), ==, 0);
        verify(test);
        open_again(test);
        verify(test);
    }
    block_child_detach(test->root);
    block_node_unref(test->node);
    block_node_unref(test->file);
    block_node_unref(test->base);
}

static const struct {
    const char *name, *options;
    bool backing, failing;
} variants[] = {
    { "4k", ",\"cluster-size\":4096", false, false },
    { "64k-backing", "", true, false },
    { "subclusters", ",\"cluster-size\":16384,\"extended-l2\":true", true, false },
    { "512", ",\"cluster-size\":512,\"refcount-bits\":64", true, false },
    { "2m", ",\"cluster-size\":2097152", true, false },
    { "failing", ",\"cluster-size\":4096", false, true },
    { "failing-backing", ",\"cluster-size\":8192", true, true },
    { "failing-512", ",\"cluster-size\":512,\"refcount-bits\":64", true, true },
    { "failing-subclusters", ",\"cluster-size\":16384,\"extended-l2\":true", true, true },
    { "failing-lazy", ",\"lazy-refcounts\":true,\"cluster-size\":4096", false, true },
};

static void test_variant(const void *opaque)
{
    guint i = GPOINTER_TO_UINT(opaque);

    for (unsigned round = 0; round < 3; round++) {
        g_autofree Test *test = g_new0(Test, 1);

        test->options = variants[i].options;
        test->backing = variants[i].backing;
        test->failing = variants[i].failing;
        coroutine_run(run, test);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path = g_strdup_printf("/qcow2/parallel/%s", variants[i].name);

        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_variant);
    }
    return g_test_run();
}
