/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO (virtio 1.2, section 4.2): one register window and one interrupt per device. A
 * window with no device says so (DeviceID 0) and drivers pass by.
 */
#ifndef VIREO_HW_VIRTIO_VIRTIO_MMIO_H
#define VIREO_HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/core/device.h"
#include "memory/memory.h"

#define TYPE_VIRTIO_MMIO "virtio-mmio"
#define TYPE_VIRTIO_MMIO_BUS "virtio-mmio-bus"
#define VIRTIO_MMIO_SIZE 0x200

/* One window with its bus, mapped at address. */
Device *virtio_mmio_new(MemoryRegion *memory, uint64_t address, Irq irq, unsigned index,
                        GError **error);

#endif
