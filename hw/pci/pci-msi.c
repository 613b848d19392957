/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI (PCI 3.0, 6.8.1). The capability: +2 control, +4 address, then (64-bit) +8 upper address,
 * then data, then (maskable) mask and pending words.
 */
#include "accel/accel.h"
#include "hw/pci/pci-internal.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"
#include "util/error.h"

#define MSI_CONTROL 2
#define MSI_CONTROL_ENABLE 0x0001
#define MSI_CONTROL_MULTI_CAPABLE_SHIFT 1
#define MSI_CONTROL_MULTI_ENABLE_SHIFT 4
#define MSI_CONTROL_MULTI_ENABLE 0x0070
#define MSI_CONTROL_64BIT 0x0080
#define MSI_CONTROL_MASKABLE 0x0100
#define MSI_ADDRESS 4

void pci_msi_send(PciDevice *dev, uint64_t address, uint32_t data)
{
    if (accel_ops() && accel_ops()->msi_send && accel_irqchip() != ACCEL_IRQCHIP_OFF) {
        accel_ops()->msi_send(accel_current(), address, data);
    } else if (pci_bus_master(dev)) {
        address_space_store(dev->dma_as, address, 4, data);
    }
}

static uint16_t msi_control(const PciDevice *dev)
{
    return dev->msi_cap ? ldw_le(dev->config + dev->msi_cap + MSI_CONTROL) : 0;
}

/* Offsets that depend on the address width. */
static unsigned msi_data(const PciDevice *dev)
{
    return dev->msi_cap + (msi_control(dev) & MSI_CONTROL_64BIT ? 12 : 8);
}

static unsigned msi_mask(const PciDevice *dev)
{
    return msi_data(dev) + 4;
}

static unsigned msi_pending(const PciDevice *dev)
{
    return msi_data(dev) + 8;
}

bool pci_msi_init(PciDevice *dev, uint8_t offset, unsigned vectors, bool is64, bool maskable,
                  GError **error)
{
    unsigned size = (is64 ? 14 : 10) + (maskable ? 10 : 0);
    uint16_t control = __builtin_ctz(vectors) << MSI_CONTROL_MULTI_CAPABLE_SHIFT;
    uint8_t at = pci_add_capability(dev, PCI_CAP_ID_MSI, offset, size, error);

    g_assert(vectors && vectors <= 32 && (vectors & (vectors - 1)) == 0);
    if (!at) {
        return false;
    }
    dev->msi_cap = at;
    control |= (is64 ? MSI_CONTROL_64BIT : 0) | (maskable ? MSI_CONTROL_MASKABLE : 0);
    stw_le(dev->config + at + MSI_CONTROL, control);
    memset(dev->wmask + at, 0, size);
    stw_le(dev->wmask + at + MSI_CONTROL, MSI_CONTROL_ENABLE | MSI_CONTROL_MULTI_ENABLE);
    stl_le(dev->wmask + at + MSI_ADDRESS, 0xfffffffc);
    if (is64) {
        stl_le(dev->wmask + at + MSI_ADDRESS + 4, 0xffffffff);
    }
    stw_le(dev->wmask + msi_data(dev), 0xffff);
    if (maskable) {
        stl_le(dev->wmask + msi_mask(dev), 0xffffffffu >> (32 - vectors));
    }
    return true;
}

bool pci_msi_enabled(const PciDevice *dev)
{
    return msi_control(dev) & MSI_CONTROL_ENABLE;
}

static unsigned msi_vectors_enabled(const PciDevice *dev)
{
    unsigned capable = (msi_control(dev) >> MSI_CONTROL_MULTI_CAPABLE_SHIFT) & 7;
    unsigned log2 = (msi_control(dev) >> MSI_CONTROL_MULTI_ENABLE_SHIFT) & 7;

    return 1u << MIN(log2, capable);
}

static void msi_deliver(PciDevice *dev, unsigned vector)
{
    uint64_t address = ldl_le(dev->config + dev->msi_cap + MSI_ADDRESS);
    uint32_t data = ldw_le(dev->config + msi_data(dev));

    if (msi_control(dev) & MSI_CONTROL_64BIT) {
        address |= (uint64_t)ldl_le(dev->config + dev->msi_cap + MSI_ADDRESS + 4) << 32;
    }
    data = (data & ~(msi_vectors_enabled(dev) - 1)) | vector;
    pci_msi_send(dev, address, data);
}

void pci_msi_notify(PciDevice *dev, unsigned vector)
{
    if (!pci_msi_enabled(dev)) {
        return;
    }
    vector &= msi_vectors_enabled(dev) - 1;
    if ((msi_control(dev) & MSI_CONTROL_MASKABLE) &&
        (ldl_le(dev->config + msi_mask(dev)) & BIT(vector))) {
        stl_le(dev->config + msi_pending(dev),
               ldl_le(dev->config + msi_pending(dev)) | BIT(vector));
        return;
    }
    msi_deliver(dev, vector);
}

void pci_msi_config_written(PciDevice *dev, uint32_t addr, unsigned size)
{
    uint32_t due;

    if (!dev->msi_cap || !pci_msi_enabled(dev) ||
        !(msi_control(dev) & MSI_CONTROL_MASKABLE) ||
        !ranges_overlap(addr, size, dev->msi_cap, 24)) {
        return;
    }
    due = ldl_le(dev->config + msi_pending(dev)) & ~ldl_le(dev->config + msi_mask(dev));
    stl_le(dev->config + msi_pending(dev), ldl_le(dev->config + msi_pending(dev)) & ~due);
    for (; due; due &= due - 1) {
        msi_deliver(dev, __builtin_ctz(due) & (msi_vectors_enabled(dev) - 1));
    }
}

void pci_msi_reset(PciDevice *dev)
{
    if (!dev->msi_cap) {
        return;
    }
    stw_le(dev->config + dev->msi_cap + MSI_CONTROL,
           msi_control(dev) & ~(MSI_CONTROL_ENABLE | MSI_CONTROL_MULTI_ENABLE));
    stl_le(dev->config + dev->msi_cap + MSI_ADDRESS, 0);
    if (msi_control(dev) & MSI_CONTROL_64BIT) {
        stl_le(dev->config + dev->msi_cap + MSI_ADDRESS + 4, 0);
    }
    stw_le(dev->config + msi_data(dev), 0);
    if (msi_control(dev) & MSI_CONTROL_MASKABLE) {
        stl_le(dev->config + msi_mask(dev), 0);
        stl_le(dev->config + msi_pending(dev), 0);
    }
}

void pci_msi_load(PciDevice *dev, const uint8_t *config)
{
    if (msi_control(dev) & MSI_CONTROL_MASKABLE) {
        stl_le(dev->config + msi_pending(dev),
               ldl_le(config + msi_pending(dev)) & ldl_le(dev->wmask + msi_mask(dev)));
    }
}
