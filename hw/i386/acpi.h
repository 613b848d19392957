/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables (ACPI 6.4; the AML stays within revision 2 of the language). Everything the tables
 * say comes from an AcpiConfig that the board fills, so that they can be built and checked without
 * a machine.
 *
 * With firmware, the tables reach the guest through fw_cfg with a table-loader script and are
 * rebuilt when the firmware first looks; without, they are placed in RAM by us.
 */
#ifndef VIREO_HW_I386_ACPI_H
#define VIREO_HW_I386_ACPI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/i386/boot.h"
#include "hw/nvram/fw_cfg.h"

#define ACPI_MAX_IOAPICS 2
#define ACPI_VMGENID_GPE 5 /* general-purpose event: the identifier changed */

typedef struct AcpiCpu {
    uint32_t apic_id;
    uint32_t node;    /* NUMA proximity domain */
    bool present;     /* else it may be plugged later */
} AcpiCpu;

typedef struct AcpiIoapic {
    uint8_t id;
    uint32_t addr;
    uint32_t gsi_base;
} AcpiIoapic;

typedef struct AcpiRange {
    uint64_t base, size; /* size 0: absent */
} AcpiRange;

/* Memory of a NUMA node. */
typedef struct AcpiMemory {
    AcpiRange range;
    uint32_t node;
    bool hotpluggable;
} AcpiMemory;

/* The fixed hardware of a PC's PIIX4 PM function; all ports. */
typedef struct AcpiPm {
    uint16_t pm_base;    /* PM1 event +0 (4 bytes), control +4 (2), timer +8 (4) */
    uint16_t gpe0;       /* status, then enable; 0: none */
    uint8_t gpe0_len;    /* both together */
    uint16_t smi_cmd;    /* 0xb2; 0: ACPI is always on */
    uint8_t acpi_enable, acpi_disable;
    uint8_t sci_irq;     /* level, active high on a PC */
    bool s3, s4;
    uint8_t s3_type, s4_type, s5_type; /* SLP_TYP values */
} AcpiPm;

/* Hardware-reduced ACPI: a generic event device (ACPI0013) instead of fixed hardware. */
typedef struct AcpiGed {
    uint64_t event_addr;  /* 32-bit event register, read to clear: ACPI_GED_* bits; 0: no GED */
    uint64_t regs_addr;   /* sleep control +0, sleep status +1, reset +2 (bytes) */
    uint32_t irq;         /* GSI, edge */
    uint8_t reset_value;
} AcpiGed;
#define ACPI_GED_POWER_BUTTON (1u << 0)

typedef struct AcpiVirtioMmio {
    uint64_t base;
    uint32_t stride;   /* bytes of each window */
    uint32_t irq_base; /* GSI of the first, rising by 1 */
    uint32_t count;    /* 0: none */
    const bool *present; /* count of them; NULL: all */
} AcpiVirtioMmio;

typedef struct AcpiPci {
    bool present;
    uint8_t isa_slot; /* of the PCI-ISA bridge (PIIX3), whose function 0 has PIRQRCA..D at 0x60 */
    AcpiRange window32, window64; /* what BARs may use */
    uint32_t hotplug_slots; /* of the root bus, by ACPI (hw/acpi/pci-hotplug.h); 0: none */
} AcpiPci;

/* A floppy drive; type: as CMOS has it, 0: there is none. */
typedef struct AcpiFloppy {
    uint8_t type, last_track, last_sector, last_side;
} AcpiFloppy;
#define ACPI_FLOPPIES 2

typedef struct AcpiConfig {
    const char *oem_id, *oem_table_id; /* up to 6 and 8 characters; NULL: ours */

    const AcpiCpu *cpus; /* every possible CPU, by index */
    unsigned cpu_count;
    bool cpu_hotplug;    /* by ACPI (hw/acpi/cpu-hotplug.h) */
    unsigned memory_slots; /* for memory by ACPI (hw/acpi/memory-hotplug.h); 0: none */
    AcpiIoapic ioapics[ACPI_MAX_IOAPICS];
    unsigned ioapic_count;
    bool has_8259;
    bool irq0_override;  /* ISA IRQ 0 -> GSI 2 */

    bool hw_reduced;
    AcpiPm pm;           /* unless hw_reduced */
    AcpiGed ged;         /* if hw_reduced */
    uint16_t reset_port; /* 0xcf9, value 0x0f; 0: none */

    AcpiPci pci;
    /* ISA devices; ports 0: absent. */
    bool rtc, i8042, fdc;
    AcpiFloppy floppies[ACPI_FLOPPIES];
    uint16_t serial[4], parallel[3];
    uint8_t serial_irq[4], parallel_irq[3];
    bool hpet;
    uint64_t hpet_addr;
    uint16_t fw_cfg_port;
    uint16_t pvpanic_port;
    AcpiVirtioMmio virtio_mmio;

    bool numa;
    unsigned node_count;
    const AcpiMemory *memory;
    unsigned memory_count;
    const uint8_t *distance; /* node_count * node_count, row by row; NULL: 10 and 20 */

    const uint8_t *vmgenid;   /* 16 bytes as they lie in guest memory, or NULL */
    uint8_t *vmgenid_address; /* 8 bytes that firmware fills with their page's address; borrowed */
    const GPtrArray *extra;  /* GBytes*: tables from -acpitable */
} AcpiConfig;

typedef struct AcpiTables AcpiTables;

/* Build all. NULL with error set (extra tables that do not fit). The caller's. */
AcpiTables *acpi_build(const AcpiConfig *config, GError **error);
void acpi_tables_free(AcpiTables *tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AcpiTables, acpi_tables_free)

/*
 * "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader" (and vmgenid's files). fill() is called
 * again each time the firmware looks at them, to rebuild from the machine's state of then; NULL:
 * they stay as they are. With fill, config's arrays live as long as fw.
 */
typedef void AcpiFillFn(void *opaque, AcpiConfig *config);
bool acpi_publish(FwCfg *fw, const AcpiConfig *config, AcpiFillFn *fill, void *opaque,
                  GError **error);

/*
 * No firmware, once: place the tables upward from base, not beyond limit, as blobs of boot. *rsdp
 * gets the root pointer's address, *end the first free byte.
 */
bool acpi_place(AcpiTables *tables, DirectBoot *boot, uint64_t base, uint64_t limit,
                uint64_t *rsdp, uint64_t *end, GError **error);
/* Bytes that acpi_place() needs at most. */
uint64_t acpi_tables_size(const AcpiTables *tables);
/*
 * After acpi_place(): the address of vmgenid's page (GUID at VMGENID_OFFSET), 0 if there is none.
 */
uint64_t acpi_tables_vmgenid_addr(const AcpiTables *tables);
/* For tests: the nth table (header included), NULL past the last. Borrowed from tables. */
const uint8_t *acpi_tables_get(const AcpiTables *tables, unsigned n, size_t *len);

/*
 * One -acpitable argument: [sig=...,][rev=...,][oem_id=...,]...{data|file}=path[:path...]. Returns
 * a whole table with header and checksum. NULL with error set.
 */
GBytes *acpi_table_option(const char *text, GError **error);

#endif
