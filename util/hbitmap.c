/* SPDX-License-Identifier: Apache-2.0 */
/* Level 0 has the bits themselves; the last level is one word. */
#include "util/hbitmap.h"

#include <stdlib.h>
#include <string.h>

#define WORD_SHIFT 6
#define WORD_BITS 64
/* Six bits a level, and no more than 2^63 bits. */
#define MAX_LEVELS 12

struct HBitmap {
    int64_t size;
    uint64_t n_bits; /* of level 0 */
    uint64_t n_set;
    unsigned shift;
    unsigned n_levels;
    uint64_t *levels[MAX_LEVELS];
    uint64_t words[MAX_LEVELS];
};

static uint64_t bits_for(int64_t size, unsigned shift)
{
    return ((uint64_t)size + ((uint64_t)1 << shift) - 1) >> shift;
}

/* All levels but those of the caller's concern: false if memory is short, with nothing kept. */
static bool allocate(HBitmap *map, uint64_t n_bits)
{
    uint64_t bits = n_bits;

    map->n_levels = 0;
    do {
        uint64_t words = MAX((bits + WORD_BITS - 1) >> WORD_SHIFT, 1);

        map->words[map->n_levels] = words;
        map->levels[map->n_levels] = words < SIZE_MAX / 8 ? calloc(words, 8) : NULL;
        if (!map->levels[map->n_levels++]) {
            while (map->n_levels) {
                free(map->levels[--map->n_levels]);
            }
            return false;
        }
        bits = words;
    } while (bits > 1);
    return true;
}

HBitmap *hbitmap_new(int64_t size, unsigned shift)
{
    HBitmap *map = g_new0(HBitmap, 1);

    g_assert(size >= 0 && shift <= 62);
    map->size = size;
    map->shift = shift;
    map->n_bits = bits_for(size, shift);
    if (!allocate(map, map->n_bits)) {
        g_free(map);
        return NULL;
    }
    return map;
}

void hbitmap_free(HBitmap *map)
{
    if (!map) {
        return;
    }
    for (unsigned i = 0; i < map->n_levels; i++) {
        free(map->levels[i]);
    }
    g_free(map);
}

int64_t hbitmap_size(const HBitmap *map)
{
    return map->size;
}

unsigned hbitmap_shift(const HBitmap *map)
{
    return map->shift;
}

static bool test_bit(const HBitmap *map, unsigned level, uint64_t bit)
{
    return map->levels[level][bit >> WORD_SHIFT] >> (bit & (WORD_BITS - 1)) & 1;
}

int64_t hbitmap_count(const HBitmap *map)
{
    int64_t bytes;

    if (!map->n_set) {
        return 0;
    }
    if (!test_bit(map, 0, map->n_bits - 1)) {
        return (int64_t)(map->n_set << map->shift);
    }
    bytes = (int64_t)((map->n_set - 1) << map->shift);
    return bytes + (map->size - (int64_t)((map->n_bits - 1) << map->shift));
}

/* The bits of one word that are in [first, last]. */
static uint64_t word_mask(uint64_t word, uint64_t first, uint64_t last)
{
    uint64_t mask = ~(uint64_t)0;

    if (first >> WORD_SHIFT == word) {
        mask &= ~(uint64_t)0 << (first & (WORD_BITS - 1));
    }
    if (last >> WORD_SHIFT == word) {
        mask &= ~(uint64_t)0 >> (WORD_BITS - 1 - (last & (WORD_BITS - 1)));
    }
    return mask;
}

/* Words of level 0 that become set, or clear, change the levels above. */
static void note_word(HBitmap *map, uint64_t word, bool set)
{
    for (unsigned level = 1; level < map->n_levels; level++) {
        uint64_t *above = &map->levels[level][word >> WORD_SHIFT], before = *above;
        uint64_t bit = (uint64_t)1 << (word & (WORD_BITS - 1));

        *above = set ? before | bit : before & ~bit;
        if (set ? before != 0 : *above != 0) {
            return;
        }
        word >>= WORD_SHIFT;
    }
}

static void set_bits(HBitmap *map, uint64_t first, uint64_t last)
{
    for (uint64_t word = first >> WORD_SHIFT; word <= last >> WORD_SHIFT; word++) {
        uint64_t before = map->levels[0][word], now = before | word_mask(word, first, last);

        if (now != before) {
            map->levels[0][word] = now;
            map->n_set += (uint64_t)__builtin_popcountll(now ^ before);
            if (!before) {
                note_word(map, word, true);
            }
        }
    }
}

/* From bit `from` on; n_bits if there is none. */
static uint64_t find_set(const HBitmap *map, uint64_t from)
{
    unsigned level = 0;

    if (from >= map->n_bits) {
        return map->n_bits;
    }
    for (;;) {
        uint64_t word = from >> WORD_SHIFT, value;

        if (word >= map->words[level]) {
            return map->n_bits;
        }
        value = map->levels[level][word] & (~(uint64_t)0 << (from & (WORD_BITS - 1)));
        if (value) {
            from = (word << WORD_SHIFT) + (uint64_t)__builtin_ctzll(value);
            break;
        }
        /* Nothing in the rest of this word: which of the following words has something? */
        if (++level == map->n_levels) {
            return map->n_bits;
        }
        from = word + 1;
    }
    while (level > 0) {
        level--;
        from = (from << WORD_SHIFT) + (uint64_t)__builtin_ctzll(map->levels[level][from]);
    }
    return from;
}

static uint64_t find_clear(const HBitmap *map, uint64_t from)
{
    for (uint64_t word = from >> WORD_SHIFT; from < map->n_bits; from = ++word << WORD_SHIFT) {
        uint64_t value = ~map->levels[0][word] & (~(uint64_t)0 << (from & (WORD_BITS - 1)));

        if (value) {
            return MIN((word << WORD_SHIFT) + (uint64_t)__builtin_ctzll(value), map->n_bits);
        }
    }
    return map->n_bits;
}

static void clear_bits(HBitmap *map, uint64_t first, uint64_t last)
{
    /* Words without anything in them are not looked at. */
    for (uint64_t at = find_set(map, first); at <= last && at < map->n_bits;
         at = find_set(map, at)) {
        uint64_t word = at >> WORD_SHIFT, before = map->levels[0][word];
        uint64_t now = before & ~word_mask(word, first, last);

        map->levels[0][word] = now;
        map->n_set -= (uint64_t)__builtin_popcountll(now ^ before);
        if (!now) {
            note_word(map, word, false);
        }
        at = (word + 1) << WORD_SHIFT;
    }
}

/* What of the range is on the disk; false: nothing. */
static bool clip(const HBitmap *map, int64_t *start, int64_t *end)
{
    *start = MAX(*start, 0);
    *end = MIN(*end, map->size);
    return *start < *end;
}

static int64_t end_of(int64_t start, int64_t bytes)
{
    return bytes > INT64_MAX - MAX(start, 0) ? INT64_MAX : start + bytes;
}

void hbitmap_set(HBitmap *map, int64_t start, int64_t bytes)
{
    int64_t end = end_of(start, bytes);

    if (clip(map, &start, &end)) {
        set_bits(map, (uint64_t)start >> map->shift, (uint64_t)(end - 1) >> map->shift);
    }
}

void hbitmap_clear(HBitmap *map, int64_t start, int64_t bytes)
{
    int64_t end = end_of(start, bytes);
    uint64_t first, after;

    if (!clip(map, &start, &end)) {
        return;
    }
    first = bits_for(start, map->shift);
    after = end == map->size ? map->n_bits : (uint64_t)end >> map->shift;
    if (first < after) {
        clear_bits(map, first, after - 1);
    }
}

void hbitmap_clear_all(HBitmap *map)
{
    hbitmap_clear(map, 0, map->size);
}

bool hbitmap_get(const HBitmap *map, int64_t at)
{
    return at >= 0 && at < map->size && test_bit(map, 0, (uint64_t)at >> map->shift);
}

typedef uint64_t FindFn(const HBitmap *map, uint64_t from);

static int64_t next_byte(const HBitmap *map, FindFn *find, int64_t start, int64_t end)
{
    uint64_t bit;

    if (!clip(map, &start, &end)) {
        return -1;
    }
    bit = find(map, (uint64_t)start >> map->shift);
    if (bit >= map->n_bits || (int64_t)(bit << map->shift) >= end) {
        return -1;
    }
    return MAX(start, (int64_t)(bit << map->shift));
}

int64_t hbitmap_next_set(const HBitmap *map, int64_t start, int64_t end)
{
    return next_byte(map, find_set, start, end);
}

int64_t hbitmap_next_clear(const HBitmap *map, int64_t start, int64_t end)
{
    return next_byte(map, find_clear, start, end);
}

bool hbitmap_next_area(const HBitmap *map, int64_t start, int64_t end, int64_t max,
                       int64_t *area_start, int64_t *area_bytes)
{
    int64_t from = hbitmap_next_set(map, start, end), to;

    if (from < 0) {
        return false;
    }
    end = MIN(end, map->size);
    if (max && end - from > max) {
        end = from + max;
    }
    to = hbitmap_next_clear(map, from, end);
    *area_start = from;
    *area_bytes = (to < 0 ? end : to) - from;
    return true;
}

void hbitmap_merge(HBitmap *map, const HBitmap *other)
{
    int64_t at = 0, bytes;

    while (hbitmap_next_area(other, at, INT64_MAX, 0, &at, &bytes)) {
        hbitmap_set(map, at, bytes);
        at += bytes;
    }
}

bool hbitmap_resize(HBitmap *map, int64_t size)
{
    g_autoptr(HBitmap) fresh = NULL;
    HBitmap old;

    if (size == map->size) {
        return true;
    }
    if (bits_for(size, map->shift) == map->n_bits) {
        map->size = size;
        return true;
    }
    fresh = hbitmap_new(size, map->shift);
    if (!fresh) {
        return false;
    }
    hbitmap_merge(fresh, map);
    old = *map;
    *map = *fresh;
    *fresh = old;
    return true;
}
