/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables that hold data: FADT, MADT, HPET, SRAT, SLIT, WAET. */
#include "hw/i386/acpi-internal.h"
#include "util/bits.h"

#define LAPIC_ADDR 0xfee00000u
#define XAPIC_MAX_ID 254

/* Address spaces of a generic address (ACPI 6.4, 5.2.3.2). */
enum { GAS_MEMORY = 0, GAS_IO = 1 };

/* FADT: offsets from the table's start (ACPI 6.4, 5.2.9). */
enum {
    FADT_FIRMWARE_CTRL = 36,
    FADT_DSDT = 40,
    FADT_SCI_INT = 46,
    FADT_SMI_CMD = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_ACPI_DISABLE = 53,
    FADT_PM1A_EVT_BLK = 56,
    FADT_PM1A_CNT_BLK = 64,
    FADT_PM_TMR_BLK = 76,
    FADT_GPE0_BLK = 80,
    FADT_PM1_EVT_LEN = 88,
    FADT_PM1_CNT_LEN = 89,
    FADT_PM_TMR_LEN = 91,
    FADT_GPE0_BLK_LEN = 92,
    FADT_P_LVL2_LAT = 96,
    FADT_P_LVL3_LAT = 98,
    FADT_CENTURY = 108,
    FADT_IAPC_BOOT_ARCH = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REG = 116,
    FADT_RESET_VALUE = 128,
    FADT_MINOR_VERSION = 131,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_EVT_BLK = 148,
    FADT_X_PM1A_CNT_BLK = 172,
    FADT_X_PM_TMR_BLK = 208,
    FADT_X_GPE0_BLK = 220,
    FADT_SLEEP_CONTROL = 244,
    FADT_SLEEP_STATUS = 256,
    FADT_SIZE_V3 = 244,
    FADT_SIZE_V5 = 268,
};

enum {
    FADT_WBINVD = 1u << 0,
    FADT_PROC_C1 = 1u << 2,
    FADT_NO_SLEEP_BUTTON = 1u << 5,
    FADT_RTC_S4 = 1u << 7,
    FADT_RESET_REG_SUP = 1u << 10,
    FADT_PLATFORM_CLOCK = 1u << 15,
    FADT_APIC_CLUSTER = 1u << 18,
    FADT_HW_REDUCED = 1u << 20,
};

enum {
    BOOT_ARCH_LEGACY = 1u << 0,
    BOOT_ARCH_8042 = 1u << 1,
    BOOT_ARCH_NO_RTC = 1u << 5,
};

#define LATENCY_NO_C2 0xfff
#define LATENCY_NO_C3 0xfff
#define RTC_CENTURY 0x32
#define FLAT_MODE_MAX_CPUS 8 /* logical flat mode addresses so many */
#define CF9_RESET_VALUE 0x0f

static void set_gas(AcpiBuild *build, uint32_t start, uint32_t offset, uint8_t space,
                    unsigned bytes, uint64_t addr)
{
    acpi_set(build, start, offset, 1, space);
    acpi_set(build, start, offset + 1, 1, bytes * 8);
    acpi_set(build, start, offset + 3, 1, bytes > 4 ? 0 : bytes == 4 ? 3 : bytes);
    acpi_set(build, start, offset + 4, 8, addr);
}

static void fadt_pm(AcpiBuild *build, uint32_t at)
{
    const AcpiPm *pm = &build->config->pm;

    acpi_set(build, at, FADT_SCI_INT, 2, pm->sci_irq);
    acpi_set(build, at, FADT_SMI_CMD, 4, pm->smi_cmd);
    acpi_set(build, at, FADT_ACPI_ENABLE, 1, pm->acpi_enable);
    acpi_set(build, at, FADT_ACPI_DISABLE, 1, pm->acpi_disable);
    acpi_set(build, at, FADT_PM1A_EVT_BLK, 4, pm->pm_base);
    acpi_set(build, at, FADT_PM1A_CNT_BLK, 4, pm->pm_base + 4);
    acpi_set(build, at, FADT_PM_TMR_BLK, 4, pm->pm_base + 8);
    acpi_set(build, at, FADT_PM1_EVT_LEN, 1, 4);
    acpi_set(build, at, FADT_PM1_CNT_LEN, 1, 2);
    acpi_set(build, at, FADT_PM_TMR_LEN, 1, 4);
    set_gas(build, at, FADT_X_PM1A_EVT_BLK, GAS_IO, 4, pm->pm_base);
    set_gas(build, at, FADT_X_PM1A_CNT_BLK, GAS_IO, 2, pm->pm_base + 4);
    set_gas(build, at, FADT_X_PM_TMR_BLK, GAS_IO, 4, pm->pm_base + 8);
    if (pm->gpe0) {
        acpi_set(build, at, FADT_GPE0_BLK, 4, pm->gpe0);
        acpi_set(build, at, FADT_GPE0_BLK_LEN, 1, pm->gpe0_len);
        set_gas(build, at, FADT_X_GPE0_BLK, GAS_IO, pm->gpe0_len, pm->gpe0);
        acpi_set(build, at, FADT_X_GPE0_BLK + 3, 1, 1); /* by bytes */
    }
}

static uint32_t fadt_flags(const AcpiConfig *config)
{
    uint32_t flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON;

    if (config->hw_reduced) {
        return flags | FADT_HW_REDUCED | (config->ged.event_addr ? FADT_RESET_REG_SUP : 0);
    }
    flags |= FADT_RTC_S4 | FADT_PLATFORM_CLOCK;
    if (config->reset_port) {
        flags |= FADT_RESET_REG_SUP;
    }
    if (config->cpu_count > FLAT_MODE_MAX_CPUS) {
        flags |= FADT_APIC_CLUSTER;
    }
    return flags;
}

void acpi_add_fadt(AcpiBuild *build, uint32_t facs, uint32_t dsdt)
{
    const AcpiConfig *config = build->config;
    uint32_t at = acpi_table_begin(build, "FACP", config->hw_reduced ? 5 : 3);
    uint32_t size = config->hw_reduced ? FADT_SIZE_V5 : FADT_SIZE_V3;
    uint16_t arch = (config->i8042 ? BOOT_ARCH_8042 : 0) | (config->rtc ? 0 : BOOT_ARCH_NO_RTC);
    g_autofree uint8_t *zeros = g_malloc0(size);

    acpi_put(build, zeros, size - ACPI_HEADER_SIZE);
    acpi_set(build, at, FADT_P_LVL2_LAT, 2, LATENCY_NO_C2);
    acpi_set(build, at, FADT_P_LVL3_LAT, 2, LATENCY_NO_C3);
    acpi_set(build, at, FADT_CENTURY, 1, config->rtc ? RTC_CENTURY : 0);
    acpi_set(build, at, FADT_FLAGS, 4, fadt_flags(config));
    if (config->hw_reduced) {
        acpi_set(build, at, FADT_IAPC_BOOT_ARCH, 2, arch);
        acpi_set(build, at, FADT_MINOR_VERSION, 1, 1);
        if (config->ged.event_addr) {
            set_gas(build, at, FADT_SLEEP_CONTROL, GAS_MEMORY, 1, config->ged.regs_addr);
            set_gas(build, at, FADT_SLEEP_STATUS, GAS_MEMORY, 1, config->ged.regs_addr + 1);
            set_gas(build, at, FADT_RESET_REG, GAS_MEMORY, 1, config->ged.regs_addr + 2);
            acpi_set(build, at, FADT_RESET_VALUE, 1, config->ged.reset_value);
        }
    } else {
        acpi_set(build, at, FADT_IAPC_BOOT_ARCH, 2, arch | BOOT_ARCH_LEGACY);
        fadt_pm(build, at);
        if (config->reset_port) {
            set_gas(build, at, FADT_RESET_REG, GAS_IO, 1, config->reset_port);
            acpi_set(build, at, FADT_RESET_VALUE, 1, CF9_RESET_VALUE);
        }
        table_loader_add_pointer(build->loader, ACPI_FILE_TABLES, at + FADT_FIRMWARE_CTRL, 4,
                                 ACPI_FILE_TABLES, facs);
    }
    table_loader_add_pointer(build->loader, ACPI_FILE_TABLES, at + FADT_DSDT, 4, ACPI_FILE_TABLES,
                             dsdt);
    table_loader_add_pointer(build->loader, ACPI_FILE_TABLES, at + FADT_X_DSDT, 8,
                             ACPI_FILE_TABLES, dsdt);
    acpi_table_end(build, at, true);
}

static void madt_cpus(AcpiBuild *build, bool *has_x2apic)
{
    for (unsigned i = 0; i < build->config->cpu_count; i++) {
        const AcpiCpu *cpu = &build->config->cpus[i];

        if (cpu->apic_id <= XAPIC_MAX_ID) {
            acpi_put_int(build, 1, 0); /* local APIC */
            acpi_put_int(build, 1, 8);
            acpi_put_int(build, 1, i);
            acpi_put_int(build, 1, cpu->apic_id);
            acpi_put_int(build, 4, cpu->present);
        } else {
            acpi_put_int(build, 1, 9); /* local x2APIC */
            acpi_put_int(build, 1, 16);
            acpi_put_int(build, 2, 0);
            acpi_put_int(build, 4, cpu->apic_id);
            acpi_put_int(build, 4, cpu->present);
            acpi_put_int(build, 4, i);
            *has_x2apic = true;
        }
    }
}

/* Interrupt source override; polarity and trigger as in MPS: 0 conforms, 0xd is high and level. */
static void madt_override(AcpiBuild *build, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    acpi_put_int(build, 1, 2);
    acpi_put_int(build, 1, 10);
    acpi_put_int(build, 1, 0); /* ISA */
    acpi_put_int(build, 1, irq);
    acpi_put_int(build, 4, gsi);
    acpi_put_int(build, 2, flags);
}

void acpi_add_madt(AcpiBuild *build)
{
    const AcpiConfig *config = build->config;
    static const uint8_t pci_irqs[] = { 5, 9, 10, 11 };
    uint32_t at = acpi_table_begin(build, "APIC", 3);
    bool has_x2apic = false;

    acpi_put_int(build, 4, LAPIC_ADDR);
    acpi_put_int(build, 4, config->has_8259);
    madt_cpus(build, &has_x2apic);
    for (unsigned i = 0; i < config->ioapic_count; i++) {
        acpi_put_int(build, 1, 1);
        acpi_put_int(build, 1, 12);
        acpi_put_int(build, 1, config->ioapics[i].id);
        acpi_put_int(build, 1, 0);
        acpi_put_int(build, 4, config->ioapics[i].addr);
        acpi_put_int(build, 4, config->ioapics[i].gsi_base);
    }
    if (config->irq0_override) {
        madt_override(build, 0, 2, 0);
    }
    for (unsigned i = 0; config->pci.present && i < G_N_ELEMENTS(pci_irqs); i++) {
        madt_override(build, pci_irqs[i], pci_irqs[i], 0x0d);
    }
    if (has_x2apic) {
        acpi_put_int(build, 1, 10); /* local x2APIC NMI: all processors, LINT1 */
        acpi_put_int(build, 1, 12);
        acpi_put_int(build, 2, 0);
        acpi_put_int(build, 4, UINT32_MAX);
        acpi_put_int(build, 1, 1);
        acpi_put_int(build, 1, 0);
        acpi_put_int(build, 2, 0);
    }
    acpi_put_int(build, 1, 4); /* local APIC NMI: all processors, LINT1 */
    acpi_put_int(build, 1, 6);
    acpi_put_int(build, 1, 0xff);
    acpi_put_int(build, 2, 0);
    acpi_put_int(build, 1, 1);
    acpi_table_end(build, at, true);
}

/* IA-PC HPET specification 1.0a, section 3.2.4. */
void acpi_add_hpet(AcpiBuild *build)
{
    uint32_t at = acpi_table_begin(build, "HPET", 1);

    acpi_put_int(build, 4, 0x8086a201u); /* revision 1, 3 comparators, 64 bits, legacy route */
    acpi_put_int(build, 4, 0);           /* address: system memory */
    acpi_put_int(build, 8, build->config->hpet_addr);
    acpi_put_int(build, 1, 0);           /* number */
    acpi_put_int(build, 2, 0);           /* minimum tick */
    acpi_put_int(build, 1, 0);
    acpi_table_end(build, at, true);
}

static void srat_cpus(AcpiBuild *build)
{
    for (unsigned i = 0; i < build->config->cpu_count; i++) {
        const AcpiCpu *cpu = &build->config->cpus[i];

        if (cpu->apic_id <= XAPIC_MAX_ID) {
            acpi_put_int(build, 1, 0);
            acpi_put_int(build, 1, 16);
            acpi_put_int(build, 1, cpu->node & 0xff);
            acpi_put_int(build, 1, cpu->apic_id);
            acpi_put_int(build, 4, 1); /* enabled */
            acpi_put_int(build, 1, 0); /* SAPIC EID */
            acpi_put_int(build, 1, cpu->node >> 8 & 0xff);
            acpi_put_int(build, 2, cpu->node >> 16);
            acpi_put_int(build, 4, 0);
        } else {
            acpi_put_int(build, 1, 2);
            acpi_put_int(build, 1, 24);
            acpi_put_int(build, 2, 0);
            acpi_put_int(build, 4, cpu->node);
            acpi_put_int(build, 4, cpu->apic_id);
            acpi_put_int(build, 4, 1);
            acpi_put_int(build, 8, 0);
        }
    }
}

/* ACPI 6.4, 5.2.16. */
void acpi_add_srat(AcpiBuild *build)
{
    uint32_t at = acpi_table_begin(build, "SRAT", 3);

    acpi_put_int(build, 4, 1);
    acpi_put_int(build, 8, 0);
    srat_cpus(build);
    for (unsigned i = 0; i < build->config->memory_count; i++) {
        const AcpiMemory *memory = &build->config->memory[i];

        acpi_put_int(build, 1, 1);
        acpi_put_int(build, 1, 40);
        acpi_put_int(build, 4, memory->node);
        acpi_put_int(build, 2, 0);
        acpi_put_int(build, 8, memory->range.base);
        acpi_put_int(build, 8, memory->range.size);
        acpi_put_int(build, 4, 0);
        acpi_put_int(build, 4, 1 | (memory->hotpluggable ? 2 : 0));
        acpi_put_int(build, 8, 0);
    }
    acpi_table_end(build, at, true);
}

/* ACPI 6.4, 5.2.17. */
void acpi_add_slit(AcpiBuild *build)
{
    const AcpiConfig *config = build->config;
    uint32_t at = acpi_table_begin(build, "SLIT", 1);

    acpi_put_int(build, 8, config->node_count);
    for (unsigned i = 0; i < config->node_count * config->node_count; i++) {
        bool same = i / config->node_count == i % config->node_count;

        acpi_put_int(build, 1, config->distance ? config->distance[i] : same ? 10 : 20);
    }
    acpi_table_end(build, at, true);
}

/* Windows ACPI Emulated Devices Table: the PM timer needs no second read to be right. */
void acpi_add_waet(AcpiBuild *build)
{
    uint32_t at = acpi_table_begin(build, "WAET", 1);

    acpi_put_int(build, 4, 1u << 1);
    acpi_table_end(build, at, true);
}
