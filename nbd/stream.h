/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection in the transmission phase: reading through a buffer, so that many small messages
 * cost one system call, and writing messages of several coroutines together, for the same reason.
 * Large data is read and written where it stands, without copies.
 *
 * One coroutine reads at a time, any number write; all on one loop. After an error (0 or -errno
 * results) the stream is broken: everything after that fails with the first error.
 */
#ifndef VIREO_NBD_STREAM_H
#define VIREO_NBD_STREAM_H

#include "io/channel.h"
#include "util/co-lock.h"

#define NBD_STREAM_BUFFER (16u << 10)

typedef struct NbdStream {
    Channel *channel;            /* a reference */
    int broken;                  /* -errno of the first failure, or 0 */
    size_t begin, end;           /* what is in the buffer */
    uint8_t *buffer;
    GQueue outgoing;             /* NbdOutgoing, on their coroutines' stacks */
    size_t queued;               /* bytes in outgoing */
    bool sending;
    size_t first_sent;           /* bytes of the first of outgoing that are sent */
} NbdStream;

/* Takes a reference. */
void nbd_stream_init(NbdStream *stream, Channel *channel);
void nbd_stream_cleanup(NbdStream *stream);
/* Fail this and all later transfers, and wake those who wait. err: -errno. */
void nbd_stream_break(NbdStream *stream, int err);

/* Everything. -EPIPE at the end of the stream, 0 bytes or more before it. */
int nbd_stream_read(NbdStream *stream, void *buf, size_t len);
int nbd_stream_readv(NbdStream *stream, const struct iovec *iov, unsigned n);
/* Read and forget. */
int nbd_stream_skip(NbdStream *stream, uint64_t len);
/* Are so many bytes here already? */
static inline bool nbd_stream_has(const NbdStream *stream, size_t len)
{
    return stream->end - stream->begin >= len;
}
/*
 * In a coroutine: send all of this as one piece. more: others will probably send soon too, so a
 * small message waits for the end of this round of the loop.
 */
int nbd_stream_writev(NbdStream *stream, const struct iovec *iov, unsigned n, bool more);

#endif
