/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order among requests. Most need none: who writes and reads the same place at the same time gets
 * either. But a write of part of a block, which reads the block and writes all of it, must not
 * undo a write of the other part; and copying on read must not write old data over new. Those are
 * serialising: what overlaps them waits, and they wait for what overlaps them.
 *
 * A request waits only for earlier ones. So there is no circle, and nobody is overtaken for ever.
 * While nothing is serialising, all this costs two list operations.
 */
#include <errno.h>

#include "block/io-internal.h"

void block_track_begin(BlockTracked *req, BlockNode *node, int64_t offset, int64_t bytes,
                       bool serialising, int64_t granularity)
{
    g_assert(node->loop == loop_current());
    req->node = node;
    req->serialising = serialising;
    if (serialising) {
        req->offset = round_down_to(offset, granularity);
        req->bytes = round_up_to(offset + bytes, granularity) - req->offset;
        node->p->serialising++;
    } else {
        req->offset = offset;
        req->bytes = bytes;
    }
    req->waiters = (GQueue)G_QUEUE_INIT;
    req->link = (GList) { .data = req };
    g_queue_push_tail_link(&node->p->tracked, &req->link);
}

static BlockTracked *find_earlier_conflict(const BlockTracked *req)
{
    for (GList *l = req->link.prev; l; l = l->prev) {
        BlockTracked *other = l->data;

        if ((req->serialising || other->serialising) &&
            other->offset < req->offset + req->bytes &&
            req->offset < other->offset + other->bytes) {
            return other;
        }
    }
    return NULL;
}

int block_track_wait(BlockTracked *req, bool no_wait)
{
    BlockTracked *other;

    while (req->node->p->serialising && (other = find_earlier_conflict(req))) {
        if (no_wait) {
            return -EBUSY;
        }
        wait_in(&other->waiters);
    }
    return 0;
}

void block_track_end(BlockTracked *req)
{
    g_queue_unlink(&req->node->p->tracked, &req->link);
    if (req->serialising) {
        req->node->p->serialising--;
    }
    wake_waiters(&req->waiters);
}
