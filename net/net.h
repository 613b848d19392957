/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network clients: the two ends of a virtual wire. One end is a device in the machine (a NIC), the
 * other a backend (-netdev); each sends Ethernet frames without FCS to its peer. A client with
 * several queues is several NetClients of one name; queue i of one end is wired to queue i of the
 * other.
 *
 * Back-pressure: a frame that the peer cannot take now is kept for it, and net_send() says so; the
 * sender then stops until its peer_ready() is called. What a sender sends nevertheless is kept too,
 * up to NET_QUEUE_MAX bytes, and then dropped, as a switch would.
 *
 * Offloads: a frame may come with work that is still to be done (a checksum, cutting it into
 * segments), as described by NetOffload. A sender offers what it likes; what the peer does not take
 * (features) is done by net_send() in software.
 *
 * All on any thread with the VM lock held.
 */
#ifndef VIREO_NET_NET_H
#define VIREO_NET_NET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "qapi/qapi-types-net.h"
#include "virtio/vhost-backend.h"

#define NET_MAC_LEN 6
#define NET_ETH_HEADER 14
#define NET_MIN_FRAME 60                  /* without FCS */
/* The longest frame, an unsegmented one of 64 KiB with its headers. */
#define NET_MAX_FRAME (65536 + 64)
/* Bytes that wait for one client. */
#define NET_QUEUE_MAX (4u << 20)
#define NET_MAX_QUEUES 256
#define NET_MAC_FORMAT "%02x:%02x:%02x:%02x:%02x:%02x"
#define NET_MAC_ARGS(m) (m)[0], (m)[1], (m)[2], (m)[3], (m)[4], (m)[5]

typedef struct NetClient NetClient;
typedef struct NetFilter NetFilter;

/* What a client takes unfinished. */
typedef enum NetFeature {
    NET_FEATURE_CSUM = 1u << 0, /* transport checksums that are not there yet */
    NET_FEATURE_TSO4 = 1u << 1,
    NET_FEATURE_TSO6 = 1u << 2,
    NET_FEATURE_ECN = 1u << 3,  /* TSO with congestion notification */
    NET_FEATURE_UFO = 1u << 4,
} NetFeature;

/* Values and meaning are those of struct virtio_net_hdr (Virtio 1.2, 5.1.6). */
#define NET_OFFLOAD_NEEDS_CSUM 1u
#define NET_OFFLOAD_DATA_VALID 2u
#define NET_GSO_NONE 0u
#define NET_GSO_TCPV4 1u
#define NET_GSO_UDP 3u
#define NET_GSO_TCPV6 4u
#define NET_GSO_ECN 0x80u

typedef struct NetOffload {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len;     /* a hint, not to be trusted */
    uint16_t gso_size;    /* payload of a segment */
    uint16_t csum_start;  /* the sum is taken from here to the end ... */
    uint16_t csum_offset; /* ... and stands here, counted from csum_start */
} NetOffload;

typedef struct NetPacket {
    const struct iovec *iov; /* borrowed for the call */
    unsigned n;
    size_t size;             /* of all of iov, at most NET_MAX_FRAME */
    NetOffload offload;      /* all zero: the frame is finished */
} NetPacket;

/* Who runs the queues of a device instead of this program, for one pair of them. */
typedef struct NetVhost {
    Vhost *vhost;        /* borrowed; NULL: nobody yet, or no more */
    unsigned first;      /* of its rings: the receive queue's; the transmit queue's is the next */
    bool shares_memory;  /* the pair before it has the same vhost */
    bool does_offloads;  /* it knows checksums and segments itself, and its features tell so */
} NetVhost;

typedef struct NetClientOps {
    NetClientDriver kind;
    /* NetFeature bits that receive() takes; NULL: none. */
    uint32_t (*features)(NetClient *nc);
    /* NULL: always. Called before each receive(). */
    bool (*can_receive)(NetClient *nc);
    /*
     * A frame from the peer. 0: done with, whether used or not. -EAGAIN: not now; it is offered
     * again after net_ready().
     */
    int (*receive)(NetClient *nc, const NetPacket *packet);
    /* The peer has taken all that waited for it: send again. NULL: the sender never stops. */
    void (*peer_ready)(NetClient *nc);
    /* link_down changed. NULL: of no interest. */
    void (*link_changed)(NetClient *nc);
    /* The peer came, went, or takes other features. NULL: of no interest. */
    void (*peer_changed)(NetClient *nc);
    /* NICs: what it lets in (the caller's). NULL: cannot tell. */
    RxFilterInfo *(*rx_filter)(NetClient *nc);
    /* NICs: have the guest announce itself. NULL: it cannot be asked. */
    void (*announce)(NetClient *nc);
    /*
     * Backends. Does a vhost run the queues of a device that lets it? When it comes or goes, queue
     * 0's peer is told by peer_changed(). NULL: never.
     */
    bool (*vhost)(NetClient *nc, NetVhost *vhost);
    /*
     * It runs them from now on, with headers of this length before the frames, or no more (0).
     * NULL: of no interest.
     */
    void (*vhost_running)(NetClient *nc, unsigned header_len);
    /* The device and its vhost do not understand one another: give it up. Takes error. */
    void (*vhost_failed)(NetClient *nc, GError *error);
    /* Release what the implementation holds. Once, of each queue. */
    void (*cleanup)(NetClient *nc);
} NetClientOps;

struct NetClient {
    const NetClientOps *ops;
    char *name;           /* id of the backend or the device */
    char *model;          /* kind in words: "user", "e1000" */
    char *info;           /* what `info network` says, or NULL */
    void *opaque;         /* the implementation's */
    NetClient *peer;
    unsigned queue_index;
    bool link_down;
    bool is_netdev;       /* netdev_del may remove it */
    bool is_legacy;       /* made by -net: on hub 0 */
    bool rx_filter_told;  /* NIC_RX_FILTER_CHANGED was sent and nobody asked since */
    uint8_t mac[NET_MAC_LEN]; /* NICs: address now, for announcements */
    GPtrArray *filters;   /* NetFilter*, in order from the backend to the device; or NULL */
    /* net/queue.c's: what waits for this client. */
    GQueue waiting;
    size_t waiting_bytes;
    bool delivering;
    bool sender_waits;
};

/*
 * A new client without peer. The name is copied; NULL: "<model>.N". The struct is freed by
 * net_client_free().
 */
NetClient *net_client_new(const NetClientOps *ops, const char *model, const char *name,
                          unsigned queue_index, void *opaque);
/* Unplugs it; the peer sees its link go down. All that waits for either of them is dropped. */
void net_client_free(NetClient *nc);
/* Wire two clients that have no peers. */
void net_client_connect(NetClient *nc, NetClient *peer);
void net_client_set_info(NetClient *nc, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* Queue 0 of that name, NULL if there is none. */
NetClient *net_client_find(const char *name);
/* Another queue of the same name and kind; NULL if there is none. */
NetClient *net_client_queue(const NetClient *nc, unsigned index);
unsigned net_client_queues(const NetClient *nc);
static inline bool net_client_is_nic(const NetClient *nc)
{
    return nc->ops->kind == NET_CLIENT_DRIVER_NIC;
}
/* All clients in order of making; fn must not make or free any. Stops when fn returns false. */
void net_client_foreach(bool (*fn)(NetClient *nc, void *opaque), void *opaque);
/* All queues of that name; both ends see it. */
bool net_set_link(const char *name, bool up, GError **error);
/* Removes every client: the program ends. */
void net_cleanup(void);

/* What nc's peer takes unfinished; nothing without a peer. */
uint32_t net_peer_features(const NetClient *nc);
/* Tell nc's peer that nc->ops->features() gives something else now. */
void net_features_changed(NetClient *nc);

/*
 * Send a frame to the peer. False: the peer has to catch up; wait for peer_ready(). The frame was
 * copied if it had to be kept.
 */
bool net_send(NetClient *from, const NetPacket *packet);
/* A finished frame in one piece. */
bool net_send_buf(NetClient *from, const void *buf, size_t size);
/* nc can receive again: what waits for it is delivered, and its peer may go on. */
void net_ready(NetClient *nc);
/* Could a frame that nc sends be delivered at once? */
bool net_peer_can_receive(NetClient *nc);
/* Drop what waits for nc (reset). Its peer may go on. */
void net_purge(NetClient *nc);
/*
 * For filters that kept a frame: let it go on behind filter, in the direction it had. from is the
 * client that sent it.
 */
void net_filter_pass_on(NetFilter *filter, NetClient *from, const NetPacket *packet);

#endif
