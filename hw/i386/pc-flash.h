/* SPDX-License-Identifier: Apache-2.0 */
/* A PC's firmware in flash chips below 4 GiB: if=pflash, -machine pflash0=. */
#ifndef VIREO_HW_I386_PC_FLASH_H
#define VIREO_HW_I386_PC_FLASH_H

#include "hw/core/machine.h"
#include "memory/memory.h"

#define PC_FLASH_CHIPS 2

typedef struct PcFlash {
    char *nodes[PC_FLASH_CHIPS]; /* properties pflash0, pflash1: nodes' names */
    uint64_t max_size;           /* property max-fw-size: of all chips together */
    bool has_firmware;
} PcFlash;

/*
 * The chips that were asked for, the first right below 4 GiB, the second below that, in space; the
 * end of the first also below 1 MiB. smm: the container for SMM's view, or NULL. Sets has_firmware.
 */
bool pc_flash_create(PcFlash *flash, Machine *machine, MemoryRegion *space, MemoryRegion *smm,
                     GError **error);

#endif
