/* SPDX-License-Identifier: Apache-2.0 */
/* Memory modules: see pc-dimm.h. */
#include "hw/mem/pc-dimm.h"

#include "hw/core/machine.h"
#include "memory/ram-backend.h"
#include "qapi/qapi-commands-machine.h"
#include "util/bits.h"
#include "util/error.h"

/* So that host and guest can use huge pages for it. */
#define MIN_ALIGN (2 * MiB)

#define HEX64 "0x%" G_GINT64_MODIFIER "x"

static RamBackend *backend_of(const PcDimm *dimm)
{
    return (RamBackend *)dimm->memdev;
}

uint64_t pc_dimm_size(const PcDimm *dimm)
{
    return dimm->memdev ? ram_backend_size(backend_of(dimm)) : 0;
}

static bool collect(Device *dev, void *opaque)
{
    if (dev->realized && object_is_a(dev, TYPE_PC_DIMM)) {
        g_ptr_array_add(opaque, dev);
    }
    return true;
}

static int by_address(const void *left, const void *right)
{
    const PcDimm *a = *(PcDimm *const *)left;
    const PcDimm *b = *(PcDimm *const *)right;

    return a->addr < b->addr ? -1 : a->addr > b->addr;
}

GPtrArray *pc_dimm_list(void)
{
    GPtrArray *list = g_ptr_array_new();

    device_foreach(collect, list);
    g_ptr_array_sort(list, by_address);
    return list;
}

/* ---- Finding a place ---- */

static bool check_machine(const Machine *machine, GError **error)
{
    if (!machine_ops(machine)->memory_devices) {
        error_setf(error, "memory devices (such as memory to be plugged) are not supported by the "
                   "machine");
        return false;
    }
    if (!machine->ram_slots || !machine->device_memory.region) {
        error_setf(error, "no slots where allocated, please specify the 'slots' option");
        return false;
    }
    return true;
}

static bool check_backend(const PcDimm *dimm, const Machine *machine, GError **error)
{
    const unsigned nodes = MAX(machine->numa_nodes, 1);

    if (!dimm->memdev) {
        error_setf(error, "'memdev' property must be set");
        return false;
    }
    if (ram_backend_is_mapped(backend_of(dimm))) {
        error_setf(error, "can't use already busy memdev: %s", dimm->memdev->name);
        return false;
    }
    if (dimm->node >= nodes) {
        error_setf(error, "'DIMM property node has value %u' which exceeds the number of numa "
                   "nodes: %u", dimm->node, nodes);
        return false;
    }
    return true;
}

static const PcDimm *dimm_in_slot(const GPtrArray *dimms, int slot)
{
    for (unsigned i = 0; i < dimms->len; i++) {
        const PcDimm *dimm = g_ptr_array_index(dimms, i);

        if (dimm->slot == slot) {
            return dimm;
        }
    }
    return NULL;
}

static bool find_slot(PcDimm *dimm, const Machine *machine, const GPtrArray *dimms, GError **error)
{
    const int count = machine->ram_slots;

    if (dimm->slot < -1 || dimm->slot >= count) {
        error_setf(error, "invalid slot number %d, valid range is [0-%d]", dimm->slot, count - 1);
        return false;
    }
    if (dimm->slot >= 0) {
        if (dimm_in_slot(dimms, dimm->slot)) {
            error_setf(error, "slot %d is busy", dimm->slot);
            return false;
        }
        return true;
    }
    for (int slot = 0; slot < count; slot++) {
        if (!dimm_in_slot(dimms, slot)) {
            dimm->slot = slot;
            return true;
        }
    }
    error_setf(error, "no free slots available");
    return false;
}

static bool check_size(const DeviceMemory *area, uint64_t limit, uint64_t size, uint64_t align,
                       GError **error)
{
    if (!IS_ALIGNED(size, align)) {
        error_setf(error, "backend memory size must be multiple of " HEX64, align);
        return false;
    }
    if (size > limit || area->plugged > limit - size) {
        error_setf(error, "not enough space, currently " HEX64 " in use of total space for memory "
                   "devices " HEX64, area->plugged, limit);
        return false;
    }
    return true;
}

/* At the address that was asked for. */
static bool check_address(const PcDimm *dimm, const DeviceMemory *area, const GPtrArray *dimms,
                          uint64_t align, GError **error)
{
    const uint64_t size = pc_dimm_size(dimm);

    if (!IS_ALIGNED(dimm->addr, align)) {
        error_setf(error, "address must be aligned to " HEX64 " bytes", align);
        return false;
    }
    if (dimm->addr < area->base || !range_ok(dimm->addr - area->base, size, area->size)) {
        error_setf(error, "can't add memory device [" HEX64 ":" HEX64 "], usable range for memory "
                   "devices [" HEX64 ":" HEX64 "]", dimm->addr, size, area->base, area->size);
        return false;
    }
    for (unsigned i = 0; i < dimms->len; i++) {
        const PcDimm *other = g_ptr_array_index(dimms, i);

        if (dimm->addr < other->addr + pc_dimm_size(other) && other->addr < dimm->addr + size) {
            error_setf(error, "address range conflicts with memory device id='%s'",
                       other->parent_obj.id ? other->parent_obj.id : "");
            return false;
        }
    }
    return true;
}

/* In the first gap that has room. */
static bool choose_address(PcDimm *dimm, const DeviceMemory *area, const GPtrArray *dimms,
                           uint64_t align, GError **error)
{
    const uint64_t size = pc_dimm_size(dimm);
    uint64_t addr = ROUND_UP(area->base, align);

    for (unsigned i = 0; i < dimms->len; i++) {
        const PcDimm *other = g_ptr_array_index(dimms, i);

        if (other->addr >= addr && other->addr - addr >= size) {
            break;
        }
        addr = MAX(addr, ROUND_UP(other->addr + pc_dimm_size(other), align));
    }
    if (!range_ok(addr - area->base, size, area->size)) {
        error_setf(error, "could not find position in guest address space for memory device - "
                   "memory fragmented due to alignments");
        return false;
    }
    dimm->addr = addr;
    return true;
}

/* ---- Life ---- */

static bool dimm_realize(Device *dev, GError **error)
{
    PcDimm *dimm = (PcDimm *)dev;
    Machine *machine = machine_current();
    DeviceMemory *area = &machine->device_memory;
    g_autoptr(GPtrArray) dimms = pc_dimm_list();
    MemoryRegion *region;
    uint64_t align;

    if (!check_backend(dimm, machine, error) || !check_machine(machine, error) ||
        !find_slot(dimm, machine, dimms, error)) {
        return false;
    }
    region = ram_backend_region(backend_of(dimm));
    align = MAX(MIN_ALIGN, ram_block_page_size(memory_region_ram_block(region)));
    if (!check_size(area, machine->max_ram_size - machine->ram_size, pc_dimm_size(dimm), align,
                    error) ||
        !(dimm->addr ? check_address(dimm, area, dimms, align, error)
                     : choose_address(dimm, area, dimms, align, error))) {
        return false;
    }
    ram_backend_set_mapped(backend_of(dimm), true);
    memory_region_add(area->region, dimm->addr - area->base, region);
    area->plugged += pc_dimm_size(dimm);
    return true;
}

static void dimm_unrealize(Device *dev)
{
    PcDimm *dimm = (PcDimm *)dev;
    DeviceMemory *area = &machine_current()->device_memory;

    memory_region_remove(area->region, ram_backend_region(backend_of(dimm)));
    area->plugged -= pc_dimm_size(dimm);
    ram_backend_set_mapped(backend_of(dimm), false);
}

/* ---- Saved state: only whether it is the same module; its content is RAM's affair ---- */

static void dimm_pre_save(void *opaque)
{
    PcDimm *dimm = opaque;

    dimm->saved_addr = dimm->addr;
    dimm->saved_slot = dimm->slot;
}

static bool dimm_post_load(void *opaque, int version, GError **error)
{
    const PcDimm *dimm = opaque;

    if (dimm->saved_addr != dimm->addr || dimm->saved_slot != dimm->slot) {
        error_setf(error, "pc-dimm: saved in slot %d at " HEX64 ", here it is in slot %d at " HEX64,
                   dimm->saved_slot, dimm->saved_addr, dimm->slot, dimm->addr);
        return false;
    }
    return true;
}

static const VmState dimm_vmstate = {
    .name = "pc-dimm",
    .version = 1,
    .minimum_version = 1,
    .pre_save = dimm_pre_save,
    .post_load = dimm_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U64(PcDimm, saved_addr),
        VMSTATE_I32(PcDimm, saved_slot),
        VMSTATE_END
    },
};

static json_object *get_size(Object *obj, const Property *prop)
{
    return json_object_new_uint64(pc_dimm_size((PcDimm *)obj));
}

static const Property dimm_properties[] = {
    PROP_UINT64("addr", PcDimm, addr, 0, "where it stands; 0: where there is room"),
    PROP_LINK("memdev", PcDimm, memdev, TYPE_MEMORY_BACKEND, "the host memory behind it"),
    PROP_UINT32("node", PcDimm, node, 0, "its NUMA node"),
    PROP_COMPUTED("size", prop_kind_uint64, get_size, NULL, "bytes, as memdev has"),
    PROP_INT32("slot", PcDimm, slot, -1, "its slot; -1: the first free"),
    PROP_END,
};

static const DeviceHooks dimm_hooks = {
    .realize = dimm_realize,
    .unrealize = dimm_unrealize,
    .vmstate = &dimm_vmstate,
    .category = DEVICE_CATEGORY_MISC,
    .hotpluggable = true,
};

static const TypeInfo dimm_info = {
    .name = TYPE_PC_DIMM,
    .parent = TYPE_SYS_DEVICE,
    .description = "memory module",
    .instance_size = sizeof(PcDimm),
    .user_creatable = true,
    .properties = dimm_properties,
    .hooks = &dimm_hooks,
};
QOM_TYPE(dimm_info);

/* ---- QMP ---- */

static MemoryDeviceInfo *describe(const PcDimm *dimm)
{
    MemoryDeviceInfo *info = g_new0(MemoryDeviceInfo, 1);
    PCDIMMDeviceInfo *data = g_new0(PCDIMMDeviceInfo, 1);

    info->type = MEMORY_DEVICE_INFO_KIND_DIMM;
    info->u.dimm.data = data;
    data->id = g_strdup(dimm->parent_obj.id);
    data->addr = dimm->addr;
    data->size = pc_dimm_size(dimm);
    data->slot = dimm->slot;
    data->node = dimm->node;
    data->memdev = object_path(dimm->memdev);
    data->hotplugged = dimm->parent_obj.hotplugged;
    data->hotpluggable = true;
    return info;
}

GPtrArray *qmp_query_memory_devices(GError **error)
{
    GPtrArray *list = MemoryDeviceInfo_list_new();
    g_autoptr(GPtrArray) dimms = pc_dimm_list();

    for (unsigned i = 0; i < dimms->len; i++) {
        g_ptr_array_add(list, describe(g_ptr_array_index(dimms, i)));
    }
    return list;
}
