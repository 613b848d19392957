/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of backends that are file descriptors: reading when the frontend can take
 * bytes, writing without blocking, hang-ups. A backend embeds FdChardev first and uses the
 * functions as its ops.
 */
#ifndef VIREO_CHARDEV_FD_H
#define VIREO_CHARDEV_FD_H

#include <sys/types.h>

#include "chardev/backend.h"

typedef struct FdChardev FdChardev;
struct FdChardev {
    Chardev parent;
    int in_fd, out_fd; /* -1: none; may be the same; owned */
    bool borrowed;     /* in_fd and out_fd are never closed (stdin, stdout) */
    int watched_in, watched_out;
    bool hung_up;      /* under lock: a write failed; hangup() is due */
    /* Read up to len bytes; NULL: read(2). 0 at end of file, -EAGAIN, or -errno. */
    ssize_t (*read)(FdChardev *fd, uint8_t *buf, size_t len);
    /* Bytes came in: NULL: hand them to the frontend. May change them in place. */
    void (*input)(FdChardev *fd, uint8_t *buf, size_t len);
    /* End of file or error on chr's loop. NULL: stop reading, keep writing. */
    void (*hangup)(FdChardev *fd);
};

#define FD_CHARDEV_OPS \
    .write = fd_chardev_write, .wait_writable = fd_chardev_wait_writable, \
    .update = fd_chardev_update, .detach_loop = fd_chardev_detach_loop

/* From instance_init. */
void fd_chardev_init(FdChardev *fd);
/*
 * Takes the descriptors (-1: none) and makes them non-blocking. Call update afterwards (OPENED
 * does).
 */
void fd_chardev_set_fds(FdChardev *fd, int in_fd, int out_fd);
/* Unwatch and close. From chr's loop, or instance_finalize. */
void fd_chardev_close(FdChardev *fd);

int fd_chardev_write(Chardev *chr, const uint8_t *buf, int len);
void fd_chardev_wait_writable(Chardev *chr);
void fd_chardev_update(Chardev *chr);
void fd_chardev_detach_loop(Chardev *chr);

#endif
