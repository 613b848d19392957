/* SPDX-License-Identifier: Apache-2.0 */
#include "block/job-filter.h"

#include "block/io.h"
#include "block/node-internal.h"
#include "block/open-internal.h"

/* What it stands on has made the choices already: everything is passed on. */
static BlockMode passing_mode(const BlockDriver *driver, const BlockNode *node)
{
    BlockMode mode = node->mode;

    mode.read_only = mode.read_only || !driver->pwritev;
    mode.auto_read_only = false;
    mode.discard_unmap = true;
    mode.detect_zeroes = BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;
    return mode;
}

bool job_filter_take_over(BlockNode *filter, BlockNode *node, GError **error)
{
    return block_node_replace(node, filter, error);
}

BlockNode *job_filter_insert(const BlockDriver *driver, const char *name, BlockNode *node,
                             GError **error)
{
    g_autoptr(BlockNode) filter = block_node_new(driver, name, error);

    if (!filter) {
        return NULL;
    }
    filter->loop = node->loop;
    filter->mode = passing_mode(driver, node);
    filter->p->implicit = !name;
    if (!block_node_attach(filter, node, "backing", BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY,
                           error)) {
        return NULL;
    }
    block_filter_take_flags(filter);
    filter->p->opened = true;
    block_refresh_limits(filter);
    block_refresh_filename(filter);
    return job_filter_take_over(filter, node, error) ? g_steal_pointer(&filter) : NULL;
}

bool job_filter_remove(BlockNode *filter, GError **error)
{
    return block_node_replace(filter, block_filter_child(filter)->node, error);
}

bool job_filter_refresh_filename(BlockNode *filter)
{
    g_free(filter->filename);
    filter->filename = g_strdup(filter->file->node->filename);
    return true;
}
