/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw format: the bytes of the file are the bytes of the disk; all of them, or `size` of them
 * from `offset` on.
 *
 * Any content is a raw image, so guessing the format can be fooled: a guest that writes a qcow2
 * header to its disk would, at the next start, have an image whose header names files of the host.
 * Where the format was guessed, writes to the first bytes are therefore refused if another format
 * would be guessed afterwards.
 */
#include <errno.h>
#include <string.h>

#include "block/create.h"
#include "block/io.h"
#include "block/node.h"
#include "block/open.h"
#include "block/scsi-command.h"
#include "util/error.h"
#include "util/iov.h"

typedef struct RawState {
    int64_t offset, size;
    bool has_size;
    CoMutex head_lock; /* probed: the check and the write of the head are one */
} RawState;

static const BlockDriver raw_driver;

/* ---- Opening ---- */

static bool range_from_options(BlockNode *node, const BlockdevOptionsRaw *options, GError **error)
{
    RawState *s = node->opaque;
    int64_t available = block_getlength(node->file->node);

    if (available < 0) {
        error_set_errno(error, (int)-available, "Could not get the size of the file below");
        return false;
    }
    s->offset = options->has_offset ? options->offset : 0;
    s->has_size = options->has_size;
    if (s->offset < 0 || (s->has_size && options->size < 0)) {
        error_setf(error, "Parameters 'offset' and 'size' of a raw image cannot be negative");
        return false;
    }
    if (s->offset > available) {
        error_setf(error, "offset (%" PRId64 ") is beyond the end of the containing file, which "
                   "has %" PRId64 " bytes", s->offset, available);
        return false;
    }
    s->size = s->has_size ? options->size : available - s->offset;
    if (s->size > available - s->offset) {
        error_setf(error, "offset (%" PRId64 ") and size (%" PRId64 ") together are more than the "
                   "containing file's %" PRId64 " bytes", s->offset, s->size, available);
        return false;
    }
    return true;
}

static bool raw_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                     GError **error)
{
    const BlockNode *file = node->file->node;
    const unsigned pass_on = BLOCK_REQ_FUA | BLOCK_REQ_MAY_UNMAP | BLOCK_REQ_NO_FALLBACK;
    RawState *s = node->opaque;

    if (!range_from_options(node, &options->u.raw, error)) {
        return false;
    }
    node->size = s->size;
    node->write_flags = BLOCK_REQ_WRITE_UNCHANGED | (file->write_flags & pass_on);
    node->zero_flags = BLOCK_REQ_WRITE_UNCHANGED | (file->zero_flags & pass_on);
    node->truncate_flags = file->truncate_flags;
    co_mutex_init(&s->head_lock);
    if (node->probed && !node->mode.read_only) {
        warn_report("The format of '%s' was not given and is taken to be raw: writes to its first "
                    "sectors that would look like another format will fail; give the format 'raw' "
                    "to allow them", file->filename);
    }
    return true;
}

static void raw_close(BlockNode *node)
{
    RawState *s = node->opaque;

    co_mutex_cleanup(&s->head_lock);
}

static int raw_probe(const uint8_t *buf, size_t len, const char *filename)
{
    return 1; /* if nobody else wants it */
}

/* Like a filter's, though with an offset it is none. */
static void raw_child_perm(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                           unsigned shared, unsigned *child_perm, unsigned *child_shared)
{
    *child_perm = perm;
    *child_shared = shared;
}

/* ---- The head of a probed image ---- */

/* What would the file be taken for with this (vec NULL: zeroes) written into it? */
static int check_head(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset)
{
    RawState *s = node->opaque;
    uint8_t head[BLOCK_PROBE_SIZE];
    int64_t len = MIN(MAX(node->size, offset + bytes), (int64_t)sizeof(head));
    size_t changed = (size_t)(MIN(offset + bytes, len) - offset);
    const BlockDriver *guess;
    int ret = block_pread(node->file, s->offset, len, head);

    if (ret < 0) {
        return ret;
    }
    if (vec) {
        iov_to_buf(vec->iov, vec->n, vec_offset, head + offset, changed);
    } else {
        memset(head + offset, 0, changed);
    }
    guess = block_probe(head, (size_t)len, node->filename);
    return guess && guess != &raw_driver ? -EPERM : 0;
}

static bool is_guarded(const BlockNode *node, int64_t offset)
{
    return G_UNLIKELY(node->probed) && offset < BLOCK_PROBE_SIZE;
}

/* ---- Requests ---- */

/* A fixed size does not grow. */
static bool has_room(const RawState *s, int64_t offset, int64_t bytes)
{
    return !s->has_size || (offset <= s->size && bytes <= s->size - offset);
}

static int raw_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                      size_t vec_offset, unsigned flags)
{
    RawState *s = node->opaque;

    block_debug_event(node->file, BLKDBG_READ_AIO);
    return block_preadv(node->file, s->offset + offset, bytes, vec, vec_offset, flags);
}

static int raw_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    RawState *s = node->opaque;
    int ret;

    if (!has_room(s, offset, bytes)) {
        return -ENOSPC;
    }
    block_debug_event(node->file, BLKDBG_WRITE_AIO);
    if (!is_guarded(node, offset)) {
        return block_pwritev(node->file, s->offset + offset, bytes, vec, vec_offset, flags);
    }
    co_mutex_lock(&s->head_lock);
    ret = check_head(node, offset, bytes, vec, vec_offset);
    if (ret == 0) {
        ret = block_pwritev(node->file, s->offset + offset, bytes, vec, vec_offset, flags);
    }
    co_mutex_unlock(&s->head_lock);
    return ret;
}

static int raw_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    RawState *s = node->opaque;
    int ret;

    if (!has_room(s, offset, bytes)) {
        return -ENOSPC;
    }
    if (!is_guarded(node, offset)) {
        return block_pwrite_zeroes(node->file, s->offset + offset, bytes, flags);
    }
    co_mutex_lock(&s->head_lock);
    ret = check_head(node, offset, bytes, NULL, 0);
    if (ret == 0) {
        ret = block_pwrite_zeroes(node->file, s->offset + offset, bytes, flags);
    }
    co_mutex_unlock(&s->head_lock);
    return ret;
}

static int raw_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    RawState *s = node->opaque;
    int64_t skip = is_guarded(node, offset) ? MIN(bytes, BLOCK_PROBE_SIZE - offset) : 0;

    /* A hint that would have to be checked first is not taken. */
    return block_pdiscard(node->file, s->offset + offset + skip, bytes - skip);
}

static int raw_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                            BlockStatus *status)
{
    RawState *s = node->opaque;

    *status = (BlockStatus) {
        .flags = BLOCK_STATUS_RAW | BLOCK_STATUS_OFFSET_VALID,
        .bytes = bytes, .map = s->offset + offset, .file = node->file->node,
    };
    return 0;
}

static int raw_copy_range_from(BlockNode *node, BlockChild *src, int64_t src_offset,
                               BlockChild *dst, int64_t dst_offset, int64_t bytes, unsigned flags)
{
    RawState *s = node->opaque;

    return block_copy_range(node->file, s->offset + src_offset, dst, dst_offset, bytes, flags);
}

static int raw_copy_range_to(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                             int64_t dst_offset, int64_t bytes, unsigned flags)
{
    RawState *s = node->opaque;

    if (!has_room(s, dst_offset, bytes)) {
        return -ENOSPC;
    }
    /* Into the head of a probed image only what we have seen. */
    return is_guarded(node, dst_offset)
               ? -ENOTSUP
               : block_copy_range(src, src_offset, node->file, s->offset + dst_offset, bytes,
                                  flags);
}

static int raw_truncate(BlockNode *node, const BlockTruncate *truncate, GError **error)
{
    RawState *s = node->opaque;
    BlockTruncate below = *truncate;
    int ret;

    if (s->has_size) {
        error_setf(error, "Cannot resize a raw image of fixed size");
        return -ENOTSUP;
    }
    if (truncate->size > BLOCK_MAX_LENGTH - s->offset) {
        error_setf(error, "Disk size too large for the chosen offset");
        return -EINVAL;
    }
    below.size += s->offset;
    ret = block_truncate(node->file, &below, error);
    if (ret == 0) {
        s->size = truncate->size;
    }
    return ret;
}

/* ---- Facts ---- */

static int64_t raw_getlength(BlockNode *node)
{
    RawState *s = node->opaque;
    int64_t available;

    if (s->has_size) {
        return s->size;
    }
    available = block_getlength(node->file->node);
    return available < 0 ? available : MAX(available - s->offset, 0);
}

static int raw_get_info(BlockNode *node, BlockNodeInfo *info)
{
    return block_get_info(node->file->node, info);
}

static bool raw_has_zero_init(BlockNode *node)
{
    return block_has_zero_init(node->file->node);
}

static void raw_debug_event(BlockNode *node, BlkdebugEvent event)
{
    block_debug_event(node->file, event);
}

/* ---- Images ---- */

static BlockMeasureInfo *raw_measure(const json_object *options, BlockNode *in, int64_t size,
                                     GError **error)
{
    BlockMeasureInfo *info;
    int64_t bytes = in ? block_getlength(in) : size;

    if (bytes < 0) {
        error_set_errno(error, (int)-bytes, "Unable to get the image's size");
        return NULL;
    }
    info = g_new0(BlockMeasureInfo, 1);
    info->required = (bytes + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    info->fully_allocated = info->required;
    return info;
}

static int raw_scsi_command(BlockNode *node, BlockScsiCommand *command)
{
    const RawState *s = node->opaque;

    return s->offset || s->has_size ? -ENOTSUP : block_scsi_command(node->file->node, command);
}

static const BlockChildSpec raw_children[] = {
    { "file", BLOCK_ROLE_DATA | BLOCK_ROLE_PRIMARY, .required = true },
    { NULL },
};

static const char *const raw_strong_options[] = { "offset", "size", NULL };

static const BlockOption raw_create_options[] = {
    { "size", BLOCK_OPTION_SIZE, "virtual disk size" },
    { NULL },
};

static const BlockDriver raw_driver = {
    .name = "raw",
    .kind = BLOCKDEV_DRIVER_RAW,
    .instance_size = sizeof(RawState),
    .is_format = true,
    .has_variable_size = true,
    .grows_on_write = true, /* if the file does */
    .children = raw_children,
    .strong_options = raw_strong_options,
    .probe = raw_probe,
    .open = raw_open,
    .close = raw_close,
    .child_perm = raw_child_perm,
    .preadv = raw_preadv,
    .pwritev = raw_pwritev,
    .pwrite_zeroes = raw_pwrite_zeroes,
    .pdiscard = raw_pdiscard,
    .block_status = raw_block_status,
    .peek = block_peek_by_status,
    .scsi_command = raw_scsi_command,
    .copy_range_from = raw_copy_range_from,
    .copy_range_to = raw_copy_range_to,
    .truncate = raw_truncate,
    .getlength = raw_getlength,
    .get_info = raw_get_info,
    .has_zero_init = raw_has_zero_init,
    .debug_event = raw_debug_event,
    .create_options = raw_create_options,
    /* Of the file's own options there are all, of ours none. */
    .create_by_name = block_create_protocol,
    .measure = raw_measure,
};

BLOCK_DRIVER(raw_driver);
