/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive-side scaling: a hash of a frame's addresses and ports, by which flows are spread over
 * queues (VIRTIO 1.2, section 5.1.6.4.3; the hash is Microsoft's "Toeplitz", Windows drivers'
 * documentation, "RSS Hashing Functions"). Any thread.
 */
#ifndef VIREO_NET_RSS_H
#define VIREO_NET_RSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Four bytes more than the longest input: two IPv6 addresses and two ports. */
#define NET_RSS_KEY 40
/* A frame's headers are within its first bytes, or it counts as one without a hash. */
#define NET_RSS_HEADERS 256

/* What the bits and the values are called by VIRTIO 1.2. */
enum {
    NET_RSS_IPV4 = 1u << 0, NET_RSS_TCPV4 = 1u << 1, NET_RSS_UDPV4 = 1u << 2,
    NET_RSS_IPV6 = 1u << 3, NET_RSS_TCPV6 = 1u << 4, NET_RSS_UDPV6 = 1u << 5,
    /* IPv6 with extension headers: the home address and the one of a routing header count. */
    NET_RSS_IP_EX = 1u << 6, NET_RSS_TCP_EX = 1u << 7, NET_RSS_UDP_EX = 1u << 8,
    NET_RSS_ALL = 0x1ff,
};

/* key: NET_RSS_KEY bytes; len: at most NET_RSS_KEY - 4. */
uint32_t net_rss_toeplitz(const uint8_t key[NET_RSS_KEY], const uint8_t *data, size_t len);
/*
 * The hash of a frame that begins with `len` bytes at `start`, by the first of the types that fits
 * it. Returns the number of that type's bit plus 1, as a hash report has it; 0: none fits.
 */
unsigned net_rss_hash(uint32_t types, const uint8_t key[NET_RSS_KEY], const uint8_t *start,
                      size_t len, uint32_t *hash);

#endif
