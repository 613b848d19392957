/* SPDX-License-Identifier: Apache-2.0 */
/* QMP, for tests: on which thread nodes live, and their children. Main thread. */
#include <string.h>

#include "backends/iothread.h"
#include "block/backend.h"
#include "block/node-internal.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-core.h"
#include "util/error.h"

/* ---- x-blockdev-set-iothread ---- */

/* Nodes keep the thread on which they live. iothread NULL: the main one. */
static void hold_iothread(IoThread *iothread)
{
    g_autoptr(GPtrArray) nodes = block_node_list();

    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(nodes, i);

        if (node->p->iothread && iothread_loop(node->p->iothread) != node->loop) {
            object_unref((Object *)g_steal_pointer(&node->p->iothread));
        }
        if (iothread && !node->p->iothread && iothread_loop(iothread) == node->loop) {
            node->p->iothread = (IoThread *)object_ref((Object *)iothread);
        }
    }
}

bool qmp_x_blockdev_set_iothread(const char *node_name, const StrOrNull *iothread, bool has_force,
                                 bool force, GError **error)
{
    BlockNode *node = block_node_find(node_name);
    g_autoptr(Object) object = NULL;
    bool ok;

    if (!node) {
        error_setf(error, "Failed to find node with node-name='%s'", node_name);
        return false;
    }
    if (block_qmp_is_medium(node) && !(has_force && force)) {
        error_setf(error, "Node %s is associated with a BlockBackend and could be in use (use "
                   "force=true to override this check)", node_name);
        return false;
    }
    if (iothread->type == QAPI_JSON_STRING) {
        object = (Object *)iothread_find(iothread->u.s, error);
        if (!object) {
            return false;
        }
    }
    ok = block_node_set_loop(node, object ? iothread_loop((IoThread *)object) : loop_main(), error);
    hold_iothread((IoThread *)object);
    return ok;
}

/* ---- x-blockdev-change ---- */

static bool has_child(const BlockNode *node, const char *name)
{
    for (guint i = 0; i < node->children->len; i++) {
        if (!strcmp(((BlockChild *)g_ptr_array_index(node->children, i))->name, name)) {
            return true;
        }
    }
    return false;
}

/* There is no driver whose children come and go while it is open. */
bool qmp_x_blockdev_change(const char *parent_name, const char *child, const char *node_name,
                           GError **error)
{
    BlockNode *parent = block_qmp_find(parent_name, error);

    if (!parent) {
        return false;
    }
    if (!child == !node_name) {
        error_setf(error, child ? "The parameters child and node are in conflict"
                                : "Either child or node must be specified");
    } else if (child && !has_child(parent, child)) {
        error_setf(error, "Node '%s' does not have child '%s'", parent_name, child);
    } else if (node_name && !block_node_find(node_name)) {
        error_setf(error, "Node '%s' not found", node_name);
    } else {
        error_setf(error, "The node %s does not support %s a child", parent_name,
                   child ? "removing" : "adding");
    }
    return false;
}
