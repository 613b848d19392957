/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/i386/pc-flash.h"

#include <string.h>

#include "block/drive.h"
#include "block/node.h"
#include "hw/block/pflash-cfi01.h"
#include "hw/i386/x86.h"
#include "util/bits.h"
#include "util/error.h"

/* Above it are the I/O APIC, the HPET and the local APICs. */
#define MAX_SIZE_MAX (16 * MiB)

typedef struct Chip {
    const char *drive; /* its name, or the node's; NULL: there is no such chip */
    uint64_t size;
} Chip;

/* What is wanted: -machine's node, or the drive of if=pflash; not both. */
static bool find_chip(const PcFlash *flash, unsigned n, Chip *chip, GError **error)
{
    Drive *drive = drive_get(BLOCK_INTERFACE_PFLASH, 0, (int)n);
    BlockNode *node = NULL;

    *chip = (Chip){ 0 };
    if (drive && flash->nodes[n]) {
        error_setf(error, "%s: clashes with -machine pflash%u=%s", drive->origin, n,
                   flash->nodes[n]);
        return false;
    }
    if (flash->nodes[n]) {
        chip->drive = flash->nodes[n];
        node = block_node_find(chip->drive);
        if (!node) {
            error_setf(error, "-machine pflash%u=%s: there is no such node; -blockdev makes them",
                       n, chip->drive);
            return false;
        }
    } else if (drive) {
        chip->drive = block_backend_name(drive->blk);
        node = block_backend_node(drive->blk);
    }
    chip->size = node && node->size > 0 ? (uint64_t)node->size : 0;
    return true;
}

static bool check_size(unsigned n, const Chip *chip, GError **error)
{
    if (chip->size == 0 || chip->size % PFLASH_SECTOR_SIZE) {
        error_setf(error, "system firmware block device pflash%u has %" G_GUINT64_FORMAT " bytes; "
                   "its size must be a multiple of %d, and not 0", n, chip->size,
                   PFLASH_SECTOR_SIZE);
        return false;
    }
    return true;
}

/* In real mode a CPU looks for the firmware's end here. It is a copy: modes do not reach it. */
static bool map_isa_bios(Machine *machine, MemoryRegion *space, const PflashCfi01 *chip,
                         uint64_t size, GError **error)
{
    uint64_t low_size = MIN(size, X86_ISA_BIOS_MAX);
    MemoryRegion *low = memory_region_new_rom(OBJECT(machine), "isa-bios", low_size, error);

    if (!low) {
        return false;
    }
    memcpy(memory_region_ram_ptr(low), pflash_cfi01_array(chip) + size - low_size, low_size);
    memory_region_add_overlap(space, MiB - low_size, low, 1);
    return true;
}

static bool find_chips(PcFlash *flash, Chip chips[PC_FLASH_CHIPS], GError **error)
{
    uint64_t total = 0;

    for (unsigned n = 0; n < PC_FLASH_CHIPS; n++) {
        if (!find_chip(flash, n, &chips[n], error)) {
            return false;
        }
        if (!chips[n].drive) {
            continue;
        }
        if (n && !chips[n - 1].drive) {
            error_setf(error, "pflash%u requires pflash%u", n, n - 1);
            return false;
        }
        if (!check_size(n, &chips[n], error)) {
            return false;
        }
        total += MIN(chips[n].size, MAX_SIZE_MAX + 1);
    }
    if (total > flash->max_size) {
        error_setf(error, "combined size of system firmware exceeds %" G_GUINT64_FORMAT " bytes "
                   "(-machine max-fw-size=)", flash->max_size);
        return false;
    }
    return true;
}

bool pc_flash_create(PcFlash *flash, Machine *machine, MemoryRegion *space, MemoryRegion *smm,
                     GError **error)
{
    Chip chips[PC_FLASH_CHIPS];
    uint64_t end = 4 * GiB;

    if (flash->max_size > MAX_SIZE_MAX) {
        error_setf(error, "-machine max-fw-size=: there is room for 16 MiB at most");
        return false;
    }
    if (!find_chips(flash, chips, error)) {
        return false;
    }
    for (unsigned n = 0; n < PC_FLASH_CHIPS && chips[n].drive; n++) {
        g_autofree char *name = g_strdup_printf("system.flash%u", n);
        PflashCfi01 *chip = pflash_cfi01_new(OBJECT(machine), name, chips[n].drive, chips[n].size,
                                             error);

        if (!chip || (n == 0 && !map_isa_bios(machine, space, chip, chips[n].size, error))) {
            return false;
        }
        end -= chips[n].size;
        pflash_cfi01_map(chip, space, smm, end);
        flash->has_firmware = true;
    }
    return true;
}
