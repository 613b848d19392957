/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and edges: making, finding, attaching and replacing them. */
#include "block/node.h"

#include <string.h>

#include "block/backend.h"
#include "block/node-internal.h"
#include "qom/object.h"
#include "block/open-internal.h"
#include "util/error.h"

/* As QMP clients know it: names longer than this were never possible. */
#define NODE_NAME_MAX 31
#define NODE_NAME_CHARS G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-._"

typedef struct Graph {
    GQueue nodes;        /* BlockNode, in order of creation */
    GHashTable *by_name; /* borrowed */
    unsigned next_number;
} Graph;

static Graph graph; /* a process has one graph; main thread */

/* ---- Names ---- */

BlockNode *block_node_find(const char *name)
{
    return graph.by_name ? g_hash_table_lookup(graph.by_name, name) : NULL;
}

GPtrArray *block_node_list(void)
{
    GPtrArray *list = g_ptr_array_new();

    for (GList *l = graph.nodes.head; l; l = l->next) {
        g_ptr_array_add(list, l->data);
    }
    return list;
}

bool block_node_name_valid(const char *name, GError **error)
{
    size_t len = strlen(name);

    if (!g_ascii_isalpha(name[0]) || strspn(name, NODE_NAME_CHARS) != len) {
        error_setf(error, "Invalid node-name: '%s' (letters, digits, '-', '.' and '_', beginning "
                   "with a letter)", name);
        return false;
    }
    if (len > NODE_NAME_MAX) {
        error_setf(error, "Node name '%s' is too long: at most %d characters", name, NODE_NAME_MAX);
        return false;
    }
    if (block_node_find(name)) {
        error_setf(error, "Duplicate nodes with node-name='%s'", name);
        return false;
    }
    if (block_backend_find(name)) {
        error_setf(error, "node-name=%s is conflicting with a device id", name);
        return false;
    }
    return true;
}

bool block_node_fall_to_read_only(BlockNode *node, const char *reason, GError **error)
{
    if (node->mode.read_only || node->mode.auto_read_only) {
        node->mode.read_only = true;
        return true;
    }
    error_setf(error, "%s", reason);
    return false;
}

/* ---- Life ---- */

BlockNode *block_node_new(const BlockDriver *driver, const char *name, GError **error)
{
    BlockNode *node;

    if (name && !block_node_name_valid(name, error)) {
        return NULL;
    }
    node = g_new0(BlockNode, 1);
    node->driver = driver;
    node->opaque = g_malloc0(MAX(driver->instance_size, 1));
    node->name_is_generated = !name;
    node->name = name ? g_strdup(name) : g_strdup_printf("#block%03u", graph.next_number++);
    node->refs = 1;
    node->loop = loop_main();
    node->filename = g_strdup("");
    node->children = g_ptr_array_new();
    node->parents = g_ptr_array_new();
    node->p = g_new0(BlockNodePrivate, 1);
    block_io_init(node);
    if (!graph.by_name) {
        graph.by_name = g_hash_table_new(g_str_hash, g_str_equal);
    }
    g_hash_table_insert(graph.by_name, node->name, node);
    g_queue_push_tail(&graph.nodes, node);
    return node;
}

static void flush_before_close(void *opaque)
{
    BlockNode *node = opaque;

    block_flush(node);
}

static void block_node_free(BlockNode *node)
{
    node->p->closing = true;
    if (node->p->opened) {
        if (!node->mode.read_only) {
            block_run(node, flush_before_close, node);
        }
        block_drain_begin(node);
        if (node->driver->close) {
            node->driver->close(node);
        }
        node->p->opened = false; /* the driver is not asked again while its children go */
    }
    while (node->children->len) {
        block_child_detach(g_ptr_array_index(node->children, node->children->len - 1));
    }
    g_assert(node->parents->len == 0);
    g_queue_remove(&graph.nodes, node);
    g_hash_table_remove(graph.by_name, node->name);
    block_io_cleanup(node);
    g_ptr_array_unref(node->children);
    g_ptr_array_unref(node->parents);
    json_object_put(node->options);
    json_object_put(node->p->explicit_options);
    object_unref((Object *)node->p->iothread);
    g_free(node->p);
    g_free(node->opaque);
    g_free(node->header_backing_file);
    g_free(node->header_backing_format);
    g_free(node->filename);
    g_free(node->name);
    g_free(node);
}

BlockNode *block_node_ref(BlockNode *node)
{
    node->refs++;
    return node;
}

void block_node_unref(BlockNode *node)
{
    if (!node) {
        return;
    }
    /* The one reference stays until all is gone: closing may yield, and others may look at us. */
    if (node->refs > 1) {
        node->refs--;
        return;
    }
    block_node_free(node);
}

/* ---- Edges ---- */

static BlockChild *child_new(BlockNode *node, const char *name, unsigned role)
{
    BlockChild *child = g_new0(BlockChild, 1);

    child->node = block_node_ref(node);
    child->name = g_strdup(name);
    child->role = role;
    child->shared = BLOCK_PERM_ALL;
    g_ptr_array_add(node->parents, child);
    return child;
}

static void child_free(BlockChild *child)
{
    BlockNode *node = child->node;

    if (node) {
        g_ptr_array_remove(node->parents, child);
    }
    g_free(child->name);
    g_free(child);
    block_node_unref(node);
}

/* Is `node` below (or the same as) `top`? An edge from node to top would then be a loop. */
static bool is_below(BlockNode *top, BlockNode *node, unsigned depth)
{
    if (top == node || depth > BLOCK_MAX_DEPTH) {
        return true;
    }
    for (guint i = 0; i < top->children->len; i++) {
        BlockChild *child = g_ptr_array_index(top->children, i);

        if (child->node && is_below(child->node, node, depth + 1)) {
            return true;
        }
    }
    return false;
}

static bool may_stand_below(BlockNode *parent, BlockNode *node, GError **error)
{
    if (is_below(node, parent, 0)) {
        error_setf(error, "Making '%s' a child of '%s' would close a circle (or a chain of more "
                   "than %d nodes)", node->name, parent->name, BLOCK_MAX_DEPTH);
        return false;
    }
    return true;
}

/* Edges only join nodes of one loop: the one that is new goes to where the other is. */
static bool bring_together(BlockNode *parent, BlockNode *node, GError **error)
{
    if (parent->loop == node->loop) {
        return true;
    }
    return block_node_set_loop(node, parent->loop, NULL) ||
           block_node_set_loop(parent, node->loop, error);
}

static void note_child(BlockNode *parent, BlockChild *child)
{
    child->parent_node = parent;
    g_ptr_array_add(parent->children, child);
    if (child->role & BLOCK_ROLE_COW) {
        parent->backing = child;
    }
    if (child->role & BLOCK_ROLE_PRIMARY) {
        parent->file = child;
    }
}

static void forget_child(BlockNode *parent, BlockChild *child)
{
    g_ptr_array_remove(parent->children, child);
    if (parent->backing == child) {
        parent->backing = NULL;
    }
    if (parent->file == child) {
        parent->file = NULL;
    }
}

BlockChild *block_node_attach(BlockNode *parent, BlockNode *node, const char *name, unsigned role,
                              GError **error)
{
    BlockChild *child;

    if (!may_stand_below(parent, node, error) || !bring_together(parent, node, error)) {
        return NULL;
    }
    block_drain_begin(parent);
    child = child_new(node, name, role);
    note_child(parent, child);
    block_drain_child_added(child, node);
    if (!block_node_refresh_perms(parent, error)) {
        block_drain_child_removed(child, node);
        forget_child(parent, child);
        child_free(child);
        child = NULL;
    } else if (parent->p->opened) {
        block_refresh_limits(parent);
    }
    block_drain_end(parent);
    return child;
}

BlockChild *block_parent_attach(const BlockParentOps *ops, void *parent, BlockNode *node,
                                const char *name, unsigned role, unsigned perm, unsigned shared,
                                GError **error)
{
    BlockChild *child = child_new(node, name, role);

    child->ops = ops;
    child->parent = parent;
    block_drain_child_added(child, node);
    if (!block_child_set_perm(child, perm, shared, error)) {
        block_drain_child_removed(child, node);
        child_free(child);
        return NULL;
    }
    return child;
}

void block_child_detach(BlockChild *child)
{
    BlockNode *parent, *node;

    if (!child) {
        return;
    }
    parent = child->parent_node;
    node = child->node;
    if (parent) {
        block_drain_begin(parent);
    }
    if (node) {
        block_drain_child_removed(child, node);
        g_ptr_array_remove(node->parents, child);
        child->node = NULL;
        block_node_refresh_perms(node, NULL); /* asking for less cannot fail */
    }
    if (parent) {
        forget_child(parent, child);
        if (parent->p->opened) {
            block_refresh_limits(parent);
        }
    }
    child_free(child);
    if (parent) {
        block_drain_end(parent);
    }
    block_node_unref(node);
}

/* Only pointers: permissions are the caller's care. */
static void move_edge(BlockChild *child, BlockNode *to)
{
    BlockNode *from = child->node;

    block_node_ref(to);
    /* The new one's sections first: the parent stays drained if it is. */
    block_drain_child_added(child, to);
    if (from) {
        block_drain_child_removed(child, from);
        g_ptr_array_remove(from->parents, child);
    }
    child->node = to;
    g_ptr_array_add(to->parents, child);
}

bool block_child_replace(BlockChild *child, BlockNode *node, GError **error)
{
    BlockNode *from = child->node;
    bool ok;

    if (from == node) {
        return true;
    }
    if (child->parent_node && (!may_stand_below(child->parent_node, node, error) ||
                               !bring_together(child->parent_node, node, error))) {
        return false;
    }
    if (from) {
        block_drain_begin(from);
    }
    block_drain_begin(node);
    move_edge(child, node);
    /* Of both at once: what the one gives up the other may need. */
    ok = block_nodes_refresh_perms((BlockNode *[]){ node, from }, from ? 2 : 1, error);
    if (!ok && from) {
        move_edge(child, from);
        block_node_unref(node);
    }
    block_drain_end(node);
    if (from) {
        block_drain_end(from);
        if (ok) {
            block_node_unref(from);
        }
    }
    return ok;
}

/* What `to` itself stands on stays where it is. */
static bool goes_along(const BlockChild *child, BlockNode *to)
{
    return child->parent_node ? !is_below(to, child->parent_node, 0) : !child->ops->stays_with_node;
}

static GPtrArray *edges_to_move(BlockNode *from, BlockNode *to)
{
    GPtrArray *edges = g_ptr_array_new();

    for (guint i = 0; i < from->parents->len; i++) {
        BlockChild *child = g_ptr_array_index(from->parents, i);

        if (goes_along(child, to)) {
            g_ptr_array_add(edges, child);
        }
    }
    return edges;
}

static void move_edges(GPtrArray *edges, BlockNode *from, BlockNode *to)
{
    for (guint i = 0; i < edges->len; i++) {
        move_edge(g_ptr_array_index(edges, i), to);
        block_node_unref(from);
    }
}

/* Names of those that stand on it. */
static void refresh_filenames_above(BlockNode *node, unsigned depth)
{
    for (guint i = 0; i < node->parents->len && depth < BLOCK_MAX_DEPTH; i++) {
        BlockNode *parent = ((BlockChild *)g_ptr_array_index(node->parents, i))->parent_node;

        if (parent && parent->p->opened) {
            block_refresh_filename(parent);
            refresh_filenames_above(parent, depth + 1);
        }
    }
}

bool block_node_replace(BlockNode *from, BlockNode *to, GError **error)
{
    g_autoptr(GPtrArray) edges = edges_to_move(from, to);
    bool ok;

    if (from->loop != to->loop && !block_node_set_loop(to, from->loop, error)) {
        return false;
    }
    block_node_ref(from);
    block_node_ref(to);
    block_drain_begin(from);
    block_drain_begin(to);
    move_edges(edges, from, to);
    /* From both at once: what one gives up the other may take. */
    ok = block_nodes_refresh_perms((BlockNode *[]){ to, from }, 2, error);
    if (ok) {
        refresh_filenames_above(to, 0);
    } else {
        move_edges(edges, to, from);
    }
    block_drain_end(to);
    block_drain_end(from);
    block_node_unref(to);
    block_node_unref(from);
    return ok;
}

bool block_node_insert_above(BlockNode *top, BlockNode *node, const char *child_name, unsigned role,
                             GError **error)
{
    BlockChild *child = block_node_attach(top, node, child_name, role, error);

    if (!child) {
        return false;
    }
    if (!block_node_replace(node, top, error)) {
        block_child_detach(child);
        return false;
    }
    return true;
}

bool block_node_set_backing(BlockNode *node, BlockNode *backing, GError **error)
{
    if (node->backing && backing) {
        if (!block_child_replace(node->backing, backing, error)) {
            return false;
        }
        if (node->p->opened) {
            block_refresh_limits(node);
        }
    } else if (backing) {
        if (!block_node_attach(node, backing, "backing", BLOCK_ROLE_COW, error)) {
            return false;
        }
    } else {
        block_child_detach(node->backing);
    }
    if (node->p->opened && node->driver->backing_changed) {
        node->driver->backing_changed(node);
    }
    block_refresh_filenames_above(node);
    return true;
}

/* ---- Ways down ---- */

BlockChild *block_primary_child(BlockNode *node)
{
    return node->file;
}

BlockChild *block_filter_child(BlockNode *node)
{
    for (guint i = 0; node->driver->is_filter && i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->role & BLOCK_ROLE_FILTERED) {
            return child;
        }
    }
    return NULL;
}

BlockNode *block_filter_or_cow_node(BlockNode *node)
{
    BlockChild *child = block_filter_child(node);

    if (!child) {
        child = node->backing;
    }
    return child ? child->node : NULL;
}

BlockNode *block_skip_filters(BlockNode *node)
{
    BlockChild *child;

    while (node && (child = block_filter_child(node))) {
        node = child->node;
    }
    return node;
}

BlockNode *block_backing_chain_next(BlockNode *node)
{
    node = block_skip_filters(node);
    return node && node->backing ? block_skip_filters(node->backing->node) : NULL;
}

bool block_chain_contains(BlockNode *top, BlockNode *base)
{
    while (top && top != base) {
        top = block_filter_or_cow_node(top);
    }
    return top != NULL;
}
