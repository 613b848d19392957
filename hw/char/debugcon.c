/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debug console that Bochs made known: a byte written to the port (0xe9) appears on the
 * chardev; reading gives a fixed byte, by which a guest knows that the console is there.
 */
#include "chardev/chardev.h"
#include "hw/isa/isa.h"
#include "util/error.h"

#define DEBUGCON_PORT 0xe9

typedef struct DebugCon {
    IsaDevice parent_obj;
    uint32_t iobase, readback;
    CharFrontend chr;
    MemoryRegion *port;
} DebugCon;

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((DebugCon *)opaque)->readback & 0xff;
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    uint8_t byte = value;

    char_frontend_write_all(&((DebugCon *)opaque)->chr, &byte, 1);
}

static const MemoryRegionOps debugcon_ops = {
    .read = debugcon_read,
    .write = debugcon_write,
    .valid = { .min = 1, .max = 1 },
    .impl = { .min = 1, .max = 1 },
};

/* Nothing is read, but a console may be replaced: it has no state to carry over. */
static bool debugcon_backend_changed(void *opaque)
{
    return true;
}

static const CharFrontendOps debugcon_frontend_ops = {
    .backend_changed = debugcon_backend_changed,
};

static bool debugcon_realize(Device *dev, GError **error)
{
    DebugCon *con = (DebugCon *)dev;

    if (!con->chr.chr) {
        error_setf(error, "isa-debugcon: chardev=ID is missing");
        return false;
    }
    if (con->iobase > UINT16_MAX) {
        error_setf(error, "isa-debugcon: iobase must be below 0x10000, not 0x%x", con->iobase);
        return false;
    }
    con->port = memory_region_new_io(OBJECT(dev), &debugcon_ops, con, "isa-debugcon", 1);
    if (!isa_map_ports(&con->parent_obj, con->port, con->iobase, error)) {
        return false;
    }
    char_frontend_set_handlers(&con->chr, &debugcon_frontend_ops, con, NULL);
    return true;
}

static void debugcon_unrealize(Device *dev)
{
    char_frontend_detach(&((DebugCon *)dev)->chr);
}

static void debugcon_finalize(Object *obj)
{
    g_clear_pointer(&((DebugCon *)obj)->port, memory_region_free);
}

static const Property debugcon_properties[] = {
    PROP_UINT32("iobase", DebugCon, iobase, DEBUGCON_PORT, "its I/O port"),
    PROP_CHARDEV("chardev", DebugCon, chr, "id of the chardev that shows what is written"),
    PROP_UINT32("readback", DebugCon, readback, DEBUGCON_PORT, "what reading the port gives"),
    PROP_END
};

static const DeviceHooks debugcon_hooks = {
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
    .category = DEVICE_CATEGORY_MISC,
};

static const TypeInfo debugcon_type = {
    .name = "isa-debugcon",
    .parent = TYPE_ISA_DEVICE,
    .description = "debug console port",
    .instance_size = sizeof(DebugCon),
    .user_creatable = true,
    .properties = debugcon_properties,
    .instance_finalize = debugcon_finalize,
    .hooks = &debugcon_hooks,
};
QOM_TYPE(debugcon_type);
