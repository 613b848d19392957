/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting requests.
 *
 * Statistics "of the last n seconds" are kept in two halves of an interval: the one that is being
 * filled and the one before it. Reported is what both hold, that is the last n/2 to n seconds. The
 * average queue depth follows from latencies: the time that requests spent here, all together, per
 * time that passed.
 */
#include "block/accounting.h"

#include "util/timer.h"

typedef struct Latencies {
    int64_t min, max, sum, count;
} Latencies;

typedef struct Interval {
    int64_t half_ns;
    int64_t half_start;
    int64_t before_ns; /* how long the half before lasted; 0: there was none */
    Latencies now[BLOCK_ACCT__MAX], before[BLOCK_ACCT__MAX];
} Interval;

typedef struct Histogram {
    GArray *boundaries; /* uint64_t; NULL: none */
    GArray *bins;       /* uint64_t, one more */
} Histogram;

typedef struct Counter {
    int64_t bytes, operations, failed, invalid, total_ns, merged;
    Histogram histogram;
} Counter;

struct BlockAccounting {
    GMutex lock;
    Counter counters[BLOCK_ACCT__MAX];
    GArray *intervals; /* Interval */
    int64_t last_access_ns; /* 0: none yet */
    bool account_invalid, account_failed;
};

/* ---- Latencies ---- */

static void latencies_add(Latencies *l, int64_t ns)
{
    l->min = l->count ? MIN(l->min, ns) : ns;
    l->max = MAX(l->max, ns);
    l->sum += ns;
    l->count++;
}

static Latencies latencies_merge(const Latencies *a, const Latencies *b)
{
    return (Latencies) {
        .min = !a->count ? b->min : !b->count ? a->min : MIN(a->min, b->min),
        .max = MAX(a->max, b->max),
        .sum = a->sum + b->sum,
        .count = a->count + b->count,
    };
}

static void interval_turn(Interval *interval, int64_t now)
{
    int64_t passed = now - interval->half_start;

    if (passed < interval->half_ns) {
        return;
    }
    if (passed < 2 * interval->half_ns) {
        memcpy(interval->before, interval->now, sizeof(interval->now));
    } else {
        memset(interval->before, 0, sizeof(interval->before)); /* nothing in all that time */
    }
    memset(interval->now, 0, sizeof(interval->now));
    interval->before_ns = interval->half_ns;
    interval->half_start = now - passed % interval->half_ns;
}

/* ---- Histograms ---- */

static void histogram_clear(Histogram *histogram)
{
    g_clear_pointer(&histogram->boundaries, g_array_unref);
    g_clear_pointer(&histogram->bins, g_array_unref);
}

/* The bin of a latency is the number of boundaries that are not above it. */
static void histogram_add(Histogram *histogram, uint64_t ns)
{
    guint low = 0, high;

    if (!histogram->boundaries) {
        return;
    }
    high = histogram->boundaries->len;
    while (low < high) {
        guint middle = (low + high) / 2;

        if (g_array_index(histogram->boundaries, uint64_t, middle) <= ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    g_array_index(histogram->bins, uint64_t, low)++;
}

static BlockLatencyHistogramInfo *histogram_report(const Histogram *histogram)
{
    BlockLatencyHistogramInfo *info;

    if (!histogram->boundaries) {
        return NULL;
    }
    info = g_new0(BlockLatencyHistogramInfo, 1);
    info->boundaries = g_array_copy(histogram->boundaries);
    info->bins = g_array_copy(histogram->bins);
    return info;
}

static bool boundaries_ascend(const GArray *boundaries)
{
    uint64_t last = 0;

    for (guint i = 0; i < boundaries->len; i++) {
        uint64_t boundary = g_array_index(boundaries, uint64_t, i);

        if (boundary <= last) {
            return false;
        }
        last = boundary;
    }
    return true;
}

bool block_accounting_set_histogram(BlockAccounting *acct, BlockAcctKind kind,
                                    const GArray *boundaries)
{
    Histogram *histogram = &acct->counters[kind].histogram;

    if (boundaries && !boundaries_ascend(boundaries)) {
        return false;
    }
    g_mutex_lock(&acct->lock);
    histogram_clear(histogram);
    if (boundaries) {
        histogram->boundaries = g_array_copy((GArray *)boundaries);
        histogram->bins = g_array_new(FALSE, TRUE, sizeof(uint64_t));
        g_array_set_size(histogram->bins, boundaries->len + 1);
    }
    g_mutex_unlock(&acct->lock);
    return true;
}

/* ---- Life ---- */

BlockAccounting *block_accounting_new(void)
{
    BlockAccounting *acct = g_new0(BlockAccounting, 1);

    g_mutex_init(&acct->lock);
    acct->intervals = g_array_new(FALSE, TRUE, sizeof(Interval));
    acct->account_invalid = true;
    acct->account_failed = true;
    return acct;
}

void block_accounting_free(BlockAccounting *acct)
{
    for (BlockAcctKind kind = 0; kind < BLOCK_ACCT__MAX; kind++) {
        histogram_clear(&acct->counters[kind].histogram);
    }
    g_array_unref(acct->intervals);
    g_mutex_clear(&acct->lock);
    g_free(acct);
}

void block_accounting_set(BlockAccounting *acct, bool invalid, bool failed)
{
    g_mutex_lock(&acct->lock);
    acct->account_invalid = invalid;
    acct->account_failed = failed;
    g_mutex_unlock(&acct->lock);
}

void block_accounting_add_interval(BlockAccounting *acct, unsigned seconds)
{
    Interval interval = {
        .half_ns = MAX(seconds, 1) * NS_PER_SEC / 2,
        .half_start = vm_clock_ns(VM_CLOCK_REALTIME),
    };

    g_mutex_lock(&acct->lock);
    g_array_append_val(acct->intervals, interval);
    g_mutex_unlock(&acct->lock);
}

/* ---- Counting ---- */

static void count_latency(BlockAccounting *acct, BlockAcctKind kind, int64_t ns, int64_t now)
{
    acct->counters[kind].total_ns += ns;
    histogram_add(&acct->counters[kind].histogram, (uint64_t)ns);
    for (guint i = 0; i < acct->intervals->len; i++) {
        Interval *interval = &g_array_index(acct->intervals, Interval, i);

        interval_turn(interval, now);
        latencies_add(&interval->now[kind], ns);
    }
}

void block_accounting_count(BlockAccounting *acct, BlockAcctKind kind, BlockAcctOutcome outcome,
                            int64_t bytes, int64_t start_ns, int64_t now_ns)
{
    Counter *counter = &acct->counters[kind];

    g_mutex_lock(&acct->lock);
    switch (outcome) {
    case BLOCK_ACCT_DONE:
        counter->bytes += bytes;
        counter->operations++;
        break;
    case BLOCK_ACCT_FAILED:
        counter->failed++;
        break;
    case BLOCK_ACCT_INVALID:
        counter->invalid++;
        break;
    }
    if (outcome == BLOCK_ACCT_DONE || (outcome == BLOCK_ACCT_FAILED && acct->account_failed)) {
        count_latency(acct, kind, MAX(now_ns - start_ns, 0), now_ns);
        acct->last_access_ns = now_ns;
    } else if (outcome == BLOCK_ACCT_INVALID && acct->account_invalid) {
        acct->last_access_ns = now_ns;
    }
    g_mutex_unlock(&acct->lock);
}

void block_accounting_merged(BlockAccounting *acct, BlockAcctKind kind, unsigned n)
{
    g_mutex_lock(&acct->lock);
    acct->counters[kind].merged += n;
    g_mutex_unlock(&acct->lock);
}

/* ---- Reporting ---- */

static int64_t average(const Latencies *l)
{
    return l->count ? l->sum / l->count : 0;
}

static BlockDeviceTimedStats *report_interval(Interval *interval, int64_t now)
{
    BlockDeviceTimedStats *stats = g_new0(BlockDeviceTimedStats, 1);
    Latencies all[BLOCK_ACCT__MAX];
    double elapsed;

    interval_turn(interval, now);
    for (BlockAcctKind kind = 0; kind < BLOCK_ACCT__MAX; kind++) {
        all[kind] = latencies_merge(&interval->now[kind], &interval->before[kind]);
    }
    elapsed = (double)MAX(now - interval->half_start + interval->before_ns, 1);
    stats->interval_length = interval->half_ns * 2 / NS_PER_SEC;
    stats->min_rd_latency_ns = all[BLOCK_ACCT_READ].min;
    stats->max_rd_latency_ns = all[BLOCK_ACCT_READ].max;
    stats->avg_rd_latency_ns = average(&all[BLOCK_ACCT_READ]);
    stats->min_wr_latency_ns = all[BLOCK_ACCT_WRITE].min;
    stats->max_wr_latency_ns = all[BLOCK_ACCT_WRITE].max;
    stats->avg_wr_latency_ns = average(&all[BLOCK_ACCT_WRITE]);
    stats->min_flush_latency_ns = all[BLOCK_ACCT_FLUSH].min;
    stats->max_flush_latency_ns = all[BLOCK_ACCT_FLUSH].max;
    stats->avg_flush_latency_ns = average(&all[BLOCK_ACCT_FLUSH]);
    stats->avg_rd_queue_depth = (double)all[BLOCK_ACCT_READ].sum / elapsed;
    stats->avg_wr_queue_depth = (double)all[BLOCK_ACCT_WRITE].sum / elapsed;
    return stats;
}

static void report_counters(const Counter *c, BlockDeviceStats *stats)
{
    stats->rd_bytes = c[BLOCK_ACCT_READ].bytes;
    stats->wr_bytes = c[BLOCK_ACCT_WRITE].bytes;
    stats->unmap_bytes = c[BLOCK_ACCT_UNMAP].bytes;
    stats->rd_operations = c[BLOCK_ACCT_READ].operations;
    stats->wr_operations = c[BLOCK_ACCT_WRITE].operations;
    stats->flush_operations = c[BLOCK_ACCT_FLUSH].operations;
    stats->unmap_operations = c[BLOCK_ACCT_UNMAP].operations;
    stats->failed_rd_operations = c[BLOCK_ACCT_READ].failed;
    stats->failed_wr_operations = c[BLOCK_ACCT_WRITE].failed;
    stats->failed_flush_operations = c[BLOCK_ACCT_FLUSH].failed;
    stats->failed_unmap_operations = c[BLOCK_ACCT_UNMAP].failed;
    stats->invalid_rd_operations = c[BLOCK_ACCT_READ].invalid;
    stats->invalid_wr_operations = c[BLOCK_ACCT_WRITE].invalid;
    stats->invalid_flush_operations = c[BLOCK_ACCT_FLUSH].invalid;
    stats->invalid_unmap_operations = c[BLOCK_ACCT_UNMAP].invalid;
    stats->rd_merged = c[BLOCK_ACCT_READ].merged;
    stats->wr_merged = c[BLOCK_ACCT_WRITE].merged;
    stats->unmap_merged = c[BLOCK_ACCT_UNMAP].merged;
    stats->rd_total_time_ns = c[BLOCK_ACCT_READ].total_ns;
    stats->wr_total_time_ns = c[BLOCK_ACCT_WRITE].total_ns;
    stats->flush_total_time_ns = c[BLOCK_ACCT_FLUSH].total_ns;
    stats->unmap_total_time_ns = c[BLOCK_ACCT_UNMAP].total_ns;
    stats->rd_latency_histogram = histogram_report(&c[BLOCK_ACCT_READ].histogram);
    stats->wr_latency_histogram = histogram_report(&c[BLOCK_ACCT_WRITE].histogram);
    stats->flush_latency_histogram = histogram_report(&c[BLOCK_ACCT_FLUSH].histogram);
}

void block_accounting_report(BlockAccounting *acct, BlockDeviceStats *stats)
{
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME);

    g_mutex_lock(&acct->lock);
    report_counters(acct->counters, stats);
    stats->has_idle_time_ns = acct->last_access_ns != 0;
    stats->idle_time_ns = stats->has_idle_time_ns ? now - acct->last_access_ns : 0;
    stats->account_invalid = acct->account_invalid;
    stats->account_failed = acct->account_failed;
    for (guint i = 0; i < acct->intervals->len; i++) {
        g_ptr_array_add(stats->timed_stats,
                        report_interval(&g_array_index(acct->intervals, Interval, i), now));
    }
    g_mutex_unlock(&acct->lock);
}
