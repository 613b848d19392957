/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The udp backend: each write is a datagram to the peer; datagrams from the peer are read as a
 * stream.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/backend.h"
#include "util/error.h"

#define MAX_DATAGRAM 65507 /* of UDP over IPv4 */

typedef struct UdpChardev {
    Chardev parent;
    char *host, *port, *local_host, *local_port;
    int ipv4, ipv6;
    int fd;
    bool watching;
    uint8_t packet[MAX_DATAGRAM]; /* the datagram being handed on */
    size_t start, end;
} UdpChardev;

/* A datagram that cannot be sent is lost, as datagrams may be. */
static int udp_write(Chardev *chr, const uint8_t *buf, int len)
{
    int part = MIN(len, MAX_DATAGRAM);

    send(((UdpChardev *)chr)->fd, buf, part, MSG_NOSIGNAL | MSG_DONTWAIT);
    return part;
}

static void hand_on(UdpChardev *udp)
{
    int room;

    while (udp->start < udp->end && (room = chardev_can_read(&udp->parent)) > 0) {
        size_t count = MIN((size_t)room, udp->end - udp->start);

        udp->start += count;
        chardev_deliver(&udp->parent, udp->packet + udp->start - count, count);
    }
}

/* An unreachable peer (ECONNREFUSED) may come back; an empty datagram is not the end. */
static void on_readable(void *opaque)
{
    UdpChardev *udp = opaque;
    ssize_t n = recv(udp->fd, udp->packet, sizeof(udp->packet), MSG_DONTWAIT);

    object_ref(OBJECT(udp));
    if (n > 0) {
        udp->start = 0;
        udp->end = n;
    }
    udp->parent.ops->update(&udp->parent);
    object_unref(OBJECT(udp));
}

static void set_watch(UdpChardev *udp, bool on)
{
    if (udp->watching != on) {
        loop_set_fd(udp->parent.loop, udp->fd, on ? on_readable : NULL, NULL, udp);
        udp->watching = on;
    }
}

/* The rest of a datagram comes before the next one. */
static void udp_update(Chardev *chr)
{
    UdpChardev *udp = (UdpChardev *)chr;

    hand_on(udp);
    set_watch(udp, udp->fd >= 0 && udp->start == udp->end && chardev_can_read(chr) > 0);
}

static void udp_detach_loop(Chardev *chr)
{
    set_watch((UdpChardev *)chr, false);
}

/* Opening. */

static struct addrinfo *look_up(const char *host, const char *port, int family, bool passive,
                                GError **error)
{
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_DGRAM,
                              .ai_flags = passive ? AI_PASSIVE : 0 };
    struct addrinfo *found = NULL;
    int ret = getaddrinfo(host, port, &hints, &found);

    if (ret) {
        error_setf(error, "address '%s:%s': %s", host ? host : "", port, gai_strerror(ret));
        return NULL;
    }
    return found;
}

static int wanted_family(const UdpChardev *udp)
{
    bool no_ipv4 = udp->ipv4 == PROP_OFF || (udp->ipv6 == PROP_ON && udp->ipv4 != PROP_ON);
    bool no_ipv6 = udp->ipv6 == PROP_OFF || (udp->ipv4 == PROP_ON && udp->ipv6 != PROP_ON);

    return no_ipv4 ? AF_INET6 : no_ipv6 ? AF_INET : AF_UNSPEC;
}

static int open_socket(const struct addrinfo *peer, const struct addrinfo *here)
{
    int on = 1, err;
    int fd = socket(peer->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, here->ai_addr, here->ai_addrlen) < 0 ||
        connect(fd, peer->ai_addr, peer->ai_addrlen) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static bool udp_open(Chardev *chr, GError **error)
{
    UdpChardev *udp = (UdpChardev *)chr;
    const char *host = udp->host && *udp->host ? udp->host : "localhost";
    const char *local_port = udp->local_port && *udp->local_port ? udp->local_port : "0";
    const char *local_host = udp->local_host && *udp->local_host ? udp->local_host : NULL;
    struct addrinfo *peer, *here;

    if (!udp->port || !*udp->port) {
        error_setf(error, "backend 'udp' needs port=PORT");
        return false;
    }
    peer = look_up(host, udp->port, wanted_family(udp), false, error);
    if (!peer) {
        return false;
    }
    here = look_up(local_host, local_port, peer->ai_family, true, error);
    if (here) {
        int fd = open_socket(peer, here);

        udp->fd = MAX(fd, -1);
        if (fd < 0) {
            error_set_errno(error, -fd, "cannot open a datagram socket to '%s:%s'", host,
                            udp->port);
        }
        freeaddrinfo(here);
    }
    freeaddrinfo(peer);
    if (udp->fd < 0) {
        return false;
    }
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void udp_init(Object *obj)
{
    ((UdpChardev *)obj)->fd = -1;
}

static void udp_finalize(Object *obj)
{
    UdpChardev *udp = (UdpChardev *)obj;

    if (udp->fd >= 0) {
        set_watch(udp, false);
        close(udp->fd);
    }
}

static const Property udp_properties[] = {
    PROP_STRING("host", UdpChardev, host, NULL, "peer's name or address (default localhost)"),
    PROP_STRING("port", UdpChardev, port, NULL, "peer's port"),
    PROP_STRING("localaddr", UdpChardev, local_host, NULL, "own address (default any)"),
    PROP_STRING("localport", UdpChardev, local_port, NULL, "own port (default any)"),
    PROP_ON_OFF_AUTO("ipv4", UdpChardev, ipv4, PROP_AUTO, "use IPv4"),
    PROP_ON_OFF_AUTO("ipv6", UdpChardev, ipv6, PROP_AUTO, "use IPv6"),
    PROP_END,
};

static const ChardevOps udp_ops = {
    .backend = "udp",
    .open = udp_open,
    .write = udp_write,
    .update = udp_update,
    .detach_loop = udp_detach_loop,
};

static const TypeInfo udp_type = {
    .name = "chardev-udp",
    .parent = TYPE_CHARDEV,
    .description = "a UDP socket",
    .instance_size = sizeof(UdpChardev),
    .properties = udp_properties,
    .instance_init = udp_init,
    .instance_finalize = udp_finalize,
    .ops = &udp_ops,
};
QOM_TYPE(udp_type);
