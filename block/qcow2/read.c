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

/* ---- Copying in the storage ---- */

static int copy_backing(Qcow2 *q, int64_t offset, BlockChild *dst, int64_t dst_offset,
                        int64_t bytes, unsigned flags)
{
    BlockChild *backing = q->node->backing;
    int64_t inside = backing ? CLAMP(block_getlength(backing->node) - offset, 0, bytes) : 0;
    int ret = inside ? block_copy_range(backing, offset, dst, dst_offset, inside, flags) : 0;

    return ret < 0 || inside == bytes
        ? ret : block_pwrite_zeroes(dst, dst_offset + inside, bytes - inside, flags);
}

static int copy_run(Qcow2 *q, int64_t offset, const Qcow2Run *run, BlockChild *dst,
                    int64_t dst_offset, unsigned flags)
{
    unsigned epoch;
    int ret;

    switch (run->type) {
    case QCOW2_UNALLOCATED:
    case QCOW2_UNALLOCATED_HOST:
        return copy_backing(q, offset, dst, dst_offset, run->bytes, flags);
    case QCOW2_ZERO_PLAIN:
    case QCOW2_ZERO_HOST:
        return block_pwrite_zeroes(dst, dst_offset, run->bytes, flags);
    case QCOW2_NORMAL:
        epoch = qcow2_io_begin(q);
        ret = block_copy_range(q->data_file, run->host, dst, dst_offset, run->bytes, flags);
        qcow2_io_end(q, epoch);
        return ret;
    default:
        return -ENOTSUP;
    }
}

int qcow2_copy_range_from(BlockNode *node, BlockChild *src, int64_t src_offset, BlockChild *dst,
                          int64_t dst_offset, int64_t bytes, unsigned flags)
{
    Qcow2 *q = node->opaque;
    int ret = q->crypt_method ? -ENOTSUP : 0;

    while (bytes > 0 && ret >= 0) {
        Qcow2Run run;

        ret = qcow2_lookup(q, src_offset, bytes, false, &run);
        ret = ret < 0 ? ret : copy_run(q, src_offset, &run, dst, dst_offset, flags);
        if (ret >= 0) {
            src_offset += run.bytes;
            dst_offset += run.bytes;
            bytes -= run.bytes;
        }
    }
    return ret;
}
