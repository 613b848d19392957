/* SPDX-License-Identifier: Apache-2.0 */
/* Backends that are file descriptors: see chardev/fd.h. */
#include "chardev/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

void fd_chardev_init(FdChardev *fd)
{
    fd->in_fd = fd->out_fd = -1;
    fd->watched_in = fd->watched_out = -1;
}

void fd_chardev_set_fds(FdChardev *fd, int in_fd, int out_fd)
{
    if (in_fd >= 0) {
        g_unix_set_fd_nonblocking(in_fd, true, NULL);
    }
    if (out_fd >= 0 && out_fd != in_fd) {
        g_unix_set_fd_nonblocking(out_fd, true, NULL);
    }
    g_mutex_lock(&fd->parent.lock);
    fd->in_fd = in_fd;
    fd->out_fd = out_fd;
    fd->hung_up = false;
    g_mutex_unlock(&fd->parent.lock);
}

static void unwatch(FdChardev *fd)
{
    if (fd->watched_in >= 0) {
        loop_set_fd(fd->parent.loop, fd->watched_in, NULL, NULL, NULL);
    }
    if (fd->watched_out >= 0 && fd->watched_out != fd->watched_in) {
        loop_set_fd(fd->parent.loop, fd->watched_out, NULL, NULL, NULL);
    }
    fd->watched_in = fd->watched_out = -1;
}

void fd_chardev_detach_loop(Chardev *chr)
{
    unwatch((FdChardev *)chr);
}

void fd_chardev_close(FdChardev *fd)
{
    int in_fd, out_fd;

    unwatch(fd);
    g_mutex_lock(&fd->parent.lock);
    in_fd = fd->in_fd;
    out_fd = fd->out_fd;
    fd->in_fd = fd->out_fd = -1;
    fd->hung_up = false;
    g_mutex_unlock(&fd->parent.lock);
    if (fd->borrowed) {
        return;
    }
    if (in_fd >= 0) {
        close(in_fd);
    }
    if (out_fd >= 0 && out_fd != in_fd) {
        close(out_fd);
    }
}

int fd_chardev_write(Chardev *chr, const uint8_t *buf, int len)
{
    FdChardev *fd = (FdChardev *)chr;
    ssize_t n;

    if (fd->out_fd < 0) {
        return len;
    }
    do {
        n = write(fd->out_fd, buf, len);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return n;
    }
    if (errno == EAGAIN) {
        return 0;
    }
    n = -errno;
    if (fd->hangup) {
        fd->hung_up = true;
        chardev_schedule_update(chr);
    }
    return n;
}

void fd_chardev_wait_writable(Chardev *chr)
{
    struct pollfd pfd = { .fd = ((FdChardev *)chr)->out_fd, .events = POLLOUT };

    poll(&pfd, 1, 100);
}

static void input_ended(FdChardev *fd)
{
    if (fd->hangup) {
        fd->hangup(fd);
        return;
    }
    unwatch(fd);
    if (fd->in_fd >= 0 && fd->in_fd != fd->out_fd && !fd->borrowed) {
        close(fd->in_fd);
    }
    fd->in_fd = -1;
    fd_chardev_update(&fd->parent);
}

static void on_readable(void *opaque)
{
    FdChardev *fd = opaque;
    uint8_t buf[CHARDEV_READ_CHUNK];
    int room = MIN(chardev_can_read(&fd->parent), (int)sizeof(buf));
    ssize_t n;

    if (room <= 0 || fd->in_fd < 0) {
        fd_chardev_update(&fd->parent);
        return;
    }
    if (fd->read) {
        n = fd->read(fd, buf, room);
    } else {
        n = read(fd->in_fd, buf, room);
        n = n < 0 ? -errno : n;
    }
    if (n == -EAGAIN || n == -EINTR) {
        return;
    }
    if (n <= 0) {
        input_ended(fd);
        return;
    }
    /* The frontend may remove the chardev from its callback. */
    object_ref(OBJECT(fd));
    if (fd->input) {
        fd->input(fd, buf, n);
    } else {
        chardev_deliver(&fd->parent, buf, n);
    }
    if (fd->in_fd >= 0) {
        fd_chardev_update(&fd->parent);
    }
    object_unref(OBJECT(fd));
}

static void on_writable(void *opaque)
{
    FdChardev *fd = opaque;

    object_ref(OBJECT(fd));
    chardev_flush(&fd->parent);
    fd_chardev_update(&fd->parent);
    object_unref(OBJECT(fd));
}

void fd_chardev_update(Chardev *chr)
{
    FdChardev *fd = (FdChardev *)chr;
    bool hung_up, want_in, want_out;

    g_mutex_lock(&chr->lock);
    hung_up = fd->hung_up || chr->overrun;
    g_mutex_unlock(&chr->lock);
    if (hung_up && fd->hangup && (fd->in_fd >= 0 || fd->out_fd >= 0)) {
        fd->hangup(fd);
        return;
    }
    if (hung_up && !fd->hangup) {
        /* Nobody reads, and there is no peer to drop: what piled up is lost. */
        chardev_drop_pending(chr);
        g_mutex_lock(&chr->lock);
        chr->overrun = false;
        g_mutex_unlock(&chr->lock);
    }
    want_in = fd->in_fd >= 0 && chardev_can_read(chr) > 0;
    want_out = fd->out_fd >= 0 && chardev_wants_room(chr);
    if (fd->watched_in >= 0 && (!want_in || fd->watched_in != fd->in_fd) &&
        fd->watched_in != fd->watched_out) {
        loop_set_fd(chr->loop, fd->watched_in, NULL, NULL, NULL);
    }
    if (fd->watched_out >= 0 && (!want_out || fd->watched_out != fd->out_fd)) {
        loop_set_fd(chr->loop, fd->watched_out, NULL, NULL, NULL);
    }
    if (fd->in_fd >= 0 && fd->in_fd == fd->out_fd) {
        loop_set_fd(chr->loop, fd->in_fd, want_in ? on_readable : NULL,
                    want_out ? on_writable : NULL, fd);
    } else {
        if (want_in) {
            loop_set_fd(chr->loop, fd->in_fd, on_readable, NULL, fd);
        }
        if (want_out) {
            loop_set_fd(chr->loop, fd->out_fd, NULL, on_writable, fd);
        }
    }
    fd->watched_in = want_in ? fd->in_fd : -1;
    fd->watched_out = want_out ? fd->out_fd : -1;
}
