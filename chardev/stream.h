/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of backends that stand on a channel (io/channel.h): reading when the frontend can
 * take bytes, writing without blocking, hang-ups. A backend embeds StreamChardev first and uses the
 * functions as its ops.
 */
#ifndef VIREO_CHARDEV_STREAM_H
#define VIREO_CHARDEV_STREAM_H

#include "chardev/backend.h"
#include "io/channel.h"

typedef struct StreamChardev StreamChardev;
struct StreamChardev {
    Chardev parent;
    Channel *channel;       /* owned; NULL: no peer. Changed under the lock */
    bool no_input;          /* the channel is never read, or its input ended */
    bool watch_in, watch_out;
    uint8_t *ahead;         /* CHARDEV_READ_CHUNK bytes, of which ahead_len wait; or NULL */
    size_t ahead_len;
    bool ahead_end;         /* and then the input ends */
    bool hung_up;           /* under lock: a write failed; hangup() is due */
    int wait_fd;            /* CHARDEV_PATIENT: what wait_writable polls */
    int fds[CHANNEL_MAX_FDS]; /* came with the last read; ours until asked for */
    size_t n_fds;
    /* Bytes came in. NULL: hand them to the frontend. May change them in place. */
    void (*input)(StreamChardev *stream, uint8_t *buf, size_t len);
    /* End of file or error, on chr's loop. NULL: stop reading, keep writing. */
    void (*hangup)(StreamChardev *stream);
};

#define STREAM_CHARDEV_OPS \
    .write = stream_chardev_write, .wait_writable = stream_chardev_wait_writable, \
    .update = stream_chardev_update, .detach_loop = stream_chardev_detach_loop

/* From instance_init. */
void stream_chardev_init(StreamChardev *stream);
/* Takes the channel and makes it non-blocking. OPENED, sent next, starts the watches. */
void stream_chardev_set_channel(StreamChardev *stream, Channel *channel);
/* Unwatch and drop the channel. From chr's loop, or instance_finalize. */
void stream_chardev_close(StreamChardev *stream);
/* Is there a channel? On chr's loop. */
static inline bool stream_chardev_is_open(const StreamChardev *stream)
{
    return stream->channel != NULL;
}

int stream_chardev_write(Chardev *chr, const uint8_t *buf, int len);
void stream_chardev_wait_writable(Chardev *chr);
void stream_chardev_update(Chardev *chr);
void stream_chardev_detach_loop(Chardev *chr);
int stream_chardev_get_fds(Chardev *chr, int *fds, int max);

#endif
