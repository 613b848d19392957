/* SPDX-License-Identifier: Apache-2.0 */
/* IDENTIFY (PACKET) DEVICE: 256 words (ATA/ATAPI-7 volume 1, 6.17 and 6.18; ACS-2 for TRIM). */
#include "hw/ide/ide-internal.h"
#include "util/bits.h"

enum {
    W_CONFIG = 0, W_CYLS = 1, W_HEADS = 3, W_TRACK_BYTES = 4, W_SECTOR_BYTES = 5, W_SECS = 6,
    W_SERIAL = 10, W_BUFFER_TYPE = 20, W_BUFFER_SIZE = 21, W_ECC = 22, W_FIRMWARE = 23,
    W_MODEL = 27, W_MAX_MULTIPLE = 47, W_DWORD_IO = 48, W_CAPABILITIES = 49, W_CAPABILITIES2 = 50,
    W_PIO_TIMING = 51, W_DMA_TIMING = 52, W_VALID = 53, W_CUR_CYLS = 54, W_CUR_HEADS = 55,
    W_CUR_SECS = 56, W_CUR_SECTORS = 57, W_MULTIPLE = 59, W_LBA28 = 60, W_SWDMA = 62, W_MWDMA = 63,
    W_PIO_MODES = 64, W_MWDMA_MIN = 65, W_MWDMA_BEST = 66, W_PIO_MIN = 67, W_PIO_IORDY_MIN = 68,
    W_TRIM_RETURNS = 69, W_QUEUE = 75, W_MAJOR = 80, W_MINOR = 81, W_SETS = 82, W_UDMA = 88,
    W_RESET_RESULT = 93, W_LBA48 = 100, W_TRIM_BLOCKS = 105, W_SECTOR_LAYOUT = 106, W_WWN = 108,
    W_SECTOR_WORDS = 117, W_TRIM = 169, W_ROTATION = 217,
};
enum { KIND_MWDMA = 0x04, KIND_UDMA = 0x08 };
enum {
    SETS1_SMART = BIT(0), SETS1_WRITE_CACHE = BIT(5), SETS1_PACKET = BIT(4), SETS1_NOP = BIT(14),
    SETS2_FLUSH = BIT(12), SETS2_FLUSH_EXT = BIT(13), SETS2_LBA48 = BIT(10),
    SETS3_WWN = BIT(8), SETS3_FUA = BIT(6), SETS_ONE = BIT(14),
};

static void put(IdeDevice *dev, unsigned word, uint16_t value)
{
    stw_le(dev->data + 2 * word, value);
}

static void put32(IdeDevice *dev, unsigned word, uint32_t value)
{
    stl_le(dev->data + 2 * word, value);
}

/* Padded with blanks, the first character in the upper byte. */
static void put_text(IdeDevice *dev, unsigned word, const char *text, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        dev->data[2 * word + (i ^ 1)] = *text ? *text++ : ' ';
    }
}

/* Modes up to the fastest that there is; bit 8 and up: the one that was chosen. */
static uint16_t dma_modes(const IdeDevice *dev, uint8_t kind, unsigned fastest)
{
    uint16_t modes = BIT(fastest + 1) - 1;

    return dev->mode_kind == kind ? modes | BIT(8 + dev->mode_number) : modes;
}

static void put_transfer_modes(IdeDevice *dev)
{
    put(dev, W_VALID, 7);
    put(dev, W_SWDMA, 7);
    put(dev, W_MWDMA, dma_modes(dev, KIND_MWDMA, 2));
    put(dev, W_PIO_MODES, 3);
    put(dev, W_MWDMA_MIN, 120);
    put(dev, W_MWDMA_BEST, 120);
    put(dev, W_PIO_MIN, 120);
    put(dev, W_PIO_IORDY_MIN, 120);
    put(dev, W_UDMA, dma_modes(dev, KIND_UDMA, 5));
    /* 80 wires; the drive asserted PDIAG. */
    put(dev, W_RESET_RESULT, 1 | BIT(14) | BIT(13));
}

static void put_names(IdeDevice *dev)
{
    put_text(dev, W_SERIAL, dev->serial, 20);
    put_text(dev, W_FIRMWARE, dev->version, 8);
    put_text(dev, W_MODEL, dev->model, 40);
    put(dev, W_BUFFER_TYPE, 3);
    put(dev, W_BUFFER_SIZE, 512);
    put(dev, W_ECC, 4);
}

static void put_wwn(IdeDevice *dev)
{
    for (unsigned i = 0; dev->wwn && i < 4; i++) {
        put(dev, W_WWN + i, dev->wwn >> (16 * (3 - i)));
    }
}

static void put_geometry(IdeDevice *dev)
{
    uint32_t current = (uint32_t)dev->cyls * dev->heads * dev->secs;

    put(dev, W_CONFIG, 0x0040);
    put(dev, W_CYLS, dev->conf.cyls);
    put(dev, W_HEADS, dev->conf.heads);
    put(dev, W_TRACK_BYTES, IDE_SECTOR * dev->conf.secs);
    put(dev, W_SECTOR_BYTES, IDE_SECTOR);
    put(dev, W_SECS, dev->conf.secs);
    put(dev, W_CUR_CYLS, dev->cyls);
    put(dev, W_CUR_HEADS, dev->heads);
    put(dev, W_CUR_SECS, dev->secs);
    put32(dev, W_CUR_SECTORS, current);
    put32(dev, W_LBA28, MIN(dev->sectors, 0xfffffffULL));
    put32(dev, W_LBA48, dev->sectors);
    put32(dev, W_LBA48 + 2, dev->sectors >> 32);
}

static void put_feature_sets(IdeDevice *dev)
{
    uint16_t first = SETS_ONE | SETS1_WRITE_CACHE | SETS1_SMART;
    uint16_t third = SETS_ONE | (dev->wwn ? SETS3_WWN : 0);
    bool cached = block_backend_write_cache(dev->conf.blk);

    put(dev, W_MAJOR, 0xf0); /* ATA/ATAPI-4 to -7 */
    put(dev, W_MINOR, 0x16);
    put(dev, W_SETS, first);
    put(dev, W_SETS + 1, SETS_ONE | SETS2_FLUSH_EXT | SETS2_FLUSH | SETS2_LBA48);
    put(dev, W_SETS + 2, third);
    put(dev, W_SETS + 3, SETS_ONE | (cached ? SETS1_WRITE_CACHE : 0) |
                         (dev->smart ? SETS1_SMART : 0));
    put(dev, W_SETS + 4, SETS2_FLUSH_EXT | SETS2_FLUSH | SETS2_LBA48);
    put(dev, W_SETS + 5, third);
}

static unsigned log2_of(uint32_t value)
{
    return value ? 31 - __builtin_clz(value) : 0;
}

static void put_sector_sizes(IdeDevice *dev)
{
    unsigned shift = log2_of(dev->conf.physical_block_size / IDE_SECTOR);

    put(dev, W_SECTOR_LAYOUT, BIT(14) | BIT(13) | shift);
}

static void put_trim(IdeDevice *dev)
{
    if (dev->conf.discard_granularity) {
        put(dev, W_TRIM_RETURNS, BIT(14)); /* reads of what was discarded agree */
        put(dev, W_TRIM_BLOCKS, 1);
        put(dev, W_TRIM, 1);
    }
}

void ata_identify(IdeDevice *dev)
{
    memset(dev->data, 0, IDE_SECTOR);
    put_geometry(dev);
    put_names(dev);
    put(dev, W_MAX_MULTIPLE, 0x8000 | IDE_MAX_MULTIPLE);
    put(dev, W_DWORD_IO, 1);
    put(dev, W_CAPABILITIES, BIT(11) | BIT(9) | BIT(8)); /* IORDY, LBA, DMA */
    put(dev, W_PIO_TIMING, 0x200);
    put(dev, W_DMA_TIMING, 0x200);
    put(dev, W_MULTIPLE, dev->multiple ? 0x100 | dev->multiple : 0);
    put_transfer_modes(dev);
    put_feature_sets(dev);
    put_sector_sizes(dev);
    put_wwn(dev);
    put(dev, W_ROTATION, dev->rotation_rate);
    put_trim(dev);
}

void atapi_identify(IdeDevice *dev)
{
    memset(dev->data, 0, IDE_SECTOR);
    /* Packet device, CD-ROM, removable, packets of 12 bytes, DRQ within 50 us. */
    put(dev, W_CONFIG, 2 << 14 | 5 << 8 | 1 << 7 | 2 << 5);
    put_names(dev);
    put(dev, W_DWORD_IO, 1);
    put(dev, W_CAPABILITIES, BIT(9) | BIT(8));
    put_transfer_modes(dev);
    put(dev, 71, 30);
    put(dev, 72, 30);
    put(dev, W_MAJOR, 0x1e);
    put(dev, W_SETS, SETS1_NOP | BIT(9) | SETS1_PACKET);
    put(dev, W_SETS + 1, SETS_ONE);
    put(dev, W_SETS + 2, SETS_ONE | (dev->wwn ? SETS3_WWN : 0));
    put(dev, W_SETS + 3, SETS1_NOP | BIT(9) | SETS1_PACKET);
    put(dev, W_SETS + 5, SETS_ONE | (dev->wwn ? SETS3_WWN : 0));
    put_wwn(dev);
}
