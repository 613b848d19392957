/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a file's data in the page cache. Only what is there already: to wait for the disk in a
 * page fault would be to do nothing else meanwhile.
 */
#include <sys/uio.h>

#include "block/file-internal.h"

static bool is_cached(int fd, int64_t offset)
{
    char byte;
    struct iovec iov = { &byte, 1 };

    return preadv2(fd, &iov, 1, offset, RWF_NOWAIT) == 1;
}

int64_t file_peek(BlockNode *node, int64_t offset, int64_t bytes, SharedMapping *mapping)
{
    FileState *state = node->opaque;

    /* The ends tell of what is between: pages come and go in long runs. */
    if (!state->io.try_cache || state->kind != FILE_REGULAR || state->is_block ||
        !is_cached(state->io.fd, offset) || !is_cached(state->io.fd, offset + bytes - 1) ||
        !shared_mapping_init_for_reading(mapping, state->io.fd, (uint64_t)offset, (uint64_t)bytes,
                                         NULL)) {
        return 0;
    }
    /* Pages are mapped as they are touched, 16 at a time; asking for all of them costs more. */
    return bytes;
}
