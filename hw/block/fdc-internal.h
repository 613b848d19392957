/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller's files share: its state, and the steps of its commands. */
#ifndef VIREO_HW_BLOCK_FDC_INTERNAL_H
#define VIREO_HW_BLOCK_FDC_INTERNAL_H

#include "hw/block/fdc.h"
#include "hw/block/floppy.h"

#define FDC_PARAMETERS 18
#define FDC_RESULTS 16

enum { DOR_DRIVE = 0x03, DOR_NOT_RESET = 0x04, DOR_DMA = 0x08 };
enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_READY_CHANGED = 0xc0, ST0_SEEK_END = 0x20,
       ST0_EQUIPMENT = 0x10 };
enum { ST1_END = 0x80, ST1_DATA_ERROR = 0x20, ST1_NO_DATA = 0x04, ST1_NOT_WRITABLE = 0x02,
       ST1_NO_MARK = 0x01 };
enum { ST2_SCAN_EQUAL = 0x08, ST2_SCAN_NOT = 0x04, ST2_DATA_ERROR = 0x20 };
enum { ST3_READ_ONLY = 0x40, ST3_TRACK_0 = 0x10, ST3_TWO_SIDES = 0x08, ST3_ALWAYS = 0x20 };

typedef enum FdcPhase {
    FDC_COMMAND, /* parameters come */
    FDC_TO_HOST, /* data goes; when it has gone, the next sector */
    FDC_FROM_HOST,
    FDC_BUSY,    /* a sector is on its way to or from the medium */
    FDC_RESULT,
    FDC_PHASE__MAX,
} FdcPhase;

/* What is done with the sectors of a data command. */
typedef enum FdcTask {
    FDC_READ, FDC_WRITE, FDC_FORMAT, FDC_VERIFY, FDC_SCAN_EQUAL, FDC_SCAN_LOW, FDC_SCAN_HIGH,
    FDC_TASK__MAX,
} FdcTask;

typedef struct Fdc {
    IsaDevice parent_obj;
    /* properties */
    uint32_t iobase, irq_line, dma_channel;
    int fallback, type_a, type_b; /* FloppyType */
    int32_t bootindex_a, bootindex_b;

    MemoryRegion *registers, *dir_register;
    Irq irq;
    const IsaDmaOps *dma_ops;
    void *dma;
    FloppyBus *bus;

    /* saved */
    uint8_t dor, tdr, dsr, rate;
    bool irq_pending;
    uint8_t reset_senses;      /* SENSE INTERRUPT STATUS still to come after a reset */
    uint8_t st0;               /* for SENSE INTERRUPT STATUS */
    bool sense_pending;
    uint8_t command[FDC_PARAMETERS], command_len;
    uint8_t result[FDC_RESULTS], result_len, result_pos;
    uint8_t phase, task;
    bool use_dma, multi_track, mismatch, terminal;
    bool other_side;           /* of the end's address: behind the second side comes the first */
    uint8_t drive, side, cylinder, sector, last_sector;
    uint8_t data[FLOPPY_SECTOR];
    uint32_t data_pos, data_len;
    uint8_t format_left;       /* sectors of FORMAT TRACK */
    uint8_t specify[2], configure, precompensation, perpendicular, lock;

    /* the request in flight */
    uint8_t sector_data[FLOPPY_SECTOR];
    struct iovec vec;
    Notifier run_state;
    bool in_flight, orphaned;
} Fdc;

/* ---- fdc.c ---- */
FloppyDrive *fdc_drive(const Fdc *fdc, unsigned n); /* or NULL */
void fdc_raise_irq(Fdc *fdc);
void fdc_lower_irq(Fdc *fdc);
/* Results of so many bytes stand in result[]; 0: the next command. */
void fdc_result(Fdc *fdc, unsigned len);

/* ---- fdc-commands.c ---- */
/* One more byte of a command. */
void fdc_command_byte(Fdc *fdc, uint8_t value);

/* ---- fdc-transfer.c ---- */
void fdc_start_transfer(Fdc *fdc, FdcTask task);
void fdc_start_format(Fdc *fdc);
/* The end of a data command: ST0 to ST2, and where it ended. */
void fdc_end_transfer(Fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2);
uint8_t fdc_data_read(Fdc *fdc);
void fdc_data_write(Fdc *fdc, uint8_t value);
int fdc_dma_transfer(void *opaque, int channel, int pos, int len);
void fdc_cancel(Fdc *fdc);
/* The machine runs: a sector that was loaded as on its way sets out. */
void fdc_go_on(Fdc *fdc);

#endif
