/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs and memory that come and go while the machine runs. */
#include "hw/acpi/cpu-hotplug.h"
#include "hw/acpi/memory-hotplug.h"
#include "hw/i386/x86.h"
#include "hw/mem/pc-dimm.h"
#include "util/error.h"

/* How many CPUs firmware shall wait for, less one. */
#define CMOS_CPUS 0x5f

void x86_publish_cpu_count(X86Machine *machine)
{
    const unsigned count = vcpu_count();

    if (machine->rtc) {
        rtc_set_cmos(machine->rtc, CMOS_CPUS, MIN(count - 1, 255));
    }
    if (machine->fw_cfg) {
        fw_cfg_add_u16(machine->fw_cfg, FW_CFG_NB_CPUS, count);
    }
}

static bool check_cpu(const X86Machine *machine, GError **error)
{
    if (!machine->cpu_hotplug) {
        error_setf(error, "CPUs come and go by ACPI, which this machine has not");
        return false;
    }
    return true;
}

static void cpu_plugged(X86Machine *machine, Device *dev)
{
    const unsigned index = x86_cpu_index(dev);

    x86_publish_cpu_count(machine);
    vcpu_join_others(vcpu_get(index));
    acpi_cpu_hotplug_plugged(machine->cpu_hotplug, index);
}

static bool request_cpu(X86Machine *machine, Device *dev, GError **error)
{
    if (x86_cpu_index(dev) == 0) {
        error_setf(error, "The boot CPU cannot be unplugged");
        return false;
    }
    acpi_cpu_hotplug_request_unplug(machine->cpu_hotplug, x86_cpu_index(dev));
    return true;
}

static bool check_memory(const X86Machine *machine, GError **error)
{
    /* Without slots, the module itself says so. */
    return !machine->parent_obj.ram_slots || x86_check_memory_hotplug(machine, error);
}

static void memory_plugged(X86Machine *machine, Device *dev)
{
    x86_memory_present(machine, dev, true);
}

static bool request_memory(X86Machine *machine, Device *dev, GError **error)
{
    acpi_memory_hotplug_request_unplug(machine->memory_hotplug, ((PcDimm *)dev)->slot);
    return true;
}

/* What comes and goes. */
static const struct Kind {
    const char *type;
    bool (*check)(const X86Machine *machine, GError **error);
    void (*plugged)(X86Machine *machine, Device *dev);
    bool (*request)(X86Machine *machine, Device *dev, GError **error);
} kinds[] = {
    { TYPE_X86_CPU, check_cpu, cpu_plugged, request_cpu },
    { TYPE_PC_DIMM, check_memory, memory_plugged, request_memory },
};

static const struct Kind *find_kind(const Device *dev)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (object_is_a(dev, kinds[i].type)) {
            return &kinds[i];
        }
    }
    return NULL;
}

static bool check(Machine *machine, Device *dev, GError **error)
{
    const struct Kind *kind = find_kind(dev);

    if (!kind) {
        error_setf(error, "%s cannot be added while the machine runs", object_type_name(dev));
        return false;
    }
    return kind->check((X86Machine *)machine, error);
}

static void plugged(Machine *machine, Device *dev)
{
    find_kind(dev)->plugged((X86Machine *)machine, dev);
}

static bool request_unplug(Machine *machine, Device *dev, GError **error)
{
    return check(machine, dev, error) &&
           find_kind(dev)->request((X86Machine *)machine, dev, error);
}

static void ospm_status(Machine *machine, GPtrArray *list)
{
    X86Machine *x86 = (X86Machine *)machine;

    if (x86->memory_hotplug) {
        acpi_memory_hotplug_status(x86->memory_hotplug, list);
    }
    if (x86->cpu_hotplug) {
        acpi_cpu_hotplug_status(x86->cpu_hotplug, list);
    }
}

const MachineHotplugOps x86_hotplug_ops = {
    .check = check,
    .plugged = plugged,
    .unplug_request = request_unplug,
    .ospm_status = ospm_status,
};
