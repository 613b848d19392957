/* SPDX-License-Identifier: Apache-2.0 */
/* A PC's first IDE channel as a driver uses it; for tests of drives. */
#ifndef VIREO_TESTS_QTEST_IDE_PORT_H
#define VIREO_TESTS_QTEST_IDE_PORT_H

#include "tests/qtest/libqtest.h"

#define IDE_DEVFN (1 << 3 | 1)
#define IDE_BASE 0x1f0
#define IDE_CONTROL 0x3f6
#define BM_BASE 0xc040
enum { BM_COMMAND = BM_BASE, BM_STATUS = BM_BASE + 2, BM_TABLE = BM_BASE + 4 };
enum { BM_START = 1, BM_TO_MEMORY = 8 };
enum { BM_ACTIVE = 1, BM_ERROR = 2, BM_INTR = 4 };
enum {
    IDE_DATA = IDE_BASE, IDE_FEATURE, IDE_COUNT, IDE_LOW, IDE_MID, IDE_HIGH, IDE_DEVICE,
    IDE_COMMAND,
};
enum { BSY = 0x80, DRDY = 0x40, DF = 0x20, DSC = 0x10, DRQ = 0x08, ERR = 0x01 };
enum { UNC = 0x40, ABRT = 0x04 };
enum { SLAVE = 0x10, LBA = 0x40 };
enum {
    CMD_READ = 0x20, CMD_READ_EXT = 0x24, CMD_READ_DMA_EXT = 0x25, CMD_WRITE = 0x30,
    CMD_DSM = 0x06, CMD_READ_MULTIPLE = 0xc4, CMD_WRITE_MULTIPLE = 0xc5, CMD_READ_DMA = 0xc8,
    CMD_WRITE_DMA = 0xca, CMD_FLUSH = 0xe7, CMD_IDENTIFY = 0xec, CMD_PACKET = 0xa0,
    CMD_IDENTIFY_PACKET = 0xa1, CMD_SET_FEATURES = 0xef, CMD_SMART = 0xb0,
    CMD_INITIALIZE_PARAMETERS = 0x91,
};
#define IDE_SECTOR 512
#define PRD_TABLE 0x10000
#define DMA_BUFFER 0x100000
#define PRD_END 0x80000000u

/* Wait until the drive is not busy; its status. */
static inline uint8_t ide_wait(QTest *qts)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t status = qtest_inb(qts, IDE_CONTROL);

        if (!(status & BSY)) {
            return status;
        }
        g_usleep(100);
    }
    g_error("the drive stays busy");
}

static inline void ide_address(QTest *qts, uint64_t lba, unsigned count, uint8_t device)
{
    qtest_outb(qts, IDE_DEVICE, LBA | device | (lba >> 24 & 0x0f));
    qtest_outb(qts, IDE_FEATURE, 0);
    qtest_outb(qts, IDE_COUNT, count);
    qtest_outb(qts, IDE_LOW, lba);
    qtest_outb(qts, IDE_MID, lba >> 8);
    qtest_outb(qts, IDE_HIGH, lba >> 16);
}

/* LBA48: the upper bytes first. */
static inline void ide_address_wide(QTest *qts, uint64_t lba, unsigned count)
{
    qtest_outb(qts, IDE_DEVICE, LBA);
    qtest_outb(qts, IDE_COUNT, count >> 8);
    qtest_outb(qts, IDE_LOW, lba >> 24);
    qtest_outb(qts, IDE_MID, lba >> 32);
    qtest_outb(qts, IDE_HIGH, lba >> 40);
    qtest_outb(qts, IDE_COUNT, count);
    qtest_outb(qts, IDE_LOW, lba);
    qtest_outb(qts, IDE_MID, lba >> 8);
    qtest_outb(qts, IDE_HIGH, lba >> 16);
}

static inline uint8_t ide_command(QTest *qts, uint8_t command)
{
    qtest_outb(qts, IDE_COMMAND, command);
    return ide_wait(qts);
}

static inline void ide_read_data(QTest *qts, void *data, unsigned bytes)
{
    for (unsigned i = 0; i < bytes / 2; i++) {
        ((uint16_t *)data)[i] = qtest_inw(qts, IDE_DATA);
    }
}

static inline void ide_write_data(QTest *qts, const void *data, unsigned bytes)
{
    for (unsigned i = 0; i < bytes / 2; i++) {
        qtest_outw(qts, IDE_DATA, ((const uint16_t *)data)[i]);
    }
}

/* Bus master registers at BM_BASE. */
static inline void ide_enable_dma(QTest *qts)
{
    qtest_pci_write(qts, 0, IDE_DEVFN, 0x20, 4, BM_BASE);
    qtest_pci_write(qts, 0, IDE_DEVFN, 0x04, 2, 0x0005);
}

typedef struct Prd {
    uint32_t address, size_end;
} Prd;

static inline void ide_start_dma(QTest *qts, const Prd *prds, unsigned count, bool to_memory)
{
    qtest_outb(qts, BM_COMMAND, 0);
    qtest_outb(qts, BM_STATUS, BM_INTR | BM_ERROR);
    for (unsigned i = 0; i < count; i++) {
        qtest_writel(qts, PRD_TABLE + 8 * i, prds[i].address);
        qtest_writel(qts, PRD_TABLE + 8 * i + 4, prds[i].size_end);
    }
    qtest_outl(qts, BM_TABLE, PRD_TABLE);
    qtest_outb(qts, BM_COMMAND, BM_START | (to_memory ? BM_TO_MEMORY : 0));
}

/* Until the transfer has ended one way or the other; the bus master's status. */
static inline uint8_t ide_wait_dma(QTest *qts)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t status = qtest_inb(qts, BM_STATUS);

        if ((status & BM_INTR) || !(status & BM_ACTIVE)) {
            return status;
        }
        g_usleep(100);
    }
    g_error("the transfer does not end");
}

#endif
