/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty bitmaps: which parts of a node were written to since some moment. They belong to a node,
 * hear of each write, zeroing and discard that has ended there (in error too), and grow and shrink
 * with it.
 *
 * A bitmap that something works with is busy; nobody else may change it then. A job that copies
 * what is dirty gives the bitmap a successor, which records meanwhile: the job's end decides which
 * of the two is what is dirty now.
 *
 * Bitmaps are made, removed and given other flags on the main thread. Their bits may be read and
 * changed on any thread: each node has one lock for the bits of all its bitmaps.
 */
#ifndef VIREO_BLOCK_DIRTY_BITMAP_H
#define VIREO_BLOCK_DIRTY_BITMAP_H

#include "block/node.h"
#include "util/hbitmap.h"

typedef struct DirtyBitmap DirtyBitmap;

#define BLOCK_BITMAP_NAME_MAX 1023
#define BLOCK_BITMAP_MIN_GRANULARITY BLOCK_SECTOR

/*
 * Clean, and records from now on. name NULL: a job's own, which nobody else finds. granularity in
 * bytes, a power of two of at least 512; 0: as the node likes it.
 */
DirtyBitmap *block_dirty_bitmap_new(BlockNode *node, const char *name, uint32_t granularity,
                                         GError **error);
/* With its successor. NULL is ignored. An image's copy of it stays. */
void block_dirty_bitmap_free(DirtyBitmap *bitmap);
DirtyBitmap *block_dirty_bitmap_find(BlockNode *node, const char *name);
/* After prev; NULL: the first. Anonymous ones too. */
DirtyBitmap *block_dirty_bitmap_next(BlockNode *node, DirtyBitmap *prev);
/* The cluster size, but 4 to 64 KiB; 64 KiB without clusters. In a coroutine, on the loop. */
uint32_t block_dirty_bitmap_default_granularity(BlockNode *node);

/* ---- Properties ---- */

BlockNode *block_dirty_bitmap_node(const DirtyBitmap *bitmap);
const char *block_dirty_bitmap_name(const DirtyBitmap *bitmap); /* or NULL */
uint32_t block_dirty_bitmap_granularity(const DirtyBitmap *bitmap);
int64_t block_dirty_bitmap_size(const DirtyBitmap *bitmap);

typedef enum BlockBitmapFlags {
    BLOCK_BITMAP_ENABLED = 1u << 0,      /* records writes */
    BLOCK_BITMAP_BUSY = 1u << 1,         /* a job, an export or a migration has it */
    BLOCK_BITMAP_READ_ONLY = 1u << 2,    /* its image is */
    BLOCK_BITMAP_PERSISTENT = 1u << 3,   /* the image's driver stores it */
    BLOCK_BITMAP_INCONSISTENT = 1u << 4, /* the image was not closed: only good for removal */
    BLOCK_BITMAP_SKIP_STORE = 1u << 5,   /* persistent, but not stored this time */
    BLOCK_BITMAP_HIDDEN = 1u << 6,       /* the program's own: not shown */
} BlockBitmapFlags;
unsigned block_dirty_bitmap_flags(const DirtyBitmap *bitmap);
void block_dirty_bitmap_change_flags(DirtyBitmap *bitmap, unsigned set, unsigned clear);
/* Does it, or its successor, record writes? */
bool block_dirty_bitmap_is_recording(const DirtyBitmap *bitmap);
/* False, and the error says why, if the bitmap has one of `refused` (BUSY, READ_ONLY,
 * INCONSISTENT). */
bool block_dirty_bitmap_check(const DirtyBitmap *bitmap, unsigned refused, GError **error);
#define BLOCK_BITMAP_NOT_FOR_CHANGES                                                               \
    (BLOCK_BITMAP_BUSY | BLOCK_BITMAP_READ_ONLY | BLOCK_BITMAP_INCONSISTENT)
#define BLOCK_BITMAP_NOT_FOR_READING (BLOCK_BITMAP_BUSY | BLOCK_BITMAP_INCONSISTENT)

/* ---- Bits. Any thread ---- */

int64_t block_dirty_bitmap_count(DirtyBitmap *bitmap); /* in bytes */
bool block_dirty_bitmap_get(DirtyBitmap *bitmap, int64_t offset);
void block_dirty_bitmap_set(DirtyBitmap *bitmap, int64_t offset, int64_t bytes);
/* Whole units of the granularity only. */
void block_dirty_bitmap_reset(DirtyBitmap *bitmap, int64_t offset, int64_t bytes);
/* The first dirty / clean byte in [start, end), or -1. */
int64_t block_dirty_bitmap_next_dirty(DirtyBitmap *bitmap, int64_t start, int64_t end);
int64_t block_dirty_bitmap_next_clean(DirtyBitmap *bitmap, int64_t start, int64_t end);
/* The first dirty area in [start, end), at most max bytes long (0: no limit). */
bool block_dirty_bitmap_next_area(DirtyBitmap *bitmap, int64_t start, int64_t end,
                                  int64_t max, int64_t *area_start, int64_t *area_bytes);
/*
 * Make it clean. backup, if not NULL, gets what was in it: for block_dirty_bitmap_restore, which
 * takes it, or hbitmap_free. False if memory is short; then nothing has changed.
 */
bool block_dirty_bitmap_clear(DirtyBitmap *bitmap, HBitmap **backup, GError **error);
void block_dirty_bitmap_restore(DirtyBitmap *bitmap, HBitmap *backup);
/* Mark in `to` what `from` marks, of the same node or of another. backup as above. */
bool block_dirty_bitmap_merge(DirtyBitmap *to, DirtyBitmap *from, HBitmap **backup,
                              GError **error);

/* ---- Successors ---- */

/* The bitmap becomes busy and stays as it is; its successor records instead, if it did. */
bool block_dirty_bitmap_create_successor(DirtyBitmap *bitmap, GError **error);
/* The job succeeded: what is dirty is what the successor saw. */
void block_dirty_bitmap_abdicate(DirtyBitmap *bitmap);
/* It failed: all of both is dirty. */
void block_dirty_bitmap_reclaim(DirtyBitmap *bitmap);

/* ---- For QMP ---- */

/* BlockDirtyInfo of those that are worth showing; NULL if there are none. */
GPtrArray *block_dirty_bitmap_info(BlockNode *node);
/* Away with all of a node that is closing. */
void block_dirty_bitmaps_free_all(BlockNode *node);

#endif
