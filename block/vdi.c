/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VirtualBox's VDI. All fields are little-endian:
 *
 *   0        the header: 64 bytes of text, then struct VdiHeader
 *   bmap     one 32-bit entry a block: its index in the data area, or one of the two marks below
 *   data     blocks, in order of allocation
 *
 * Of the map as much is in memory as was used last. A block is allocated in a place that a crash
 * left without a user, else at the end of the data area: first its data is written, then its entry
 * in the map. Blocks are allocated side by side, one by one request; who else writes to it waits.
 * What is not written of a block reads as zeroes behind the former end of the file, elsewhere
 * zeroes are written. The header's count of allocated blocks, behind which other programs
 * allocate, is written when the image is flushed; what is believed at opening is the map, since a
 * crash may leave the count too small and the same place must not be given away twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/create.h"
#include "block/driver.h"
#include "block/file-window.h"
#include "block/io.h"
#include "block/node.h"
#include "crypto/random.h"
#include "util/bitmap.h"
#include "util/bits.h"
#include "util/co-lock.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/parse.h"

#define VDI_TEXT "<<< Vireo VDI Image >>>\n"
#define VDI_TEXT_SIZE 64
#define VDI_SIGNATURE 0xbeda107fu
#define VDI_VERSION_1_1 0x00010001u
#define VDI_HEADER_SIZE 512
#define VDI_BLOCK_SIZE ((uint32_t)MiB)
#define VDI_MAP_AT VDI_HEADER_SIZE
#define VDI_UNALLOCATED 0xffffffffu
#define VDI_DISCARDED 0xfffffffeu /* reads as zeroes even where there is a parent */
/* 16 TiB of disk. Which places are in use takes 2 MiB of memory then. */
#define VDI_MAX_BLOCKS (16u << 20)

/* Entries of a map that are read or written at once, from its beginning to its end. */
#define MAP_PIECE (16u * 1024)
/* What is kept of the map: 8 MiB, which is 2 TiB of disk. */
#define MAP_WINDOWS 128

enum { VDI_DYNAMIC = 1, VDI_STATIC = 2 };

/* At offset 64 of the file. */
typedef struct __attribute__((packed)) VdiHeader {
    uint32_t signature, version, header_size, image_type, image_flags;
    char description[256];
    uint32_t map_offset, data_offset;
    uint32_t cylinders, heads, sectors, sector_size, unused;
    uint64_t disk_size;
    uint32_t block_size, block_extra, blocks, allocated;
    uint8_t uuid_image[16], uuid_snapshot[16], uuid_link[16], uuid_parent[16];
} VdiHeader;
G_STATIC_ASSERT(sizeof(VdiHeader) + VDI_TEXT_SIZE <= VDI_HEADER_SIZE);

typedef struct VdiImage {
    FileWindows map;
    unsigned long *used; /* places */
    uint32_t blocks, block_size;
    uint32_t allocated;  /* places up to the last one in use */
    uint32_t gap;        /* below it no place is free */
    int64_t map_offset, data_offset;
    bool is_static;
    bool count_is_stale; /* the header's allocated */
    uint32_t fresh_from; /* places from here on that are not allocated are zero in the file */
    GHashTable *kept;    /* block -> place that could not be written, or its entry in the map */
    GHashTable *busy;    /* blocks that are being allocated */
    CoQueue waiting;     /* for one of busy */
    CoMutex lock;        /* of the above, and of places */
} VdiImage;

static int vdi_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return len >= VDI_TEXT_SIZE + 4 && ldl_le(buf + VDI_TEXT_SIZE) == VDI_SIGNATURE ? 100 : 0;
}

/* ---- Opening ---- */

typedef struct HeaderRule {
    const char *what;
    size_t offset;
    uint32_t wanted;
} HeaderRule;

static bool header_is_known(const uint8_t *raw, GError **error)
{
    static const HeaderRule rules[] = {
        { "signature", offsetof(VdiHeader, signature), VDI_SIGNATURE },
        { "version", offsetof(VdiHeader, version), VDI_VERSION_1_1 },
        { "sector size", offsetof(VdiHeader, sector_size), BLOCK_SECTOR },
        { "extra data per block", offsetof(VdiHeader, block_extra), 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        uint32_t value = ldl_le(raw + VDI_TEXT_SIZE + rules[i].offset);

        if (value != rules[i].wanted) {
            error_setf(error, "VDI header: %s is 0x%" PRIx32 ", not 0x%" PRIx32, rules[i].what,
                       value, rules[i].wanted);
            return false;
        }
    }
    return true;
}

static bool is_zero_uuid(const uint8_t uuid[16])
{
    static const uint8_t zero[16];

    return !memcmp(uuid, zero, 16);
}

static bool take_header(BlockNode *node, const VdiHeader *h, GError **error)
{
    VdiImage *image = node->opaque;
    uint32_t type = le32toh(h->image_type);
    uint64_t size = le64toh(h->disk_size);

    image->block_size = le32toh(h->block_size);
    image->blocks = le32toh(h->blocks);
    image->map_offset = le32toh(h->map_offset);
    image->data_offset = le32toh(h->data_offset);
    image->is_static = type == VDI_STATIC;
    if (type != VDI_DYNAMIC && type != VDI_STATIC) {
        error_setf(error, "VDI header: unsupported image type %" PRIu32, type);
    } else if (!is_zero_uuid(h->uuid_link) || !is_zero_uuid(h->uuid_parent)) {
        error_setf(error, "VDI header: differencing images are not supported");
    } else if (image->block_size < BLOCK_SECTOR || image->block_size > 64 * MiB ||
               (image->block_size & (image->block_size - 1))) {
        error_setf(error, "VDI header: block size %" PRIu32 " is not a power of two from 512 to "
                   "64 MiB", image->block_size);
    } else if (image->blocks > VDI_MAX_BLOCKS) {
        error_setf(error, "VDI header: %" PRIu32 " blocks, more than the %u supported",
                   image->blocks, VDI_MAX_BLOCKS);
    } else if (size > (uint64_t)image->blocks * image->block_size) {
        error_setf(error, "VDI header: disk size %" PRIu64 " needs more than its %" PRIu32
                   " blocks", size, image->blocks);
    } else if (image->map_offset % BLOCK_SECTOR || image->map_offset < VDI_HEADER_SIZE ||
               image->data_offset % BLOCK_SECTOR ||
               image->data_offset < image->map_offset + 4 * (int64_t)image->blocks) {
        error_setf(error, "VDI header: block map at %" PRId64 " and data at %" PRId64
                   " do not fit", image->map_offset, image->data_offset);
    } else {
        node->size = ROUND_UP(size, BLOCK_SECTOR);
        return true;
    }
    return false;
}

static const char *entry_problem(const VdiImage *image, uint32_t entry, const unsigned long *used)
{
    return entry >= image->blocks ? "beyond the last block"
           : bitmap_test(used, entry) ? "in use twice" : NULL;
}

typedef bool MapVisitor(void *opaque, uint32_t index, uint32_t entry, GError **error);

/* All of the map in order, until the visitor says false. */
static bool visit_map(BlockNode *node, MapVisitor *visit, void *opaque, GError **error)
{
    VdiImage *image = node->opaque;
    g_autofree uint32_t *piece = g_new(uint32_t, MAP_PIECE);

    for (uint32_t i = 0; i < image->blocks; i += MAP_PIECE) {
        uint32_t n = MIN(MAP_PIECE, image->blocks - i);
        int ret = block_pread(node->file, image->map_offset + 4 * (int64_t)i, 4 * (int64_t)n,
                              piece);

        if (ret < 0) {
            error_set_errno(error, -ret, "Could not read the VDI block map");
            return false;
        }
        for (uint32_t j = 0; j < n; j++) {
            if (!visit(opaque, i + j, le32toh(piece[j]), error)) {
                return false;
            }
        }
    }
    return true;
}

typedef struct TakeMap {
    VdiImage *image;
    bool check; /* will tell of all mistakes; else two users of one place are refused */
} TakeMap;

static bool take_entry(void *opaque, uint32_t index, uint32_t entry, GError **error)
{
    const TakeMap *take = opaque;
    VdiImage *image = take->image;
    const char *problem;

    if (entry >= VDI_DISCARDED) {
        return true;
    }
    problem = entry_problem(image, entry, image->used);
    if (problem && !take->check) {
        error_setf(error, "VDI block map: entry %" PRIu32 " (0x%" PRIx32 ") is %s", index, entry,
                   problem);
        return false;
    }
    if (!problem) {
        bitmap_set(image->used, entry);
        image->allocated = MAX(image->allocated, entry + 1);
    }
    return true;
}

/*
 * An image has as many places as blocks. One beyond the end of the file is fine: a power cut keeps
 * entries whose data is lost, which no guest has flushed, and there it reads as zeroes.
 */
static bool read_map(BlockNode *node, bool check, GError **error)
{
    VdiImage *image = node->opaque;
    TakeMap take = { image, check };
    int64_t file_size = block_getlength(node->file->node);
    int64_t bytes = 4 * (int64_t)image->blocks;

    if (file_size < 0) {
        error_set_errno(error, -file_size, "Could not get the file's size");
        return false;
    }
    if (!range_ok(image->map_offset, bytes, file_size)) {
        error_setf(error, "VDI block map: %" PRId64 " bytes at %" PRId64
                   " are beyond the end of the file", bytes, image->map_offset);
        return false;
    }
    image->used = bitmap_new(MAX(image->blocks, 1));
    return visit_map(node, take_entry, &take, error);
}

/* A place that begins before the end of the file may have data of before a crash. */
static uint32_t first_fresh_place(BlockNode *node)
{
    VdiImage *image = node->opaque;
    int64_t size = block_getlength(node->file->node);

    if (size < 0 || !block_has_zero_init(node->file->node)) {
        return UINT32_MAX;
    }
    return DIV_ROUND_UP((uint64_t)MAX(size - image->data_offset, 0), image->block_size);
}

static bool vdi_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    VdiImage *image = node->opaque;
    uint8_t raw[VDI_HEADER_SIZE];
    VdiHeader header;
    int ret = block_pread(node->file, 0, sizeof(raw), raw);

    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the VDI header");
        return false;
    }
    memcpy(&header, raw + VDI_TEXT_SIZE, sizeof(header));
    if (!header_is_known(raw, error) || !take_header(node, &header, error) ||
        !read_map(node, flags & BLOCK_OPEN_CHECK, error)) {
        g_free(image->used);
        return false;
    }
    file_windows_init(&image->map, node, MAP_WINDOWS);
    image->fresh_from = first_fresh_place(node);
    image->kept = g_hash_table_new(g_direct_hash, g_direct_equal);
    image->busy = g_hash_table_new(g_direct_hash, g_direct_equal);
    co_mutex_init(&image->lock);
    node->zero_flags = BLOCK_REQ_MAY_UNMAP;
    return true;
}

static void vdi_close(BlockNode *node)
{
    VdiImage *image = node->opaque;

    co_mutex_cleanup(&image->lock);
    g_hash_table_unref(image->busy);
    g_hash_table_unref(image->kept);
    file_windows_cleanup(&image->map);
    g_free(image->used);
}

/* ---- Requests ---- */

static int64_t block_at(const VdiImage *image, uint32_t entry)
{
    return image->data_offset + (int64_t)entry * image->block_size;
}

static int64_t entry_at(const VdiImage *image, uint32_t index)
{
    return image->map_offset + 4 * (int64_t)index;
}

/* Of the block of offset. */
static int map_entry(BlockNode *node, int64_t offset, uint32_t *entry)
{
    VdiImage *image = node->opaque;
    int ret = file_windows_read(&image->map, entry_at(image, offset / image->block_size), entry,
                                sizeof(*entry));

    *entry = le32toh(*entry);
    return ret;
}

/* The part of the request inside the block of offset. */
static int64_t chunk_size(const VdiImage *image, int64_t offset, int64_t bytes)
{
    return MIN(bytes, image->block_size - offset % image->block_size);
}

static int vdi_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    VdiImage *image = node->opaque;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        int64_t chunk = chunk_size(image, offset, bytes);
        uint32_t entry = 0;

        ret = map_entry(node, offset, &entry);
        if (ret >= 0 && entry >= VDI_DISCARDED) {
            iov_memset(vec->iov, vec->n, vec_offset, 0, chunk);
        } else if (ret >= 0) {
            ret = block_preadv(node->file, block_at(image, entry) + offset % image->block_size,
                               chunk, vec, vec_offset, 0);
        }
        offset += chunk;
        bytes -= chunk;
        vec_offset += chunk;
    }
    return ret;
}

/* All of a new block: the data in its place, zeroes around it. */
static int write_new_block(BlockNode *node, int64_t at, int64_t in_block, int64_t bytes,
                           const BlockVec *vec, size_t vec_offset)
{
    VdiImage *image = node->opaque;
    g_autofree struct iovec *iov = g_new(struct iovec, vec->n + 2);
    g_autofree uint8_t *zeroes = g_try_malloc0(image->block_size);
    BlockVec whole = { .iov = iov };
    unsigned n = 0;

    if (!zeroes) {
        return -ENOMEM;
    }
    if (in_block) {
        iov[n++] = (struct iovec){ zeroes, in_block };
    }
    n += iov_slice(iov + n, vec->n, vec->iov, vec->n, vec_offset, bytes);
    if (in_block + bytes < image->block_size) {
        iov[n++] = (struct iovec){ zeroes, image->block_size - in_block - bytes };
    }
    whole.n = n;
    return block_pwritev(node->file, at, image->block_size, &whole, 0, 0);
}

/* The data, and a last sector of zeroes: others want files that end with a block. */
static int write_fresh_block(BlockNode *node, int64_t at, int64_t in_block, int64_t bytes,
                             const BlockVec *vec, size_t vec_offset)
{
    VdiImage *image = node->opaque;
    static const uint8_t zeroes[BLOCK_SECTOR];
    int ret = 0;

    if (in_block + bytes <= image->block_size - BLOCK_SECTOR) {
        ret = block_pwrite(node->file, at + image->block_size - BLOCK_SECTOR, BLOCK_SECTOR, zeroes,
                           0);
    }
    return ret < 0 ? ret
                   : block_pwritev(node->file, at + in_block, bytes, vec, vec_offset, 0);
}

/* With the lock held: -ENOSPC if there is none left. */
static int take_place(VdiImage *image, uint32_t index, uint32_t *place)
{
    void *kept;

    if (g_hash_table_lookup_extended(image->kept, GUINT_TO_POINTER(index), NULL, &kept)) {
        *place = GPOINTER_TO_UINT(kept);
    } else {
        image->gap = bitmap_find_clear(image->used, image->blocks, image->gap);
        if (image->gap == image->blocks) {
            return -ENOSPC;
        }
        *place = image->gap;
        bitmap_set(image->used, *place);
        image->count_is_stale |= *place >= image->allocated;
        image->allocated = MAX(image->allocated, *place + 1);
    }
    g_hash_table_add(image->busy, GUINT_TO_POINTER(index));
    return 0;
}

/* With the lock held. What failed may be in the file: the place is this block's from now on. */
static void leave_place(VdiImage *image, uint32_t index, uint32_t place, bool ok)
{
    if (!ok) {
        g_hash_table_insert(image->kept, GUINT_TO_POINTER(index), GUINT_TO_POINTER(place));
        image->fresh_from = MAX(image->fresh_from, place + 1);
    }
    g_hash_table_remove(image->busy, GUINT_TO_POINTER(index));
    co_queue_wake_all(&image->waiting);
}

/* The block of offset gets a place, if it has none: 0. 1: it has one. */
static int reserve(BlockNode *node, int64_t offset, uint32_t *place, bool *is_fresh)
{
    VdiImage *image = node->opaque;
    uint32_t index = offset / image->block_size;
    int ret;

    co_mutex_lock(&image->lock);
    while (g_hash_table_contains(image->busy, GUINT_TO_POINTER(index))) {
        co_queue_wait(&image->waiting, &image->lock);
    }
    ret = map_entry(node, offset, place);
    if (ret >= 0) {
        ret = *place < VDI_DISCARDED ? 1 : take_place(image, index, place);
    }
    *is_fresh = *place >= image->fresh_from;
    co_mutex_unlock(&image->lock);
    return ret;
}

/* 1: somebody else has allocated it meanwhile, at *place. */
static int allocate(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                    size_t vec_offset, uint32_t *place)
{
    VdiImage *image = node->opaque;
    uint32_t index = offset / image->block_size, entry;
    bool is_fresh;
    int ret = reserve(node, offset, place, &is_fresh);

    if (ret) {
        return ret;
    }
    ret = (is_fresh ? write_fresh_block : write_new_block)(
        node, block_at(image, *place), offset % image->block_size, bytes, vec, vec_offset);
    if (ret >= 0) {
        entry = htole32(*place);
        ret = file_windows_write(&image->map, entry_at(image, index), &entry, sizeof(entry));
    }
    co_mutex_lock(&image->lock);
    leave_place(image, index, *place, ret >= 0);
    co_mutex_unlock(&image->lock);
    return MIN(ret, 0);
}

static int write_chunk(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset)
{
    VdiImage *image = node->opaque;
    uint32_t place = 0;
    int ret = map_entry(node, offset, &place);

    if (ret >= 0 && place >= VDI_DISCARDED) {
        ret = allocate(node, offset, bytes, vec, vec_offset, &place);
        if (ret <= 0) {
            return ret;
        }
    }
    return ret < 0 ? ret
                   : block_pwritev(node->file, block_at(image, place) + offset % image->block_size,
                                   bytes, vec, vec_offset, 0);
}

static int vdi_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    VdiImage *image = node->opaque;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        int64_t chunk = chunk_size(image, offset, bytes);

        ret = write_chunk(node, offset, chunk, vec, vec_offset);
        offset += chunk;
        bytes -= chunk;
        vec_offset += chunk;
    }
    return ret;
}

/* What was never allocated is zero already; the rest is zeroed where it stands. */
static int vdi_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    VdiImage *image = node->opaque;
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        int64_t chunk = chunk_size(image, offset, bytes);
        uint32_t entry = 0;

        ret = map_entry(node, offset, &entry);
        if (ret >= 0 && entry < VDI_DISCARDED) {
            ret = block_pwrite_zeroes(node->file,
                                      block_at(image, entry) + offset % image->block_size, chunk,
                                      flags);
        }
        offset += chunk;
        bytes -= chunk;
    }
    return ret;
}

static int vdi_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                            BlockStatus *status)
{
    VdiImage *image = node->opaque;
    uint32_t entry = 0;
    int ret = map_entry(node, offset, &entry);

    if (ret < 0) {
        return ret;
    }
    status->bytes = chunk_size(image, offset, bytes);
    if (entry >= VDI_DISCARDED) {
        status->flags = BLOCK_STATUS_ZERO;
        return 0;
    }
    status->map = block_at(image, entry) + offset % image->block_size;
    status->file = node->file->node;
    status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_OFFSET_VALID |
                    (image->is_static ? BLOCK_STATUS_RECURSE : 0);
    return 0;
}

static int vdi_flush_to_os(BlockNode *node)
{
    VdiImage *image = node->opaque;
    uint32_t count = htole32(image->allocated);
    int ret;

    if (!image->count_is_stale) {
        return 0;
    }
    image->count_is_stale = false;
    ret = block_pwrite(node->file, VDI_TEXT_SIZE + offsetof(VdiHeader, allocated), sizeof(count),
                       &count, 0);
    image->count_is_stale |= ret < 0;
    return ret;
}

/* ---- Facts ---- */

static int vdi_get_info(BlockNode *node, BlockNodeInfo *info)
{
    VdiImage *image = node->opaque;

    info->cluster_size = image->block_size;
    info->unallocated_reads_zero = true;
    return 0;
}

static bool vdi_has_zero_init(BlockNode *node)
{
    VdiImage *image = node->opaque;

    return !image->is_static || block_has_zero_init(node->file->node);
}

typedef struct CheckMap {
    VdiImage *image;
    BlockCheckResult *result;
    unsigned long *used;
} CheckMap;

static bool check_entry(void *opaque, uint32_t index, uint32_t entry, GError **error)
{
    CheckMap *check = opaque;
    const char *problem;

    if (entry >= VDI_DISCARDED) {
        return true;
    }
    problem = entry_problem(check->image, entry, check->used);
    if (problem) {
        fprintf(stderr, "ERROR: block map entry %" PRIu32 " points to block %" PRIu32 ", %s\n",
                index, entry, problem);
        check->result->corruptions++;
    } else {
        bitmap_set(check->used, entry);
    }
    return true;
}

static int vdi_check(BlockNode *node, BlockCheckResult *result, unsigned fix, GError **error)
{
    VdiImage *image = node->opaque;
    g_autofree unsigned long *used = bitmap_new(MAX(image->blocks, 1));
    CheckMap check = { image, result, used };

    if (fix) {
        error_setf(error, "VDI images cannot be repaired");
        return -ENOTSUP;
    }
    return visit_map(node, check_entry, &check, error) ? 0 : -EIO;
}

/* ---- Creating ---- */

static const BlockOption vdi_create_options[] = {
    { "size", BLOCK_OPTION_SIZE, "virtual disk size" },
    { "static", BLOCK_OPTION_BOOL, "all blocks are allocated from the start", "off",
      "preallocation" },
    { NULL },
};

static bool vdi_translate_create_options(json_object *options, GError **error)
{
    json_object *value;
    bool is_static;

    if (!json_object_object_get_ex(options, "preallocation", &value)) {
        return true;
    }
    if (!parse_bool(json_object_get_string(value), &is_static, error)) {
        return false;
    }
    json_object_object_add(options, "preallocation",
                           json_object_new_string(is_static ? "metadata" : "off"));
    return true;
}

static bool fill_header(uint8_t raw[VDI_HEADER_SIZE], uint64_t size, uint32_t blocks,
                        bool is_static, GError **error)
{
    VdiHeader h = {
        .signature = htole32(VDI_SIGNATURE), .version = htole32(VDI_VERSION_1_1),
        .header_size = htole32(0x180), .image_type = htole32(is_static ? VDI_STATIC : VDI_DYNAMIC),
        .map_offset = htole32(VDI_MAP_AT),
        .data_offset = htole32(VDI_MAP_AT + ROUND_UP(4 * blocks, BLOCK_SECTOR)),
        .sector_size = htole32(BLOCK_SECTOR), .disk_size = htole64(size),
        .block_size = htole32(VDI_BLOCK_SIZE), .blocks = htole32(blocks),
        .allocated = htole32(is_static ? blocks : 0),
    };

    if (!crypto_random_bytes(h.uuid_image, sizeof(h.uuid_image), error) ||
        !crypto_random_bytes(h.uuid_snapshot, sizeof(h.uuid_snapshot), error)) {
        return false;
    }
    memset(raw, 0, VDI_HEADER_SIZE);
    memcpy(raw, VDI_TEXT, sizeof(VDI_TEXT));
    memcpy(raw + VDI_TEXT_SIZE, &h, sizeof(h));
    return true;
}

/* The last sector is filled up with zeroes. */
static int write_empty_map(BlockChild *file, uint32_t blocks, bool is_static)
{
    uint32_t entries = ROUND_UP(blocks, BLOCK_SECTOR / 4);
    g_autofree uint32_t *piece = g_new(uint32_t, MAP_PIECE);
    int ret = 0;

    for (uint32_t i = 0; i < entries && ret >= 0; i += MAP_PIECE) {
        uint32_t n = MIN(MAP_PIECE, entries - i);

        for (uint32_t j = 0; j < n; j++) {
            piece[j] = i + j >= blocks ? 0 : htole32(is_static ? i + j : VDI_UNALLOCATED);
        }
        ret = block_pwrite(file, VDI_MAP_AT + 4 * (int64_t)i, 4 * (int64_t)n, piece, 0);
    }
    return ret;
}

static bool write_image(BlockChild *file, uint64_t size, bool is_static, GError **error)
{
    uint32_t blocks = DIV_ROUND_UP(size, VDI_BLOCK_SIZE);
    BlockTruncate data = {
        .size = VDI_MAP_AT + ROUND_UP(4 * (int64_t)blocks, BLOCK_SECTOR) +
                (int64_t)blocks * VDI_BLOCK_SIZE,
    };
    uint8_t raw[VDI_HEADER_SIZE];
    int ret;

    if (!fill_header(raw, size, blocks, is_static, error)) {
        return false;
    }
    ret = block_pwrite(file, 0, sizeof(raw), raw, 0);
    if (ret >= 0) {
        ret = write_empty_map(file, blocks, is_static);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the VDI header and block map");
        return false;
    }
    return !is_static || block_truncate(file, &data, error) >= 0;
}

static bool vdi_create(const BlockdevCreateOptions *options, GError **error)
{
    const BlockdevCreateOptionsVdi *o = &options->u.vdi;
    BlockTruncate empty = { 0 };
    BlockChild *file;
    bool ok;

    if (o->size > (uint64_t)VDI_MAX_BLOCKS * VDI_BLOCK_SIZE) {
        error_setf(error, "Unsupported VDI image size (size is 0x%" PRIx64 ", max supported is "
                   "0x%" PRIx64 ")", o->size, (uint64_t)VDI_MAX_BLOCKS * VDI_BLOCK_SIZE);
        return false;
    }
    if (o->has_preallocation && o->preallocation != PREALLOC_MODE_OFF &&
        o->preallocation != PREALLOC_MODE_METADATA) {
        error_setf(error, "Preallocation mode '%s' is not supported for VDI images",
                   PreallocMode_str(o->preallocation));
        return false;
    }
    file = block_create_open(o->file, error);
    if (!file) {
        return false;
    }
    ok = block_truncate(file, &empty, error) >= 0 &&
         write_image(file, o->size, o->has_preallocation &&
                     o->preallocation == PREALLOC_MODE_METADATA, error);
    return block_create_close(file, ok ? error : NULL) && ok;
}

static const BlockChildSpec vdi_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { NULL },
};

static const BlockDriver vdi_driver = {
    .name = "vdi",
    .kind = BLOCKDEV_DRIVER_VDI,
    .instance_size = sizeof(VdiImage),
    .is_format = true,
    .children = vdi_children,
    .probe = vdi_probe,
    .open = vdi_open,
    .close = vdi_close,
    .preadv = vdi_preadv,
    .pwritev = vdi_pwritev,
    .pwrite_zeroes = vdi_pwrite_zeroes,
    .block_status = vdi_block_status,
    .peek = block_peek_by_status,
    .flush_to_os = vdi_flush_to_os,
    .get_info = vdi_get_info,
    .has_zero_init = vdi_has_zero_init,
    .check = vdi_check,
    .create_options = vdi_create_options,
    .translate_create_options = vdi_translate_create_options,
    .create = vdi_create,
};
BLOCK_DRIVER(vdi_driver);
