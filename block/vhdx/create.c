/* SPDX-License-Identifier: Apache-2.0 */
/* VHDX: new images: headers, log, BAT, metadata, and the data of fixed ones, in this order. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/create.h"
#include "block/io.h"
#include "block/vhdx/internal.h"
#include "util/bits.h"
#include "util/error.h"

#define CREATOR "Vireo"
#define SECTOR_SIZE 512u
#define FILL_STEP 0x100000u
/* The first item's place in the metadata region. */
#define ITEMS_AT VHDX_TABLE_SIZE

const BlockOption vhdx_create_options[] = {
    { "block_size", BLOCK_OPTION_SIZE,
      "size of a block, 1 MiB to 256 MiB; 0 chooses by the image's size", "0" },
    { "block_state_zero", BLOCK_OPTION_BOOL,
      "new blocks of a dynamic image are marked as zero, not as absent (default: on)" },
    { "log_size", BLOCK_OPTION_SIZE, "size of the log, at least 1 MiB", "1048576" },
    { "size", BLOCK_OPTION_SIZE, "virtual disk size, at most 64 TiB" },
    { "subformat", BLOCK_OPTION_STRING, "kind of image: dynamic (default) or fixed" },
    { NULL },
};

typedef struct NewImage {
    uint64_t size, blocks, chunk_ratio;
    uint32_t block_size, log_size;
    bool is_fixed;
    uint64_t empty_state;
    VhdxRegion bat, metadata;
    int64_t data_at;
} NewImage;

static uint32_t default_block_size(uint64_t size)
{
    static const struct {
        uint64_t above;
        uint32_t block_size;
    } steps[] = {
        { 32 * TiB, 64 * MiB }, { 100 * GiB, 32 * MiB }, { GiB, 16 * MiB }, { 0, 8 * MiB },
    };
    unsigned i = 0;

    while (steps[i].above && size <= steps[i].above) {
        i++;
    }
    return steps[i].block_size;
}

static bool plan(const BlockdevCreateOptionsVhdx *o, NewImage *new, GError **error)
{
    uint64_t log_size = o->has_log_size ? o->log_size : VHDX_UNIT;
    uint64_t block_size = o->has_block_size ? o->block_size : 0;
    uint64_t entries;

    new->size = ROUND_UP(MIN(o->size, INT64_MAX), SECTOR_SIZE);
    new->is_fixed = o->has_subformat && o->subformat == BLOCKDEV_VHDX_SUBFORMAT_FIXED;
    new->empty_state = !o->has_block_state_zero || o->block_state_zero ? VHDX_ZERO
                                                                       : VHDX_NOT_PRESENT;
    if (new->size > VHDX_MAX_SIZE) {
        error_setf(error, "Image size too large; max of 64TB");
        return false;
    }
    if (log_size >= 4 * GiB - VHDX_UNIT) {
        error_setf(error, "Log size must be smaller than 4 GB");
        return false;
    }
    block_size = block_size ? CLAMP(block_size, VHDX_MIN_BLOCK, VHDX_MAX_BLOCK)
                            : default_block_size(new->size);
    if (block_size & (block_size - 1)) {
        error_setf(error, "Block size must be a power of two");
        return false;
    }
    new->log_size = MAX(ROUND_UP(log_size, VHDX_UNIT), VHDX_UNIT);
    new->block_size = block_size;
    new->blocks = DIV_ROUND_UP(new->size, block_size);
    new->chunk_ratio = (uint64_t)VHDX_CHUNK_SECTORS * SECTOR_SIZE / block_size;
    entries = new->blocks + new->blocks / new->chunk_ratio;
    new->bat.offset = VHDX_UNIT + (int64_t)new->log_size;
    new->bat.length = MAX(ROUND_UP(entries * 8, VHDX_UNIT), VHDX_UNIT);
    new->metadata = (VhdxRegion){ new->bat.offset + new->bat.length, VHDX_UNIT };
    new->data_at = new->metadata.offset + new->metadata.length;
    return true;
}

/* ---- Structures ---- */

static int fill_header(const NewImage *new, uint8_t *h)
{
    int ret = vhdx_new_guid(h + VHDX_HEAD_FILE_GUID);

    memcpy(h, "head", 4);
    stw_le(h + VHDX_HEAD_VERSION, 1);
    stl_le(h + VHDX_HEAD_LOG_LENGTH, new->log_size);
    stq_le(h + VHDX_HEAD_LOG_OFFSET, VHDX_UNIT);
    return ret < 0 ? ret : vhdx_new_guid(h + VHDX_HEAD_DATA_GUID);
}

static void number_header(uint8_t *h, uint64_t sequence)
{
    stq_le(h + VHDX_HEAD_SEQUENCE, sequence);
    stl_le(h + VHDX_HEAD_CHECKSUM, vhdx_checksum(h, VHDX_SECTOR, VHDX_HEAD_CHECKSUM));
}

static void fill_region(uint8_t *entry, const uint8_t guid[16], const VhdxRegion *region)
{
    memcpy(entry, guid, 16);
    stq_le(entry + VHDX_REGION_OFFSET, region->offset);
    stl_le(entry + VHDX_REGION_LENGTH, region->length);
    stl_le(entry + VHDX_REGION_REQUIRED, 1);
}

static void fill_regions(const NewImage *new, uint8_t *table)
{
    static const uint8_t bat[] = VHDX_BAT_GUID, metadata[] = VHDX_METADATA_GUID;

    memcpy(table, "regi", 4);
    stl_le(table + VHDX_REGI_COUNT, 2);
    fill_region(table + VHDX_REGI_ENTRIES, bat, &new->bat);
    fill_region(table + VHDX_REGI_ENTRIES + 32, metadata, &new->metadata);
    stl_le(table + VHDX_REGI_CHECKSUM, vhdx_checksum(table, VHDX_TABLE_SIZE, VHDX_REGI_CHECKSUM));
}

/* The file's first 320 KiB. */
static int write_start(BlockChild *file, const NewImage *new)
{
    size_t length = VHDX_REGIONS_AT(1) + VHDX_TABLE_SIZE;
    g_autofree uint8_t *start = g_malloc0(length);
    uint8_t *first = start + VHDX_HEADER_AT(0), *second = start + VHDX_HEADER_AT(1);
    int ret;

    memcpy(start, VHDX_FILE_SIGNATURE, 8);
    for (unsigned i = 0; i < strlen(CREATOR); i++) {
        start[8 + 2 * i] = CREATOR[i];
    }
    ret = fill_header(new, first);
    memcpy(second, first, VHDX_SECTOR);
    number_header(first, 1);
    number_header(second, 2);
    fill_regions(new, start + VHDX_REGIONS_AT(0));
    memcpy(start + VHDX_REGIONS_AT(1), start + VHDX_REGIONS_AT(0), VHDX_TABLE_SIZE);
    return ret < 0 ? ret : block_pwrite(file, 0, length, start, 0);
}

static int write_metadata(BlockChild *file, const NewImage *new)
{
    static const struct {
        uint8_t guid[16];
        uint32_t length, flags;
    } items[] = {
        { VHDX_PARAMETERS_GUID, 8, VHDX_ITEM_REQUIRED },
        { VHDX_DISK_SIZE_GUID, 8, VHDX_ITEM_REQUIRED | VHDX_ITEM_VIRTUAL_DISK },
        { VHDX_DISK_ID_GUID, 16, VHDX_ITEM_REQUIRED | VHDX_ITEM_VIRTUAL_DISK },
        { VHDX_LOGICAL_SECTOR_GUID, 4, VHDX_ITEM_REQUIRED | VHDX_ITEM_VIRTUAL_DISK },
        { VHDX_PHYSICAL_SECTOR_GUID, 4, VHDX_ITEM_REQUIRED | VHDX_ITEM_VIRTUAL_DISK },
    };
    size_t length = ITEMS_AT + VHDX_SECTOR;
    g_autofree uint8_t *table = g_malloc0(length);
    uint8_t *values = table + ITEMS_AT;
    uint32_t at = 0;
    int ret = vhdx_new_guid(values + 16);

    memcpy(table, "metadata", 8);
    stw_le(table + VHDX_META_COUNT, G_N_ELEMENTS(items));
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        uint8_t *entry = table + VHDX_META_ENTRIES + 32 * i;

        memcpy(entry, items[i].guid, 16);
        stl_le(entry + VHDX_ITEM_OFFSET, ITEMS_AT + at);
        stl_le(entry + VHDX_ITEM_LENGTH, items[i].length);
        stl_le(entry + VHDX_ITEM_FLAGS, items[i].flags);
        at += items[i].length;
    }
    stl_le(values, new->block_size);
    stl_le(values + 4, new->is_fixed ? VHDX_PARAM_LEAVE_ALLOCATED : 0);
    stq_le(values + 8, new->size);
    stl_le(values + 32, SECTOR_SIZE);
    stl_le(values + 36, SECTOR_SIZE);
    return ret < 0 ? ret : block_pwrite(file, new->metadata.offset, length, table, 0);
}

/* The entry at this index of the table, or that of a sector bitmap, which is not there. */
static uint64_t new_entry(const NewImage *new, uint64_t index)
{
    uint64_t block = index - index / (new->chunk_ratio + 1);

    if (index % (new->chunk_ratio + 1) == new->chunk_ratio || block >= new->blocks) {
        return 0;
    }
    return new->is_fixed ? (new->data_at + block * new->block_size) | VHDX_FULLY_PRESENT
                         : new->empty_state;
}

static int write_bat(BlockChild *file, const NewImage *new)
{
    g_autofree uint64_t *buf = NULL;
    int ret = 0;

    if (!new->is_fixed && new->empty_state == VHDX_NOT_PRESENT) {
        return block_pwrite_zeroes(file, new->bat.offset, new->bat.length, 0);
    }
    buf = g_malloc(FILL_STEP);
    for (int64_t at = 0; at < new->bat.length && ret >= 0; at += FILL_STEP) {
        for (unsigned i = 0; i < FILL_STEP / 8; i++) {
            buf[i] = htole64(new_entry(new, at / 8 + i));
        }
        ret = block_pwrite(file, new->bat.offset + at, FILL_STEP, buf, 0);
    }
    return ret;
}

static bool write_image(BlockChild *file, const NewImage *new, GError **error)
{
    BlockTruncate empty = { 0 };
    BlockTruncate whole = {
        .size = new->data_at + (new->is_fixed ? new->blocks * new->block_size : 0),
    };
    int ret;

    if (block_truncate(file, &empty, error) < 0 || block_truncate(file, &whole, error) < 0) {
        return false;
    }
    ret = write_start(file, new);
    if (ret >= 0) {
        ret = write_bat(file, new);
    }
    if (ret >= 0) {
        ret = write_metadata(file, new);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the VHDX headers and tables");
    }
    return ret >= 0;
}

bool vhdx_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsVhdx *o = &options->u.vhdx;
    NewImage new = { 0 };
    BlockChild *file;
    bool ok;

    if (!plan(o, &new, error)) {
        return false;
    }
    file = block_create_open(o->file, error);
    if (!file) {
        return false;
    }
    ok = write_image(file, &new, error);
    return block_create_close(file, ok ? error : NULL) && ok;
}
