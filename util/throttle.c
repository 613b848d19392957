/* SPDX-License-Identifier: Apache-2.0 */
#include "util/throttle.h"

#include <inttypes.h>
#include <string.h>

#include "util/error.h"

#define SECOND_NS 1000000000.0
/* Of a second: how much may come at once where no burst is allowed, and within a burst. */
#define SLACK 0.1
/* Longer than anybody waits, and far from overflow. */
#define WAIT_MAX_NS 1e18

void throttle_config_init(ThrottleConfig *config)
{
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < THROTTLE_KINDS; i++) {
        config->limits[i].max_length = 1;
    }
}

bool throttle_config_limits(const ThrottleConfig *config)
{
    for (size_t i = 0; i < THROTTLE_KINDS; i++) {
        if (config->limits[i].avg) {
            return true;
        }
    }
    return false;
}

/* ---- Checks ---- */

static bool total_and_parts(const ThrottleLimit *limits, ThrottleKind total)
{
    const ThrottleLimit *t = &limits[total], *r = &limits[total + 1], *w = &limits[total + 2];

    return (t->avg && (r->avg || w->avg)) || (t->max && (r->max || w->max));
}

static bool check_limit(const ThrottleLimit *limit, GError **error)
{
    if (limit->avg < 0 || limit->max < 0 || limit->max_length < 0 ||
        limit->avg > (int64_t)THROTTLE_VALUE_MAX || limit->max > (int64_t)THROTTLE_VALUE_MAX) {
        error_setf(error, "bps/iops/max values must be within [0, %" PRIu64 "]",
                   THROTTLE_VALUE_MAX);
    } else if (!limit->max_length) {
        error_setf(error, "the burst length cannot be 0");
    } else if (limit->max_length > 1 && !limit->max) {
        error_setf(error, "burst length set without burst rate");
    } else if (limit->max && limit->max_length > (int64_t)THROTTLE_VALUE_MAX / limit->max) {
        error_setf(error, "burst length too high for this burst rate");
    } else if (limit->max && !limit->avg) {
        error_setf(error, "bps_max/iops_max require corresponding bps/iops values");
    } else if (limit->max && limit->max < limit->avg) {
        error_setf(error, "bps_max/iops_max cannot be lower than bps/iops");
    } else {
        return true;
    }
    return false;
}

bool throttle_config_check(const ThrottleConfig *config, GError **error)
{
    const ThrottleLimit *limits = config->limits;

    if (total_and_parts(limits, THROTTLE_BPS_TOTAL) ||
        total_and_parts(limits, THROTTLE_IOPS_TOTAL)) {
        error_setf(error, "bps/iops/max total values and read/write values cannot be used at the "
                   "same time");
        return false;
    }
    if (config->iops_size < 0 || config->iops_size > (int64_t)THROTTLE_VALUE_MAX) {
        error_setf(error, "iops size must be within [0, %" PRIu64 "]", THROTTLE_VALUE_MAX);
        return false;
    }
    if (config->iops_size && !limits[THROTTLE_IOPS_TOTAL].avg && !limits[THROTTLE_IOPS_READ].avg &&
        !limits[THROTTLE_IOPS_WRITE].avg) {
        error_setf(error, "iops size requires an iops value to be set");
        return false;
    }
    for (size_t i = 0; i < THROTTLE_KINDS; i++) {
        if (!check_limit(&limits[i], error)) {
            return false;
        }
    }
    return true;
}

/* ---- Buckets ---- */

void throttle_init(Throttle *throttle, const ThrottleConfig *config, int64_t now_ns)
{
    *throttle = (Throttle){ .config = *config, .leaked_ns = now_ns };
}

static void leak(Throttle *throttle, int64_t now_ns)
{
    double seconds = (double)MAX(now_ns - throttle->leaked_ns, 0) / SECOND_NS;

    throttle->leaked_ns = MAX(now_ns, throttle->leaked_ns);
    for (size_t i = 0; i < THROTTLE_KINDS; i++) {
        const ThrottleLimit *limit = &throttle->config.limits[i];

        throttle->level[i] = MAX(throttle->level[i] - (double)limit->avg * seconds, 0);
        throttle->burst_level[i] = MAX(throttle->burst_level[i] - (double)limit->max * seconds, 0);
    }
}

/* Until a bucket has leaked down to its brim. */
static double time_above(double level, double brim, double rate)
{
    return level > brim ? (level - brim) / rate * SECOND_NS : 0;
}

static double bucket_wait(const Throttle *throttle, ThrottleKind kind)
{
    const ThrottleLimit *limit = &throttle->config.limits[kind];
    double avg = (double)limit->avg, max = (double)limit->max, wait;

    if (!limit->avg) {
        return 0;
    }
    wait = time_above(throttle->level[kind],
                      limit->max ? max * (double)limit->max_length : avg * SLACK, avg);
    if (limit->max_length > 1) {
        wait = MAX(wait, time_above(throttle->burst_level[kind], max * SLACK, max));
    }
    return wait;
}

static const ThrottleKind kinds_of[2][4] = {
    { THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ, THROTTLE_IOPS_TOTAL, THROTTLE_IOPS_READ },
    { THROTTLE_BPS_TOTAL, THROTTLE_BPS_WRITE, THROTTLE_IOPS_TOTAL, THROTTLE_IOPS_WRITE },
};

int64_t throttle_wait_ns(Throttle *throttle, bool is_write, int64_t now_ns)
{
    double wait = 0;

    leak(throttle, now_ns);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds_of[is_write]); i++) {
        wait = MAX(wait, bucket_wait(throttle, kinds_of[is_write][i]));
    }
    /* Upwards: whoever waits that long finds the way free. */
    return wait > 0 ? (int64_t)MIN(wait, WAIT_MAX_NS) + 1 : 0;
}

void throttle_account(Throttle *throttle, bool is_write, int64_t bytes)
{
    int64_t iops_size = throttle->config.iops_size;
    double units = iops_size && bytes > iops_size ? (double)bytes / (double)iops_size : 1;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds_of[is_write]); i++) {
        ThrottleKind kind = kinds_of[is_write][i];
        double amount = kind >= THROTTLE_IOPS_TOTAL ? units : (double)bytes;

        throttle->level[kind] += amount;
        throttle->burst_level[kind] += amount;
    }
}
