/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parallel port (IEEE 1284-1994, compatibility mode and EPP data cycles; register layout of the
 * PC/AT).
 *
 *   0    data    rw
 *   1    status  ro  7 not BUSY, 6 nACK, 5 paper out, 4 selected, 3 nERROR, 0 EPP time-out
 *                    (write 1 to bit 0: clear the time-out)
 *   2    control rw  7:6 read as one, 5 direction, 4 interrupt enable, 3 SELECTIN, 2 nINIT,
 *                    1 AUTOFD, 0 STROBE
 *   3    EPP address rw: nobody answers: time-out
 *   4-7  EPP data wo: to the backend; reading times out
 *
 * The port plays a printer. While STROBE rises with SELECTIN set, the data byte is taken; the
 * printer is busy until the backend has it and STROBE has fallen, then ACK pulses: the status
 * shows busy, then busy with nACK low, then ready, one step for each read. A host port (ppdev)
 * gets the registers as they are.
 */
#include "chardev/chardev.h"
#include "hw/isa/isa.h"
#include "util/error.h"

enum Register { REG_DATA, REG_STATUS, REG_CONTROL, REG_EPP_ADDRESS, REG_EPP_DATA };
enum { STATUS_TIMEOUT = 0x01, STATUS_NERROR = 0x08, STATUS_SELECTED = 0x10, STATUS_NACK = 0x40,
       STATUS_NBUSY = 0x80, STATUS_READY = 0xd8 };
enum { CONTROL_STROBE = 0x01, CONTROL_NINIT = 0x04, CONTROL_SELECTIN = 0x08, CONTROL_IRQ = 0x10,
       CONTROL_DIRECTION = 0x20, CONTROL_WRITABLE = 0x3f, CONTROL_ONES = 0xc0 };

#define TYPE_ISA_PARALLEL "isa-parallel"
#define ISA_PARALLEL_MAX 3
#define PORTS_EPP 8
#define PORTS_SPP 3 /* where the base is no multiple of 8, EPP has no place */
#define UNSET UINT32_MAX
#define DEFAULT_IRQ 7

typedef struct Parallel {
    IsaDevice parent_obj;
    uint32_t index, iobase, isa_irq;
    CharFrontend chr;
    MemoryRegion *ports;
    Irq irq;
    uint8_t data, status, control;
    bool irq_pending;
    bool byte_pending; /* the backend is full */
    bool is_host_port;
    unsigned watch;
} Parallel;

static const uint16_t lpt_ports[ISA_PARALLEL_MAX] = { 0x378, 0x278, 0x3bc };

static void update_irq(Parallel *port)
{
    irq_set(port->irq, port->irq_pending);
}

/* The printer. */

static void try_to_print(void *opaque)
{
    Parallel *port = opaque;

    port->watch = 0;
    if (!port->byte_pending) {
        return;
    }
    port->byte_pending = false;
    if (char_frontend_write(&port->chr, &port->data, 1) == 0) {
        port->watch = char_frontend_watch_writable(&port->chr, try_to_print, port);
        port->byte_pending = port->watch != 0;
    }
}

static void forget_byte(Parallel *port)
{
    if (port->watch) {
        char_frontend_unwatch(&port->chr, port->watch);
        port->watch = 0;
    }
    port->byte_pending = false;
}

static void write_control(Parallel *port, uint8_t value)
{
    uint8_t rising = value & ~port->control;

    value &= CONTROL_WRITABLE;
    if (!(value & CONTROL_NINIT)) {
        port->status = STATUS_READY;
        forget_byte(port);
    } else if (value & CONTROL_SELECTIN) {
        if (value & CONTROL_STROBE) {
            port->status &= ~STATUS_NBUSY;
            if ((rising & CONTROL_STROBE) && !port->byte_pending) {
                port->byte_pending = true;
                try_to_print(port);
            }
        } else if ((port->control & CONTROL_STROBE) && (value & CONTROL_IRQ)) {
            port->irq_pending = true;
        }
    }
    port->control = value;
    update_irq(port);
}

static uint8_t read_status(Parallel *port)
{
    uint8_t value = port->status;

    port->irq_pending = false;
    if (!(value & STATUS_NBUSY) && !(port->control & CONTROL_STROBE) && !port->byte_pending) {
        if (value & STATUS_NACK) {
            port->status &= ~STATUS_NACK;
        } else {
            port->status |= STATUS_NACK | STATUS_NBUSY;
        }
    }
    update_irq(port);
    return value;
}

/* EPP. */

static uint8_t epp_timeout(Parallel *port)
{
    port->status |= STATUS_TIMEOUT;
    return 0xff;
}

static void epp_write(Parallel *port, uint8_t value)
{
    if (!port->chr.chr || char_frontend_write(&port->chr, &value, 1) != 1) {
        epp_timeout(port);
    }
}

/* A port of the host. */

static uint8_t host_read(Parallel *port, uint64_t offset)
{
    static const CharIoctl commands[] = {
        [REG_DATA] = CHAR_IOCTL_PP_READ_DATA,
        [REG_STATUS] = CHAR_IOCTL_PP_READ_STATUS,
        [REG_CONTROL] = CHAR_IOCTL_PP_READ_CONTROL,
    };
    uint8_t value = 0xff;

    if (offset >= G_N_ELEMENTS(commands)) {
        return epp_timeout(port);
    }
    char_frontend_ioctl(&port->chr, commands[offset], &value);
    return offset == REG_CONTROL ? value | CONTROL_ONES : value;
}

static void host_write(Parallel *port, uint64_t offset, uint8_t value)
{
    if (offset == REG_DATA) {
        port->data = value;
        char_frontend_ioctl(&port->chr, CHAR_IOCTL_PP_WRITE_DATA, &value);
    } else if (offset == REG_CONTROL) {
        port->control = value &= CONTROL_WRITABLE;
        char_frontend_ioctl(&port->chr, CHAR_IOCTL_PP_WRITE_CONTROL, &value);
    }
}

/* Registers. */

static uint64_t parallel_read(void *opaque, uint64_t offset, unsigned size)
{
    Parallel *port = opaque;

    if (port->is_host_port) {
        return host_read(port, offset);
    }
    switch (offset) {
    case REG_DATA:
        return port->control & CONTROL_DIRECTION ? 0xff : port->data;
    case REG_STATUS:
        return read_status(port);
    case REG_CONTROL:
        return port->control | CONTROL_ONES;
    default:
        return epp_timeout(port);
    }
}

static void parallel_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Parallel *port = opaque;

    if (port->is_host_port) {
        host_write(port, offset, value);
        return;
    }
    switch (offset) {
    case REG_DATA:
        if (!port->byte_pending) {
            port->data = value;
        }
        break;
    case REG_STATUS:
        port->status &= ~(value & STATUS_TIMEOUT);
        break;
    case REG_CONTROL:
        write_control(port, value);
        break;
    case REG_EPP_ADDRESS:
        epp_timeout(port);
        break;
    default:
        epp_write(port, value);
        break;
    }
}

static const MemoryRegionOps parallel_ops = {
    .read = parallel_read,
    .write = parallel_write,
    .impl = { .min = 1, .max = 1 },
};

/* Life. */

static void look_at_backend(Parallel *port)
{
    uint8_t status;

    port->is_host_port =
        char_frontend_ioctl(&port->chr, CHAR_IOCTL_PP_READ_STATUS, &status) == 0;
}

static bool parallel_backend_changed(void *opaque)
{
    Parallel *port = opaque;

    port->watch = 0;
    look_at_backend(port);
    try_to_print(port);
    return true;
}

static const CharFrontendOps parallel_frontend_ops = {
    .backend_changed = parallel_backend_changed,
};

static void parallel_reset(Device *dev)
{
    Parallel *port = (Parallel *)dev;

    forget_byte(port);
    port->data = 0xff;
    port->status = STATUS_READY;
    port->control = CONTROL_SELECTIN | CONTROL_NINIT;
    port->irq_pending = false;
    update_irq(port);
}

static uint32_t first_free_index(Bus *bus)
{
    bool taken[ISA_PARALLEL_MAX] = { false };

    for (guint i = 0; i < bus->children->len; i++) {
        Device *dev = g_ptr_array_index(bus->children, i);

        if (object_is_a(dev, TYPE_ISA_PARALLEL) && dev->realized &&
            ((Parallel *)dev)->index < ISA_PARALLEL_MAX) {
            taken[((Parallel *)dev)->index] = true;
        }
    }
    for (uint32_t i = 0; i < ISA_PARALLEL_MAX; i++) {
        if (!taken[i]) {
            return i;
        }
    }
    return ISA_PARALLEL_MAX;
}

static bool parallel_realize(Device *dev, GError **error)
{
    Parallel *port = (Parallel *)dev;

    if (port->index == UNSET) {
        port->index = first_free_index(dev->bus);
    }
    if (port->index >= ISA_PARALLEL_MAX) {
        error_setf(error, "isa-parallel: there are at most %d parallel ports, index 0 to %d",
                   ISA_PARALLEL_MAX, ISA_PARALLEL_MAX - 1);
        return false;
    }
    if (port->iobase == UNSET) {
        port->iobase = lpt_ports[port->index];
    }
    if (port->iobase > UINT16_MAX || port->isa_irq >= ISA_IRQS) {
        error_setf(error, "isa-parallel: iobase must be below 0x10000 and irq below %d, not 0x%x "
                   "and %u", ISA_IRQS, port->iobase, port->isa_irq);
        return false;
    }
    port->irq = isa_irq(&port->parent_obj, port->isa_irq);
    port->ports = memory_region_new_io(OBJECT(dev), &parallel_ops, port, "isa-parallel",
                                       port->iobase % PORTS_EPP ? PORTS_SPP : PORTS_EPP);
    if (!isa_map_ports(&port->parent_obj, port->ports, port->iobase, error)) {
        return false;
    }
    look_at_backend(port);
    char_frontend_set_handlers(&port->chr, &parallel_frontend_ops, port, NULL);
    return true;
}

static void parallel_unrealize(Device *dev)
{
    Parallel *port = (Parallel *)dev;

    forget_byte(port);
    char_frontend_detach(&port->chr);
}

static void parallel_finalize(Object *obj)
{
    g_clear_pointer(&((Parallel *)obj)->ports, memory_region_free);
}

static bool parallel_post_load(void *opaque, int version, GError **error)
{
    Parallel *port = opaque;

    port->control &= CONTROL_WRITABLE;
    try_to_print(port);
    update_irq(port);
    return true;
}

static const VmState parallel_vmstate = {
    .name = "isa-parallel",
    .version = 1,
    .minimum_version = 1,
    .post_load = parallel_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(Parallel, data),
        VMSTATE_U8(Parallel, status),
        VMSTATE_U8(Parallel, control),
        VMSTATE_BOOL(Parallel, irq_pending),
        VMSTATE_BOOL(Parallel, byte_pending),
        VMSTATE_END
    },
};

static const Property parallel_properties[] = {
    PROP_UINT32("index", Parallel, index, UNSET, "0 to 2 for LPT1 to LPT3; not set: next free"),
    PROP_UINT32("iobase", Parallel, iobase, UNSET, "first of its I/O ports; not set: by index"),
    PROP_UINT32("irq", Parallel, isa_irq, DEFAULT_IRQ, "its ISA interrupt"),
    PROP_CHARDEV("chardev", Parallel, chr, "id of the chardev that gets the bytes"),
    PROP_END
};

static const DeviceHooks parallel_hooks = {
    .realize = parallel_realize,
    .unrealize = parallel_unrealize,
    .reset = parallel_reset,
    .vmstate = &parallel_vmstate,
    .category = DEVICE_CATEGORY_INPUT,
};

static const TypeInfo parallel_type = {
    .name = TYPE_ISA_PARALLEL,
    .parent = TYPE_ISA_DEVICE,
    .description = "parallel port",
    .instance_size = sizeof(Parallel),
    .user_creatable = true,
    .properties = parallel_properties,
    .instance_finalize = parallel_finalize,
    .hooks = &parallel_hooks,
};
QOM_TYPE(parallel_type);
