/* SPDX-License-Identifier: Apache-2.0 */
#include "block/tests/mem-driver.h"

#include <errno.h>
#include <string.h>

#include "util/coroutine.h"
#include "util/iov.h"

/* What a disk may grow to. */
#define CAPACITY (4 * 1024 * 1024)

static int begin(BlockNode *node, MemOp op, int64_t offset, int64_t bytes, unsigned flags)
{
    MemDisk *disk = node->opaque;

    disk->calls[op]++;
    disk->last_offset[op] = offset;
    disk->last_bytes[op] = bytes;
    disk->last_flags[op] = flags;
    disk->running++;
    disk->most_running = MAX(disk->most_running, disk->running);
    for (unsigned i = 0; i < disk->turns; i++) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
    disk->running--;
    if (disk->fail_at && op == disk->fail_op && --disk->fail_at == 0) {
        return -disk->fail_errno;
    }
    return 0;
}

static void check_range(BlockNode *node, int64_t offset, int64_t bytes)
{
    MemDisk *disk = node->opaque;
    int64_t mask = node->limits.request_alignment - 1;

    g_assert_cmpint(offset & mask, ==, 0);
    g_assert_cmpint(bytes & mask, ==, 0);
    g_assert_cmpint(bytes, >, 0);
    g_assert_cmpint(bytes, <=, node->limits.max_transfer);
    g_assert_cmpint(offset, >=, 0);
    g_assert_cmpint(offset + bytes, <=, disk->capacity);
}

static void check_memory(BlockNode *node, const BlockVec *vec, size_t vec_offset, int64_t bytes)
{
    struct iovec slice[64];
    unsigned n;

    g_assert_cmpuint(vec->n, <=, G_N_ELEMENTS(slice));
    n = iov_slice(slice, G_N_ELEMENTS(slice), vec->iov, vec->n, vec_offset, (size_t)bytes);
    g_assert_cmpuint(iov_size(slice, n), ==, bytes);
    g_assert_cmpuint(n, <=, node->limits.max_iov);
    for (unsigned i = 0; i < n && node->limits.min_mem_alignment > 1; i++) {
        g_assert_cmpuint((uintptr_t)slice[i].iov_base % node->limits.min_mem_alignment, ==, 0);
        g_assert_cmpuint(slice[i].iov_len % node->limits.min_mem_alignment, ==, 0);
    }
}

static int mem_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    MemDisk *disk = node->opaque;
    int ret;

    check_range(node, offset, bytes);
    check_memory(node, vec, vec_offset, bytes);
    g_assert_cmpint(offset, <, node->size);
    ret = begin(node, MEM_READ, offset, bytes, flags);
    if (ret == 0) {
        iov_from_buf(vec->iov, vec->n, vec_offset, disk->data + offset, (size_t)bytes);
    }
    return ret;
}

static int mem_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    MemDisk *disk = node->opaque;
    int ret;

    check_range(node, offset, bytes);
    check_memory(node, vec, vec_offset, bytes);
    g_assert_cmpuint(flags & ~node->write_flags, ==, 0);
    ret = begin(node, MEM_WRITE, offset, bytes, flags);
    if (ret == 0) {
        iov_to_buf(vec->iov, vec->n, vec_offset, disk->data + offset, (size_t)bytes);
    }
    return ret;
}

static int mem_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    MemDisk *disk = node->opaque;
    int ret;

    g_assert_cmpuint(flags & ~node->zero_flags, ==, 0);
    g_assert_cmpint(offset & (node->limits.request_alignment - 1), ==, 0);
    g_assert(!(bytes & (node->limits.request_alignment - 1)) || offset + bytes >= node->size);
    if (node->limits.max_write_zeroes) {
        g_assert_cmpint(bytes, <=, node->limits.max_write_zeroes);
    }
    ret = begin(node, MEM_ZERO, offset, bytes, flags);
    if (ret == 0 && disk->zero_unsupported) {
        return -ENOTSUP;
    }
    if (ret == 0) {
        memset(disk->data + offset, 0, (size_t)bytes);
    }
    return ret;
}

static int mem_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    MemDisk *disk = node->opaque;
    int ret;

    if (node->limits.max_discard) {
        g_assert_cmpint(bytes, <=, node->limits.max_discard);
    }
    ret = begin(node, MEM_DISCARD, offset, bytes, 0);
    if (ret == 0) {
        memset(disk->data + offset, 0, (size_t)bytes);
    }
    return ret;
}

static int mem_flush(BlockNode *node)
{
    return begin(node, MEM_FLUSH, 0, 0, 0);
}

static int mem_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    MemDisk *disk = node->opaque;

    g_assert_cmpint(truncate->size, <=, disk->capacity);
    disk->last_flags[MEM_ZERO] = truncate->flags;
    if (truncate->size > node->size) {
        memset(disk->data + node->size, 0, (size_t)(truncate->size - node->size));
    }
    node->size = truncate->size;
    return 0;
}

static int mem_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                            BlockStatus *status)
{
    MemDisk *disk = node->opaque;

    g_assert_cmpint(offset & (node->limits.request_alignment - 1), ==, 0);
    *status = (BlockStatus) { .flags = BLOCK_STATUS_OFFSET_VALID, .map = offset, .file = node };
    status->flags |= disk->data[offset] ? BLOCK_STATUS_DATA : BLOCK_STATUS_ZERO;
    while (status->bytes < bytes &&
           !disk->data[offset] == !disk->data[offset + status->bytes]) {
        status->bytes++;
    }
    return 0;
}

static int mem_copy_range_to(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                             int64_t dst_offset, int64_t bytes, unsigned flags)
{
    MemDisk *from = src->node->opaque, *to = node->opaque;
    int ret = begin(node, MEM_WRITE, dst_offset, bytes, flags);

    if (ret == 0) {
        memmove(to->data + dst_offset, from->data + src_offset, (size_t)bytes);
    }
    return ret;
}

static void mem_refresh_limits(BlockNode *node)
{
    node->limits = mem_disk(node)->limits;
}

static void mem_close(BlockNode *node)
{
    g_free(mem_disk(node)->data);
}

/* ---- One with a backing file: units are allocated as a whole ---- */

static int cow_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    MemDisk *disk = node->opaque;

    while (bytes > 0) {
        int64_t len = MIN(bytes, MEM_UNIT - offset % MEM_UNIT);
        int ret = disk->allocated[offset / MEM_UNIT] || !node->backing
                      ? mem_preadv(node, offset, len, vec, vec_offset, flags)
                      : block_preadv(node->backing, offset, len, vec, vec_offset, 0);

        if (ret < 0) {
            return ret;
        }
        offset += len;
        bytes -= len;
        vec_offset += (size_t)len;
    }
    return 0;
}

static void allocate(BlockNode *node, int64_t offset, int64_t bytes)
{
    for (int64_t at = offset; at < offset + bytes; at += MEM_UNIT) {
        mem_disk(node)->allocated[at / MEM_UNIT] = true;
    }
}

static int cow_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    int ret;

    g_assert_cmpint(offset % MEM_UNIT, ==, 0); /* nothing is filled up here */
    ret = mem_pwritev(node, offset, bytes, vec, vec_offset, flags);
    if (ret == 0) {
        allocate(node, offset, bytes);
    }
    return ret;
}

static int cow_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    int ret;

    if (offset % MEM_UNIT || (bytes % MEM_UNIT && offset + bytes < node->size)) {
        return -ENOTSUP;
    }
    ret = mem_pwrite_zeroes(node, offset, bytes, flags);
    if (ret == 0) {
        allocate(node, offset, bytes);
    }
    return ret;
}

static int cow_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                            BlockStatus *status)
{
    MemDisk *disk = node->opaque;
    int64_t len = MIN(bytes, MEM_UNIT - offset % MEM_UNIT);

    if (disk->allocated[offset / MEM_UNIT]) {
        return mem_block_status(node, exact, offset, len, status);
    }
    *status = (BlockStatus) { .bytes = len };
    return 0;
}

static int cow_get_info(BlockNode *node, BlockNodeInfo *info)
{
    info->cluster_size = MEM_UNIT;
    return 0;
}

static int cow_change_backing_file(BlockNode *node, const char *file, const char *format)
{
    g_free(node->header_backing_file);
    node->header_backing_file = g_strdup(file);
    return 0;
}

/* ---- A filter ---- */

static int filter_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                         size_t vec_offset, unsigned flags)
{
    return block_preadv(node->file, offset, bytes, vec, vec_offset, flags);
}

static int filter_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                          size_t vec_offset, unsigned flags)
{
    return block_pwritev(node->file, offset, bytes, vec, vec_offset, flags);
}

#define MEM_COMMON                                                                                 \
    .instance_size = sizeof(MemDisk), .close = mem_close, .refresh_limits = mem_refresh_limits,    \
    .pdiscard = mem_pdiscard, .flush_to_disk = mem_flush, .truncate = mem_truncate

const BlockDriver mem_driver = {
    .name = "mem", .protocol = "mem", MEM_COMMON, .preadv = mem_preadv, .pwritev = mem_pwritev,
    .pwrite_zeroes = mem_pwrite_zeroes, .block_status = mem_block_status,
    .copy_range_to = mem_copy_range_to,
};
const BlockDriver mem_growing_driver = {
    .name = "mem-growing", .protocol = "mem-growing", .grows_on_write = true, MEM_COMMON,
    .preadv = mem_preadv, .pwritev = mem_pwritev, .pwrite_zeroes = mem_pwrite_zeroes,
    .block_status = mem_block_status,
};
const BlockDriver mem_cow_driver = {
    .name = "mem-cow", .is_format = true, .supports_backing = true, MEM_COMMON,
    .preadv = cow_preadv, .pwritev = cow_pwritev, .pwrite_zeroes = cow_pwrite_zeroes,
    .block_status = cow_block_status,
    .get_info = cow_get_info, .change_backing_file = cow_change_backing_file,
};
const BlockDriver mem_filter_driver = {
    .name = "mem-filter", .is_filter = true, .preadv = filter_preadv, .pwritev = filter_pwritev,
};

/* ---- Making them ---- */

void mem_node_ready(BlockNode *node)
{
    node->mode.discard_unmap = true;
    node->options = json_object_new_object();
    node->p->opened = true;
    block_refresh_limits(node);
}

BlockNode *mem_node_new(const BlockDriver *driver, int64_t size, const BlockLimits *limits)
{
    BlockNode *node = block_node_new(driver, NULL, NULL);

    if (driver->instance_size) {
        MemDisk *disk = node->opaque;

        disk->capacity = CAPACITY;
        disk->data = g_malloc0(CAPACITY);
        disk->limits = limits ? *limits : (BlockLimits){ 0 };
        node->zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
        node->truncate_flags = BLOCK_REQ_ZERO_WRITE;
    }
    node->size = size;
    mem_node_ready(node);
    return node;
}

static char *describe(void *parent)
{
    return g_strdup("the test");
}

static const BlockParentOps parent_ops = { .describe = describe };

BlockChild *mem_attach(BlockNode *node, unsigned perm)
{
    GError *error = NULL;
    BlockChild *child = block_parent_attach(&parent_ops, NULL, node, "root", BLOCK_ROLE_DATA, perm,
                                            BLOCK_PERM_ALL, &error);

    g_assert_no_error(error);
    return child;
}

static void call(void *opaque)
{
    void (**fn)(void) = opaque;

    (*fn)();
}

void mem_run(void (*fn)(void))
{
    coroutine_run(call, &fn);
}
