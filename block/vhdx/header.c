/* SPDX-License-Identifier: Apache-2.0 */
/* VHDX: the file's start: identifier, the two headers, the two region tables. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/io.h"
#include "block/vhdx/internal.h"
#include "crypto/random.h"
#include "util/bits.h"
#include "util/crc32c.h"
#include "util/error.h"

int vhdx_new_guid(uint8_t guid[16])
{
    uint8_t random[16];

    if (!crypto_random_bytes(random, sizeof(random), NULL)) {
        return -EIO;
    }
    random[7] = (random[7] & 0x0f) | 0x40;
    random[8] = (random[8] & 0x3f) | 0x80;
    memcpy(guid, random, sizeof(random));
    return 0;
}

bool vhdx_guid_is_zero(const uint8_t guid[16])
{
    static const uint8_t zero[16];

    return !memcmp(guid, zero, 16);
}

uint32_t vhdx_checksum(const uint8_t *buf, size_t len, size_t field)
{
    static const uint8_t zero[4];
    uint32_t crc = crc32c(0, buf, field);

    crc = crc32c(crc, zero, sizeof(zero));
    return crc32c(crc, buf + field + 4, len - field - 4);
}

/* ---- Headers ---- */

static bool header_is_valid(const uint8_t *h)
{
    return !memcmp(h, "head", 4) &&
           ldl_le(h + VHDX_HEAD_CHECKSUM) == vhdx_checksum(h, VHDX_SECTOR, VHDX_HEAD_CHECKSUM);
}

/* The valid one with the higher number. */
static bool choose_header(BlockNode *node, GError **error)
{
    VhdxImage *image = node->opaque;
    g_autofree uint8_t *both = g_malloc(2 * VHDX_SECTOR);
    int found = -1;

    for (int i = 0; i < 2; i++) {
        uint8_t *h = both + i * VHDX_SECTOR;
        int ret = block_pread(node->file, VHDX_HEADER_AT(i), VHDX_SECTOR, h);

        if (ret < 0) {
            error_set_errno(error, -ret, "Could not read the VHDX header at %d", VHDX_HEADER_AT(i));
            return false;
        }
        if (header_is_valid(h) &&
            (found < 0 || ldq_le(h + VHDX_HEAD_SEQUENCE) > ldq_le(both + VHDX_HEAD_SEQUENCE))) {
            found = i;
        }
    }
    if (found < 0) {
        error_setf(error, "VHDX header: neither that at %d nor that at %d is valid",
                   VHDX_HEADER_AT(0), VHDX_HEADER_AT(1));
        return false;
    }
    image->current = found;
    memcpy(image->header, both + found * VHDX_SECTOR, VHDX_SECTOR);
    return true;
}

static bool take_header(VhdxImage *image, GError **error)
{
    const uint8_t *h = image->header;
    int at = VHDX_HEADER_AT(image->current);
    uint64_t offset = ldq_le(h + VHDX_HEAD_LOG_OFFSET);
    uint32_t length = ldl_le(h + VHDX_HEAD_LOG_LENGTH);

    if (ldw_le(h + VHDX_HEAD_VERSION) != 1 || ldw_le(h + VHDX_HEAD_LOG_VERSION) != 0) {
        error_setf(error, "VHDX header at %d: version %u, log version %u are not 1 and 0", at,
                   ldw_le(h + VHDX_HEAD_VERSION), ldw_le(h + VHDX_HEAD_LOG_VERSION));
        return false;
    }
    if (!length || length % VHDX_UNIT || offset % VHDX_UNIT || offset < VHDX_UNIT ||
        !range_ok(offset, length, image->file_end)) {
        error_setf(error, "VHDX header at %d: a log of %" PRIu32 " bytes at %" PRIu64
                   " is not possible", at, length, offset);
        return false;
    }
    image->log = (VhdxRegion){ offset, length };
    return true;
}

bool vhdx_read_header(BlockNode *node, GError **error)
{
    VhdxImage *image = node->opaque;
    uint8_t identifier[8];
    int64_t size = block_getlength(node->file->node);
    int ret;

    if (size < 0) {
        error_set_errno(error, -size, "Could not get the file's size");
        return false;
    }
    image->file_end = size;
    ret = block_pread(node->file, 0, sizeof(identifier), identifier);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the VHDX file identifier");
        return false;
    }
    if (memcmp(identifier, VHDX_FILE_SIGNATURE, sizeof(identifier)) != 0) {
        error_setf(error, "VHDX file identifier at 0: invalid signature");
        return false;
    }
    return choose_header(node, error) && take_header(image, error);
}

static int write_other_header(BlockNode *node)
{
    VhdxImage *image = node->opaque;
    uint8_t *h = image->header;
    int ret;

    stq_le(h + VHDX_HEAD_SEQUENCE, ldq_le(h + VHDX_HEAD_SEQUENCE) + 1);
    stl_le(h + VHDX_HEAD_CHECKSUM, vhdx_checksum(h, VHDX_SECTOR, VHDX_HEAD_CHECKSUM));
    ret = block_pwrite_sync(node->file, VHDX_HEADER_AT(!image->current), VHDX_SECTOR, h);
    if (ret >= 0) {
        image->current = !image->current;
    }
    return ret;
}

/* Twice, so that the one that is left if the other is lost says the same. */
int vhdx_write_headers(BlockNode *node)
{
    int ret = write_other_header(node);

    return ret < 0 ? ret : write_other_header(node);
}

int vhdx_announce_writing(BlockNode *node)
{
    VhdxImage *image = node->opaque;
    int ret = 0;

    if (image->is_announced) {
        return 0;
    }
    co_mutex_lock(&image->lock);
    if (!image->is_announced) {
        ret = vhdx_new_guid(image->header + VHDX_HEAD_FILE_GUID);
        ret = ret < 0 ? ret : vhdx_new_guid(image->header + VHDX_HEAD_DATA_GUID);
        ret = ret < 0 ? ret : vhdx_write_headers(node);
        image->is_announced = ret >= 0;
    }
    co_mutex_unlock(&image->lock);
    return ret;
}

/* ---- Region tables ---- */

static bool table_is_valid(const uint8_t *t)
{
    return !memcmp(t, "regi", 4) &&
           ldl_le(t + VHDX_REGI_CHECKSUM) ==
               vhdx_checksum(t, VHDX_TABLE_SIZE, VHDX_REGI_CHECKSUM) &&
           ldl_le(t + VHDX_REGI_COUNT) <= VHDX_TABLE_MAX;
}

static bool take_region(VhdxImage *image, const uint8_t *entry, int64_t at, GError **error)
{
    static const uint8_t bat[] = VHDX_BAT_GUID, metadata[] = VHDX_METADATA_GUID;
    uint64_t offset = ldq_le(entry + VHDX_REGION_OFFSET);
    uint32_t length = ldl_le(entry + VHDX_REGION_LENGTH);
    VhdxRegion *region = !memcmp(entry, bat, 16) ? &image->bat
                         : !memcmp(entry, metadata, 16) ? &image->metadata : NULL;

    if (!region) {
        if (ldl_le(entry + VHDX_REGION_REQUIRED) & 1) {
            error_setf(error, "VHDX region table: the entry at %" PRId64
                       " is of an unknown kind, but required", at);
            return false;
        }
        return true;
    }
    if (region->length || !length || length % VHDX_UNIT || offset % VHDX_UNIT ||
        offset < VHDX_UNIT || !range_ok(offset, length, image->file_end) ||
        ranges_overlap(offset, length, image->log.offset, image->log.length)) {
        error_setf(error, "VHDX region table: the entry at %" PRId64 ", %" PRIu32
                   " bytes at %" PRIu64 ", is not possible", at, length, offset);
        return false;
    }
    *region = (VhdxRegion){ offset, length };
    return true;
}

bool vhdx_read_regions(BlockNode *node, GError **error)
{
    VhdxImage *image = node->opaque;
    g_autofree uint8_t *table = g_malloc(VHDX_TABLE_SIZE);
    int64_t at = 0;

    for (unsigned i = 0; i < 2 && !at; i++) {
        if (!vhdx_read_structure(node, VHDX_REGIONS_AT(i), VHDX_TABLE_SIZE, table, "region table",
                                 error)) {
            return false;
        }
        at = table_is_valid(table) ? VHDX_REGIONS_AT(i) : 0;
    }
    if (!at) {
        error_setf(error, "VHDX region table: neither that at %d nor that at %d is valid",
                   VHDX_REGIONS_AT(0), VHDX_REGIONS_AT(1));
        return false;
    }
    for (uint32_t i = 0; i < ldl_le(table + VHDX_REGI_COUNT); i++) {
        size_t entry = VHDX_REGI_ENTRIES + 32 * (size_t)i;

        if (!take_region(image, table + entry, at + entry, error)) {
            return false;
        }
    }
    if (!image->bat.length || !image->metadata.length ||
        ranges_overlap(image->bat.offset, image->bat.length, image->metadata.offset,
                       image->metadata.length)) {
        error_setf(error, "VHDX region table at %" PRId64
                   ": no BAT or no metadata, or they overlap", at);
        return false;
    }
    return true;
}
