/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block driver for tests: a disk in memory that holds the core to its promises (alignment,
 * limits, range), counts what it is asked, takes its time, and fails when told to.
 */
#ifndef VIREO_BLOCK_TESTS_MEM_DRIVER_H
#define VIREO_BLOCK_TESTS_MEM_DRIVER_H

#include "block/io.h"
#include "block/node-internal.h"

typedef enum MemOp { MEM_READ, MEM_WRITE, MEM_ZERO, MEM_DISCARD, MEM_FLUSH, MEM__MAX } MemOp;

typedef struct MemDisk {
    uint8_t *data;
    int64_t capacity;
    BlockLimits limits;
    unsigned calls[MEM__MAX];
    int64_t last_offset[MEM__MAX], last_bytes[MEM__MAX];
    unsigned last_flags[MEM__MAX];
    /* The fail_at'th call of kind fail_op from now on (1: the next) gives -fail_errno. */
    MemOp fail_op;
    unsigned fail_at;
    int fail_errno;
    unsigned turns;       /* of the loop that each request takes */
    unsigned running, most_running;
    bool zero_unsupported;
    /* With a backing node: which units of 64 KiB have data of their own. */
    bool allocated[64];
} MemDisk;

#define MEM_UNIT 65536

/* With data 0x00 all over. mem_cow shows its backing file where nothing is allocated. */
extern const BlockDriver mem_driver, mem_growing_driver, mem_cow_driver, mem_filter_driver;

BlockNode *mem_node_new(const BlockDriver *driver, int64_t size, const BlockLimits *limits);
/* Drivers of other tests, whose nodes no options make: what opening would do to a new node. */
void mem_node_ready(BlockNode *node);
static inline MemDisk *mem_disk(BlockNode *node)
{
    return node->opaque;
}
/* An outsider's edge with all permissions, which shares all; detach it. */
BlockChild *mem_attach(BlockNode *node, unsigned perm);
/* Run fn in a coroutine on this loop until it and all that it started ended. */
void mem_run(void (*fn)(void));

#endif
