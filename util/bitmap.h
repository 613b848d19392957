/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of bits in unsigned longs, bit 0 lowest in the first. Sizes and positions are in bits. The
 * _atomic functions may run on any thread at once; the others want the caller's lock.
 */
#ifndef VIREO_UTIL_BITMAP_H
#define VIREO_UTIL_BITMAP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define BITMAP_WORD_BITS (CHAR_BIT * sizeof(unsigned long))
#define BITMAP_WORDS(bits) (((bits) + BITMAP_WORD_BITS - 1) / BITMAP_WORD_BITS)

/* All clear; free with g_free(). */
unsigned long *bitmap_new(size_t bits);

static inline bool bitmap_test(const unsigned long *map, size_t bit)
{
    return map[bit / BITMAP_WORD_BITS] >> (bit % BITMAP_WORD_BITS) & 1;
}

static inline void bitmap_set(unsigned long *map, size_t bit)
{
    map[bit / BITMAP_WORD_BITS] |= 1UL << (bit % BITMAP_WORD_BITS);
}

static inline void bitmap_clear(unsigned long *map, size_t bit)
{
    map[bit / BITMAP_WORD_BITS] &= ~(1UL << (bit % BITMAP_WORD_BITS));
}

static inline void bitmap_set_atomic(unsigned long *map, size_t bit)
{
    __atomic_fetch_or(&map[bit / BITMAP_WORD_BITS], 1UL << (bit % BITMAP_WORD_BITS),
                      __ATOMIC_RELEASE);
}

static inline bool bitmap_test_and_clear_atomic(unsigned long *map, size_t bit)
{
    unsigned long mask = 1UL << (bit % BITMAP_WORD_BITS);

    return __atomic_fetch_and(&map[bit / BITMAP_WORD_BITS], ~mask, __ATOMIC_ACQ_REL) & mask;
}

void bitmap_set_range(unsigned long *map, size_t start, size_t count);
void bitmap_clear_range(unsigned long *map, size_t start, size_t count);
void bitmap_set_range_atomic(unsigned long *map, size_t start, size_t count);
/* Clears the range; was any bit of it set? */
bool bitmap_test_and_clear_range_atomic(unsigned long *map, size_t start, size_t count);

/* The first set / clear bit at or after start, or `bits` if there is none. */
size_t bitmap_find_set(const unsigned long *map, size_t bits, size_t start);
size_t bitmap_find_clear(const unsigned long *map, size_t bits, size_t start);
/* The first of `count` clear bits in a row, at or after start; `bits` if there are none. */
size_t bitmap_find_clear_range(const unsigned long *map, size_t bits, size_t start, size_t count);
/* How many of the first `bits` are set. */
size_t bitmap_count(const unsigned long *map, size_t bits);

#endif
