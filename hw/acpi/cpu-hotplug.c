/* SPDX-License-Identifier: Apache-2.0 */
/* CPU hot-plug by ACPI: see cpu-hotplug.h. */
#include "hw/acpi/cpu-hotplug.h"

#include "hw/acpi/hotplug-place.h"
#include "hw/core/cpu.h"
#include "util/loop.h"

typedef enum Command { COMMAND_NEXT, COMMAND_OST_EVENT, COMMAND_OST_STATUS, COMMAND_ID } Command;

struct AcpiCpuHotplug {
    Device parent_obj;
    unsigned count;
    uint32_t selector;
    uint8_t command;
    AcpiPlace places[ACPI_CPU_HOTPLUG_MAX];
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
            hotplug->places[i] = (AcpiPlace){ 0 };
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

static void report_status(AcpiCpuHotplug *hotplug, unsigned index)
{
    Device *dev = cpu_device(index);

    if (acpi_place_report(&hotplug->places[index], dev, index, ACPI_SLOT_TYPE_CPU)) {
        acpi_place_tell_refusal(dev);
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
    AcpiPlace *place = &hotplug->places[hotplug->selector];

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
        return acpi_place_flags(&hotplug->places[hotplug->selector],
                                cpu_device(hotplug->selector));
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
        if (acpi_place_write_flags(&hotplug->places[hotplug->selector], value)) {
            eject(hotplug, hotplug->selector);
        }
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
    hotplug->places[index] = (AcpiPlace){ .inserting = true };
    acpi_pm_send_gpe(hotplug->pm, ACPI_CPU_HOTPLUG_GPE);
}

void acpi_cpu_hotplug_request_unplug(AcpiCpuHotplug *hotplug, unsigned index)
{
    acpi_place_request(&hotplug->places[index]);
    acpi_pm_send_gpe(hotplug->pm, ACPI_CPU_HOTPLUG_GPE);
}

void acpi_cpu_hotplug_status(AcpiCpuHotplug *hotplug, GPtrArray *list)
{
    for (unsigned i = 0; i < hotplug->count; i++) {
        g_ptr_array_add(list, acpi_place_info(&hotplug->places[i], cpu_device(i), i,
                                              ACPI_SLOT_TYPE_CPU));
    }
}

static void hotplug_reset(void *opaque)
{
    AcpiCpuHotplug *hotplug = opaque;

    for (unsigned i = 0; i < hotplug->count; i++) {
        acpi_place_reset(&hotplug->places[i]);
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

static const VmStateField hotplug_fields[] = {
    VMSTATE_U32(AcpiCpuHotplug, selector),
    VMSTATE_U8(AcpiCpuHotplug, command),
    VMSTATE_STRUCT_ARRAY(AcpiCpuHotplug, places, acpi_place_vmstate),
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
