/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The qcow2 format as it stands in files ("The qcow2 image format", docs/interop of the QEMU
 * project; the names are the specification's). All numbers are big-endian.
 */
#ifndef VIREO_BLOCK_QCOW2_FORMAT_H
#define VIREO_BLOCK_QCOW2_FORMAT_H

#include "util/bits.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */
#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
/* What an L1 table, a refcount table and others may have; more is refused. */
#define QCOW2_MAX_L1_BYTES (32 * (int64_t)MiB)
#define QCOW2_MAX_REFTABLE_BYTES (8 * (int64_t)MiB)
#define QCOW2_MAX_BACKING_NAME 1023
#define QCOW2_MAX_SNAPSHOTS 65536
#define QCOW2_MAX_SNAPSHOT_TABLE (16 * (int64_t)MiB)
#define QCOW2_MAX_BITMAPS 65535
/* Of the bits that are set, in memory. */
#define QCOW2_MAX_BITMAP_MEMORY (512 * (int64_t)MiB)
#define QCOW2_MAX_BITMAP_DIRECTORY (64 * (int64_t)MiB)

/* Where the header's fields are. */
enum {
    QCOW2_H_MAGIC = 0,
    QCOW2_H_VERSION = 4,
    QCOW2_H_BACKING_OFFSET = 8,
    QCOW2_H_BACKING_SIZE = 16,
    QCOW2_H_CLUSTER_BITS = 20,
    QCOW2_H_SIZE = 24,
    QCOW2_H_CRYPT_METHOD = 32,
    QCOW2_H_L1_SIZE = 36,
    QCOW2_H_L1_OFFSET = 40,
    QCOW2_H_REFTABLE_OFFSET = 48,
    QCOW2_H_REFTABLE_CLUSTERS = 56,
    QCOW2_H_NB_SNAPSHOTS = 60,
    QCOW2_H_SNAPSHOTS_OFFSET = 64,
    QCOW2_V2_HEADER_LENGTH = 72,
    QCOW2_H_INCOMPATIBLE = 72,
    QCOW2_H_COMPATIBLE = 80,
    QCOW2_H_AUTOCLEAR = 88,
    QCOW2_H_REFCOUNT_ORDER = 96,
    QCOW2_H_HEADER_LENGTH = 100,
    QCOW2_V3_HEADER_LENGTH = 104,
    QCOW2_H_COMPRESSION_TYPE = 104,
    QCOW2_HEADER_LENGTH = 112, /* that we write */
};

enum { QCOW2_CRYPT_NONE, QCOW2_CRYPT_AES, QCOW2_CRYPT_LUKS };

#define QCOW2_INCOMPAT_DIRTY BIT_ULL(0)
#define QCOW2_INCOMPAT_CORRUPT BIT_ULL(1)
#define QCOW2_INCOMPAT_DATA_FILE BIT_ULL(2)
#define QCOW2_INCOMPAT_COMPRESSION BIT_ULL(3)
#define QCOW2_INCOMPAT_EXTL2 BIT_ULL(4)
#define QCOW2_INCOMPAT_KNOWN 0x1fULL
#define QCOW2_COMPAT_LAZY_REFCOUNTS BIT_ULL(0)
#define QCOW2_AUTOCLEAR_BITMAPS BIT_ULL(0)
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW BIT_ULL(1)
#define QCOW2_AUTOCLEAR_KNOWN 3ULL

/* Types of header extensions. */
#define QCOW2_EXT_END 0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES 0x6803f857u
#define QCOW2_EXT_BITMAPS 0x23852875u
#define QCOW2_EXT_CRYPTO 0x0537be77u
#define QCOW2_EXT_DATA_FILE 0x44415441u

#define QCOW2_FEATURE_NAME_SIZE 46
#define QCOW2_FEATURE_ENTRY_SIZE 48

/* Entries of L1 and L2 tables, and of the refcount table (without the flags). */
#define QCOW2_COPIED BIT_ULL(63)
#define QCOW2_COMPRESSED BIT_ULL(62)
#define QCOW2_ZERO BIT_ULL(0)
#define QCOW2_OFFSET_MASK MASK_ULL(55, 9)
#define QCOW2_L1_RESERVED (MASK_ULL(62, 56) | MASK_ULL(8, 0))
#define QCOW2_L2_RESERVED (MASK_ULL(61, 56) | MASK_ULL(8, 1))
#define QCOW2_REFTABLE_MASK MASK_ULL(63, 9)
/* No host cluster is at or beyond this. */
#define QCOW2_MAX_HOST_OFFSET (BIT_ULL(56) - 1)
#define QCOW2_SUBCLUSTERS 32 /* in a cluster, with extended L2 entries */

/* An entry of the snapshot table. */
enum {
    QCOW2_SN_L1_OFFSET = 0,
    QCOW2_SN_L1_SIZE = 8,
    QCOW2_SN_ID_SIZE = 12,
    QCOW2_SN_NAME_SIZE = 14,
    QCOW2_SN_DATE_S = 16,
    QCOW2_SN_DATE_NS = 20,
    QCOW2_SN_VM_CLOCK = 24,
    QCOW2_SN_VM_STATE_SIZE = 32,
    QCOW2_SN_EXTRA_SIZE = 36,
    QCOW2_SN_HEADER = 40,
    /* In the extra data. */
    QCOW2_SN_X_VM_STATE_SIZE = 0,
    QCOW2_SN_X_DISK_SIZE = 8,
    QCOW2_SN_X_ICOUNT = 16,
    QCOW2_SN_X_SIZE = 24,
    QCOW2_SN_MAX_EXTRA = 1024,
};

/* The extension that says where bitmaps are, and an entry of their directory. */
enum {
    QCOW2_BM_NUMBER = 0,
    QCOW2_BM_DIRECTORY_SIZE = 8,
    QCOW2_BM_DIRECTORY_OFFSET = 16,
    QCOW2_BM_EXTENSION = 24,

    QCOW2_BE_TABLE_OFFSET = 0,
    QCOW2_BE_TABLE_SIZE = 8,
    QCOW2_BE_FLAGS = 12,
    QCOW2_BE_TYPE = 16,
    QCOW2_BE_GRANULARITY = 17,
    QCOW2_BE_NAME_SIZE = 18,
    QCOW2_BE_EXTRA_SIZE = 20,
    QCOW2_BE_HEADER = 24,
};
#define QCOW2_BITMAP_IN_USE BIT(0)
#define QCOW2_BITMAP_AUTO BIT(1)
#define QCOW2_BITMAP_EXTRA_COMPATIBLE BIT(2)
#define QCOW2_BITMAP_FLAGS_KNOWN 7u
#define QCOW2_BITMAP_DIRTY_TRACKING 1
#define QCOW2_BITMAP_ALL_ONES BIT_ULL(0)

#endif
