/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O path above a disk in memory that checks what it is asked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/tests/mem-driver.h"
#include "util/coroutine.h"
#include "util/iov.h"

#define SIZE 200000
#define RW (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE)

typedef struct Disk {
    BlockNode *node;
    BlockChild *root;
} Disk;

static Disk disk_new(const BlockDriver *driver, int64_t size, const BlockLimits *limits,
                     unsigned perm)
{
    Disk disk = { .node = mem_node_new(driver, size, limits) };

    disk.root = mem_attach(disk.node, perm);
    return disk;
}

static void disk_free(Disk *disk)
{
    block_child_detach(disk->root);
    block_node_unref(disk->node);
}

/* ---- Several at a time ---- */

typedef struct Task {
    void (*fn)(void *opaque);
    void *opaque;
    unsigned *running;
} Task;

static void run_task(void *opaque)
{
    Task task = *(Task *)opaque;

    task.fn(task.opaque);
    (*task.running)--;
}

static void spawn(unsigned *running, void (*fn)(void *opaque), void *opaque)
{
    Task task = { fn, opaque, running };

    (*running)++;
    coroutine_start(run_task, &task);
}

static void wait_for(const unsigned *running)
{
    while (*running) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
}

/* ---- Any offset, any length, any memory, against a model ---- */

#define MAX_PIECES 12

typedef struct Scatter {
    struct iovec iov[MAX_PIECES];
    uint8_t *memory;
    BlockVec vec;
    size_t skip;
} Scatter;

/* `bytes` of memory in badly aligned pieces, behind `skip` that do not count. */
static void scatter_init(Scatter *s, int64_t bytes)
{
    size_t left = (size_t)bytes, at = (size_t)g_test_rand_int_range(0, 64);
    unsigned n = (unsigned)g_test_rand_int_range(1, MAX_PIECES + 1);

    s->skip = (size_t)g_test_rand_int_range(0, 3000);
    left += s->skip;
    s->memory = g_malloc0(left + MAX_PIECES * 512 + 64);
    s->vec = (BlockVec) { .iov = s->iov };
    for (unsigned i = 0; i < n && left; i++) {
        size_t len = i + 1 == n ? left : (size_t)g_test_rand_int_range(0, (int)left + 1);

        s->iov[s->vec.n++] = (struct iovec) { s->memory + at, len };
        at += len + (size_t)g_test_rand_int_range(0, 512);
        left -= len;
    }
    if (left) {
        s->iov[s->vec.n - 1].iov_len += left;
    }
}

static void random_bytes(uint8_t *buf, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i++) {
        buf[i] = (uint8_t)g_test_rand_int_range(1, 256);
    }
}

static void one_random_request(const Disk *disk, uint8_t *model)
{
    int64_t offset = g_test_rand_int_range(0, SIZE);
    int64_t wanted = g_test_rand_int_range(1, g_test_rand_bit() ? 2000 : SIZE);
    int64_t bytes = MIN(wanted, SIZE - offset);
    g_autofree uint8_t *buf = g_malloc((size_t)bytes);
    Scatter s;

    scatter_init(&s, bytes);
    switch (g_test_rand_int_range(0, 3)) {
    case 0:
        g_assert_cmpint(block_preadv(disk->root, offset, bytes, &s.vec, s.skip, 0), ==, 0);
        iov_to_buf(s.iov, s.vec.n, s.skip, buf, (size_t)bytes);
        g_assert_cmpmem(buf, (size_t)bytes, model + offset, (size_t)bytes);
        break;
    case 1:
        random_bytes(buf, bytes);
        iov_from_buf(s.iov, s.vec.n, s.skip, buf, (size_t)bytes);
        g_assert_cmpint(block_pwritev(disk->root, offset, bytes, &s.vec, s.skip, 0), ==, 0);
        memcpy(model + offset, buf, (size_t)bytes);
        break;
    default:
        g_assert_cmpint(block_pwrite_zeroes(disk->root, offset, bytes, 0), ==, 0);
        memset(model + offset, 0, (size_t)bytes);
        break;
    }
    g_free(s.memory);
}

static void test_random(void)
{
    static const BlockLimits limits[] = {
        { 0 },
        { .request_alignment = 512 },
        { .request_alignment = 512, .min_mem_alignment = 512, .max_iov = 3 },
        { .request_alignment = 4096, .max_transfer = 8192, .min_mem_alignment = 16 },
        { .request_alignment = 4096, .max_transfer = 10000, .write_zeroes_alignment = 65536,
          .max_write_zeroes = 70000 },
        { .max_transfer = 1, },
        { .max_iov = 1, .max_transfer = 5000, .max_write_zeroes = 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
        Disk disk = disk_new(&mem_driver, SIZE, &limits[i], RW);
        g_autofree uint8_t *model = g_malloc0(SIZE);

        for (int n = 0; n < (limits[i].max_transfer == 1 ? 20 : 400); n++) {
            mem_disk(disk.node)->zero_unsupported = n % 2;
            one_random_request(&disk, model);
        }
        g_assert_cmpmem(mem_disk(disk.node)->data, SIZE, model, SIZE);
        g_assert_cmpint(disk.node->size, ==, SIZE);
        disk_free(&disk);
    }
}

/* ---- Parts of one block, at the same time ---- */

typedef struct Part {
    const Disk *disk;
    int64_t offset, bytes;
    uint8_t fill;
    unsigned flags;
    int result;
} Part;

static void write_part(void *opaque)
{
    Part *part = opaque;
    g_autofree uint8_t *buf = g_malloc((size_t)part->bytes);

    memset(buf, part->fill, (size_t)part->bytes);
    part->result = block_pwrite(part->disk->root, part->offset, part->bytes, buf, part->flags);
}

static void test_parts(void)
{
    Disk disk = disk_new(&mem_driver, SIZE, &(BlockLimits){ .request_alignment = 4096 }, RW);
    Part parts[200];
    unsigned running = 0;

    mem_disk(disk.node)->turns = 2;
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        parts[i] = (Part) { &disk, i * 128, 128, (uint8_t)(i + 1) };
        spawn(&running, write_part, &parts[i]);
    }
    wait_for(&running);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_assert_cmpint(parts[i].result, ==, 0);
        for (unsigned j = 0; j < 128; j++) {
            g_assert_cmpint(mem_disk(disk.node)->data[i * 128 + j], ==, i + 1);
        }
    }
    /* Different blocks did not wait for one another. */
    g_assert_cmpuint(mem_disk(disk.node)->most_running, >=, 4);
    disk_free(&disk);
}

static void test_overlap(void)
{
    Disk disk = disk_new(&mem_driver, SIZE, NULL, RW);
    Part plain = { &disk, 0, 4096, 1 }, plain2 = { &disk, 0, 4096, 2 };
    Part serialising = { &disk, 1000, 5000, 3, BLOCK_REQ_SERIALISING };
    Part later = { &disk, 2000, 100, 4 }, elsewhere = { &disk, 50000, 100, 5 };
    Part impatient = { &disk, 2000, 10, 6, BLOCK_REQ_SERIALISING | BLOCK_REQ_NO_WAIT };
    unsigned running = 0;
    MemDisk *mem = mem_disk(disk.node);

    mem->turns = 3;
    spawn(&running, write_part, &plain);
    spawn(&running, write_part, &plain2); /* nobody promised an order for these */
    g_assert_cmpuint(mem->running, ==, 2);
    spawn(&running, write_part, &serialising);
    spawn(&running, write_part, &later);
    g_assert_cmpuint(mem->running, ==, 2);
    spawn(&running, write_part, &elsewhere);
    g_assert_cmpuint(mem->running, ==, 3);
    spawn(&running, write_part, &impatient);
    g_assert_cmpint(impatient.result, ==, -EBUSY);
    wait_for(&running);
    g_assert_cmpint(mem->data[1500], ==, 3);
    g_assert_cmpint(mem->data[5999], ==, 3);
    g_assert_cmpint(mem->data[2050], ==, 4);
    g_assert_cmpint(mem->data[50050], ==, 5);
    g_assert_cmpuint(disk.node->p->serialising, ==, 0);
    disk_free(&disk);
}

/* ---- Ends and permissions ---- */

static void test_bounds(void)
{
    Disk disk = disk_new(&mem_driver, 1000, NULL, RW);
    uint8_t buf[100];

    memset(mem_disk(disk.node)->data, 7, 1000);
    memset(buf, 1, sizeof(buf));
    g_assert_cmpint(block_pread(disk.root, 950, 100, buf), ==, 0);
    g_assert_cmpint(buf[49], ==, 7);
    g_assert_cmpint(buf[50], ==, 0);
    g_assert_cmpint(buf[99], ==, 0);
    g_assert_cmpint(block_pread(disk.root, 100000, 100, buf), ==, 0);
    g_assert_cmpint(block_pread(disk.root, 0, 0, buf), ==, 0);
    g_assert_cmpint(block_pread(disk.root, -1, 1, buf), ==, -EINVAL);
    g_assert_cmpint(block_preadv(disk.root, 0, -1, NULL, 0, 0), ==, -EINVAL);
    g_assert_cmpint(block_preadv(disk.root, BLOCK_MAX_LENGTH, 1, NULL, 0, 0), ==, -EINVAL);
    g_assert_cmpint(block_preadv(disk.root, INT64_MAX, INT64_MAX, NULL, 0, 0), ==, -EINVAL);
    g_assert_cmpint(block_pwrite(disk.root, 950, 100, buf, 0), ==, -EINVAL);
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, INT64_MAX, 0), ==, -EINVAL);
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 950, 51, 0), ==, -EINVAL);
    g_assert_cmpint(block_pdiscard(disk.root, 950, 51), ==, -EINVAL);
    g_assert_cmpint(block_pdiscard(disk.root, 1, INT64_MAX), ==, -EINVAL);
    block_child_detach(disk.root);

    disk.root = mem_attach(disk.node, BLOCK_PERM_CONSISTENT_READ);
    g_assert_cmpint(block_pwrite(disk.root, 0, 100, buf, 0), ==, -EPERM);
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, 100, 0), ==, -EPERM);
    g_assert_cmpint(block_pdiscard(disk.root, 0, 100), ==, -EPERM);
    g_assert_cmpint(block_truncate(disk.root, &(BlockTruncate){ .size = 5 }, NULL), ==, -EACCES);
    block_child_detach(disk.root);

    disk.root = mem_attach(disk.node, BLOCK_PERM_WRITE_UNCHANGED);
    g_assert_cmpint(block_pwrite(disk.root, 0, 100, buf, 0), ==, -EPERM);
    g_assert_cmpint(block_pwrite(disk.root, 0, 100, buf, BLOCK_REQ_WRITE_UNCHANGED), ==, 0);
    /* A format on a full device. */
    g_assert_cmpint(block_pwrite(disk.root, 950, 100, buf, BLOCK_REQ_WRITE_UNCHANGED), ==, -EINVAL);
    block_child_detach(disk.root);
    disk.root = mem_attach(disk.node, BLOCK_PERM_ALL);
    g_assert_cmpint(block_pwrite(disk.root, 950, 100, buf, 0), ==, -ENOSPC);
    disk_free(&disk);
}

static void test_growing(void)
{
    Disk disk = disk_new(&mem_growing_driver, 1000, &(BlockLimits){ .request_alignment = 512 },
                         BLOCK_PERM_ALL);
    BlockNode *filter = mem_node_new(&mem_filter_driver, 1000, NULL);
    uint8_t buf[300];
    BlockChild *root;

    memset(buf, 9, sizeof(buf));
    g_assert_cmpint(block_pwrite(disk.root, 900, 300, buf, 0), ==, 0);
    g_assert_cmpint(disk.node->size, ==, 1200);
    g_assert_cmpint(disk.node->p->highest_write, ==, 1200);
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 1190, 20, 0), ==, 0);
    g_assert_cmpint(disk.node->size, ==, 1210);
    g_assert_cmpint(mem_disk(disk.node)->data[1189], ==, 9);
    g_assert_cmpint(mem_disk(disk.node)->data[1190], ==, 0);

    /* Through a filter as well. */
    g_assert_nonnull(block_node_attach(filter, disk.node, "file",
                                       BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, NULL));
    root = mem_attach(filter, BLOCK_PERM_ALL);
    g_assert_cmpint(block_pwrite(root, 1300, 10, buf, 0), ==, 0);
    g_assert_cmpint(filter->size, ==, 1310);
    g_assert_cmpint(block_getlength(filter), ==, 1310);
    block_child_detach(root);
    block_node_unref(filter);
    disk_free(&disk);
}

static void test_no_medium(void)
{
    BlockChild empty = { .perm = BLOCK_PERM_ALL };
    uint8_t byte = 0;

    g_assert_cmpint(block_pread(&empty, 0, 1, &byte), ==, -ENOMEDIUM);
    g_assert_cmpint(block_pwrite(&empty, 0, 1, &byte, 0), ==, -ENOMEDIUM);
    g_assert_cmpint(block_pdiscard(&empty, 0, 1), ==, -ENOMEDIUM);
    g_assert_cmpint(block_make_zero(&empty, 0), ==, -ENOMEDIUM);
}

/* ---- Errors ---- */

static void test_faults(void)
{
    static const BlockLimits limits = { .request_alignment = 512, .max_transfer = 4096 };
    g_autofree uint8_t *buf = g_malloc0(20000);

    /* Each of the driver's calls in turn. */
    for (MemOp op = MEM_READ; op <= MEM_WRITE; op++) {
        for (unsigned at = 1;; at++) {
            Disk disk = disk_new(&mem_driver, SIZE, &limits, RW);
            MemDisk *mem = mem_disk(disk.node);
            int ret;

            mem->fail_op = op;
            mem->fail_at = at;
            mem->fail_errno = EIO;
            ret = block_pwrite(disk.root, 100, 20000, buf, 0);
            g_assert_cmpint(ret, ==, mem->fail_at ? 0 : -EIO);
            g_assert_cmpuint(disk.node->p->tracked.length, ==, 0);
            g_assert_cmpuint(disk.node->p->in_flight, ==, 0);
            g_assert_cmpuint(disk.node->p->serialising, ==, 0);
            /* What may be half done must be flushed some day. */
            g_assert_cmpuint(disk.node->p->write_gen, ==, 1);
            disk_free(&disk);
            if (ret == 0) {
                g_assert_cmpuint(at, >, op == MEM_READ ? 2 : 5);
                break;
            }
        }
    }
}

/* ---- Zeroes ---- */

static void test_zero_pieces(void)
{
    static const BlockLimits limits = {
        .request_alignment = 512, .write_zeroes_alignment = 65536,
    };
    Disk disk = disk_new(&mem_driver, SIZE, &limits, RW);
    MemDisk *mem = mem_disk(disk.node);

    memset(mem->data, 1, SIZE);
    /* Part of a block, up to the boundary, whole units; SIZE is no multiple of anything. */
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 100, SIZE - 100, BLOCK_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_WRITE], ==, 1);
    g_assert_cmpint(mem->last_offset[MEM_WRITE], ==, 0);
    g_assert_cmpuint(mem->calls[MEM_ZERO], ==, 2);
    g_assert_cmpint(mem->last_offset[MEM_ZERO], ==, 65536);
    g_assert_cmpint(mem->last_bytes[MEM_ZERO], ==, SIZE - 65536);
    g_assert_cmpuint(mem->last_flags[MEM_ZERO], ==, BLOCK_REQ_MAY_UNMAP);
    g_assert_cmpint(mem->data[99], ==, 1);
    g_assert_cmpint(mem->data[100], ==, 0);

    disk.node->mode.discard_unmap = false;
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, 65536, BLOCK_REQ_MAY_UNMAP), ==, 0);
    g_assert_cmpuint(mem->last_flags[MEM_ZERO], ==, 0);

    mem->zero_unsupported = true;
    memset(mem->data, 1, SIZE);
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, 65536, BLOCK_REQ_NO_FALLBACK), ==, -ENOTSUP);
    g_assert_cmpint(mem->data[0], ==, 1);
    g_assert_cmpint(block_make_zero(disk.root, 0), ==, -ENOTSUP);
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, SIZE, 0), ==, 0);
    g_assert_cmpint(block_is_zero(disk.node, 0, SIZE), ==, 1);
    mem->calls[MEM_ZERO] = 0;
    g_assert_cmpint(block_make_zero(disk.root, 0), ==, 0); /* it is already */
    g_assert_cmpuint(mem->calls[MEM_ZERO], ==, 0);
    disk_free(&disk);
}

static void test_detect_zeroes(void)
{
    Disk disk = disk_new(&mem_driver, SIZE, NULL, RW);
    MemDisk *mem = mem_disk(disk.node);
    g_autofree uint8_t *buf = g_malloc0(10000);

    g_assert_cmpint(block_pwrite(disk.root, 0, 10000, buf, 0), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_ZERO], ==, 0);
    disk.node->mode.detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_ON;
    g_assert_cmpint(block_pwrite(disk.root, 0, 10000, buf, 0), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_ZERO], ==, 1);
    g_assert_cmpuint(mem->last_flags[MEM_ZERO], ==, 0);
    disk.node->mode.detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP;
    g_assert_cmpint(block_pwrite(disk.root, 0, 10000, buf, 0), ==, 0);
    g_assert_cmpuint(mem->last_flags[MEM_ZERO], ==, BLOCK_REQ_MAY_UNMAP);
    buf[9000] = 1;
    g_assert_cmpint(block_pwrite(disk.root, 0, 10000, buf, 0), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_ZERO], ==, 2);
    g_assert_cmpint(mem->data[9000], ==, 1);
    disk_free(&disk);
}

static void test_discard(void)
{
    static const BlockLimits limits = {
        .request_alignment = 512, .discard_alignment = 4096, .max_discard = 65536,
    };
    Disk disk = disk_new(&mem_driver, SIZE, &limits, RW);
    MemDisk *mem = mem_disk(disk.node);

    memset(mem->data, 1, SIZE);
    g_assert_cmpint(block_pdiscard(disk.root, 100, 10), ==, 0); /* part of a block: nothing */
    g_assert_cmpuint(mem->calls[MEM_DISCARD], ==, 0);
    g_assert_cmpint(block_pdiscard(disk.root, 2048, SIZE - 2048), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_DISCARD], ==, 1 + 3);
    g_assert_cmpint(mem->last_offset[MEM_DISCARD], ==, 4096 + 2 * 65536);
    g_assert_cmpint(mem->data[2047], ==, 1);
    g_assert_cmpint(mem->data[2048], ==, 0);
    g_assert_cmpint(mem->data[SIZE - 1], ==, 0);
    mem->fail_op = MEM_DISCARD;
    mem->fail_at = 1;
    mem->fail_errno = ENOTSUP;
    g_assert_cmpint(block_pdiscard(disk.root, 0, 4096), ==, 0);
    mem->fail_at = 1;
    mem->fail_errno = EIO;
    g_assert_cmpint(block_pdiscard(disk.root, 0, 4096), ==, -EIO);
    disk.node->mode.discard_unmap = false;
    mem->calls[MEM_DISCARD] = 0;
    g_assert_cmpint(block_pdiscard(disk.root, 0, 4096), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_DISCARD], ==, 0);
    disk_free(&disk);
}

/* ---- Flushing ---- */

static void flush_task(void *opaque)
{
    Part *part = opaque;

    part->result = block_flush(part->disk->node);
}

static void test_flush(void)
{
    Disk disk = disk_new(&mem_driver, SIZE, NULL, RW);
    MemDisk *mem = mem_disk(disk.node);
    Part parts[50], write = { &disk, 0, 10, 1 };
    unsigned running = 0;

    g_assert_cmpint(block_flush(disk.node), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 0);
    write_part(&write);
    g_assert_cmpint(block_flush(disk.node), ==, 0);
    g_assert_cmpint(block_flush(disk.node), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 1);

    /* Fifty at a time with a write among them: one before it, one behind it. */
    mem->turns = 3;
    write_part(&write);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        parts[i] = (Part) { .disk = &disk, .result = 1 };
        spawn(&running, flush_task, &parts[i]);
        if (i == 20) {
            mem->turns = 0;
            write_part(&write);
            mem->turns = 3;
        }
    }
    wait_for(&running);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_assert_cmpint(parts[i].result, ==, 0);
    }
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 3);

    /* What failed is tried again. */
    write_part(&write);
    mem->fail_op = MEM_FLUSH;
    mem->fail_at = 1;
    mem->fail_errno = EIO;
    g_assert_cmpint(block_flush(disk.node), ==, -EIO);
    g_assert_cmpint(block_flush(disk.node), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 5);
    disk.node->mode.cache_no_flush = true;
    write_part(&write);
    g_assert_cmpint(block_flush(disk.node), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 5);
    disk_free(&disk);
}

static void test_fua(void)
{
    Disk disk = disk_new(&mem_driver, SIZE, NULL, RW);
    MemDisk *mem = mem_disk(disk.node);
    Part write = { &disk, 0, 10, 1, BLOCK_REQ_FUA };

    write_part(&write);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 1);
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, 10, BLOCK_REQ_FUA), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 2);
    disk.node->write_flags |= BLOCK_REQ_FUA;
    write_part(&write);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 2);
    g_assert_cmpuint(mem->last_flags[MEM_WRITE], ==, BLOCK_REQ_FUA);
    /* Zeroing cannot, and falls back on writing, which can. */
    mem->zero_unsupported = true;
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, 10, BLOCK_REQ_FUA), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 2);
    mem->zero_unsupported = false;
    g_assert_cmpint(block_pwrite_zeroes(disk.root, 0, 10, BLOCK_REQ_FUA), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_FLUSH], ==, 3);
    disk_free(&disk);
}

/* ---- Resizing ---- */

static void test_truncate(void)
{
    Disk disk = disk_new(&mem_cow_driver, MEM_UNIT, NULL, BLOCK_PERM_ALL);
    BlockNode *backing = mem_node_new(&mem_driver, 3 * MEM_UNIT, NULL);
    MemDisk *mem = mem_disk(disk.node);
    GError *error = NULL;

    disk.node->p->write_threshold = MEM_UNIT;
    g_assert_cmpint(block_truncate(disk.root, &(BlockTruncate){ .size = 2 * MEM_UNIT }, NULL), ==,
                    0);
    g_assert_cmpint(disk.node->size, ==, 2 * MEM_UNIT);
    /* It is no write. */
    g_assert_cmpuint(disk.node->p->write_threshold, ==, MEM_UNIT);
    g_assert_cmpint(disk.node->p->highest_write, ==, 0);
    g_assert_cmpuint(mem->last_flags[MEM_ZERO], ==, 0);
    g_assert_true(block_node_set_backing(disk.node, backing, NULL));
    /* The backing file's third unit must not come to light. */
    g_assert_cmpint(block_truncate(disk.root, &(BlockTruncate){ .size = 3 * MEM_UNIT }, NULL), ==,
                    0);
    g_assert_cmpuint(mem->last_flags[MEM_ZERO], ==, BLOCK_REQ_ZERO_WRITE);
    g_assert_cmpint(block_truncate(disk.root, &(BlockTruncate){ .size = 1 }, NULL), ==, 0);
    g_assert_cmpuint(mem->last_flags[MEM_ZERO], ==, 0);
    g_assert_cmpint(block_truncate(disk.root, &(BlockTruncate){ .size = -1 }, &error), ==, -EINVAL);
    g_assert_nonnull(error);
    g_clear_error(&error);
    g_assert_cmpint(block_truncate(disk.root, &(BlockTruncate){ .size = INT64_MAX }, &error), ==,
                    -EINVAL);
    g_assert_nonnull(error);
    g_clear_error(&error);
    block_node_unref(backing);
    disk_free(&disk);
}

/* ---- Status ---- */

static void test_status(void)
{
    Disk disk = disk_new(&mem_cow_driver, 4 * MEM_UNIT, NULL, RW);
    BlockNode *middle = mem_node_new(&mem_cow_driver, 3 * MEM_UNIT, NULL);
    BlockNode *base = mem_node_new(&mem_driver, 4 * MEM_UNIT, NULL);
    BlockNode *filter = mem_node_new(&mem_filter_driver, 3 * MEM_UNIT, NULL);
    BlockStatus status;
    int64_t num;

    g_assert_nonnull(block_node_attach(filter, middle, "file",
                                       BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, NULL));
    g_assert_true(block_node_set_backing(middle, base, NULL));
    g_assert_true(block_node_set_backing(disk.node, filter, NULL));
    memset(mem_disk(base)->data, 1, 4 * MEM_UNIT);
    mem_disk(disk.node)->allocated[0] = true;
    memset(mem_disk(disk.node)->data + 1000, 1, MEM_UNIT - 1000);
    mem_disk(middle)->allocated[1] = true;

    /* 0: top, zero and then data; 1: middle, zero; 2: base, data; 3: beyond middle's end. */
    g_assert_cmpint(block_status_above(disk.node, NULL, false, 0, INT64_MAX, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 1000);
    g_assert_cmpuint(status.flags & (BLOCK_STATUS_ZERO | BLOCK_STATUS_DATA), ==, BLOCK_STATUS_ZERO);
    g_assert_cmpint(block_status_above(disk.node, NULL, false, 1000, INT64_MAX, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, MEM_UNIT - 1000);
    g_assert_cmpint(status.depth, ==, 0);
    g_assert_cmpint(status.map, ==, 1000);
    g_assert_true(status.file == disk.node);
    g_assert_cmpint(block_status_above(disk.node, NULL, false, MEM_UNIT + 10, INT64_MAX, &status),
                    ==, 0);
    g_assert_cmpint(status.depth, ==, 1); /* the filter is no layer */
    g_assert_cmpint(status.bytes, ==, MEM_UNIT - 10);
    g_assert_cmpuint(status.flags & BLOCK_STATUS_EOF, ==, 0);
    g_assert_true(status.flags & BLOCK_STATUS_ZERO);
    g_assert_cmpint(block_status_above(disk.node, NULL, false, 2 * MEM_UNIT, INT64_MAX, &status),
                    ==, 0);
    g_assert_cmpint(status.depth, ==, 2);
    g_assert_true(status.flags & BLOCK_STATUS_DATA);
    g_assert_true(status.file == base);
    g_assert_cmpint(block_status_above(disk.node, NULL, false, 3 * MEM_UNIT, INT64_MAX, &status),
                    ==, 0);
    g_assert_cmpint(status.depth, ==, 1);
    g_assert_cmpint(status.bytes, ==, MEM_UNIT);
    g_assert_cmpuint(status.flags & (BLOCK_STATUS_ZERO | BLOCK_STATUS_EOF), ==,
                     BLOCK_STATUS_ZERO | BLOCK_STATUS_EOF);
    g_assert_cmpint(block_status_above(disk.node, NULL, false, 4 * MEM_UNIT, 1, &status), ==, 0);
    g_assert_cmpint(status.bytes, ==, 0);

    g_assert_cmpint(block_is_allocated(disk.node, 0, 4 * MEM_UNIT, &num), ==, 1);
    g_assert_cmpint(block_is_allocated(disk.node, MEM_UNIT, 4 * MEM_UNIT, &num), ==, 0);
    g_assert_cmpint(num, ==, MEM_UNIT);
    g_assert_cmpint(block_is_allocated_above(disk.node, base, false, MEM_UNIT, MEM_UNIT, &num), ==,
                    1);
    g_assert_cmpint(block_is_allocated_above(disk.node, middle, false, MEM_UNIT, MEM_UNIT, &num),
                    ==, 0);
    g_assert_cmpint(block_is_allocated_above(disk.node, middle, true, MEM_UNIT, MEM_UNIT, &num), ==,
                    1);
    g_assert_cmpint(block_is_allocated_above(disk.node, base, false, 2 * MEM_UNIT, MEM_UNIT, &num),
                    ==, 0);
    g_assert_cmpint(block_is_zero(disk.node, MEM_UNIT, MEM_UNIT), ==, 1);
    g_assert_cmpint(block_is_zero(disk.node, MEM_UNIT, MEM_UNIT + 1), ==, 0);
    g_assert_cmpint(block_is_zero(disk.node, 3 * MEM_UNIT, MEM_UNIT), ==, 1);
    /* Alone, what the backing file has is unknown; beyond its end there are zeroes. */
    g_assert_cmpint(block_status(disk.node, 2 * MEM_UNIT, MEM_UNIT, &status), ==, 0);
    g_assert_cmpuint(status.flags, ==, 0);
    g_assert_cmpint(block_status(disk.node, 3 * MEM_UNIT, MEM_UNIT, &status), ==, 0);
    g_assert_cmpuint(status.flags, ==, BLOCK_STATUS_ZERO | BLOCK_STATUS_EOF);
    block_node_unref(filter);
    block_node_unref(middle);
    block_node_unref(base);
    disk_free(&disk);
}

/* ---- Copying ---- */

static void test_copy_on_read(void)
{
    Disk disk = disk_new(&mem_cow_driver, 4 * MEM_UNIT, NULL, RW);
    BlockNode *base = mem_node_new(&mem_driver, 2 * MEM_UNIT + 100, NULL);
    MemDisk *mem = mem_disk(disk.node);
    uint8_t buf[200];

    g_assert_true(block_node_set_backing(disk.node, base, NULL));
    memset(mem_disk(base)->data, 5, 2 * MEM_UNIT + 100);
    g_assert_cmpint(block_preadv(disk.root, MEM_UNIT - 100, 200, BLOCK_VEC_BUF(buf, 200), 0,
                                 BLOCK_REQ_COPY_ON_READ), ==, 0);
    g_assert_cmpint(buf[0], ==, 5);
    g_assert_cmpint(buf[199], ==, 5);
    g_assert_true(mem->allocated[0] && mem->allocated[1] && !mem->allocated[2]);
    g_assert_cmpint(mem->data[0], ==, 5);
    g_assert_cmpint(mem->data[2 * MEM_UNIT - 1], ==, 5);
    /* Now it needs the base no more, nor another write. */
    mem->calls[MEM_WRITE] = 0;
    g_assert_cmpint(block_preadv(disk.root, MEM_UNIT - 100, 200, BLOCK_VEC_BUF(buf, 200), 0,
                                 BLOCK_REQ_COPY_ON_READ), ==, 0);
    g_assert_cmpuint(mem->calls[MEM_WRITE], ==, 0);
    /* Without the data; across the end of the base. */
    g_assert_cmpint(block_preadv(disk.root, 2 * MEM_UNIT + 1, 1, NULL, 0,
                                 BLOCK_REQ_COPY_ON_READ | BLOCK_REQ_PREFETCH), ==, 0);
    g_assert_true(mem->allocated[2]);
    g_assert_cmpint(mem->data[2 * MEM_UNIT + 99], ==, 5);
    g_assert_cmpint(mem->data[2 * MEM_UNIT + 100], ==, 0);
    g_assert_cmpuint(disk.node->p->write_gen, >, 0);
    block_child_detach(disk.root);
    disk.root = mem_attach(disk.node, BLOCK_PERM_CONSISTENT_READ);
    g_assert_cmpint(block_preadv(disk.root, 0, 1, BLOCK_VEC_BUF(buf, 1), 0,
                                 BLOCK_REQ_COPY_ON_READ), ==, -EPERM);
    block_node_unref(base);
    disk_free(&disk);
}

static void test_copy_range(void)
{
    Disk src = disk_new(&mem_driver, SIZE, NULL, RW), dst = disk_new(&mem_driver, SIZE, NULL, RW);
    Disk other = disk_new(&mem_growing_driver, SIZE, NULL, RW);
    uint8_t buf[10];

    memset(mem_disk(src.node)->data, 3, SIZE);
    g_assert_cmpint(block_copy_range(src.root, 5, dst.root, 100, 10, BLOCK_REQ_FUA), ==, 0);
    g_assert_cmpint(block_pread(dst.root, 100, 10, buf), ==, 0);
    g_assert_cmpint(buf[9], ==, 3);
    g_assert_cmpuint(mem_disk(dst.node)->calls[MEM_FLUSH], ==, 1);
    g_assert_cmpint(block_copy_range(src.root, 5, other.root, 100, 10, 0), ==, -ENOTSUP);
    g_assert_cmpint(block_copy_range(src.root, SIZE, dst.root, 0, 1, 0), ==, -EINVAL);
    g_assert_cmpint(block_copy_range(src.root, 0, dst.root, SIZE, 1, 0), ==, -EINVAL);
    disk_free(&other);
    disk_free(&dst);
    disk_free(&src);
}

static void in_coroutine(const void *fn)
{
    mem_run((void (*)(void))fn);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } tests[] = {
        { "/io/random", test_random },
        { "/io/parts-of-a-block", test_parts },
        { "/io/overlap", test_overlap },
        { "/io/bounds", test_bounds },
        { "/io/growing", test_growing },
        { "/io/no-medium", test_no_medium },
        { "/io/faults", test_faults },
        { "/io/zero-pieces", test_zero_pieces },
        { "/io/detect-zeroes", test_detect_zeroes },
        { "/io/discard", test_discard },
        { "/io/flush", test_flush },
        { "/io/fua", test_fua },
        { "/io/truncate", test_truncate },
        { "/io/status", test_status },
        { "/io/copy-on-read", test_copy_on_read },
        { "/io/copy-range", test_copy_range },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add_data_func(tests[i].name, (const void *)tests[i].fn, in_coroutine);
    }
    return g_test_run();
}
