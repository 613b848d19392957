/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel 8259A programmable interrupt controller (data sheet 231468-003), twice, as in the PC/AT;
 * and the edge/level control register that EISA added (82371SB data sheet, 2.5.3).
 *
 * Each chip has two ports (master 0x20, slave 0xa0):
 *
 *   base + 0 write  ICW1 if bit 4 is set: starts initialisation (bit 0: ICW4 follows, 1: single,
 *                   3: level)
 *                   OCW2 if bits 4:3 = 00: bits 7:5 command (rotate, specific, EOI), 2:0 level
 *                   OCW3 if bits 4:3 = 01: bits 6:5 special mask, bit 2 poll, bits 1:0 what to read
 *   base + 0 read   IRR or ISR as OCW3 chose; after a poll command bit 7 = request, 2:0 its level
 *   base + 1 write  ICW2 (vector base), ICW3 (cascade), ICW4 (bit 1: auto EOI, bit 4: special fully
 *                   nested) while initialising; then OCW1 = IMR
 *   base + 1 read   IMR
 *   ELCR 0x4d0, 0x4d1: one bit per input, set = level-triggered
 *
 * A request in edge mode is latched until it is acknowledged; one in level mode follows its line.
 * The slave's INTR drives the master's IR2.
 */
#include "hw/intc/i8259.h"

#include "hw/intc/describe.h"
#include "util/bits.h"
#include "util/error.h"

#define PIC_INPUTS 8
#define PIC_CASCADE 2
#define PIC_SPURIOUS 7
#define PORT_UNSET UINT32_MAX

/* What the next write to base + 1 means. */
enum InitState { EXPECT_OCW1, EXPECT_ICW2, EXPECT_ICW3, EXPECT_ICW4 };

enum { ICW1_IC4 = 0x01, ICW1_SNGL = 0x02, ICW1_LTIM = 0x08, ICW1_SELECT = 0x10 };
enum { ICW4_AEOI = 0x02, ICW4_SFNM = 0x10 };
enum { OCW3_RIS = 0x01, OCW3_RR = 0x02, OCW3_POLL = 0x04, OCW3_SELECT = 0x08, OCW3_SMM = 0x20,
       OCW3_ESMM = 0x40 };
/* OCW2 bits 7:5. */
enum Ocw2 {
    OCW2_CLEAR_ROTATE_AEOI, OCW2_EOI, OCW2_NOP, OCW2_SPECIFIC_EOI, OCW2_SET_ROTATE_AEOI,
    OCW2_ROTATE_EOI, OCW2_SET_PRIORITY, OCW2_ROTATE_SPECIFIC_EOI,
};

struct I8259 {
    IsaDevice parent_obj;
    uint32_t iobase, elcr_addr;
    uint8_t elcr_mask;
    bool master, start_masked;
    I8259 *slave; /* of the master; borrowed */
    Irq out;
    MemoryRegion *ports, *elcr_port;

    uint8_t irr, imr, isr;
    uint8_t lines;          /* levels of the inputs */
    uint8_t elcr;
    uint8_t vector_base;
    uint8_t top;            /* the input of highest priority; rotates */
    uint8_t init_state;
    bool expect_icw4, single, level_mode;
    bool read_isr, poll, special_mask, auto_eoi, rotate_auto_eoi, special_nested;
    uint64_t raised[PIC_INPUTS]; /* since the start; for people */
};

static uint8_t level_inputs(const I8259 *pic)
{
    return pic->level_mode ? 0xff : pic->elcr;
}

/* Rank (0 is highest) of the best set bit, or PIC_INPUTS if there is none. */
static unsigned best_rank(const I8259 *pic, uint8_t mask)
{
    unsigned rank = 0;

    while (rank < PIC_INPUTS && !(mask & BIT((rank + pic->top) % PIC_INPUTS))) {
        rank++;
    }
    return rank;
}

/* The input whose request should reach the CPU now, or -1. */
static int pending_input(const I8259 *pic)
{
    uint8_t serving = pic->isr;
    unsigned rank = best_rank(pic, pic->irr & ~pic->imr);

    if (pic->special_mask) {
        serving &= ~pic->imr;
    }
    /* The slave may have something more urgent than what it has in service. */
    if (pic->special_nested && pic->master) {
        serving &= ~BIT(PIC_CASCADE);
    }
    if (rank == PIC_INPUTS || rank >= best_rank(pic, serving)) {
        return -1;
    }
    return (rank + pic->top) % PIC_INPUTS;
}

static void update_output(I8259 *pic)
{
    irq_set(pic->out, pending_input(pic) >= 0);
}

static void set_input(void *opaque, int n, bool level)
{
    I8259 *pic = opaque;
    uint8_t bit = BIT(n);

    pic->raised[n] += level && !(pic->lines & bit);
    if (level_inputs(pic) & bit) {
        pic->irr = level ? pic->irr | bit : pic->irr & ~bit;
    } else if (level && !(pic->lines & bit)) {
        pic->irr |= bit;
    }
    pic->lines = level ? pic->lines | bit : pic->lines & ~bit;
    update_output(pic);
}

static void acknowledge(I8259 *pic, int input)
{
    uint8_t bit = BIT(input);

    if (!pic->auto_eoi) {
        pic->isr |= bit;
    } else if (pic->rotate_auto_eoi) {
        pic->top = (input + 1) % PIC_INPUTS;
    }
    if (!(level_inputs(pic) & bit)) {
        pic->irr &= ~bit;
    }
    update_output(pic);
}

int i8259_ack(I8259 *master)
{
    I8259 *slave = master->slave;
    int input = pending_input(master);
    int vector;

    if (input < 0) {
        return master->vector_base + PIC_SPURIOUS;
    }
    vector = master->vector_base + input;
    if (slave && input == PIC_CASCADE) {
        int slave_input = pending_input(slave);

        vector = slave->vector_base + (slave_input < 0 ? PIC_SPURIOUS : slave_input);
        if (slave_input >= 0) {
            acknowledge(slave, slave_input);
        }
    }
    acknowledge(master, input);
    return vector;
}

bool i8259_intr(const I8259 *master)
{
    return pending_input(master) >= 0;
}

/*
 * What both ICW1 and a hard reset do: priorities, masks and modes fall back; the vector base too.
 */
static void initialise(I8259 *pic)
{
    /* The edge detectors start afresh; a level request is as its line is. */
    pic->irr = pic->lines & level_inputs(pic);
    pic->imr = 0;
    pic->isr = 0;
    pic->top = 0;
    pic->vector_base = 0;
    pic->init_state = EXPECT_OCW1;
    pic->expect_icw4 = false;
    pic->single = false;
    pic->read_isr = false;
    pic->poll = false;
    pic->special_mask = false;
    pic->auto_eoi = false;
    pic->rotate_auto_eoi = false;
    pic->special_nested = false;
}

static void write_icw1(I8259 *pic, uint8_t value)
{
    pic->level_mode = value & ICW1_LTIM;
    initialise(pic);
    pic->init_state = EXPECT_ICW2;
    pic->expect_icw4 = value & ICW1_IC4;
    pic->single = value & ICW1_SNGL;
}

static void write_ocw2(I8259 *pic, uint8_t value)
{
    enum Ocw2 command = value >> 5;
    int input = value % PIC_INPUTS;
    bool rotate = command == OCW2_ROTATE_EOI || command == OCW2_ROTATE_SPECIFIC_EOI;

    switch (command) {
    case OCW2_CLEAR_ROTATE_AEOI:
    case OCW2_SET_ROTATE_AEOI:
        pic->rotate_auto_eoi = command == OCW2_SET_ROTATE_AEOI;
        return;
    case OCW2_NOP:
        return;
    case OCW2_SET_PRIORITY:
        pic->top = (input + 1) % PIC_INPUTS;
        return;
    case OCW2_EOI:
    case OCW2_ROTATE_EOI: {
        /* In special mask mode a masked input's ISR bit survives a non-specific EOI. */
        uint8_t candidates = pic->special_mask ? pic->isr & ~pic->imr : pic->isr;
        unsigned rank = best_rank(pic, candidates);

        if (rank == PIC_INPUTS) {
            return;
        }
        input = (rank + pic->top) % PIC_INPUTS;
        break;
    }
    case OCW2_SPECIFIC_EOI:
    case OCW2_ROTATE_SPECIFIC_EOI:
        break;
    }
    pic->isr &= ~BIT(input);
    if (rotate) {
        pic->top = (input + 1) % PIC_INPUTS;
    }
}

static void write_ocw3(I8259 *pic, uint8_t value)
{
    if (value & OCW3_POLL) {
        pic->poll = true;
    }
    if (value & OCW3_RR) {
        pic->read_isr = value & OCW3_RIS;
    }
    if (value & OCW3_ESMM) {
        pic->special_mask = value & OCW3_SMM;
    }
}

static void write_data(I8259 *pic, uint8_t value)
{
    switch ((enum InitState)pic->init_state) {
    case EXPECT_OCW1:
        pic->imr = value;
        break;
    case EXPECT_ICW2:
        pic->vector_base = value & 0xf8;
        pic->init_state = !pic->single ? EXPECT_ICW3 : pic->expect_icw4 ? EXPECT_ICW4 : EXPECT_OCW1;
        break;
    case EXPECT_ICW3: /* the cascade is wired, not programmed */
        pic->init_state = pic->expect_icw4 ? EXPECT_ICW4 : EXPECT_OCW1;
        break;
    case EXPECT_ICW4:
        pic->auto_eoi = value & ICW4_AEOI;
        pic->special_nested = value & ICW4_SFNM;
        pic->init_state = EXPECT_OCW1;
        break;
    }
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8259 *pic = opaque;

    if (offset) {
        write_data(pic, value);
    } else if (value & ICW1_SELECT) {
        write_icw1(pic, value);
    } else if (value & OCW3_SELECT) {
        write_ocw3(pic, value);
    } else {
        write_ocw2(pic, value);
    }
    update_output(pic);
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    I8259 *pic = opaque;

    if (pic->poll) {
        int input = pending_input(pic);

        pic->poll = false;
        if (input < 0) {
            return 0;
        }
        acknowledge(pic, input);
        return 0x80 | input;
    }
    if (offset) {
        return pic->imr;
    }
    return pic->read_isr ? pic->isr : pic->irr;
}

static const MemoryRegionOps ports_ops = {
    .read = ports_read,
    .write = ports_write,
    .impl = { .min = 1, .max = 1 },
};

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((I8259 *)opaque)->elcr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8259 *pic = opaque;

    pic->elcr = value & pic->elcr_mask;
}

static const MemoryRegionOps elcr_ops = {
    .read = elcr_read,
    .write = elcr_write,
    .impl = { .min = 1, .max = 1 },
};

static void i8259_reset(Device *dev)
{
    I8259 *pic = (I8259 *)dev;

    pic->elcr = 0;
    pic->level_mode = false;
    initialise(pic);
    if (pic->start_masked) {
        pic->imr = 0xff;
    }
    update_output(pic);
}

void i8259_start_masked(I8259 *master)
{
    master->start_masked = master->slave->start_masked = true;
}

static void i8259_finalize(Object *obj)
{
    I8259 *pic = (I8259 *)obj;

    g_clear_pointer(&pic->ports, memory_region_free);
    g_clear_pointer(&pic->elcr_port, memory_region_free);
}

static bool i8259_realize(Device *dev, GError **error)
{
    I8259 *pic = (I8259 *)dev;
    Object *owner = OBJECT(dev);

    if (pic->iobase > 0xfffe || (pic->elcr_addr != PORT_UNSET && pic->elcr_addr > 0xffff)) {
        error_setf(error, "isa-i8259: iobase and elcr_addr must be I/O ports");
        return false;
    }
    device_init_irq_in(dev, NULL, set_input, PIC_INPUTS);
    device_init_irq_out(dev, NULL, &pic->out, 1);
    pic->ports = memory_region_new_io(owner, &ports_ops, pic, "pic", 2);
    if (!isa_map_ports(&pic->parent_obj, pic->ports, pic->iobase, error)) {
        return false;
    }
    if (pic->elcr_addr != PORT_UNSET) {
        pic->elcr_port = memory_region_new_io(owner, &elcr_ops, pic, "elcr", 1);
        return isa_map_ports(&pic->parent_obj, pic->elcr_port, pic->elcr_addr, error);
    }
    return true;
}

static bool valid_input(void *opaque, const VmStateField *field, GError **error)
{
    I8259 *pic = opaque;

    if (pic->top >= PIC_INPUTS || pic->init_state > EXPECT_ICW4) {
        error_setf(error, "isa-i8259: saved priority or initialisation state is out of range");
        return false;
    }
    return true;
}

static const VmState i8259_vmstate = {
    .name = "i8259",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(I8259, lines),
        VMSTATE_U8(I8259, irr),
        VMSTATE_U8(I8259, imr),
        VMSTATE_U8(I8259, isr),
        VMSTATE_U8(I8259, elcr),
        VMSTATE_U8(I8259, vector_base),
        VMSTATE_BOOL(I8259, read_isr),
        VMSTATE_BOOL(I8259, poll),
        VMSTATE_BOOL(I8259, special_mask),
        VMSTATE_BOOL(I8259, auto_eoi),
        VMSTATE_BOOL(I8259, rotate_auto_eoi),
        VMSTATE_BOOL(I8259, special_nested),
        VMSTATE_BOOL(I8259, expect_icw4),
        VMSTATE_BOOL(I8259, single),
        VMSTATE_BOOL(I8259, level_mode),
        VMSTATE_U8(I8259, top),
        { VMS_FIELD_(I8259, init_state, VMS_U8), .valid = valid_input },
        VMSTATE_END
    },
};

static void i8259_describe_irqs(Device *dev, GString *out)
{
    const I8259 *pic = (I8259 *)dev;

    i8259_describe(out, !pic->master, &(I8259Text){
        .irr = pic->irr, .imr = pic->imr, .isr = pic->isr, .top = pic->top,
        .vector_base = pic->vector_base, .elcr = pic->elcr, .read_isr = pic->read_isr,
        .special_nested = pic->special_nested,
    });
}

static const uint64_t *i8259_irq_counts(Device *dev, unsigned *first, unsigned *count)
{
    const I8259 *pic = (I8259 *)dev;

    *first = pic->master ? 0 : PIC_INPUTS;
    *count = PIC_INPUTS;
    return pic->raised;
}

static const Property i8259_properties[] = {
    PROP_UINT32("iobase", I8259, iobase, PORT_UNSET, "first of its two I/O ports"),
    PROP_UINT32("elcr_addr", I8259, elcr_addr, PORT_UNSET, "port of the edge/level register"),
    PROP_UINT8("elcr_mask", I8259, elcr_mask, 0xff, "inputs that can be made level-triggered"),
    PROP_BOOL("master", I8259, master, false, "the chip whose output leads to the CPU"),
    PROP_END
};

static const DeviceHooks i8259_hooks = {
    .realize = i8259_realize,
    .reset = i8259_reset,
    .vmstate = &i8259_vmstate,
    .describe_irqs = i8259_describe_irqs,
    .irq_counts = i8259_irq_counts,
    .no_user = true,
};

static const TypeInfo i8259_type = {
    .name = TYPE_I8259,
    .parent = TYPE_ISA_DEVICE,
    .description = "8259A interrupt controller",
    .instance_size = sizeof(I8259),
    .properties = i8259_properties,
    .instance_finalize = i8259_finalize,
    .hooks = &i8259_hooks,
};
QOM_TYPE(i8259_type);

static I8259 *create_chip(IsaBus *bus, bool master, GError **error)
{
    Object *obj = object_new(TYPE_I8259);
    I8259 *pic = (I8259 *)obj;

    pic->master = master;
    pic->iobase = master ? 0x20 : 0xa0;
    pic->elcr_addr = master ? 0x4d0 : 0x4d1;
    pic->elcr_mask = master ? I8259_MASTER_ELCR_MASK : I8259_SLAVE_ELCR_MASK;
    return device_realize_and_unref((Device *)obj, (Bus *)bus, error) ? pic : NULL;
}

I8259 *i8259_new(IsaBus *bus, Irq intr, Irq irqs[ISA_IRQS], GError **error)
{
    I8259 *master = create_chip(bus, true, error);
    I8259 *slave = master ? create_chip(bus, false, error) : NULL;

    if (!slave) {
        return NULL;
    }
    master->slave = slave;
    device_connect_irq_out((Device *)master, NULL, 0, intr);
    device_connect_irq_out((Device *)slave, NULL, 0,
                           device_irq_in((Device *)master, NULL, PIC_CASCADE));
    for (int i = 0; i < ISA_IRQS; i++) {
        irqs[i] = device_irq_in((Device *)(i < PIC_INPUTS ? master : slave), NULL, i % PIC_INPUTS);
    }
    irqs[PIC_CASCADE] = (Irq) { 0 };
    return master;
}
