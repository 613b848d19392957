/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP: making, changing and deleting nodes. Main thread. What waits for disks does so by
 * block_run(), which turns the loop: the monitor runs no second command meanwhile.
 */
#include <errno.h>

#include "block/backend-internal.h"
#include "block/create.h"
#include "block/job-chain.h"
#include "block/node-internal.h"
#include "block/open.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-core.h"
#include "util/error.h"

BlockNode *block_qmp_find_node(const char *device, const char *node_name, GError **error)
{
    BlockBackend *blk = device ? block_backend_find(device) : NULL;
    BlockNode *node = NULL;

    if (blk) {
        node = block_backend_node(blk);
        if (!node) {
            error_setf(error, "Device '%s' has no medium", device);
        }
        return node;
    }
    node = node_name ? block_node_find(node_name) : NULL;
    if (!node) {
        error_setf(error, "Cannot find device='%s' nor node-name='%s'", device ? device : "",
                   node_name ? node_name : "");
    }
    return node;
}

BlockNode *block_qmp_find_root(const char *name, GError **error)
{
    BlockNode *node = block_qmp_find(name, error);

    for (guint i = 0; node && i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);

        if (edge->parent_node) {
            error_setf(error, "Need a root block node: '%s' stands on '%s'",
                       edge->parent_node->name, node->name);
            return NULL;
        }
    }
    return node;
}

const char *block_qmp_job_id(BlockNode *node)
{
    g_autoptr(GPtrArray) backends = block_backend_list();

    for (guint i = 0; i < backends->len; i++) {
        BlockBackend *blk = g_ptr_array_index(backends, i);

        if (block_backend_node(blk) == node && block_backend_name(blk)) {
            return block_backend_name(blk);
        }
    }
    return "";
}

bool qmp_blockdev_add(const BlockdevOptions *arg, GError **error)
{
    return block_open_blockdev(arg, error) != NULL;
}

bool qmp_blockdev_del(const char *node_name, GError **error)
{
    BlockNode *node = block_node_find(node_name);

    return (!node || (job_node_is_free(node, error) && job_chain_is_top(node, error))) &&
           block_monitor_del(node_name, error);
}

bool qmp_blockdev_reopen(GPtrArray *options, GError **error)
{
    return block_reopen(options, error);
}

/* ---- block_resize ---- */

typedef struct Resize {
    BlockBackend *blk;
    BlockTruncate truncate;
    GError **error;
    int result;
} Resize;

static void run_resize(void *opaque)
{
    Resize *resize = opaque;

    resize->result = block_backend_truncate(resize->blk, &resize->truncate, resize->error);
}

bool qmp_block_resize(const char *device, const char *node_name, int64_t size, GError **error)
{
    BlockNode *node;
    g_autoptr(BlockBackend) blk = NULL;
    Resize resize = { .truncate = { .size = size }, .error = error };

    node = block_qmp_find_node(device, node_name, error);
    if (!node) {
        return false;
    }
    if (!job_node_is_free(node, error)) {
        return false;
    }
    if (size < 0 || size > BLOCK_MAX_LENGTH) {
        error_setf(error, "Parameter 'size' expects a size from 0 to %" G_GINT64_FORMAT,
                   BLOCK_MAX_LENGTH);
        return false;
    }
    blk = resize.blk = block_backend_new(node->loop, BLOCK_PERM_RESIZE, BLOCK_PERM_ALL);
    if (!block_backend_insert(blk, node, error)) {
        return false;
    }
    block_run(node, run_resize, &resize);
    return resize.result >= 0;
}
