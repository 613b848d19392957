/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that build ACPI tables share. */
#ifndef VIREO_HW_I386_ACPI_INTERNAL_H
#define VIREO_HW_I386_ACPI_INTERNAL_H

#include "hw/i386/acpi.h"
#include "hw/i386/aml.h"
#include "hw/i386/table-loader.h"

#define ACPI_HEADER_SIZE 36
#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_RSDP "etc/acpi/rsdp"
#define ACPI_FILE_LOADER "etc/table-loader"
#define ACPI_FILE_VMGENID "etc/vmgenid_guid"
#define ACPI_FILE_VMGENID_ADDR "etc/vmgenid_addr"
#define ACPI_VMGENID_OFFSET 40 /* of the GUID in its page */

/* All tables in one blob, with the script that links them. */
typedef struct AcpiBuild {
    const AcpiConfig *config;
    GByteArray *blob;
    GArray *offsets; /* uint32_t: of every table in the blob */
    GArray *listed;  /* uint32_t: of those in the RSDT and XSDT */
    TableLoader *loader;
} AcpiBuild;

/*
 * A table begins with its header (ACPI 6.4, 5.2.6); acpi_table_end() fills in length and checksum.
 * Both give the table's offset in the blob.
 */
uint32_t acpi_table_begin(AcpiBuild *build, const char *signature, uint8_t revision);
void acpi_table_end(AcpiBuild *build, uint32_t start, bool listed);
/* Append to the blob. */
void acpi_put(AcpiBuild *build, const void *data, size_t len);
void acpi_put_int(AcpiBuild *build, unsigned size, uint64_t value);
/* Set a field of the table at start. */
void acpi_set(AcpiBuild *build, uint32_t start, uint32_t offset, unsigned size, uint64_t value);
/* A table whose body is AML; takes aml over. */
uint32_t acpi_put_aml(AcpiBuild *build, const char *signature, Aml *aml);

/* Tables, each appended to the blob. */
void acpi_add_fadt(AcpiBuild *build, uint32_t facs, uint32_t dsdt);
void acpi_add_madt(AcpiBuild *build);
void acpi_add_hpet(AcpiBuild *build);
void acpi_add_srat(AcpiBuild *build);
void acpi_add_slit(AcpiBuild *build);
void acpi_add_waet(AcpiBuild *build);
/* The differentiated description: all devices. The caller's. */
Aml *acpi_dsdt(const AcpiConfig *config);
/* Parts of it. */
void acpi_dsdt_pci(Aml *dsdt, const AcpiConfig *config);
void acpi_dsdt_isa_devices(Aml *scope, const AcpiConfig *config);
void acpi_dsdt_cpus(Aml *dsdt, const AcpiConfig *config);
/* Below the host bridge: slots that come and go. In the scope of events: the one that says so. */
void acpi_dsdt_pci_hotplug(Aml *bridge, const AcpiConfig *config);
void acpi_dsdt_pci_hotplug_event(Aml *gpe);
/* In the container of the processors, in a processor's device, in the scope of events. */
void acpi_dsdt_cpu_hotplug(Aml *container, const AcpiConfig *config);
void acpi_dsdt_cpu_hotplug_methods(Aml *device, unsigned index);
void acpi_dsdt_cpu_hotplug_event(Aml *gpe);
/* The device with all slots of memory; in the scope of events. */
void acpi_dsdt_memory_hotplug(Aml *dsdt, const AcpiConfig *config);
void acpi_dsdt_memory_hotplug_event(Aml *gpe);

#endif
