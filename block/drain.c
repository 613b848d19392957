/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drained sections. A node is quiet when its parents send nothing new and nothing is in flight in
 * it or above it: requests of a parent may still become requests here. So a section covers the
 * node and all that is above it; outsiders (backends, jobs) hold back what they would send.
 *
 * p->quiesce counts, for each node, the sections that cover it: its own ones, and one for each
 * section of a child. An edge that comes or goes while a section lasts hands the sections on.
 */
#include "block/node-internal.h"
#include "util/coroutine.h"

/* ---- Begin and end, upwards ---- */

static void quiesce_parent(BlockChild *edge);
static void resume_parent(BlockChild *edge);

static void quiesce_node(BlockNode *node)
{
    /* Before in_flight is read: who ends the last request reads them in the other order. */
    if (__atomic_fetch_add(&node->p->quiesce, 1, __ATOMIC_SEQ_CST) == 0 &&
        node->driver->drain_begin && node->p->opened) {
        node->driver->drain_begin(node);
    }
    for (guint i = 0; i < node->parents->len; i++) {
        quiesce_parent(g_ptr_array_index(node->parents, i));
    }
}

static void resume_node(BlockNode *node)
{
    g_assert(node->p->quiesce > 0);
    for (guint i = 0; i < node->parents->len; i++) {
        resume_parent(g_ptr_array_index(node->parents, i));
    }
    if (__atomic_sub_fetch(&node->p->quiesce, 1, __ATOMIC_SEQ_CST) == 0 &&
        node->driver->drain_end && node->p->opened) {
        node->driver->drain_end(node);
    }
}

static void quiesce_parent(BlockChild *edge)
{
    if (edge->parent_node) {
        quiesce_node(edge->parent_node);
    } else if (edge->ops->drain_begin) {
        edge->ops->drain_begin(edge->parent);
    }
}

static void resume_parent(BlockChild *edge)
{
    if (edge->parent_node) {
        resume_node(edge->parent_node);
    } else if (edge->ops->drain_end) {
        edge->ops->drain_end(edge->parent);
    }
}

void block_drain_child_added(BlockChild *edge, BlockNode *node)
{
    for (int i = 0; i < node->p->quiesce; i++) {
        quiesce_parent(edge);
    }
}

void block_drain_child_removed(BlockChild *edge, BlockNode *node)
{
    for (int i = 0; i < node->p->quiesce; i++) {
        resume_parent(edge);
    }
}

/* ---- Waiting ---- */

static bool is_busy(BlockNode *node)
{
    if (__atomic_load_n(&node->p->in_flight, __ATOMIC_SEQ_CST) > 0) {
        return true;
    }
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);
        bool busy = edge->parent_node ? is_busy(edge->parent_node)
                    : edge->ops->drain_poll ? edge->ops->drain_poll(edge->parent) : false;

        if (busy) {
            return true;
        }
    }
    return false;
}

void block_drain_kick(void)
{
    loop_kick(loop_main());
}

static void wake(void *opaque)
{
    coroutine_wake(opaque);
}

/* In a coroutine: let the loop turn once. */
static void wait_a_turn(void)
{
    loop_post(loop_current(), wake, coroutine_current());
    coroutine_yield();
}

static void wait_until_quiet(BlockNode *node)
{
    while (is_busy(node)) {
        if (coroutine_current()) {
            wait_a_turn();
        } else {
            loop_iterate(loop_main(), true);
        }
    }
}

void block_drain_begin(BlockNode *node)
{
    block_node_ref(node);
    quiesce_node(node);
    wait_until_quiet(node);
}

void block_drain_end(BlockNode *node)
{
    resume_node(node);
    block_node_unref(node);
}

void block_drain_all_begin(void)
{
    g_autoptr(GPtrArray) nodes = block_node_list();
    g_autoptr(GPtrArray) drained = g_ptr_array_new();

    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(nodes, i);

        /* What is closing has no users, and would be gone when the section ends. */
        if (!node->p->closing) {
            block_node_ref(node);
            node->p->drained_all++;
            quiesce_node(node);
            g_ptr_array_add(drained, node);
        }
    }
    for (guint i = 0; i < drained->len; i++) {
        wait_until_quiet(g_ptr_array_index(drained, i));
    }
}

void block_drain_all_end(void)
{
    g_autoptr(GPtrArray) nodes = block_node_list();

    /* Not those that were made meanwhile. */
    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(nodes, i);

        if (node->p->drained_all) {
            node->p->drained_all--;
            block_drain_end(node);
        }
    }
}
