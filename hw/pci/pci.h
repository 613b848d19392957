/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI: buses, configuration space, BARs, INTx routing, MSI and MSI-X, option ROMs (PCI Local Bus
 * 3.0, MSI-X ECN).
 *
 * A device type has hooks (DeviceHooks) and ops = const PciDeviceOps. The "pci-device" level of
 * realize makes the configuration header from the ops; the leaf's realize adds BARs and
 * capabilities.
 */
#ifndef VIREO_HW_PCI_PCI_H
#define VIREO_HW_PCI_PCI_H

#include "hw/core/device.h"
#include "memory/memory.h"

#define TYPE_PCI_BUS "PCI"
#define TYPE_PCI_DEVICE "pci-device"
#define PCI_DEVFN(slot, func) ((((slot) & 0x1f) << 3) | ((func) & 7))
#define PCI_SLOT(devfn) (((devfn) >> 3) & 0x1f)
#define PCI_FUNC(devfn) ((devfn) & 7)
#define PCI_CONFIG_SIZE 256
#define PCI_NUM_BARS 6
#define PCI_ROM_BAR 6

typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;

typedef struct PciDeviceOps {
    uint16_t vendor_id, device_id;
    uint16_t class_id;           /* base class << 8 | subclass */
    uint8_t revision, prog_if;
    uint16_t subsystem_vendor_id, subsystem_id; /* 0: 0x1af4:0x1100 */
    uint8_t interrupt_pin;       /* 1 = INTA#, 0 = none */
    bool is_bridge;
    bool is_express;
    const char *romfile;         /* default option ROM, or NULL */
    /* Override or extend; NULL: the core's. addr < 256, size 1, 2 or 4, not crossing a dword. */
    uint32_t (*config_read)(PciDevice *dev, uint32_t addr, unsigned size);
    void (*config_write)(PciDevice *dev, uint32_t addr, uint32_t value, unsigned size);
} PciDeviceOps;

typedef struct PciBar {
    MemoryRegion *region; /* NULL: not implemented */
    uint64_t size;
    uint8_t type;         /* PCI_BAR_* */
    uint64_t mapped_at;   /* PCI_BAR_UNMAPPED if not */
} PciBar;
#define PCI_BAR_MEM32 0x00
#define PCI_BAR_IO 0x01
#define PCI_BAR_MEM64 0x04
#define PCI_BAR_PREFETCH 0x08
#define PCI_BAR_UNMAPPED UINT64_MAX

struct PciDevice {
    Device parent_obj;
    int32_t devfn;             /* addr= property; -1: first free slot */
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t wmask[PCI_CONFIG_SIZE];   /* writable bits */
    uint8_t w1cmask[PCI_CONFIG_SIZE]; /* write 1 to clear */
    PciBar bars[PCI_NUM_BARS + 1];
    AddressSpace *dma_as;      /* what it reaches as bus master, while pci_bus_master() */
    bool intx_level;
    bool multifunction;
    char *romfile;
    uint32_t rombar, romsize;
    uint8_t cap_used[PCI_CONFIG_SIZE];
    uint8_t msi_cap, msix_cap; /* offsets, 0 if none */
    struct PciMsix *msix;
    MemoryRegion *rom;
    /* what pci_device_vmstate writes and reads */
    uint8_t saved_config[PCI_CONFIG_SIZE];
    uint8_t *saved_msix;
    uint32_t saved_msix_len;
};

/* Register BAR n (0..5, or PCI_ROM_BAR); size is the region's, a power of two. Region borrowed. */
void pci_register_bar(PciDevice *dev, int n, uint8_t type, MemoryRegion *region);
/*
 * Offset of the capability's header, or 0 with error set when there is no room. offset 0:
 * anywhere.
 */
uint8_t pci_add_capability(PciDevice *dev, uint8_t id, uint8_t offset, uint8_t size,
                           GError **error);
uint32_t pci_default_config_read(PciDevice *dev, uint32_t addr, unsigned size);
void pci_default_config_write(PciDevice *dev, uint32_t addr, uint32_t value, unsigned size);
/* Drive INTx (pin from ops); honours COMMAND.INTX_DISABLE and sets STATUS. */
void pci_set_irq(PciDevice *dev, bool level);
/*
 * A device whose ids are not its ops': let the default option ROM, which firmware would not run
 * otherwise, have the same.
 */
void pci_rom_set_ids(PciDevice *dev);
/* Base class << 8 | subclass. */
uint16_t pci_device_class(const PciDevice *dev);
#define PCI_CLASS_VGA 0x0300
/* The option ROM's file name, by romfile= or the type; NULL: none. */
const char *pci_rom_file(const PciDevice *dev);
/* DMA by this device: refused (MEM_UNASSIGNED) unless bus mastering is on. */
bool pci_bus_master(const PciDevice *dev); /* COMMAND.BME */
MemResult pci_dma_read(PciDevice *dev, uint64_t addr, void *buf, uint64_t len);
MemResult pci_dma_write(PciDevice *dev, uint64_t addr, const void *buf, uint64_t len);

/* MSI, MSI-X (PCI 3.0 section 6.8). */
bool pci_msi_init(PciDevice *dev, uint8_t offset, unsigned vectors, bool is64, bool maskable,
                  GError **error);
bool pci_msi_enabled(const PciDevice *dev);
void pci_msi_notify(PciDevice *dev, unsigned vector);
/* Table and PBA in one BAR of their own, made here. */
bool pci_msix_init_exclusive_bar(PciDevice *dev, unsigned vectors, int bar, GError **error);
bool pci_msix_enabled(const PciDevice *dev);
void pci_msix_notify(PciDevice *dev, unsigned vector);
void pci_msix_cleanup(PciDevice *dev);
/* Masked by its entry or for all, or MSI-X is off, or there is no such vector. */
bool pci_msix_is_masked(const PciDevice *dev, unsigned vector);
/* Message of a vector, and called when the guest masks, unmasks or changes one (irqfd users). */
bool pci_msix_message(PciDevice *dev, unsigned vector, uint64_t *address, uint32_t *data);
typedef void PciMsixVectorFn(PciDevice *dev, unsigned vector, bool masked);
void pci_msix_set_vector_notifier(PciDevice *dev, PciMsixVectorFn *fn);

/*
 * Saved state of the function: configuration space and MSI-X. The first row of every leaf's table.
 * Loading keeps what is not writable and maps BARs; INTx is the leaf's to assert again.
 */
extern const VmState pci_device_vmstate;
#define VMSTATE_PCI_DEVICE(S) VMSTATE_STRUCT(S, parent_obj, pci_device_vmstate)

/* Buses. map_irq gives the PIRQ (0..n-1) for a device's pin; set_irq drives it. */
typedef struct PciBusIrqOps {
    int (*map_irq)(PciDevice *dev, int pin);
    void (*set_irq)(void *opaque, int pirq, bool level);
    unsigned count;
} PciBusIrqOps;
PciBus *pci_bus_new(Device *owner, const char *name, MemoryRegion *memory, MemoryRegion *io,
                    uint8_t devfn_min);
void pci_bus_set_irqs(PciBus *bus, const PciBusIrqOps *ops, void *opaque);
PciDevice *pci_bus_device(PciBus *bus, uint8_t devfn);
PciBus *pci_device_bus(const PciDevice *dev);
uint8_t pci_bus_number(PciBus *bus);
/* The containers behind the bus: for windows at fixed addresses (VGA). */
MemoryRegion *pci_bus_memory(PciBus *bus);
MemoryRegion *pci_bus_io(PciBus *bus);
/* Configuration by type 1 address (0xCF8 format without the enable bit), routed through bridges. */
uint32_t pci_host_config_read(PciBus *root, uint32_t address, unsigned size);
void pci_host_config_write(PciBus *root, uint32_t address, uint32_t value, unsigned size);
/* Board's one-liner. */
PciDevice *pci_create(PciBus *bus, int devfn, const char *type, GError **error);
/* Hot-plug controller (PIIX4 ACPI, later PCIe): set by the board. */
typedef struct PciHotplugOps {
    bool (*plug)(void *opaque, PciDevice *dev, GError **error);
    bool (*unplug_request)(void *opaque, PciDevice *dev, GError **error);
} PciHotplugOps;
void pci_bus_set_hotplug(PciBus *bus, const PciHotplugOps *ops, void *opaque);

#endif
