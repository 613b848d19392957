/* SPDX-License-Identifier: Apache-2.0 */
#include "block/tests/log-disk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/create.h"
#include "block/driver.h"
#include "block/open.h"
#include "block/tests/mem-driver.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/iov.h"

/* Those that exist, for who looks for one by name. */
static GQueue disks = G_QUEUE_INIT;

static void log_free(void *opaque)
{
    g_free(((LogEntry *)opaque)->data);
}

static void log_this(const LogDisk *disk, LogKind kind, int64_t offset, int64_t bytes)
{
    if (disk->lead->log) {
        LogEntry entry = { kind, disk->number, offset, bytes,
                           g_memdup2(disk->data + offset, (gsize)bytes) };

        g_array_append_val(disk->lead->log, entry);
    }
}

static void log_write(BlockNode *node, int64_t offset, int64_t bytes)
{
    node->size = MAX(node->size, offset + bytes);
    log_this(node->opaque, LOG_WRITE, offset, bytes);
}

/* -errno if it is this one's turn to fail. */
static int take_time(LogDisk *disk, bool write)
{
    int turns = disk->slow ? g_test_rand_int_range(0, 4) : 0;
    LogDisk *lead = disk->lead;

    for (int i = 0; i < turns; i++) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
    if (!write || !lead->fail_at || (lead->fail_at > 1 && --lead->fail_at)) {
        return 0;
    }
    lead->fail_at = lead->fail_sticky;
    lead->failed = true;
    return -lead->fail_errno;
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
    int ret = take_time(node->opaque, true);

    if (ret == 0) {
        log_this(node->opaque, LOG_FLUSH, 0, 0);
    }
    return ret;
}

static void cut_to(BlockNode *node, int64_t size)
{
    if (size < node->size) {
        memset(log_disk(node)->data + size, 0, (size_t)(node->size - size));
    }
    node->size = size;
}

static int disk_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    int ret = take_time(node->opaque, true);

    if (ret < 0 || truncate->size > LOG_DISK_CAPACITY) {
        ret = ret < 0 ? ret : -ENOSPC;
        error_set_errno(error, -ret, "The test's disk cannot become %" PRId64 " bytes long",
                        truncate->size);
        return ret;
    }
    cut_to(node, truncate->size);
    log_this(node->opaque, LOG_TRUNCATE, truncate->size, 0);
    return 0;
}

void log_disk_apply(BlockNode *node, const LogEntry *entry, int64_t from, int64_t bytes)
{
    int64_t offset = entry->offset + from;

    if (entry->kind == LOG_TRUNCATE) {
        cut_to(node, entry->offset);
    } else if (entry->kind == LOG_WRITE) {
        memcpy(log_disk(node)->data + offset, entry->data + from, (size_t)bytes);
        node->size = MAX(node->size, offset + bytes);
    }
}

void log_disk_start(BlockNode *node)
{
    LogDisk *disk = node->opaque;

    disk->log = g_array_new(FALSE, FALSE, sizeof(LogEntry));
    g_array_set_clear_func(disk->log, log_free);
}

void log_disk_put_down(BlockNode *node)
{
    for (int64_t at = 0; at < node->size; at += 65536) {
        log_write(node, at, MIN(65536, node->size - at));
    }
    disk_flush(node);
}

static void disk_close(BlockNode *node)
{
    LogDisk *disk = node->opaque;

    g_queue_remove(&disks, node);
    g_free(disk->data);
    if (disk->log) {
        g_array_unref(disk->log);
    }
}

static bool disk_has_zero_init(BlockNode *node)
{
    return true;
}

static const BlockDriver log_driver = {
    .name = "log", .protocol = "log", .instance_size = sizeof(LogDisk), .grows_on_write = true,
    .close = disk_close, .preadv = disk_preadv, .pwritev = disk_pwritev,
    .pwrite_zeroes = disk_pwrite_zeroes, .pdiscard = disk_pdiscard, .flush_to_disk = disk_flush,
    .truncate = disk_truncate, .has_zero_init = disk_has_zero_init,
};

BlockNode *log_disk_new_named(const char *folder, const char *name, BlockNode *lead,
                              unsigned number)
{
    BlockNode *node = block_node_new(&log_driver, NULL, NULL);
    LogDisk *disk = node->opaque;

    disk->data = g_malloc0(LOG_DISK_CAPACITY);
    disk->lead = lead ? log_disk(lead) : disk;
    disk->number = number;
    g_free(node->filename);
    node->filename = g_strdup_printf("log:%s/%s", folder, name);
    g_queue_push_tail(&disks, node);
    node->zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    node->truncate_flags = BLOCK_REQ_ZERO_WRITE;
    mem_node_ready(node);
    return node;
}

BlockNode *log_disk_new(void)
{
    return log_disk_new_named("", "disk", NULL, 0);
}

/* ---- A disk as a header names it: a node that hands everything on to the disk's own ---- */

/* Its options are those of a protocol that lives in a module, which is not loaded here. */
#define NAMED_DRIVER "ftps"

static BlockNode *disk_of(BlockNode *node)
{
    return *(BlockNode **)node->opaque;
}

static bool named_parse_filename(const char *filename, json_object *options, GError **error)
{
    json_object_object_add(options, "url", json_object_new_string(filename));
    return true;
}

static bool named_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                       GError **error)
{
    const char *name = options->u.ftps.url;

    for (GList *item = disks.head; item; item = item->next) {
        BlockNode *disk = item->data;

        if (!strcmp(disk->filename, name)) {
            *(BlockNode **)node->opaque = block_node_ref(disk);
            node->size = disk->size;
            node->zero_flags = BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
            node->truncate_flags = BLOCK_REQ_ZERO_WRITE;
            return true;
        }
    }
    error_setf(error, "There is no test's disk '%s'", name);
    return false;
}

static void named_close(BlockNode *node)
{
    block_node_unref(disk_of(node));
}

static bool named_refresh_filename(BlockNode *node)
{
    g_free(node->filename);
    node->filename = g_strdup(disk_of(node)->filename);
    return true;
}

/* After a request: the size may be another one. */
static int as_large(BlockNode *node, int ret)
{
    node->size = disk_of(node)->size;
    return ret;
}

static int64_t named_getlength(BlockNode *node)
{
    return disk_of(node)->size;
}

static int named_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags)
{
    return disk_preadv(disk_of(node), offset, bytes, vec, vec_offset, flags);
}

static int named_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                         size_t vec_offset, unsigned flags)
{
    return as_large(node, disk_pwritev(disk_of(node), offset, bytes, vec, vec_offset, flags));
}

static int named_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    return as_large(node, disk_pwrite_zeroes(disk_of(node), offset, bytes, flags));
}

static int named_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    return disk_pdiscard(disk_of(node), offset, bytes);
}

static int named_flush(BlockNode *node)
{
    return disk_flush(disk_of(node));
}

static int named_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    return as_large(node, disk_truncate(disk_of(node), truncate, error));
}

static const BlockDriver named_driver = {
    .name = NAMED_DRIVER, .kind = BLOCKDEV_DRIVER_FTPS, .protocol = "log",
    .instance_size = sizeof(BlockNode *), .grows_on_write = true, .has_variable_size = true,
    .parse_filename = named_parse_filename, .open = named_open, .close = named_close,
    .refresh_filename = named_refresh_filename, .getlength = named_getlength,
    .preadv = named_preadv, .pwritev = named_pwritev, .pwrite_zeroes = named_pwrite_zeroes,
    .pdiscard = named_pdiscard, .flush_to_disk = named_flush, .truncate = named_truncate,
    .has_zero_init = disk_has_zero_init,
};
BLOCK_DRIVER(named_driver);

/* ---- Images on it ---- */

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

void log_disk_create(BlockNode *file, const char *format, int64_t size, const char *more)
{
    g_autofree char *text = g_strdup_printf(
        "{\"driver\":\"%s\",\"file\":\"%s\",\"size\":%" G_GINT64_FORMAT "%s}", format, file->name,
        size, more);
    json_object *json = json_tokener_parse(text);
    g_autoptr(BlockdevCreateOptions) options = NULL;
    GError *error = NULL;

    BlockdevCreateOptions_from_json(json, QAPI_JSON, &options, &error);
    json_object_put(json);
    g_assert_no_error(error);
    block_create(options, &error);
    g_assert_no_error(error);
}
