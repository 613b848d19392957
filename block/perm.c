/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Permissions. Each edge says what its parent does with the node (perm) and what it lets others do
 * (shared). A change at one node is carried to all nodes below in topological order: first every
 * node is checked, then, if none objected, all is put into force.
 */
#include <string.h>

#include "block/node-internal.h"
#include "util/error.h"

typedef struct PermPlan {
    GPtrArray *order;    /* BlockNode: each before its children */
    GHashTable *visited;
    GHashTable *edges;   /* BlockChild -> GUINT: perm | shared << 16; others stay as they are */
} PermPlan;

static const char *const perm_names[] = { "consistent read", "write", "write unchanged", "resize" };

static char *perm_list(unsigned perm)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(perm_names); i++) {
        if (perm & (1u << i)) {
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", perm_names[i]);
        }
    }
    return g_string_free(text, FALSE);
}

static char *describe_parent(const BlockChild *child)
{
    return child->parent_node ? g_strdup_printf("node '%s'", child->parent_node->name)
                              : child->ops->describe(child->parent);
}

/* ---- What a node needs of its children ---- */

/* The backing file is only read; it may change if nobody above minds different data. */
static void cow_perm(unsigned perm, unsigned shared, unsigned *child_perm, unsigned *child_shared)
{
    *child_perm = perm & BLOCK_PERM_CONSISTENT_READ;
    *child_shared = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED;
    if (shared & BLOCK_PERM_WRITE) {
        *child_shared |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
}

static void storage_perm(BlockNode *node, unsigned role, unsigned perm, unsigned shared,
                         unsigned *child_perm, unsigned *child_shared)
{
    bool writable = !node->mode.read_only && !(node->open_flags & BLOCK_OPEN_INACTIVE);

    *child_perm = perm & ~(BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE);
    *child_shared = shared & ~(BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE);
    if (role & BLOCK_ROLE_METADATA) {
        /* Tables are read at any time, and written whenever the image may be (dirty bits). */
        *child_perm |= BLOCK_PERM_CONSISTENT_READ;
        if (writable) {
            *child_perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
        }
    } else if (perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_RESIZE)) {
        *child_perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    if (node->open_flags & BLOCK_OPEN_INACTIVE) {
        *child_shared |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
}

void block_default_child_perm(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                              unsigned shared, unsigned *child_perm, unsigned *child_shared)
{
    if (role & BLOCK_ROLE_FILTERED) {
        *child_perm = perm;
        *child_shared = shared;
    } else if (role & BLOCK_ROLE_COW) {
        cow_perm(perm, shared, child_perm, child_shared);
    } else {
        storage_perm(node, role, perm, shared, child_perm, child_shared);
    }
}

/* ---- The plan ---- */

static void edge_perms(const PermPlan *plan, const BlockChild *child, unsigned *perm,
                       unsigned *shared)
{
    void *packed;

    if (plan && g_hash_table_lookup_extended(plan->edges, child, NULL, &packed)) {
        *perm = GPOINTER_TO_UINT(packed) & 0xffff;
        *shared = GPOINTER_TO_UINT(packed) >> 16;
    } else {
        *perm = child->perm;
        *shared = child->shared;
    }
}

static void plan_edge(PermPlan *plan, BlockChild *child, unsigned perm, unsigned shared)
{
    g_hash_table_insert(plan->edges, child, GUINT_TO_POINTER(perm | shared << 16));
}

static void cumulative(const PermPlan *plan, const BlockNode *node, unsigned *perm,
                       unsigned *shared)
{
    *perm = 0;
    *shared = BLOCK_PERM_ALL;
    for (guint i = 0; i < node->parents->len; i++) {
        unsigned p, s;

        edge_perms(plan, g_ptr_array_index(node->parents, i), &p, &s);
        *perm |= p;
        *shared &= s;
    }
}

void block_node_cumulative_perms(BlockNode *node, unsigned *perm, unsigned *shared)
{
    cumulative(NULL, node, perm, shared);
}

/* Children end up in order before their parents; the caller reverses it. */
static void visit(PermPlan *plan, BlockNode *node)
{
    if (!g_hash_table_add(plan->visited, node)) {
        return;
    }
    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->node) {
            visit(plan, child->node);
        }
    }
    g_ptr_array_add(plan->order, node);
}

static void reverse(GPtrArray *array)
{
    for (guint i = 0, j = array->len; i + 1 < j; i++) {
        void *swap = array->pdata[i];

        array->pdata[i] = array->pdata[--j];
        array->pdata[j] = swap;
    }
}

static bool parents_agree(const PermPlan *plan, const BlockNode *node, GError **error)
{
    for (guint i = 0; i < node->parents->len; i++) {
        const BlockChild *a = g_ptr_array_index(node->parents, i);
        unsigned a_perm, a_shared;

        edge_perms(plan, a, &a_perm, &a_shared);
        for (guint j = 0; j < node->parents->len; j++) {
            const BlockChild *b = g_ptr_array_index(node->parents, j);
            unsigned b_perm, b_shared;

            edge_perms(plan, b, &b_perm, &b_shared);
            if (i != j && (a_perm & ~b_shared)) {
                g_autofree char *needed = perm_list(a_perm & ~b_shared);
                g_autofree char *who = describe_parent(a);
                g_autofree char *against = describe_parent(b);

                error_setf(error, "Permission conflict on node '%s': permissions '%s' are needed "
                           "by %s (as '%s') and not shared by %s (as '%s')", node->name, needed,
                           who, a->name, against, b->name);
                return false;
            }
        }
    }
    return true;
}

static bool check_node(PermPlan *plan, BlockNode *node, GError **error)
{
    unsigned perm, shared;

    if (!parents_agree(plan, node, error)) {
        return false;
    }
    cumulative(plan, node, &perm, &shared);
    if (node->mode.read_only && (perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED))) {
        error_setf(error, "Block node '%s' is read-only%s%s", node->name,
                   *node->filename ? ": " : "", node->filename);
        return false;
    }
    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);
        unsigned child_perm, child_shared;

        (node->driver->child_perm ? node->driver->child_perm : block_default_child_perm)(
            node, child->name, child->role, perm, shared, &child_perm, &child_shared);
        if (node->mode.force_share) {
            child_shared = BLOCK_PERM_ALL;
        }
        plan_edge(plan, child, child_perm, child_shared);
    }
    return !node->driver->perm_check || !node->p->opened ||
           node->driver->perm_check(node, perm, shared, error);
}

static void abort_nodes(PermPlan *plan, guint checked)
{
    for (guint i = 0; i < checked; i++) {
        BlockNode *node = g_ptr_array_index(plan->order, i);

        if (node->driver->perm_abort && node->p->opened) {
            node->driver->perm_abort(node);
        }
    }
}

static void put_in_force(PermPlan *plan)
{
    GHashTableIter iter;
    void *child;

    g_hash_table_iter_init(&iter, plan->edges);
    while (g_hash_table_iter_next(&iter, &child, NULL)) {
        BlockChild *edge = child;

        edge_perms(plan, edge, &edge->perm, &edge->shared);
    }
    for (guint i = 0; i < plan->order->len; i++) {
        BlockNode *node = g_ptr_array_index(plan->order, i);
        unsigned perm, shared;

        if (node->driver->perm_set && node->p->opened) {
            cumulative(NULL, node, &perm, &shared);
            node->driver->perm_set(node, perm, shared);
        }
    }
}

static void plan_init(PermPlan *plan)
{
    plan->order = g_ptr_array_new();
    plan->visited = g_hash_table_new(NULL, NULL);
    plan->edges = g_hash_table_new(NULL, NULL);
}

static void plan_cleanup(PermPlan *plan)
{
    g_ptr_array_unref(plan->order);
    g_hash_table_unref(plan->visited);
    g_hash_table_unref(plan->edges);
}

static bool plan_run(PermPlan *plan, GError **error)
{
    reverse(plan->order);
    for (guint i = 0; i < plan->order->len; i++) {
        if (!check_node(plan, g_ptr_array_index(plan->order, i), error)) {
            abort_nodes(plan, i);
            return false;
        }
    }
    put_in_force(plan);
    return true;
}

bool block_nodes_refresh_perms(BlockNode *const *nodes, unsigned n, GError **error)
{
    PermPlan plan;
    bool ok;

    plan_init(&plan);
    for (unsigned i = 0; i < n; i++) {
        visit(&plan, nodes[i]);
    }
    ok = plan_run(&plan, error);
    plan_cleanup(&plan);
    return ok;
}

bool block_node_refresh_perms(BlockNode *node, GError **error)
{
    return block_nodes_refresh_perms(&node, 1, error);
}

bool block_child_set_perm(BlockChild *child, unsigned perm, unsigned shared, GError **error)
{
    PermPlan plan;
    bool ok;

    plan_init(&plan);
    plan_edge(&plan, child, perm, shared);
    visit(&plan, child->node);
    ok = plan_run(&plan, error);
    plan_cleanup(&plan);
    return ok;
}
