/* SPDX-License-Identifier: Apache-2.0 */
/* File I/O for coroutines: by ring where possible, else by thread. */
#include "util/file-io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "util/file-io-internal.h"
#include "util/thread-pool.h"

static ssize_t do_blocking(const FileRequest *request)
{
    switch (request->op) {
    case FILE_OP_READ:
        return preadv(request->fd, request->iov, (int)request->n, request->offset);
    case FILE_OP_WRITE:
        return pwritev2(request->fd, request->iov, (int)request->n, request->offset,
                        request->flags);
    case FILE_OP_FLUSH:
        return fdatasync(request->fd);
    default:
        return fallocate(request->fd, request->flags, request->offset, request->len);
    }
}

/* On a pool thread. */
static int work(void *opaque)
{
    ssize_t result;

    do {
        result = do_blocking(opaque);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : (int)result;
}

static int run(FileRequest *request)
{
    FileRing *ring = request->op == FILE_OP_ALLOCATE ? NULL : loop_file_ring(loop_current());

    if (!ring) {
        return thread_pool_run(work, request);
    }
    request->co = coroutine_current();
    g_assert(request->co);
    file_ring_submit(ring, request);
    coroutine_yield();
    /* The kernel can find no way to do it without blocking; a thread may block. */
    return request->result == -EAGAIN ? thread_pool_run(work, request) : request->result;
}

/*
 * One system call moves at most 2 GiB less a page, and takes IOV_MAX elements; so an int holds it.
 */
ssize_t file_io_readv(int fd, const struct iovec *iov, unsigned n, int64_t offset)
{
    FileRequest request = {
        .op = FILE_OP_READ, .fd = fd, .iov = iov, .n = MIN(n, IOV_MAX), .offset = offset,
    };

    return run(&request);
}

ssize_t file_io_writev(int fd, const struct iovec *iov, unsigned n, int64_t offset, bool durable)
{
    FileRequest request = {
        .op = FILE_OP_WRITE, .fd = fd, .iov = iov, .n = MIN(n, IOV_MAX), .offset = offset,
        .flags = durable ? RWF_DSYNC : 0,
    };

    return run(&request);
}

int file_io_flush(int fd)
{
    FileRequest request = { .op = FILE_OP_FLUSH, .fd = fd };

    return run(&request);
}

int file_io_allocate(int fd, int mode, int64_t offset, int64_t len)
{
    FileRequest request = {
        .op = FILE_OP_ALLOCATE, .fd = fd, .flags = mode, .offset = offset, .len = len,
    };

    return run(&request);
}

bool file_io_has_ring(Loop *loop)
{
    return loop_file_ring(loop) != NULL;
}
