/* SPDX-License-Identifier: Apache-2.0 */
/* Backends: requests by call and by callback, drained sections, media, errors, statistics. */
#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/tests/mem-driver.h"
#include "qapi-commands-block-core.h"
#include "qapi-commands-block-stats.h"
#include "qapi-commands-block.h"
#include "qapi/event.h"
#include "util/coroutine.h"
#include "util/thread.h"
#include "util/vm-lock.h"

#define SIZE 100000
#define RW (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE)

static BlockBackend *backend_new(Loop *loop)
{
    g_autoptr(BlockNode) node = mem_node_new(&mem_driver, SIZE, NULL);
    BlockBackend *blk = block_backend_new(loop, RW, BLOCK_PERM_ALL);
    GError *error = NULL;

    block_backend_insert(blk, node, &error);
    g_assert_no_error(error);
    return blk;
}

static MemDisk *disk_of(BlockBackend *blk)
{
    return mem_disk(block_backend_node(blk));
}

/* ---- Calls ---- */

static void test_calls(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    BlockNode *node = block_backend_node(blk);
    uint8_t buf[100];

    memset(buf, 1, sizeof(buf));
    g_assert_cmpint(block_backend_getlength(blk), ==, SIZE);
    g_assert_cmpint(block_backend_pwrite(blk, 10, 100, buf, 0), ==, 0);
    g_assert_cmpint(block_backend_pread(blk, 60, 100, buf), ==, 0);
    g_assert_cmpint(buf[49], ==, 1);
    g_assert_cmpint(buf[50], ==, 0);
    g_assert_cmpint(block_backend_pwrite_zeroes(blk, 10, 10, 0), ==, 0);
    g_assert_cmpint(block_backend_pdiscard(blk, 20, 10), ==, 0);
    g_assert_cmpint(disk_of(blk)->data[29], ==, 0);
    g_assert_cmpint(disk_of(blk)->data[30], ==, 1);

    /* Nothing beyond the end, also not by sums that overflow. */
    g_assert_cmpint(block_backend_pread(blk, SIZE - 99, 100, buf), ==, -EIO);
    g_assert_cmpint(block_backend_pread(blk, -1, 100, buf), ==, -EIO);
    g_assert_cmpint(block_backend_pwrite(blk, INT64_MAX, 100, buf, 0), ==, -EIO);
    g_assert_cmpint(block_backend_pwrite_zeroes(blk, 1, INT64_MAX, 0), ==, -EIO);
    g_assert_cmpint(block_backend_pdiscard(blk, 1, INT64_MAX), ==, -EIO);
    g_assert_cmpint(block_backend_pdiscard(blk, 0, -1), ==, -EIO);

    /* Without a write cache every write is stable. */
    g_assert_cmpint(block_backend_flush(blk), ==, 0);
    disk_of(blk)->calls[MEM_FLUSH] = 0;
    block_backend_set_write_cache(blk, false);
    g_assert_cmpint(block_backend_pwrite(blk, 10, 100, buf, 0), ==, 0);
    g_assert_cmpint(block_backend_pwrite_zeroes(blk, 10, 10, 0), ==, 0);
    g_assert_cmpuint(disk_of(blk)->calls[MEM_FLUSH], ==, 2);

    block_node_ref(node);
    block_backend_remove(blk);
    g_assert_cmpuint(node->parents->len, ==, 0);
    block_node_unref(node);
    g_assert_null(block_backend_node(blk));
    g_assert_cmpint(block_backend_getlength(blk), ==, -ENOMEDIUM);
    g_assert_cmpint(block_backend_pread(blk, 0, 1, buf), ==, -ENOMEDIUM);
    g_assert_cmpint(block_backend_flush(blk), ==, -ENOMEDIUM);
    g_assert_cmpint(block_backend_truncate(blk, &(BlockTruncate){ .size = 1 }, NULL), ==,
                    -ENOMEDIUM);
}

static void run_calls(void)
{
    mem_run(test_calls);
}

/* ---- Callbacks ---- */

typedef struct Completion {
    BlockBackend *blk;
    int result;
    unsigned calls;
    unsigned again; /* so many more, each from the callback of the one before */
} Completion;

static void completed(void *opaque, int result)
{
    Completion *c = opaque;

    c->result = result;
    c->calls++;
    if (c->again) {
        c->again--;
        block_backend_aio_flush(c->blk, completed, c);
    }
}

static void wait_until(const Completion *c, unsigned calls)
{
    while (c->calls < calls) {
        loop_iterate(loop_main(), true);
    }
}

static void test_callbacks(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    uint8_t out[200], in[200] = { 0 };
    struct iovec iov[] = { { out, 50 }, { out + 50, 150 } }, whole = { in, 200 };
    Completion c = { blk };

    memset(out, 5, sizeof(out));
    /* The vector is copied; and though this disk answers at once, we return first. */
    block_backend_aio_pwritev(blk, 100, &(BlockVec){ iov, 2 }, 0, completed, &c);
    g_assert_cmpuint(c.calls, ==, 0);
    wait_until(&c, 1);
    g_assert_cmpint(c.result, ==, 0);
    disk_of(blk)->turns = 2;
    block_backend_aio_preadv(blk, 100, &(BlockVec){ &whole, 1 }, 0, completed, &c);
    wait_until(&c, 2);
    g_assert_cmpmem(in, 200, out, 200);
    block_backend_aio_pwrite_zeroes(blk, 100, 10, 0, completed, &c);
    block_backend_aio_pdiscard(blk, 110, 10, completed, &c);
    block_backend_aio_flush(blk, completed, &c);
    wait_until(&c, 5);
    g_assert_cmpint(disk_of(blk)->data[119], ==, 0);
    g_assert_cmpint(disk_of(blk)->data[120], ==, 5);
    block_backend_aio_pdiscard(blk, SIZE, 1, completed, &c);
    wait_until(&c, 6);
    g_assert_cmpint(c.result, ==, -EIO);

    /* Not one inside the other, which would use up the stack. */
    disk_of(blk)->turns = 0;
    c.again = 100000;
    block_backend_aio_flush(blk, completed, &c);
    wait_until(&c, 6 + 100001);
}

/* ---- Drained sections ---- */

static void test_drain(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    BlockNode *node = block_node_ref(block_backend_node(blk));
    Completion c = { blk };

    disk_of(blk)->turns = 3;
    block_backend_aio_pwrite_zeroes(blk, 0, 10, 0, completed, &c);
    block_drain_begin(node);
    g_assert_cmpuint(c.calls, ==, 1);
    for (int i = 0; i < 3; i++) {
        block_backend_aio_pwrite_zeroes(blk, 0, 10, 0, completed, &c);
    }
    for (int i = 0; i < 10; i++) {
        loop_iterate(loop_main(), false);
    }
    g_assert_cmpuint(disk_of(blk)->calls[MEM_ZERO], ==, 1);
    block_drain_begin(node);
    block_drain_end(node);
    g_assert_cmpuint(disk_of(blk)->calls[MEM_ZERO], ==, 1);
    block_drain_end(node);
    wait_until(&c, 4);
    g_assert_cmpint(c.result, ==, 0);

    /* Those that wait while the medium goes find none. */
    block_drain_begin(node);
    block_backend_aio_pwrite_zeroes(blk, 0, 10, 0, completed, &c);
    block_backend_remove(blk);
    block_drain_end(node);
    wait_until(&c, 5);
    g_assert_cmpint(c.result, ==, -ENOMEDIUM);
    block_node_unref(node);
}

/* ---- Another thread ---- */

typedef struct OtherThread {
    BlockBackend *blk;
    unsigned submitted, done; /* atomic */
    bool stop;                /* atomic */
} OtherThread;

static void *run_loop(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static void other_done(void *opaque, int result)
{
    OtherThread *other = opaque;

    g_assert_cmpint(result, ==, 0);
    g_assert_true(loop_current() == block_backend_loop(other->blk));
    __atomic_fetch_add(&other->done, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&other->stop, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_add(&other->submitted, 1, __ATOMIC_SEQ_CST);
        block_backend_aio_pwrite_zeroes(other->blk, 0, 10, 0, other_done, other);
    }
}

static void other_start(void *opaque)
{
    OtherThread *other = opaque;

    for (int i = 0; i < 8; i++) {
        __atomic_fetch_add(&other->submitted, 1, __ATOMIC_SEQ_CST);
        block_backend_aio_pwrite_zeroes(other->blk, 0, 10, 0, other_done, other);
    }
}

/* A thread that never stops asking, and a main thread that stops it again and again. */
static void test_thread(void)
{
    Loop *loop = loop_new(NULL);
    pthread_t thread;
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    BlockNode *node = block_backend_node(blk);
    OtherThread other = { blk };

    g_assert_true(thread_create(&thread, "test-loop", run_loop, loop, NULL));
    g_assert_true(block_backend_set_loop(blk, loop, NULL));
    g_assert_true(node->loop == loop);
    disk_of(blk)->turns = 1;
    loop_post(loop, other_start, &other);
    for (int i = 0; i < 200; i++) {
        unsigned calls, done = __atomic_load_n(&other.done, __ATOMIC_SEQ_CST);

        block_drain_begin(node);
        g_assert_cmpint(__atomic_load_n(&node->p->in_flight, __ATOMIC_SEQ_CST), ==, 0);
        calls = __atomic_load_n(&disk_of(blk)->calls[MEM_ZERO], __ATOMIC_SEQ_CST);
        if (i % 50 == 0) {
            g_usleep(1000);
        }
        g_assert_cmpuint(__atomic_load_n(&disk_of(blk)->calls[MEM_ZERO], __ATOMIC_SEQ_CST), ==,
                         calls);
        block_drain_end(node);
        while (__atomic_load_n(&other.done, __ATOMIC_SEQ_CST) == done) {
            g_thread_yield();
        }
    }
    __atomic_store_n(&other.stop, true, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&other.done, __ATOMIC_SEQ_CST) !=
           __atomic_load_n(&other.submitted, __ATOMIC_SEQ_CST)) {
        loop_iterate(loop_main(), false);
    }
    /* Home again, also for requests that wait in the queue meanwhile. */
    g_assert_true(block_backend_set_loop(blk, loop_main(), NULL));
    loop_quit(loop);
    pthread_join(thread, NULL);
    loop_free(loop);
}

/* What a vCPU's thread does in a device model. */
static void *submit_with_vm_lock(void *opaque)
{
    Completion *c = opaque;

    vm_lock();
    for (int i = 0; i < 100; i++) {
        block_backend_aio_pwrite_zeroes(c->blk, 0, 10, 0, completed, c);
    }
    vm_unlock();
    return NULL;
}

static void test_vcpu_thread(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    Completion c = { blk, .result = 1 };
    pthread_t thread;

    disk_of(blk)->turns = 1;
    g_assert_true(thread_create(&thread, "test-vcpu", submit_with_vm_lock, &c, NULL));
    wait_until(&c, 100);
    g_assert_cmpint(c.result, ==, 0);
    pthread_join(thread, NULL);
}

/* ---- Owners, names ---- */

typedef struct Owner {
    unsigned begun, ended, resized;
    bool tray_open;
} Owner;

static void owner_resized(void *owner)
{
    ((Owner *)owner)->resized++;
}

static void owner_drain_begin(void *owner)
{
    ((Owner *)owner)->begun++;
}

static void owner_drain_end(void *owner)
{
    ((Owner *)owner)->ended++;
}

static bool owner_is_tray_open(void *owner)
{
    return ((Owner *)owner)->tray_open;
}

static const BlockBackendOps owner_ops = {
    .resized = owner_resized,
    .drain_begin = owner_drain_begin,
    .drain_end = owner_drain_end,
    .is_tray_open = owner_is_tray_open,
};

static void test_owner(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    g_autoptr(BlockBackend) second = block_backend_new(loop_main(), 0, BLOCK_PERM_ALL);
    Owner owner = { 0 };
    GError *error = NULL;

    g_assert_true(block_backend_set_name(blk, "drive0", NULL));
    g_assert_false(block_backend_set_name(second, "drive0", NULL));
    g_assert_false(block_backend_set_name(second, block_backend_node(blk)->name, NULL));
    g_assert_true(block_backend_find("drive0") == blk);
    g_assert_null(block_backend_find("drive1"));

    g_assert_true(block_backend_attach_owner(blk, &owner_ops, &owner, "virtio0", NULL));
    g_assert_false(block_backend_attach_owner(blk, &owner_ops, &owner, "virtio1", &error));
    g_assert_nonnull(strstr(error->message, "virtio0"));
    g_clear_error(&error);
    block_backend_drain(blk);
    g_assert_cmpuint(owner.begun, ==, 1);
    g_assert_cmpuint(owner.ended, ==, 1);
    block_node_resized(block_backend_node(blk), SIZE / 2);
    g_assert_cmpuint(owner.resized, ==, 0); /* by the loop, not from inside a request */
    while (!owner.resized) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpint(block_backend_getlength(blk), ==, SIZE / 2);
    owner.tray_open = true;
    g_assert_cmpint(block_backend_getlength(blk), ==, -ENOMEDIUM);
    g_assert_false(block_backend_insert(blk, block_backend_node(blk), &error));
    g_clear_error(&error);
    block_backend_detach_owner(blk);
}

/* ---- Errors ---- */

typedef struct Events {
    GString *log;
} Events;

static unsigned stops;

static void count_stop(void)
{
    stops++;
}

static void log_event(int event, const char *name, json_object *data, void *opaque)
{
    g_string_append_printf(opaque, "%s %s;", name, json_object_to_json_string_ext(data, 0));
}

static void test_error_actions(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    GString *log = g_string_new(NULL);
    BlockDeviceIoStatus status;

    g_assert_cmpint(block_backend_error_action(blk, true, ENOSPC), ==, BLOCK_ERROR_ACTION_REPORT);
    g_assert_cmpint(block_backend_error_action(blk, false, EIO), ==, BLOCK_ERROR_ACTION_REPORT);
    g_assert_cmpint(block_backend_error_action(blk, false, ENOSPC), ==, BLOCK_ERROR_ACTION_STOP);
    block_backend_set_on_error(blk, BLOCKDEV_ON_ERROR_STOP, BLOCKDEV_ON_ERROR_IGNORE);
    g_assert_cmpint(block_backend_error_action(blk, true, EIO), ==, BLOCK_ERROR_ACTION_STOP);
    g_assert_cmpint(block_backend_error_action(blk, false, ENOSPC), ==, BLOCK_ERROR_ACTION_IGNORE);

    qapi_set_event_sink(log_event, log);
    block_backend_set_stop_vm(count_stop);
    g_assert_true(block_backend_set_name(blk, "hd", NULL));
    block_backend_enable_io_status(blk);
    block_backend_error(blk, BLOCK_ERROR_ACTION_REPORT, true, EIO);
    g_assert_cmpuint(stops, ==, 0);
    g_assert_true(block_backend_io_status(blk, &status));
    g_assert_cmpint(status, ==, BLOCK_DEVICE_IO_STATUS_OK);
    block_backend_error(blk, BLOCK_ERROR_ACTION_STOP, false, ENOSPC);
    block_backend_error(blk, BLOCK_ERROR_ACTION_STOP, false, EIO);
    g_assert_cmpuint(stops, ==, 2);
    block_backend_io_status(blk, &status);
    g_assert_cmpint(status, ==, BLOCK_DEVICE_IO_STATUS_NOSPACE);
    g_assert_nonnull(strstr(log->str, "\"operation\":\"write\",\"action\":\"stop\","
                                      "\"nospace\":true,"));
    g_assert_nonnull(strstr(log->str, "BLOCK_IO_ERROR {\"device\":\"hd\","));
    block_backends_go_on();
    block_backend_io_status(blk, &status);
    g_assert_cmpint(status, ==, BLOCK_DEVICE_IO_STATUS_OK);
    block_backend_set_stop_vm(NULL);
    qapi_set_event_sink(NULL, NULL);
    g_string_free(log, TRUE);
}

static void write_beyond_threshold(void)
{
    BlockBackend *blk = block_backend_find("hd");

    g_assert_cmpint(block_backend_pwrite_zeroes(blk, 0, 1000, 0), ==, 0);
    g_assert_cmpint(block_backend_pwrite_zeroes(blk, 990, 20, 0), ==, 0);
    g_assert_cmpint(block_backend_pwrite_zeroes(blk, 990, 20, 0), ==, 0);
}

static void test_threshold(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    GString *log = g_string_new(NULL);
    g_autofree char *expected = NULL;

    g_assert_true(block_backend_set_name(blk, "hd", NULL));
    g_assert_true(qmp_block_set_write_threshold(block_backend_node(blk)->name, 1000, NULL));
    g_assert_false(qmp_block_set_write_threshold("nobody", 1000, NULL));
    qapi_set_event_sink(log_event, log);
    mem_run(write_beyond_threshold);
    qapi_set_event_sink(NULL, NULL);
    expected = g_strdup_printf("BLOCK_WRITE_THRESHOLD {\"node-name\":\"%s\",\"amount-exceeded\":10,"
                               "\"write-threshold\":1000};", block_backend_node(blk)->name);
    g_assert_cmpstr(log->str, ==, expected);
    g_string_free(log, TRUE);
}

/* ---- Statistics ---- */

static void some_requests(void)
{
    BlockBackend *blk = block_backend_find("hd");
    uint8_t buf[4096] = { 0 };

    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(block_backend_pread(blk, 0, 4096, buf), ==, 0);
    }
    g_assert_cmpint(block_backend_pwrite(blk, 8192, 4096, buf, 0), ==, 0);
    g_assert_cmpint(block_backend_pdiscard(blk, 0, 512), ==, 0);
    g_assert_cmpint(block_backend_flush(blk), ==, 0);
    g_assert_cmpint(block_backend_pread(blk, SIZE, 1, buf), ==, -EIO);
    disk_of(blk)->fail_op = MEM_WRITE;
    disk_of(blk)->fail_at = 1;
    disk_of(blk)->fail_errno = EIO;
    g_assert_cmpint(block_backend_pwrite(blk, 0, 1, buf, 0), ==, -EIO);
}

static BlockStats *stats_of(GPtrArray *list, const char *device)
{
    for (guint i = 0; i < list->len; i++) {
        BlockStats *stats = g_ptr_array_index(list, i);

        if (!g_strcmp0(stats->device, device)) {
            return stats;
        }
    }
    g_assert_not_reached();
}

static void test_stats(void)
{
    g_autoptr(BlockBackend) blk = backend_new(loop_main());
    g_autoptr(BlockBackend) unnamed = backend_new(loop_main());
    GArray *bounds = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GPtrArray *list;
    BlockDeviceStats *s;

    for (uint64_t bound = 0; bound < 2; bound++) {
        uint64_t ns = bound ? 1000000000000 : 1;

        g_array_append_val(bounds, ns);
    }
    g_assert_true(block_backend_set_name(blk, "hd", NULL));
    block_accounting_add_interval(block_backend_accounting(blk), 60);
    g_assert_true(qmp_block_latency_histogram_set("hd", NULL, bounds, NULL, NULL, NULL));
    g_assert_false(qmp_block_latency_histogram_set("hd2", NULL, bounds, NULL, NULL, NULL));
    mem_run(some_requests);

    list = qmp_query_blockstats(false, false, NULL);
    g_assert_cmpuint(list->len, ==, 1);
    s = stats_of(list, "hd")->stats;
    g_assert_cmpint(s->rd_bytes, ==, 3 * 4096);
    g_assert_cmpint(s->rd_operations, ==, 3);
    g_assert_cmpint(s->invalid_rd_operations, ==, 1);
    g_assert_cmpint(s->failed_rd_operations, ==, 0);
    g_assert_cmpint(s->wr_bytes, ==, 4096);
    g_assert_cmpint(s->failed_wr_operations, ==, 1);
    g_assert_cmpint(s->unmap_bytes, ==, 512);
    g_assert_cmpint(s->flush_operations, ==, 1);
    g_assert_cmpint(s->wr_highest_offset, ==, 12288);
    g_assert_true(s->has_idle_time_ns && s->rd_total_time_ns > 0);
    g_assert_cmpuint(s->timed_stats->len, ==, 1);
    g_assert_cmpuint(s->rd_latency_histogram->bins->len, ==, 3);
    g_assert_cmpuint(g_array_index(s->rd_latency_histogram->bins, uint64_t, 1), ==, 3);
    g_assert_null(s->wr_latency_histogram);
    g_ptr_array_unref(list);

    list = qmp_query_blockstats(true, true, NULL);
    g_assert_cmpuint(list->len, ==, 2);
    g_ptr_array_unref(list);
    g_assert_true(qmp_block_latency_histogram_set("hd", NULL, NULL, NULL, NULL, NULL));
    list = qmp_query_blockstats(false, false, NULL);
    g_assert_null(stats_of(list, "hd")->stats->rd_latency_histogram);
    g_ptr_array_unref(list);
    g_array_unref(bounds);
}

static void test_intervals(void)
{
    BlockAccounting *acct = block_accounting_new();
    BlockDeviceStats stats = { .timed_stats = BlockDeviceTimedStats_list_new() };
    BlockDeviceTimedStats *timed;
    uint64_t unordered[] = { 5, 5 };
    GArray *bounds = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME);

    block_accounting_add_interval(acct, 1000);
    block_accounting_count(acct, BLOCK_ACCT_READ, BLOCK_ACCT_DONE, 1, now - 10, now);
    block_accounting_count(acct, BLOCK_ACCT_READ, BLOCK_ACCT_DONE, 1, now - 30, now);
    block_accounting_count(acct, BLOCK_ACCT_READ, BLOCK_ACCT_FAILED, 1, now - 20, now);
    block_accounting_set(acct, false, false);
    block_accounting_count(acct, BLOCK_ACCT_READ, BLOCK_ACCT_FAILED, 1, now - 90, now);
    block_accounting_merged(acct, BLOCK_ACCT_WRITE, 4);
    block_accounting_report(acct, &stats);
    timed = g_ptr_array_index(stats.timed_stats, 0);
    g_assert_cmpint(timed->interval_length, ==, 1000);
    g_assert_cmpint(timed->min_rd_latency_ns, ==, 10);
    g_assert_cmpint(timed->max_rd_latency_ns, ==, 30);
    g_assert_cmpint(timed->avg_rd_latency_ns, ==, 20);
    g_assert_cmpint(timed->max_wr_latency_ns, ==, 0);
    g_assert_cmpint(stats.rd_total_time_ns, ==, 60);
    g_assert_cmpint(stats.failed_rd_operations, ==, 2);
    g_assert_cmpint(stats.wr_merged, ==, 4);
    g_ptr_array_set_size(stats.timed_stats, 0);

    /* Long ago; then nothing is left of it. */
    now += 2000 * NS_PER_SEC;
    block_accounting_count(acct, BLOCK_ACCT_WRITE, BLOCK_ACCT_DONE, 1, now - 7, now);
    block_accounting_report(acct, &stats);
    timed = g_ptr_array_index(stats.timed_stats, 0);
    g_assert_cmpint(timed->max_rd_latency_ns, ==, 0);
    g_assert_cmpint(timed->min_wr_latency_ns, ==, 7);

    g_array_append_vals(bounds, unordered, 2);
    g_assert_false(block_accounting_set_histogram(acct, BLOCK_ACCT_READ, bounds));
    g_array_unref(bounds);
    g_ptr_array_unref(stats.timed_stats);
    block_accounting_free(acct);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/backend/calls", run_calls);
    g_test_add_func("/backend/callbacks", test_callbacks);
    g_test_add_func("/backend/drain", test_drain);
    g_test_add_func("/backend/thread", test_thread);
    g_test_add_func("/backend/vcpu-thread", test_vcpu_thread);
    g_test_add_func("/backend/owner", test_owner);
    g_test_add_func("/backend/error-actions", test_error_actions);
    g_test_add_func("/backend/threshold", test_threshold);
    g_test_add_func("/backend/stats", test_stats);
    g_test_add_func("/backend/intervals", test_intervals);
    return g_test_run();
}
