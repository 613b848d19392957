/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IDE channel: the registers that two drives share (ATA/ATAPI-7 volume 2, section 7).
 *
 *   command block +0  data, 16 or 32 bits
 *                 +1  r error, w feature
 *                 +2..+5  sector count, LBA low, mid, high
 *                 +6  device: bit 4 the drive, bit 6 LBA, 3:0 head or LBA 27:24
 *                 +7  r status (takes the interrupt back), w command
 *   control       +0  r status alone, w control: bit 7 HOB, 2 SRST, 1 nIEN
 *
 * Both drives see what is written to the command block, except commands; each has status and error
 * of its own. A channel with one drive answers for the other one with status 0, an empty one with 0
 * everywhere.
 *
 * A reset does not wait: a request in flight goes on, its result is not looked at, and the drive
 * stays busy until it has ended. So nothing that came before a reset can happen after what comes
 * behind it.
 */
#include "hw/ide/ide-internal.h"
#include "util/error.h"

enum Register {
    REG_DATA, REG_FEATURE, REG_COUNT, REG_LOW, REG_MID, REG_HIGH, REG_DEVICE, REG_COMMAND,
};
enum { CMD_DEVICE_RESET = 0x08, CMD_DIAGNOSTIC = 0x90 };
enum { DIAGNOSTIC_PASSED = 0x01 };

/* ---- Interrupt ---- */

static void update_irq(IdeChannel *ch)
{
    irq_set(ch->irq, ch->regs->irq && !(ch->regs->control & CONTROL_NIEN));
}

void ide_raise_irq(IdeDevice *dev)
{
    IdeChannel *ch = dev->ch;

    ch->regs->irq = true;
    update_irq(ch);
    if (!(ch->regs->control & CONTROL_NIEN) && ch->irq_raised) {
        ch->irq_raised(ch->opaque);
    }
}

static void lower_irq(IdeChannel *ch)
{
    ch->regs->irq = false;
    update_irq(ch);
}

/* ---- Drives ---- */

void ide_set_signature(IdeDevice *dev)
{
    IdeUnitRegs *regs = dev->regs;

    *regs = (IdeUnitRegs){ .error = DIAGNOSTIC_PASSED, .count = { 1 }, .lba_low = { 1 },
                           .device = regs->device & ~DEVICE_HEAD };
    if (dev->is_cd) {
        regs->lba_mid[0] = 0x14;
        regs->lba_high[0] = 0xeb;
    }
    regs->status = dev->orphaned ? STATUS_BSY : dev->is_cd ? 0 : STATUS_READY;
}

static void set_absent_signature(IdeUnitRegs *regs)
{
    *regs = (IdeUnitRegs){ .error = DIAGNOSTIC_PASSED, .count = { 1 }, .lba_low = { 1 },
                           .lba_mid = { 0xff }, .lba_high = { 0xff } };
}

void ide_complete(IdeDevice *dev)
{
    dev->phase = IDE_IDLE;
    dev->regs->status = STATUS_READY;
    dev->regs->error = 0;
    ide_raise_irq(dev);
}

void ide_fail(IdeDevice *dev, uint8_t error)
{
    dev->phase = IDE_IDLE;
    dev->regs->status = STATUS_READY | STATUS_ERR;
    dev->regs->error = error;
    ide_raise_irq(dev);
}

static void reset_drive(IdeDevice *dev)
{
    ide_cancel(dev);
    ide_set_signature(dev);
    if (dev->is_cd) {
        atapi_reset(dev);
    } else {
        /* What SET FEATURES chose stays, unless it said that it should not. */
        dev->multiple = IDE_MAX_MULTIPLE;
    }
}

static void reset_drives(IdeChannel *ch)
{
    for (unsigned i = 0; i < IDE_UNITS; i++) {
        if (ch->drives[i]) {
            reset_drive(ch->drives[i]);
        } else {
            set_absent_signature(&ch->regs->unit[i]);
        }
        ch->regs->unit[i].device = 0;
    }
    ch->regs->selected = 0;
}

void ide_channel_reset(IdeChannel *ch)
{
    reset_drives(ch);
    ch->regs->control = 0;
    lower_irq(ch);
}

/* ---- Command block ---- */

static bool is_busy(const IdeUnitRegs *regs)
{
    return regs->status & (STATUS_BSY | STATUS_DRQ);
}

static void write_command(IdeChannel *ch, uint8_t command)
{
    IdeDevice *dev = ch->drives[ch->regs->selected];

    lower_irq(ch);
    if (command == CMD_DIAGNOSTIC && dev && !is_busy(dev->regs)) {
        reset_drives(ch);
        if (ch->drives[0]) {
            ide_raise_irq(ch->drives[0]);
        }
        return;
    }
    if (dev && dev->is_cd && command == CMD_DEVICE_RESET) {
        reset_drive(dev);
        return;
    }
    if (dev && !is_busy(dev->regs) && !(ch->regs->control & CONTROL_SRST)) {
        ide_command(dev, command);
    }
}

static void shift_in(uint8_t fifo[2], uint8_t value)
{
    fifo[1] = fifo[0];
    fifo[0] = value;
}

/* Where a register of the command block keeps its two values; NULL for the others. */
static uint8_t *fifo_of(IdeUnitRegs *regs, unsigned reg)
{
    switch ((enum Register)reg) {
    case REG_FEATURE:
        return regs->feature;
    case REG_COUNT:
        return regs->count;
    case REG_LOW:
        return regs->lba_low;
    case REG_MID:
        return regs->lba_mid;
    case REG_HIGH:
        return regs->lba_high;
    default:
        return NULL;
    }
}

static void write_byte(IdeChannel *ch, unsigned reg, uint8_t value)
{
    IdeRegs *regs = ch->regs;

    if (reg == REG_COMMAND) {
        write_command(ch, value);
        return;
    }
    regs->control &= ~CONTROL_HOB;
    for (unsigned i = 0; i < IDE_UNITS; i++) {
        uint8_t *fifo = fifo_of(&regs->unit[i], reg);

        if (is_busy(&regs->unit[i])) {
            continue; /* it has no time to look */
        }
        if (fifo) {
            shift_in(fifo, value);
        } else {
            regs->unit[i].device = value;
        }
    }
    if (reg == REG_DEVICE) {
        regs->selected = value & DEVICE_UNIT ? 1 : 0;
        /* A drive that could not listen then has to know it now. */
        regs->unit[regs->selected].device = value;
    }
}

static uint8_t read_status(const IdeChannel *ch)
{
    return ch->drives[ch->regs->selected] ? ch->regs->unit[ch->regs->selected].status : 0;
}

static uint8_t read_byte(IdeChannel *ch, unsigned reg)
{
    IdeUnitRegs *regs = &ch->regs->unit[ch->regs->selected];
    unsigned previous = ch->regs->control & CONTROL_HOB ? 1 : 0;
    uint8_t status;

    switch ((enum Register)reg) {
    case REG_FEATURE:
        return previous ? regs->feature[1] : regs->error;
    case REG_DEVICE:
        return regs->device | 0xa0;
    case REG_COMMAND:
        status = read_status(ch);
        lower_irq(ch);
        return status;
    default:
        return fifo_of(regs, reg)[previous];
    }
}

static bool is_empty(const IdeChannel *ch)
{
    return !ch->drives[0] && !ch->drives[1];
}

static uint64_t command_read(void *opaque, uint64_t offset, unsigned size)
{
    IdeChannel *ch = opaque;
    IdeDevice *dev = ch->drives[ch->regs->selected];
    uint32_t value = 0;

    if (is_empty(ch)) {
        return 0;
    }
    if (offset == REG_DATA) {
        return dev ? ide_data_read(dev, size) : 0;
    }
    for (unsigned i = 0; i < size && offset + i < IDE_COMMAND_PORTS; i++) {
        value |= (uint32_t)read_byte(ch, offset + i) << (8 * i);
    }
    return value;
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    IdeChannel *ch = opaque;
    IdeDevice *dev = ch->drives[ch->regs->selected];

    if (offset == REG_DATA) {
        if (dev) {
            ide_data_write(dev, value, size);
        }
        return;
    }
    for (unsigned i = 0; i < size && offset + i < IDE_COMMAND_PORTS; i++) {
        write_byte(ch, offset + i, value >> (8 * i));
    }
}

static const MemoryRegionOps command_ops = {
    .read = command_read,
    .write = command_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

/* ---- Control block ---- */

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    return read_status(opaque);
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    IdeChannel *ch = opaque;
    uint8_t old = ch->regs->control;

    ch->regs->control = value;
    if ((value & CONTROL_SRST) && !(old & CONTROL_SRST)) {
        for (unsigned i = 0; i < IDE_UNITS; i++) {
            if (ch->drives[i]) {
                ide_cancel(ch->drives[i]);
                ch->drives[i]->regs->status = STATUS_BSY;
            }
        }
        ch->regs->irq = false;
    } else if (!(value & CONTROL_SRST) && (old & CONTROL_SRST)) {
        reset_drives(ch);
    }
    update_irq(ch);
}

static const MemoryRegionOps control_ops = {
    .read = control_read,
    .write = control_write,
    .valid = { .min = 1, .max = 1 },
    .impl = { .min = 1, .max = 1 },
};

/* ---- The bus ---- */

IdeChannel *ide_channel_new(Device *owner, const char *name, unsigned number, IdeRegs *regs)
{
    IdeChannel *ch = (IdeChannel *)bus_new(TYPE_IDE_BUS, owner, name);

    ch->number = number;
    ch->regs = regs;
    ch->parent_obj.max_devices = IDE_UNITS;
    ch->command = memory_region_new_io(OBJECT(owner), &command_ops, ch, "ide-command",
                                       IDE_COMMAND_PORTS);
    ch->control_region = memory_region_new_io(OBJECT(owner), &control_ops, ch, "ide-control",
                                              IDE_CONTROL_PORTS);
    return ch;
}

void ide_channel_cleanup(IdeChannel *ch)
{
    g_clear_pointer(&ch->command, memory_region_free);
    g_clear_pointer(&ch->control_region, memory_region_free);
}

static bool check_address(Bus *bus, Device *device, GError **error)
{
    IdeChannel *ch = (IdeChannel *)bus;
    IdeDevice *dev = (IdeDevice *)device;
    uint32_t unit = dev->unit_wanted;

    if (unit == UINT32_MAX) {
        unit = ch->drives[0] ? 1 : 0;
    }
    if (unit >= IDE_UNITS) {
        error_setf(error, "Can't create IDE unit %u, bus supports only %u units", unit, IDE_UNITS);
        return false;
    }
    if (ch->drives[unit]) {
        error_setf(error, "IDE unit %u is in use", unit);
        return false;
    }
    dev->ch = ch;
    dev->unit = unit;
    dev->unit_wanted = unit;
    dev->regs = &ch->regs->unit[unit];
    return true;
}

static char *fw_path(Bus *bus, Device *device)
{
    return g_strdup_printf("/drive@%x/disk@%x", ((IdeChannel *)bus)->number,
                           ((IdeDevice *)device)->unit);
}

static const BusOps ide_bus_ops = {
    .check_address = check_address,
    .fw_path = fw_path,
};

static const TypeInfo ide_bus_info = {
    .name = TYPE_IDE_BUS,
    .parent = TYPE_BUS,
    .description = "IDE channel",
    .instance_size = sizeof(IdeChannel),
    .ops = &ide_bus_ops,
};
QOM_TYPE(ide_bus_info);

static const VmState unit_vmstate = {
    .name = "IDE unit registers",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(IdeUnitRegs, status),
        VMSTATE_U8(IdeUnitRegs, error),
        VMSTATE_U8(IdeUnitRegs, device),
        VMSTATE_BUFFER(IdeUnitRegs, feature),
        VMSTATE_BUFFER(IdeUnitRegs, count),
        VMSTATE_BUFFER(IdeUnitRegs, lba_low),
        VMSTATE_BUFFER(IdeUnitRegs, lba_mid),
        VMSTATE_BUFFER(IdeUnitRegs, lba_high),
        VMSTATE_END
    },
};

static bool selected_valid(void *opaque, const VmStateField *field, GError **error)
{
    IdeRegs *regs = opaque;

    if (regs->selected >= IDE_UNITS) {
        error_setf(error, "IDE: unit %u is selected", regs->selected);
        return false;
    }
    return true;
}

const VmState ide_regs_vmstate = {
    .name = "IDE channel",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT_ARRAY(IdeRegs, unit, unit_vmstate),
        VMSTATE_U8_VALID(IdeRegs, selected, selected_valid),
        VMSTATE_U8(IdeRegs, control),
        VMSTATE_BOOL(IdeRegs, irq),
        VMSTATE_END
    },
};
