/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the job engine share. Main thread. */
#ifndef VIREO_BLOCK_JOB_INTERNAL_H
#define VIREO_BLOCK_JOB_INTERNAL_H

#include "block/job.h"
#include "util/coroutine.h"
#include "util/ratelimit.h"

struct JobPrivate {
    Coroutine *co;             /* the work; NULL before and after */
    bool sleeping;             /* in do_sleep(): exactly one wake is wanted */
    Timer *timer;              /* of that sleep; NULL: never needed */
    int64_t last_turn;         /* when it last gave way to others; realtime clock */
    unsigned pause_count;
    unsigned in_flight;        /* requests of others than its coroutine */
    bool started;
    bool draining;             /* the job itself waits for its nodes: do not wait for it */
    bool user_paused;          /* one of them is a client's */
    bool was_ready;
    bool failed;               /* the work, or something of its transaction */
    BlockDeviceIoStatus io_status;
    int64_t speed;             /* bytes a second; 0: no limit */
    RateLimit limit;
    int64_t done, total;
    GPtrArray *edges;          /* BlockChild: nodes it works with */
    JobTransaction *transaction; /* NULL once concluded */
};

struct JobTransaction {
    unsigned refs;
    GPtrArray *jobs;   /* borrowed: those that have not concluded */
    bool failing;      /* the others are being cancelled */
    bool preparing;
};

JobTransaction *job_transaction_ref(JobTransaction *transaction);
/* Its jobs, each with a reference. */
GPtrArray *job_transaction_list(JobTransaction *transaction);
/* job-end.c: a job's coroutine has ended. */
void job_work_ended(void *job);
/* Cancel all that still work; when the last has ended, all are aborted. */
void job_transaction_fail(JobTransaction *transaction);
/* All are pending: prepare, then make the results take effect. */
void job_transaction_finalize(JobTransaction *transaction);

/* job.c, for job-end.c */
void job_change_status(Job *job, JobStatus status);
void job_cancel(Job *job, bool force);
void job_fail_all(JobTransaction *transaction);
void job_succeed_all(JobTransaction *transaction);
/* What went wrong; never NULL for one that failed. */
const char *job_error_text(Job *job);

#endif
