/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core keeps of a node. For graph.c, perm.c, drain.c, open.c (main thread) and io.c (the
 * node's loop) only; drivers do not include this.
 */
#ifndef VIREO_BLOCK_NODE_INTERNAL_H
#define VIREO_BLOCK_NODE_INTERNAL_H

#include "block/io.h"
#include "block/node.h"

typedef struct BlockNodePrivate {
    /* ---- drain.c ---- */
    int in_flight;          /* requests and driver's work; atomic */
    int quiesce;            /* drained sections that cover this node; written by the main thread */
    int drained_all;        /* sections of all nodes that began while this one was there */

    /* ---- graph.c, open.c: main thread ---- */
    bool closing;           /* its last reference is gone; nobody may take a new one */
    bool opened;            /* the driver's open succeeded: close it */
    bool monitor_owned;     /* blockdev-add made it */
    bool implicit;          /* made by the program (a job's filter): not shown */
    struct IoThread *iothread; /* on whose loop it lives, where QMP has moved it; a reference */
    const BlockNode *backing_by_header; /* opened by the name in the header; to compare only */
    json_object *explicit_options; /* as given by the person, QMP's form */
    QapiFlags options_flags;       /* how text in them is to be read */

    /* ---- io*.c: the node's loop only, where nothing else is said ---- */
    GQueue tracked;         /* BlockTracked: requests in flight, in order of arrival */
    unsigned serialising;   /* how many of them others may have to wait for */
    uint64_t write_gen;     /* writes that have ended */
    uint64_t flushed_gen;   /* so many of them are stable */
    bool flushing;
    uint64_t flushes_begun, flushes_ended;
    int flush_result;       /* of the one that ended last */
    GQueue flush_waiters;   /* Coroutine */
    int64_t highest_write;  /* end of the farthest write, for statistics */
    uint64_t write_threshold; /* atomic: a write beyond it sends an event; 0: none */
    struct DirtyBitmap *bitmaps; /* linked list (block/dirty-bitmap.c) */
    GMutex bitmap_lock;     /* of the list, and of the bits of all of them */
    GHashTable *named_bitmaps; /* main thread; NULL: there was none yet */
} BlockNodePrivate;

/* graph.c: a node without a driver's state yet, one reference; and away with it. */
BlockNode *block_node_new(const BlockDriver *driver, const char *name, GError **error);
/* filename.c: node->filename, after opening and whenever the graph below has changed. */
void block_refresh_filename(BlockNode *node);
/* The same for all that stands on it, too. */
void block_refresh_filenames_above(BlockNode *node);
/* io.c */
void block_io_init(BlockNode *node);
void block_io_cleanup(BlockNode *node);
/*
 * io-facts.c: merge the children's limits, ask the driver, check the result. Afterwards the
 * alignments, max_transfer and max_iov are never 0.
 */
void block_refresh_limits(BlockNode *node);
/* The node's bitmaps hear of a write, zeroing or discard that has ended, and of a new size. */
void block_dirty_bitmaps_mark(BlockNode *node, int64_t offset, int64_t bytes);
void block_dirty_bitmaps_resize(BlockNode *node, int64_t size);
/* drain.c: an edge comes to, or leaves, a node that may be drained. */
void block_drain_child_added(BlockChild *edge, BlockNode *node);
void block_drain_child_removed(BlockChild *edge, BlockNode *node);
/* perm.c: of several nodes and all below them, as one change. */
bool block_nodes_refresh_perms(BlockNode *const *nodes, unsigned n, GError **error);
/* drain.c: the last request of a quiesced node ended. Any thread. */
void block_drain_kick(void);
/* perm.c: the usual needs of a node towards a child. */
void block_default_child_perm(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                              unsigned shared, unsigned *child_perm, unsigned *child_shared);
/* perm.c: what all parents of node together need, and what they share. */
void block_node_cumulative_perms(BlockNode *node, unsigned *perm, unsigned *shared);

#endif
