/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X (PCI 3.0, 6.8.2). A table entry is 16 bytes: address, upper address, data, vector control
 * (bit 0 masks). The pending bit array follows at half of the BAR. Both live in a BAR of their
 * own.
 */
#include "hw/pci/pci-internal.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"
#include "util/error.h"

#define MSIX_CONTROL 2
#define MSIX_CONTROL_MASKALL 0x4000
#define MSIX_CONTROL_ENABLE 0x8000
#define MSIX_TABLE 4
#define MSIX_PBA 8
#define MSIX_CAP_SIZE 12
#define MSIX_ENTRY_SIZE 16
#define MSIX_ENTRY_CONTROL 12
#define MSIX_VECTORS_MAX 2048

typedef struct PciMsix {
    unsigned vectors;
    uint8_t *table;
    uint8_t *pending;
    uint64_t pba_offset;
    MemoryRegion *bar;
    PciMsixVectorFn *notifier;
    bool was_enabled, was_masked_all;
} PciMsix;

static uint16_t msix_control(const PciDevice *dev)
{
    return ldw_le(dev->config + dev->msix_cap + MSIX_CONTROL);
}

static bool vector_masked(const PciDevice *dev, unsigned vector)
{
    const uint8_t *entry = dev->msix->table + vector * MSIX_ENTRY_SIZE;

    return !(msix_control(dev) & MSIX_CONTROL_ENABLE) ||
           (msix_control(dev) & MSIX_CONTROL_MASKALL) || (entry[MSIX_ENTRY_CONTROL] & 1);
}

bool pci_msix_message(PciDevice *dev, unsigned vector, uint64_t *address, uint32_t *data)
{
    const uint8_t *entry;

    if (!dev->msix || vector >= dev->msix->vectors) {
        return false;
    }
    entry = dev->msix->table + vector * MSIX_ENTRY_SIZE;
    *address = ldq_le(entry) & ~3ULL;
    *data = ldl_le(entry + 8);
    return true;
}

bool pci_msix_is_masked(const PciDevice *dev, unsigned vector)
{
    return !dev->msix || vector >= dev->msix->vectors || vector_masked(dev, vector);
}

static void fire(PciDevice *dev, unsigned vector)
{
    uint64_t address;
    uint32_t data;

    if (pci_msix_message(dev, vector, &address, &data)) {
        pci_msi_send(dev, address, data);
    }
}

/* A vector may have been unmasked: deliver what waited, tell the owner. */
static void vector_changed(PciDevice *dev, unsigned vector, bool was_masked)
{
    PciMsix *msix = dev->msix;
    bool masked = vector_masked(dev, vector);

    if (msix->notifier && (masked != was_masked || !masked)) {
        msix->notifier(dev, vector, masked);
    }
    if (!masked && (msix->pending[vector / 8] & BIT(vector % 8))) {
        msix->pending[vector / 8] &= ~BIT(vector % 8);
        fire(dev, vector);
    }
}

static uint64_t msix_read(void *opaque, uint64_t offset, unsigned size)
{
    PciDevice *dev = opaque;
    PciMsix *msix = dev->msix;

    if (range_ok(offset, size, (uint64_t)msix->vectors * MSIX_ENTRY_SIZE)) {
        return ldn_le(msix->table + offset, size);
    }
    if (offset >= msix->pba_offset &&
        range_ok(offset - msix->pba_offset, size, ROUND_UP(msix->vectors, 64u) / 8)) {
        return ldn_le(msix->pending + (offset - msix->pba_offset), size);
    }
    return 0;
}

static void msix_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciDevice *dev = opaque;
    unsigned vector = offset / MSIX_ENTRY_SIZE;
    bool was_masked;

    if (!range_ok(offset, size, (uint64_t)dev->msix->vectors * MSIX_ENTRY_SIZE)) {
        return;
    }
    was_masked = vector_masked(dev, vector);
    stn_le(dev->msix->table + offset, size, value);
    vector_changed(dev, vector, was_masked);
}

static const MemoryRegionOps msix_ops = {
    .read = msix_read,
    .write = msix_write,
    .valid = { .min = 4, .max = 8 },
    .impl = { .min = 4, .max = 4 },
};

bool pci_msix_init_exclusive_bar(PciDevice *dev, unsigned vectors, int bar, GError **error)
{
    uint64_t half = 2 * KiB;
    PciMsix *msix;
    uint8_t at;

    g_assert(vectors && vectors <= MSIX_VECTORS_MAX);
    at = pci_add_capability(dev, PCI_CAP_ID_MSIX, 0, MSIX_CAP_SIZE, error);
    if (!at) {
        return false;
    }
    while (half < (uint64_t)vectors * MSIX_ENTRY_SIZE) {
        half <<= 1;
    }
    msix = g_new0(PciMsix, 1);
    msix->vectors = vectors;
    msix->table = g_malloc0((gsize)vectors * MSIX_ENTRY_SIZE);
    msix->pending = g_malloc0(ROUND_UP(vectors, 64u) / 8);
    msix->pba_offset = half;
    dev->msix = msix;
    dev->msix_cap = at;
    memset(dev->wmask + at, 0, MSIX_CAP_SIZE);
    stw_le(dev->config + at + MSIX_CONTROL, vectors - 1);
    stw_le(dev->wmask + at + MSIX_CONTROL, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASKALL);
    stl_le(dev->config + at + MSIX_TABLE, bar);
    stl_le(dev->config + at + MSIX_PBA, (uint32_t)half | bar);
    msix->bar = memory_region_new_io(OBJECT(dev), &msix_ops, dev, "msix", half * 2);
    pci_register_bar(dev, bar, PCI_BAR_MEM32, msix->bar);
    pci_msix_reset(dev);
    return true;
}

bool pci_msix_enabled(const PciDevice *dev)
{
    return dev->msix && (msix_control(dev) & MSIX_CONTROL_ENABLE);
}

void pci_msix_notify(PciDevice *dev, unsigned vector)
{
    if (!pci_msix_enabled(dev) || vector >= dev->msix->vectors) {
        return;
    }
    if (vector_masked(dev, vector)) {
        dev->msix->pending[vector / 8] |= BIT(vector % 8);
        return;
    }
    fire(dev, vector);
}

void pci_msix_set_vector_notifier(PciDevice *dev, PciMsixVectorFn *fn)
{
    dev->msix->notifier = fn;
}

void pci_msix_config_written(PciDevice *dev, uint32_t addr, unsigned size)
{
    PciMsix *msix = dev->msix;
    bool enabled, masked_all;

    if (!msix || !ranges_overlap(addr, size, dev->msix_cap + MSIX_CONTROL, 2)) {
        return;
    }
    enabled = msix_control(dev) & MSIX_CONTROL_ENABLE;
    masked_all = msix_control(dev) & MSIX_CONTROL_MASKALL;
    if (enabled == msix->was_enabled && masked_all == msix->was_masked_all) {
        return;
    }
    for (unsigned vector = 0; vector < msix->vectors; vector++) {
        bool entry_masked = msix->table[vector * MSIX_ENTRY_SIZE + MSIX_ENTRY_CONTROL] & 1;

        vector_changed(dev, vector, !msix->was_enabled || msix->was_masked_all || entry_masked);
    }
    msix->was_enabled = enabled;
    msix->was_masked_all = masked_all;
}

void pci_msix_reset(PciDevice *dev)
{
    PciMsix *msix = dev->msix;

    if (!msix) {
        return;
    }
    stw_le(dev->config + dev->msix_cap + MSIX_CONTROL, msix->vectors - 1);
    memset(msix->table, 0, (gsize)msix->vectors * MSIX_ENTRY_SIZE);
    memset(msix->pending, 0, ROUND_UP(msix->vectors, 64u) / 8);
    for (unsigned vector = 0; vector < msix->vectors; vector++) {
        msix->table[vector * MSIX_ENTRY_SIZE + MSIX_ENTRY_CONTROL] = 1;
    }
    msix->was_enabled = msix->was_masked_all = false;
}

static size_t table_bytes(const PciMsix *msix)
{
    return (size_t)msix->vectors * MSIX_ENTRY_SIZE;
}

static size_t pending_bytes(const PciMsix *msix)
{
    return ROUND_UP(msix->vectors, 64u) / 8;
}

size_t pci_msix_saved_len(const PciDevice *dev)
{
    return dev->msix ? table_bytes(dev->msix) + pending_bytes(dev->msix) : 0;
}

void pci_msix_save(const PciDevice *dev, uint8_t *data)
{
    memcpy(data, dev->msix->table, table_bytes(dev->msix));
    memcpy(data + table_bytes(dev->msix), dev->msix->pending, pending_bytes(dev->msix));
}

void pci_msix_load(PciDevice *dev, const uint8_t *data)
{
    PciMsix *msix = dev->msix;

    memcpy(msix->table, data, table_bytes(msix));
    memcpy(msix->pending, data + table_bytes(msix), pending_bytes(msix));
    msix->was_enabled = msix_control(dev) & MSIX_CONTROL_ENABLE;
    msix->was_masked_all = msix_control(dev) & MSIX_CONTROL_MASKALL;
}

void pci_msix_cleanup(PciDevice *dev)
{
    PciMsix *msix = g_steal_pointer(&dev->msix);

    if (msix) {
        memory_region_free(msix->bar);
        g_free(msix->table);
        g_free(msix->pending);
        g_free(msix);
    }
}
