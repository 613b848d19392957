/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of the 82078 (data sheet 290468, section 5): a table of codes, how many bytes follow
 * each, and what it does. The first code that matches counts.
 */
#include <string.h>

#include "hw/block/fdc-internal.h"
#include "util/bits.h"

typedef struct FdcCommand {
    uint8_t code, mask, parameters;
    void (*run)(Fdc *fdc);
} FdcCommand;

enum { VERSION_ENHANCED = 0x90, PART_ID = 0x41 };

static unsigned named_drive(const Fdc *fdc)
{
    return fdc->command[1] & DOR_DRIVE;
}

static uint8_t track_of(const Fdc *fdc, unsigned n)
{
    const FloppyDrive *drive = fdc_drive(fdc, n);

    return drive ? drive->track : 0;
}

static void result_byte(Fdc *fdc, uint8_t value)
{
    fdc->result[0] = value;
    fdc_result(fdc, 1);
}

/* ---- Heads ---- */

static void end_seek(Fdc *fdc, uint8_t st0)
{
    fdc->st0 = st0 | named_drive(fdc);
    fdc->sense_pending = true;
    fdc_raise_irq(fdc);
    fdc_result(fdc, 0);
}

static void move_head(Fdc *fdc, unsigned track)
{
    FloppyDrive *drive = fdc_drive(fdc, named_drive(fdc));

    if (!drive) {
        end_seek(fdc, ST0_SEEK_END | ST0_ABNORMAL | ST0_EQUIPMENT);
        return;
    }
    drive->track = MIN(track, 255);
    drive->changed &= !floppy_has_medium(drive);
    end_seek(fdc, ST0_SEEK_END);
}

static void recalibrate(Fdc *fdc)
{
    move_head(fdc, 0);
}

static void seek(Fdc *fdc)
{
    move_head(fdc, fdc->command[2]);
}

static void relative_seek(Fdc *fdc)
{
    unsigned track = track_of(fdc, named_drive(fdc)), by = fdc->command[2];

    if (fdc->command[0] & 0x40) {
        move_head(fdc, track + by);
    } else {
        move_head(fdc, track - MIN(by, track));
    }
}

/* ---- Status ---- */

static void sense_interrupt(Fdc *fdc)
{
    unsigned n;

    if (fdc->reset_senses) {
        n = 4u - fdc->reset_senses--;
        fdc->result[0] = ST0_READY_CHANGED | n;
    } else if (fdc->sense_pending) {
        n = fdc->st0 & DOR_DRIVE;
        fdc->result[0] = fdc->st0;
    } else {
        result_byte(fdc, ST0_INVALID);
        return;
    }
    fdc->sense_pending = false;
    fdc_lower_irq(fdc);
    fdc->result[1] = track_of(fdc, n);
    fdc_result(fdc, 2);
}

static void sense_drive(Fdc *fdc)
{
    const FloppyDrive *drive = fdc_drive(fdc, named_drive(fdc));
    uint8_t st3 = ST3_ALWAYS | (fdc->command[1] & 7);

    if (drive) {
        st3 |= (drive->track ? 0 : ST3_TRACK_0) | (drive->conf.read_only ? ST3_READ_ONLY : 0) |
               (drive->format.sides == 1 ? 0 : ST3_TWO_SIDES);
    }
    result_byte(fdc, st3);
}

static void read_id(Fdc *fdc)
{
    const FloppyDrive *drive = fdc_drive(fdc, named_drive(fdc));

    fdc->drive = named_drive(fdc);
    fdc->side = fdc->command[1] >> 2 & 1;
    fdc->use_dma = false;
    fdc->other_side = false;
    fdc->sector = 1;
    fdc->cylinder = track_of(fdc, fdc->drive);
    if (!drive || !floppy_has_medium(drive) || (fdc->rate & 3) != drive->format.rate ||
        fdc->side >= drive->format.sides || drive->track >= drive->format.tracks) {
        fdc_end_transfer(fdc, ST0_ABNORMAL, ST1_NO_MARK, 0);
    } else {
        fdc_end_transfer(fdc, 0, 0, 0);
    }
}

static void dump_registers(Fdc *fdc)
{
    for (unsigned i = 0; i < 4; i++) {
        fdc->result[i] = track_of(fdc, i);
    }
    fdc->result[4] = fdc->specify[0];
    fdc->result[5] = fdc->specify[1];
    fdc->result[6] = fdc->last_sector;
    fdc->result[7] = fdc->lock << 7 | fdc->perpendicular << 2;
    fdc->result[8] = fdc->configure;
    fdc->result[9] = fdc->precompensation;
    fdc_result(fdc, 10);
}

static void version(Fdc *fdc)
{
    result_byte(fdc, VERSION_ENHANCED);
}

static void part_id(Fdc *fdc)
{
    result_byte(fdc, PART_ID);
}

/* ---- Settings ---- */

static void specify(Fdc *fdc)
{
    memcpy(fdc->specify, fdc->command + 1, 2);
    fdc_result(fdc, 0);
}

static void configure(Fdc *fdc)
{
    fdc->configure = fdc->command[2];
    fdc->precompensation = fdc->command[3];
    fdc_result(fdc, 0);
}

static void perpendicular(Fdc *fdc)
{
    if (fdc->command[1] & 0x80) {
        fdc->perpendicular = fdc->command[1] & 0x3f;
    }
    fdc_result(fdc, 0);
}

static void lock(Fdc *fdc)
{
    fdc->lock = fdc->command[0] >> 7;
    result_byte(fdc, fdc->lock << 4);
}

static void option(Fdc *fdc)
{
    fdc_result(fdc, 0);
}

static void powerdown_mode(Fdc *fdc)
{
    result_byte(fdc, fdc->command[1]);
}

static void drive_specification(Fdc *fdc)
{
    if (fdc->command[fdc->command_len - 1] & 0x80) { /* the last one wants results */
        fdc->result[0] = fdc->result[1] = fdc->result[2] = fdc->result[3] = 0;
        fdc_result(fdc, fdc->command[fdc->command_len - 1] & 0x40 ? 0 : 4);
    } else {
        fdc_result(fdc, 0);
    }
}

/* The registers that power management keeps (data sheet, SAVE and RESTORE). */
static void save(Fdc *fdc)
{
    memset(fdc->result, 0, sizeof(fdc->result));
    for (unsigned i = 0; i < 4; i++) {
        fdc->result[4 + i] = track_of(fdc, i);
    }
    fdc->result[8] = fdc->specify[0];
    fdc->result[9] = fdc->specify[1];
    fdc->result[10] = fdc->last_sector;
    fdc->result[11] = fdc->lock << 7 | fdc->perpendicular << 2;
    fdc->result[12] = fdc->configure;
    fdc->result[13] = fdc->precompensation;
    fdc_result(fdc, 15);
}

static void restore(Fdc *fdc)
{
    for (unsigned i = 0; i < FLOPPY_DRIVES; i++) {
        FloppyDrive *drive = fdc_drive(fdc, i);

        if (drive) {
            drive->track = fdc->command[5 + i];
        }
    }
    memcpy(fdc->specify, fdc->command + 9, 2);
    fdc->last_sector = fdc->command[11];
    fdc->lock = fdc->command[12] >> 7;
    fdc->perpendicular = fdc->command[12] >> 2 & 0x0f;
    fdc->configure = fdc->command[13];
    fdc->precompensation = fdc->command[14];
    fdc_result(fdc, 0);
}

/* ---- Data ---- */

static void read_data(Fdc *fdc)
{
    fdc_start_transfer(fdc, FDC_READ);
}

/* All sectors from the first on, whatever address was given. */
static void read_track(Fdc *fdc)
{
    fdc->command[0] &= 0x7f;
    fdc->command[4] = 1;
    fdc_start_transfer(fdc, FDC_READ);
}

static void write_data(Fdc *fdc)
{
    fdc_start_transfer(fdc, FDC_WRITE);
}

static void verify(Fdc *fdc)
{
    fdc_start_transfer(fdc, FDC_VERIFY);
}

static void scan_equal(Fdc *fdc)
{
    fdc_start_transfer(fdc, FDC_SCAN_EQUAL);
}

static void scan_low(Fdc *fdc)
{
    fdc_start_transfer(fdc, FDC_SCAN_LOW);
}

static void scan_high(Fdc *fdc)
{
    fdc_start_transfer(fdc, FDC_SCAN_HIGH);
}

static void invalid(Fdc *fdc)
{
    result_byte(fdc, ST0_INVALID);
}

static const FdcCommand commands[] = {
    { 0x06, 0x1f, 8, read_data },
    { 0x0c, 0x1f, 8, read_data },       /* deleted data */
    { 0x05, 0x3f, 8, write_data },
    { 0x09, 0x3f, 8, write_data },      /* deleted data */
    { 0x02, 0x9f, 8, read_track },
    { 0x16, 0x1f, 8, verify },
    { 0x0d, 0xbf, 5, fdc_start_format },
    { 0x11, 0x1f, 8, scan_equal },
    { 0x19, 0x1f, 8, scan_low },
    { 0x1d, 0x1f, 8, scan_high },
    { 0x0a, 0xbf, 1, read_id },
    { 0x07, 0xff, 1, recalibrate },
    { 0x0f, 0xff, 2, seek },
    { 0x8f, 0xbf, 2, relative_seek },
    { 0x08, 0xff, 0, sense_interrupt },
    { 0x04, 0xff, 1, sense_drive },
    { 0x03, 0xff, 2, specify },
    { 0x13, 0xff, 3, configure },
    { 0x12, 0x7f, 1, perpendicular },
    { 0x14, 0x7f, 0, lock },
    { 0x0e, 0xff, 0, dump_registers },
    { 0x10, 0xff, 0, version },
    { 0x18, 0xff, 0, part_id },
    { 0x17, 0xff, 1, powerdown_mode },
    { 0x33, 0xff, 1, option },
    { 0x8e, 0xff, 5, drive_specification },
    { 0x2e, 0xff, 0, save },
    { 0x4e, 0xff, 16, restore },
    { 0x00, 0x00, 0, invalid },
};

static const FdcCommand *find_command(uint8_t code)
{
    const FdcCommand *command = commands;

    while ((code & command->mask) != command->code) {
        command++; /* the last one takes everything */
    }
    return command;
}

void fdc_command_byte(Fdc *fdc, uint8_t value)
{
    const FdcCommand *command;

    fdc->command[fdc->command_len++] = value;
    command = find_command(fdc->command[0]);
    if (fdc->command_len > command->parameters) {
        command->run(fdc);
    }
}
