/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vCPU has done, for those who tune it (`info jit`). Its thread counts; others may read, and
 * see what is a moment old.
 */
#ifndef VIREO_ACCEL_EMU_STATS_H
#define VIREO_ACCEL_EMU_STATS_H

#include <stdint.h>

typedef struct EmuStats {
    /* Blocks that are there now; those that ever were; what writes to their page took away. */
    uint64_t blocks, decoded, retired;
    uint64_t cache_flushes;     /* a full cache was emptied, or all blocks had to go */
    /* The jump cache of the run loop: not found in it. */
    uint64_t lookups;
    /* Host code: translated blocks, their bytes, links between them that were made. */
    uint64_t translated, guest_bytes, host_bytes, links;
    uint64_t entries;           /* from the run loop into host code */
    uint64_t callouts;          /* from host code to handlers: no code for it, TLB misses */
    uint64_t jump_misses;       /* the table of host code by linear address had no entry */
    /* Looks into the second-level TLB, and how many of them came to a page walk. */
    uint64_t tlb_misses, walks;
    uint64_t flushes, local_flushes, page_flushes;
} EmuStats;

#endif
