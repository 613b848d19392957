/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System control port A of the PS/2, port 0x92: bit 0 (a rise resets the machine) and bit 1 (A20
 * gate); the others are stored. The A20 level goes out on the IRQ group "a20".
 */
#include "accel/vm-events.h"
#include "hw/isa/isa.h"
#include "util/error.h"

#define PORT 0x92
enum { PORT92_RESET = 0x01, PORT92_A20 = 0x02 };

typedef struct Port92 {
    IsaDevice parent_obj;
    MemoryRegion *region;
    Irq a20;
    uint8_t value;
} Port92;

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((Port92 *)opaque)->value;
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Port92 *port = opaque;
    uint8_t rising = value & ~port->value;

    port->value = value;
    irq_set(port->a20, value & PORT92_A20);
    if (rising & PORT92_RESET) {
        vm_request_reset(VM_CAUSE_GUEST_RESET);
    }
}

static const MemoryRegionOps port92_ops = {
    .read = port92_read,
    .write = port92_write,
    .impl = { .min = 1, .max = 1 },
};

static void port92_reset(Device *dev)
{
    ((Port92 *)dev)->value &= ~PORT92_RESET;
}

static void port92_init(Object *obj)
{
    device_init_irq_out((Device *)obj, "a20", &((Port92 *)obj)->a20, 1);
}

static bool port92_realize(Device *dev, GError **error)
{
    Port92 *port = (Port92 *)dev;

    port->region = memory_region_new_io(OBJECT(dev), &port92_ops, port, "port92", 1);
    return isa_map_ports(&port->parent_obj, port->region, PORT, error);
}

static void port92_finalize(Object *obj)
{
    g_clear_pointer(&((Port92 *)obj)->region, memory_region_free);
}

static const VmState port92_vmstate = {
    .name = "port92",
    .version = 1,
    .minimum_version = 1,
    .fields = (const VmStateField[]) {
        VMSTATE_U8(Port92, value),
        VMSTATE_END
    },
};

static const DeviceHooks port92_hooks = {
    .realize = port92_realize,
    .reset = port92_reset,
    .vmstate = &port92_vmstate,
    .category = DEVICE_CATEGORY_MISC,
    .no_user = true,
};

static const TypeInfo port92_type = {
    .name = "port92",
    .parent = TYPE_ISA_DEVICE,
    .description = "system control port A: A20 gate and fast reset",
    .instance_size = sizeof(Port92),
    .instance_init = port92_init,
    .instance_finalize = port92_finalize,
    .hooks = &port92_hooks,
};
QOM_TYPE(port92_type);
