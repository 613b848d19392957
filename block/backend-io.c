/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend's requests: waiting while it is drained, checking against the medium, counting, and
 * handing on to the root edge.
 */
#include <errno.h>

#include "block/backend-internal.h"
#include "block/io-internal.h"
#include "util/timer.h"

/* ---- Coming and going ---- */

void block_backend_leave(BlockBackend *blk)
{
    int before = __atomic_fetch_sub(&blk->in_flight, 1, __ATOMIC_SEQ_CST);

    g_assert(before > 0);
    if (before == 1 && __atomic_load_n(&blk->quiesce, __ATOMIC_SEQ_CST) > 0) {
        block_drain_kick();
    }
}

static void wait_in_queue(BlockBackend *blk)
{
    GList link = { .data = coroutine_current() };

    g_mutex_lock(&blk->queue_lock);
    if (__atomic_load_n(&blk->quiesce, __ATOMIC_SEQ_CST) == 0) {
        g_mutex_unlock(&blk->queue_lock);
        return;
    }
    g_queue_push_tail_link(&blk->queued, &link);
    g_mutex_unlock(&blk->queue_lock);
    coroutine_yield();
    /* Backends move while they are drained. */
    coroutine_move(blk->loop);
}

void block_backend_enter(BlockBackend *blk)
{
    for (;;) {
        __atomic_fetch_add(&blk->in_flight, 1, __ATOMIC_SEQ_CST);
        if (G_LIKELY(__atomic_load_n(&blk->quiesce, __ATOMIC_SEQ_CST) == 0)) {
            return;
        }
        block_backend_leave(blk);
        wait_in_queue(blk);
    }
}

void block_backend_wake_queued(BlockBackend *blk)
{
    g_mutex_lock(&blk->queue_lock);
    wake_waiters(&blk->queued);
    g_mutex_unlock(&blk->queue_lock);
}

/* ---- One request ---- */

static bool has_medium(BlockBackend *blk)
{
    return blk->root && !block_backend_tray_is_open(blk);
}

static int check(const BackendRequest *request)
{
    BlockBackend *blk = request->blk;
    int64_t end;

    if (!has_medium(blk)) {
        return -ENOMEDIUM;
    }
    if (!block_range_valid(request->offset, request->bytes)) {
        return -EIO;
    }
    end = request->offset + request->bytes;
    return end > block_size_for(blk->root->node, end) ? -EIO : 0;
}

static int hand_on(const BackendRequest *r)
{
    BlockChild *root = r->blk->root;
    unsigned flags = r->flags;

    if (!__atomic_load_n(&r->blk->write_cache, __ATOMIC_RELAXED)) {
        flags |= BLOCK_REQ_FUA;
    }
    if (r->op <= BACKEND_ZERO) {
        throttle_member_wait(&r->blk->throttle, r->op != BACKEND_READ, r->bytes);
    }
    switch (r->op) {
    case BACKEND_READ:
        return block_preadv(root, r->offset, r->bytes, &r->vec, 0,
                            r->flags | (r->blk->copy_on_read ? BLOCK_REQ_COPY_ON_READ : 0));
    case BACKEND_WRITE:
        return block_pwritev(root, r->offset, r->bytes, &r->vec, 0, flags);
    case BACKEND_ZERO:
        return block_pwrite_zeroes(root, r->offset, r->bytes, flags);
    case BACKEND_DISCARD:
        return block_pdiscard(root, r->offset, r->bytes);
    default:
        return block_flush(root->node);
    }
}

int block_backend_perform(const BackendRequest *request, int64_t started_ns)
{
    static const BlockAcctKind kinds[] = {
        [BACKEND_READ] = BLOCK_ACCT_READ, [BACKEND_WRITE] = BLOCK_ACCT_WRITE,
        [BACKEND_ZERO] = BLOCK_ACCT_WRITE, [BACKEND_DISCARD] = BLOCK_ACCT_UNMAP,
        [BACKEND_FLUSH] = BLOCK_ACCT_FLUSH,
    };
    BlockAcctOutcome outcome = BLOCK_ACCT_INVALID;
    int ret = check(request);

    if (ret == 0) {
        ret = hand_on(request);
        outcome = ret < 0 ? BLOCK_ACCT_FAILED : BLOCK_ACCT_DONE;
    }
    block_accounting_count(request->blk->accounting, kinds[request->op], outcome, request->bytes,
                           started_ns, vm_clock_ns(VM_CLOCK_REALTIME));
    return ret;
}

/* ---- In a coroutine ---- */

static int run(const BackendRequest *request)
{
    int64_t started = vm_clock_ns(VM_CLOCK_REALTIME);
    int ret;

    block_backend_enter(request->blk);
    ret = block_backend_perform(request, started);
    block_backend_leave(request->blk);
    return ret;
}

int block_backend_preadv(BlockBackend *blk, int64_t offset, int64_t bytes, const BlockVec *vec,
                         unsigned flags)
{
    return run(&(BackendRequest){ blk, BACKEND_READ, flags, offset, bytes, *vec });
}

int block_backend_pwritev(BlockBackend *blk, int64_t offset, int64_t bytes, const BlockVec *vec,
                          unsigned flags)
{
    return run(&(BackendRequest){ blk, BACKEND_WRITE, flags, offset, bytes, *vec });
}

int block_backend_pread(BlockBackend *blk, int64_t offset, int64_t bytes, void *buf)
{
    return block_backend_preadv(blk, offset, bytes, BLOCK_VEC_BUF(buf, (size_t)bytes), 0);
}

int block_backend_pwrite(BlockBackend *blk, int64_t offset, int64_t bytes, const void *buf,
                         unsigned flags)
{
    return block_backend_pwritev(blk, offset, bytes, BLOCK_VEC_BUF(buf, (size_t)bytes), flags);
}

int block_backend_pwrite_zeroes(BlockBackend *blk, int64_t offset, int64_t bytes, unsigned flags)
{
    return run(&(BackendRequest){ blk, BACKEND_ZERO, flags, offset, bytes });
}

int block_backend_pdiscard(BlockBackend *blk, int64_t offset, int64_t bytes)
{
    return run(&(BackendRequest){ blk, BACKEND_DISCARD, 0, offset, bytes });
}

int block_backend_flush(BlockBackend *blk)
{
    return run(&(BackendRequest){ blk, BACKEND_FLUSH });
}

int block_backend_truncate(BlockBackend *blk, const BlockTruncate *truncate, GError **error)
{
    static const BlockChild no_medium = { .perm = BLOCK_PERM_ALL };
    int ret;

    block_backend_enter(blk);
    ret = block_truncate(has_medium(blk) ? blk->root : (BlockChild *)&no_medium, truncate, error);
    block_backend_leave(blk);
    return ret;
}

int64_t block_backend_getlength(BlockBackend *blk)
{
    return has_medium(blk) ? block_getlength(blk->root->node) : -ENOMEDIUM;
}
