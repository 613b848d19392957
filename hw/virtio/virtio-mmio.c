/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO (VIRTIO 1.2, section 4.2.2; with force-legacy the registers of 4.2.4). An empty
 * window answers MagicValue, Version and a DeviceID of 0; all else reads as zero and ignores
 * writes, as 4.2.3.1.1 has drivers expect of a placeholder.
 */
#include "hw/virtio/virtio-mmio.h"

#include <linux/virtio_mmio.h>

#include "util/bits.h"
#include "util/log.h"

#define MAGIC 0x74726976  /* "virt" */
#define VENDOR 0x554d4551 /* what drivers have seen in this place for long */
#define VERSION_LEGACY 1
#define VERSION_MODERN 2
#define QUEUE_RESET 0x0c0
#define SAVED_MAX (4 * MiB)
#define NO_SHARED_MEMORY 0xffffffffu

typedef struct VirtioMmio {
    Device parent_obj;
    MemoryRegion *region;
    Irq irq;
    VirtioMmioDevice *occupant;
    bool force_legacy;
    bool use_ioeventfd;
    uint32_t device_feature_select, driver_feature_select, queue_select;
    uint64_t driver_features;
    uint32_t page_size, queue_align; /* legacy */
} VirtioMmio;

/* ---- What the core asks for ---- */

static VirtioMmio *window_of(const VirtioDevice *dev)
{
    return (VirtioMmio *)dev->owner->bus->owner;
}

static void mmio_interrupt(VirtioDevice *dev, uint16_t vector, uint8_t isr)
{
    __atomic_fetch_or(&dev->isr, isr, __ATOMIC_RELAXED);
    irq_raise(window_of(dev)->irq);
}

static void mmio_clear_interrupt(VirtioDevice *dev)
{
    irq_lower(window_of(dev)->irq);
}

static void mmio_queue_running(VirtioDevice *dev, VirtioQueue *queue, bool running)
{
    VirtioMmio *window = window_of(dev);

    if (!window->use_ioeventfd) {
        return;
    }
    if (running) {
        memory_region_add_eventfd(window->region, VIRTIO_MMIO_QUEUE_NOTIFY, 4, true, queue->index,
                                  &queue->kick);
    } else {
        memory_region_del_eventfd(window->region, VIRTIO_MMIO_QUEUE_NOTIFY, 4, true, queue->index,
                                  &queue->kick);
    }
}

static const VirtioTransportOps transport_ops = {
    .interrupt = mmio_interrupt,
    .clear_interrupt = mmio_clear_interrupt,
    .queue_running = mmio_queue_running,
};

/* ---- Registers ---- */

static VirtioQueue *selected_queue(const VirtioMmio *window, VirtioDevice *dev)
{
    return virtio_queue(dev, window->queue_select);
}

static uint64_t read_features(const VirtioMmio *window, const VirtioDevice *dev)
{
    if (window->force_legacy) {
        return window->device_feature_select ? 0 : (uint32_t)dev->host_features;
    }
    return window->device_feature_select > 1
               ? 0
               : (uint32_t)(virtio_modern_features(dev) >> 32 * window->device_feature_select);
}

static uint64_t read_queue(const VirtioMmio *window, const VirtioQueue *queue, uint64_t offset)
{
    if (!queue) {
        return 0;
    }
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return queue->max_size;
    case VIRTIO_MMIO_QUEUE_READY:
        return !window->force_legacy && queue->enabled;
    case VIRTIO_MMIO_QUEUE_PFN:
        return window->force_legacy && window->page_size ? queue->vq.desc / window->page_size : 0;
    case QUEUE_RESET:
        return !queue->enabled && __atomic_load_n(&queue->vq.outstanding, __ATOMIC_ACQUIRE);
    default:
        return 0;
    }
}

static uint64_t read_register(VirtioMmio *window, VirtioDevice *dev, uint64_t offset)
{
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_ID:
        return dev->ops->id;
    case VIRTIO_MMIO_VENDOR_ID:
        return VENDOR;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return read_features(window, dev);
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return __atomic_load_n(&dev->isr, __ATOMIC_RELAXED);
    case VIRTIO_MMIO_STATUS:
        return virtio_visible_status(dev);
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return window->force_legacy ? 0 : dev->config_generation;
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
        return NO_SHARED_MEMORY;
    default:
        return read_queue(window, selected_queue(window, dev), offset);
    }
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    VirtioMmio *window = opaque;

    if (offset == VIRTIO_MMIO_MAGIC_VALUE) {
        return MAGIC;
    }
    if (offset == VIRTIO_MMIO_VERSION) {
        return window->force_legacy ? VERSION_LEGACY : VERSION_MODERN;
    }
    if (!window->occupant) {
        return 0;
    }
    if (offset >= VIRTIO_MMIO_CONFIG) {
        return virtio_config_read(window->occupant->vdev, offset - VIRTIO_MMIO_CONFIG, size);
    }
    return size == 4 ? read_register(window, window->occupant->vdev, offset) : 0;
}

static void set_low(uint64_t *field, uint32_t value)
{
    *field = deposit64(*field, 0, 32, value);
}

static void set_high(uint64_t *field, uint32_t value)
{
    *field = deposit64(*field, 32, 32, value);
}

static void write_queue_address(VirtioQueue *queue, uint64_t offset, uint32_t value)
{
    if (queue->enabled) {
        log_guest_error("%s: queue %u is ready: its addresses stay", queue->dev->ops->name,
                        queue->index);
        return;
    }
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
        set_low(&queue->vq.desc, value);
        break;
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
        set_high(&queue->vq.desc, value);
        break;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
        set_low(&queue->vq.driver, value);
        break;
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
        set_high(&queue->vq.driver, value);
        break;
    case VIRTIO_MMIO_QUEUE_USED_LOW:
        set_low(&queue->vq.device, value);
        break;
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        set_high(&queue->vq.device, value);
        break;
    default:
        break;
    }
}

static void write_queue(VirtioQueue *queue, uint64_t offset, uint32_t value)
{
    if (!queue) {
        return;
    }
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_READY:
        if (value == 1) {
            virtio_queue_enable(queue);
        } else if (!value && queue->enabled) {
            virtio_queue_reset(queue);
        }
        break;
    case QUEUE_RESET:
        if (value == 1 && virtio_has_feature(queue->dev, VIRTIO_F_RING_RESET)) {
            virtio_queue_reset(queue);
        }
        break;
    default:
        write_queue_address(queue, offset, value);
        break;
    }
}

/* Registers that only version 1 has. */
static bool write_legacy(VirtioMmio *window, VirtioQueue *queue, uint64_t offset, uint32_t value)
{
    bool power_of_two = value && (value & (value - 1)) == 0;

    switch (offset) {
    case VIRTIO_MMIO_GUEST_PAGE_SIZE:
        window->page_size = power_of_two ? value : 0;
        return true;
    case VIRTIO_MMIO_QUEUE_ALIGN:
        window->queue_align = power_of_two ? value : 0;
        return true;
    case VIRTIO_MMIO_QUEUE_PFN:
        if (queue && (!value || (window->page_size && window->queue_align))) {
            virtio_queue_set_legacy_page(queue, (uint64_t)value * window->page_size,
                                         MAX(window->queue_align, 1));
        }
        return true;
    default:
        return false;
    }
}

static void reset_registers(VirtioMmio *window)
{
    window->device_feature_select = window->driver_feature_select = window->queue_select = 0;
    window->driver_features = 0;
    window->page_size = window->queue_align = 0;
}

static void write_status(VirtioMmio *window, VirtioDevice *dev, uint8_t value)
{
    virtio_set_status(dev, value);
    if (!value) {
        reset_registers(window);
    }
}

static void write_driver_features(VirtioMmio *window, VirtioDevice *dev, uint32_t value)
{
    unsigned select = window->driver_feature_select;

    if (select > (window->force_legacy ? 0 : 1)) {
        return;
    }
    window->driver_features = deposit64(window->driver_features, 32 * select, 32, value);
    virtio_set_features(dev, window->driver_features);
}

static void acknowledge(VirtioDevice *dev, uint8_t bits)
{
    if (!__atomic_and_fetch(&dev->isr, (uint8_t)~bits, __ATOMIC_RELAXED)) {
        mmio_clear_interrupt(dev);
    }
}

static void write_register(VirtioMmio *window, VirtioDevice *dev, uint64_t offset, uint32_t value)
{
    VirtioQueue *queue = selected_queue(window, dev);

    dev->legacy = window->force_legacy;
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        window->device_feature_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        window->driver_feature_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        write_driver_features(window, dev, value);
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        window->queue_select = value;
        break;
    case VIRTIO_MMIO_QUEUE_NUM:
        if (queue) {
            virtio_queue_set_size(queue, MIN(value, UINT16_MAX));
        }
        break;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        virtio_queue_kick(dev, value);
        break;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        acknowledge(dev, value);
        break;
    case VIRTIO_MMIO_STATUS:
        write_status(window, dev, value);
        break;
    default:
        if (!window->force_legacy) {
            write_queue(queue, offset, value);
        } else {
            write_legacy(window, queue, offset, value);
        }
        break;
    }
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    VirtioMmio *window = opaque;

    if (!window->occupant) {
        return;
    }
    if (offset >= VIRTIO_MMIO_CONFIG) {
        virtio_config_write(window->occupant->vdev, offset - VIRTIO_MMIO_CONFIG, size, value);
    } else if (size == 4) {
        write_register(window, window->occupant->vdev, offset, value);
    }
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .valid = { .min = 1, .max = 8 },
    .impl = { .min = 1, .max = 4 },
};

/* ---- The window ---- */

static bool mmio_realize(Device *device, GError **error)
{
    VirtioMmio *mmio = (VirtioMmio *)device;

    mmio->region = memory_region_new_io(OBJECT(mmio), &mmio_ops, mmio, "virtio-mmio",
                                        VIRTIO_MMIO_SIZE);
    return true;
}

static void mmio_reset(Device *device)
{
    reset_registers((VirtioMmio *)device);
}

static void mmio_finalize(Object *obj)
{
    g_clear_pointer(&((VirtioMmio *)obj)->region, memory_region_free);
}

static const VmState window_vmstate = {
    .name = "virtio-mmio",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(VirtioMmio, device_feature_select),
        VMSTATE_U32(VirtioMmio, driver_feature_select),
        VMSTATE_U32(VirtioMmio, queue_select),
        VMSTATE_U64(VirtioMmio, driver_features),
        VMSTATE_U32(VirtioMmio, page_size),
        VMSTATE_U32(VirtioMmio, queue_align),
        VMSTATE_END
    },
};

static const Property mmio_properties[] = {
    PROP_BOOL("force-legacy", VirtioMmio, force_legacy, false,
              "the registers of drivers before VIRTIO 1.0"),
    PROP_BOOL("ioeventfd", VirtioMmio, use_ioeventfd, true,
              "let kicks come as events, without stopping the CPU"),
    PROP_END
};

static const DeviceHooks mmio_hooks = {
    .realize = mmio_realize,
    .reset = mmio_reset,
    .vmstate = &window_vmstate,
    .no_user = true,
};

static const TypeInfo mmio_info = {
    .name = TYPE_VIRTIO_MMIO,
    .parent = TYPE_SYS_DEVICE,
    .description = "virtio MMIO window",
    .instance_size = sizeof(VirtioMmio),
    .properties = mmio_properties,
    .instance_finalize = mmio_finalize,
    .hooks = &mmio_hooks,
};
QOM_TYPE(mmio_info);

static const TypeInfo mmio_bus_info = {
    .name = TYPE_VIRTIO_MMIO_BUS,
    .parent = TYPE_BUS,
    .description = "virtio bus of an MMIO window",
    .instance_size = sizeof(Bus),
};
QOM_TYPE(mmio_bus_info);

Device *virtio_mmio_new(MemoryRegion *memory, uint64_t address, Irq irq, unsigned index,
                        GError **error)
{
    VirtioMmio *mmio = (VirtioMmio *)device_create(TYPE_VIRTIO_MMIO, NULL, error);
    g_autofree char *name = g_strdup_printf("virtio-mmio-bus.%u", index);
    Bus *bus;

    if (!mmio) {
        return NULL;
    }
    mmio->irq = irq;
    bus = bus_new(TYPE_VIRTIO_MMIO_BUS, (Device *)mmio, name);
    bus->max_devices = 1;
    memory_region_add(memory, address, mmio->region);
    return (Device *)mmio;
}

/* ---- What stands in it ---- */

static bool device_realize(Device *device, GError **error)
{
    VirtioMmioDevice *occupant = (VirtioMmioDevice *)device;
    const VirtioMmioOps *ops = object_ops(occupant);
    VirtioMmio *window = (VirtioMmio *)device->bus->owner;
    VirtioDevice *vdev = (VirtioDevice *)(void *)((char *)occupant + ops->offset);

    vdev->use_ioeventfd = window->use_ioeventfd;
    if (!virtio_device_realize(vdev, ops->device, &transport_ops, device, !window->force_legacy,
                               error)) {
        return false;
    }
    occupant->vdev = vdev;
    window->occupant = occupant;
    virtio_reset(vdev);
    return true;
}

static void device_unrealize(Device *device)
{
    VirtioMmioDevice *occupant = (VirtioMmioDevice *)device;

    ((VirtioMmio *)device->bus->owner)->occupant = NULL;
    virtio_device_unrealize(occupant->vdev);
}

static void device_reset(Device *device)
{
    virtio_reset(((VirtioMmioDevice *)device)->vdev);
}

static void device_finalize(Object *obj)
{
    g_free(((VirtioMmioDevice *)obj)->saved);
}

static void device_pre_save(void *opaque)
{
    VirtioMmioDevice *occupant = opaque;
    g_autoptr(GByteArray) out = g_byte_array_new();

    vmstate_save(&virtio_vmstate, occupant->vdev, out);
    g_free(occupant->saved);
    occupant->saved_len = out->len;
    occupant->saved = g_byte_array_free(g_steal_pointer(&out), FALSE);
}

static bool device_pre_load(void *opaque, GError **error)
{
    g_clear_pointer(&((VirtioMmioDevice *)opaque)->saved, g_free);
    return true;
}

static bool device_post_load(void *opaque, int version, GError **error)
{
    VirtioMmioDevice *occupant = opaque;
    size_t used;

    if (!vmstate_load(&virtio_vmstate, occupant->vdev, virtio_vmstate.version, occupant->saved,
                      occupant->saved_len, &used, error)) {
        return false;
    }
    irq_set(window_of(occupant->vdev)->irq, occupant->vdev->isr != 0);
    return true;
}

static const VmState device_vmstate_table = {
    .name = "virtio-mmio-device",
    .version = 2,
    .minimum_version = 2,
    .pre_save = device_pre_save,
    .pre_load = device_pre_load,
    .post_load = device_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U32(VirtioMmioDevice, saved_len),
        VMSTATE_VBUFFER(VirtioMmioDevice, saved, saved_len, SAVED_MAX),
        VMSTATE_END
    },
};

static const DeviceHooks device_hooks = {
    .realize = device_realize,
    .unrealize = device_unrealize,
    .reset = device_reset,
    .vmstate = &device_vmstate_table,
    .bus_type = TYPE_VIRTIO_MMIO_BUS,
};

static const TypeInfo device_info = {
    .name = TYPE_VIRTIO_MMIO_DEVICE,
    .parent = TYPE_DEVICE,
    .description = "any virtio device in an MMIO window",
    .instance_size = sizeof(VirtioMmioDevice),
    .is_abstract = true,
    .instance_finalize = device_finalize,
    .hooks = &device_hooks,
};
QOM_TYPE(device_info);
