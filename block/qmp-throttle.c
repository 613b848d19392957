/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: limits of backends. Main thread. */
#include "block/backend-internal.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block.h"
#include "util/error.h"

/* Members of BlockIOThrottle and of BlockDeviceInfo, which have the same names. */
#define EACH_LIMIT(X)                                                                              \
    X(THROTTLE_BPS_TOTAL, bps) X(THROTTLE_BPS_READ, bps_rd) X(THROTTLE_BPS_WRITE, bps_wr)          \
    X(THROTTLE_IOPS_TOTAL, iops) X(THROTTLE_IOPS_READ, iops_rd) X(THROTTLE_IOPS_WRITE, iops_wr)

static void config_from_qmp(ThrottleConfig *config, const BlockIOThrottle *arg)
{
#define TAKE_LIMIT(kind, name)                                                                     \
    config->limits[kind].avg = arg->name;                                                          \
    if (arg->has_##name##_max) {                                                                   \
        config->limits[kind].max = arg->name##_max;                                                \
    }                                                                                              \
    if (arg->has_##name##_max_length) {                                                            \
        config->limits[kind].max_length = arg->name##_max_length;                                  \
    }
    EACH_LIMIT(TAKE_LIMIT)
    if (arg->has_iops_size) {
        config->iops_size = arg->iops_size;
    }
}

bool qmp_block_set_io_throttle(const BlockIOThrottle *arg, GError **error)
{
    BlockBackend *blk = block_qmp_find_backend(arg->device, arg->id, error);
    const char *name = arg->device ? arg->device : arg->id;
    ThrottleConfig config;

    if (!blk) {
        return false;
    }
    if (!block_backend_root(blk)) {
        error_setf(error, "Device '%s' has no medium", name);
        return false;
    }
    throttle_config_init(&config);
    config_from_qmp(&config, arg);
    if (!throttle_config_check(&config, error)) {
        return false;
    }
    block_backend_set_limits(blk, arg->group ? arg->group : blk->throttle.group ? NULL : name,
                             &config);
    return true;
}

void block_qmp_show_limits(BlockBackend *blk, BlockDeviceInfo *info)
{
    ThrottleConfig config;

    if (!blk->throttle.group) {
        return;
    }
    throttle_group_get_config(blk->throttle.group, &config);
#define SHOW_LIMIT(kind, name)                                                                     \
    info->name = config.limits[kind].avg;                                                          \
    info->name##_max = config.limits[kind].max;                                                    \
    info->has_##name##_max = info->name##_max > 0;                                                 \
    info->has_##name##_max_length = info->has_##name##_max;                                        \
    info->name##_max_length = config.limits[kind].max_length;
    EACH_LIMIT(SHOW_LIMIT)
    info->has_iops_size = config.iops_size > 0;
    info->iops_size = config.iops_size;
    info->group = g_strdup(throttle_group_name(blk->throttle.group));
}
