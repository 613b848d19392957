/* SPDX-License-Identifier: Apache-2.0 */
/* The clients there are, who is wired to whom, and their links. */
#include "net/net.h"

#include <string.h>

#include "net/net-internal.h"
#include "util/error.h"

static GPtrArray *clients;

static GPtrArray *all_clients(void)
{
    if (!clients) {
        clients = g_ptr_array_new();
    }
    return clients;
}

/* "e1000.0": the first number that is free. */
static char *anonymous_name(const char *model)
{
    for (unsigned i = 0;; i++) {
        char *name = g_strdup_printf("%s.%u", model, i);

        if (!net_client_find(name)) {
            return name;
        }
        g_free(name);
    }
}

NetClient *net_client_new(const NetClientOps *ops, const char *model, const char *name,
                          unsigned queue_index, void *opaque)
{
    NetClient *nc = g_new0(NetClient, 1);

    nc->ops = ops;
    nc->model = g_strdup(model);
    nc->name = name ? g_strdup(name) : anonymous_name(model);
    nc->queue_index = queue_index;
    nc->opaque = opaque;
    g_queue_init(&nc->waiting);
    g_ptr_array_add(all_clients(), nc);
    return nc;
}

static void tell_peer_changed(NetClient *nc)
{
    if (nc->ops->peer_changed) {
        nc->ops->peer_changed(nc);
    }
}

static void set_link_down(NetClient *nc, bool down)
{
    if (nc->link_down == down) {
        return;
    }
    nc->link_down = down;
    if (nc->ops->link_changed) {
        nc->ops->link_changed(nc);
    }
}

static void disconnect(NetClient *nc)
{
    NetClient *peer = nc->peer;

    if (!peer) {
        return;
    }
    net_queue_clear(nc);
    net_queue_clear(peer);
    nc->peer = NULL;
    peer->peer = NULL;
    if (net_client_is_nic(peer)) {
        set_link_down(peer, true);
    }
    tell_peer_changed(peer);
}

void net_client_free(NetClient *nc)
{
    if (!nc) {
        return;
    }
    disconnect(nc);
    g_ptr_array_remove(clients, nc);
    net_filters_detach(nc);
    if (nc->ops->cleanup) {
        nc->ops->cleanup(nc);
    }
    net_queue_clear(nc);
    g_free(nc->name);
    g_free(nc->model);
    g_free(nc->info);
    g_free(nc);
}

void net_client_connect(NetClient *nc, NetClient *peer)
{
    g_assert(!nc->peer && !peer->peer);
    nc->peer = peer;
    peer->peer = nc;
    tell_peer_changed(nc);
    tell_peer_changed(peer);
}

void net_client_set_info(NetClient *nc, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    g_free(nc->info);
    nc->info = g_strdup_vprintf(fmt, args);
    va_end(args);
}

NetClient *net_client_find(const char *name)
{
    for (guint i = 0; clients && i < clients->len; i++) {
        NetClient *nc = g_ptr_array_index(clients, i);

        if (nc->queue_index == 0 && g_str_equal(nc->name, name)) {
            return nc;
        }
    }
    return NULL;
}

static bool is_queue_of(const NetClient *nc, const NetClient *first)
{
    return nc->ops == first->ops && g_str_equal(nc->name, first->name);
}

NetClient *net_client_queue(const NetClient *first, unsigned index)
{
    for (guint i = 0; clients && i < clients->len; i++) {
        NetClient *nc = g_ptr_array_index(clients, i);

        if (nc->queue_index == index && is_queue_of(nc, first)) {
            return nc;
        }
    }
    return NULL;
}

unsigned net_client_queues(const NetClient *first)
{
    unsigned n = 0;

    for (guint i = 0; clients && i < clients->len; i++) {
        n += is_queue_of(g_ptr_array_index(clients, i), first);
    }
    return n;
}

void net_client_foreach(bool (*fn)(NetClient *nc, void *opaque), void *opaque)
{
    for (guint i = 0; clients && i < clients->len; i++) {
        if (!fn(g_ptr_array_index(clients, i), opaque)) {
            return;
        }
    }
}

bool net_set_link(const char *name, bool up, GError **error)
{
    NetClient *first = net_client_find(name);

    if (!first) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return false;
    }
    for (unsigned i = 0, n = net_client_queues(first); i < n; i++) {
        NetClient *nc = net_client_queue(first, i);

        set_link_down(nc, !up);
        /* A cable has two ends. */
        if (nc->peer) {
            set_link_down(nc->peer, !up);
        }
    }
    return true;
}

void net_cleanup(void)
{
    while (clients && clients->len) {
        net_client_free(g_ptr_array_index(clients, clients->len - 1));
    }
    g_clear_pointer(&clients, g_ptr_array_unref);
}

uint32_t net_peer_features(const NetClient *nc)
{
    NetClient *peer = nc->peer;

    return peer && peer->ops->features ? peer->ops->features(peer) : 0;
}

void net_features_changed(NetClient *nc)
{
    if (nc->peer) {
        tell_peer_changed(nc->peer);
    }
}
