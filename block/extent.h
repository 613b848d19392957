/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the read-only formats share. A format says where a piece of the disk stands (`map`); here is
 * how that is read, decompressed, decrypted and told of.
 *
 * Memory does not depend on the image: its tables are read through windows of 1 MiB in all, and one
 * decompressed unit is kept. All on the node's loop.
 */
#ifndef VIREO_BLOCK_EXTENT_H
#define VIREO_BLOCK_EXTENT_H

#include "block/codec/codec.h"
#include "block/file-window.h"
#include "block/node.h"
#include "crypto/block.h"

/* The largest unit that is packed, and the largest packed form of one. */
#define EXTENT_MAX_UNIT (16 * 1024 * 1024)

typedef enum ExtentKind {
    EXTENT_ABSENT, /* the backing file decides; zeroes if there is none */
    EXTENT_ZERO,
    EXTENT_DATA,   /* at `at` in the file */
    EXTENT_PACKED, /* by `method`; exactly unit_bytes come out, or the data is broken */
} ExtentKind;

typedef struct Extent {
    ExtentKind kind;
    int64_t bytes;       /* how far it holds, at least 1; more than was asked for is fine */
    int64_t at;
    /* PACKED: the unit that the offset is in, packed_bytes at `at`. */
    int64_t unit_start, unit_bytes, packed_bytes;
    CodecMethod method;
} Extent;

typedef struct ExtentImage {
    /* For an offset inside the disk: 0 or -errno. In a coroutine. */
    int (*map)(BlockNode *node, int64_t offset, Extent *extent);
    CryptoBlock *crypto; /* DATA is encrypted by guest offset; NULL: not; owned */
    int64_t file_size;
    FileWindows tables;
    CoMutex lock;        /* of the unit */
    uint8_t *unit;       /* the decompressed unit that stands at unit_at in the file */
    int64_t unit_at, unit_len, unit_capacity;
    bool reported;       /* that a method cannot be had */
} ExtentImage;

/* The state of a driver that uses this begins with an ExtentImage. */
bool extent_open(BlockNode *node, int (*map)(BlockNode *node, int64_t offset, Extent *extent),
                 GError **error);
void extent_close(BlockNode *node);

/* The children "file", and "file" and "backing". */
extern const BlockChildSpec extent_children[], extent_cow_children[];

/* In open: these bytes of the file, which has to have them. `what`: "QED header". */
bool extent_read_header(BlockNode *node, int64_t offset, size_t bytes, void *buf, const char *what,
                        GError **error);
/* In open: take the backing file's name from the file; len 0: there is none. */
bool extent_read_backing(BlockNode *node, uint64_t offset, uint64_t len, const char *format_name,
                         GError **error);
/* An entry of 4 or 8 bytes of a table. 0; -EIO also if it is beyond the end of the file. */
int extent_entry(BlockNode *node, int64_t offset, void *entry, size_t bytes);

/*
 * For `check`: which of the file's units have a user. Images with more than 128 Mi units are
 * refused with -EFBIG. claim: false, and the reason in *why, if a unit is not in the file or is
 * claimed already. Units are counted from the start of the file.
 */
typedef struct ExtentUse {
    unsigned long *units;
    int64_t n_units;
    int64_t last;        /* the one claimed last, or -1 */
} ExtentUse;
int extent_use_init(ExtentUse *use, int64_t file_size, int64_t unit_bytes);
void extent_use_cleanup(ExtentUse *use);
bool extent_use_claim(ExtentUse *use, int64_t first, int64_t count, const char **why);
/* As claim, for guest data: counts what `check` tells of it, and complains on stderr. */
void extent_use_data(ExtentUse *use, int64_t unit, int64_t entry, BlockCheckResult *result);

/* Members of BlockDriver. */
int extent_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags);
int extent_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                        BlockStatus *status);

#endif
