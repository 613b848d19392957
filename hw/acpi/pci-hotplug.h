/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug on a PCI root bus by ACPI: ports through which the DSDT's methods learn what came and
 * what shall go, and let a slot go. A general-purpose event says that there is news. Registers of
 * 32 bits, bit n for slot n, only whole ones are accessible:
 *   +0x00 slots with a new device; reading clears
 *   +0x04 slots whose device somebody wants back; reading clears
 *   +0x08 write: eject these slots
 *   +0x0c slots whose device may be removed
 *   +0x10 which bus; there is but 0, and with another one the rest reads 0 and writes are lost
 *
 * A request for removal is finished by the guest's ejecting, or by a reset of the machine.
 * VM lock held throughout.
 */
#ifndef VIREO_HW_ACPI_PCI_HOTPLUG_H
#define VIREO_HW_ACPI_PCI_HOTPLUG_H

#include "hw/acpi/acpi-pm.h"
#include "hw/pci/pci.h"
#include "util/loop.h"

#define ACPI_PCI_HOTPLUG_BASE 0xae00
#define ACPI_PCI_HOTPLUG_SIZE 0x14
#define ACPI_PCI_HOTPLUG_UP 0x00
#define ACPI_PCI_HOTPLUG_DOWN 0x04
#define ACPI_PCI_HOTPLUG_EJECT 0x08
#define ACPI_PCI_HOTPLUG_REMOVABLE 0x0c
#define ACPI_PCI_HOTPLUG_BUS 0x10
#define ACPI_PCI_HOTPLUG_GPE 1

typedef struct AcpiPciHotplug {
    uint32_t up, down;  /* not read yet by the guest */
    uint32_t requested; /* slots that device_del asked for and that are not ejected */
    uint32_t bus_select;
    uint32_t ejecting;  /* slots that the main loop is to empty */
    LoopBh *eject;
    PciBus *bus;
    AcpiPmState *pm;
    MemoryRegion *region; /* ACPI_PCI_HOTPLUG_SIZE */
} AcpiPciHotplug;

/* Becomes the hot-plug controller of bus; its events go through pm. Both borrowed. */
void acpi_pci_hotplug_init(AcpiPciHotplug *hotplug, Object *owner, PciBus *bus, AcpiPmState *pm);
void acpi_pci_hotplug_cleanup(AcpiPciHotplug *hotplug);
/* Slots that are empty or hold only devices that can be removed. */
uint32_t acpi_pci_hotplug_slots(PciBus *bus);
extern const VmState acpi_pci_hotplug_vmstate;

#endif
