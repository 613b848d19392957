/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of hw/ide share among themselves: a drive, and how commands move data. */
#ifndef VIREO_HW_IDE_IDE_INTERNAL_H
#define VIREO_HW_IDE_IDE_INTERNAL_H

#include "hw/block/block-conf.h"
#include "hw/ide/ide.h"
#include "util/notify.h"

#define IDE_SECTOR 512u
#define IDE_MAX_MULTIPLE 16u
/* Everything that is not moved straight to the guest: one data request of PIO, packets, TRIM. */
#define IDE_BUFFER (128u * 1024)
#define ATAPI_SECTOR 2048u
#define ATAPI_PACKET 12u

enum {
    STATUS_BSY = 0x80, STATUS_DRDY = 0x40, STATUS_DF = 0x20, STATUS_DSC = 0x10, STATUS_DRQ = 0x08,
    STATUS_ERR = 0x01, STATUS_READY = STATUS_DRDY | STATUS_DSC,
};
enum { ERROR_UNC = 0x40, ERROR_IDNF = 0x10, ERROR_ABRT = 0x04 };
enum { DEVICE_LBA = 0x40, DEVICE_UNIT = 0x10, DEVICE_HEAD = 0x0f };
enum { CONTROL_HOB = 0x80, CONTROL_SRST = 0x04, CONTROL_NIEN = 0x02 };
/* Interrupt reason, in the count register of a packet command. */
enum { REASON_COMMAND = 0x01, REASON_TO_HOST = 0x02 };

/* Where a command stands. Saved. */
typedef enum IdePhase {
    IDE_IDLE,
    IDE_PIO_IN,      /* the host reads data[] */
    IDE_PIO_OUT,     /* the host writes data[] */
    IDE_PIO_READ,    /* data[] is being read from the disk */
    IDE_PIO_WRITE,   /* data[] is being written to the disk */
    IDE_DMA,         /* between disk and memory */
    IDE_DMA_BUFFER,  /* between data[] and memory */
    IDE_FLUSH,
    IDE_TRIM,
    IDE_PHASE__MAX,
} IdePhase;

/* What a command does when its data has come or gone. Saved; an index into ide_next_steps. */
typedef enum IdeNext {
    IDE_NEXT_DONE,
    IDE_NEXT_READ,        /* the next sectors of a PIO read */
    IDE_NEXT_WRITE,       /* write what came */
    IDE_NEXT_PACKET,      /* carry out the packet that came */
    IDE_NEXT_PACKET_IN,   /* the next piece of a packet command's answer */
    IDE_NEXT_MODE_SELECT,
    IDE_NEXT_TRIM,
    IDE_NEXT__MAX,
} IdeNext;

/* A CD-ROM's own. */
typedef struct IdeAtapi {
    uint8_t packet[ATAPI_PACKET];
    uint8_t sense_key, asc, ascq;
    bool tray_open, tray_locked;
    bool changed;         /* a medium came: the next command hears of it */
    uint8_t event;        /* for GET EVENT STATUS NOTIFICATION: new media, eject request, ... */
    bool use_dma;         /* of the running packet */
    bool raw;             /* READ CD with all 2352 bytes */
    uint32_t byte_limit;  /* of one PIO data request */
    uint32_t answer;      /* bytes in data[] that have not been given to the host */
    uint32_t answer_pos;
    uint32_t sectors;     /* to be read after that */
    uint32_t lba;
} IdeAtapi;

struct IdeDevice {
    Device parent_obj;
    /* properties */
    BlockConf conf;
    uint32_t unit_wanted;
    char *model, *serial, *version;
    uint64_t wwn;
    uint16_t rotation_rate;
    int translation;      /* BiosTranslation */

    bool is_cd;
    unsigned unit;
    IdeChannel *ch;
    IdeUnitRegs *regs;
    uint64_t sectors;     /* of 512 bytes */
    Notifier run_state;
    LoopBh *restart;      /* tries a failed request again, once the machine runs */

    /* state of the running command; saved */
    uint8_t phase, next, command;
    bool wide;            /* LBA48 */
    bool fua;
    uint8_t chunk;        /* sectors of one data request of PIO */
    uint64_t lba;         /* of what is left */
    uint32_t left;        /* sectors; of IDE_TRIM: entries that were looked at */
    uint32_t data_pos, data_end;
    uint8_t *data;        /* IDE_BUFFER bytes */
    uint32_t data_used;   /* for saving: as much of data[] as matters */

    /* settings; saved */
    uint8_t multiple, heads, secs;
    uint16_t cyls;        /* the current translation: INITIALIZE DEVICE PARAMETERS */
    uint8_t mode_kind, mode_number; /* transfer mode: SET FEATURES */
    bool smart, smart_autosave, reverting_off;
    uint8_t smart_self_test; /* how many ran */
    IdeAtapi atapi;

    /* the request in flight */
    bool in_flight, orphaned; /* orphaned: a reset waits for its end */
    struct iovec vec;
    void (*moved)(void *opaque, bool ok);
    void *moved_opaque;
    uint32_t moving;      /* bytes */
};

/* ---- channel.c ---- */
void ide_raise_irq(IdeDevice *dev);
/* The registers after a reset or a diagnostic. */
void ide_set_signature(IdeDevice *dev);
/* All is well; interrupt. */
void ide_complete(IdeDevice *dev);
void ide_fail(IdeDevice *dev, uint8_t error);
static inline void ide_abort(IdeDevice *dev) { ide_fail(dev, ERROR_ABRT); }

/* ---- transfer.c ---- */
/* data[from...) goes to the host, or data[0...) is to come from it; then `next`. */
void ide_pio_in(IdeDevice *dev, uint32_t from, uint32_t len, IdeNext next);
void ide_pio_out(IdeDevice *dev, uint32_t len, IdeNext next);
uint32_t ide_data_read(IdeDevice *dev, unsigned size);
void ide_data_write(IdeDevice *dev, uint32_t value, unsigned size);
/* Start what dev->phase, lba and left say. */
void ide_start(IdeDevice *dev, IdePhase phase);
/* Forget the running command; if a request is in flight, BSY stays until it has ended. */
void ide_cancel(IdeDevice *dev);
void ide_transfer_init(IdeDevice *dev);
void ide_transfer_cleanup(IdeDevice *dev);

/* ---- ata.c, identify.c, smart.c ---- */
/* The command register was written; the drive is ready for it. */
void ide_command(IdeDevice *dev, uint8_t command);
void ata_write_more(IdeDevice *dev);
/* dev->lba into the address registers, in the form of the running command. */
void ata_store_lba(IdeDevice *dev);
void ata_trim(IdeDevice *dev);
void ata_identify(IdeDevice *dev);
void atapi_identify(IdeDevice *dev);
void ata_smart(IdeDevice *dev);

/* ---- atapi.c, atapi-commands.c, atapi-mode.c ---- */
extern const BlockBackendOps atapi_media_ops;
void atapi_packet(IdeDevice *dev);
void atapi_execute(IdeDevice *dev);
void atapi_more(IdeDevice *dev);
void atapi_mode_select_data(IdeDevice *dev);
void atapi_dma_done(IdeDevice *dev);
/* The sectors that were asked for stand in data[]. */
void atapi_sectors_read(IdeDevice *dev);
/* A request of the running packet failed. */
void atapi_io_failed(IdeDevice *dev);
void atapi_reset(IdeDevice *dev);

#endif
