/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of bits, a word at a time. */
#include "util/bitmap.h"

#include <glib.h>

unsigned long *bitmap_new(size_t bits)
{
    return g_new0(unsigned long, MAX(BITMAP_WORDS(bits), 1));
}

/*
 * The mask of the word that holds `start`, for a range of `count` bits; moves both on to the next
 * word. count > 0.
 */
static unsigned long next_mask(size_t *start, size_t *count)
{
    size_t first = *start % BITMAP_WORD_BITS;
    size_t n = MIN(*count, BITMAP_WORD_BITS - first);
    unsigned long mask = n == BITMAP_WORD_BITS ? ~0UL : ((1UL << n) - 1) << first;

    *start += n;
    *count -= n;
    return mask;
}

void bitmap_set_range(unsigned long *map, size_t start, size_t count)
{
    while (count) {
        unsigned long *word = &map[start / BITMAP_WORD_BITS];

        *word |= next_mask(&start, &count);
    }
}

void bitmap_clear_range(unsigned long *map, size_t start, size_t count)
{
    while (count) {
        unsigned long *word = &map[start / BITMAP_WORD_BITS];

        *word &= ~next_mask(&start, &count);
    }
}

void bitmap_set_range_atomic(unsigned long *map, size_t start, size_t count)
{
    while (count) {
        unsigned long *word = &map[start / BITMAP_WORD_BITS];

        __atomic_fetch_or(word, next_mask(&start, &count), __ATOMIC_RELEASE);
    }
}

bool bitmap_test_and_clear_range_atomic(unsigned long *map, size_t start, size_t count)
{
    bool any = false;

    while (count) {
        unsigned long *word = &map[start / BITMAP_WORD_BITS];
        unsigned long mask = next_mask(&start, &count);

        /* Most words of a dirty bitmap are clean: do not take their cache lines. */
        if (__atomic_load_n(word, __ATOMIC_RELAXED) & mask) {
            any |= (__atomic_fetch_and(word, ~mask, __ATOMIC_ACQ_REL) & mask) != 0;
        }
    }
    return any;
}

/* flip: all ones to look for clear bits. */
static size_t find(const unsigned long *map, size_t bits, size_t start, unsigned long flip)
{
    size_t i = start / BITMAP_WORD_BITS;
    unsigned long word;

    if (start >= bits) {
        return bits;
    }
    word = (map[i] ^ flip) & (~0UL << (start % BITMAP_WORD_BITS));
    while (!word) {
        if (++i >= BITMAP_WORDS(bits)) {
            return bits;
        }
        word = map[i] ^ flip;
    }
    return MIN(i * BITMAP_WORD_BITS + (size_t)__builtin_ctzl(word), bits);
}

size_t bitmap_find_set(const unsigned long *map, size_t bits, size_t start)
{
    return find(map, bits, start, 0);
}

size_t bitmap_find_clear(const unsigned long *map, size_t bits, size_t start)
{
    return find(map, bits, start, ~0UL);
}

size_t bitmap_find_clear_range(const unsigned long *map, size_t bits, size_t start, size_t count)
{
    for (;;) {
        size_t end;

        start = bitmap_find_clear(map, bits, start);
        if (start >= bits || count > bits - start) {
            return bits;
        }
        end = bitmap_find_set(map, start + count, start);
        if (end == start + count) {
            return start;
        }
        start = end;
    }
}

size_t bitmap_count(const unsigned long *map, size_t bits)
{
    size_t count = 0;
    size_t start = 0;

    while (bits) {
        const unsigned long *word = &map[start / BITMAP_WORD_BITS];

        count += (size_t)__builtin_popcountl(*word & next_mask(&start, &bits));
    }
    return count;
}
