/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for virtio-pci devices (VIRTIO 1.2): modern interface, split rings with event indices,
 * all interrupts by MSI-X vector 0.
 */
#ifndef VIREO_TESTS_BENCH_GUEST_VIRTIO_H
#define VIREO_TESTS_BENCH_GUEST_VIRTIO_H

#include <linux/virtio_ring.h>

#include "guest.h"
#include "pci.h"

struct virtio_device {
    const char *name;
    struct pci_device pci;
    uintptr_t common, notify, config;
    uint32_t notify_multiplier;
    uint64_t features;
};

struct virtqueue {
    uint16_t size, index;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    uintptr_t doorbell;
    uint16_t next_avail, kicked, last_used;
    bool by_interrupt;
};

/* Find it and agree on features: VERSION_1, EVENT_IDX and wanted ones that it offers. */
void virtio_open(struct virtio_device *device, const char *name, uint16_t id, uint16_t old_id,
                 uint64_t wanted);
/* At most 256 entries, with room for the ring at memory. */
void virtio_add_queue(struct virtio_device *device, struct virtqueue *queue, uint16_t index,
                      uintptr_t memory, bool by_interrupt);
void virtio_go(struct virtio_device *device);
/* After use: a reset. */
void virtio_close(struct virtio_device *device);

/* Make the chain beginning at head available with the next virtqueue_kick(). */
void virtqueue_offer(struct virtqueue *queue, uint16_t head);
void virtqueue_kick(struct virtqueue *queue);
/* Wait until something was used. */
void virtqueue_wait(struct virtqueue *queue);
/* Take what was used; false: nothing is left. */
bool virtqueue_take(struct virtqueue *queue, uint32_t *head, uint32_t *len);

#endif
