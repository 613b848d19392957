/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as channels, with descriptor passing by SCM_RIGHTS messages (unix(7)). */
#include "io/channel-socket.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/channel-fd.h"
#include "io/socket.h"
#include "util/error.h"

/* Linux lets a message carry up to 253; what a peer sends beyond our own limit is closed. */
#define SCM_MAX_FDS 253

typedef union ControlBuffer {
    char bytes[CMSG_SPACE(SCM_MAX_FDS * sizeof(int))];
    struct cmsghdr align;
} ControlBuffer;

/* Give the caller what fits and close the rest. */
static void collect_fds(struct msghdr *msg, int *fds, size_t *n_fds)
{
    size_t room = *n_fds;

    *n_fds = 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        size_t n;

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
            if (*n_fds < room) {
                fds[(*n_fds)++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static ssize_t socket_readv(Channel *channel, const struct iovec *iov, unsigned n, int *fds,
                            size_t *n_fds)
{
    ControlBuffer control;
    struct msghdr msg = {
        .msg_iov = (struct iovec *)iov,
        .msg_iovlen = MIN(n, IOV_MAX),
        .msg_control = fds ? control.bytes : NULL, /* without a place, the kernel drops them */
        .msg_controllen = fds ? sizeof(control.bytes) : 0,
    };
    ssize_t done;

    do {
        done = recvmsg(((ChannelFd *)channel)->read_fd, &msg, MSG_CMSG_CLOEXEC);
    } while (done < 0 && errno == EINTR);
    if (fds) {
        if (done < 0) {
            *n_fds = 0;
        } else {
            collect_fds(&msg, fds, n_fds);
        }
    }
    return done < 0 ? -errno : done;
}

static ssize_t socket_writev(Channel *channel, const struct iovec *iov, unsigned n, const int *fds,
                             size_t n_fds)
{
    ControlBuffer control = { 0 };
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = MIN(n, IOV_MAX) };
    ssize_t done;

    if (n_fds) {
        struct cmsghdr *cmsg = &control.align;

        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
    }
    do {
        done = sendmsg(((ChannelFd *)channel)->write_fd, &msg, MSG_NOSIGNAL);
    } while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

static int socket_shutdown(Channel *channel, unsigned sides)
{
    int how = sides == CHANNEL_READ ? SHUT_RD : sides == CHANNEL_WRITE ? SHUT_WR : SHUT_RDWR;

    return shutdown(((ChannelFd *)channel)->read_fd, how) < 0 ? -errno : 0;
}

static const ChannelOps socket_ops = {
    .kind = "socket",
    .readv = socket_readv,
    .writev = socket_writev,
    .set_blocking = channel_fd_set_blocking,
    .shutdown = socket_shutdown,
    .close = channel_fd_close,
    .watch = channel_fd_watch,
    .wait = channel_fd_wait,
    .free = channel_fd_free,
};

Channel *channel_socket_new(int fd, GError **error)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    ChannelFd *self;
    int result;

    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        error_set_errno(error, errno, "descriptor %d is no socket", fd);
        return NULL;
    }
    result = fd_set_blocking(fd, false);
    if (result < 0) {
        error_set_errno(error, -result, "cannot make socket %d non-blocking", fd);
        return NULL;
    }
    self = g_new0(ChannelFd, 1);
    channel_init(&self->channel, &socket_ops);
    self->read_fd = self->write_fd = fd;
    self->channel.passes_fds = addr.ss_family == AF_UNIX;
    return &self->channel;
}

bool channel_is_socket(const Channel *channel)
{
    return channel->ops == &socket_ops;
}

int channel_socket_fd(const Channel *channel)
{
    g_assert(channel_is_socket(channel));
    return ((const ChannelFd *)channel)->read_fd;
}

void channel_socket_set_nodelay(Channel *channel, bool on)
{
    int value = on;

    setsockopt(channel_socket_fd(channel), IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
}

SocketAddress *channel_socket_local_address(const Channel *channel, GError **error)
{
    return socket_local_address(channel_socket_fd(channel), error);
}

SocketAddress *channel_socket_remote_address(const Channel *channel, GError **error)
{
    return socket_remote_address(channel_socket_fd(channel), error);
}
