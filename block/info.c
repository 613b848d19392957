/* SPDX-License-Identifier: Apache-2.0 */
#include "block/info.h"

#include <errno.h>
#include <string.h>

#include "block/io.h"
#include "block/open.h"
#include "util/error.h"

SnapshotInfo *block_snapshot_info(const BlockSnapshot *snapshot)
{
    SnapshotInfo *info = g_new0(SnapshotInfo, 1);

    info->id = g_strdup(snapshot->id);
    info->name = g_strdup(snapshot->name);
    info->vm_state_size = snapshot->vm_state_size;
    info->date_sec = snapshot->date_s;
    info->date_nsec = snapshot->date_ns;
    info->vm_clock_sec = snapshot->vm_clock_ns / 1000000000;
    info->vm_clock_nsec = snapshot->vm_clock_ns % 1000000000;
    info->has_icount = snapshot->icount >= 0;
    info->icount = snapshot->icount;
    return info;
}

GPtrArray *block_snapshot_info_list(BlockNode *node, GError **error)
{
    g_autoptr(GPtrArray) snapshots = NULL;
    GPtrArray *list;

    if (!node->driver->snapshot_list) {
        return NULL;
    }
    snapshots = node->driver->snapshot_list(node, error);
    if (!snapshots) {
        return NULL;
    }
    list = SnapshotInfo_list_new();
    for (guint i = 0; i < snapshots->len; i++) {
        g_ptr_array_add(list, block_snapshot_info(g_ptr_array_index(snapshots, i)));
    }
    return list;
}

static bool add_sizes(ImageInfo *info, BlockNode *node, GError **error)
{
    int64_t size = block_getlength(node);
    int64_t allocated = block_allocated_size(node);
    BlockNodeInfo details = { 0 };

    if (size < 0) {
        error_set_errno(error, -size, "Can't get image size '%s'", node->filename);
        return false;
    }
    info->virtual_size = size;
    info->has_actual_size = allocated >= 0;
    info->actual_size = allocated;
    if (block_get_info(node, &details) >= 0) {
        info->has_cluster_size = details.cluster_size > 0;
        info->cluster_size = details.cluster_size;
        info->has_encrypted = info->encrypted = details.is_encrypted;
        info->has_dirty_flag = true;
        info->dirty_flag = details.is_dirty;
    }
    return true;
}

static void add_backing(ImageInfo *info, BlockNode *node)
{
    if (!node->header_backing_file || !*node->header_backing_file) {
        return;
    }
    info->backing_filename = g_strdup(node->header_backing_file);
    info->full_backing_filename = block_full_backing_filename(node, NULL);
    info->backing_filename_format = g_strdup(node->header_backing_format);
}

ImageInfo *block_image_info(BlockNode *node, GError **error)
{
    g_autoptr(ImageInfo) info = g_new0(ImageInfo, 1);
    GError *local = NULL;

    info->filename = g_strdup(node->filename);
    info->format = g_strdup(node->driver->name);
    if (!add_sizes(info, node, error)) {
        return NULL;
    }
    if (node->driver->get_specific_info) {
        info->format_specific = node->driver->get_specific_info(node, &local);
    }
    if (!local) {
        add_backing(info, node);
        info->snapshots = block_snapshot_info_list(node, &local);
    }
    if (local) {
        g_propagate_error(error, local);
        return NULL;
    }
    if (info->snapshots && info->snapshots->len == 0) {
        g_clear_pointer(&info->snapshots, g_ptr_array_unref);
    }
    return g_steal_pointer(&info);
}

ImageInfo *block_image_info_chain(BlockNode *node, GError **error)
{
    g_autoptr(ImageInfo) top = block_image_info(node, error);
    ImageInfo *at = top;

    while (at && (node = block_filter_or_cow_node(node))) {
        at = at->backing_image = block_image_info(node, error);
        if (!at) {
            return NULL;
        }
    }
    return g_steal_pointer(&top);
}
