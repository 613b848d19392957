/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A on the PCI bus: vendor 1b36, device 0002, class 0700, the registers in an I/O BAR of 8
 * bytes. Generic serial drivers bind to the class and programming interface.
 */
#include "hw/char/serial.h"
#include "hw/pci/pci.h"

#define PROG_IF_OFFSET 0x09
#define PROG_IF_16550 0x02

typedef struct PciSerial {
    PciDevice parent_obj;
    uint8_t prog_if;
    SerialCore serial;
} PciSerial;

static void set_pin(void *opaque, int n, bool level)
{
    pci_set_irq(opaque, level);
}

static bool pci_serial_realize(Device *dev, GError **error)
{
    PciSerial *pci = (PciSerial *)dev;

    pci->parent_obj.config[PROG_IF_OFFSET] = pci->prog_if;
    pci->serial.irq = (Irq){ .fn = set_pin, .opaque = dev };
    serial_core_realize(&pci->serial, OBJECT(dev));
    pci_register_bar(&pci->parent_obj, 0, PCI_BAR_IO, pci->serial.region);
    return true;
}

static void pci_serial_unrealize(Device *dev)
{
    serial_core_unrealize(&((PciSerial *)dev)->serial);
}

static void pci_serial_finalize(Object *obj)
{
    serial_core_finalize(&((PciSerial *)obj)->serial);
}

static void pci_serial_reset(Device *dev)
{
    serial_core_reset(&((PciSerial *)dev)->serial);
}

static const VmState pci_serial_vmstate = {
    .name = "pci-serial",
    .version = 2,
    .minimum_version = 2,
    .fields = (const VmStateField[]) {
        VMSTATE_PCI_DEVICE(PciSerial),
        VMSTATE_STRUCT(PciSerial, serial, serial_core_vmstate),
        VMSTATE_END
    },
};

static const Property pci_serial_properties[] = {
    PROP_UINT8("prog_if", PciSerial, prog_if, PROG_IF_16550, "programming interface byte"),
    SERIAL_CORE_PROPERTIES(PciSerial, serial),
    PROP_END
};

static const DeviceHooks pci_serial_hooks = {
    .realize = pci_serial_realize,
    .unrealize = pci_serial_unrealize,
    .reset = pci_serial_reset,
    .vmstate = &pci_serial_vmstate,
    .category = DEVICE_CATEGORY_INPUT,
    .hotpluggable = true,
};

static const PciDeviceOps pci_serial_ops = {
    .vendor_id = 0x1b36,
    .device_id = 0x0002,
    .class_id = 0x0700,
    .revision = 1,
    .prog_if = PROG_IF_16550,
    .interrupt_pin = 1,
};

static const TypeInfo pci_serial_type = {
    .name = "pci-serial",
    .parent = TYPE_PCI_DEVICE,
    .description = "16550A serial port on PCI",
    .instance_size = sizeof(PciSerial),
    .user_creatable = true,
    .properties = pci_serial_properties,
    .instance_finalize = pci_serial_finalize,
    .hooks = &pci_serial_hooks,
    .ops = &pci_serial_ops,
};
QOM_TYPE(pci_serial_type);
