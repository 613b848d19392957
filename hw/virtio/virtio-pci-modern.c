/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of VIRTIO 1.x drivers (VIRTIO 1.2, sections 4.1.4.3 to 4.1.4.9), the capabilities
 * that say where they are, and the way to them through configuration space.
 */
#include <linux/virtio_pci.h>

#include "hw/pci/pci-regs.h"
#include "hw/virtio/virtio-pci.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/log.h"

#define MODERN_BAR 4
#define PART_SIZE 0x1000u
#define MODERN_BAR_SIZE (4 * PART_SIZE)
#define NOTIFY_MULTIPLIER 4u
#define CAP_SIZE 16
#define LONG_CAP_SIZE 20 /* with a multiplier, or a window of data */
#define CAP_DATA 16

static bool is_gone(const VirtioPci *proxy)
{
    return !proxy->parent_obj.parent_obj.realized;
}

/* ---- Common configuration ---- */

static uint32_t half(uint64_t value, bool high)
{
    return value >> (high ? 32 : 0);
}

static uint64_t with_half(uint64_t value, bool high, uint32_t part)
{
    return deposit64(value, high ? 32 : 0, 32, part);
}

static uint64_t read_queue_register(const VirtioQueue *queue, uint64_t offset)
{
    if (!queue) {
        return 0;
    }
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return queue->vq.size;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return queue->vector;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return queue->enabled;
    case VIRTIO_PCI_COMMON_Q_NOFF:
    case VIRTIO_PCI_COMMON_Q_NDATA:
        return queue->index;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        return half(queue->vq.desc, offset == VIRTIO_PCI_COMMON_Q_DESCHI);
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        return half(queue->vq.driver, offset == VIRTIO_PCI_COMMON_Q_AVAILHI);
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        return half(queue->vq.device, offset == VIRTIO_PCI_COMMON_Q_USEDHI);
    case VIRTIO_PCI_COMMON_Q_RESET:
        return !queue->enabled && __atomic_load_n(&queue->vq.outstanding, __ATOMIC_ACQUIRE);
    default:
        return 0;
    }
}

static uint64_t common_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *proxy = opaque;
    VirtioDevice *dev = proxy->vdev;

    if (is_gone(proxy)) {
        return UINT64_MAX;
    }
    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return proxy->device_feature_select;
    case VIRTIO_PCI_COMMON_DF:
        return proxy->device_feature_select > 1
                   ? 0 : half(virtio_modern_features(dev), proxy->device_feature_select);
    case VIRTIO_PCI_COMMON_GFSELECT:
        return proxy->driver_feature_select;
    case VIRTIO_PCI_COMMON_GF:
        return proxy->driver_feature_select > 1
                   ? 0 : half(proxy->driver_features, proxy->driver_feature_select);
    case VIRTIO_PCI_COMMON_MSIX:
        return dev->config_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
        return dev->n_queues;
    case VIRTIO_PCI_COMMON_STATUS:
        return virtio_visible_status(dev);
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return dev->config_generation;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return proxy->queue_select;
    default:
        return read_queue_register(virtio_queue(dev, proxy->queue_select), offset);
    }
}

static void write_queue_address(VirtioQueue *queue, uint64_t offset, uint32_t value)
{
    VirtQueue *vq = &queue->vq;

    if (queue->enabled) {
        log_guest_error("%s: queue %u is enabled: its addresses stay", queue->dev->ops->name,
                        queue->index);
        return;
    }
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        vq->desc = with_half(vq->desc, offset == VIRTIO_PCI_COMMON_Q_DESCHI, value);
        break;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        vq->driver = with_half(vq->driver, offset == VIRTIO_PCI_COMMON_Q_AVAILHI, value);
        break;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        vq->device = with_half(vq->device, offset == VIRTIO_PCI_COMMON_Q_USEDHI, value);
        break;
    default:
        break;
    }
}

static void write_queue_register(VirtioPci *proxy, VirtioQueue *queue, uint64_t offset,
                                 uint32_t value)
{
    if (!queue) {
        return;
    }
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        virtio_queue_set_size(queue, value);
        break;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        virtio_pci_set_vector(proxy, queue, value);
        break;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        if (value == 1) {
            virtio_queue_enable(queue);
        }
        break;
    case VIRTIO_PCI_COMMON_Q_RESET:
        if (value == 1 && virtio_has_feature(proxy->vdev, VIRTIO_F_RING_RESET)) {
            virtio_queue_reset(queue);
        }
        break;
    default:
        write_queue_address(queue, offset, value);
        break;
    }
}

static void write_driver_features(VirtioPci *proxy, uint32_t value)
{
    if (proxy->driver_feature_select > 1) {
        return;
    }
    proxy->driver_features = with_half(proxy->driver_features, proxy->driver_feature_select, value);
    virtio_set_features(proxy->vdev, proxy->driver_features);
}

static void write_status(VirtioPci *proxy, uint8_t value)
{
    virtio_set_status(proxy->vdev, value);
    if (!value) {
        virtio_pci_reset_registers(proxy);
    }
}

static void common_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *proxy = opaque;
    VirtioDevice *dev = proxy->vdev;

    if (is_gone(proxy)) {
        return;
    }
    dev->legacy = false;
    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        proxy->device_feature_select = value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        proxy->driver_feature_select = value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        write_driver_features(proxy, value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        virtio_pci_set_vector(proxy, NULL, value);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        write_status(proxy, value);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        proxy->queue_select = value;
        break;
    default:
        write_queue_register(proxy, virtio_queue(dev, proxy->queue_select), offset, value);
        break;
    }
}

static const MemoryRegionOps common_ops = {
    .read = common_read,
    .write = common_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

/* ---- The other parts ---- */

static uint64_t isr_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *proxy = opaque;

    return is_gone(proxy) || offset ? 0 : virtio_pci_take_isr(proxy);
}

static void isr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const MemoryRegionOps isr_ops = {
    .read = isr_read,
    .write = isr_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

static uint64_t device_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioPci *proxy = opaque;

    return is_gone(proxy) ? UINT64_MAX : virtio_config_read(proxy->vdev, offset, size);
}

static void device_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *proxy = opaque;

    if (!is_gone(proxy)) {
        virtio_config_write(proxy->vdev, offset, size, value);
    }
}

static const MemoryRegionOps device_ops = {
    .read = device_read,
    .write = device_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

static uint64_t notify_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

/* The place says which queue. */
static void notify_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioPci *proxy = opaque;

    if (!is_gone(proxy)) {
        virtio_queue_kick(proxy->vdev, offset / NOTIFY_MULTIPLIER);
    }
}

static const MemoryRegionOps notify_ops = {
    .read = notify_read,
    .write = notify_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

/* ---- Through configuration space (4.1.4.9) ---- */

/* What the window shows: a part of BAR 4 and the place in it; false: nothing. */
static bool window_target(const VirtioPci *proxy, const MemoryRegionOps **ops, uint32_t *offset,
                          uint32_t *len)
{
    static const MemoryRegionOps *const parts[] = {
        &common_ops, &isr_ops, &device_ops, &notify_ops,
    };
    const uint8_t *cap = proxy->parent_obj.config + proxy->config_cap;
    uint32_t at = ldl_le(cap + VIRTIO_PCI_CAP_OFFSET);

    *len = ldl_le(cap + VIRTIO_PCI_CAP_LENGTH);
    if (cap[VIRTIO_PCI_CAP_BAR] != MODERN_BAR || (*len != 1 && *len != 2 && *len != 4) ||
        at % *len || !range_ok(at, *len, MODERN_BAR_SIZE)) {
        return false;
    }
    *ops = parts[at / PART_SIZE];
    *offset = at % PART_SIZE;
    return true;
}

static bool touches_window(const VirtioPci *proxy, uint32_t addr, unsigned size)
{
    return proxy->config_cap &&
           ranges_overlap(addr, size, proxy->config_cap + CAP_DATA, 4);
}

uint32_t virtio_pci_config_read(PciDevice *pci, uint32_t addr, unsigned size)
{
    VirtioPci *proxy = (VirtioPci *)pci;
    const MemoryRegionOps *ops;
    uint32_t offset, len;

    if (touches_window(proxy, addr, size) && window_target(proxy, &ops, &offset, &len)) {
        stn_le(pci->config + proxy->config_cap + CAP_DATA, len, ops->read(proxy, offset, len));
    }
    return pci_default_config_read(pci, addr, size);
}

void virtio_pci_config_write(PciDevice *pci, uint32_t addr, uint32_t value, unsigned size)
{
    VirtioPci *proxy = (VirtioPci *)pci;
    const MemoryRegionOps *ops;
    uint32_t offset, len;

    pci_default_config_write(pci, addr, value, size);
    if (touches_window(proxy, addr, size) && window_target(proxy, &ops, &offset, &len)) {
        ops->write(proxy, offset, ldn_le(pci->config + proxy->config_cap + CAP_DATA, len), len);
    }
}

/* ---- Making it ---- */

typedef struct Part {
    uint8_t cfg_type;
    uint8_t size;
    uint32_t multiplier;
} Part;

static uint8_t add_cap(VirtioPci *proxy, uint8_t cfg_type, uint8_t size, GError **error)
{
    PciDevice *pci = &proxy->parent_obj;
    uint8_t at = pci_add_capability(pci, PCI_CAP_ID_VNDR, 0, size, error);

    if (at) {
        memset(pci->wmask + at, 0, size);
        pci->config[at + VIRTIO_PCI_CAP_LEN] = size;
        pci->config[at + VIRTIO_PCI_CAP_CFG_TYPE] = cfg_type;
    }
    return at;
}

static bool add_caps(VirtioPci *proxy, GError **error)
{
    static const Part parts[] = {
        { VIRTIO_PCI_CAP_COMMON_CFG, CAP_SIZE, 0 },
        { VIRTIO_PCI_CAP_ISR_CFG, CAP_SIZE, 0 },
        { VIRTIO_PCI_CAP_DEVICE_CFG, CAP_SIZE, 0 },
        { VIRTIO_PCI_CAP_NOTIFY_CFG, LONG_CAP_SIZE, NOTIFY_MULTIPLIER },
    };
    PciDevice *pci = &proxy->parent_obj;
    uint8_t at;

    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        at = add_cap(proxy, parts[i].cfg_type, parts[i].size, error);
        if (!at) {
            return false;
        }
        pci->config[at + VIRTIO_PCI_CAP_BAR] = MODERN_BAR;
        stl_le(pci->config + at + VIRTIO_PCI_CAP_OFFSET, i * PART_SIZE);
        stl_le(pci->config + at + VIRTIO_PCI_CAP_LENGTH, PART_SIZE);
        if (parts[i].multiplier) {
            stl_le(pci->config + at + VIRTIO_PCI_NOTIFY_CAP_MULT, parts[i].multiplier);
        }
    }
    at = add_cap(proxy, VIRTIO_PCI_CAP_PCI_CFG, LONG_CAP_SIZE, error);
    if (!at) {
        return false;
    }
    pci->wmask[at + VIRTIO_PCI_CAP_BAR] = 0xff;
    memset(pci->wmask + at + VIRTIO_PCI_CAP_OFFSET, 0xff, LONG_CAP_SIZE - VIRTIO_PCI_CAP_OFFSET);
    proxy->config_cap = at;
    return true;
}

static MemoryRegion *add_part(VirtioPci *proxy, const MemoryRegionOps *ops, const char *name,
                              unsigned index)
{
    MemoryRegion *region = memory_region_new_io(OBJECT(proxy), ops, proxy, name, PART_SIZE);

    memory_region_add(proxy->modern_bar, (uint64_t)index * PART_SIZE, region);
    return region;
}

bool virtio_pci_add_modern(VirtioPci *proxy, GError **error)
{
    if (!add_caps(proxy, error)) {
        return false;
    }
    proxy->modern_bar = memory_region_new_container(OBJECT(proxy), "virtio-pci", MODERN_BAR_SIZE);
    proxy->common = add_part(proxy, &common_ops, "virtio-pci-common", 0);
    proxy->isr = add_part(proxy, &isr_ops, "virtio-pci-isr", 1);
    proxy->device = add_part(proxy, &device_ops, "virtio-pci-device", 2);
    proxy->notify = add_part(proxy, &notify_ops, "virtio-pci-notify", 3);
    pci_register_bar(&proxy->parent_obj, MODERN_BAR, PCI_BAR_MEM64 | PCI_BAR_PREFETCH,
                     proxy->modern_bar);
    return true;
}
