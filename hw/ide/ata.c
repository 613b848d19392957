/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATA commands (ATA/ATAPI-7 volume 1, section 6; DATA SET MANAGEMENT: ACS-2): a table of what each
 * command is, by its code.
 */
#include "hw/ide/ide-internal.h"
#include "util/bits.h"

/* What a command has to do with the disk's sectors. */
enum {
    FOR_DISK = 1u << 0, FOR_CD = 1u << 1,
    WIDE = 1u << 2,     /* 48-bit addresses */
    WRITES = 1u << 3, DMA = 1u << 4,
    MULTIPLE = 1u << 5, /* a block of sectors for each interrupt */
    FUA = 1u << 6,
};

typedef struct Command {
    void (*run)(IdeDevice *dev);
    unsigned flags;
} Command;
static const Command commands[256];

enum { TRIM_FEATURE = 0x01, TRIM_ENTRIES = IDE_SECTOR / 8 };
enum {
    FEATURE_WRITE_CACHE_ON = 0x02, FEATURE_TRANSFER_MODE = 0x03, FEATURE_APM_ON = 0x05,
    FEATURE_AAM_ON = 0x42, FEATURE_LOOK_AHEAD_OFF = 0x55, FEATURE_REVERTING_OFF = 0x66,
    FEATURE_ECC_ON_1 = 0x69, FEATURE_ECC_OFF_1 = 0x67, FEATURE_WRITE_CACHE_OFF = 0x82,
    FEATURE_APM_OFF = 0x85, FEATURE_LOOK_AHEAD_ON = 0xaa, FEATURE_AAM_OFF = 0xc2,
    FEATURE_REVERTING_ON = 0xcc,
};
enum { POWER_ACTIVE = 0xff };

/* ---- Addresses ---- */

static bool uses_lba(const IdeDevice *dev)
{
    return dev->regs->device & DEVICE_LBA;
}

/* The first sector; false if the address is none (a sector 0, for cylinders). */
static bool load_lba(const IdeDevice *dev, uint64_t *lba)
{
    const IdeUnitRegs *regs = dev->regs;
    uint32_t low = regs->lba_low[0] | regs->lba_mid[0] << 8 | regs->lba_high[0] << 16;
    uint32_t cyl = regs->lba_mid[0] | regs->lba_high[0] << 8;
    uint32_t head = regs->device & DEVICE_HEAD;

    if (dev->wide) {
        *lba = (uint64_t)regs->lba_high[1] << 40 | (uint64_t)regs->lba_mid[1] << 32 |
               (uint64_t)regs->lba_low[1] << 24 | low;
        return true;
    }
    if (uses_lba(dev)) {
        *lba = (uint64_t)head << 24 | low;
        return true;
    }
    if (!regs->lba_low[0] || head >= dev->heads || regs->lba_low[0] > dev->secs) {
        return false;
    }
    *lba = ((uint64_t)cyl * dev->heads + head) * dev->secs + regs->lba_low[0] - 1;
    return true;
}

static uint32_t load_count(const IdeDevice *dev)
{
    const IdeUnitRegs *regs = dev->regs;

    if (dev->wide) {
        uint32_t count = regs->count[1] << 8 | regs->count[0];

        return count ? count : 65536;
    }
    return regs->count[0] ? regs->count[0] : 256;
}

void ata_store_lba(IdeDevice *dev)
{
    IdeUnitRegs *regs = dev->regs;
    uint64_t lba = dev->lba;

    if (dev->wide) {
        regs->lba_low[1] = lba >> 24;
        regs->lba_mid[1] = lba >> 32;
        regs->lba_high[1] = lba >> 40;
    } else if (!uses_lba(dev)) {
        /* heads and secs are never 0: reset and INITIALIZE DEVICE PARAMETERS see to it. */
        uint64_t track = lba / dev->secs;

        regs->lba_low[0] = lba % dev->secs + 1;
        regs->lba_mid[0] = track / dev->heads;
        regs->lba_high[0] = track / dev->heads >> 8;
        regs->device = (regs->device & ~DEVICE_HEAD) | (track % dev->heads & DEVICE_HEAD);
        return;
    } else {
        regs->device = (regs->device & ~DEVICE_HEAD) | (lba >> 24 & DEVICE_HEAD);
    }
    regs->lba_low[0] = lba;
    regs->lba_mid[0] = lba >> 8;
    regs->lba_high[0] = lba >> 16;
}

/* Is what the registers name on the disk? Then lba and left are set. */
static bool load_range(IdeDevice *dev)
{
    if (!load_lba(dev, &dev->lba)) {
        return false;
    }
    dev->left = load_count(dev);
    return range_ok(dev->lba, dev->left, dev->sectors);
}

/* ---- Reading and writing ---- */

void ata_write_more(IdeDevice *dev)
{
    ide_pio_out(dev, MIN(dev->left, dev->chunk) * IDE_SECTOR, IDE_NEXT_WRITE);
}

static void transfer(IdeDevice *dev)
{
    unsigned flags = commands[dev->command].flags;
    bool writes = flags & WRITES;

    if (!load_range(dev) || (writes && dev->conf.read_only) ||
        ((flags & MULTIPLE) && !dev->multiple)) {
        dev->left = 0;
        ide_abort(dev);
        return;
    }
    dev->fua = flags & FUA;
    dev->chunk = flags & MULTIPLE ? dev->multiple : 1;
    if (flags & DMA) {
        dev->next = writes ? IDE_NEXT_WRITE : IDE_NEXT_DONE;
        ide_start(dev, IDE_DMA);
    } else if (writes) {
        ata_write_more(dev);
    } else {
        ide_start(dev, IDE_PIO_READ);
    }
}

static void verify(IdeDevice *dev)
{
    bool ok = load_range(dev);

    dev->left = 0;
    if (ok) {
        ide_complete(dev);
    } else {
        ide_abort(dev);
    }
}

static void flush(IdeDevice *dev)
{
    ide_start(dev, IDE_FLUSH);
}

static void set_multiple(IdeDevice *dev)
{
    uint8_t count = dev->regs->count[0];

    if (count > IDE_MAX_MULTIPLE || (count & (count - 1))) {
        ide_abort(dev);
        return;
    }
    dev->multiple = count;
    ide_complete(dev);
}

static void native_max(IdeDevice *dev)
{
    uint64_t last = dev->sectors - 1;

    if (!dev->wide && !uses_lba(dev)) {
        ide_abort(dev);
        return;
    }
    dev->lba = dev->wide ? last : MIN(last, 0xfffffffULL);
    ata_store_lba(dev);
    ide_complete(dev);
}

/* ---- TRIM: blocks of entries, each an address of 48 bits and a count of 16 ---- */

static void data_set_management(IdeDevice *dev)
{
    uint32_t bytes = load_count(dev) * IDE_SECTOR;

    if (!(dev->regs->feature[0] & TRIM_FEATURE) || bytes > IDE_BUFFER || dev->conf.read_only) {
        ide_abort(dev);
        return;
    }
    dev->left = 0;
    dev->next = IDE_NEXT_TRIM;
    dev->data_pos = 0;
    dev->data_end = bytes;
    ide_start(dev, IDE_DMA_BUFFER);
}

/* Discard what the next entry with a count names; `left` is how many were looked at. */
void ata_trim(IdeDevice *dev)
{
    while (dev->left < dev->data_end / 8) {
        uint64_t entry = ldq_le(dev->data + dev->left * 8);
        uint32_t count = entry >> 48;

        dev->left++;
        dev->lba = entry & 0xffffffffffffULL;
        if (!count) {
            continue;
        }
        if (!range_ok(dev->lba, count, dev->sectors)) {
            ide_abort(dev);
            return;
        }
        dev->moving = count;
        ide_start(dev, IDE_TRIM);
        return;
    }
    dev->left = 0;
    ide_complete(dev);
}

/* ---- Settings ---- */

static void initialize_parameters(IdeDevice *dev)
{
    uint8_t secs = dev->regs->count[0];

    if (!secs) {
        ide_abort(dev);
        return;
    }
    dev->heads = (dev->regs->device & DEVICE_HEAD) + 1;
    dev->secs = secs;
    dev->cyls = MIN(dev->sectors / ((uint32_t)dev->heads * secs), 65535);
    ide_complete(dev);
}

static bool set_transfer_mode(IdeDevice *dev)
{
    /* Bits 7:3 the kind, 2:0 the number of the fastest: PIO 4, multi-word 2, Ultra 5. */
    static const struct { uint8_t kind, fastest; } kinds[] = {
        { 0x00, 1 }, { 0x01, 4 }, { 0x04, 2 }, { 0x08, 5 },
    };
    uint8_t kind = dev->regs->count[0] >> 3, number = dev->regs->count[0] & 7;

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (kinds[i].kind == kind && number <= kinds[i].fastest) {
            dev->mode_kind = kind;
            dev->mode_number = number;
            return true;
        }
    }
    return false;
}

static void set_write_cache(IdeDevice *dev, bool on)
{
    block_backend_set_write_cache(dev->conf.blk, on);
    if (on) {
        ide_complete(dev);
    } else {
        ide_start(dev, IDE_FLUSH); /* what is in the cache has to go out */
    }
}

static void set_features(IdeDevice *dev)
{
    switch (dev->regs->feature[0]) {
    case FEATURE_WRITE_CACHE_ON:
        set_write_cache(dev, true);
        return;
    case FEATURE_WRITE_CACHE_OFF:
        set_write_cache(dev, false);
        return;
    case FEATURE_TRANSFER_MODE:
        if (!set_transfer_mode(dev)) {
            ide_abort(dev);
            return;
        }
        break;
    case FEATURE_REVERTING_OFF:
    case FEATURE_REVERTING_ON:
        dev->reverting_off = dev->regs->feature[0] == FEATURE_REVERTING_OFF;
        break;
    case FEATURE_APM_ON:
    case FEATURE_APM_OFF:
    case FEATURE_AAM_ON:
    case FEATURE_AAM_OFF:
    case FEATURE_LOOK_AHEAD_ON:
    case FEATURE_LOOK_AHEAD_OFF:
    case FEATURE_ECC_ON_1:
    case FEATURE_ECC_OFF_1:
        break; /* nothing that a guest could notice */
    default:
        ide_abort(dev);
        return;
    }
    ide_complete(dev);
}

static void check_power(IdeDevice *dev)
{
    dev->regs->count[0] = POWER_ACTIVE;
    ide_complete(dev);
}

/* Medium status: there is one, and it may be written to. */
static void media_status(IdeDevice *dev)
{
    ide_complete(dev);
}

/* For drivers that try a disk's command: the signature tells them that it is a packet device. */
static bool refused_by_signature(IdeDevice *dev)
{
    if (dev->is_cd) {
        ide_set_signature(dev);
        ide_abort(dev);
    }
    return dev->is_cd;
}

static void read_sectors(IdeDevice *dev)
{
    if (!refused_by_signature(dev)) {
        transfer(dev);
    }
}

static void identify(IdeDevice *dev)
{
    if (refused_by_signature(dev)) {
        return;
    }
    ata_identify(dev);
    ide_pio_in(dev, 0, IDE_SECTOR, IDE_NEXT_DONE);
}

static void identify_packet(IdeDevice *dev)
{
    atapi_identify(dev);
    ide_pio_in(dev, 0, IDE_SECTOR, IDE_NEXT_DONE);
}

/* ---- The table ---- */

#define BOTH (FOR_DISK | FOR_CD)
#define XFER(extra) { transfer, FOR_DISK | (extra) }

static const Command commands[256] = {
    [0x06] = { data_set_management, FOR_DISK | WIDE },
    [0x10 ... 0x1f] = { ide_complete, FOR_DISK }, /* RECALIBRATE */
    [0x20] = { read_sectors, BOTH },
    [0x21] = XFER(0),
    [0x24] = XFER(WIDE),
    [0x25] = XFER(WIDE | DMA),
    [0x27] = { native_max, FOR_DISK | WIDE },
    [0x29] = XFER(WIDE | MULTIPLE),
    [0x30 ... 0x31] = XFER(WRITES),
    [0x34] = XFER(WIDE | WRITES),
    [0x35] = XFER(WIDE | WRITES | DMA),
    [0x39] = XFER(WIDE | WRITES | MULTIPLE),
    [0x3c] = XFER(WRITES), /* WRITE VERIFY */
    [0x3d] = XFER(WIDE | WRITES | DMA | FUA),
    [0x40 ... 0x41] = { verify, FOR_DISK },
    [0x42] = { verify, FOR_DISK | WIDE },
    [0x70] = { ide_complete, FOR_DISK }, /* SEEK */
    [0x91] = { initialize_parameters, FOR_DISK },
    [0x94 ... 0x97] = { ide_complete, BOTH }, /* power, by their old codes */
    [0x98] = { check_power, BOTH },
    [0x99] = { ide_complete, BOTH },
    [0xa0] = { atapi_packet, FOR_CD },
    [0xa1] = { identify_packet, FOR_CD },
    [0xb0] = { ata_smart, FOR_DISK },
    [0xc4] = XFER(MULTIPLE),
    [0xc5] = XFER(WRITES | MULTIPLE),
    [0xc6] = { set_multiple, FOR_DISK },
    [0xc8 ... 0xc9] = XFER(DMA),
    [0xca ... 0xcb] = XFER(WRITES | DMA),
    [0xce] = XFER(WIDE | WRITES | MULTIPLE | FUA),
    [0xda] = { media_status, FOR_DISK },
    [0xe0 ... 0xe3] = { ide_complete, BOTH }, /* power */
    [0xe5] = { check_power, BOTH },
    [0xe6] = { ide_complete, BOTH },
    [0xe7] = { flush, BOTH },
    [0xea] = { flush, BOTH | WIDE },
    [0xec] = { identify, BOTH },
    [0xef] = { set_features, BOTH },
    [0xf8] = { native_max, FOR_DISK },
};

void ide_command(IdeDevice *dev, uint8_t command)
{
    const Command *found = &commands[command];

    dev->command = command;
    dev->wide = found->flags & WIDE;
    if (!found->run || !(found->flags & (dev->is_cd ? FOR_CD : FOR_DISK))) {
        ide_abort(dev);
        return;
    }
    dev->regs->error = 0;
    found->run(dev);
}
