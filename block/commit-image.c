/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image is drained, and taken off its backing image meanwhile: what it has to give it then says
 * by itself, and the backing image can be written to as if it stood alone. No parent looks before
 * the two are together again.
 */
#include "block/commit-image.h"

#include <errno.h>
#include <stdlib.h>

#include "block/io.h"
#include "block/open.h"
#include "util/error.h"

#define CHUNK (1024 * 1024)
#define ZERO_CHUNK (1024 * 1024 * 1024)

typedef struct Commit {
    BlockChild *top, *base; /* our edges */
    GError **error;
    bool ok;
} Commit;

static char *describe(void *parent)
{
    return g_strdup("the command 'commit'");
}

static const BlockParentOps commit_ops = { .describe = describe };

/* ---- In a coroutine ---- */

static bool grow_base(Commit *c, int64_t size)
{
    int64_t base_size = block_getlength(c->base->node);
    BlockTruncate grow = { .size = size, .flags = BLOCK_REQ_ZERO_WRITE };

    if (base_size < 0) {
        error_set_errno(c->error, (int)-base_size, "Could not get the size of '%s'",
                        c->base->node->filename);
        return false;
    }
    return base_size >= size || block_truncate(c->base, &grow, c->error) >= 0;
}

static int copy_part(BlockChild *top, BlockChild *base, int64_t offset, const BlockStatus *status,
                     void *buf, int64_t *done)
{
    bool is_zero = status->flags & BLOCK_STATUS_ZERO;
    int ret;

    *done = status->bytes;
    if (!(status->flags & BLOCK_STATUS_ALLOCATED)) {
        return 0;
    }
    *done = MIN(status->bytes, is_zero ? ZERO_CHUNK : CHUNK);
    if (is_zero) {
        return block_pwrite_zeroes(base, offset, *done, BLOCK_REQ_MAY_UNMAP);
    }
    ret = block_pread(top, offset, *done, buf);
    return ret < 0 ? ret : block_pwrite(base, offset, *done, buf, 0);
}

int block_commit_copy(BlockChild *top, BlockChild *base, int64_t size, BlockCommitStep *step,
                      void *opaque, int64_t *at)
{
    void *buf = block_alloc(base->node, CHUNK);
    int ret = buf ? 0 : -ENOMEM;

    *at = 0;
    while (*at < size && ret >= 0) {
        BlockStatus status = { 0 };
        int64_t done = 0;

        ret = block_status_above(top->node, NULL, false, *at, size - *at, &status);
        if (ret >= 0) {
            ret = status.bytes > 0 ? copy_part(top, base, *at, &status, buf, &done) : -EIO;
        }
        if (ret >= 0) {
            *at += done;
            ret = step ? step(opaque, done, status.flags & BLOCK_STATUS_ALLOCATED) : 0;
        }
    }
    free(buf);
    return ret < 0 ? ret : block_flush(base->node);
}

static int empty_top(Commit *c)
{
    BlockNode *top = c->top->node;
    int ret = top->driver->make_empty ? top->driver->make_empty(top) : 0;

    return ret < 0 ? ret : block_flush(top);
}

static void run_commit(void *opaque)
{
    Commit *c = opaque;
    int64_t size = block_getlength(c->top->node), at;
    int ret = size < 0 ? (int)size : 0;

    if (ret < 0 || grow_base(c, size)) {
        ret = ret < 0 ? ret : block_commit_copy(c->top, c->base, size, NULL, NULL, &at);
        ret = ret < 0 ? ret : empty_top(c);
        c->ok = ret >= 0;
        if (ret < 0) {
            error_set_errno(c->error, -ret, "Could not commit '%s' to '%s'",
                            c->top->node->filename, c->base->node->filename);
        }
    }
}

/* ---- The graph ---- */

static bool attach(Commit *c, BlockNode *top, BlockNode *base, GError **error)
{
    c->top = block_parent_attach(&commit_ops, NULL, top, "commit-top", BLOCK_ROLE_DATA,
                                 BLOCK_PERM_CONSISTENT_READ, BLOCK_PERM_ALL, error);
    c->base = c->top ? block_parent_attach(&commit_ops, NULL, base, "commit-base", BLOCK_ROLE_DATA,
                                           BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, BLOCK_PERM_ALL,
                                           error)
                     : NULL;
    return c->base != NULL;
}

static bool commit_to(BlockNode *top, BlockNode *base, GError **error)
{
    bool was_read_only = base->mode.read_only;
    Commit c = { .error = error };
    bool ok = block_reopen_read_only(base, false, error) && attach(&c, top, base, error);

    if (ok) {
        block_run(top, run_commit, &c);
        ok = c.ok;
    }
    block_child_detach(c.base);
    block_child_detach(c.top);
    return block_reopen_read_only(base, was_read_only, ok ? error : NULL) && ok;
}

bool block_commit_image(BlockNode *top, GError **error)
{
    g_autoptr(BlockNode) base = NULL;
    bool ok;

    if (!top->backing) {
        error_setf(error, "'%s' has no backing image", top->filename);
        return false;
    }
    if (top->mode.read_only) {
        error_setf(error, "'%s' is read-only", top->filename);
        return false;
    }
    base = block_node_ref(top->backing->node);
    block_drain_begin(top);
    block_drain_begin(base);
    ok = block_node_set_backing(top, NULL, error);
    if (ok) {
        ok = commit_to(top, base, error);
        ok = block_node_set_backing(top, base, ok ? error : NULL) && ok;
    }
    block_drain_end(base);
    block_drain_end(top);
    return ok;
}
