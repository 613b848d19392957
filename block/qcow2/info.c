/* SPDX-License-Identifier: Apache-2.0 */
/* What `info` says of a qcow2 image. */
#include "block/qcow2/bitmap.h"

static ImageInfoSpecificQCow2Encryption *encryption_info(const Qcow2 *q)
{
    ImageInfoSpecificQCow2Encryption *info;
    g_autoptr(QCryptoBlockInfo) crypto = NULL;

    if (!q->crypto) {
        return NULL;
    }
    info = g_new0(ImageInfoSpecificQCow2Encryption, 1);
    info->format = q->crypt_method == QCOW2_CRYPT_AES ? BLOCKDEV_QCOW2_ENCRYPTION_FORMAT_AES
                                                      : BLOCKDEV_QCOW2_ENCRYPTION_FORMAT_LUKS;
    if (q->crypt_method == QCOW2_CRYPT_LUKS) {
        crypto = crypto_block_info(q->crypto);
        info->u.luks = crypto->u.luks;
        crypto->u.luks = (QCryptoBlockInfoLUKS) { 0 };
    }
    return info;
}

ImageInfoSpecific *qcow2_get_specific_info(BlockNode *node, GError **error)
{
    Qcow2 *q = node->opaque;
    ImageInfoSpecific *info = g_new0(ImageInfoSpecific, 1);
    ImageInfoSpecificQCow2 *data = g_new0(ImageInfoSpecificQCow2, 1);
    GError *local = NULL;

    info->type = IMAGE_INFO_SPECIFIC_KIND_QCOW2;
    info->u.qcow2.data = data;
    data->compat = g_strdup(q->version < 3 ? "0.10" : "1.1");
    data->refcount_bits = 1 << q->refcount_order;
    data->compression_type = q->compression_type ? QCOW2_COMPRESSION_TYPE_ZSTD
                                                 : QCOW2_COMPRESSION_TYPE_ZLIB;
    if (q->version >= 3) {
        data->has_lazy_refcounts = data->has_corrupt = data->has_extended_l2 = true;
        data->lazy_refcounts = q->compatible & QCOW2_COMPAT_LAZY_REFCOUNTS;
        data->corrupt = q->incompatible & QCOW2_INCOMPAT_CORRUPT;
        data->extended_l2 = q->extended_l2;
    }
    if (qcow2_has_data_file(q)) {
        data->data_file = g_strdup(q->data_file_name);
        data->has_data_file_raw = true;
        data->data_file_raw = qcow2_data_file_is_raw(q);
    }
    data->encrypt = encryption_info(q);
    data->bitmaps = qcow2_bitmaps_info(q, &local);
    if (local) {
        g_propagate_error(error, local);
        g_clear_pointer(&info, ImageInfoSpecific_free);
    }
    return info;
}
