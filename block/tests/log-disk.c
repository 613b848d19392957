/* SPDX-License-Identifier: Apache-2.0 */
#include "block/tests/log-disk.h"

#include <errno.h>
#include <string.h>

#include "block/create.h"
#include "block/open.h"
#include "util/coroutine.h"
#include "util/iov.h"

static void log_free(void *opaque)
{
    g_free(((LogEntry *)opaque)->data);
}

static void log_write(BlockNode *node, int64_t offset, int64_t bytes)
{
    LogDisk *disk = node->opaque;

    node->size = MAX(node->size, offset + bytes);
    if (disk->log) {
        LogEntry entry = { offset, bytes, g_memdup2(disk->data + offset, (gsize)bytes) };

        g_array_append_val(disk->log, entry);
    }
}

/* -errno if it is this one's turn to fail. */
static int take_time(LogDisk *disk, bool write)
{
    int turns = disk->slow ? g_test_rand_int_range(0, 4) : 0;

    for (int i = 0; i < turns; i++) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
    return write && disk->fail_at && --disk->fail_at == 0 ? -disk->fail_errno : 0;
}

static int disk_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    LogDisk *disk = node->opaque;

    take_time(disk, false);
    iov_from_buf(vec->iov, vec->n, vec_offset, disk->data + offset, (size_t)bytes);
    return 0;
}

static int disk_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags)
{
    LogDisk *disk = node->opaque;
    int ret = take_time(disk, true);

    if (ret < 0 || offset + bytes > LOG_DISK_CAPACITY) {
        return ret < 0 ? ret : -ENOSPC;
    }
    iov_to_buf(vec->iov, vec->n, vec_offset, disk->data + offset, (size_t)bytes);
    log_write(node, offset, bytes);
    return 0;
}

static int disk_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    LogDisk *disk = node->opaque;
    int ret = take_time(disk, true);

    if (ret < 0 || offset + bytes > LOG_DISK_CAPACITY) {
        return ret < 0 ? ret : -ENOSPC;
    }
    memset(disk->data + offset, 0, (size_t)bytes);
    log_write(node, offset, bytes);
    return 0;
}

/* What is discarded may be anything: then it is rubbish. */
static int disk_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    LogDisk *disk = node->opaque;

    bytes = MIN(bytes, node->size - offset);
    if (bytes > 0) {
        memset(disk->data + offset, 0xdd, (size_t)bytes);
        log_write(node, offset, bytes);
    }
    return 0;
}

static int disk_flush(BlockNode *node)
{
    LogDisk *disk = node->opaque;

    if (disk->log) {
        LogEntry entry = { 0 };

        g_array_append_val(disk->log, entry);
    }
    return 0;
}

static int disk_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    LogDisk *disk = node->opaque;

    if (truncate->size < node->size) {
        memset(disk->data + truncate->size, 0, (size_t)(node->size - truncate->size));
    }
    node->size = truncate->size;
    return 0;
}

void log_disk_start(BlockNode *node)
{
    LogDisk *disk = node->opaque;

    disk->log = g_array_new(FALSE, FALSE, sizeof(LogEntry));
    g_array_set_clear_func(disk->log, log_free);
    for (int64_t at = 0; at < node->size; at += 65536) {
        log_write(node, at, MIN(65536, node->size - at));
    }
    disk_flush(node);
}

static void disk_close(BlockNode *node)
{
    LogDisk *disk = node->opaque;

    g_free(disk->data);
    if (disk->log) {
        g_array_unref(disk->log);
    }
}

static const BlockDriver log_driver = {
    .name = "log", .protocol = "log", .instance_size = sizeof(LogDisk), .grows_on_write = true,
    .close = disk_close, .preadv = disk_preadv, .pwritev = disk_pwritev,
    .pwrite_zeroes = disk_pwrite_zeroes, .pdiscard = disk_pdiscard, .flush_to_disk = disk_flush,
    .truncate = disk_truncate,
};

BlockNode *log_disk_new(void)
{
    BlockNode *node = block_node_new(&log_driver, NULL, NULL);
    LogDisk *disk = node->opaque;

    disk->data = g_malloc0(LOG_DISK_CAPACITY);
    node->zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    node->mode.discard_unmap = true;
    node->options = json_object_new_object();
    node->p->opened = true;
    block_refresh_limits(node);
    return node;
}

/* ---- Images on it ---- */

static char *describe(void *parent)
{
    return g_strdup("the test");
}

static const BlockParentOps parent_ops = { .describe = describe };

BlockNode *log_disk_open_qcow2(BlockNode *file, BlockNode *backing)
{
    g_autofree char *text = g_strdup_printf(
        "{\"driver\":\"qcow2\",\"file\":\"%s\",\"discard\":\"unmap\",\"backing\":%s%s%s,"
        "\"l2-cache-entry-size\":512,\"l2-cache-size\":2048}",
        file->name, backing ? "\"" : "", backing ? backing->name : "null", backing ? "\"" : "");
    json_object *options = json_tokener_parse(text);
    GError *error = NULL;
    BlockNode *node = block_open(NULL, NULL, options, QAPI_JSON, 0, &error);

    json_object_put(options);
    g_assert_no_error(error);
    return node;
}

BlockChild *log_disk_attach(BlockNode *node)
{
    GError *error = NULL;
    BlockChild *child = block_parent_attach(&parent_ops, NULL, node, "root", BLOCK_ROLE_DATA,
                                            BLOCK_PERM_ALL, BLOCK_PERM_ALL, &error);

    g_assert_no_error(error);
    return child;
}

void log_disk_create_qcow2(BlockNode *file, int64_t size, const char *more)
{
    g_autofree char *text = g_strdup_printf("{\"driver\":\"qcow2\",\"file\":\"%s\",\"size\":%d%s}",
                                            file->name, (int)size, more);
    json_object *json = json_tokener_parse(text);
    g_autoptr(BlockdevCreateOptions) options = NULL;
    GError *error = NULL;

    BlockdevCreateOptions_from_json(json, QAPI_JSON, &options, &error);
    json_object_put(json);
    g_assert_no_error(error);
    block_create(options, &error);
    g_assert_no_error(error);
}
