/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start an ELF kernel by Xen's PVH protocol: fill the memory map and ACPI's root pointer into the
 * hvm_start_info that the VMM has made, and enter with its address in EBX.
 */
#include "rom32.h"

typedef struct StartInfo {
    uint32_t magic, version, flags, modules;
    uint64_t modlist, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
} StartInfo;

typedef struct MemmapEntry {
    uint64_t addr, size;
    uint32_t type, reserved;
} MemmapEntry;

#define BIOS_AREA 0xe0000u
#define BIOS_AREA_END 0x100000u

/* "RSD PTR " on a 16-byte boundary (ACPI 6.4, 5.2.5.1), which firmware puts into the BIOS area. */
static uint32_t find_rsdp(void)
{
    uint32_t at = BIOS_AREA;

    for (; at < BIOS_AREA_END; at += 16) {
        const volatile uint32_t *words = (const volatile uint32_t *)at;

        if (words[0] == 0x20445352u && words[1] == 0x20525450u) {
            return at;
        }
    }
    return 0;
}

void __attribute__((regparm(3))) rom_main(const E820Entry *map, uint32_t count)
{
    uint32_t addr = rom_load();
    StartInfo *info = (StartInfo *)addr;
    MemmapEntry *table = (MemmapEntry *)(uint32_t)info->memmap;
    uint32_t room = info->memmap_entries;

    if (count > room) {
        count = room;
    }
    for (uint32_t i = 0; i < count; i++) {
        table[i].addr = map[i].base;
        table[i].size = map[i].size;
        table[i].type = map[i].type;
        table[i].reserved = 0;
    }
    info->memmap_entries = count;
    info->rsdp = find_rsdp();
    rom_start(fw_cfg_u32(FW_CFG_KERNEL_ENTRY), 0, addr);
}
