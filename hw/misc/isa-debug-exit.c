/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port (0x501) by which test guests end the machine: writing V makes the process exit with status
 * V * 2 + 1, which is never 0, so that a guest's failure cannot look like success.
 */
#include "accel/vm-events.h"
#include "hw/isa/isa.h"
#include "util/error.h"

typedef struct DebugExit {
    IsaDevice parent_obj;
    uint32_t iobase, iosize;
    MemoryRegion *port;
} DebugExit;

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    vm_request_shutdown_with_code(VM_CAUSE_GUEST_SHUTDOWN, (int)((value << 1 | 1) & INT32_MAX));
}

static const MemoryRegionOps debug_exit_ops = {
    .read = debug_exit_read,
    .write = debug_exit_write,
    .valid = { .min = 1, .max = 4 },
};

static bool debug_exit_realize(Device *dev, GError **error)
{
    DebugExit *debug = (DebugExit *)dev;

    if (debug->iobase > UINT16_MAX || debug->iosize < 1 || debug->iosize > 256) {
        error_setf(error, "isa-debug-exit: iobase must be below 0x10000 and iosize 1 to 256, not "
                   "0x%x and %u", debug->iobase, debug->iosize);
        return false;
    }
    debug->port = memory_region_new_io(OBJECT(dev), &debug_exit_ops, debug, "isa-debug-exit",
                                       debug->iosize);
    return isa_map_ports(&debug->parent_obj, debug->port, debug->iobase, error);
}

static void debug_exit_finalize(Object *obj)
{
    g_clear_pointer(&((DebugExit *)obj)->port, memory_region_free);
}

static const Property debug_exit_properties[] = {
    PROP_UINT32("iobase", DebugExit, iobase, 0x501, "its I/O port"),
    PROP_UINT32("iosize", DebugExit, iosize, 2, "how many ports it takes"),
    PROP_END
};

static const DeviceHooks debug_exit_hooks = {
    .realize = debug_exit_realize,
    .category = DEVICE_CATEGORY_MISC,
};

static const TypeInfo debug_exit_type = {
    .name = "isa-debug-exit",
    .parent = TYPE_ISA_DEVICE,
    .description = "port that ends the machine with an exit status",
    .instance_size = sizeof(DebugExit),
    .user_creatable = true,
    .properties = debug_exit_properties,
    .instance_finalize = debug_exit_finalize,
    .hooks = &debug_exit_hooks,
};
QOM_TYPE(debug_exit_type);
