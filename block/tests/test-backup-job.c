/* SPDX-License-Identifier: Apache-2.0 */
/* A backup keeps what the disk had when it began, whatever is written meanwhile. */
#include <errno.h>
#include <string.h>

#include "block/backup.h"
#include "block/dirty-bitmap.h"
#include "block/tests/mem-driver.h"

#define SIZE (16 * 65536)

static BlockNode *source, *target;
static BlockChild *guest;
static Job *job;

static void setup(MirrorSyncMode sync, const char *bitmap)
{
    BlockdevBackup arg = {
        .job_id = (char *)"j", .sync = sync, .bitmap = (char *)bitmap,
        .has_auto_dismiss = true, .auto_dismiss = false,
    };
    GError *error = NULL;

    source = source ? source : mem_node_new(&mem_driver, SIZE, NULL);
    target = mem_node_new(&mem_driver, SIZE, NULL);
    arg.device = source->name;
    arg.target = target->name;
    mem_disk(source)->turns = mem_disk(target)->turns = 3;
    for (int i = 0; !guest && i < SIZE; i++) {
        mem_disk(source)->data[i] = (uint8_t)(i / 7);
    }
    guest = guest ? guest : mem_attach(source, BLOCK_PERM_ALL & ~BLOCK_PERM_RESIZE);
    job = block_backup_new(&arg, NULL, &error);
    g_assert_no_error(error);
}

static void write_everywhere(void)
{
    uint8_t buf[3000];

    memset(buf, 0xff, sizeof(buf));
    for (int i = 0; i < 40; i++) {
        int64_t offset = g_test_rand_int_range(0, SIZE - (int)sizeof(buf));

        g_assert_cmpint(block_pwrite(guest, offset, sizeof(buf), buf, 0), ==, 0);
    }
    g_assert_cmpint(block_pwrite_zeroes(guest, 5 * 65536, 3 * 65536, 0), ==, 0);
}

static void finish(void)
{
    while (job->status != JOB_STATUS_CONCLUDED) {
        loop_iterate(loop_main(), true);
    }
}

static void teardown(void)
{
    g_assert_true(job_user_dismiss(job, NULL));
    block_child_detach(guest);
    guest = NULL;
    block_node_unref(target);
    block_node_unref(source);
    source = NULL;
}

static void test_moment(void)
{
    g_autofree uint8_t *before = NULL;

    setup(MIRROR_SYNC_MODE_FULL, NULL);
    before = g_memdup2(mem_disk(source)->data, SIZE);
    g_assert_true(job_user_pause(job, NULL));
    job_start(job);
    mem_run(write_everywhere);
    g_assert_cmpint(memcmp(before, mem_disk(source)->data, SIZE), !=, 0);
    g_assert_true(job_user_resume(job, NULL));
    mem_run(write_everywhere); /* now both copy */
    finish();
    g_assert_null(job->error);
    g_assert_cmpint(memcmp(before, mem_disk(target)->data, SIZE), ==, 0);
    teardown();
}

static void test_failed_copy(void)
{
    setup(MIRROR_SYNC_MODE_FULL, NULL);
    mem_disk(target)->fail_op = MEM_WRITE;
    mem_disk(target)->fail_at = 1;
    mem_disk(target)->fail_errno = EIO;
    g_assert_true(job_user_pause(job, NULL));
    job_start(job);
    mem_run(write_everywhere); /* whose writes succeed */
    g_assert_true(job_user_resume(job, NULL));
    finish();
    g_assert_nonnull(strstr(job->error->message, "before a write"));
    teardown();
}

static void test_incremental(void)
{
    DirtyBitmap *bitmap;

    source = mem_node_new(&mem_driver, SIZE, NULL);
    guest = mem_attach(source, BLOCK_PERM_ALL & ~BLOCK_PERM_RESIZE);
    bitmap = block_dirty_bitmap_new(source, "bits", 65536, NULL);
    memset(mem_disk(source)->data, 1, SIZE);
    block_dirty_bitmap_set(bitmap, 65536, 65536);
    setup(MIRROR_SYNC_MODE_INCREMENTAL, "bits");
    g_assert_true(block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_BUSY);
    job_start(job);
    mem_run(write_everywhere);
    finish();
    g_assert_cmpint(mem_disk(target)->data[65535], ==, 0);
    g_assert_cmpint(mem_disk(target)->data[65536], ==, 1);
    g_assert_cmpint(mem_disk(target)->data[2 * 65536 - 1], ==, 1);
    g_assert_cmpint(mem_disk(target)->data[2 * 65536], ==, 0);
    /* What was written since is dirty, and nothing else is busy with it. */
    g_assert_true(block_dirty_bitmap_get(bitmap, 6 * 65536));
    g_assert_cmpint(block_dirty_bitmap_flags(bitmap), ==, BLOCK_BITMAP_ENABLED);
    teardown();
}

static void test_incremental_fails(void)
{
    DirtyBitmap *bitmap;

    source = mem_node_new(&mem_driver, SIZE, NULL);
    guest = mem_attach(source, BLOCK_PERM_ALL & ~BLOCK_PERM_RESIZE);
    memset(mem_disk(source)->data, 1, SIZE);
    bitmap = block_dirty_bitmap_new(source, "bits", 65536, NULL);
    block_dirty_bitmap_set(bitmap, 0, 65536);
    setup(MIRROR_SYNC_MODE_INCREMENTAL, "bits");
    mem_disk(target)->fail_op = MEM_WRITE;
    mem_disk(target)->fail_at = 1;
    mem_disk(target)->fail_errno = EIO;
    job_start(job);
    finish();
    g_assert_nonnull(strstr(job->error->message, "Cannot write the copy at 0"));
    g_assert_true(block_dirty_bitmap_get(bitmap, 0));
    g_assert_cmpint(block_dirty_bitmap_flags(bitmap), ==, BLOCK_BITMAP_ENABLED);
    teardown();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/backup/moment", test_moment);
    g_test_add_func("/backup/failed-copy", test_failed_copy);
    g_test_add_func("/backup/incremental", test_incremental);
    g_test_add_func("/backup/incremental-fails", test_incremental_fails);
    return g_test_run();
}
