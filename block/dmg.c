/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apple's disk images (UDIF), for reading. Big-endian.
 *
 *   data fork: the chunks; a property list (XML); the trailer "koly" (512 bytes)
 *
 * The property list has under the key "blkx" an array of tables, as base64 in <data> elements. A
 * table begins with "mish" and says from its first sector on which chunk of the data fork has which
 * sectors: raw, zeroes, or compressed by zlib, bzip2 or xz; each is a module. Images that
 * are compressed in other ways are refused. The property list is not read as XML: tables are looked
 * for between the key and the end of its array.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "block/codec/codec.h"
#include "block/extent.h"
#include "util/bits.h"
#include "util/error.h"

#define TRAILER_SIZE 512
#define KOLY 0x6b6f6c79
#define MISH 0x6d697368
#define MAX_XML ((uint64_t)(8 * MiB))
#define MAX_CHUNKS (512 * 1024)

enum { K_DATA_FORK = 0x18, K_XML = 0xd8, K_XML_SIZE = 0xe0 };
enum { M_FIRST_SECTOR = 8, M_DATA = 24, M_COUNT = 200, M_CHUNKS = 204 };
enum { C_TYPE = 0, C_SECTOR = 8, C_SECTORS = 16, C_AT = 24, C_BYTES = 32, C_SIZE = 40 };

enum {
    CHUNK_ZERO = 0, CHUNK_RAW = 1, CHUNK_IGNORE = 2, CHUNK_COMMENT = 0x7ffffffe,
    CHUNK_ADC = 0x80000004, CHUNK_ZLIB = 0x80000005, CHUNK_BZIP2 = 0x80000006,
    CHUNK_LZFSE = 0x80000007, CHUNK_XZ = 0x80000008, CHUNK_END = 0xffffffff,
};

/* How chunks are compressed. */
typedef struct Compression {
    uint32_t type;
    const char *name;
    bool known;         /* else nobody can unpack it here */
    CodecMethod method;
} Compression;

static const Compression compressions[] = {
    { CHUNK_ADC, "ADC" }, { CHUNK_LZFSE, "LZFSE" },
    { CHUNK_ZLIB, "zlib", true, CODEC_ZLIB }, { CHUNK_BZIP2, "bzip2", true, CODEC_BZIP2 },
    { CHUNK_XZ, "xz", true, CODEC_XZ },
};

typedef struct DmgChunk {
    int64_t start, bytes; /* of the disk */
    int64_t at;           /* of the file */
    uint32_t packed_bytes;
    uint32_t type;
} DmgChunk;

typedef struct DmgImage {
    ExtentImage image;
    GArray *chunks;       /* DmgChunk, by start, not overlapping */
} DmgImage;

/* The sign is at the end of the file, where probing does not look. */
static int dmg_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return filename && g_str_has_suffix(filename, ".dmg") ? 2 : 0;
}

/* ---- Compression ---- */

static const Compression *compression_of(uint32_t type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(compressions); i++) {
        if (compressions[i].type == type) {
            return &compressions[i];
        }
    }
    return NULL;
}

/* Chunks of this type will have to be read. */
static bool prepare_type(uint32_t type, GError **error)
{
    const Compression *compression = compression_of(type);

    if (type == CHUNK_ZERO || type == CHUNK_IGNORE || type == CHUNK_RAW) {
        return true;
    }
    if (!compression) {
        error_setf(error, "dmg chunk: its type 0x%" PRIx32 " is not known", type);
    } else if (!compression->known) {
        error_setf(error, "dmg chunk: it is compressed by %s, which cannot be read",
                   compression->name);
    } else if (codec_load(compression->method, error)) {
        return true;
    } else {
        g_prefix_error(error, "dmg chunk: it is compressed by %s: ", compression->name);
    }
    return false;
}

/* ---- Reading ---- */

/* The last chunk that starts at or before offset, or -1. */
static int64_t chunk_before(const GArray *chunks, int64_t offset)
{
    int64_t low = -1, high = chunks->len;

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;

        if (g_array_index(chunks, DmgChunk, middle).start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static int map_chunk(const DmgChunk *chunk, int64_t offset, Extent *extent)
{
    extent->bytes = chunk->start + chunk->bytes - offset;
    extent->at = chunk->at;
    switch (chunk->type) {
    case CHUNK_ZERO:
    case CHUNK_IGNORE:
        return 0;
    case CHUNK_RAW:
        extent->kind = EXTENT_DATA;
        extent->at += offset - chunk->start;
        return 0;
    default:
        extent->kind = EXTENT_PACKED;
        extent->unit_start = chunk->start;
        extent->unit_bytes = chunk->bytes;
        extent->packed_bytes = chunk->packed_bytes;
        extent->method = compression_of(chunk->type)->method;
        return 0;
    }
}

static int dmg_map(BlockNode *node, int64_t offset, Extent *extent)
{
    DmgImage *dmg = node->opaque;
    int64_t i = chunk_before(dmg->chunks, offset);
    const DmgChunk *chunk = &g_array_index(dmg->chunks, DmgChunk, MAX(i, 0));

    if (i >= 0 && offset < chunk->start + chunk->bytes) {
        return map_chunk(chunk, offset, extent);
    }
    /* Between chunks there is nothing. */
    extent->bytes = i + 1 < dmg->chunks->len
                        ? g_array_index(dmg->chunks, DmgChunk, i + 1).start - offset
                        : node->size - offset;
    return 0;
}

/* ---- Opening ---- */

static bool take_chunk(BlockNode *node, const uint8_t *c, uint64_t first_sector, uint64_t base,
                       GError **error)
{
    DmgImage *dmg = node->opaque;
    uint32_t type = ldl_be(c + C_TYPE);
    uint64_t sector = ldq_be(c + C_SECTOR), sectors = ldq_be(c + C_SECTORS);
    uint64_t at = ldq_be(c + C_AT), bytes = ldq_be(c + C_BYTES), end;
    const uint64_t max_sectors = BLOCK_MAX_LENGTH / BLOCK_SECTOR;
    bool has_data = type != CHUNK_ZERO && type != CHUNK_IGNORE;
    DmgChunk chunk = { .type = type };

    if (type == CHUNK_COMMENT || type == CHUNK_END || sectors == 0) {
        return true;
    }
    if (!prepare_type(type, error)) {
        return false;
    }
    if (__builtin_add_overflow(first_sector, sector, &sector) ||
        __builtin_add_overflow(sector, sectors, &end) || end > max_sectors) {
        error_setf(error, "dmg chunk: %" PRIu64 " sectors at %" PRIu64 " are not possible", sectors,
                   sector);
        return false;
    }
    if (has_data && (__builtin_add_overflow(base, at, &at) ||
                     !range_ok(at, bytes, (uint64_t)dmg->image.file_size))) {
        error_setf(error, "dmg chunk: %" PRIu64 " bytes at %" PRIu64 " are beyond the end of the "
                   "file", bytes, at);
        return false;
    }
    if ((type == CHUNK_RAW && bytes / BLOCK_SECTOR < sectors) ||
        (has_data && type != CHUNK_RAW &&
         (bytes > EXTENT_MAX_UNIT || sectors > EXTENT_MAX_UNIT / BLOCK_SECTOR))) {
        error_setf(error, "dmg chunk: %" PRIu64 " sectors in %" PRIu64 " bytes are not possible",
                   sectors, bytes);
        return false;
    }
    chunk.start = (int64_t)sector * BLOCK_SECTOR;
    chunk.bytes = (int64_t)sectors * BLOCK_SECTOR;
    chunk.at = has_data ? (int64_t)at : 0;
    chunk.packed_bytes = has_data && type != CHUNK_RAW ? (uint32_t)bytes : 0;
    g_array_append_val(dmg->chunks, chunk);
    return true;
}

static bool take_table(BlockNode *node, const uint8_t *mish, size_t len, uint64_t data_fork,
                       GError **error)
{
    DmgImage *dmg = node->opaque;
    uint64_t base;
    uint32_t count;

    if (len < M_CHUNKS || ldl_be(mish) != MISH) {
        error_setf(error, "dmg block table: it does not begin with 'mish'");
        return false;
    }
    count = ldl_be(mish + M_COUNT);
    if (count > (len - M_CHUNKS) / C_SIZE || count > MAX_CHUNKS - dmg->chunks->len ||
        __builtin_add_overflow(data_fork, ldq_be(mish + M_DATA), &base)) {
        error_setf(error, "dmg block table: %" PRIu32 " chunks in %zu bytes are not possible",
                   count, len);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!take_chunk(node, mish + M_CHUNKS + (size_t)i * C_SIZE, ldq_be(mish + M_FIRST_SECTOR),
                        base, error)) {
            return false;
        }
    }
    return true;
}

/* xml ends with a zero byte; the tables in it are decoded where they stand. */
static bool take_xml(BlockNode *node, char *xml, uint64_t data_fork, GError **error)
{
    char *at = strstr(xml, "<key>blkx</key>");
    char *end = at ? strstr(at, "</array>") : NULL;

    if (!end) {
        error_setf(error, "dmg property list: there is no array 'blkx'");
        return false;
    }
    while ((at = strstr(at, "<data>")) && at < end) {
        char *text = at + strlen("<data>");
        char *stop = strstr(text, "</data>");
        gsize len;

        if (!stop || stop > end) {
            error_setf(error, "dmg property list: a <data> element is not closed");
            return false;
        }
        *stop = '\0';
        if (stop > text) {
            g_base64_decode_inplace(text, &len);
            if (!take_table(node, (const uint8_t *)text, len, data_fork, error)) {
                return false;
            }
        }
        at = stop + 1;
    }
    return true;
}

static gint by_start(gconstpointer a, gconstpointer b)
{
    const DmgChunk *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static bool order_chunks(BlockNode *node, GError **error)
{
    DmgImage *dmg = node->opaque;
    int64_t end = 0;

    g_array_sort(dmg->chunks, by_start);
    for (guint i = 0; i < dmg->chunks->len; i++) {
        const DmgChunk *chunk = &g_array_index(dmg->chunks, DmgChunk, i);

        if (chunk->start < end) {
            error_setf(error, "dmg block table: two chunks have sector %" PRId64,
                       chunk->start / BLOCK_SECTOR);
            return false;
        }
        end = chunk->start + chunk->bytes;
    }
    node->size = end;
    return true;
}

static bool read_all(BlockNode *node, GError **error)
{
    DmgImage *dmg = node->opaque;
    uint8_t koly[TRAILER_SIZE];
    uint64_t at, len;
    g_autofree char *xml = NULL;

    if (!extent_read_header(node, dmg->image.file_size - TRAILER_SIZE, sizeof(koly), koly,
                            "dmg trailer", error)) {
        return false;
    }
    at = ldq_be(koly + K_XML);
    len = ldq_be(koly + K_XML_SIZE);
    if (ldl_be(koly) != KOLY) {
        error_setf(error, "dmg trailer: not found at the end of the file");
        return false;
    }
    if (len == 0 || len > MAX_XML || at > INT64_MAX) {
        error_setf(error, "dmg trailer: a property list of %" PRIu64 " bytes at %" PRIu64
                   " cannot be read", len, at);
        return false;
    }
    xml = g_malloc0(len + 1);
    return extent_read_header(node, (int64_t)at, len, xml, "dmg property list", error) &&
           take_xml(node, xml, ldq_be(koly + K_DATA_FORK), error) && order_chunks(node, error);
}

static void dmg_close(BlockNode *node)
{
    DmgImage *dmg = node->opaque;

    g_array_unref(dmg->chunks);
    extent_close(node);
}

static bool dmg_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    DmgImage *dmg = node->opaque;

    if (!extent_open(node, dmg_map, error)) {
        return false;
    }
    dmg->chunks = g_array_new(FALSE, FALSE, sizeof(DmgChunk));
    if (!read_all(node, error)) {
        dmg_close(node);
        return false;
    }
    return true;
}

static const BlockDriver dmg_driver = {
    .name = "dmg",
    .kind = BLOCKDEV_DRIVER_DMG,
    .instance_size = sizeof(DmgImage),
    .is_format = true,
    .children = extent_children,
    .probe = dmg_probe,
    .open = dmg_open,
    .close = dmg_close,
    .preadv = extent_preadv,
    .block_status = extent_block_status,
};
BLOCK_DRIVER(dmg_driver);
