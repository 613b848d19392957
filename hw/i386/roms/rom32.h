/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 32-bit ROMs (protected.S). The VMM has prepared the kernel as one flat piece, and in the
 * "setup" piece the boot protocol's information structure; rom_main adds what only the firmware
 * knows.
 */
#ifndef VIREO_HW_I386_ROMS_ROM32_H
#define VIREO_HW_I386_ROMS_ROM32_H

#include "rom.h"

typedef struct E820Entry {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed)) E820Entry;

void __attribute__((regparm(3))) rom_main(const E820Entry *map, uint32_t count);
_Noreturn void __attribute__((regparm(3))) rom_start(uint32_t entry, uint32_t magic, uint32_t info);

/* Copies all parts; returns the address of the information structure. */
static inline uint32_t rom_load(void)
{
    fw_cfg_load(FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA);
    fw_cfg_load(FW_CFG_INITRD_ADDR, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA);
    fw_cfg_load(FW_CFG_SETUP_ADDR, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA);
    return fw_cfg_u32(FW_CFG_SETUP_ADDR);
}

#endif
