/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usually writes pass; the source's dirty bitmap records them, and the job is woken.
 *
 * With copy-mode write-blocking a write takes its range for itself, so that it and the job's own
 * copying, and other writes, do not overtake one another on their way to the two disks. Then the
 * bitmap does not record by itself: what the write covers is clean when it has reached the copy,
 * and dirty if it has not.
 */
#include "block/mirror-top.h"

#include <errno.h>
#include <stdlib.h>

#include "block/io-internal.h"
#include "util/iov.h"

typedef struct TopWrite {
    BlockNode *node;
    int64_t offset, bytes;
    unsigned flags;
    const BlockVec *vec;  /* NULL: as `change` says */
    size_t vec_offset;
    int (*change)(BlockChild *child, const struct TopWrite *write);
} TopWrite;

static int write_data(BlockChild *child, const TopWrite *w)
{
    return block_pwritev(child, w->offset, w->bytes, w->vec, w->vec_offset, w->flags);
}

static int write_zeroes(BlockChild *child, const TopWrite *w)
{
    return block_pwrite_zeroes(child, w->offset, w->bytes, w->flags);
}

static int discard(BlockChild *child, const TopWrite *w)
{
    return block_pdiscard(child, w->offset, w->bytes);
}

static void write_copy(MirrorTop *top, const TopWrite *w)
{
    const JobCopyParams *p = job_copy_params(top->copy);
    DirtyBitmap *todo = job_copy_bitmap(top->copy);
    TopWrite again = *w;
    int ret;

    again.flags &= BLOCK_REQ_MAY_UNMAP;
    block_dirty_bitmap_reset(todo, w->offset, w->bytes);
    ret = w->change(p->target, &again);
    if (ret < 0) {
        block_dirty_bitmap_set(todo, w->offset, w->bytes);
        job_copy_note_error(top->copy, false, -ret, w->offset);
    } else {
        job_copy_account(top->copy, w->bytes);
    }
}

static int write_both(MirrorTop *top, const TopWrite *w)
{
    JobCopyRange range;
    int ret;

    job_copy_take(top->copy, &range, w->offset, w->bytes);
    ret = w->change(w->node->file, w);
    if (ret >= 0) {
        write_copy(top, w);
    } else {
        block_dirty_bitmap_set(job_copy_bitmap(top->copy), w->offset, w->bytes);
        job_copy_kick(top->copy);
    }
    job_copy_give_back(top->copy, &range);
    return ret;
}

static int write_through(const TopWrite *w)
{
    MirrorTop *top = w->node->opaque;
    int ret;

    if (top->copy && top->write_blocking) {
        return write_both(top, w);
    }
    ret = w->change(w->node->file, w);
    if (top->copy) {
        job_copy_kick(top->copy);
    }
    return ret;
}

static int top_pwritev(BlockNode *node, int64_t offset, int64_t bytes, const BlockVec *vec,
                       size_t vec_offset, unsigned flags)
{
    MirrorTop *top = node->opaque;
    TopWrite w = { node, offset, bytes, flags, vec, vec_offset, write_data };
    void *buf;
    int ret;

    if (!top->copy || !top->write_blocking) {
        return write_through(&w);
    }
    /* Both disks get the same, even if the guest changes its memory meanwhile. */
    buf = block_alloc(node, (size_t)bytes);
    if (!buf) {
        return -ENOMEM;
    }
    iov_to_buf(vec->iov, vec->n, vec_offset, buf, (size_t)bytes);
    w.vec = BLOCK_VEC_BUF(buf, (size_t)bytes);
    w.vec_offset = 0;
    ret = write_through(&w);
    free(buf);
    return ret;
}

static int top_pwritev_compressed(BlockNode *node, int64_t offset, int64_t bytes,
                                  const BlockVec *vec, size_t vec_offset)
{
    return top_pwritev(node, offset, bytes, vec, vec_offset, BLOCK_REQ_COMPRESSED);
}

static int top_pwrite_zeroes(BlockNode *node, int64_t offset, int64_t bytes, unsigned flags)
{
    return write_through(&(TopWrite){ node, offset, bytes, flags, NULL, 0, write_zeroes });
}

static int top_pdiscard(BlockNode *node, int64_t offset, int64_t bytes)
{
    return write_through(&(TopWrite){ node, offset, bytes, 0, NULL, 0, discard });
}

static void top_child_perm(BlockNode *node, const char *child_name, unsigned role, unsigned perm,
                           unsigned shared, unsigned *child_perm, unsigned *child_shared)
{
    const MirrorTop *top = node->opaque;

    *child_perm = top->silent ? 0 : perm;
    if (top->commit) {
        /* Images below change, as those see it who stand on them; what is seen here does not. */
        *child_perm &= ~(unsigned)BLOCK_PERM_CONSISTENT_READ;
    }
    *child_shared = top->silent || top->commit ? BLOCK_PERM_ALL : shared;
}

const BlockDriver mirror_top_driver = {
    .name = "mirror_top",
    .instance_size = sizeof(MirrorTop),
    .is_filter = true,
    .refresh_filename = job_filter_refresh_filename,
    .child_perm = top_child_perm,
    .preadv = block_filter_preadv,
    .pwritev = top_pwritev,
    .pwritev_compressed = top_pwritev_compressed,
    .pwrite_zeroes = top_pwrite_zeroes,
    .pdiscard = top_pdiscard,
};
