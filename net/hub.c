/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub is its ports: clients of the same number. A port that cannot take a frame keeps it in its
 * peer's queue; the sender is stopped only when no port can take anything.
 */
#include "net/hub.h"

#include <errno.h>

#include "net/backend.h"
#include "util/error.h"

typedef struct HubWalk {
    const NetClient *port;
    const NetPacket *packet;
    int id;
    bool found, alone;
} HubWalk;

static const NetClientOps port_ops;

static bool is_port(const NetClient *nc)
{
    return nc->ops == &port_ops;
}

static int port_hub(const NetClient *nc)
{
    return GPOINTER_TO_INT(nc->opaque);
}

static bool is_neighbour(const HubWalk *walk, const NetClient *nc)
{
    return is_port(nc) && nc != walk->port && port_hub(nc) == walk->id;
}

static bool forward(NetClient *nc, void *opaque)
{
    HubWalk *walk = opaque;

    if (is_neighbour(walk, nc)) {
        net_send(nc, walk->packet);
    }
    return true;
}

static int port_receive(NetClient *nc, const NetPacket *packet)
{
    HubWalk walk = { .port = nc, .packet = packet, .id = port_hub(nc) };

    net_client_foreach(forward, &walk);
    return 0;
}

static bool takes_frames(NetClient *nc, void *opaque)
{
    HubWalk *walk = opaque;

    if (is_neighbour(walk, nc)) {
        walk->alone = false;
        walk->found = net_peer_can_receive(nc);
    }
    return !walk->found;
}

static bool port_can_receive(NetClient *nc)
{
    HubWalk walk = { .port = nc, .id = port_hub(nc), .alone = true };

    net_client_foreach(takes_frames, &walk);
    return walk.found || walk.alone;
}

static bool wake(NetClient *nc, void *opaque)
{
    HubWalk *walk = opaque;

    if (is_neighbour(walk, nc)) {
        net_ready(nc);
    }
    return true;
}

/* The client behind this port takes frames again: so does the hub, from all other ports. */
static void port_peer_ready(NetClient *nc)
{
    HubWalk walk = { .port = nc, .id = port_hub(nc) };

    net_client_foreach(wake, &walk);
}

static const NetClientOps port_ops = {
    .kind = NET_CLIENT_DRIVER_HUBPORT,
    .can_receive = port_can_receive,
    .receive = port_receive,
    .peer_ready = port_peer_ready,
};

/* "hub0port2": the first number that is free. */
static char *port_name(int hub_id)
{
    for (unsigned i = 0;; i++) {
        char *name = g_strdup_printf("hub%dport%u", hub_id, i);

        if (!net_client_find(name)) {
            return name;
        }
        g_free(name);
    }
}

NetClient *net_hub_port_new(int hub_id, const char *name)
{
    g_autofree char *own = name ? NULL : port_name(hub_id);
    NetClient *nc = net_client_new(&port_ops, "hubport", name ? name : own, 0,
                                   GINT_TO_POINTER(hub_id));

    net_client_set_info(nc, "hubid=%d", hub_id);
    return nc;
}

int net_hub_id(const NetClient *nc)
{
    return is_port(nc) ? port_hub(nc) : nc->peer && is_port(nc->peer) ? port_hub(nc->peer) : -1;
}

/* ---- Circles ---- */

typedef struct HubSearch {
    GArray *seen; /* int: hubs that are joined to the first of them */
    guint next;
} HubSearch;

static bool has_seen(const HubSearch *search, int id)
{
    for (guint i = 0; i < search->seen->len; i++) {
        if (g_array_index(search->seen, int, i) == id) {
            return true;
        }
    }
    return false;
}

/* The hub behind a port of the one that is being looked at. */
static bool look_behind(NetClient *nc, void *opaque)
{
    HubSearch *search = opaque;
    int other;

    if (is_port(nc) && port_hub(nc) == g_array_index(search->seen, int, search->next) &&
        nc->peer && is_port(nc->peer)) {
        other = port_hub(nc->peer);
        if (!has_seen(search, other)) {
            g_array_append_val(search->seen, other);
        }
    }
    return true;
}

bool net_hub_may_connect(const NetClient *a, const NetClient *b, GError **error)
{
    HubSearch search = { g_array_new(false, false, sizeof(int)), 0 };
    bool circle = false;
    int from;

    if (is_port(a) && is_port(b)) {
        from = port_hub(a);
        g_array_append_val(search.seen, from);
        for (; search.next < search.seen->len; search.next++) {
            net_client_foreach(look_behind, &search);
        }
        circle = has_seen(&search, port_hub(b));
    }
    g_array_unref(search.seen);
    if (circle) {
        error_setf(error, "hub %d and hub %d would be joined in a circle", port_hub(a),
                   port_hub(b));
    }
    return !circle;
}

static NetClient *hubport_open(const Netdev *options, bool default_net, GError **error)
{
    const NetdevHubPortOptions *hub = &options->u.hubport;
    NetClient *peer = NULL, *nc;

    if (hub->netdev) {
        peer = net_client_find(hub->netdev);
        if (!peer) {
            error_setf(error, "netdev '%s' not found", hub->netdev);
            return NULL;
        }
        if (peer->peer) {
            error_setf(error, "netdev '%s' is in use already", hub->netdev);
            return NULL;
        }
    }
    nc = net_hub_port_new(hub->hubid, options->id);
    if (peer && !net_hub_may_connect(nc, peer, error)) {
        net_client_free(nc);
        return NULL;
    }
    if (peer) {
        net_client_connect(nc, peer);
    }
    return nc;
}

const NetBackend net_backend_hubport = {
    .kind = NET_CLIENT_DRIVER_HUBPORT,
    .description = "a port of a hub inside this program",
    .open = hubport_open,
};

/* ---- For people ---- */

typedef struct HubList {
    GArray *ids; /* int, in order of the first port */
} HubList;

static bool note_hub(NetClient *nc, void *opaque)
{
    HubList *list = opaque;
    int id;

    if (!is_port(nc)) {
        return true;
    }
    id = port_hub(nc);
    for (guint i = 0; i < list->ids->len; i++) {
        if (g_array_index(list->ids, int, i) == id) {
            return true;
        }
    }
    g_array_append_val(list->ids, id);
    return true;
}

static GArray *hub_ids(void)
{
    HubList list = { g_array_new(false, false, sizeof(int)) };

    net_client_foreach(note_hub, &list);
    return list.ids;
}

typedef struct HubPrint {
    int id;
    GString *out;
    void (*line)(GString *out, NetClient *nc);
    bool has_nic, has_backend;
} HubPrint;

static bool print_port(NetClient *nc, void *opaque)
{
    HubPrint *print = opaque;

    if (is_port(nc) && port_hub(nc) == print->id) {
        g_string_append_printf(print->out, " \\ %s", nc->name);
        if (nc->peer) {
            g_string_append(print->out, ": ");
            print->line(print->out, nc->peer);
        } else {
            g_string_append_c(print->out, '\n');
        }
    }
    return true;
}

void net_hub_describe(GString *out, void (*line)(GString *out, NetClient *nc))
{
    g_autoptr(GArray) ids = hub_ids();

    for (guint i = 0; i < ids->len; i++) {
        HubPrint print = { .id = g_array_index(ids, int, i), .out = out, .line = line };

        g_string_append_printf(out, "hub %d\n", print.id);
        net_client_foreach(print_port, &print);
    }
}

static bool look_at_port(NetClient *nc, void *opaque)
{
    HubPrint *print = opaque;

    if (is_port(nc) && port_hub(nc) == print->id) {
        print->has_nic |= nc->peer && net_client_is_nic(nc->peer);
        print->has_backend |= nc->peer && !net_client_is_nic(nc->peer);
    }
    return true;
}

void net_hub_check(void)
{
    g_autoptr(GArray) ids = hub_ids();

    for (guint i = 0; i < ids->len; i++) {
        HubPrint print = { .id = g_array_index(ids, int, i) };

        net_client_foreach(look_at_port, &print);
        if (print.has_nic && !print.has_backend) {
            warn_report("hub %d is not connected to a host network", print.id);
        } else if (!print.has_nic && print.has_backend) {
            warn_report("hub %d has no device connected", print.id);
        }
    }
}
