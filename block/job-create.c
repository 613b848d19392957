/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that make an image (blockdev-create) or change one's options (x-blockdev-amend). */
#include "block/create.h"
#include "block/job.h"
#include "qapi-commands-block-create.h"
#include "util/error.h"

typedef struct CreateJob {
    Job job;
    BlockdevCreateOptions *options;
} CreateJob;

static bool run_create(Job *job, GError **error)
{
    CreateJob *create = (CreateJob *)job;
    bool ok;

    job_set_total(job, 1);
    ok = block_create(create->options, error);
    job_add_progress(job, 1);
    return ok;
}

static void destroy_create(Job *job)
{
    BlockdevCreateOptions_free(((CreateJob *)job)->options);
}

static const JobOps create_ops = {
    .type = JOB_TYPE_CREATE,
    .instance_size = sizeof(CreateJob),
    .run = run_create,
    .destroy = destroy_create,
};

bool qmp_blockdev_create(const char *job_id, const BlockdevCreateOptions *options, GError **error)
{
    JobFlags flags = { .manual_dismiss = true };
    Job *job;

    if (!block_driver_find(BlockdevDriver_str(options->driver), error)) {
        return false;
    }
    job = job_new(job_id, &create_ops, NULL, &flags, error);
    if (!job) {
        return false;
    }
    ((CreateJob *)job)->options = BlockdevCreateOptions_clone(options);
    job_start(job);
    return true;
}

/* ---- amend ---- */

typedef struct AmendJob {
    Job job;
    BlockNode *node;
    BlockdevAmendOptions *options;
    bool force;
} AmendJob;

typedef struct AmendRun {
    AmendJob *amend;
    GError **error;
    bool ok;
} AmendRun;

static void amend_progress(void *opaque, int64_t done, int64_t total)
{
    int64_t before, ignored;
    Job *job = opaque;

    job_get_progress(job, &before, &ignored);
    job_add_progress(job, done - before);
    job_set_total(job, total);
}

static void amend_on_loop(void *opaque)
{
    AmendRun *run = opaque;
    AmendJob *amend = run->amend;

    run->ok = amend->node->driver->amend(amend->node, amend->options, amend->force, amend_progress,
                                         amend, run->error);
}

static bool run_amend(Job *job, GError **error)
{
    AmendRun run = { .amend = (AmendJob *)job, .error = error };

    job_set_total(job, 1);
    block_run(run.amend->node, amend_on_loop, &run);
    if (run.ok) {
        job_set_remaining(job, 0);
    }
    return run.ok;
}

static void destroy_amend(Job *job)
{
    BlockdevAmendOptions_free(((AmendJob *)job)->options);
}

static const JobOps amend_ops = {
    .type = JOB_TYPE_AMEND,
    .instance_size = sizeof(AmendJob),
    .run = run_amend,
    .destroy = destroy_amend,
};

bool qmp_x_blockdev_amend(const char *job_id, const char *node_name,
                          const BlockdevAmendOptions *options, bool has_force, bool force,
                          GError **error)
{
    BlockNode *node = block_node_find(node_name);
    JobFlags flags = { .manual_dismiss = true };
    AmendJob *amend;

    if (!node) {
        error_setf(error, "Cannot find device='' nor node-name='%s'", node_name);
        return false;
    }
    if (node->driver->kind != options->driver) {
        error_setf(error, "x-blockdev-amend doesn't support changing the block driver");
        return false;
    }
    if (!node->driver->amend) {
        error_setf(error, "Driver '%s' does not support x-blockdev-amend", node->driver->name);
        return false;
    }
    amend = (AmendJob *)job_new(job_id, &amend_ops, NULL, &flags, error);
    if (!amend) {
        return false;
    }
    amend->node = node;
    amend->options = BlockdevAmendOptions_clone(options);
    amend->force = has_force && force;
    if (!job_attach(&amend->job, node, "image", 0, BLOCK_PERM_ALL, error)) {
        job_discard(&amend->job);
        return false;
    }
    job_start(&amend->job);
    return true;
}
