/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a flash chip's array to its image. The guest changes the array at once and never waits; the
 * image follows in whole blocks and in the order of the changes, so that after a crash it holds
 * what the array held at some moment before. Only a guest that outruns its disk by MANY changes
 * (see pflash-store.c) gives up that order.
 *
 * VM lock held; pflash_store_finish() and _free() on the main thread.
 */
#ifndef VIREO_HW_BLOCK_PFLASH_STORE_H
#define VIREO_HW_BLOCK_PFLASH_STORE_H

#include "block/backend.h"

#define PFLASH_STORE_BLOCK 4096

typedef struct PflashStore PflashStore;

/*
 * Backend and array are borrowed, the backend may be written to; size is a multiple of
 * PFLASH_STORE_BLOCK. name: of the chip, for reports; borrowed.
 */
PflashStore *pflash_store_new(BlockBackend *blk, const uint8_t *array, uint64_t size,
                              const char *name);
/* Writes what is left first. NULL is ignored. */
void pflash_store_free(PflashStore *store);
/* [offset, offset + length) of the array has changed; it lies inside, and length is not 0. */
void pflash_store_changed(PflashStore *store, uint64_t offset, uint64_t length);
/* Wait until the image is like the array. */
void pflash_store_finish(PflashStore *store);

#endif
