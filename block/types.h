/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block layer's vocabulary: the flags and small structs that every file of block/ uses.
 *
 * Offsets and lengths are int64_t bytes, never sectors, and no image is longer than
 * BLOCK_MAX_LENGTH, so that a sum of two of them cannot overflow.
 */
#ifndef VIREO_BLOCK_TYPES_H
#define VIREO_BLOCK_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BLOCK_SECTOR 512
/* The largest length of an image, a multiple of every alignment in use. */
#define BLOCK_MAX_LENGTH (INT64_MAX & ~((int64_t)(1 << 30) - 1))
/* The longest single request; longer ones are split by the core or refused. */
#define BLOCK_MAX_REQUEST (INT32_MAX & ~(int64_t)((1 << 16) - 1))
/* Nodes below one another; a chain that is longer is refused when it is opened. */
#define BLOCK_MAX_DEPTH 512

typedef struct BlockNode BlockNode;
typedef struct BlockChild BlockChild;
typedef struct BlockDriver BlockDriver;
typedef struct BlockBackend BlockBackend;

/* Scattered memory of a request, which comes with an offset into it: nobody needs slices. */
typedef struct BlockVec {
    const struct iovec *iov;
    unsigned n;
} BlockVec;

#define BLOCK_VEC_BUF(buf, len)                                                                    \
    (&(BlockVec){ .iov = &(struct iovec){ .iov_base = (void *)(buf), .iov_len = (len) }, .n = 1 })

typedef enum BlockReqFlags {
    /* Stable before the request completes, whatever the cache mode. */
    BLOCK_REQ_FUA = 1u << 0,
    /* write_zeroes: may deallocate. */
    BLOCK_REQ_MAY_UNMAP = 1u << 1,
    /* write_zeroes: -ENOTSUP rather than writing buffers of zeroes. */
    BLOCK_REQ_NO_FALLBACK = 1u << 2,
    /* The data goes into compressed clusters. */
    BLOCK_REQ_COMPRESSED = 1u << 3,
    /* What is written is what a read would have given (BLOCK_PERM_WRITE_UNCHANGED suffices). */
    BLOCK_REQ_WRITE_UNCHANGED = 1u << 4,
    /* Wait for all overlapping requests, and let later ones wait. */
    BLOCK_REQ_SERIALISING = 1u << 5,
    /* With SERIALISING: -EBUSY instead of waiting. */
    BLOCK_REQ_NO_WAIT = 1u << 6,
    /* Reads: copy what came from the backing file into this image. */
    BLOCK_REQ_COPY_ON_READ = 1u << 7,
    /* Reads with COPY_ON_READ: the data itself is not wanted; vec may be NULL. */
    BLOCK_REQ_PREFETCH = 1u << 8,
    /* truncate: what is added reads as zeroes. */
    BLOCK_REQ_ZERO_WRITE = 1u << 9,
} BlockReqFlags;

/* What a parent does with a node, and what it lets the node's other parents do. */
typedef enum BlockPerm {
    /* Read, and rely on seeing what a client wrote and nothing in between. */
    BLOCK_PERM_CONSISTENT_READ = 1u << 0,
    BLOCK_PERM_WRITE = 1u << 1,
    BLOCK_PERM_WRITE_UNCHANGED = 1u << 2,
    BLOCK_PERM_RESIZE = 1u << 3,
    BLOCK_PERM_ALL = 15,
} BlockPerm;

/* What a child is to its parent. */
typedef enum BlockRole {
    BLOCK_ROLE_DATA = 1u << 0,
    BLOCK_ROLE_METADATA = 1u << 1,
    BLOCK_ROLE_FILTERED = 1u << 2, /* the parent shows what this child has */
    BLOCK_ROLE_COW = 1u << 3,      /* a backing image */
    BLOCK_ROLE_PRIMARY = 1u << 4,  /* stands for the parent's storage (its size, its file name) */
    /* The usual file child of a format. */
    BLOCK_ROLE_IMAGE = BLOCK_ROLE_DATA | BLOCK_ROLE_METADATA | BLOCK_ROLE_PRIMARY,
} BlockRole;

typedef enum BlockOpenFlags {
    BLOCK_OPEN_NO_IO = 1u << 0,      /* only metadata will be asked for: info */
    BLOCK_OPEN_NO_BACKING = 1u << 1, /* leave the header's backing file and data file closed */
    BLOCK_OPEN_CHECK = 1u << 2,      /* for check: dirty and corrupt are fine, repair nothing */
    BLOCK_OPEN_INACTIVE = 1u << 3,   /* another process owns it until the incoming migration ends */
    BLOCK_OPEN_PROTOCOL = 1u << 4,   /* do not put a format on top of a bare file name */
    BLOCK_OPEN_NO_BITMAPS = 1u << 5, /* leave the image's dirty bitmaps in the file */
} BlockOpenFlags;

/* What is known of a range (block_status). */
typedef enum BlockStatusFlags {
    BLOCK_STATUS_DATA = 1u << 0,         /* has data of its own in this node or below its file */
    BLOCK_STATUS_ZERO = 1u << 1,         /* reads as zeroes */
    BLOCK_STATUS_OFFSET_VALID = 1u << 2, /* map and file say where it stands, raw */
    BLOCK_STATUS_ALLOCATED = 1u << 3,    /* this layer decides what is read, not the backing file */
    BLOCK_STATUS_EOF = 1u << 4,          /* the range reaches the end of the image */
    BLOCK_STATUS_COMPRESSED = 1u << 5,
    /* Drivers only: the answer is that of map/file; ask there. */
    BLOCK_STATUS_RECURSE = 1u << 6,
    BLOCK_STATUS_RAW = 1u << 7,
} BlockStatusFlags;

typedef struct BlockStatus {
    unsigned flags;
    int64_t bytes;   /* how far from the offset asked about this holds; 0 only at the end */
    int64_t map;     /* with OFFSET_VALID: where in file */
    BlockNode *file; /* borrowed; with OFFSET_VALID */
    int depth;       /* of the layer that answered: 0 the node asked, 1 its backing, ... */
} BlockStatus;

/* What a node can take. 0: no limit; alignments are powers of two. */
typedef struct BlockLimits {
    uint32_t request_alignment;      /* of offset and bytes, at least 1; the core pads */
    int64_t max_transfer;
    int64_t max_discard;
    uint32_t discard_alignment;
    int64_t max_write_zeroes;
    uint32_t write_zeroes_alignment;
    uint32_t opt_transfer;
    size_t min_mem_alignment;        /* of memory; the core bounces what is not */
    unsigned max_iov;
} BlockLimits;

#endif
