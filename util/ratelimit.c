/* SPDX-License-Identifier: Apache-2.0 */
/* Speed limits. What exceeds a slice is paid for by the following ones. */
#include "util/ratelimit.h"

#include "util/timer.h"

void ratelimit_init(RateLimit *limit)
{
    *limit = (RateLimit) { 0 };
    g_mutex_init(&limit->lock);
}

void ratelimit_cleanup(RateLimit *limit)
{
    g_mutex_clear(&limit->lock);
}

void ratelimit_set_speed(RateLimit *limit, uint64_t per_second, int64_t slice_ns)
{
    g_mutex_lock(&limit->lock);
    limit->slice_ns = slice_ns;
    limit->quota = muldiv64(per_second, (uint64_t)slice_ns, NS_PER_SEC);
    if (per_second && limit->quota == 0) {
        limit->quota = 1;
    }
    limit->used = 0;
    limit->slice_start = 0;
    g_mutex_unlock(&limit->lock);
}

int64_t ratelimit_delay(RateLimit *limit, uint64_t amount, int64_t now)
{
    int64_t delay = 0;

    g_mutex_lock(&limit->lock);
    if (limit->quota) {
        uint64_t slices = limit->slice_start ? (uint64_t)MAX(now - limit->slice_start, 0) /
                                                   (uint64_t)limit->slice_ns
                                             : 0;
        uint64_t paid = muldiv64(slices, limit->quota, 1);

        if (!limit->slice_start) {
            limit->slice_start = now;
        }
        limit->slice_start += (int64_t)slices * limit->slice_ns;
        limit->used -= MIN(limit->used, paid);
        if (__builtin_add_overflow(limit->used, amount, &limit->used)) {
            limit->used = UINT64_MAX;
        }
        if (limit->used >= limit->quota) {
            uint64_t wait = muldiv64(limit->used / limit->quota, (uint64_t)limit->slice_ns, 1);

            delay = limit->slice_start + (int64_t)MIN(wait, INT64_MAX / 2) - now;
        }
    }
    g_mutex_unlock(&limit->lock);
    return MAX(delay, 0);
}
