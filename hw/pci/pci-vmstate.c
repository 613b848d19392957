/* SPDX-License-Identifier: Apache-2.0 */
/* Saved state of a function: its configuration space, and MSI-X's table where it has one. */
#include <string.h>

#include "hw/pci/pci-internal.h"
#include "hw/pci/pci-regs.h"
#include "util/bits.h"

static bool has_msix(void *opaque, int version)
{
    return ((PciDevice *)opaque)->msix;
}

static void pci_pre_save(void *opaque)
{
    PciDevice *dev = opaque;

    memcpy(dev->saved_config, dev->config, sizeof(dev->config));
    dev->saved_msix_len = (uint32_t)pci_msix_saved_len(dev);
    if (dev->msix) {
        g_free(dev->saved_msix);
        dev->saved_msix = g_malloc(PCI_MSIX_SAVED_MAX);
        pci_msix_save(dev, dev->saved_msix);
    }
}

static bool pci_pre_load(void *opaque, GError **error)
{
    PciDevice *dev = opaque;

    dev->saved_msix_len = (uint32_t)pci_msix_saved_len(dev);
    return true;
}

/* What the guest cannot write is the device's own; of it only MSI's pending bits change. */
static bool pci_post_load(void *opaque, int version, GError **error)
{
    PciDevice *dev = opaque;
    bool was_visible = pci_intx_visible(dev);

    for (unsigned i = 0; i < sizeof(dev->config); i++) {
        uint8_t mask = dev->wmask[i] | dev->w1cmask[i];

        dev->config[i] = (dev->config[i] & ~mask) | (dev->saved_config[i] & mask);
    }
    pci_msi_load(dev, dev->saved_config);
    if (dev->msix) {
        pci_msix_load(dev, dev->saved_msix);
    }
    pci_update_intx(dev, was_visible);
    pci_update_bars(dev);
    return true;
}

const VmState pci_device_vmstate = {
    .name = "pci-device",
    .version = 1,
    .minimum_version = 1,
    .pre_save = pci_pre_save,
    .pre_load = pci_pre_load,
    .post_load = pci_post_load,
    .fields = (const VmStateField[]) {
        { .name = "config", .kind = VMS_BUFFER, .offset = offsetof(PciDevice, saved_config),
          .size = PCI_CONFIG_SIZE },
        { .name = "msix", .kind = VMS_VBUFFER, .offset = offsetof(PciDevice, saved_msix),
          .size = 1, .count_offset = offsetof(PciDevice, saved_msix_len),
          .max = PCI_MSIX_SAVED_MAX, .exists = has_msix },
        VMSTATE_END
    },
};
