/* SPDX-License-Identifier: Apache-2.0 */
/* Backends that stand on a channel: see chardev/stream.h. */
#include "chardev/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void on_readable(void *opaque);
static void on_writable(void *opaque);

void stream_chardev_init(StreamChardev *stream)
{
    stream->wait_fd = -1;
}

void stream_chardev_set_channel(StreamChardev *stream, Channel *channel)
{
    channel_set_blocking(channel, false);
    g_mutex_lock(&stream->parent.lock);
    stream->channel = channel;
    stream->hung_up = false;
    g_mutex_unlock(&stream->parent.lock);
}

static void set_watch(StreamChardev *stream, bool in, bool out)
{
    if (stream->channel && (stream->watch_in != in || stream->watch_out != out)) {
        channel_watch(stream->channel, stream->parent.loop, in ? on_readable : NULL,
                      out ? on_writable : NULL, stream);
    }
    stream->watch_in = in;
    stream->watch_out = out;
}

void stream_chardev_detach_loop(Chardev *chr)
{
    set_watch((StreamChardev *)chr, false, false);
}

static void drop_fds(StreamChardev *stream)
{
    for (size_t i = 0; i < stream->n_fds; i++) {
        close(stream->fds[i]);
    }
    stream->n_fds = 0;
}

void stream_chardev_close(StreamChardev *stream)
{
    Channel *channel;

    set_watch(stream, false, false);
    drop_fds(stream);
    g_clear_pointer(&stream->ahead, g_free);
    stream->ahead_len = 0;
    stream->ahead_end = false;
    g_mutex_lock(&stream->parent.lock);
    channel = g_steal_pointer(&stream->channel);
    stream->hung_up = false;
    g_mutex_unlock(&stream->parent.lock);
    if (channel) {
        channel_close(channel);
        channel_unref(channel);
    }
}

int stream_chardev_write(Chardev *chr, const uint8_t *buf, int len)
{
    StreamChardev *stream = (StreamChardev *)chr;
    ssize_t n;

    if (!stream->channel) {
        return len;
    }
    n = channel_write(stream->channel, buf, len);
    if (n >= 0) {
        return n;
    }
    if (n == -EAGAIN) {
        return 0;
    }
    if (stream->hangup) {
        stream->hung_up = true;
        chardev_schedule_update(chr);
    }
    return n;
}

void stream_chardev_wait_writable(Chardev *chr)
{
    struct pollfd pfd = { .fd = ((StreamChardev *)chr)->wait_fd, .events = POLLOUT };

    poll(&pfd, 1, 100);
}

int stream_chardev_get_fds(Chardev *chr, int *fds, int max)
{
    StreamChardev *stream = (StreamChardev *)chr;
    size_t count = MIN((size_t)MAX(max, 0), stream->n_fds);

    memcpy(fds, stream->fds, count * sizeof(int));
    memmove(stream->fds, stream->fds + count, (stream->n_fds - count) * sizeof(int));
    stream->n_fds -= count;
    drop_fds(stream);
    return count;
}

static ssize_t receive(StreamChardev *stream, uint8_t *buf, size_t len)
{
    struct iovec iov = { .iov_base = buf, .iov_len = len };
    int fds[CHANNEL_MAX_FDS];
    size_t n_fds = CHANNEL_MAX_FDS;
    ssize_t n;

    if (!channel_passes_fds(stream->channel)) {
        return channel_read(stream->channel, buf, len);
    }
    n = channel_readv_fds(stream->channel, &iov, 1, fds, &n_fds);
    if (n >= 0 && n_fds) {
        drop_fds(stream);
        memcpy(stream->fds, fds, n_fds * sizeof(int));
        stream->n_fds = n_fds;
    }
    return n;
}

static void hand_on(StreamChardev *stream, uint8_t *buf, size_t len)
{
    if (stream->input) {
        stream->input(stream, buf, len);
    } else {
        chardev_deliver(&stream->parent, buf, len);
    }
}

/* ---- Reading ahead, for frontends that want to hear of hang-ups while they cannot read ---- */

static bool may_read_ahead(const StreamChardev *stream)
{
    const CharFrontend *fe = stream->parent.fe;

    return stream->hangup && fe && fe->ops && fe->ops->read_ahead && !stream->ahead_end &&
           stream->ahead_len < CHARDEV_READ_CHUNK;
}

static void read_ahead(StreamChardev *stream)
{
    ssize_t n;

    if (!stream->ahead) {
        stream->ahead = g_malloc(CHARDEV_READ_CHUNK);
    }
    n = receive(stream, stream->ahead + stream->ahead_len,
                CHARDEV_READ_CHUNK - stream->ahead_len);
    if (n > 0) {
        stream->ahead_len += n;
    } else if (n != -EAGAIN) {
        stream->ahead_end = true;
    }
}

static void hand_on_ahead(StreamChardev *stream)
{
    while (stream->channel && stream->ahead_len) {
        size_t n = MIN((size_t)MAX(chardev_can_read(&stream->parent), 0), stream->ahead_len);
        uint8_t buf[CHARDEV_READ_CHUNK];

        if (!n) {
            return;
        }
        memcpy(buf, stream->ahead, n);
        stream->ahead_len -= n;
        memmove(stream->ahead, stream->ahead + n, stream->ahead_len);
        hand_on(stream, buf, n);
    }
}

/* A hang-up waits for what came before it, unless nobody wants that. True: it is done. */
static bool end_ahead(StreamChardev *stream)
{
    const CharFrontend *fe = stream->parent.fe;

    if (stream->ahead_end && (!stream->ahead_len || !fe || fe->closed)) {
        stream->hangup(stream);
        return true;
    }
    return false;
}

static void on_readable(void *opaque)
{
    StreamChardev *stream = opaque;
    uint8_t buf[CHARDEV_READ_CHUNK];
    int room = MIN(chardev_can_read(&stream->parent), (int)sizeof(buf));
    ssize_t n;

    if (stream->channel && (room <= 0 || stream->ahead_len) && may_read_ahead(stream)) {
        read_ahead(stream);
        stream->parent.ops->update(&stream->parent);
        return;
    }
    if (room <= 0 || !stream->channel || stream->ahead_len) {
        stream->parent.ops->update(&stream->parent);
        return;
    }
    n = receive(stream, buf, room);
    if (n == -EAGAIN) {
        return;
    }
    /* The frontend may remove the chardev from its callback. */
    object_ref(OBJECT(stream));
    if (n <= 0 && stream->hangup) {
        stream->hangup(stream);
    } else if (n <= 0) {
        stream->no_input = true;
    } else {
        hand_on(stream, buf, n);
    }
    if (stream->channel) {
        stream->parent.ops->update(&stream->parent);
    }
    object_unref(OBJECT(stream));
}

static void on_writable(void *opaque)
{
    StreamChardev *stream = opaque;

    object_ref(OBJECT(stream));
    chardev_flush(&stream->parent);
    stream->parent.ops->update(&stream->parent);
    object_unref(OBJECT(stream));
}

/* A peer that does not read is dropped; where there is no peer to drop, what piled up is lost. */
static bool handle_failure(StreamChardev *stream)
{
    Chardev *chr = &stream->parent;
    bool failed;

    g_mutex_lock(&chr->lock);
    failed = stream->hung_up || chr->overrun;
    if (failed && !stream->hangup) {
        chr->overrun = false;
    }
    g_mutex_unlock(&chr->lock);
    if (!failed) {
        return false;
    }
    if (stream->hangup) {
        stream->hangup(stream);
        return true;
    }
    chardev_drop_pending(chr);
    return false;
}

static bool wants_input(StreamChardev *stream)
{
    return may_read_ahead(stream) ||
           (!stream->ahead_len && !stream->ahead_end && chardev_can_read(&stream->parent) > 0);
}

void stream_chardev_update(Chardev *chr)
{
    StreamChardev *stream = (StreamChardev *)chr;

    if (!stream->channel || handle_failure(stream)) {
        return;
    }
    object_ref(OBJECT(stream));
    hand_on_ahead(stream);
    if (stream->channel && !end_ahead(stream)) {
        set_watch(stream, !stream->no_input && wants_input(stream), chardev_wants_room(chr));
    }
    object_unref(OBJECT(stream));
}
