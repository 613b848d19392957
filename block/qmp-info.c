/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: query-block, query-named-block-nodes, x-debug-query-block-graph. Main thread. */
#include "block/backend-internal.h"
#include "block/dirty-bitmap.h"
#include "block/info.h"
#include "block/node-internal.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-core.h"

typedef struct InfoRun {
    BlockNode *node;
    bool flat;
    ImageInfo *info;
    GError **error;
} InfoRun;

static void run_info(void *opaque)
{
    InfoRun *run = opaque;

    run->info = run->flat ? block_image_info(run->node, run->error)
                          : block_image_info_chain(run->node, run->error);
}

/* Depths are told where the images are. */
static void describe_backing(BlockDeviceInfo *info, BlockNode *node)
{
    if (node->backing) {
        info->backing_file = g_strdup(node->backing->node->filename);
    }
    for (const ImageInfo *image = info->image->backing_image; image; image = image->backing_image) {
        info->backing_file_depth++;
    }
}

/* blk NULL: the node as such. */
static BlockDeviceInfo *device_info(BlockBackend *blk, BlockNode *node, bool flat, GError **error)
{
    InfoRun run = { .node = node, .flat = flat, .error = error };
    BlockDeviceInfo *info;

    block_run(node, run_info, &run);
    if (!run.info) {
        return NULL;
    }
    info = g_new0(BlockDeviceInfo, 1);
    info->image = run.info;
    info->file = g_strdup(node->filename);
    info->node_name = g_strdup(node->name);
    info->ro = node->mode.read_only;
    info->drv = g_strdup(node->driver->name);
    info->encrypted = run.info->has_encrypted && run.info->encrypted;
    info->detect_zeroes = node->mode.detect_zeroes;
    info->cache = g_new0(BlockdevCacheInfo, 1);
    info->cache->writeback = !blk || block_backend_write_cache(blk);
    info->cache->direct = node->mode.cache_direct;
    info->cache->no_flush = node->mode.cache_no_flush;
    info->write_threshold =
        (int64_t)__atomic_load_n(&node->p->write_threshold, __ATOMIC_RELAXED);
    info->dirty_bitmaps = block_dirty_bitmap_info(node);
    describe_backing(info, node);
    if (blk) {
        block_qmp_show_limits(blk, info);
    }
    return info;
}

/* ---- query-named-block-nodes ---- */

GPtrArray *qmp_query_named_block_nodes(bool has_flat, bool flat, GError **error)
{
    g_autoptr(GPtrArray) nodes = block_node_list();
    GPtrArray *result = BlockDeviceInfo_list_new();

    /* The latest first, as managers know it. */
    for (guint i = nodes->len; i > 0; i--) {
        BlockDeviceInfo *info = device_info(NULL, g_ptr_array_index(nodes, i - 1),
                                            has_flat && flat, error);

        if (!info) {
            g_ptr_array_unref(result);
            return NULL;
        }
        g_ptr_array_add(result, info);
    }
    return result;
}

/* ---- query-block ---- */

/* Filters of jobs are not what a person put into the drive. */
static BlockNode *shown_node(BlockBackend *blk)
{
    BlockNode *node = block_backend_node(blk);

    while (node && node->p->implicit && block_filter_child(node)) {
        node = block_filter_child(node)->node;
    }
    return node;
}

static BlockInfo *drive_info(BlockBackend *blk, GError **error)
{
    g_autoptr(BlockInfo) info = g_new0(BlockInfo, 1);
    BlockNode *node = shown_node(blk);

    info->device = g_strdup(blk->name ? blk->name : "");
    info->type = g_strdup("unknown");
    info->qdev = g_strdup(blk->owner_name);
    info->removable = block_backend_is_removable(blk);
    info->locked = block_backend_is_locked(blk);
    info->has_tray_open = block_backend_has_tray(blk);
    info->tray_open = block_backend_tray_is_open(blk);
    info->has_io_status = block_backend_io_status(blk, &info->io_status);
    if (node) {
        info->inserted = device_info(blk, node, false, error);
        if (!info->inserted) {
            return NULL;
        }
    }
    return g_steal_pointer(&info);
}

GPtrArray *qmp_query_block(GError **error)
{
    g_autoptr(GPtrArray) backends = block_backend_list();
    GPtrArray *result = BlockInfo_list_new();

    for (guint i = 0; i < backends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(backends, i);
        BlockInfo *info;

        if (!blk->name && !blk->owner_name) {
            continue;
        }
        info = drive_info(blk, error);
        if (!info) {
            g_ptr_array_unref(result);
            return NULL;
        }
        g_ptr_array_add(result, info);
    }
    return result;
}

/* ---- x-debug-query-block-graph ---- */

/* Numbers of what is in the answer, by address. */
static uint64_t place_number(XDbgBlockGraph *graph, GHashTable *numbers, const void *place,
                             XDbgBlockGraphNodeType type, char *name)
{
    void *known = g_hash_table_lookup(numbers, place);
    XDbgBlockGraphNode *node;

    if (known) {
        g_free(name);
        return GPOINTER_TO_UINT(known);
    }
    node = g_new0(XDbgBlockGraphNode, 1);
    node->id = g_hash_table_size(numbers) + 1;
    node->type = type;
    node->name = name;
    g_ptr_array_add(graph->nodes, node);
    g_hash_table_insert(numbers, (void *)place, GUINT_TO_POINTER((guint)node->id));
    return node->id;
}

static GArray *permissions(unsigned perm)
{
    static const struct {
        unsigned bit;
        BlockPermission permission;
    } table[] = {
        { BLOCK_PERM_CONSISTENT_READ, BLOCK_PERMISSION_CONSISTENT_READ },
        { BLOCK_PERM_WRITE, BLOCK_PERMISSION_WRITE },
        { BLOCK_PERM_WRITE_UNCHANGED, BLOCK_PERMISSION_WRITE_UNCHANGED },
        { BLOCK_PERM_RESIZE, BLOCK_PERMISSION_RESIZE },
    };
    GArray *list = g_array_new(FALSE, FALSE, sizeof(BlockPermission));

    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        if (perm & table[i].bit) {
            g_array_append_val(list, table[i].permission);
        }
    }
    return list;
}

static void add_edge(XDbgBlockGraph *graph, GHashTable *numbers, const BlockChild *child)
{
    XDbgBlockGraphEdge *edge = g_new0(XDbgBlockGraphEdge, 1);
    BlockNode *parent = child->parent_node;

    edge->parent =
        parent ? place_number(graph, numbers, parent, X_DBG_BLOCK_GRAPH_NODE_TYPE_BLOCK_DRIVER,
                              g_strdup(parent->name))
               : place_number(graph, numbers, child->parent,
                              X_DBG_BLOCK_GRAPH_NODE_TYPE_BLOCK_BACKEND,
                              child->ops->describe(child->parent));
    edge->child = place_number(graph, numbers, child->node,
                               X_DBG_BLOCK_GRAPH_NODE_TYPE_BLOCK_DRIVER,
                               g_strdup(child->node->name));
    edge->name = g_strdup(child->name);
    edge->perm = permissions(child->perm);
    edge->shared_perm = permissions(child->shared);
    g_ptr_array_add(graph->edges, edge);
}

XDbgBlockGraph *qmp_x_debug_query_block_graph(GError **error)
{
    XDbgBlockGraph *graph = g_new0(XDbgBlockGraph, 1);
    g_autoptr(GHashTable) numbers = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) nodes = block_node_list();

    graph->nodes = XDbgBlockGraphNode_list_new();
    graph->edges = XDbgBlockGraphEdge_list_new();
    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(nodes, i);

        place_number(graph, numbers, node, X_DBG_BLOCK_GRAPH_NODE_TYPE_BLOCK_DRIVER,
                     g_strdup(node->name));
        for (guint p = 0; p < node->parents->len; p++) {
            add_edge(graph, numbers, g_ptr_array_index(node->parents, p));
        }
    }
    return graph;
}
