/* SPDX-License-Identifier: Apache-2.0 */
/* QMP: steering jobs. Main thread. */
#include "block/job-internal.h"
#include "block/qmp-internal.h"
#include "qapi-commands-block-job.h"
#include "qapi-commands-job.h"
#include "util/error.h"

bool block_qmp_start_job(Job *job)
{
    if (job) {
        job_start(job);
    }
    return job != NULL;
}

static Job *find_job(const char *id, GError **error)
{
    Job *job = job_find(id);

    if (!job) {
        error_setf(error, "Job not found");
    }
    return job;
}

static Job *find_block_job(const char *id, GError **error)
{
    Job *job = job_find(id);

    if (!job || !job->ops->is_block_job) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_ACTIVE, "Block job '%s' not found", id);
        return NULL;
    }
    return job;
}

/* ---- job-* ---- */

bool qmp_job_pause(const char *id, GError **error)
{
    Job *job = find_job(id, error);

    return job && job_user_pause(job, error);
}

bool qmp_job_resume(const char *id, GError **error)
{
    Job *job = find_job(id, error);

    return job && job_user_resume(job, error);
}

bool qmp_job_cancel(const char *id, GError **error)
{
    Job *job = find_job(id, error);

    return job && job_user_cancel(job, true, error);
}

bool qmp_job_complete(const char *id, GError **error)
{
    Job *job = find_job(id, error);

    return job && job_user_complete(job, error);
}

bool qmp_job_dismiss(const char *id, GError **error)
{
    Job *job = find_job(id, error);

    return job && job_user_dismiss(job, error);
}

bool qmp_job_finalize(const char *id, GError **error)
{
    Job *job = find_job(id, error);

    return job && job_user_finalize(job, error);
}

static const char *shown_error(Job *job)
{
    return job->p->failed ? job_error_text(job) : NULL;
}

GPtrArray *qmp_query_jobs(GError **error)
{
    GPtrArray *list = JobInfo_list_new();

    for (Job *job = job_next(NULL); job; job = job_next(job)) {
        JobInfo *info = g_new0(JobInfo, 1);

        info->id = g_strdup(job->id);
        info->type = job->ops->type;
        info->status = job->status;
        info->current_progress = job->p->done;
        info->total_progress = job->p->total;
        info->error = g_strdup(shown_error(job));
        g_ptr_array_add(list, info);
    }
    return list;
}

/* ---- block-job-* ---- */

bool qmp_block_job_pause(const char *device, GError **error)
{
    Job *job = find_block_job(device, error);

    return job && job_user_pause(job, error);
}

bool qmp_block_job_resume(const char *device, GError **error)
{
    Job *job = find_block_job(device, error);

    return job && job_user_resume(job, error);
}

bool qmp_block_job_cancel(const char *device, bool has_force, bool force, GError **error)
{
    Job *job = find_block_job(device, error);

    if (!job) {
        return false;
    }
    if (job->p->user_paused && !(has_force && force)) {
        error_setf(error, "The block job for device '%s' is currently paused; 'force' ends it all "
                   "the same", device);
        return false;
    }
    return job_user_cancel(job, has_force && force, error);
}

bool qmp_block_job_complete(const char *device, GError **error)
{
    Job *job = find_block_job(device, error);

    return job && job_user_complete(job, error);
}

bool qmp_block_job_dismiss(const char *id, GError **error)
{
    Job *job = find_block_job(id, error);

    return job && job_user_dismiss(job, error);
}

bool qmp_block_job_finalize(const char *id, GError **error)
{
    Job *job = find_block_job(id, error);

    return job && job_user_finalize(job, error);
}

bool qmp_block_job_set_speed(const char *device, int64_t speed, GError **error)
{
    Job *job = find_block_job(device, error);

    return job && job_set_speed(job, speed, error);
}

GPtrArray *qmp_query_block_jobs(GError **error)
{
    GPtrArray *list = BlockJobInfo_list_new();

    for (Job *job = job_next(NULL); job; job = job_next(job)) {
        struct JobPrivate *p = job->p;
        BlockJobInfo *info;

        if (!job->ops->is_block_job) {
            continue;
        }
        info = g_new0(BlockJobInfo, 1);
        info->type = g_strdup(JobType_str(job->ops->type));
        info->device = g_strdup(job->id);
        info->len = p->total;
        info->offset = p->done;
        info->busy = p->co && !p->sleeping;
        info->paused = p->pause_count > 0;
        info->speed = p->speed;
        info->io_status = p->io_status;
        info->ready = job_is_ready(job);
        info->status = job->status;
        info->auto_finalize = !job->flags.manual_finalize;
        info->auto_dismiss = !job->flags.manual_dismiss;
        info->error = g_strdup(shown_error(job));
        g_ptr_array_add(list, info);
    }
    return list;
}
