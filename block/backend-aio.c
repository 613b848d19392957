/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests by callback. Each runs in a pooled coroutine, on whose stack everything stands: nothing
 * is allocated, unless it comes from another thread. The callback never comes before the function
 * that started the request has returned.
 */
#include "block/backend-internal.h"
#include "util/coroutine.h"
#include "util/iov.h"
#include "util/timer.h"

typedef struct Aio {
    BackendRequest request;
    BlockDoneFn *done;
    void *opaque;
    bool *returned; /* on the coroutine's stack: has the starter returned? */
} Aio;

static void aio_run(void *opaque)
{
    Aio *starter = opaque;
    Aio aio = *starter;
    BlockBackend *blk = aio.request.blk;
    int64_t started = vm_clock_ns(VM_CLOCK_REALTIME);
    bool returned = false;
    int result;

    starter->returned = &returned;
    block_backend_enter(blk);
    result = block_backend_perform(&aio.request, started);
    if (!returned) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
    aio.done(aio.opaque, result);
    block_backend_leave(blk);
}

static void aio_run_here(const Aio *request)
{
    Aio aio = *request;

    coroutine_start(aio_run, &aio);
    /* It has not ended: it waits for this at the latest. */
    *aio.returned = true;
}

static void aio_run_posted(void *opaque)
{
    g_autofree Aio *aio = opaque;

    aio_run_here(aio);
}

static void aio_start(const BackendRequest *request, BlockDoneFn *done, void *opaque)
{
    Aio aio = { *request, done, opaque };
    Loop *loop = request->blk->loop;

    if (loop != loop_main() || loop_in_main_thread()) {
        g_assert(loop == loop_current());
        aio_run_here(&aio);
    } else {
        /* A vCPU's thread, in a device model. The main loop's descriptors are not for it. */
        loop_post(loop, aio_run_posted, g_memdup2(&aio, sizeof(aio)));
    }
}

void block_backend_aio_preadv(BlockBackend *blk, int64_t offset, const BlockVec *vec,
                              unsigned flags, BlockDoneFn *done, void *opaque)
{
    aio_start(&(BackendRequest){ blk, BACKEND_READ, flags, offset,
                                 (int64_t)iov_size(vec->iov, vec->n), *vec }, done, opaque);
}

void block_backend_aio_pwritev(BlockBackend *blk, int64_t offset, const BlockVec *vec,
                               unsigned flags, BlockDoneFn *done, void *opaque)
{
    aio_start(&(BackendRequest){ blk, BACKEND_WRITE, flags, offset,
                                 (int64_t)iov_size(vec->iov, vec->n), *vec }, done, opaque);
}

void block_backend_aio_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes,
                                     unsigned flags, BlockDoneFn *done, void *opaque)
{
    aio_start(&(BackendRequest){ blk, BACKEND_ZERO, flags, offset, bytes }, done, opaque);
}

void block_backend_aio_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes,
                                BlockDoneFn *done, void *opaque)
{
    aio_start(&(BackendRequest){ blk, BACKEND_DISCARD, 0, offset, bytes }, done, opaque);
}

void block_backend_aio_flush(BlockBackend *blk, BlockDoneFn *done, void *opaque)
{
    aio_start(&(BackendRequest){ blk, BACKEND_FLUSH }, done, opaque);
}
