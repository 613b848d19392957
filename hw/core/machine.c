/* SPDX-License-Identifier: Apache-2.0 */
/* The machine type's root: properties that every board has, and the one machine of this process. */
#include "hw/core/machine.h"

#include "util/error.h"

/* One process is one machine; set once by system/ while it is single-threaded. */
static Machine *current;

Machine *machine_current(void)
{
    return current;
}

void machine_set_current(Machine *machine)
{
    current = machine;
}

const MachineOps *machine_ops(const Machine *machine)
{
    return machine->ops;
}

static const char *const irqchip_names[] = { "off", "split", "on", NULL };

static bool set_irqchip(Object *obj, const Property *prop, json_object *value, GError **error)
{
    const char *text = json_object_get_string(value);

    for (int i = 0; irqchip_names[i]; i++) {
        if (g_str_equal(text, irqchip_names[i])) {
            ((Machine *)obj)->irqchip = i;
            return true;
        }
    }
    error_setf(error, "kernel-irqchip=%s: use on, off or split", text);
    error_append_nearest(error, text, irqchip_names);
    return false;
}

static json_object *get_irqchip(Object *obj, const Property *prop)
{
    int irqchip = ((Machine *)obj)->irqchip;

    return json_object_new_string(irqchip < 0 ? "auto" : irqchip_names[irqchip]);
}

static void put_json(void *value)
{
    json_object_put(value);
}

static void machine_init(Object *obj)
{
    Machine *machine = (Machine *)obj;

    machine->ops = object_ops(obj);
    machine->irqchip = -1;
    machine->rtc_start = -1;
    machine->rtc_utc = true;
    machine->rtc_clock = VM_CLOCK_HOST;
    machine->boot.splash_time = -1;
    machine->boot.reboot_timeout = -1;
    machine->acpi_tables = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    machine->smbios_options = g_ptr_array_new_with_free_func(put_json);
    machine->fw_cfg_options = g_ptr_array_new_with_free_func(put_json);
    machine->option_roms = g_ptr_array_new_with_free_func(g_free);
}

void machine_place_vcpu(const Machine *machine, unsigned index)
{
    const VCpu *cpu = vcpu_get(index);
    const HostCpus *cpus = machine->vcpu_pins
                               ? g_hash_table_lookup(machine->vcpu_pins, GUINT_TO_POINTER(index))
                               : NULL;

    if (!cpu || !cpu->has_thread) {
        return;
    }
    if (cpus) {
        host_cpus_pin(cpu->tid, cpus, NULL);
    } else {
        host_cpus_unpin(cpu->tid);
    }
}

bool machine_pin_vcpu(Machine *machine, unsigned index, const HostCpus *cpus, GError **error)
{
    if (index >= machine->smp.max_cpus) {
        error_setf(error, "there is no vCPU %u: the machine has 0 to %u", index,
                   machine->smp.max_cpus - 1);
        return false;
    }
    if (host_cpus_count(cpus) && !host_cpus_check(cpus, error)) {
        g_prefix_error(error, "vCPU %u: ", index);
        return false;
    }
    if (!machine->vcpu_pins) {
        machine->vcpu_pins = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    if (host_cpus_count(cpus)) {
        g_hash_table_insert(machine->vcpu_pins, GUINT_TO_POINTER(index),
                            g_memdup2(cpus, sizeof(*cpus)));
    } else {
        g_hash_table_remove(machine->vcpu_pins, GUINT_TO_POINTER(index));
    }
    machine_place_vcpu(machine, index);
    return true;
}

static void machine_finalize(Object *obj)
{
    Machine *machine = (Machine *)obj;

    g_clear_pointer(&machine->cpu_config, x86_cpu_config_unref);
    g_clear_pointer(&machine->vcpu_pins, g_hash_table_unref);
    g_free(machine->boot.order);
    g_free(machine->boot.once);
    g_free(machine->boot.splash);
    g_free(machine->vm_name);
    g_free(machine->vga);
    for (unsigned i = 0; i < G_N_ELEMENTS(machine->serial); i++) {
        g_free(machine->serial[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(machine->parallel); i++) {
        g_free(machine->parallel[i]);
    }
    for (unsigned i = 0; i < MAX_NUMA_NODES; i++) {
        g_free(machine->numa[i].memdev);
        g_clear_pointer(&machine->numa[i].cpus, g_array_unref);
    }
    g_ptr_array_unref(machine->acpi_tables);
    g_ptr_array_unref(machine->smbios_options);
    g_ptr_array_unref(machine->fw_cfg_options);
    g_ptr_array_unref(machine->option_roms);
    if (current == machine) {
        current = NULL;
    }
}

static const Property machine_properties[] = {
    PROP_STRING("kernel", Machine, kernel, NULL, "kernel image to start"),
    PROP_STRING("initrd", Machine, initrd, NULL, "initial ramdisk"),
    PROP_STRING("append", Machine, append, NULL, "kernel command line"),
    PROP_STRING("dtb", Machine, dtb, NULL, "device tree blob for the kernel"),
    PROP_STRING("dumpdtb", Machine, dumpdtb, NULL, "write the machine's device tree here"),
    PROP_STRING("firmware", Machine, firmware, NULL, "firmware image"),
    PROP_STRING("memory-backend", Machine, memory_backend, NULL, "id of the backend for RAM"),
    PROP_BOOL("graphics", Machine, graphics, true, "has a display"),
    PROP_BOOL("usb", Machine, usb, false, "has a USB controller"),
    PROP_BOOL("mem-merge", Machine, mem_merge, true, "let the host merge equal pages (KSM)"),
    PROP_BOOL("dump-guest-core", Machine, dump_guest_core, true,
              "include guest RAM in core dumps"),
    { .name = "kernel-irqchip", .kind = &prop_kind_string, .get = get_irqchip,
      .set = set_irqchip, .description = "where interrupt controllers live: on, off, split" },
    PROP_END,
};

static const TypeInfo machine_info = {
    .name = TYPE_MACHINE,
    .parent = TYPE_OBJECT,
    .description = "any machine",
    .instance_size = sizeof(Machine),
    .is_abstract = true,
    .properties = machine_properties,
    .instance_init = machine_init,
    .instance_finalize = machine_finalize,
};
QOM_TYPE(machine_info);
