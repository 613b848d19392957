/* SPDX-License-Identifier: Apache-2.0 */
/* -netdev socket: one peer by TCP, by UDP, or several by multicasts. */
#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

#include "io/channel-socket.h"
#include "io/net-listener.h"
#include "net/backend.h"
#include "net/datagram.h"
#include "net/wire.h"
#include "util/error.h"
#include "util/fd-store.h"

typedef struct SocketNet {
    NetWire wire;
    NetListener *listener; /* NULL unless it waits for peers */
} SocketNet;

static void listen_for_peer(SocketNet *net, bool on);

static char *peer_text(Channel *channel)
{
    g_autoptr(SocketAddress) addr = channel_socket_remote_address(channel, NULL);

    return addr ? socket_address_text(addr) : g_strdup("unknown");
}

static void closed(NetWire *wire)
{
    SocketNet *net = (SocketNet *)wire;

    net_client_set_info(wire->nc, "%s", "");
    if (net->listener) {
        listen_for_peer(net, true);
    }
}

static void accepted(NetListener *listener, Channel *channel, void *opaque)
{
    SocketNet *net = opaque;
    g_autofree char *peer = peer_text(channel);

    if (net->wire.channel) { /* one at a time */
        channel_unref(channel);
        return;
    }
    listen_for_peer(net, false);
    channel_socket_set_nodelay(channel, true);
    net_client_set_info(net->wire.nc, "connection from %s", peer);
    net_wire_connect(&net->wire, channel);
}

static void listen_for_peer(SocketNet *net, bool on)
{
    net_listener_watch(net->listener, loop_main(), on ? accepted : NULL, net);
}

static int socket_receive(NetClient *nc, const NetPacket *packet)
{
    return net_wire_receive(&((SocketNet *)nc->opaque)->wire, packet);
}

static void socket_peer_ready(NetClient *nc)
{
    net_wire_peer_ready(&((SocketNet *)nc->opaque)->wire);
}

static void socket_cleanup(NetClient *nc)
{
    SocketNet *net = nc->opaque;

    net_listener_free(net->listener);
    net_wire_cleanup(&net->wire);
    g_free(net);
}

static const NetClientOps socket_ops = {
    .kind = NET_CLIENT_DRIVER_SOCKET,
    .receive = socket_receive,
    .peer_ready = socket_peer_ready,
    .cleanup = socket_cleanup,
};

static SocketNet *socket_new(const char *name)
{
    SocketNet *net = g_new0(SocketNet, 1);
    NetClient *nc = net_client_new(&socket_ops, "socket", name, 0, net);

    net_wire_init(&net->wire, nc, closed);
    return net;
}

static NetClient *open_channel(const char *name, Channel *channel, const char *how)
{
    SocketNet *net = socket_new(name);

    channel_socket_set_nodelay(channel, true);
    net_client_set_info(net->wire.nc, "%s", how);
    net_wire_connect(&net->wire, channel);
    return net->wire.nc;
}

static NetClient *open_fd(const char *name, const char *text, GError **error)
{
    int fd = fd_store_parse(text, error), type;
    g_autofree char *how = g_strdup_printf("fd=%s", text);
    socklen_t len = sizeof(type);
    Channel *channel;
    NetClient *nc;

    if (fd < 0) {
        return NULL;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        error_set_errno(error, errno, "fd=%s is not a socket", text);
        close(fd);
        return NULL;
    }
    if (type == SOCK_DGRAM) {
        nc = net_datagram_new(NET_CLIENT_DRIVER_SOCKET, name, fd, NULL, 0);
        net_client_set_info(nc, "%s", how);
        return nc;
    }
    channel = channel_socket_new(fd, error);
    if (!channel) {
        close(fd);
        return NULL;
    }
    return open_channel(name, channel, how);
}

static NetClient *open_listen(const char *name, const char *text, GError **error)
{
    g_autoptr(SocketAddress) addr = socket_address_parse(text, error);
    g_autoptr(NetListener) listener = NULL;
    SocketNet *net;

    if (!addr) {
        return NULL;
    }
    listener = net_listener_new();
    if (!net_listener_open(listener, addr, 1, error)) {
        return NULL;
    }
    net = socket_new(name);
    net->listener = g_steal_pointer(&listener);
    listen_for_peer(net, true);
    return net->wire.nc;
}

static NetClient *open_connect(const char *name, const char *text, GError **error)
{
    g_autoptr(SocketAddress) addr = socket_address_parse(text, error);
    g_autofree char *how = g_strdup_printf("connect to %s", text);
    Channel *channel = addr ? socket_connect(addr, error) : NULL;

    return channel ? open_channel(name, channel, how) : NULL;
}

static NetClient *open_mcast(const char *name, const NetdevSocketOptions *options, GError **error)
{
    struct sockaddr_storage to = { 0 };
    struct sockaddr_in *group = (struct sockaddr_in *)&to;
    struct in_addr interface;
    NetClient *nc;
    int fd;

    if (!net_parse_ipv4(options->mcast, "mcast", group, error)) {
        return NULL;
    }
    if (options->localaddr && !inet_aton(options->localaddr, &interface)) {
        error_setf(error, "localaddr '%s' is not an IPv4 address", options->localaddr);
        return NULL;
    }
    fd = net_multicast_socket(group, options->localaddr ? &interface : NULL, error);
    if (fd < 0) {
        return NULL;
    }
    nc = net_datagram_new(NET_CLIENT_DRIVER_SOCKET, name, fd, &to, sizeof(*group));
    net_client_set_info(nc, "mcast=%s", options->mcast);
    return nc;
}

static NetClient *open_udp(const char *name, const NetdevSocketOptions *options, GError **error)
{
    struct sockaddr_storage to = { 0 };
    struct sockaddr_in local;
    NetClient *nc;
    int fd;

    if (!options->localaddr) {
        error_setf(error, "udp= needs localaddr=HOST:PORT too");
        return NULL;
    }
    if (!net_parse_ipv4(options->localaddr, "localaddr", &local, error) ||
        !net_parse_ipv4(options->udp, "udp", (struct sockaddr_in *)&to, error)) {
        return NULL;
    }
    fd = net_bound_socket((struct sockaddr *)&local, sizeof(local), error);
    if (fd < 0) {
        return NULL;
    }
    nc = net_datagram_new(NET_CLIENT_DRIVER_SOCKET, name, fd, &to, sizeof(local));
    net_client_set_info(nc, "udp=%s", options->udp);
    return nc;
}

static NetClient *socket_open(const Netdev *netdev, bool default_net, GError **error)
{
    const NetdevSocketOptions *options = &netdev->u.socket;
    unsigned ways = !!options->fd + !!options->listen + !!options->connect + !!options->mcast +
                    !!options->udp;

    if (ways != 1) {
        error_setf(error, "exactly one of fd=, listen=, connect=, mcast= or udp= is required");
        return NULL;
    }
    if (options->localaddr && !options->mcast && !options->udp) {
        error_setf(error, "localaddr= is only valid with mcast= or udp=");
        return NULL;
    }
    return options->fd ? open_fd(netdev->id, options->fd, error)
           : options->listen ? open_listen(netdev->id, options->listen, error)
           : options->connect ? open_connect(netdev->id, options->connect, error)
           : options->mcast ? open_mcast(netdev->id, options, error)
           : open_udp(netdev->id, options, error);
}

const NetBackend net_backend_socket = {
    .kind = NET_CLIENT_DRIVER_SOCKET,
    .description = "a wire to another virtual machine: TCP, UDP, multicasts",
    .open = socket_open,
};
