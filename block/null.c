/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that stores nothing, to measure what is above it: writes are dropped, reads give zeroes
 * (read-zeroes) or leave memory as it was. null-co answers at once, null-aio by way of the loop as
 * real disks do; both can take `latency-ns` for each request.
 */
#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "block/node.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/iov.h"

#define DEFAULT_SIZE (1LL << 30)

typedef struct NullState {
    int64_t latency_ns;
    bool read_zeroes;
    bool by_loop;
} NullState;

static bool null_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                      GError **error)
{
    NullState *s = node->opaque;
    const BlockdevOptionsNull *o = options->driver == BLOCKDEV_DRIVER_NULL_AIO
                                       ? &options->u.null_aio : &options->u.null_co;

    node->size = o->has_size ? o->size : DEFAULT_SIZE;
    if (node->size < 0 || node->size > BLOCK_MAX_LENGTH) {
        error_setf(error, "size must be between 0 and %" PRId64, BLOCK_MAX_LENGTH);
        return false;
    }
    if (o->has_latency_ns && o->latency_ns > INT64_MAX) {
        error_setf(error, "latency-ns is too large");
        return false;
    }
    s->latency_ns = o->has_latency_ns ? (int64_t)o->latency_ns : 0;
    s->read_zeroes = o->has_read_zeroes && o->read_zeroes;
    s->by_loop = options->driver == BLOCKDEV_DRIVER_NULL_AIO;
    node->write_flags = BLOCK_REQ_FUA | BLOCK_REQ_WRITE_UNCHANGED;
    node->zero_flags = node->write_flags | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    return true;
}

/* "null-co://": everything else is said by options. */
static bool null_parse_filename(const char *filename, json_object *options, GError **error)
{
    const char *colon = strchr(filename, ':');

    if (!colon || strcmp(colon, "://")) {
        error_setf(error, "The only allowed filename for this driver is '%.*s://'",
                   (int)strcspn(filename, ":"), filename);
        return false;
    }
    return true;
}

static bool null_refresh_filename(BlockNode *node)
{
    NullState *s = node->opaque;

    g_free(node->filename);
    node->filename = g_strdup_printf("%s://", node->driver->name);
    return node->size == DEFAULT_SIZE && !s->latency_ns && !s->read_zeroes;
}

static int take_time(BlockNode *node)
{
    NullState *s = node->opaque;

    if (s->latency_ns) {
        coroutine_sleep(VM_CLOCK_REALTIME, s->latency_ns);
    } else if (s->by_loop) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
    return 0;
}

static int null_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    NullState *s = node->opaque;

    if (s->read_zeroes) {
        iov_memset(vec->iov, vec->n, vec_offset, 0, (size_t)bytes);
    }
    return take_time(node);
}

static int null_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset, unsigned flags)
{
    return take_time(node);
}

static int null_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    return take_time(node);
}

static int null_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    return take_time(node);
}

static int null_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                             BlockStatus *status)
{
    NullState *s = node->opaque;

    *status = (BlockStatus) {
        .flags = BLOCK_STATUS_OFFSET_VALID | (s->read_zeroes ? BLOCK_STATUS_ZERO
                                                             : BLOCK_STATUS_DATA),
        .bytes = bytes, .map = offset, .file = node,
    };
    return 0;
}

static int64_t null_allocated_size(BlockNode *node)
{
    return 0;
}

static const char *const null_strong_options[] = { "size", "read-zeroes", NULL };

#define NULL_DRIVER(driver, driver_name, driver_kind)                                              \
    static const BlockDriver driver = {                                                            \
        .name = driver_name,                                                                       \
        .kind = driver_kind,                                                                       \
        .protocol = driver_name,                                                                   \
        .instance_size = sizeof(NullState),                                                        \
        .strong_options = null_strong_options,                                                     \
        .parse_filename = null_parse_filename,                                                     \
        .open = null_open,                                                                         \
        .refresh_filename = null_refresh_filename,                                                 \
        .preadv = null_preadv,                                                                     \
        .pwritev = null_pwritev,                                                                   \
        .pwrite_zeroes = null_pwrite_zeroes,                                                       \
        .pdiscard = null_pdiscard,                                                                 \
        .block_status = null_block_status,                                                         \
        .flush_to_disk = take_time,                                                                \
        .allocated_size = null_allocated_size,                                                     \
    };                                                                                             \
    BLOCK_DRIVER(driver)

NULL_DRIVER(null_co_driver, "null-co", BLOCKDEV_DRIVER_NULL_CO);
NULL_DRIVER(null_aio_driver, "null-aio", BLOCKDEV_DRIVER_NULL_AIO);
