/* SPDX-License-Identifier: Apache-2.0 */
/* The ISA bus core. */
#include "hw/isa/isa.h"

#include "hw/core/device-internal.h"
#include "util/error.h"

typedef struct IsaPortRange {
    uint32_t first, count;
    IsaDevice *owner;
} IsaPortRange;

struct IsaBus {
    Bus parent_obj;
    MemoryRegion *memory, *io;
    Irq irqs[ISA_IRQS];
    GArray *ports; /* IsaPortRange */
    const IsaDmaOps *dma_ops;
    void *dma[2];
};

#define TYPE_ISA_BRIDGE "isabus-bridge"

IsaBus *isa_bus_new(Device *owner, MemoryRegion *memory, MemoryRegion *io)
{
    IsaBus *bus;

    if (!owner) {
        owner = device_create(TYPE_ISA_BRIDGE, NULL, NULL);
        g_assert(owner); /* it has nothing that could fail */
    }
    bus = (IsaBus *)bus_new(TYPE_ISA_BUS, owner, "isa.0");

    bus->memory = memory;
    bus->io = io;
    return bus;
}

void isa_bus_connect_irqs(IsaBus *bus, const Irq irqs[ISA_IRQS])
{
    memcpy(bus->irqs, irqs, sizeof(bus->irqs));
}

IsaBus *isa_device_bus(IsaDevice *dev)
{
    return (IsaBus *)dev->parent_obj.bus;
}

IsaBus *isa_bus(void)
{
    return (IsaBus *)bus_find_by_type(TYPE_ISA_BUS);
}

Irq isa_irq(IsaDevice *dev, unsigned n)
{
    return n < ISA_IRQS ? isa_device_bus(dev)->irqs[n] : (Irq){ 0 };
}

MemoryRegion *isa_memory(IsaBus *bus)
{
    return bus->memory;
}

MemoryRegion *isa_io(IsaBus *bus)
{
    return bus->io;
}

void isa_bus_connect_dma(IsaBus *bus, const IsaDmaOps *ops, void *dma8, void *dma16)
{
    bus->dma_ops = ops;
    bus->dma[0] = dma8;
    bus->dma[1] = dma16;
}

const IsaDmaOps *isa_bus_dma(IsaBus *bus, int channel, void **dma)
{
    *dma = bus->dma[channel >= 4];
    return bus->dma_ops;
}

static const IsaPortRange *find_overlap(IsaBus *bus, uint32_t first, uint32_t count)
{
    for (unsigned i = 0; i < bus->ports->len; i++) {
        const IsaPortRange *range = &g_array_index(bus->ports, IsaPortRange, i);

        if (ranges_overlap(first, count, range->first, range->count)) {
            return range;
        }
    }
    return NULL;
}

bool isa_map_ports(IsaDevice *dev, MemoryRegion *region, uint16_t port, GError **error)
{
    IsaBus *bus = isa_device_bus(dev);
    IsaPortRange range = { port, memory_region_size(region), dev };
    const IsaPortRange *other;

    if (!range_ok(port, range.count, 0x10000)) {
        error_setf(error, "%s: I/O ports 0x%x..0x%x do not fit below 0x10000",
                   object_type_name(dev), port, port + range.count - 1);
        return false;
    }
    other = find_overlap(bus, range.first, range.count);
    if (other) {
        error_setf(error, "%s: I/O port 0x%x is taken by %s (ports 0x%x..0x%x)",
                   object_type_name(dev), port, object_type_name(other->owner), other->first,
                   other->first + other->count - 1);
        return false;
    }
    g_array_append_val(bus->ports, range);
    g_ptr_array_add(dev->port_regions, region);
    memory_region_add(bus->io, port, region);
    return true;
}

static void isa_device_unrealize(Device *device)
{
    IsaDevice *dev = (IsaDevice *)device;
    IsaBus *bus = isa_device_bus(dev);

    for (unsigned i = 0; i < dev->port_regions->len; i++) {
        memory_region_remove(bus->io, g_ptr_array_index(dev->port_regions, i));
    }
    g_ptr_array_set_size(dev->port_regions, 0);
    for (unsigned i = bus->ports->len; i-- > 0;) {
        if (g_array_index(bus->ports, IsaPortRange, i).owner == dev) {
            g_array_remove_index(bus->ports, i);
        }
    }
}

static void isa_device_init(Object *obj)
{
    ((IsaDevice *)obj)->port_regions = g_ptr_array_new();
}

static void isa_device_finalize(Object *obj)
{
    g_ptr_array_unref(((IsaDevice *)obj)->port_regions);
}

static void isa_bus_init(Object *obj)
{
    ((IsaBus *)obj)->ports = g_array_new(FALSE, FALSE, sizeof(IsaPortRange));
}

static void isa_bus_finalize(Object *obj)
{
    g_array_unref(((IsaBus *)obj)->ports);
}

static const DeviceHooks isa_device_hooks = {
    .unrealize = isa_device_unrealize,
    .bus_type = TYPE_ISA_BUS,
};

static const TypeInfo isa_device_info = {
    .name = TYPE_ISA_DEVICE,
    .parent = TYPE_DEVICE,
    .description = "any ISA device",
    .instance_size = sizeof(IsaDevice),
    .is_abstract = true,
    .instance_init = isa_device_init,
    .instance_finalize = isa_device_finalize,
    .hooks = &isa_device_hooks,
};
QOM_TYPE(isa_device_info);

static const BusOps isa_bus_ops = { 0 };

static const TypeInfo isa_bus_info = {
    .name = TYPE_ISA_BUS,
    .parent = TYPE_BUS,
    .description = "ISA bus",
    .instance_size = sizeof(IsaBus),
    .instance_init = isa_bus_init,
    .instance_finalize = isa_bus_finalize,
    .ops = &isa_bus_ops,
};
QOM_TYPE(isa_bus_info);

static const DeviceHooks isa_bridge_hooks = {
    .category = DEVICE_CATEGORY_BRIDGE,
    .no_user = true,
};

static const TypeInfo isa_bridge_info = {
    .name = TYPE_ISA_BRIDGE,
    .parent = TYPE_SYS_DEVICE,
    .description = "ISA bus of a machine without PCI",
    .instance_size = sizeof(Device),
    .hooks = &isa_bridge_hooks,
};
QOM_TYPE(isa_bridge_info);
