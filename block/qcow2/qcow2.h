/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the qcow2 driver share.
 *
 *   header.c        the header, its extensions; reading and writing them
 *   table.c         L1 and refcount table: all in memory, written where they changed
 *   table-cache.c   L2 tables and refcount blocks, a part of them in memory
 *   refcount.c      reference counts; allocating and freeing host clusters
 *   order.c         what is written in which order; freed clusters until they may be used again
 *   map.c           from guest offsets to host offsets
 *   read.c write.c zero.c compressed.c   requests
 *
 * The order of writes. A crash may lose what was not flushed, and leak clusters, but nothing else:
 * what refers to a cluster reaches the disk after the cluster's reference count and its content,
 * and a cluster is not counted free before nothing on the disk refers to it. Metadata is changed in
 * memory and written by qcow2_write_back(), in steps with a flush between them:
 *
 *   refcount blocks | refcount table | (data, from requests that are over) | L2 tables | L1 table
 *
 * and clusters that were freed keep their count until the steps after that have been flushed.
 *
 * Locking. All runs on the node's loop. `lock` is held wherever metadata changes and wherever a
 * coroutine waits with something in its hands that others must not change. Mappings that are in
 * the cache are looked up without it. Data is read and written without it; host clusters in use by
 * such requests are not given away while these last (qcow2_io_begin).
 */
#ifndef VIREO_BLOCK_QCOW2_QCOW2_H
#define VIREO_BLOCK_QCOW2_QCOW2_H

#include "block/io.h"
#include "block/qcow2/format.h"
#include "block/qcow2/table-cache.h"
#include "crypto/block.h"
#include "util/bits.h"
#include "util/co-lock.h"
#include "util/timer.h"

/* A table that is kept in memory, in the host's byte order. */
typedef struct Qcow2Table {
    uint64_t *entries;
    uint32_t n;
    int64_t offset;        /* in the file */
    unsigned long *dirty;  /* a bit a sector of 64 entries */
    bool is_dirty;
} Qcow2Table;

/* Why a cluster is freed: decides whether the file is told to drop its data. */
typedef enum Qcow2FreeKind {
    QCOW2_FREE_NEVER,    /* will be used again soon */
    QCOW2_FREE_REQUEST,  /* a guest's discard */
    QCOW2_FREE_SNAPSHOT,
    QCOW2_FREE_OTHER,
    QCOW2_FREE_ALWAYS,   /* the image shrinks */
    QCOW2_FREE__MAX
} Qcow2FreeKind;

/* Structures that must not be overwritten by something else; bits of overlap masks. */
typedef enum Qcow2Structure {
    QCOW2_S_HEADER = 1u << 0,
    QCOW2_S_ACTIVE_L1 = 1u << 1,
    QCOW2_S_ACTIVE_L2 = 1u << 2,
    QCOW2_S_REFBLOCK = 1u << 3,
    QCOW2_S_REFTABLE = 1u << 4,
    QCOW2_S_SNAPSHOT_TABLE = 1u << 5,
    QCOW2_S_INACTIVE_L1 = 1u << 6,
    QCOW2_S_INACTIVE_L2 = 1u << 7,
    QCOW2_S_BITMAP_DIRECTORY = 1u << 8,
} Qcow2Structure;
#define QCOW2_STRUCTURES 9

/* Encrypted requests go through a buffer of this size. */
#define QCOW2_CRYPT_PIECE (512 * (int64_t)KiB)

/* A header extension that we do not know, kept as it is. */
typedef struct Qcow2Extension {
    uint32_t type, len;
    uint8_t data[];
} Qcow2Extension;

typedef struct Qcow2Snapshot {
    BlockSnapshot s;
    int64_t l1_offset;
    uint32_t l1_size;
    uint8_t *extra;        /* beyond what we know */
    uint32_t extra_size;   /* all of it, as in the file */
    uint32_t unknown_size; /* bytes in extra */
} Qcow2Snapshot;

/* Clusters that were freed in memory, and keep their reference until disks know. */
typedef struct Qcow2Freed {
    int64_t cluster, n;
    Qcow2FreeKind kind;
} Qcow2Freed;

/* Clusters being allocated: linked into L2 tables when the data is in the file. */
typedef struct Qcow2Alloc {
    int64_t guest;         /* of the first cluster */
    int64_t n;             /* clusters */
    int64_t host;
    bool reuse;            /* the host clusters were these guest clusters' already */
    bool fresh;            /* nothing was ever written there: reads as zeroes */
    int64_t from, to;      /* guest range that is being written, copied parts included */
    GList link;            /* in allocs */
    CoQueue waiters;
} Qcow2Alloc;

typedef struct Qcow2CacheSizes {
    uint64_t l2, l2_entry, refcount; /* bytes */
    uint32_t clean_interval;         /* seconds; 0: never */
} Qcow2CacheSizes;

/* Options that may change when the node is reopened. */
typedef struct Qcow2Settings {
    bool lazy_refcounts;
    bool discard[QCOW2_FREE__MAX];
    unsigned overlap;                /* Qcow2Structure bits that are checked */
    Qcow2CacheSizes sizes;
} Qcow2Settings;

typedef struct Qcow2 {
    BlockNode *node;
    BlockChild *data_file;    /* node->file, or the external one */

    /* From the header. */
    unsigned version, cluster_bits, refcount_order, crypt_method, compression_type;
    uint32_t header_length;
    uint8_t *extra_fields;    /* header fields beyond those that we know */
    uint64_t incompatible, compatible, autoclear;
    int64_t disk_size;
    GPtrArray *extensions;    /* Qcow2Extension, unknown ones */
    char *data_file_name;     /* or NULL */
    int64_t crypto_offset, crypto_length;
    uint32_t nb_bitmaps;
    int64_t bitmap_directory_offset, bitmap_directory_size;
    int64_t snapshots_offset, snapshots_bytes;
    uint32_t header_used;     /* bytes in the first cluster */

    /* What follows from it. */
    uint32_t cluster_size;
    bool extended_l2;
    unsigned l2_entry_size, l2_bits;      /* a table has 1 << l2_bits entries */
    unsigned sub_bits, subclusters;       /* a subcluster has 1 << sub_bits bytes */
    unsigned refblock_bits;               /* a block has 1 << refblock_bits counts */
    uint64_t refcount_max;
    unsigned csize_shift;
    uint64_t coffset_mask;

    Qcow2Settings settings;
    CoMutex lock;
    CoMutex header_lock;      /* one header is written at a time */
    bool hold_counts;         /* write_back leaves out counts, which are only lower now */
    bool stale_flags;         /* references were dropped: see qcow2_settle_flags */
    bool growing_reftable;    /* in memory it is longer than in the file */
    Qcow2Table l1, reftable;
    TableCache l2_cache, refcount_cache;
    unsigned slice_bits;      /* an L2 slice has 1 << slice_bits entries */
    int64_t free_hint;        /* no cluster below is free */
    int64_t file_end;         /* where the file has never been written */
    int64_t compressed_at;    /* where the next compressed data goes; 0: into a new cluster */
    GList *allocs;            /* Qcow2Alloc in flight */
    GHashTable *metadata;     /* cluster -> Qcow2Structure bits; NULL: not needed yet */

    GArray *freed, *draining; /* Qcow2Freed: since the last step; waiting for old requests */
    int64_t freed_clusters;
    unsigned epoch, io_inflight[2];

    GPtrArray *snapshots;     /* Qcow2Snapshot */
    CryptoBlock *crypto;
    struct CodecPool *codecs; /* to compress and decompress */
    bool dirty_marked;        /* the file's header says dirty because of us */
    bool corrupt_reported;
    bool tmp_snapshot;        /* shows a snapshot: nothing may be written */
    bool bitmaps_loaded;      /* the image's bitmaps are in memory */
    bool bitmaps_marked;      /* they are marked in use */
    bool inactive;
    Timer *clean_timer;
} Qcow2;

static inline int64_t qcow2_cluster_start(const Qcow2 *q, int64_t offset)
{
    return offset & ~(int64_t)(q->cluster_size - 1);
}

static inline int64_t qcow2_in_cluster(const Qcow2 *q, int64_t offset)
{
    return offset & (q->cluster_size - 1);
}

static inline int64_t qcow2_clusters(const Qcow2 *q, int64_t bytes)
{
    return (bytes + q->cluster_size - 1) >> q->cluster_bits;
}

static inline bool qcow2_has_data_file(const Qcow2 *q)
{
    return q->incompatible & QCOW2_INCOMPAT_DATA_FILE;
}

static inline bool qcow2_data_file_is_raw(const Qcow2 *q)
{
    return q->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW;
}

/* Guest bytes that one L1 entry stands for, as a shift. */
static inline unsigned qcow2_l1_shift(const Qcow2 *q)
{
    return q->l2_bits + q->cluster_bits;
}

/* L1 entries for a disk of this size. */
static inline uint64_t qcow2_l1_entries(const Qcow2 *q, int64_t size)
{
    unsigned shift = qcow2_l1_shift(q);

    return ((uint64_t)size + (BIT_ULL(shift) - 1)) >> shift;
}

/* Where the saved VM state begins, in guest offsets. */
static inline int64_t qcow2_vm_state_offset(const Qcow2 *q)
{
    return (int64_t)(qcow2_l1_entries(q, q->disk_size) << qcow2_l1_shift(q));
}

/* ---- header.c ---- */

int qcow2_probe(const uint8_t *buf, size_t len, const char *filename);
/* Reads and checks all of it into q (and node->header_backing_*); q must be zeroed. */
bool qcow2_header_read(Qcow2 *q, unsigned open_flags, GError **error);
void qcow2_header_cleanup(Qcow2 *q);
void qcow2_derive_geometry(Qcow2 *q);
/* Writes the header as q is now, with l1 and reftable as given by their tables, and flushes. */
int qcow2_header_write(Qcow2 *q);
/* Set or clear incompatible features, in the file too. */
int qcow2_set_incompatible(Qcow2 *q, uint64_t set, uint64_t clear);
bool qcow2_check_size(const Qcow2 *q, int64_t size, GError **error);

/* ---- table.c ---- */

/* Reads n entries at offset; `what` names the table in errors. */
bool qcow2_table_load(Qcow2 *q, Qcow2Table *table, int64_t offset, uint32_t n, const char *what,
                      GError **error);
void qcow2_table_init(Qcow2Table *table, int64_t offset, uint32_t n);
void qcow2_table_cleanup(Qcow2Table *table);
/* Room for n entries in memory. */
void qcow2_table_resize(Qcow2Table *table, uint32_t n);
void qcow2_table_set(Qcow2Table *table, uint32_t index, uint64_t value);
int qcow2_table_write_dirty(Qcow2 *q, Qcow2Table *table);
/* All of it, to another place; what becomes of the old one is the caller's affair. */
int qcow2_table_write_at(Qcow2 *q, const Qcow2Table *table, int64_t offset);
/* With the lock held: enough L1 entries for offsets below `end`. */
int qcow2_grow_l1(Qcow2 *q, uint64_t entries);

/* ---- refcount.c: with the lock held ---- */

uint64_t qcow2_get_count(const Qcow2 *q, const uint8_t *block, uint64_t index);
void qcow2_set_count(const Qcow2 *q, uint8_t *block, uint64_t index, uint64_t value);
int qcow2_refcount(Qcow2 *q, int64_t cluster, uint64_t *count);
/* Adds to the counts of n clusters. -ERANGE: one would overflow; -EIO: fall below 0. */
int qcow2_refcount_add(Qcow2 *q, int64_t cluster, int64_t n, int64_t addend);
/*
 * n clusters in a row, counted once each: their offset, or -errno. *got NULL: exactly n; else it
 * may be fewer.
 */
int64_t qcow2_alloc(Qcow2 *q, int64_t n, int64_t *got);
/* As many as are free from this offset on, at most n; 0 if it is in use. */
int64_t qcow2_alloc_at(Qcow2 *q, int64_t offset, int64_t n);
/* Clusters that nothing in the file has ever referred to: free at once. */
void qcow2_unalloc(Qcow2 *q, int64_t offset, int64_t n);

/* ---- order.c ---- */

/* With the lock held: data and metadata written so far are stable when this returns. */
int qcow2_barrier(Qcow2 *q);
/* With the lock held; q is a Qcow2. The second, in the order above; lazy counts are left out. */
int qcow2_write_refcounts(void *q);
int qcow2_write_back(void *q);
/* With the lock held: also stable, and what was freed can be used as far as nobody reads it. */
int qcow2_flush_all(Qcow2 *q);
/* Takes the lock: all that is in memory to the file, which needs no repair afterwards. */
int qcow2_settle(Qcow2 *q);
/* With the lock held: drop one reference of each, when no table in the file has it any more. */
void qcow2_free_clusters(Qcow2 *q, int64_t offset, int64_t n, Qcow2FreeKind kind);
/* The reference that an L2 entry has to host clusters, if it has any. */
void qcow2_free_entry(Qcow2 *q, uint64_t entry, Qcow2FreeKind kind);
/* Around data requests to host clusters that were looked up: end takes what begin gave. */
unsigned qcow2_io_begin(Qcow2 *q);
void qcow2_io_end(Qcow2 *q, unsigned epoch);
/* With the lock held, before metadata changes for the first time. */
int qcow2_prepare_change(Qcow2 *q);

/* ---- map.c ---- */

typedef enum Qcow2Type {
    QCOW2_UNALLOCATED,       /* the backing file decides */
    QCOW2_UNALLOCATED_HOST,  /* the same, of a cluster that has a host cluster (subclusters) */
    QCOW2_ZERO_PLAIN,
    QCOW2_ZERO_HOST,         /* reads as zeroes, has a host cluster */
    QCOW2_NORMAL,
    QCOW2_COMPRESSED_DATA,
    QCOW2_INVALID,
} Qcow2Type;

typedef struct Qcow2Run {
    Qcow2Type type;
    int64_t bytes;
    int64_t host;            /* of the first byte; valid for NORMAL and *_HOST */
    bool copied;             /* may be written in place */
    uint64_t entry;          /* the first cluster's descriptor */
} Qcow2Run;

typedef struct Qcow2Entry {
    uint64_t desc, bitmap;
} Qcow2Entry;

Qcow2Entry qcow2_get_entry(const Qcow2 *q, const TableSlice *slice, unsigned index);
void qcow2_set_entry(Qcow2 *q, TableSlice *slice, unsigned index, Qcow2Entry entry);
Qcow2Type qcow2_entry_type(const Qcow2 *q, Qcow2Entry entry, unsigned sub);
static inline int64_t qcow2_slice_offset(const Qcow2 *q, int64_t l2, int64_t guest)
{
    unsigned index = (guest >> q->cluster_bits) & ((1u << q->l2_bits) - 1);

    return l2 + (int64_t)(index >> q->slice_bits) * (int64_t)q->l2_cache.slice_size;
}
static inline unsigned qcow2_slice_index(const Qcow2 *q, int64_t guest)
{
    return (guest >> q->cluster_bits) & ((1u << q->slice_bits) - 1);
}
/*
 * How a range begins: what holds for its first run.bytes. Waits only if `slice` of the table is
 * not in memory; then takes the lock itself unless `locked`.
 */
int qcow2_lookup(Qcow2 *q, int64_t offset, int64_t bytes, bool locked, Qcow2Run *run);
/* With the lock held: the slice of this guest offset, in a table that may be written. Pinned. */
int qcow2_l2_for_write(Qcow2 *q, int64_t guest, TableSlice **slice);
/* The host clusters of a compressed one: first byte and length in whole sectors. */
void qcow2_compressed_range(const Qcow2 *q, uint64_t desc, int64_t *offset, int64_t *bytes);
/* Names the place, marks the image corrupt, sends the event; returns -EIO. */
int qcow2_signal_corruption(Qcow2 *q, bool fatal, int64_t offset, int64_t bytes, const char *fmt,
                            ...) G_GNUC_PRINTF(5, 6);

/* ---- overlap.c ---- */

/* Index what there is. */
int qcow2_metadata_index(Qcow2 *q);
void qcow2_metadata_add(Qcow2 *q, int64_t offset, int64_t bytes, Qcow2Structure kind);
void qcow2_metadata_remove(Qcow2 *q, int64_t offset, int64_t bytes, Qcow2Structure kind);
/* -EIO (and the image is marked corrupt) if a write there would hit metadata. */
int qcow2_check_overlap(Qcow2 *q, int64_t offset, int64_t bytes);

/* ---- read.c ---- */

int qcow2_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags);
/* The same for any guest offset, the saved VM state's too. */
int qcow2_read(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec, size_t vec_offset);
int qcow2_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                       BlockStatus *status);
int qcow2_copy_range_from(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                          int64_t dst_offset, int64_t bytes, unsigned flags);

/* ---- write.c ---- */

int qcow2_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags);
int qcow2_write(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec, size_t vec_offset);
/* Host clusters for all of the range, without writing data (preallocation). */
int qcow2_allocate_range(Qcow2 *q, int64_t offset, int64_t bytes);
/* With the lock held: wait until nothing that overlaps is being allocated. */
void qcow2_wait_allocs(Qcow2 *q, int64_t offset, int64_t bytes);
int qcow2_copy_range_to(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                        int64_t dst_offset, int64_t bytes, unsigned flags);

/* ---- zero.c ---- */

int qcow2_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags);
int qcow2_pdiscard(BlockNode *node, int64_t offset, int64_t bytes);
/* Drop whole clusters, so that the backing file shows. */
int qcow2_deallocate(Qcow2 *q, int64_t offset, int64_t bytes, Qcow2FreeKind kind);
int qcow2_make_empty(BlockNode *node);

/* ---- compressed.c ---- */

int qcow2_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                             size_t vec_offset);
/* A read that begins in a compressed cluster: as much of it as can be done at once. */
int qcow2_read_compressed(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec,
                          size_t vec_offset, int64_t *done);

/* ---- create.c, truncate.c, amend.c, info.c, check.c ---- */

extern const BlockOption qcow2_create_options[], qcow2_amend_options[];
bool qcow2_translate_create_options(json_object *options, GError **error);
/* From options to what the header of a new image says; q is zeroed before. */
bool qcow2_take_options(Qcow2 *q, const BlockdevCreateOptionsQcow2 *o, GError **error);
bool qcow2_create(const BlockdevCreateOptions *options, GError **error);
BlockMeasureInfo *qcow2_measure(const json_object *options, BlockNode *in, int64_t size,
                                GError **error);
int qcow2_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error);
int qcow2_change_backing_file(BlockNode *node, const char *file, const char *format);
bool qcow2_amend_image(BlockNode *node, json_object *options, bool force,
                       BlockProgressFn *progress, void *opaque, GError **error);
bool qcow2_amend(BlockNode *node, const BlockdevAmendOptions *options, bool force,
                 BlockProgressFn *progress, void *opaque, GError **error);
ImageInfoSpecific *qcow2_get_specific_info(BlockNode *node, GError **error);

#endif
