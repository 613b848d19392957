/* SPDX-License-Identifier: Apache-2.0 */
/* A backend's place in a throttle group. */
#include "block/backend-internal.h"

void block_backend_set_limits(BlockBackend *blk, const char *group_name,
                              const ThrottleConfig *config)
{
    BlockNode *node = block_backend_node(blk);
    ThrottleGroup *group = NULL;

    if (throttle_config_limits(config)) {
        group = throttle_group_get(group_name ? group_name
                                              : throttle_group_name(blk->throttle.group));
        throttle_group_set_config(group, config);
    }
    if (node) {
        block_drain_begin(node);
    }
    if (blk->throttle.group != group) {
        throttle_member_leave(&blk->throttle);
        if (group) {
            throttle_member_join(&blk->throttle, group);
        }
    }
    if (node) {
        block_drain_end(node);
    }
    throttle_group_unref(group);
}
