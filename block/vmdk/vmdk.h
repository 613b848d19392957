/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the VMDK driver. A disk is a row of extents; a sparse extent has a grain directory
 * (GD), whose entries name grain tables (GT), whose entries (GTE) name grains.
 *
 * Everything runs on the node's loop, in coroutines; locks are taken in the order in which
 * VmdkImage has them. Results are 0 or -errno.
 */
#ifndef VIREO_BLOCK_VMDK_VMDK_H
#define VIREO_BLOCK_VMDK_VMDK_H

#include "block/codec/pool.h"
#include "block/driver.h"
#include "block/io.h"
#include "block/node.h"
#include "util/co-lock.h"

/* A descriptor is a page of text; nobody's has more. */
#define VMDK_MAX_DESCRIPTOR (256 * 1024)
#define VMDK_MAX_EXTENTS 2048
/* Bytes of all grain directories of an image. */
#define VMDK_MAX_DIRECTORIES (32 * 1024 * 1024)

typedef enum VmdkKind {
    VMDK_ZERO,     /* no file: reads as zeroes */
    VMDK_FLAT,
    VMDK_SPARSE,
} VmdkKind;

typedef struct VmdkExtent {
    BlockChild *child;        /* the image's file, or one of its own; NULL if ZERO */
    VmdkKind kind;
    char *type;               /* "FLAT", as the descriptor says; "" inside a single file */
    int64_t start, size;      /* of the disk, in bytes */
    int64_t base;             /* FLAT: of the data in the file */

    bool is_cowd, compressed, markers, zeroed_grain;
    bool tables_at_end;       /* a stream: its tables are written behind the grains */
    uint32_t grain_size;      /* bytes */
    uint32_t gtes;            /* per table */
    uint32_t entries;         /* of the directory */
    uint32_t *directory;      /* sectors of the tables, host order */
    uint32_t *redundant;      /* of the second copies; NULL: there are none */
    int64_t overhead;         /* bytes: no grain stands before this */
    int64_t next;             /* where the next grain goes */

    uint32_t **stream;        /* tables of a stream that is being written; elements may be NULL */
    bool stream_is_open;      /* the tables at the end are not what `stream` says */
} VmdkExtent;

typedef struct VmdkDescriptor {
    char *create_type, *parent_hint;
    uint32_t cid, parent_cid;
    GPtrArray *extents;       /* VmdkExtentLine, owned */
} VmdkDescriptor;

typedef struct VmdkExtentLine {
    bool writable;
    int64_t sectors, offset;  /* offset: of the data in the file, in sectors */
    char *type, *name;        /* name NULL: ZERO */
} VmdkExtentLine;

typedef struct VmdkTableCache VmdkTableCache;

typedef struct VmdkImage {
    VmdkExtent *extents;
    unsigned n;
    VmdkDescriptor descriptor;
    char *text;               /* the descriptor, and where it stands in the image's file */
    int64_t text_at, text_size;
    bool cid_is_new;          /* this opening has changed it already */
    bool parent_is_checked;
    GQueue allocations;       /* VmdkAllocation of write.c, on their coroutines' stacks */
    CoQueue allocated;        /* wait for one of them to end */
    CoMutex lock;             /* of allocations, next, the descriptor */
    CoMutex table_lock;       /* of reading and writing tables */
    VmdkTableCache *cache;
    CodecPool *codecs;
} VmdkImage;

/* ---- descriptor.c ---- */

bool vmdk_is_descriptor(const char *text, size_t len);
/* Strict; names the line. Free with vmdk_descriptor_clear(), also after failure. */
bool vmdk_descriptor_parse(const char *text, VmdkDescriptor *out, GError **error);
void vmdk_descriptor_clear(VmdkDescriptor *descriptor);
/* Once per opening, before the first write: a child of this image must notice. With the lock. */
int vmdk_renew_cid(BlockNode *node);

/* ---- open.c ---- */

bool vmdk_open(BlockNode *node, const BlockdevOptions *options, unsigned flags, GError **error);
void vmdk_close(BlockNode *node);

/* ---- table.c ---- */

VmdkTableCache *vmdk_cache_new(void);
void vmdk_cache_free(VmdkTableCache *cache);
/*
 * The table that has this index in the directory; valid until the caller yields. NULL with 0: it
 * does not exist, all its entries are zero.
 */
int vmdk_table_get(BlockNode *node, VmdkExtent *extent, uint32_t index, const uint32_t **table);
/*
 * n entries from `grain` on (in one table): value, value + step, ... They are written, in both
 * copies, when the image is flushed or the cache wants room, after the grains are stable.
 */
int vmdk_table_set(BlockNode *node, VmdkExtent *extent, int64_t grain, uint32_t n, uint32_t value,
                   uint32_t step);
int vmdk_tables_flush(BlockNode *node);

typedef enum VmdkRunType {
    VMDK_RUN_ABSENT,     /* the backing file decides */
    VMDK_RUN_ZERO,
    VMDK_RUN_DATA,
    VMDK_RUN_COMPRESSED, /* one grain, or a part of it */
} VmdkRunType;

typedef struct VmdkRun {
    VmdkRunType type;
    VmdkExtent *extent;
    int64_t bytes;
    int64_t at;          /* DATA: of the first byte; COMPRESSED: of the grain's marker */
    int64_t room;        /* COMPRESSED: no more than this belongs to the grain */
} VmdkRun;

VmdkExtent *vmdk_extent_at(VmdkImage *image, int64_t offset);
/* What stands at offset, as far as it is of one kind and in one piece. */
int vmdk_lookup(BlockNode *node, int64_t offset, int64_t bytes, VmdkRun *run);

/* ---- read.c, write.c ---- */

/* From the backing file, whose content number must be the one this image was made on. */
int vmdk_read_backing(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset);
int vmdk_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                size_t vec_offset, unsigned flags);
int vmdk_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                      BlockStatus *status);
int vmdk_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags);
int vmdk_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags);
int vmdk_flush_to_os(BlockNode *node);

/* ---- stream.c ---- */

int vmdk_read_compressed(BlockNode *node, const VmdkRun *run, int64_t offset, const BlockVec *vec,
                         size_t vec_offset);
int vmdk_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset);
/* Everything behind the grains, so that the file can be opened as it is now. With the lock. */
int vmdk_stream_end(BlockNode *node, VmdkExtent *extent);
/* The end of a stream: directory and tables (stream, by index; NULL: none), footer, EOS. */
int vmdk_write_tail(BlockChild *child, int64_t at, uint8_t *header, uint32_t entries,
                    uint32_t *const *stream);

/* ---- create.c, check.c ---- */

extern const BlockOption vmdk_create_options[];
bool vmdk_create(const BlockdevCreateOptions *options, GError **error);
bool vmdk_create_by_name(const char *filename, json_object *options, GError **error);
int vmdk_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error);

#endif
