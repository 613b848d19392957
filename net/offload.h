/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums and segmentation in software: what one end of a wire left to the other, and the other
 * cannot do (RFC 1071, RFC 793, RFC 768, RFC 8200). Frames are hostile: nothing that they say about
 * their lengths is believed. Any thread.
 */
#ifndef VIREO_NET_OFFLOAD_H
#define VIREO_NET_OFFLOAD_H

#include "net/net.h"

/* Add len bytes to a running sum, as big-endian words; an odd byte counts as the upper one. */
uint32_t net_sum(uint32_t sum, const void *buf, size_t len);
/* The complement of the folded sum: what a header field holds. */
uint16_t net_sum_finish(uint32_t sum);
/* Sum of the pseudo header for len bytes of the protocol (both addresses: addr_len bytes). */
uint32_t net_sum_pseudo(const uint8_t *addresses, unsigned addr_len, uint8_t protocol,
                        uint32_t len);

/* Where things are in a frame. Offsets from its start; 0: there is no such thing. */
typedef struct NetLayout {
    uint32_t l3, l4;     /* of the network and the transport header */
    uint32_t payload;    /* behind the transport header */
    uint8_t ip_version;  /* 4, 6, or 0 */
    uint8_t protocol;    /* 6 TCP, 17 UDP, ...; valid if ip_version */
    bool fragment;       /* l4 is not looked at */
    uint32_t end;        /* of the IP packet; the rest is padding */
} NetLayout;
/* False: it is no IP packet that lies wholly within the frame. */
bool net_layout(const uint8_t *frame, size_t size, NetLayout *layout);

/* Does packet need anything that is not in features? */
bool net_offload_needed(const NetPacket *packet, uint32_t features);
/*
 * Do all that the offload asks for; fn gets each finished frame, in order. Frames whose offload is
 * nonsense are dropped.
 */
typedef void NetFinishFn(const NetPacket *packet, void *opaque);
void net_offload_finish(const NetPacket *packet, NetFinishFn *fn, void *opaque);

#endif
