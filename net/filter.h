/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters (-object filter-*): they stand on the wire next to a backend and see its frames. Those
 * that the backend sends pass its filters from first to last ("tx"), those that it gets from last
 * to first ("rx"). A filter may look at a frame, take it, or keep it and pass it on later
 * (net_filter_pass_on()).
 *
 * VM lock held.
 */
#ifndef VIREO_NET_FILTER_H
#define VIREO_NET_FILTER_H

#include "net/net.h"
#include "qom/object.h"

#define TYPE_NET_FILTER "netfilter"

typedef enum NetFilterQueue {
    NET_FILTER_ALL,
    NET_FILTER_RX, /* to the backend */
    NET_FILTER_TX, /* from the backend */
} NetFilterQueue;

/* TypeInfo.ops of a filter. */
typedef struct NetFilterOps {
    /* True: the frame is the filter's now. False: it goes on. */
    bool (*receive)(NetFilter *filter, NetClient *from, const NetPacket *packet);
    /* The filter was switched, or its backend goes (off): give up what is kept. May be NULL. */
    void (*switched)(NetFilter *filter, bool on);
} NetFilterOps;

struct NetFilter {
    Object parent_obj;
    NetClient *nc;      /* NULL once the backend has gone */
    char *netdev;
    int queue;          /* NetFilterQueue */
    bool off;
    char *position, *insert;
};

#endif
