/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of virtio-net share (VIRTIO 1.2, section 5.1). */
#ifndef VIREO_HW_NET_VIRTIO_NET_INTERNAL_H
#define VIREO_HW_NET_VIRTIO_NET_INTERNAL_H

#include <linux/virtio_net.h>

#include "hw/net/nic-run.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio.h"
#include "net/rss.h"

#define VIRTIO_NET_MAX_PAIRS 256
#define VIRTIO_NET_MAX_MACS 64
#define VIRTIO_NET_VLANS 4096
#define VIRTIO_NET_RSS_TABLE 128
/* The longest header of a frame: that with a hash. */
#define VIRTIO_NET_HEADER_MAX 20

/* Which addresses the guest wants of one kind. */
typedef struct VirtioNetMacs {
    uint32_t n;
    uint8_t overflow;   /* the guest gave more than there is room for: all are let in */
    uint8_t macs[VIRTIO_NET_MAX_MACS * NET_MAC_LEN];
} VirtioNetMacs;

typedef struct VirtioNetFilter {
    uint8_t promiscuous, all_multicast, all_unicast;
    uint8_t no_multicast, no_unicast, no_broadcast;
    VirtioNetMacs unicast, multicast;
    uint32_t vlans[VIRTIO_NET_VLANS / 32];
} VirtioNetFilter;

/* How frames are hashed, and what becomes of the hash. */
typedef struct VirtioNetRss {
    bool redirect;              /* the table says which queue a frame goes to */
    uint32_t types;             /* NET_RSS_*; 0: nothing is hashed */
    uint16_t mask, unclassified;
    uint16_t table[VIRTIO_NET_RSS_TABLE]; /* numbers of pairs; mask + 1 of them are valid */
    uint8_t key[NET_RSS_KEY];
} VirtioNetRss;

typedef struct VirtioNet {
    VirtioDevice dev;
    NicConfig nic;
    NicRun run;
    int32_t bootindex;
    uint64_t offers;            /* properties: VIRTIO_NET_F_* */
    uint16_t rx_queue_size, tx_queue_size;
    uint16_t mtu;               /* property; 0: unknown */
    int32_t speed;              /* property, Mb/s; -1: unknown */
    char *duplex;
    uint16_t max_pairs, pairs;  /* pairs of queues that there are, and that the guest uses */
    uint8_t mac[NET_MAC_LEN];   /* as the guest set it */
    uint64_t guest_offloads;    /* VIRTIO_NET_F_GUEST_*: what it takes now */
    bool announcing;            /* the guest is asked to announce itself */
    VirtioNetFilter filter;
    VirtioNetRss rss;
    VhostDevice *vhosts;        /* for each pair; NULL: the backend knows of no such thing */
} VirtioNet;

/* Length of the header before each frame. */
unsigned virtio_net_header_len(const VirtioNet *net);
/* The features that the net layer is told of. */
uint32_t virtio_net_rx_features(const VirtioNet *net);

/* virtio-net-control.c */
void virtio_net_filter_reset(VirtioNet *net);
/* Is a frame wanted? start: its first bytes, as many as there are. */
bool virtio_net_wants(const VirtioNet *net, const uint8_t *start, size_t len);
void virtio_net_control(VirtioNet *net, VirtioQueue *queue);
RxFilterInfo *virtio_net_rx_filter(VirtioNet *net);
extern const VmState virtio_net_filter_vmstate;

/* virtio-net-rss.c */
void virtio_net_rss_reset(VirtioNet *net);
void virtio_net_rss_config(struct virtio_net_config *view);
/* Commands: data is what follows class and number; false: refused. */
bool virtio_net_set_rss(VirtioNet *net, const uint8_t *data, size_t len);
bool virtio_net_set_hash(VirtioNet *net, const uint8_t *data, size_t len);
/* As net_rss_hash(). */
unsigned virtio_net_rss_hash(const VirtioNet *net, const NetPacket *packet, uint32_t *hash);
extern const VmState virtio_net_rss_vmstate;

/* virtio-net-vhost.c */
bool virtio_net_vhost_realize(VirtioNet *net, GError **error);
void virtio_net_vhost_unrealize(VirtioNet *net);
/* The driver is ready: which queues are not handled here? */
void virtio_net_vhost_choose(VirtioNet *net);
/* Hand them over, or take them back. */
void virtio_net_vhost_run(VirtioNet *net, bool run);
/* The driver uses another number of pairs. */
void virtio_net_vhost_pairs_changed(VirtioNet *net);

#endif
