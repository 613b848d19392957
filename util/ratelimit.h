/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keep work to a speed: so much in each slice of time. The caller does its work first and then
 * waits as long as it is told. Any thread.
 */
#ifndef VIREO_UTIL_RATELIMIT_H
#define VIREO_UTIL_RATELIMIT_H

#include <glib.h>
#include <stdint.h>

typedef struct RateLimit {
    GMutex lock;
    uint64_t quota; /* per slice; 0: no limit */
    int64_t slice_ns;
    int64_t slice_start;
    uint64_t used; /* in this slice, debt of earlier ones included */
} RateLimit;

void ratelimit_init(RateLimit *limit);
void ratelimit_cleanup(RateLimit *limit);
/* Units per second, measured in slices of slice_ns. 0: no limit. */
void ratelimit_set_speed(RateLimit *limit, uint64_t per_second, int64_t slice_ns);
/* Account for `amount` done at `now` (VM_CLOCK_REALTIME); returns the ns to wait before more. */
int64_t ratelimit_delay(RateLimit *limit, uint64_t amount, int64_t now);

#endif
