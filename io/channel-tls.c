/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS over a channel. Readiness is that of the channel below, but for bytes that were decrypted and
 * not read yet: for these a deferred callback says "readable" again and again.
 */
#include "io/channel-tls.h"

#include <errno.h>
#include <string.h>

#include "crypto/tls-session.h"
#include "util/error.h"
#include "util/iov.h"

/* The most that one record carries (RFC 8446, section 5.1). */
#define RECORD_LEN 16384

typedef struct ChannelTls {
    Channel channel;
    Channel *below;
    TlsSession *session;
    bool ready;           /* handshake and verification are over */
    bool failed;          /* no goodbye at the end */
    size_t interrupted;   /* bytes of the write that gave -EAGAIN */
    ChannelSide wants[2]; /* what reading, writing wait for below */
    Loop *loop;           /* of the watch */
    unsigned sides;
    LoopBh *bh;
} ChannelTls;

static const ChannelOps tls_ops;

static void tls_watch(Channel *channel, Loop *loop, unsigned sides);
static void announce_pending(ChannelTls *self);

bool channel_is_tls(const Channel *channel)
{
    return channel->ops == &tls_ops;
}

static ssize_t push(void *opaque, const void *buf, size_t len)
{
    return channel_write(((ChannelTls *)opaque)->below, buf, len);
}

static ssize_t pull(void *opaque, void *buf, size_t len)
{
    return channel_read(((ChannelTls *)opaque)->below, buf, len);
}

Channel *channel_tls_new(Channel *below, TlsCreds *creds, const char *hostname,
                         const char *authzid, GError **error)
{
    ChannelTls *self = g_new0(ChannelTls, 1);
    TlsTransport transport = { .push = push, .pull = pull, .opaque = self };

    self->session = tls_session_new(creds, hostname, authzid, &transport, error);
    if (!self->session) {
        g_free(self);
        return NULL;
    }
    channel_init(&self->channel, &tls_ops);
    self->below = channel_ref(below);
    self->wants[0] = CHANNEL_READ;
    self->wants[1] = CHANNEL_WRITE;
    return &self->channel;
}

bool channel_tls_handshake(Channel *channel, GError **error)
{
    ChannelTls *self = (ChannelTls *)channel;
    int result;

    channel_ref(channel);
    while ((result = tls_session_handshake(self->session, error)) == -EAGAIN) {
        channel_wait(self->below, tls_session_wants_write(self->session) ? CHANNEL_WRITE
                                                                         : CHANNEL_READ);
    }
    self->ready = result == 0 && tls_session_verify(self->session, error);
    self->failed = !self->ready;
    channel_unref(channel);
    return !self->failed;
}

static bool has_pending(const ChannelTls *self)
{
    return (self->sides & CHANNEL_READ) && self->ready && tls_session_pending(self->session);
}

static void announce(ChannelTls *self, unsigned sides)
{
    channel_ref(&self->channel);
    channel_ready(&self->channel, sides & self->sides);
    announce_pending(self);
    channel_unref(&self->channel);
}

static void pending_ready(void *opaque)
{
    announce(opaque, CHANNEL_READ);
}

/* If who watches for reading would not hear of what is there already, tell it soon. */
static void announce_pending(ChannelTls *self)
{
    if (self->channel.closed || !has_pending(self)) {
        return;
    }
    if (!self->bh) {
        self->bh = loop_bh_new(self->loop, pending_ready, self);
    }
    loop_bh_schedule(self->bh);
}

/* Remember what to wait for; the result goes on to the caller. */
static ssize_t note_result(ChannelTls *self, ChannelSide side, ssize_t result)
{
    ChannelSide *wants = &self->wants[side == CHANNEL_READ ? 0 : 1];
    ChannelSide wanted = side;

    if (result == -EAGAIN) {
        wanted = tls_session_wants_write(self->session) ? CHANNEL_WRITE : CHANNEL_READ;
    }
    self->failed = self->failed || (result < 0 && result != -EAGAIN);
    if (*wants != wanted) {
        *wants = wanted;
        if (self->sides) {
            tls_watch(&self->channel, self->loop, self->sides);
        }
    }
    announce_pending(self);
    return result;
}

static ssize_t tls_readv(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                         size_t *n_fds)
{
    ChannelTls *self = (ChannelTls *)channel;
    ssize_t total = 0;

    if (!self->ready) {
        return -ENOTCONN;
    }
    for (unsigned i = 0; i < n; i++) {
        ssize_t done;

        if (!iov[i].iov_len) {
            continue;
        }
        if (total && !tls_session_pending(self->session)) {
            break;
        }
        done = tls_session_read(self->session, iov[i].iov_base, iov[i].iov_len);
        if (done <= 0 && !total) {
            return note_result(self, CHANNEL_READ, done);
        }
        if (done <= 0) {
            break; /* next time */
        }
        total += done;
        if ((size_t)done < iov[i].iov_len) {
            break;
        }
    }
    return note_result(self, CHANNEL_READ, total);
}

static ssize_t tls_writev(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                          size_t n_fds)
{
    ChannelTls *self = (ChannelTls *)channel;
    size_t len = MIN(iov_size(iov, n), RECORD_LEN);
    uint8_t record[RECORD_LEN];
    ssize_t done;

    if (!self->ready) {
        return -ENOTCONN;
    }
    if (self->interrupted) {
        done = tls_session_write(self->session, NULL, 0);
        done = MIN(done, (ssize_t)len);
    } else if (len == 0) {
        return 0;
    } else if (iov[0].iov_len >= len) {
        done = tls_session_write(self->session, iov[0].iov_base, len);
    } else {
        iov_to_buf(iov, n, 0, record, len);
        done = tls_session_write(self->session, record, len);
    }
    self->interrupted = done == -EAGAIN ? MAX(len, 1) : 0;
    return note_result(self, CHANNEL_WRITE, done);
}

static int tls_set_blocking(Channel *channel, bool blocking)
{
    return channel_set_blocking(((ChannelTls *)channel)->below, blocking);
}

static int tls_shutdown(Channel *channel, unsigned sides)
{
    ChannelTls *self = (ChannelTls *)channel;

    if (self->ready && !self->failed && (sides & CHANNEL_WRITE)) {
        tls_session_bye(self->session);
    }
    return channel_shutdown(self->below, sides);
}

static int tls_close(Channel *channel)
{
    ChannelTls *self = (ChannelTls *)channel;

    loop_bh_free(g_steal_pointer(&self->bh));
    if (self->ready && !self->failed && !self->interrupted) {
        tls_session_bye(self->session); /* as far as the peer takes it */
    }
    return channel_close(self->below);
}

static void tls_free(Channel *channel)
{
    ChannelTls *self = (ChannelTls *)channel;

    tls_session_free(self->session);
    channel_unref(self->below);
    g_free(self);
}

/* A side below is ready: who waits for it? */
static void below_ready(ChannelTls *self, ChannelSide side)
{
    announce(self, (self->wants[0] == side ? CHANNEL_READ : 0u) |
                   (self->wants[1] == side ? CHANNEL_WRITE : 0u));
}

static void below_readable(void *opaque)
{
    below_ready(opaque, CHANNEL_READ);
}

static void below_writable(void *opaque)
{
    below_ready(opaque, CHANNEL_WRITE);
}

static void tls_watch(Channel *channel, Loop *loop, unsigned sides)
{
    ChannelTls *self = (ChannelTls *)channel;
    unsigned wanted = (sides & CHANNEL_READ ? self->wants[0] : 0u) |
                      (sides & CHANNEL_WRITE ? self->wants[1] : 0u);

    if (self->bh && (self->loop != loop || !sides)) {
        loop_bh_free(g_steal_pointer(&self->bh));
    }
    self->loop = loop;
    self->sides = sides;
    channel_watch(self->below, loop, wanted & CHANNEL_READ ? below_readable : NULL,
                  wanted & CHANNEL_WRITE ? below_writable : NULL, self);
    announce_pending(self);
}

static void tls_wait(Channel *channel, ChannelSide side)
{
    ChannelTls *self = (ChannelTls *)channel;

    if (side == CHANNEL_READ && tls_session_pending(self->session)) {
        return;
    }
    channel_wait(self->below, self->wants[side == CHANNEL_READ ? 0 : 1]);
}

static const ChannelOps tls_ops = {
    .kind = "TLS connection",
    .readv = tls_readv,
    .writev = tls_writev,
    .set_blocking = tls_set_blocking,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .watch = tls_watch,
    .wait = tls_wait,
    .free = tls_free,
};
