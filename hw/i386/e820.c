/* SPDX-License-Identifier: Apache-2.0 */
/* The map of physical memory: a sorted array of ranges. */
#include "hw/i386/e820.h"

#include <string.h>

#include "util/bits.h"

#define E820_ENTRY_SIZE 20 /* on the wire: base, size, type */

E820Map *e820_new(void)
{
    E820Map *map = g_new0(E820Map, 1);

    map->entries = g_array_new(false, false, sizeof(E820Entry));
    return map;
}

E820Map *e820_copy(const E820Map *map)
{
    E820Map *copy = e820_new();

    g_array_append_vals(copy->entries, map->entries->data, map->entries->len);
    return copy;
}

void e820_free(E820Map *map)
{
    if (map) {
        g_array_unref(map->entries);
        g_free(map);
    }
}

static E820Entry *e820_entry(const E820Map *map, unsigned n)
{
    return &g_array_index(map->entries, E820Entry, n);
}

void e820_add(E820Map *map, uint64_t base, uint64_t size, E820Type type)
{
    E820Entry entry = { .base = base, .size = size, .type = type };
    unsigned at = 0;

    if (size == 0) {
        return;
    }
    g_assert(size - 1 <= UINT64_MAX - base);
    while (at < map->entries->len && e820_entry(map, at)->base <= base) {
        at++;
    }
    g_array_insert_val(map->entries, at, entry);
}

bool e820_carve(E820Map *map, uint64_t base, uint64_t size, E820Type type)
{
    for (unsigned i = 0; i < map->entries->len; i++) {
        E820Entry old = *e820_entry(map, i);

        if (base < old.base || !range_ok(base - old.base, size, old.size)) {
            continue;
        }
        g_array_remove_index(map->entries, i);
        e820_add(map, old.base, base - old.base, old.type);
        e820_add(map, base, size, type);
        e820_add(map, base + size, old.size - (base - old.base) - size, old.type);
        return true;
    }
    return false;
}

uint64_t e820_low_ram_end(const E820Map *map)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < map->entries->len; i++) {
        const E820Entry *entry = e820_entry(map, i);

        if (entry->type == E820_RAM && entry->base < 4 * GiB) {
            end = MAX(end, MIN(entry->base + entry->size, 4 * GiB));
        }
    }
    return end;
}

GBytes *e820_to_bytes(const E820Map *map)
{
    size_t len = (size_t)map->entries->len * E820_ENTRY_SIZE;
    uint8_t *bytes = g_malloc0(len);

    for (unsigned i = 0; i < map->entries->len; i++) {
        const E820Entry *entry = e820_entry(map, i);
        uint8_t *at = bytes + (size_t)i * E820_ENTRY_SIZE;

        stq_le(at, entry->base);
        stq_le(at + 8, entry->size);
        stl_le(at + 16, entry->type);
    }
    return g_bytes_new_take(bytes, len);
}
