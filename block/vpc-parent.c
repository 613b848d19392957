/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent of a VHD differencing image. Its name stands in the dynamic header (UTF-16,
 * big-endian, without a path) and in up to eight locators, which say in the words of one platform
 * each where the file is: here those of Windows are read (UTF-16, little-endian), the relative path
 * first.
 */
#include <string.h>

#include "block/io.h"
#include "block/vpc-format.h"
#include "util/bits.h"
#include "util/error.h"

#define WINDOWS_RELATIVE 0x57327275u /* "W2ru" */
#define WINDOWS_ABSOLUTE 0x57326b75u /* "W2ku" */
#define MAX_PATH_BYTES 8192

/* Up to the first zero; NULL if it is no UTF-16, or empty. */
static char *text_of(const uint8_t *raw, size_t bytes, bool big_endian)
{
    g_autofree gunichar2 *units = g_new0(gunichar2, bytes / 2 + 1);
    char *text;

    for (size_t i = 0; i < bytes / 2; i++) {
        units[i] = big_endian ? ldw_be(raw + 2 * i) : ldw_le(raw + 2 * i);
    }
    text = g_utf16_to_utf8(units, -1, NULL, NULL, NULL);
    if (text && !*text) {
        g_clear_pointer(&text, g_free);
    }
    return text;
}

/* What a locator of this platform says; NULL: there is none, or of no use. */
static char *located(BlockNode *node, const uint8_t *header, uint32_t platform)
{
    for (unsigned i = 0; i < VPC_LOCATORS; i++) {
        const uint8_t *locator = header + VPC_DYN_LOCATORS + i * VPC_LOCATOR_SIZE;
        uint32_t length = ldl_be(locator + VPC_LOCATOR_LENGTH);
        uint64_t at = ldq_be(locator + VPC_LOCATOR_OFFSET);
        g_autofree uint8_t *raw = NULL;

        if (ldl_be(locator + VPC_LOCATOR_PLATFORM) != platform || length > MAX_PATH_BYTES ||
            at > (uint64_t)BLOCK_MAX_LENGTH - MAX_PATH_BYTES) {
            continue;
        }
        raw = g_malloc(length + 1);
        if (block_pread(node->file, (int64_t)at, length, raw) < 0) {
            return NULL;
        }
        return text_of(raw, length, false);
    }
    return NULL;
}

bool vpc_read_parent(BlockNode *node, const uint8_t *header, GError **error)
{
    VpcImage *image = node->opaque;
    char *path = located(node, header, WINDOWS_RELATIVE);

    memcpy(image->parent_uuid, header + VPC_DYN_PARENT_UUID, sizeof(image->parent_uuid));
    path = path ? path : text_of(header + VPC_DYN_PARENT_NAME, VPC_PARENT_NAME_BYTES, true);
    path = path ? path : located(node, header, WINDOWS_ABSOLUTE);
    if (!path) {
        error_setf(error, "VHD dynamic header: a differencing image without its parent's name");
        return false;
    }
    node->header_backing_file = g_strdelimit(path, "\\", '/');
    node->header_backing_format = g_strdup("vpc");
    return true;
}

/* A parent's UUID changes when it is made anew; that one has other data. */
void vpc_backing_changed(BlockNode *node)
{
    VpcImage *image = node->opaque;
    BlockNode *parent = node->backing ? block_skip_filters(node->backing->node) : NULL;
    const VpcImage *other = parent && parent->driver == node->driver ? parent->opaque : NULL;

    image->parent_is_wrong = image->has_parent && other &&
                             memcmp(other->footer + VPC_UUID, image->parent_uuid,
                                    sizeof(image->parent_uuid)) != 0;
    if (image->parent_is_wrong) {
        error_report("%s: VHD dynamic header: '%s' is not the parent", node->filename,
                     parent->filename);
    }
}
