/* SPDX-License-Identifier: Apache-2.0 */
/* What is hashed of a frame, and how. */
#include "net/rss.h"

#include <string.h>

#include "util/bits.h"

#define MAC_ADDRESSES 12
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define MAX_TAGS 2
#define IPV4_FRAGMENT 0x3fff /* more follow, or an offset */
#define IPV6_HEADER 40
#define IPV6_MAX_EXTENSIONS 8
#define ROUTING_TYPE_2 2
#define OPTION_PAD1 0
#define OPTION_HOME_ADDRESS 0xc9
#define ADDRESS6 16

enum { IP_HOP_BY_HOP = 0, IP_TCP = 6, IP_UDP = 17, IP_ROUTING = 43, IP_FRAGMENT = 44,
       IP_DESTINATION = 60 };

typedef struct Flow {
    bool v6, extended;
    unsigned protocol;           /* IP_TCP or IP_UDP: ports are valid */
    const uint8_t *from, *to;    /* addresses, as the header has them */
    const uint8_t *home, *final; /* as extension headers have them; else from and to */
    const uint8_t *ports;        /* source, destination */
} Flow;

uint32_t net_rss_toeplitz(const uint8_t key[NET_RSS_KEY], const uint8_t *data, size_t len)
{
    uint64_t window = (uint64_t)ldl_be(key) << 32;
    uint32_t hash = 0;

    for (size_t i = 0; i < len; i++) {
        window |= (uint64_t)key[i + 4] << 24;
        for (unsigned bit = 0x80; bit; bit >>= 1, window <<= 1) {
            hash ^= data[i] & bit ? window >> 32 : 0;
        }
    }
    return hash;
}

/* ---- Where things are ---- */

static void find_ports(Flow *flow, unsigned protocol, const uint8_t *start, size_t at, size_t len)
{
    if ((protocol == IP_TCP || protocol == IP_UDP) && at + 4 <= len) {
        flow->protocol = protocol;
        flow->ports = start + at;
    }
}

static bool parse_ipv4(Flow *flow, const uint8_t *start, size_t at, size_t len)
{
    const uint8_t *ip = start + at;
    unsigned header;

    if (at + 20 > len || ip[0] >> 4 != 4) {
        return false;
    }
    header = (ip[0] & 0xf) * 4;
    flow->from = ip + 12;
    flow->to = ip + 16;
    if (header >= 20 && !(ldw_be(ip + 6) & IPV4_FRAGMENT)) {
        find_ports(flow, ip[9], start, at + header, len);
    }
    return true;
}

/* The home address option (RFC 6275, section 6.3) among options that wholly lie in the header. */
static const uint8_t *find_home(const uint8_t *header, size_t size)
{
    for (size_t at = 2; at + 2 <= size;) {
        if (header[at] == OPTION_PAD1) {
            at++;
        } else if (header[at] == OPTION_HOME_ADDRESS && header[at + 1] == ADDRESS6 &&
                   at + 2 + ADDRESS6 <= size) {
            return header + at + 2;
        } else {
            at += 2u + header[at + 1];
        }
    }
    return NULL;
}

/* False: no transport header follows that could be looked at. */
static bool pass_extension(Flow *flow, unsigned kind, const uint8_t *header, size_t size)
{
    const uint8_t *home = kind == IP_DESTINATION ? find_home(header, size) : NULL;

    flow->extended = true;
    flow->home = home ? home : flow->home;
    if (kind == IP_ROUTING && header[2] == ROUTING_TYPE_2 && size >= 8 + ADDRESS6) {
        flow->final = header + 8;
    }
    return kind != IP_FRAGMENT || !(ldw_be(header + 2) & 0xfff9);
}

static bool parse_ipv6(Flow *flow, const uint8_t *start, size_t at, size_t len)
{
    const uint8_t *ip = start + at;
    unsigned next;

    if (at + IPV6_HEADER > len || ip[0] >> 4 != 6) {
        return false;
    }
    flow->v6 = true;
    flow->from = flow->home = ip + 8;
    flow->to = flow->final = ip + 24;
    next = ip[6];
    at += IPV6_HEADER;
    for (unsigned n = 0; n < IPV6_MAX_EXTENSIONS; n++) {
        size_t size;

        if (next != IP_HOP_BY_HOP && next != IP_ROUTING && next != IP_FRAGMENT &&
            next != IP_DESTINATION) {
            find_ports(flow, next, start, at, len);
            break;
        }
        if (at + 8 > len) {
            break;
        }
        size = next == IP_FRAGMENT ? 8 : 8u * (start[at + 1] + 1u);
        if (size > len - at || !pass_extension(flow, next, start + at, size)) {
            break;
        }
        next = start[at];
        at += size;
    }
    return true;
}

static bool parse(Flow *flow, const uint8_t *start, size_t len)
{
    size_t at = MAC_ADDRESSES;

    for (unsigned tags = 0; at + 2 <= len; tags++, at += 4) {
        switch (ldw_be(start + at)) {
        case ETHERTYPE_IPV4:
            return parse_ipv4(flow, start, at + 2, len);
        case ETHERTYPE_IPV6:
            return parse_ipv6(flow, start, at + 2, len);
        case ETHERTYPE_VLAN:
        case ETHERTYPE_QINQ:
            if (tags < MAX_TAGS) {
                continue;
            }
            break;
        default:
            break;
        }
        return false;
    }
    return false;
}

/* ---- What counts ---- */

/* In order: the first that is wanted and fits. */
static const struct {
    uint16_t type;
    bool v6, extended;
    uint8_t protocol; /* 0: any, and no ports */
} kinds[] = {
    { NET_RSS_TCPV4, false, false, IP_TCP }, { NET_RSS_UDPV4, false, false, IP_UDP },
    { NET_RSS_IPV4, false, false, 0 },
    { NET_RSS_TCP_EX, true, true, IP_TCP }, { NET_RSS_UDP_EX, true, true, IP_UDP },
    { NET_RSS_IP_EX, true, true, 0 },
    { NET_RSS_TCPV6, true, false, IP_TCP }, { NET_RSS_UDPV6, true, false, IP_UDP },
    { NET_RSS_IPV6, true, false, 0 },
};

unsigned net_rss_hash(uint32_t types, const uint8_t key[NET_RSS_KEY], const uint8_t *start,
                      size_t len, uint32_t *hash)
{
    Flow flow = { 0 };

    if (!types || !parse(&flow, start, len)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        uint8_t data[2 * ADDRESS6 + 4];
        size_t address = flow.v6 ? ADDRESS6 : 4, size = 2 * address;
        bool extended = kinds[i].extended;

        if (!(types & kinds[i].type) || kinds[i].v6 != flow.v6 || (extended && !flow.extended) ||
            (kinds[i].protocol && kinds[i].protocol != flow.protocol)) {
            continue;
        }
        memcpy(data, extended ? flow.home : flow.from, address);
        memcpy(data + address, extended ? flow.final : flow.to, address);
        if (kinds[i].protocol) {
            memcpy(data + size, flow.ports, 4);
            size += 4;
        }
        *hash = net_rss_toeplitz(key, data, size);
        return (unsigned)__builtin_ctz(kinds[i].type) + 1;
    }
    return 0;
}
