/* SPDX-License-Identifier: Apache-2.0 */
/* The persistent dirty bitmaps of a source, copied into the target. */
#include "block/dirty-bitmap.h"
#include "qapi-commands-block-snapshot.h"
#include "tools/img/convert.h"
#include "util/error.h"

static BlockNode *source_node(const Convert *c)
{
    return block_backend_node(c->sources[0].blk);
}

static bool is_broken(const DirtyBitmap *bitmap)
{
    return block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_INCONSISTENT;
}

/* The next that is to be copied; broken ones are left out, which was checked before. */
static DirtyBitmap *next_bitmap(const Convert *c, DirtyBitmap *prev)
{
    do {
        prev = block_dirty_bitmap_next(source_node(c), prev);
    } while (prev && (!(block_dirty_bitmap_flags(prev) & BLOCK_BITMAP_PERSISTENT) ||
                      is_broken(prev)));
    return prev;
}

static bool check_broken(const ConvertArgs *args, BlockNode *node, GError **error)
{
    for (DirtyBitmap *b = NULL; (b = block_dirty_bitmap_next(node, b));) {
        if (!is_broken(b)) {
            continue;
        }
        if (!args->skip_broken_bitmaps) {
            error_setf(error, "Cannot copy inconsistent bitmap '%s': --skip-broken-bitmaps leaves "
                       "it out, 'vireo-img bitmap --remove' deletes it",
                       block_dirty_bitmap_name(b));
            return false;
        }
        warn_report("Skipping inconsistent bitmap '%s'", block_dirty_bitmap_name(b));
    }
    return true;
}

bool convert_bitmaps_check_source(const ConvertArgs *args, const Convert *c, GError **error)
{
    BlockNode *node = source_node(c);
    const BlockDriver *driver = args->output_format ? block_driver_find(args->output_format, error)
                                                    : node->driver;

    if (!driver) {
        return false;
    }
    if (!node->driver->bitmap_can_store) {
        error_setf(error, "The source's format '%s' has no dirty bitmaps that could be copied",
                   node->driver->name);
        return false;
    }
    if (!driver->bitmap_can_store) {
        error_setf(error, "The format '%s' cannot keep dirty bitmaps", driver->name);
        return false;
    }
    return check_broken(args, node, error);
}

/* One that an interrupted run of ours has left there does not count. */
static bool drop_old(const Convert *c, BlockNode *target, const char *name, GError **error)
{
    return !c->journal || !block_dirty_bitmap_find(target, name) ||
           qmp_block_dirty_bitmap_remove(target->name, name, error);
}

bool convert_bitmaps_check_target(const ConvertArgs *args, const Convert *c, GError **error)
{
    BlockNode *target = block_backend_node(c->target);

    if (!target->driver->bitmap_can_store) {
        error_setf(error, "The format '%s' cannot keep dirty bitmaps", target->driver->name);
        return false;
    }
    for (DirtyBitmap *b = NULL; (b = next_bitmap(c, b));) {
        const char *name = block_dirty_bitmap_name(b);

        if (!drop_old(c, target, name, error) ||
            !target->driver->bitmap_can_store(target, name, block_dirty_bitmap_granularity(b),
                                              error)) {
            return false;
        }
    }
    return true;
}

static bool copy_one(const DirtyBitmap *bitmap, const char *from, const char *to, GError **error)
{
    const char *name = block_dirty_bitmap_name(bitmap);
    bool enabled = block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_ENABLED;
    BlockDirtyBitmap external = { .node = (char *)from, .name = (char *)name };
    BlockDirtyBitmapOrStr source = { .type = QAPI_JSON_OBJECT, .u.external = &external };
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    g_ptr_array_add(list, &source);
    return qmp_block_dirty_bitmap_add(to, name, true, block_dirty_bitmap_granularity(bitmap), true,
                                      true, true, !enabled, error) &&
           qmp_block_dirty_bitmap_merge(to, name, list, error);
}

bool convert_bitmaps_copy(const ConvertArgs *args, const Convert *c, GError **error)
{
    const char *from = source_node(c)->name, *to = block_backend_node(c->target)->name;

    for (DirtyBitmap *b = NULL; (b = next_bitmap(c, b));) {
        if (!copy_one(b, from, to, error)) {
            g_prefix_error(error, "Failed to copy bitmap '%s': ", block_dirty_bitmap_name(b));
            return false;
        }
    }
    return img_settle(c->target, error);
}
