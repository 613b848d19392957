/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of a PC's own: IDE drives and floppies of -drive, and what CMOS says of them. */
#ifndef VIREO_HW_I386_PC_STORAGE_H
#define VIREO_HW_I386_PC_STORAGE_H

#include "hw/i386/acpi.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"
#include "hw/rtc/mc146818rtc.h"

typedef struct PcStorage {
    PciDevice *ide; /* borrowed */
    Device *fdc;    /* borrowed */
} PcStorage;

/* Controllers, and a device for each drive with if=ide. gsi: ISA lines. */
bool pc_storage_create(PcStorage *storage, PciBus *pci, IsaBus *isa, MemoryRegion *io,
                       const Irq *gsi, GError **error);
/* After -device: what the tables say of floppies. */
void pc_storage_fill_acpi(const PcStorage *storage, AcpiConfig *config);
/* After -device. */
void pc_storage_fill_cmos(const PcStorage *storage, Rtc *rtc);

#endif
