/* SPDX-License-Identifier: Apache-2.0 */
/* The e1000 by its registers and rings, with a socket at the other end of its cable. */
#include "hw/net/e1000-regs.h"
#include "tests/qtest/libqtest.h"
#include "tests/qtest/wire.h"
#include "util/bits.h"

#define DEVFN (4 << 3)
#define BAR 0xe0000000u
#define TX_RING 0x100000
#define RX_RING 0x110000
#define RING_ENTRIES 8
#define DATA 0x200000
#define RX_BUFFERS 0x300000

static const uint8_t own_mac[6] = { 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc };
static const uint8_t other_mac[6] = { 0x52, 0x54, 0x00, 0x11, 0x22, 0x33 };

typedef struct Nic {
    QTest *qts;
    Wire wire;
} Nic;

static uint32_t reg(Nic *nic, uint32_t offset)
{
    return qtest_readl(nic->qts, BAR + offset);
}

static void set(Nic *nic, uint32_t offset, uint32_t value)
{
    qtest_writel(nic->qts, BAR + offset, value);
}

static void start(Nic *nic)
{
    g_autofree char *option = NULL;

    wire_open(&nic->wire);
    option = wire_option(&nic->wire);
    nic->qts = qtest_start("-M pc -m 16 %s -device e1000,id=nic,netdev=wire,romfile=,addr=4,"
                           "mac=52:54:00:aa:bb:cc", option);
    qtest_pci_write(nic->qts, 0, DEVFN, 0x10, 4, BAR);
    qtest_pci_write(nic->qts, 0, DEVFN, 0x14, 4, 0xc000);
    qtest_pci_write(nic->qts, 0, DEVFN, 0x04, 2, 7);
}

static void stop(Nic *nic)
{
    qtest_stop(nic->qts);
    wire_close(&nic->wire);
}

static void setup_tx(Nic *nic)
{
    qtest_memset(nic->qts, TX_RING, 0, RING_ENTRIES * E1000_DESC_SIZE);
    set(nic, E1000_TDBAL, TX_RING);
    set(nic, E1000_TDBAH, 0);
    set(nic, E1000_TDLEN, RING_ENTRIES * E1000_DESC_SIZE);
    set(nic, E1000_TDH, 0);
    set(nic, E1000_TDT, 0);
    set(nic, E1000_TCTL, TCTL_EN | TCTL_PSP);
}

/* Buffers of 2048 bytes; tail of them are the device's. */
static void setup_rx(Nic *nic, unsigned tail, uint32_t rctl)
{
    for (unsigned i = 0; i < RING_ENTRIES; i++) {
        qtest_writeq(nic->qts, RX_RING + 16 * i, RX_BUFFERS + 2048 * i);
        qtest_writeq(nic->qts, RX_RING + 16 * i + 8, 0);
    }
    set(nic, E1000_RDBAL, RX_RING);
    set(nic, E1000_RDBAH, 0);
    set(nic, E1000_RDLEN, RING_ENTRIES * E1000_DESC_SIZE);
    set(nic, E1000_RDH, 0);
    set(nic, E1000_RDT, tail);
    set(nic, E1000_RCTL, RCTL_EN | rctl);
}

static void put_desc(Nic *nic, unsigned index, uint64_t addr, uint32_t lower, uint32_t upper)
{
    qtest_writeq(nic->qts, TX_RING + 16 * index, addr);
    qtest_writel(nic->qts, TX_RING + 16 * index + 8, lower);
    qtest_writel(nic->qts, TX_RING + 16 * index + 12, upper);
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

/* Wait until the device has moved its head: frames come by its main loop. */
static void wait_head(Nic *nic, uint32_t head)
{
    while (reg(nic, E1000_RDH) != head) {
        g_usleep(1000);
    }
}

static void set_link(Nic *nic, const char *name, bool up)
{
    json_object_put(qtest_qmp(nic->qts, "{\"execute\": \"set_link\", \"arguments\": "
                              "{\"name\": \"%s\", \"up\": %s}}", name, up ? "true" : "false"));
}

static void remove_backend(Nic *nic)
{
    json_object_put(qtest_qmp(nic->qts, "{\"execute\": \"netdev_del\", \"arguments\": "
                              "{\"id\": \"wire\"}}"));
}

/* ---- Registers, EEPROM, PHY ---- */

static void test_registers(void)
{
    Nic nic;

    start(&nic);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 0, 4), ==, 0x100e8086);
    g_assert_cmphex(reg(&nic, E1000_STATUS), ==, 0x783);
    set(&nic, E1000_STATUS, 0);
    g_assert_cmphex(reg(&nic, E1000_STATUS), ==, 0x783);
    g_assert_cmphex(reg(&nic, E1000_RA), ==, 0x00005452 | 0xaau << 24);
    g_assert_cmphex(reg(&nic, E1000_RA + 4), ==, RAH_AV | 0xccbb);
    set(&nic, E1000_RDLEN, 0xffffffff);
    g_assert_cmphex(reg(&nic, E1000_RDLEN), ==, E1000_RING_LEN_MASK);
    set(&nic, E1000_MTA + 0x1fc, 0x12345678);
    g_assert_cmphex(reg(&nic, E1000_MTA + 0x1fc), ==, 0x12345678);
    /* By ports, too. */
    qtest_outl(nic.qts, 0xc000, E1000_MTA + 0x1fc);
    g_assert_cmphex(qtest_inl(nic.qts, 0xc004), ==, 0x12345678);
    qtest_outl(nic.qts, 0xc000, 0xffffffff);
    g_assert_cmphex(qtest_inl(nic.qts, 0xc004), ==, 0);
    set(&nic, E1000_CTRL, CTRL_RST);
    g_assert_cmphex(reg(&nic, E1000_MTA + 0x1fc), ==, 0);
    g_assert_cmphex(reg(&nic, E1000_CTRL) & CTRL_RST, ==, 0);
    /* Nothing is there, and nothing happens. */
    set(&nic, 0x5ffc, 1);
    set(&nic, 0x1fffc, 1);
    g_assert_cmphex(reg(&nic, 0x1fffc), ==, 0);
    stop(&nic);
}

static uint16_t eerd(Nic *nic, unsigned word)
{
    set(nic, E1000_EERD, EERD_START | word << 8);
    g_assert_cmphex(reg(nic, E1000_EERD) & EERD_DONE, ==, EERD_DONE);
    return reg(nic, E1000_EERD) >> 16;
}

static void clock_bit(Nic *nic, bool bit)
{
    uint32_t pins = EECD_REQ | EECD_CS | (bit ? EECD_DI : 0);

    set(nic, E1000_EECD, pins);
    set(nic, E1000_EECD, pins | EECD_SK);
    set(nic, E1000_EECD, pins);
}

/* READ: start bit, opcode 10, six address bits; then the bits come, the highest first. */
static void microwire_read(Nic *nic, unsigned word, uint16_t *values, unsigned count)
{
    unsigned command = 6u << 6 | word;

    set(nic, E1000_EECD, EECD_REQ);
    g_assert_true(reg(nic, E1000_EECD) & EECD_GNT);
    set(nic, E1000_EECD, EECD_REQ | EECD_CS);
    for (int i = 8; i >= 0; i--) {
        clock_bit(nic, command >> i & 1);
    }
    g_assert_false(reg(nic, E1000_EECD) & EECD_DO); /* the dummy bit */
    for (unsigned n = 0; n < count; n++) {
        values[n] = 0;
        for (unsigned i = 0; i < 16; i++) {
            clock_bit(nic, false);
            values[n] = values[n] << 1 | !!(reg(nic, E1000_EECD) & EECD_DO);
        }
    }
    set(nic, E1000_EECD, 0);
}

static void test_eeprom(void)
{
    uint16_t sum = 0, words[3];
    Nic nic;

    start(&nic);
    for (unsigned i = 0; i < 64; i++) {
        sum += eerd(&nic, i);
    }
    g_assert_cmphex(sum, ==, 0xbaba);
    g_assert_cmphex(eerd(&nic, 0), ==, 0x5452);
    g_assert_cmphex(eerd(&nic, 13), ==, 0x100e);
    g_assert_cmphex(eerd(&nic, 200), ==, 0);
    microwire_read(&nic, 0, words, 3);
    g_assert_cmphex(words[0], ==, 0x5452);
    g_assert_cmphex(words[1], ==, 0xaa00);
    g_assert_cmphex(words[2], ==, 0xccbb);
    microwire_read(&nic, 63, words, 2); /* wraps */
    g_assert_cmphex(words[0], ==, eerd(&nic, 63));
    g_assert_cmphex(words[1], ==, 0x5452);
    stop(&nic);
}

static uint32_t mdic(Nic *nic, uint32_t command)
{
    set(nic, E1000_MDIC, command);
    return reg(nic, E1000_MDIC);
}

static void test_phy_and_link(void)
{
    Nic nic;

    start(&nic);
    g_assert_cmphex(mdic(&nic, MDIC_OP_READ | 1u << 21 | PHY_ID1 << 16) & 0xffff, ==, 0x0141);
    g_assert_true(mdic(&nic, MDIC_OP_READ | 2u << 21 | PHY_ID1 << 16) & MDIC_ERROR);
    g_assert_true(mdic(&nic, MDIC_OP_WRITE | 1u << 21 | PHY_ID1 << 16) & MDIC_ERROR);
    g_assert_true(mdic(&nic, MDIC_OP_READ | 1u << 21 | 31u << 16) & MDIC_ERROR);
    reg(&nic, E1000_ICR);
    set_link(&nic, "nic", false);
    g_assert_false(reg(&nic, E1000_STATUS) & STATUS_LU);
    g_assert_false(mdic(&nic, MDIC_OP_READ | 1u << 21 | PHY_STATUS << 16) & PHY_STATUS_LINK);
    g_assert_cmphex(reg(&nic, E1000_ICR), ==, ICR_LSC);
    set_link(&nic, "wire", true);
    g_assert_true(reg(&nic, E1000_STATUS) & STATUS_LU);
    /* Without its backend it has no link. */
    remove_backend(&nic);
    g_assert_false(reg(&nic, E1000_STATUS) & STATUS_LU);
    stop(&nic);
}

/* ---- Sending ---- */

static void test_transmit(void)
{
    uint8_t frame[1514], got[2048];
    Nic nic;

    start(&nic);
    setup_tx(&nic);
    make_frame(frame, sizeof(frame), other_mac);
    qtest_memwrite(nic.qts, DATA, frame, sizeof(frame));
    /* Whole, padded, and from three descriptors of which one is empty. */
    put_desc(&nic, 0, DATA, 1514 | (TXD_EOP | TXD_RS) << 24, 0);
    put_desc(&nic, 1, DATA, 20 | TXD_EOP << 24, 0);
    put_desc(&nic, 2, DATA, 100, 0);
    put_desc(&nic, 3, 0, 0, 0);
    put_desc(&nic, 4, DATA + 100, 1000 | (TXD_EOP | TXD_RS) << 24, 0);
    set(&nic, E1000_TDT, 5);
    g_assert_cmpuint(reg(&nic, E1000_TDH), ==, 5);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 1514);
    g_assert_cmpmem(got, 1514, frame, 1514);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 60);
    g_assert_cmpint(got[20], ==, 0);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 1100);
    g_assert_cmpmem(got, 1100, frame, 1100);
    g_assert_cmphex(qtest_readb(nic.qts, TX_RING + 12), ==, TXD_STA_DD);
    g_assert_cmphex(qtest_readb(nic.qts, TX_RING + 16 + 12), ==, 0);
    g_assert_cmphex(reg(&nic, E1000_ICR), ==, ICR_TXDW | ICR_TXQE);
    g_assert_cmpuint(reg(&nic, E1000_GPTC), ==, 3);
    g_assert_cmpuint(reg(&nic, E1000_GPTC), ==, 0);
    /* With a tag. */
    set(&nic, E1000_CTRL, CTRL_VME);
    put_desc(&nic, 5, DATA, 100 | (TXD_EOP | TXD_VLE) << 24, 0x123u << 16);
    set(&nic, E1000_TDT, 6);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 104);
    g_assert_cmphex(ldl_be(got + 12), ==, 0x81000123);
    g_assert_cmpmem(got + 16, 88, frame + 12, 88);
    stop(&nic);
}

/* An IPv4 TCP packet: headers of 54 bytes. */
static void make_tcp(uint8_t *frame, size_t size)
{
    make_frame(frame, size, other_mac);
    stw_be(frame + 12, 0x0800);
    memset(frame + 14, 0, 40);
    frame[14] = 0x45;
    frame[22] = 64;
    frame[23] = 6;
    stl_be(frame + 26, 0x0a000201);
    stl_be(frame + 30, 0x0a000202);
    stl_be(frame + 38, 1000); /* sequence */
    frame[46] = 0x50;
    frame[47] = 0x19; /* FIN, PSH, ACK */
}

static uint32_t sum_of(const uint8_t *data, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i & 1 ? data[i] : data[i] << 8;
    }
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static void check_tcp_sums(const uint8_t *frame, size_t size)
{
    g_assert_cmphex(fold(sum_of(frame + 14, 20, 0)), ==, 0xffff);
    g_assert_cmphex(fold(sum_of(frame + 34, size - 34, sum_of(frame + 26, 8, 6 + size - 34))), ==,
                    0xffff);
}

static void put_context(Nic *nic, unsigned index, uint8_t command, uint8_t header, uint16_t mss,
                        uint32_t payload)
{
    /* IP at 14 with its sum at 24, up to byte 33; TCP at 34 with its sum at 50. */
    qtest_writeq(nic->qts, TX_RING + 16 * index, 14 | 24u << 8 | 33u << 16 |
                 (uint64_t)(34 | 50u << 8) << 32);
    qtest_writel(nic->qts, TX_RING + 16 * index + 8,
                 payload | (uint32_t)(command | TXD_DEXT) << 24);
    qtest_writel(nic->qts, TX_RING + 16 * index + 12, header << 8 | (uint32_t)mss << 16);
}

static void test_segmentation(void)
{
    enum { PAYLOAD = 20000, MSS = 1460 };
    g_autofree uint8_t *frame = g_malloc(54 + PAYLOAD);
    uint8_t got[2048];
    uint32_t flags = 0, at = 0;
    Nic nic;

    start(&nic);
    setup_tx(&nic);
    make_tcp(frame, 54 + PAYLOAD);
    qtest_memwrite(nic.qts, DATA, frame, 54 + PAYLOAD);
    put_context(&nic, 0, TXD_TSE | TXD_TU_TCP | TXD_TU_IP, 54, MSS, PAYLOAD);
    flags = (uint32_t)(TXD_DEXT | TXD_TSE) << 24 | TXD_TYPE_DATA << 20;
    put_desc(&nic, 1, DATA, 54 | flags, (TXD_POPT_IXSM | TXD_POPT_TXSM) << 8);
    put_desc(&nic, 2, DATA + 54, PAYLOAD | flags | TXD_EOP << 24, 0);
    set(&nic, E1000_TDT, 3);
    while (at < PAYLOAD) {
        size_t n = wire_receive(&nic.wire, got, sizeof(got)), len = MIN(MSS, PAYLOAD - at);

        g_assert_cmpuint(n, ==, 54 + len);
        g_assert_cmpuint(ldw_be(got + 16), ==, 40 + len);
        g_assert_cmpuint(ldl_be(got + 38), ==, 1000 + at);
        g_assert_cmphex(got[47], ==, at + len == PAYLOAD ? 0x19 : 0x10);
        check_tcp_sums(got, n);
        g_assert_cmpmem(got + 54, len, frame + 54 + at, len);
        at += len;
    }
    /* Checksums alone. */
    put_desc(&nic, 3, DATA, 300 | (uint32_t)(TXD_DEXT | TXD_EOP) << 24 | TXD_TYPE_DATA << 20,
             (TXD_POPT_IXSM | TXD_POPT_TXSM) << 8);
    stw_be(frame + 16, 286);
    stw_be(frame + 50, fold(sum_of(frame + 26, 8, 6 + 266)));
    qtest_memwrite(nic.qts, DATA, frame, 300);
    set(&nic, E1000_TDT, 4);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 300);
    check_tcp_sums(got, 300);
    stop(&nic);
}

/* ---- Receiving ---- */

static void test_receive(void)
{
    uint8_t frame[4000], got[4000];
    Nic nic;

    start(&nic);
    setup_rx(&nic, 2, RCTL_LPE);
    make_frame(frame, sizeof(frame), own_mac);
    wire_send(&nic.wire, frame, 1514);
    wait_head(&nic, 1);
    g_assert_cmpuint(qtest_readw(nic.qts, RX_RING + 8), ==, 1518);
    g_assert_cmphex(qtest_readb(nic.qts, RX_RING + 12), ==, RXD_DD | RXD_EOP | RXD_IXSM);
    qtest_memread(nic.qts, RX_BUFFERS, got, 1514);
    g_assert_cmpmem(got, 1514, frame, 1514);
    g_assert_true(reg(&nic, E1000_ICR) & ICR_RXT0);
    /* One buffer is left; a frame of two waits until there are more. */
    wire_send(&nic.wire, frame, 4000);
    while (!(reg(&nic, E1000_ICR) & ICR_RXO)) {
        g_usleep(1000);
    }
    g_assert_cmpuint(reg(&nic, E1000_RDH), ==, 1);
    set(&nic, E1000_RDT, 4);
    g_assert_cmpuint(reg(&nic, E1000_RDH), ==, 3);
    g_assert_cmpuint(qtest_readw(nic.qts, RX_RING + 16 + 8), ==, 2048);
    g_assert_cmphex(qtest_readb(nic.qts, RX_RING + 16 + 12) & RXD_EOP, ==, 0);
    g_assert_cmpuint(qtest_readw(nic.qts, RX_RING + 32 + 8), ==, 4004 - 2048);
    qtest_memread(nic.qts, RX_BUFFERS + 2048, got, 4000);
    g_assert_cmpmem(got, 4000, frame, 4000);
    stop(&nic);
}

/* Sends a frame that is not wanted and one that is: only one arrives. */
static void expect_filter(Nic *nic, const uint8_t *unwanted, const uint8_t *wanted, unsigned *head)
{
    uint8_t frame[60], got[6];

    if (unwanted) {
        make_frame(frame, sizeof(frame), unwanted);
        wire_send(&nic->wire, frame, sizeof(frame));
    }
    make_frame(frame, sizeof(frame), wanted);
    wire_send(&nic->wire, frame, sizeof(frame));
    wait_head(nic, *head + 1);
    qtest_memread(nic->qts, RX_BUFFERS + 2048 * *head, got, 6);
    g_assert_cmpmem(got, 6, wanted, 6);
    ++*head;
}

static void test_filters(void)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    static const uint8_t group[6] = { 0x01, 0x00, 0x5e, 0x00, 0x12, 0x34 };
    static const uint8_t other_group[6] = { 0x01, 0x00, 0x5e, 0x00, 0x12, 0x35 };
    unsigned head = 0, hash = (0x34 << 8 | 0x12) >> 4;
    Nic nic;

    start(&nic);
    setup_rx(&nic, 7, 0);
    expect_filter(&nic, other_mac, own_mac, &head);
    expect_filter(&nic, broadcast, own_mac, &head);
    set(&nic, E1000_RCTL, RCTL_EN | RCTL_BAM);
    expect_filter(&nic, group, broadcast, &head);
    set(&nic, E1000_MTA + hash / 32 * 4, 1u << hash % 32);
    expect_filter(&nic, other_group, group, &head);
    g_assert_cmphex(qtest_readb(nic.qts, RX_RING + 16 * 3 + 12) & RXD_PIF, ==, RXD_PIF);
    set(&nic, E1000_RCTL, RCTL_EN | RCTL_MPE);
    expect_filter(&nic, other_mac, other_group, &head);
    set(&nic, E1000_RCTL, RCTL_EN | RCTL_UPE);
    expect_filter(&nic, NULL, other_mac, &head);
    stop(&nic);
}

static void test_vlan_and_sums(void)
{
    uint8_t frame[300], got[300];
    Nic nic;

    start(&nic);
    set(&nic, E1000_CTRL, CTRL_VME);
    set(&nic, E1000_VFTA + 4 * 4, 1 << 1); /* 129 */
    set(&nic, E1000_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
    setup_rx(&nic, 7, RCTL_VFE);
    make_frame(frame, 100, own_mac);
    stl_be(frame + 12, 0x81000082); /* 130: not wanted */
    wire_send(&nic.wire, frame, 100);
    stl_be(frame + 12, 0x81002081); /* 129, with priority */
    wire_send(&nic.wire, frame, 100);
    wait_head(&nic, 1);
    g_assert_cmphex(qtest_readw(nic.qts, RX_RING + 14), ==, 0x2081);
    g_assert_cmphex(qtest_readb(nic.qts, RX_RING + 12) & RXD_VP, ==, RXD_VP);
    g_assert_cmpuint(qtest_readw(nic.qts, RX_RING + 8), ==, 100);
    qtest_memread(nic.qts, RX_BUFFERS, got, 96);
    g_assert_cmpmem(got, 12, frame, 12);
    g_assert_cmpmem(got + 12, 84, frame + 16, 84);
    /* A right packet, and one with both sums wrong. */
    make_tcp(frame, 300);
    memcpy(frame, own_mac, 6);
    stw_be(frame + 16, 286);
    stw_be(frame + 24, ~fold(sum_of(frame + 14, 20, 0)));
    stw_be(frame + 50, ~fold(sum_of(frame + 34, 266, sum_of(frame + 26, 8, 6 + 266))));
    wire_send(&nic.wire, frame, 300);
    wait_head(&nic, 2);
    g_assert_cmphex(qtest_readw(nic.qts, RX_RING + 16 + 12), ==,
                    RXD_DD | RXD_EOP | RXD_TCPCS | RXD_IPCS);
    frame[22]--;
    frame[100]++;
    wire_send(&nic.wire, frame, 300);
    wait_head(&nic, 3);
    g_assert_cmphex(qtest_readb(nic.qts, RX_RING + 32 + 13), ==, RXD_ERR_TCPE | RXD_ERR_IPE);
    stop(&nic);
}

static void test_interrupts(void)
{
    Nic nic;

    start(&nic);
    reg(&nic, E1000_ICR);
    set(&nic, E1000_ICS, ICR_TXDW);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 0);
    set(&nic, E1000_IMS, ICR_TXDW);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 8);
    set(&nic, E1000_IMC, ICR_TXDW);
    g_assert_cmphex(reg(&nic, E1000_IMS), ==, 0);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 0);
    set(&nic, E1000_IMS, ICR_TXDW);
    g_assert_cmphex(reg(&nic, E1000_ICR), ==, ICR_TXDW);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 0);
    /* Not more often than ITR allows. */
    set(&nic, E1000_ITR, 1000);
    set(&nic, E1000_ICS, ICR_TXDW);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 8);
    reg(&nic, E1000_ICR);
    set(&nic, E1000_ICS, ICR_TXDW);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 0);
    qtest_clock_step(nic.qts, 255999);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 0);
    qtest_clock_step(nic.qts, 1);
    g_assert_cmphex(qtest_pci_read(nic.qts, 0, DEVFN, 6, 2) & 8, ==, 8);
    stop(&nic);
}

static bool irq_status(Nic *nic)
{
    return qtest_pci_read(nic->qts, 0, DEVFN, 6, 2) & 8;
}

static void send_frames(Nic *nic, unsigned n, uint8_t command)
{
    uint8_t frame[60];

    make_frame(frame, sizeof(frame), other_mac);
    qtest_memwrite(nic->qts, DATA, frame, sizeof(frame));
    for (; n; n--) {
        unsigned tail = reg(nic, E1000_TDT);

        put_desc(nic, tail, DATA, sizeof(frame) | (uint32_t)command << 24, 0);
        set(nic, E1000_TDT, (tail + 1) % RING_ENTRIES);
        wire_receive(&nic->wire, frame, sizeof(frame));
    }
}

/* Counts of 1.024 us from the last frame, and at most from the first. */
static void test_transmit_delay(void)
{
    const uint8_t command = TXD_EOP | TXD_RS | TXD_IDE;
    Nic nic;

    start(&nic);
    setup_tx(&nic);
    reg(&nic, E1000_ICR);
    set(&nic, E1000_IMS, ICR_TXDW);
    set(&nic, E1000_TIDV, 10);
    send_frames(&nic, 1, TXD_EOP | TXD_RS); /* not of those that wait */
    g_assert_true(irq_status(&nic));
    g_assert_cmphex(reg(&nic, E1000_ICR) & ICR_TXDW, ==, ICR_TXDW);
    send_frames(&nic, 1, command);
    g_assert_cmphex(qtest_readb(nic.qts, TX_RING + 16 + 12) & TXD_STA_DD, ==, TXD_STA_DD);
    g_assert_false(irq_status(&nic));
    qtest_clock_step(nic.qts, 5 * 1024);
    send_frames(&nic, 1, command); /* from the beginning */
    qtest_clock_step(nic.qts, 10 * 1024 - 1);
    g_assert_false(irq_status(&nic));
    qtest_clock_step(nic.qts, 1);
    g_assert_true(irq_status(&nic));
    reg(&nic, E1000_ICR);
    set(&nic, E1000_TADV, 12);
    send_frames(&nic, 1, command);
    qtest_clock_step(nic.qts, 9 * 1024);
    send_frames(&nic, 1, command);
    g_assert_false(irq_status(&nic));
    qtest_clock_step(nic.qts, 3 * 1024);
    g_assert_true(irq_status(&nic));
    reg(&nic, E1000_ICR);
    qtest_clock_step(nic.qts, 100 * 1024);
    g_assert_false(irq_status(&nic)); /* once */
    /* What waits does not outlive a reset. */
    send_frames(&nic, 1, command);
    set(&nic, E1000_CTRL, CTRL_RST);
    set(&nic, E1000_IMS, ICR_TXDW);
    qtest_clock_step(nic.qts, 100 * 1024);
    g_assert_false(irq_status(&nic));
    stop(&nic);
}

static void test_receive_delay(void)
{
    uint8_t frame[60];
    Nic nic;

    start(&nic);
    setup_rx(&nic, RING_ENTRIES - 1, 0);
    make_frame(frame, sizeof(frame), own_mac);
    reg(&nic, E1000_ICR);
    set(&nic, E1000_IMS, ICR_RXT0 | ICR_SRPD);
    set(&nic, E1000_RDTR, 20);
    set(&nic, E1000_RADV, 30);
    g_assert_cmphex(reg(&nic, E1000_RDTR), ==, 20);
    for (unsigned i = 1; i <= 2; i++) {
        wire_send(&nic.wire, frame, sizeof(frame));
        wait_head(&nic, i);
        g_assert_false(irq_status(&nic));
        qtest_clock_step(nic.qts, 15 * 1024 - 1);
    }
    qtest_clock_step(nic.qts, 1);
    g_assert_false(irq_status(&nic));
    qtest_clock_step(nic.qts, 1);
    g_assert_true(irq_status(&nic));
    g_assert_cmphex(reg(&nic, E1000_ICR) & ICR_RXT0, ==, ICR_RXT0);
    /* Now, by the driver's word. */
    wire_send(&nic.wire, frame, sizeof(frame));
    wait_head(&nic, 3);
    g_assert_false(irq_status(&nic));
    set(&nic, E1000_RDTR, RDTR_FPD | 20);
    g_assert_true(irq_status(&nic));
    g_assert_cmphex(reg(&nic, E1000_RDTR), ==, 20);
    reg(&nic, E1000_ICR);
    /* Small ones are told of at once; 64 bytes with the checksum. */
    set(&nic, E1000_RSRPD, 63);
    wire_send(&nic.wire, frame, sizeof(frame));
    wait_head(&nic, 4);
    g_assert_false(irq_status(&nic));
    set(&nic, E1000_RSRPD, 64);
    wire_send(&nic.wire, frame, sizeof(frame));
    wait_head(&nic, 5);
    g_assert_true(irq_status(&nic));
    g_assert_cmphex(reg(&nic, E1000_ICR) & (ICR_SRPD | ICR_RXT0), ==, ICR_SRPD);
    stop(&nic);
}

static void test_query_filter(void)
{
    json_object *answer;
    Nic nic;

    start(&nic);
    set(&nic, E1000_RCTL, RCTL_EN | RCTL_BAM | RCTL_VFE | RCTL_UPE);
    set(&nic, E1000_RA + 8, 0x005e0001);
    set(&nic, E1000_RA + 12, RAH_AV | 0x3412);
    set(&nic, E1000_VFTA + 4, 1u << 3);
    answer = qtest_qmp(nic.qts, "{\"execute\": \"query-rx-filter\"}");
    g_assert_cmpstr(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN), ==,
                    "[{\"name\":\"nic\",\"promiscuous\":false,\"multicast\":\"normal\","
                    "\"unicast\":\"all\",\"vlan\":\"normal\",\"broadcast-allowed\":true,"
                    "\"multicast-overflow\":false,\"unicast-overflow\":false,"
                    "\"main-mac\":\"52:54:00:aa:bb:cc\",\"vlan-table\":[35],"
                    "\"unicast-table\":[],\"multicast-table\":[\"01:00:5e:00:12:34\"]}]");
    json_object_put(answer);
    stop(&nic);
}

/* ---- What no driver does ---- */

static void test_ring_lies(void)
{
    uint8_t frame[60];
    Nic nic;

    start(&nic);
    /* No ring at all, then heads and tails outside of it. */
    set(&nic, E1000_TCTL, TCTL_EN);
    set(&nic, E1000_TDT, 5);
    setup_tx(&nic);
    set(&nic, E1000_TDT, 0xffff);
    set(&nic, E1000_TDH, 0xffff);
    set(&nic, E1000_TDT, 1);
    g_assert_false(wire_has_frame(&nic.wire));
    setup_rx(&nic, 0xffff, RCTL_UPE);
    make_frame(frame, sizeof(frame), own_mac);
    wire_send(&nic.wire, frame, sizeof(frame));
    set(&nic, E1000_RDH, 9);
    set(&nic, E1000_RDT, 3);
    set(&nic, E1000_RDLEN, 0);
    set(&nic, E1000_RDT, 2);
    set(&nic, E1000_RDLEN, 128);
    set(&nic, E1000_RDH, 0);
    set(&nic, E1000_RDT, 2);
    wait_head(&nic, 1);
    /* Null descriptors are passed over; a ring of nothing else is left at its end. */
    for (unsigned i = 0; i < RING_ENTRIES; i++) {
        qtest_writeq(nic.qts, RX_RING + 16 * i, 0);
    }
    wire_send(&nic.wire, frame, sizeof(frame));
    wait_head(&nic, 2);
    /* Descriptors that are nowhere. */
    set(&nic, E1000_TDBAH, 0xffffffff);
    set(&nic, E1000_TDH, 0);
    set(&nic, E1000_TDT, 3);
    set(&nic, E1000_RDBAH, 0xffffffff);
    set(&nic, E1000_RDT, 5);
    wire_send(&nic.wire, frame, sizeof(frame));
    g_assert_cmphex(reg(&nic, E1000_STATUS) & STATUS_LU, ==, STATUS_LU);
    stop(&nic);
}

static void test_impossible_frames(void)
{
    uint32_t data = (uint32_t)TXD_DEXT << 24 | TXD_TYPE_DATA << 20, tse = (uint32_t)TXD_TSE << 24;
    uint8_t frame[300], got[2048];
    Nic nic;

    start(&nic);
    setup_tx(&nic);
    make_tcp(frame, sizeof(frame));
    qtest_memwrite(nic.qts, DATA, frame, sizeof(frame));
    /* A megabyte, 20 bits of length each; then nothing at all. */
    put_desc(&nic, 0, DATA, 0xfffff | data, 0);
    put_desc(&nic, 1, DATA, 0xfffff | data, 0);
    put_desc(&nic, 2, DATA, 0xfffff | data | TXD_EOP << 24, 0);
    put_desc(&nic, 3, DATA, 0 | data | TXD_EOP << 24, 0);
    put_desc(&nic, 4, DATA, 0 | TXD_EOP << 24, 0);
    set(&nic, E1000_TDT, 5);
    g_assert_false(wire_has_frame(&nic.wire));
    /* Segments of no size, of a packet that is none, and headers longer than the frame. */
    put_context(&nic, 5, TXD_TSE | TXD_TU_TCP | TXD_TU_IP, 54, 0, 246);
    put_desc(&nic, 6, DATA, 300 | data | tse | TXD_EOP << 24, 0x300);
    put_context(&nic, 7, TXD_TSE | TXD_TU_TCP | TXD_TU_IP, 54, 100, 246);
    put_desc(&nic, 0, DATA + 14, 200 | data | tse | TXD_EOP << 24, 0x300);
    put_context(&nic, 1, TXD_TSE | TXD_TU_TCP | TXD_TU_IP, 255, 100, 0xfffff);
    set(&nic, E1000_TDT, 2);
    g_assert_cmpuint(reg(&nic, E1000_TDH), ==, 2);
    g_assert_false(wire_has_frame(&nic.wire));
    /* Checksums that would stand outside of it are not written. */
    qtest_writeq(nic.qts, TX_RING + 32, 0xffffffffffffffff);
    qtest_writeq(nic.qts, TX_RING + 40, (uint64_t)TXD_DEXT << 24);
    put_desc(&nic, 3, DATA, 100 | data | TXD_EOP << 24, 0x300);
    put_desc(&nic, 4, DATA, 100 | 0xffu << 16 | (TXD_EOP | TXD_IC) << 24, 0xff00);
    set(&nic, E1000_TDT, 5);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 100);
    g_assert_cmpmem(got, 100, frame, 100);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 100);
    g_assert_cmpmem(got, 100, frame, 100);
    stop(&nic);
}

static void test_own_registers(void)
{
    uint8_t frame[60];
    Nic nic;

    start(&nic);
    make_frame(frame, sizeof(frame), own_mac);
    /* Its ring and its data are its own registers; each frame would reset it or send again. */
    set(&nic, E1000_TDBAL, BAR + E1000_TDBAL - 0x10);
    set(&nic, E1000_TDLEN, 128);
    set(&nic, E1000_TCTL, TCTL_EN);
    set(&nic, E1000_TDT, 7);
    setup_tx(&nic);
    put_desc(&nic, 0, BAR, 64 | (TXD_EOP | TXD_RS) << 24, 0);
    set(&nic, E1000_TDT, 1);
    g_assert_cmpuint(reg(&nic, E1000_TDH), ==, 1);
    setup_rx(&nic, 4, 0);
    qtest_writeq(nic.qts, RX_RING, BAR + E1000_TDT);
    wire_send(&nic.wire, frame, sizeof(frame));
    wait_head(&nic, 1);
    g_assert_cmpuint(reg(&nic, E1000_TDT), ==, 1);
    set(&nic, E1000_RDBAL, BAR + E1000_RDBAL);
    wire_send(&nic.wire, frame, sizeof(frame));
    g_assert_cmphex(reg(&nic, E1000_STATUS) & STATUS_LU, ==, STATUS_LU);
    stop(&nic);
}

static void test_reset_in_flight(void)
{
    uint8_t frame[1514], got[2048];
    Nic nic;

    start(&nic);
    setup_tx(&nic);
    make_frame(frame, sizeof(frame), own_mac);
    qtest_memwrite(nic.qts, DATA, frame, sizeof(frame));
    /* Half a frame, then a reset, then another: the halves do not meet. */
    put_desc(&nic, 0, DATA, 700, 0);
    set(&nic, E1000_TDT, 1);
    set(&nic, E1000_CTRL, CTRL_RST);
    setup_tx(&nic);
    put_desc(&nic, 0, DATA, 200 | TXD_EOP << 24, 0);
    set(&nic, E1000_TDT, 1);
    g_assert_cmpuint(wire_receive(&nic.wire, got, sizeof(got)), ==, 200);
    /* Frames that wait for buffers while the machine is reset. */
    setup_rx(&nic, 0, 0);
    for (unsigned i = 0; i < 5; i++) {
        wire_send(&nic.wire, frame, sizeof(frame));
    }
    json_object_put(qtest_qmp(nic.qts, "{\"execute\": \"system_reset\"}"));
    json_object_put(qtest_qmp_event(nic.qts, "RESET"));
    remove_backend(&nic);
    stop(&nic);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/e1000/registers", test_registers);
    g_test_add_func("/e1000/eeprom", test_eeprom);
    g_test_add_func("/e1000/phy-and-link", test_phy_and_link);
    g_test_add_func("/e1000/transmit", test_transmit);
    g_test_add_func("/e1000/segmentation", test_segmentation);
    g_test_add_func("/e1000/receive", test_receive);
    g_test_add_func("/e1000/filters", test_filters);
    g_test_add_func("/e1000/vlan-and-sums", test_vlan_and_sums);
    g_test_add_func("/e1000/interrupts", test_interrupts);
    g_test_add_func("/e1000/transmit-delay", test_transmit_delay);
    g_test_add_func("/e1000/receive-delay", test_receive_delay);
    g_test_add_func("/e1000/query-filter", test_query_filter);
    g_test_add_func("/e1000/ring-lies", test_ring_lies);
    g_test_add_func("/e1000/impossible-frames", test_impossible_frames);
    g_test_add_func("/e1000/own-registers", test_own_registers);
    g_test_add_func("/e1000/reset-in-flight", test_reset_in_flight);
    return g_test_run();
}
