/* SPDX-License-Identifier: Apache-2.0 */
/* The empty machine: no CPU, no devices; managers use it to ask what this program can do. */
#include "hw/core/machine.h"

static bool none_init(Machine *machine, GError **error)
{
    if (machine->ram) {
        memory_region_add(memory_system(), 0, machine->ram);
    }
    return true;
}

static const MachineOps none_ops = {
    .max_cpus = 1,
    .default_ram_id = "ram",
    .no_serial = true,
    .no_parallel = true,
    .no_floppy = true,
    .no_cdrom = true,
    .no_firmware_default = true,
    .default_irqchip = ACCEL_IRQCHIP_OFF,
    .init = none_init,
};

static const TypeInfo none_info = {
    .name = "none-machine",
    .parent = TYPE_MACHINE,
    .description = "empty machine",
    .instance_size = sizeof(Machine),
    .ops = &none_ops,
};
QOM_TYPE(none_info);
