/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The udp backend: each write is a datagram to the peer; datagrams from the peer are read as a
 * stream.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/fd.h"
#include "chardev/sockaddr.h"
#include "util/error.h"

#define MAX_DATAGRAM 65536

typedef struct UdpChardev {
    FdChardev fd;
    char *host, *port, *local_host, *local_port;
    int ipv4, ipv6;
    uint8_t packet[MAX_DATAGRAM]; /* the datagram being handed on */
    size_t start, end;
} UdpChardev;

static size_t take_packet(UdpChardev *udp, uint8_t *buf, size_t len)
{
    size_t count = MIN(len, udp->end - udp->start);

    memcpy(buf, udp->packet + udp->start, count);
    udp->start += count;
    return count;
}

/* An unreachable peer (ECONNREFUSED) may come back; an empty datagram is not the end. */
static ssize_t udp_read(FdChardev *fd, uint8_t *buf, size_t len)
{
    UdpChardev *udp = (UdpChardev *)fd;
    ssize_t n = recv(fd->in_fd, udp->packet, sizeof(udp->packet), 0);

    if (n <= 0) {
        return -EAGAIN;
    }
    udp->start = 0;
    udp->end = n;
    return take_packet(udp, buf, len);
}

static int udp_write(Chardev *chr, const uint8_t *buf, int len)
{
    /* A datagram that cannot be sent is lost, as datagrams may be. */
    send(((FdChardev *)chr)->out_fd, buf, MIN(len, 65507), MSG_NOSIGNAL | MSG_DONTWAIT);
    return MIN(len, 65507);
}

/* The rest of a datagram comes before the next one. */
static void udp_update(Chardev *chr)
{
    UdpChardev *udp = (UdpChardev *)chr;
    uint8_t buf[CHARDEV_READ_CHUNK];
    int room;

    while (udp->start < udp->end && (room = chardev_can_read(chr)) > 0) {
        size_t count = take_packet(udp, buf, MIN((size_t)room, sizeof(buf)));

        chardev_deliver(chr, buf, count);
    }
    if (udp->start < udp->end) {
        fd_chardev_detach_loop(chr);
    } else {
        fd_chardev_update(chr);
    }
}

/* The core asks for an update after each read; the rest of a datagram is handed on there. */
static void udp_input(FdChardev *fd, uint8_t *buf, size_t len)
{
    UdpChardev *udp = (UdpChardev *)fd;

    chardev_deliver(&fd->parent, buf, len);
    if (udp->start < udp->end) {
        chardev_schedule_update(&fd->parent);
    }
}

static bool udp_open(Chardev *chr, GError **error)
{
    UdpChardev *udp = (UdpChardev *)chr;
    CharSockAddr remote = { .host = udp->host, .port = udp->port, .ipv4 = udp->ipv4,
                            .ipv6 = udp->ipv6 };
    CharSockAddr local = { .host = udp->local_host, .port = udp->local_port };
    int fd;

    if (!udp->port || !*udp->port) {
        error_setf(error, "backend 'udp' needs port=PORT");
        return false;
    }
    fd = char_sockaddr_datagram(&remote, &local, error);
    if (fd < 0) {
        return false;
    }
    fd_chardev_set_fds(&udp->fd, fd, fd);
    chardev_send_event(chr, CHAR_EVENT_OPENED);
    return true;
}

static void udp_init(Object *obj)
{
    UdpChardev *udp = (UdpChardev *)obj;

    fd_chardev_init(&udp->fd);
    udp->fd.read = udp_read;
    udp->fd.input = udp_input;
}

static void udp_finalize(Object *obj)
{
    fd_chardev_close((FdChardev *)obj);
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
    .detach_loop = fd_chardev_detach_loop,
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
