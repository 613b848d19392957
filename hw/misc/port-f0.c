/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's latch for x87 errors, for systems that leave CR0.NE clear (SDM vol. 1, appendix D): the
 * processor's FERR#, the IRQ input "ferr", raises IRQ 13; a write to port 0xf0, of whatever value,
 * lowers it and asserts IGNNE#, the IRQ output "ignne", so that the handler can use the unit. The
 * processor takes that back itself once no error waits.
 */
#include "hw/isa/isa.h"
#include "util/error.h"

#define PORT 0xf0
#define X87_IRQ 13

typedef struct PortF0 {
    IsaDevice parent_obj;
    MemoryRegion *region;
    Irq irq, ignne;
    bool latched;
} PortF0;

static void set_latch(PortF0 *port, bool on)
{
    port->latched = on;
    irq_set(port->irq, on);
}

static void on_ferr(void *opaque, int n, bool level)
{
    if (level) {
        set_latch(opaque, true);
    }
}

static uint64_t port_f0_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0xff;
}

static void port_f0_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PortF0 *port = opaque;

    if (port->latched) {
        irq_raise(port->ignne);
    }
    set_latch(port, false);
}

static const MemoryRegionOps port_f0_ops = {
    .read = port_f0_read,
    .write = port_f0_write,
    .impl = { .min = 1, .max = 1 },
};

static void port_f0_reset(Device *dev)
{
    set_latch((PortF0 *)dev, false);
}

static void port_f0_init(Object *obj)
{
    Device *dev = (Device *)obj;
    PortF0 *port = (PortF0 *)obj;

    device_init_irq_in(dev, "ferr", on_ferr, 1);
    device_init_irq_out(dev, "ignne", &port->ignne, 1);
}

static bool port_f0_realize(Device *dev, GError **error)
{
    PortF0 *port = (PortF0 *)dev;

    port->irq = isa_irq(&port->parent_obj, X87_IRQ);
    port->region = memory_region_new_io(OBJECT(dev), &port_f0_ops, port, "ioportF0", 1);
    return isa_map_ports(&port->parent_obj, port->region, PORT, error);
}

static void port_f0_finalize(Object *obj)
{
    g_clear_pointer(&((PortF0 *)obj)->region, memory_region_free);
}

static const VmState port_f0_vmstate = {
    .name = "port-f0",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_BOOL(PortF0, latched),
        VMSTATE_END
    },
};

static const DeviceHooks port_f0_hooks = {
    .realize = port_f0_realize,
    .reset = port_f0_reset,
    .vmstate = &port_f0_vmstate,
    .category = DEVICE_CATEGORY_MISC,
    .no_user = true,
};

static const TypeInfo port_f0_type = {
    .name = "port-f0",
    .parent = TYPE_ISA_DEVICE,
    .description = "IRQ 13 for x87 errors",
    .instance_size = sizeof(PortF0),
    .instance_init = port_f0_init,
    .instance_finalize = port_f0_finalize,
    .hooks = &port_f0_hooks,
};
QOM_TYPE(port_f0_type);
