/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing options of nodes that are in use. All nodes of one change are drained; each driver
 * prepares; permissions are checked as they will be; then everything is committed, or nothing.
 *
 * A node that becomes writable needs its storage to be writable before, and a node that becomes
 * read-only may write once more while its storage still can: so children go first in the one case
 * and last in the other.
 */
#include <string.h>

#include "block/node-internal.h"
#include "block/open-internal.h"
#include "util/error.h"

typedef struct Entry {
    BlockReopen reopen;
    BlockNode *node;          /* owned */
    BlockdevOptions *options; /* owned */
    BlockMode new_mode, old_mode;
    bool prepared;
} Entry;

/* Another node as a node's "file" or "backing". */
typedef struct ChildChange {
    BlockNode *node;      /* borrowed: an entry has it */
    bool backing;
    BlockNode *from, *to; /* owned; NULL: none */
} ChildChange;

typedef struct Queue {
    GPtrArray *entries; /* children before parents */
    GHashTable *known;  /* BlockNode -> Entry */
    GArray *changes;    /* ChildChange */
} Queue;

static void entry_free(void *opaque)
{
    Entry *entry = opaque;

    BlockdevOptions_free(entry->options);
    block_node_unref(entry->node);
    g_free(entry);
}

/* ---- What changes ---- */

static Entry *add_entry(Queue *queue, BlockNode *node, GError **error)
{
    Entry *entry = g_new0(Entry, 1);

    entry->node = block_node_ref(node);
    entry->old_mode = entry->new_mode = node->mode;
    g_ptr_array_add(queue->entries, entry);
    g_hash_table_insert(queue->known, node, entry);
    return BlockdevOptions_from_json(node->options, QAPI_JSON, &entry->options, error) ? entry
                                                                                      : NULL;
}

/* Storage follows in what it would have inherited, unless its own options said otherwise. */
static bool add_storage(Queue *queue, BlockNode *node, const BlockMode *mode, GError **error);

static bool add_node(Queue *queue, BlockNode *node, const BlockMode *mode,
                     BlockdevOptions *options, GError **error)
{
    Entry *entry;

    if (g_hash_table_contains(queue->known, node)) {
        return true;
    }
    if (!add_storage(queue, node, mode, error)) {
        return false;
    }
    entry = add_entry(queue, node, error);
    if (!entry) {
        return false;
    }
    entry->new_mode = *mode;
    if (options) {
        BlockdevOptions_free(entry->options);
        entry->options = options;
    }
    return true;
}

static bool is_own_choice(BlockNode *node, const char *key)
{
    return node->p->explicit_options &&
           json_object_object_get_ex(node->p->explicit_options, key, NULL);
}

static bool add_storage(Queue *queue, BlockNode *node, const BlockMode *mode, GError **error)
{
    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);
        BlockMode child_mode;

        /* Who has a name was opened on its own, and is changed on its own. */
        if ((child->role & BLOCK_ROLE_COW) || !child->node || !child->node->name_is_generated) {
            continue;
        }
        child_mode = child->node->mode;
        if (!is_own_choice(child->node, "read-only")) {
            child_mode.read_only = mode->read_only;
        }
        if (!is_own_choice(child->node, "cache")) {
            child_mode.cache_direct = mode->cache_direct;
            child_mode.cache_no_flush = mode->cache_no_flush;
        }
        if (!add_node(queue, child->node, &child_mode, NULL, error)) {
            return false;
        }
    }
    return true;
}

/* ---- Other children ---- */

/* A client knows nothing of filters that jobs put in between. */
static BlockNode *behind_implicit(BlockNode *node)
{
    while (node->p->implicit) {
        node = block_filter_child(node)->node;
    }
    return node;
}

static bool note_change(Queue *queue, BlockNode *node, BlockChild *child, const char *name,
                        json_object *value, GError **error)
{
    bool none = !value || (json_object_is_type(value, json_type_string) &&
                           !*json_object_get_string(value));
    ChildChange change = { .node = node, .backing = !strcmp(name, "backing"),
                           .from = child ? child->node : NULL };

    if (value && !json_object_is_type(value, json_type_string)) {
        return true; /* options of a child that stays */
    }
    change.to = none ? NULL : block_node_find(json_object_get_string(value));
    if (!none && !change.to) {
        error_setf(error, "Cannot find device='' nor node-name='%s'",
                   json_object_get_string(value));
        return false;
    }
    if (change.to == change.from || (child && change.to == behind_implicit(child->node))) {
        return true;
    }
    if (child && !change.backing && !change.to) {
        error_setf(error, "Node '%s' needs its child '%s'", node->name, name);
        return false;
    }
    for (guint i = 0; change.from && i < change.from->parents->len; i++) {
        const BlockChild *edge = g_ptr_array_index(change.from->parents, i);

        if (!edge->parent_node && edge->ops->stays_with_node && change.backing) {
            error_setf(error, "Cannot change the '%s' link from '%s' to '%s': a job uses it", name,
                       node->name, change.from->name);
            return false;
        }
    }
    change.from = change.from ? block_node_ref(change.from) : NULL;
    change.to = change.to ? block_node_ref(change.to) : NULL;
    g_array_append_val(queue->changes, change);
    return true;
}

/* What the options say of "file" and "backing", where it is another node than now. */
static bool add_changes(Queue *queue, BlockNode *node, const BlockdevOptions *options,
                        GError **error)
{
    json_object *json = BlockdevOptions_to_json(options), *value;
    bool ok = true;

    if (node->file && !strcmp(node->file->name, "file") &&
        json_object_object_get_ex(json, "file", &value)) {
        ok = note_change(queue, node, node->file, "file", value, error);
    }
    if (ok && node->driver->supports_backing) {
        if (json_object_object_get_ex(json, "backing", &value)) {
            ok = note_change(queue, node, node->backing, "backing", value, error);
        } else if (node->backing ||
                   (node->header_backing_file && *node->header_backing_file)) {
            error_setf(error, "backing is missing for '%s'", node->name);
            ok = false;
        }
    }
    json_object_put(json);
    return ok;
}

static bool change_child(const ChildChange *change, BlockNode *to, GError **error)
{
    if (change->backing) {
        return block_node_set_backing(change->node, to, error);
    }
    return block_child_replace(change->node->file, to, error);
}

/* The first n; what they were before can be had again, as it was permitted. */
static void undo_changes(Queue *queue, guint n)
{
    while (n-- > 0) {
        const ChildChange *change = &g_array_index(queue->changes, ChildChange, n);
        g_autoptr(GError) error = NULL;

        if (!change_child(change, change->from, &error)) {
            error_report("Cannot take the change of node '%s' back: %s", change->node->name,
                         error->message);
        }
    }
}

static bool make_changes(Queue *queue, GError **error)
{
    for (guint i = 0; i < queue->changes->len; i++) {
        const ChildChange *change = &g_array_index(queue->changes, ChildChange, i);

        if (!change_child(change, change->to, error)) {
            undo_changes(queue, i);
            return false;
        }
    }
    return true;
}

static void clear_change(void *opaque)
{
    ChildChange *change = opaque;

    block_node_unref(change->from);
    block_node_unref(change->to);
}

/* ---- Doing it ---- */

static void fill_reopen(Entry *entry)
{
    entry->reopen = (BlockReopen){
        .node = entry->node, .options = entry->options, .read_only = entry->new_mode.read_only,
        .cache_direct = entry->new_mode.cache_direct,
        .cache_no_flush = entry->new_mode.cache_no_flush,
    };
}

static bool prepare_entry(Entry *entry, GError **error)
{
    const BlockDriver *driver = entry->node->driver;

    fill_reopen(entry);
    if (!driver->pwritev && !driver->is_filter && !entry->new_mode.read_only) {
        error_setf(error, "The '%s' block driver cannot write", driver->name);
        return false;
    }
    if (driver->reopen_prepare && !driver->reopen_prepare(&entry->reopen, error)) {
        return false;
    }
    entry->prepared = true;
    entry->node->mode = entry->new_mode;
    return true;
}

static void abort_all(Queue *queue)
{
    /* All are as they were before a driver looks at its children again. */
    for (guint i = 0; i < queue->entries->len; i++) {
        Entry *entry = g_ptr_array_index(queue->entries, i);

        entry->node->mode = entry->old_mode;
    }
    for (guint i = queue->entries->len; i-- > 0;) {
        Entry *entry = g_ptr_array_index(queue->entries, i);

        if (entry->prepared && entry->node->driver->reopen_abort) {
            entry->node->driver->reopen_abort(&entry->reopen);
        }
    }
}

static void commit_entry(Entry *entry)
{
    BlockNode *node = entry->node;

    if (node->driver->reopen_commit) {
        node->driver->reopen_commit(&entry->reopen);
    }
    json_object_put(node->options);
    node->options = BlockdevOptions_to_json(entry->options);
    json_object_object_del(node->options, "backing");
    block_refresh_limits(node);
    block_refresh_filename(node);
}

static bool refresh_all_perms(Queue *queue, GError **error)
{
    g_autofree BlockNode **nodes = g_new(BlockNode *, queue->entries->len);

    for (guint i = 0; i < queue->entries->len; i++) {
        nodes[i] = ((Entry *)g_ptr_array_index(queue->entries, i))->node;
    }
    return block_nodes_refresh_perms(nodes, queue->entries->len, error);
}

static bool becomes_writable(Queue *queue)
{
    for (guint i = 0; i < queue->entries->len; i++) {
        Entry *entry = g_ptr_array_index(queue->entries, i);

        if (entry->old_mode.read_only && !entry->new_mode.read_only) {
            return true;
        }
    }
    return false;
}

static bool run_queue(Queue *queue, GError **error)
{
    guint n = queue->entries->len;
    bool children_first = becomes_writable(queue);

    for (guint i = 0; i < n; i++) {
        if (!prepare_entry(g_ptr_array_index(queue->entries, children_first ? i : n - 1 - i),
                           error)) {
            abort_all(queue);
            return false;
        }
    }
    if (!make_changes(queue, error)) {
        abort_all(queue);
        return false;
    }
    if (!refresh_all_perms(queue, error)) {
        undo_changes(queue, queue->changes->len);
        abort_all(queue);
        return false;
    }
    for (guint i = 0; i < n; i++) {
        commit_entry(g_ptr_array_index(queue->entries, children_first ? i : n - 1 - i));
    }
    return true;
}

typedef struct QueueRun {
    Queue *queue;
    GError **error;
    bool ok;
} QueueRun;

static void queue_run_entry(void *opaque)
{
    QueueRun *run = opaque;

    run->ok = run_queue(run->queue, run->error);
}

static bool run_drained(Queue *queue, GError **error)
{
    QueueRun run = { queue, error };

    for (guint i = 0; i < queue->entries->len; i++) {
        block_drain_begin(((Entry *)g_ptr_array_index(queue->entries, i))->node);
    }
    if (coroutine_current()) {
        queue_run_entry(&run);
    } else {
        coroutine_run(queue_run_entry, &run);
    }
    for (guint i = 0; i < queue->entries->len; i++) {
        block_drain_end(((Entry *)g_ptr_array_index(queue->entries, i))->node);
    }
    return run.ok;
}

static void queue_init(Queue *queue)
{
    queue->entries = g_ptr_array_new_with_free_func(entry_free);
    queue->known = g_hash_table_new(NULL, NULL);
    queue->changes = g_array_new(FALSE, FALSE, sizeof(ChildChange));
    g_array_set_clear_func(queue->changes, clear_change);
}

static void queue_cleanup(Queue *queue)
{
    g_array_unref(queue->changes);
    g_ptr_array_unref(queue->entries);
    g_hash_table_unref(queue->known);
}

/* ---- The two ways to ask ---- */

static bool add_requested(Queue *queue, const BlockdevOptions *options, GError **error)
{
    BlockNode *node = options->node_name ? block_node_find(options->node_name) : NULL;
    BlockMode mode = { 0 };

    if (!options->node_name) {
        error_setf(error, "node-name not specified");
        return false;
    }
    if (!node) {
        error_setf(error, "Failed to find node with node-name='%s'", options->node_name);
        return false;
    }
    if (options->driver != node->driver->kind) {
        error_setf(error, "Cannot change the option 'driver' of node '%s'", node->name);
        return false;
    }
    block_mode_from_options(&mode, options);
    return block_mode_check(&mode, error) && add_changes(queue, node, options, error) &&
           add_node(queue, node, &mode, BlockdevOptions_clone(options), error);
}

bool block_reopen(GPtrArray *options, GError **error)
{
    Queue queue;
    bool ok = true;

    queue_init(&queue);
    for (guint i = 0; i < options->len && ok; i++) {
        ok = add_requested(&queue, g_ptr_array_index(options, i), error);
    }
    ok = ok && run_drained(&queue, error);
    queue_cleanup(&queue);
    return ok;
}

json_object *block_options_with(BlockNode *node, json_object *changes)
{
    json_object *all = block_options_as_text(node->options);

    json_object_object_add(all, "node-name", json_object_new_string(node->name));
    if (node->driver->supports_backing) {
        json_object_object_add(all, "backing",
                               node->backing ? json_object_new_string(node->backing->node->name)
                                             : NULL);
    }
    json_object_object_foreach(changes, key, value) {
        json_object_object_add(all, key, json_object_get(value));
    }
    return all;
}

bool block_reopen_read_only(BlockNode *node, bool read_only, GError **error)
{
    BlockMode mode = node->mode;
    Queue queue;
    bool ok;

    if (mode.read_only == read_only) {
        return true;
    }
    mode.read_only = read_only;
    queue_init(&queue);
    ok = add_node(&queue, node, &mode, NULL, error) && run_drained(&queue, error);
    queue_cleanup(&queue);
    return ok;
}
