/* SPDX-License-Identifier: Apache-2.0 */
/* The server's socket: whole messages with their descriptors, in a coroutine. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/log.h"
#include "virtio/vhost-user-server.h"

/* Descriptors that came with these bytes; too many of them are refused. */
static bool take_fds(struct msghdr *header, VhostUserMessage *message)
{
    bool ok = !(header->msg_flags & MSG_CTRUNC);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && i < n;
             i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (message->n_fds < VHOST_USER_MAX_FDS) {
                message->fds[message->n_fds++] = fd;
            } else {
                close(fd);
                ok = false;
            }
        }
    }
    return ok;
}

/* 1; 0 at the end of the stream; -errno. */
static int receive(int fd, void *buf, size_t len, VhostUserMessage *message)
{
    char control[CMSG_SPACE(VHOST_USER_MAX_FDS * sizeof(int))];

    while (len) {
        struct iovec iov = { buf, len };
        struct msghdr header = {
            .msg_iov = &iov, .msg_iovlen = 1,
            .msg_control = control, .msg_controllen = sizeof(control),
        };
        ssize_t got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (got < 0 && errno == EAGAIN) {
            coroutine_wait_readable(fd);
        } else if (got < 0 && errno != EINTR) {
            return -errno;
        } else if (got == 0) {
            return 0;
        } else if (got > 0) {
            if (!take_fds(&header, message)) {
                return -EPROTO;
            }
            buf = (uint8_t *)buf + got;
            len -= (size_t)got;
        }
    }
    return 1;
}

static int receive_message(int fd, VhostUserMessage *message)
{
    int ret;

    memset(message, 0, sizeof(*message));
    ret = receive(fd, &message->header, sizeof(message->header), message);
    if (ret > 0 && message->header.size > sizeof(message->payload)) {
        return -EMSGSIZE;
    }
    if (ret > 0) {
        ret = receive(fd, &message->payload, message->header.size, message);
        return ret == 0 ? -EPROTO : ret;
    }
    return ret;
}

static int send_message(int fd, const VhostUserMessage *message)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov[] = {
        { (void *)&message->header, sizeof(message->header) },
        { (void *)&message->payload, message->header.size },
    };
    struct msghdr header = { .msg_iov = iov, .msg_iovlen = 2 };
    size_t left = sizeof(message->header) + message->header.size;

    if (message->n_fds) {
        struct cmsghdr *c;

        header.msg_control = control;
        header.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &message->fds[0], sizeof(int));
    }
    for (;;) {
        ssize_t sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent == (ssize_t)left) {
            return 0;
        }
        if (sent >= 0) {
            return -EPROTO; /* a few bytes do not fit: nobody reads our replies */
        }
        if (errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
        coroutine_wait_writable(fd);
    }
}

static void forget_fds(VhostUserMessage *message)
{
    while (message->n_fds) {
        close(message->fds[--message->n_fds]);
    }
}

static bool serve_one(VhostUserServer *server, int fd, VhostUserMessage *message)
{
    g_autoptr(GError) error = NULL;
    int ret = receive_message(fd, message);
    bool reply;

    if (ret <= 0) {
        forget_fds(message);
        if (ret < 0) {
            log_guest_error("vhost-user: the frontend's message: %s\n", g_strerror(-ret));
        }
        return false;
    }
    if (!vhost_user_server_handle(server, message, &reply, &error)) {
        log_guest_error("vhost-user: the frontend must go: %s\n", error->message);
        return false;
    }
    ret = reply ? send_message(fd, message) : 0;
    forget_fds(message);
    return ret == 0;
}

void vhost_user_server_run(VhostUserServer *server, int fd)
{
    g_autofree VhostUserMessage *message = g_new(VhostUserMessage, 1);

    while (serve_one(server, fd, message)) {
    }
}

void vhost_user_server_config_changed(VhostUserServer *server)
{
    VhostUserHeader header = { VHOST_USER_BACKEND_CONFIG_CHANGE, VHOST_USER_VERSION, 0 };
    uint64_t wanted = BIT_ULL(VHOST_USER_PROTOCOL_F_CONFIG) |
                      BIT_ULL(VHOST_USER_PROTOCOL_F_BACKEND_REQ);

    if (server->backend_fd >= 0 && (server->protocol_features & wanted) == wanted &&
        send(server->backend_fd, &header, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        log_guest_error("vhost-user: the frontend does not hear of a change: %s\n",
                        g_strerror(errno));
    }
}
