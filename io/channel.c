/* SPDX-License-Identifier: Apache-2.0 */
/* What all channels share: references, whole transfers, watches and waits. */
#include "io/channel.h"

#include <errno.h>
#include <string.h>

#include "util/coroutine.h"
#include "util/error.h"
#include "util/iov.h"

/* Vectors up to this long are copied to the stack while they are worked off. */
#define SMALL_IOV 16

void channel_init(Channel *channel, const ChannelOps *ops)
{
    channel->ops = ops;
    channel->refs = 1;
}

Channel *channel_ref(Channel *channel)
{
    __atomic_fetch_add(&channel->refs, 1, __ATOMIC_RELAXED);
    return channel;
}

void channel_unref(Channel *channel)
{
    if (channel && __atomic_fetch_sub(&channel->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        channel_close(channel);
        channel->ops->free(channel);
    }
}

static unsigned watched_sides(const Channel *channel)
{
    return (channel->ready[0].fn ? CHANNEL_READ : 0u) | (channel->ready[1].fn ? CHANNEL_WRITE : 0u);
}

/* Bring the implementation's watch in line with ready[]. */
static void update_watch(Channel *channel, Loop *loop)
{
    unsigned sides = watched_sides(channel);

    if (channel->loop && channel->loop != loop) {
        channel->ops->watch(channel, channel->loop, 0);
    }
    channel->ops->watch(channel, loop, sides);
    channel->loop = sides ? loop : NULL;
}

void channel_watch(Channel *channel, Loop *loop, LoopFn *on_read, LoopFn *on_write, void *opaque)
{
    channel->ready[0].fn = on_read;
    channel->ready[1].fn = on_write;
    channel->ready[0].opaque = channel->ready[1].opaque = opaque;
    if (!channel->closed && (channel->loop || watched_sides(channel))) {
        update_watch(channel, loop ? loop : channel->loop);
    }
}

void channel_ready(Channel *channel, unsigned sides)
{
    channel_ref(channel); /* a callback may drop the last reference */
    for (int i = 0; i < 2; i++) {
        if ((sides >> i & 1) && channel->ready[i].fn) {
            channel->ready[i].fn(channel->ready[i].opaque);
        }
    }
    channel_unref(channel);
}

int channel_shutdown(Channel *channel, unsigned sides)
{
    if (channel->closed) {
        return -EBADF;
    }
    return channel->ops->shutdown ? channel->ops->shutdown(channel, sides) : -ENOTSUP;
}

int channel_set_blocking(Channel *channel, bool blocking)
{
    return channel->closed ? -EBADF : channel->ops->set_blocking(channel, blocking);
}

ssize_t channel_readv_fds(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                          size_t *n_fds)
{
    if (channel->closed) {
        return -EBADF;
    }
    if (fds && !channel->passes_fds) {
        *n_fds = 0;
        fds = NULL;
        n_fds = NULL;
    }
    return channel->ops->readv(channel, iov, n, fds, n_fds);
}

ssize_t channel_writev_fds(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                           size_t n_fds)
{
    if (channel->closed) {
        return -EBADF;
    }
    if (n_fds > 0 && (!channel->passes_fds || n_fds > CHANNEL_MAX_FDS)) {
        return -ENOTSUP;
    }
    return channel->ops->writev(channel, iov, n, fds, n_fds);
}

ssize_t channel_readv(Channel *channel, const struct iovec *iov, unsigned n)
{
    return channel_readv_fds(channel, iov, n, NULL, NULL);
}

ssize_t channel_writev(Channel *channel, const struct iovec *iov, unsigned n)
{
    return channel_writev_fds(channel, iov, n, NULL, 0);
}

ssize_t channel_read(Channel *channel, void *buf, size_t len)
{
    struct iovec iov = { .iov_base = buf, .iov_len = len };

    return channel_readv(channel, &iov, 1);
}

ssize_t channel_write(Channel *channel, const void *buf, size_t len)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

    return channel_writev(channel, &iov, 1);
}

/* Waiting. */

typedef struct ChannelWait {
    Coroutine *co;
    Channel *channel;
    int index;
} ChannelWait;

static void wait_over(void *opaque)
{
    ChannelWait *wait = opaque;
    Channel *channel = wait->channel;

    channel->ready[wait->index].fn = NULL;
    update_watch(channel, channel->loop);
    coroutine_enter(wait->co);
}

void channel_wait(Channel *channel, ChannelSide side)
{
    ChannelWait wait = { .co = coroutine_current(), .channel = channel };

    if (channel->closed) {
        return;
    }
    if (!wait.co) {
        channel->ops->wait(channel, side);
        return;
    }
    wait.index = side == CHANNEL_READ ? 0 : 1;
    g_assert(!channel->ready[wait.index].fn);
    channel->ready[wait.index].fn = wait_over;
    channel->ready[wait.index].opaque = &wait;
    update_watch(channel, loop_current());
    coroutine_yield();
}

int channel_close(Channel *channel)
{
    if (channel->closed) {
        return 0;
    }
    channel->closed = true;
    if (channel->loop) {
        channel->ops->watch(channel, channel->loop, 0);
    }
    for (int i = 0; i < 2; i++) {
        if (channel->ready[i].fn == wait_over) {
            coroutine_wake(((ChannelWait *)channel->ready[i].opaque)->co); /* it sees -EBADF */
        }
        channel->ready[i].fn = NULL;
    }
    channel->loop = NULL;
    return channel->ops->close(channel);
}

/* Whole transfers. */

typedef struct Transfer {
    Channel *channel;
    struct iovec small[SMALL_IOV];
    struct iovec *copy; /* what is left of the vector */
    struct iovec *allocated;
    unsigned n;
    const int *fds;
    size_t n_fds;
} Transfer;

static void transfer_init(Transfer *transfer, Channel *channel, const struct iovec *iov, unsigned n)
{
    *transfer = (Transfer) { .channel = channel, .n = n };
    if (n > SMALL_IOV) {
        transfer->allocated = g_new(struct iovec, n);
    }
    transfer->copy = transfer->allocated ? transfer->allocated : transfer->small;
    if (n) {
        memcpy(transfer->copy, iov, n * sizeof(*iov));
    }
    iov_advance(&transfer->copy, &transfer->n, 0); /* leading empty elements */
}

/* 1: everything was moved, 0: the stream ended, -errno. *moved counts. */
static ssize_t transfer_run(Transfer *transfer, ChannelSide side, size_t *moved)
{
    *moved = 0;
    while (transfer->n) {
        ssize_t done = side == CHANNEL_READ
            ? channel_readv(transfer->channel, transfer->copy, transfer->n)
            : channel_writev_fds(transfer->channel, transfer->copy, transfer->n, transfer->fds,
                                 transfer->n_fds);

        if (done == -EAGAIN) {
            channel_wait(transfer->channel, side);
            continue;
        }
        if (done <= 0) {
            return done;
        }
        transfer->n_fds = 0; /* they went with the first byte */
        *moved += (size_t)done;
        iov_advance(&transfer->copy, &transfer->n, (size_t)done);
    }
    return 1;
}

static bool read_all(Channel *channel, const struct iovec *iov, unsigned n, bool *eof,
                     GError **error)
{
    Transfer transfer;
    size_t moved;
    ssize_t result;

    transfer_init(&transfer, channel, iov, n);
    result = transfer_run(&transfer, CHANNEL_READ, &moved);
    g_free(transfer.allocated);
    if (eof) {
        *eof = result == 0 && moved == 0;
    }
    if (result < 0) {
        error_set_errno(error, (int)-result, "cannot read from the %s", channel->ops->kind);
    } else if (result == 0 && !(eof && *eof)) {
        error_setf(error, "the %s ended after %zu of %zu bytes", channel->ops->kind, moved,
                   iov_size(iov, n));
    }
    return result > 0 || (eof && *eof);
}

bool channel_readv_all(Channel *channel, const struct iovec *iov, unsigned n, GError **error)
{
    return read_all(channel, iov, n, NULL, error);
}

bool channel_read_all(Channel *channel, void *buf, size_t len, GError **error)
{
    struct iovec iov = { .iov_base = buf, .iov_len = len };

    return read_all(channel, &iov, 1, NULL, error);
}

bool channel_read_all_or_eof(Channel *channel, void *buf, size_t len, bool *eof, GError **error)
{
    struct iovec iov = { .iov_base = buf, .iov_len = len };

    return read_all(channel, &iov, 1, eof, error);
}

bool channel_writev_all_fds(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                            size_t n_fds, GError **error)
{
    Transfer transfer;
    size_t moved;
    ssize_t result;

    transfer_init(&transfer, channel, iov, n);
    transfer.fds = fds;
    transfer.n_fds = n_fds;
    result = transfer_run(&transfer, CHANNEL_WRITE, &moved);
    g_free(transfer.allocated);
    if (result <= 0) {
        error_set_errno(error, result ? (int)-result : EPIPE, "cannot write to the %s",
                        channel->ops->kind);
    }
    return result > 0;
}

bool channel_writev_all(Channel *channel, const struct iovec *iov, unsigned n, GError **error)
{
    return channel_writev_all_fds(channel, iov, n, NULL, 0, error);
}

bool channel_write_all(Channel *channel, const void *buf, size_t len, GError **error)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

    return channel_writev_all_fds(channel, &iov, 1, NULL, 0, error);
}
