/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC of 1996: i440FX host bridge, PIIX3 south bridge, PIIX4 power management, ISA devices,
 * SeaBIOS.
 *
 * Guest-physical layout: RAM from 0 (with the VGA window and the option ROM area overlaid by PCI
 * as PAM says), PCI's 32-bit window from the end of low RAM to the I/O APIC at 0xFEC00000,
 * firmware below 4 GiB, the rest of RAM above, memory that is plugged, and then PCI's 64-bit
 * window.
 */
#include "hw/acpi/cpu-hotplug.h"
#include "hw/acpi/memory-hotplug.h"
#include "hw/acpi/pci-hotplug.h"
#include "hw/acpi/piix4-pm.h"
#include "hw/core/machine.h"
#include "hw/dma/i8257.h"
#include "hw/i386/fw-items.h"
#include "hw/i386/pc-flash.h"
#include "hw/i386/pc-storage.h"
#include "hw/i386/x86.h"
#include "hw/isa/piix3.h"
#include "hw/misc/pvpanic.h"
#include "hw/misc/vmgenid.h"
#include "hw/net/pci-nics.h"
#include "hw/pci-host/i440fx.h"
#include "hw/timer/hpet.h"
#include "util/bits.h"
#include "util/error.h"

#define TYPE_PC_MACHINE "pc-i440fx-7.2-machine"
#define PC_MAX_LOW_RAM 0xe0000000ULL
#define PC_SPLIT_LOW_RAM 0xc0000000ULL
#define PCI_WINDOW_END 0xfec00000ULL
#define PCI_WINDOW64_SIZE (32 * GiB)
#define LOW_OVERLAY_BASE 0xa0000
#define LOW_OVERLAY_SIZE 0x60000
#define RESET_CONTROL_PORT 0xcf9
#define BOOT_DEVICES 3

struct PcAcpiData;

typedef struct PcMachine {
    X86Machine parent_obj;
    MemoryRegion *pci_memory, *pci_low_overlay, *pci_low_nothing;
    MemoryRegion *smm; /* borrowed; NULL without SMM */
    PciBus *pci;
    IsaBus *isa;
    PciDevice *pm;
    PcStorage storage;
    PcFlash flash;
    struct PcAcpiData *acpi; /* what the tables were built from */
    bool hpet;
} PcMachine;

/* What PCI answers below 1 MiB where no device does: nothing. RAM must not show through. */
static const MemoryRegionOps nothing_ops = { .read = NULL, .write = NULL };

static bool pc_map_memory(Machine *machine, GError **error)
{
    PcMachine *pc = (PcMachine *)machine;
    MemoryRegion *system = memory_system();
    bool split = machine->ram_size >= PC_MAX_LOW_RAM;

    x86_map_ram(&pc->parent_obj, split ? PC_SPLIT_LOW_RAM : PC_MAX_LOW_RAM);
    if (!x86_map_device_memory(&pc->parent_obj, error) ||
        !x86_check_smm(&pc->parent_obj, error)) {
        return false;
    }
    if (x86_has_smm(&pc->parent_obj)) {
        pc->smm = memory_smm_init();
    }
    pc->pci_memory = memory_region_new_container(OBJECT(pc), "pci", 0);
    memory_region_add_overlap(system, 0, pc->pci_memory, -1);
    /* Below 1 MiB PCI wins over RAM unless PAM says otherwise. */
    pc->pci_low_overlay = memory_region_new_alias(OBJECT(pc), "pci-low", pc->pci_memory,
                                                  LOW_OVERLAY_BASE, LOW_OVERLAY_SIZE);
    memory_region_add_overlap(system, LOW_OVERLAY_BASE, pc->pci_low_overlay, 1);
    pc->pci_low_nothing = memory_region_new_io(OBJECT(pc), &nothing_ops, NULL, "pci-low-nothing",
                                               LOW_OVERLAY_SIZE);
    memory_region_add_overlap(pc->pci_memory, LOW_OVERLAY_BASE, pc->pci_low_nothing, -1);
    if (!pc_flash_create(&pc->flash, machine, pc->pci_memory, pc->smm, error)) {
        return false;
    }
    return pc->flash.has_firmware ||
           x86_load_firmware(&pc->parent_obj, pc->pci_memory,
                             machine->firmware ? machine->firmware : "bios-256k.bin", error);
}

static bool create_pci(PcMachine *pc, GError **error)
{
    const I440fxConfig config = {
        .system_memory = memory_system(),
        .pci_memory = pc->pci_memory,
        .io = memory_io(),
        .ram = pc->parent_obj.parent_obj.ram,
        .smm = pc->smm,
    };

    pc->pci = i440fx_new(&config, error);
    if (!pc->pci) {
        return false;
    }
    pc->isa = piix3_new(pc->pci, PCI_DEVFN(1, 0), pc->pci_memory, memory_io(), error);
    return pc->isa != NULL;
}

static bool create_timers(PcMachine *pc, GError **error)
{
    X86Machine *x86 = &pc->parent_obj;
    const X86Timers timers = { .pit = x86_option(x86->pit, true), .rtc = true, .hpet = pc->hpet };

    return x86_create_timers(x86, pc->isa, &timers, error);
}

static void drive_a20(void *opaque, int n, bool level)
{
    accel_set_a20(level);
}

static void drive_ignne(void *opaque, int n, bool level)
{
    accel_set_ignne(level);
}

static void drive_ferr(void *opaque)
{
    device_set_irq_in(opaque, "ferr", 0, true);
}

static bool create_x87_latch(PcMachine *pc, GError **error)
{
    Device *latch = device_create("port-f0", (Bus *)pc->isa, error);

    if (!latch) {
        return false;
    }
    device_connect_irq_out(latch, "ignne", 0, (Irq){ .fn = drive_ignne });
    accel_connect_ferr(drive_ferr, latch);
    return true;
}

/* ISA devices that every PC has; both gate A20. */
static const char *const isa_parts[] = { "i8042", "port92" };

static bool create_isa_devices(PcMachine *pc, GError **error)
{
    X86Machine *x86 = &pc->parent_obj;

    if (!i8257_new(pc->isa, error)) {
        return false;
    }

    for (unsigned i = 0; i < G_N_ELEMENTS(isa_parts); i++) {
        Device *dev = device_create(isa_parts[i], (Bus *)pc->isa, error);

        if (!dev) {
            return false;
        }
        device_connect_irq_out(dev, "a20", 0, (Irq){ .fn = drive_a20 });
    }
    if (!create_x87_latch(pc, error) || !x86_create_serial(x86, pc->isa, error)) {
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(x86->parent_obj.parallel); i++) {
        const char *chardev = x86->parent_obj.parallel[i];
        g_autoptr(Object) dev = NULL;

        if (!chardev) {
            continue;
        }
        dev = object_new("isa-parallel");
        if (!object_property_set_str(dev, "chardev", chardev, error) ||
            !object_property_set_int(dev, "index", i, error) ||
            !device_realize_and_unref((Device *)g_steal_pointer(&dev), (Bus *)pc->isa, error)) {
            return false;
        }
    }
    return true;
}

static void raise_smi(void *opaque, int n, bool level)
{
    if (level && vcpu_get(0)) {
        vcpu_set_irq(vcpu_get(0), VCPU_IRQ_SMI, true);
    }
}

static bool create_power_management(PcMachine *pc, GError **error)
{
    X86Machine *x86 = &pc->parent_obj;

    if (!x86_option(x86->acpi, true)) {
        return true;
    }
    pc->pm = piix4_pm_new(pc->pci, PCI_DEVFN(1, 3), memory_io(), x86->irqchip->gsi[PIIX4_SCI_IRQ],
                          x86_has_smm(x86), error);
    if (!pc->pm) {
        return false;
    }
    device_connect_irq_out((Device *)pc->pm, "smi", 0, (Irq){ .fn = raise_smi });
    x86->cpu_hotplug = acpi_cpu_hotplug_new(memory_io(), x86->parent_obj.smp.max_cpus,
                                            piix4_pm_acpi(pc->pm), error);
    if (x86->cpu_hotplug && x86->parent_obj.ram_slots) {
        x86->memory_hotplug = acpi_memory_hotplug_new(memory_io(), x86->parent_obj.ram_slots,
                                                      piix4_pm_acpi(pc->pm), error);
        return x86->memory_hotplug != NULL;
    }
    return x86->cpu_hotplug != NULL;
}

static bool pc_init(Machine *machine, GError **error)
{
    PcMachine *pc = (PcMachine *)machine;
    X86Machine *x86 = &pc->parent_obj;

    if (!create_pci(pc, error) ||
        !x86_create_cpus(x86, pc->isa, x86_option(x86->pic, true) ? PC_IRQCHIP_PIC : 0, error)) {
        return false;
    }
    piix3_connect_irqs(pc->isa, x86->irqchip->gsi);
    x86->fw_cfg = fw_cfg_new_io(memory_io(), FW_CFG_IO_BASE, address_space_memory(),
                                0, error);
    machine->fw_cfg = x86->fw_cfg;
    return x86->fw_cfg &&
           (!machine->vga || pci_create(pc->pci, -1, machine->vga, error)) &&
           pci_nics_create(pc->pci, machine->ops->default_nic, error) &&
           create_timers(pc, error) && create_isa_devices(pc, error) &&
           pc_storage_create(&pc->storage, pc->pci, pc->isa, memory_io(), x86->irqchip->gsi,
                             error) &&
           create_power_management(pc, error);
}

/* ---- what firmware is told ---- */

static void set_cmos_size(PcMachine *pc, uint8_t at, uint64_t value, uint64_t max, unsigned bytes)
{
    value = MIN(value, max);
    for (unsigned i = 0; i < bytes; i++) {
        rtc_set_cmos(pc->parent_obj.rtc, at + i, value >> (8 * i));
    }
}

/* The CMOS cells that PC firmware knows (RBIL, CMOS memory map). */
static void fill_cmos(PcMachine *pc)
{
    const X86Machine *x86 = &pc->parent_obj;
    uint64_t low = x86->below_4g;

    set_cmos_size(pc, 0x15, 640, 640, 2);
    set_cmos_size(pc, 0x17, low > MiB ? (low - MiB) / KiB : 0, 65535, 2);
    set_cmos_size(pc, 0x30, low > MiB ? (low - MiB) / KiB : 0, 65535, 2);
    set_cmos_size(pc, 0x34, low > 16 * MiB ? (low - 16 * MiB) / (64 * KiB) : 0, 65535, 2);
    set_cmos_size(pc, 0x5b, x86->above_4g / (64 * KiB), 0xffffff, 3);
    pc_storage_fill_cmos(&pc->storage, pc->parent_obj.rtc);
    x86_publish_cpu_count(&pc->parent_obj);
}

/* A boot letter's code in CMOS 0x3d and 0x38; 0 for none. Both floppies are one to firmware. */
static unsigned boot_code(char letter)
{
    static const char letters[] = "acdn";
    const char *at = letter ? strchr(letters, letter == 'b' ? 'a' : letter) : NULL;

    return at ? at - letters + 1 : 0;
}

static bool check_boot_order(const char *letters, GError **error)
{
    if (letters && strlen(letters) > BOOT_DEVICES) {
        error_setf(error, "Too many boot devices for PC: '%s'; its firmware knows of %d", letters,
                   BOOT_DEVICES);
        return false;
    }
    for (const char *p = letters; p && *p; p++) {
        if (!boot_code(*p)) {
            error_setf(error, "Invalid boot device for PC: '%c'; use a or b (floppy), c (disk), d "
                       "(CD-ROM), n (network)", *p);
            return false;
        }
    }
    return true;
}

static void set_boot_order(PcMachine *pc, const char *order)
{
    unsigned first = boot_code(order[0]);
    unsigned second = first ? boot_code(order[1]) : 0;
    unsigned third = second ? boot_code(order[2]) : 0;

    rtc_set_cmos(pc->parent_obj.rtc, 0x3d, first | second << 4);
    rtc_set_cmos(pc->parent_obj.rtc, 0x38, third << 4 | 1); /* bit 0: no floppy signature check */
}

typedef struct PcAcpiData {
    AcpiCpu *cpus;
    AcpiMemory *memory;
    uint8_t *distance;
    uint8_t vmgenid[16];
} PcAcpiData;

static void pc_acpi_data_free(PcAcpiData *data)
{
    if (!data) {
        return;
    }
    g_free(data->cpus);
    g_free(data->memory);
    g_free(data->distance);
    g_free(data);
}

static const AcpiPm pc_acpi_pm = {
    .pm_base = PIIX4_PM_BASE,
    .gpe0 = PIIX4_GPE0_BASE,
    .gpe0_len = ACPI_GPE_SIZE,
    .smi_cmd = PIIX4_SMI_COMMAND,
    .acpi_enable = PIIX4_ACPI_ENABLE,
    .acpi_disable = PIIX4_ACPI_DISABLE,
    .sci_irq = PIIX4_SCI_IRQ,
    .s3 = true,
    .s4 = true,
    .s3_type = PIIX4_S3_TYPE,
    .s4_type = PIIX4_S4_TYPE,
    .s5_type = PIIX4_S5_TYPE,
};

/* For the tables as the machine is now. */
static void fill_acpi(void *opaque, AcpiConfig *config)
{
    PcMachine *pc = opaque;
    PcAcpiData *data = g_new0(PcAcpiData, 1);
    X86Machine *x86 = &pc->parent_obj;
    const Machine *machine = &x86->parent_obj;
    const AcpiPmState *pm = piix4_pm_acpi(pc->pm);
    VmGenId *genid = vmgenid_find();

    pc_acpi_data_free(pc->acpi);
    pc->acpi = data;
    data->cpus = x86_acpi_cpus(x86);
    data->memory = x86_numa_memory(x86, &config->memory_count);
    data->distance = x86_numa_distances(x86);
    config->oem_id = x86->oem_id;
    config->oem_table_id = x86->oem_table_id;
    config->cpus = data->cpus;
    config->cpu_count = machine->smp.max_cpus;
    config->cpu_hotplug = true;
    config->memory_slots = x86->memory_hotplug ? machine->ram_slots : 0;
    config->ioapics[0] = (AcpiIoapic){ .id = 0, .addr = IOAPIC_ADDRESS, .gsi_base = 0 };
    config->ioapic_count = 1;
    config->has_8259 = x86_option(x86->pic, true);
    config->irq0_override = true;
    config->pm = pc_acpi_pm;
    config->pm.pm_base = piix4_pm_base(pc->pm);
    config->pm.s3 = pm->s3;
    config->pm.s4 = pm->s4;
    config->reset_port = RESET_CONTROL_PORT;
    config->pci = (AcpiPci){
        .present = true,
        .isa_slot = 1,
        .window32 = { x86->below_4g, PCI_WINDOW_END - x86->below_4g },
        .window64 = { x86_memory_end(x86), PCI_WINDOW64_SIZE },
        .hotplug_slots = piix4_pm_has_pci_hotplug(pc->pm) ? acpi_pci_hotplug_slots(pc->pci) : 0,
    };
    config->rtc = true;
    config->i8042 = true;
    pc_storage_fill_acpi(&pc->storage, config);
    x86_isa_ports(pc->isa, "isa-serial", 4, config->serial, config->serial_irq);
    x86_isa_ports(pc->isa, "isa-parallel", 3, config->parallel, config->parallel_irq);
    config->hpet = pc->hpet;
    config->hpet_addr = HPET_ADDRESS;
    config->fw_cfg_port = FW_CFG_IO_BASE;
    config->pvpanic_port = pvpanic_isa_port();
    config->numa = machine->numa_nodes != 0;
    config->node_count = machine->numa_nodes;
    config->memory = data->memory;
    config->distance = data->distance;
    if (genid) {
        vmgenid_guest_bytes(genid, data->vmgenid);
        config->vmgenid = data->vmgenid;
        config->vmgenid_address = vmgenid_address_field(genid);
    }
    config->extra = machine->acpi_tables;
}

static void vmgenid_changed(void *opaque, int n, bool level)
{
    if (level) {
        acpi_pm_send_gpe(opaque, ACPI_VMGENID_GPE);
    }
}

static bool publish_acpi(PcMachine *pc, GError **error)
{
    VmGenId *genid = vmgenid_find();
    AcpiConfig config = { 0 };

    if (genid) {
        device_connect_irq_out((Device *)genid, "changed", 0,
                               (Irq){ .fn = vmgenid_changed, .opaque = piix4_pm_acpi(pc->pm) });
    }
    fill_acpi(pc, &config);
    return acpi_publish(pc->parent_obj.fw_cfg, &config, fill_acpi, pc, error);
}

static bool publish_items(PcMachine *pc, GError **error)
{
    X86Machine *x86 = &pc->parent_obj;
    const AcpiPmState *pm = pc->pm ? piix4_pm_acpi(pc->pm) : NULL;
    unsigned count = x86->parent_obj.smp.max_cpus;
    g_autofree uint32_t *apic_ids = g_new(uint32_t, count);
    X86Topology topology = x86_topology(x86);
    const FwItemsConfig config = {
        .e820 = x86->e820,
        .apic_id_limit = x86_apic_id_limit(x86),
        .apic_ids = apic_ids,
        .irq0_override = true,
        .s3 = pm && pm->s3,
        .s4 = pm && pm->s4,
        .s4_value = PIIX4_S4_TYPE,
    };

    for (unsigned i = 0; i < count; i++) {
        apic_ids[i] = x86_apic_id(&topology, i);
    }
    return fw_items_add(x86->fw_cfg, &x86->parent_obj, &config, error) &&
           x86_publish_memory_end(x86, error);
}

static bool pc_done(Machine *machine, GError **error)
{
    PcMachine *pc = (PcMachine *)machine;
    X86Machine *x86 = &pc->parent_obj;

    if (!x86_all_memory_present(x86, error)) {
        return false;
    }
    if (!check_boot_order(machine->boot.order, error) ||
        !check_boot_order(machine->boot.once, error)) {
        g_prefix_error(error, "-boot: ");
        return false;
    }
    fill_cmos(pc);
    set_boot_order(pc, machine->boot.once ? machine->boot.once
                       : machine->boot.order ? machine->boot.order : "cad");
    return publish_items(pc, error) && (!pc->pm || publish_acpi(pc, error)) &&
           x86_publish_smbios(x86, "Standard PC (i440FX + PIIX, 1996)", error) &&
           (!machine->kernel || x86_load_kernel_fw_cfg(x86, error));
}

static void pc_reset(Machine *machine)
{
    PcMachine *pc = (PcMachine *)machine;

    accel_set_a20(true);
    accel_set_ignne(false);
    reset_all_devices();
    /* "once" is for the first boot only. */
    if (machine->boot.once) {
        set_boot_order(pc, machine->boot.once);
        g_clear_pointer(&machine->boot.once, g_free);
    } else {
        set_boot_order(pc, machine->boot.order ? machine->boot.order : "cad");
    }
}

static const Property pc_properties[] = {
    PROP_BOOL("hpet", PcMachine, hpet, true, "high precision event timer"),
    PROP_STRING("pflash0", PcMachine, flash.nodes[0], NULL, "node of the first flash chip"),
    PROP_STRING("pflash1", PcMachine, flash.nodes[1], NULL, "node of the second flash chip"),
    PROP_SIZE("max-fw-size", PcMachine, flash.max_size, 8 * MiB,
              "bytes that the flash chips have together, at most"),
    PROP_END,
};

static const MachineOps pc_ops = {
    .alias = "pc",
    .is_default = true,
    .max_cpus = 255,
    .default_cpu = "qemu64",
    .default_ram_size = 128 * MiB,
    .default_ram_id = "pc.ram",
    .default_display = "VGA",
    .default_nic = "e1000",
    .default_drive_interface = "ide",
    .default_irqchip = ACCEL_IRQCHIP_ON,
    .needs_pit = true,
    .memory_devices = true,
    .map_memory = pc_map_memory,
    .init = pc_init,
    .done = pc_done,
    .reset = pc_reset,
    .nmi = x86_inject_nmi,
    .hotplug = &x86_hotplug_ops,
};

static const TypeInfo pc_info = {
    .name = TYPE_PC_MACHINE,
    .parent = TYPE_X86_MACHINE,
    .description = "Standard PC (i440FX + PIIX, 1996)",
    .instance_size = sizeof(PcMachine),
    .properties = pc_properties,
    .ops = &pc_ops,
};
QOM_TYPE(pc_info);
