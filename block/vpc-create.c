/* SPDX-License-Identifier: Apache-2.0 */
/* VHD: geometry and new images. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "block/create.h"
#include "block/io.h"
#include "block/node.h"
#include "block/vpc-format.h"
#include "crypto/random.h"
#include "util/bits.h"
#include "util/error.h"

#define MAX_CYLINDERS 65535u
#define MAX_HEADS 16u
#define MAX_SECTORS 255u
/* Seconds between 1970 and the format's 2000-01-01. */
#define VHD_EPOCH 946684800

uint32_t vpc_checksum(const uint8_t *buf, size_t len, size_t checksum_at)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        if (i < checksum_at || i >= checksum_at + 4) {
            sum += buf[i];
        }
    }
    return ~sum;
}

/* ---- Geometry ---- */

typedef struct Geometry {
    uint32_t cylinders, heads, sectors;
} Geometry;

static uint64_t geometry_sectors(Geometry g)
{
    return (uint64_t)g.cylinders * g.heads * g.sectors;
}

/* The specification's appendix "CHS calculation". */
static Geometry geometry_for(uint64_t sectors)
{
    Geometry g;
    uint64_t tracks;

    if (sectors > (uint64_t)MAX_CYLINDERS * MAX_HEADS * MAX_SECTORS) {
        return (Geometry){ MAX_CYLINDERS, MAX_HEADS, MAX_SECTORS };
    }
    if (sectors >= 65535ull * 16 * 63) {
        g = (Geometry){ .heads = 16, .sectors = 255 };
        tracks = sectors / g.sectors;
    } else {
        g.sectors = 17;
        tracks = sectors / g.sectors;
        g.heads = MAX((tracks + 1023) / 1024, 4);
        if (tracks >= g.heads * 1024 || g.heads > 16) {
            g.sectors = 31;
            g.heads = 16;
            tracks = sectors / g.sectors;
        }
        if (tracks >= g.heads * 1024) {
            g.sectors = 63;
            g.heads = 16;
            tracks = sectors / g.sectors;
        }
    }
    g.cylinders = tracks / g.heads;
    return g;
}

/* The smallest geometry that has room: the calculation rounds down. */
static Geometry geometry_above(uint64_t sectors)
{
    Geometry g = geometry_for(sectors);

    for (uint64_t i = 1; geometry_sectors(g) < sectors && g.cylinders < MAX_CYLINDERS; i++) {
        g = geometry_for(sectors + i);
    }
    return g;
}

uint64_t vpc_disk_size(const uint8_t *footer)
{
    /* These tools' disks are as long as their geometry says; all others' as the bytes. */
    static const char *const by_geometry[] = { "vpc ", "vs  ", "qemu" };
    Geometry g = { ldw_be(footer + VPC_CYLINDERS), footer[VPC_HEADS], footer[VPC_SECTORS] };
    bool at_limit = geometry_sectors(g) >= (uint64_t)MAX_CYLINDERS * MAX_HEADS * MAX_SECTORS;

    for (size_t i = 0; i < G_N_ELEMENTS(by_geometry) && !at_limit; i++) {
        if (!memcmp(footer + VPC_CREATOR, by_geometry[i], 4)) {
            return geometry_sectors(g) * BLOCK_SECTOR;
        }
    }
    return ldq_be(footer + VPC_CURRENT_SIZE) & ~(uint64_t)(BLOCK_SECTOR - 1);
}

/* ---- New images ---- */

const BlockOption vpc_create_options[] = {
    { "force_size", BLOCK_OPTION_BOOL, "exactly the size given, not rounded up to a CHS geometry" },
    { "size", BLOCK_OPTION_SIZE, "virtual disk size" },
    { "subformat", BLOCK_OPTION_STRING, "kind of image: dynamic (default) or fixed" },
    { NULL },
};

static bool fill_footer(uint8_t *f, uint64_t size, Geometry g, bool is_fixed, bool exact,
                        GError **error)
{
    memset(f, 0, VPC_FOOTER_SIZE);
    memcpy(f, VPC_COOKIE, 8);
    stl_be(f + VPC_FEATURES, 2);
    stl_be(f + VPC_VERSION, 0x00010000);
    stq_be(f + VPC_DATA_OFFSET, is_fixed ? UINT64_MAX : VPC_FOOTER_SIZE);
    stl_be(f + VPC_TIMESTAMP, time(NULL) - VHD_EPOCH);
    memcpy(f + VPC_CREATOR, exact ? "qem2" : "qemu", 4); /* readers choose the size's field by it */
    stl_be(f + VPC_CREATOR_VERSION, 0x00050003);
    memcpy(f + VPC_CREATOR_OS, "Wi2k", 4);
    stq_be(f + VPC_ORIGINAL_SIZE, size);
    stq_be(f + VPC_CURRENT_SIZE, size);
    stw_be(f + VPC_CYLINDERS, g.cylinders);
    f[VPC_HEADS] = g.heads;
    f[VPC_SECTORS] = g.sectors;
    stl_be(f + VPC_TYPE, is_fixed ? VPC_TYPE_FIXED : VPC_TYPE_DYNAMIC);
    if (!crypto_random_bytes(f + VPC_UUID, 16, error)) {
        return false;
    }
    stl_be(f + VPC_CHECKSUM, vpc_checksum(f, VPC_FOOTER_SIZE, VPC_CHECKSUM));
    return true;
}

static bool write_fixed(BlockChild *file, const uint8_t *footer, uint64_t size, GError **error)
{
    BlockTruncate whole = { .size = size + VPC_FOOTER_SIZE, .exact = true };
    int ret;

    if (block_truncate(file, &whole, error) < 0) {
        return false;
    }
    ret = block_pwrite(file, size, VPC_FOOTER_SIZE, footer, 0);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the VHD footer");
    }
    return ret >= 0;
}

/* Footer, header, table (all ones) and footer again are one short write. */
static bool write_dynamic(BlockChild *file, const uint8_t *footer, uint64_t size, GError **error)
{
    uint32_t entries = DIV_ROUND_UP(size, VPC_BLOCK_SIZE);
    size_t table = ROUND_UP(4 * (size_t)entries, BLOCK_SECTOR);
    size_t table_at = VPC_FOOTER_SIZE + VPC_DYN_SIZE;
    g_autofree uint8_t *all = g_malloc0(table_at + table + VPC_FOOTER_SIZE);
    uint8_t *header = all + VPC_FOOTER_SIZE;
    int ret;

    memcpy(all, footer, VPC_FOOTER_SIZE);
    memcpy(header, VPC_DYN_COOKIE, 8);
    stq_be(header + VPC_DYN_DATA_OFFSET, UINT64_MAX);
    stq_be(header + VPC_DYN_TABLE_OFFSET, table_at);
    stl_be(header + VPC_DYN_VERSION, 0x00010000);
    stl_be(header + VPC_DYN_ENTRIES, entries);
    stl_be(header + VPC_DYN_BLOCK_SIZE, VPC_BLOCK_SIZE);
    stl_be(header + VPC_DYN_CHECKSUM, vpc_checksum(header, VPC_DYN_SIZE, VPC_DYN_CHECKSUM));
    memset(all + table_at, 0xff, table);
    memcpy(all + table_at + table, footer, VPC_FOOTER_SIZE);
    ret = block_pwrite(file, 0, table_at + table + VPC_FOOTER_SIZE, all, 0);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the VHD headers");
    }
    return ret >= 0;
}

/* The size that the disk will have, and its geometry. */
static bool choose_size(const BlockdevCreateOptionsVpc *o, uint64_t *size, Geometry *g,
                        GError **error)
{
    uint64_t sectors = DIV_ROUND_UP(o->size, BLOCK_SECTOR);

    if (o->size > VPC_MAX_SIZE) {
        error_setf(error, "The image size is too large for file format 'vpc' (at most 2040 GiB)");
        return false;
    }
    if (o->has_force_size && o->force_size) {
        *g = (Geometry){ MAX_CYLINDERS, MAX_HEADS, MAX_SECTORS };
        *size = sectors * BLOCK_SECTOR;
        return true;
    }
    *g = geometry_above(sectors);
    *size = MAX(sectors, geometry_sectors(*g)) * BLOCK_SECTOR;
    return true;
}

bool vpc_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsVpc *o = &options->u.vpc;
    bool is_fixed = o->has_subformat && o->subformat == BLOCKDEV_VPC_SUBFORMAT_FIXED;
    uint8_t footer[VPC_FOOTER_SIZE];
    BlockTruncate empty = { 0 };
    BlockChild *file;
    Geometry geometry;
    uint64_t size;
    bool ok;

    if (!choose_size(o, &size, &geometry, error) ||
        !fill_footer(footer, size, geometry, is_fixed, o->has_force_size && o->force_size,
                     error)) {
        return false;
    }
    file = block_create_open(o->file, error);
    if (!file) {
        return false;
    }
    ok = block_truncate(file, &empty, error) >= 0 &&
         (is_fixed ? write_fixed(file, footer, size, error)
                   : write_dynamic(file, footer, size, error));
    return block_create_close(file, ok ? error : NULL) && ok;
}
