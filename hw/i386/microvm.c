/* SPDX-License-Identifier: Apache-2.0 */
/*
 * microvm: the least hardware that boots Linux. Local APICs, one I/O APIC, virtio over MMIO, a
 * serial port, and ACPI with reduced hardware; the legacy chips (8259, 8254, RTC) can be left out.
 * No PCI, and no firmware unless asked for: the kernel starts by PVH or by the 64-bit boot
 * protocol.
 */
#include "accel/vm-events.h"
#include "hw/acpi/ged.h"
#include "hw/core/machine.h"
#include "hw/i386/fw-items.h"
#include "hw/i386/microvm-fdt.h"
#include "hw/i386/x86.h"
#include "hw/misc/vmgenid.h"
#include "hw/virtio/virtio-mmio.h"
#include "util/bits.h"
#include "util/error.h"

#define TYPE_MICROVM_MACHINE "microvm-machine"
#define MICROVM_MAX_LOW_RAM 0xe0000000ULL
#define MICROVM_SPLIT_LOW_RAM 0xc0000000ULL
#define GED_EVENT_ADDRESS 0xfea00000u
#define GED_REGS_ADDRESS 0xfea00200u
#define GED_GSI 9
#define VIRTIO_MMIO_BASE 0xfeb00000u
#define VIRTIO_TRANSPORTS 8
#define VIRTIO_GSI_ACPI 16  /* the I/O APIC's own pins */
#define VIRTIO_GSI_LEGACY 5 /* reachable through the 8259 */
#define LAPIC_ADDRESS 0xfee00000u
#define ACPI_TABLES_BASE 0xe0000 /* where guests look for the RSDP */
#define ACPI_TABLES_LIMIT 0x100000

typedef struct Microvm {
    X86Machine parent_obj;
    int rtc_option;
    bool isa_serial, auto_kernel_cmdline;
    IsaBus *isa;
    Device *transports[VIRTIO_TRANSPORTS];
    uint8_t vmgenid[16];
    uint64_t vmgenid_page; /* where a direct boot puts it */
} Microvm;

static bool has_acpi(const Microvm *microvm)
{
    return x86_option(microvm->parent_obj.acpi, true);
}

static unsigned virtio_gsi(const Microvm *microvm)
{
    return has_acpi(microvm) ? VIRTIO_GSI_ACPI : VIRTIO_GSI_LEGACY;
}

static bool create_timers(Microvm *microvm, GError **error)
{
    X86Machine *x86 = &microvm->parent_obj;
    const X86Timers timers = {
        .pit = x86_option(x86->pit, true),
        .rtc = x86_option(microvm->rtc_option, true),
    };

    return x86_create_timers(x86, microvm->isa, &timers, error);
}

static bool create_virtio(Microvm *microvm, GError **error)
{
    for (unsigned i = 0; i < VIRTIO_TRANSPORTS; i++) {
        Irq irq = microvm->parent_obj.irqchip->gsi[virtio_gsi(microvm) + i];

        microvm->transports[i] = virtio_mmio_new(memory_system(),
                                                 VIRTIO_MMIO_BASE + i * VIRTIO_MMIO_SIZE, irq, i,
                                                 error);
        if (!microvm->transports[i]) {
            return false;
        }
    }
    return true;
}

static bool microvm_map_memory(Machine *machine, GError **error)
{
    X86Machine *x86 = (X86Machine *)machine;
    bool split = machine->ram_size >= MICROVM_MAX_LOW_RAM;

    x86_map_ram(x86, split ? MICROVM_SPLIT_LOW_RAM : MICROVM_MAX_LOW_RAM);
    return x86_check_smm(x86, error) &&
           (!machine->firmware ||
            x86_load_firmware(x86, memory_system(), machine->firmware, error));
}

static bool microvm_init(Machine *machine, GError **error)
{
    Microvm *microvm = (Microvm *)machine;
    X86Machine *x86 = &microvm->parent_obj;
    unsigned irqchip_parts = (x86_option(x86->pic, true) ? PC_IRQCHIP_PIC : 0) |
                             (machine->firmware ? 0 : PC_IRQCHIP_MASKED);

    microvm->isa = isa_bus_new(NULL, memory_system(), memory_io());
    if (!x86_create_cpus(x86, microvm->isa, irqchip_parts, error)) {
        return false;
    }
    x86->fw_cfg = fw_cfg_new_io(memory_io(), FW_CFG_IO_BASE, address_space_memory(),
                                0, error);
    machine->fw_cfg = x86->fw_cfg;
    if (!x86->fw_cfg || !create_timers(microvm, error) || !create_virtio(microvm, error)) {
        return false;
    }
    if (has_acpi(microvm) && !ged_new(memory_system(), GED_EVENT_ADDRESS, GED_REGS_ADDRESS,
                                      x86->irqchip->gsi[GED_GSI], error)) {
        return false;
    }
    return !microvm->isa_serial ||
           x86_create_serial(x86, microvm->isa, error);
}

static bool transport_in_use(const Microvm *microvm, unsigned index)
{
    const Bus *bus = g_ptr_array_index(microvm->transports[index]->buses, 0);

    return bus->children->len > 0;
}

/* " virtio_mmio.device=512@0xfeb00000:16 ..." for guests without ACPI or device tree. */
static char *kernel_cmdline(const Microvm *microvm)
{
    const Machine *machine = &microvm->parent_obj.parent_obj;
    GString *line = g_string_new(machine->append ? machine->append : "");

    if (!microvm->auto_kernel_cmdline || has_acpi(microvm)) {
        return g_string_free(line, FALSE);
    }
    for (unsigned i = 0; i < VIRTIO_TRANSPORTS; i++) {
        if (transport_in_use(microvm, i)) {
            g_string_append_printf(line, " virtio_mmio.device=%u@0x%x:%u", VIRTIO_MMIO_SIZE,
                                   VIRTIO_MMIO_BASE + i * VIRTIO_MMIO_SIZE,
                                   virtio_gsi(microvm) + i);
        }
    }
    return g_string_free(line, FALSE);
}

static void fill_acpi(Microvm *microvm, AcpiConfig *config)
{
    X86Machine *x86 = &microvm->parent_obj;
    const Machine *machine = &x86->parent_obj;

    config->oem_id = x86->oem_id;
    config->oem_table_id = x86->oem_table_id;
    config->cpu_count = machine->smp.max_cpus;
    config->ioapics[0] = (AcpiIoapic){ .id = 0, .addr = IOAPIC_ADDRESS, .gsi_base = 0 };
    config->ioapic_count = 1;
    config->has_8259 = x86_option(x86->pic, true);
    config->irq0_override = true;
    config->hw_reduced = true;
    config->pm.s5_type = GED_S5_TYPE;
    config->ged = (AcpiGed){
        .event_addr = GED_EVENT_ADDRESS,
        .regs_addr = GED_REGS_ADDRESS,
        .irq = GED_GSI,
        .reset_value = GED_RESET_VALUE,
    };
    config->rtc = x86->rtc != NULL;
    x86_isa_ports(microvm->isa, "isa-serial", 4, config->serial, config->serial_irq);
    config->fw_cfg_port = FW_CFG_IO_BASE;
    config->virtio_mmio = (AcpiVirtioMmio){
        .base = VIRTIO_MMIO_BASE,
        .stride = VIRTIO_MMIO_SIZE,
        .irq_base = virtio_gsi(microvm),
        .count = VIRTIO_TRANSPORTS,
    };
    config->numa = machine->numa_nodes != 0;
    config->node_count = machine->numa_nodes;
    config->extra = machine->acpi_tables;
    if (vmgenid_find()) {
        vmgenid_guest_bytes(vmgenid_find(), microvm->vmgenid);
        config->vmgenid = microvm->vmgenid;
        config->vmgenid_address = vmgenid_address_field(vmgenid_find());
    }
}

static void place_vmgenid(void *opaque)
{
    const Microvm *microvm = opaque;

    vmgenid_place(vmgenid_find(), microvm->vmgenid_page);
}

/*
 * Where no firmware runs there is still one caller of it: a hardware-reduced Linux without EFI
 * restarts by jumping to F000:FFF0. What it finds there brings CS to F000, loads an empty IDT and
 * traps, which is a triple fault and so a reset.
 */
#define RESTART_STUB_ADDRESS 0xfffe0u
static const uint8_t restart_stub[] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* FFE0: IDT of no bytes */
    0xea, 0xf5, 0xff, 0x00, 0xf0,                   /* FFF0: ljmp $0xf000, $0xfff5 */
    0x2e, 0x0f, 0x01, 0x1e, 0xe0, 0xff,             /* FFF5: lidt %cs:0xffe0 */
    0xcc,                                           /* FFFB: int3 */
};

static GBytes *device_tree(const Microvm *microvm, const char *bootargs, GError **error)
{
    const X86Machine *x86 = &microvm->parent_obj;
    uint16_t ports[4];
    uint8_t irqs[4];
    bool present[VIRTIO_TRANSPORTS];
    MicrovmFdtConfig config = {
        .bootargs = bootargs,
        .cpu_count = x86->parent_obj.smp.cpus,
        .ioapic_address = IOAPIC_ADDRESS,
        .lapic_address = LAPIC_ADDRESS,
        .rtc = x86->rtc != NULL,
        .virtio_base = VIRTIO_MMIO_BASE,
        .virtio_stride = VIRTIO_MMIO_SIZE,
        .virtio_gsi = virtio_gsi(microvm),
        .virtio_present = present,
        .virtio_count = VIRTIO_TRANSPORTS,
    };

    for (unsigned i = 0; i < VIRTIO_TRANSPORTS; i++) {
        present[i] = transport_in_use(microvm, i);
    }
    x86_isa_ports(microvm->isa, "isa-serial", 4, ports, irqs);
    config.serial = ports[0] != 0;
    return microvm_fdt_build(&config, error);
}

static GBytes *microvm_device_tree(Machine *machine, GError **error)
{
    const Microvm *microvm = (Microvm *)machine;
    g_autofree char *cmdline = kernel_cmdline(microvm);

    return device_tree(microvm, cmdline, error);
}

/* -machine dumpdtb=FILE: write the tree instead of running. */
static bool dump_device_tree(Microvm *microvm, GError **error)
{
    Machine *machine = &microvm->parent_obj.parent_obj;
    g_autoptr(GBytes) fdt = microvm_device_tree(machine, error);
    gsize size;
    const char *data;

    if (!fdt) {
        return false;
    }
    data = g_bytes_get_data(fdt, &size);
    if (!g_file_set_contents(machine->dumpdtb, data, size, error)) {
        return false;
    }
    vm_request_shutdown(VM_CAUSE_HOST_UI);
    return true;
}

/* A kernel that gets no ACPI tables is told by device tree, if it takes one. */
static bool wants_device_tree(const Microvm *microvm)
{
    const Machine *machine = &microvm->parent_obj.parent_obj;
    KernelKind kind;

    return !has_acpi(microvm) && !machine->dtb && kernel_sniff(machine->kernel, &kind, NULL) &&
           kind == KERNEL_LINUX;
}

static bool start_directly(Microvm *microvm, const AcpiConfig *acpi, GError **error)
{
    X86Machine *x86 = &microvm->parent_obj;
    const Machine *machine = &x86->parent_obj;
    g_autofree char *cmdline = kernel_cmdline(microvm);
    g_autoptr(AcpiTables) tables = acpi ? acpi_build(acpi, error) : NULL;
    g_autoptr(DirectBoot) boot = NULL;
    g_autoptr(GBytes) stub = g_bytes_new_static(restart_stub, sizeof(restart_stub));
    g_autoptr(GBytes) fdt = NULL;
    DirectBoot *kernel;
    g_autoptr(E820Map) map = e820_copy(x86->e820);
    uint64_t rsdp = 0, end;
    KernelConfig config = {
        .kernel = machine->kernel,
        .initrd = machine->initrd,
        .append = cmdline,
        .dtb = machine->dtb,
        .e820 = map,
    };

    if (acpi && !tables) {
        return false;
    }
    e820_carve(map, ACPI_TABLES_BASE, ACPI_TABLES_LIMIT - ACPI_TABLES_BASE, E820_ACPI);
    boot = direct_boot_new();
    if (tables && !acpi_place(tables, boot, ACPI_TABLES_BASE, RESTART_STUB_ADDRESS, &rsdp,
                              &end, error)) {
        return false;
    }
    config.rsdp = rsdp;
    if (wants_device_tree(microvm) && !(fdt = device_tree(microvm, cmdline, error))) {
        return false;
    }
    config.fdt = fdt;
    kernel = kernel_boot_direct(&config, error);
    if (!kernel) {
        return false;
    }
    for (unsigned i = 0; i < boot->blobs->len; i++) {
        const BootBlob *blob = &g_array_index(boot->blobs, BootBlob, i);

        direct_boot_add(kernel, blob->name, blob->addr, blob->data);
    }
    direct_boot_add(kernel, "restart stub", RESTART_STUB_ADDRESS, stub);
    x86_set_direct_boot(x86, kernel);
    if (tables && acpi_tables_vmgenid_addr(tables)) {
        microvm->vmgenid_page = acpi_tables_vmgenid_addr(tables);
        reset_register(place_vmgenid, microvm);
    }
    return true;
}

static bool publish_items(X86Machine *x86, GError **error)
{
    const FwItemsConfig items = {
        .e820 = x86->e820,
        .apic_id_limit = x86_apic_id_limit(x86),
        .irq0_override = true,
    };

    return fw_items_add(x86->fw_cfg, &x86->parent_obj, &items, error);
}

static bool start_by_firmware(X86Machine *x86, const AcpiConfig *acpi, GError **error)
{
    return (!acpi || acpi_publish(x86->fw_cfg, acpi, NULL, NULL, error)) &&
           (!x86->parent_obj.kernel || x86_load_kernel_fw_cfg(x86, error));
}

static bool microvm_done(Machine *machine, GError **error)
{
    Microvm *microvm = (Microvm *)machine;
    X86Machine *x86 = &microvm->parent_obj;
    AcpiConfig config = { 0 };
    const AcpiConfig *acpi = has_acpi(microvm) ? &config : NULL;
    g_autofree AcpiCpu *cpus = x86_acpi_cpus(x86);
    g_autofree AcpiMemory *memory = x86_numa_memory(x86, &config.memory_count);
    g_autofree uint8_t *distance = x86_numa_distances(x86);

    config.cpus = cpus;
    config.memory = memory;
    config.distance = distance;
    fill_acpi(microvm, &config);
    if (machine->dumpdtb) {
        return dump_device_tree(microvm, error);
    }
    if (!publish_items(x86, error)) {
        return false;
    }
    if (machine->firmware) {
        return start_by_firmware(x86, acpi, error);
    }
    return !machine->kernel || start_directly(microvm, acpi, error);
}

static const Property microvm_properties[] = {
    PROP_ON_OFF_AUTO("rtc", Microvm, rtc_option, PROP_AUTO, "real-time clock"),
    PROP_BOOL("isa-serial", Microvm, isa_serial, true, "serial ports"),
    PROP_BOOL("auto-kernel-cmdline", Microvm, auto_kernel_cmdline, true,
              "add virtio-mmio devices to the kernel's command line"),
    PROP_END,
};

static const MachineOps microvm_ops = {
    .max_cpus = 288,
    .default_cpu = "qemu64",
    .default_ram_size = 128 * MiB,
    .default_ram_id = "microvm.ram",
    .no_parallel = true,
    .no_floppy = true,
    .no_cdrom = true,
    .no_firmware_default = true,
    .default_irqchip = ACCEL_IRQCHIP_ON,
    .needs_pit = true,
    .map_memory = microvm_map_memory,
    .init = microvm_init,
    .done = microvm_done,
    .device_tree = microvm_device_tree,
    .nmi = x86_inject_nmi,
};

static const TypeInfo microvm_info = {
    .name = TYPE_MICROVM_MACHINE,
    .parent = TYPE_X86_MACHINE,
    .description = "microvm (i386)",
    .instance_size = sizeof(Microvm),
    .properties = microvm_properties,
    .ops = &microvm_ops,
};
QOM_TYPE(microvm_info);
