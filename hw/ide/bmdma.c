/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus master IDE. A transfer goes in pieces of at most PIECE_MAX bytes: descriptors are read,
 * their memory is mapped, the drive moves the data, the memory is let go. What a drive asks for
 * ends a transfer, or the end of the table; the table's 64 KiB bound how often we look there.
 */
#include "hw/ide/bmdma.h"

#include "util/bits.h"
#include "util/log.h"

#define PIECE_MAX (1u << 20)
/* A CD-ROM's sector fits even if every descriptor has the least of 2 bytes. */
#define SEGMENTS_MAX 1024u
#define ENTRIES_MAX (65536u / 8)
#define BOUNCE_MAX 4096u

enum { REG_COMMAND = 0, REG_STATUS = 2, REG_TABLE = 4 };
enum { COMMAND_START = 0x01, COMMAND_TO_MEMORY = 0x08 };
enum {
    STATUS_ACTIVE = 0x01, STATUS_ERROR = 0x02, STATUS_INTERRUPT = 0x04, STATUS_CAPABLE = 0x60,
};
#define PRD_SIZE 8
#define PRD_END 0x80000000u
#define PRD_BYTES 0xfffeu

/* ---- Descriptors ---- */

static bool next_entry(BmDma *bm)
{
    BmDmaCursor *cursor = &bm->cursor;
    uint8_t prd[PRD_SIZE];
    uint32_t word;

    if (cursor->last || cursor->entries >= ENTRIES_MAX) {
        return false;
    }
    if (pci_dma_read(bm->pci, cursor->next, prd, sizeof(prd)) != MEM_OK) {
        bm->status |= STATUS_ERROR;
        return false;
    }
    word = ldl_le(prd + 4);
    cursor->next += PRD_SIZE;
    cursor->entries++;
    cursor->addr = ldl_le(prd) & ~1u;
    cursor->len = word & PRD_BYTES ? word & PRD_BYTES : 65536;
    cursor->last = word & PRD_END;
    return true;
}

/* Memory for up to `want` bytes at the cursor; how many it became. */
static uint32_t add_segment(BmDma *bm, uint32_t want)
{
    BmDmaSegment *segment = &bm->segments[bm->count];
    struct iovec *iov = &bm->iov[bm->count];
    BmDmaCursor *cursor = &bm->cursor;
    uint64_t len = MIN(want, cursor->len);

    segment->before = *cursor;
    iov->iov_base = address_space_map(bm->pci->dma_as, cursor->addr, &len, bm->to_memory);
    segment->bounced = !iov->iov_base;
    segment->mapped = len;
    if (segment->bounced) {
        len = MIN(MIN(want, cursor->len), BOUNCE_MAX);
        iov->iov_base = g_malloc(len);
        if (!bm->to_memory) {
            pci_dma_read(bm->pci, cursor->addr, iov->iov_base, len);
        }
    }
    iov->iov_len = len;
    cursor->addr += len;
    cursor->len -= len;
    bm->count++;
    return len;
}

static void release_segment(BmDma *bm, unsigned n, bool moved)
{
    BmDmaSegment *segment = &bm->segments[n];
    struct iovec *iov = &bm->iov[n];

    if (!segment->bounced) {
        address_space_unmap(bm->pci->dma_as, iov->iov_base, segment->mapped, bm->to_memory,
                            moved && bm->to_memory ? iov->iov_len : 0);
        return;
    }
    if (moved && bm->to_memory) {
        pci_dma_write(bm->pci, segment->before.addr, iov->iov_base, iov->iov_len);
    }
    g_free(iov->iov_base);
}

/* Give the last `tail` bytes back. */
static void give_back(BmDma *bm, uint32_t tail)
{
    while (tail) {
        unsigned n = bm->count - 1;
        uint32_t len = bm->iov[n].iov_len;

        if (len > tail) {
            bm->iov[n].iov_len -= tail;
            bm->cursor = bm->segments[n].before;
            bm->cursor.addr += len - tail;
            bm->cursor.len -= len - tail;
            return;
        }
        bm->cursor = bm->segments[n].before;
        release_segment(bm, n, false);
        bm->count--;
        tail -= len;
    }
}

/* The next piece's memory; a multiple of unit. */
static uint32_t gather(BmDma *bm, uint32_t want, uint32_t unit)
{
    uint32_t bytes = 0;

    bm->count = 0;
    if (!pci_bus_master(bm->pci)) {
        bm->status |= STATUS_ERROR;
        return 0;
    }
    want = MIN(want, PIECE_MAX);
    while (bytes < want && bm->count < SEGMENTS_MAX && (bm->cursor.len || next_entry(bm))) {
        bytes += add_segment(bm, want - bytes);
    }
    give_back(bm, bytes % unit);
    return bytes - bytes % unit;
}

/* ---- Transfers ---- */

static void run(BmDma *bm);

static void finish(BmDma *bm, IdeDevice *drive)
{
    if (!bm->cursor.len && bm->cursor.last) {
        bm->status &= ~STATUS_ACTIVE;
    }
    ide_dma_finish(drive);
}

static void piece_done(void *opaque, bool ok)
{
    BmDma *bm = opaque;
    IdeDevice *drive = bm->drive;

    for (unsigned i = 0; i < bm->count; i++) {
        release_segment(bm, i, ok);
    }
    bm->count = 0;
    bm->drive = NULL;
    if (!ok) {
        bm->cursor = bm->checkpoint;
        if (ide_dma_drive(bm->ch) != drive) {
            bm->status &= ~STATUS_ACTIVE;
        }
    } else if (!ide_dma_left(drive)) {
        finish(bm, drive);
    } else {
        run(bm);
    }
}

static void run(BmDma *bm)
{
    if (bm->looping) {
        return; /* the loop below goes on */
    }
    bm->looping = true;
    while ((bm->status & STATUS_ACTIVE) && !bm->drive) {
        IdeDevice *drive = ide_dma_drive(bm->ch);
        uint32_t bytes;

        if (!drive) {
            break;
        }
        bm->to_memory = ide_dma_to_memory(drive);
        bm->checkpoint = bm->cursor;
        bytes = gather(bm, ide_dma_left(drive), ide_dma_unit(drive));
        if (!bytes) {
            log_guest_error("bmdma: the table is shorter than the drive's transfer");
            bm->status &= ~STATUS_ACTIVE;
            ide_dma_short(drive);
            break;
        }
        bm->drive = drive;
        ide_dma_move(drive, bm->iov, bm->count, bytes, piece_done, bm);
    }
    bm->looping = false;
}

static void kicked(void *opaque)
{
    run(opaque);
}

static void irq_raised(void *opaque)
{
    ((BmDma *)opaque)->status |= STATUS_INTERRUPT;
}

/* ---- Registers ---- */

static void write_command(BmDma *bm, uint8_t value)
{
    bool started = bm->command & COMMAND_START;

    bm->command = value & (COMMAND_START | COMMAND_TO_MEMORY);
    if (!(value & COMMAND_START)) {
        bm->status &= ~STATUS_ACTIVE;
    } else if (!started) {
        bm->cursor = (BmDmaCursor){ .next = bm->table };
        bm->status |= STATUS_ACTIVE;
        run(bm);
    }
}

uint8_t bmdma_read(const BmDma *bm, unsigned offset)
{
    if (offset >= REG_TABLE) {
        return bm->table >> (8 * (offset - REG_TABLE));
    }
    return offset == REG_COMMAND ? bm->command : offset == REG_STATUS ? bm->status : 0xff;
}

void bmdma_write(BmDma *bm, unsigned offset, uint8_t value)
{
    if (offset >= REG_TABLE) {
        bm->table = deposit64(bm->table, 8 * (offset - REG_TABLE), 8, value) & ~3u;
    } else if (offset == REG_COMMAND) {
        write_command(bm, value);
    } else if (offset == REG_STATUS) {
        bm->status = (value & STATUS_CAPABLE) | (bm->status & STATUS_ACTIVE) |
                     (bm->status & ~value & (STATUS_ERROR | STATUS_INTERRUPT));
    }
}

/* ---- Life ---- */

void bmdma_init(BmDma *bm, PciDevice *pci, IdeChannel *ch)
{
    bm->pci = pci;
    bm->ch = ch;
    bm->segments = g_new(BmDmaSegment, SEGMENTS_MAX);
    bm->iov = g_new(struct iovec, SEGMENTS_MAX);
    ch->opaque = bm;
    ch->dma_kick = kicked;
    ch->irq_raised = irq_raised;
}

void bmdma_cleanup(BmDma *bm)
{
    g_clear_pointer(&bm->segments, g_free);
    g_clear_pointer(&bm->iov, g_free);
}

void bmdma_reset(BmDma *bm)
{
    bm->command = 0;
    bm->status = 0;
    bm->table = 0;
    bm->cursor = (BmDmaCursor){ 0 };
}

static const VmState cursor_vmstate = {
    .name = "bmdma cursor",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(BmDmaCursor, next),
        VMSTATE_U32(BmDmaCursor, addr),
        VMSTATE_U32(BmDmaCursor, len),
        VMSTATE_U32(BmDmaCursor, entries),
        VMSTATE_BOOL(BmDmaCursor, last),
        VMSTATE_END
    },
};

const VmState bmdma_vmstate = {
    .name = "ide bmdma",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(BmDma, command),
        VMSTATE_U8(BmDma, status),
        VMSTATE_U32(BmDma, table),
        VMSTATE_STRUCT(BmDma, cursor, cursor_vmstate),
        VMSTATE_END
    },
};
