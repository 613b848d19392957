/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an x86 machine tells its firmware through fw_cfg: CPUs, memory map, NUMA, boot order and
 * menu, SMBIOS, ACPI, option ROMs, and the user's -fw_cfg items.
 */
#ifndef VIREO_HW_I386_FW_ITEMS_H
#define VIREO_HW_I386_FW_ITEMS_H

#include "hw/core/machine.h"
#include "hw/i386/e820.h"
#include "hw/nvram/fw_cfg.h"

typedef struct FwItemsConfig {
    const E820Map *e820;
    uint32_t apic_id_limit;  /* highest possible APIC id + 1: firmware's MAX_CPUS */
    const uint32_t *apic_ids; /* of every possible CPU, max_cpus of them (NUMA map); NULL: index */
    bool irq0_override;      /* ISA IRQ 0 arrives at IOAPIC pin 2 */
    bool s3, s4;             /* offered to the guest */
    uint8_t s4_value;        /* SLP_TYP of S4 */
} FwItemsConfig;

/*
 * Add everything that follows from machine and config (not ACPI, SMBIOS, kernel): call once, after
 * -device devices exist. User items of machine->fw_cfg_options come last.
 */
bool fw_items_add(FwCfg *fw, const Machine *machine, const FwItemsConfig *config, GError **error);
/*
 * An option ROM that firmware should run: the file "genroms/<basename>". index < 0: no boot entry.
 */
bool fw_items_add_option_rom(FwCfg *fw, const char *path, int32_t index, GError **error);
/* -device vmcoreinfo: connects it to "etc/vmcoreinfo" if it exists. */
bool fw_items_add_vmcoreinfo(FwCfg *fw, GError **error);

#endif
