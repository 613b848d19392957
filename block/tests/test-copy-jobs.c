/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mirror, commit and stream while a guest writes: whatever happens to the job (cancelling at any
 * moment, failing requests, pauses, drained sections), the disk that the guest sees is a model's,
 * byte for byte.
 */
#include <errno.h>
#include <string.h>

#include "block/backend.h"
#include "block/commit.h"
#include "block/job-internal.h"
#include "block/mirror.h"
#include "block/tests/mem-driver.h"

#define UNITS 24
#define SIZE (UNITS * MEM_UNIT)
#define WRITERS 4

typedef struct Disk {
    BlockBackend *blk;
    BlockNode *nodes[4];  /* [0] is what the guest has first; the others as the test needs them */
    unsigned n_nodes;
    uint8_t *model;
    bool whole_units;     /* the driver fills nothing up */
    bool stop;
    unsigned writing, written;
} Disk;

/* ---- The guest ---- */

typedef struct Writer {
    Disk *disk;
    int number;
    uint8_t buf[MEM_UNIT];
} Writer;

static int random_below(int end)
{
    return g_test_rand_int_range(0, end);
}

/* Each writer has units of its own, so that there is one right answer. */
static void write_once(Writer *writer)
{
    Disk *disk = writer->disk;
    int unit = random_below(UNITS / WRITERS) * WRITERS + writer->number;
    int at = disk->whole_units ? 0 : random_below(MEM_UNIT / 512) * 512;
    int len = disk->whole_units ? MEM_UNIT : (random_below((MEM_UNIT - at) / 512) + 1) * 512;
    int64_t offset = (int64_t)unit * MEM_UNIT + at;
    bool zero = random_below(5) == 0;
    int ret;

    memset(writer->buf, zero ? 0 : random_below(255) + 1, (size_t)len);
    ret = zero ? block_backend_pwrite_zeroes(disk->blk, offset, len, 0)
               : block_backend_pwrite(disk->blk, offset, len, writer->buf, 0);
    g_assert_cmpint(ret, ==, 0);
    memcpy(disk->model + offset, writer->buf, (size_t)len);
    disk->written++;
    ret = block_backend_pread(disk->blk, (int64_t)unit * MEM_UNIT, MEM_UNIT, writer->buf);
    g_assert_cmpint(ret, ==, 0);
    g_assert_cmpint(memcmp(writer->buf, disk->model + unit * MEM_UNIT, MEM_UNIT), ==, 0);
}

static void run_writer(void *opaque)
{
    Writer *writer = opaque;

    while (!writer->disk->stop) {
        write_once(writer);
        for (int i = random_below(30); i >= 0; i--) {
            coroutine_wake(coroutine_current());
            coroutine_yield();
        }
    }
    writer->disk->writing--;
    g_free(writer);
}

static void start_guest(Disk *disk)
{
    for (int i = 0; i < WRITERS; i++) {
        Writer *writer = g_new0(Writer, 1);

        writer->disk = disk;
        writer->number = i;
        disk->writing++;
        coroutine_start(run_writer, writer);
    }
}

static void stop_guest(Disk *disk)
{
    disk->stop = true;
    while (disk->writing) {
        loop_iterate(loop_main(), true);
    }
}

/* ---- Disks ---- */

static void fill(BlockNode *node, int first, int step, uint8_t seed)
{
    MemDisk *mem = mem_disk(node);

    for (int unit = first; unit < UNITS; unit += step) {
        memset(mem->data + unit * MEM_UNIT, seed + unit, MEM_UNIT);
        mem->allocated[unit] = true;
    }
}

static BlockNode *new_node(const BlockDriver *driver)
{
    BlockNode *node = mem_node_new(driver, SIZE, NULL);

    mem_disk(node)->turns = 2;
    node->write_flags = node->zero_flags = 0;
    return node;
}

static void read_model(void *opaque)
{
    Disk *disk = opaque;

    g_assert_cmpint(block_backend_pread(disk->blk, 0, SIZE, disk->model), ==, 0);
}

static void insert(Disk *disk)
{
    GError *error = NULL;

    disk->blk = block_backend_new(loop_main(), BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE,
                                  BLOCK_PERM_ALL & ~(unsigned)BLOCK_PERM_WRITE);
    block_backend_insert(disk->blk, disk->nodes[0], &error);
    g_assert_no_error(error);
    disk->model = g_malloc0(SIZE);
    coroutine_run(read_model, disk);
}

static void two_disks(Disk *disk)
{
    *disk = (Disk){ .n_nodes = 2 };
    disk->nodes[0] = new_node(&mem_driver);
    disk->nodes[1] = new_node(&mem_driver);
    fill(disk->nodes[0], 0, 2, 10);
    memset(mem_disk(disk->nodes[1])->data, 0xee, SIZE);
    insert(disk);
}

/* nodes[0] on [1] on [2] on [3]. */
static void chain(Disk *disk)
{
    *disk = (Disk){ .n_nodes = 4, .whole_units = true };
    for (int i = 3; i >= 0; i--) {
        disk->nodes[i] = new_node(&mem_cow_driver);
        fill(disk->nodes[i], i, i + 2, (uint8_t)(50 * i));
        if (i < 3) {
            g_assert_true(block_node_set_backing(disk->nodes[i], disk->nodes[i + 1], NULL));
        }
    }
    insert(disk);
}

static void check_content(void *opaque)
{
    Disk *disk = opaque;
    g_autofree uint8_t *buf = g_malloc(SIZE);

    g_assert_cmpint(block_backend_pread(disk->blk, 0, SIZE, buf), ==, 0);
    for (int i = 0; i < SIZE; i += 512) {
        g_assert_cmpmem(buf + i, 512, disk->model + i, 512);
    }
}

/* No filter, edge or bitmap of the job's is left, and the disk is right. */
static void finish(Disk *disk)
{
    stop_guest(disk);
    coroutine_run(check_content, disk);
    for (unsigned i = 0; i < disk->n_nodes; i++) {
        g_assert_null(disk->nodes[i]->p->bitmaps);
        g_assert_cmpint(disk->nodes[i]->p->quiesce, ==, 0);
    }
    block_backend_unref(disk->blk);
    for (unsigned i = 0; i < disk->n_nodes; i++) {
        if (disk->nodes[i]->backing) {
            block_node_set_backing(disk->nodes[i], NULL, NULL);
        }
    }
    for (unsigned i = 0; i < disk->n_nodes; i++) {
        g_assert_cmpuint(disk->nodes[i]->refs, ==, 1);
        block_node_unref(disk->nodes[i]);
    }
    g_autoptr(GPtrArray) left = block_node_list();
    g_assert_cmpuint(left->len, ==, 0);
    g_free(disk->model);
}

/* ---- The jobs ---- */

typedef enum Kind {
    MIRROR, MIRROR_BLOCKING, MIRROR_FINE, COMMIT_ACTIVE, COMMIT, STREAM, STREAM_TO_BASE, KINDS
} Kind;

static const char *const kind_names[] = {
    "mirror", "mirror-write-blocking", "mirror-512", "commit-active", "commit", "stream",
    "stream-to-base",
};

static bool is_mirror(Kind kind)
{
    return kind <= COMMIT_ACTIVE;
}

static void set_up(Disk *disk, Kind kind)
{
    if (kind < COMMIT_ACTIVE) {
        two_disks(disk);
    } else {
        chain(disk);
    }
}

static Job *new_mirror(Disk *disk, Kind kind, BlockdevOnError on_error, GError **error)
{
    bool commit = kind == COMMIT_ACTIVE;
    MirrorArgs args = {
        .job_id = "j", .source = disk->nodes[0], .target = disk->nodes[commit ? 2 : 1],
        .sync = MIRROR_SYNC_MODE_FULL, .commit = commit, .unmap = true,
        .write_blocking = kind == MIRROR_BLOCKING,
        .has_granularity = kind == MIRROR_FINE, .granularity = 512,
        .buf_size = kind == MIRROR_FINE ? 65536 : 4 * MEM_UNIT,
        .on_source_error = on_error, .on_target_error = on_error,
        .flags = { .manual_dismiss = true },
    };

    return block_mirror_new(&args, error);
}

static Job *new_job(Disk *disk, Kind kind, BlockdevOnError on_error)
{
    CommitArgs commit = {
        .job_id = "j", .device = disk->nodes[0], .top = disk->nodes[1], .base = disk->nodes[3],
        .on_error = on_error,
        .flags = { .manual_dismiss = true },
    };
    StreamArgs stream = {
        .job_id = "j", .top = disk->nodes[0], .on_error = on_error,
        .base = kind == STREAM_TO_BASE ? disk->nodes[2] : NULL,
        .flags = { .manual_dismiss = true },
    };
    GError *error = NULL;
    Job *job = is_mirror(kind) ? new_mirror(disk, kind, on_error, &error)
               : kind == COMMIT ? block_commit_new(&commit, &error)
                                : block_stream_new(&stream, &error);

    g_assert_no_error(error);
    job_start(job);
    return job;
}

static void turn(int n)
{
    while (n-- > 0) {
        loop_iterate(loop_main(), false);
    }
}

/* Goes on until the job has ended, and completes it when it can be. */
static void run_to_end(Job *job)
{
    while (job->status != JOB_STATUS_CONCLUDED) {
        if (job->status == JOB_STATUS_READY && !job->cancelled) {
            turn(random_below(200));
            job_user_complete(job, NULL);
        }
        loop_iterate(loop_main(), job->status != JOB_STATUS_READY);
    }
}

/* The chain that the guest has after the job. */
static void check_switched(Disk *disk, Kind kind, bool done)
{
    BlockNode *now = block_backend_node(disk->blk);
    static const unsigned below_top[KINDS] = { [COMMIT] = 3, [STREAM_TO_BASE] = 2 };

    if (is_mirror(kind)) {
        g_assert_true(now == disk->nodes[!done ? 0 : kind == COMMIT_ACTIVE ? 2 : 1]);
        return;
    }
    g_assert_true(now == disk->nodes[0]);
    if (!done) {
        g_assert_true(now->backing->node == disk->nodes[1]);
    } else if (kind == STREAM) {
        g_assert_null(now->backing);
    } else {
        g_assert_true(now->backing->node == disk->nodes[below_top[kind]]);
    }
}

static void test_complete(const void *data)
{
    Kind kind = (Kind)GPOINTER_TO_INT(data);
    Disk disk;
    Job *job;

    set_up(&disk, kind);
    start_guest(&disk);
    job = new_job(&disk, kind, BLOCKDEV_ON_ERROR_REPORT);
    run_to_end(job);
    g_assert_no_error(job->error);
    check_switched(&disk, kind, true);
    g_assert_true(job_user_dismiss(job, NULL));
    turn(200); /* the guest goes on, on what it has now */
    finish(&disk);
}

/* After so many turns of the loop. */
static bool cancel_after(Kind kind, int turns, bool force)
{
    Disk disk;
    Job *job;
    bool ended, switched;

    set_up(&disk, kind);
    start_guest(&disk);
    job = new_job(&disk, kind, BLOCKDEV_ON_ERROR_REPORT);
    turn(turns);
    ended = !job_user_cancel(job, force, NULL);
    run_to_end(job);
    switched = ended && !job->p->failed;
    check_switched(&disk, kind, switched);
    g_assert_true(job_user_dismiss(job, NULL));
    turn(50);
    finish(&disk);
    return ended;
}

static void test_cancel(const void *data)
{
    Kind kind = (Kind)GPOINTER_TO_INT(data);

    for (int turns = 0; turns < 400; turns += 1 + turns / 8) {
        if (cancel_after(kind, turns, turns & 1) && !is_mirror(kind)) {
            break;
        }
    }
}

/* ---- A client that takes his time to finalize ---- */

static void run_to_pending(Job *job)
{
    job->flags.manual_finalize = true;
    while (job->status != JOB_STATUS_PENDING) {
        if (job->status == JOB_STATUS_READY) {
            job_user_complete(job, NULL);
        }
        loop_iterate(loop_main(), job->status != JOB_STATUS_READY);
    }
}

static void test_pending(const void *data)
{
    Kind kind = (Kind)GPOINTER_TO_INT(data);
    unsigned before;
    Disk disk;
    Job *job;

    set_up(&disk, kind);
    start_guest(&disk);
    job = new_job(&disk, kind, BLOCKDEV_ON_ERROR_REPORT);
    run_to_pending(job);
    before = disk.written;
    turn(300);
    g_assert_cmpuint(disk.written, >, before + 2 * WRITERS); /* it does not wait */
    g_assert_true(job_user_finalize(job, NULL));
    run_to_end(job);
    g_assert_no_error(job->error);
    check_switched(&disk, kind, true);
    g_assert_true(job_user_dismiss(job, NULL));
    turn(100);
    finish(&disk);
}

static void write_one(void *opaque)
{
    Disk *disk = opaque;

    memset(disk->model, 0x77, MEM_UNIT);
    g_assert_cmpint(block_backend_pwrite(disk->blk, 0, MEM_UNIT, disk->model, 0), ==, 0);
}

/* What was written after the work cannot be copied: all stays as it was. */
static void test_pending_fails(const void *data)
{
    Disk disk;
    Job *job;

    set_up(&disk, MIRROR);
    job = new_job(&disk, MIRROR, BLOCKDEV_ON_ERROR_IGNORE);
    run_to_pending(job);
    coroutine_run(write_one, &disk);
    mem_disk(disk.nodes[1])->fail_op = MEM_WRITE;
    mem_disk(disk.nodes[1])->fail_at = 1;
    mem_disk(disk.nodes[1])->fail_errno = EIO;
    g_assert_true(job_user_finalize(job, NULL));
    run_to_end(job);
    g_assert_nonnull(strstr(job->error->message, "Cannot write the copy at 0"));
    check_switched(&disk, MIRROR, false);
    g_assert_true(job_user_dismiss(job, NULL));
    finish(&disk);
}

/* ---- Errors ---- */

typedef struct Fault {
    int node;           /* of the disk's */
    MemOp op;
    int error;
} Fault;

static void inject(Disk *disk, const Fault *fault, unsigned position)
{
    MemDisk *mem = mem_disk(disk->nodes[fault->node]);

    mem->fail_op = fault->op;
    mem->fail_at = position;
    mem->fail_errno = fault->error;
}

static bool run_with_errors(Job *job)
{
    bool paused = false;

    while (job->status != JOB_STATUS_CONCLUDED) {
        if (job->p->io_status != BLOCK_DEVICE_IO_STATUS_OK &&
            (job->status == JOB_STATUS_PAUSED || job->status == JOB_STATUS_STANDBY)) {
            paused = true;
            g_assert_true(job_user_resume(job, NULL));
        } else if (job->status == JOB_STATUS_READY) {
            job_user_complete(job, NULL);
        }
        loop_iterate(loop_main(), true);
    }
    return paused;
}

/* False: the fault was not met. */
static bool fail_at(Kind kind, const Fault *fault, BlockdevOnError on_error, unsigned position)
{
    bool stops = on_error == BLOCKDEV_ON_ERROR_STOP ||
                 (on_error == BLOCKDEV_ON_ERROR_ENOSPC && fault->error == ENOSPC);
    bool is_stream = kind == STREAM || kind == STREAM_TO_BASE;
    bool ends = !stops && (on_error != BLOCKDEV_ON_ERROR_IGNORE || is_stream);
    bool met, paused;
    Disk disk;
    Job *job;

    set_up(&disk, kind);
    job = new_job(&disk, kind, on_error);
    inject(&disk, fault, position);
    paused = run_with_errors(job);
    met = mem_disk(disk.nodes[fault->node])->fail_at == 0;
    g_assert_cmpint(paused, ==, met && stops);
    g_assert_cmpint(job->p->failed, ==, met && ends);
    check_switched(&disk, kind, !(met && ends));
    inject(&disk, fault, 0);
    g_assert_true(job_user_dismiss(job, NULL));
    finish(&disk);
    return met;
}

static void test_errors(const void *data)
{
    static const BlockdevOnError policies[] = {
        BLOCKDEV_ON_ERROR_REPORT, BLOCKDEV_ON_ERROR_IGNORE, BLOCKDEV_ON_ERROR_ENOSPC,
        BLOCKDEV_ON_ERROR_STOP,
    };
    Kind kind = (Kind)GPOINTER_TO_INT(data);
    int target = is_mirror(kind) ? (kind == COMMIT_ACTIVE ? 2 : 1) : kind == COMMIT ? 3 : 0;
    const Fault faults[] = {
        { kind == STREAM || kind == STREAM_TO_BASE || kind == COMMIT ? 1 : 0, MEM_READ, EIO },
        { target, MEM_WRITE, EIO }, { target, MEM_WRITE, ENOSPC },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(policies); i++) {
        for (size_t f = 0; f < G_N_ELEMENTS(faults); f++) {
            unsigned position = 1;

            while (fail_at(kind, &faults[f], policies[i], position)) {
                position++;
            }
            g_assert_cmpuint(position, >, 1);
        }
    }
}

/* ---- Interruptions ---- */

static void interrupt(Disk *disk, Job *job)
{
    switch (random_below(5)) {
    case 0:
        block_drain_begin(disk->nodes[0]);
        turn(random_below(10));
        block_drain_end(disk->nodes[0]);
        break;
    case 1:
        block_drain_all_begin();
        turn(random_below(10));
        block_drain_all_end();
        break;
    case 2:
        if (job_user_pause(job, NULL)) {
            turn(random_below(20));
            job_user_resume(job, NULL);
        }
        break;
    case 3:
        block_drain_begin(disk->nodes[disk->n_nodes - 1]);
        block_drain_end(disk->nodes[disk->n_nodes - 1]);
        break;
    default:
        job_set_speed(job, random_below(2) ? 0 : 100 << 20, NULL);
        break;
    }
}

static void test_interruptions(const void *data)
{
    Kind kind = (Kind)GPOINTER_TO_INT(data);

    for (int round = 0; round < 6; round++) {
        Disk disk;
        Job *job;

        set_up(&disk, kind);
        start_guest(&disk);
        job = new_job(&disk, kind, BLOCKDEV_ON_ERROR_REPORT);
        for (int i = 0; i < 30; i++) {
            turn(random_below(10));
            interrupt(&disk, job);
        }
        job_set_speed(job, 0, NULL);
        run_to_end(job);
        g_assert_no_error(job->error);
        check_switched(&disk, kind, true);
        g_assert_true(job_user_dismiss(job, NULL));
        finish(&disk);
    }
}

static void add(const char *what, Kind kind, GTestDataFunc fn)
{
    g_autofree char *path = g_strdup_printf("/copy-jobs/%s/%s", kind_names[kind], what);

    g_test_add_data_func(path, GINT_TO_POINTER(kind), fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (Kind kind = 0; kind < KINDS; kind++) {
        add("complete", kind, test_complete);
        add("cancel", kind, test_cancel);
        add("errors", kind, test_errors);
        add("interruptions", kind, test_interruptions);
        add("pending", kind, test_pending);
    }
    add("pending-fails", MIRROR, test_pending_fails);
    return g_test_run();
}
