/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that deal with bitmaps in the image. */
#ifndef VIREO_BLOCK_QCOW2_BITMAP_INTERNAL_H
#define VIREO_BLOCK_QCOW2_BITMAP_INTERNAL_H

#include "block/qcow2/bitmap.h"

/* A bitmap's table, in the host's byte order, checked against the file. NULL with the error set. */
uint64_t *qcow2_bitmap_table(Qcow2 *q, const Qcow2Bitmap *bitmap, GError **error);
/* Name -> Qcow2Bitmap; all is the list's. */
GHashTable *qcow2_bitmaps_by_name(GPtrArray *list);
/* With the lock held: this directory in place of the old one, at one stroke. */
int qcow2_bitmap_directory_write(Qcow2 *q, GPtrArray *bitmaps);
/* With the lock held: the clusters of a bitmap that the file does not name any more. */
void qcow2_bitmap_free_clusters(Qcow2 *q, const Qcow2Bitmap *bitmap);

#endif
