/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs that come and go while the machine runs. */
#include "hw/acpi/cpu-hotplug.h"
#include "hw/i386/x86.h"
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

static bool check_cpu(Machine *machine, Device *dev, GError **error)
{
    if (!object_is_a(dev, TYPE_X86_CPU)) {
        error_setf(error, "%s cannot be added while the machine runs", object_type_name(dev));
        return false;
    }
    if (!((X86Machine *)machine)->cpu_hotplug) {
        error_setf(error, "CPUs come and go by ACPI, which this machine has not");
        return false;
    }
    return true;
}

static void cpu_plugged(Machine *machine, Device *dev)
{
    X86Machine *x86 = (X86Machine *)machine;
    const unsigned index = x86_cpu_index(dev);

    x86_publish_cpu_count(x86);
    vcpu_join_others(vcpu_get(index));
    acpi_cpu_hotplug_plugged(x86->cpu_hotplug, index);
}

static bool request_unplug(Machine *machine, Device *dev, GError **error)
{
    if (!check_cpu(machine, dev, error)) {
        return false;
    }
    if (x86_cpu_index(dev) == 0) {
        error_setf(error, "The boot CPU cannot be unplugged");
        return false;
    }
    acpi_cpu_hotplug_request_unplug(((X86Machine *)machine)->cpu_hotplug, x86_cpu_index(dev));
    return true;
}

static void ospm_status(Machine *machine, GPtrArray *list)
{
    X86Machine *x86 = (X86Machine *)machine;

    if (x86->cpu_hotplug) {
        acpi_cpu_hotplug_status(x86->cpu_hotplug, list);
    }
}

const MachineHotplugOps x86_hotplug_ops = {
    .check = check_cpu,
    .plugged = cpu_plugged,
    .unplug_request = request_unplug,
    .ospm_status = ospm_status,
};
