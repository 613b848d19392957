/* SPDX-License-Identifier: Apache-2.0 */
#include "nbd/stream.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "util/coroutine.h"
#include "util/iov.h"

/* Elements that are sent by one call. */
#define SEND_IOV 256
/* From this length on a message does not wait for others. */
#define LONG_MESSAGE ((size_t)32 << 10)

typedef struct NbdOutgoing {
    const struct iovec *iov;
    unsigned n;
    size_t len;
    Coroutine *co; /* who waits for it, if not who sends */
    bool done;
    int result;
} NbdOutgoing;

void nbd_stream_init(NbdStream *stream, Channel *channel)
{
    *stream = (NbdStream) { .channel = channel_ref(channel) };
    stream->buffer = g_malloc(NBD_STREAM_BUFFER);
    g_queue_init(&stream->outgoing);
}

void nbd_stream_cleanup(NbdStream *stream)
{
    g_assert(g_queue_is_empty(&stream->outgoing));
    channel_unref(stream->channel);
    g_free(stream->buffer);
    *stream = (NbdStream) { 0 };
}

void nbd_stream_break(NbdStream *stream, int err)
{
    if (!stream->broken) {
        stream->broken = err;
        channel_shutdown(stream->channel, CHANNEL_READ | CHANNEL_WRITE);
    }
}

/* ---- Reading ---- */

/* Some bytes into iov, or behind it into the (empty) buffer. */
static int receive(NbdStream *stream, struct iovec **iov, unsigned *n)
{
    struct iovec all[17];
    unsigned count = MIN(*n, G_N_ELEMENTS(all) - 1);
    size_t wanted;
    ssize_t got;

    memcpy(all, *iov, count * sizeof(all[0]));
    wanted = iov_size(all, count);
    if (count == *n) {
        all[count++] = (struct iovec) { stream->buffer, NBD_STREAM_BUFFER };
    }
    while ((got = channel_readv(stream->channel, all, count)) == -EAGAIN && !stream->broken) {
        channel_wait(stream->channel, CHANNEL_READ);
    }
    if (got <= 0) {
        nbd_stream_break(stream, got < 0 ? (int)got : -EPIPE);
        return stream->broken;
    }
    stream->begin = 0;
    stream->end = (size_t)got > wanted ? (size_t)got - wanted : 0;
    iov_advance(iov, n, MIN((size_t)got, wanted));
    return 0;
}

int nbd_stream_readv(NbdStream *stream, const struct iovec *iov, unsigned n)
{
    struct iovec small[16];
    g_autofree struct iovec *allocated = n > G_N_ELEMENTS(small) ? g_new(struct iovec, n) : NULL;
    struct iovec *left = allocated ? allocated : small;
    size_t copied;

    memcpy(left, iov, n * sizeof(*iov));
    copied = iov_from_buf(left, n, 0, stream->buffer + stream->begin,
                          stream->end - stream->begin);
    stream->begin += copied;
    iov_advance(&left, &n, copied);
    while (n && !stream->broken) {
        receive(stream, &left, &n);
    }
    return n ? stream->broken : 0;
}

int nbd_stream_read(NbdStream *stream, void *buf, size_t len)
{
    struct iovec iov = { buf, len };

    if (nbd_stream_has(stream, len)) {
        memcpy(buf, stream->buffer + stream->begin, len);
        stream->begin += len;
        return 0;
    }
    return nbd_stream_readv(stream, &iov, 1);
}

int nbd_stream_skip(NbdStream *stream, uint64_t len)
{
    uint8_t scratch[4096];
    int ret = 0;

    while (len && ret == 0) {
        size_t part = MIN(len, sizeof(scratch));

        ret = nbd_stream_read(stream, scratch, part);
        len -= part;
    }
    return ret;
}

/* ---- Writing ---- */

/* All of the waiting messages that fit into one call, from where the first one was left. */
static ssize_t send_some(NbdStream *stream)
{
    struct iovec small[SEND_IOV];
    g_autofree struct iovec *allocated = NULL;
    struct iovec *iov = small;
    NbdOutgoing *first = g_queue_peek_head(&stream->outgoing);
    unsigned n = 0;

    if (first->n > SEND_IOV) {
        iov = allocated = g_new(struct iovec, first->n);
    }
    for (GList *link = stream->outgoing.head; link; link = link->next) {
        const NbdOutgoing *message = link->data;

        if (n && n + message->n > SEND_IOV) {
            break;
        }
        memcpy(iov + n, message->iov, message->n * sizeof(*iov));
        n += message->n;
    }
    iov_advance(&iov, &n, stream->first_sent);
    return channel_writev(stream->channel, iov, n);
}

static void first_is_done(NbdStream *stream)
{
    NbdOutgoing *message = g_queue_pop_head(&stream->outgoing);

    stream->first_sent = 0;
    stream->queued -= message->len;
    message->done = true;
    message->result = stream->broken;
    if (message->co) {
        coroutine_wake(message->co);
    }
}

static void account(NbdStream *stream, size_t sent)
{
    const NbdOutgoing *first;

    sent += stream->first_sent;
    while ((first = g_queue_peek_head(&stream->outgoing)) && sent >= first->len) {
        sent -= first->len;
        first_is_done(stream);
    }
    stream->first_sent = sent;
}

/* As much as the channel takes now. */
static void push(NbdStream *stream)
{
    while (!g_queue_is_empty(&stream->outgoing)) {
        ssize_t sent = stream->broken ? 0 : send_some(stream);

        if (sent == -EAGAIN) {
            return;
        }
        if (sent > 0) {
            account(stream, (size_t)sent);
        } else {
            nbd_stream_break(stream, sent < 0 ? (int)sent : -EPIPE);
            first_is_done(stream);
        }
    }
}

/*
 * The first who comes stays until everything is sent. Others push too, after the time that they
 * took to make a long message: the peer has made room meanwhile, and would wait for the next round
 * of the loop.
 */
int nbd_stream_writev(NbdStream *stream, const struct iovec *iov, unsigned n, bool more)
{
    NbdOutgoing message = { .iov = iov, .n = n, .len = iov_size(iov, n) };
    bool is_long = message.len >= LONG_MESSAGE;

    if (stream->broken) {
        return stream->broken;
    }
    g_queue_push_tail(&stream->outgoing, &message);
    stream->queued += message.len;
    if (stream->sending) {
        if (is_long) {
            push(stream);
        }
        if (!message.done) {
            message.co = coroutine_current();
            coroutine_yield();
        }
        return message.result;
    }
    stream->sending = true;
    if (more && !is_long) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    }
    push(stream);
    while (!g_queue_is_empty(&stream->outgoing)) {
        channel_wait(stream->channel, CHANNEL_WRITE);
        push(stream);
    }
    stream->sending = false;
    return message.result;
}
