/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paravirtual panic notification (Linux, Documentation/virt: "pvpanic"): the guest's kernel tells
 * that it crashed (bit 0), or that it crashed and now runs its crash kernel (bit 1). On ISA it is
 * I/O port 0x505, found through ACPI (QEMU0001); on PCI, device 1b36:0011, a memory BAR.
 */
#include "hw/misc/pvpanic.h"

#include "accel/vm-events.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"
#include "util/error.h"
#include "util/log.h"

#define DEFAULT_PORT 0x505
#define PCI_BAR_BYTES 16 /* the smallest memory BAR */

static uint64_t register_read_events(void *opaque, uint64_t offset, unsigned size)
{
    return offset ? 0 : *(const uint8_t *)opaque;
}

static void register_write_events(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    uint8_t events = *(const uint8_t *)opaque;
    VmPanicInfo info = { .kind = VM_PANIC_PVPANIC };

    if (offset) {
        return;
    }
    if (value & ~(uint64_t)PVPANIC_ALL) {
        log_guest_error("pvpanic: unknown event bits 0x%02x", (unsigned)value & ~PVPANIC_ALL);
    }
    value &= events;
    if (value & PVPANIC_PANICKED) {
        vm_report_guest_panic(&info);
    } else if (value & PVPANIC_CRASHLOADED) {
        info.kind = VM_PANIC_PVPANIC_CRASHLOADED;
        vm_report_guest_panic(&info);
    }
}

static const MemoryRegionOps pvpanic_ops = {
    .read = register_read_events,
    .write = register_write_events,
    .impl = { .min = 1, .max = 1 },
};

MemoryRegion *pvpanic_region_new(Object *owner, const uint8_t *events, uint64_t size)
{
    return memory_region_new_io(owner, &pvpanic_ops, (void *)events, "pvpanic", size);
}

static bool check_events(const Device *dev, uint8_t events, GError **error)
{
    if (events & ~PVPANIC_ALL) {
        error_setf(error, "%s: events must be 0 to %d, not %u", object_type_name(dev),
                   PVPANIC_ALL, events);
        return false;
    }
    return true;
}

/* ISA. */

typedef struct PvpanicIsa {
    IsaDevice parent_obj;
    uint16_t ioport;
    uint8_t events;
    MemoryRegion *region;
} PvpanicIsa;

static bool pvpanic_isa_realize(Device *dev, GError **error)
{
    PvpanicIsa *isa = (PvpanicIsa *)dev;

    if (!check_events(dev, isa->events, error)) {
        return false;
    }
    isa->region = pvpanic_region_new(OBJECT(dev), &isa->events, 1);
    return isa_map_ports(&isa->parent_obj, isa->region, isa->ioport, error);
}

static void pvpanic_isa_finalize(Object *obj)
{
    g_clear_pointer(&((PvpanicIsa *)obj)->region, memory_region_free);
}

static const Property pvpanic_isa_properties[] = {
    PROP_UINT16("ioport", PvpanicIsa, ioport, DEFAULT_PORT, "its I/O port"),
    PROP_UINT8("events", PvpanicIsa, events, PVPANIC_ALL, "what the guest may report: 1 panic, 2 "
               "crash kernel, 3 both"),
    PROP_END
};

static const DeviceHooks pvpanic_isa_hooks = {
    .realize = pvpanic_isa_realize,
    .category = DEVICE_CATEGORY_MISC,
};

static const TypeInfo pvpanic_isa_type = {
    .name = TYPE_PVPANIC_ISA,
    .parent = TYPE_ISA_DEVICE,
    .description = "port by which the guest reports a crash",
    .instance_size = sizeof(PvpanicIsa),
    .user_creatable = true,
    .properties = pvpanic_isa_properties,
    .instance_finalize = pvpanic_isa_finalize,
    .hooks = &pvpanic_isa_hooks,
};
QOM_TYPE(pvpanic_isa_type);

static bool find_port(Device *dev, void *opaque)
{
    if (!object_is_a(dev, TYPE_PVPANIC_ISA)) {
        return true;
    }
    *(uint16_t *)opaque = ((PvpanicIsa *)dev)->ioport;
    return false;
}

uint16_t pvpanic_isa_port(void)
{
    uint16_t port = 0;

    device_foreach(find_port, &port);
    return port;
}

/* PCI. */

typedef struct PvpanicPci {
    PciDevice parent_obj;
    uint8_t events;
    MemoryRegion *region;
} PvpanicPci;

static bool pvpanic_pci_realize(Device *dev, GError **error)
{
    PvpanicPci *pci = (PvpanicPci *)dev;

    if (!check_events(dev, pci->events, error)) {
        return false;
    }
    pci->region = pvpanic_region_new(OBJECT(dev), &pci->events, PCI_BAR_BYTES);
    pci_register_bar(&pci->parent_obj, 0, PCI_BAR_MEM32, pci->region);
    return true;
}

static void pvpanic_pci_finalize(Object *obj)
{
    g_clear_pointer(&((PvpanicPci *)obj)->region, memory_region_free);
}

static const Property pvpanic_pci_properties[] = {
    PROP_UINT8("events", PvpanicPci, events, PVPANIC_ALL, "what the guest may report: 1 panic, 2 "
               "crash kernel, 3 both"),
    PROP_END
};

static const VmState pvpanic_pci_vmstate = {
    .name = "pvpanic-pci",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_PCI_DEVICE(PvpanicPci),
        VMSTATE_END
    },
};

static const DeviceHooks pvpanic_pci_hooks = {
    .realize = pvpanic_pci_realize,
    .vmstate = &pvpanic_pci_vmstate,
    .category = DEVICE_CATEGORY_MISC,
    .hotpluggable = true,
};

static const PciDeviceOps pvpanic_pci_ops = {
    .vendor_id = 0x1b36,
    .device_id = 0x0011,
    .class_id = 0x0880,
    .revision = 1,
};

static const TypeInfo pvpanic_pci_type = {
    .name = "pvpanic-pci",
    .parent = TYPE_PCI_DEVICE,
    .description = "PCI device by which the guest reports a crash",
    .instance_size = sizeof(PvpanicPci),
    .user_creatable = true,
    .properties = pvpanic_pci_properties,
    .instance_finalize = pvpanic_pci_finalize,
    .hooks = &pvpanic_pci_hooks,
    .ops = &pvpanic_pci_ops,
};
QOM_TYPE(pvpanic_pci_type);
