/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio driver for tests, over each transport: negotiation, queues in the guest's memory, and
 * every register as it is, so that a test can also misbehave.
 */
#ifndef VIREO_TESTS_QTEST_VIRTIO_H
#define VIREO_TESTS_QTEST_VIRTIO_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/qtest/libqtest.h"

/* Where the test puts things. */
#define V_BAR0 0xc000u
#define V_BAR1 0xe0010000u
#define V_BAR4 0xe0000000u
#define V_COMMON V_BAR4
#define V_ISR (V_BAR4 + 0x1000)
#define V_CONFIG (V_BAR4 + 0x2000)
#define V_NOTIFY (V_BAR4 + 0x3000)
#define V_RINGS 0x100000u      /* 64 KiB for each queue */
#define V_DATA 0x400000u
#define V_DEVFN (2 << 3)
#define V_SIZE 8u              /* of the queues that v_setup() makes */
#define V_BIT(n) (1ULL << (n))

typedef struct VQueue {
    uint64_t desc, avail, used;
    uint16_t size, next, seen; /* next available index; used index that was seen */
} VQueue;

/* Map the BARs of the function in slot 2, and let it be bus master. */
static inline void v_map(QTest *qts)
{
    qtest_pci_write(qts, 0, V_DEVFN, 0x10, 4, V_BAR0 | 1);
    qtest_pci_write(qts, 0, V_DEVFN, 0x14, 4, V_BAR1);
    qtest_pci_write(qts, 0, V_DEVFN, 0x20, 4, V_BAR4);
    qtest_pci_write(qts, 0, V_DEVFN, 0x24, 4, 0);
    qtest_pci_write(qts, 0, V_DEVFN, 0x04, 2, 7);
}

static inline uint8_t v_status(QTest *qts)
{
    return qtest_readb(qts, V_COMMON + VIRTIO_PCI_COMMON_STATUS);
}

static inline void v_set_status(QTest *qts, uint8_t status)
{
    qtest_writeb(qts, V_COMMON + VIRTIO_PCI_COMMON_STATUS, status);
}

static inline uint64_t v_offered(QTest *qts)
{
    uint64_t features;

    qtest_writel(qts, V_COMMON + VIRTIO_PCI_COMMON_DFSELECT, 1);
    features = (uint64_t)qtest_readl(qts, V_COMMON + VIRTIO_PCI_COMMON_DF) << 32;
    qtest_writel(qts, V_COMMON + VIRTIO_PCI_COMMON_DFSELECT, 0);
    return features | qtest_readl(qts, V_COMMON + VIRTIO_PCI_COMMON_DF);
}

static inline void v_accept(QTest *qts, uint64_t features)
{
    for (unsigned i = 0; i < 2; i++) {
        qtest_writel(qts, V_COMMON + VIRTIO_PCI_COMMON_GFSELECT, i);
        qtest_writel(qts, V_COMMON + VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> 32 * i));
    }
}

/* Reset, and up to FEATURES_OK. */
static inline void v_negotiate(QTest *qts, uint64_t features)
{
    v_set_status(qts, 0);
    while (v_status(qts)) {
        g_usleep(100);
    }
    v_set_status(qts, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    v_set_status(qts, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    v_accept(qts, features | V_BIT(VIRTIO_F_VERSION_1));
    v_set_status(qts, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                      VIRTIO_CONFIG_S_FEATURES_OK);
}

static inline void v_driver_ok(QTest *qts)
{
    v_set_status(qts, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void v_write_address(QTest *qts, unsigned at, uint64_t address)
{
    qtest_writel(qts, V_COMMON + at, (uint32_t)address);
    qtest_writel(qts, V_COMMON + at + 4, (uint32_t)(address >> 32));
}

/* A split queue of V_SIZE places in memory of its own, enabled. */
static inline VQueue v_queue(QTest *qts, unsigned index)
{
    uint64_t base = V_RINGS + index * 0x10000u;
    VQueue q = { base, base + 0x4000, base + 0x8000, V_SIZE, 0, 0 };

    qtest_memset(qts, base, 0, 0x10000);
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SELECT, (uint16_t)index);
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_SIZE, V_SIZE);
    v_write_address(qts, VIRTIO_PCI_COMMON_Q_DESCLO, q.desc);
    v_write_address(qts, VIRTIO_PCI_COMMON_Q_AVAILLO, q.avail);
    v_write_address(qts, VIRTIO_PCI_COMMON_Q_USEDLO, q.used);
    qtest_writew(qts, V_COMMON + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
    return q;
}

/* All of it: a running device with one queue. */
static inline VQueue v_setup(QTest *qts, uint64_t features)
{
    VQueue q;

    v_map(qts);
    v_negotiate(qts, features);
    q = v_queue(qts, 0);
    v_driver_ok(qts);
    return q;
}

static inline void v_desc(QTest *qts, const VQueue *q, unsigned i, uint64_t addr, uint32_t len,
                          uint16_t flags, uint16_t next)
{
    struct vring_desc desc = {
        GUINT64_TO_LE(addr), GUINT32_TO_LE(len), GUINT16_TO_LE(flags), GUINT16_TO_LE(next),
    };

    qtest_memwrite(qts, q->desc + i * sizeof(desc), &desc, sizeof(desc));
}

static inline void v_kick(QTest *qts, unsigned index)
{
    qtest_writew(qts, V_NOTIFY + index * 4, (uint16_t)index);
}

/* Offer the chain that begins at head; no kick. */
static inline void v_offer(QTest *qts, VQueue *q, uint16_t head)
{
    qtest_writew(qts, q->avail + 4 + q->next % q->size * 2u, head);
    qtest_writew(qts, q->avail + 2, ++q->next);
}

/* Has the device used the next chain (within ten seconds)? Its length. */
static inline uint32_t v_wait(QTest *qts, VQueue *q)
{
    for (int i = 0; i < 10000; i++) {
        if (qtest_readw(qts, q->used + 2) != q->seen) {
            return qtest_readl(qts, q->used + 8 + q->seen++ % q->size * 8u);
        }
        g_usleep(1000);
    }
    g_error("the device does not answer");
}

/* Status bit 40h within ten seconds. */
static inline void v_wait_broken(QTest *qts)
{
    for (int i = 0; i < 10000; i++) {
        if (v_status(qts) & VIRTIO_CONFIG_S_NEEDS_RESET) {
            return;
        }
        g_usleep(1000);
    }
    g_error("the device goes on");
}

#endif
