/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: long work that clients start, watch and steer over QMP (job-*, block-job-*).
 * docs/devel/block-jobs.md draws the states.
 *
 * A job's work is a coroutine on the main thread that often calls job_pause_point() or job_sleep()
 * and reports its progress. When it has ended, the job waits for its transaction; then prepare runs
 * for each of its jobs, then commit or abort, then clean. All functions here: main thread.
 */
#ifndef VIREO_BLOCK_JOB_H
#define VIREO_BLOCK_JOB_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/node.h"
#include "qapi-types-block-job.h"
#include "qapi-types-job.h"

typedef struct Job Job;
typedef struct JobTransaction JobTransaction;

/* Each but run may be NULL. */
typedef struct JobOps {
    JobType type;
    bool is_block_job; /* seen by block-job-* and query-block-jobs, BLOCK_JOB_* events */
    size_t instance_size;
    /* The work, in its coroutine. False: failed, and the error is set. */
    bool (*run)(Job *job, GError **error);
    /* A ready job is to do its last step and end. */
    bool (*complete)(Job *job, GError **error);
    /*
     * May a ready job that is cancelled without force end well (a mirror keeps its copy)? Then run
     * returns true.
     */
    bool soft_cancel;
    /* force is false for those alone. True: it is cancelled, whatever run returns. */
    void (*cancelled)(Job *job, bool force);
    /* What can fail of making the result take effect; before any job's commit. In a coroutine. */
    bool (*prepare)(Job *job, GError **error);
    void (*commit)(Job *job);
    void (*abort)(Job *job);
    void (*clean)(Job *job);
    /* Frees what instance_size has. */
    void (*destroy)(Job *job);
    void (*paused)(Job *job, bool paused);
    void (*speed_changed)(Job *job);
} JobOps;

typedef struct JobFlags {
    bool manual_finalize, manual_dismiss; /* else the job does it itself */
    bool internal;                        /* no events, not listed; id may be NULL */
} JobFlags;

/* The start of each job's own struct. Only job.c changes it. */
struct Job {
    const JobOps *ops;
    char *id;
    unsigned refs;
    JobStatus status;
    JobFlags flags;
    GError *error;
    bool cancelled, force_cancel;
    struct JobPrivate *p;
};

/*
 * A job that is created but not started; ops->instance_size bytes begin with Job. transaction NULL:
 * one of its own. One reference, which job_start takes; NULL with the error set.
 */
Job *job_new(const char *id, const JobOps *ops, JobTransaction *transaction, const JobFlags *flags,
             GError **error);
void job_ref(Job *job);
void job_unref(Job *job);
/* It runs soon. */
void job_start(Job *job);
/* Never started, it goes as if it had been cancelled: abort and clean run. */
void job_discard(Job *job);
/* The command that creates it fails: the same, but clients hear only that it is gone. */
void job_fail_early(Job *job);
/* Borrowed; NULL with the error set (code DeviceNotActive for block jobs). */
Job *job_find(const char *id);
/* After prev, in order of creation; NULL: the first. */
Job *job_next(Job *prev);

/* ---- For the job's coroutine ---- */

/* Waits while the job is paused. True: go on; false: cancelled, so return. */
bool job_pause_point(Job *job);
/* As job_pause_point(), after so many ns, or less if the job is woken. */
bool job_sleep(Job *job, int64_t ns);
/* Sleep until job_wake(). */
bool job_wait(Job *job);
void job_wake(Job *job);
/* Account for bytes of work; sleeps as the speed limit wants, at least yields now and then. */
bool job_throttle(Job *job, uint64_t bytes);
/*
 * The pieces of these, for jobs with several requests under way: sleep (ns < 0: until woken) and
 * whatever happens go on; is it to pause or to end, at the next pause point; and after what time
 * may more than these bytes be begun. While a request is in flight, sleeping is not being quiet.
 */
void job_yield(Job *job, int64_t ns);
bool job_wants_rest(const Job *job);
int64_t job_speed_delay(Job *job, int64_t bytes);
void job_inc_in_flight(Job *job);
/* Wakes the job. */
void job_dec_in_flight(Job *job);
bool job_is_cancelled(const Job *job);
void job_set_total(Job *job, int64_t total);
void job_add_total(Job *job, int64_t more);
void job_add_progress(Job *job, int64_t done);
void job_set_remaining(Job *job, int64_t remaining);
void job_set_progress(Job *job, int64_t done, int64_t total);
void job_get_progress(const Job *job, int64_t *done, int64_t *total);
/*
 * In prepare: fn may yield as run() may. Nobody can pause or cancel it, and a drained section waits
 * for its end.
 */
bool job_work_again(Job *job, bool (*fn)(Job *job, GError **error), GError **error);
/* It may be completed now; BLOCK_JOB_READY is sent. */
void job_ready(Job *job);
bool job_is_ready(const Job *job);
/*
 * A request has failed: what the policy says. STOP: the job is paused at its next pause point, and
 * its I/O status shows the error. error: positive errno.
 */
BlockErrorAction job_error_action(Job *job, BlockdevOnError on_error, bool is_read, int error);

/* ---- Nodes that a job works with ---- */

/* An edge of the job's, held until it ends; no other commands may change the graph there. */
BlockChild *job_attach(Job *job, BlockNode *node, const char *name, unsigned perm, unsigned shared,
                       GError **error);
/* The same, but other jobs and commands may use the node as they like. */
BlockChild *job_attach_shared(Job *job, BlockNode *node, const char *name, unsigned perm,
                              unsigned shared, GError **error);
/* No job has the node to itself; else the error says which. */
bool job_node_is_free(BlockNode *node, GError **error);
/* All of them away, before the end too. */
void job_detach_all(Job *job);
/* In the job's coroutine, which does not wait for itself. */
void job_drain_begin(Job *job, BlockNode *node);
void job_drain_end(Job *job, BlockNode *node);

/* ---- What clients do ---- */

bool job_user_pause(Job *job, GError **error);
bool job_user_resume(Job *job, GError **error);
bool job_user_cancel(Job *job, bool force, GError **error);
bool job_user_complete(Job *job, GError **error);
bool job_user_finalize(Job *job, GError **error);
bool job_user_dismiss(Job *job, GError **error);
bool job_set_speed(Job *job, int64_t speed, GError **error);
int64_t job_speed(const Job *job);
/* Programs that end: cancels all and waits for them. */
void job_cancel_all(void);

/* ---- Transactions: jobs that end together ---- */

JobTransaction *job_transaction_new(void);
void job_transaction_unref(JobTransaction *transaction);

#endif
