/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: its object, accelerator, RAM, board, devices. */
#include "system/machine-setup.h"

#include <stdio.h>
#include <sys/stat.h>

#include "accel/accel.h"
#include "hw/core/numa.h"
#include "hw/i386/acpi.h"
#include "hw/i386/boot.h"
#include "net/netdev.h"
#include "system/runstate.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

const TypeInfo *machine_type_find(const char *name, GError **error)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_MACHINE, false);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    for (unsigned i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        const MachineOps *ops = type_ops(type);
        char *own = g_strndup(type->name, strlen(type->name) - strlen("-machine"));

        g_ptr_array_add(names, own);
        if (g_str_equal(own, name) || g_strcmp0(ops->alias, name) == 0) {
            return type;
        }
        if (ops->alias) {
            g_ptr_array_add(names, g_strdup(ops->alias));
        }
    }
    g_ptr_array_add(names, NULL);
    error_setf(error, "unsupported machine type '%s'; -machine help lists them", name);
    error_append_nearest(error, name, (const char *const *)names->pdata);
    return NULL;
}

bool machine_supports_wakeup(void)
{
    Object *pm = object_resolve("/machine/piix4-pm", NULL);

    return pm != NULL;
}

static const TypeInfo *default_machine(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_MACHINE, false);

    for (unsigned i = 0; i < types->len; i++) {
        const MachineOps *ops = type_ops(g_ptr_array_index(types, i));

        if (ops->is_default) {
            return g_ptr_array_index(types, i);
        }
    }
    return NULL;
}

static bool set_machine_properties(Machine *machine, json_object *json, GError **error)
{
    json_object_object_foreach(json, key, value) {
        if (!g_str_equal(key, "type") &&
            !object_property_parse(OBJECT(machine), key, json_object_get_string(value), error)) {
            g_prefix_error(error, "-machine %s=%s: ", key, json_object_get_string(value));
            return false;
        }
    }
    return true;
}

static bool add_globals(const GPtrArray *globals, GError **error)
{
    for (unsigned i = 0; i < globals->len; i++) {
        const OptionValue *value = g_ptr_array_index(globals, i);
        json_object *driver, *property, *text;

        if (!json_object_object_get_ex(value->json, "driver", &driver) ||
            !json_object_object_get_ex(value->json, "property", &property) ||
            !json_object_object_get_ex(value->json, "value", &text)) {
            error_setf(error, "-global: give DRIVER.PROPERTY=VALUE");
            return false;
        }
        object_add_global(json_object_get_string(driver), json_object_get_string(property),
                          json_object_get_string(text));
    }
    return true;
}

static bool set_identity(Machine *machine, VmOptions *options, GError **error)
{
    json_object *guest;

    if (json_object_object_get_ex(options->name, "guest", &guest)) {
        machine->vm_name = g_strdup(json_object_get_string(guest));
        error_set_guest_name(machine->vm_name);
    }
    if (options->uuid) {
        if (!parse_uuid(options->uuid, machine->uuid, error)) {
            g_prefix_error(error, "-uuid %s: ", options->uuid);
            return false;
        }
        machine->uuid_set = true;
    }
    return true;
}

/* The board reads these when it describes itself to firmware. */
static bool set_tables(Machine *machine, VmOptions *options, GError **error)
{
    for (unsigned i = 0; i < options->smbios->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->smbios, i);

        g_ptr_array_add(machine->smbios_options, json_object_get(value->json));
    }
    for (unsigned i = 0; i < options->fw_cfg->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->fw_cfg, i);

        g_ptr_array_add(machine->fw_cfg_options, json_object_get(value->json));
    }
    for (unsigned i = 0; i < options->option_rom->len; i++) {
        g_ptr_array_add(machine->option_roms,
                        g_strdup(g_ptr_array_index(options->option_rom, i)));
    }
    for (unsigned i = 0; i < options->acpitable->len; i++) {
        const char *text = g_ptr_array_index(options->acpitable, i);
        GBytes *table = acpi_table_option(text, error);

        if (!table) {
            g_prefix_error(error, "-acpitable %s: ", text);
            return false;
        }
        g_ptr_array_add(machine->acpi_tables, table);
    }
    return true;
}

static void set_display(Machine *machine, const VmOptions *options)
{
    const char *vga = options->vga;

    if (vga && g_str_equal(vga, "none")) {
        return;
    }
    if (vga ? g_str_equal(vga, "std") : !options->no_defaults) {
        machine->vga = g_strdup(machine->ops->default_display);
    }
    machine->graphics &= !options->nographic;
}

static bool for_each_text(Machine *machine, const GPtrArray *texts,
                          bool (*fn)(Machine *machine, const char *text, GError **error),
                          GError **error)
{
    for (unsigned i = 0; i < texts->len; i++) {
        if (!fn(machine, g_ptr_array_index(texts, i), error)) {
            g_prefix_error(error, "%s: ", (const char *)g_ptr_array_index(texts, i));
            return false;
        }
    }
    return true;
}

#define STEP(option, call)                                                                         \
    if (!(call)) {                                                                                 \
        g_prefix_error(error, "%s: ", option);                                                     \
        return false;                                                                              \
    }

bool setup_machine_object(VmOptions *options, GError **error)
{
    json_object *name;
    const TypeInfo *type;
    Machine *machine;

    if (!add_globals(options->global, error)) {
        return false;
    }
    type = json_object_object_get_ex(options->machine, "type", &name)
               ? machine_type_find(json_object_get_string(name), error)
               : default_machine();
    if (!type) {
        g_prefix_error(error, "-machine %s: ", json_object_get_string(name));
        return false;
    }
    machine = (Machine *)object_new_with_type(type);
    if (!object_add_child(object_root(), "machine", OBJECT(machine), error)) {
        return false;
    }
    machine_set_current(machine);
    if (!object_apply_globals(OBJECT(machine), error) ||
        !set_machine_properties(machine, options->machine, error)) {
        return false;
    }
    STEP("-smp", config_smp(machine, options->smp, error));
    STEP("-m", for_each_text(machine, options->memory, machine_set_memory, error));
    STEP("-numa", for_each_text(machine, options->numa, numa_add_option, error));
    STEP("-boot", config_boot(machine, options->boot, error));
    STEP("-rtc", config_rtc(machine, options->rtc, error));
    set_display(machine, options);
    return set_identity(machine, options, error) && set_tables(machine, options, error);
}

/* PC firmware that boots systems from disks is larger: such a ROM is a program of its own. */
#define BARE_ROM_MAX ((off_t)(128 * KiB))

static bool is_bare_rom(const char *path)
{
    struct stat info;

    return path && stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= BARE_ROM_MAX;
}

/*
 * A Linux kernel image is an operating system's, and so is what boots from a disk; other payloads
 * may be small enough for a KVM that interprets privileged code.
 */
static bool needs_ordinary_guest(const Machine *machine, const VmOptions *options)
{
    KernelKind kind;

    if (machine->kernel) {
        return kernel_sniff(machine->kernel, &kind, NULL) && kind == KERNEL_LINUX;
    }
    return (options->drive->len || options->blockdev->len) && !is_bare_rom(machine->firmware);
}

static bool resolve_cpu(Machine *machine, VmOptions *options, GError **error)
{
    const char *initial = machine->ops->default_cpu;
    g_autofree char *model = options->cpu ? g_strdup(options->cpu) : NULL;
    g_autofree X86AccelCaps *caps = g_new0(X86AccelCaps, 1);

    if (!model && !initial) {
        return true;
    }
    if (!model) {
        /* What nobody asked for is not missed. */
        model = g_strconcat(initial, ",check=off", NULL);
    }
    if (!accel_ops()->cpu_caps(accel_current(), caps, error)) {
        return false;
    }
    machine->cpu_config = x86_cpu_config_new(model, caps, error);
    if (!machine->cpu_config) {
        g_prefix_error(error, "-cpu %s: ", model);
        return false;
    }
    return true;
}

/* -overcommit cpu-pm=on. */
static bool get_cpu_pm(const VmOptions *options, bool *on, GError **error)
{
    *on = false;
    return options_switch(options->overcommit, "cpu-pm", on, error);
}

bool setup_accelerator(VmOptions *options, GError **error)
{
    Machine *machine = machine_current();
    AccelConfig config = {
        .irqchip = machine->irqchip < 0 ? machine->ops->default_irqchip
                                        : (AccelIrqchip)machine->irqchip,
        .irqchip_explicit = machine->irqchip >= 0,
        .max_cpus = machine->smp.max_cpus,
        .needs_pit = machine->ops->needs_pit,
    };

    if (!get_cpu_pm(options, &config.cpu_pm, error)) {
        return false;
    }

    g_ptr_array_add(options->accels, NULL);
    return accel_select((const char *const *)options->accels->pdata, &config,
                        !needs_ordinary_guest(machine, options), error) &&
           resolve_cpu(machine, options, error);
}

typedef enum ObjectPhase {
    PHASE_CHARDEVS, /* secrets, TLS credentials and the like: chardevs name them */
    PHASE_MACHINE,
    PHASE_NETWORKS, /* they name networks */
} ObjectPhase;

static ObjectPhase object_phase(json_object *options)
{
    static const struct {
        const char *prefix;
        ObjectPhase phase;
    } table[] = {
        { "secret", PHASE_CHARDEVS },
        { "tls-", PHASE_CHARDEVS },
        { "authz-", PHASE_CHARDEVS },
        { "filter-", PHASE_NETWORKS },
    };
    const char *type = options_member(options, "qom-type");

    for (size_t i = 0; type && i < G_N_ELEMENTS(table); i++) {
        if (g_str_has_prefix(type, table[i].prefix)) {
            return table[i].phase;
        }
    }
    return PHASE_MACHINE;
}

static bool create_objects(const VmOptions *options, ObjectPhase phase, GError **error)
{
    for (unsigned i = 0; i < options->object->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->object, i);

        if (object_phase(value->json) == phase &&
            !user_object_create(value->json, value->text, error)) {
            g_prefix_error(error, "-object: ");
            return false;
        }
    }
    return true;
}

bool setup_early_objects(VmOptions *options, GError **error)
{
    return create_objects(options, PHASE_CHARDEVS, error);
}

bool setup_objects(VmOptions *options, GError **error)
{
    return create_objects(options, PHASE_MACHINE, error);
}

bool setup_filters(VmOptions *options, GError **error)
{
    return create_objects(options, PHASE_NETWORKS, error);
}

static bool setup_ram(VmOptions *options, GError **error)
{
    const MachineRamOptions ram = { .mem_path = options->mem_path,
                                    .prealloc = options->mem_prealloc };

    return machine_create_ram(machine_current(), &ram, error);
}

bool setup_memory(VmOptions *options, GError **error)
{
    Machine *machine = machine_current();

    return setup_ram(options, error) &&
           (!machine->ops->map_memory || machine->ops->map_memory(machine, error));
}

bool setup_board(VmOptions *options, GError **error)
{
    Machine *machine = machine_current();

    return machine->ops->init(machine, error);
}

static bool add_debugcons(VmOptions *options, GError **error)
{
    for (unsigned i = 0; i < options->debugcon->len; i++) {
        g_autofree char *id = g_strdup_printf("debugcon%u", i);
        g_autoptr(Object) dev = object_new("isa-debugcon");

        if (!object_property_set_str(dev, "chardev", id, error) ||
            !device_realize_and_unref((Device *)g_steal_pointer(&dev), NULL, error)) {
            return false;
        }
    }
    return true;
}

bool setup_devices(VmOptions *options, GError **error)
{
    for (unsigned i = 0; i < options->device->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->device, i);

        if (!device_add(value->json, value->text, false, error)) {
            g_prefix_error(error, "-device %s: ",
                           json_object_to_json_string_ext(value->json, JSON_C_TO_STRING_PLAIN));
            return false;
        }
    }
    return setup_drive_devices(error) && add_debugcons(options, error);
}

bool setup_finish(VmOptions *options, GError **error)
{
    Machine *machine = machine_current();

    if (machine->kernel == NULL && (machine->initrd || machine->append)) {
        error_setf(error, "-%s is only of use with -kernel", machine->initrd ? "initrd" : "append");
        return false;
    }
    if (!setup_drives_finish(error)) {
        return false;
    }
    net_check();
    if (machine->ops->done && !machine->ops->done(machine, error)) {
        return false;
    }
    notifier_list_run(machine_done_notifiers(), NULL);
    if (accel_ops()->machine_done && !accel_ops()->machine_done(accel_current(), error)) {
        return false;
    }
    runstate_reset_machine(VM_CAUSE_NONE);
    return true;
}
