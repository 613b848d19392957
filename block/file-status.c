/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a file has holes. The last extent of data found is kept: converting an image asks for many
 * small ranges one after another, and data stays data until somebody punches a hole. Holes are not
 * kept, since a write of another process can fill them.
 */
#include <errno.h>
#include <unistd.h>

#include "block/file-internal.h"
#include "util/bits.h"

void file_status_forget(FileState *state)
{
    state->data_start = state->data_end = 0;
}

/*
 * The extent at offset: 1 data, 0 hole, -errno if it is not to be known. *end is its end, or -1 if
 * it is a hole that reaches the end of the file or lies behind it.
 */
static int find_extent(int fd, int64_t offset, int64_t *end)
{
    off_t data = lseek(fd, offset, SEEK_DATA);
    off_t hole;

    if (data < 0) {
        *end = -1;
        return errno == ENXIO ? 0 : -errno;
    }
    if (data > offset) {
        *end = data;
        return 0;
    }
    hole = data < offset ? -1 : lseek(fd, offset, SEEK_HOLE);
    if (hole <= offset) {
        return -EIO; /* it changed meanwhile */
    }
    *end = hole;
    return 1;
}

static void answer(BlockNode *node, BlockStatus *status, unsigned flags, int64_t offset,
                   int64_t bytes)
{
    status->flags = flags | BLOCK_STATUS_OFFSET_VALID | BLOCK_STATUS_ALLOCATED;
    status->bytes = bytes;
    status->map = offset;
    status->file = node;
}

int file_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                      BlockStatus *status)
{
    FileState *state = node->opaque;
    int64_t align = node->limits.request_alignment;
    int64_t end;
    int found;

    if (exact && state->data_start <= offset && offset < state->data_end) {
        answer(node, status, BLOCK_STATUS_DATA, offset, MIN(bytes, state->data_end - offset));
        return 0;
    }
    found = exact && !file_lacks(state, FILE_LACKS_HOLES)
            ? find_extent(state->io.fd, offset, &end) : -ENOTSUP;
    if (found == -EINVAL) {
        file_set_lacks(state, FILE_LACKS_HOLES);
    }
    if (found == 0) {
        int64_t hole = end < 0 ? bytes : MIN(bytes, ROUND_DOWN(end, align) - offset);

        if (hole > 0) {
            answer(node, status, BLOCK_STATUS_ZERO, offset, hole);
            return 0;
        }
        found = 1; /* the rest of a block that has data too */
        end = ROUND_UP(offset + 1, align);
    }
    if (found > 0) {
        end = ROUND_UP(end, align);
        state->data_start = offset;
        state->data_end = end;
        bytes = MIN(bytes, end - offset);
    }
    answer(node, status, BLOCK_STATUS_DATA, offset, bytes);
    return 0;
}
