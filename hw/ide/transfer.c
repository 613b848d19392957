/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How commands move data: by the host through the data register (PIO), or between disk and memory
 * (DMA), and what happens to requests that fail, that a reset overtakes, or that stop the machine.
 *
 * A drive has at most one request in flight. It may need several for a command; between them its
 * state says what is left, so that any of them can be tried again: when the machine goes on after
 * an error that stopped it, or after it was loaded.
 */
#include <errno.h>

#include "hw/ide/ide-internal.h"
#include "util/bits.h"
#include "util/error.h"

/* ---- PIO ---- */

void ide_pio_in(IdeDevice *dev, uint32_t from, uint32_t len, IdeNext next)
{
    g_assert(len && range_ok(from, len, IDE_BUFFER));
    dev->phase = IDE_PIO_IN;
    dev->next = next;
    dev->data_pos = from;
    dev->data_end = from + len;
    dev->regs->status = STATUS_READY | STATUS_DRQ;
    ide_raise_irq(dev);
}

void ide_pio_out(IdeDevice *dev, uint32_t len, IdeNext next)
{
    g_assert(len && len <= IDE_BUFFER);
    dev->phase = IDE_PIO_OUT;
    dev->next = next;
    dev->data_pos = 0;
    dev->data_end = len;
    dev->regs->status = STATUS_READY | STATUS_DRQ;
}

/* The host has read everything that there was. */
static void finish_pio_in(IdeDevice *dev)
{
    dev->phase = IDE_IDLE;
    dev->regs->status = STATUS_READY;
}

static void next_read(IdeDevice *dev)
{
    if (dev->left) {
        ide_start(dev, IDE_PIO_READ);
    } else {
        finish_pio_in(dev);
    }
}

static void next_write(IdeDevice *dev)
{
    ide_start(dev, IDE_PIO_WRITE);
}

static void (*const next_steps[])(IdeDevice *dev) = {
    [IDE_NEXT_DONE] = finish_pio_in,
    [IDE_NEXT_READ] = next_read,
    [IDE_NEXT_WRITE] = next_write,
    [IDE_NEXT_PACKET] = atapi_execute,
    [IDE_NEXT_PACKET_IN] = atapi_more,
    [IDE_NEXT_MODE_SELECT] = atapi_mode_select_data,
    [IDE_NEXT_TRIM] = ata_trim,
};
G_STATIC_ASSERT(G_N_ELEMENTS(next_steps) == IDE_NEXT__MAX);

static void advance_pio(IdeDevice *dev, uint32_t bytes)
{
    dev->data_pos += bytes;
    if (dev->data_pos >= dev->data_end) {
        next_steps[dev->next](dev);
    }
}

uint32_t ide_data_read(IdeDevice *dev, unsigned size)
{
    uint32_t n, value = 0;

    if (dev->phase != IDE_PIO_IN) {
        return 0;
    }
    n = MIN(size, dev->data_end - dev->data_pos);
    value = ldn_le(dev->data + dev->data_pos, n);
    advance_pio(dev, n);
    return value;
}

void ide_data_write(IdeDevice *dev, uint32_t value, unsigned size)
{
    uint32_t n;

    if (dev->phase != IDE_PIO_OUT) {
        return;
    }
    n = MIN(size, dev->data_end - dev->data_pos);
    stn_le(dev->data + dev->data_pos, n, value);
    advance_pio(dev, n);
}

/* ---- Requests ---- */

static bool is_read_phase(const IdeDevice *dev)
{
    return dev->phase == IDE_PIO_READ || (dev->phase == IDE_DMA && ide_dma_to_memory(dev));
}

/* Tell whoever moves data that this piece is over. */
static void end_move(IdeDevice *dev, bool ok)
{
    void (*moved)(void *opaque, bool ok) = dev->moved;

    dev->moved = NULL;
    if (moved) {
        moved(dev->moved_opaque, ok);
    }
}

static void request_failed(IdeDevice *dev, int error)
{
    bool is_read = is_read_phase(dev);

    if (dev->is_cd) {
        atapi_io_failed(dev);
        return;
    }
    if (dev->phase == IDE_PIO_READ || dev->phase == IDE_PIO_WRITE || dev->phase == IDE_DMA) {
        ata_store_lba(dev);
    }
    ide_fail(dev, is_read && error != EINVAL ? ERROR_UNC : ERROR_ABRT);
}

static void pio_read_done(IdeDevice *dev)
{
    uint32_t n = dev->moving / IDE_SECTOR;

    dev->lba += n;
    dev->left -= n;
    if (!dev->left) {
        dev->lba--; /* the registers end at the last sector */
        ata_store_lba(dev);
    }
    ide_pio_in(dev, 0, dev->moving, IDE_NEXT_READ);
}

static void pio_write_done(IdeDevice *dev)
{
    uint32_t n = dev->moving / IDE_SECTOR;

    dev->lba += n;
    dev->left -= n;
    if (dev->left) {
        ata_write_more(dev);
        ide_raise_irq(dev);
        return;
    }
    dev->lba--;
    ata_store_lba(dev);
    ide_complete(dev);
}

static void dma_piece_done(IdeDevice *dev)
{
    if (dev->is_cd) {
        uint32_t n = dev->moving / ATAPI_SECTOR;

        dev->atapi.lba += n;
        dev->atapi.sectors -= n;
    } else {
        dev->lba += dev->moving / IDE_SECTOR;
        dev->left -= dev->moving / IDE_SECTOR;
    }
    end_move(dev, true);
}

static void request_succeeded(IdeDevice *dev)
{
    switch ((IdePhase)dev->phase) {
    case IDE_PIO_READ:
        if (dev->is_cd) {
            atapi_sectors_read(dev);
        } else {
            pio_read_done(dev);
        }
        break;
    case IDE_PIO_WRITE:
        pio_write_done(dev);
        break;
    case IDE_DMA:
        dma_piece_done(dev);
        break;
    case IDE_FLUSH:
        ide_complete(dev);
        break;
    case IDE_TRIM:
        ata_trim(dev);
        break;
    default:
        break;
    }
}

/* True if the request counts as done after all. */
static bool handle_error(IdeDevice *dev, int error)
{
    BlockBackend *blk = dev->conf.blk;
    bool is_read = is_read_phase(dev);
    BlockErrorAction action = error == ENOMEDIUM
                                  ? BLOCK_ERROR_ACTION_REPORT
                                  : block_backend_error_action(blk, is_read, error);

    if (error != ENOMEDIUM) {
        block_backend_error(blk, action, is_read, error);
    }
    switch (action) {
    case BLOCK_ERROR_ACTION_IGNORE:
        return true;
    case BLOCK_ERROR_ACTION_STOP:
        /* The phase stays: restart() begins it again. */
        end_move(dev, false);
        return false;
    default:
        request_failed(dev, error);
        end_move(dev, false);
        return false;
    }
}

/* A reset overtook the request: now the drive is ready for new ones. */
static void finish_orphan(IdeDevice *dev)
{
    dev->orphaned = false;
    end_move(dev, false);
    if (!(dev->ch->regs->control & CONTROL_SRST)) {
        dev->regs->status = dev->is_cd ? 0 : STATUS_READY;
    }
}

static void request_done(void *opaque, int result)
{
    IdeDevice *dev = opaque;

    dev->in_flight = false;
    if (dev->orphaned) {
        finish_orphan(dev);
    } else if (result >= 0 || handle_error(dev, -result)) {
        request_succeeded(dev);
    }
}

static void start_pio_request(IdeDevice *dev)
{
    const BlockVec vec = { &dev->vec, 1 };
    uint32_t sector = dev->is_cd ? ATAPI_SECTOR : IDE_SECTOR;
    uint32_t left = dev->is_cd ? dev->atapi.sectors : dev->left;
    uint32_t most = dev->is_cd ? IDE_BUFFER / ATAPI_SECTOR / 2 : dev->chunk;
    int64_t offset = dev->is_cd ? (int64_t)dev->atapi.lba * ATAPI_SECTOR
                                : (int64_t)(dev->lba * IDE_SECTOR);

    dev->moving = MIN(left, most) * sector;
    dev->vec = (struct iovec){ dev->data, dev->moving };
    if (dev->phase == IDE_PIO_READ) {
        block_backend_aio_preadv(dev->conf.blk, offset, &vec, 0, request_done, dev);
    } else {
        block_backend_aio_pwritev(dev->conf.blk, offset, &vec, dev->fua ? BLOCK_REQ_FUA : 0,
                                  request_done, dev);
    }
}

void ide_start(IdeDevice *dev, IdePhase phase)
{
    dev->phase = phase;
    dev->regs->status = STATUS_READY | STATUS_BSY;
    switch (phase) {
    case IDE_PIO_READ:
    case IDE_PIO_WRITE:
        dev->in_flight = true;
        start_pio_request(dev);
        break;
    case IDE_FLUSH:
        dev->in_flight = true;
        block_backend_aio_flush(dev->conf.blk, request_done, dev);
        break;
    case IDE_TRIM:
        dev->in_flight = true;
        block_backend_aio_pdiscard(dev->conf.blk, (int64_t)(dev->lba * IDE_SECTOR),
                                   (int64_t)dev->moving * IDE_SECTOR, request_done, dev);
        break;
    default:
        dev->regs->status = STATUS_READY | STATUS_DRQ;
        if (dev->ch->dma_kick) {
            dev->ch->dma_kick(dev->ch->opaque);
        }
        break;
    }
}

void ide_cancel(IdeDevice *dev)
{
    dev->phase = IDE_IDLE;
    dev->left = 0;
    dev->atapi.sectors = 0;
    dev->atapi.answer = 0;
    dev->orphaned = dev->in_flight;
    if (dev->orphaned) {
        dev->regs->status = STATUS_BSY;
    }
}

/* ---- DMA ---- */

IdeDevice *ide_dma_drive(IdeChannel *ch)
{
    IdeDevice *dev = ch->drives[ch->regs->selected];

    return dev && !dev->in_flight && (dev->phase == IDE_DMA || dev->phase == IDE_DMA_BUFFER)
               ? dev : NULL;
}

bool ide_dma_to_memory(const IdeDevice *dev)
{
    return dev->next != IDE_NEXT_WRITE && dev->next != IDE_NEXT_TRIM &&
           dev->next != IDE_NEXT_MODE_SELECT;
}

uint32_t ide_dma_left(const IdeDevice *dev)
{
    if (dev->phase == IDE_DMA_BUFFER) {
        return dev->data_end - dev->data_pos;
    }
    return dev->is_cd ? dev->atapi.sectors * ATAPI_SECTOR : dev->left * IDE_SECTOR;
}

uint32_t ide_dma_unit(const IdeDevice *dev)
{
    return dev->phase == IDE_DMA_BUFFER ? 1 : dev->is_cd ? ATAPI_SECTOR : IDE_SECTOR;
}

/* The buffer is at hand: no request is needed. */
static void move_buffer(IdeDevice *dev, const struct iovec *iov, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t bytes = MIN(iov[i].iov_len, dev->data_end - dev->data_pos);

        if (ide_dma_to_memory(dev)) {
            memcpy(iov[i].iov_base, dev->data + dev->data_pos, bytes);
        } else {
            memcpy(dev->data + dev->data_pos, iov[i].iov_base, bytes);
        }
        dev->data_pos += bytes;
    }
}

void ide_dma_move(IdeDevice *dev, const struct iovec *iov, unsigned n, uint32_t bytes,
                  void (*done)(void *opaque, bool ok), void *opaque)
{
    const BlockVec vec = { iov, n };
    int64_t offset = dev->is_cd ? (int64_t)dev->atapi.lba * ATAPI_SECTOR
                                : (int64_t)(dev->lba * IDE_SECTOR);

    dev->moved = done;
    dev->moved_opaque = opaque;
    dev->moving = bytes;
    if (dev->phase == IDE_DMA_BUFFER) {
        move_buffer(dev, iov, n);
        end_move(dev, true);
        return;
    }
    dev->in_flight = true;
    if (ide_dma_to_memory(dev)) {
        block_backend_aio_preadv(dev->conf.blk, offset, &vec, 0, request_done, dev);
    } else {
        block_backend_aio_pwritev(dev->conf.blk, offset, &vec, dev->fua ? BLOCK_REQ_FUA : 0,
                                  request_done, dev);
    }
}

void ide_dma_finish(IdeDevice *dev)
{
    if (dev->is_cd) {
        atapi_dma_done(dev);
    } else if (dev->phase == IDE_DMA_BUFFER) {
        next_steps[dev->next](dev);
    } else {
        dev->lba--;
        ata_store_lba(dev);
        ide_complete(dev);
    }
}

void ide_dma_short(IdeDevice *dev)
{
    dev->phase = IDE_IDLE;
    dev->left = 0;
    dev->atapi.sectors = 0;
    dev->regs->status = STATUS_READY;
}

/* ---- Trying again ---- */

static void restart(void *opaque)
{
    IdeDevice *dev = opaque;

    if (dev->phase >= IDE_PIO_READ && dev->phase < IDE_PHASE__MAX && !dev->in_flight) {
        ide_start(dev, dev->phase);
    }
}

static void run_state_changed(Notifier *notifier, void *data)
{
    IdeDevice *dev = (IdeDevice *)((char *)notifier - offsetof(IdeDevice, run_state));

    if (*(bool *)data) {
        loop_bh_schedule(dev->restart);
    }
}

void ide_transfer_init(IdeDevice *dev)
{
    dev->data = g_malloc0(IDE_BUFFER);
    dev->restart = loop_bh_new(loop_main(), restart, dev);
    dev->run_state.notify = run_state_changed;
    notifier_list_add(run_state_notifiers(), &dev->run_state);
}

void ide_transfer_cleanup(IdeDevice *dev)
{
    if (dev->restart) {
        notifier_list_remove(run_state_notifiers(), &dev->run_state);
        g_clear_pointer(&dev->restart, loop_bh_free);
    }
    g_clear_pointer(&dev->data, g_free);
}
