/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet commands of a CD-ROM (ATA/ATAPI-7 volume 2, section 9.9 for the packet protocol; SPC-3
 * and MMC-5 for the commands): a table of commands, readiness and senses, and how answers and
 * sectors go to the host.
 *
 * By PIO the host gets pieces of at most its byte limit; between them the interrupt reason (in the
 * count register) says that data comes, and at the end that status does. By DMA it gets all at
 * once.
 */
#include "hw/ide/atapi.h"

#include "util/bits.h"
#include "util/error.h"

enum { FEATURE_DMA = 0x01, FEATURE_OVERLAP = 0x02 };
#define BYTE_LIMIT_MAX 0xfffeu
/* Of one request; expanded to raw sectors they still fit into data[]. */
#define SECTORS_PER_REQUEST 32u
#define RAW_SECTOR 2352u
#define RAW_HEADER 16u
#define FRAMES_PER_SECOND 75u
#define LEAD_IN_FRAMES 150u
G_STATIC_ASSERT(SECTORS_PER_REQUEST * RAW_SECTOR <= IDE_BUFFER);
G_STATIC_ASSERT(SECTORS_PER_REQUEST == IDE_BUFFER / ATAPI_SECTOR / 2);

/* ---- Ends ---- */

void atapi_good(IdeDevice *dev)
{
    dev->atapi.sense_key = SENSE_NONE;
    dev->atapi.asc = dev->atapi.ascq = 0;
    dev->atapi.answer = 0;
    dev->regs->count[0] = REASON_COMMAND | REASON_TO_HOST;
    ide_complete(dev);
}

void atapi_error(IdeDevice *dev, uint8_t key, uint16_t code)
{
    dev->atapi.sense_key = key;
    dev->atapi.asc = code >> 8;
    dev->atapi.ascq = code;
    dev->atapi.answer = 0;
    dev->atapi.sectors = 0;
    dev->regs->count[0] = REASON_COMMAND | REASON_TO_HOST;
    ide_fail(dev, (uint8_t)(key << 4) | ERROR_ABRT);
}

void atapi_io_failed(IdeDevice *dev)
{
    if (!atapi_is_ready(dev)) {
        atapi_error(dev, SENSE_NOT_READY, ASC_NO_MEDIUM);
    } else {
        atapi_error(dev, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ);
    }
}

void atapi_reset(IdeDevice *dev)
{
    dev->atapi.tray_locked = false;
    dev->atapi.sense_key = SENSE_NONE;
    dev->atapi.asc = dev->atapi.ascq = 0;
}

/* ---- Data to the host ---- */

static void next_pio_piece(IdeDevice *dev)
{
    uint32_t n = MIN(dev->atapi.answer, dev->atapi.byte_limit);
    uint32_t from = dev->atapi.answer_pos;

    dev->atapi.answer -= n;
    dev->atapi.answer_pos += n;
    dev->regs->lba_mid[0] = n;
    dev->regs->lba_high[0] = n >> 8;
    dev->regs->count[0] = REASON_TO_HOST;
    ide_pio_in(dev, from, n, IDE_NEXT_PACKET_IN);
}

static void send_answer(IdeDevice *dev)
{
    if (dev->atapi.use_dma) {
        dev->next = IDE_NEXT_PACKET_IN;
        dev->data_pos = 0;
        dev->data_end = dev->atapi.answer;
        dev->atapi.answer = 0;
        ide_start(dev, IDE_DMA_BUFFER);
    } else {
        next_pio_piece(dev);
    }
}

/* Data of the command stands at the start of data[]; no more than `limit` of it is wanted. */
void atapi_answer(IdeDevice *dev, uint32_t len, uint32_t limit)
{
    dev->atapi.answer = MIN(len, limit);
    dev->atapi.answer_pos = 0;
    if (!dev->atapi.answer) {
        atapi_good(dev);
    } else {
        send_answer(dev);
    }
}

/* The host has got what there was: the next piece, the next sectors, or the end. */
void atapi_more(IdeDevice *dev)
{
    if (dev->atapi.answer) {
        next_pio_piece(dev);
    } else if (dev->atapi.sectors) {
        ide_start(dev, IDE_PIO_READ);
    } else {
        atapi_good(dev);
    }
}

void atapi_dma_done(IdeDevice *dev)
{
    if (dev->next == IDE_NEXT_MODE_SELECT) {
        atapi_mode_select_data(dev);
    } else {
        atapi_more(dev);
    }
}

/* ---- Sectors ---- */

static uint8_t to_bcd(unsigned value)
{
    return (uint8_t)(value / 10 << 4 | value % 10);
}

/* Sync pattern, address and mode 1 around each sector's data; the checksums are left out. */
static void expand_sectors(IdeDevice *dev, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;) {
        uint8_t *raw = dev->data + i * RAW_SECTOR;
        uint32_t frame = dev->atapi.lba + i + LEAD_IN_FRAMES;

        memmove(raw + RAW_HEADER, dev->data + i * ATAPI_SECTOR, ATAPI_SECTOR);
        memset(raw, 0xff, 12);
        raw[0] = raw[11] = 0;
        raw[12] = to_bcd(frame / FRAMES_PER_SECOND / 60 % 100);
        raw[13] = to_bcd(frame / FRAMES_PER_SECOND % 60);
        raw[14] = to_bcd(frame % FRAMES_PER_SECOND);
        raw[15] = 1;
        memset(raw + RAW_HEADER + ATAPI_SECTOR, 0, RAW_SECTOR - RAW_HEADER - ATAPI_SECTOR);
    }
}

void atapi_sectors_read(IdeDevice *dev)
{
    uint32_t count = dev->moving / ATAPI_SECTOR;

    if (dev->atapi.raw) {
        expand_sectors(dev, count);
    }
    dev->atapi.lba += count;
    dev->atapi.sectors -= count;
    dev->atapi.answer = count * (dev->atapi.raw ? RAW_SECTOR : ATAPI_SECTOR);
    dev->atapi.answer_pos = 0;
    send_answer(dev);
}

void atapi_read(IdeDevice *dev, uint32_t lba, uint32_t count, bool raw)
{
    if (!range_ok(lba, count, atapi_disc_sectors(dev))) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
        return;
    }
    if (!count) {
        atapi_good(dev);
        return;
    }
    dev->atapi.lba = lba;
    dev->atapi.sectors = count;
    dev->atapi.raw = raw;
    dev->next = IDE_NEXT_PACKET_IN;
    ide_start(dev, dev->atapi.use_dma && !raw ? IDE_DMA : IDE_PIO_READ);
}

/* ---- The command ---- */

void atapi_packet(IdeDevice *dev)
{
    IdeUnitRegs *regs = dev->regs;
    uint32_t limit = regs->lba_mid[0] | regs->lba_high[0] << 8;

    if (regs->feature[0] & FEATURE_OVERLAP) {
        ide_abort(dev);
        return;
    }
    dev->atapi.use_dma = regs->feature[0] & FEATURE_DMA;
    /* Odd pieces would end within a word. */
    dev->atapi.byte_limit = MIN(limit, BYTE_LIMIT_MAX) & ~1u;
    dev->atapi.answer = 0;
    dev->atapi.sectors = 0;
    regs->count[0] = REASON_COMMAND;
    ide_pio_out(dev, ATAPI_PACKET, IDE_NEXT_PACKET);
}

/* What comes before most commands: is there a disc, and does the host know that it is new? */
static bool check_ready(IdeDevice *dev, unsigned flags)
{
    if ((flags & ATAPI_TELLS_CHANGE) && dev->atapi.changed && atapi_is_ready(dev)) {
        dev->atapi.changed = false;
        atapi_error(dev, SENSE_UNIT_ATTENTION, ASC_MEDIUM_CHANGED);
        return false;
    }
    if ((flags & ATAPI_NEEDS_DISC) && !atapi_is_ready(dev)) {
        atapi_error(dev, SENSE_NOT_READY, ASC_NO_MEDIUM);
        return false;
    }
    return true;
}

void atapi_execute(IdeDevice *dev)
{
    const AtapiCommand *command;

    memcpy(dev->atapi.packet, dev->data, ATAPI_PACKET);
    command = &atapi_commands[dev->atapi.packet[0]];
    dev->phase = IDE_IDLE;
    if (!command->run) {
        atapi_error(dev, SENSE_ILLEGAL_REQUEST, ASC_ILLEGAL_OPCODE);
        return;
    }
    if (!(command->flags & ATAPI_NO_DATA) && !dev->atapi.use_dma && !dev->atapi.byte_limit) {
        /* Pieces of nothing would never come to an end. */
        dev->regs->count[0] = REASON_COMMAND | REASON_TO_HOST;
        ide_abort(dev);
        return;
    }
    if (check_ready(dev, command->flags)) {
        command->run(dev, dev->atapi.packet);
    }
}
