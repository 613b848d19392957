/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to files and devices of the host.
 *
 * Reading, writing and flushing go by the file's engine (util/file-io.h), the rest, which may take
 * the kernel long, by a thread. What the host cannot do is remembered in state->lacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "block/file-internal.h"
#include "util/bits.h"
#include "util/iov.h"
#include "util/thread-pool.h"

/* ---- Reading and writing ---- */

#define FEW 8

/* A part of a request's memory, for the kernel: mostly what the caller gave, as it is. */
typedef struct View {
    const struct iovec *iov;
    unsigned n;
    struct iovec few[FEW];
    struct iovec *many; /* or NULL; freed by the user */
} View;

static void view_init(View *view, const BlockVec *vec, size_t offset, size_t bytes)
{
    struct iovec *room = view->few;

    if (offset == 0 && iov_size(vec->iov, vec->n) == bytes) {
        view->iov = vec->iov;
        view->n = vec->n;
        return;
    }
    if (vec->n > FEW) {
        g_free(view->many);
        room = view->many = g_new(struct iovec, vec->n);
    }
    view->n = iov_slice(room, vec->n, vec->iov, vec->n, offset, bytes);
    view->iov = room;
}

int file_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                size_t vec_offset, unsigned flags)
{
    FileState *state = node->opaque;
    View view = { 0 };
    ssize_t got = 0;

    for (int64_t done = 0; done < bytes; done += got) {
        view_init(&view, vec, vec_offset + (size_t)done, (size_t)(bytes - done));
        got = file_io_readv(&state->io, view.iov, view.n, offset + done);
        if (got < 0) {
            break;
        }
        /* A direct read that ends inside a block has met the end of the file. */
        if (got == 0 || (done + got < bytes && got % node->limits.request_alignment)) {
            done += got;
            iov_memset(vec->iov, vec->n, vec_offset + (size_t)done, 0, (size_t)(bytes - done));
            break;
        }
    }
    g_free(view.many);
    return got < 0 ? (int)got : 0;
}

static int write_all(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                     size_t vec_offset, bool durable)
{
    FileState *state = node->opaque;
    View view = { 0 };
    ssize_t put = 0;

    for (int64_t done = 0; done < bytes; done += put) {
        view_init(&view, vec, vec_offset + (size_t)done, (size_t)(bytes - done));
        put = file_io_writev(&state->io, view.iov, view.n, offset + done, durable);
        if (put <= 0) {
            put = put < 0 ? put : -EIO;
            break;
        }
    }
    g_free(view.many);
    return put < 0 ? (int)put : 0;
}

int file_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags)
{
    FileState *state = node->opaque;
    bool durable = flags & BLOCK_REQ_FUA;
    int result = write_all(node, offset, bytes, vec, vec_offset, durable);

    /*
     * A durable write tells of a failed write-back just once, as fdatasync does, and perhaps of one
     * that an earlier write was the victim of. It was the write-back if the plain write works.
     */
    if (result < 0 && durable && !state->direct
        && write_all(node, offset, bytes, vec, vec_offset, false) == 0) {
        state->sticky_error = result;
    }
    return result;
}

/*
 * After a failed write-back Linux takes the pages for clean, and the next fdatasync succeeds though
 * the data is lost. So a failure stays until the file is reopened. Direct I/O has no such pages.
 */
int file_flush(BlockNode *node)
{
    FileState *state = node->opaque;
    int result;

    if (state->sticky_error) {
        return state->sticky_error;
    }
    result = file_io_flush(&state->io);
    if (result == -EINVAL && state->kind != FILE_REGULAR) {
        return 0; /* a character device without a cache */
    }
    if (result < 0 && !state->direct) {
        state->sticky_error = result;
    }
    return result;
}

/* ---- What a thread does ---- */

typedef struct FileWork {
    FileState *state;
    int64_t offset, bytes;
    unsigned flags;
    int src_fd;         /* copy */
    int64_t src_offset;
} FileWork;

/*
 * Turn the errors by which kernels and file systems say that they cannot into -ENOTSUP. Some mean
 * this request only; the others are remembered.
 */
static int learn(FileState *state, unsigned lack, int result)
{
    switch (result) {
    case -EOPNOTSUPP:
    case -ENOSYS:
    case -ENOTTY:
    case -ENODEV:
        file_set_lacks(state, lack);
        return -ENOTSUP;
    case -EINVAL:
    case -EBUSY:
    case -EPERM:
    case -EXDEV:
        return -ENOTSUP;
    default:
        return result;
    }
}

static int try_fallocate(FileState *state, unsigned lack, int mode, int64_t offset, int64_t bytes)
{
    int result;

    if (file_lacks(state, lack)) {
        return -ENOTSUP;
    }
    do {
        result = fallocate(state->io.fd, mode, offset, bytes) < 0 ? -errno : 0;
    } while (result == -EINTR);
    return learn(state, lack, result);
}

static int try_range_ioctl(FileState *state, unsigned lack, unsigned long request, int64_t offset,
                           int64_t bytes)
{
    uint64_t range[2] = { (uint64_t)offset, (uint64_t)bytes };
    int result;

    if (file_lacks(state, lack)) {
        return -ENOTSUP;
    }
    do {
        result = ioctl(state->io.fd, request, range) < 0 ? -errno : 0;
    } while (result == -EINTR);
    return learn(state, lack, result);
}

static int zero_device(const FileWork *work)
{
    int result = -ENOTSUP;

    if (work->flags & BLOCK_REQ_MAY_UNMAP) {
        result = try_fallocate(work->state, FILE_LACKS_PUNCH_HOLE,
                               FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, work->offset,
                               work->bytes);
    }
    /* This one writes where the device cannot zero. */
    if (result == -ENOTSUP && !(work->flags & BLOCK_REQ_NO_FALLBACK)) {
        result = try_range_ioctl(work->state, FILE_LACKS_ZEROOUT, BLKZEROOUT, work->offset,
                                 work->bytes);
    }
    return result;
}

/*
 * Holes do not make a file longer. Allocating the last byte does, and it leaves alone what
 * others may have written meanwhile.
 */
static int extend_to(FileState *state, int64_t end)
{
    int64_t length = file_length(state->io.fd);

    if (length < 0 || length >= end) {
        return (int)MIN(length, 0);
    }
    return try_fallocate(state, FILE_LACKS_ALLOCATE, 0, end - 1, 1);
}

static int punch_hole(const FileWork *work)
{
    int result = try_fallocate(work->state, FILE_LACKS_PUNCH_HOLE,
                               FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, work->offset,
                               work->bytes);

    return result < 0 ? result : extend_to(work->state, work->offset + work->bytes);
}

/* Zeroes that stay allocated; what lies behind the end is zero already. */
static int zero_allocated(const FileWork *work)
{
    FileState *state = work->state;
    int64_t length;
    int result = try_fallocate(state, FILE_LACKS_ZERO_RANGE, FALLOC_FL_ZERO_RANGE, work->offset,
                               work->bytes);

    if (result != -ENOTSUP) {
        return result;
    }
    length = file_length(state->io.fd);
    if (length < 0) {
        return (int)length;
    }
    if (work->offset < length) {
        result = try_fallocate(state, FILE_LACKS_PUNCH_HOLE,
                               FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, work->offset,
                               work->bytes);
        if (result < 0) {
            return result;
        }
    }
    return try_fallocate(state, FILE_LACKS_ALLOCATE, 0, work->offset, work->bytes);
}

static int zero_work(void *opaque)
{
    const FileWork *work = opaque;
    int result = -ENOTSUP;

    if (work->state->is_block) {
        return zero_device(work);
    }
    if (work->flags & BLOCK_REQ_MAY_UNMAP) {
        result = punch_hole(work);
    }
    return result == -ENOTSUP ? zero_allocated(work) : result;
}

int file_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    FileState *state = node->opaque;
    FileWork work = { .state = state, .offset = offset, .bytes = bytes, .flags = flags };
    int result;

    file_status_forget(state);
    result = thread_pool_run(zero_work, &work);
    file_status_forget(state); /* what was asked meanwhile may be wrong now */
    return result;
}

static int discard_work(void *opaque)
{
    const FileWork *work = opaque;

    if (work->state->is_block) {
        return try_range_ioctl(work->state, FILE_LACKS_DISCARD, BLKDISCARD, work->offset,
                               work->bytes);
    }
    return try_fallocate(work->state, FILE_LACKS_PUNCH_HOLE,
                         FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, work->offset, work->bytes);
}

int file_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    FileState *state = node->opaque;
    FileWork work = { .state = state, .offset = offset, .bytes = bytes };
    int result;

    file_status_forget(state);
    result = thread_pool_run(discard_work, &work);
    file_status_forget(state);
    if (result == 0) {
        state->discards_ok++;
        state->discarded_bytes += (uint64_t)bytes;
    } else {
        state->discards_failed++;
    }
    return result;
}

static int copy_work(void *opaque)
{
    FileWork *work = opaque;

    while (work->bytes > 0) {
        loff_t from = work->src_offset;
        loff_t to = work->offset;
        ssize_t copied = copy_file_range(work->src_fd, &from, work->state->io.fd, &to,
                                         (size_t)work->bytes, 0);

        if (copied < 0 && errno == EINTR) {
            continue;
        }
        if (copied < 0) {
            return learn(work->state, FILE_LACKS_COPY, -errno);
        }
        if (copied == 0) {
            return -ENOTSUP; /* the source ends here: who asked must fill in zeroes */
        }
        work->src_offset += copied;
        work->offset += copied;
        work->bytes -= copied;
    }
    return 0;
}

int file_copy_range_to(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                       int64_t dst_offset, int64_t bytes, unsigned flags)
{
    FileState *from = src->node->opaque;
    FileWork work = {
        .state = node->opaque, .offset = dst_offset, .bytes = bytes,
        .src_fd = from->io.fd, .src_offset = src_offset,
    };

    if (src->node->driver->preadv != file_preadv || file_lacks(work.state, FILE_LACKS_COPY)) {
        return -ENOTSUP;
    }
    return thread_pool_run(copy_work, &work);
}
