/* SPDX-License-Identifier: Apache-2.0 */
/* QMP commands that tell about the machine, its CPUs and the accelerator. */
#include "accel/accel.h"
#include "cpu/x86/cpu-model.h"
#include "hw/core/machine.h"
#include "hw/misc/vmgenid.h"
#include "hw/rtc/mc146818rtc.h"
#include "qapi/qapi-commands-acpi.h"
#include "qapi/qapi-commands-cpu.h"
#include "qapi/qapi-commands-machine.h"
#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-commands-qdev.h"
#include "system/machine-setup.h"
#include "util/error.h"
#include "util/parse.h"

UuidInfo *qmp_query_uuid(GError **error)
{
    UuidInfo *info = g_new0(UuidInfo, 1);

    info->UUID = format_uuid(machine_current()->uuid);
    return info;
}

NameInfo *qmp_query_name(GError **error)
{
    NameInfo *info = g_new0(NameInfo, 1);

    info->name = g_strdup(machine_current()->vm_name);
    return info;
}

TargetInfo *qmp_query_target(GError **error)
{
    TargetInfo *info = g_new0(TargetInfo, 1);

    info->arch = SYS_EMU_TARGET_X86_64;
    return info;
}

static char *machine_short_name(const TypeInfo *type)
{
    return g_strndup(type->name, strlen(type->name) - strlen("-machine"));
}

static MachineInfo *machine_info_new(const TypeInfo *type)
{
    const MachineOps *ops = type_ops(type);
    MachineInfo *info = g_new0(MachineInfo, 1);

    info->name = machine_short_name(type);
    info->alias = g_strdup(ops->alias);
    info->has_is_default = ops->is_default;
    info->is_default = ops->is_default;
    info->cpu_max = ops->max_cpus;
    info->deprecated = ops->deprecation != NULL;
    info->default_cpu_type = ops->default_cpu ? g_strdup_printf("%s-x86_64-cpu", ops->default_cpu)
                                              : NULL;
    info->default_ram_id = g_strdup(ops->default_ram_id);
    info->hotpluggable_cpus = ops->hotplug != NULL;
    return info;
}

GPtrArray *qmp_query_machines(GError **error)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_MACHINE, false);
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)MachineInfo_free);

    for (unsigned i = 0; i < types->len; i++) {
        g_ptr_array_add(list, machine_info_new(g_ptr_array_index(types, i)));
    }
    return list;
}

CurrentMachineParams *qmp_query_current_machine(GError **error)
{
    CurrentMachineParams *params = g_new0(CurrentMachineParams, 1);

    params->wakeup_suspend_support = machine_supports_wakeup();
    return params;
}

/* Socket, die, core and thread of a CPU, counted from its index. */
static CpuInstanceProperties *cpu_place(const X86Topology *topology, unsigned index)
{
    CpuInstanceProperties *props = g_new0(CpuInstanceProperties, 1);

    props->has_thread_id = props->has_core_id = props->has_socket_id = true;
    props->thread_id = index % topology->threads;
    index /= topology->threads;
    props->core_id = index % topology->cores;
    index /= topology->cores;
    props->has_die_id = topology->dies > 1;
    props->die_id = index % topology->dies;
    props->socket_id = index / topology->dies;
    return props;
}

GPtrArray *qmp_query_cpus_fast(GError **error)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)CpuInfoFast_free);

    for (const VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        CpuInfoFast *info = g_new0(CpuInfoFast, 1);

        info->cpu_index = cpu->index;
        info->qom_path = object_path(cpu->device);
        info->thread_id = cpu->tid;
        info->props = cpu_place(&cpu->topology, cpu->index);
        info->target = SYS_EMU_TARGET_X86_64;
        g_ptr_array_add(list, info);
    }
    return list;
}

/* Highest first, as QEMU lists them. All places are known; those beyond -smp cpus= are free. */
GPtrArray *qmp_query_hotpluggable_cpus(GError **error)
{
    const VCpu *first = vcpu_get(0);
    const Machine *machine = machine_current();
    g_autoptr(GPtrArray) list = HotpluggableCPU_list_new();

    if (!first || !machine->cpu_config) {
        error_setf(error, "This machine has no CPUs");
        return NULL;
    }
    for (unsigned i = machine->smp.max_cpus; i-- > 0;) {
        const VCpu *cpu = vcpu_get(i);
        HotpluggableCPU *place = g_new0(HotpluggableCPU, 1);

        place->type = g_strdup_printf("%s-x86_64-cpu",
                                      x86_cpu_config_model_name(machine->cpu_config));
        place->vcpus_count = 1;
        place->props = cpu_place(&first->topology, i);
        place->qom_path = cpu ? object_path(cpu->device) : NULL;
        g_ptr_array_add(list, place);
    }
    return g_steal_pointer(&list);
}

KvmInfo *qmp_query_kvm(GError **error)
{
    KvmInfo *info = g_new0(KvmInfo, 1);

    info->enabled = accel_is("kvm");
    info->present = accel_is_built("kvm");
    return info;
}

/* Accelerators by their QAPI names; the software CPU is called tcg there. */
static const struct {
    Accelerator accelerator;
    const char *name;
} accelerators[] = {
    { ACCELERATOR_KVM, "kvm" },
    { ACCELERATOR_QTEST, "qtest" },
    { ACCELERATOR_TCG, "emu" },
};

AcceleratorInfo *qmp_query_accelerators(GError **error)
{
    AcceleratorInfo *info = g_new0(AcceleratorInfo, 1);

    info->present = g_array_new(FALSE, FALSE, sizeof(Accelerator));
    for (unsigned i = 0; i < G_N_ELEMENTS(accelerators); i++) {
        if (accel_is_built(accelerators[i].name)) {
            g_array_append_val(info->present, accelerators[i].accelerator);
        }
        if (accel_is(accelerators[i].name)) {
            info->enabled = accelerators[i].accelerator;
        }
    }
    return info;
}

bool qmp_rtc_reset_reinjection(GError **error)
{
    return rtc_reset_reinjection(error);
}

GuidInfo *qmp_query_vm_generation_id(GError **error)
{
    VmGenId *genid = vmgenid_find();
    GuidInfo *info;

    if (!genid) {
        error_setf(error, "VM Generation ID device not found");
        return NULL;
    }
    info = g_new0(GuidInfo, 1);
    info->guid = format_uuid(vmgenid_guid(genid));
    return info;
}

GPtrArray *qmp_query_acpi_ospm_status(GError **error)
{
    Machine *machine = machine_current();
    const MachineHotplugOps *ops = machine_ops(machine)->hotplug;
    GPtrArray *list = ACPIOSTInfo_list_new();

    if (!ops) {
        g_ptr_array_unref(list);
        error_setf(error, "This machine has no devices that come and go by ACPI");
        return NULL;
    }
    ops->ospm_status(machine, list);
    return list;
}

bool qmp_device_add(json_object *args, json_object **ret, GError **error)
{
    return device_add(args, false, true, error) != NULL;
}

bool qmp_device_del(const char *id, GError **error)
{
    return device_unplug(id, error);
}

bool qmp_dumpdtb(const char *filename, GError **error)
{
    Machine *machine = machine_current();
    g_autoptr(GBytes) tree = NULL;
    const char *data;
    gsize size;

    if (!machine || !machine->ops->device_tree) {
        error_setf(error, "this machine has no device tree");
        return false;
    }
    tree = machine->ops->device_tree(machine, error);
    if (!tree) {
        return false;
    }
    data = g_bytes_get_data(tree, &size);
    return g_file_set_contents(filename, data, size, error);
}
