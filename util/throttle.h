/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a request has to wait so that limits of bandwidth and of requests are kept: leaky
 * buckets. What is done fills a bucket, which leaks at the limit's rate; nobody may begin while it
 * is above its brim. One request may fill it beyond: the next ones wait for that.
 *
 * Without a burst rate the brim stands at a tenth of a second's worth. With one ("max") it is what
 * the burst may do in all: max for max_length seconds. A burst longer than a second has a second
 * bucket, which leaks at the burst's rate, so that it does not happen all at once.
 *
 * Pure arithmetic: no clock, no locks, no threads. Times are nanoseconds of one clock that does not
 * go back.
 */
#ifndef VIREO_UTIL_THROTTLE_H
#define VIREO_UTIL_THROTTLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Rates, and what a burst may do in all, are at most this. */
#define THROTTLE_VALUE_MAX UINT64_C(1000000000000000)

typedef enum ThrottleKind {
    THROTTLE_BPS_TOTAL, /* bytes a second */
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_IOPS_TOTAL, /* requests a second */
    THROTTLE_IOPS_READ,
    THROTTLE_IOPS_WRITE,
    THROTTLE_KINDS,
} ThrottleKind;

typedef struct ThrottleLimit {
    int64_t avg;        /* a second; 0: no limit */
    int64_t max;        /* a second, in bursts; 0: no bursts */
    int64_t max_length; /* seconds; 1 at least */
} ThrottleLimit;

typedef struct ThrottleConfig {
    ThrottleLimit limits[THROTTLE_KINDS];
    int64_t iops_size; /* bytes; a larger request counts as several; 0: as one */
} ThrottleConfig;

typedef struct Throttle {
    ThrottleConfig config;
    /* How full: bytes or requests. */
    double level[THROTTLE_KINDS], burst_level[THROTTLE_KINDS];
    int64_t leaked_ns; /* until when they have leaked */
} Throttle;

/* No limits, bursts of one second. */
void throttle_config_init(ThrottleConfig *config);
/* Do the numbers make sense together? */
bool throttle_config_check(const ThrottleConfig *config, GError **error);
/* Does it limit anything? */
bool throttle_config_limits(const ThrottleConfig *config);

/* Start with empty buckets. The configuration has been checked. */
void throttle_init(Throttle *throttle, const ThrottleConfig *config, int64_t now_ns);
/* How long until a read or write may begin; 0: now. */
int64_t throttle_wait_ns(Throttle *throttle, bool is_write, int64_t now_ns);
/* One begins. */
void throttle_account(Throttle *throttle, bool is_write, int64_t bytes);

#endif
