/* SPDX-License-Identifier: Apache-2.0 */
#include "block/export.h"

#include "backends/iothread.h"
#include "block/node-internal.h"
#include "qapi-commands-block-export.h"
#include "qapi-events-block-export.h"
#include "util/error.h"
#include "util/module.h"

static GPtrArray *exports; /* a process has one set of exports; main thread */

static const BlockExportKind *kinds[BLOCK_EXPORT_TYPE__MAX] = {
    [BLOCK_EXPORT_TYPE_NBD] = &nbd_export_kind,
    [BLOCK_EXPORT_TYPE_VHOST_USER_BLK] = &vhost_user_blk_export_kind,
}; /* and those that modules brought */

void block_export_kind_register(const BlockExportKind *kind)
{
    kinds[kind->type] = kind;
}

/* ---- The registry ---- */

GPtrArray *block_export_list(void)
{
    GPtrArray *list = g_ptr_array_new();

    for (guint i = 0; exports && i < exports->len; i++) {
        g_ptr_array_add(list, g_ptr_array_index(exports, i));
    }
    return list;
}

BlockExport *block_export_find(const char *id)
{
    for (guint i = 0; exports && i < exports->len; i++) {
        BlockExport *export = g_ptr_array_index(exports, i);

        if (!strcmp(export->id, id)) {
            return export;
        }
    }
    return NULL;
}

BlockExport *block_export_ref(BlockExport *export)
{
    __atomic_fetch_add(&export->refs, 1, __ATOMIC_RELAXED);
    return export;
}

static void free_export(BlockExport *export)
{
    block_backend_unref(export->blk);
    object_unref((Object *)export->iothread);
    g_free(export->id);
    g_free(export);
}

static void last_left(void *opaque)
{
    BlockExport *export = opaque;

    export->kind->cleanup(export);
    g_ptr_array_remove(exports, export);
    qapi_event_send_block_export_deleted(export->id);
    free_export(export);
}

void block_export_unref(BlockExport *export)
{
    if (__atomic_fetch_sub(&export->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        loop_post(loop_main(), last_left, export);
    }
}

/* ---- Life ---- */

/* Some kinds need a heavy library, and come with a module. */
static const BlockExportKind *find_kind(BlockExportType type, GError **error)
{
    if (!kinds[type] && type == BLOCK_EXPORT_TYPE_FUSE && !module_load("block-fuse", error)) {
        g_prefix_error(error, "Exports of type 'fuse' are not available: ");
        return NULL;
    }
    if (!kinds[type]) {
        error_setf(error, "Exports of type '%s' are not supported", BlockExportType_str(type));
    }
    return kinds[type];
}

static bool check_options(const BlockExportOptions *options, GError **error)
{
    /* As nodes are called; one may have the same name. */
    if (!g_ascii_isalpha(options->id[0]) ||
        options->id[strspn(options->id, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "-._")]) {
        error_setf(error, "Invalid block export id '%s'", options->id);
    } else if (block_export_find(options->id)) {
        error_setf(error, "Block export id '%s' is already in use", options->id);
    } else {
        return find_kind(options->type, error) != NULL;
    }
    return false;
}

static BlockNode *node_to_export(const BlockExportOptions *options, GError **error)
{
    BlockNode *node = block_node_find(options->node_name);
    BlockBackend *blk = node ? NULL : block_backend_find(options->node_name);

    node = blk ? block_backend_node(blk) : node;
    if (!node) {
        error_setf(error, "Cannot find device='' nor node-name='%s'", options->node_name);
        return NULL;
    }
    if (options->has_writable && options->writable && block_node_is_read_only(node)) {
        error_setf(error, "Cannot export read-only node '%s' as writable", node->name);
        return NULL;
    }
    return node;
}

/* To the iothread if one is named; a node that cannot go there fails only if it must. */
static bool choose_loop(BlockExport *export, const BlockExportOptions *options, BlockNode *node,
                        GError **error)
{
    bool must = options->has_fixed_iothread && options->fixed_iothread;
    Loop *loop;

    if (!options->iothread) {
        return true;
    }
    export->iothread = iothread_find(options->iothread, error);
    if (!export->iothread) {
        return false;
    }
    loop = iothread_loop(export->iothread);
    return block_node_set_loop(node, loop, must ? error : NULL) || !must;
}

static bool start(BlockExport *export, const BlockExportOptions *options, BlockNode *node,
                  GError **error)
{
    unsigned perm = BLOCK_PERM_CONSISTENT_READ | (export->writable ? BLOCK_PERM_WRITE : 0);

    if (!choose_loop(export, options, node, error)) {
        return false;
    }
    export->blk = block_backend_new(node->loop, perm, BLOCK_PERM_ALL);
    block_backend_set_write_cache(export->blk,
                                  !(options->has_writethrough && options->writethrough));
    if (!block_backend_insert(export->blk, node, error) ||
        !export->kind->start(export, options, error)) {
        return false;
    }
    block_backend_set_fixed_loop(export->blk,
                                 options->has_fixed_iothread && options->fixed_iothread);
    return true;
}

BlockExport *block_export_add(const BlockExportOptions *options, GError **error)
{
    BlockNode *node = check_options(options, error) ? node_to_export(options, error) : NULL;
    BlockExport *export;

    if (!node) {
        return NULL;
    }
    export = g_malloc0(kinds[options->type]->instance_size);
    export->kind = kinds[options->type];
    export->id = g_strdup(options->id);
    export->refs = 1;
    export->writable = options->has_writable && options->writable;
    if (!start(export, options, node, error)) {
        free_export(export);
        return NULL;
    }
    if (!exports) {
        exports = g_ptr_array_new();
    }
    g_ptr_array_add(exports, export);
    return export;
}

void block_export_shut_down(BlockExport *export)
{
    if (!export->shutting_down) {
        export->shutting_down = true;
        export->kind->stop(export);
        block_export_unref(export);
    }
}

static bool any_of(BlockExportType type)
{
    for (guint i = 0; exports && i < exports->len; i++) {
        if (((BlockExport *)g_ptr_array_index(exports, i))->kind->type == type) {
            return true;
        }
    }
    return false;
}

void block_export_shut_down_all(BlockExportType type)
{
    g_autoptr(GPtrArray) list = block_export_list();

    for (guint i = 0; i < list->len; i++) {
        BlockExport *export = g_ptr_array_index(list, i);

        if (export->kind->type == type) {
            block_export_shut_down(export);
        }
    }
    while (any_of(type)) {
        loop_iterate(loop_main(), true);
    }
}

/* ---- QMP ---- */

bool qmp_block_export_add(const BlockExportOptions *arg, GError **error)
{
    return block_export_add(arg, error) != NULL;
}

bool qmp_block_export_del(const char *id, bool has_mode, BlockExportRemoveMode mode,
                          GError **error)
{
    BlockExport *export = block_export_find(id);

    if (!export) {
        error_setf(error, "Export '%s' is not found", id);
        return false;
    }
    if (export->shutting_down) {
        error_setf(error, "Export '%s' is already shutting down", id);
        return false;
    }
    if (!(has_mode && mode == BLOCK_EXPORT_REMOVE_MODE_HARD) &&
        __atomic_load_n(&export->refs, __ATOMIC_RELAXED) > 1) {
        error_setf(error, "export '%s' still in use; use mode='hard' to force client disconnect",
                   id);
        return false;
    }
    block_export_shut_down(export);
    return true;
}

GPtrArray *qmp_query_block_exports(GError **error)
{
    GPtrArray *list = BlockExportInfo_list_new();

    for (guint i = 0; exports && i < exports->len; i++) {
        BlockExport *export = g_ptr_array_index(exports, i);
        BlockNode *node = block_backend_node(export->blk);
        BlockExportInfo *info = g_new0(BlockExportInfo, 1);

        info->id = g_strdup(export->id);
        info->type = export->kind->type;
        info->node_name = g_strdup(node ? node->name : "");
        info->shutting_down = export->shutting_down;
        g_ptr_array_add(list, info);
    }
    return list;
}
