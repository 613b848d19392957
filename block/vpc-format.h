/* SPDX-License-Identifier: Apache-2.0 */
/* The structures of VHD files, and making new ones. See block/vpc.c for the layout. */
#ifndef VIREO_BLOCK_VPC_FORMAT_H
#define VIREO_BLOCK_VPC_FORMAT_H

#include <glib.h>
#include <stdint.h>

#include "block/driver.h"
#include "block/file-window.h"
#include "util/co-lock.h"

#define VPC_COOKIE "conectix"
#define VPC_DYN_COOKIE "cxsparse"
#define VPC_FOOTER_SIZE 512
#define VPC_DYN_SIZE 1024
#define VPC_UNALLOCATED 0xffffffffu
#define VPC_BLOCK_SIZE (2u << 20)
/* The format's limit: 2040 GiB. */
#define VPC_MAX_SIZE (2040ull << 30)
/* Of a table, which is kept in memory: 16 MiB, the longest disk in blocks of 512 KiB. */
#define VPC_MAX_ENTRIES (4u << 20)

/* Offsets in the footer. */
enum {
    VPC_FEATURES = 8, VPC_VERSION = 12, VPC_DATA_OFFSET = 16, VPC_TIMESTAMP = 24, VPC_CREATOR = 28,
    VPC_CREATOR_VERSION = 32, VPC_CREATOR_OS = 36, VPC_ORIGINAL_SIZE = 40, VPC_CURRENT_SIZE = 48,
    VPC_CYLINDERS = 56, VPC_HEADS = 58, VPC_SECTORS = 59, VPC_TYPE = 60, VPC_CHECKSUM = 64,
    VPC_UUID = 68,
};
/* In the dynamic header. */
enum {
    VPC_DYN_DATA_OFFSET = 8, VPC_DYN_TABLE_OFFSET = 16, VPC_DYN_VERSION = 24, VPC_DYN_ENTRIES = 28,
    VPC_DYN_BLOCK_SIZE = 32, VPC_DYN_CHECKSUM = 36, VPC_DYN_PARENT_UUID = 40,
    VPC_DYN_PARENT_NAME = 64, VPC_DYN_LOCATORS = 576,
};
/* In each of the parent locators. */
enum {
    VPC_LOCATOR_PLATFORM = 0, VPC_LOCATOR_LENGTH = 8, VPC_LOCATOR_OFFSET = 16,
    VPC_LOCATOR_SIZE = 24,
};
#define VPC_LOCATORS 8
#define VPC_PARENT_NAME_BYTES 512
enum { VPC_TYPE_FIXED = 2, VPC_TYPE_DYNAMIC = 3, VPC_TYPE_DIFFERENCING = 4 };

typedef struct VpcImage {
    uint8_t footer[VPC_FOOTER_SIZE];
    bool is_fixed;
    bool has_parent;        /* differencing; only read */
    bool parent_is_wrong;   /* the backing image is not the one that this was made on */
    uint8_t parent_uuid[16];
    FileWindows bitmaps;    /* differencing: which sectors of a block are its own */
    uint32_t *bat;          /* host order */
    uint32_t entries, block_size, bitmap_size;
    int64_t bat_offset;
    int64_t next_block;     /* where the footer stands */
    CoMutex lock;           /* of allocation: bat, next_block */
} VpcImage;

/* Of a block with its bitmap. */
static inline int64_t vpc_block_bytes(const VpcImage *image)
{
    return (int64_t)image->bitmap_size + image->block_size;
}

/* Where blocks may begin. */
static inline int64_t vpc_table_end(const VpcImage *image)
{
    int64_t sectors = (4 * (int64_t)image->entries + BLOCK_SECTOR - 1) / BLOCK_SECTOR;

    return image->bat_offset + sectors * BLOCK_SECTOR;
}

/*
 * Where blocks may end: an image has as many places as table entries. One beyond the end of the
 * file is fine: a power cut keeps entries whose data is lost, which no guest has flushed, and there
 * it reads as zeroes.
 */
static inline int64_t vpc_last_place(const VpcImage *image, int64_t file_size)
{
    return MAX(file_size, vpc_table_end(image) + image->entries * vpc_block_bytes(image));
}

/* One's complement of the sum of all bytes but those of the checksum itself. */
uint32_t vpc_checksum(const uint8_t *buf, size_t len, size_t checksum_at);
/* Bytes, by the field that the footer's maker means. */
uint64_t vpc_disk_size(const uint8_t *footer);

/* ---- vpc-parent.c ---- */
/* Of a differencing image, from its dynamic header: the parent's UUID and name. */
bool vpc_read_parent(BlockNode *node, const uint8_t *header, GError **error);
void vpc_backing_changed(BlockNode *node);

/* BlockDriver.check; in vpc-check.c. */
int vpc_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error);

extern const BlockOption vpc_create_options[];
bool vpc_create(const BlockdevCreateOptions *options, GError **error);

#endif
