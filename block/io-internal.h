/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the I/O path share. The way of a request through a node:
 *
 *   io.c         checks, counting in flight, write hooks; the public functions
 *   io-track.c   order among overlapping requests
 *   io-align.c   splitting, bouncing and padding to what the driver takes
 *   driver
 *
 * All of it runs in coroutines on the node's loop, so that none of it needs a lock.
 */
#ifndef VIREO_BLOCK_IO_INTERNAL_H
#define VIREO_BLOCK_IO_INTERNAL_H

#include "block/node-internal.h"
#include "util/bits.h"
#include "util/coroutine.h"

/* Bounce buffers are not longer, unless one block is. */
#define BLOCK_BOUNCE_MAX (256 * 1024)

/* ---- Waiting on one loop ---- */

/* In a coroutine: until wake_waiters. */
static inline void wait_in(GQueue *waiters)
{
    GList link = { .data = coroutine_current() };

    g_queue_push_tail_link(waiters, &link);
    coroutine_yield();
}

static inline void wake_waiters(GQueue *waiters)
{
    GList *link;

    while ((link = g_queue_pop_head_link(waiters))) {
        coroutine_wake(link->data);
    }
}

/* ---- io-track.c ---- */

/* A request in flight, on its coroutine's stack. */
typedef struct BlockTracked {
    BlockNode *node;
    int64_t offset, bytes; /* of a serialising one: in whole blocks */
    bool serialising;
    GList link;            /* in node->p->tracked */
    GQueue waiters;        /* Coroutine: for this one's end */
} BlockTracked;

/* Put it behind those in flight; of a serialising one the range is widened to `granularity`. */
void block_track_begin(BlockTracked *req, BlockNode *node, int64_t offset, int64_t bytes,
                       bool serialising, int64_t granularity);
/* Until no earlier request is in its way. -EBUSY if it would have to wait and must not. */
int block_track_wait(BlockTracked *req, bool no_wait);
void block_track_end(BlockTracked *req);

/* ---- io-align.c: any offset and length, no checks ---- */

int block_io_read(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                  size_t vec_offset, unsigned flags);
/* vec NULL: zeroes. Flags that the driver does not take are dropped. */
int block_io_write(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                   size_t vec_offset, unsigned flags);

/* ---- io-zero.c ---- */

/* *stable: with BLOCK_REQ_FUA in flags, was it heeded? */
int block_io_zero(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags, bool *stable);

/* ---- io-copy.c ---- */

/* Read, and write into the node what it does not have itself; within a tracked request. */
int block_io_copy_on_read(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                          size_t vec_offset, unsigned flags);
/* How fine copying on read goes: clusters, if they are of a reasonable size. */
int64_t block_copy_granularity(BlockNode *node);

/* ---- io.c ---- */

/* 0 <= offset, 0 <= bytes, and the end no farther than an image may be. */
static inline bool block_range_valid(int64_t offset, int64_t bytes)
{
    return offset >= 0 && bytes >= 0 && offset <= BLOCK_MAX_LENGTH &&
           bytes <= BLOCK_MAX_LENGTH - offset;
}

/* The node's size; asked again if the range reaches beyond it and it may have changed. */
int64_t block_size_for(BlockNode *node, int64_t end);

/* May this edge write, and there? Where it may not, -errno. */
int block_write_check(BlockChild *child, int64_t offset, int64_t bytes, unsigned flags);
/*
 * A change of the node's content begins: counted, hooks told, waited for overlapping requests. On
 * failure it is over. ragged: blocks are read and written that belong to it in part only.
 */
int block_write_begin(BlockTracked *req, BlockNode *node, int64_t offset, int64_t bytes,
                      unsigned flags, bool ragged);
/*
 * It ends, with `result`, which is returned; may be an error yet if flush is set: then what was
 * written is made stable.
 */
int block_write_end(BlockTracked *req, int64_t offset, int64_t bytes, int result, bool flush);

static inline bool block_is_ragged(const BlockNode *node, int64_t offset, int64_t bytes)
{
    return ((offset | bytes) & (node->limits.request_alignment - 1)) != 0;
}

static inline void block_node_debug_event(BlockNode *node, BlkdebugEvent event)
{
    if (node->driver->debug_event) {
        node->driver->debug_event(node, event);
    }
}

static inline int64_t round_down_to(int64_t value, int64_t alignment)
{
    return value & ~(alignment - 1);
}

static inline int64_t round_up_to(int64_t value, int64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

#endif
