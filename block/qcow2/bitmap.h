/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty bitmaps that are kept in the image (block/dirty-bitmap.h has them in memory). In a
 * coroutine, while no other change of bitmaps is under way.
 *
 * Data is bits as in the file: bit n of byte m (lowest first) stands for piece 8 * m + n of the
 * disk, each 1 << granularity_bits bytes long.
 */
#ifndef VIREO_BLOCK_QCOW2_BITMAP_H
#define VIREO_BLOCK_QCOW2_BITMAP_H

#include "block/qcow2/check.h"

typedef struct Qcow2Bitmap {
    char *name;
    unsigned granularity_bits;
    uint32_t flags;          /* QCOW2_BITMAP_* */
    /* In the file. */
    int64_t table_offset;
    uint32_t table_size;     /* entries */
    uint8_t *extra;          /* extra data, kept as it is */
    uint32_t extra_size;
    bool is_replaced;        /* while bitmaps are stored: by one of the same name */
} Qcow2Bitmap;
void qcow2_bitmap_free(void *bitmap);

/* What the image has: Qcow2Bitmap, owned. NULL with the error set. */
GPtrArray *qcow2_bitmaps_list(Qcow2 *q, GError **error);
/* Bytes of data that a bitmap of this granularity has. */
int64_t qcow2_bitmap_bytes(const Qcow2 *q, unsigned granularity_bits);

/* Pieces of a bitmap's data, in order: data NULL means all bits are `ones`. -errno stops. */
typedef int Qcow2BitmapPiece(void *opaque, int64_t offset, int64_t bytes, const uint8_t *data,
                             bool ones);
int qcow2_bitmap_load(Qcow2 *q, const Qcow2Bitmap *bitmap, Qcow2BitmapPiece *piece, void *opaque);

/* A bitmap to be stored: fill gives the data of a range. */
typedef struct Qcow2BitmapSource {
    const char *name;
    unsigned granularity_bits;
    uint32_t flags;
    void (*fill)(void *opaque, int64_t offset, int64_t bytes, uint8_t *data);
    void *opaque;
} Qcow2BitmapSource;
/*
 * Write these, in place of those of the same names; others stay. All or nothing: a crash leaves the
 * old directory, whose bitmaps are marked in use if qcow2_bitmaps_mark_in_use() was called.
 */
bool qcow2_bitmaps_store(Qcow2 *q, const Qcow2BitmapSource *sources, guint n, GError **error);
/* Set or clear the in-use flag of all whose name is in the list (NULL: of all), in the file. */
bool qcow2_bitmaps_mark_in_use(Qcow2 *q, const char *const *names, bool in_use, GError **error);
/*
 * With the lock held, before the first change of data: bitmaps that record all writes become
 * inconsistent in the file, unless somebody keeps them (who sets q->bitmaps_marked).
 */
int qcow2_bitmaps_become_stale(Qcow2 *q);
/* No error if the image does not have it. */
bool qcow2_bitmap_remove(BlockNode *node, const char *name, GError **error);
bool qcow2_bitmap_can_store(BlockNode *node, const char *name, uint32_t granularity,
                            GError **error);
/* Of Qcow2BitmapInfo, for info; NULL without error: there are none. */
GPtrArray *qcow2_bitmaps_info(Qcow2 *q, GError **error);

/* Those in memory: made from the image's when it is opened, stored before it is closed. */
bool qcow2_bitmaps_open(Qcow2 *q, GError **error);
/* Afterwards the file is right, until something changes: see qcow2_bitmaps_become_stale(). */
bool qcow2_bitmaps_save(Qcow2 *q, GError **error);
/* The node was reopened: nobody changes them any more, or everybody may. */
void qcow2_bitmaps_reopened(Qcow2 *q, bool read_only);
/* Another process will have them: away with those in memory that stand in the file too. */
void qcow2_bitmaps_forget(Qcow2 *q);
/* Does each of the image's bitmaps become longer or shorter with the disk? */
bool qcow2_bitmaps_can_resize(const Qcow2 *q);

/* Count the clusters of all of them. */
int qcow2_bitmaps_check(Check *check);

#endif
