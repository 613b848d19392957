/* SPDX-License-Identifier: Apache-2.0 */
/* What a job tells of itself, and how it holds its nodes. */
#include <errno.h>

#include "block/job-internal.h"
#include "block/qmp-internal.h"
#include "qapi-events-block-job.h"
#include "util/error.h"

/* ---- Progress ---- */

void job_set_total(Job *job, int64_t total)
{
    job->p->total = total;
}

void job_add_total(Job *job, int64_t more)
{
    job->p->total += more;
}

void job_add_progress(Job *job, int64_t done)
{
    job->p->done += done;
}

void job_set_remaining(Job *job, int64_t remaining)
{
    job->p->total = job->p->done + remaining;
}

void job_set_progress(Job *job, int64_t done, int64_t total)
{
    job->p->done = done;
    job->p->total = total;
}

void job_get_progress(const Job *job, int64_t *done, int64_t *total)
{
    *done = job->p->done;
    *total = job->p->total;
}

/* ---- Errors of requests ---- */

static BlockErrorAction action_for(BlockdevOnError on_error, int error)
{
    switch (on_error) {
    case BLOCKDEV_ON_ERROR_ENOSPC:
    case BLOCKDEV_ON_ERROR_AUTO:
        return error == ENOSPC ? BLOCK_ERROR_ACTION_STOP : BLOCK_ERROR_ACTION_REPORT;
    case BLOCKDEV_ON_ERROR_STOP:
        return BLOCK_ERROR_ACTION_STOP;
    case BLOCKDEV_ON_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    default:
        return BLOCK_ERROR_ACTION_REPORT;
    }
}

BlockErrorAction job_error_action(Job *job, BlockdevOnError on_error, bool is_read, int error)
{
    BlockErrorAction action = action_for(on_error, error);

    if (!job->flags.internal) {
        qapi_event_send_block_job_error(job->id, is_read ? IO_OPERATION_TYPE_READ
                                                         : IO_OPERATION_TYPE_WRITE, action);
    }
    if (action == BLOCK_ERROR_ACTION_STOP) {
        job->p->io_status = error == ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE
                                            : BLOCK_DEVICE_IO_STATUS_FAILED;
        if (!job->p->user_paused) {
            /* As if a client had paused it, so that one can let it go on. */
            job->p->user_paused = true;
            job->p->pause_count++;
        }
    }
    return action;
}

/* ---- Edges ---- */

static char *describe(void *parent)
{
    Job *job = parent;

    return g_strdup_printf("%s job '%s'", JobType_str(job->ops->type),
                           job->id ? job->id : "(internal)");
}

static void drain_begin(void *parent)
{
    Job *job = parent;

    job->p->pause_count++;
}

static bool drain_poll(void *parent)
{
    Job *job = parent;

    return job->p->in_flight || (job->p->co && !job->p->sleeping && !job->p->draining);
}

static void drain_end(void *parent)
{
    Job *job = parent;

    if (--job->p->pause_count == 0) {
        job_wake(job);
    }
}

/* Its requests go to where the nodes are when they begin, and none is under way. */
static bool can_move(void *parent, Loop *loop, GError **error)
{
    return true;
}

static const GPtrArray *edges(void *parent)
{
    return ((Job *)parent)->p->edges;
}

#define EDGE_OPS                                                                                   \
    .describe = describe, .drain_begin = drain_begin, .drain_poll = drain_poll,                    \
    .drain_end = drain_end, .stays_with_node = true, .can_move = can_move, .edges = edges

/* Two tables, to tell the edges apart. */
static const BlockParentOps exclusive_ops = { EDGE_OPS };
static const BlockParentOps shared_ops = { EDGE_OPS };

static BlockChild *attach(Job *job, const BlockParentOps *ops, BlockNode *node, const char *name,
                          unsigned perm, unsigned shared, GError **error)
{
    BlockChild *child = block_parent_attach(ops, job, node, name, BLOCK_ROLE_DATA, perm, shared,
                                            error);

    if (child) {
        g_ptr_array_add(job->p->edges, child);
    }
    return child;
}

BlockChild *job_attach(Job *job, BlockNode *node, const char *name, unsigned perm, unsigned shared,
                       GError **error)
{
    return job_node_is_free(node, error)
               ? attach(job, &exclusive_ops, node, name, perm, shared, error) : NULL;
}

BlockChild *job_attach_shared(Job *job, BlockNode *node, const char *name, unsigned perm,
                              unsigned shared, GError **error)
{
    return attach(job, &shared_ops, node, name, perm, shared, error);
}

bool job_node_is_free(BlockNode *node, GError **error)
{
    for (guint i = 0; i < node->parents->len; i++) {
        BlockChild *edge = g_ptr_array_index(node->parents, i);

        if (!edge->parent_node && edge->ops == &exclusive_ops) {
            Job *job = edge->parent;
            const char *device = block_qmp_job_id(node);

            error_setf(error, "Node '%s' is busy: block device is in use by block job: %s",
                       *device ? device : node->name, JobType_str(job->ops->type));
            return false;
        }
    }
    return true;
}

void job_detach_all(Job *job)
{
    while (job->p->edges->len) {
        block_child_detach(g_ptr_array_steal_index(job->p->edges, job->p->edges->len - 1));
    }
}

void job_drain_begin(Job *job, BlockNode *node)
{
    job->p->draining = true;
    block_drain_begin(node);
    job->p->draining = false;
}

void job_drain_end(Job *job, BlockNode *node)
{
    block_drain_end(node);
}
