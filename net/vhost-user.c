/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -netdev vhost-user: another process runs the queues of a virtio-net device. Here is only the
 * conversation's life: it begins when the chardev has a peer, and when that goes the link is down
 * until the next comes. No frame passes through this program.
 */
#include "virtio/vhost-user-client.h"

#include "chardev/chardev.h"
#include "net/backend.h"
#include "util/bits.h"
#include "util/error.h"

#define ETHERTYPE_RARP 0x8035
#define RARP_SENDER 22
/* So many peers in a row that could not be talked to; the next is not waited for. */
#define MAX_FAILURES 3

typedef struct VhostUserNet {
    CharFrontend fe;
    char *name;
    VhostUserClient *client; /* NULL: nobody is there */
    unsigned queues, living; /* clients that there shall be, and that there are */
    unsigned failures;
} VhostUserNet;

static void tell_device(const VhostUserNet *net, bool up)
{
    NetClient *nc = net_client_find(net->name);

    if (nc) {
        net_set_link(net->name, up, NULL);
        net_features_changed(nc);
    }
}

static bool begin(VhostUserNet *net, GError **error)
{
    int fd = char_frontend_socket(&net->fe);

    if (fd < 0) {
        error_setf(error, "chardev '%s' is not a socket that vhost-user can be spoken over",
                   chardev_id(net->fe.chr));
        return false;
    }
    net->client = vhost_user_client_new(fd, BIT_ULL(VHOST_USER_PROTOCOL_F_RARP), error);
    if (net->client && net->queues > net->client->max_queues) {
        error_setf(error, "netdev '%s' asks for %u pairs of queues; its backend has %u", net->name,
                   net->queues, net->client->max_queues);
        g_clear_pointer(&net->client, vhost_user_client_free);
    }
    return net->client;
}

static void end(VhostUserNet *net)
{
    VhostUserClient *client = net->client;

    if (client) {
        client->failed = true;
        tell_device(net, false); /* which takes its queues back */
        net->client = NULL;
        vhost_user_client_free(client);
    }
}

static void on_event(void *opaque, CharEvent event)
{
    VhostUserNet *net = opaque;
    g_autoptr(GError) error = NULL;

    if (event == CHAR_EVENT_CLOSED) {
        end(net);
    } else if (event == CHAR_EVENT_OPENED && !net->client && net->failures < MAX_FAILURES) {
        if (begin(net, &error)) {
            net->failures = 0;
            tell_device(net, true);
            return;
        }
        net->failures++;
        warn_report("netdev '%s': %s%s", net->name, error->message,
                    net->failures == MAX_FAILURES ? "; it is not tried again" : "");
        char_frontend_disconnect(&net->fe);
    }
}

static int can_read(void *opaque)
{
    return 1;
}

/* Replies are read where they are waited for. */
static void read_unasked(void *opaque, const uint8_t *buf, int size)
{
    VhostUserNet *net = opaque;

    warn_report("netdev '%s': the vhost-user backend says what nobody asked for", net->name);
    char_frontend_disconnect(&net->fe);
}

static const CharFrontendOps frontend_ops = {
    .can_read = can_read,
    .read = read_unasked,
    .event = on_event,
};

/* ---- Clients ---- */

/* Of what the device itself sends only its announcement has somewhere to go. */
static int user_receive(NetClient *nc, const NetPacket *packet)
{
    VhostUserNet *net = nc->opaque;
    const uint8_t *frame = packet->iov[0].iov_base;

    if (packet->n == 1 && packet->size >= NET_MIN_FRAME && ldw_be(frame + 12) == ETHERTYPE_RARP &&
        net->client && vhost_user_client_has(net->client, VHOST_USER_PROTOCOL_F_RARP)) {
        vhost_user_client_announce(net->client, frame + RARP_SENDER, NULL);
    }
    return 0;
}

static bool user_vhost(NetClient *nc, NetVhost *vhost)
{
    VhostUserNet *net = nc->opaque;

    *vhost = (NetVhost) {
        .vhost = net->client && !net->client->failed ? &net->client->vhost : NULL,
        .first = 2 * nc->queue_index,
        .shares_memory = nc->queue_index > 0,
        .does_offloads = true,
    };
    return true;
}

static void user_vhost_failed(NetClient *nc, GError *error)
{
    VhostUserNet *net = nc->opaque;

    warn_report("netdev '%s': %s", nc->name, error->message);
    g_error_free(error);
    if (net->client) {
        net->client->failed = true;
        net->failures++;
        char_frontend_disconnect(&net->fe);
    }
}

static void net_free(VhostUserNet *net)
{
    char_frontend_detach(&net->fe);
    vhost_user_client_free(net->client);
    g_free(net->name);
    g_free(net);
}

static void user_cleanup(NetClient *nc)
{
    VhostUserNet *net = nc->opaque;

    if (--net->living == 0) {
        net_free(net);
    }
}

static const NetClientOps user_ops = {
    .kind = NET_CLIENT_DRIVER_VHOST_USER,
    .receive = user_receive,
    .vhost = user_vhost,
    .vhost_failed = user_vhost_failed,
    .cleanup = user_cleanup,
};

/* ---- Opening ---- */

static bool attach(VhostUserNet *net, const char *id, GError **error)
{
    Chardev *chr = chardev_find(id, error);

    return chr && char_frontend_attach(&net->fe, chr, error) &&
           char_frontend_wait_connected(&net->fe, error) && begin(net, error);
}

static NetClient *vhost_user_open(const Netdev *netdev, bool default_net, GError **error)
{
    const NetdevVhostUserOptions *options = &netdev->u.vhost_user;
    int64_t queues = options->has_queues ? options->queues : 1;
    VhostUserNet *net;

    if (queues < 1 || queues > NET_MAX_QUEUES) {
        error_setf(error, "a backend has 1 to %d queues", NET_MAX_QUEUES);
        return NULL;
    }
    net = g_new0(VhostUserNet, 1);
    net->name = g_strdup(netdev->id);
    net->queues = (unsigned)queues;
    if (!attach(net, options->chardev, error)) {
        net_free(net);
        return NULL;
    }
    for (; net->living < net->queues; net->living++) {
        NetClient *nc = net_client_new(&user_ops, "vhost-user", net->name, net->living, net);

        net_client_set_info(nc, "vhost-user%u to %s", net->living, options->chardev);
    }
    char_frontend_set_handlers(&net->fe, &frontend_ops, net, NULL);
    return net_client_find(net->name);
}

const NetBackend net_backend_vhost_user = {
    .kind = NET_CLIENT_DRIVER_VHOST_USER,
    .description = "another process, which runs the device's queues",
    .open = vhost_user_open,
};
