/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base address registers: how they read while being sized, and where their regions are mapped
 * (PCI Local Bus 3.0, 6.2.5).
 */
#include "hw/pci/pci-internal.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"

static unsigned bar_offset(int n)
{
    return n == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BAR0 + 4u * n;
}

void pci_register_bar(PciDevice *dev, int n, uint8_t type, MemoryRegion *region)
{
    PciBar *bar = &dev->bars[n];
    uint64_t size = memory_region_size(region);
    uint64_t mask;
    unsigned at = bar_offset(n);

    g_assert(n >= 0 && n <= PCI_ROM_BAR && !bar->region);
    g_assert(size >= 4 && (size & (size - 1)) == 0);
    *bar = (PciBar){ region, size, type, PCI_BAR_UNMAPPED };
    mask = ~(size - 1);
    if (n == PCI_ROM_BAR) {
        mask |= PCI_ROM_ENABLE;
    }
    stl_le(dev->config + at, n == PCI_ROM_BAR ? 0 : type);
    stl_le(dev->wmask + at, (uint32_t)mask);
    if ((type & PCI_BAR_MEM64) && !(type & PCI_BAR_IO)) {
        g_assert(n < PCI_NUM_BARS - 1);
        stl_le(dev->config + at + 4, 0);
        stl_le(dev->wmask + at + 4, mask >> 32);
    }
}

/* Where the registers put the BAR, or unmapped: decoding off, or an address that cannot be. */
static uint64_t bar_address(const PciDevice *dev, int n)
{
    const PciBar *bar = &dev->bars[n];
    unsigned at = bar_offset(n);
    uint16_t command = ldw_le(dev->config + PCI_COMMAND);
    uint64_t address;

    if (bar->type & PCI_BAR_IO) {
        address = ldl_le(dev->config + at) & ~(bar->size - 1);
        if (!(command & PCI_COMMAND_IO) || address == 0 ||
            !range_ok(address, bar->size, 0x10000)) {
            return PCI_BAR_UNMAPPED;
        }
        return address;
    }
    if (!(command & PCI_COMMAND_MEMORY)) {
        return PCI_BAR_UNMAPPED;
    }
    address = ldl_le(dev->config + at);
    if (n == PCI_ROM_BAR && !(address & PCI_ROM_ENABLE)) {
        return PCI_BAR_UNMAPPED;
    }
    if (bar->type & PCI_BAR_MEM64) {
        address |= (uint64_t)ldl_le(dev->config + at + 4) << 32;
    }
    address &= ~(bar->size - 1);
    /* Zero and the all-ones pattern of sizing are not places; a 32-bit BAR stays below 4 GiB. */
    if (address == 0 || address + bar->size - 1 < address ||
        (!(bar->type & PCI_BAR_MEM64) && address + bar->size - 1 >= UINT32_MAX) ||
        address + bar->size - 1 == UINT64_MAX) {
        return PCI_BAR_UNMAPPED;
    }
    return address;
}

static MemoryRegion *bar_space(PciDevice *dev, const PciBar *bar)
{
    PciBus *bus = pci_device_bus(dev);

    return bar->type & PCI_BAR_IO ? bus->io : bus->memory;
}

static void move_bar(PciDevice *dev, PciBar *bar, uint64_t address)
{
    if (bar->mapped_at == address) {
        return;
    }
    if (bar->mapped_at != PCI_BAR_UNMAPPED) {
        memory_region_remove(bar_space(dev, bar), bar->region);
    }
    bar->mapped_at = address;
    if (address != PCI_BAR_UNMAPPED) {
        memory_region_add_overlap(bar_space(dev, bar), address, bar->region, 1);
    }
}

void pci_update_bars(PciDevice *dev)
{
    memory_transaction_begin();
    for (int n = 0; n <= PCI_ROM_BAR; n++) {
        if (dev->bars[n].region) {
            move_bar(dev, &dev->bars[n], bar_address(dev, n));
        }
    }
    memory_transaction_commit();
}

void pci_unmap_bars(PciDevice *dev)
{
    for (int n = 0; n <= PCI_ROM_BAR; n++) {
        if (dev->bars[n].region) {
            move_bar(dev, &dev->bars[n], PCI_BAR_UNMAPPED);
        }
    }
}
