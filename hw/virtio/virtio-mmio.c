/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO (virtio 1.2, section 4.2.2). An empty window answers MagicValue, Version and a
 * DeviceID of 0; all else reads as zero and ignores writes, as 4.2.3.1.1 has drivers expect of a
 * placeholder.
 */
#include "hw/virtio/virtio-mmio.h"

#define MAGIC_VALUE 0x000
#define VERSION 0x004
#define MAGIC 0x74726976 /* "virt" */
#define VERSION_MODERN 2

typedef struct VirtioMmio {
    Device parent_obj;
    MemoryRegion *region;
    Irq irq;
} VirtioMmio;

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    switch (offset) {
    case MAGIC_VALUE:
        return MAGIC;
    case VERSION:
        return VERSION_MODERN;
    default:
        return 0;
    }
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const MemoryRegionOps mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 4, .max = 4 },
};

static bool mmio_realize(Device *device, GError **error)
{
    VirtioMmio *mmio = (VirtioMmio *)device;

    mmio->region = memory_region_new_io(OBJECT(mmio), &mmio_ops, mmio, "virtio-mmio",
                                        VIRTIO_MMIO_SIZE);
    return true;
}

static void mmio_finalize(Object *obj)
{
    g_clear_pointer(&((VirtioMmio *)obj)->region, memory_region_free);
}

static const DeviceHooks mmio_hooks = {
    .realize = mmio_realize,
    .no_user = true,
};

static const TypeInfo mmio_info = {
    .name = TYPE_VIRTIO_MMIO,
    .parent = TYPE_SYS_DEVICE,
    .description = "virtio MMIO window",
    .instance_size = sizeof(VirtioMmio),
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
