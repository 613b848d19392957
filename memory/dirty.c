/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty bitmaps. Any thread sets bits (or finds them set: the common case costs a load); a client
 * takes them with an exchange, so no write falls between looking and clearing.
 */
#include <string.h>

#include "memory/internal.h"
#include "memory/ram-block-internal.h"
#include "util/bits.h"
#include "util/vm-lock.h"

#define WORD_BITS (sizeof(unsigned long) * 8)

static uint64_t page_count(uint64_t bytes)
{
    return bytes / RAM_PAGE_SIZE + (bytes % RAM_PAGE_SIZE != 0);
}

static size_t words_for(uint64_t pages)
{
    return pages / WORD_BITS + (pages % WORD_BITS != 0);
}

void ram_block_start_log(RamBlock *block, DirtyClient client)
{
    size_t words = words_for(page_count(block->max_length));

    if (block->dirty[client]) {
        memset(block->dirty[client], 0, words * sizeof(unsigned long));
    } else {
        __atomic_store_n(&block->dirty[client], g_new0(unsigned long, words), __ATOMIC_RELEASE);
    }
}

/* Bits [first, last] of the word that holds both. */
static unsigned long word_mask(uint64_t first, uint64_t last)
{
    return (~0UL << (first % WORD_BITS)) & (~0UL >> (WORD_BITS - 1 - last % WORD_BITS));
}

static void set_bits(unsigned long *bitmap, uint64_t first, uint64_t last)
{
    while (first <= last) {
        uint64_t word_last = MIN(last, first | (WORD_BITS - 1));
        unsigned long mask = word_mask(first, word_last);
        unsigned long *word = &bitmap[first / WORD_BITS];

        if ((__atomic_load_n(word, __ATOMIC_RELAXED) & mask) != mask) {
            __atomic_fetch_or(word, mask, __ATOMIC_RELEASE);
        }
        first = word_last + 1;
    }
}

void ram_block_mark_dirty(RamBlock *block, uint8_t clients, uint64_t offset, uint64_t size)
{
    RamWatch *watch = __atomic_load_n(&block->watch, __ATOMIC_ACQUIRE);

    if (!range_ok(offset, size, block->max_length) || !size) {
        return;
    }
    if ((clients & BIT(DIRTY_CODE)) && watch) {
        /* Either the watcher sees this write's bytes, or this thread sees what it watches. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        watch->written(watch, offset, size);
    }
    for (unsigned i = 0; i < DIRTY__MAX; i++) {
        unsigned long *bitmap = __atomic_load_n(&block->dirty[i], __ATOMIC_ACQUIRE);

        if ((clients & BIT(i)) && bitmap) {
            set_bits(bitmap, offset / RAM_PAGE_SIZE, (offset + size - 1) / RAM_PAGE_SIZE);
        }
    }
}

void memory_region_set_dirty(MemoryRegion *region, uint64_t offset, uint64_t size)
{
    region_note_write(region, offset, size);
}

/* Take bits [first, last] of from, leaving them clear, and OR them into to from its bit 0. */
static bool take_bits(unsigned long *from, uint64_t first, uint64_t last, unsigned long *to)
{
    uint64_t base = first;
    bool any = false;

    while (first <= last) {
        uint64_t word_last = MIN(last, first | (WORD_BITS - 1));
        unsigned long mask = word_mask(first, word_last);
        unsigned long *word = &from[first / WORD_BITS];
        unsigned long bits = 0;

        if (__atomic_load_n(word, __ATOMIC_RELAXED) & mask) {
            bits = __atomic_fetch_and(word, ~mask, __ATOMIC_ACQ_REL) & mask;
        }
        if (bits) {
            uint64_t at = first - base;
            unsigned shift = at % WORD_BITS;
            unsigned long low = bits >> (first % WORD_BITS);

            any = true;
            to[at / WORD_BITS] |= low << shift;
            if (shift && low >> (WORD_BITS - shift)) {
                to[at / WORD_BITS + 1] |= low >> (WORD_BITS - shift);
            }
        }
        first = word_last + 1;
    }
    return any;
}

void memory_region_snapshot_dirty(MemoryRegion *region, DirtyClient client, uint64_t offset,
                                  uint64_t size, unsigned long *bitmap)
{
    RamBlock *block = region->block;
    uint64_t first = offset / RAM_PAGE_SIZE;
    uint64_t last;

    g_assert(vm_lock_held() && block && range_ok(offset, size, block->max_length));
    if (!size) {
        return;
    }
    last = (offset + size - 1) / RAM_PAGE_SIZE;
    memset(bitmap, 0, words_for(last - first + 1) * sizeof(unsigned long));
    if (!block->dirty[client]) {
        return;
    }
    listeners_log_sync(region, offset, size);
    if (take_bits(block->dirty[client], first, last, bitmap)) {
        listeners_log_clear(region, offset, size);
    }
}

/* Is any (or, `clear`, a cleared) bit among those of the pages that [offset, +size) touches? */
static bool has_bit(const unsigned long *bitmap, uint64_t offset, uint64_t size, bool clear)
{
    uint64_t first = offset / RAM_PAGE_SIZE;
    uint64_t last = (offset + size - 1) / RAM_PAGE_SIZE;

    while (first <= last) {
        uint64_t word_last = MIN(last, first | (WORD_BITS - 1));
        unsigned long word = __atomic_load_n(&bitmap[first / WORD_BITS], __ATOMIC_RELAXED);

        if ((clear ? ~word : word) & word_mask(first, word_last)) {
            return true;
        }
        first = word_last + 1;
    }
    return false;
}

bool memory_region_test_dirty(MemoryRegion *region, DirtyClient client, uint64_t offset,
                              uint64_t size)
{
    const RamBlock *block = region->block;
    const unsigned long *bitmap = __atomic_load_n(&block->dirty[client], __ATOMIC_ACQUIRE);

    return bitmap && size && range_ok(offset, size, block->max_length) &&
           has_bit(bitmap, offset, size, false);
}

bool memory_region_wants_dirty(const MemoryRegion *region, uint64_t offset, uint64_t size)
{
    uint8_t clients = __atomic_load_n(&region->log_mask, __ATOMIC_RELAXED) & ~BIT(DIRTY_CODE);
    const RamBlock *block = region->block;

    if (G_LIKELY(!clients) || !size || !range_ok(offset, size, block->max_length)) {
        return false;
    }
    for (unsigned i = 0; i < DIRTY__MAX; i++) {
        const unsigned long *bitmap = __atomic_load_n(&block->dirty[i], __ATOMIC_ACQUIRE);

        if ((clients & BIT(i)) && bitmap && has_bit(bitmap, offset, size, true)) {
            return true;
        }
    }
    return false;
}
