/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of a backend: how many requests, how much, how long. A BlockBackend counts its own
 * requests; devices add what only they know (merged requests).
 *
 * Any thread.
 */
#ifndef VIREO_BLOCK_ACCOUNTING_H
#define VIREO_BLOCK_ACCOUNTING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qapi-types-block-stats.h"

typedef enum BlockAcctKind {
    BLOCK_ACCT_READ,
    BLOCK_ACCT_WRITE,
    BLOCK_ACCT_FLUSH,
    BLOCK_ACCT_UNMAP,
    BLOCK_ACCT__MAX,
} BlockAcctKind;

typedef enum BlockAcctOutcome {
    BLOCK_ACCT_DONE,
    BLOCK_ACCT_FAILED,
    BLOCK_ACCT_INVALID, /* refused before it began: out of range, no medium */
} BlockAcctOutcome;

typedef struct BlockAccounting BlockAccounting;

BlockAccounting *block_accounting_new(void);
void block_accounting_free(BlockAccounting *acct);

/* Do invalid and failed requests end idle time, and failed ones count as latencies? First: yes. */
void block_accounting_set(BlockAccounting *acct, bool invalid, bool failed);
/* Also keep statistics of the last `seconds` (stats-intervals). */
void block_accounting_add_interval(BlockAccounting *acct, unsigned seconds);
/*
 * Count latencies by boundaries: uint64_t nanoseconds, ascending, none 0; without any there is
 * one bin. NULL: stop, and forget. False: they are not ascending.
 */
bool block_accounting_set_histogram(BlockAccounting *acct, BlockAcctKind kind,
                                    const GArray *boundaries);

/* A request that began at start_ns has ended at now_ns (both VM_CLOCK_REALTIME). */
void block_accounting_count(BlockAccounting *acct, BlockAcctKind kind, BlockAcctOutcome outcome,
                            int64_t bytes, int64_t start_ns, int64_t now_ns);
/* So many requests of the guest were done as part of others. */
void block_accounting_merged(BlockAccounting *acct, BlockAcctKind kind, unsigned n);

/* Fill in all but wr_highest_offset, which is the node's. */
void block_accounting_report(BlockAccounting *acct, BlockDeviceStats *stats);

#endif
