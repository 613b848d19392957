/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sparse set of places on a disk. A bit stands for 2^shift bytes; above the bits stand levels
 * whose bits say which words of the level below are not zero, so that looking for the next set bit
 * costs little however large the disk is. Positions and lengths are in bytes.
 *
 * Memory that was never set is not touched. No locking: one user at a time.
 */
#ifndef VIREO_UTIL_HBITMAP_H
#define VIREO_UTIL_HBITMAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct HBitmap HBitmap;

/* All clear. size >= 0, shift <= 62. NULL if there is not so much memory. */
HBitmap *hbitmap_new(int64_t size, unsigned shift);
void hbitmap_free(HBitmap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HBitmap, hbitmap_free)

int64_t hbitmap_size(const HBitmap *map);
unsigned hbitmap_shift(const HBitmap *map);
/* How many bytes are set; the last bit counts as far as the disk goes. */
int64_t hbitmap_count(const HBitmap *map);

/* Every bit of which the range has a part; what lies beyond the size is ignored. */
void hbitmap_set(HBitmap *map, int64_t start, int64_t bytes);
/* Only bits that are in the range as a whole, or as far as the disk goes. */
void hbitmap_clear(HBitmap *map, int64_t start, int64_t bytes);
void hbitmap_clear_all(HBitmap *map);
bool hbitmap_get(const HBitmap *map, int64_t at);

/* The first set / clear byte in [start, end), or -1. end may lie beyond the size. */
int64_t hbitmap_next_set(const HBitmap *map, int64_t start, int64_t end);
int64_t hbitmap_next_clear(const HBitmap *map, int64_t start, int64_t end);
/*
 * The first area of set bits in [start, end), at most max bytes long (0: no limit); false: none.
 */
bool hbitmap_next_area(const HBitmap *map, int64_t start, int64_t end, int64_t max,
                       int64_t *area_start, int64_t *area_bytes);

/* Set in map what is set in other, whose granularity may be another. */
void hbitmap_merge(HBitmap *map, const HBitmap *other);
/* New room is clear. False, with nothing changed, if there is not so much memory. */
bool hbitmap_resize(HBitmap *map, int64_t size);

#endif
