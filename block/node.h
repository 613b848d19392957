/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph: named nodes, and the edges between parents and children.
 *
 * A node is one driver at work: a file, an image format over it, a filter. An edge (BlockChild)
 * belongs to its parent, which is a node or somebody outside (a BlockBackend, a job), and says what
 * the parent does with the child and lets others do (BlockPerm). Requests go through edges.
 *
 * The graph changes on the main thread only, with the VM lock held, and only where nothing is in
 * flight (block_drain_begin). A node lives on one loop at a time, together with its children.
 */
#ifndef VIREO_BLOCK_NODE_H
#define VIREO_BLOCK_NODE_H

#include <glib.h>
#include <json-c/json.h>

#include "block/driver.h"
#include "block/types.h"
#include "util/co-lock.h"
#include "util/loop.h"
#include "util/notify.h"

/* How a node was opened: the options that every driver has. */
typedef struct BlockMode {
    bool read_only;
    bool auto_read_only;      /* falls back to read-only instead of failing */
    bool cache_direct;        /* O_DIRECT */
    bool cache_no_flush;      /* cache mode unsafe: flushes do nothing */
    bool discard_unmap;       /* else discards are dropped here */
    bool force_share;         /* no locks: whatever others do to the file is accepted */
    BlockdevDetectZeroesOptions detect_zeroes;
} BlockMode;

struct BlockNode {
    const BlockDriver *driver;
    void *opaque;             /* driver's state, instance_size bytes */
    char *name;
    bool name_is_generated;   /* "#block123" */
    uint32_t refs;
    Loop *loop;
    BlockMode mode;
    unsigned open_flags;      /* BlockOpenFlags */
    bool probed;              /* the format was guessed from the content */

    /* Set by the driver's open. */
    int64_t size;             /* bytes; block_getlength() for who wants to be sure */
    BlockLimits limits;
    unsigned write_flags;     /* BlockReqFlags that pwritev takes: FUA, WRITE_UNCHANGED */
    unsigned zero_flags;      /* that pwrite_zeroes takes: FUA, MAY_UNMAP, NO_FALLBACK */
    unsigned truncate_flags;
    char *header_backing_file, *header_backing_format; /* as the image says; NULL */

    char *filename;           /* for people, and to open it again; "" if there is none */
    json_object *options;     /* complete, as given: QMP's form, children by node name */

    BlockChild *file;         /* the primary child, or NULL */
    BlockChild *backing;      /* or NULL */
    GPtrArray *children;      /* BlockChild, owned */
    GPtrArray *parents;       /* BlockChild, borrowed */

    /* The rest is the core's own (block/node-internal.h says what it means). */
    struct BlockNodePrivate *p;
};

/* Whoever holds an edge without being a node. */
typedef struct BlockParentOps {
    /* "block device 'virtio0'": for errors about permissions. Caller frees. */
    char *(*describe)(void *parent);
    /* Submit nothing new, and finish what is queued / go on. Main thread. */
    void (*drain_begin)(void *parent);
    bool (*drain_poll)(void *parent); /* still something in flight? NULL: no */
    void (*drain_end)(void *parent);
    void (*resized)(void *parent);
    /* May the child move to another loop? NULL: no, unless this is its loop already. */
    bool (*can_move)(void *parent, Loop *loop, GError **error);
    /* All edges of this parent (BlockChild), whose nodes move together. NULL: this one. */
    const GPtrArray *(*edges)(void *parent);
    void (*moved)(void *parent, Loop *loop);
    /* This parent goes along when a node is replaced (else block_replace leaves it). NULL: yes. */
    bool stays_with_node;
} BlockParentOps;

struct BlockChild {
    BlockNode *node;          /* owned reference; NULL: no medium */
    char *name;               /* "file" */
    unsigned role;            /* BlockRole bits */
    unsigned perm, shared;    /* BlockPerm bits in force */
    BlockNode *parent_node;   /* or NULL: then */
    const BlockParentOps *ops;
    void *parent;
};

BlockNode *block_node_ref(BlockNode *node);
/* The last one closes. NULL is ignored. Main thread; waits for what is in flight. */
void block_node_unref(BlockNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockNode, block_node_unref)

/* Borrowed, or NULL. A device's name (of its BlockBackend) is not looked for here. */
BlockNode *block_node_find(const char *name);
/* All nodes, in order of creation; the array is the caller's, the nodes are borrowed. */
GPtrArray *block_node_list(void);
/* NULL; or the error says why no node can be called so. */
bool block_node_name_valid(const char *name, GError **error);
/*
 * Drivers, in open, where writing is impossible for the reason given: the node becomes read-only if
 * it may (auto-read-only), else false with the error set.
 */
bool block_node_fall_to_read_only(BlockNode *node, const char *reason, GError **error);
static inline bool block_node_is_read_only(const BlockNode *node)
{
    return node->mode.read_only;
}

/* ---- Edges ---- */

/*
 * Attach `node` (takes a reference of its own) as a child of a node, or of an outsider. Fails if
 * another parent does not share what is wanted, or the node cannot come to the parent's loop.
 */
BlockChild *block_node_attach(BlockNode *parent, BlockNode *node, const char *name, unsigned role,
                              GError **error);
BlockChild *block_parent_attach(const BlockParentOps *ops, void *parent, BlockNode *node,
                                const char *name, unsigned role, unsigned perm, unsigned shared,
                                GError **error);
/* Drops the edge and its reference. NULL is ignored. */
void block_child_detach(BlockChild *child);
/* Another node at the end of this edge; permissions are checked first. */
bool block_child_replace(BlockChild *child, BlockNode *node, GError **error);
bool block_child_set_perm(BlockChild *child, unsigned perm, unsigned shared, GError **error);
/* Ask all parents again; for drivers whose needs have changed. */
bool block_node_refresh_perms(BlockNode *node, GError **error);
/*
 * All parents of `from` that go along come to `to`, but for `to` itself and what it stands on. All
 * or nothing.
 */
bool block_node_replace(BlockNode *from, BlockNode *to, GError **error);
/* `top`, which has no parents yet, gets `node` as `child_name` and takes over its parents. */
bool block_node_insert_above(BlockNode *top, BlockNode *node, const char *child_name, unsigned role,
                             GError **error);
/* node may be NULL. Changes the graph, not the image's header. */
bool block_node_set_backing(BlockNode *node, BlockNode *backing, GError **error);

/* ---- Ways down ---- */

/* The child whose data this filter shows, or NULL. */
BlockChild *block_filter_child(BlockNode *node);
/* The child that answers where this node has nothing: backing, or a filter's only child; NULL. */
BlockNode *block_filter_or_cow_node(BlockNode *node);
BlockNode *block_skip_filters(BlockNode *node);
BlockNode *block_backing_chain_next(BlockNode *node);
/* Is `base` in the chain below top (or top itself)? */
bool block_chain_contains(BlockNode *top, BlockNode *base);
/* The child that holds the storage: role PRIMARY, or NULL. */
BlockChild *block_primary_child(BlockNode *node);

/* ---- Drain ---- */

/*
 * No request of a parent is in flight in this node and below, and none comes until the end. Nests.
 * Main thread; runs the loop while it waits, or yields if in a coroutine.
 */
void block_drain_begin(BlockNode *node);
void block_drain_end(BlockNode *node);
void block_drain_all_begin(void);
void block_drain_all_end(void);

/* ---- Loops ---- */

/* With all that hangs together with it. Main thread. */
bool block_node_set_loop(BlockNode *node, Loop *loop, GError **error);

/* Control code that must wait for disks: run fn as a coroutine on the node's loop until it ends.
 * From a coroutine it is called directly. Main thread. */
typedef void BlockRunFn(void *opaque);
void block_run(BlockNode *node, BlockRunFn *fn, void *opaque);

#endif
