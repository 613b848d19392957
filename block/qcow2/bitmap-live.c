/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bitmaps of the image while it is open. They are loaded with it and marked in use in the file, and
 * stored when it is closed; after a crash the mark is still there, and they are only good for
 * removal.
 */
#include <errno.h>
#include <inttypes.h>

#include "block/dirty-bitmap.h"
#include "block/qcow2/bitmap-internal.h"
#include "util/error.h"

/* ---- Loading ---- */

typedef struct Load {
    DirtyBitmap *bitmap;
    unsigned granularity_bits;
    int64_t size;
} Load;

static void set_bits(const Load *load, int64_t first, int64_t n)
{
    int64_t start = first << load->granularity_bits;
    int64_t end = MIN((first + n) << load->granularity_bits, load->size);

    if (start < end) {
        block_dirty_bitmap_set(load->bitmap, start, end - start);
    }
}

static int load_piece(void *opaque, int64_t offset, int64_t bytes, const uint8_t *data, bool ones)
{
    const Load *load = opaque;
    int64_t run = -1, bit;

    if (!data) {
        if (ones) {
            set_bits(load, offset * 8, bytes * 8);
        }
        return 0;
    }
    for (bit = 0; bit < bytes * 8; bit++) {
        bool set = data[bit / 8] >> (bit % 8) & 1;

        if (set && run < 0) {
            run = bit;
        } else if (!set && run >= 0) {
            set_bits(load, offset * 8 + run, bit - run);
            run = -1;
        }
    }
    if (run >= 0) {
        set_bits(load, offset * 8 + run, bit - run);
    }
    return 0;
}

/*
 * Can what the file has be believed, and is it as long as it must be? *memory becomes less by what
 * the bits will take that are set.
 */
static bool is_consistent(Qcow2 *q, const Qcow2Bitmap *stored, int64_t *memory)
{
    g_autofree uint64_t *table = NULL;
    bool extra_matters = stored->extra_size && !(stored->flags & QCOW2_BITMAP_EXTRA_COMPATIBLE);

    if ((stored->flags & QCOW2_BITMAP_IN_USE) || extra_matters ||
        stored->table_size != qcow2_clusters(q, qcow2_bitmap_bytes(q, stored->granularity_bits))) {
        return false;
    }
    table = qcow2_bitmap_table(q, stored, NULL);
    for (uint32_t i = 0; table && i < stored->table_size; i++) {
        *memory -= table[i] ? q->cluster_size : 0;
    }
    return table;
}

static bool load_one(Qcow2 *q, const Qcow2Bitmap *stored, int64_t *memory, GError **error)
{
    bool consistent = is_consistent(q, stored, memory);
    Load load = { .granularity_bits = stored->granularity_bits, .size = q->disk_size };
    unsigned flags = BLOCK_BITMAP_PERSISTENT;
    int ret = 0;

    if (*memory < 0) {
        error_setf(error, "The dirty bitmaps of '%s' need more than %" PRId64 " MiB of memory; "
                   "bitmap '%s' is one too many", q->node->filename,
                   QCOW2_MAX_BITMAP_MEMORY / (int64_t)MiB, stored->name);
        return false;
    }
    load.bitmap = block_dirty_bitmap_new(q->node, stored->name, 1u << stored->granularity_bits,
                                         error);
    if (!load.bitmap) {
        return false;
    }
    block_dirty_bitmap_change_flags(load.bitmap, 0, BLOCK_BITMAP_ENABLED);
    if (consistent) {
        ret = qcow2_bitmap_load(q, stored, load_piece, &load);
        flags |= stored->flags & QCOW2_BITMAP_AUTO ? BLOCK_BITMAP_ENABLED : 0;
    } else {
        flags |= BLOCK_BITMAP_INCONSISTENT;
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "Could not read bitmap '%s' of the qcow2 image",
                        stored->name);
        block_dirty_bitmap_free(load.bitmap);
        return false;
    }
    flags |= block_node_is_read_only(q->node) ? BLOCK_BITMAP_READ_ONLY : 0;
    block_dirty_bitmap_change_flags(load.bitmap, flags, 0);
    return true;
}

static bool load_all(Qcow2 *q, GError **error)
{
    g_autoptr(GPtrArray) list = NULL;
    int64_t memory = QCOW2_MAX_BITMAP_MEMORY;

    q->bitmaps_loaded = true;
    if (!q->nb_bitmaps) {
        return true;
    }
    list = qcow2_bitmaps_list(q, error);
    if (!list) {
        return false;
    }
    for (guint i = 0; i < list->len; i++) {
        if (!load_one(q, g_ptr_array_index(list, i), &memory, error)) {
            block_dirty_bitmaps_free_all(q->node);
            return false;
        }
    }
    return true;
}

bool qcow2_bitmaps_open(Qcow2 *q, GError **error)
{
    if (!load_all(q, error)) {
        return false;
    }
    if (q->nb_bitmaps && !block_node_is_read_only(q->node)) {
        q->bitmaps_marked = true;
        return qcow2_bitmaps_mark_in_use(q, NULL, true, error);
    }
    return true;
}

/* ---- Storing ---- */

/* Data of a stored bitmap is all there; what is dirty is looked for piece by piece. */
static void fill(void *opaque, int64_t offset, int64_t bytes, uint8_t *data)
{
    DirtyBitmap *bitmap = opaque;
    int64_t granularity = block_dirty_bitmap_granularity(bitmap);
    int64_t first = offset * 8, start = first * granularity;
    int64_t end = MIN((first + bytes * 8) * granularity, block_dirty_bitmap_size(bitmap));
    int64_t at, n;

    while (start < end &&
           block_dirty_bitmap_next_area(bitmap, start, end, 0, &at, &n)) {
        int64_t last = (at + n + granularity - 1) / granularity;

        for (int64_t bit = at / granularity - first; bit < last - first; bit++) {
            data[bit / 8] |= (uint8_t)(1u << (bit % 8));
        }
        start = at + n;
    }
}

static bool is_kept(const DirtyBitmap *bitmap)
{
    unsigned flags = block_dirty_bitmap_flags(bitmap);

    return (flags & BLOCK_BITMAP_PERSISTENT) && block_dirty_bitmap_name(bitmap) &&
           !(flags & (BLOCK_BITMAP_INCONSISTENT | BLOCK_BITMAP_SKIP_STORE |
                      BLOCK_BITMAP_READ_ONLY));
}

bool qcow2_bitmaps_save(Qcow2 *q, GError **error)
{
    g_autoptr(GArray) sources = g_array_new(FALSE, FALSE, sizeof(Qcow2BitmapSource));

    for (DirtyBitmap *b = block_dirty_bitmap_next(q->node, NULL); b;
         b = block_dirty_bitmap_next(q->node, b)) {
        Qcow2BitmapSource source = {
            .name = block_dirty_bitmap_name(b), .fill = fill, .opaque = b,
            .granularity_bits = (unsigned)__builtin_ctz(block_dirty_bitmap_granularity(b)),
        };

        if (is_kept(b)) {
            source.flags = block_dirty_bitmap_flags(b) & BLOCK_BITMAP_ENABLED
                ? QCOW2_BITMAP_AUTO : 0;
            g_array_append_val(sources, source);
        }
    }
    if (!qcow2_bitmaps_store(q, (const Qcow2BitmapSource *)(void *)sources->data, sources->len,
                             error)) {
        return false;
    }
    q->bitmaps_marked = false;
    return true;
}

/* ---- While the image stays open ---- */

static DirtyBitmap *next_persistent(const Qcow2 *q, DirtyBitmap *bitmap)
{
    do {
        bitmap = block_dirty_bitmap_next(q->node, bitmap);
    } while (bitmap && !(block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_PERSISTENT));
    return bitmap;
}

void qcow2_bitmaps_reopened(Qcow2 *q, bool read_only)
{
    g_autoptr(GError) error = NULL;
    bool left = !q->bitmaps_loaded && (q->node->open_flags & BLOCK_OPEN_NO_BITMAPS);

    /* Nobody wanted them as long as the image was only read. */
    if (!read_only && left && !load_all(q, &error)) {
        error_report("%s; the bitmaps of '%s' stay in the file", error->message,
                     q->node->filename);
        g_clear_error(&error);
        q->bitmaps_loaded = false;
    }
    if (!read_only && !q->bitmaps_marked && q->nb_bitmaps && q->bitmaps_loaded) {
        q->bitmaps_marked = qcow2_bitmaps_mark_in_use(q, NULL, true, &error);
        if (!q->bitmaps_marked) {
            error_report("%s; the bitmaps of '%s' stay as they are", error->message,
                         q->node->filename);
            read_only = true;
        }
    }
    for (DirtyBitmap *b = NULL; (b = next_persistent(q, b));) {
        block_dirty_bitmap_change_flags(b, read_only ? BLOCK_BITMAP_READ_ONLY : 0,
                                        read_only ? 0 : BLOCK_BITMAP_READ_ONLY);
    }
}

void qcow2_bitmaps_forget(Qcow2 *q)
{
    DirtyBitmap *bitmap;

    while ((bitmap = next_persistent(q, NULL))) {
        block_dirty_bitmap_free(bitmap);
    }
}

bool qcow2_bitmaps_can_resize(const Qcow2 *q)
{
    bool consistent = !q->nb_bitmaps || q->bitmaps_loaded;

    for (DirtyBitmap *b = NULL; (b = next_persistent(q, b));) {
        consistent &= !(block_dirty_bitmap_flags(b) &
                        (BLOCK_BITMAP_INCONSISTENT | BLOCK_BITMAP_READ_ONLY));
    }
    return consistent;
}
