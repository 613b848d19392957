/* SPDX-License-Identifier: Apache-2.0 */
/* The DSDT: processors, sleep states, events, and the devices that cannot be found by probing. */
#include "hw/i386/acpi-internal.h"
#include "util/bits.h"

#define STA_PRESENT 0x0f      /* present, enabled, shown, functioning */
#define STA_HIDDEN 0x0b       /* the same, not shown to people */
#define NOTIFY_DEVICE_CHANGED 0x80
#define HPET_SIZE 0x400
#define FW_CFG_SIZE 12

static void dsdt_sleep_state(Aml *dsdt, const char *name, uint8_t type)
{
    Aml *package = aml_package();

    aml_append(package, aml_int(type)); /* PM1a_CNT.SLP_TYP */
    aml_append(package, aml_int(type)); /* PM1b_CNT.SLP_TYP */
    aml_append(package, aml_int(0));
    aml_append(package, aml_int(0));
    aml_append(dsdt, aml_name_decl(name, package));
}

static void dsdt_sleep_states(Aml *dsdt, const AcpiConfig *config)
{
    const AcpiPm *pm = &config->pm;

    if (!config->hw_reduced && pm->s3) {
        dsdt_sleep_state(dsdt, "\\_S3", pm->s3_type);
    }
    if (!config->hw_reduced && pm->s4) {
        dsdt_sleep_state(dsdt, "\\_S4", pm->s4_type);
    }
    dsdt_sleep_state(dsdt, "\\_S5", pm->s5_type);
}

static Aml *dsdt_cpu_mat(const AcpiCpu *cpu, uint8_t uid)
{
    uint8_t lapic[8] = { 0, sizeof(lapic), uid, cpu->apic_id };
    uint8_t x2apic[16] = { 9, sizeof(x2apic) };

    if (cpu->apic_id < 255) {
        stl_le(lapic + 4, 1);
        return aml_buffer(lapic, sizeof(lapic));
    }
    stl_le(x2apic + 4, cpu->apic_id);
    stl_le(x2apic + 8, 1);
    stl_le(x2apic + 12, uid);
    return aml_buffer(x2apic, sizeof(x2apic));
}

/* Processor devices in a container (ACPI 6.4, 8.4); _STA says which are there. */
void acpi_dsdt_cpus(Aml *dsdt, const AcpiConfig *config)
{
    Aml *scope = aml_scope("\\_SB");
    Aml *container = aml_device("CPUS");

    aml_append(container, aml_name_decl("_HID", aml_string("ACPI0010")));
    aml_append(container, aml_name_decl("_CID", aml_eisaid("PNP0A05")));
    if (config->cpu_hotplug) {
        acpi_dsdt_cpu_hotplug(container, config);
    }
    for (unsigned i = 0; i < config->cpu_count; i++) {
        const AcpiCpu *cpu = &config->cpus[i];
        Aml *device = aml_device("C%03X", i);

        aml_append(device, aml_name_decl("_HID", aml_string("ACPI0007")));
        aml_append(device, aml_name_decl("_UID", aml_int(i)));
        if (config->cpu_hotplug) {
            acpi_dsdt_cpu_hotplug_methods(device, i);
        } else {
            aml_append(device, aml_name_decl("_STA", aml_int(cpu->present ? STA_PRESENT : 0)));
        }
        aml_append(device, aml_name_decl("_MAT", dsdt_cpu_mat(cpu, i)));
        if (config->numa) {
            aml_append(device, aml_name_decl("_PXM", aml_int(cpu->node)));
        }
        aml_append(container, device);
    }
    aml_append(scope, container);
    aml_append(dsdt, scope);
}

static void dsdt_hpet(Aml *dsdt, const AcpiConfig *config)
{
    Aml *scope = aml_scope("\\_SB");
    Aml *device = aml_device("HPET");
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_memory32_fixed(config->hpet_addr, HPET_SIZE, false));
    aml_append(device, aml_name_decl("_HID", aml_eisaid("PNP0103")));
    aml_append(device, aml_name_decl("_UID", aml_int(0)));
    aml_append(device, aml_name_decl("_STA", aml_int(STA_PRESENT)));
    aml_append(device, aml_name_decl("_CRS", crs));
    aml_append(scope, device);
    aml_append(dsdt, scope);
}

static void dsdt_fw_cfg(Aml *dsdt, const AcpiConfig *config)
{
    Aml *scope = aml_scope("\\_SB");
    Aml *device = aml_device("FWCF");
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_io(config->fw_cfg_port, FW_CFG_SIZE));
    aml_append(device, aml_name_decl("_HID", aml_string("QEMU0002")));
    aml_append(device, aml_name_decl("_STA", aml_int(STA_HIDDEN)));
    aml_append(device, aml_name_decl("_CRS", crs));
    aml_append(scope, device);
    aml_append(dsdt, scope);
}

/* One byte-wide port; RDPT says which events it takes, WRPT tells one. */
static void dsdt_pvpanic(Aml *dsdt, const AcpiConfig *config)
{
    Aml *scope = aml_scope("\\_SB");
    Aml *device = aml_device("PEVT");
    Aml *crs = aml_resource_template();
    Aml *field, *method;

    aml_append(crs, aml_io(config->pvpanic_port, 1));
    aml_append(device, aml_name_decl("_HID", aml_string("QEMU0001")));
    aml_append(device, aml_name_decl("_STA", aml_int(STA_PRESENT)));
    aml_append(device, aml_name_decl("_CRS", crs));
    aml_append(device, aml_opregion("PEOR", AML_SYSTEM_IO, config->pvpanic_port, 1));
    field = aml_field("PEOR", AML_BYTE_ACC, false, AML_PRESERVE);
    aml_append(field, aml_field_unit("PEPT", 8));
    aml_append(device, field);
    method = aml_method("RDPT", 0, false);
    aml_append(method, aml_return(aml_name("PEPT")));
    aml_append(device, method);
    method = aml_method("WRPT", 1, false);
    aml_append(method, aml_store(aml_arg(0), aml_name("PEPT")));
    aml_append(device, method);
    aml_append(scope, device);
    aml_append(dsdt, scope);
}

static void dsdt_virtio_mmio(Aml *dsdt, const AcpiConfig *config)
{
    const AcpiVirtioMmio *mmio = &config->virtio_mmio;
    Aml *scope = aml_scope("\\_SB");

    for (uint32_t i = 0; i < mmio->count; i++) {
        uint32_t irq = mmio->irq_base + i;
        Aml *device, *crs;

        if (mmio->present && !mmio->present[i]) {
            continue;
        }
        device = aml_device("VR%02X", i);
        crs = aml_resource_template();
        aml_append(crs, aml_memory32_fixed(mmio->base + (uint64_t)i * mmio->stride, mmio->stride,
                                           true));
        aml_append(crs, aml_interrupt(AML_IRQ_LEVEL | AML_IRQ_ACTIVE_HIGH, &irq, 1));
        aml_append(device, aml_name_decl("_HID", aml_string("LNRO0005")));
        aml_append(device, aml_name_decl("_UID", aml_int(i)));
        aml_append(device, aml_name_decl("_CRS", crs));
        aml_append(scope, device);
    }
    aml_append(dsdt, scope);
}

/* ACPI 6.4, 5.6.9: its interrupt runs _EVT, which asks the event register what happened. */
static void dsdt_ged(Aml *dsdt, const AcpiConfig *config)
{
    Aml *scope = aml_scope("\\_SB");
    Aml *device, *crs, *field, *method, *condition;

    device = aml_device("PWRB");
    aml_append(device, aml_name_decl("_HID", aml_eisaid("PNP0C0C")));
    aml_append(device, aml_name_decl("_UID", aml_int(0)));
    aml_append(scope, device);

    device = aml_device("GED");
    crs = aml_resource_template();
    aml_append(crs, aml_interrupt(AML_IRQ_EDGE | AML_IRQ_ACTIVE_HIGH, &config->ged.irq, 1));
    aml_append(device, aml_name_decl("_HID", aml_string("ACPI0013")));
    aml_append(device, aml_name_decl("_UID", aml_int(0)));
    aml_append(device, aml_name_decl("_CRS", crs));
    aml_append(device, aml_opregion("EREG", AML_SYSTEM_MEMORY, config->ged.event_addr, 4));
    field = aml_field("EREG", AML_DWORD_ACC, false, AML_WRITE_AS_ZEROS);
    aml_append(field, aml_field_unit("ESEL", 32));
    aml_append(device, field);
    method = aml_method("_EVT", 1, true);
    aml_append(method, aml_store(aml_name("ESEL"), aml_local(0)));
    condition = aml_if(aml_and(aml_local(0), aml_int(ACPI_GED_POWER_BUTTON), NULL));
    aml_append(condition, aml_notify(aml_name("PWRB"), aml_int(NOTIFY_DEVICE_CHANGED)));
    aml_append(method, condition);
    aml_append(device, method);
    aml_append(scope, device);
    aml_append(dsdt, scope);
}

/* The container of general-purpose events' handlers, which stand beside what they notify. */
static void dsdt_gpe(Aml *dsdt, const AcpiConfig *config)
{
    Aml *scope = aml_scope("\\_GPE");

    aml_append(scope, aml_name_decl("_HID", aml_string("ACPI0006")));
    if (config->pci.hotplug_slots) {
        acpi_dsdt_pci_hotplug_event(scope);
    }
    if (config->cpu_hotplug) {
        acpi_dsdt_cpu_hotplug_event(scope);
    }
    if (config->memory_slots) {
        acpi_dsdt_memory_hotplug_event(scope);
    }
    aml_append(dsdt, scope);
}

Aml *acpi_dsdt(const AcpiConfig *config)
{
    Aml *dsdt = aml_list();

    if (config->pci.present) {
        acpi_dsdt_pci(dsdt, config);
    } else {
        Aml *scope = aml_scope("\\_SB");

        acpi_dsdt_isa_devices(scope, config);
        aml_append(dsdt, scope);
    }
    acpi_dsdt_cpus(dsdt, config);
    if (config->memory_slots) {
        acpi_dsdt_memory_hotplug(dsdt, config);
    }
    if (config->hpet) {
        dsdt_hpet(dsdt, config);
    }
    if (config->fw_cfg_port) {
        dsdt_fw_cfg(dsdt, config);
    }
    if (config->pvpanic_port) {
        dsdt_pvpanic(dsdt, config);
    }
    if (config->virtio_mmio.count) {
        dsdt_virtio_mmio(dsdt, config);
    }
    if (config->ged.event_addr) {
        dsdt_ged(dsdt, config);
    }
    if (!config->hw_reduced) {
        dsdt_gpe(dsdt, config);
    }
    dsdt_sleep_states(dsdt, config);
    return dsdt;
}
