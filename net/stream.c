/* SPDX-License-Identifier: Apache-2.0 */
/* -netdev stream: a wire over a stream socket, as passt and other machines speak it. */
#include <errno.h>
#include <unistd.h>

#include "io/channel-socket.h"
#include "io/net-listener.h"
#include "net/backend.h"
#include "net/wire.h"
#include "qapi/qapi-events-net.h"
#include "util/error.h"
#include "util/timer.h"

typedef struct StreamNet {
    NetWire wire;
    NetListener *listener;   /* NULL if it connects */
    SocketConnect *connect;  /* on its way */
    SocketAddress *addr;     /* where it connects to */
    uint32_t reconnect;      /* in seconds; 0: once */
    Timer *again;            /* NULL if it connects but once */
} StreamNet;

static void listen_for_peer(StreamNet *net, bool on);

/* "tcp:127.0.0.1:5555", "unix:/path". */
static char *uri(const SocketAddress *addr)
{
    g_autofree char *text = socket_address_text(addr);

    return addr->type == SOCKET_ADDRESS_TYPE_INET ? g_strconcat("tcp:", text, NULL)
                                                  : g_steal_pointer(&text);
}

static void try_later(StreamNet *net)
{
    if (net->again) {
        timer_mod(net->again, vm_clock_ns(VM_CLOCK_REALTIME) + net->reconnect * NS_PER_SEC);
    }
}

static void closed(NetWire *wire)
{
    StreamNet *net = (StreamNet *)wire;

    net_client_set_info(wire->nc, "%s", "");
    qapi_event_send_netdev_stream_disconnected(wire->nc->name);
    if (net->listener) {
        listen_for_peer(net, true);
    }
    try_later(net);
}

static void begin(StreamNet *net, Channel *channel)
{
    g_autoptr(SocketAddress) addr = channel_socket_remote_address(channel, NULL);

    channel_socket_set_nodelay(channel, true);
    net_wire_connect(&net->wire, channel);
    if (addr) {
        g_autofree char *text = uri(addr);

        net_client_set_info(net->wire.nc, "%s", text);
        qapi_event_send_netdev_stream_connected(net->wire.nc->name, addr);
    }
}

static void accepted(NetListener *listener, Channel *channel, void *opaque)
{
    StreamNet *net = opaque;

    if (net->wire.channel) { /* one at a time */
        channel_unref(channel);
        return;
    }
    listen_for_peer(net, false);
    begin(net, channel);
}

static void listen_for_peer(StreamNet *net, bool on)
{
    net_listener_watch(net->listener, loop_main(), on ? accepted : NULL, net);
}

static void connected(Channel *channel, GError *error, void *opaque)
{
    StreamNet *net = opaque;

    net->connect = NULL;
    if (channel) {
        begin(net, channel);
    } else {
        net_client_set_info(net->wire.nc, "error: %s", error->message);
        if (!net->again) {
            warn_report("netdev '%s': %s", net->wire.nc->name, error->message);
        }
        g_error_free(error);
        try_later(net);
    }
}

static void start_connecting(void *opaque)
{
    StreamNet *net = opaque;

    net_client_set_info(net->wire.nc, "connecting");
    net->connect = socket_connect_start(net->addr, loop_main(), connected, net);
}

static int stream_receive(NetClient *nc, const NetPacket *packet)
{
    return net_wire_receive(&((StreamNet *)nc->opaque)->wire, packet);
}

static void stream_peer_ready(NetClient *nc)
{
    net_wire_peer_ready(&((StreamNet *)nc->opaque)->wire);
}

static void stream_cleanup(NetClient *nc)
{
    StreamNet *net = nc->opaque;

    if (net->connect) {
        socket_connect_cancel(net->connect);
    }
    timer_free(net->again);
    net_listener_free(net->listener);
    net_wire_cleanup(&net->wire);
    SocketAddress_free(net->addr);
    g_free(net);
}

static const NetClientOps stream_ops = {
    .kind = NET_CLIENT_DRIVER_STREAM,
    .receive = stream_receive,
    .peer_ready = stream_peer_ready,
    .cleanup = stream_cleanup,
};

static StreamNet *stream_new(const char *name)
{
    StreamNet *net = g_new0(StreamNet, 1);
    NetClient *nc = net_client_new(&stream_ops, "stream", name, 0, net);

    net_wire_init(&net->wire, nc, closed);
    return net;
}

static NetClient *stream_open(const Netdev *netdev, bool default_net, GError **error)
{
    const NetdevStreamOptions *options = &netdev->u.stream;
    bool server = options->has_server && options->server;
    g_autoptr(NetListener) listener = NULL;
    StreamNet *net;

    if (server && options->has_reconnect) {
        error_setf(error, "'reconnect' option is incompatible with socket in server mode");
        return NULL;
    }
    if (server) {
        listener = net_listener_new();
        if (!net_listener_open(listener, options->addr, 1, error)) {
            return NULL;
        }
    }
    net = stream_new(netdev->id);
    if (server) {
        g_autoptr(SocketAddress) addr = net_listener_address(listener, NULL);
        g_autofree char *text = addr ? uri(addr) : NULL;

        net_client_set_info(net->wire.nc, "listening at %s", text ? text : "a socket");
        net->listener = g_steal_pointer(&listener);
        listen_for_peer(net, true);
    } else {
        net->addr = SocketAddress_clone(options->addr);
        net->reconnect = options->has_reconnect ? options->reconnect : 0;
        if (net->reconnect) {
            net->again = timer_new(loop_main(), VM_CLOCK_REALTIME, start_connecting, net);
        }
        start_connecting(net);
    }
    return net->wire.nc;
}

const NetBackend net_backend_stream = {
    .kind = NET_CLIENT_DRIVER_STREAM,
    .description = "a wire over a stream socket (also to passt)",
    .open = stream_open,
};
