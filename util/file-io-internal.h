/* SPDX-License-Identifier: Apache-2.0 */
/* Between file-io.c, loop.c and the engines that the build found (file-ring-*.c, file-aio-*.c). */
#ifndef VIREO_UTIL_FILE_IO_INTERNAL_H
#define VIREO_UTIL_FILE_IO_INTERNAL_H

#include "util/coroutine.h"
#include "util/file-io.h"

typedef enum FileOp { FILE_OP_READ, FILE_OP_WRITE, FILE_OP_FLUSH, FILE_OP_ALLOCATE } FileOp;

/* On the waiting coroutine's stack. */
typedef struct FileRequest {
    FileOp op;
    const FileIo *io;
    const struct iovec *iov;
    unsigned n;
    int64_t offset;
    int64_t len;
    int flags; /* RWF_* of a write, FALLOC_FL_* of an allocation */
    int result;
    Coroutine *co;
    GList link;
} FileRequest;

typedef struct FileRing FileRing;

/* NULL if the kernel or the build has none. Loop's thread. */
FileRing *file_ring_new(Loop *loop);
/* With no request in flight. NULL is ignored. */
void file_ring_free(FileRing *ring);
/*
 * Enters request->co when it is done, never before the caller went back to the loop. Result
 * -EAGAIN: a thread has to do it.
 */
void file_ring_submit(FileRing *ring, FileRequest *request);

/* The same by Linux AIO. */
typedef struct FileAio FileAio;

FileAio *file_aio_new(Loop *loop);
void file_aio_free(FileAio *aio);
void file_aio_submit(FileAio *aio, FileRequest *request);

/* The loop's engines, made at first use; NULL if there is none. Kept by loop.c. */
FileRing *loop_file_ring(Loop *loop);
FileAio *loop_file_aio(Loop *loop);
/* Never use a ring on this loop (tests of the other way). Before its first request. */
void loop_forbid_file_ring(Loop *loop);

#endif
