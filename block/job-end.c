/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs end: together. Each waits until all of its transaction have done their work; then all
 * are pending, and unless one wants to be asked, all prepare, and take effect. Where one fails, the
 * others are cancelled, and all are taken back.
 */
#include "block/job-internal.h"
#include "qapi-events-block-job.h"
#include "util/error.h"

/* ---- The list ---- */

JobTransaction *job_transaction_new(void)
{
    JobTransaction *transaction = g_new0(JobTransaction, 1);

    transaction->refs = 1;
    transaction->jobs = g_ptr_array_new();
    return transaction;
}

JobTransaction *job_transaction_ref(JobTransaction *transaction)
{
    transaction->refs++;
    return transaction;
}

void job_transaction_unref(JobTransaction *transaction)
{
    if (--transaction->refs == 0) {
        g_ptr_array_unref(transaction->jobs);
        g_free(transaction);
    }
}

static void unref_job(void *job)
{
    job_unref(job);
}

GPtrArray *job_transaction_list(JobTransaction *transaction)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(unref_job);

    for (guint i = 0; i < transaction->jobs->len; i++) {
        Job *job = g_ptr_array_index(transaction->jobs, i);

        job_ref(job);
        g_ptr_array_add(list, job);
    }
    return list;
}

static bool is_at_work(const Job *job)
{
    return job->status != JOB_STATUS_WAITING && job->status != JOB_STATUS_PENDING &&
           job->status != JOB_STATUS_ABORTING;
}

static bool any_at_work(JobTransaction *transaction)
{
    for (guint i = 0; i < transaction->jobs->len; i++) {
        if (is_at_work(g_ptr_array_index(transaction->jobs, i))) {
            return true;
        }
    }
    return false;
}

/* ---- Failing ---- */

static void fail_if_all_ended(JobTransaction *transaction)
{
    if (!any_at_work(transaction) && !transaction->preparing) {
        job_transaction_ref(transaction);
        job_fail_all(transaction);
        job_transaction_unref(transaction);
    }
}

void job_transaction_fail(JobTransaction *transaction)
{
    g_autoptr(GPtrArray) list = job_transaction_list(transaction);

    if (!transaction->failing) {
        transaction->failing = true;
        for (guint i = 0; i < list->len; i++) {
            Job *job = g_ptr_array_index(list, i);

            if (job->status == JOB_STATUS_CREATED) {
                /* Never to run; it counts as ended. */
                job->cancelled = job->force_cancel = job->p->failed = true;
                job_change_status(job, JOB_STATUS_ABORTING);
            } else if (job->status != JOB_STATUS_ABORTING) {
                job_cancel(job, true);
            }
        }
    }
    fail_if_all_ended(transaction);
}

const char *job_error_text(Job *job)
{
    return job->error ? job->error->message : "Operation canceled";
}

/* ---- Succeeding ---- */

static void finalize(void *opaque)
{
    JobTransaction *transaction = opaque;
    g_autoptr(GPtrArray) list = job_transaction_list(transaction);
    bool ok = true;

    for (guint i = 0; i < list->len && ok; i++) {
        Job *job = g_ptr_array_index(list, i);

        ok = !job->ops->prepare || job->ops->prepare(job, &job->error);
    }
    transaction->preparing = false;
    if (ok && !transaction->failing) {
        job_succeed_all(transaction);
    } else {
        job_fail_all(transaction);
    }
    job_transaction_unref(transaction);
}

void job_transaction_finalize(JobTransaction *transaction)
{
    if (transaction->preparing) {
        return;
    }
    transaction->preparing = true;
    coroutine_start(finalize, job_transaction_ref(transaction));
}

/* All have done their work. */
static void all_pending(JobTransaction *transaction)
{
    g_autoptr(GPtrArray) list = job_transaction_list(transaction);
    bool ask = false;

    for (guint i = 0; i < list->len; i++) {
        Job *job = g_ptr_array_index(list, i);

        job_change_status(job, JOB_STATUS_PENDING);
        if (job->flags.manual_finalize) {
            ask = true;
            if (job->ops->is_block_job) {
                qapi_event_send_block_job_pending(job->ops->type, job->id);
            }
        }
    }
    if (!ask) {
        job_transaction_finalize(transaction);
    }
}

void job_work_ended(void *opaque)
{
    Job *job = opaque;
    JobTransaction *transaction = job->p->transaction;

    /* It may have been cancelled after its last look. */
    if (job->p->failed || job_is_cancelled(job)) {
        job->p->failed = true;
        job_change_status(job, JOB_STATUS_ABORTING);
        job_transaction_fail(transaction);
        return;
    }
    job_change_status(job, JOB_STATUS_WAITING);
    if (transaction->failing) {
        fail_if_all_ended(transaction);
    } else if (!any_at_work(transaction)) {
        all_pending(transaction);
    }
}
