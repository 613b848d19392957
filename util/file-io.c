/* SPDX-License-Identifier: Apache-2.0 */
/* File I/O for coroutines: by ring where possible, else by thread. */
#include "util/file-io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "util/file-io-internal.h"
#include "util/iov.h"
#include "util/thread-pool.h"

static ssize_t do_blocking(const FileRequest *request)
{
    int fd = request->io->fd;

    switch (request->op) {
    case FILE_OP_READ:
        return preadv(fd, request->iov, (int)request->n, request->offset);
    case FILE_OP_WRITE:
        return pwritev2(fd, request->iov, (int)request->n, request->offset, request->flags);
    case FILE_OP_FLUSH:
        return fdatasync(fd);
    default:
        return fallocate(fd, request->flags, request->offset, request->len);
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

/* Hand the request to the file's engine; false if the loop has none. */
static bool submit(FileRequest *request)
{
    Loop *loop = loop_current();
    FileRing *ring;
    FileAio *aio;

    if (request->io->engine == FILE_ENGINE_RING && (ring = loop_file_ring(loop))) {
        file_ring_submit(ring, request);
        return true;
    }
    if (request->io->engine == FILE_ENGINE_NATIVE && (aio = loop_file_aio(loop))) {
        file_aio_submit(aio, request);
        return true;
    }
    return false;
}

static int run(FileRequest *request)
{
    request->co = coroutine_current();
    g_assert(request->co);
    if (request->op == FILE_OP_ALLOCATE || !submit(request)) {
        return thread_pool_run(work, request);
    }
    coroutine_yield();
    /* The kernel can find no way to do it without blocking; a thread may block. */
    return request->result == -EAGAIN ? thread_pool_run(work, request) : request->result;
}

/* A coroutine that never has to wait still lets others run after so many reads. */
#define HITS_IN_A_ROW 256

/*
 * Read what the page cache has, here and now: to queue such a request and to come back costs more
 * than to do it. Bytes, or 0 if there was nothing.
 */
static ssize_t read_from_cache(FileIo *io, const FileRequest *request)
{
    ssize_t result;

    if (!io->try_cache || ++io->hits % HITS_IN_A_ROW == 0) {
        return 0;
    }
    result = preadv2(io->fd, request->iov, (int)request->n, request->offset, RWF_NOWAIT);
    return MAX(result, 0);
}

/*
 * One system call moves at most 2 GiB less a page, and takes IOV_MAX elements; so an int holds it.
 */
ssize_t file_io_readv(FileIo *io, const struct iovec *iov, unsigned n, int64_t offset)
{
    FileRequest request = {
        .op = FILE_OP_READ, .io = io, .iov = iov, .n = MIN(n, IOV_MAX), .offset = offset,
    };
    ssize_t result;

    result = read_from_cache(io, &request);
    return result ? result : run(&request);
}

/*
 * No file system writes to the page cache without perhaps waiting, so rings and pools have it done
 * by a thread. To wake that costs several times what copying a few pages does. But while it writes
 * we would wait for it: writes to one file exclude one another.
 */
static bool writes_at_once(const FileIo *io, const FileRequest *request)
{
    return io->try_cache && !request->flags && !io->writing &&
           loop_may_wait(loop_current(), iov_size(request->iov, request->n));
}

ssize_t file_io_writev(FileIo *io, const struct iovec *iov, unsigned n, int64_t offset,
                       bool durable)
{
    FileRequest request = {
        .op = FILE_OP_WRITE, .io = io, .iov = iov, .n = MIN(n, IOV_MAX), .offset = offset,
        .flags = durable ? RWF_DSYNC : 0,
    };
    ssize_t result;

    if (writes_at_once(io, &request)) {
        return work(&request);
    }
    io->writing++;
    result = run(&request);
    io->writing--;
    return result;
}

int file_io_flush(const FileIo *io)
{
    FileRequest request = { .op = FILE_OP_FLUSH, .io = io };

    return run(&request);
}

int file_io_allocate(const FileIo *io, int mode, int64_t offset, int64_t len)
{
    FileRequest request = {
        .op = FILE_OP_ALLOCATE, .io = io, .flags = mode, .offset = offset, .len = len,
    };

    return run(&request);
}

bool file_io_has_engine(Loop *loop, FileEngine engine)
{
    switch (engine) {
    case FILE_ENGINE_RING:
        return loop_file_ring(loop) != NULL;
    case FILE_ENGINE_NATIVE:
        return loop_file_aio(loop) != NULL;
    default:
        return true;
    }
}
