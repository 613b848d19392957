/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of bitmaps: entries of variable length, one after another, each with the place of a
 * table of clusters. It is never changed where it stands; a new one takes its place in the header.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/dirty-bitmap.h"
#include "block/qcow2/bitmap-internal.h"
#include "util/error.h"

#define MIN_GRANULARITY_BITS 9
#define MAX_GRANULARITY_BITS 31
#define MAX_NAME 1023
#define MAX_EXTRA 65536

void qcow2_bitmap_free(void *opaque)
{
    Qcow2Bitmap *bitmap = opaque;

    g_free(bitmap->name);
    g_free(bitmap->extra);
    g_free(bitmap);
}

int64_t qcow2_bitmap_bytes(const Qcow2 *q, unsigned granularity_bits)
{
    int64_t bits = (int64_t)(((uint64_t)q->disk_size + BIT_ULL(granularity_bits) - 1) >>
                             granularity_bits);

    return (bits + 7) / 8;
}

/* ---- Reading ---- */

static bool entry_is_sane(const Qcow2 *q, const Qcow2Bitmap *bitmap, unsigned type,
                          uint32_t name_size, GError **error)
{
    const char *what = NULL;

    if (bitmap->table_offset <= 0 || qcow2_in_cluster(q, bitmap->table_offset) ||
        bitmap->table_offset > (int64_t)QCOW2_MAX_HOST_OFFSET) {
        what = "a bad table offset";
    } else if (!bitmap->table_size || bitmap->table_size > QCOW2_MAX_L1_BYTES / 8) {
        what = "a bad table size";
    } else if (bitmap->flags & ~QCOW2_BITMAP_FLAGS_KNOWN) {
        what = "unknown flags";
    } else if (type != QCOW2_BITMAP_DIRTY_TRACKING) {
        what = "an unknown type";
    } else if (bitmap->granularity_bits < MIN_GRANULARITY_BITS ||
               bitmap->granularity_bits > MAX_GRANULARITY_BITS) {
        what = "an unsupported granularity";
    } else if (!name_size || name_size > MAX_NAME) {
        what = "a bad name length";
    } else if (bitmap->extra_size > MAX_EXTRA) {
        what = "too much extra data";
    }
    if (what) {
        error_setf(error, "qcow2 bitmap directory at offset 0x%" PRIx64 ": an entry has %s",
                   (uint64_t)q->bitmap_directory_offset, what);
    }
    return !what;
}

/* The entry at `at`; *at moves on. */
static Qcow2Bitmap *parse_entry(Qcow2 *q, const uint8_t *raw, int64_t *at, GError **error)
{
    int64_t left = q->bitmap_directory_size - *at;
    const uint8_t *entry = raw + *at;
    Qcow2Bitmap *bitmap = g_new0(Qcow2Bitmap, 1);
    uint32_t name_size = 0;

    if (left >= QCOW2_BE_HEADER) {
        bitmap->table_offset = (int64_t)ldq_be(entry + QCOW2_BE_TABLE_OFFSET);
        bitmap->table_size = ldl_be(entry + QCOW2_BE_TABLE_SIZE);
        bitmap->flags = ldl_be(entry + QCOW2_BE_FLAGS);
        bitmap->granularity_bits = entry[QCOW2_BE_GRANULARITY];
        name_size = ldw_be(entry + QCOW2_BE_NAME_SIZE);
        bitmap->extra_size = ldl_be(entry + QCOW2_BE_EXTRA_SIZE);
    }
    if (left < QCOW2_BE_HEADER || bitmap->extra_size > left - QCOW2_BE_HEADER ||
        name_size > left - QCOW2_BE_HEADER - bitmap->extra_size) {
        error_setf(error, "qcow2 bitmap directory at offset 0x%" PRIx64 ": it ends in the middle "
                   "of an entry", (uint64_t)q->bitmap_directory_offset);
        g_free(bitmap);
        return NULL;
    }
    if (!entry_is_sane(q, bitmap, entry[QCOW2_BE_TYPE], name_size, error)) {
        g_free(bitmap);
        return NULL;
    }
    entry += QCOW2_BE_HEADER;
    bitmap->extra = bitmap->extra_size ? g_memdup2(entry, bitmap->extra_size) : NULL;
    bitmap->name = g_strndup((const char *)entry + bitmap->extra_size, name_size);
    *at += (int64_t)ROUND_UP(QCOW2_BE_HEADER + bitmap->extra_size + name_size, 8);
    return bitmap;
}

GHashTable *qcow2_bitmaps_by_name(GPtrArray *list)
{
    GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < list->len; i++) {
        Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);

        g_hash_table_insert(names, bitmap->name, bitmap);
    }
    return names;
}

static bool parse_directory(Qcow2 *q, const uint8_t *raw, GPtrArray *list, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    int64_t at = 0;

    for (uint32_t i = 0; i < q->nb_bitmaps; i++) {
        Qcow2Bitmap *bitmap = parse_entry(q, raw, &at, error);

        if (!bitmap) {
            return false;
        }
        g_ptr_array_add(list, bitmap);
        if (!g_hash_table_add(names, bitmap->name)) {
            error_setf(error, "qcow2 bitmap directory: two bitmaps are called '%s'", bitmap->name);
            return false;
        }
    }
    return true;
}

GPtrArray *qcow2_bitmaps_list(Qcow2 *q, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(qcow2_bitmap_free);
    int64_t file_size = block_getlength(q->node->file->node);
    g_autofree uint8_t *raw = NULL;
    int ret;

    if (!q->nb_bitmaps) {
        return g_steal_pointer(&list);
    }
    if (file_size < 0 || !range_ok((uint64_t)q->bitmap_directory_offset,
                                   (uint64_t)q->bitmap_directory_size,
                                   (uint64_t)ROUND_UP(file_size, (int64_t)q->cluster_size))) {
        error_setf(error, "qcow2 bitmap directory: %" PRId64 " bytes at offset 0x%" PRIx64
                   " are beyond the end of the file", q->bitmap_directory_size,
                   (uint64_t)q->bitmap_directory_offset);
        return NULL;
    }
    raw = g_malloc((size_t)q->bitmap_directory_size);
    ret = block_pread(q->node->file, q->bitmap_directory_offset, q->bitmap_directory_size, raw);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read the qcow2 bitmap directory");
        return NULL;
    }
    return parse_directory(q, raw, list, error) ? g_steal_pointer(&list) : NULL;
}

uint64_t *qcow2_bitmap_table(Qcow2 *q, const Qcow2Bitmap *bitmap, GError **error)
{
    Qcow2Table table;
    uint64_t *entries;

    if (!qcow2_table_load(q, &table, bitmap->table_offset, bitmap->table_size, "bitmap table",
                          error)) {
        return NULL;
    }
    for (uint32_t i = 0; i < table.n; i++) {
        uint64_t offset = table.entries[i] & QCOW2_OFFSET_MASK;
        uint64_t reserved = table.entries[i] & ~QCOW2_OFFSET_MASK;

        if ((offset ? reserved : reserved & ~QCOW2_BITMAP_ALL_ONES) ||
            qcow2_in_cluster(q, (int64_t)offset)) {
            error_setf(error, "qcow2 bitmap '%s': entry %" PRIu32 " of its table is bad (0x%"
                       PRIx64 ")", bitmap->name, i, table.entries[i]);
            qcow2_table_cleanup(&table);
            return NULL;
        }
    }
    entries = g_steal_pointer(&table.entries);
    qcow2_table_cleanup(&table);
    return entries;
}

/* ---- Writing ---- */

static void put_entry(GByteArray *out, const Qcow2Bitmap *bitmap)
{
    static const uint8_t padding[8];
    uint8_t entry[QCOW2_BE_HEADER] = { 0 };

    stq_be(entry + QCOW2_BE_TABLE_OFFSET, (uint64_t)bitmap->table_offset);
    stl_be(entry + QCOW2_BE_TABLE_SIZE, bitmap->table_size);
    stl_be(entry + QCOW2_BE_FLAGS, bitmap->flags);
    entry[QCOW2_BE_TYPE] = QCOW2_BITMAP_DIRTY_TRACKING;
    entry[QCOW2_BE_GRANULARITY] = (uint8_t)bitmap->granularity_bits;
    stw_be(entry + QCOW2_BE_NAME_SIZE, (uint16_t)strlen(bitmap->name));
    stl_be(entry + QCOW2_BE_EXTRA_SIZE, bitmap->extra_size);
    g_byte_array_append(out, entry, sizeof(entry));
    if (bitmap->extra_size) {
        g_byte_array_append(out, bitmap->extra, bitmap->extra_size);
    }
    g_byte_array_append(out, (const uint8_t *)bitmap->name, (guint)strlen(bitmap->name));
    g_byte_array_append(out, padding, (guint)(-out->len & 7));
}

static int write_new_directory(Qcow2 *q, GByteArray *raw, int64_t *offset)
{
    int ret;

    *offset = 0;
    if (raw->len) {
        *offset = qcow2_alloc(q, qcow2_clusters(q, raw->len), NULL);
        ret = *offset < 0 ? (int)*offset
                          : block_pwrite(q->node->file, *offset, raw->len, raw->data, 0);
        if (ret < 0) {
            return ret;
        }
    }
    ret = qcow2_write_refcounts(q);
    return ret < 0 ? ret : qcow2_barrier(q);
}

int qcow2_bitmap_directory_write(Qcow2 *q, GPtrArray *bitmaps)
{
    g_autoptr(GByteArray) raw = g_byte_array_new();
    int64_t old = q->bitmap_directory_offset, old_bytes = q->bitmap_directory_size, offset;
    uint32_t old_n = q->nb_bitmaps;
    int ret;

    for (guint i = 0; i < bitmaps->len; i++) {
        put_entry(raw, g_ptr_array_index(bitmaps, i));
    }
    if (bitmaps->len > QCOW2_MAX_BITMAPS || raw->len > QCOW2_MAX_BITMAP_DIRECTORY) {
        return -E2BIG;
    }
    ret = write_new_directory(q, raw, &offset);
    if (ret < 0) {
        return ret;
    }
    q->nb_bitmaps = bitmaps->len;
    q->bitmap_directory_offset = offset;
    q->bitmap_directory_size = raw->len;
    q->autoclear = bitmaps->len ? q->autoclear | QCOW2_AUTOCLEAR_BITMAPS
                                : q->autoclear & ~QCOW2_AUTOCLEAR_BITMAPS;
    ret = qcow2_header_write(q);
    if (ret < 0) {
        q->nb_bitmaps = old_n;
        q->bitmap_directory_offset = old;
        q->bitmap_directory_size = old_bytes;
        return ret;
    }
    qcow2_metadata_remove(q, old, old_bytes, QCOW2_S_BITMAP_DIRECTORY);
    qcow2_metadata_add(q, offset, raw->len, QCOW2_S_BITMAP_DIRECTORY);
    if (old_n) {
        qcow2_free_clusters(q, old, qcow2_clusters(q, old_bytes), QCOW2_FREE_OTHER);
    }
    return 0;
}

void qcow2_bitmap_free_clusters(Qcow2 *q, const Qcow2Bitmap *bitmap)
{
    g_autofree uint64_t *table = qcow2_bitmap_table(q, bitmap, NULL);

    /* A table that cannot be read is leaked, for `check` to find. */
    for (uint32_t i = 0; table && i < bitmap->table_size; i++) {
        if (table[i] & QCOW2_OFFSET_MASK) {
            qcow2_free_clusters(q, (int64_t)(table[i] & QCOW2_OFFSET_MASK), 1, QCOW2_FREE_OTHER);
        }
    }
    if (table) {
        qcow2_free_clusters(q, bitmap->table_offset,
                            qcow2_clusters(q, (int64_t)bitmap->table_size * 8), QCOW2_FREE_OTHER);
    }
}

/* ---- Facts ---- */

GPtrArray *qcow2_bitmaps_info(Qcow2 *q, GError **error)
{
    g_autoptr(GPtrArray) list = qcow2_bitmaps_list(q, error);
    GPtrArray *infos;

    if (!list || !list->len) {
        return NULL;
    }
    infos = Qcow2BitmapInfo_list_new();
    for (guint i = 0; i < list->len; i++) {
        const Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);
        Qcow2BitmapInfo *info = g_new0(Qcow2BitmapInfo, 1);
        Qcow2BitmapInfoFlags flag;

        info->name = g_strdup(bitmap->name);
        info->granularity = 1u << bitmap->granularity_bits;
        info->flags = qapi_list_new(&Qcow2BitmapInfoFlags_type);
        if (bitmap->flags & QCOW2_BITMAP_IN_USE) {
            flag = QCOW2_BITMAP_INFO_FLAGS_IN_USE;
            g_array_append_val(info->flags, flag);
        }
        if (bitmap->flags & QCOW2_BITMAP_AUTO) {
            flag = QCOW2_BITMAP_INFO_FLAGS_AUTO;
            g_array_append_val(info->flags, flag);
        }
        g_ptr_array_add(infos, info);
    }
    return infos;
}

static int64_t entry_size(const char *name, uint32_t extra_size)
{
    return ROUND_UP(QCOW2_BE_HEADER + (int64_t)strlen(name) + extra_size, 8);
}

/* In the directory, beside those of the file and those that will be stored. */
static bool has_room(const Qcow2 *q, GPtrArray *list, GHashTable *names, const char *name,
                     GError **error)
{
    int64_t bytes = entry_size(name, 0);
    guint n = list->len + 1;
    DirtyBitmap *b = NULL;

    for (guint i = 0; i < list->len; i++) {
        const Qcow2Bitmap *stored = g_ptr_array_index(list, i);

        bytes += entry_size(stored->name, stored->extra_size);
    }
    while ((b = block_dirty_bitmap_next(q->node, b))) {
        const char *other = block_dirty_bitmap_name(b);

        if ((block_dirty_bitmap_flags(b) & BLOCK_BITMAP_PERSISTENT) && other &&
            strcmp(other, name) != 0 && !g_hash_table_contains(names, other)) {
            bytes += entry_size(other, 0);
            n++;
        }
    }
    if (n > QCOW2_MAX_BITMAPS) {
        error_setf(error, "The image has %d bitmaps, and cannot have more", QCOW2_MAX_BITMAPS);
    } else if (bytes > QCOW2_MAX_BITMAP_DIRECTORY) {
        error_setf(error, "The directory of the image's bitmaps is full");
    }
    return n <= QCOW2_MAX_BITMAPS && bytes <= QCOW2_MAX_BITMAP_DIRECTORY;
}

bool qcow2_bitmap_can_store(BlockNode *node, const char *name, uint32_t granularity,
                            GError **error)
{
    Qcow2 *q = node->opaque;
    unsigned bits = (unsigned)__builtin_ctz(granularity ? granularity : 1);
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GHashTable) names = NULL;

    if (q->version < 3) {
        error_setf(error, "Cannot store dirty bitmaps in qcow2 v2 files");
    } else if (block_node_is_read_only(node)) {
        error_setf(error, "Cannot store dirty bitmaps in node '%s', which is read-only",
                   node->name);
    } else if (strlen(name) > MAX_NAME || !*name) {
        error_setf(error, "The bitmap's name is longer than %d bytes, or empty", MAX_NAME);
    } else if (bits < MIN_GRANULARITY_BITS || bits > MAX_GRANULARITY_BITS) {
        error_setf(error, "Granularity %" PRIu32 " of bitmap '%s' is not between 2^%d and 2^%d",
                   granularity, name, MIN_GRANULARITY_BITS, MAX_GRANULARITY_BITS);
    } else if (qcow2_clusters(q, qcow2_bitmap_bytes(q, bits)) > QCOW2_MAX_L1_BYTES / 8) {
        error_setf(error, "Bitmap '%s' would be too large; use a larger granularity", name);
    } else {
        list = qcow2_bitmaps_list(q, error);
        names = list ? qcow2_bitmaps_by_name(list) : NULL;
        if (list && g_hash_table_contains(names, name)) {
            error_setf(error, "Bitmap already exists: %s", name);
            return false;
        }
        return list && has_room(q, list, names, name, error);
    }
    return false;
}
