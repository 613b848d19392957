/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

enum {
    VENDOR = 0x1af4,
    MAX_SIZE = 256,
    ENTRY_BYTES = 16,
    AVAIL_OFFSET = MAX_SIZE * ENTRY_BYTES,
    USED_OFFSET = AVAIL_OFFSET + 1024,
};

#define FEATURE(bit) (1ULL << (bit))

static void find_parts(struct virtio_device *device)
{
    uint8_t at = 0;

    while ((at = pci_capability(&device->pci, PCI_CAP_ID_VNDR, at))) {
        unsigned kind = pci_read(&device->pci, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
        unsigned bar = pci_read(&device->pci, at + VIRTIO_PCI_CAP_BAR, 1);
        uintptr_t base = bar < PCI_BARS ? device->pci.bar[bar] : 0;

        base += pci_read(&device->pci, at + VIRTIO_PCI_CAP_OFFSET, 4);
        if (kind == VIRTIO_PCI_CAP_COMMON_CFG) {
            device->common = base;
        } else if (kind == VIRTIO_PCI_CAP_DEVICE_CFG) {
            device->config = base;
        } else if (kind == VIRTIO_PCI_CAP_NOTIFY_CFG) {
            device->notify = base;
            device->notify_multiplier = pci_read(&device->pci, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
        }
    }
    if (!device->common || !device->notify) {
        fail(device->name, "the device is not a modern one");
    }
}

static uint64_t offered_features(const struct virtio_device *device)
{
    uint64_t features;

    write_mmio(device->common + VIRTIO_PCI_COMMON_DFSELECT, 1);
    features = (uint64_t)read_mmio(device->common + VIRTIO_PCI_COMMON_DF) << 32;
    write_mmio(device->common + VIRTIO_PCI_COMMON_DFSELECT, 0);
    return features | read_mmio(device->common + VIRTIO_PCI_COMMON_DF);
}

static void accept_features(struct virtio_device *device, uint64_t features)
{
    device->features = features;
    write_mmio(device->common + VIRTIO_PCI_COMMON_GFSELECT, 0);
    write_mmio(device->common + VIRTIO_PCI_COMMON_GF, (uint32_t)features);
    write_mmio(device->common + VIRTIO_PCI_COMMON_GFSELECT, 1);
    write_mmio(device->common + VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> 32));
}

static uintptr_t status_register(const struct virtio_device *device)
{
    return device->common + VIRTIO_PCI_COMMON_STATUS;
}

static void add_status(const struct virtio_device *device, uint8_t bits)
{
    write_mmio8(status_register(device), read_mmio8(status_register(device)) | bits);
}

void virtio_close(struct virtio_device *device)
{
    write_mmio8(status_register(device), 0);
    while (read_mmio8(status_register(device))) {
    }
}

void virtio_open(struct virtio_device *device, const char *name, uint16_t id, uint16_t old_id,
                 uint64_t wanted)
{
    *device = (struct virtio_device) { .name = name };
    if (!pci_find(VENDOR, id, old_id, &device->pci)) {
        fail(name, "there is no such device");
    }
    find_parts(device);
    virtio_close(device);
    add_status(device, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    add_status(device, VIRTIO_CONFIG_S_DRIVER);
    wanted |= FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX);
    accept_features(device, offered_features(device) & wanted);
    add_status(device, VIRTIO_CONFIG_S_FEATURES_OK);
    if (!(read_mmio8(status_register(device)) & VIRTIO_CONFIG_S_FEATURES_OK) ||
        !(device->features & FEATURE(VIRTIO_RING_F_EVENT_IDX))) {
        fail(name, "the device does not agree to the features");
    }
    if (!pci_enable_msix(&device->pci)) {
        fail(name, "the device has no MSI-X");
    }
    enable_interrupts();
}

/* Up to where the device wants no kicks, the driver no interrupts: behind the last entries. */
static volatile uint16_t *avail_event(const struct virtqueue *queue)
{
    void *at = &queue->used->ring[queue->size];

    return at;
}

static volatile uint16_t *used_event(const struct virtqueue *queue)
{
    return &queue->avail->ring[queue->size];
}

static void write_address(uintptr_t at, const void *memory)
{
    write_mmio(at, (uint32_t)(uintptr_t)memory);
    write_mmio(at + 4, 0);
}

void virtio_add_queue(struct virtio_device *device, struct virtqueue *queue, uint16_t index,
                      uintptr_t memory, bool by_interrupt)
{
    uintptr_t common = device->common;
    uint16_t size;

    write_mmio16(common + VIRTIO_PCI_COMMON_Q_SELECT, index);
    size = read_mmio16(common + VIRTIO_PCI_COMMON_Q_SIZE);
    if (!size) {
        fail(device->name, "the device lacks a queue");
    }
    size = size < MAX_SIZE ? size : MAX_SIZE;
    *queue = (struct virtqueue) {
        .size = size, .index = index, .by_interrupt = by_interrupt,
        .desc = (void *)memory, .avail = (void *)(memory + AVAIL_OFFSET),
        .used = (void *)(memory + USED_OFFSET),
        .doorbell = device->notify + (uintptr_t)device->notify_multiplier *
                                         read_mmio16(common + VIRTIO_PCI_COMMON_Q_NOFF),
    };
    queue->avail->flags = queue->avail->idx = 0;
    queue->used->flags = queue->used->idx = 0;
    *used_event(queue) = UINT16_MAX;
    *avail_event(queue) = 0;
    write_mmio16(common + VIRTIO_PCI_COMMON_Q_SIZE, size);
    write_mmio16(common + VIRTIO_PCI_COMMON_Q_MSIX, 0);
    write_address(common + VIRTIO_PCI_COMMON_Q_DESCLO, queue->desc);
    write_address(common + VIRTIO_PCI_COMMON_Q_AVAILLO, queue->avail);
    write_address(common + VIRTIO_PCI_COMMON_Q_USEDLO, queue->used);
    write_mmio16(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
}

void virtio_go(struct virtio_device *device)
{
    add_status(device, VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtqueue_offer(struct virtqueue *queue, uint16_t head)
{
    queue->avail->ring[queue->next_avail++ & (queue->size - 1)] = head;
}

void virtqueue_kick(struct virtqueue *queue)
{
    if (queue->kicked == queue->next_avail) {
        return;
    }
    __atomic_store_n(&queue->avail->idx, queue->next_avail, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (vring_need_event(*avail_event(queue), queue->next_avail, queue->kicked)) {
        write_mmio16(queue->doorbell, queue->index);
    }
    queue->kicked = queue->next_avail;
}

static bool is_used(const struct virtqueue *queue)
{
    return __atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) != queue->last_used;
}

void virtqueue_wait(struct virtqueue *queue)
{
    uint32_t interrupts;

    if (!queue->by_interrupt) {
        *used_event(queue) = (uint16_t)(queue->last_used - 1); /* the one that comes last of all */
        while (!is_used(queue)) {
            pause();
        }
        return;
    }
    while (!is_used(queue)) {
        interrupts = device_interrupts;
        *used_event(queue) = queue->last_used;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (is_used(queue)) {
            return;
        }
        /* What is used from now on interrupts: with a device that forgets it the guest hangs. */
        while (device_interrupts == interrupts) {
            pause();
        }
    }
}

bool virtqueue_take(struct virtqueue *queue, uint32_t *head, uint32_t *len)
{
    const struct vring_used_elem *elem = &queue->used->ring[queue->last_used & (queue->size - 1)];

    if (!is_used(queue)) {
        return false;
    }
    *head = elem->id;
    *len = elem->len;
    queue->last_used++;
    return true;
}
