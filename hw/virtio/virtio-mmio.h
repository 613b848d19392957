/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO (VIRTIO 1.2, section 4.2): one register window and one interrupt per device. A
 * window with no device says so (DeviceID 0) and drivers pass by.
 *
 * Boards make windows; each has a bus with one place, which a NAME-device takes. A model's type
 * comes from VIRTIO_MMIO_TYPE().
 */
#ifndef VIREO_HW_VIRTIO_VIRTIO_MMIO_H
#define VIREO_HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/core/device.h"
#include "hw/virtio/virtio.h"
#include "memory/memory.h"

#define TYPE_VIRTIO_MMIO "virtio-mmio"
#define TYPE_VIRTIO_MMIO_BUS "virtio-mmio-bus"
#define TYPE_VIRTIO_MMIO_DEVICE "virtio-mmio-device"
#define VIRTIO_MMIO_SIZE 0x200

/* One window with its bus, mapped at address. */
Device *virtio_mmio_new(MemoryRegion *memory, uint64_t address, Irq irq, unsigned index,
                        GError **error);

/* The leaf type's TypeInfo.ops. */
typedef struct VirtioMmioOps {
    const VirtioDeviceOps *device;
    size_t offset; /* of the VirtioDevice in the object */
} VirtioMmioOps;

typedef struct VirtioMmioDevice {
    Device parent_obj;
    VirtioDevice *vdev;
    uint8_t *saved; /* its state, as bytes */
    uint32_t saved_len;
} VirtioMmioDevice;

/* As VIRTIO_PCI_TYPES(). */
#define VIRTIO_MMIO_TYPE(prefix, text, Model, PROPERTIES, model_ops, device_category, summary)     \
    typedef struct Model##Mmio {                                                                   \
        VirtioMmioDevice parent_obj;                                                               \
        Model model;                                                                               \
    } Model##Mmio;                                                                                 \
    static const VirtioMmioOps prefix##_mmio_ops = {                                               \
        .device = &(model_ops), .offset = offsetof(Model##Mmio, model),                            \
    };                                                                                             \
    static const Property prefix##_mmio_properties[] = {                                           \
        PROPERTIES(Model##Mmio, model), PROP_END                                                   \
    };                                                                                             \
    static const DeviceHooks prefix##_mmio_hooks = { .category = (device_category) };              \
    static const TypeInfo prefix##_mmio_type = {                                                   \
        .name = text "-device", .parent = TYPE_VIRTIO_MMIO_DEVICE, .description = summary,         \
        .instance_size = sizeof(Model##Mmio), .user_creatable = true,                              \
        .properties = prefix##_mmio_properties, .hooks = &prefix##_mmio_hooks,                     \
        .ops = &prefix##_mmio_ops,                                                                 \
    };                                                                                             \
    QOM_TYPE(prefix##_mmio_type)

#endif
