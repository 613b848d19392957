/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of hw/pci share among themselves. */
#ifndef VIREO_HW_PCI_PCI_INTERNAL_H
#define VIREO_HW_PCI_PCI_INTERNAL_H

#include "hw/pci/pci.h"

#define PCI_ROM_SIZE_AUTO UINT32_MAX

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
/* The option ROM's BAR, if there is a ROM and rombar= does not hide it. */
bool pci_load_rom(PciDevice *dev, GError **error);
/* After a write that touched the capability: enable, mask changes. */
void pci_msi_config_written(PciDevice *dev, uint32_t addr, unsigned size);
void pci_msix_config_written(PciDevice *dev, uint32_t addr, unsigned size);
void pci_msi_reset(PciDevice *dev);
void pci_msix_reset(PciDevice *dev);
/* The table and the pending bits, as pci_msix_saved_len() bytes; 0: no MSI-X. */
#define PCI_MSIX_SAVED_MAX (2048 * 16 + 2048 / 8)
size_t pci_msix_saved_len(const PciDevice *dev);
void pci_msix_save(const PciDevice *dev, uint8_t *data);
/* The control word in configuration space is loaded already. */
void pci_msix_load(PciDevice *dev, const uint8_t *data);
/* The pending bits of a saved configuration space. */
void pci_msi_load(PciDevice *dev, const uint8_t *config);
/* Does the guest see INTx asserted? update: that may have changed since it was so. */
bool pci_intx_visible(const PciDevice *dev);
void pci_update_intx(PciDevice *dev, bool was_visible);
/* Deliver a message as this device's write: through the accelerator, or the APIC model's window. */
void pci_msi_send(PciDevice *dev, uint64_t address, uint32_t data);

#endif
