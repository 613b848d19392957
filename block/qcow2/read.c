/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, and the map of what is where. */
#include <errno.h>

#include "block/crypt.h"
#include "block/qcow2/qcow2.h"
#include "util/iov.h"


static int read_encrypted(Qcow2 *q, int64_t offset, int64_t host, int64_t bytes,
                          const BlockVec *vec, size_t vec_offset)
{
    uint8_t *piece = block_alloc(q->data_file->node, (size_t)MIN(bytes, QCOW2_CRYPT_PIECE));
    int ret = piece ? 0 : -ENOMEM;

    for (int64_t done = 0, n; done < bytes && ret >= 0; done += n) {
        int64_t at = q->crypt_method == QCOW2_CRYPT_LUKS ? host + done : offset + done;

        n = MIN(bytes - done, QCOW2_CRYPT_PIECE);
        ret = block_pread(q->data_file, host + done, n, piece);
        if (ret >= 0) {
            block_crypt(crypto_block_decrypt, q->crypto, (uint64_t)at, piece, piece, (size_t)n);
            iov_from_buf(vec->iov, vec->n, vec_offset + (size_t)done, piece, (size_t)n);
        }
    }
    free(piece);
    return ret;
}

static int read_host(Qcow2 *q, int64_t offset, const Qcow2Run *run, const BlockVec *vec,
                     size_t vec_offset)
{
    unsigned epoch = qcow2_io_begin(q);
    int ret;

    if (q->crypt_method) {
        ret = read_encrypted(q, offset, run->host, run->bytes, vec, vec_offset);
    } else {
        block_debug_event(q->data_file, BLKDBG_READ_AIO);
        ret = block_preadv(q->data_file, run->host, run->bytes, vec, vec_offset, 0);
    }
    qcow2_io_end(q, epoch);
    return ret;
}

static int read_backing(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec,
                        size_t vec_offset)
{
    /* The backing file may be longer; and the saved VM state is behind the disk. */
    int64_t inside = q->node->backing ? CLAMP(q->disk_size - offset, 0, bytes) : 0;

    if (inside < bytes) {
        iov_memset(vec->iov, vec->n, vec_offset + (size_t)inside, 0, (size_t)(bytes - inside));
    }
    if (!inside) {
        return 0;
    }
    block_debug_event(q->node->file, BLKDBG_READ_BACKING_AIO);
    return block_preadv(q->node->backing, offset, inside, vec, vec_offset, 0);
}

int qcow2_read(Qcow2 *q, int64_t offset, int64_t bytes, const BlockVec *vec, size_t vec_offset)
{
    int ret = 0;

    while (bytes > 0 && ret >= 0) {
        Qcow2Run run;

        ret = qcow2_lookup(q, offset, bytes, false, &run);
        if (ret < 0) {
            break;
        }
        switch (run.type) {
        case QCOW2_UNALLOCATED:
        case QCOW2_UNALLOCATED_HOST:
            ret = read_backing(q, offset, run.bytes, vec, vec_offset);
            break;
        case QCOW2_ZERO_PLAIN:
        case QCOW2_ZERO_HOST:
            iov_memset(vec->iov, vec->n, vec_offset, 0, (size_t)run.bytes);
            break;
        case QCOW2_NORMAL:
            ret = read_host(q, offset, &run, vec, vec_offset);
            break;
        default:
            ret = qcow2_read_compressed(q, offset, bytes, vec, vec_offset, &run.bytes);
        }
        offset += run.bytes;
        vec_offset += (size_t)run.bytes;
        bytes -= run.bytes;
    }
    return ret;
}

int qcow2_preadv(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                 size_t vec_offset, unsigned flags)
{
    return qcow2_read(node->opaque, offset, bytes, vec, vec_offset);
}

int qcow2_block_status(BlockNode *node, bool exact, int64_t offset, int64_t bytes,
                       BlockStatus *status)
{
    Qcow2 *q = node->opaque;
    Qcow2Run run;
    int ret = qcow2_lookup(q, offset, bytes, false, &run);

    if (ret < 0) {
        return ret;
    }
    status->bytes = run.bytes;
    switch (run.type) {
    case QCOW2_UNALLOCATED:
    case QCOW2_UNALLOCATED_HOST:
        status->flags = 0;
        return 0;
    case QCOW2_ZERO_PLAIN:
    case QCOW2_ZERO_HOST:
        status->flags = BLOCK_STATUS_ZERO | BLOCK_STATUS_ALLOCATED;
        break;
    case QCOW2_COMPRESSED_DATA:
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED | BLOCK_STATUS_COMPRESSED;
        return 0;
    default:
        status->flags = BLOCK_STATUS_DATA | BLOCK_STATUS_ALLOCATED |
                        (q->crypt_method ? 0 : BLOCK_STATUS_RECURSE);
    }
    if ((run.type == QCOW2_NORMAL || run.type == QCOW2_ZERO_HOST) && !q->crypt_method) {
        status->flags |= BLOCK_STATUS_OFFSET_VALID;
        status->map = run.host;
        status->file = q->data_file->node;
    }
    return 0;
}
