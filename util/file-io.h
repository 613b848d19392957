/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, for coroutines: each function yields until the kernel is done. Requests go through the
 * loop's io_uring where the kernel has one, all of one round of the loop in one system call; else,
 * and for what io_uring does not do well, through the thread pool.
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

ssize_t file_io_readv(int fd, const struct iovec *iov, unsigned n, int64_t offset);
/* durable: the data is on stable storage when the function returns (RWF_DSYNC). */
ssize_t file_io_writev(int fd, const struct iovec *iov, unsigned n, int64_t offset, bool durable);
/* fdatasync(2). */
int file_io_flush(int fd);
/* fallocate(2): FALLOC_FL_* in mode. */
int file_io_allocate(int fd, int mode, int64_t offset, int64_t len);

/* Does the loop have an io_uring? Makes it if it can. Loop's thread. */
bool file_io_has_ring(Loop *loop);

#endif
