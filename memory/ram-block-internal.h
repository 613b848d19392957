/* SPDX-License-Identifier: Apache-2.0 */
/* The RAM block's struct, for ram-block.c and dirty.c. */
#ifndef VIREO_MEMORY_RAM_BLOCK_INTERNAL_H
#define VIREO_MEMORY_RAM_BLOCK_INTERNAL_H

#include "util/rcu.h"

#include "memory/ram-block.h"

struct RamBlock {
    uint8_t *host;
    uint64_t length;
    uint64_t max_length;
    uint64_t page_size;
    uint64_t fd_offset;
    int fd;
    bool owned;   /* mapped here, so unmapped here */
    int discard_advice; /* atomic: which madvise(2) advice works; 0: not known yet */
    char *idstr;
    MemoryRegion *region;
    uint64_t serial; /* order of creation */
    /*
     * One bit per RAM_PAGE_SIZE; made when a client first logs, kept until the block goes. Atomic
     * access.
     */
    unsigned long *dirty[DIRTY__MAX];
    RamWatch *watch; /* atomic; set once */
    void (*resized)(void *opaque, uint64_t size);
    void *opaque;
    struct rcu_head rcu;
};

#endif
