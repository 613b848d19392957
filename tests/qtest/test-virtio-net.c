/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net by its queues, with a socket at the other end of its cable. */
#include <linux/virtio_net.h>

#include "tests/qtest/virtio.h"
#include "tests/qtest/wire.h"
#include "util/bits.h"

#define HEADER 12
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define TX_DATA V_DATA
#define RX_DATA (V_DATA + 0x20000)
#define COMMAND (V_DATA + 0x40000)
#define ACK (V_DATA + 0x60000)
#define F(name) V_BIT(VIRTIO_NET_F_##name)

static const uint8_t own_mac[6] = { 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc };
static const uint8_t other_mac[6] = { 0x52, 0x54, 0x00, 0x11, 0x22, 0x33 };

typedef struct Nic {
    QTest *qts;
    Wire wire;
    VQueue rx, tx, control;
} Nic;

static void start_with(Nic *nic, uint64_t features, const char *properties)
{
    g_autofree char *option = NULL;

    wire_open(&nic->wire);
    option = wire_option(&nic->wire);
    nic->qts = qtest_start("-M pc %s -device virtio-net-pci,id=nic,netdev=wire,romfile=,addr=2,"
                           "mac=52:54:00:aa:bb:cc%s", option, properties);
    v_map(nic->qts);
    v_negotiate(nic->qts, features | F(MAC));
    nic->rx = v_queue(nic->qts, 0);
    nic->tx = v_queue(nic->qts, 1);
    nic->control = v_queue(nic->qts, 2);
    v_driver_ok(nic->qts);
}

static void start(Nic *nic, uint64_t features)
{
    start_with(nic, features, "");
}

static void stop(Nic *nic)
{
    qtest_stop(nic->qts);
    wire_close(&nic->wire);
}

static void make_frame(uint8_t *frame, size_t size, const uint8_t *to)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, other_mac, 6);
    stw_be(frame + 12, 0x88b5); /* for experiments */
    for (size_t i = 14; i < size; i++) {
        frame[i] = i;
    }
}

/* A buffer of len bytes in place i. */
static void give_buffer(Nic *nic, unsigned i, uint32_t len)
{
    v_desc(nic->qts, &nic->rx, i, RX_DATA + i * 0x1000, len, WRITE, 0);
    v_offer(nic->qts, &nic->rx, i);
}

static uint8_t command(Nic *nic, uint8_t class, uint8_t number, const void *data, uint32_t len)
{
    const uint8_t head[2] = { class, number };

    qtest_memwrite(nic->qts, COMMAND, head, sizeof(head));
    if (len) {
        qtest_memwrite(nic->qts, COMMAND + 2, data, len);
    }
    qtest_writeb(nic->qts, ACK, 0xee);
    v_desc(nic->qts, &nic->control, 0, COMMAND, len + 2, NEXT, 1);
    v_desc(nic->qts, &nic->control, 1, ACK, 1, WRITE, 0);
    v_offer(nic->qts, &nic->control, 0);
    v_kick(nic->qts, 2);
    g_assert_cmpuint(v_wait(nic->qts, &nic->control), ==, 1);
    return qtest_readb(nic->qts, ACK);
}

static void transmit(Nic *nic, const uint8_t *header, const void *frame, uint32_t size)
{
    qtest_memwrite(nic->qts, TX_DATA, header, HEADER);
    qtest_memwrite(nic->qts, TX_DATA + 0x100, frame, size);
    v_desc(nic->qts, &nic->tx, 0, TX_DATA, HEADER, NEXT, 1);
    v_desc(nic->qts, &nic->tx, 1, TX_DATA + 0x100, size / 2, NEXT, 2);
    v_desc(nic->qts, &nic->tx, 2, TX_DATA + 0x100 + size / 2, size - size / 2, 0, 0);
    v_offer(nic->qts, &nic->tx, 0);
    v_kick(nic->qts, 1);
    g_assert_cmpuint(v_wait(nic->qts, &nic->tx), ==, 0);
}

static void test_config(void)
{
    uint8_t mac[6];
    Nic nic;

    start(&nic, F(STATUS));
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, V_DEVFN, 0, 4), ==, 0x10001af4);
    qtest_memread(nic.qts, V_CONFIG, mac, sizeof(mac));
    g_assert_cmpmem(mac, 6, own_mac, 6);
    g_assert_cmphex(qtest_readw(nic.qts, V_CONFIG + 6), ==, VIRTIO_NET_S_LINK_UP);
    g_assert_cmphex(v_offered(nic.qts) & (F(MQ) | F(MTU) | F(SPEED_DUPLEX)), ==, 0);
    g_assert_cmphex(v_offered(nic.qts) & 0xff, ==, 0xa7); /* as far as the guest's TSO4 */
    json_object_put(qtest_qmp(nic.qts, "{\"execute\": \"set_link\", \"arguments\": "
                              "{\"name\": \"nic\", \"up\": false}}"));
    g_assert_cmphex(qtest_readw(nic.qts, V_CONFIG + 6), ==, 0);
    /* Past the end. */
    g_assert_cmphex(qtest_readl(nic.qts, V_CONFIG + 0x200), ==, 0xffffffff);
    qtest_writel(nic.qts, V_CONFIG + 0x200, 0);
    stop(&nic);
}

static void test_transmit(void)
{
    uint8_t frame[1514], got[2048], header[HEADER] = { 0 };
    Nic nic;

    start(&nic, F(CSUM));
    make_frame(frame, sizeof(frame), other_mac);
    transmit(&nic, header, frame, sizeof(frame));
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, sizeof(frame));
    g_assert_cmpmem(got, sizeof(frame), frame, sizeof(frame));
    /* A checksum is finished on the way. */
    memset(frame + 34, 0, 66);
    stw_be(frame + 34, 0x1234);
    header[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    stw_le(header + 6, 34);
    stw_le(header + 8, 16);
    transmit(&nic, header, frame, 100);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 100);
    g_assert_cmphex(ldw_be(got + 50), ==, (uint16_t)~0x1234);
    /* One that would stand outside of the frame costs it. */
    stw_le(header + 8, 0xffff);
    transmit(&nic, header, frame, 100);
    header[0] = 0;
    transmit(&nic, header, frame, 60);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 60);
    stop(&nic);
}

static void test_receive(void)
{
    uint8_t frame[1514], got[1600], header[HEADER];
    Nic nic;

    start(&nic, 0);
    make_frame(frame, sizeof(frame), own_mac);
    /* It waits for a buffer, and passes over none that is too short. */
    wire_send(&nic.wire, frame, sizeof(frame));
    give_buffer(&nic, 0, 2000);
    v_kick(nic.qts, 0);
    g_assert_cmpuint(v_wait(nic.qts, &nic.rx), ==, HEADER + sizeof(frame));
    qtest_memread(nic.qts, RX_DATA, header, HEADER);
    g_assert_cmphex(ldw_le(header + 10), ==, 1);
    qtest_memread(nic.qts, RX_DATA + HEADER, got, sizeof(frame));
    g_assert_cmpmem(got, sizeof(frame), frame, sizeof(frame));
    /* Without merging, what is too long is lost, and the buffer is there for the next. */
    give_buffer(&nic, 1, 500);
    v_kick(nic.qts, 0);
    wire_send(&nic.wire, frame, sizeof(frame));
    wire_send(&nic.wire, frame, 100);
    g_assert_cmpuint(v_wait(nic.qts, &nic.rx), ==, HEADER + 100);
    stop(&nic);
}

static void test_mergeable(void)
{
    uint8_t frame[1514], got[1526];
    Nic nic;

    start(&nic, F(MRG_RXBUF));
    make_frame(frame, sizeof(frame), own_mac);
    give_buffer(&nic, 0, 512);
    give_buffer(&nic, 1, 512);
    v_kick(nic.qts, 0);
    wire_send(&nic.wire, frame, sizeof(frame));
    /* Two buffers are too few: nothing is used before there is a third. */
    g_usleep(20000);
    g_assert_cmpuint(qtest_readw(nic.qts, nic.rx.used + 2), ==, 0);
    give_buffer(&nic, 2, 1024);
    v_kick(nic.qts, 0);
    g_assert_cmpuint(v_wait(nic.qts, &nic.rx), ==, 512);
    g_assert_cmpuint(v_wait(nic.qts, &nic.rx), ==, 512);
    g_assert_cmpuint(v_wait(nic.qts, &nic.rx), ==, HEADER + sizeof(frame) - 1024);
    for (unsigned i = 0; i < 3; i++) {
        qtest_memread(nic.qts, RX_DATA + i * 0x1000, got + i * 512,
                      MIN(512, sizeof(got) - i * 512));
    }
    g_assert_cmphex(ldw_le(got + 10), ==, 3);
    qtest_memread(nic.qts, RX_DATA + 0x2000, got + 1024, sizeof(got) - 1024);
    g_assert_cmpmem(got + HEADER, sizeof(frame), frame, sizeof(frame));
    stop(&nic);
}

static void expect_next(Nic *nic, const uint8_t *unwanted, const uint8_t *wanted, unsigned place)
{
    uint8_t frame[60], got[6];

    make_frame(frame, sizeof(frame), unwanted);
    wire_send(&nic->wire, frame, sizeof(frame));
    make_frame(frame, sizeof(frame), wanted);
    wire_send(&nic->wire, frame, sizeof(frame));
    v_wait(nic->qts, &nic->rx);
    qtest_memread(nic->qts, RX_DATA + place * 0x1000 + HEADER, got, 6);
    g_assert_cmpmem(got, 6, wanted, 6);
}

static void test_filter(void)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x00, 0x12, 0x34 };
    static const uint8_t off, on = 1;
    uint8_t table[4 + 4 + 6];
    json_object *answer;
    Nic nic;

    start(&nic, F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_MAC_ADDR));
    for (unsigned i = 0; i < 6; i++) {
        give_buffer(&nic, i, 2000);
    }
    v_kick(nic.qts, 0);
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &off, 1), ==, 0);
    json_object_put(qtest_qmp_event(nic.qts, "NIC_RX_FILTER_CHANGED"));
    expect_next(&nic, other_mac, own_mac, 0);
    expect_next(&nic, group, broadcast, 1);
    stl_le(table, 0);
    stl_le(table + 4, 1);
    memcpy(table + 8, group, 6);
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
                             sizeof(table)), ==, 0);
    expect_next(&nic, other_mac, group, 2);
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other_mac,
                             6), ==, 0);
    expect_next(&nic, own_mac, other_mac, 3);
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, &on, 1), ==, 0);
    expect_next(&nic, broadcast, other_mac, 4);
    g_assert_false(qtest_qmp_has_event(nic.qts, "NIC_RX_FILTER_CHANGED"));
    answer = qtest_qmp(nic.qts, "{\"execute\": \"query-rx-filter\"}");
    g_assert_cmpstr(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN), ==,
                    "[{\"name\":\"nic\",\"promiscuous\":false,\"multicast\":\"normal\","
                    "\"unicast\":\"normal\",\"vlan\":\"all\",\"broadcast-allowed\":false,"
                    "\"multicast-overflow\":false,\"unicast-overflow\":false,"
                    "\"main-mac\":\"52:54:00:11:22:33\",\"vlan-table\":[],\"unicast-table\":[],"
                    "\"multicast-table\":[\"01:00:5e:00:12:34\"]}]");
    json_object_put(answer);
    stop(&nic);
}

static void test_bad_commands(void)
{
    static const struct {
        uint8_t class, number;
        uint32_t len;
        uint8_t data[8];
    } bad[] = {
        { VIRTIO_NET_CTRL_RX, 0, 0, { 0 } }, { VIRTIO_NET_CTRL_RX, 9, 1, { 1 } },
        { VIRTIO_NET_CTRL_RX, 0, 2, { 1 } }, { VIRTIO_NET_CTRL_MAC, 1, 5, { 0 } },
        { VIRTIO_NET_CTRL_MAC, 0, 3, { 0 } }, { VIRTIO_NET_CTRL_MAC, 0, 4, { 0 } },
        { VIRTIO_NET_CTRL_MAC, 0, 8, { 0xff, 0xff, 0xff, 0xff } },
        { VIRTIO_NET_CTRL_MAC, 0, 8, { 0xab, 0xaa, 0xaa, 0x2a } }, /* times six wraps */
        { VIRTIO_NET_CTRL_MAC, 7, 8, { 0 } }, { VIRTIO_NET_CTRL_VLAN, 0, 2, { 0, 0x10 } },
        { VIRTIO_NET_CTRL_VLAN, 2, 2, { 1, 0 } }, { VIRTIO_NET_CTRL_VLAN, 0, 1, { 1 } },
        { VIRTIO_NET_CTRL_ANNOUNCE, 0, 0, { 0 } }, { VIRTIO_NET_CTRL_MQ, 0, 2, { 1, 0 } },
        { VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 8, { 0xff } }, { 77, 0, 1, { 0 } },
    };
    static const uint8_t good[] = { 1 };
    Nic nic;

    start(&nic, F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_VLAN) | F(GUEST_ANNOUNCE) |
                F(CTRL_GUEST_OFFLOADS));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpuint(command(&nic, bad[i].class, bad[i].number, bad[i].data, bad[i].len), ==,
                         VIRTIO_NET_ERR);
    }
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_RX, 0, good, 1), ==, VIRTIO_NET_OK);
    /* No place for the answer. */
    v_desc(nic.qts, &nic.control, 0, COMMAND, 2, 0, 0);
    v_offer(nic.qts, &nic.control, 0);
    v_kick(nic.qts, 2);
    v_wait_broken(nic.qts);
    stop(&nic);
}

static void test_announce(void)
{
    uint8_t got[100];
    Nic nic;

    start(&nic, F(CTRL_VQ) | F(GUEST_ANNOUNCE) | F(STATUS));
    json_object_put(qtest_qmp(nic.qts, "{\"execute\": \"announce-self\", \"arguments\": {"
                              "\"initial\": 1000, \"max\": 1000, \"rounds\": 1, \"step\": 0}}"));
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 60);
    g_assert_cmphex(ldw_be(got + 12), ==, 0x8035);
    g_assert_cmpmem(got + 6, 6, own_mac, 6);
    g_assert_cmphex(qtest_readw(nic.qts, V_CONFIG + 6) & VIRTIO_NET_S_ANNOUNCE, !=, 0);
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_ANNOUNCE, 0, NULL, 0), ==, VIRTIO_NET_OK);
    g_assert_cmphex(qtest_readw(nic.qts, V_CONFIG + 6) & VIRTIO_NET_S_ANNOUNCE, ==, 0);
    stop(&nic);
}

#define HASHED_HEADER 20
/* Kinds of flows, then four zeros, and the length of the key. */
#define HASH_COMMAND 13

/* Microsoft's key and the first of the flows that it gives hashes for. */
static const uint8_t rss_key[40] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};
static const uint8_t rss_flow[] = { 66, 9, 149, 187, 161, 142, 100, 80, 2794 >> 8, 2794 & 0xff,
                                    1766 >> 8, 1766 & 0xff };

static void make_flow(uint8_t frame[60], uint8_t protocol)
{
    make_frame(frame, 60, own_mac);
    memset(frame + 12, 0, 48);
    stw_be(frame + 12, 0x0800);
    frame[14] = 0x45;
    frame[17] = 46;
    frame[23] = protocol;
    memcpy(frame + 26, rss_flow, sizeof(rss_flow));
}

static void expect_hash(Nic *nic, unsigned place, uint8_t protocol, uint32_t hash, uint16_t report)
{
    uint8_t frame[60], got[HASHED_HEADER + 60];

    make_flow(frame, protocol);
    wire_send(&nic->wire, frame, sizeof(frame));
    g_assert_cmpuint(v_wait(nic->qts, &nic->rx), ==, sizeof(got));
    qtest_memread(nic->qts, RX_DATA + place * 0x1000, got, sizeof(got));
    g_assert_cmphex(ldl_le(got + 12), ==, hash);
    g_assert_cmpuint(ldw_le(got + 16), ==, report);
    g_assert_cmpmem(got + HASHED_HEADER, sizeof(frame), frame, sizeof(frame));
}

static void test_hash_report(void)
{
    uint8_t request[HASH_COMMAND + sizeof(rss_key)] = { 0 };
    uint8_t frame[60], got[100], header[HASHED_HEADER] = { 0 };
    Nic nic;

    start_with(&nic, F(CTRL_VQ) | F(HASH_REPORT) | F(MRG_RXBUF), ",hash=on");
    for (unsigned i = 0; i < 5; i++) {
        give_buffer(&nic, i, 2000);
    }
    v_kick(nic.qts, 0);
    /* 40 bytes of key, a table of 128, all nine kinds. */
    g_assert_cmphex(qtest_readb(nic.qts, V_CONFIG + 17), ==, 40);
    g_assert_cmphex(qtest_readw(nic.qts, V_CONFIG + 18), ==, 128);
    g_assert_cmphex(qtest_readl(nic.qts, V_CONFIG + 20), ==, 0x1ff);
    expect_hash(&nic, 0, 6, 0, 0); /* before it is configured */
    stl_le(request, 1u << 1 | 1u << 0);
    request[HASH_COMMAND - 1] = sizeof(rss_key);
    memcpy(request + HASH_COMMAND, rss_key, sizeof(rss_key));
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, request,
                             sizeof(request)), ==, VIRTIO_NET_OK);
    expect_hash(&nic, 1, 6, 0x51ccc178, VIRTIO_NET_HASH_REPORT_TCPv4);
    expect_hash(&nic, 2, 17, 0x323e8fc2, VIRTIO_NET_HASH_REPORT_IPv4);
    stl_le(request, 1u << 1);
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, request,
                             sizeof(request)), ==, VIRTIO_NET_OK);
    expect_hash(&nic, 3, 17, 0, VIRTIO_NET_HASH_REPORT_NONE);
    /* Frames of the guest's have the long header, too. */
    make_frame(frame, sizeof(frame), other_mac);
    qtest_memwrite(nic.qts, TX_DATA, header, sizeof(header));
    qtest_memwrite(nic.qts, TX_DATA + sizeof(header), frame, sizeof(frame));
    v_desc(nic.qts, &nic.tx, 0, TX_DATA, sizeof(header) + sizeof(frame), 0, 0);
    v_offer(nic.qts, &nic.tx, 0);
    v_kick(nic.qts, 1);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, sizeof(frame));
    g_assert_cmpmem(got, sizeof(frame), frame, sizeof(frame));
    stop(&nic);
}

static void test_rss_commands(void)
{
    /* Kinds, mask, unclassified queue, a table of one, transmit queues, length of the key, key. */
    static const uint8_t good[] = { 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 7, 7 };
    static const struct {
        uint8_t at, value;
        int8_t longer;
    } bad[] = {
        { 1, 2, 0 },    /* a kind that there is not */
        { 4, 1, 0 },    /* a table of two */
        { 4, 2, 8 },    /* of three */
        { 5, 1, 0 },    /* of 257 */
        { 6, 1, 0 },    /* queues that there are not */
        { 8, 1, 0 },
        { 10, 0, 0 },   /* no transmit queue, or two */
        { 10, 2, 0 },
        { 12, 41, 39 }, /* keys: too long, and not as long as they say */
        { 12, 3, 0 },
        { 12, 1, 0 },
        { 12, 2, -1 },
        { 0, 2, -14 },
        { 0, 2, -15 },
    };
    uint8_t request[100];
    Nic nic;

    start_with(&nic, F(CTRL_VQ) | F(RSS) | F(MRG_RXBUF), ",rss=on");
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        memset(request, 0, sizeof(request));
        memcpy(request, good, sizeof(good));
        request[bad[i].at] = bad[i].value;
        g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, request,
                                 sizeof(good) + bad[i].longer), ==, VIRTIO_NET_ERR);
    }
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, good,
                             sizeof(good)), ==, VIRTIO_NET_OK);
    /* The other two commands of the class belong to features that were not accepted. */
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
                             (const uint8_t[]){ 1, 0 }, 2), ==, VIRTIO_NET_ERR);
    memset(request, 0, sizeof(request));
    g_assert_cmpuint(command(&nic, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, request,
                             HASH_COMMAND), ==, VIRTIO_NET_ERR);
    stop(&nic);
}

/* What no driver does, and a reset afterwards makes it work again. */
static void test_broken_queues(void)
{
    static const uint8_t header[HEADER];
    uint8_t frame[60], got[100];
    Nic nic;

    start(&nic, F(MRG_RXBUF));
    make_frame(frame, sizeof(frame), own_mac);
    /* A frame shorter than its header. */
    v_desc(nic.qts, &nic.tx, 0, TX_DATA, 5, 0, 0);
    v_offer(nic.qts, &nic.tx, 0);
    v_kick(nic.qts, 1);
    v_wait_broken(nic.qts);
    wire_send(&nic.wire, frame, sizeof(frame)); /* nobody takes it */
    v_negotiate(nic.qts, F(MAC));
    nic.rx = v_queue(nic.qts, 0);
    nic.tx = v_queue(nic.qts, 1);
    v_driver_ok(nic.qts);
    /* A header and nothing, or a megabyte: dropped; the next is sent. */
    v_desc(nic.qts, &nic.tx, 0, TX_DATA, HEADER, 0, 0);
    v_offer(nic.qts, &nic.tx, 0);
    v_desc(nic.qts, &nic.tx, 1, TX_DATA, 0x100000, 0, 0);
    v_offer(nic.qts, &nic.tx, 1);
    v_kick(nic.qts, 1);
    v_wait(nic.qts, &nic.tx);
    v_wait(nic.qts, &nic.tx);
    transmit(&nic, header, frame, sizeof(frame));
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, sizeof(frame));
    /* A receive buffer that cannot even hold the header. */
    give_buffer(&nic, 0, 4);
    v_kick(nic.qts, 0);
    wire_send(&nic.wire, frame, sizeof(frame));
    stop(&nic);
}

static void test_reset_with_frames_waiting(void)
{
    uint8_t frame[1514];
    Nic nic;

    start(&nic, F(MRG_RXBUF));
    make_frame(frame, sizeof(frame), own_mac);
    give_buffer(&nic, 0, 100);
    v_kick(nic.qts, 0);
    for (unsigned i = 0; i < 8; i++) {
        wire_send(&nic.wire, frame, sizeof(frame));
    }
    v_negotiate(nic.qts, F(MAC));
    json_object_put(qtest_qmp(nic.qts, "{\"execute\": \"system_reset\"}"));
    json_object_put(qtest_qmp_event(nic.qts, "RESET"));
    json_object_put(qtest_qmp(nic.qts, "{\"execute\": \"netdev_del\", \"arguments\": "
                              "{\"id\": \"wire\"}}"));
    stop(&nic);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-net/config", test_config);
    g_test_add_func("/virtio-net/transmit", test_transmit);
    g_test_add_func("/virtio-net/receive", test_receive);
    g_test_add_func("/virtio-net/mergeable", test_mergeable);
    g_test_add_func("/virtio-net/filter", test_filter);
    g_test_add_func("/virtio-net/bad-commands", test_bad_commands);
    g_test_add_func("/virtio-net/announce", test_announce);
    g_test_add_func("/virtio-net/hash-report", test_hash_report);
    g_test_add_func("/virtio-net/rss-commands", test_rss_commands);
    g_test_add_func("/virtio-net/broken-queues", test_broken_queues);
    g_test_add_func("/virtio-net/reset-with-frames-waiting", test_reset_with_frames_waiting);
    return g_test_run();
}
