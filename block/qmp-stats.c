/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: statistics of drives and nodes, latency histograms, write thresholds. Main thread. */
#include "block/backend-internal.h"
#include "block/node-internal.h"
#include "qapi-commands-block-core.h"
#include "qapi-commands-block-stats.h"
#include "qapi-commands-block.h"
#include "util/error.h"

/* ---- query-blockstats ---- */

/* The child in which this node's data is. */
static BlockNode *storage_below(BlockNode *node)
{
    BlockChild *primary = block_primary_child(node), *filtered = block_filter_child(node);

    if (primary && (primary->role & (BLOCK_ROLE_DATA | BLOCK_ROLE_FILTERED))) {
        return primary->node;
    }
    return filtered ? filtered->node : NULL;
}

/* Filters of the program's own are not shown with drives. */
static BlockNode *skip_implicit(BlockNode *node)
{
    while (node && node->p->implicit && block_filter_child(node)) {
        node = block_filter_child(node)->node;
    }
    return node;
}

static BlockDeviceStats *empty_stats(void)
{
    BlockDeviceStats *stats = g_new0(BlockDeviceStats, 1);

    stats->timed_stats = BlockDeviceTimedStats_list_new();
    return stats;
}

static BlockStats *node_stats(BlockNode *node, bool of_drive)
{
    BlockStats *s = g_new0(BlockStats, 1);
    BlockNode *below;

    s->stats = empty_stats();
    if (of_drive) {
        node = skip_implicit(node);
    }
    if (!node) {
        return s;
    }
    s->node_name = g_strdup(node->name);
    s->stats->wr_highest_offset = node->p->highest_write;
    if (node->driver->get_specific_stats) {
        s->driver_specific = node->driver->get_specific_stats(node);
    }
    below = storage_below(node);
    if (below) {
        s->parent = node_stats(below, of_drive);
    }
    if (of_drive && node->backing) {
        s->backing = node_stats(node->backing->node, of_drive);
    }
    return s;
}

static BlockStats *drive_stats(BlockBackend *blk)
{
    BlockStats *s = node_stats(block_backend_node(blk), true);

    s->device = g_strdup(blk->name ? blk->name : "");
    s->qdev = g_strdup(blk->owner_name);
    block_accounting_report(blk->accounting, s->stats);
    return s;
}

GPtrArray *qmp_query_blockstats(bool has_query_nodes, bool query_nodes, GError **error)
{
    GPtrArray *result = BlockStats_list_new();
    bool nodes = has_query_nodes && query_nodes;
    g_autoptr(GPtrArray) list = nodes ? block_node_list() : block_backend_list();

    for (guint i = 0; i < list->len; i++) {
        BlockBackend *blk = g_ptr_array_index(list, i);

        if (nodes) {
            g_ptr_array_add(result, node_stats(g_ptr_array_index(list, i), false));
        } else if (blk->name || blk->owner_name) {
            g_ptr_array_add(result, drive_stats(blk));
        }
    }
    return result;
}

/* ---- Histograms ---- */

static BlockBackend *find_drive(const char *id, GError **error)
{
    g_autoptr(GPtrArray) list = block_backend_list();

    for (guint i = 0; i < list->len; i++) {
        BlockBackend *blk = g_ptr_array_index(list, i);

        if (!g_strcmp0(blk->owner_name, id) || !g_strcmp0(blk->name, id)) {
            return blk;
        }
    }
    error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
    return NULL;
}

bool qmp_block_latency_histogram_set(const char *id, GArray *boundaries, GArray *boundaries_read,
                                     GArray *boundaries_write, GArray *boundaries_flush,
                                     GError **error)
{
    const struct {
        BlockAcctKind kind;
        const GArray *own;
        const char *name;
    } kinds[] = {
        { BLOCK_ACCT_READ, boundaries_read, "boundaries-read" },
        { BLOCK_ACCT_WRITE, boundaries_write, "boundaries-write" },
        { BLOCK_ACCT_FLUSH, boundaries_flush, "boundaries-flush" },
    };
    BlockBackend *blk = find_drive(id, error);
    bool none = !boundaries && !boundaries_read && !boundaries_write && !boundaries_flush;

    if (!blk) {
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const GArray *chosen = kinds[i].own ? kinds[i].own : boundaries;

        /* A kind that is not named goes on as it is; nothing named at all stops everything. */
        if ((chosen || none) &&
            !block_accounting_set_histogram(blk->accounting, kinds[i].kind, chosen)) {
            error_setf(error, "Parameter '%s' must be ascending numbers above 0",
                       kinds[i].own ? kinds[i].name : "boundaries");
            return false;
        }
    }
    return true;
}

/* ---- Write thresholds ---- */

bool qmp_block_set_write_threshold(const char *node_name, uint64_t write_threshold, GError **error)
{
    BlockNode *node = block_node_find(node_name);

    if (!node) {
        error_setf(error, "Device '%s' not found", node_name);
        return false;
    }
    __atomic_store_n(&node->p->write_threshold, write_threshold, __ATOMIC_RELAXED);
    return true;
}
