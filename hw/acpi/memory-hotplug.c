/* SPDX-License-Identifier: Apache-2.0 */
/* Memory hot-plug by ACPI: see memory-hotplug.h. */
#include "hw/acpi/memory-hotplug.h"

#include "hw/acpi/hotplug-place.h"
#include "qapi/qapi-events-machine.h"
#include "util/loop.h"

enum { READ_ADDR = 0, READ_SIZE = 8, READ_NODE = 16 };
enum { WRITE_SELECT = 0, WRITE_OST_EVENT = 4, WRITE_OST_STATUS = 8 };

typedef struct MemoryPlaceState {
    AcpiPlace place;
    AcpiMemorySlot memory;
} MemoryPlaceState;

struct AcpiMemoryHotplug {
    Device parent_obj;
    unsigned count;
    uint32_t selector;
    MemoryPlaceState places[ACPI_MEMORY_HOTPLUG_MAX];
    AcpiPmState *pm;
    MemoryRegion *region;
};

static void remove_ejected(void *opaque)
{
    AcpiMemoryHotplug *hotplug = opaque;

    for (unsigned i = 0; i < hotplug->count; i++) {
        Device *dev = hotplug->places[i].memory.device;

        if (hotplug->places[i].place.ejecting && dev) {
            hotplug->places[i] = (MemoryPlaceState){ 0 };
            device_delete(dev);
        }
    }
}

/* Requests of devices may be at work in the memory: that is waited for on the main loop. */
static void eject(AcpiMemoryHotplug *hotplug, MemoryPlaceState *place)
{
    if (place->memory.device && !place->place.ejecting) {
        place->place.ejecting = true;
        loop_post(loop_main(), remove_ejected, hotplug);
    }
}

static void report_status(MemoryPlaceState *place, unsigned slot)
{
    Device *dev = place->memory.device;
    g_autofree char *why = NULL;

    if (acpi_place_report(&place->place, dev, slot, ACPI_SLOT_TYPE_DIMM)) {
        why = g_strdup_printf("The guest refused to let the memory go (_OST status 0x%x)",
                              place->place.ost_status);
        qapi_event_send_mem_unplug_error(dev->id ? dev->id : "", why);
        acpi_place_tell_refusal(dev);
    }
}

static uint64_t hotplug_read(void *opaque, uint64_t offset, unsigned size)
{
    const AcpiMemoryHotplug *hotplug = opaque;
    const MemoryPlaceState *place;

    if (hotplug->selector >= hotplug->count) {
        return 0;
    }
    place = &hotplug->places[hotplug->selector];
    if (offset == ACPI_MEMORY_HOTPLUG_FLAGS && size == 1) {
        return acpi_place_flags(&place->place, place->memory.device);
    }
    if (size != 4) {
        return 0;
    }
    switch (offset) {
    case READ_ADDR:
        return (uint32_t)place->memory.addr;
    case READ_ADDR + 4:
        return place->memory.addr >> 32;
    case READ_SIZE:
        return (uint32_t)place->memory.size;
    case READ_SIZE + 4:
        return place->memory.size >> 32;
    case READ_NODE:
        return place->memory.node;
    default:
        return 0;
    }
}

static void hotplug_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    AcpiMemoryHotplug *hotplug = opaque;
    MemoryPlaceState *place;

    if (offset == WRITE_SELECT && size == 4) {
        hotplug->selector = value;
        return;
    }
    if (hotplug->selector >= hotplug->count) {
        return;
    }
    place = &hotplug->places[hotplug->selector];
    if (offset == ACPI_MEMORY_HOTPLUG_FLAGS && size == 1) {
        if (acpi_place_write_flags(&place->place, value)) {
            eject(hotplug, place);
        }
    } else if (offset == WRITE_OST_EVENT && size == 4) {
        place->place.ost_event = value;
    } else if (offset == WRITE_OST_STATUS && size == 4) {
        place->place.ost_status = value;
        report_status(place, hotplug->selector);
    }
}

static const MemoryRegionOps hotplug_region_ops = {
    .read = hotplug_read,
    .write = hotplug_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

void acpi_memory_hotplug_plugged(AcpiMemoryHotplug *hotplug, unsigned slot,
                                 const AcpiMemorySlot *memory, bool tell)
{
    g_assert(slot < hotplug->count);
    hotplug->places[slot] = (MemoryPlaceState){
        .memory = *memory, .place.inserting = tell,
    };
    if (tell) {
        acpi_pm_send_gpe(hotplug->pm, ACPI_MEMORY_HOTPLUG_GPE);
    }
}

void acpi_memory_hotplug_request_unplug(AcpiMemoryHotplug *hotplug, unsigned slot)
{
    acpi_place_request(&hotplug->places[slot].place);
    acpi_pm_send_gpe(hotplug->pm, ACPI_MEMORY_HOTPLUG_GPE);
}

void acpi_memory_hotplug_status(const AcpiMemoryHotplug *hotplug, GPtrArray *list)
{
    for (unsigned i = 0; i < hotplug->count; i++) {
        const MemoryPlaceState *place = &hotplug->places[i];

        g_ptr_array_add(list, acpi_place_info(&place->place, place->memory.device, i,
                                              ACPI_SLOT_TYPE_DIMM));
    }
}

static void hotplug_reset(void *opaque)
{
    AcpiMemoryHotplug *hotplug = opaque;

    for (unsigned i = 0; i < hotplug->count; i++) {
        acpi_place_reset(&hotplug->places[i].place);
    }
    hotplug->selector = 0;
    remove_ejected(hotplug);
}

AcpiMemoryHotplug *acpi_memory_hotplug_new(MemoryRegion *io, unsigned count, AcpiPmState *pm,
                                           GError **error)
{
    AcpiMemoryHotplug *hotplug = (AcpiMemoryHotplug *)object_new(TYPE_ACPI_MEMORY_HOTPLUG);

    g_assert(count <= ACPI_MEMORY_HOTPLUG_MAX);
    hotplug->count = count;
    hotplug->pm = pm;
    hotplug->region = memory_region_new_io(OBJECT(hotplug), &hotplug_region_ops, hotplug,
                                           "acpi-memory-hotplug", ACPI_MEMORY_HOTPLUG_SIZE);
    if (!device_realize_and_unref((Device *)hotplug, NULL, error)) {
        return NULL;
    }
    memory_region_add(io, ACPI_MEMORY_HOTPLUG_BASE, hotplug->region);
    reset_register(hotplug_reset, hotplug);
    return hotplug;
}

static void hotplug_finalize(Object *obj)
{
    g_clear_pointer(&((AcpiMemoryHotplug *)obj)->region, memory_region_free);
}

static const VmStateField place_fields[] = {
    VMSTATE_STRUCT(MemoryPlaceState, place, acpi_place_vmstate),
    VMSTATE_END,
};

static const VmState place_vmstate = {
    .name = "acpi-memory-hotplug/place",
    .version = 1,
    .minimum_version = 1,
    .fields = place_fields,
};

/* What was on its way out when the machine was saved goes now. */
static bool hotplug_post_load(void *opaque, int version, GError **error)
{
    loop_post(loop_main(), remove_ejected, opaque);
    return true;
}

static const VmStateField hotplug_fields[] = {
    VMSTATE_U32(AcpiMemoryHotplug, selector),
    VMSTATE_STRUCT_ARRAY(AcpiMemoryHotplug, places, place_vmstate),
    VMSTATE_END,
};

static const VmState hotplug_vmstate = {
    .name = "acpi-memory-hotplug",
    .version = 1,
    .minimum_version = 1,
    .fields = hotplug_fields,
    .post_load = hotplug_post_load,
};

static const DeviceHooks hotplug_hooks = {
    .vmstate = &hotplug_vmstate,
    .category = DEVICE_CATEGORY_BRIDGE,
    .no_user = true,
};

static const TypeInfo hotplug_info = {
    .name = TYPE_ACPI_MEMORY_HOTPLUG,
    .parent = TYPE_SYS_DEVICE,
    .description = "memory hot-plug controller",
    .instance_size = sizeof(AcpiMemoryHotplug),
    .instance_finalize = hotplug_finalize,
    .hooks = &hotplug_hooks,
};
QOM_TYPE(hotplug_info);
