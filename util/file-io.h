/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, for coroutines: each function yields until the kernel is done, or returns at once where
 * nothing has to wait. Requests go to the kernel by the file's engine. io_uring and Linux AIO take
 * all requests of one round of the loop in one system call; they belong to the loop. The thread
 * pool does what is left: where the kernel or the build has no such thing, or does it badly.
 *
 * Results are as of preadv(2) and friends: bytes (which may be fewer than asked for) or 0, or
 * -errno. Buffers must stay until the function returns.
 */
#ifndef VIREO_UTIL_FILE_IO_H
#define VIREO_UTIL_FILE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/loop.h"

typedef enum FileEngine {
    FILE_ENGINE_RING,    /* io_uring */
    FILE_ENGINE_THREADS,
    FILE_ENGINE_NATIVE,  /* Linux AIO; waits inside the system call unless the file is O_DIRECT */
} FileEngine;

/* An open file and how to use it. Belongs to the caller, as fd does. */
typedef struct FileIo {
    int fd;
    FileEngine engine;
    unsigned max_batch; /* requests that wait for the end of the round; 0: any number */
    bool try_cache;     /* it goes through the page cache: reads look there first */
    unsigned hits;      /* of those; private, as the next */
    unsigned writing;   /* writes in flight */
} FileIo;

ssize_t file_io_readv(FileIo *io, const struct iovec *iov, unsigned n, int64_t offset);
/* durable: the data is on stable storage when the function returns (RWF_DSYNC). */
ssize_t file_io_writev(FileIo *io, const struct iovec *iov, unsigned n, int64_t offset,
                       bool durable);
/* fdatasync(2). */
int file_io_flush(const FileIo *io);
/* fallocate(2): FALLOC_FL_* in mode. */
int file_io_allocate(const FileIo *io, int mode, int64_t offset, int64_t len);

/* Has the loop this engine? Makes it if it can. Loop's thread. */
bool file_io_has_engine(Loop *loop, FileEngine engine);

#endif
