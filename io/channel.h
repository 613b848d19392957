/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels: byte streams to a file, a socket, a child process or a buffer, all used in one way. A
 * channel that transforms another one's bytes (TLS) is a channel too.
 *
 * Data functions return the bytes moved, 0 at the end of the stream, -EAGAIN where they would have
 * to wait, or another -errno. The _all functions wait: in a coroutine by yielding, elsewhere by
 * blocking the thread. One reader and one writer may use a channel at once; both on one loop's
 * thread.
 */
#ifndef VIREO_IO_CHANNEL_H
#define VIREO_IO_CHANNEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/loop.h"

/* Descriptors in one message; more than this are refused. */
#define CHANNEL_MAX_FDS 16

typedef struct Channel Channel;

typedef enum ChannelSide {
    CHANNEL_READ = 1u << 0,
    CHANNEL_WRITE = 1u << 1,
} ChannelSide;

typedef struct ChannelOps {
    const char *kind; /* "socket", for people */
    /*
     * fds NULL: passed descriptors are refused. Else *n_fds is the room, and then the number got.
     */
    ssize_t (*readv)(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                     size_t *n_fds);
    /* fds are sent with the first byte; they stay the caller's. */
    ssize_t (*writev)(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                      size_t n_fds);
    int (*set_blocking)(Channel *channel, bool blocking); /* 0 or -errno */
    int (*shutdown)(Channel *channel, unsigned sides);    /* ChannelSide bits; NULL: cannot */
    int (*close)(Channel *channel);                       /* called once */
    /* Call channel_ready() on loop's thread while one of the sides is ready; 0 stops it. */
    void (*watch)(Channel *channel, Loop *loop, unsigned sides);
    void (*wait)(Channel *channel, ChannelSide side);     /* block this thread until ready */
    void (*free)(Channel *channel);                       /* after close; frees the struct too */
} ChannelOps;

/* First member of every channel's struct; the fields are io/'s own. */
struct Channel {
    const ChannelOps *ops;
    uint32_t refs;
    bool closed;
    bool passes_fds;
    Loop *loop; /* of the watch, or NULL */
    struct {
        LoopFn *fn;
        void *opaque;
    } ready[2]; /* read, write */
};

/* For implementations: one reference. */
void channel_init(Channel *channel, const ChannelOps *ops);
/* For implementations: run the callbacks of these sides. */
void channel_ready(Channel *channel, unsigned sides);

Channel *channel_ref(Channel *channel);
/* The last one closes. NULL is ignored. */
void channel_unref(Channel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Channel, channel_unref)

/* 0 or -errno. Later calls do nothing; reads and writes then give -EBADF. Removes the watch. */
int channel_close(Channel *channel);
/*
 * Stop one or both directions; who waits for them wakes up. -ENOTSUP where there is no such thing.
 */
int channel_shutdown(Channel *channel, unsigned sides);
int channel_set_blocking(Channel *channel, bool blocking);
/* Can descriptors be passed? */
static inline bool channel_passes_fds(const Channel *channel)
{
    return channel->passes_fds;
}

ssize_t channel_read(Channel *channel, void *buf, size_t len);
ssize_t channel_write(Channel *channel, const void *buf, size_t len);
ssize_t channel_readv(Channel *channel, const struct iovec *iov, unsigned n);
ssize_t channel_writev(Channel *channel, const struct iovec *iov, unsigned n);
/*
 * With descriptors. Received ones are the caller's, close-on-exec, at most *n_fds (which is their
 * number afterwards); surplus ones are closed. -ENOTSUP if n_fds > 0 and the channel passes none.
 */
ssize_t channel_readv_fds(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                          size_t *n_fds);
ssize_t channel_writev_fds(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                           size_t n_fds);

/* Move everything, waiting as needed. The end of the stream is an error. */
bool channel_read_all(Channel *channel, void *buf, size_t len, GError **error);
bool channel_write_all(Channel *channel, const void *buf, size_t len, GError **error);
bool channel_readv_all(Channel *channel, const struct iovec *iov, unsigned n, GError **error);
bool channel_writev_all(Channel *channel, const struct iovec *iov, unsigned n, GError **error);
bool channel_writev_all_fds(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                            size_t n_fds, GError **error);
/* As channel_read_all, but an end before the first byte sets *eof and is no error. */
bool channel_read_all_or_eof(Channel *channel, void *buf, size_t len, bool *eof, GError **error);

/*
 * Call on_read / on_write on loop's thread while the channel can be read (or is at its end) /
 * written. NULL for both removes them. The coroutine waits use the same two places: a side that has
 * a callback must not be waited for.
 */
void channel_watch(Channel *channel, Loop *loop, LoopFn *on_read, LoopFn *on_write, void *opaque);
/* Wait until the side is worth trying again. */
void channel_wait(Channel *channel, ChannelSide side);

#endif
