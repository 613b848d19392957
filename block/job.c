/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job. Every change of status goes through set_status(), and what clients may do in
 * which status through may(): two tables say both. See docs/devel/block-jobs.md.
 */
#include "block/job.h"

#include <errno.h>
#include <string.h>

#include "block/job-internal.h"
#include "qapi-events-block-job.h"
#include "qapi-events-job.h"
#include "util/coroutine.h"
#include "util/error.h"

static GQueue jobs; /* a process has one set of jobs; main thread */

/* ---- Statuses and verbs ---- */

#define S(status) (1u << JOB_STATUS_##status)

/* Which status may follow. */
static const unsigned next_status[JOB_STATUS__MAX] = {
    [JOB_STATUS_UNDEFINED] = S(CREATED),
    [JOB_STATUS_CREATED] = S(RUNNING) | S(ABORTING) | S(NULL),
    [JOB_STATUS_RUNNING] = S(PAUSED) | S(READY) | S(WAITING) | S(ABORTING),
    [JOB_STATUS_PAUSED] = S(RUNNING),
    [JOB_STATUS_READY] = S(STANDBY) | S(WAITING) | S(ABORTING),
    [JOB_STATUS_STANDBY] = S(READY),
    [JOB_STATUS_WAITING] = S(PENDING) | S(ABORTING),
    [JOB_STATUS_PENDING] = S(ABORTING) | S(CONCLUDED),
    [JOB_STATUS_ABORTING] = S(ABORTING) | S(CONCLUDED),
    [JOB_STATUS_CONCLUDED] = S(NULL),
};

/* In which statuses a client may do what. */
static const unsigned verb_statuses[JOB_VERB__MAX] = {
    [JOB_VERB_CANCEL] = S(CREATED) | S(RUNNING) | S(PAUSED) | S(READY) | S(STANDBY) | S(WAITING) |
                        S(PENDING),
    [JOB_VERB_PAUSE] = S(CREATED) | S(RUNNING) | S(PAUSED) | S(READY) | S(STANDBY),
    [JOB_VERB_RESUME] = S(CREATED) | S(RUNNING) | S(PAUSED) | S(READY) | S(STANDBY),
    [JOB_VERB_SET_SPEED] = S(CREATED) | S(RUNNING) | S(PAUSED) | S(READY) | S(STANDBY),
    [JOB_VERB_COMPLETE] = S(READY) | S(STANDBY),
    [JOB_VERB_FINALIZE] = S(PENDING),
    [JOB_VERB_DISMISS] = S(CONCLUDED),
};

static void set_status(Job *job, JobStatus status)
{
    g_assert(next_status[job->status] & (1u << status));
    if (job->status == status) {
        return;
    }
    job->status = status;
    if (!job->flags.internal) {
        qapi_event_send_job_status_change(job->id, status);
    }
}

static bool may(Job *job, JobVerb verb, GError **error)
{
    if (verb_statuses[verb] & (1u << job->status)) {
        return true;
    }
    error_setf(error, "Job '%s' in state '%s' cannot accept command verb '%s'", job->id,
               JobStatus_str(job->status), JobVerb_str(verb));
    return false;
}

/* ---- Making and finding ---- */

Job *job_find(const char *id)
{
    for (GList *l = jobs.head; l; l = l->next) {
        Job *job = l->data;

        if (job->id && !strcmp(job->id, id)) {
            return job;
        }
    }
    return NULL;
}

Job *job_next(Job *prev)
{
    GList *l = prev ? g_queue_find(&jobs, prev)->next : jobs.head;

    while (l && ((Job *)l->data)->flags.internal) {
        l = l->next;
    }
    return l ? l->data : NULL;
}

static bool id_is_fine(const char *id, GError **error)
{
    const char *p = id;

    if (!g_ascii_isalpha(*p)) {
        error_setf(error, "Invalid job ID '%s': it must begin with a letter", id);
        return false;
    }
    while (g_ascii_isalnum(*p) || (*p && strchr("-._", *p))) {
        p++;
    }
    if (*p) {
        error_setf(error, "Invalid job ID '%s': it may have letters, digits, '-', '.' and '_'", id);
    } else if (job_find(id)) {
        error_setf(error, "Job ID '%s' already in use", id);
    } else {
        return true;
    }
    return false;
}

Job *job_new(const char *id, const JobOps *ops, JobTransaction *transaction, const JobFlags *flags,
             GError **error)
{
    Job *job;

    if (!flags->internal) {
        if (!id) {
            error_setf(error, "An explicit job ID is required");
            return NULL;
        }
        if (!id_is_fine(id, error)) {
            return NULL;
        }
    }
    g_assert(ops->instance_size >= sizeof(Job));
    job = g_malloc0(ops->instance_size);
    job->ops = ops;
    job->id = g_strdup(id);
    job->flags = *flags;
    job->refs = 1;
    job->p = g_new0(struct JobPrivate, 1);
    job->p->edges = g_ptr_array_new();
    ratelimit_init(&job->p->limit);
    job->p->transaction = transaction ? job_transaction_ref(transaction) : job_transaction_new();
    g_ptr_array_add(job->p->transaction->jobs, job);
    g_queue_push_tail(&jobs, job);
    set_status(job, JOB_STATUS_CREATED);
    return job;
}

void job_ref(Job *job)
{
    job->refs++;
}

void job_unref(Job *job)
{
    if (--job->refs) {
        return;
    }
    g_assert(job->status == JOB_STATUS_NULL && !job->p->edges->len);
    if (job->ops->destroy) {
        job->ops->destroy(job);
    }
    timer_free(job->p->timer);
    ratelimit_cleanup(&job->p->limit);
    g_ptr_array_unref(job->p->edges);
    g_clear_error(&job->error);
    g_free(job->p);
    g_free(job->id);
    g_free(job);
}

/* ---- The coroutine ---- */

void job_wake(Job *job)
{
    if (job->p->sleeping) {
        job->p->sleeping = false;
        if (job->p->timer) {
            timer_del(job->p->timer);
        }
        coroutine_wake(job->p->co);
    }
}

static void wake_from_timer(void *opaque)
{
    job_wake(opaque);
}

/* ns < 0: until somebody wakes it. */
static void do_sleep(Job *job, int64_t ns)
{
    struct JobPrivate *p = job->p;

    g_assert(coroutine_current() == p->co && !p->sleeping);
    if (ns >= 0) {
        if (!p->timer) {
            p->timer = timer_new(loop_main(), VM_CLOCK_REALTIME, wake_from_timer, job);
        }
        timer_mod(p->timer, vm_clock_ns(VM_CLOCK_REALTIME) + ns);
    }
    p->sleeping = true;
    coroutine_yield();
}

bool job_is_cancelled(const Job *job)
{
    return job->cancelled && (job->force_cancel || !job->ops->soft_cancel ||
                              !job->p->was_ready);
}

bool job_pause_point(Job *job)
{
    JobStatus status = job->status;

    while (job->p->pause_count && !job_is_cancelled(job)) {
        if (job->status == status) {
            set_status(job, status == JOB_STATUS_READY ? JOB_STATUS_STANDBY : JOB_STATUS_PAUSED);
            if (job->ops->paused) {
                job->ops->paused(job, true);
            }
        }
        do_sleep(job, -1);
    }
    if (job->status != status) {
        set_status(job, status);
        if (job->ops->paused) {
            job->ops->paused(job, false);
        }
    }
    return !job_is_cancelled(job);
}

bool job_sleep(Job *job, int64_t ns)
{
    if (!job_is_cancelled(job) && !job->p->pause_count) {
        do_sleep(job, ns);
    }
    return job_pause_point(job);
}

bool job_wait(Job *job)
{
    return job_sleep(job, -1);
}

void job_yield(Job *job, int64_t ns)
{
    do_sleep(job, ns);
}

bool job_wants_rest(const Job *job)
{
    return job->p->pause_count || job_is_cancelled(job);
}

void job_inc_in_flight(Job *job)
{
    job->p->in_flight++;
}

void job_dec_in_flight(Job *job)
{
    g_assert(job->p->in_flight > 0);
    job->p->in_flight--;
    job_wake(job);
}

#define SLICE_NS (100 * NS_PER_MS)
/* Without a limit, others get their turn after so long. */
#define TURN_NS (10 * NS_PER_MS)

int64_t job_speed_delay(Job *job, int64_t bytes)
{
    return job->p->speed ? ratelimit_delay(&job->p->limit, (uint64_t)bytes,
                                           vm_clock_ns(VM_CLOCK_REALTIME)) : 0;
}

bool job_throttle(Job *job, uint64_t bytes)
{
    struct JobPrivate *p = job->p;
    int64_t now = vm_clock_ns(VM_CLOCK_REALTIME);
    int64_t delay = job_speed_delay(job, (int64_t)bytes);

    if (delay > 0) {
        /* What wakes it, a change of the speed among them, ends the wait. */
        return job_sleep(job, delay);
    }
    if (now - p->last_turn > TURN_NS) {
        p->last_turn = now;
        return job_sleep(job, 0);
    }
    return job_pause_point(job);
}

bool job_work_again(Job *job, bool (*fn)(Job *job, GError **error), GError **error)
{
    bool ok;

    g_assert(!job->p->co);
    job->p->co = coroutine_current();
    ok = fn(job, error);
    job->p->co = NULL;
    return ok;
}

static void run_job(void *opaque)
{
    Job *job = opaque;
    GError *error = NULL;
    bool ok = job_pause_point(job) && job->ops->run(job, &error);

    if (job_is_cancelled(job)) {
        ok = false;
    }
    if (!ok && !job->error && error) {
        job->error = g_steal_pointer(&error);
    }
    g_clear_error(&error);
    job->p->co = NULL;
    job->p->failed = !ok;
    loop_post(loop_main(), job_work_ended, job);
}

static void enter(void *co)
{
    coroutine_enter(co);
}

void job_start(Job *job)
{
    g_assert(job->status == JOB_STATUS_CREATED);
    set_status(job, JOB_STATUS_RUNNING);
    job->p->started = true;
    job->p->co = coroutine_new(run_job, job);
    loop_post(loop_main(), enter, job->p->co);
}

/* ---- The end ---- */

static void block_job_event_end(Job *job)
{
    struct JobPrivate *p = job->p;

    if (job->flags.internal || !job->ops->is_block_job || !p->started) {
        return;
    }
    if (job_is_cancelled(job)) {
        qapi_event_send_block_job_cancelled(job->ops->type, job->id, p->total, p->done, p->speed);
    } else {
        qapi_event_send_block_job_completed(job->ops->type, job->id, p->total, p->done, p->speed,
                                            p->failed ? job_error_text(job) : NULL);
    }
}

static void dismiss(Job *job)
{
    set_status(job, JOB_STATUS_NULL);
    g_queue_remove(&jobs, job);
    job_unref(job);
}

/* Its result took effect, or was taken back: events, and it stays only for its result. */
static void conclude(Job *job)
{
    if (job->ops->clean) {
        job->ops->clean(job);
    }
    job_detach_all(job);
    block_job_event_end(job);
    set_status(job, JOB_STATUS_CONCLUDED);
    g_ptr_array_remove(job->p->transaction->jobs, job);
    job_transaction_unref(g_steal_pointer(&job->p->transaction));
    if (!job->flags.manual_dismiss || !job->p->started) {
        dismiss(job);
    }
}

void job_fail_all(JobTransaction *transaction)
{
    g_autoptr(GPtrArray) list = job_transaction_list(transaction);

    for (guint i = 0; i < list->len; i++) {
        Job *job = g_ptr_array_index(list, i);

        job->p->failed = true;
        set_status(job, JOB_STATUS_ABORTING);
    }
    for (guint i = 0; i < list->len; i++) {
        Job *job = g_ptr_array_index(list, i);

        if (job->ops->abort) {
            job->ops->abort(job);
        }
        conclude(job);
    }
}

void job_succeed_all(JobTransaction *transaction)
{
    g_autoptr(GPtrArray) list = job_transaction_list(transaction);

    for (guint i = 0; i < list->len; i++) {
        Job *job = g_ptr_array_index(list, i);

        if (job->ops->commit) {
            job->ops->commit(job);
        }
        conclude(job);
    }
}

void job_change_status(Job *job, JobStatus status)
{
    set_status(job, status);
}

void job_discard(Job *job)
{
    g_assert(job->status == JOB_STATUS_CREATED);
    job->cancelled = job->force_cancel = true;
    job->p->failed = true;
    set_status(job, JOB_STATUS_ABORTING);
    if (job->ops->abort) {
        job->ops->abort(job);
    }
    conclude(job);
}

void job_fail_early(Job *job)
{
    g_assert(job->status == JOB_STATUS_CREATED);
    job->p->failed = true;
    if (job->ops->abort) {
        job->ops->abort(job);
    }
    if (job->ops->clean) {
        job->ops->clean(job);
    }
    job_detach_all(job);
    g_ptr_array_remove(job->p->transaction->jobs, job);
    job_transaction_unref(g_steal_pointer(&job->p->transaction));
    dismiss(job);
}

/* ---- What clients do ---- */

bool job_user_pause(Job *job, GError **error)
{
    if (!may(job, JOB_VERB_PAUSE, error)) {
        return false;
    }
    if (job->p->user_paused) {
        error_setf(error, "Job is already paused");
        return false;
    }
    job->p->user_paused = true;
    job->p->pause_count++;
    job_wake(job);
    return true;
}

bool job_user_resume(Job *job, GError **error)
{
    if (!job->p->user_paused) {
        error_setf(error, "Can't resume a job that was not paused");
        return false;
    }
    if (!may(job, JOB_VERB_RESUME, error)) {
        return false;
    }
    job->p->io_status = BLOCK_DEVICE_IO_STATUS_OK;
    job->p->user_paused = false;
    if (--job->p->pause_count == 0) {
        job_wake(job);
    }
    return true;
}

bool job_user_complete(Job *job, GError **error)
{
    if (!may(job, JOB_VERB_COMPLETE, error)) {
        return false;
    }
    if (job->cancelled || !job->ops->complete) {
        error_setf(error, "The active block job '%s' cannot be completed", job->id);
        return false;
    }
    if (!job->ops->complete(job, error)) {
        return false;
    }
    job_wake(job);
    return true;
}

void job_cancel(Job *job, bool force)
{
    bool soft = !force && job->ops->soft_cancel && job->p->was_ready;

    job->cancelled = true;
    job->force_cancel = job->force_cancel || !soft;
    if (job->ops->cancelled) {
        job->ops->cancelled(job, job->force_cancel);
    }
    if (job->p->user_paused) {
        job->p->user_paused = false;
        job->p->pause_count--;
    }
    job_wake(job);
}

bool job_user_cancel(Job *job, bool force, GError **error)
{
    if (!may(job, JOB_VERB_CANCEL, error)) {
        return false;
    }
    if (job->status == JOB_STATUS_CREATED) {
        job_discard(job);
        return true;
    }
    if (job->p->transaction->preparing) {
        error_setf(error, "Job '%s' is taking effect and can no longer be cancelled", job->id);
        return false;
    }
    job_cancel(job, force);
    if (job->status == JOB_STATUS_WAITING || job->status == JOB_STATUS_PENDING) {
        job->force_cancel = true;
        job_transaction_fail(job->p->transaction);
    }
    return true;
}

bool job_user_finalize(Job *job, GError **error)
{
    if (!may(job, JOB_VERB_FINALIZE, error)) {
        return false;
    }
    job_transaction_finalize(job->p->transaction);
    return true;
}

bool job_user_dismiss(Job *job, GError **error)
{
    if (!may(job, JOB_VERB_DISMISS, error)) {
        return false;
    }
    dismiss(job);
    return true;
}

bool job_set_speed(Job *job, int64_t speed, GError **error)
{
    if (!may(job, JOB_VERB_SET_SPEED, error)) {
        return false;
    }
    if (speed < 0) {
        error_setf(error, "Parameter 'speed' expects a non-negative value");
        return false;
    }
    job->p->speed = speed;
    ratelimit_set_speed(&job->p->limit, (uint64_t)speed, SLICE_NS);
    if (job->ops->speed_changed) {
        job->ops->speed_changed(job);
    }
    job_wake(job);
    return true;
}

int64_t job_speed(const Job *job)
{
    return job->p->speed;
}

void job_cancel_all(void)
{
    while (jobs.head) {
        Job *job = jobs.head->data;

        if (job->status == JOB_STATUS_CONCLUDED) {
            dismiss(job);
        } else if (job->status == JOB_STATUS_CREATED) {
            job_discard(job);
        } else if (job->force_cancel || !job_user_cancel(job, true, NULL)) {
            loop_iterate(loop_main(), true);
        }
    }
}

void job_ready(Job *job)
{
    struct JobPrivate *p = job->p;

    p->was_ready = true;
    set_status(job, JOB_STATUS_READY);
    if (!job->flags.internal && job->ops->is_block_job) {
        qapi_event_send_block_job_ready(job->ops->type, job->id, p->total, p->done, p->speed);
    }
}

bool job_is_ready(const Job *job)
{
    return job->status == JOB_STATUS_READY || job->status == JOB_STATUS_STANDBY;
}
