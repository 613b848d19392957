/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the backend share, and its QMP commands see. */
#ifndef VIREO_BLOCK_BACKEND_INTERNAL_H
#define VIREO_BLOCK_BACKEND_INTERNAL_H

#include "block/backend.h"
#include "block/throttle-group.h"

struct BlockBackend {
    /* ---- Main thread ---- */
    unsigned refs;
    char *name;                  /* the monitor's; NULL: none */
    unsigned perm, shared;       /* for the node that is, or will be, there */
    Loop *loop, *moving_to;
    const BlockBackendOps *ops;  /* NULL: no owner */
    void *owner;
    const char *owner_name;      /* borrowed */
    bool fixed_loop;             /* only block_backend_set_loop() moves it */
    BlockdevOnError on_read_error, on_write_error;
    bool io_status_enabled;
    LoopBh *resized;             /* tells the owner, on the main loop */
    BlockMode medium_mode;       /* of the last medium, or wanted of the next */

    /* ---- Changed on the main thread while drained, used on the loop ---- */
    BlockChild *root;            /* NULL: no medium */
    bool write_cache;            /* atomic */
    bool copy_on_read;
    ThrottleMember throttle;     /* its group changes while drained */

    /* ---- Any thread ---- */
    int in_flight, quiesce;      /* atomic */
    int io_status;               /* BlockDeviceIoStatus; atomic */
    GMutex queue_lock;
    GQueue queued;               /* Coroutine: requests that came while drained */
    BlockAccounting *accounting;
};

/* All, in order of creation; the array is the caller's. Main thread. */
GPtrArray *block_backend_list(void);

/*
 * backend-io.c: a request is on its way; waits in the queue while the backend is drained. In a
 * coroutine on the backend's loop.
 */
void block_backend_enter(BlockBackend *blk);
void block_backend_leave(BlockBackend *blk);
void block_backend_wake_queued(BlockBackend *blk);

typedef enum BackendOp {
    BACKEND_READ,
    BACKEND_WRITE,
    BACKEND_ZERO,
    BACKEND_DISCARD,
    BACKEND_FLUSH,
} BackendOp;

typedef struct BackendRequest {
    BlockBackend *blk;
    BackendOp op;
    unsigned flags;
    int64_t offset, bytes;
    BlockVec vec;
} BackendRequest;

/* Between enter and leave. started_ns: when it came. */
int block_backend_perform(const BackendRequest *request, int64_t started_ns);

#endif
