/* SPDX-License-Identifier: Apache-2.0 */
/* PCI buses: addresses on the bus, configuration cycles, INTx lines, hot-plug. */
#include "hw/pci/pci-internal.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"
#include "util/error.h"

PciBus *pci_bus_new(Device *owner, const char *name, MemoryRegion *memory, MemoryRegion *io,
                    uint8_t devfn_min)
{
    PciBus *bus = (PciBus *)bus_new(TYPE_PCI_BUS, owner, name);

    bus->memory = memory;
    bus->io = io;
    bus->devfn_min = devfn_min;
    return bus;
}

void pci_bus_set_irqs(PciBus *bus, const PciBusIrqOps *ops, void *opaque)
{
    g_assert(ops->count <= G_N_ELEMENTS(bus->irq_counts));
    bus->irq_ops = ops;
    bus->irq_opaque = opaque;
}

void pci_bus_set_hotplug(PciBus *bus, const PciHotplugOps *ops, void *opaque)
{
    bus->hotplug_ops = ops;
    bus->hotplug_opaque = opaque;
    bus->parent_obj.allow_hotplug = true;
}

PciDevice *pci_bus_device(PciBus *bus, uint8_t devfn)
{
    return bus->devices[devfn];
}

uint8_t pci_bus_number(PciBus *bus)
{
    return 0; /* root buses only: bridges come with the devices that need them */
}

MemoryRegion *pci_bus_memory(PciBus *bus)
{
    return bus->memory;
}

MemoryRegion *pci_bus_io(PciBus *bus)
{
    return bus->io;
}

/* The device that a type 1 address names, or NULL; *addr is the register. */
static PciDevice *find_target(PciBus *root, uint32_t address)
{
    uint8_t bus_number = address >> 16;

    return bus_number == pci_bus_number(root) ? root->devices[(address >> 8) & 0xff] : NULL;
}

uint32_t pci_host_config_read(PciBus *root, uint32_t address, unsigned size)
{
    PciDevice *dev = find_target(root, address);
    const PciDeviceOps *ops;

    if (!dev) {
        return UINT32_MAX;
    }
    ops = object_ops(dev);
    return ops->config_read ? ops->config_read(dev, address & 0xff, size)
                            : pci_default_config_read(dev, address & 0xff, size);
}

void pci_host_config_write(PciBus *root, uint32_t address, uint32_t value, unsigned size)
{
    PciDevice *dev = find_target(root, address);
    const PciDeviceOps *ops;

    if (!dev) {
        return;
    }
    ops = object_ops(dev);
    if (ops->config_write) {
        ops->config_write(dev, address & 0xff, value, size);
    } else {
        pci_default_config_write(dev, address & 0xff, value, size);
    }
}

PciDevice *pci_create(PciBus *bus, int devfn, const char *type, GError **error)
{
    PciDevice *dev = (PciDevice *)object_new(type);

    dev->devfn = devfn;
    if (!device_realize_and_unref((Device *)dev, (Bus *)bus, error)) {
        return NULL;
    }
    return dev;
}

static bool slot_is_empty(const PciBus *bus, unsigned slot)
{
    for (unsigned function = 0; function < 8; function++) {
        if (bus->devices[PCI_DEVFN(slot, function)]) {
            return false;
        }
    }
    return true;
}

static bool choose_address(PciBus *bus, PciDevice *dev, GError **error)
{
    for (unsigned devfn = bus->devfn_min; devfn < 256; devfn += 8) {
        if (slot_is_empty(bus, PCI_SLOT(devfn))) {
            dev->devfn = devfn;
            return true;
        }
    }
    error_setf(error, "PCI bus '%s': no free slot for %s", OBJECT(bus)->name,
               object_type_name(dev));
    return false;
}

/* Function 0 without the multi-function bit hides the rest of its slot. */
static bool check_other_functions(PciBus *bus, PciDevice *dev, GError **error)
{
    for (unsigned function = 1; !PCI_FUNC(dev->devfn) && !dev->multifunction && function < 8;
         function++) {
        PciDevice *other = bus->devices[dev->devfn + function];

        if (other) {
            error_setf(error, "PCI: slot %x holds %s as function %x, so %s as its function 0 needs "
                       "multifunction=on", PCI_SLOT(dev->devfn), object_type_name(other), function,
                       object_type_name(dev));
            return false;
        }
    }
    return true;
}

static bool pci_check_address(Bus *base, Device *device, GError **error)
{
    PciBus *bus = (PciBus *)base;
    PciDevice *dev = (PciDevice *)device;
    PciDevice *other;

    if (dev->devfn < 0) {
        return choose_address(bus, dev, error);
    }
    other = bus->devices[dev->devfn];
    if (other) {
        error_setf(error, "PCI: slot %x function %x is taken by %s; %s needs another addr",
                   PCI_SLOT(dev->devfn), PCI_FUNC(dev->devfn), object_type_name(other),
                   object_type_name(dev));
        return false;
    }
    other = bus->devices[PCI_DEVFN(PCI_SLOT(dev->devfn), 0)];
    if (PCI_FUNC(dev->devfn) && other && !other->multifunction) {
        error_setf(error, "PCI: slot %x holds %s, whose function 0 is not multifunction=on",
                   PCI_SLOT(dev->devfn), object_type_name(other));
        return false;
    }
    return check_other_functions(bus, dev, error);
}

static bool pci_plug(Bus *base, Device *device, GError **error)
{
    PciBus *bus = (PciBus *)base;

    return !device->hotplugged || !bus->hotplug_ops ||
           bus->hotplug_ops->plug(bus->hotplug_opaque, (PciDevice *)device, error);
}

static bool pci_unplug_request(Bus *base, Device *device, GError **error)
{
    PciBus *bus = (PciBus *)base;

    return bus->hotplug_ops->unplug_request(bus->hotplug_opaque, (PciDevice *)device, error);
}

static char *pci_describe(Bus *base, Device *device)
{
    PciDevice *dev = (PciDevice *)device;

    return g_strdup_printf("class %04x, addr %02x:%02x.%x, pci id %04x:%04x",
                           dev->config[PCI_CLASS_DEVICE] | dev->config[PCI_CLASS_DEVICE + 1] << 8,
                           pci_bus_number((PciBus *)base), PCI_SLOT(dev->devfn),
                           PCI_FUNC(dev->devfn), dev->config[0] | dev->config[1] << 8,
                           dev->config[2] | dev->config[3] << 8);
}

/* Generic names of functions, by class (IEEE 1275, PCI binding 2.1, section 2.4). */
static const struct {
    uint16_t class_id;
    const char *name;
} class_names[] = {
    { 0x0100, "scsi" }, { 0x0101, "ide" }, { 0x0102, "fdc" }, { 0x0106, "sata" },
    { 0x0200, "ethernet" }, { 0x0300, "display" }, { 0x0601, "isa" }, { 0x0604, "pci-bridge" },
    { 0x0700, "serial" },
};

uint16_t pci_device_class(const PciDevice *dev)
{
    return ldw_le(dev->config + PCI_CLASS_DEVICE);
}

static const char *class_name(const PciDevice *dev)
{
    uint16_t class_id = pci_device_class(dev);

    for (unsigned i = 0; i < G_N_ELEMENTS(class_names); i++) {
        if (class_names[i].class_id == class_id) {
            return class_names[i].name;
        }
    }
    return "pci";
}

/* Unit address: device, then function if not 0 (the same, section 2.2.1.1). */
static char *pci_fw_path(Bus *base, Device *device)
{
    PciDevice *dev = (PciDevice *)device;

    return PCI_FUNC(dev->devfn)
               ? g_strdup_printf("/pci@i0cf8/%s@%x,%x", class_name(dev), PCI_SLOT(dev->devfn),
                                 PCI_FUNC(dev->devfn))
               : g_strdup_printf("/pci@i0cf8/%s@%x", class_name(dev), PCI_SLOT(dev->devfn));
}

static const BusOps pci_bus_ops = {
    .check_address = pci_check_address,
    .plug = pci_plug,
    .unplug_request = pci_unplug_request,
    .describe = pci_describe,
    .fw_path = pci_fw_path,
};

static const TypeInfo pci_bus_info = {
    .name = TYPE_PCI_BUS,
    .parent = TYPE_BUS,
    .description = "PCI bus",
    .instance_size = sizeof(PciBus),
    .ops = &pci_bus_ops,
};
QOM_TYPE(pci_bus_info);
