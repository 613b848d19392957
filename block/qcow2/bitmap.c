/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, storing and removing bitmaps. Clusters that are all zeroes or all ones take no room. */
#include <errno.h>
#include <inttypes.h>

#include "block/qcow2/bitmap-internal.h"
#include "util/error.h"
#include "util/zero.h"

/* ---- Loading ---- */

int qcow2_bitmap_load(Qcow2 *q, const Qcow2Bitmap *bitmap, Qcow2BitmapPiece *piece, void *opaque)
{
    int64_t bytes = qcow2_bitmap_bytes(q, bitmap->granularity_bits);
    g_autofree uint64_t *table = NULL;
    g_autofree uint8_t *data = NULL;
    int ret = 0;

    if (bitmap->table_size != qcow2_clusters(q, bytes)) {
        return -EINVAL;
    }
    table = qcow2_bitmap_table(q, bitmap, NULL);
    data = g_try_malloc(q->cluster_size);
    if (!table || !data) {
        return table ? -ENOMEM : -EIO;
    }
    for (uint32_t i = 0; i < bitmap->table_size && ret >= 0; i++) {
        int64_t at = (int64_t)i << q->cluster_bits, n = MIN(bytes - at, q->cluster_size);
        uint64_t offset = table[i] & QCOW2_OFFSET_MASK;

        ret = offset ? block_pread(q->node->file, (int64_t)offset, n, data) : 0;
        ret = ret < 0 ? ret : piece(opaque, at, n, offset ? data : NULL,
                                    table[i] & QCOW2_BITMAP_ALL_ONES);
    }
    return ret;
}

/* ---- Storing ---- */

static bool all_ones(const uint8_t *data, int64_t n)
{
    return n > 0 && data[0] == 0xff && !memcmp(data, data + 1, (size_t)n - 1);
}

/* With the lock held: one cluster of data, or 0 or 1 for it. */
static int store_cluster(Qcow2 *q, const uint8_t *data, int64_t n, uint64_t *entry)
{
    int64_t offset;

    *entry = 0;
    if (buffer_is_zero(data, (size_t)n)) {
        return 0;
    }
    if (n == q->cluster_size && all_ones(data, n)) {
        *entry = QCOW2_BITMAP_ALL_ONES;
        return 0;
    }
    offset = qcow2_alloc(q, 1, NULL);
    if (offset < 0) {
        return (int)offset;
    }
    *entry = (uint64_t)offset;
    return block_pwrite(q->node->file, offset, q->cluster_size, data, 0);
}

static void unstore(Qcow2 *q, const Qcow2Table *table)
{
    for (uint32_t i = 0; i < table->n; i++) {
        if (table->entries[i] & QCOW2_OFFSET_MASK) {
            qcow2_unalloc(q, (int64_t)(table->entries[i] & QCOW2_OFFSET_MASK), 1);
        }
    }
    if (table->offset > 0) {
        qcow2_unalloc(q, table->offset, qcow2_clusters(q, (int64_t)table->n * 8));
    }
}

/* With the lock held: data and table, which nothing names yet. */
static int store_data(Qcow2 *q, const Qcow2BitmapSource *source, Qcow2Bitmap *bitmap)
{
    int64_t bytes = qcow2_bitmap_bytes(q, source->granularity_bits);
    g_autofree uint8_t *data = g_try_malloc(q->cluster_size);
    Qcow2Table table;
    int ret = data ? 0 : -ENOMEM;

    qcow2_table_init(&table, 0, (uint32_t)MAX(qcow2_clusters(q, bytes), 1));
    for (uint32_t i = 0; i < table.n && ret >= 0; i++) {
        int64_t at = (int64_t)i << q->cluster_bits, n = CLAMP(bytes - at, 0, q->cluster_size);

        memset(data, 0, q->cluster_size);
        if (n) {
            source->fill(source->opaque, at, n, data);
        }
        ret = store_cluster(q, data, n, &table.entries[i]);
    }
    if (ret >= 0) {
        table.offset = qcow2_alloc(q, qcow2_clusters(q, (int64_t)table.n * 8), NULL);
        ret = table.offset < 0 ? (int)table.offset : qcow2_table_write_at(q, &table, table.offset);
    }
    if (ret < 0) {
        unstore(q, &table);
    }
    bitmap->table_offset = table.offset;
    bitmap->table_size = table.n;
    qcow2_table_cleanup(&table);
    return ret;
}

static Qcow2Bitmap *take_named(GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);

        if (!strcmp(bitmap->name, name)) {
            return g_ptr_array_steal_index(list, i);
        }
    }
    return NULL;
}

/* Without those that are replaced. */
static int write_directory_of(Qcow2 *q, GPtrArray *list)
{
    g_autoptr(GPtrArray) stay = g_ptr_array_new();

    for (guint i = 0; i < list->len; i++) {
        Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);

        if (!bitmap->is_replaced) {
            g_ptr_array_add(stay, bitmap);
        }
    }
    return qcow2_bitmap_directory_write(q, stay);
}

static int store_all(Qcow2 *q, const Qcow2BitmapSource *sources, guint n, GPtrArray *list)
{
    g_autoptr(GHashTable) stored = qcow2_bitmaps_by_name(list);
    int ret = 0;

    for (guint i = 0; i < n && ret >= 0; i++) {
        Qcow2Bitmap *old = g_hash_table_lookup(stored, sources[i].name), *bitmap;

        if (old) {
            old->is_replaced = true;
        }
        bitmap = g_new0(Qcow2Bitmap, 1);
        bitmap->name = g_strdup(sources[i].name);
        bitmap->granularity_bits = sources[i].granularity_bits;
        bitmap->flags = sources[i].flags;
        ret = store_data(q, &sources[i], bitmap);
        if (ret < 0) {
            qcow2_bitmap_free(bitmap);
        } else {
            g_ptr_array_add(list, bitmap);
        }
    }
    ret = ret < 0 ? ret : write_directory_of(q, list);
    for (guint i = 0; i < list->len && ret >= 0; i++) {
        Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);

        if (bitmap->is_replaced) {
            qcow2_bitmap_free_clusters(q, bitmap);
        }
    }
    return ret;
}

bool qcow2_bitmaps_store(Qcow2 *q, const Qcow2BitmapSource *sources, guint n, GError **error)
{
    g_autoptr(GPtrArray) list = qcow2_bitmaps_list(q, error);
    int ret;

    if (!list) {
        return false;
    }
    if (!n) {
        return true;
    }
    co_mutex_lock(&q->lock);
    ret = store_all(q, sources, n, list);
    co_mutex_unlock(&q->lock);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not store dirty bitmaps in '%s'", q->node->filename);
    }
    return ret >= 0;
}

/* ---- Marks ---- */

static bool is_listed(const char *const *names, const char *name)
{
    return !names || g_strv_contains(names, name);
}

static int mark_locked(Qcow2 *q, const char *const *names, uint32_t only, bool in_use,
                       GError **error)
{
    g_autoptr(GPtrArray) list = qcow2_bitmaps_list(q, error);
    bool changed = false;
    int ret;

    if (!list) {
        return -EIO;
    }
    for (guint i = 0; i < list->len; i++) {
        Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);
        uint32_t flags = in_use ? bitmap->flags | QCOW2_BITMAP_IN_USE
                                : bitmap->flags & ~QCOW2_BITMAP_IN_USE;

        if ((bitmap->flags & only) == only && is_listed(names, bitmap->name)) {
            changed |= flags != bitmap->flags;
            bitmap->flags = flags;
        }
    }
    ret = changed ? qcow2_bitmap_directory_write(q, list) : 0;
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the qcow2 bitmap directory");
    }
    return ret;
}

bool qcow2_bitmaps_mark_in_use(Qcow2 *q, const char *const *names, bool in_use, GError **error)
{
    int ret;

    co_mutex_lock(&q->lock);
    ret = mark_locked(q, names, 0, in_use, error);
    co_mutex_unlock(&q->lock);
    return ret >= 0;
}

int qcow2_bitmaps_become_stale(Qcow2 *q)
{
    int ret;

    if (q->bitmaps_marked || !q->nb_bitmaps) {
        return 0;
    }
    q->bitmaps_marked = true;
    /* Where they are in memory, all of them may change; else only those that should record this. */
    ret = mark_locked(q, NULL, q->bitmaps_loaded ? 0 : QCOW2_BITMAP_AUTO, true, NULL);
    q->bitmaps_marked = ret >= 0;
    return ret;
}

bool qcow2_bitmap_remove(BlockNode *node, const char *name, GError **error)
{
    Qcow2 *q = node->opaque;
    g_autoptr(GPtrArray) list = qcow2_bitmaps_list(q, error);
    Qcow2Bitmap *bitmap = list ? take_named(list, name) : NULL;
    int ret;

    if (!bitmap) {
        /* One that was never stored. */
        return list;
    }
    co_mutex_lock(&q->lock);
    ret = qcow2_bitmap_directory_write(q, list);
    if (ret >= 0) {
        qcow2_bitmap_free_clusters(q, bitmap);
    }
    co_mutex_unlock(&q->lock);
    qcow2_bitmap_free(bitmap);
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not write the qcow2 bitmap directory");
    }
    return ret >= 0;
}

/* ---- Checking ---- */

int qcow2_bitmaps_check(Check *check)
{
    Qcow2 *q = check->q;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = qcow2_bitmaps_list(q, &error);

    if (!list) {
        check_defect(check, 0, "ERROR: %s", error->message);
        return 0;
    }
    if (list->len) {
        check_count(check, q->bitmap_directory_offset, q->bitmap_directory_size, 1);
    }
    for (guint i = 0; i < list->len; i++) {
        const Qcow2Bitmap *bitmap = g_ptr_array_index(list, i);
        g_autofree uint64_t *table = NULL;
        g_autoptr(GError) table_error = NULL;

        check_count(check, bitmap->table_offset, (int64_t)bitmap->table_size * 8, 1);
        table = qcow2_bitmap_table(q, bitmap, &table_error);
        if (!table) {
            check_defect(check, 0, "ERROR: %s", table_error->message);
        }
        for (uint32_t j = 0; table && j < bitmap->table_size; j++) {
            if (table[j] & QCOW2_OFFSET_MASK) {
                check_count(check, (int64_t)(table[j] & QCOW2_OFFSET_MASK), q->cluster_size, 1);
            }
        }
    }
    return 0;
}
