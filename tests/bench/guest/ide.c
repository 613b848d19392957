/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first drive of a PIIX3's first channel, by bus master DMA and its interrupt at IOAPIC pin 14.
 * Sources: ATA/ATAPI-6 (READ and WRITE DMA EXT), Programming Interface for Bus Master IDE
 * Controller 1.0, 82093AA IOAPIC.
 */
#include "guest.h"
#include "pci.h"

enum {
    VENDOR_INTEL = 0x8086,
    PIIX3_IDE = 0x7010,
    IDE_TIMING = 0x40,
    TIMING_ENABLE = 0x8000, /* the channel decodes its ports */
    BUS_MASTER_BAR = 4,

    ATA_COUNT = 0x1f2,
    ATA_DEVICE = 0x1f6,
    ATA_COMMAND = 0x1f7,
    DEVICE_LBA = 0x40,
    STATUS_ERROR = 0x21, /* ERR, DF */
    READ_DMA_EXT = 0x25,
    WRITE_DMA_EXT = 0x35,

    BM_COMMAND = 0,
    BM_STATUS = 2,
    BM_TABLE = 4,
    BM_START = 1,
    BM_TO_MEMORY = 8,
    BM_ERROR = 2,
    BM_CLEAR = 6,

    IOAPIC_PIN = 14,
    IOAPIC_REDIRECTION = 0x10,
    SECTOR = 512,
    REGION = 65536,
    LAST_REGION = 1U << 31,
    MAX_BYTES = 32 << 20,
};

#define IOAPIC_BASE 0xfec00000UL

static void write_ioapic(uint32_t reg, uint32_t value)
{
    write_mmio(IOAPIC_BASE, reg);
    write_mmio(IOAPIC_BASE + 0x10, value);
}

static uint16_t open_drive(const struct job *job)
{
    struct pci_device device;

    if (!pci_find(VENDOR_INTEL, PIIX3_IDE, PIIX3_IDE, &device)) {
        fail(job->name, "there is no PIIX3 IDE");
    }
    pci_write16(&device, IDE_TIMING, TIMING_ENABLE);
    enable_interrupts();
    write_ioapic(IOAPIC_REDIRECTION + 2 * IOAPIC_PIN + 1, 0);
    write_ioapic(IOAPIC_REDIRECTION + 2 * IOAPIC_PIN, VECTOR_DEVICE);
    write_port(ATA_DEVICE, DEVICE_LBA);
    return (uint16_t)device.bar[BUS_MASTER_BAR];
}

/* Physical region descriptors of 64 KiB each over the data area. */
static void build_table(uint64_t bytes)
{
    uint32_t *entry = (uint32_t *)RINGS_BASE;

    for (uint64_t at = 0; at < bytes; at += REGION, entry += 2) {
        uint64_t rest = bytes - at;

        entry[0] = (uint32_t)(DATA_BASE + at);
        entry[1] = (rest < REGION ? (uint32_t)rest : 0) | (rest <= REGION ? LAST_REGION : 0);
    }
}

/* The registers take two bytes each, the high ones first. */
static void write_task_file(uint64_t lba, uint64_t sectors)
{
    for (int shift = 8; shift >= 0; shift -= 8) {
        write_port(ATA_COUNT, (uint8_t)(sectors >> shift));
        write_port(ATA_COUNT + 1, (uint8_t)(lba >> 3 * shift));
        write_port(ATA_COUNT + 2, (uint8_t)(lba >> (8 + 3 * shift)));
        write_port(ATA_COUNT + 3, (uint8_t)(lba >> (16 + 3 * shift)));
    }
}

static void do_request(const struct job *job, uint16_t bus_master, uint64_t lba, uint64_t bytes,
                       bool write)
{
    uint8_t direction = write ? 0 : BM_TO_MEMORY;
    uint32_t interrupts = device_interrupts;
    uint8_t status;

    write_port(bus_master + BM_COMMAND, direction);
    write_port32(bus_master + BM_TABLE, RINGS_BASE);
    write_port(bus_master + BM_STATUS, BM_CLEAR);
    write_task_file(lba, bytes / SECTOR);
    write_port(ATA_COMMAND, write ? WRITE_DMA_EXT : READ_DMA_EXT);
    write_port(bus_master + BM_COMMAND, direction | BM_START);
    while (device_interrupts == interrupts) {
        pause();
    }
    status = read_port(bus_master + BM_STATUS);
    write_port(bus_master + BM_COMMAND, 0);
    if ((read_port(ATA_COMMAND) & STATUS_ERROR) || (status & BM_ERROR)) {
        fail(job->name, "a request failed");
    }
}

/* From the disk's start on; the disk must be as long. */
static void run_ide(const struct job *job, bool write)
{
    uint64_t bytes = job->argument[0] * 1024, count = job->argument[1];
    uint16_t bus_master = open_drive(job);
    uint64_t start;

    if (!bytes || bytes > MAX_BYTES) {
        fail(job->name, "takes up to 32768 KiB");
    }
    build_table(bytes);
    print_begin(job);
    start = read_tsc();
    for (uint64_t i = 0; i < count; i++) {
        do_request(job, bus_master, i * bytes / SECTOR, bytes, write);
    }
    print_result(job, count, read_tsc() - start);
}

void run_ide_read(const struct job *job)
{
    run_ide(job, false);
}

void run_ide_write(const struct job *job)
{
    run_ide(job, true);
}
