/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of physical memory that PC firmware and boot protocols hand to the guest (ACPI 6.4,
 * section 15: INT 15h E820). Kept in order of address.
 */
#ifndef VIREO_HW_I386_E820_H
#define VIREO_HW_I386_E820_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum E820Type {
    E820_RAM = 1,
    E820_RESERVED = 2,
    E820_ACPI = 3, /* reclaimable */
    E820_NVS = 4,
    E820_UNUSABLE = 5,
} E820Type;

typedef struct E820Entry {
    uint64_t base;
    uint64_t size;
    uint32_t type;
} E820Entry;

typedef struct E820Map {
    GArray *entries; /* E820Entry */
} E820Map;

E820Map *e820_new(void);
E820Map *e820_copy(const E820Map *map);
void e820_free(E820Map *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(E820Map, e820_free)

/* Add a range; size 0 is ignored. It must not wrap. Neighbours of the same type stay separate. */
void e820_add(E820Map *map, uint64_t base, uint64_t size, E820Type type);
/*
 * Give a range inside one existing entry another type, splitting that entry. false if it is in
 * none.
 */
bool e820_carve(E820Map *map, uint64_t base, uint64_t size, E820Type type);
/* The end of RAM below 4 GiB, 0 if there is none. */
uint64_t e820_low_ram_end(const E820Map *map);
/*
 * Entries of 20 bytes, little-endian: what fw_cfg's "etc/e820" and the zero page hold. The
 * caller's.
 */
GBytes *e820_to_bytes(const E820Map *map);

#endif
