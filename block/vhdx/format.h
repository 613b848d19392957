/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structures of VHDX files ([MS-VHDX], section 2). Little-endian; GUIDs as they stand in the file.
 */
#ifndef VIREO_BLOCK_VHDX_FORMAT_H
#define VIREO_BLOCK_VHDX_FORMAT_H

#include <stdint.h>

#define VHDX_FILE_SIGNATURE "vhdxfile"
#define VHDX_UNIT 0x100000      /* all regions and blocks stand on multiples of 1 MiB */
#define VHDX_SECTOR 4096        /* of the log, and of what it protects */
#define VHDX_HEADER_AT(i) (0x10000 * ((i) + 1))
#define VHDX_REGIONS_AT(i) (0x30000 + 0x10000 * (i))
#define VHDX_TABLE_SIZE 0x10000 /* region and metadata tables */
#define VHDX_TABLE_MAX 2047     /* their entries */
#define VHDX_MIN_BLOCK 0x100000u
#define VHDX_MAX_BLOCK 0x10000000u
#define VHDX_MAX_SIZE (64ull << 40)
/* Bits in a block of the sector bitmap: logical sectors of a chunk. */
#define VHDX_CHUNK_SECTORS (1u << 23)

/* A header (2.2.2): 4 KiB, of which the checksum is taken. */
enum {
    VHDX_HEAD_CHECKSUM = 4, VHDX_HEAD_SEQUENCE = 8, VHDX_HEAD_FILE_GUID = 16,
    VHDX_HEAD_DATA_GUID = 32, VHDX_HEAD_LOG_GUID = 48, VHDX_HEAD_LOG_VERSION = 64,
    VHDX_HEAD_VERSION = 66, VHDX_HEAD_LOG_LENGTH = 68, VHDX_HEAD_LOG_OFFSET = 72,
};
/* The region table (2.2.3) and its entries of 32 bytes, which follow at 16. */
enum {
    VHDX_REGI_CHECKSUM = 4, VHDX_REGI_COUNT = 8, VHDX_REGI_ENTRIES = 16,
    VHDX_REGION_OFFSET = 16, VHDX_REGION_LENGTH = 24, VHDX_REGION_REQUIRED = 28,
};
/* The metadata table (2.6.1); entries of 32 bytes at 32. */
enum {
    VHDX_META_COUNT = 10, VHDX_META_ENTRIES = 32,
    VHDX_ITEM_OFFSET = 16, VHDX_ITEM_LENGTH = 20, VHDX_ITEM_FLAGS = 24,
};
enum { VHDX_ITEM_USER = 1, VHDX_ITEM_VIRTUAL_DISK = 2, VHDX_ITEM_REQUIRED = 4 };
enum { VHDX_PARAM_LEAVE_ALLOCATED = 1, VHDX_PARAM_HAS_PARENT = 2 };
/* A log entry's header (2.3.1.1), and descriptors of 32 bytes, which begin at 64. */
enum {
    VHDX_LOG_CHECKSUM = 4, VHDX_LOG_LENGTH = 8, VHDX_LOG_TAIL = 12, VHDX_LOG_SEQUENCE = 16,
    VHDX_LOG_COUNT = 24, VHDX_LOG_GUID = 32, VHDX_LOG_FLUSHED = 48, VHDX_LOG_LAST = 56,
    VHDX_LOG_DESCRIPTORS = 64,
    VHDX_DESC_TRAILING = 4, VHDX_DESC_LEADING = 8, VHDX_DESC_OFFSET = 16, VHDX_DESC_SEQUENCE = 24,
    VHDX_DESC_SIZE = 32,
    VHDX_DATA_SEQUENCE_HIGH = 4, VHDX_DATA_BYTES = 8, VHDX_DATA_SEQUENCE_LOW = 4092,
};
/* States of a payload block: the lowest three bits of its entry in the BAT (2.5.1.1). */
enum {
    VHDX_NOT_PRESENT = 0, VHDX_UNDEFINED = 1, VHDX_ZERO = 2, VHDX_UNMAPPED = 3,
    VHDX_FULLY_PRESENT = 6, VHDX_PARTIALLY_PRESENT = 7, VHDX_STATE_MASK = 7,
};
#define VHDX_ENTRY_OFFSET(entry) ((entry) & ~(uint64_t)(VHDX_UNIT - 1))

/* As it stands in the file: three little-endian numbers, then bytes. */
#define VHDX_GUID(a, b, c, ...)                                                                    \
    { (a) & 0xff, (a) >> 8 & 0xff, (a) >> 16 & 0xff, (uint32_t)(a) >> 24, (b) & 0xff, (b) >> 8,    \
      (c) & 0xff, (c) >> 8, __VA_ARGS__ }
#define VHDX_BAT_GUID                                                                              \
    VHDX_GUID(0x2dc27766, 0xf623, 0x4200, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08)
#define VHDX_METADATA_GUID                                                                         \
    VHDX_GUID(0x8b7ca206, 0x4790, 0x4b9a, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e)
#define VHDX_PARAMETERS_GUID                                                                       \
    VHDX_GUID(0xcaa16737, 0xfa36, 0x4d43, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b)
#define VHDX_DISK_SIZE_GUID                                                                        \
    VHDX_GUID(0x2fa54224, 0xcd1b, 0x4876, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8)
#define VHDX_DISK_ID_GUID                                                                          \
    VHDX_GUID(0xbeca12ab, 0xb2e6, 0x4523, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46)
#define VHDX_LOGICAL_SECTOR_GUID                                                                   \
    VHDX_GUID(0x8141bf1d, 0xa96f, 0x4709, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f)
#define VHDX_PHYSICAL_SECTOR_GUID                                                                  \
    VHDX_GUID(0xcda348c7, 0x445d, 0x4471, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56)
#define VHDX_PARENT_LOCATOR_GUID                                                                   \
    VHDX_GUID(0xa8d35f2d, 0xb30b, 0x454d, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c)
#define VHDX_LOCATOR_TYPE_GUID                                                                     \
    VHDX_GUID(0xb04aefb7, 0xd19e, 0x4a81, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13)

#endif
