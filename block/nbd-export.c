/* SPDX-License-Identifier: Apache-2.0 */
/* What an NBD export offers: its facts, and its metadata contexts. */
#include "block/nbd-export.h"

#include <errno.h>
#include <string.h>

#include "block/dirty-bitmap.h"
#include "block/nbd-server.h"
#include "block/qmp-internal.h"
#include "util/bits.h"
#include "util/error.h"

/* ---- Metadata contexts ---- */

static int allocation_status(const NbdContext *context, BlockNode *node, int64_t offset,
                             int64_t bytes, uint32_t *flags, int64_t *len)
{
    BlockStatus status;
    int ret = block_status_above(node, NULL, false, offset, bytes, &status);

    if (ret < 0) {
        return ret;
    }
    *len = status.bytes;
    *flags = (status.flags & BLOCK_STATUS_DATA ? 0 : NBD_STATE_HOLE) |
             (status.flags & BLOCK_STATUS_ZERO ? NBD_STATE_ZERO : 0);
    return 0;
}

/* 0: nowhere in the chain; 1: in the image itself, 2: in its backing file, and so on. */
static int depth_status(const NbdContext *context, BlockNode *node, int64_t offset, int64_t bytes,
                        uint32_t *flags, int64_t *len)
{
    uint32_t depth = 1;

    *flags = 0;
    *len = bytes;
    for (BlockNode *layer = block_skip_filters(node); layer;
         layer = block_backing_chain_next(layer), depth++) {
        int64_t here = *len;
        int ret = block_is_allocated(layer, offset, *len, &here);

        if (ret < 0) {
            return ret;
        }
        if (here > 0) { /* 0: beyond the end of a shorter backing file */
            *len = MIN(*len, here);
        }
        if (ret > 0) {
            *flags = depth;
            break;
        }
    }
    return 0;
}

static int bitmap_status(const NbdContext *context, BlockNode *node, int64_t offset,
                         int64_t bytes, uint32_t *flags, int64_t *len)
{
    int64_t end = offset + bytes, dirty, clean;

    dirty = block_dirty_bitmap_next_dirty(context->bitmap, offset, end);
    *flags = 0;
    *len = dirty < 0 ? bytes : dirty - offset;
    if (dirty == offset) {
        clean = block_dirty_bitmap_next_clean(context->bitmap, offset, end);
        *flags = NBD_STATE_DIRTY;
        *len = clean < 0 ? bytes : clean - offset;
    }
    return 0;
}

static void add_context(NbdExport *export, const char *name, NbdContextFn *status)
{
    NbdContext context = { .name = g_strdup(name), .status = status };

    g_array_append_val(export->contexts, context);
}

static void context_clear(void *opaque)
{
    NbdContext *context = opaque;

    if (context->bitmap) {
        block_dirty_bitmap_change_flags(context->bitmap, 0, BLOCK_BITMAP_BUSY);
        block_node_unref(context->node);
    }
    g_free(context->name);
}

/* By its name alone: of the node, or else of one that stands below it. */
static DirtyBitmap *find_bitmap(BlockNode *node, const BlockDirtyBitmapOrStr *which,
                                GError **error)
{
    const char *name = which->u.local;
    DirtyBitmap *bitmap = NULL;

    if (which->type == QAPI_JSON_STRING) {
        for (; node && !bitmap; node = block_filter_or_cow_node(node)) {
            bitmap = block_dirty_bitmap_find(node, name);
        }
    } else {
        name = which->u.external->name;
        return block_qmp_find_bitmap(which->u.external->node, which->u.external->name, error);
    }
    for (; node && !bitmap; node = block_filter_or_cow_node(node)) {
        bitmap = block_dirty_bitmap_find(node, which->u.local);
    }
    if (!bitmap) {
        error_setf(error, "Bitmap '%s' is not found", which->u.local);
    }
    return bitmap;
}

static bool check_bitmap(const NbdExport *export, const DirtyBitmap *bitmap, const char *context,
                         GError **error)
{
    const char *name = block_dirty_bitmap_name(bitmap);

    if (!block_dirty_bitmap_check(bitmap, BLOCK_BITMAP_NOT_FOR_READING, error)) {
        return false;
    }
    if (!export->base.writable &&
        !block_node_is_read_only(block_dirty_bitmap_node(bitmap)) &&
        (block_dirty_bitmap_flags(bitmap) & BLOCK_BITMAP_ENABLED)) {
        error_setf(error, "Enabled bitmap '%s' incompatible with readonly export", name);
        return false;
    }
    if (strlen(context) > NBD_MAX_STRING) {
        error_setf(error, "Bitmap name '%.40s...' is too long for NBD", name);
        return false;
    }
    if (export->contexts->len == NBD_MAX_CONTEXTS) {
        error_setf(error, "More than %d metadata contexts", NBD_MAX_CONTEXTS);
        return false;
    }
    return true;
}

static bool add_bitmap(NbdExport *export, const BlockDirtyBitmapOrStr *which, GError **error)
{
    DirtyBitmap *bitmap = find_bitmap(block_backend_node(export->base.blk), which, error);
    g_autofree char *context = NULL;
    NbdContext *added;

    if (!bitmap) {
        return false;
    }
    context = g_strconcat(NBD_CONTEXT_BITMAP, block_dirty_bitmap_name(bitmap), NULL);
    for (guint i = 0; i < export->contexts->len; i++) {
        if (strcmp(g_array_index(export->contexts, NbdContext, i).name, context) == 0) {
            error_setf(error, "Bitmap name '%s' is exported twice",
                       block_dirty_bitmap_name(bitmap));
            return false;
        }
    }
    if (!check_bitmap(export, bitmap, context, error)) {
        return false;
    }
    add_context(export, context, bitmap_status);
    added = &g_array_index(export->contexts, NbdContext, export->contexts->len - 1);
    added->bitmap = bitmap;
    added->node = block_node_ref(block_dirty_bitmap_node(bitmap));
    block_dirty_bitmap_change_flags(bitmap, BLOCK_BITMAP_BUSY, 0);
    return true;
}

/* ---- The kind ---- */

static const char *name_of(const BlockExportOptions *options)
{
    const BlockExportOptionsNbd *nbd = &options->u.nbd;

    return nbd->name ? nbd->name : options->node_name;
}

static bool check(const BlockExportOptions *options, GError **error)
{
    const BlockExportOptionsNbd *nbd = &options->u.nbd;
    const char *name = name_of(options);

    if (!nbd_server_is_running()) {
        error_setf(error, "NBD server not running");
    } else if (strlen(name) > NBD_MAX_STRING) {
        error_setf(error, "export name '%.40s...' too long", name);
    } else if (nbd->description && strlen(nbd->description) > NBD_MAX_STRING) {
        error_setf(error, "description '%.40s...' too long", nbd->description);
    } else if (nbd_export_find(name)) {
        error_setf(error, "NBD server already has export named '%s'", name);
    } else {
        return true;
    }
    return false;
}

typedef struct LengthRun {
    BlockBackend *blk;
    int64_t length;
} LengthRun;

static void length_run(void *opaque)
{
    LengthRun *run = opaque;

    run->length = block_backend_getlength(run->blk);
}

static void nbd_export_cleanup(BlockExport *base)
{
    NbdExport *export = (NbdExport *)base;

    g_assert(export->clients->len == 0);
    g_ptr_array_unref(export->clients);
    g_array_unref(export->contexts);
    g_free(export->name);
    g_free(export->description);
}

static bool nbd_export_start(BlockExport *base, const BlockExportOptions *options, GError **error)
{
    NbdExport *export = (NbdExport *)base;
    const BlockExportOptionsNbd *nbd = &options->u.nbd;
    LengthRun run = { base->blk };

    if (!check(options, error)) {
        return false;
    }
    block_run(block_backend_node(base->blk), length_run, &run);
    if (run.length < 0) {
        error_set_errno(error, (int)-run.length, "Failed to determine the NBD export's length");
        return false;
    }
    export->size = run.length;
    export->name = g_strdup(name_of(options));
    export->description = g_strdup(nbd->description);
    export->clients = g_ptr_array_new();
    export->contexts = g_array_new(false, false, sizeof(NbdContext));
    g_array_set_clear_func(export->contexts, context_clear);
    add_context(export, NBD_CONTEXT_ALLOCATION, allocation_status);
    if (nbd->has_allocation_depth && nbd->allocation_depth) {
        add_context(export, NBD_CONTEXT_DEPTH, depth_status);
    }
    for (guint i = 0; nbd->bitmaps && i < nbd->bitmaps->len; i++) {
        if (!add_bitmap(export, g_ptr_array_index(nbd->bitmaps, i), error)) {
            nbd_export_cleanup(base);
            return false;
        }
    }
    return true;
}

static void nbd_export_stop(BlockExport *base)
{
    NbdExport *export = (NbdExport *)base;

    for (guint i = 0; i < export->clients->len; i++) {
        nbd_client_send_away(g_ptr_array_index(export->clients, i));
    }
}

const BlockExportKind nbd_export_kind = {
    .type = BLOCK_EXPORT_TYPE_NBD,
    .instance_size = sizeof(NbdExport),
    .start = nbd_export_start,
    .stop = nbd_export_stop,
    .cleanup = nbd_export_cleanup,
};

/* ---- Questions of the handshake ---- */

static NbdExport *next_export(GPtrArray *list, guint *i)
{
    while (*i < list->len) {
        BlockExport *export = g_ptr_array_index(list, (*i)++);

        if (export->kind == &nbd_export_kind && !export->shutting_down) {
            return (NbdExport *)export;
        }
    }
    return NULL;
}

NbdExport *nbd_export_find(const char *name)
{
    g_autoptr(GPtrArray) list = block_export_list();
    NbdExport *export;
    guint i = 0;

    while ((export = next_export(list, &i)) && strcmp(export->name, name) != 0) {
    }
    return export;
}

/*
 * All clients share one backend, whose flushes cover everybody's writes: several connections are
 * safe, also for writing.
 */
static uint16_t flags_of(const NbdExport *export)
{
    unsigned flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
                     NBD_FLAG_SEND_CACHE;

    if (nbd_server_max_connections() != 1) {
        flags |= NBD_FLAG_CAN_MULTI_CONN;
    }
    flags |= export->base.writable ? NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |
                                         NBD_FLAG_SEND_FAST_ZERO
                                   : NBD_FLAG_READ_ONLY;
    return (uint16_t)flags;
}

static void *op_find(void *opaque, const char *name, NbdExportInfo *info)
{
    NbdExport *export = nbd_export_find(name);
    uint32_t align;

    if (!export) {
        return NULL;
    }
    align = block_backend_node(export->base.blk)->limits.request_alignment;
    *info = (NbdExportInfo) {
        .size = (uint64_t)export->size, .flags = flags_of(export),
        .min_block = IS_ALIGNED((uint64_t)export->size, align) ? align : 1,
        .opt_block = MAX(align, 4 * KiB), .max_block = NBD_MAX_REQUEST,
        .name = g_strdup(export->name), .description = g_strdup(export->description),
    };
    return block_export_ref(&export->base);
}

static void op_unref(void *export)
{
    block_export_unref(export);
}

static char *op_name(void *opaque, unsigned i)
{
    g_autoptr(GPtrArray) list = block_export_list();
    NbdExport *export;
    guint at = 0;

    while ((export = next_export(list, &at)) && i--) {
    }
    return export ? g_strdup(export->name) : NULL;
}

static char *op_context(void *opaque, unsigned i)
{
    const NbdExport *export = opaque;

    return i < export->contexts->len
               ? g_strdup(g_array_index(export->contexts, NbdContext, i).name) : NULL;
}

const NbdServerOps nbd_export_server_ops = {
    .find = op_find,
    .unref = op_unref,
    .name = op_name,
    .context = op_context,
};
