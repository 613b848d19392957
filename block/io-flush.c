/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flushing. A node counts the writes that have ended (write_gen), and remembers how many of them
 * are stable (flushed_gen): where nothing was written, the disk is not asked.
 *
 * One flush of a node runs at a time. Who comes meanwhile waits. It is served by that flush if it
 * has seen no write since that one began; else by the next, which one of the waiting begins for all
 * of them: hundreds of guests' flushes at a time become two.
 */
#include <errno.h>

#include "block/io-internal.h"

static int flush_children(BlockNode *node)
{
    int ret = 0;

    for (guint i = 0; i < node->children->len; i++) {
        BlockChild *child = g_ptr_array_index(node->children, i);

        if (child->node && (child->perm & (BLOCK_PERM_WRITE | BLOCK_PERM_WRITE_UNCHANGED))) {
            int child_ret = block_flush(child->node);

            ret = ret ? ret : child_ret;
        }
    }
    return ret;
}

/*
 * A format may have metadata to write though nobody wrote to it, so it is always asked; and
 * children know themselves whether they have something to do.
 */
static int flush_node(BlockNode *node)
{
    const BlockDriver *driver = node->driver;
    BlockNodePrivate *p = node->p;
    int ret = 0;

    if (driver->flush_to_os) {
        block_node_debug_event(node, BLKDBG_FLUSH_TO_OS);
        ret = driver->flush_to_os(node);
    }
    if (ret == 0 && driver->flush_to_disk && !node->mode.cache_no_flush &&
        p->flushed_gen != p->write_gen) {
        block_node_debug_event(node, BLKDBG_FLUSH_TO_DISK);
        ret = driver->flush_to_disk(node);
    }
    return ret ? ret : flush_children(node);
}

static int flush_now(BlockNode *node)
{
    BlockNodePrivate *p = node->p;
    uint64_t gen = p->write_gen;
    int ret;

    p->flushing = true;
    p->flushes_begun++;
    ret = flush_node(node);
    if (ret == 0) {
        p->flushed_gen = gen;
    }
    p->flush_result = ret;
    p->flushes_ended++;
    p->flushing = false;
    wake_waiters(&p->flush_waiters);
    return ret;
}

static int flush_or_join(BlockNode *node)
{
    BlockNodePrivate *p = node->p;
    uint64_t gen = p->write_gen, next = p->flushes_begun + 1;

    while (p->flushing) {
        wait_in(&p->flush_waiters);
        if (p->flushes_ended >= next) {
            return p->flush_result;
        }
        if (p->flush_result == 0 && p->flushed_gen >= gen) {
            return 0;
        }
    }
    return flush_now(node);
}

int block_flush(BlockNode *node)
{
    int ret;

    if (!node) {
        return -ENOMEDIUM;
    }
    if (node->mode.read_only) {
        return 0;
    }
    g_assert(node->loop == loop_current());
    block_inc_in_flight(node);
    ret = flush_or_join(node);
    block_dec_in_flight(node);
    return ret;
}
