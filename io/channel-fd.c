/* SPDX-License-Identifier: Apache-2.0 */
/* Channels over file descriptors. */
#include "io/channel-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

int fd_set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0) {
        return -errno;
    }
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int channel_fd_set_blocking(Channel *channel, bool blocking)
{
    ChannelFd *self = (ChannelFd *)channel;
    int result = 0;

    if (self->read_fd >= 0) {
        result = fd_set_blocking(self->read_fd, blocking);
    }
    if (result == 0 && self->write_fd >= 0 && self->write_fd != self->read_fd) {
        result = fd_set_blocking(self->write_fd, blocking);
    }
    return result;
}

static void readable(void *opaque)
{
    channel_ready(opaque, CHANNEL_READ);
}

static void writable(void *opaque)
{
    channel_ready(opaque, CHANNEL_WRITE);
}

void channel_fd_watch(Channel *channel, Loop *loop, unsigned sides)
{
    ChannelFd *self = (ChannelFd *)channel;
    LoopFn *on_read = sides & CHANNEL_READ ? readable : NULL;
    LoopFn *on_write = sides & CHANNEL_WRITE ? writable : NULL;

    if (self->read_fd == self->write_fd) {
        loop_set_fd(loop, self->read_fd, on_read, on_write, channel);
        return;
    }
    if (self->read_fd >= 0) {
        loop_set_fd(loop, self->read_fd, on_read, NULL, channel);
    }
    if (self->write_fd >= 0) {
        loop_set_fd(loop, self->write_fd, NULL, on_write, channel);
    }
}

void channel_fd_wait(Channel *channel, ChannelSide side)
{
    ChannelFd *self = (ChannelFd *)channel;
    struct pollfd pfd = {
        .fd = side == CHANNEL_READ ? self->read_fd : self->write_fd,
        .events = side == CHANNEL_READ ? POLLIN : POLLOUT,
    };

    while (poll(&pfd, 1, -1) < 0 && errno == EINTR) {
    }
}

int channel_fd_close(Channel *channel)
{
    ChannelFd *self = (ChannelFd *)channel;
    int result = 0;

    if (self->write_fd >= 0 && self->write_fd != self->read_fd && close(self->write_fd) < 0) {
        result = -errno;
    }
    if (self->read_fd >= 0 && close(self->read_fd) < 0) {
        result = -errno;
    }
    self->read_fd = self->write_fd = -1;
    return result;
}

ssize_t channel_fd_readv(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                         size_t *n_fds)
{
    ChannelFd *self = (ChannelFd *)channel;
    ssize_t done;

    do {
        done = readv(self->read_fd, iov, (int)MIN(n, IOV_MAX));
    } while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

ssize_t channel_fd_writev(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                          size_t n_fds)
{
    ChannelFd *self = (ChannelFd *)channel;
    ssize_t done;

    do {
        done = writev(self->write_fd, iov, (int)MIN(n, IOV_MAX));
    } while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

void channel_fd_free(Channel *channel)
{
    g_free(channel);
}
