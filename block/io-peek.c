/* SPDX-License-Identifier: Apache-2.0 */
/* Data that need not be read because it is in memory already: that of the page cache. */
#include "block/io-internal.h"

int64_t block_peek(BlockNode *node, int64_t offset, int64_t bytes, SharedMapping *mapping)
{
    int64_t inside = offset >= 0 ? MIN(bytes, node->size - offset) : 0;

    *mapping = (SharedMapping) { .guard = -1 };
    return node->driver->peek && inside > 0 ? node->driver->peek(node, offset, inside, mapping) : 0;
}

int64_t block_peek_by_status(BlockNode *node, int64_t offset, int64_t bytes,
                             SharedMapping *mapping)
{
    const unsigned data = BLOCK_STATUS_DATA | BLOCK_STATUS_RAW;
    BlockStatus status = { 0 };

    if ((offset | bytes) % node->limits.request_alignment ||
        node->driver->block_status(node, false, offset, bytes, &status) < 0) {
        return 0;
    }
    bytes = MIN(bytes, status.bytes);
    if ((status.flags & BLOCK_STATUS_OFFSET_VALID) && (status.flags & data) &&
        !(status.flags & BLOCK_STATUS_ZERO)) {
        return block_peek(status.file, status.map, bytes, mapping);
    }
    /* The backing file's. */
    return node->backing && !(status.flags & (data | BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED))
               ? block_peek(node->backing->node, offset, bytes, mapping) : 0;
}
