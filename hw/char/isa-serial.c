/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A on the ISA bus: COM1 to COM4 at 0x3f8, 0x2f8, 0x3e8, 0x2e8 with interrupts 4, 3, 4, 3,
 * or wherever iobase and irq say.
 */
#include "hw/char/serial.h"
#include "util/error.h"

#define TYPE_ISA_SERIAL "isa-serial"
#define ISA_SERIAL_MAX 4
#define UNSET UINT32_MAX

typedef struct IsaSerial {
    IsaDevice parent_obj;
    uint32_t index, iobase, isa_irq;
    SerialCore serial;
} IsaSerial;

static const struct {
    uint16_t iobase;
    uint8_t irq;
} com_ports[ISA_SERIAL_MAX] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

static uint32_t first_free_index(Bus *bus)
{
    bool taken[ISA_SERIAL_MAX] = { false };

    for (guint i = 0; i < bus->children->len; i++) {
        Device *dev = g_ptr_array_index(bus->children, i);

        if (object_is_a(dev, TYPE_ISA_SERIAL) && dev->realized &&
            ((IsaSerial *)dev)->index < ISA_SERIAL_MAX) {
            taken[((IsaSerial *)dev)->index] = true;
        }
    }
    for (uint32_t i = 0; i < ISA_SERIAL_MAX; i++) {
        if (!taken[i]) {
            return i;
        }
    }
    return ISA_SERIAL_MAX;
}

static bool isa_serial_realize(Device *dev, GError **error)
{
    IsaSerial *isa = (IsaSerial *)dev;

    if (isa->index == UNSET) {
        isa->index = first_free_index(dev->bus);
    }
    if (isa->index >= ISA_SERIAL_MAX) {
        error_setf(error, "isa-serial: there are at most %d ISA serial ports, index 0 to %d",
                   ISA_SERIAL_MAX, ISA_SERIAL_MAX - 1);
        return false;
    }
    if (isa->iobase == UNSET) {
        isa->iobase = com_ports[isa->index].iobase;
    }
    if (isa->isa_irq == UNSET) {
        isa->isa_irq = com_ports[isa->index].irq;
    }
    if (isa->iobase > UINT16_MAX || isa->isa_irq >= ISA_IRQS) {
        error_setf(error, "isa-serial: iobase must be below 0x10000 and irq below %d, not 0x%x "
                   "and %u", ISA_IRQS, isa->iobase, isa->isa_irq);
        return false;
    }
    isa->serial.irq = isa_irq(&isa->parent_obj, isa->isa_irq);
    serial_core_realize(&isa->serial, OBJECT(dev));
    if (!isa_map_ports(&isa->parent_obj, isa->serial.region, isa->iobase, error)) {
        serial_core_unrealize(&isa->serial);
        return false;
    }
    return true;
}

static void isa_serial_unrealize(Device *dev)
{
    serial_core_unrealize(&((IsaSerial *)dev)->serial);
}

static void isa_serial_finalize(Object *obj)
{
    serial_core_finalize(&((IsaSerial *)obj)->serial);
}

static void isa_serial_reset(Device *dev)
{
    serial_core_reset(&((IsaSerial *)dev)->serial);
}

static const VmState isa_serial_vmstate = {
    .name = "isa-serial",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT(IsaSerial, serial, serial_core_vmstate),
        VMSTATE_END
    },
};

static const Property isa_serial_properties[] = {
    PROP_UINT32("index", IsaSerial, index, UNSET, "0 to 3 for COM1 to COM4; not set: next free"),
    PROP_UINT32("iobase", IsaSerial, iobase, UNSET, "first of its 8 I/O ports; not set: by index"),
    PROP_UINT32("irq", IsaSerial, isa_irq, UNSET, "its ISA interrupt; not set: by index"),
    SERIAL_CORE_PROPERTIES(IsaSerial, serial),
    PROP_END
};

static const DeviceHooks isa_serial_hooks = {
    .realize = isa_serial_realize,
    .unrealize = isa_serial_unrealize,
    .reset = isa_serial_reset,
    .vmstate = &isa_serial_vmstate,
    .category = DEVICE_CATEGORY_INPUT,
};

static const TypeInfo isa_serial_type = {
    .name = TYPE_ISA_SERIAL,
    .parent = TYPE_ISA_DEVICE,
    .description = "16550A serial port",
    .instance_size = sizeof(IsaSerial),
    .user_creatable = true,
    .properties = isa_serial_properties,
    .instance_finalize = isa_serial_finalize,
    .hooks = &isa_serial_hooks,
};
QOM_TYPE(isa_serial_type);
