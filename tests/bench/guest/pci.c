/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: PCI Local Bus Specification 3.0, sections 3.2.2.3.2, 6.2.5 (BARs), 6.8.2 (MSI-X). */
#include "pci.h"

#include <linux/pci_regs.h>

#include "guest.h"

enum {
    CONFIG_ADDRESS = 0xcf8,
    CONFIG_DATA = 0xcfc,
    FUNCTIONS = 256, /* of one bus */
    MULTI_FUNCTION = 0x80,
    IO_START = 0xc000,
};

#define CONFIG_ENABLE 0x80000000U
#define MEMORY_START 0xe0000000U
#define MSI_ADDRESS 0xfee00000U

uint32_t pci_read(const struct pci_device *device, unsigned offset, unsigned size)
{
    uint32_t value;

    write_port32(CONFIG_ADDRESS, device->address | (offset & ~3U));
    value = read_port32(CONFIG_DATA) >> 8 * (offset & 3);
    return size == 4 ? value : value & ((1U << 8 * size) - 1);
}

static void write32(const struct pci_device *device, unsigned offset, uint32_t value)
{
    write_port32(CONFIG_ADDRESS, device->address | offset);
    write_port32(CONFIG_DATA, value);
}

void pci_write16(const struct pci_device *device, unsigned offset, uint16_t value)
{
    write_port32(CONFIG_ADDRESS, device->address | (offset & ~3U));
    write_port16((uint16_t)(CONFIG_DATA + (offset & 3)), value);
}

/* The next free range of that size: BARs are naturally aligned. */
static uint32_t take_range(uint32_t *next, uint32_t size)
{
    uint32_t start = (*next + size - 1) & ~(size - 1);

    *next = start + size;
    return start;
}

static void place_bar(const struct pci_device *device, unsigned offset, uint32_t old)
{
    static uint32_t next_io = IO_START, next_memory = MEMORY_START;
    bool io = old & PCI_BASE_ADDRESS_SPACE_IO;
    uint32_t mask = io ? 0xfffcU : 0xfffffff0U;
    uint32_t size;

    write32(device, offset, UINT32_MAX);
    size = pci_read(device, offset, 4) & mask;
    size &= -size;
    write32(device, offset, take_range(io ? &next_io : &next_memory, size));
}

static void read_bars(struct pci_device *device)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        unsigned offset = PCI_BASE_ADDRESS_0 + 4 * i;
        uint32_t value = pci_read(device, offset, 4);
        bool io = value & PCI_BASE_ADDRESS_SPACE_IO;
        uint32_t mask = io ? 0xfffcU : 0xfffffff0U;

        device->bar[i] = 0;
        if (!(value & mask)) {
            write32(device, offset, UINT32_MAX);
            if (!(pci_read(device, offset, 4) & mask)) {
                continue; /* there is no such BAR */
            }
            place_bar(device, offset, value);
            value = pci_read(device, offset, 4);
        }
        device->bar[i] = value & mask;
        if (!io && (value & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64) {
            i++;
            device->bar[i - 1] |= (uint64_t)pci_read(device, offset + 4, 4) << 32;
            device->bar[i] = 0;
        }
    }
}

bool pci_find(uint16_t vendor, uint16_t id, uint16_t other_id, struct pci_device *device)
{
    for (uint32_t function = 0; function < FUNCTIONS; function++) {
        uint32_t ids;

        device->address = CONFIG_ENABLE | function << 8;
        ids = pci_read(device, PCI_VENDOR_ID, 4);
        if ((ids & 0xffff) == vendor && (ids >> 16 == id || ids >> 16 == other_id)) {
            read_bars(device);
            pci_write16(device, PCI_COMMAND,
                        PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
            return true;
        }
        if (!(function & 7) && (ids == UINT32_MAX ||
                                !(pci_read(device, PCI_HEADER_TYPE, 1) & MULTI_FUNCTION))) {
            function += 7; /* there are no others in this slot */
        }
    }
    return false;
}

uint8_t pci_capability(const struct pci_device *device, uint8_t kind, uint8_t after)
{
    uint8_t at = (uint8_t)pci_read(device, after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST,
                                   1);

    while (at && pci_read(device, at, 1) != kind) {
        at = (uint8_t)pci_read(device, at + PCI_CAP_LIST_NEXT, 1);
    }
    return at;
}

bool pci_enable_msix(const struct pci_device *device)
{
    uint8_t at = pci_capability(device, PCI_CAP_ID_MSIX, 0);
    uint32_t table;
    uintptr_t entry;

    if (!at) {
        return false;
    }
    table = pci_read(device, at + PCI_MSIX_TABLE, 4);
    entry = device->bar[table & PCI_MSIX_TABLE_BIR] + (table & PCI_MSIX_TABLE_OFFSET);
    write_mmio(entry + PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS);
    write_mmio(entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
    write_mmio(entry + PCI_MSIX_ENTRY_DATA, VECTOR_DEVICE);
    write_mmio(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    pci_write16(device, at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
    return true;
}
