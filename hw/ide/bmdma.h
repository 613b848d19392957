/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus master IDE ("Programming Interface for Bus Master IDE Controller", revision 1.0): moves data
 * between a channel's drives and memory, as a table of physical region descriptors says.
 *
 *   +0 command: bit 0 start, bit 3 direction (to memory)
 *   +2 status: bits 6:5 drives can do DMA, 2 interrupt, 1 error (these two: write 1 to clear),
 *      0 active
 *   +4 address of the table: entries of { u32 address; u16 bytes, 0 for 64 KiB; u16 end, bit 15 }
 */
#ifndef VIREO_HW_IDE_BMDMA_H
#define VIREO_HW_IDE_BMDMA_H

#include "hw/ide/ide.h"
#include "hw/pci/pci.h"

#define BMDMA_PORTS 8

/* Where in the table, and in the entry that was read last. */
typedef struct BmDmaCursor {
    uint32_t next;        /* address of the next entry */
    uint32_t addr, len;   /* what is left of the current one */
    uint32_t entries;     /* read so far */
    bool last;
} BmDmaCursor;

typedef struct BmDmaSegment {
    BmDmaCursor before;   /* the cursor when it began */
    uint64_t mapped;      /* bytes, for unmapping */
    bool bounced;         /* no RAM: memory of our own stands for it */
} BmDmaSegment;

typedef struct BmDma {
    PciDevice *pci;
    IdeChannel *ch;
    uint8_t command, status;
    uint32_t table;
    BmDmaCursor cursor;
    /* the piece that is on its way */
    BmDmaCursor checkpoint;
    IdeDevice *drive;     /* NULL: none */
    BmDmaSegment *segments;
    struct iovec *iov;
    unsigned count;
    bool to_memory, looping;
} BmDma;
extern const VmState bmdma_vmstate;

/* Connects itself to the channel, whose dma_kick and irq_raised it takes. */
void bmdma_init(BmDma *bm, PciDevice *pci, IdeChannel *ch);
void bmdma_cleanup(BmDma *bm);
/* Nothing may be in flight: the drives were reset before. */
void bmdma_reset(BmDma *bm);
/* One byte; offset < BMDMA_PORTS. */
uint8_t bmdma_read(const BmDma *bm, unsigned offset);
void bmdma_write(BmDma *bm, unsigned offset, uint8_t value);

#endif
