/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VHDX driver share. In coroutines on the node's loop, unless said otherwise;
 * data paths return 0 or -errno. block/vhdx/vhdx.c says how an image is laid out and kept whole.
 */
#ifndef VIREO_BLOCK_VHDX_INTERNAL_H
#define VIREO_BLOCK_VHDX_INTERNAL_H

#include <glib.h>

#include "block/driver.h"
#include "block/node.h"
#include "block/vhdx/format.h"
#include "util/co-lock.h"

typedef struct VhdxRegion {
    int64_t offset, length;
} VhdxRegion;

/* A 4 KiB sector of the BAT. */
typedef struct VhdxPage {
    GList link;               /* in VhdxImage.lru; data: this */
    uint64_t index;
    bool dirty;
    uint64_t entries[VHDX_SECTOR / 8]; /* host order */
} VhdxPage;

typedef struct VhdxImage {
    /* header.c */
    uint8_t header[VHDX_SECTOR];
    unsigned current;         /* which of the two it is: 0, 1 */
    VhdxRegion log, bat, metadata;
    bool is_announced;        /* the header has this session's FileWriteGuid and DataWriteGuid */

    /* metadata.c */
    uint32_t block_size, sector_size;
    int64_t size_at;          /* of the disk's size in the file */
    bool has_parent, is_fixed;
    uint8_t parent_linkage[16];
    bool parent_is_wrong;     /* the backing image is not the one that this was made on */

    /* log.c */
    GArray *overlay;          /* what the log of a read-only image would write, in order; NULL */
    uint8_t *overlay_data;
    uint8_t log_guid[16];     /* of this session */
    uint64_t log_sequence;

    /* bat.c */
    uint64_t blocks, chunk_ratio;
    GHashTable *pages;        /* by index */
    GQueue lru;               /* of VhdxPage; the head was used last */
    unsigned dirty;           /* pages */
    bool has_complained;      /* one line about the BAT is enough */

    int64_t file_end;         /* length of the file */
    int64_t next_block;       /* where the next block goes */
    CoMutex lock;             /* of all that changes: pages, headers, log, next_block */
} VhdxImage;

/* ---- header.c ---- */
bool vhdx_read_header(BlockNode *node, GError **error);
bool vhdx_read_regions(BlockNode *node, GError **error);
/* Both headers, one after the other, from image->header. With the lock held. */
int vhdx_write_headers(BlockNode *node);
/* Before anything of this session is written (2.2.2: new GUIDs). Takes the lock. */
int vhdx_announce_writing(BlockNode *node);
/* A random one; unchanged on failure. */
int vhdx_new_guid(uint8_t guid[16]);
bool vhdx_guid_is_zero(const uint8_t guid[16]);
/* A checksum of a structure whose own field counts as zero. */
uint32_t vhdx_checksum(const uint8_t *buf, size_t len, size_t field);

/* ---- metadata.c ---- */
bool vhdx_read_metadata(BlockNode *node, GError **error);

/* ---- log.c ---- */
/* Replay into the file or, where that is read-only, into memory. */
bool vhdx_replay_log(BlockNode *node, GError **error);
void vhdx_drop_overlay(VhdxImage *image);
/* From the file as the log leaves it. */
int vhdx_readv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
               size_t vec_offset);
int vhdx_read(BlockNode *node, int64_t offset, int64_t bytes, void *buf);
bool vhdx_read_structure(BlockNode *node, int64_t offset, int64_t bytes, void *buf,
                         const char *what, GError **error);
#define VHDX_LOG_BATCH 120u   /* sectors in one entry: it must fit into half of a log of 1 MiB */
/*
 * Make sectors (data: n of them, targets: their offsets) durable in the log and then write them to
 * their places, which is not flushed yet. With the lock held.
 */
int vhdx_log_write(BlockNode *node, const int64_t *targets, const uint8_t *data, unsigned n);
/* Nothing to replay: says so in the headers. With the lock held. */
int vhdx_close_log(BlockNode *node);

/* ---- bat.c ---- */
/* As long as the table must be for this many blocks. */
uint64_t vhdx_bat_bytes(const VhdxImage *image, uint64_t blocks);
bool vhdx_bat_open(BlockNode *node, bool check, GError **error);
void vhdx_bat_close(VhdxImage *image);
/* A payload block's entry, in bounds. */
int vhdx_bat_get(BlockNode *node, uint64_t block, uint64_t *entry);
/* With the lock held. */
int vhdx_bat_get_locked(BlockNode *node, uint64_t block, uint64_t *entry);
int vhdx_bat_set(BlockNode *node, uint64_t block, uint64_t entry);
/* Where the bitmap of the block's chunk is. */
int vhdx_bitmap_at(BlockNode *node, uint64_t block, int64_t *at);
/* All changed entries to the file, by the log. With the lock held. */
int vhdx_bat_commit(BlockNode *node);
/* One fault: said, and counted. */
typedef void VhdxFault(void *opaque, uint64_t index, uint64_t entry, const char *fault);
/* Every payload entry, straight from the file; counts those with a place. */
int vhdx_bat_scan(BlockNode *node, VhdxFault *fault, void *opaque, uint64_t *allocated);

/* ---- vhdx.c ---- */
/* A place for a block, if it has none. With the lock held. */
int vhdx_allocate_locked(BlockNode *node, uint64_t block);

/* ---- resize.c ---- */
int vhdx_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error);

/* ---- create.c ---- */
extern const BlockOption vhdx_create_options[];
bool vhdx_create(const BlockdevCreateOptions *options, GError **error);

#endif
