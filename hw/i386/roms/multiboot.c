/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start a multiboot 1 kernel: fill the memory map into the information structure that the VMM has
 * made (Multiboot Specification 0.6.96, section 3.3), and enter with the magic number and its
 * address.
 */
#include "rom32.h"

#define MULTIBOOT_BOOTED 0x2badb002u

typedef struct MultibootInfo {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr;
} MultibootInfo;

typedef struct MmapEntry {
    uint32_t size; /* of what follows */
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed)) MmapEntry;

#define MMAP_ENTRY_SIZE 20
#define MEM_1M 0x100000u
#define E820_RAM 1

void __attribute__((regparm(3))) rom_main(const E820Entry *map, uint32_t count)
{
    uint32_t addr = rom_load();
    MultibootInfo *info = (MultibootInfo *)addr;
    MmapEntry *table = (MmapEntry *)info->mmap_addr;
    uint32_t room = info->mmap_length / sizeof(MmapEntry);

    if (count > room) {
        count = room;
    }
    for (uint32_t i = 0; i < count; i++) {
        table[i].size = MMAP_ENTRY_SIZE;
        table[i].base = map[i].base;
        table[i].length = map[i].size;
        table[i].type = map[i].type;
        if (map[i].type == E820_RAM && map[i].base == 0) {
            info->mem_lower = (uint32_t)map[i].size >> 10;
        }
        if (map[i].type == E820_RAM && map[i].base == MEM_1M) {
            info->mem_upper = (uint32_t)(map[i].size >> 10);
        }
    }
    info->mmap_length = count * sizeof(MmapEntry);
    rom_start(fw_cfg_u32(FW_CFG_KERNEL_ENTRY), MULTIBOOT_BOOTED, addr);
}
