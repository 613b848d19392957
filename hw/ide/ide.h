/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDE (ATA/ATAPI-7): a channel is a bus with places for two drives. A controller makes channels,
 * maps their registers, connects their interrupt and does their DMA.
 *
 * VM lock held throughout.
 */
#ifndef VIREO_HW_IDE_IDE_H
#define VIREO_HW_IDE_IDE_H

#include <sys/uio.h>

#include "hw/core/device.h"
#include "memory/memory.h"

#define TYPE_IDE_BUS "IDE"
#define TYPE_IDE_DEVICE "ide-device" /* abstract */
#define TYPE_PIIX3_IDE "piix3-ide"
#define IDE_UNITS 2
#define IDE_COMMAND_PORTS 8
#define IDE_CONTROL_PORTS 1

typedef struct IdeDevice IdeDevice;

/* A drive's command block registers. [0]: what was written last, [1]: before that (LBA48). */
typedef struct IdeUnitRegs {
    uint8_t status, error, device;
    uint8_t feature[2], count[2], lba_low[2], lba_mid[2], lba_high[2];
} IdeUnitRegs;

typedef struct IdeRegs {
    IdeUnitRegs unit[IDE_UNITS];
    uint8_t selected; /* unit */
    uint8_t control;
    bool irq;         /* INTRQ is asserted */
} IdeRegs;
extern const VmState ide_regs_vmstate;

typedef struct IdeChannel {
    Bus parent_obj;
    unsigned number;
    IdeRegs *regs;                /* the controller's, which saves them */
    IdeDevice *drives[IDE_UNITS]; /* NULL: none */
    Irq irq;
    MemoryRegion *command, *control_region;
    /* A drive has data to move by DMA, or a failed piece to try again: start, if you may. */
    void (*dma_kick)(void *opaque);
    /* INTRQ was raised. */
    void (*irq_raised)(void *opaque);
    void *opaque;
} IdeChannel;

/* regs is borrowed. The regions are the channel's; the controller maps them. */
IdeChannel *ide_channel_new(Device *owner, const char *name, unsigned number, IdeRegs *regs);
/* Free the regions, once they are unmapped. */
void ide_channel_cleanup(IdeChannel *ch);
void ide_channel_reset(IdeChannel *ch);

/* ---- DMA: the controller's side ---- */

/* The drive that waits for DMA, or NULL. */
IdeDevice *ide_dma_drive(IdeChannel *ch);
bool ide_dma_to_memory(const IdeDevice *dev);
/* Bytes that the drive still has to move; never 0. */
uint32_t ide_dma_left(const IdeDevice *dev);
/* The unit in which it moves them: a sector, or a byte. */
uint32_t ide_dma_unit(const IdeDevice *dev);
/*
 * Move bytes, a multiple of the unit, between the drive and this memory, which is the caller's
 * until done(opaque) is called: true on success; more may be left then. On false the transfer has
 * ended, or waits to be tried again (the drive kicks).
 */
void ide_dma_move(IdeDevice *dev, const struct iovec *iov, unsigned n, uint32_t bytes,
                  void (*done)(void *opaque, bool ok), void *opaque);
/* The last byte was moved: the drive ends its command. */
void ide_dma_finish(IdeDevice *dev);
/* There is no memory for the rest: the command ends without interrupt. */
void ide_dma_short(IdeDevice *dev);

/* ---- What a board tells its firmware ---- */

typedef struct IdeGeometry {
    uint32_t cyls, heads, secs;
    int translation; /* BiosTranslation */
} IdeGeometry;
/* False if there is no hard disk. */
bool ide_geometry(IdeChannel *ch, unsigned unit, IdeGeometry *geometry);

#endif
