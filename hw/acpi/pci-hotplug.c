/* SPDX-License-Identifier: Apache-2.0 */
/* Hot-plug on a PCI root bus by ACPI: see pci-hotplug.h. */
#include "hw/acpi/pci-hotplug.h"

#define PCI_SLOTS 32
#define PCI_FUNCTIONS 8

static bool slot_removable(PciBus *bus, unsigned slot)
{
    for (unsigned function = 0; function < PCI_FUNCTIONS; function++) {
        PciDevice *dev = pci_bus_device(bus, PCI_DEVFN(slot, function));

        if (dev && !device_is_hotpluggable((Device *)dev)) {
            return false;
        }
    }
    return true;
}

uint32_t acpi_pci_hotplug_slots(PciBus *bus)
{
    uint32_t slots = 0;

    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (slot_removable(bus, slot)) {
            slots |= BIT(slot);
        }
    }
    return slots;
}

static void eject_slot(AcpiPciHotplug *hotplug, unsigned slot)
{
    hotplug->up &= ~BIT(slot);
    hotplug->down &= ~BIT(slot);
    hotplug->requested &= ~BIT(slot);
    if (!slot_removable(hotplug->bus, slot)) {
        return;
    }
    for (unsigned function = PCI_FUNCTIONS; function-- > 0;) {
        PciDevice *dev = pci_bus_device(hotplug->bus, PCI_DEVFN(slot, function));

        if (dev) {
            device_delete((Device *)dev);
        }
    }
}

static void eject_slots(AcpiPciHotplug *hotplug, uint32_t slots)
{
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (slots & BIT(slot)) {
            eject_slot(hotplug, slot);
        }
    }
}

static void eject_now(void *opaque)
{
    AcpiPciHotplug *hotplug = opaque;
    uint32_t slots = hotplug->ejecting;

    hotplug->ejecting = 0;
    eject_slots(hotplug, slots);
}

/* A disk that goes waits for its requests, which needs the main loop; a CPU's thread cannot. */
static void eject_later(AcpiPciHotplug *hotplug, uint32_t slots)
{
    hotplug->ejecting |= slots;
    if (loop_in_main_thread()) {
        eject_now(hotplug);
    } else {
        loop_bh_schedule(hotplug->eject);
    }
}

static uint32_t read_and_clear(uint32_t *bits)
{
    uint32_t value = *bits;

    *bits = 0;
    return value;
}

static uint64_t hotplug_read(void *opaque, uint64_t offset, unsigned size)
{
    AcpiPciHotplug *hotplug = opaque;

    if (offset == ACPI_PCI_HOTPLUG_BUS) {
        return hotplug->bus_select;
    }
    if (hotplug->bus_select) {
        return 0;
    }
    switch (offset) {
    case ACPI_PCI_HOTPLUG_UP:
        return read_and_clear(&hotplug->up);
    case ACPI_PCI_HOTPLUG_DOWN:
        return read_and_clear(&hotplug->down);
    case ACPI_PCI_HOTPLUG_REMOVABLE:
        return acpi_pci_hotplug_slots(hotplug->bus);
    default:
        return 0;
    }
}

static void hotplug_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    AcpiPciHotplug *hotplug = opaque;

    if (offset == ACPI_PCI_HOTPLUG_BUS) {
        hotplug->bus_select = value;
    } else if (offset == ACPI_PCI_HOTPLUG_EJECT && !hotplug->bus_select) {
        eject_later(hotplug, value);
    }
}

static const MemoryRegionOps hotplug_region_ops = {
    .read = hotplug_read,
    .write = hotplug_write,
    .valid = { .min = 4, .max = 4 },
    .impl = { .min = 4, .max = 4 },
};

/* A slot shows itself as a whole: functions above 0 wait for function 0. */
static bool hotplug_plug(void *opaque, PciDevice *dev, GError **error)
{
    AcpiPciHotplug *hotplug = opaque;
    unsigned slot = PCI_SLOT(dev->devfn);

    if (PCI_FUNC(dev->devfn) && !pci_bus_device(hotplug->bus, PCI_DEVFN(slot, 0))) {
        return true;
    }
    hotplug->up |= BIT(slot);
    acpi_pm_send_gpe(hotplug->pm, ACPI_PCI_HOTPLUG_GPE);
    return true;
}

/* Asking again is allowed: the guest may have been too busy, or not have looked. */
static bool hotplug_unplug_request(void *opaque, PciDevice *dev, GError **error)
{
    AcpiPciHotplug *hotplug = opaque;
    unsigned slot = PCI_SLOT(dev->devfn);

    hotplug->down |= BIT(slot);
    hotplug->requested |= BIT(slot);
    acpi_pm_send_gpe(hotplug->pm, ACPI_PCI_HOTPLUG_GPE);
    return true;
}

static const PciHotplugOps hotplug_ops = {
    .plug = hotplug_plug,
    .unplug_request = hotplug_unplug_request,
};

/* Firmware finds by itself what is there, and nobody is left to object to what shall go. */
static void hotplug_reset(void *opaque)
{
    AcpiPciHotplug *hotplug = opaque;

    eject_slots(hotplug, hotplug->requested);
    hotplug->up = 0;
    hotplug->down = 0;
    hotplug->bus_select = 0;
}

void acpi_pci_hotplug_init(AcpiPciHotplug *hotplug, Object *owner, PciBus *bus, AcpiPmState *pm)
{
    hotplug->bus = bus;
    hotplug->pm = pm;
    hotplug->eject = loop_bh_new(loop_main(), eject_now, hotplug);
    hotplug->region = memory_region_new_io(owner, &hotplug_region_ops, hotplug, "acpi-pci-hotplug",
                                           ACPI_PCI_HOTPLUG_SIZE);
    pci_bus_set_hotplug(bus, &hotplug_ops, hotplug);
    reset_register(hotplug_reset, hotplug);
}

void acpi_pci_hotplug_cleanup(AcpiPciHotplug *hotplug)
{
    if (hotplug->region) {
        reset_unregister(hotplug_reset, hotplug);
        g_clear_pointer(&hotplug->eject, loop_bh_free);
        g_clear_pointer(&hotplug->region, memory_region_free);
    }
}

static const VmStateField hotplug_fields[] = {
    VMSTATE_U32(AcpiPciHotplug, up),
    VMSTATE_U32(AcpiPciHotplug, down),
    VMSTATE_U32(AcpiPciHotplug, requested),
    VMSTATE_U32(AcpiPciHotplug, bus_select),
    VMSTATE_END,
};

const VmState acpi_pci_hotplug_vmstate = {
    .name = "acpi-pci-hotplug",
    .version = 1,
    .minimum_version = 1,
    .fields = hotplug_fields,
};
