/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: dirty bitmaps, as commands and as actions of transactions. Main thread. */
#include <string.h>

#include "block/driver.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-snapshot.h"
#include "util/error.h"

DirtyBitmap *block_qmp_find_bitmap(const char *node_name, const char *name, GError **error)
{
    BlockNode *node = block_qmp_find_node(node_name, node_name, NULL);
    DirtyBitmap *bitmap = node ? block_dirty_bitmap_find(node, name) : NULL;

    if (!node) {
        error_setf(error, "Node '%s' not found", node_name);
    } else if (!bitmap) {
        error_setf(error, "Dirty bitmap '%s' not found", name);
    }
    return bitmap;
}

/* ---- add ---- */

static void abort_add(void *data)
{
    block_dirty_bitmap_free(data);
}

static const BlockStepOps add_ops = { .abort = abort_add };

typedef struct StoreRun {
    DirtyBitmap *bitmap;
    GError **error;
    bool ok;
} StoreRun;

static void ask_can_store(void *opaque)
{
    StoreRun *run = opaque;
    BlockNode *node = block_dirty_bitmap_node(run->bitmap);

    run->ok = node->driver->bitmap_can_store(node, block_dirty_bitmap_name(run->bitmap),
                                             block_dirty_bitmap_granularity(run->bitmap),
                                             run->error);
}

static bool can_store(DirtyBitmap *bitmap, GError **error)
{
    BlockNode *node = block_dirty_bitmap_node(bitmap);
    StoreRun run = { .bitmap = bitmap, .error = error };

    if (!node->driver->bitmap_can_store) {
        error_setf(error, "Cannot store dirty bitmaps in node '%s': the '%s' driver has no place "
                   "for them", node->name, node->driver->name);
        return false;
    }
    block_run(node, ask_can_store, &run);
    return run.ok;
}

bool block_bitmap_action_add(BlockTransaction *tx, const BlockDirtyBitmapAdd *add, GError **error)
{
    BlockNode *node = block_qmp_find(add->node, error);
    bool persistent = add->has_persistent && add->persistent;
    DirtyBitmap *bitmap;

    if (!node) {
        return false;
    }
    if (add->has_granularity && !add->granularity) {
        error_setf(error, "Granularity must be a power of two of at least %d",
                   BLOCK_BITMAP_MIN_GRANULARITY);
        return false;
    }
    bitmap = block_dirty_bitmap_new(node, add->name, add->granularity, error);
    if (!bitmap) {
        return false;
    }
    if (!persistent || can_store(bitmap, error)) {
        block_dirty_bitmap_change_flags(bitmap, persistent ? BLOCK_BITMAP_PERSISTENT : 0,
                                        add->disabled ? BLOCK_BITMAP_ENABLED : 0);
        block_transaction_add(tx, &add_ops, bitmap);
        return true;
    }
    block_dirty_bitmap_free(bitmap);
    return false;
}

bool qmp_block_dirty_bitmap_add(const char *node, const char *name, bool has_granularity,
                                uint32_t granularity, bool has_persistent, bool persistent,
                                bool has_disabled, bool disabled, GError **error)
{
    BlockTransaction *tx = block_transaction_new();
    BlockDirtyBitmapAdd add = {
        .node = (char *)node, .name = (char *)name,
        .has_granularity = has_granularity, .granularity = granularity,
        .has_persistent = has_persistent, .persistent = persistent,
        .has_disabled = has_disabled, .disabled = disabled,
    };

    return block_transaction_end(tx, block_bitmap_action_add(tx, &add, error));
}

/* ---- remove ---- */

/* Until it is settled, nobody else may use it. */
static void abort_remove(void *data)
{
    block_dirty_bitmap_change_flags(data, 0, BLOCK_BITMAP_BUSY | BLOCK_BITMAP_SKIP_STORE);
}

static const BlockStepOps remove_ops = { .commit = abort_add, .abort = abort_remove };

typedef struct RemoveRun {
    BlockNode *node;
    const char *name;
    GError **error;
    bool ok;
} RemoveRun;

static void remove_stored(void *opaque)
{
    RemoveRun *run = opaque;

    run->ok = run->node->driver->bitmap_remove(run->node, run->name, run->error);
}

bool block_bitmap_action_remove(BlockTransaction *tx, const char *node, const char *name,
                                GError **error)
{
    DirtyBitmap *bitmap = block_qmp_find_bitmap(node, name, error);
    RemoveRun run = { .name = name, .error = error };

    if (!bitmap || !block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_BUSY | BLOCK_BITMAP_READ_ONLY,
                                             error)) {
        return false;
    }
    run.node = block_dirty_bitmap_node(bitmap);
    if ((block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_PERSISTENT) &&
        run.node->driver->bitmap_remove) {
        /* Taken back, it is stored again when the image is closed. */
        block_run(run.node, remove_stored, &run);
        if (!run.ok) {
            return false;
        }
    }
    block_dirty_bitmap_change_flags(bitmap, BLOCK_BITMAP_BUSY | BLOCK_BITMAP_SKIP_STORE, 0);
    block_transaction_add(tx, &remove_ops, bitmap);
    return true;
}

bool qmp_block_dirty_bitmap_remove(const char *node, const char *name, GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, block_bitmap_action_remove(tx, node, name, error));
}

/* ---- clear, merge ---- */

typedef struct OldBits {
    DirtyBitmap *bitmap;
    HBitmap *bits;
} OldBits;

static void abort_bits(void *data)
{
    OldBits *old = data;

    block_dirty_bitmap_restore(old->bitmap, g_steal_pointer(&old->bits));
}

static void clean_bits(void *data)
{
    OldBits *old = data;

    hbitmap_free(old->bits);
    g_free(old);
}

static const BlockStepOps bits_ops = { .abort = abort_bits, .clean = clean_bits };

static void remember_bits(BlockTransaction *tx, DirtyBitmap *bitmap, HBitmap *bits)
{
    OldBits *old = g_new0(OldBits, 1);

    old->bitmap = bitmap;
    old->bits = bits;
    block_transaction_add(tx, &bits_ops, old);
}

bool block_bitmap_action_clear(BlockTransaction *tx, const char *node, const char *name,
                               GError **error)
{
    DirtyBitmap *bitmap = block_qmp_find_bitmap(node, name, error);
    HBitmap *bits;

    if (!bitmap || !block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_NOT_FOR_CHANGES, error) ||
        !block_dirty_bitmap_clear(bitmap, &bits, error)) {
        return false;
    }
    remember_bits(tx, bitmap, bits);
    return true;
}

bool qmp_block_dirty_bitmap_clear(const char *node, const char *name, GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, block_bitmap_action_clear(tx, node, name, error));
}

/* One of the bitmaps to be merged. */
static DirtyBitmap *find_source(const char *node, const BlockDirtyBitmapOrStr *source,
                                GError **error)
{
    DirtyBitmap *bitmap =
        source->type == QAPI_JSON_STRING
            ? block_qmp_find_bitmap(node, source->u.local, error)
            : block_qmp_find_bitmap(source->u.external->node, source->u.external->name, error);

    return bitmap && block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_NOT_FOR_READING, error) ? bitmap
                                                                                           : NULL;
}

bool block_bitmap_action_merge(BlockTransaction *tx, const char *node, const char *target,
                               GPtrArray *bitmaps, GError **error)
{
    DirtyBitmap *to = block_qmp_find_bitmap(node, target, error);

    if (!to || !block_dirty_bitmap_check(to, BLOCK_BITMAP_NOT_FOR_CHANGES, error)) {
        return false;
    }
    for (guint i = 0; i < bitmaps->len; i++) {
        DirtyBitmap *from = find_source(node, g_ptr_array_index(bitmaps, i), error);
        HBitmap *bits;

        if (!from || !block_dirty_bitmap_merge(to, from, &bits, error)) {
            return false;
        }
        remember_bits(tx, to, bits);
    }
    return true;
}

bool qmp_block_dirty_bitmap_merge(const char *node, const char *target, GPtrArray *bitmaps,
                                  GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, block_bitmap_action_merge(tx, node, target, bitmaps, error));
}

/* ---- enable, disable ---- */

static void abort_enable(void *data)
{
    block_dirty_bitmap_change_flags(data, 0, BLOCK_BITMAP_ENABLED);
}

static void abort_disable(void *data)
{
    block_dirty_bitmap_change_flags(data, BLOCK_BITMAP_ENABLED, 0);
}

static const BlockStepOps enable_ops = { .abort = abort_enable };
static const BlockStepOps disable_ops = { .abort = abort_disable };

bool block_bitmap_action_enable(BlockTransaction *tx, const char *node, const char *name,
                                bool enable, GError **error)
{
    DirtyBitmap *bitmap = block_qmp_find_bitmap(node, name, error);
    bool enabled;

    if (!bitmap || !block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_NOT_FOR_CHANGES, error)) {
        return false;
    }
    enabled = block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_ENABLED;
    block_dirty_bitmap_change_flags(bitmap, enable ? BLOCK_BITMAP_ENABLED : 0,
                                    enable ? 0 : BLOCK_BITMAP_ENABLED);
    if (enabled != enable) {
        block_transaction_add(tx, enable ? &enable_ops : &disable_ops, bitmap);
    }
    return true;
}

bool qmp_block_dirty_bitmap_enable(const char *node, const char *name, GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, block_bitmap_action_enable(tx, node, name, true, error));
}

bool qmp_block_dirty_bitmap_disable(const char *node, const char *name, GError **error)
{
    BlockTransaction *tx = block_transaction_new();

    return block_transaction_end(tx, block_bitmap_action_enable(tx, node, name, false, error));
}
