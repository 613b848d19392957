/* SPDX-License-Identifier: Apache-2.0 */
/* virtio: the registers of all transports, rings, resets; with a disk as the device. */
#include <glib/gstdio.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <unistd.h>

#include "tests/qtest/snapshot.h"
#include "tests/qtest/virtio.h"

#define DISK_SIZE (1024 * 1024)
#define HEADER V_DATA
#define STATUS (V_DATA + 0x100)
#define PAYLOAD (V_DATA + 0x1000)
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define NO_VECTOR 0xffff

static char *disk_path; /* one image, which each test finds with sector n full of bytes n */

static void make_disk(void)
{
    g_autofree uint8_t *bytes = g_malloc(DISK_SIZE);

    for (size_t i = 0; i < DISK_SIZE; i++) {
        bytes[i] = (uint8_t)(i / 512);
    }
    g_assert_true(g_file_set_contents(disk_path, (char *)bytes, DISK_SIZE, NULL));
}

static QTest *start(const char *drive, const char *device)
{
    make_disk();
    return qtest_start("-M pc -object iothread,id=io -drive "
                       "file=%s,format=raw,if=none,id=d%s -device virtio-blk-pci,drive=d,id=v%s",
                       disk_path, drive, device);
}

/* ---- A request in three descriptors: header, data, status ---- */

static void put_header(QTest *qts, uint32_t type, uint64_t sector)
{
    struct virtio_blk_outhdr header = {
        GUINT32_TO_LE(type), 0, GUINT64_TO_LE(sector),
    };

    qtest_memwrite(qts, HEADER, &header, sizeof(header));
    qtest_writeb(qts, STATUS, 0xee);
}

static void put_request(QTest *qts, VQueue *q, uint32_t type, uint64_t sector, uint32_t len)
{
    bool to_device = type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
                     type == VIRTIO_BLK_T_WRITE_ZEROES;

    put_header(qts, type, sector);
    v_desc(qts, q, 0, HEADER, 16, NEXT, len ? 1 : 2);
    v_desc(qts, q, 1, PAYLOAD, len, NEXT | (to_device ? 0 : WRITE), 2);
    v_desc(qts, q, 2, STATUS, 1, WRITE, 0);
    v_offer(qts, q, 0);
}

static uint8_t request(QTest *qts, VQueue *q, uint32_t type, uint64_t sector, uint32_t len)
{
    put_request(qts, q, type, sector, len);
    v_kick(qts, 0);
    v_wait(qts, q);
    return qtest_readb(qts, STATUS);
}

static void assert_reads(QTest *qts, VQueue *q, uint64_t sector, uint8_t byte)
{
    uint8_t got[512], want[512];

    memset(want, byte, sizeof(want));
    g_assert_cmpuint(request(qts, q, VIRTIO_BLK_T_IN, sector, 512), ==, VIRTIO_BLK_S_OK);
    qtest_memread(qts, PAYLOAD, got, sizeof(got));
    g_assert_cmpmem(got, sizeof(got), want, sizeof(want));
}

static void exercise(QTest *qts, VQueue *q)
{
    struct virtio_blk_discard_write_zeroes range = { GUINT64_TO_LE(3), GUINT32_TO_LE(2), 0 };
    char id[20];

    assert_reads(qts, q, 5, 5);
    qtest_memset(qts, PAYLOAD, 0xab, 512);
    g_assert_cmpuint(request(qts, q, VIRTIO_BLK_T_OUT, 7, 512), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(request(qts, q, VIRTIO_BLK_T_FLUSH, 0, 0), ==, VIRTIO_BLK_S_OK);
    assert_reads(qts, q, 7, 0xab);
    g_assert_cmpuint(request(qts, q, VIRTIO_BLK_T_GET_ID, 0, 20), ==, VIRTIO_BLK_S_OK);
    qtest_memread(qts, PAYLOAD, id, sizeof(id));
    g_assert_cmpstr(id, ==, "disk-1");
    qtest_memwrite(qts, PAYLOAD, &range, sizeof(range));
    g_assert_cmpuint(request(qts, q, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range)), ==,
                     VIRTIO_BLK_S_OK);
    assert_reads(qts, q, 3, 0);
    assert_reads(qts, q, 5, 5);
    qtest_memwrite(qts, PAYLOAD, &range, sizeof(range));
    g_assert_cmpuint(request(qts, q, VIRTIO_BLK_T_DISCARD, 0, sizeof(range)), ==,
                     VIRTIO_BLK_S_OK);
}

static void test_requests(gconstpointer device)
{
    QTest *qts = start("", device);
    VQueue q = v_setup(qts, V_BIT(VIRTIO_BLK_F_WRITE_ZEROES) | V_BIT(VIRTIO_BLK_F_DISCARD));

    exercise(qts, &q);
    g_assert_cmphex(v_status(qts), ==, 0x0f);
    qtest_stop(qts);
}

/* What the disk refuses, and goes on. */
static void test_refused(void)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t len;
        uint8_t status;
    } cases[] = {
        { VIRTIO_BLK_T_IN, 2048, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, 2047, 1024, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, UINT64_MAX / 512, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, 1ULL << 55, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, 0, 100, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_OUT, 2048, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_OUT, 0, 513, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_DISCARD, 0, 8, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_DISCARD, 0, 32, VIRTIO_BLK_S_UNSUPP },
        { VIRTIO_BLK_T_SCSI_CMD, 0, 64, VIRTIO_BLK_S_UNSUPP },
        { 0x7fffffff, 0, 0, VIRTIO_BLK_S_UNSUPP },
    };
    static const struct virtio_blk_discard_write_zeroes ranges[] = {
        { GUINT64_TO_LE(2047), GUINT32_TO_LE(2), 0 },
        { GUINT64_TO_LE(0), GUINT32_TO_LE(UINT32_MAX), 0 },
        { GUINT64_TO_LE(UINT64_MAX), GUINT32_TO_LE(1), 0 },
    };
    QTest *qts = start("", "");
    VQueue q = v_setup(qts, 0);

    qtest_memset(qts, PAYLOAD, 0, 0x1000);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpuint(request(qts, &q, cases[i].type, cases[i].sector, cases[i].len), ==,
                         cases[i].status);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ranges); i++) {
        qtest_memwrite(qts, PAYLOAD, &ranges[i], sizeof(ranges[i]));
        g_assert_cmpuint(request(qts, &q, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16), ==,
                         VIRTIO_BLK_S_IOERR);
    }
    assert_reads(qts, &q, 9, 9);
    qtest_stop(qts);
}

/* ---- Drivers that break rules ---- */

typedef struct Hole {
    const char *name;
    void (*prepare)(QTest *qts, VQueue *q);
} Hole;

static void offer_one(QTest *qts, VQueue *q, uint64_t addr, uint32_t len, uint16_t flags)
{
    put_header(qts, VIRTIO_BLK_T_IN, 0);
    v_desc(qts, q, 0, addr, len, flags, 1);
    v_desc(qts, q, 1, STATUS, 1, WRITE, 0);
    v_offer(qts, q, 0);
}

static void hole_zero_length(QTest *qts, VQueue *q)
{
    offer_one(qts, q, HEADER, 0, NEXT);
}

static void hole_outside(QTest *qts, VQueue *q)
{
    offer_one(qts, q, 0x7ffffffff000, 512, NEXT);
}

static void hole_oversized(QTest *qts, VQueue *q)
{
    offer_one(qts, q, HEADER, UINT32_MAX, NEXT);
}

/* DMA into the device's own registers is not memory. */
static void hole_own_registers(QTest *qts, VQueue *q)
{
    offer_one(qts, q, V_COMMON, 64, NEXT);
}

static void hole_own_table(QTest *qts, VQueue *q)
{
    offer_one(qts, q, V_BAR1, 64, INDIRECT);
}

static void hole_loop(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, HEADER, 16, NEXT, 1);
    v_desc(qts, q, 1, HEADER, 16, NEXT, 0);
    v_offer(qts, q, 0);
}

static void hole_head(QTest *qts, VQueue *q)
{
    v_offer(qts, q, V_SIZE);
}

static void hole_index_jump(QTest *qts, VQueue *q)
{
    qtest_writew(qts, q->avail + 2, V_SIZE + 1);
}

static void hole_indirect_in_indirect(QTest *qts, VQueue *q)
{
    struct vring_desc inner = { GUINT64_TO_LE(PAYLOAD), GUINT32_TO_LE(16),
                                GUINT16_TO_LE(INDIRECT), 0 };

    qtest_memwrite(qts, PAYLOAD, &inner, sizeof(inner));
    offer_one(qts, q, PAYLOAD, 16, INDIRECT);
}

static void hole_no_status(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, HEADER, 16, 0, 0);
    v_offer(qts, q, 0);
}

static void hole_read_after_write(QTest *qts, VQueue *q)
{
    v_desc(qts, q, 0, STATUS, 1, NEXT | WRITE, 1);
    v_desc(qts, q, 1, HEADER, 16, 0, 0);
    v_offer(qts, q, 0);
}

static const Hole holes[] = {
    { "zero-length", hole_zero_length }, { "outside", hole_outside },
    { "oversized", hole_oversized }, { "own-registers", hole_own_registers },
    { "own-table", hole_own_table }, { "loop", hole_loop }, { "head", hole_head },
    { "index-jump", hole_index_jump }, { "indirect-in-indirect", hole_indirect_in_indirect },
    { "no-status", hole_no_status }, { "read-after-write", hole_read_after_write },
};

/* Each needs a reset, and after it the device works again; in both kinds of threads. */
static void test_holes(gconstpointer device)
{
    QTest *qts = start("", device);

    for (unsigned i = 0; i < G_N_ELEMENTS(holes); i++) {
        VQueue q = v_setup(qts, V_BIT(VIRTIO_RING_F_INDIRECT_DESC));

        holes[i].prepare(qts, &q);
        v_kick(qts, 0);
        v_wait_broken(qts);
        v_kick(qts, 0);
        q = v_setup(qts, V_BIT(VIRTIO_RING_F_INDIRECT_DESC));
        g_assert_cmphex(v_status(qts), ==, 0x0f);
        assert_reads(qts, &q, 9, 9);
    }
    qtest_stop(qts);
}

static void test_bad_queues(void)
{
    static const uint64_t places[] = { 0x7ffffffff000, V_COMMON, V_RINGS + 1, UINT64_MAX };
    QTest *qts = start("", "");
    VQueue q;

    for (unsigned i = 0; i < 3 * G_N_ELEMENTS(places); i++) {
        v_map(qts);
        v_negotiate(qts, 0);
        qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SELECT, 0);
        v_write_address(qts, VIRTIO_PCI_COMMON_Q_DESCLO, V_RINGS);
        v_write_address(qts, VIRTIO_PCI_COMMON_Q_AVAILLO, V_RINGS + 0x4000);
        v_write_address(qts, VIRTIO_PCI_COMMON_Q_USEDLO, V_RINGS + 0x8000);
        v_write_address(qts, VIRTIO_PCI_COMMON_Q_DESCLO + i % 3 * 8, places[i / 3]);
        qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
        v_driver_ok(qts);
        v_wait_broken(qts);
    }
    /* No bus mastering, no ring. */
    qtest_pci_write(qts, 0, V_DEVFN, 4, 2, 3);
    v_negotiate(qts, 0);
    v_queue(qts, 0);
    v_driver_ok(qts);
    v_wait_broken(qts);
    q = v_setup(qts, 0);
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SIZE, 512); /* too much, too late */
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SELECT, 77);
    g_assert_cmpuint(qtest_readw(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SIZE), ==, 0);
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
    v_kick(qts, 77);
    assert_reads(qts, &q, 9, 9);
    qtest_stop(qts);
}

/* ---- Negotiation ---- */

static void test_negotiation(void)
{
    QTest *qts = start("", "");
    uint64_t offered;

    v_map(qts);
    offered = v_offered(qts);
    g_assert_cmphex(offered & V_BIT(VIRTIO_F_VERSION_1), !=, 0);
    g_assert_cmphex(offered & V_BIT(VIRTIO_F_RING_PACKED), ==, 0);
    v_negotiate(qts, V_BIT(VIRTIO_F_RING_PACKED)); /* not offered */
    g_assert_cmphex(v_status(qts), ==, 0x03);
    v_driver_ok(qts);
    g_assert_cmphex(v_status(qts) & VIRTIO_CONFIG_S_DRIVER_OK, ==, 0);
    v_negotiate(qts, 0);
    g_assert_cmphex(v_status(qts), ==, 0x0b);
    v_accept(qts, V_BIT(VIRTIO_F_VERSION_1) | V_BIT(VIRTIO_RING_F_EVENT_IDX)); /* too late */
    v_queue(qts, 0);
    v_driver_ok(qts);
    v_accept(qts, 0);
    g_assert_cmphex(v_status(qts), ==, 0x0f);
    v_set_status(qts, 0);
    v_set_status(qts, 3);
    v_accept(qts, 0); /* a legacy driver's features by the modern interface */
    v_set_status(qts, 0x0b);
    g_assert_cmphex(v_status(qts), ==, 0x03);
    qtest_writel(qts, V_COMMON + VIRTIO_PCI_COMMON_DFSELECT, 2);
    g_assert_cmphex(qtest_readl(qts, V_COMMON + VIRTIO_PCI_COMMON_DF), ==, 0);
    qtest_stop(qts);
}

/* Reads and writes of every place in the BARs, and beyond what is there. */
static void test_edges(void)
{
    QTest *qts = start("", ",vectors=3");
    VQueue q;

    v_map(qts);
    for (uint32_t at = 0; at < 0x4000; at += 4) {
        if (at != VIRTIO_PCI_COMMON_STATUS) {
            qtest_writel(qts, V_BAR4 + at, 0xffffffff);
        }
        qtest_readl(qts, V_BAR4 + at);
        qtest_readb(qts, V_BAR4 + at + 3);
    }
    for (uint32_t at = 0; at < 0x1000; at += 4) {
        qtest_writel(qts, V_BAR1 + at, 0xffffffff);
        qtest_readl(qts, V_BAR1 + at);
    }
    g_assert_cmphex(qtest_readl(qts, V_BAR1 + 3 * 16), ==, 0); /* past the last entry */
    for (uint16_t at = 0; at < 128; at++) {
        qtest_outb(qts, V_BAR0 + at, 0xff);
        qtest_inb(qts, V_BAR0 + at);
        qtest_outl(qts, V_BAR0 + at, 0xffffffff);
        qtest_inl(qts, V_BAR0 + at);
    }
    q = v_setup(qts, 0);
    qtest_writel(qts, V_CONFIG, 1); /* the capacity stays */
    g_assert_cmpuint(qtest_readl(qts, V_CONFIG), ==, DISK_SIZE / 512);
    g_assert_cmphex(qtest_readl(qts, V_CONFIG + 0x100), ==, 0xffffffff);
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_MSIX, 2);
    g_assert_cmpuint(qtest_readw(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_MSIX), ==, 2);
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_MSIX, 3);
    g_assert_cmpuint(qtest_readw(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_MSIX), ==, NO_VECTOR);
    assert_reads(qts, &q, 9, 9);
    qtest_stop(qts);
}

/* The offset of the capability of this kind, or 0. */
static uint8_t find_cap(QTest *qts, uint8_t id, uint8_t cfg_type)
{
    uint8_t at = (uint8_t)qtest_pci_read(qts, 0, V_DEVFN, 0x34, 1);

    for (unsigned i = 0; at && i < 48; i++) {
        if (qtest_pci_read(qts, 0, V_DEVFN, at, 1) == id &&
            (!cfg_type || qtest_pci_read(qts, 0, V_DEVFN, at + 3, 1) == cfg_type)) {
            return at;
        }
        at = (uint8_t)qtest_pci_read(qts, 0, V_DEVFN, at + 1, 1);
    }
    return 0;
}

static uint32_t window_read(QTest *qts, uint8_t cap, uint8_t bar, uint32_t offset, uint32_t len)
{
    qtest_pci_write(qts, 0, V_DEVFN, cap + 4, 1, bar);
    qtest_pci_write(qts, 0, V_DEVFN, cap + 8, 4, offset);
    qtest_pci_write(qts, 0, V_DEVFN, cap + 12, 4, len);
    return qtest_pci_read(qts, 0, V_DEVFN, cap + 16, len > 4 ? 4 : len);
}

static void test_config_window(void)
{
    QTest *qts = start("", "");
    uint8_t cap = find_cap(qts, 9, VIRTIO_PCI_CAP_PCI_CFG);

    g_assert_cmpuint(cap, !=, 0);
    g_assert_cmpuint(window_read(qts, cap, 4, VIRTIO_PCI_COMMON_NUMQ, 2), ==, 1);
    g_assert_cmpuint(window_read(qts, cap, 4, 0x2000, 4), ==, DISK_SIZE / 512);
    window_read(qts, cap, 4, VIRTIO_PCI_COMMON_STATUS, 1);
    qtest_pci_write(qts, 0, V_DEVFN, cap + 16, 1, 3);
    g_assert_cmpuint(window_read(qts, cap, 4, VIRTIO_PCI_COMMON_STATUS, 1), ==, 3);
    window_read(qts, cap, 4, 0x4000, 4); /* beyond, too long, unaligned, another BAR */
    window_read(qts, cap, 4, 0xfffffffc, 4);
    window_read(qts, cap, 4, 0, 8);
    window_read(qts, cap, 4, 1, 4);
    window_read(qts, cap, 1, 0, 4);
    qtest_pci_write(qts, 0, V_DEVFN, cap + 16, 4, 0xffffffff);
    g_assert_cmpuint(window_read(qts, cap, 4, VIRTIO_PCI_COMMON_STATUS, 1), ==, 3);
    qtest_stop(qts);
}

/* ---- Other transports and rings ---- */

static void test_legacy(void)
{
    QTest *qts = start("", ",disable-modern=on");
    VQueue q = { V_RINGS, V_RINGS + 256 * 16, V_RINGS + 8192, 256, 0, 0 };

    g_assert_cmpuint(find_cap(qts, 9, 0), ==, 0);
    v_map(qts);
    qtest_memset(qts, V_RINGS, 0, 0x10000);
    g_assert_cmphex(qtest_inl(qts, V_BAR0) & 0x79000000, ==, 0x79000000);
    qtest_outb(qts, V_BAR0 + VIRTIO_PCI_STATUS, 0);
    qtest_outb(qts, V_BAR0 + VIRTIO_PCI_STATUS, 3);
    qtest_outl(qts, V_BAR0 + VIRTIO_PCI_GUEST_FEATURES, 0xffffffff);
    qtest_outw(qts, V_BAR0 + VIRTIO_PCI_QUEUE_SEL, 0);
    g_assert_cmpuint(qtest_inw(qts, V_BAR0 + VIRTIO_PCI_QUEUE_NUM), ==, 256);
    qtest_outl(qts, V_BAR0 + VIRTIO_PCI_GUEST_FEATURES, 0);
    qtest_outl(qts, V_BAR0 + VIRTIO_PCI_QUEUE_PFN, V_RINGS >> 12);
    qtest_outb(qts, V_BAR0 + VIRTIO_PCI_STATUS, 7);
    g_assert_cmpuint(qtest_inl(qts, V_BAR0 + 20), ==, DISK_SIZE / 512);
    put_request(qts, &q, VIRTIO_BLK_T_IN, 6, 512);
    qtest_outw(qts, V_BAR0 + VIRTIO_PCI_QUEUE_NOTIFY, 0);
    v_wait(qts, &q);
    g_assert_cmpuint(qtest_readb(qts, PAYLOAD + 511), ==, 6);
    g_assert_cmpuint(qtest_inb(qts, V_BAR0 + VIRTIO_PCI_ISR), ==, 1);
    g_assert_cmpuint(qtest_inb(qts, V_BAR0 + VIRTIO_PCI_ISR), ==, 0);
    qtest_outl(qts, V_BAR0 + VIRTIO_PCI_QUEUE_PFN, 0xffffffff); /* nothing is there */
    qtest_outl(qts, V_BAR0 + VIRTIO_PCI_QUEUE_PFN, 0);
    qtest_outb(qts, V_BAR0 + VIRTIO_PCI_STATUS, 0);
    qtest_stop(qts);
}

static void mmio_queue(QTest *qts, uint64_t base, const VQueue *q)
{
    qtest_writel(qts, base + VIRTIO_MMIO_QUEUE_SEL, 0);
    qtest_writel(qts, base + VIRTIO_MMIO_QUEUE_NUM, q->size);
    qtest_writel(qts, base + VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)q->desc);
    qtest_writel(qts, base + VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)q->avail);
    qtest_writel(qts, base + VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)q->used);
    qtest_writel(qts, base + VIRTIO_MMIO_QUEUE_READY, 1);
}

static void test_mmio(void)
{
    const uint64_t base = 0xfeb00000u;
    VQueue q = { V_RINGS, V_RINGS + 0x4000, V_RINGS + 0x8000, V_SIZE, 0, 0 };
    QTest *qts;

    make_disk();
    qts = qtest_start("-M microvm -drive file=%s,format=raw,if=none,id=d "
                      "-device virtio-blk-device,drive=d,bus=virtio-mmio-bus.0", disk_path);
    qtest_irq_intercept_in(qts, "ioapic");
    g_assert_cmpuint(qtest_readl(qts, base + VIRTIO_MMIO_DEVICE_ID), ==, 2);
    qtest_writel(qts, base + VIRTIO_MMIO_STATUS, 3);
    qtest_writel(qts, base + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    qtest_writel(qts, base + VIRTIO_MMIO_DRIVER_FEATURES, 1);
    qtest_writel(qts, base + VIRTIO_MMIO_STATUS, 0x0b);
    g_assert_cmphex(qtest_readl(qts, base + VIRTIO_MMIO_STATUS), ==, 0x0b);
    mmio_queue(qts, base, &q);
    qtest_writel(qts, base + VIRTIO_MMIO_STATUS, 0x0f);
    put_request(qts, &q, VIRTIO_BLK_T_IN, 6, 512);
    qtest_writel(qts, base + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    v_wait(qts, &q);
    g_assert_cmpuint(qtest_readb(qts, PAYLOAD), ==, 6);
    g_assert_true(qtest_get_irq(qts, 16));
    qtest_writel(qts, base + VIRTIO_MMIO_INTERRUPT_ACK, 1);
    g_assert_false(qtest_get_irq(qts, 16));
    g_assert_cmpuint(qtest_readl(qts, base + VIRTIO_MMIO_CONFIG), ==, DISK_SIZE / 512);
    for (unsigned at = 0; at < 0x200; at += 4) {
        qtest_writel(qts, base + at, 0xffffffff);
        qtest_readl(qts, base + at);
        qtest_writeb(qts, base + at, 0xff);
    }
    qtest_writel(qts, base + VIRTIO_MMIO_STATUS, 0);
    g_assert_cmphex(qtest_readl(qts, base + VIRTIO_MMIO_STATUS), ==, 0);
    qtest_stop(qts);
}

static void packed_desc(QTest *qts, unsigned i, uint64_t addr, uint32_t len, uint16_t flags)
{
    struct vring_packed_desc desc = {
        GUINT64_TO_LE(addr), GUINT32_TO_LE(len), GUINT16_TO_LE(3),
        GUINT16_TO_LE(flags | 1 << VRING_PACKED_DESC_F_AVAIL),
    };

    qtest_memwrite(qts, V_RINGS + i * sizeof(desc), &desc, sizeof(desc));
}

static void test_packed(void)
{
    QTest *qts = start("", ",packed=on");

    v_map(qts);
    v_negotiate(qts, V_BIT(VIRTIO_F_RING_PACKED));
    g_assert_cmphex(v_status(qts), ==, 0x0b);
    v_queue(qts, 0);
    v_driver_ok(qts);
    put_header(qts, VIRTIO_BLK_T_IN, 6);
    packed_desc(qts, 2, STATUS, 1, WRITE);
    packed_desc(qts, 1, PAYLOAD, 512, NEXT | WRITE);
    packed_desc(qts, 0, HEADER, 16, NEXT);
    v_kick(qts, 0);
    for (unsigned i = 0; i < 10000 && !(qtest_readw(qts, V_RINGS + 14) & 0x8000); i++) {
        g_usleep(1000);
    }
    g_assert_cmphex(qtest_readw(qts, V_RINGS + 14) & 0x8080, ==, 0x8080);
    g_assert_cmpuint(qtest_readl(qts, V_RINGS + 8), ==, 513);
    g_assert_cmpuint(qtest_readb(qts, PAYLOAD), ==, 6);
    qtest_stop(qts);
}

/* ---- Resets and other changes of fortune ---- */

static void test_ring_reset(void)
{
    QTest *qts = start("", "");
    VQueue q = v_setup(qts, V_BIT(VIRTIO_F_RING_RESET));

    assert_reads(qts, &q, 9, 9);
    for (unsigned i = 0; i < 3; i++) {
        put_request(qts, &q, VIRTIO_BLK_T_IN, 1, 512);
        v_kick(qts, 0);
        qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_RESET, 1);
        while (qtest_readw(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_RESET)) {
            g_usleep(100);
        }
        g_assert_cmpuint(qtest_readw(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_ENABLE), ==, 0);
        v_kick(qts, 0);
        q = v_queue(qts, 0);
        assert_reads(qts, &q, 9, 9);
    }
    g_assert_cmphex(v_status(qts), ==, 0x0f);
    qtest_stop(qts);
}

/* Requests that wait for their throttle group when the device, or the machine, is reset. */
static void test_reset_in_flight(gconstpointer device)
{
    QTest *qts = start(",iops=1", device);

    for (unsigned round = 0; round < 3; round++) {
        VQueue q = v_setup(qts, 0);

        for (unsigned i = 0; i < 6; i++) {
            put_request(qts, &q, VIRTIO_BLK_T_IN, i, 512);
            v_kick(qts, 0);
        }
        if (round == 0) {
            v_set_status(qts, 0);
        } else if (round == 1) {
            json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
            json_object_put(qtest_qmp_event(qts, "RESET"));
        } else {
            json_object_put(qtest_qmp(qts, "{'execute': 'stop'}"));
            json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
        }
    }
    v_setup(qts, 0);
    g_assert_cmphex(v_status(qts), ==, 0x0f);
    qtest_stop(qts);
}

/* werror=stop: the machine stops, and the request is made again when it goes on. */
/* A write that failed and stopped the machine. */
static QTest *start_stopped(const char *device, VQueue *q)
{
    QTest *qts;

    make_disk();
    qts = qtest_start("-M pc -object iothread,id=io -blockdev '{\"driver\": \"blkdebug\", "
                      "\"node-name\": \"d\", \"image\": {\"driver\": \"file\", "
                      "\"filename\": \"%s\"}, \"inject-error\": [{\"event\": \"none\", "
                      "\"iotype\": \"write\", \"errno\": 28, \"once\": true}]}' "
                      "-device virtio-blk-pci,drive=d,werror=stop%s", disk_path,
                      device);
    *q = v_setup(qts, 0);
    qtest_memset(qts, PAYLOAD, 0x77, 512);
    put_request(qts, q, VIRTIO_BLK_T_OUT, 4, 512);
    v_kick(qts, 0);
    json_object_put(qtest_qmp_event(qts, "BLOCK_IO_ERROR"));
    json_object_put(qtest_qmp_event(qts, "STOP"));
    g_assert_cmpuint(qtest_readb(qts, STATUS), ==, 0xee);
    return qts;
}

static void go_on(QTest *qts, VQueue *q)
{
    json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
    v_wait(qts, q);
    g_assert_cmpuint(qtest_readb(qts, STATUS), ==, VIRTIO_BLK_S_OK);
    assert_reads(qts, q, 4, 0x77);
    qtest_stop(qts);
}

static void test_stop_on_error(gconstpointer device)
{
    VQueue q;
    QTest *qts = start_stopped(device, &q);

    go_on(qts, &q);
}

/* The request is part of the machine's state. */
static void test_stop_and_load(gconstpointer device)
{
    VQueue q;
    QTest *qts = start_stopped(device, &q);

    snapshot_there_and_back(qts);
    g_assert_cmpuint(qtest_readb(qts, STATUS), ==, 0xee);
    go_on(qts, &q);
}

static void test_resize(void)
{
    QTest *qts = start("", "");
    uint8_t generation;

    v_setup(qts, 0);
    generation = qtest_readb(qts, V_COMMON + VIRTIO_PCI_COMMON_CFGGENERATION);
    json_object_put(qtest_qmp(qts, "{'execute': 'block_resize', 'arguments': "
                              "{'device': 'd', 'size': %d}}", 2 * DISK_SIZE));
    for (unsigned i = 0; i < 10000 && !(qtest_readb(qts, V_ISR) & 2); i++) {
        g_usleep(1000);
    }
    g_assert_cmpuint(qtest_readl(qts, V_CONFIG), ==, 2 * DISK_SIZE / 512);
    g_assert_cmpuint(qtest_readb(qts, V_COMMON + VIRTIO_PCI_COMMON_CFGGENERATION), !=, generation);
    qtest_stop(qts);
}

static void test_many_queues(void)
{
    QTest *qts = start("", ",num-queues=4,iothread=io");
    VQueue q[4];

    v_map(qts);
    v_negotiate(qts, V_BIT(VIRTIO_BLK_F_MQ));
    for (unsigned i = 0; i < 4; i++) {
        q[i] = v_queue(qts, i);
    }
    v_driver_ok(qts);
    g_assert_cmpuint(qtest_readw(qts, V_CONFIG + 34), ==, 4);
    for (unsigned i = 0; i < 4; i++) {
        put_request(qts, &q[i], VIRTIO_BLK_T_IN, 10 + i, 512);
        v_kick(qts, i);
        v_wait(qts, &q[i]);
        g_assert_cmpuint(qtest_readb(qts, PAYLOAD), ==, 10 + i);
    }
    qtest_stop(qts);
}

static void test_refused_options(void)
{
    static const char *const cases[][2] = {
        { "-device virtio-blk-pci", "drive property not set" },
        { "-device virtio-rng-pci,disable-modern=on,disable-legacy=on", "nothing is left" },
        { "-device virtio-rng-pci,iommu_platform=on", "disable-legacy=on" },
        { "-device virtio-rng-pci,vectors=4000", "at most 2048" },
        { "-device virtio-rng-pci,max-bytes=0", "max-bytes" },
        { "-drive driver=null-co,if=none,id=d -device virtio-blk-pci,drive=d,queue-size=100",
          "power of 2" },
        { "-drive driver=null-co,if=none,id=d -device virtio-blk-pci,drive=d,num-queues=0",
          "num-queues" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *said = qtest_start_refused("-M pc %s", cases[i][0]);

        if (!strstr(said, cases[i][1])) {
            g_error("%s: said '%s'", cases[i][0], said);
        }
    }
}

/* Random bytes, and a driver that offers nothing to write to. */
static void test_rng(void)
{
    QTest *qts = qtest_start("-M pc -device virtio-rng-pci");
    uint8_t bytes[64], zero[64] = { 0 };
    VQueue q = v_setup(qts, 0);

    for (unsigned i = 0; i < 3; i++) {
        qtest_memset(qts, PAYLOAD, 0, sizeof(bytes));
        v_desc(qts, &q, 0, PAYLOAD, sizeof(bytes), WRITE, 0);
        v_offer(qts, &q, 0);
        v_kick(qts, 0);
        g_assert_cmpuint(v_wait(qts, &q), ==, sizeof(bytes));
        qtest_memread(qts, PAYLOAD, bytes, sizeof(bytes));
        g_assert_cmpint(memcmp(bytes, zero, sizeof(bytes)), !=, 0);
    }
    v_desc(qts, &q, 0, PAYLOAD, sizeof(bytes), 0, 0);
    v_offer(qts, &q, 0);
    v_kick(qts, 0);
    v_wait_broken(qts);
    qtest_stop(qts);
}

/* if=virtio needs no -device; which one it is depends on the machine's bus. */
static void test_drive_option(void)
{
    QTest *qts;
    VQueue q;

    make_disk();
    qts = qtest_start("-M pc -drive file=%s,format=raw,if=virtio", disk_path);
    q = v_setup(qts, 0);
    assert_reads(qts, &q, 9, 9);
    qtest_stop(qts);
    qts = qtest_start("-M microvm -drive file=%s,format=raw,if=virtio", disk_path);
    g_assert_cmpuint(qtest_readl(qts, 0xfeb00000u + VIRTIO_MMIO_DEVICE_ID), ==, 2);
    qtest_stop(qts);
}

int main(int argc, char **argv)
{
    int fd, ret;

    g_test_init(&argc, &argv, NULL);
    fd = g_file_open_tmp("vireo-virtio-XXXXXX", &disk_path, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_test_add_data_func("/virtio/requests/main", ",serial=disk-1", test_requests);
    g_test_add_data_func("/virtio/requests/iothread", ",serial=disk-1,iothread=io", test_requests);
    g_test_add_data_func("/virtio/requests/no-ioeventfd", ",serial=disk-1,ioeventfd=off",
                         test_requests);
    g_test_add_func("/virtio/refused", test_refused);
    g_test_add_data_func("/virtio/holes/main", "", test_holes);
    g_test_add_data_func("/virtio/holes/iothread", ",iothread=io", test_holes);
    g_test_add_func("/virtio/bad-queues", test_bad_queues);
    g_test_add_func("/virtio/negotiation", test_negotiation);
    g_test_add_func("/virtio/edges", test_edges);
    g_test_add_func("/virtio/config-window", test_config_window);
    g_test_add_func("/virtio/legacy", test_legacy);
    g_test_add_func("/virtio/mmio", test_mmio);
    g_test_add_func("/virtio/packed", test_packed);
    g_test_add_func("/virtio/ring-reset", test_ring_reset);
    g_test_add_data_func("/virtio/reset-in-flight/main", "", test_reset_in_flight);
    g_test_add_data_func("/virtio/reset-in-flight/iothread", ",iothread=io", test_reset_in_flight);
    g_test_add_data_func("/virtio/stop-on-error/main", "", test_stop_on_error);
    g_test_add_data_func("/virtio/stop-on-error/iothread", ",iothread=io", test_stop_on_error);
    g_test_add_data_func("/virtio/stop-and-load/main", "", test_stop_and_load);
    g_test_add_data_func("/virtio/stop-and-load/iothread", ",iothread=io", test_stop_and_load);
    g_test_add_func("/virtio/resize", test_resize);
    g_test_add_func("/virtio/many-queues", test_many_queues);
    g_test_add_func("/virtio/refused-options", test_refused_options);
    g_test_add_func("/virtio/drive-option", test_drive_option);
    g_test_add_func("/virtio/rng", test_rng);
    ret = g_test_run();
    g_unlink(disk_path);
    return ret;
}
