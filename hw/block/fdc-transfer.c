/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data of floppy commands, a sector at a time: the medium is read into data[], which the host takes
 * by DMA or byte by byte; or the other way round. The DMA controller's terminal count ends a
 * command, or the last sector of the track.
 *
 * A reset lets a request in flight go on by itself; its memory is apart from data[], and nothing
 * new starts before it has ended.
 */
#include <string.h>

#include "hw/block/fdc-internal.h"
#include "util/bits.h"

#define SIZE_512 2

static void next_sector(Fdc *fdc);

static bool to_host(const Fdc *fdc)
{
    return fdc->task == FDC_READ;
}

/* data[] is ready to go, or to be filled. */
static void ask_host(Fdc *fdc, uint32_t len)
{
    fdc->phase = to_host(fdc) ? FDC_TO_HOST : FDC_FROM_HOST;
    fdc->data_pos = 0;
    fdc->data_len = len;
    if (fdc->use_dma) {
        fdc->dma_ops->hold_request(fdc->dma, (int)fdc->dma_channel, true);
    } else {
        fdc_raise_irq(fdc);
    }
}

static void stop_asking(Fdc *fdc)
{
    if (fdc->use_dma && fdc->dma_ops) {
        fdc->dma_ops->hold_request(fdc->dma, (int)fdc->dma_channel, false);
    }
}

void fdc_end_transfer(Fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2)
{
    stop_asking(fdc);
    fdc->st0 = st0 | fdc->side << 2 | fdc->drive;
    fdc->result[0] = fdc->st0;
    fdc->result[1] = st1;
    fdc->result[2] = st2;
    fdc->result[3] = fdc->cylinder;
    fdc->result[4] = fdc->side ^ fdc->other_side;
    fdc->result[5] = fdc->sector;
    fdc->result[6] = SIZE_512;
    fdc_raise_irq(fdc);
    fdc_result(fdc, 7);
}

static uint8_t scan_result(const Fdc *fdc)
{
    if (fdc->task < FDC_SCAN_EQUAL) {
        return 0;
    }
    return fdc->mismatch ? ST2_SCAN_NOT : ST2_SCAN_EQUAL;
}

/* ---- The medium ---- */

static void request_failed(Fdc *fdc)
{
    fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_DATA_ERROR, ST2_DATA_ERROR);
}

/* Does what the host gave agree with the medium? 0xff agrees with anything. */
static bool scan_agrees(const Fdc *fdc)
{
    for (unsigned i = 0; i < FLOPPY_SECTOR; i++) {
        uint8_t disk = fdc->sector_data[i], host = fdc->data[i];

        if (host == 0xff || disk == 0xff || disk == host) {
            continue;
        }
        return (fdc->task == FDC_SCAN_LOW && disk < host) ||
               (fdc->task == FDC_SCAN_HIGH && disk > host);
    }
    return true;
}

static void sector_done(Fdc *fdc)
{
    switch ((FdcTask)fdc->task) {
    case FDC_READ:
        memcpy(fdc->data, fdc->sector_data, FLOPPY_SECTOR);
        ask_host(fdc, FLOPPY_SECTOR);
        break;
    case FDC_SCAN_EQUAL:
    case FDC_SCAN_LOW:
    case FDC_SCAN_HIGH:
        if (scan_agrees(fdc)) {
            fdc_end_transfer(fdc, 0, 0, ST2_SCAN_EQUAL);
            break;
        }
        fdc->mismatch = true;
        next_sector(fdc);
        break;
    case FDC_FORMAT:
        fdc->format_left--;
        if (!fdc->format_left || fdc->terminal) {
            fdc_end_transfer(fdc, 0, 0, 0);
        } else {
            ask_host(fdc, 4);
        }
        break;
    default:
        next_sector(fdc);
    }
}

static void request_done(void *opaque, int result)
{
    Fdc *fdc = opaque;

    fdc->in_flight = false;
    if (fdc->orphaned) {
        fdc->orphaned = false;
    } else if (result < 0) {
        request_failed(fdc);
    } else {
        sector_done(fdc);
    }
}

static void start_request(Fdc *fdc, bool write)
{
    FloppyDrive *drive = fdc_drive(fdc, fdc->drive);
    const BlockVec vec = { &fdc->vec, 1 };
    int64_t offset;

    if (!drive || !floppy_offset(drive, drive->track, fdc->side, fdc->sector, &offset)) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NO_DATA | ST1_NO_MARK, 0);
        return;
    }
    if (write && drive->conf.read_only) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NOT_WRITABLE, 0);
        return;
    }
    fdc->phase = FDC_BUSY;
    fdc->in_flight = true;
    fdc->vec = (struct iovec){ fdc->sector_data, FLOPPY_SECTOR };
    if (write) {
        block_backend_aio_pwritev(drive->conf.blk, offset, &vec, 0, request_done, fdc);
    } else {
        block_backend_aio_preadv(drive->conf.blk, offset, &vec, 0, request_done, fdc);
    }
}

/* The sector that is due: to be read first, or to come from the host first. */
static void begin_sector(Fdc *fdc)
{
    if (fdc->task == FDC_READ || fdc->task == FDC_VERIFY) {
        start_request(fdc, false);
    } else {
        ask_host(fdc, FLOPPY_SECTOR);
    }
}

/* The address moves on as results show it: behind the last sector to the next side or cylinder. */
static void next_sector(Fdc *fdc)
{
    bool last = fdc->sector >= fdc->last_sector;

    if (!last) {
        fdc->sector++;
    } else {
        fdc->sector = 1;
        if (fdc->multi_track && !fdc->side) {
            fdc->side = 1;
            last = false;
        } else {
            fdc->cylinder++;
            fdc->other_side = fdc->multi_track;
        }
    }
    if (fdc->terminal || (last && (fdc->task == FDC_VERIFY || fdc->task >= FDC_SCAN_EQUAL))) {
        fdc_end_transfer(fdc, 0, 0, scan_result(fdc));
    } else if (last) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_END, 0);
    } else {
        begin_sector(fdc);
    }
}

/* ---- The host's side ---- */

static void format_sector(Fdc *fdc)
{
    fdc->cylinder = fdc->data[0];
    fdc->sector = fdc->data[2];
    memset(fdc->sector_data, fdc->command[5], FLOPPY_SECTOR);
    if (fdc->data[3] != SIZE_512) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NO_DATA, 0);
        return;
    }
    start_request(fdc, true);
}

/* The host has taken or given all of data[]. */
static void data_complete(Fdc *fdc)
{
    stop_asking(fdc);
    if (!fdc->use_dma) {
        fdc_lower_irq(fdc);
    }
    switch ((FdcTask)fdc->task) {
    case FDC_READ:
        next_sector(fdc);
        break;
    case FDC_WRITE:
        memcpy(fdc->sector_data, fdc->data, FLOPPY_SECTOR);
        start_request(fdc, true);
        break;
    case FDC_FORMAT:
        format_sector(fdc);
        break;
    default:
        start_request(fdc, false);
    }
}

void fdc_go_on(Fdc *fdc)
{
    if (fdc->phase != FDC_BUSY || fdc->in_flight) {
        return;
    }
    if (fdc->task == FDC_WRITE || fdc->task == FDC_FORMAT) {
        data_complete(fdc);
    } else {
        start_request(fdc, false);
    }
}

uint8_t fdc_data_read(Fdc *fdc)
{
    uint8_t value = fdc->data[fdc->data_pos++];

    if (fdc->data_pos == fdc->data_len) {
        data_complete(fdc);
    }
    return value;
}

void fdc_data_write(Fdc *fdc, uint8_t value)
{
    fdc->data[fdc->data_pos++] = value;
    if (fdc->data_pos == fdc->data_len) {
        data_complete(fdc);
    }
}

/* A terminal count in the middle of a sector: the rest of it is zeroes, or goes nowhere. */
static void finish_early(Fdc *fdc)
{
    if (fdc->phase == FDC_FROM_HOST) {
        memset(fdc->data + fdc->data_pos, 0, fdc->data_len - fdc->data_pos);
    }
    fdc->data_pos = fdc->data_len;
    data_complete(fdc);
}

int fdc_dma_transfer(void *opaque, int channel, int pos, int len)
{
    Fdc *fdc = opaque;
    int n;

    if ((fdc->phase != FDC_TO_HOST && fdc->phase != FDC_FROM_HOST) || !fdc->use_dma || pos >= len) {
        return pos;
    }
    n = MIN(len - pos, (int)(fdc->data_len - fdc->data_pos));
    if (fdc->phase == FDC_TO_HOST) {
        fdc->dma_ops->write_memory(fdc->dma, channel, fdc->data + fdc->data_pos, pos, n);
    } else {
        fdc->dma_ops->read_memory(fdc->dma, channel, fdc->data + fdc->data_pos, pos, n);
    }
    fdc->data_pos += (uint32_t)n;
    fdc->terminal = pos + n >= len;
    if (fdc->data_pos == fdc->data_len) {
        data_complete(fdc);
    } else if (fdc->terminal) {
        finish_early(fdc);
    }
    return pos + n;
}

/* ---- Commands ---- */

static void begin(Fdc *fdc, FdcTask task)
{
    fdc->task = task;
    fdc->drive = fdc->command[1] & DOR_DRIVE;
    fdc->side = fdc->command[1] >> 2 & 1;
    fdc->use_dma = !(fdc->specify[1] & 1) && (fdc->dor & DOR_DMA) && fdc->dma_ops;
    fdc->terminal = false;
    fdc->other_side = false;
    fdc->mismatch = false;
}

/* Does the medium turn at the rate that was chosen? */
static bool rate_matches(const Fdc *fdc, const FloppyDrive *drive)
{
    return (fdc->rate & 3) == drive->format.rate;
}

void fdc_start_transfer(Fdc *fdc, FdcTask task)
{
    FloppyDrive *drive;

    begin(fdc, task);
    fdc->multi_track = fdc->command[0] & 0x80;
    fdc->cylinder = fdc->command[2];
    fdc->sector = fdc->command[4];
    fdc->last_sector = fdc->command[6];
    drive = fdc_drive(fdc, fdc->drive);
    if (!drive || !floppy_has_medium(drive) || !rate_matches(fdc, drive) ||
        fdc->command[5] != SIZE_512) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NO_MARK, 0);
        return;
    }
    if (fdc->configure & 0x40) { /* implied seek */
        drive->track = MIN(fdc->cylinder, drive->format.tracks - 1);
    }
    if (fdc->cylinder != drive->track || fdc->command[3] != fdc->side) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NO_DATA, 0);
        return;
    }
    if (task == FDC_WRITE && drive->conf.read_only) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NOT_WRITABLE, 0);
        return;
    }
    begin_sector(fdc);
}

void fdc_start_format(Fdc *fdc)
{
    FloppyDrive *drive;

    begin(fdc, FDC_FORMAT);
    fdc->format_left = fdc->command[3];
    drive = fdc_drive(fdc, fdc->drive);
    fdc->cylinder = drive ? drive->track : 0;
    fdc->sector = 1;
    if (!drive || !floppy_has_medium(drive) || fdc->command[2] != SIZE_512 || !fdc->format_left) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NO_MARK, 0);
    } else if (drive->conf.read_only) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NOT_WRITABLE, 0);
    } else {
        ask_host(fdc, 4);
    }
}

void fdc_cancel(Fdc *fdc)
{
    stop_asking(fdc);
    fdc->orphaned = fdc->in_flight;
    fdc->phase = FDC_COMMAND;
    fdc->command_len = 0;
}
