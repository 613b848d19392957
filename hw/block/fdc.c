/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 82078 floppy disk controller (data sheet 290468) as a PC/AT has it:
 *
 *   +0, +1  status registers A, B (PS/2)
 *   +2  digital output: 7:4 motors, bit 3 DMA and interrupt, 2 not reset, 1:0 drive
 *   +3  tape drive
 *   +4  r main status: bit 7 ready for a byte, 6 to the host, 5 not by DMA, 4 busy
 *       w data rate select: bit 7 reset, 1:0 rate
 *   +5  data: commands, results, and what a command moves without DMA
 *   +7  r digital input: bit 7 the disk was changed; w rate
 *
 * The machine's port +6 belongs to the IDE controller.
 */
#include "hw/block/fdc-internal.h"

#include "util/error.h"

enum Register {
    REG_SRA, REG_SRB, REG_DOR, REG_TDR, REG_MSR, REG_FIFO, REG_UNUSED, REG_DIR,
};
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_NON_DMA = 0x20, MSR_BUSY = 0x10 };
enum { DSR_RESET = 0x80, DIR_CHANGED = 0x80, SRA_IRQ = 0x80 };
enum { REGISTERS = 6, RESET_SENSES = 4 };
enum { DEFAULT_CONFIGURE = 0x20 };

FloppyDrive *fdc_drive(const Fdc *fdc, unsigned n)
{
    return n < FLOPPY_DRIVES ? fdc->bus->drives[n] : NULL;
}

static void update_irq(Fdc *fdc)
{
    irq_set(fdc->irq, fdc->irq_pending && (fdc->dor & DOR_DMA));
}

void fdc_raise_irq(Fdc *fdc)
{
    fdc->irq_pending = true;
    update_irq(fdc);
}

void fdc_lower_irq(Fdc *fdc)
{
    fdc->irq_pending = false;
    update_irq(fdc);
}

void fdc_result(Fdc *fdc, unsigned len)
{
    fdc->phase = len ? FDC_RESULT : FDC_COMMAND;
    fdc->result_len = (uint8_t)len;
    fdc->result_pos = 0;
    fdc->command_len = 0;
}

static void reset_controller(Fdc *fdc)
{
    fdc_cancel(fdc);
    fdc_lower_irq(fdc);
    fdc->sense_pending = false;
    fdc->reset_senses = 0;
    fdc->result_len = fdc->result_pos = 0;
    if (!fdc->lock) {
        fdc->configure = DEFAULT_CONFIGURE;
        fdc->precompensation = 0;
    }
}

static void leave_reset(Fdc *fdc)
{
    reset_controller(fdc);
    fdc->reset_senses = RESET_SENSES;
    fdc_raise_irq(fdc);
}

/* ---- Registers ---- */

static uint8_t main_status(const Fdc *fdc)
{
    if (!(fdc->dor & DOR_NOT_RESET)) {
        return 0;
    }
    if (fdc->in_flight) {
        return fdc->orphaned ? 0 : MSR_BUSY;
    }
    switch ((FdcPhase)fdc->phase) {
    case FDC_COMMAND:
        return MSR_RQM | (fdc->command_len ? MSR_BUSY : 0);
    case FDC_TO_HOST:
        return MSR_BUSY | (fdc->use_dma ? 0 : MSR_RQM | MSR_DIO | MSR_NON_DMA);
    case FDC_FROM_HOST:
        return MSR_BUSY | (fdc->use_dma ? 0 : MSR_RQM | MSR_NON_DMA);
    case FDC_RESULT:
        return MSR_RQM | MSR_DIO | MSR_BUSY;
    default:
        return MSR_BUSY;
    }
}

static uint8_t read_result(Fdc *fdc)
{
    uint8_t value = fdc->result[fdc->result_pos++];

    fdc_lower_irq(fdc);
    if (fdc->result_pos == fdc->result_len) {
        fdc->phase = FDC_COMMAND;
    }
    return value;
}

/* Only who was told that a byte waits gets one. */
static uint8_t read_fifo(Fdc *fdc)
{
    if ((main_status(fdc) & (MSR_RQM | MSR_DIO)) != (MSR_RQM | MSR_DIO)) {
        return 0;
    }
    return fdc->phase == FDC_RESULT ? read_result(fdc) : fdc_data_read(fdc);
}

static void write_fifo(Fdc *fdc, uint8_t value)
{
    if ((main_status(fdc) & (MSR_RQM | MSR_DIO)) != MSR_RQM) {
        return;
    }
    if (fdc->phase == FDC_FROM_HOST) {
        fdc_data_write(fdc, value);
    } else {
        fdc_command_byte(fdc, value);
    }
}

static void write_dor(Fdc *fdc, uint8_t value)
{
    uint8_t old = fdc->dor;

    fdc->dor = value;
    if (!(value & DOR_NOT_RESET) && (old & DOR_NOT_RESET)) {
        reset_controller(fdc);
    } else if ((value & DOR_NOT_RESET) && !(old & DOR_NOT_RESET)) {
        leave_reset(fdc);
    }
    update_irq(fdc);
}

static void write_dsr(Fdc *fdc, uint8_t value)
{
    fdc->dsr = value & ~DSR_RESET;
    fdc->rate = value & 3;
    if ((value & DSR_RESET) && (fdc->dor & DOR_NOT_RESET)) {
        leave_reset(fdc);
    }
}

static uint64_t register_read_byte(void *opaque, uint64_t offset, unsigned size)
{
    Fdc *fdc = opaque;

    switch ((enum Register)offset) {
    case REG_SRA:
        return fdc->irq_pending ? SRA_IRQ : 0;
    case REG_SRB:
        return 0xc0 | (fdc->dor >> 4 & 3) | (fdc->dor & 1) << 5;
    case REG_DOR:
        return fdc->dor;
    case REG_TDR:
        return fdc->tdr;
    case REG_MSR:
        return main_status(fdc);
    case REG_FIFO:
        return read_fifo(fdc);
    default:
        return 0xff;
    }
}

static void register_write_byte(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Fdc *fdc = opaque;

    switch ((enum Register)offset) {
    case REG_DOR:
        write_dor(fdc, value);
        break;
    case REG_TDR:
        fdc->tdr = value & 3;
        break;
    case REG_MSR:
        write_dsr(fdc, value);
        break;
    case REG_FIFO:
        write_fifo(fdc, value);
        break;
    default:
        break;
    }
}

static const MemoryRegionOps register_ops = {
    .read = register_read_byte,
    .write = register_write_byte,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 1 },
};

static uint64_t dir_read(void *opaque, uint64_t offset, unsigned size)
{
    Fdc *fdc = opaque;
    const FloppyDrive *drive = fdc_drive(fdc, fdc->dor & DOR_DRIVE);

    return drive && drive->changed ? DIR_CHANGED : 0;
}

static void dir_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ((Fdc *)opaque)->rate = value & 3;
}

static const MemoryRegionOps dir_ops = {
    .read = dir_read,
    .write = dir_write,
    .valid = { .min = 1, .max = 1 },
    .impl = { .min = 1, .max = 1 },
};

/* ---- Life ---- */

static void fdc_reset(Device *device)
{
    Fdc *fdc = (Fdc *)device;

    fdc_cancel(fdc);
    for (unsigned i = 0; i < FLOPPY_DRIVES; i++) {
        if (fdc->bus->drives[i]) {
            block_backend_drain(fdc->bus->drives[i]->conf.blk);
        }
    }
    fdc->lock = 0;
    fdc->dor = DOR_DMA | DOR_NOT_RESET;
    fdc->tdr = 0;
    fdc->dsr = fdc->rate = 2;
    fdc->specify[0] = fdc->specify[1] = 0;
    fdc->perpendicular = 0;
    reset_controller(fdc);
}

static bool map_registers(Fdc *fdc, GError **error)
{
    fdc->registers = memory_region_new_io(OBJECT(fdc), &register_ops, fdc, "fdc", REGISTERS);
    fdc->dir_register = memory_region_new_io(OBJECT(fdc), &dir_ops, fdc, "fdc-dir", 1);
    return isa_map_ports(&fdc->parent_obj, fdc->registers, (uint16_t)fdc->iobase, error) &&
           isa_map_ports(&fdc->parent_obj, fdc->dir_register, (uint16_t)(fdc->iobase + REG_DIR),
                         error);
}

/* A sector that was on its way when the machine was saved starts again. */
static void run_state_changed(Notifier *notifier, void *data)
{
    if (*(bool *)data) {
        fdc_go_on((Fdc *)(void *)((char *)notifier - offsetof(Fdc, run_state)));
    }
}

static bool fdc_realize(Device *device, GError **error)
{
    Fdc *fdc = (Fdc *)device;

    if (fdc->iobase > 0xfff8 || fdc->irq_line >= ISA_IRQS || fdc->dma_channel > 3) {
        error_setf(error, "isa-fdc: iobase, irq or dma is none that ISA has");
        return false;
    }
    if (!map_registers(fdc, error)) {
        return false;
    }
    fdc->run_state.notify = run_state_changed;
    notifier_list_add(run_state_notifiers(), &fdc->run_state);
    fdc->irq = isa_irq(&fdc->parent_obj, fdc->irq_line);
    fdc->dma_ops = isa_bus_dma(isa_device_bus(&fdc->parent_obj), (int)fdc->dma_channel,
                               &fdc->dma);
    if (fdc->dma_ops) {
        fdc->dma_ops->register_channel(fdc->dma, (int)fdc->dma_channel, fdc_dma_transfer, fdc);
    }
    fdc->bus = floppy_bus_new(device, (FloppyType)fdc->fallback);
    fdc->bus->types[0] = fdc->type_a;
    fdc->bus->types[1] = fdc->type_b;
    fdc->bus->boot_index[0] = fdc->bootindex_a;
    fdc->bus->boot_index[1] = fdc->bootindex_b;
    return true;
}

static void fdc_finalize(Object *obj)
{
    Fdc *fdc = (Fdc *)obj;

    memory_region_free(fdc->registers);
    memory_region_free(fdc->dir_register);
}

static bool fdc_post_load(void *opaque, int version, GError **error)
{
    const Fdc *fdc = opaque;

    if (fdc->phase >= FDC_PHASE__MAX || fdc->task >= FDC_TASK__MAX ||
        fdc->command_len >= FDC_PARAMETERS || fdc->result_len > FDC_RESULTS ||
        fdc->result_pos > fdc->result_len || fdc->data_len > FLOPPY_SECTOR ||
        fdc->data_pos > fdc->data_len || fdc->reset_senses > RESET_SENSES ||
        (fdc->phase == FDC_RESULT && fdc->result_pos == fdc->result_len) ||
        ((fdc->phase == FDC_TO_HOST || fdc->phase == FDC_FROM_HOST) &&
         fdc->data_pos == fdc->data_len)) {
        error_setf(error, "isa-fdc: a command in a state that cannot be");
        return false;
    }
    return true;
}

static const VmState fdc_vmstate = {
    .name = "fdc",
    .version = 1,
    .minimum_version = 1,
    .post_load = fdc_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(Fdc, dor),
        VMSTATE_U8(Fdc, tdr),
        VMSTATE_U8(Fdc, dsr),
        VMSTATE_U8(Fdc, rate),
        VMSTATE_BOOL(Fdc, irq_pending),
        VMSTATE_U8(Fdc, reset_senses),
        VMSTATE_U8(Fdc, st0),
        VMSTATE_BOOL(Fdc, sense_pending),
        VMSTATE_BUFFER(Fdc, command),
        VMSTATE_U8(Fdc, command_len),
        VMSTATE_BUFFER(Fdc, result),
        VMSTATE_U8(Fdc, result_len),
        VMSTATE_U8(Fdc, result_pos),
        VMSTATE_U8(Fdc, phase),
        VMSTATE_U8(Fdc, task),
        VMSTATE_BOOL(Fdc, use_dma),
        VMSTATE_BOOL(Fdc, multi_track),
        VMSTATE_BOOL(Fdc, mismatch),
        VMSTATE_BOOL(Fdc, terminal),
        VMSTATE_U8(Fdc, drive),
        VMSTATE_U8(Fdc, side),
        VMSTATE_U8(Fdc, cylinder),
        VMSTATE_U8(Fdc, sector),
        VMSTATE_U8(Fdc, last_sector),
        VMSTATE_BUFFER(Fdc, data),
        VMSTATE_U32(Fdc, data_pos),
        VMSTATE_U32(Fdc, data_len),
        VMSTATE_U8(Fdc, format_left),
        VMSTATE_BUFFER(Fdc, specify),
        VMSTATE_U8(Fdc, configure),
        VMSTATE_U8(Fdc, precompensation),
        VMSTATE_U8(Fdc, perpendicular),
        VMSTATE_U8(Fdc, lock),
        VMSTATE_END
    },
};

static const Property fdc_properties[] = {
    PROP_UINT32("iobase", Fdc, iobase, 0x3f0, "first port"),
    PROP_UINT32("irq", Fdc, irq_line, 6, "ISA interrupt"),
    PROP_UINT32("dma", Fdc, dma_channel, 2, "ISA DMA channel"),
    PROP_ENUM("fdtypeA", Fdc, type_a, floppy_type_names, FLOPPY_AUTO, "kind of the first drive"),
    PROP_ENUM("fdtypeB", Fdc, type_b, floppy_type_names, FLOPPY_AUTO, "kind of the second drive"),
    PROP_ENUM("fallback", Fdc, fallback, floppy_type_names, FLOPPY_288,
              "kind of a drive without medium"),
    PROP_BOOTINDEX("bootindexA", Fdc, bootindex_a),
    PROP_BOOTINDEX("bootindexB", Fdc, bootindex_b),
    PROP_END
};

static char *fdc_boot_path(Device *device)
{
    return g_strdup_printf("/fdc@%04x", ((Fdc *)device)->iobase);
}

static const DeviceHooks fdc_hooks = {
    .realize = fdc_realize,
    .reset = fdc_reset,
    .vmstate = &fdc_vmstate,
    .boot_path = fdc_boot_path,
    .category = DEVICE_CATEGORY_STORAGE,
};

static const TypeInfo fdc_info = {
    .name = TYPE_ISA_FDC,
    .parent = TYPE_ISA_DEVICE,
    .description = "virtual floppy controller",
    .user_creatable = true,
    .instance_size = sizeof(Fdc),
    .instance_finalize = fdc_finalize,
    .properties = fdc_properties,
    .hooks = &fdc_hooks,
};
QOM_TYPE(fdc_info);

Device *isa_fdc_new(IsaBus *bus, GError **error)
{
    return device_create(TYPE_ISA_FDC, (Bus *)bus, error);
}

Bus *isa_fdc_bus(Device *device)
{
    return (Bus *)((Fdc *)device)->bus;
}

uint8_t isa_fdc_cmos_type(Device *device, unsigned unit)
{
    static const uint8_t types[] = {
        [FLOPPY_144] = 4, [FLOPPY_288] = 5, [FLOPPY_120] = 2, [FLOPPY_NONE] = 0,
        [FLOPPY_AUTO] = 0,
    };
    const FloppyDrive *drive = fdc_drive((Fdc *)device, unit);

    return drive ? types[drive->type] : 0;
}

void isa_fdc_last_place(Device *device, unsigned unit, uint8_t *track, uint8_t *sector,
                        uint8_t *side)
{
    const FloppyDrive *drive = fdc_drive((Fdc *)device, unit);
    FloppyFormat largest = floppy_largest_format(drive ? drive->type : FLOPPY_NONE);

    *track = largest.tracks ? largest.tracks - 1 : 0;
    *sector = largest.sectors;
    *side = largest.sides ? largest.sides - 1 : 0;
}
