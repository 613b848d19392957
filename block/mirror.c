/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mirror job. It copies what its dirty bitmap marks until nothing is marked; then it is ready,
 * and copies what the guest writes from then on. When it is told to end, the disk is drained, what
 * is still marked is copied, and with the disk drained until then, the target takes the place of
 * the source.
 *
 * A client that finalizes the job itself may take his time. The guest does not wait for him: after
 * the work the filter goes on recording what it writes, and finalizing the job copies that.
 */
#include "block/mirror.h"

#include <errno.h>

#include "block/job-chain.h"
#include "block/mirror-top.h"
#include "block/open.h"
#include "util/error.h"

#define DEFAULT_MEMORY (10 << 20)
#define MIN_GRANULARITY 512
#define MAX_GRANULARITY (64 << 20)

typedef struct MirrorJob {
    Job job;
    BlockNode *source, *target, *filter; /* references; filter NULL: gone */
    BlockNode *base;         /* a reference: what is not above it is not copied; NULL: all is */
    bool base_was_read_only; /* of a commit: the target becomes so again if this fails */
    JobCopy *copy;
    MirrorSyncMode sync;
    MirrorBacking backing;
    char *replaces;          /* node name; NULL: the source */
    bool commit;
    bool zero_target;        /* it is not known to be zero, and only what is allocated is marked */
    bool completing;         /* a client has asked for the end with the switch */
    bool switched;           /* the target has taken the source's place */
    bool drained;            /* the source is, until the end */
} MirrorJob;

/* ---- What is to be copied ---- */

static int is_wanted(JobCopy *copy, int64_t offset, int64_t bytes, int64_t *n)
{
    const JobCopyParams *p = job_copy_params(copy);
    MirrorJob *mirror = job_copy_job(copy);

    if (mirror->sync == MIRROR_SYNC_MODE_NONE) {
        *n = bytes;
        return 0;
    }
    return block_is_allocated_above(p->source->node, mirror->base, false, offset, bytes, n);
}

typedef struct ZeroRun {
    BlockChild *target;
    int64_t offset, bytes;
    int result;
} ZeroRun;

#define ZERO_STEP ((int64_t)1 << 30)

static void zero_some(void *opaque)
{
    ZeroRun *run = opaque;

    run->result = block_pwrite_zeroes(run->target, run->offset, run->bytes, BLOCK_REQ_MAY_UNMAP);
}

/* What the source does not have must not be seen in the target. */
static bool zero_target(MirrorJob *mirror, GError **error)
{
    const JobCopyParams *p = job_copy_params(mirror->copy);

    for (int64_t at = 0; mirror->zero_target && at < p->size; at += ZERO_STEP) {
        ZeroRun run = { p->target, at, MIN(ZERO_STEP, p->size - at), 0 };

        if (!job_sleep(&mirror->job, 0)) {
            return false;
        }
        block_run(mirror->target, zero_some, &run);
        if (run.result < 0) {
            error_set_errno(error, -run.result, "Cannot make the target zero");
            return false;
        }
    }
    return true;
}

/* ---- The work ---- */

/* With the source drained nothing comes after what is copied now. False: go on copying. */
static bool drain_and_copy(MirrorJob *mirror, bool flush)
{
    job_drain_begin(&mirror->job, mirror->source);
    mirror->drained = true;
    if (job_copy_rest(mirror->copy) && (!flush || job_copy_flush_once(mirror->copy))) {
        return true;
    }
    mirror->drained = false;
    job_drain_end(&mirror->job, mirror->source);
    return false;
}

/* Once both disks are equal, for a moment at least. */
static bool become_ready(MirrorJob *mirror, GError **error)
{
    if (!job_copy_flush(mirror->copy, error)) {
        return false;
    }
    if (job_copy_is_idle(mirror->copy)) {
        job_ready(&mirror->job);
    } else if (drain_and_copy(mirror, false)) {
        mirror->drained = false;
        job_drain_end(&mirror->job, mirror->source);
        job_ready(&mirror->job);
    }
    return true;
}

/* Not to wait for a client. */
static void let_guest_go_on(MirrorJob *mirror)
{
    if (mirror->job.flags.manual_finalize) {
        mirror->drained = false;
        job_drain_end(&mirror->job, mirror->source);
    }
}

/* What it has written since. */
static bool catch_up(Job *job, GError **error)
{
    MirrorJob *mirror = (MirrorJob *)job;

    if (job_copy_catch_up(mirror->copy) && drain_and_copy(mirror, true)) {
        return true;
    }
    job_copy_tell_failure(mirror->copy, error);
    return false;
}

static bool mirror_run(Job *job, GError **error)
{
    MirrorJob *mirror = (MirrorJob *)job;
    bool ok = zero_target(mirror, error) && job_copy_scan(mirror->copy, error);

    while (ok && job_copy_run(mirror->copy, error)) {
        if (!job_is_ready(job)) {
            ok = become_ready(mirror, error);
        } else if (mirror->completing || job->cancelled) {
            if (drain_and_copy(mirror, true)) {
                let_guest_go_on(mirror);
                return true;
            }
        } else if (job_copy_is_idle(mirror->copy)) {
            ok = job_wait(job);
        }
    }
    return false;
}

static BlockNode *node_to_replace(MirrorJob *mirror, GError **error)
{
    BlockNode *node;

    if (!mirror->replaces) {
        return mirror->source;
    }
    node = block_node_find(mirror->replaces);
    if (!node) {
        error_setf(error, "Node name '%s' not found", mirror->replaces);
    }
    return node;
}

static bool mirror_complete(Job *job, GError **error)
{
    MirrorJob *mirror = (MirrorJob *)job;

    if (!node_to_replace(mirror, error) ||
        (mirror->backing == MIRROR_BACKING_OPEN && !mirror->completing &&
         !block_open_backing(mirror->target, error))) {
        return false;
    }
    mirror->completing = true;
    return true;
}

/* ---- The end ---- */

/* The filter and the job's edges go; who used the filter uses the source as before. */
static bool take_filter_away(MirrorJob *mirror, GError **error)
{
    BlockNode *filter = mirror->filter;
    bool ok;

    if (!filter) {
        return true;
    }
    block_drain_begin(filter);
    ((MirrorTop *)filter->opaque)->copy = NULL;
    ((MirrorTop *)filter->opaque)->silent = true;
    job_detach_all(&mirror->job);
    ok = job_filter_remove(filter, error);
    block_drain_end(filter);
    if (ok) {
        mirror->filter = NULL;
        block_node_unref(filter);
    }
    return ok;
}

static bool set_backing(MirrorJob *mirror, GError **error)
{
    BlockNode *image = block_skip_filters(mirror->target);
    BlockNode *backing = mirror->sync == MIRROR_SYNC_MODE_NONE
                             ? mirror->source
                             : block_backing_chain_next(mirror->source);

    if (mirror->backing != MIRROR_BACKING_SOURCE || !image->driver->supports_backing ||
        image->driver->only_reads_backing ||
        (image->backing && image->backing->node == backing) ||
        (!image->backing && mirror->sync == MIRROR_SYNC_MODE_FULL)) {
        return true;
    }
    return !backing || block_node_set_backing(image, backing, error);
}

static bool mirror_prepare(Job *job, GError **error)
{
    MirrorJob *mirror = (MirrorJob *)job;
    BlockNode *replaced;

    if (!mirror->drained && !job_work_again(job, catch_up, error)) {
        return false;
    }
    if (!mirror->completing) {
        return take_filter_away(mirror, error);
    }
    replaced = node_to_replace(mirror, error);
    mirror->switched = replaced && take_filter_away(mirror, error) && set_backing(mirror, error) &&
                       block_node_replace(replaced, mirror->target, error);
    return mirror->switched;
}

static void mirror_abort(Job *job)
{
    MirrorJob *mirror = (MirrorJob *)job;
    g_autoptr(GError) error = NULL;

    if (!take_filter_away(mirror, &error)) {
        error_report("Cannot take the filter of job '%s' away: %s", job->id, error->message);
    }
}

static void mirror_clean(Job *job)
{
    MirrorJob *mirror = (MirrorJob *)job;

    job_detach_all(job);
    if (mirror->drained) {
        mirror->drained = false;
        job_drain_end(job, mirror->source);
    }
    if (mirror->base_was_read_only && !mirror->switched) {
        block_reopen_read_only(mirror->target, true, NULL);
    }
}

static void mirror_destroy(Job *job)
{
    MirrorJob *mirror = (MirrorJob *)job;

    job_copy_free(mirror->copy);
    block_node_unref(mirror->base);
    block_node_unref(mirror->filter);
    block_node_unref(mirror->target);
    block_node_unref(mirror->source);
    g_free(mirror->replaces);
}

#define MIRROR_OPS                                                                                 \
    .is_block_job = true, .instance_size = sizeof(MirrorJob), .soft_cancel = true,                 \
    .run = mirror_run, .complete = mirror_complete, .prepare = mirror_prepare,                     \
    .abort = mirror_abort, .clean = mirror_clean, .destroy = mirror_destroy

static const JobOps mirror_ops = { .type = JOB_TYPE_MIRROR, MIRROR_OPS };
static const JobOps commit_ops = { .type = JOB_TYPE_COMMIT, MIRROR_OPS };

/* ---- Starting ---- */

typedef struct Facts {
    const MirrorArgs *args;
    int64_t source_size, target_size;
    uint32_t granularity, cluster;
    GError **error;
    bool ok;
} Facts;

static void ask_facts(void *opaque)
{
    Facts *facts = opaque;
    BlockNodeInfo info = { 0 };

    facts->source_size = block_getlength(facts->args->source);
    facts->target_size = block_getlength(facts->args->target);
    facts->granularity = block_dirty_bitmap_default_granularity(facts->args->target);
    if (block_get_info(facts->args->target, &info) >= 0) {
        facts->cluster = job_copy_cluster(&info);
    }
}

static bool check_args(const MirrorArgs *args, GError **error)
{
    if (args->sync == MIRROR_SYNC_MODE_INCREMENTAL || args->sync == MIRROR_SYNC_MODE_BITMAP) {
        error_setf(error, "Sync mode '%s' not supported", MirrorSyncMode_str(args->sync));
    } else if (args->has_granularity && (args->granularity < MIN_GRANULARITY ||
                                         args->granularity > MAX_GRANULARITY)) {
        error_setf(error, "Parameter 'granularity' expects a value in range [512B, 64MB]");
    } else if (args->has_granularity && (args->granularity & (args->granularity - 1))) {
        error_setf(error, "Parameter 'granularity' expects a power of 2");
    } else if (args->buf_size < 0) {
        error_setf(error, "Invalid parameter 'buf-size'");
    } else if (args->source == args->target) {
        error_setf(error, "Can't mirror node into itself");
    } else if (!args->commit && block_chain_contains(args->source, args->target)) {
        BlockNode *overlay = job_chain_overlay(args->source, args->target);

        error_setf(error, "Node '%s' is busy: node is used as backing hd of '%s'",
                   args->target->name, overlay ? overlay->name : args->source->name);
    } else {
        return true;
    }
    return false;
}

static bool check_sizes(const Facts *facts, GError **error)
{
    if (facts->source_size < 0 || facts->target_size < 0) {
        error_setf(error, "Unable to get length for '%s'", facts->source_size < 0
                                                               ? facts->args->source->name
                                                               : facts->args->target->name);
        return false;
    }
    if (!facts->args->commit && facts->source_size != facts->target_size) {
        error_setf(error, "Source and target image have different sizes");
        return false;
    }
    return true;
}

/* A filter's child shows the same; other nodes may not. */
static bool check_replaces(const MirrorArgs *args, GError **error)
{
    BlockNode *node = args->source, *wanted;

    if (!args->replaces) {
        return true;
    }
    wanted = block_node_find(args->replaces);
    if (!wanted) {
        error_setf(error, "Failed to find node with node-name='%s'", args->replaces);
        return false;
    }
    if (!job_chain_is_top(wanted, error)) {
        return false;
    }
    while (node && node != wanted) {
        BlockChild *child = block_filter_child(node);

        node = child ? child->node : NULL;
    }
    if (!node) {
        error_setf(error, "Cannot replace '%s' by a node mirrored from '%s', because it cannot be "
                   "guaranteed that doing so would not lead to an abrupt change of visible data",
                   args->replaces, args->source->name);
    }
    return node;
}

static MirrorJob *new_mirror(const MirrorArgs *args, GError **error)
{
    const JobOps *ops = args->commit ? &commit_ops : &mirror_ops;
    MirrorJob *mirror = (MirrorJob *)job_new(args->job_id, ops, NULL, &args->flags, error);
    BlockNode *base = args->commit ? job_chain_overlay(args->source, args->target) : NULL;

    if (!mirror) {
        return NULL;
    }
    mirror->source = block_node_ref(args->source);
    mirror->target = block_node_ref(args->target);
    mirror->sync = args->sync;
    if (args->sync == MIRROR_SYNC_MODE_TOP && !args->commit) {
        base = block_backing_chain_next(args->source);
        mirror->sync = base ? mirror->sync : MIRROR_SYNC_MODE_FULL;
    } else if (base) {
        base = args->target;
    }
    mirror->base = base ? block_node_ref(base) : NULL;
    mirror->backing = args->backing;
    mirror->commit = args->commit;
    mirror->replaces = g_strdup(args->replaces);
    return mirror;
}

static bool attach_nodes(MirrorJob *mirror, const MirrorArgs *args, JobCopyParams *p,
                         GError **error)
{
    Job *job = &mirror->job;
    unsigned intermediate = BLOCK_PERM_WRITE_UNCHANGED | BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;

    if (!job_attach(job, mirror->filter, "main node", 0, BLOCK_PERM_ALL, error)) {
        return false;
    }
    p->source = job_attach(job, args->source, "source",
                           args->commit ? 0 : BLOCK_PERM_CONSISTENT_READ,
                           BLOCK_PERM_ALL & ~(unsigned)BLOCK_PERM_RESIZE, error);
    p->target = p->source ? job_attach(job, args->target, "target",
                                       BLOCK_PERM_WRITE | (args->commit ? BLOCK_PERM_RESIZE : 0),
                                       BLOCK_PERM_WRITE_UNCHANGED |
                                           (args->commit ? BLOCK_PERM_CONSISTENT_READ : 0),
                                       error)
                          : NULL;
    return p->target && (!args->commit || job_chain_hold(job, args->source, args->target,
                                                         intermediate, error));
}

static void fill_params(MirrorJob *mirror, const MirrorArgs *args, const Facts *facts,
                        JobCopyParams *p)
{
    bool can_zero = (args->target->zero_flags & BLOCK_REQ_MAY_UNMAP) &&
                    args->target->mode.discard_unmap;
    bool full = mirror->sync == MIRROR_SYNC_MODE_FULL && !args->commit;

    p->size = facts->source_size;
    p->granularity = args->has_granularity ? args->granularity : facts->granularity;
    p->align = facts->cluster;
    p->max_memory = args->buf_size ? args->buf_size : DEFAULT_MEMORY;
    p->max_chunk = MIN(JOB_COPY_CHUNK,
                       p->max_memory & ~((int64_t)MAX(p->align, p->granularity) - 1));
    p->unmap = args->unmap;
    p->records = !args->write_blocking;
    p->shown = true;
    p->on_source_error = args->on_source_error;
    p->on_target_error = args->on_target_error;
    p->base = args->commit ? args->target : NULL;
    mirror->zero_target = full && !args->target_is_new && can_zero;
    if (full && !args->target_is_new && !can_zero) {
        p->premarked = true;
    } else {
        p->wanted = is_wanted;
    }
}

static bool set_up(MirrorJob *mirror, const MirrorArgs *args, const Facts *facts, GError **error)
{
    JobCopyParams p = { 0 };
    MirrorTop *top;

    mirror->filter = job_filter_insert(&mirror_top_driver, args->filter_node_name, args->source,
                                       error);
    if (!mirror->filter) {
        return false;
    }
    top = mirror->filter->opaque;
    top->commit = args->commit;
    top->write_blocking = args->write_blocking;
    /* What the filter lets others do depends on these. */
    if (!block_node_refresh_perms(mirror->filter, error) ||
        !attach_nodes(mirror, args, &p, error) ||
        (args->commit && !job_grow(p.target, facts->source_size, error))) {
        return false;
    }
    fill_params(mirror, args, facts, &p);
    mirror->copy = job_copy_new(&mirror->job, &p, error);
    top->copy = mirror->copy;
    return mirror->copy && job_set_speed(&mirror->job, args->speed, error);
}

/* A backing image is read-only; it will be written. */
static bool open_base_for_writing(MirrorJob *mirror, const MirrorArgs *args, GError **error)
{
    if (!args->commit || !args->target->mode.read_only) {
        return true;
    }
    mirror->base_was_read_only = block_reopen_read_only(args->target, false, error);
    return mirror->base_was_read_only;
}

Job *block_mirror_new(const MirrorArgs *args, GError **error)
{
    Facts facts = { .args = args };
    MirrorJob *mirror;
    bool ok;

    if (!check_args(args, error) || !check_replaces(args, error) ||
        !job_node_is_free(args->source, error) || !job_node_is_free(args->target, error) ||
        !block_node_set_loop(args->target, args->source->loop, error)) {
        return NULL;
    }
    block_run(args->source, ask_facts, &facts);
    if (!check_sizes(&facts, error) || !(mirror = new_mirror(args, error))) {
        return NULL;
    }
    block_drain_begin(args->source);
    ok = open_base_for_writing(mirror, args, error) && set_up(mirror, args, &facts, error);
    block_drain_end(args->source);
    if (!ok) {
        job_fail_early(&mirror->job);
        return NULL;
    }
    return &mirror->job;
}
