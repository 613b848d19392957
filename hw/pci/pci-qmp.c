/* SPDX-License-Identifier: Apache-2.0 */
/* query-pci: the buses as the guest's configuration registers describe them. */
#include "hw/pci/pci-internal.h"
#include "hw/pci/pci-regs.h"
#include "qapi/qapi-commands-pci.h"
#include "util/bits.h"

/* Class codes (PCI Code and ID Assignment 1.11, section 1) that our devices have. */
static const struct {
    uint16_t class;
    const char *description;
} class_names[] = {
    { 0x0100, "SCSI controller" },     { 0x0101, "IDE controller" },
    { 0x0106, "SATA controller" },     { 0x0200, "Ethernet controller" },
    { 0x0300, "VGA controller" },      { 0x0380, "Display controller" },
    { 0x0500, "RAM controller" },      { 0x0600, "Host bridge" },
    { 0x0601, "ISA bridge" },          { 0x0604, "PCI bridge" },
    { 0x0680, "Bridge" },              { 0x0700, "Serial port" },
    { 0x0780, "Communication controller" }, { 0x0800, "System peripheral" },
    { 0x0880, "System peripheral" },   { 0x0c03, "USB controller" },
    { 0x0c05, "SMBus" },               { 0x00ff, "Unclassified device" },
};

static PciDeviceClass *describe_class(uint16_t class)
{
    PciDeviceClass *info = g_new0(PciDeviceClass, 1);

    info->class = class;
    for (unsigned i = 0; i < G_N_ELEMENTS(class_names); i++) {
        if (class_names[i].class == class) {
            info->desc = g_strdup(class_names[i].description);
            break;
        }
    }
    return info;
}

static PciDeviceId *describe_id(const PciDevice *dev)
{
    PciDeviceId *id = g_new0(PciDeviceId, 1);

    id->vendor = ldw_le(dev->config + PCI_VENDOR_ID);
    id->device = ldw_le(dev->config + PCI_DEVICE_ID);
    id->has_subsystem = id->has_subsystem_vendor = true;
    id->subsystem = ldw_le(dev->config + PCI_SUBSYSTEM_ID);
    id->subsystem_vendor = ldw_le(dev->config + PCI_SUBSYSTEM_VENDOR_ID);
    return id;
}

static PciMemoryRegion *describe_bar(const PciBar *bar, unsigned n)
{
    PciMemoryRegion *region = g_new0(PciMemoryRegion, 1);
    bool io = bar->type & PCI_BAR_IO;

    region->bar = n;
    region->type = g_strdup(io ? "io" : "memory");
    region->address = bar->mapped_at; /* unmapped is -1 in JSON */
    region->size = bar->size;
    if (!io) {
        region->has_prefetch = region->has_mem_type_64 = true;
        region->prefetch = bar->type & PCI_BAR_PREFETCH;
        region->mem_type_64 = bar->type & PCI_BAR_MEM64;
    }
    return region;
}

static PciDeviceInfo *describe_device(PciDevice *dev)
{
    PciDeviceInfo *info = g_new0(PciDeviceInfo, 1);
    const Device *base = &dev->parent_obj;

    info->bus = pci_bus_number(pci_device_bus(dev));
    info->slot = PCI_SLOT(dev->devfn);
    info->function = PCI_FUNC(dev->devfn);
    info->class_info = describe_class(ldw_le(dev->config + PCI_CLASS_DEVICE));
    info->id = describe_id(dev);
    info->irq_pin = dev->config[PCI_INTERRUPT_PIN];
    info->has_irq = info->irq_pin != 0;
    info->irq = dev->config[PCI_INTERRUPT_LINE];
    info->qdev_id = g_strdup(base->id ? base->id : "");
    info->regions = PciMemoryRegion_list_new();
    for (unsigned n = 0; n <= PCI_ROM_BAR; n++) {
        if (dev->bars[n].region) {
            g_ptr_array_add(info->regions, describe_bar(&dev->bars[n], n));
        }
    }
    return info;
}

static bool collect_buses(Device *device, void *opaque)
{
    for (unsigned i = 0; device->buses && i < device->buses->len; i++) {
        Object *obj = g_ptr_array_index(device->buses, i);
        PciInfo *info;

        if (!object_is_a(obj, TYPE_PCI_BUS)) {
            continue;
        }
        info = g_new0(PciInfo, 1);
        info->bus = pci_bus_number((PciBus *)obj);
        info->devices = PciDeviceInfo_list_new();
        for (unsigned devfn = 0; devfn < 256; devfn++) {
            PciDevice *dev = pci_bus_device((PciBus *)obj, devfn);

            if (dev) {
                g_ptr_array_add(info->devices, describe_device(dev));
            }
        }
        g_ptr_array_add(opaque, info);
    }
    return true;
}

GPtrArray *qmp_query_pci(GError **error)
{
    GPtrArray *list = PciInfo_list_new();

    device_foreach(collect_buses, list);
    return list;
}
