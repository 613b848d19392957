/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parallel NOR flash with Intel's command set and the common flash interface (CFI, JEDEC JESD68.01,
 * primary vendor 0001h), eight bits wide: where a PC's firmware and its variables live.
 *
 * VM lock held.
 */
#ifndef VIREO_HW_BLOCK_PFLASH_CFI01_H
#define VIREO_HW_BLOCK_PFLASH_CFI01_H

#include "block/backend.h"
#include "hw/core/device.h"
#include "memory/memory.h"

#define TYPE_PFLASH_CFI01 "cfi.pflash01"
#define PFLASH_SECTOR_SIZE 4096

typedef struct PflashCfi01 PflashCfi01;

/*
 * A chip of `size` bytes, which is what the image has and a multiple of PFLASH_SECTOR_SIZE. drive:
 * a drive's id or a node's name. name: the chip's in the object tree and its memory's. It stands
 * nowhere until it is mapped. NULL with the error set.
 */
PflashCfi01 *pflash_cfi01_new(Object *parent, const char *name, const char *drive, uint64_t size,
                              GError **error);
/*
 * Show it at addr in space. If it is only for CPUs in system management mode to write
 * (secure=on), space shows it read-only; smm is then where those CPUs see it first, or NULL if
 * there is no such mode.
 */
void pflash_cfi01_map(PflashCfi01 *chip, MemoryRegion *space, MemoryRegion *smm, uint64_t addr);
/* What it holds; of the chip's size. */
const uint8_t *pflash_cfi01_array(const PflashCfi01 *chip);

#endif
