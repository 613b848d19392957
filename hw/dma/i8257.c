/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 8237A DMA controller (data sheet 231466-005), twice as in the PC/AT, with its page
 * registers (82371SB data sheet, 2.5.1). The first controller moves bytes; the second words, and
 * its ports are two apart (`dshift`).
 *
 *   base + 2n      channel n's address: low then high byte, by a common flip-flop
 *   base + 2n + 1  its count, less one
 *   base + 8  r    status: 7:4 requests, 3:0 terminal counts (cleared by reading)
 *             w    command: 2 disables the controller; the other bits have no effect on a PC
 *   base + 9  w    request: 2 set or clear, 1:0 channel
 *   base + a  w    mask: 2 set or clear, 1:0 channel
 *   base + b  w    mode: 7:6 demand, single, block, cascade; 5 decrement; 4 auto-initialise;
 *                  3:2 verify, write to memory, read from memory; 1:0 channel
 *   base + c  w    resets the flip-flop
 *   base + d  w    master clear; r: temporary register (0)
 *   base + e  w    clears all masks
 *   base + f  w    3:0 all masks; r: the masks
 *   page + 7, 3, 1, 2   address bits 23:16 of channels 0, 1, 2, 3; with pageh-base, bits 31:24
 *                       likewise
 *
 * A device raises its request and is then asked to transfer, from the main loop: it gets the
 * position within the block and the block's length in bytes, moves what it can through read_memory
 * and write_memory, and returns the new position. Addresses wrap within their 64 KiB (128 KiB)
 * page.
 */
#include "hw/dma/i8257.h"

#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"
#include "util/loop.h"

#define CHANNELS 4
#define CHANNEL_PORTS 8
#define CONTROL_PORTS 8
#define UNSET (-1)

enum Control {
    REG_STATUS, REG_REQUEST, REG_MASK, REG_MODE, REG_FLIPFLOP, REG_MASTER_CLEAR, REG_CLEAR_MASK,
    REG_ALL_MASKS,
};
enum { COMMAND_DISABLE = 0x04 };
enum { MODE_TYPE = 0x0c, MODE_AUTO = 0x10, MODE_DECREMENT = 0x20, MODE_CASCADE = 0xc0 };
enum { SELECT_CHANNEL = 0x03, SELECT_SET = 0x04 };

typedef struct DmaChannel {
    uint16_t base_addr, base_count;
    uint32_t pos;   /* bytes of the block that are done */
    bool finished;  /* reached the terminal count: the count reads 0xffff */
    uint8_t page, page_high, mode;
    int (*transfer)(void *opaque, int channel, int pos, int len);
    void *opaque;
} DmaChannel;

typedef struct I8257 {
    IsaDevice parent_obj;
    int32_t base, page_base, pageh_base, dshift; /* properties */
    MemoryRegion *channel_ports, *control_ports;
    MemoryRegion *pages[2], *pages_high[2];
    LoopBh *bh;
    DmaChannel channels[CHANNELS];
    uint8_t status, command, mask;
    uint8_t requests; /* lines and software requests */
    bool high_byte;   /* the flip-flop */
    bool running;
} I8257;

static uint32_t block_bytes(const I8257 *dma, const DmaChannel *ch)
{
    return ((uint32_t)ch->base_count + 1) << dma->dshift;
}

/* Where byte `pos` of the block lies. */
static uint64_t byte_address(const I8257 *dma, const DmaChannel *ch, uint32_t pos)
{
    uint32_t window = 0x10000u << dma->dshift;
    uint32_t offset = (uint32_t)ch->base_addr << dma->dshift;
    uint32_t page = (uint32_t)ch->page << 16 | (uint32_t)ch->page_high << 24;

    offset += ch->mode & MODE_DECREMENT ? -pos : pos;
    return (page & ~(window - 1)) | (offset & (window - 1));
}

static void finish_block(I8257 *dma, int n)
{
    DmaChannel *ch = &dma->channels[n];

    dma->status |= BIT(n);
    if (ch->mode & MODE_AUTO) {
        ch->pos = 0;
        return;
    }
    ch->finished = true;
    dma->mask |= BIT(n);
    dma->requests &= ~BIT(n);
}

/* Let the device behind a channel move data; true if it moved some. */
static bool run_channel(I8257 *dma, int n)
{
    DmaChannel *ch = &dma->channels[n];
    uint32_t length = block_bytes(dma, ch);
    int pos;

    if (!(dma->requests & BIT(n)) || (dma->mask & BIT(n)) || !ch->transfer ||
        (ch->mode & MODE_CASCADE) == MODE_CASCADE) {
        return false;
    }
    pos = ch->transfer(ch->opaque, n + (dma->dshift ? CHANNELS : 0), ch->pos, length);
    if (pos < 0 || (uint32_t)pos <= ch->pos) {
        return false;
    }
    ch->pos = MIN((uint32_t)pos, length);
    if (ch->pos == length) {
        finish_block(dma, n);
    }
    return true;
}

/* A channel that moved something gets another turn after the main loop had one. */
static void run_channels(void *opaque)
{
    I8257 *dma = opaque;
    bool again = false;

    if (dma->running || (dma->command & COMMAND_DISABLE)) {
        return;
    }
    dma->running = true;
    for (int n = 0; n < CHANNELS; n++) {
        again |= run_channel(dma, n);
    }
    dma->running = false;
    if (again) {
        loop_bh_schedule(dma->bh);
    }
}

static void wake(I8257 *dma)
{
    if (dma->requests & ~dma->mask) {
        loop_bh_schedule(dma->bh);
    }
}

/* ---- registers ---- */

static uint64_t channel_read(void *opaque, uint64_t offset, unsigned size)
{
    I8257 *dma = opaque;
    unsigned reg = offset >> dma->dshift;
    const DmaChannel *ch = &dma->channels[reg / 2];
    uint16_t done = ch->pos >> dma->dshift;
    uint16_t value;

    if (reg & 1) {
        value = ch->finished ? 0xffff : ch->base_count - done;
    } else {
        value = ch->mode & MODE_DECREMENT ? ch->base_addr - done : ch->base_addr + done;
    }
    dma->high_byte = !dma->high_byte;
    return dma->high_byte ? value & 0xff : value >> 8;
}

static void channel_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8257 *dma = opaque;
    unsigned reg = offset >> dma->dshift;
    DmaChannel *ch = &dma->channels[reg / 2];
    uint16_t *target = reg & 1 ? &ch->base_count : &ch->base_addr;

    *target = deposit64(*target, dma->high_byte ? 8 : 0, 8, value);
    dma->high_byte = !dma->high_byte;
    ch->pos = 0;
    ch->finished = false;
}

static const MemoryRegionOps channel_ops = {
    .read = channel_read,
    .write = channel_write,
    .impl = { .min = 1, .max = 1 },
};

static void master_clear(I8257 *dma)
{
    dma->high_byte = false;
    dma->status = 0;
    dma->command = 0;
    dma->requests = 0;
    dma->mask = 0x0f;
}

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    I8257 *dma = opaque;
    uint8_t value;

    switch ((enum Control)(offset >> dma->dshift)) {
    case REG_STATUS:
        value = dma->status | dma->requests << 4;
        dma->status = 0;
        return value;
    case REG_ALL_MASKS:
        return dma->mask;
    default:
        return 0;
    }
}

static void set_bit(uint8_t *bits, uint8_t select)
{
    uint8_t bit = BIT(select & SELECT_CHANNEL);

    *bits = select & SELECT_SET ? *bits | bit : *bits & ~bit;
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8257 *dma = opaque;

    switch ((enum Control)(offset >> dma->dshift)) {
    case REG_STATUS:
        if (value & ~COMMAND_DISABLE) {
            log_unimplemented("i8257: command %#x\n", (unsigned)value);
        }
        dma->command = value;
        break;
    case REG_REQUEST:
        set_bit(&dma->requests, value);
        break;
    case REG_MASK:
        set_bit(&dma->mask, value);
        break;
    case REG_MODE:
        dma->channels[value & SELECT_CHANNEL].mode = value & ~SELECT_CHANNEL;
        return;
    case REG_FLIPFLOP:
        dma->high_byte = false;
        return;
    case REG_MASTER_CLEAR:
        master_clear(dma);
        return;
    case REG_CLEAR_MASK:
        dma->mask = 0;
        break;
    case REG_ALL_MASKS:
        dma->mask = value & 0x0f;
        break;
    }
    wake(dma);
}

static const MemoryRegionOps control_ops = {
    .read = control_read,
    .write = control_write,
    .impl = { .min = 1, .max = 1 },
};

/* Page ports 1..3 are one region, 7 is another: between them lie ports without a channel. */
static const uint8_t page_channel[] = { 2, 3, 1 };

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8257 *)opaque)->channels[page_channel[offset]].page;
}

static void page_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ((I8257 *)opaque)->channels[page_channel[offset]].page = value;
}

static uint64_t page0_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8257 *)opaque)->channels[0].page;
}

static void page0_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ((I8257 *)opaque)->channels[0].page = value;
}

static uint64_t page_high_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8257 *)opaque)->channels[page_channel[offset]].page_high;
}

static void page_high_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ((I8257 *)opaque)->channels[page_channel[offset]].page_high = value;
}

static uint64_t page0_high_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8257 *)opaque)->channels[0].page_high;
}

static void page0_high_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ((I8257 *)opaque)->channels[0].page_high = value;
}

#define BYTE_OPS(r, w) { .read = (r), .write = (w), .impl = { .min = 1, .max = 1 } }
static const MemoryRegionOps page_ops[2] = {
    BYTE_OPS(page_read, page_write), BYTE_OPS(page0_read, page0_write),
};
static const MemoryRegionOps page_high_ops[2] = {
    BYTE_OPS(page_high_read, page_high_write), BYTE_OPS(page0_high_read, page0_high_write),
};

/* ---- the devices' side ---- */

static void dma_register_channel(void *opaque, int channel,
                                 int (*transfer)(void *opaque, int channel, int pos, int len),
                                 void *transfer_opaque)
{
    DmaChannel *ch = &((I8257 *)opaque)->channels[channel % CHANNELS];

    ch->transfer = transfer;
    ch->opaque = transfer_opaque;
}

/* Bytes pos..pos+len of the channel's block, piece by piece where the address wraps. */
static int move(I8257 *dma, int channel, uint8_t *buf, int pos, int len, bool to_memory)
{
    const DmaChannel *ch = &dma->channels[channel % CHANNELS];
    bool down = ch->mode & MODE_DECREMENT;
    int done = 0;

    if (pos < 0 || len < 0 || !(ch->mode & MODE_TYPE)) {
        return MAX(len, 0); /* verify: the cycles run, memory does not take part */
    }
    while (done < len) {
        uint64_t addr = byte_address(dma, ch, pos + done);
        uint32_t window = 0x10000u << dma->dshift;
        uint32_t piece = down ? 1 : MIN((uint32_t)(len - done), window - (addr & (window - 1)));

        if (to_memory) {
            address_space_write(address_space_memory(), addr, buf + done, piece);
        } else {
            address_space_read(address_space_memory(), addr, buf + done, piece);
        }
        done += piece;
    }
    return len;
}

static int dma_read_memory(void *opaque, int channel, void *buf, int pos, int len)
{
    return move(opaque, channel, buf, pos, len, false);
}

static int dma_write_memory(void *opaque, int channel, const void *buf, int pos, int len)
{
    return move(opaque, channel, (uint8_t *)buf, pos, len, true);
}

static void dma_hold_request(void *opaque, int channel, bool on)
{
    I8257 *dma = opaque;
    uint8_t bit = BIT(channel % CHANNELS);

    dma->requests = on ? dma->requests | bit : dma->requests & ~bit;
    wake(dma);
}

static const IsaDmaOps dma_ops = {
    .register_channel = dma_register_channel,
    .read_memory = dma_read_memory,
    .write_memory = dma_write_memory,
    .hold_request = dma_hold_request,
};

/* ---- the device ---- */

static void i8257_reset(Device *dev)
{
    I8257 *dma = (I8257 *)dev;

    master_clear(dma);
    for (int n = 0; n < CHANNELS; n++) {
        DmaChannel *ch = &dma->channels[n];

        ch->base_addr = 0;
        ch->base_count = 0;
        ch->pos = 0;
        ch->finished = false;
        ch->page = 0;
        ch->page_high = 0;
        ch->mode = 0;
    }
    loop_bh_cancel(dma->bh);
}

static bool map_pages(I8257 *dma, const MemoryRegionOps ops[2], MemoryRegion *regions[2],
                      int32_t base, GError **error)
{
    regions[0] = memory_region_new_io(OBJECT(dma), &ops[0], dma, "dma-page", 3);
    regions[1] = memory_region_new_io(OBJECT(dma), &ops[1], dma, "dma-page", 1);
    return isa_map_ports(&dma->parent_obj, regions[0], base + 1, error) &&
           isa_map_ports(&dma->parent_obj, regions[1], base + 7, error);
}

static bool i8257_realize(Device *dev, GError **error)
{
    I8257 *dma = (I8257 *)dev;
    Object *owner = OBJECT(dev);

    if (dma->dshift < 0 || dma->dshift > 1 || dma->base < 0 || dma->base > 0xffe0 ||
        dma->page_base < 0 || dma->page_base > 0xfff8 || dma->pageh_base > 0xfff8) {
        error_setf(error, "i8257: base, page-base or pageh-base is no I/O port, or dshift not 0 "
                   "or 1");
        return false;
    }
    dma->bh = loop_bh_new(loop_main(), run_channels, dma);
    dma->channel_ports = memory_region_new_io(owner, &channel_ops, dma, "dma-chan",
                                              CHANNEL_PORTS << dma->dshift);
    dma->control_ports = memory_region_new_io(owner, &control_ops, dma, "dma-cont",
                                              CONTROL_PORTS << dma->dshift);
    return isa_map_ports(&dma->parent_obj, dma->channel_ports, dma->base, error) &&
           isa_map_ports(&dma->parent_obj, dma->control_ports,
                         dma->base + (CHANNEL_PORTS << dma->dshift), error) &&
           map_pages(dma, page_ops, dma->pages, dma->page_base, error) &&
           (dma->pageh_base < 0 ||
            map_pages(dma, page_high_ops, dma->pages_high, dma->pageh_base, error));
}

static void i8257_finalize(Object *obj)
{
    I8257 *dma = (I8257 *)obj;

    if (dma->bh) {
        loop_bh_free(dma->bh);
    }
    memory_region_free(dma->channel_ports);
    memory_region_free(dma->control_ports);
    for (int i = 0; i < 2; i++) {
        memory_region_free(dma->pages[i]);
        memory_region_free(dma->pages_high[i]);
    }
}

static bool i8257_post_load(void *opaque, int version, GError **error)
{
    I8257 *dma = opaque;

    for (int n = 0; n < CHANNELS; n++) {
        if (dma->channels[n].pos > block_bytes(dma, &dma->channels[n])) {
            error_setf(error, "i8257: channel %d was saved beyond its block's end", n);
            return false;
        }
    }
    dma->mask &= 0x0f;
    dma->requests &= 0x0f;
    wake(dma);
    return true;
}

static const VmState channel_vmstate = {
    .name = "i8257 channel",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U16(DmaChannel, base_addr),
        VMSTATE_U16(DmaChannel, base_count),
        VMSTATE_U32(DmaChannel, pos),
        VMSTATE_BOOL(DmaChannel, finished),
        VMSTATE_U8(DmaChannel, page),
        VMSTATE_U8(DmaChannel, page_high),
        VMSTATE_U8(DmaChannel, mode),
        VMSTATE_END
    },
};

static const VmState i8257_vmstate = {
    .name = "dma",
    .version = 1,
    .minimum_version = 1,
    .post_load = i8257_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(I8257, status),
        VMSTATE_U8(I8257, command),
        VMSTATE_U8(I8257, mask),
        VMSTATE_U8(I8257, requests),
        VMSTATE_BOOL(I8257, high_byte),
        VMSTATE_STRUCT_ARRAY(I8257, channels, channel_vmstate),
        VMSTATE_END
    },
};

static const Property i8257_properties[] = {
    PROP_INT32("base", I8257, base, 0, "first port of its registers"),
    PROP_INT32("page-base", I8257, page_base, 0x80, "ports of address bits 23:16"),
    PROP_INT32("pageh-base", I8257, pageh_base, 0x480, "ports of address bits 31:24, or -1"),
    PROP_INT32("dshift", I8257, dshift, 0, "0: bytes; 1: words, ports two apart"),
    PROP_END
};

static const DeviceHooks i8257_hooks = {
    .realize = i8257_realize,
    .reset = i8257_reset,
    .vmstate = &i8257_vmstate,
    .no_user = true,
};

static const TypeInfo i8257_type = {
    .name = TYPE_I8257,
    .parent = TYPE_ISA_DEVICE,
    .description = "8237A DMA controller",
    .instance_size = sizeof(I8257),
    .instance_finalize = i8257_finalize,
    .properties = i8257_properties,
    .hooks = &i8257_hooks,
};
QOM_TYPE(i8257_type);

static I8257 *create_controller(IsaBus *bus, int32_t base, int32_t page_base, int32_t dshift,
                                GError **error)
{
    Object *obj = object_new(TYPE_I8257);
    I8257 *dma = (I8257 *)obj;

    dma->base = base;
    dma->page_base = page_base;
    dma->pageh_base = UNSET;
    dma->dshift = dshift;
    return device_realize_and_unref((Device *)obj, (Bus *)bus, error) ? dma : NULL;
}

bool i8257_new(IsaBus *bus, GError **error)
{
    I8257 *bytes = create_controller(bus, 0x00, 0x80, 0, error);
    I8257 *words = bytes ? create_controller(bus, 0xc0, 0x88, 1, error) : NULL;

    if (!words) {
        return false;
    }
    isa_bus_connect_dma(bus, &dma_ops, bytes, words);
    return true;
}
