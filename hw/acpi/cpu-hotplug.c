/* SPDX-License-Identifier: Apache-2.0 */
/* CPU hot-plug by ACPI: see cpu-hotplug.h. */
#include "hw/acpi/cpu-hotplug.h"

#include "hw/core/cpu.h"
#include "qapi/qapi-events-acpi.h"
#include "qapi/qapi-events-qdev.h"
#include "util/loop.h"

#define FLAG_PRESENT BIT(0)
#define FLAG_INSERTING BIT(1)
#define FLAG_REMOVING BIT(2)
#define FLAG_EJECT BIT(3)

typedef enum Command { COMMAND_NEXT, COMMAND_OST_EVENT, COMMAND_OST_STATUS, COMMAND_ID } Command;

/* _OST: of an ejection request; and how it may end without being refused (ACPI 6.4, 6.3.5). */
#define OST_EJECT_REQUEST 0x003
#define OST_EJECT_BY_OS 0x103
#define OST_SUCCESS 0x00
#define OST_EJECTION_PENDING 0x84

typedef struct CpuPlace {
    uint8_t inserting, removing; /* not seen yet by the guest */
    uint8_t requested;           /* device_del asked for it, and it is not ejected */
    uint8_t ejecting;            /* the main loop will take it away */
    uint32_t ost_event, ost_status;
} CpuPlace;

struct AcpiCpuHotplug {
    Device parent_obj;
    unsigned count;
    uint32_t selector;
    uint8_t command;
    CpuPlace places[ACPI_CPU_HOTPLUG_MAX];
    AcpiPmState *pm;
    MemoryRegion *region;
};

static Device *cpu_device(unsigned index)
{
    const VCpu *cpu = vcpu_get(index);

    return cpu ? (Device *)cpu->device : NULL;
}

static void remove_ejected(void *opaque)
{
    AcpiCpuHotplug *hotplug = opaque;

    for (unsigned i = 1; i < hotplug->count; i++) {
        if (hotplug->places[i].ejecting && cpu_device(i)) {
            hotplug->places[i] = (CpuPlace){ 0 };
            device_delete(cpu_device(i));
        }
    }
}

/* A CPU may eject itself, and cannot take its own thread away. The boot CPU stays. */
static void eject(AcpiCpuHotplug *hotplug, unsigned index)
{
    if (index && cpu_device(index) && !hotplug->places[index].ejecting) {
        hotplug->places[index].ejecting = true;
        loop_post(loop_main(), remove_ejected, hotplug);
    }
}

static void select_next(AcpiCpuHotplug *hotplug)
{
    for (unsigned i = 0; i < hotplug->count; i++) {
        unsigned index = (hotplug->selector + i) % hotplug->count;

        if (hotplug->places[index].inserting || hotplug->places[index].removing) {
            hotplug->selector = index;
            return;
        }
    }
}

static ACPIOSTInfo *ost_info(const AcpiCpuHotplug *hotplug, unsigned index)
{
    const Device *dev = cpu_device(index);
    ACPIOSTInfo *info = g_new0(ACPIOSTInfo, 1);

    info->device = dev ? g_strdup(dev->id) : NULL;
    info->slot = g_strdup_printf("%u", index);
    info->slot_type = ACPI_SLOT_TYPE_CPU;
    info->source = hotplug->places[index].ost_event;
    info->status = hotplug->places[index].ost_status;
    return info;
}

static void report_status(AcpiCpuHotplug *hotplug, unsigned index)
{
    CpuPlace *place = &hotplug->places[index];
    ACPIOSTInfo *info = ost_info(hotplug, index);
    Device *dev = cpu_device(index);

    qapi_event_send_acpi_device_ost(info);
    ACPIOSTInfo_free(info);
    if (dev && place->requested &&
        (place->ost_event == OST_EJECT_REQUEST || place->ost_event == OST_EJECT_BY_OS) &&
        place->ost_status != OST_SUCCESS && place->ost_status != OST_EJECTION_PENDING) {
        g_autofree char *path = object_path(OBJECT(dev));

        place->requested = false;
        qapi_event_send_device_unplug_guest_error(dev->id, path);
    }
}

static uint8_t read_flags(const AcpiCpuHotplug *hotplug)
{
    const CpuPlace *place = &hotplug->places[hotplug->selector];

    return (cpu_device(hotplug->selector) ? FLAG_PRESENT : 0) |
           (place->inserting ? FLAG_INSERTING : 0) | (place->removing ? FLAG_REMOVING : 0);
}

static void write_flags(AcpiCpuHotplug *hotplug, uint8_t value)
{
    CpuPlace *place = &hotplug->places[hotplug->selector];

    if (value & FLAG_INSERTING) {
        place->inserting = false;
    }
    if (value & FLAG_REMOVING) {
        place->removing = false;
    }
    if (value & FLAG_EJECT) {
        eject(hotplug, hotplug->selector);
    }
}

static uint32_t read_data(const AcpiCpuHotplug *hotplug)
{
    const VCpu *cpu = vcpu_get(hotplug->selector);

    switch ((Command)hotplug->command) {
    case COMMAND_NEXT:
        return hotplug->selector;
    case COMMAND_ID:
        return cpu ? cpu->apic_id : 0;
    default:
        return 0;
    }
}

static void write_data(AcpiCpuHotplug *hotplug, uint32_t value)
{
    CpuPlace *place = &hotplug->places[hotplug->selector];

    if (hotplug->command == COMMAND_OST_EVENT) {
        place->ost_event = value;
    } else if (hotplug->command == COMMAND_OST_STATUS) {
        place->ost_status = value;
        report_status(hotplug, hotplug->selector);
    }
}

static uint64_t hotplug_read(void *opaque, uint64_t offset, unsigned size)
{
    AcpiCpuHotplug *hotplug = opaque;

    if (hotplug->selector >= hotplug->count) {
        return 0;
    }
    if (offset == ACPI_CPU_HOTPLUG_FLAGS && size == 1) {
        return read_flags(hotplug);
    }
    return offset == ACPI_CPU_HOTPLUG_DATA && size == 4 ? read_data(hotplug) : 0;
}

static void hotplug_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    AcpiCpuHotplug *hotplug = opaque;

    if (offset == ACPI_CPU_HOTPLUG_SELECT && size == 4) {
        hotplug->selector = value;
    } else if (hotplug->selector >= hotplug->count) {
        return;
    } else if (offset == ACPI_CPU_HOTPLUG_FLAGS && size == 1) {
        write_flags(hotplug, value);
    } else if (offset == ACPI_CPU_HOTPLUG_COMMAND && size == 1) {
        hotplug->command = value;
        if (value == COMMAND_NEXT) {
            select_next(hotplug);
        }
    } else if (offset == ACPI_CPU_HOTPLUG_DATA && size == 4) {
        write_data(hotplug, value);
    }
}

static const MemoryRegionOps hotplug_region_ops = {
    .read = hotplug_read,
    .write = hotplug_write,
    .valid = { .min = 1, .max = 4 },
    .impl = { .min = 1, .max = 4 },
};

void acpi_cpu_hotplug_plugged(AcpiCpuHotplug *hotplug, unsigned index)
{
    hotplug->places[index] = (CpuPlace){ .inserting = true };
    acpi_pm_send_gpe(hotplug->pm, ACPI_CPU_HOTPLUG_GPE);
}

void acpi_cpu_hotplug_request_unplug(AcpiCpuHotplug *hotplug, unsigned index)
{
    hotplug->places[index].removing = true;
    hotplug->places[index].requested = true;
    acpi_pm_send_gpe(hotplug->pm, ACPI_CPU_HOTPLUG_GPE);
}

void acpi_cpu_hotplug_status(AcpiCpuHotplug *hotplug, GPtrArray *list)
{
    for (unsigned i = 0; i < hotplug->count; i++) {
        g_ptr_array_add(list, ost_info(hotplug, i));
    }
}

/* Firmware finds by itself what is there, and nobody is left to object to what shall go. */
static void hotplug_reset(void *opaque)
{
    AcpiCpuHotplug *hotplug = opaque;

    for (unsigned i = 0; i < hotplug->count; i++) {
        CpuPlace *place = &hotplug->places[i];

        place->ejecting |= place->requested;
        place->inserting = place->removing = false;
    }
    hotplug->selector = 0;
    hotplug->command = COMMAND_NEXT;
    remove_ejected(hotplug);
}

AcpiCpuHotplug *acpi_cpu_hotplug_new(MemoryRegion *io, unsigned count, AcpiPmState *pm,
                                     GError **error)
{
    AcpiCpuHotplug *hotplug = (AcpiCpuHotplug *)object_new(TYPE_ACPI_CPU_HOTPLUG);

    g_assert(count <= ACPI_CPU_HOTPLUG_MAX);
    hotplug->count = count;
    hotplug->pm = pm;
    hotplug->region = memory_region_new_io(OBJECT(hotplug), &hotplug_region_ops, hotplug,
                                           "acpi-cpu-hotplug", ACPI_CPU_HOTPLUG_SIZE);
    if (!device_realize_and_unref((Device *)hotplug, NULL, error)) {
        return NULL;
    }
    memory_region_add(io, ACPI_CPU_HOTPLUG_BASE, hotplug->region);
    reset_register(hotplug_reset, hotplug);
    return hotplug;
}

static void hotplug_finalize(Object *obj)
{
    g_clear_pointer(&((AcpiCpuHotplug *)obj)->region, memory_region_free);
}

static const VmStateField place_fields[] = {
    VMSTATE_U8(CpuPlace, inserting),
    VMSTATE_U8(CpuPlace, removing),
    VMSTATE_U8(CpuPlace, requested),
    VMSTATE_U8(CpuPlace, ejecting),
    VMSTATE_U32(CpuPlace, ost_event),
    VMSTATE_U32(CpuPlace, ost_status),
    VMSTATE_END,
};

static const VmState place_vmstate = {
    .name = "acpi-cpu-hotplug/place",
    .version = 1,
    .minimum_version = 1,
    .fields = place_fields,
};

static const VmStateField hotplug_fields[] = {
    VMSTATE_U32(AcpiCpuHotplug, selector),
    VMSTATE_U8(AcpiCpuHotplug, command),
    VMSTATE_STRUCT_ARRAY(AcpiCpuHotplug, places, place_vmstate),
    VMSTATE_END,
};

/* What was on its way out when the machine was saved goes now. */
static bool hotplug_post_load(void *opaque, int version, GError **error)
{
    loop_post(loop_main(), remove_ejected, opaque);
    return true;
}

static const VmState hotplug_vmstate = {
    .name = "acpi-cpu-hotplug",
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
    .name = TYPE_ACPI_CPU_HOTPLUG,
    .parent = TYPE_SYS_DEVICE,
    .description = "CPU hot-plug controller",
    .instance_size = sizeof(AcpiCpuHotplug),
    .instance_finalize = hotplug_finalize,
    .hooks = &hotplug_hooks,
};
QOM_TYPE(hotplug_info);
