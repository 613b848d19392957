/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of hw/pci share among themselves. */
#ifndef VIREO_HW_PCI_PCI_INTERNAL_H
#define VIREO_HW_PCI_PCI_INTERNAL_H

#include "hw/pci/pci.h"

struct PciBus {
    Bus parent_obj;
    MemoryRegion *memory, *io; /* where BARs are mapped */
    uint8_t devfn_min;
    PciDevice *devices[256];
    const PciBusIrqOps *irq_ops;
    void *irq_opaque;
    int irq_counts[32];        /* devices that assert each PIRQ */
    const PciHotplugOps *hotplug_ops;
    void *hotplug_opaque;
};

/* Remap what the configuration registers now say. */
void pci_update_bars(PciDevice *dev);
void pci_unmap_bars(PciDevice *dev);
/* The option ROM, if the type or the romfile property names one. */
bool pci_load_rom(PciDevice *dev, const char *default_file, GError **error);
/* After a write that touched the capability: enable, mask changes. */
void pci_msi_config_written(PciDevice *dev, uint32_t addr, unsigned size);
void pci_msix_config_written(PciDevice *dev, uint32_t addr, unsigned size);
void pci_msi_reset(PciDevice *dev);
void pci_msix_reset(PciDevice *dev);
/* The table and the pending bits, as bytes; load: false if there are too few. */
void pci_msix_save(const PciDevice *dev, GByteArray *out);
bool pci_msix_load(PciDevice *dev, const uint8_t *data, size_t len, size_t *used);
/* Deliver a message as this device's write: through the accelerator, or the APIC model's window. */
void pci_msi_send(PciDevice *dev, uint64_t address, uint32_t data);

#endif
