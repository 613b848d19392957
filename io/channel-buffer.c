/* SPDX-License-Identifier: Apache-2.0 */
/* Memory as a channel, for composing messages and for tests. */
#include "io/channel-buffer.h"

#include <string.h>

#include "util/iov.h"

/* Read bytes are dropped from the front once they are this many and most of the buffer. */
#define COMPACT_BYTES 4096

typedef struct ChannelBuffer {
    Channel channel;
    GByteArray *bytes;
    guint read; /* of bytes */
    LoopBh *bh; /* says "ready" again and again while watched */
    unsigned sides;
} ChannelBuffer;

static ssize_t buffer_readv(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                            size_t *n_fds)
{
    ChannelBuffer *self = (ChannelBuffer *)channel;
    size_t done = iov_from_buf(iov, n, 0, self->bytes->data + self->read,
                               self->bytes->len - self->read);

    self->read += (guint)done;
    if (self->read >= COMPACT_BYTES && self->read > self->bytes->len / 2) {
        g_byte_array_remove_range(self->bytes, 0, self->read);
        self->read = 0;
    }
    return (ssize_t)done;
}

static ssize_t buffer_writev(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                             size_t n_fds)
{
    ChannelBuffer *self = (ChannelBuffer *)channel;
    ssize_t done = 0;

    for (unsigned i = 0; i < n; i++) {
        g_byte_array_append(self->bytes, iov[i].iov_base, (guint)iov[i].iov_len);
        done += (ssize_t)iov[i].iov_len;
    }
    return done;
}

static int buffer_set_blocking(Channel *channel, bool blocking)
{
    return 0;
}

static int buffer_close(Channel *channel)
{
    ChannelBuffer *self = (ChannelBuffer *)channel;

    loop_bh_free(g_steal_pointer(&self->bh));
    return 0;
}

static void buffer_ready(void *opaque)
{
    ChannelBuffer *self = opaque;

    loop_bh_schedule(self->bh);
    channel_ready(&self->channel, self->sides);
}

static void buffer_watch(Channel *channel, Loop *loop, unsigned sides)
{
    ChannelBuffer *self = (ChannelBuffer *)channel;

    loop_bh_free(g_steal_pointer(&self->bh));
    self->sides = sides;
    if (sides) {
        self->bh = loop_bh_new(loop, buffer_ready, self);
        loop_bh_schedule(self->bh);
    }
}

static void buffer_wait(Channel *channel, ChannelSide side)
{
}

static void buffer_free(Channel *channel)
{
    ChannelBuffer *self = (ChannelBuffer *)channel;

    g_byte_array_unref(self->bytes);
    g_free(self);
}

static const ChannelOps buffer_ops = {
    .kind = "buffer",
    .readv = buffer_readv,
    .writev = buffer_writev,
    .set_blocking = buffer_set_blocking,
    .close = buffer_close,
    .watch = buffer_watch,
    .wait = buffer_wait,
    .free = buffer_free,
};

Channel *channel_buffer_new(void)
{
    ChannelBuffer *self = g_new0(ChannelBuffer, 1);

    channel_init(&self->channel, &buffer_ops);
    self->bytes = g_byte_array_new();
    return &self->channel;
}

const uint8_t *channel_buffer_data(Channel *channel, size_t *len)
{
    ChannelBuffer *self = (ChannelBuffer *)channel;

    g_assert(channel->ops == &buffer_ops);
    *len = self->bytes->len - self->read;
    return self->bytes->data + self->read;
}
