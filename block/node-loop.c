/* SPDX-License-Identifier: Apache-2.0 */
/* On which loop a node lives, and running control code there. */
#include "block/node-internal.h"
#include "util/coroutine.h"
#include "util/error.h"

/* ---- Moving ---- */

static void collect(BlockNode *node, GHashTable *nodes);

static void collect_children(const GPtrArray *edges, GHashTable *nodes)
{
    for (guint i = 0; i < edges->len; i++) {
        BlockChild *child = g_ptr_array_index(edges, i);

        if (child->node) {
            collect(child->node, nodes);
        }
    }
}

static void collect(BlockNode *node, GHashTable *nodes)
{
    if (!g_hash_table_add(nodes, node)) {
        return;
    }
    collect_children(node->children, nodes);
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);

        if (edge->parent_node) {
            collect(edge->parent_node, nodes);
        } else if (edge->ops->edges) {
            collect_children(edge->ops->edges(edge->parent), nodes);
        }
    }
}

static bool outsiders_agree(BlockNode *node, Loop *loop, GError **error)
{
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);
        g_autofree char *who = NULL;

        if (edge->parent_node || (edge->ops->can_move && edge->ops->can_move(edge->parent, loop,
                                                                            error))) {
            continue;
        }
        if (!error || !*error) {
            who = edge->ops->describe(edge->parent);
            error_setf(error, "Cannot move node '%s' to another thread: %s uses it", node->name,
                       who);
        }
        return false;
    }
    return true;
}

static void tell_outsiders(BlockNode *node, Loop *loop)
{
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);

        if (!edge->parent_node && edge->ops->moved) {
            edge->ops->moved(edge->parent, loop);
        }
    }
}

static void move_node(BlockNode *node, Loop *loop)
{
    if (node->p->opened && node->driver->detach_loop) {
        node->driver->detach_loop(node);
    }
    node->loop = loop;
    if (node->p->opened && node->driver->attach_loop) {
        node->driver->attach_loop(node, loop);
    }
    tell_outsiders(node, loop);
}

bool block_node_set_loop(BlockNode *node, Loop *loop, GError **error)
{
    g_autoptr(GHashTable) nodes = g_hash_table_new(NULL, NULL);
    GHashTableIter iter;
    void *each;

    if (node->loop == loop) {
        return true;
    }
    collect(node, nodes);
    g_hash_table_iter_init(&iter, nodes);
    while (g_hash_table_iter_next(&iter, &each, NULL)) {
        if (!outsiders_agree(each, loop, error)) {
            return false;
        }
    }
    g_hash_table_iter_init(&iter, nodes);
    while (g_hash_table_iter_next(&iter, &each, NULL)) {
        block_drain_begin(each);
    }
    g_hash_table_iter_init(&iter, nodes);
    while (g_hash_table_iter_next(&iter, &each, NULL)) {
        move_node(each, loop);
    }
    g_hash_table_iter_init(&iter, nodes);
    while (g_hash_table_iter_next(&iter, &each, NULL)) {
        block_drain_end(each);
    }
    return true;
}

/* ---- Running code there ---- */

typedef struct RemoteRun {
    BlockRunFn *fn;
    void *opaque;
    bool done; /* atomic */
} RemoteRun;

static void remote_coroutine(void *opaque)
{
    RemoteRun *run = opaque;

    run->fn(run->opaque);
    __atomic_store_n(&run->done, true, __ATOMIC_RELEASE);
    block_drain_kick();
}

static void remote_start(void *opaque)
{
    coroutine_start(remote_coroutine, opaque);
}

static void run_in_coroutine(BlockNode *node, BlockRunFn *fn, void *opaque)
{
    Loop *home = loop_current();

    if (node->loop == home) {
        fn(opaque);
        return;
    }
    coroutine_move(node->loop);
    fn(opaque);
    coroutine_move(home);
}

void block_run(BlockNode *node, BlockRunFn *fn, void *opaque)
{
    RemoteRun run = { .fn = fn, .opaque = opaque };

    if (coroutine_current()) {
        run_in_coroutine(node, fn, opaque);
    } else if (node->loop == loop_main()) {
        coroutine_run(fn, opaque);
    } else {
        loop_post(node->loop, remote_start, &run);
        while (!__atomic_load_n(&run.done, __ATOMIC_ACQUIRE)) {
            loop_iterate(loop_main(), true);
        }
    }
}
