/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commit job: what images of a chain have goes into an image below them, and then they are left
 * out of the chain. Nobody writes to them. (The topmost image is committed by a mirror.)
 *
 * A filter above the images takes the place of what they are to those who stand on them: the filter
 * does not mind that the base changes below, since what is seen at the top does not.
 */
#include "block/commit.h"

#include "block/io.h"
#include "block/job-chain.h"
#include "block/job-copy.h"
#include "block/job-filter.h"
#include "block/open.h"
#include "util/error.h"

typedef struct CommitJob {
    Job job;
    BlockNode *top, *base, *filter; /* references; filter NULL: gone */
    bool base_was_read_only;
    char *backing_file;      /* NULL: the base's name */
    JobCopy *copy;
} CommitJob;

/* ---- The filter ---- */

static void commit_top_child_perm(BlockNode *node, const char *child_name, unsigned role,
                                  unsigned perm, unsigned shared, unsigned *child_perm,
                                  unsigned *child_shared)
{
    *child_perm = 0;
    *child_shared = BLOCK_PERM_ALL;
}

static const BlockDriver commit_top_driver = {
    .name = "commit_top",
    .is_filter = true,
    .refresh_filename = job_filter_refresh_filename,
    .child_perm = commit_top_child_perm,
    .preadv = block_filter_preadv,
};

/* ---- The work ---- */

static int is_in_chain(JobCopy *copy, int64_t offset, int64_t bytes, int64_t *n)
{
    const JobCopyParams *p = job_copy_params(copy);

    return block_is_allocated_above(p->source->node, p->base, false, offset, bytes, n);
}

static bool commit_run(Job *job, GError **error)
{
    CommitJob *commit = (CommitJob *)job;

    return job_copy_run(commit->copy, error) && job_copy_flush(commit->copy, error);
}

/* ---- The end ---- */

static bool commit_prepare(Job *job, GError **error)
{
    CommitJob *commit = (CommitJob *)job;
    BlockNode *filter = commit->filter;
    bool ok;

    block_drain_begin(filter);
    job_detach_all(job);
    ok = job_chain_drop(filter, commit->base, commit->backing_file, error);
    block_drain_end(filter);
    if (ok) {
        commit->filter = NULL;
        block_node_unref(filter);
    }
    return ok;
}

static void commit_abort(Job *job)
{
    CommitJob *commit = (CommitJob *)job;
    g_autoptr(GError) error = NULL;

    if (!commit->filter) {
        return;
    }
    job_detach_all(job);
    if (!job_filter_remove(commit->filter, &error)) {
        error_report("Cannot take the filter of job '%s' away: %s", job->id, error->message);
    }
}

static void commit_clean(Job *job)
{
    CommitJob *commit = (CommitJob *)job;

    job_detach_all(job);
    if (commit->base_was_read_only) {
        block_reopen_read_only(commit->base, true, NULL);
    }
}

static void commit_destroy(Job *job)
{
    CommitJob *commit = (CommitJob *)job;

    job_copy_free(commit->copy);
    block_node_unref(commit->filter);
    block_node_unref(commit->base);
    block_node_unref(commit->top);
    g_free(commit->backing_file);
}

static const JobOps commit_ops = {
    .type = JOB_TYPE_COMMIT,
    .is_block_job = true,
    .instance_size = sizeof(CommitJob),
    .run = commit_run,
    .prepare = commit_prepare,
    .abort = commit_abort,
    .clean = commit_clean,
    .destroy = commit_destroy,
};

/* ---- Starting ---- */

static bool attach_nodes(CommitJob *commit, BlockNode *device, JobCopyParams *p, GError **error)
{
    Job *job = &commit->job;
    unsigned intermediate = BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;

    if (!job_attach(job, device, "main node", 0, BLOCK_PERM_ALL, error) ||
        !job_attach(job, commit->filter, "filter", 0, BLOCK_PERM_ALL, error)) {
        return false;
    }
    p->source = job_attach(job, commit->top, "top", 0, intermediate, error);
    p->target = p->source ? job_attach(job, commit->base, "base",
                                       BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE |
                                           BLOCK_PERM_RESIZE,
                                       BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED,
                                       error)
                          : NULL;
    return p->target && job_chain_hold(job, commit->top, commit->base, intermediate, error);
}

static bool set_up(CommitJob *commit, const CommitArgs *args, int64_t size, GError **error)
{
    BlockNodeInfo info = { 0 };
    JobCopyParams p = {
        .wanted = is_in_chain, .base = args->base, .size = size, .granularity = 65536,
        .whole_disk = true, .unmap = true,
        .on_source_error = args->on_error, .on_target_error = args->on_error,
    };

    commit->filter = job_filter_insert(&commit_top_driver, args->filter_node_name, args->top,
                                       error);
    if (!commit->filter || !attach_nodes(commit, args->device, &p, error) ||
        !job_grow(p.target, size, error)) {
        return false;
    }
    if (block_get_info(args->base, &info) >= 0) {
        p.align = job_copy_cluster(&info);
    }
    commit->copy = job_copy_new(&commit->job, &p, error);
    return commit->copy && job_set_speed(&commit->job, args->speed, error);
}

static bool open_base_for_writing(CommitJob *commit, GError **error)
{
    if (!commit->base->mode.read_only) {
        return true;
    }
    commit->base_was_read_only = block_reopen_read_only(commit->base, false, error);
    return commit->base_was_read_only;
}

Job *block_commit_new(const CommitArgs *args, GError **error)
{
    int64_t size = job_node_length(args->top, error);
    CommitJob *commit;
    bool ok;

    if (size < 0) {
        return NULL;
    }
    commit = (CommitJob *)job_new(args->job_id, &commit_ops, NULL, &args->flags, error);
    if (!commit) {
        return NULL;
    }
    commit->top = block_node_ref(args->top);
    commit->base = block_node_ref(args->base);
    commit->backing_file = g_strdup(args->backing_file);
    block_drain_begin(args->top);
    ok = open_base_for_writing(commit, error) && set_up(commit, args, size, error);
    block_drain_end(args->top);
    if (!ok) {
        job_fail_early(&commit->job);
        return NULL;
    }
    return &commit->job;
}
