/* SPDX-License-Identifier: Apache-2.0 */
/* Dirty bitmaps on a disk in memory: what they hear, and how successors end. */
#include <errno.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "block/tests/mem-driver.h"
#include "block/transaction.h"

#define SIZE (1 << 20)
#define UNIT 65536

static BlockNode *node;
static BlockChild *root;

static void write_at(int64_t offset, int64_t bytes)
{
    g_autofree uint8_t *buf = g_malloc0((gsize)bytes);

    g_assert_cmpint(block_pwrite(root, offset, bytes, buf, 0), ==, 0);
}

static DirtyBitmap *new_bitmap(const char *name)
{
    GError *error = NULL;
    DirtyBitmap *bitmap = block_dirty_bitmap_new(node, name, UNIT, &error);

    g_assert_no_error(error);
    return bitmap;
}

static void setup(void)
{
    node = mem_node_new(&mem_growing_driver, SIZE, NULL);
    root = mem_attach(node, BLOCK_PERM_ALL);
}

static void teardown(void)
{
    block_child_detach(root);
    block_node_unref(node);
}

static void test_marks(void)
{
    DirtyBitmap *a, *off;
    int64_t at, bytes;

    setup();
    a = new_bitmap("a");
    off = new_bitmap("off");
    block_dirty_bitmap_change_flags(off, 0, BLOCK_BITMAP_ENABLED);
    write_at(UNIT - 1, 2);
    g_assert_cmpint(block_pwrite_zeroes(root, 5 * UNIT, 10, 0), ==, 0);
    g_assert_cmpint(block_pdiscard(root, 9 * UNIT, UNIT), ==, 0);
    g_assert_cmpint(block_dirty_bitmap_count(a), ==, 4 * UNIT);
    g_assert_cmpint(block_dirty_bitmap_count(off), ==, 0);
    g_assert_true(block_dirty_bitmap_next_area(a, 0, SIZE, 0, &at, &bytes));
    g_assert_cmpint(at, ==, 0);
    g_assert_cmpint(bytes, ==, 2 * UNIT);
    /* What failed may have been written in part. */
    mem_disk(node)->fail_op = MEM_WRITE;
    mem_disk(node)->fail_at = 1;
    mem_disk(node)->fail_errno = EIO;
    g_assert_cmpint(block_pwrite(root, 15 * UNIT, 1, "", 0), ==, -EIO);
    g_assert_true(block_dirty_bitmap_get(a, 15 * UNIT));
    block_dirty_bitmap_reset(a, 0, SIZE);
    g_assert_cmpint(block_dirty_bitmap_next_dirty(a, 0, SIZE), ==, -1);
    teardown(); /* which frees them */
}

static void test_resize(void)
{
    BlockTruncate truncate = { .size = SIZE / 2 };
    DirtyBitmap *a;

    setup();
    a = new_bitmap(NULL);
    block_dirty_bitmap_set(a, 0, SIZE);
    g_assert_cmpint(block_truncate(root, &truncate, NULL), ==, 0);
    g_assert_cmpint(block_dirty_bitmap_size(a), ==, SIZE / 2);
    g_assert_cmpint(block_dirty_bitmap_count(a), ==, SIZE / 2);
    teardown();
}

static void test_successor(void)
{
    DirtyBitmap *a;

    setup();
    a = new_bitmap("a");
    write_at(0, 1);
    g_assert_true(block_dirty_bitmap_create_successor(a, NULL));
    g_assert_false(block_dirty_bitmap_create_successor(a, NULL));
    g_assert_true(block_dirty_bitmap_is_recording(a));
    g_assert_false(block_dirty_bitmap_check(a, BLOCK_BITMAP_BUSY, NULL));
    write_at(UNIT, 1);
    g_assert_cmpint(block_dirty_bitmap_count(a), ==, UNIT);
    block_dirty_bitmap_reclaim(a);
    g_assert_cmpint(block_dirty_bitmap_count(a), ==, 2 * UNIT);
    g_assert_true(block_dirty_bitmap_create_successor(a, NULL));
    write_at(4 * UNIT, 1);
    block_dirty_bitmap_abdicate(a);
    g_assert_cmpint(block_dirty_bitmap_count(a), ==, UNIT);
    g_assert_true(block_dirty_bitmap_get(a, 4 * UNIT));
    g_assert_cmpint(block_dirty_bitmap_flags(a), ==, BLOCK_BITMAP_ENABLED);
    teardown();
}

static void test_clear_and_merge(void)
{
    DirtyBitmap *a, *b;
    HBitmap *backup;

    setup();
    a = new_bitmap("a");
    write_at(0, 1);
    b = new_bitmap("b");
    write_at(UNIT, 1);
    g_assert_true(block_dirty_bitmap_clear(a, &backup, NULL));
    g_assert_cmpint(block_dirty_bitmap_count(a), ==, 0);
    block_dirty_bitmap_restore(a, backup);
    g_assert_cmpint(block_dirty_bitmap_count(a), ==, 2 * UNIT);
    g_assert_true(block_dirty_bitmap_merge(b, a, &backup, NULL));
    g_assert_cmpint(block_dirty_bitmap_count(b), ==, 2 * UNIT);
    block_dirty_bitmap_restore(b, backup);
    g_assert_cmpint(block_dirty_bitmap_count(b), ==, UNIT);
    g_assert_true(block_dirty_bitmap_merge(b, b, NULL, NULL));
    g_assert_cmpint(block_dirty_bitmap_count(b), ==, UNIT);
    g_assert_true(block_dirty_bitmap_find(node, "a") == a);
    g_assert_null(block_dirty_bitmap_find(node, "c"));
    teardown();
}

static void log_step(void *data, char what)
{
    GString *log = *(GString **)data;

    g_string_append_c(log, what);
    g_string_append_c(log, ((char *)data)[sizeof(GString *)]);
}

static void log_commit(void *data)
{
    log_step(data, 'c');
}

static void log_abort(void *data)
{
    log_step(data, 'a');
}

static const BlockStepOps log_ops = { .commit = log_commit, .abort = log_abort, .clean = g_free };

static void add_logged(BlockTransaction *tx, GString *log, char name)
{
    char *data = g_malloc0(sizeof(GString *) + 1);

    memcpy(data, &log, sizeof(log));
    data[sizeof(log)] = name;
    block_transaction_add(tx, &log_ops, data);
}

static void test_transaction(void)
{
    for (int ok = 0; ok < 2; ok++) {
        g_autoptr(GString) log = g_string_new(NULL);
        BlockTransaction *tx = block_transaction_new();

        add_logged(tx, log, '1');
        add_logged(tx, log, '2');
        g_assert_cmpint(block_transaction_end(tx, ok), ==, ok);
        g_assert_cmpstr(log->str, ==, ok ? "c1c2" : "a2a1");
    }
}

static void in_coroutine_marks(void)
{
    mem_run(test_marks);
}

static void in_coroutine_resize(void)
{
    mem_run(test_resize);
}

static void in_coroutine_successor(void)
{
    mem_run(test_successor);
}

static void in_coroutine_merge(void)
{
    mem_run(test_clear_and_merge);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dirty-bitmap/marks", in_coroutine_marks);
    g_test_add_func("/dirty-bitmap/resize", in_coroutine_resize);
    g_test_add_func("/dirty-bitmap/successor", in_coroutine_successor);
    g_test_add_func("/dirty-bitmap/clear-and-merge", in_coroutine_merge);
    g_test_add_func("/dirty-bitmap/transaction", test_transaction);
    return g_test_run();
}
