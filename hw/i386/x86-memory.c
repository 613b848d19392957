/* SPDX-License-Identifier: Apache-2.0 */
/* Where memory that is plugged goes, and who is told of it: the guest by ACPI, firmware. */
#include "hw/i386/x86.h"

#include "hw/acpi/memory-hotplug.h"
#include "hw/mem/pc-dimm.h"
#include "util/bits.h"
#include "util/error.h"

/* Modules may be of huge pages of this size, each of which needs a place so aligned. */
#define AREA_ALIGN GiB
/* Physical addresses have at most so many bits (AMD64 volume 2, 5.1). */
#define MAX_PHYSICAL BIT_ULL(52)

bool x86_map_device_memory(X86Machine *machine, GError **error)
{
    Machine *base = &machine->parent_obj;
    DeviceMemory *area = &base->device_memory;
    const uint64_t wanted = base->max_ram_size - base->ram_size;

    if (!wanted) {
        return true;
    }
    area->base = ROUND_UP(4 * GiB + machine->above_4g, AREA_ALIGN);
    area->size = wanted + base->ram_slots * AREA_ALIGN;
    if (wanted > MAX_PHYSICAL || area->base + area->size > MAX_PHYSICAL) {
        error_setf(error, "maxmem is more than a machine of this kind can address");
        return false;
    }
    area->region = memory_region_new_container(OBJECT(machine), "device-memory", area->size);
    memory_region_add(memory_system(), area->base, area->region);
    return true;
}

uint64_t x86_memory_end(const X86Machine *machine)
{
    const DeviceMemory *area = &machine->parent_obj.device_memory;
    uint64_t end = area->region ? area->base + area->size : 4 * GiB + machine->above_4g;

    return ROUND_UP(end, AREA_ALIGN);
}

bool x86_publish_memory_end(X86Machine *machine, GError **error)
{
    const uint64_t end = GUINT64_TO_LE(x86_memory_end(machine));

    return !machine->parent_obj.device_memory.region ||
           fw_cfg_add_file_copy(machine->fw_cfg, "etc/reserved-memory-end", &end, sizeof(end),
                                error);
}

void x86_memory_present(X86Machine *machine, const Device *dev, bool tell)
{
    PcDimm *dimm = (PcDimm *)dev;
    const AcpiMemorySlot slot = {
        .device = &dimm->parent_obj, .addr = dimm->addr, .size = pc_dimm_size(dimm),
        .node = dimm->node,
    };

    acpi_memory_hotplug_plugged(machine->memory_hotplug, dimm->slot, &slot, tell);
}

bool x86_check_memory_hotplug(const X86Machine *machine, GError **error)
{
    if (!machine->memory_hotplug) {
        error_setf(error, "memory hotplug is not enabled: missing acpi device or acpi disabled");
    }
    return machine->memory_hotplug != NULL;
}

bool x86_all_memory_present(X86Machine *machine, GError **error)
{
    g_autoptr(GPtrArray) dimms = pc_dimm_list();

    if (dimms->len && !x86_check_memory_hotplug(machine, error)) {
        return false;
    }
    for (unsigned i = 0; i < dimms->len; i++) {
        x86_memory_present(machine, g_ptr_array_index(dimms, i), false);
    }
    return true;
}
