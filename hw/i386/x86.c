/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that the x86 boards share: RAM, firmware image, topology, NUMA, direct boot. */
#include "hw/i386/x86.h"

#include "hw/i386/smbios.h"
#include "accel/vm-events.h"
#include "util/bits.h"
#include "util/datadir.h"
#include "util/error.h"

#define FIRMWARE_MAX (16 * MiB)

void x86_map_ram(X86Machine *machine, uint64_t max_low)
{
    MemoryRegion *ram = machine->parent_obj.ram;
    uint64_t size = memory_region_size(ram);
    uint64_t low = size;

    if (machine->max_ram_below_4g) {
        max_low = machine->max_ram_below_4g;
    }
    if (size >= max_low) {
        low = MIN(size, max_low > GiB ? ROUND_DOWN(max_low, GiB) : max_low);
    }
    machine->below_4g = low;
    machine->above_4g = size - low;
    machine->e820 = e820_new();
    machine->ram_low = memory_region_new_alias(OBJECT(machine), "ram-below-4g", ram, 0, low);
    memory_region_add(memory_system(), 0, machine->ram_low);
    e820_add(machine->e820, 0, low, E820_RAM);
    if (accel_is("kvm")) {
        e820_add(machine->e820, ACCEL_RESERVED_BASE, ACCEL_RESERVED_SIZE, E820_RESERVED);
    }
    if (machine->above_4g) {
        machine->ram_high = memory_region_new_alias(OBJECT(machine), "ram-above-4g", ram, low,
                                                    machine->above_4g);
        memory_region_add(memory_system(), 4 * GiB, machine->ram_high);
        e820_add(machine->e820, 4 * GiB, machine->above_4g, E820_RAM);
    }
}

bool x86_check_smm(const X86Machine *machine, GError **error)
{
    if (machine->smm == PROP_ON && !accel_has_smm()) {
        error_setf(error, "-machine smm=on: accelerator '%s' has no system management mode here",
                   accel_ops()->name);
        return false;
    }
    return true;
}

bool x86_has_smm(const X86Machine *machine)
{
    return x86_option(machine->smm, accel_has_smm());
}

X86Topology x86_topology(const X86Machine *machine)
{
    const SmpConfig *smp = &machine->parent_obj.smp;

    return (X86Topology){ smp->sockets, smp->dies, smp->cores, smp->threads };
}

uint32_t x86_apic_id_limit(const X86Machine *machine)
{
    X86Topology topology = x86_topology(machine);

    return x86_apic_id(&topology, machine->parent_obj.smp.max_cpus - 1) + 1;
}

unsigned x86_cpu_node(const X86Machine *machine, unsigned index)
{
    const Machine *base = &machine->parent_obj;

    for (unsigned node = 0; node < base->numa_nodes; node++) {
        const GArray *cpus = base->numa[node].cpus;

        for (unsigned i = 0; cpus && i < cpus->len; i++) {
            if (g_array_index(cpus, unsigned, i) == index) {
                return node;
            }
        }
    }
    return 0;
}

AcpiCpu *x86_acpi_cpus(const X86Machine *machine)
{
    const Machine *base = &machine->parent_obj;
    X86Topology topology = x86_topology(machine);
    AcpiCpu *cpus = g_new0(AcpiCpu, base->smp.max_cpus);

    for (unsigned i = 0; i < base->smp.max_cpus; i++) {
        cpus[i] = (AcpiCpu){
            .apic_id = x86_apic_id(&topology, i),
            .node = x86_cpu_node(machine, i),
            .present = vcpu_get(i) != NULL,
        };
    }
    return cpus;
}

/* Add [base, base + size) of RAM to the list for a node, cut where the hole splits it. */
static void add_node_range(const X86Machine *machine, GArray *out, unsigned node, uint64_t start,
                           uint64_t size)
{
    uint64_t low = start < machine->below_4g ? MIN(size, machine->below_4g - start) : 0;
    AcpiMemory memory = { .node = node };

    if (low) {
        memory.range = (AcpiRange){ start, low };
        g_array_append_val(out, memory);
    }
    if (size > low) {
        memory.range = (AcpiRange){ 4 * GiB + (start + low - machine->below_4g), size - low };
        g_array_append_val(out, memory);
    }
}

AcpiMemory *x86_numa_memory(const X86Machine *machine, unsigned *count)
{
    const Machine *base = &machine->parent_obj;
    GArray *out;
    uint64_t start = 0;

    if (!base->numa_nodes) {
        *count = 0;
        return NULL;
    }
    out = g_array_new(FALSE, TRUE, sizeof(AcpiMemory));
    for (unsigned node = 0; node < base->numa_nodes; node++) {
        add_node_range(machine, out, node, start, base->numa[node].mem);
        start += base->numa[node].mem;
    }
    if (base->device_memory.region) {
        const AcpiMemory later = {
            .range = { base->device_memory.base, base->device_memory.size },
            .node = base->numa_nodes - 1, .hotpluggable = true,
        };

        g_array_append_val(out, later);
    }
    *count = out->len;
    return (AcpiMemory *)g_array_free(out, FALSE);
}

uint8_t *x86_numa_distances(const X86Machine *machine)
{
    const Machine *base = &machine->parent_obj;
    unsigned nodes = base->numa_nodes;
    g_autofree uint8_t *matrix = g_malloc0((gsize)nodes * nodes + 1);
    bool any = false;

    for (unsigned i = 0; i < nodes; i++) {
        for (unsigned j = 0; j < nodes; j++) {
            uint8_t distance = base->numa[i].distance[j];

            any |= distance != 0;
            matrix[i * nodes + j] = distance ? distance : i == j ? 10 : 20;
        }
    }
    return any ? g_steal_pointer(&matrix) : NULL;
}

static void direct_boot_reset(void *opaque)
{
    X86Machine *machine = opaque;
    g_autoptr(GError) error = NULL;
    VCpu *cpu = vcpu_get(0);

    if (!direct_boot_write(machine->direct, address_space_memory(), &error)) {
        error_report("%s", error->message);
        vm_request_shutdown(VM_CAUSE_HOST_ERROR);
        return;
    }
    if (cpu) {
        direct_boot_apply(machine->direct, &cpu->state);
        vcpu_state_changed(cpu);
    }
}

void x86_set_direct_boot(X86Machine *machine, DirectBoot *boot)
{
    machine->direct = boot;
    reset_register(direct_boot_reset, machine);
}

bool x86_inject_nmi(Machine *machine, GError **error)
{
    for (VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        apic_deliver_nmi(cpu);
    }
    return true;
}

bool x86_publish_smbios(X86Machine *machine, const char *product, GError **error)
{
    const Machine *base = &machine->parent_obj;
    const SmpConfig *smp = &base->smp;
    const SmbiosConfig config = {
        .manufacturer = "Vireo",
        .product = product,
        .version = base->parent_obj.type->name,
        .uuid = base->uuid_set ? base->uuid : NULL,
        .cpus = smp->max_cpus,
        .sockets = smp->sockets,
        .cores = smp->cores * smp->dies,
        .threads = smp->threads,
        .cpu_signature = x86_cpu_config_signature(base->cpu_config),
        .cpu_features = x86_cpu_config_word(base->cpu_config, X86_FEAT_1_EDX),
        .cpu_version = base->parent_obj.type->name,
        .ram_size = base->ram_size,
        .e820 = machine->e820,
        .options = base->smbios_options,
    };
    g_autoptr(SmbiosTables) tables = smbios_build(&config, error);

    return tables && smbios_publish(tables, machine->fw_cfg, error);
}

static char *find_boot_rom(const char *name)
{
    return datadir_find(name, NULL);
}

bool x86_load_kernel_fw_cfg(X86Machine *machine, GError **error)
{
    const Machine *base = &machine->parent_obj;
    const KernelConfig config = {
        .kernel = base->kernel,
        .initrd = base->initrd,
        .append = base->append,
        .dtb = base->dtb,
        .e820 = machine->e820,
        .reserved_top = 0x20000, /* what SeaBIOS keeps for ACPI tables below the end of low RAM */
        .find_rom = find_boot_rom,
    };

    return kernel_boot_fw_cfg(&config, machine->fw_cfg, error);
}

bool x86_load_firmware(X86Machine *machine, MemoryRegion *space, const char *name, GError **error)
{
    g_autofree char *path = datadir_find(name, error);
    g_autofree char *image = NULL;
    MemoryRegion *bios, *low;
    uint64_t low_size;
    gsize size;

    if (!path || !g_file_get_contents(path, &image, &size, error)) {
        return false;
    }
    if (size == 0 || size > FIRMWARE_MAX || !IS_ALIGNED(size, 64 * KiB)) {
        error_setf(error, "Firmware image '%s' has %zu bytes; a multiple of 64 KiB up to 16 MiB is "
                   "possible", path, size);
        return false;
    }
    bios = memory_region_new_rom(OBJECT(machine), "pc.bios", size, error);
    if (!bios) {
        return false;
    }
    memcpy(memory_region_ram_ptr(bios), image, size);
    memory_region_add(space, 4 * GiB - size, bios);
    low_size = MIN(size, X86_ISA_BIOS_MAX);
    low = memory_region_new_alias(OBJECT(machine), "isa-bios", bios, size - low_size, low_size);
    memory_region_add_overlap(space, MiB - low_size, low, 1);
    return true;
}

typedef struct SerialPort {
    uint16_t port;
    uint8_t irq;
} SerialPort;

static const SerialPort com_ports[4] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

static uint64_t get_number(Object *obj, const char *property)
{
    json_object *value = object_property_get(obj, property, NULL);
    uint64_t number = json_object_get_uint64(value);

    json_object_put(value);
    return number;
}

void x86_isa_ports(IsaBus *isa, const char *type, unsigned max, uint16_t *ports, uint8_t *irqs)
{
    const GPtrArray *devices = ((Bus *)isa)->children;

    memset(ports, 0, max * sizeof(*ports));
    memset(irqs, 0, max * sizeof(*irqs));
    for (unsigned i = 0; i < devices->len; i++) {
        Object *obj = g_ptr_array_index(devices, i);
        uint64_t index = object_is_a(obj, type) ? get_number(obj, "index") : max;

        if (index < max) {
            ports[index] = get_number(obj, "iobase");
            irqs[index] = get_number(obj, "irq");
        }
    }
}

bool x86_create_serial(X86Machine *machine, IsaBus *isa, GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(com_ports); i++) {
        const char *chardev = machine->parent_obj.serial[i];
        g_autoptr(Object) dev = NULL;

        if (!chardev) {
            continue;
        }
        dev = object_new("isa-serial");
        if (!object_property_set_str(dev, "chardev", chardev, error) ||
            !object_property_set_int(dev, "iobase", com_ports[i].port, error) ||
            !object_property_set_int(dev, "irq", com_ports[i].irq, error) ||
            !object_property_set_int(dev, "index", i, error) ||
            !device_realize_and_unref((Device *)g_steal_pointer(&dev), (Bus *)isa, error)) {
            return false;
        }
    }
    return true;
}

static void x86_machine_finalize(Object *obj)
{
    X86Machine *machine = (X86Machine *)obj;

    g_clear_pointer(&machine->e820, e820_free);
    g_clear_pointer(&machine->direct, direct_boot_free);
    g_free(machine->irqchip);
}

static const Property x86_properties[] = {
    PROP_ON_OFF_AUTO("acpi", X86Machine, acpi, PROP_AUTO, "ACPI tables and power button"),
    PROP_ON_OFF_AUTO("pit", X86Machine, pit, PROP_AUTO, "8254 interval timer"),
    PROP_ON_OFF_AUTO("pic", X86Machine, pic, PROP_AUTO, "8259 interrupt controllers"),
    PROP_ON_OFF_AUTO("smm", X86Machine, smm, PROP_AUTO, "system management mode"),
    PROP_STRING("x-oem-id", X86Machine, oem_id, NULL, "OEM id in ACPI tables, up to 6 characters"),
    PROP_STRING("x-oem-table-id", X86Machine, oem_table_id, NULL,
                "OEM table id in ACPI tables, up to 8 characters"),
    PROP_SIZE("max-ram-below-4g", X86Machine, max_ram_below_4g, 0,
              "RAM below 4 GiB at most; the rest goes above"),
    PROP_END,
};

static const TypeInfo x86_machine_info = {
    .name = TYPE_X86_MACHINE,
    .parent = TYPE_MACHINE,
    .description = "any x86 machine",
    .instance_size = sizeof(X86Machine),
    .is_abstract = true,
    .properties = x86_properties,
    .instance_finalize = x86_machine_finalize,
};
QOM_TYPE(x86_machine_info);
