/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends: making and finding them, what is in them, who owns them.
 *
 * A backend counts its requests itself (in_flight), since between two of them there may be no node.
 * While the node below is drained, `quiesce` is not 0 and new requests wait in the queue. Root,
 * loop and medium change only then, so that requests need no lock to look at them.
 */
#include "block/backend.h"

#include <errno.h>
#include <string.h>

#include "block/backend-internal.h"
#include "block/node-internal.h"
#include "block/open.h"
#include "util/coroutine.h"
#include "util/error.h"

static GQueue backends; /* a process has one set of drives; main thread */

/* ---- As a parent ---- */

static char *describe(void *parent)
{
    BlockBackend *blk = parent;

    if (blk->name || blk->owner_name) {
        return g_strdup_printf("block device '%s'", blk->name ? blk->name : blk->owner_name);
    }
    return g_strdup("an unnamed block device");
}

static void quiesce(void *parent)
{
    BlockBackend *blk = parent;

    if (__atomic_fetch_add(&blk->quiesce, 1, __ATOMIC_SEQ_CST) > 0) {
        return;
    }
    throttle_member_bypass_begin(&blk->throttle);
    if (blk->ops && blk->ops->drain_begin) {
        blk->ops->drain_begin(blk->owner);
    }
}

static bool is_busy(void *parent)
{
    BlockBackend *blk = parent;

    return __atomic_load_n(&blk->in_flight, __ATOMIC_SEQ_CST) > 0;
}

static void resume(void *parent)
{
    BlockBackend *blk = parent;

    if (__atomic_sub_fetch(&blk->quiesce, 1, __ATOMIC_SEQ_CST) == 0) {
        throttle_member_bypass_end(&blk->throttle);
        block_backend_wake_queued(blk);
        if (blk->ops && blk->ops->drain_end) {
            blk->ops->drain_end(blk->owner);
        }
    }
}

/* On the node's loop; the owner hears of it on the main one. */
static void node_resized(void *parent)
{
    BlockBackend *blk = parent;

    loop_bh_schedule(blk->resized);
}

static void tell_resized(void *opaque)
{
    BlockBackend *blk = opaque;

    if (blk->ops && blk->ops->resized) {
        blk->ops->resized(blk->owner);
    }
}

static bool can_move(void *parent, Loop *loop, GError **error)
{
    BlockBackend *blk = parent;

    return blk->loop == loop || blk->moving_to == loop || !blk->fixed_loop;
}

static void moved(void *parent, Loop *loop)
{
    BlockBackend *blk = parent;

    blk->loop = loop;
}

static const BlockParentOps backend_parent_ops = {
    .describe = describe,
    .drain_begin = quiesce,
    .drain_poll = is_busy,
    .drain_end = resume,
    .resized = node_resized,
    .can_move = can_move,
    .moved = moved,
};

/* ---- Life ---- */

BlockBackend *block_backend_new(Loop *loop, unsigned perm, unsigned shared)
{
    BlockBackend *blk = g_new0(BlockBackend, 1);

    blk->refs = 1;
    blk->loop = loop;
    blk->perm = perm;
    blk->shared = shared;
    blk->write_cache = true;
    blk->on_read_error = BLOCKDEV_ON_ERROR_AUTO;
    blk->on_write_error = BLOCKDEV_ON_ERROR_AUTO;
    blk->accounting = block_accounting_new();
    blk->resized = loop_bh_new(loop_main(), tell_resized, blk);
    g_mutex_init(&blk->queue_lock);
    g_queue_push_tail(&backends, blk);
    return blk;
}

BlockBackend *block_backend_open(const char *filename, const char *reference, json_object *options,
                                 QapiFlags qapi_flags, unsigned open_flags, unsigned perm,
                                 unsigned shared, GError **error)
{
    g_autoptr(BlockNode) node = block_open(filename, reference, options, qapi_flags, open_flags,
                                           error);
    BlockBackend *blk;

    if (!node) {
        return NULL;
    }
    blk = block_backend_new(node->loop, perm, shared);
    if (!block_backend_insert(blk, node, error)) {
        block_backend_unref(blk);
        return NULL;
    }
    return blk;
}

BlockBackend *block_backend_ref(BlockBackend *blk)
{
    blk->refs++;
    return blk;
}

void block_backend_unref(BlockBackend *blk)
{
    if (!blk || --blk->refs > 0) {
        return;
    }
    g_assert(!blk->ops);
    block_backend_remove(blk);
    if (blk->loop != loop_main()) {
        /* Its thread may still be in block_backend_leave(). */
        loop_synchronize(blk->loop);
    }
    g_assert(blk->in_flight == 0 && blk->queued.length == 0);
    throttle_member_leave(&blk->throttle);
    g_queue_remove(&backends, blk);
    loop_bh_free(blk->resized);
    block_accounting_free(blk->accounting);
    g_mutex_clear(&blk->queue_lock);
    g_free(blk->name);
    g_free(blk);
}

GPtrArray *block_backend_list(void)
{
    GPtrArray *list = g_ptr_array_new();

    for (GList *l = backends.head; l; l = l->next) {
        g_ptr_array_add(list, l->data);
    }
    return list;
}

/* ---- The medium ---- */

bool block_backend_insert(BlockBackend *blk, BlockNode *node, GError **error)
{
    if (blk->root) {
        error_setf(error, "There is a medium in the device already");
        return false;
    }
    if (!block_node_set_loop(node, blk->loop, error)) {
        return false;
    }
    blk->root = block_parent_attach(&backend_parent_ops, blk, node, "root",
                                    BLOCK_ROLE_FILTERED | BLOCK_ROLE_PRIMARY, blk->perm,
                                    blk->shared, error);
    return blk->root != NULL;
}

void block_backend_remove(BlockBackend *blk)
{
    BlockChild *root = blk->root;
    BlockNode *node;

    if (!root) {
        block_backend_drain(blk);
        return;
    }
    node = block_node_ref(root->node);
    blk->medium_mode = node->mode;
    block_drain_begin(node);
    blk->root = NULL;
    block_child_detach(root);
    block_drain_end(node);
    block_node_unref(node);
}

BlockNode *block_backend_node(BlockBackend *blk)
{
    return blk->root ? blk->root->node : NULL;
}

BlockChild *block_backend_root(BlockBackend *blk)
{
    return blk->root;
}

bool block_backend_set_perm(BlockBackend *blk, unsigned perm, unsigned shared, GError **error)
{
    if (blk->root && !block_child_set_perm(blk->root, perm, shared, error)) {
        return false;
    }
    blk->perm = perm;
    blk->shared = shared;
    return true;
}

void block_backend_get_perm(BlockBackend *blk, unsigned *perm, unsigned *shared)
{
    *perm = blk->perm;
    *shared = blk->shared;
}

Loop *block_backend_loop(BlockBackend *blk)
{
    return blk->loop;
}

bool block_backend_set_loop(BlockBackend *blk, Loop *loop, GError **error)
{
    bool ok = true;

    if (blk->root) {
        blk->moving_to = loop;
        ok = block_node_set_loop(blk->root->node, loop, error);
        blk->moving_to = NULL;
    }
    if (ok) {
        blk->loop = loop;
    }
    return ok;
}

void block_backend_set_fixed_loop(BlockBackend *blk, bool fixed)
{
    blk->fixed_loop = fixed;
}

static void wait_a_turn(void)
{
    if (coroutine_current()) {
        coroutine_wake(coroutine_current());
        coroutine_yield();
    } else {
        loop_iterate(loop_main(), true);
    }
}

void block_backend_drain(BlockBackend *blk)
{
    BlockNode *node = block_backend_node(blk);

    if (node) {
        block_drain_begin(node);
        block_drain_end(node);
        return;
    }
    /* Requests that found no medium are about to tell it. */
    quiesce(blk);
    while (is_busy(blk)) {
        wait_a_turn();
    }
    resume(blk);
}

/* ---- Names ---- */

BlockBackend *block_backend_find(const char *name)
{
    for (GList *l = backends.head; l; l = l->next) {
        BlockBackend *blk = l->data;

        if (blk->name && !strcmp(blk->name, name)) {
            return blk;
        }
    }
    return NULL;
}

BlockBackend *block_backend_find_by_owner(const char *name)
{
    for (GList *l = backends.head; l; l = l->next) {
        BlockBackend *blk = l->data;

        if (blk->owner_name && !strcmp(blk->owner_name, name)) {
            return blk;
        }
    }
    return NULL;
}

bool block_backend_set_name(BlockBackend *blk, const char *name, GError **error)
{
    if (block_backend_find(name)) {
        error_setf(error, "Device with id '%s' already exists", name);
        return false;
    }
    if (block_node_find(name)) {
        error_setf(error, "Device name '%s' conflicts with an existing node name", name);
        return false;
    }
    g_free(blk->name);
    blk->name = g_strdup(name);
    return true;
}

void block_backend_drop_name(BlockBackend *blk)
{
    g_clear_pointer(&blk->name, g_free);
}

const char *block_backend_name(BlockBackend *blk)
{
    return blk->name;
}

/* ---- Owners ---- */

bool block_backend_attach_owner(BlockBackend *blk, const BlockBackendOps *ops, void *owner,
                                const char *name, GError **error)
{
    if (blk->ops) {
        g_autofree char *what = describe(blk);

        error_setf(error, "%s is in use by '%s' already", what, blk->owner_name);
        return false;
    }
    blk->ops = ops;
    blk->owner = owner;
    blk->owner_name = name;
    blk->fixed_loop = true;
    block_backend_ref(blk);
    if (blk->quiesce && ops->drain_begin) {
        ops->drain_begin(owner);
    }
    return true;
}

void block_backend_detach_owner(BlockBackend *blk)
{
    block_backend_drain(blk);
    if (blk->quiesce && blk->ops->drain_end) {
        blk->ops->drain_end(blk->owner);
    }
    blk->ops = NULL;
    blk->owner = NULL;
    blk->owner_name = NULL;
    blk->fixed_loop = false;
    blk->io_status_enabled = false;
    block_backend_unref(blk);
}

BlockAccounting *block_backend_accounting(BlockBackend *blk)
{
    return blk->accounting;
}
