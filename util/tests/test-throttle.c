/* SPDX-License-Identifier: Apache-2.0 */
/* Leaky buckets, with time as a number. */
#include <string.h>

#include "util/throttle.h"

#define SECOND INT64_C(1000000000)

static ThrottleConfig config_of(ThrottleKind kind, int64_t avg, int64_t max, int64_t max_length)
{
    ThrottleConfig config;

    throttle_config_init(&config);
    config.limits[kind] = (ThrottleLimit){ avg, max, max_length };
    return config;
}

/* Requests one after the other as fast as they are let; how many begin in [0, seconds)? */
static unsigned count_requests(const ThrottleConfig *config, bool is_write, int64_t bytes,
                               int64_t seconds)
{
    Throttle throttle;
    unsigned n = 0;

    throttle_init(&throttle, config, 0);
    for (int64_t now = 0;;) {
        now += throttle_wait_ns(&throttle, is_write, now);
        if (now >= seconds * SECOND) {
            return n;
        }
        g_assert_cmpint(throttle_wait_ns(&throttle, is_write, now), ==, 0);
        throttle_account(&throttle, is_write, bytes);
        n++;
    }
}

static void test_no_limits(void)
{
    ThrottleConfig config;
    Throttle throttle;

    throttle_config_init(&config);
    g_assert_false(throttle_config_limits(&config));
    g_assert_true(throttle_config_check(&config, NULL));
    throttle_init(&throttle, &config, 5);
    for (int i = 0; i < 1000; i++) {
        g_assert_cmpint(throttle_wait_ns(&throttle, i & 1, 5), ==, 0);
        throttle_account(&throttle, i & 1, INT32_MAX);
    }
}

/* The rate in the long run, and the tenth of a second at the start. */
static void test_averages(void)
{
    ThrottleConfig iops = config_of(THROTTLE_IOPS_TOTAL, 100, 0, 1);
    ThrottleConfig bps = config_of(THROTTLE_BPS_WRITE, 1 << 20, 0, 1);

    g_assert_cmpuint(count_requests(&iops, false, 4096, 10), ==, 1000 + 10);
    g_assert_cmpuint(count_requests(&iops, true, 1 << 30, 10), ==, 1000 + 10);
    g_assert_cmpuint(count_requests(&bps, true, 4096, 10), ==, 2560 + 26);
    /* The other direction is free. */
    g_assert_cmpint(throttle_config_limits(&bps), ==, true);
    bps.limits[THROTTLE_BPS_READ].avg = 4096;
    g_assert_cmpuint(count_requests(&bps, false, 4096, 10), ==, 11);
}

/* A request larger than the brim goes at once, and those behind it pay. */
static void test_large_request(void)
{
    ThrottleConfig config = config_of(THROTTLE_BPS_TOTAL, 1000, 0, 1);
    Throttle throttle;

    throttle_init(&throttle, &config, 0);
    g_assert_cmpint(throttle_wait_ns(&throttle, false, 0), ==, 0);
    throttle_account(&throttle, false, 5100);
    g_assert_cmpint(throttle_wait_ns(&throttle, true, 0), ==, 5 * SECOND + 1);
    g_assert_cmpint(throttle_wait_ns(&throttle, true, 4 * SECOND), ==, SECOND + 1);
    g_assert_cmpint(throttle_wait_ns(&throttle, true, 5 * SECOND + 1), ==, 0);
    /* A clock that stands or goes back fills nothing and empties nothing. */
    throttle_account(&throttle, false, 1000);
    g_assert_cmpint(throttle_wait_ns(&throttle, true, 4 * SECOND), >, SECOND - 10);
    g_assert_cmpint(throttle_wait_ns(&throttle, true, 4 * SECOND), <=, SECOND);
}

static void test_iops_size(void)
{
    ThrottleConfig config = config_of(THROTTLE_IOPS_TOTAL, 100, 0, 1);

    config.iops_size = 4096;
    g_assert_cmpuint(count_requests(&config, false, 4096, 10), ==, 1010);
    g_assert_cmpuint(count_requests(&config, false, 8192, 10), ==, 505);
    g_assert_cmpuint(count_requests(&config, false, 1, 10), ==, 1010);
}

/* All of a burst of one second may come at once; then the average. */
static void test_burst(void)
{
    ThrottleConfig config = config_of(THROTTLE_IOPS_READ, 10, 500, 1);
    Throttle throttle;

    g_assert_cmpuint(count_requests(&config, false, 512, 10), ==, 500 + 1 + 99);
    throttle_init(&throttle, &config, 0);
    for (int i = 0; i < 500; i++) {
        throttle_account(&throttle, false, 512);
    }
    /* It comes back as slowly as the average says. */
    g_assert_cmpint(throttle_wait_ns(&throttle, false, 0), ==, 0);
    throttle_account(&throttle, false, 512);
    g_assert_cmpint(throttle_wait_ns(&throttle, false, 0), >, 0);
    g_assert_cmpint(throttle_wait_ns(&throttle, false, 51 * SECOND), ==, 0);
    g_assert_cmpfloat(throttle.level[THROTTLE_IOPS_READ], ==, 0);
}

/* A longer one has the burst's rate, until it is used up. */
static void test_long_burst(void)
{
    ThrottleConfig config = config_of(THROTTLE_IOPS_WRITE, 100, 1000, 5);
    unsigned first = count_requests(&config, true, 512, 1);
    unsigned burst = count_requests(&config, true, 512, 5);
    unsigned all = count_requests(&config, true, 512, 25);

    g_assert_cmpuint(first, ==, 1000 + 100);
    g_assert_cmpuint(burst, ==, 5000 + 100);
    /* 5000 above the average, at most; then 100 a second: 5000 + 25 * 100 altogether. */
    g_assert_cmpuint(all, >=, 7499);
    g_assert_cmpuint(all, <=, 7502);
}

/* Reads and writes share a total. */
static void test_total(void)
{
    ThrottleConfig config = config_of(THROTTLE_IOPS_TOTAL, 10, 0, 1);
    Throttle throttle;
    unsigned n[2] = { 0 };

    throttle_init(&throttle, &config, 0);
    for (int64_t now = 0; now < 10 * SECOND; now += SECOND / 1000) {
        bool is_write = n[0] > n[1];

        if (throttle_wait_ns(&throttle, is_write, now) == 0) {
            throttle_account(&throttle, is_write, 1);
            n[is_write]++;
        }
    }
    g_assert_cmpuint(n[0] + n[1], >=, 100);
    g_assert_cmpuint(n[0] + n[1], <=, 102);
    g_assert_cmpuint(n[0] - n[1], <=, 1);
}

static void refuse(const ThrottleConfig *config, const char *words)
{
    GError *error = NULL;

    g_assert_false(throttle_config_check(config, &error));
    g_assert_nonnull(strstr(error->message, words));
    g_error_free(error);
}

static void test_checks(void)
{
    const int64_t most = (int64_t)THROTTLE_VALUE_MAX;
    ThrottleConfig config = config_of(THROTTLE_BPS_TOTAL, 1, 0, 1);

    config.limits[THROTTLE_BPS_WRITE].avg = 1;
    refuse(&config, "same time");
    config = config_of(THROTTLE_IOPS_TOTAL, 1, 2, 1);
    g_assert_true(throttle_config_check(&config, NULL));
    config.limits[THROTTLE_IOPS_READ].max = 2;
    refuse(&config, "same time");
    config = config_of(THROTTLE_IOPS_READ, 0, 10, 1);
    refuse(&config, "require corresponding");
    config = config_of(THROTTLE_IOPS_READ, 10, 9, 1);
    refuse(&config, "cannot be lower");
    config = config_of(THROTTLE_IOPS_READ, 10, 20, 0);
    refuse(&config, "cannot be 0");
    config = config_of(THROTTLE_IOPS_READ, 10, 0, 2);
    refuse(&config, "without burst rate");
    config = config_of(THROTTLE_IOPS_READ, 10, most, 2);
    refuse(&config, "too high for this burst rate");
    config = config_of(THROTTLE_IOPS_READ, 10, most / 2, 2);
    g_assert_true(throttle_config_check(&config, NULL));
    config = config_of(THROTTLE_BPS_READ, -1, 0, 1);
    refuse(&config, "must be within");
    config = config_of(THROTTLE_BPS_READ, most + 1, 0, 1);
    refuse(&config, "must be within");
    config = config_of(THROTTLE_BPS_READ, most, INT64_MAX, 1);
    refuse(&config, "must be within");
    config = config_of(THROTTLE_BPS_READ, 1, 0, 1);
    config.iops_size = 512;
    refuse(&config, "requires an iops value");
    config.limits[THROTTLE_IOPS_WRITE].avg = 1;
    g_assert_true(throttle_config_check(&config, NULL));
    config.iops_size = -1;
    refuse(&config, "iops size must be");
}

/* The longest request over the lowest limit. */
static void test_extremes(void)
{
    ThrottleConfig config = config_of(THROTTLE_BPS_TOTAL, 1, 0, 1);
    Throttle throttle;

    throttle_init(&throttle, &config, INT64_MAX - 1);
    throttle_account(&throttle, true, INT64_MAX);
    g_assert_cmpint(throttle_wait_ns(&throttle, true, INT64_MAX - 1), >, 0);
    g_assert_cmpint(throttle_wait_ns(&throttle, true, INT64_MAX), <=,
                    INT64_C(1000000000000000001));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/throttle/no-limits", test_no_limits);
    g_test_add_func("/throttle/averages", test_averages);
    g_test_add_func("/throttle/large-request", test_large_request);
    g_test_add_func("/throttle/iops-size", test_iops_size);
    g_test_add_func("/throttle/burst", test_burst);
    g_test_add_func("/throttle/long-burst", test_long_burst);
    g_test_add_func("/throttle/total", test_total);
    g_test_add_func("/throttle/checks", test_checks);
    g_test_add_func("/throttle/extremes", test_extremes);
    return g_test_run();
}
