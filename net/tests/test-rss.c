/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of flows: Microsoft's values, which headers are hashed, and headers that lie. */
#include <arpa/inet.h>
#include <glib.h>
#include <string.h>

#include "net/rss.h"
#include "util/bits.h"

#define FRAME 128

/* "Verifying the RSS Hash Calculation", of Windows drivers' documentation. */
static const uint8_t key[NET_RSS_KEY] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static const struct {
    const char *from, *to;
    uint16_t from_port, to_port;
    uint32_t addresses, ports; /* hashes */
} published[] = {
    { "66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178 },
    { "199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea },
    { "24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a },
    { "38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f },
    { "153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2 },
    { "3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d },
    { "3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf },
    { "3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024, 0x4b61e985,
      0x02d1feef },
};

/* A header of TCP or UDP at `at`, or what stands for it. */
static void put_ports(uint8_t *frame, size_t at, size_t i)
{
    stw_be(frame + at, published[i].from_port);
    stw_be(frame + at + 2, published[i].to_port);
}

static bool is_v6(size_t i)
{
    return strchr(published[i].from, ':');
}

/* Returns where the transport header is. */
static size_t make_frame(uint8_t frame[FRAME], size_t i, uint8_t protocol, unsigned tags)
{
    size_t at = 12;
    bool v6 = is_v6(i);

    memset(frame, 0, FRAME);
    for (; tags; tags--, at += 4) {
        stw_be(frame + at, 0x8100);
    }
    stw_be(frame + at, v6 ? 0x86dd : 0x0800);
    at += 2;
    frame[at] = v6 ? 0x60 : 0x45;
    frame[at + (v6 ? 6 : 9)] = protocol;
    g_assert_cmpint(inet_pton(v6 ? AF_INET6 : AF_INET, published[i].from,
                              frame + at + (v6 ? 8 : 12)), ==, 1);
    g_assert_cmpint(inet_pton(v6 ? AF_INET6 : AF_INET, published[i].to,
                              frame + at + (v6 ? 24 : 16)), ==, 1);
    at += v6 ? 40 : 20;
    put_ports(frame, at, i);
    return at;
}

static void expect(const uint8_t *frame, size_t len, uint32_t types, unsigned report, uint32_t hash)
{
    uint32_t got = 0;

    g_assert_cmpuint(net_rss_hash(types, key, frame, len, &got), ==, report);
    g_assert_cmphex(got, ==, hash);
}

static void test_published(void)
{
    uint8_t frame[FRAME];

    for (size_t i = 0; i < G_N_ELEMENTS(published); i++) {
        bool v6 = is_v6(i);

        for (unsigned tags = 0; tags < 3; tags++) {
            make_frame(frame, i, IPPROTO_TCP, tags);
            expect(frame, FRAME, NET_RSS_ALL, v6 ? 5 : 2, published[i].ports);
            expect(frame, FRAME, NET_RSS_IPV4 | NET_RSS_IPV6 | NET_RSS_UDPV4 | NET_RSS_UDPV6,
                   v6 ? 4 : 1, published[i].addresses);
            make_frame(frame, i, IPPROTO_UDP, tags);
            expect(frame, FRAME, NET_RSS_ALL, v6 ? 6 : 3, published[i].ports);
            make_frame(frame, i, IPPROTO_ICMP, tags);
            expect(frame, FRAME, NET_RSS_ALL, v6 ? 4 : 1, published[i].addresses);
            expect(frame, FRAME, NET_RSS_TCPV4 | NET_RSS_TCPV6, 0, 0);
            expect(frame, FRAME, 0, 0, 0);
        }
    }
}

static void test_fragments(void)
{
    uint8_t frame[FRAME];
    size_t at;

    make_frame(frame, 0, IPPROTO_TCP, 0);
    stw_be(frame + 20, 0x4000); /* do not fragment: it is whole */
    expect(frame, FRAME, NET_RSS_ALL, 2, published[0].ports);
    for (uint16_t offset = 1; offset; offset = offset == 1 ? 0x2000 : 0) {
        stw_be(frame + 20, offset);
        expect(frame, FRAME, NET_RSS_ALL, 1, published[0].addresses);
        expect(frame, FRAME, NET_RSS_TCPV4, 0, 0);
    }
    at = make_frame(frame, 5, 44, 0);
    frame[at] = IPPROTO_TCP;
    stw_be(frame + at + 2, 0); /* an only fragment */
    put_ports(frame, at + 8, 5);
    expect(frame, FRAME, NET_RSS_ALL, 8, published[5].ports);
    stw_be(frame + at + 2, 1);
    expect(frame, FRAME, NET_RSS_ALL, 7, published[5].addresses);
}

/* The home address in a destination option, the final one in a routing header of type 2. */
static void test_extensions(void)
{
    uint8_t frame[FRAME], elsewhere[16] = { 0xfd, 1 };
    size_t ip = 14, at = make_frame(frame, 5, 60, 0);

    memcpy(frame + at + 4, frame + ip + 8, 16);
    memcpy(frame + ip + 8, elsewhere, 16);
    frame[at] = 43;
    frame[at + 1] = 2; /* 24 bytes */
    frame[at + 2] = 0xc9;
    frame[at + 3] = 16;
    at += 24;
    memset(frame + at, 0, 24);
    memcpy(frame + at + 8, frame + ip + 24, 16);
    memcpy(frame + ip + 24, elsewhere, 16);
    frame[at] = IPPROTO_TCP;
    frame[at + 1] = 2;
    frame[at + 2] = 2;
    at += 24;
    put_ports(frame, at, 5);
    expect(frame, at + 4, NET_RSS_ALL, 8, published[5].ports);
    expect(frame, at + 4, NET_RSS_IP_EX, 7, published[5].addresses);
    /* Without the ports it is an address like any other. */
    expect(frame, at + 3, NET_RSS_ALL, 7, published[5].addresses);
    /* An option that is longer than its header says nothing. */
    frame[14 + 40 + 3] = 17;
    g_assert_cmpuint(net_rss_hash(NET_RSS_IP_EX, key, frame, at + 4, &(uint32_t){ 0 }), ==, 7);
}

/* Random bytes and every length: the sanitizers look on. */
static void test_nonsense(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20240229);

    for (unsigned i = 0; i < 200000; i++) {
        size_t len = g_rand_int_range(random, 0, FRAME);
        g_autofree uint8_t *frame = g_malloc(len + 1);
        uint32_t hash;

        for (size_t j = 0; j < len; j++) {
            frame[j] = g_rand_int_range(random, 0, 256);
        }
        if (len > 20) {
            stw_be(frame + 12, i & 1 ? 0x86dd : 0x0800);
            frame[14] = (i & 1 ? 0x60 : 0x40) | (frame[14] & 0xf);
            frame[20] = i & 2 ? 60 : i & 4 ? 43 : frame[20];
        }
        frame = g_realloc(frame, MAX(len, 1)); /* exactly so long */
        g_assert_cmpuint(net_rss_hash(NET_RSS_ALL, key, frame, len, &hash), <=, 9);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rss/published", test_published);
    g_test_add_func("/rss/fragments", test_fragments);
    g_test_add_func("/rss/extensions", test_extensions);
    g_test_add_func("/rss/nonsense", test_nonsense);
    return g_test_run();
}
