/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of drivers before VIRTIO 1.0 (VIRTIO 1.2, section 4.1.4.10), in I/O space. Behind
 * the 20 common bytes come two vector registers while MSI-X is on, then the configuration.
 */
#include <linux/virtio_pci.h>

#include "hw/virtio/virtio-pci.h"
#include "util/bits.h"

#define LEGACY_FEATURE_MASK 0xffffffffu

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *proxy = opaque;
    VirtioDevice *dev = proxy->vdev;
    bool msix = pci_msix_enabled(&proxy->parent_obj);
    const VirtioQueue *queue;

    if (!proxy->parent_obj.parent_obj.realized) {
        return UINT64_MAX;
    }
    if (offset >= VIRTIO_PCI_CONFIG_OFF(msix)) {
        return virtio_config_read(dev, offset - VIRTIO_PCI_CONFIG_OFF(msix), size);
    }
    queue = virtio_queue(dev, proxy->queue_select);
    switch (offset) {
    case VIRTIO_PCI_HOST_FEATURES:
        return dev->host_features & LEGACY_FEATURE_MASK;
    case VIRTIO_PCI_GUEST_FEATURES:
        return dev->features & LEGACY_FEATURE_MASK;
    case VIRTIO_PCI_QUEUE_PFN:
        return queue ? queue->vq.desc >> VIRTIO_PCI_QUEUE_ADDR_SHIFT : 0;
    case VIRTIO_PCI_QUEUE_NUM:
        return queue ? queue->vq.size : 0;
    case VIRTIO_PCI_QUEUE_SEL:
        return proxy->queue_select;
    case VIRTIO_PCI_STATUS:
        return dev->status;
    case VIRTIO_PCI_ISR:
        return virtio_pci_take_isr(proxy);
    case VIRTIO_MSI_CONFIG_VECTOR:
        return dev->config_vector;
    case VIRTIO_MSI_QUEUE_VECTOR:
        return queue ? queue->vector : VIRTIO_NO_VECTOR;
    default:
        return 0;
    }
}

static void legacy_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *proxy = opaque;
    VirtioDevice *dev = proxy->vdev;
    bool msix = pci_msix_enabled(&proxy->parent_obj);
    VirtioQueue *queue;

    if (!proxy->parent_obj.parent_obj.realized) {
        return;
    }
    if (offset >= VIRTIO_PCI_CONFIG_OFF(msix)) {
        virtio_config_write(dev, offset - VIRTIO_PCI_CONFIG_OFF(msix), size, value);
        return;
    }
    queue = virtio_queue(dev, proxy->queue_select);
    dev->legacy = true;
    switch (offset) {
    case VIRTIO_PCI_GUEST_FEATURES:
        virtio_set_features(dev, value & LEGACY_FEATURE_MASK);
        break;
    case VIRTIO_PCI_QUEUE_PFN:
        if (queue) {
            virtio_queue_set_legacy_page(queue, value << VIRTIO_PCI_QUEUE_ADDR_SHIFT,
                                         VIRTIO_PCI_VRING_ALIGN);
        } else if (!value) {
            virtio_reset(dev);
        }
        break;
    case VIRTIO_PCI_QUEUE_SEL:
        proxy->queue_select = value;
        break;
    case VIRTIO_PCI_QUEUE_NOTIFY:
        virtio_queue_kick(dev, value);
        break;
    case VIRTIO_PCI_STATUS:
        virtio_set_status(dev, value);
        if (!value) {
            virtio_pci_reset_registers(proxy);
        }
        break;
    case VIRTIO_MSI_CONFIG_VECTOR:
        virtio_pci_set_vector(proxy, NULL, value);
        break;
    case VIRTIO_MSI_QUEUE_VECTOR:
        if (queue) {
            virtio_pci_set_vector(proxy, queue, value);
        }
        break;
    default:
        break;
    }
}

static const MemoryRegionOps legacy_ops = {
    .read = legacy_read,
    .write = legacy_write,
    .valid = { .min = 1, .max = 4, .unaligned = true },
    .impl = { .min = 1, .max = 4, .unaligned = true },
};

void virtio_pci_add_legacy(VirtioPci *proxy)
{
    uint64_t size = 32;

    while (size < VIRTIO_PCI_CONFIG_OFF(proxy->vectors != 0) + virtio_config_len(proxy->vdev)) {
        size *= 2;
    }
    proxy->legacy_bar = memory_region_new_io(OBJECT(proxy), &legacy_ops, proxy, "virtio-pci", size);
    pci_register_bar(&proxy->parent_obj, 0, PCI_BAR_IO, proxy->legacy_bar);
}
