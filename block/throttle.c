/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter whose requests wait until the limits of its throttle group let them go. The group is an
 * object (-object throttle-group); other filters and backends may share it. Discards count as
 * writes. In a drained section nobody waits, so that it ends soon.
 */
#include "block/filter.h"
#include "block/io.h"
#include "block/throttle-group.h"
#include "util/error.h"

static ThrottleGroup *find_group(const char *name, GError **error)
{
    ThrottleGroup *group = throttle_group_find(name);

    if (!group) {
        error_setf(error, "Throttle group '%s' does not exist", name);
    }
    return group;
}

static bool throttle_open(BlockNode *node, const BlockdevOptions *options, unsigned flags,
                          GError **error)
{
    ThrottleGroup *group = find_group(options->u.throttle.throttle_group, error);

    if (!group) {
        return false;
    }
    block_filter_take_flags(node);
    throttle_member_join(node->opaque, group);
    return true;
}

static void throttle_close(BlockNode *node)
{
    throttle_member_leave(node->opaque);
}

static bool throttle_reopen_prepare(BlockReopen *reopen, GError **error)
{
    reopen->opaque = find_group(reopen->options->u.throttle.throttle_group, error);
    return reopen->opaque != NULL;
}

static void throttle_reopen_commit(BlockReopen *reopen)
{
    ThrottleMember *member = reopen->node->opaque;

    if (member->group != reopen->opaque) {
        throttle_member_leave(member);
        throttle_member_join(member, reopen->opaque);
    }
}

static void throttle_drain_begin(BlockNode *node)
{
    throttle_member_bypass_begin(node->opaque);
}

static void throttle_drain_end(BlockNode *node)
{
    throttle_member_bypass_end(node->opaque);
}

static int throttle_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                           size_t vec_offset, unsigned flags)
{
    throttle_member_wait(node->opaque, false, bytes);
    return block_filter_preadv(node, offset, bytes, vec, vec_offset, flags);
}

static int throttle_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                            size_t vec_offset, unsigned flags)
{
    throttle_member_wait(node->opaque, true, bytes);
    return block_filter_pwritev(node, offset, bytes, vec, vec_offset, flags);
}

static int throttle_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes,
                                       const BlockVec *vec, size_t vec_offset)
{
    throttle_member_wait(node->opaque, true, bytes);
    return block_filter_pwritev_compressed(node, offset, bytes, vec, vec_offset);
}

static int throttle_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    throttle_member_wait(node->opaque, true, bytes);
    return block_filter_pwrite_zeroes(node, offset, bytes, flags);
}

static int throttle_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    throttle_member_wait(node->opaque, true, bytes);
    return block_filter_pdiscard(node, offset, bytes);
}

static const char *const throttle_strong_options[] = { "throttle-group", NULL };

static const BlockDriver throttle_driver = {
    .name = "throttle",
    .kind = BLOCKDEV_DRIVER_THROTTLE,
    .instance_size = sizeof(ThrottleMember),
    .is_filter = true,
    .children = block_filter_children,
    .strong_options = throttle_strong_options,
    .open = throttle_open,
    .close = throttle_close,
    .reopen_prepare = throttle_reopen_prepare,
    .reopen_commit = throttle_reopen_commit,
    .drain_begin = throttle_drain_begin,
    .drain_end = throttle_drain_end,
    .preadv = throttle_preadv,
    .pwritev = throttle_pwritev,
    .pwritev_compressed = throttle_pwritev_compressed,
    .pwrite_zeroes = throttle_pwrite_zeroes,
    .pdiscard = throttle_pdiscard,
    .block_status = block_filter_block_status,
    .truncate = block_filter_truncate,
    .getlength = block_filter_getlength,
    .get_info = block_filter_get_info,
    .has_zero_init = block_filter_has_zero_init,
};
BLOCK_DRIVER(throttle_driver);
