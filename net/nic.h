/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's end: properties that every NIC has, its clients, and the NICs that -nic and -net
 * ask the board for. VM lock held.
 */
#ifndef VIREO_NET_NIC_H
#define VIREO_NET_NIC_H

#include "net/net.h"
#include "qom/object.h"

typedef struct NicConfig {
    uint8_t mac[NET_MAC_LEN]; /* property; all zero: nic_start() chooses one */
    NetClient *netdev;        /* property: queue 0 of the backend, borrowed; or NULL */
    unsigned queues;          /* set by nic_start() */
    NetClient **clients;      /* one for each queue; owned */
} NicConfig;

/* "52:54:00:12:34:56"; field: uint8_t[6]. */
extern const PropertyKind prop_kind_mac;
/* Id of a backend that is free; field: NetClient *. */
extern const PropertyKind prop_kind_netdev;
#define NIC_PROPERTIES(S, f) \
    { PROP_FIELD_(prop_kind_mac, "mac", S, f.mac, "its address (default: the next free one)") }, \
    { PROP_FIELD_(prop_kind_netdev, "netdev", S, f.netdev, "the backend that it is wired to") }

/*
 * Makes a client for each of `queues` queues and wires those to the backend's. id: the device's, or
 * NULL. The info string is "model=...,macaddr=...".
 */
void nic_start(NicConfig *nic, const NetClientOps *ops, const char *model, const char *id,
               unsigned queues, void *opaque);
void nic_stop(NicConfig *nic);
/* The guest chose another address: for info and announcements. */
void nic_set_mac(NicConfig *nic, const uint8_t mac[NET_MAC_LEN]);
/* Have NIC_RX_FILTER_CHANGED sent, unless it was and nobody asked meanwhile. */
void nic_rx_filter_changed(NicConfig *nic, const Object *device);

bool net_parse_mac(const char *text, uint8_t mac[NET_MAC_LEN], GError **error);

/* A NIC that -nic or -net nic ask for. */
typedef struct NicRequest {
    char *model;              /* NULL: the board's choice */
    char *id;                 /* NULL: none */
    char *addr;               /* place on its bus, or NULL */
    uint8_t mac[NET_MAC_LEN]; /* all zero: any */
    int64_t vectors;          /* -1: any */
    NetClient *peer;          /* NULL: it is wired to nothing */
    bool is_default;          /* nobody asked for it */
    bool claimed;             /* the board has made it */
} NicRequest;

/* What the board has to make, NicRequest *; borrowed. */
GPtrArray *nic_requests(void);
NicRequest *nic_request_new(void);
/* Warns of those that the board made nothing of. */
void nic_requests_check(void);

#endif
