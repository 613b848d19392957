/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK: what the format tells of itself, and its table. */
#include <errno.h>
#include <string.h>

#include "block/vmdk/format.h"
#include "block/vmdk/vmdk.h"

static int vmdk_probe(const uint8_t *buf, size_t len, const char *filename)
{
    if (len >= 4 && (!memcmp(buf, VMDK_MAGIC, 4) || !memcmp(buf, COWD_MAGIC, 4))) {
        return 100;
    }
    return vmdk_is_descriptor((const char *)buf, len) ? 100 : 0;
}

static void vmdk_backing_changed(BlockNode *node)
{
    VmdkImage *image = node->opaque;

    image->parent_is_checked = false;
}

static void vmdk_refresh_limits(BlockNode *node)
{
    VmdkImage *image = node->opaque;

    node->limits.request_alignment = BLOCK_SECTOR;
    for (unsigned i = 0; i < image->n; i++) {
        if (image->extents[i].kind == VMDK_SPARSE) {
            node->limits.write_zeroes_alignment = MAX(node->limits.write_zeroes_alignment,
                                                      image->extents[i].grain_size);
        }
    }
}

static uint32_t grain_size(const VmdkImage *image)
{
    for (unsigned i = 0; i < image->n; i++) {
        if (image->extents[i].kind == VMDK_SPARSE) {
            return image->extents[i].grain_size;
        }
    }
    return 0;
}

static int vmdk_get_info(BlockNode *node, BlockNodeInfo *info)
{
    VmdkImage *image = node->opaque;

    info->cluster_size = grain_size(image);
    info->unallocated_reads_zero = !node->backing;
    info->needs_compressed_writes = image->n == 1 && image->extents->compressed;
    return 0;
}

static ImageInfo *extent_info(const BlockNode *node, const VmdkExtent *extent)
{
    ImageInfo *info = g_new0(ImageInfo, 1);

    info->filename = g_strdup(extent->child ? extent->child->node->filename : "");
    info->format = g_strdup(extent->type);
    info->virtual_size = extent->size;
    if (extent->kind == VMDK_SPARSE) {
        info->has_cluster_size = true;
        info->cluster_size = extent->grain_size;
    }
    if (extent->compressed) {
        info->has_compressed = info->compressed = true;
    }
    return info;
}

static ImageInfoSpecific *vmdk_get_specific_info(BlockNode *node, GError **error)
{
    const VmdkImage *image = node->opaque;
    ImageInfoSpecific *info = g_new0(ImageInfoSpecific, 1);
    ImageInfoSpecificVmdk *data = g_new0(ImageInfoSpecificVmdk, 1);

    info->type = IMAGE_INFO_SPECIFIC_KIND_VMDK;
    info->u.vmdk.data = data;
    data->create_type = g_strdup(image->descriptor.create_type);
    data->cid = image->descriptor.cid;
    data->parent_cid = image->descriptor.parent_cid;
    data->extents = ImageInfo_list_new();
    for (unsigned i = 0; i < image->n; i++) {
        g_ptr_array_add(data->extents, extent_info(node, &image->extents[i]));
    }
    return info;
}

static bool vmdk_has_zero_init(BlockNode *node)
{
    VmdkImage *image = node->opaque;

    for (unsigned i = 0; i < image->n; i++) {
        if (image->extents[i].kind == VMDK_FLAT &&
            !block_has_zero_init(image->extents[i].child->node)) {
            return false;
        }
    }
    return true;
}

/* Of all files. */
static int64_t vmdk_allocated_size(BlockNode *node)
{
    VmdkImage *image = node->opaque;
    int64_t sum = block_allocated_size(node->file->node);

    for (unsigned i = 0; i < image->n && sum >= 0; i++) {
        BlockChild *child = image->extents[i].child;
        int64_t more = child && child != node->file ? block_allocated_size(child->node) : 0;

        sum = more < 0 ? more : sum + more;
    }
    return sum;
}

static const BlockChildSpec vmdk_children[] = {
    { "file", BLOCK_ROLE_IMAGE, .required = true },
    { "backing", BLOCK_ROLE_COW },
    { NULL },
};

static const BlockDriver vmdk_driver = {
    .name = "vmdk",
    .kind = BLOCKDEV_DRIVER_VMDK,
    .instance_size = sizeof(VmdkImage),
    .is_format = true,
    .supports_backing = true,
    .children = vmdk_children,
    .probe = vmdk_probe,
    .open = vmdk_open,
    .close = vmdk_close,
    .backing_changed = vmdk_backing_changed,
    .refresh_limits = vmdk_refresh_limits,
    .preadv = vmdk_preadv,
    .pwritev = vmdk_pwritev,
    .pwrite_zeroes = vmdk_pwrite_zeroes,
    .pwritev_compressed = vmdk_pwritev_compressed,
    .block_status = vmdk_block_status,
    .peek = block_peek_by_status,
    .flush_to_os = vmdk_flush_to_os,
    .allocated_size = vmdk_allocated_size,
    .get_info = vmdk_get_info,
    .get_specific_info = vmdk_get_specific_info,
    .has_zero_init = vmdk_has_zero_init,
    .check = vmdk_check,
    .create_options = vmdk_create_options,
    .create = vmdk_create,
    .create_by_name = vmdk_create_by_name,
};
BLOCK_DRIVER(vmdk_driver);
