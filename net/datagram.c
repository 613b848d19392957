/* SPDX-License-Identifier: Apache-2.0 */
#include "net/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "io/channel-fd.h"
#include "util/error.h"
#include "util/loop.h"

/* Datagrams in one turn of the loop, so that a flood leaves others their turn. */
#define READS_PER_TURN 64

static void set_watch(NetDatagram *dgram);

static void readable(void *opaque)
{
    NetDatagram *dgram = opaque;
    g_autofree uint8_t *buf = g_malloc(NET_MAX_FRAME);

    for (unsigned i = 0; i < READS_PER_TURN && !dgram->paused; i++) {
        ssize_t n = recv(dgram->fd, buf, NET_MAX_FRAME, MSG_TRUNC | MSG_DONTWAIT);

        if (n < 0 && errno != ECONNREFUSED) { /* that one is about what we sent */
            break;
        }
        if (n > 0 && n <= NET_MAX_FRAME) {
            dgram->paused = !net_send_buf(dgram->nc, buf, n);
        }
    }
    if (dgram->paused) {
        set_watch(dgram);
    }
}

static void writable(void *opaque)
{
    NetDatagram *dgram = opaque;

    dgram->full = false;
    set_watch(dgram);
    net_ready(dgram->nc);
}

static void set_watch(NetDatagram *dgram)
{
    loop_set_fd(loop_main(), dgram->fd, dgram->paused ? NULL : readable,
                dgram->full ? writable : NULL, dgram);
}

static int datagram_receive(NetClient *nc, const NetPacket *packet)
{
    NetDatagram *dgram = nc->opaque;
    struct msghdr message = {
        .msg_name = dgram->to_len ? &dgram->to : NULL,
        .msg_namelen = dgram->to_len,
        .msg_iov = (struct iovec *)packet->iov,
        .msg_iovlen = packet->n,
    };

    if (dgram->full) {
        return -EAGAIN;
    }
    if (sendmsg(dgram->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN) {
        dgram->full = true;
        set_watch(dgram);
        return -EAGAIN;
    }
    return 0;
}

static void datagram_peer_ready(NetClient *nc)
{
    NetDatagram *dgram = nc->opaque;

    if (dgram->paused) {
        dgram->paused = false;
        set_watch(dgram);
    }
}

static void datagram_cleanup(NetClient *nc)
{
    NetDatagram *dgram = nc->opaque;

    loop_set_fd(loop_main(), dgram->fd, NULL, NULL, NULL);
    close(dgram->fd);
    if (dgram->path) {
        unlink(dgram->path);
    }
    g_free(dgram->path);
    g_free(dgram);
}

static const NetClientOps socket_ops = {
    .kind = NET_CLIENT_DRIVER_SOCKET,
    .receive = datagram_receive,
    .peer_ready = datagram_peer_ready,
    .cleanup = datagram_cleanup,
};

static const NetClientOps dgram_ops = {
    .kind = NET_CLIENT_DRIVER_DGRAM,
    .receive = datagram_receive,
    .peer_ready = datagram_peer_ready,
    .cleanup = datagram_cleanup,
};

NetClient *net_datagram_new(NetClientDriver kind, const char *name, int fd,
                            const struct sockaddr_storage *to, socklen_t to_len)
{
    bool legacy = kind == NET_CLIENT_DRIVER_SOCKET;
    NetDatagram *dgram = g_new0(NetDatagram, 1);

    dgram->fd = fd;
    dgram->to_len = to_len;
    if (to_len) {
        memcpy(&dgram->to, to, to_len);
    }
    dgram->nc = net_client_new(legacy ? &socket_ops : &dgram_ops, legacy ? "socket" : "dgram",
                               name, 0, dgram);
    fd_set_blocking(fd, false);
    set_watch(dgram);
    return dgram->nc;
}

void net_datagram_set_path(NetClient *nc, const char *path)
{
    ((NetDatagram *)nc->opaque)->path = g_strdup(path);
}

/* ---- Addresses and sockets ---- */

bool net_parse_ipv4(const char *text, const char *what, struct sockaddr_in *addr, GError **error)
{
    const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM,
                                    .ai_flags = AI_PASSIVE };
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, colon - text) : NULL;
    struct addrinfo *found;
    int err;

    if (!colon) {
        error_setf(error, "%s '%s' should be HOST:PORT", what, text);
        return false;
    }
    err = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
    if (err) {
        error_setf(error, "%s '%s': %s", what, text, gai_strerror(err));
        return false;
    }
    memcpy(addr, found->ai_addr, sizeof(*addr));
    freeaddrinfo(found);
    return true;
}

static int fail_and_close(int fd, const char *what, GError **error)
{
    error_set_errno(error, errno, "%s", what);
    close(fd);
    return -1;
}

int net_multicast_socket(const struct sockaddr_in *group, const struct in_addr *interface,
                         GError **error)
{
    struct ip_mreq request = { .imr_multiaddr = group->sin_addr };
    int fd, on = 1;

    if (!IN_MULTICAST(ntohl(group->sin_addr.s_addr))) {
        error_setf(error, "'%s' is not a multicast address, 224.0.0.0 to 239.255.255.255",
                   inet_ntoa(group->sin_addr));
        return -1;
    }
    if (interface) {
        request.imr_interface = *interface;
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot make a datagram socket");
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)group, sizeof(*group)) < 0) {
        return fail_and_close(fd, "cannot bind to the multicast address", error);
    }
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) < 0) {
        return fail_and_close(fd, "cannot join the multicast group", error);
    }
    /* Other machines on this host are members too. */
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on)) < 0 ||
        (interface && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, interface,
                                 sizeof(*interface)) < 0)) {
        return fail_and_close(fd, "cannot set up multicasts", error);
    }
    return fd;
}

int net_bound_socket(const struct sockaddr *local, socklen_t len, GError **error)
{
    int fd = socket(local->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0) {
        error_set_errno(error, errno, "cannot make a datagram socket");
        return -1;
    }
    if (local->sa_family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (bind(fd, local, len) < 0) {
        return fail_and_close(fd, "cannot bind to the local address", error);
    }
    return fd;
}
