/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backend implements: opening. All else is in the NetClientOps of the clients that it makes.
 * To add one: its branch in qapi/net.json, a file with its NetBackend, a row in net/netdev.c.
 */
#ifndef VIREO_NET_BACKEND_H
#define VIREO_NET_BACKEND_H

#include "net/net.h"

typedef struct NetBackend {
    NetClientDriver kind;
    const char *description; /* one line, for help */
    /*
     * Makes its client (clients, with several queues) named options->id. default_net: nobody asked
     * for it, so it must cost nothing before it is used. options are borrowed. NULL with the error
     * set, and nothing left behind.
     */
    NetClient *(*open)(const Netdev *options, bool default_net, GError **error);
} NetBackend;

extern const NetBackend net_backend_bridge, net_backend_dgram, net_backend_hubport,
    net_backend_socket, net_backend_stream, net_backend_tap, net_backend_user,
    net_backend_vhost_user;

#endif
