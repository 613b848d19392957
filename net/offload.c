/* SPDX-License-Identifier: Apache-2.0 */
/* Finishing frames in software. */
#include "net/offload.h"

#include <string.h>

#include "util/bits.h"
#include "util/iov.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define IP_TCP 6
#define IP_UDP 17
#define IPV6_HEADER 40
#define IPV6_MAX_EXTENSIONS 8
#define IPV6_HOP_BY_HOP 0
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_DESTINATION 60
/* Headers are copied into each segment; nobody's are longer. */
#define MAX_HEADERS 512
#define MIN_SEGMENT 8
#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_PSH 0x08
#define TCP_FLAG_CWR 0x80

uint32_t net_sum(uint32_t sum, const void *buf, size_t len)
{
    const uint8_t *p = buf;
    uint64_t wide = sum;

    for (; len >= 4; len -= 4, p += 4) {
        wide += ldl_be(p);
    }
    if (len >= 2) {
        wide += ldw_be(p);
        p += 2;
        len -= 2;
    }
    if (len) {
        wide += (uint32_t)*p << 8;
    }
    wide = (wide & UINT32_MAX) + (wide >> 32);
    wide = (wide & UINT32_MAX) + (wide >> 32);
    return wide;
}

uint16_t net_sum_finish(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

uint32_t net_sum_pseudo(const uint8_t *addresses, unsigned addr_len, uint8_t protocol, uint32_t len)
{
    uint8_t tail[8] = { 0 };

    stl_be(tail, len);
    tail[7] = protocol;
    return net_sum(net_sum(0, addresses, addr_len), tail, sizeof(tail));
}

/* ---- Where things are ---- */

static bool layout_ipv4(const uint8_t *frame, size_t size, NetLayout *layout)
{
    const uint8_t *ip = frame + layout->l3;
    size_t room = size - layout->l3;
    unsigned header, total;

    if (room < 20 || ip[0] >> 4 != 4) {
        return false;
    }
    header = (ip[0] & 0xf) * 4;
    total = ldw_be(ip + 2);
    if (header < 20 || header > room) {
        return false;
    }
    if (!total) { /* an unsegmented packet may be longer than the field can say */
        total = room;
    }
    if (total < header || total > room) {
        return false;
    }
    layout->ip_version = 4;
    layout->protocol = ip[9];
    layout->fragment = ldw_be(ip + 6) & 0x3fff;
    layout->l4 = layout->l3 + header;
    layout->end = layout->l3 + total;
    return true;
}

/* Extension headers that may stand before the transport header (RFC 8200, section 4). */
static bool skip_extensions(const uint8_t *frame, NetLayout *layout, uint8_t next)
{
    size_t at = layout->l3 + IPV6_HEADER, length;

    for (unsigned i = 0; i < IPV6_MAX_EXTENSIONS; i++) {
        if (next != IPV6_HOP_BY_HOP && next != IPV6_ROUTING && next != IPV6_FRAGMENT &&
            next != IPV6_DESTINATION) {
            layout->protocol = next;
            layout->l4 = at;
            return true;
        }
        if (layout->end - at < 8) {
            return false;
        }
        if (next == IPV6_FRAGMENT) {
            layout->fragment = ldw_be(frame + at + 2) & 0xfff9;
        }
        length = next == IPV6_FRAGMENT ? 8 : ((size_t)frame[at + 1] + 1) * 8;
        next = frame[at];
        at += length;
        if (at > layout->end) {
            return false;
        }
    }
    return false;
}

static bool layout_ipv6(const uint8_t *frame, size_t size, NetLayout *layout)
{
    const uint8_t *ip = frame + layout->l3;
    size_t room = size - layout->l3;
    unsigned length;

    if (room < IPV6_HEADER || ip[0] >> 4 != 6) {
        return false;
    }
    length = ldw_be(ip + 4);
    if (!length) {
        length = room - IPV6_HEADER;
    }
    if (length > room - IPV6_HEADER) {
        return false;
    }
    layout->ip_version = 6;
    layout->end = layout->l3 + IPV6_HEADER + length;
    return skip_extensions(frame, layout, ip[6]);
}

static void find_payload(const uint8_t *frame, NetLayout *layout)
{
    size_t room = layout->end - layout->l4;
    const uint8_t *l4 = frame + layout->l4;

    if (layout->fragment) {
        return;
    }
    if (layout->protocol == IP_UDP && room >= 8) {
        layout->payload = layout->l4 + 8;
    } else if (layout->protocol == IP_TCP && room >= 20) {
        unsigned header = (l4[12] >> 4) * 4;

        if (header >= 20 && header <= room) {
            layout->payload = layout->l4 + header;
        }
    }
}

bool net_layout(const uint8_t *frame, size_t size, NetLayout *layout)
{
    unsigned at = 12, type;
    bool ok;

    *layout = (NetLayout){ 0 };
    if (size < NET_ETH_HEADER || size > NET_MAX_FRAME) {
        return false;
    }
    type = ldw_be(frame + at);
    for (unsigned tags = 0; tags < 2 && (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ);
         tags++) {
        at += 4;
        if (size < at + 2) {
            return false;
        }
        type = ldw_be(frame + at);
    }
    layout->l3 = at + 2;
    ok = type == ETHERTYPE_IPV4 ? layout_ipv4(frame, size, layout)
         : type == ETHERTYPE_IPV6 ? layout_ipv6(frame, size, layout) : false;
    if (!ok) {
        *layout = (NetLayout){ 0 };
        return false;
    }
    find_payload(frame, layout);
    return true;
}

/* ---- Finishing ---- */

bool net_offload_needed(const NetPacket *packet, uint32_t features)
{
    unsigned type = packet->offload.gso_type & ~NET_GSO_ECN;
    uint32_t needs = packet->offload.flags & NET_OFFLOAD_NEEDS_CSUM ? NET_FEATURE_CSUM : 0;

    needs |= type == NET_GSO_TCPV4 ? NET_FEATURE_TSO4
             : type == NET_GSO_TCPV6 ? NET_FEATURE_TSO6
             : type == NET_GSO_UDP ? NET_FEATURE_UFO : 0;
    needs |= packet->offload.gso_type & NET_GSO_ECN ? NET_FEATURE_ECN : 0;
    return needs & ~features;
}

static void give(uint8_t *frame, size_t size, NetFinishFn *fn, void *opaque)
{
    const struct iovec iov = { frame, size };
    const NetPacket packet = { .iov = &iov, .n = 1, .size = size };

    fn(&packet, opaque);
}

static void finish_checksum(uint8_t *frame, size_t size, const NetOffload *offload,
                            NetFinishFn *fn, void *opaque)
{
    size_t start = offload->csum_start, at = start + offload->csum_offset;

    if (start < size && at + 2 <= size) {
        uint16_t sum = net_sum_finish(net_sum(0, frame + start, size - start));

        /* Of UDP, zero says that there is none; the other zero means the same sum. */
        stw_be(frame + at, sum ? sum : 0xffff);
        give(frame, size, fn, opaque);
    }
}

static void set_ip_length(uint8_t *frame, const NetLayout *layout, size_t size, unsigned segment)
{
    uint8_t *ip = frame + layout->l3;

    if (layout->ip_version == 6) {
        stw_be(ip + 4, size - layout->l3 - IPV6_HEADER);
        return;
    }
    stw_be(ip + 2, size - layout->l3);
    stw_be(ip + 4, ldw_be(ip + 4) + segment);
    stw_be(ip + 10, 0);
    stw_be(ip + 10, net_sum_finish(net_sum(0, ip, layout->l4 - layout->l3)));
}

static void set_tcp_sum(uint8_t *frame, const NetLayout *layout, size_t size)
{
    const uint8_t *addresses = frame + layout->l3 + (layout->ip_version == 6 ? 8 : 12);
    unsigned addr_len = layout->ip_version == 6 ? 32 : 8;
    uint8_t *tcp = frame + layout->l4;
    size_t len = size - layout->l4;
    uint32_t sum;

    stw_be(tcp + 16, 0);
    sum = net_sum_pseudo(addresses, addr_len, IP_TCP, len);
    stw_be(tcp + 16, net_sum_finish(net_sum(sum, tcp, len)));
}

/* One TCP packet becomes several, whose payloads have at most gso_size bytes. */
static void segment_tcp(const uint8_t *frame, const NetLayout *layout, unsigned gso_size,
                        NetFinishFn *fn, void *opaque)
{
    size_t header = layout->payload, left = layout->end - header, at = header;
    g_autofree uint8_t *segment = g_malloc(header + gso_size);
    uint32_t sequence = ldl_be(frame + layout->l4 + 4);
    uint8_t flags = frame[layout->l4 + 13];

    for (unsigned i = 0; left; i++) {
        size_t len = MIN(left, gso_size);
        uint8_t keep = 0xff;

        memcpy(segment, frame, header);
        memcpy(segment + header, frame + at, len);
        set_ip_length(segment, layout, header + len, i);
        stl_be(segment + layout->l4 + 4, sequence + (at - header));
        if (left > len) {
            keep &= ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
        }
        if (i) {
            keep &= ~TCP_FLAG_CWR;
        }
        segment[layout->l4 + 13] = flags & keep;
        set_tcp_sum(segment, layout, header + len);
        give(segment, header + len, fn, opaque);
        at += len;
        left -= len;
    }
}

/* A datagram that is longer than a frame: IPv4 fragments (RFC 791); its checksum comes first. */
static void fragment_udp(uint8_t *frame, const NetLayout *layout, unsigned gso_size,
                         NetFinishFn *fn, void *opaque)
{
    size_t header = layout->l4, left = layout->end - header, at = header;
    unsigned chunk = gso_size & ~7u;
    g_autofree uint8_t *piece = g_malloc(header + gso_size);
    uint8_t *udp = frame + layout->l4;
    uint16_t sum;

    stw_be(udp + 6, 0);
    sum = net_sum_finish(net_sum(net_sum_pseudo(frame + layout->l3 + 12, 8, IP_UDP, left), udp,
                                 left));
    stw_be(udp + 6, sum ? sum : 0xffff);
    while (left) {
        size_t len = MIN(left, chunk);

        memcpy(piece, frame, header);
        memcpy(piece + header, frame + at, len);
        stw_be(piece + layout->l3 + 6, (at - header) / 8 | (left > len ? 0x2000 : 0));
        set_ip_length(piece, layout, header + len, 0);
        give(piece, header + len, fn, opaque);
        at += len;
        left -= len;
    }
}

static void finish_segments(uint8_t *frame, size_t size, const NetOffload *offload,
                            NetFinishFn *fn, void *opaque)
{
    unsigned type = offload->gso_type & ~NET_GSO_ECN;
    NetLayout layout;

    if (!net_layout(frame, size, &layout) || !layout.payload ||
        layout.payload > MAX_HEADERS || offload->gso_size < MIN_SEGMENT) {
        return;
    }
    if (layout.payload == layout.end) { /* nothing to cut */
        if (offload->flags & NET_OFFLOAD_NEEDS_CSUM) {
            finish_checksum(frame, size, offload, fn, opaque);
        } else {
            give(frame, size, fn, opaque);
        }
    } else if (type == NET_GSO_UDP) {
        if (layout.ip_version == 4 && layout.protocol == IP_UDP) {
            fragment_udp(frame, &layout, offload->gso_size, fn, opaque);
        }
    } else if (layout.protocol == IP_TCP &&
               layout.ip_version == (type == NET_GSO_TCPV6 ? 6 : 4)) {
        segment_tcp(frame, &layout, offload->gso_size, fn, opaque);
    }
}

void net_offload_finish(const NetPacket *packet, NetFinishFn *fn, void *opaque)
{
    const NetOffload *offload = &packet->offload;
    g_autofree uint8_t *frame = g_malloc(MAX(packet->size, 1));
    size_t size = iov_to_buf(packet->iov, packet->n, 0, frame, packet->size);

    if ((offload->gso_type & ~NET_GSO_ECN) != NET_GSO_NONE) {
        finish_segments(frame, size, offload, fn, opaque);
    } else if (offload->flags & NET_OFFLOAD_NEEDS_CSUM) {
        finish_checksum(frame, size, offload, fn, opaque);
    } else {
        give(frame, size, fn, opaque);
    }
}
