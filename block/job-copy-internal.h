/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the copy engine share. */
#ifndef VIREO_BLOCK_JOB_COPY_INTERNAL_H
#define VIREO_BLOCK_JOB_COPY_INTERNAL_H

#include "block/job-copy.h"
#include "util/coroutine.h"

typedef struct JobCopyError {
    int error;           /* positive errno; 0: none */
    int64_t offset;
} JobCopyError;

struct JobCopy {
    Job *job;
    JobCopyParams p;     /* completed */
    DirtyBitmap *todo;
    LoopBh *kick;
    int broken;          /* errno of a copy before a write; atomic */
    bool running;        /* the job waits for ranges too; atomic */

    GMutex lock;         /* of what follows */
    GQueue ranges;       /* JobCopyRange */
    int64_t copied;      /* bytes, in ranges that have ended well */
    JobCopyError errors[2]; /* the first since the job looked: [0] of writes, [1] of reads */

    /* ---- The job's coroutine ---- */
    unsigned workers;
    int64_t bytes_under_way;
    int64_t scanned;     /* so far `wanted` was asked */
    int64_t cursor;      /* where to look for the next range */
    int64_t resume_at;   /* by the job's speed; realtime clock */
    int64_t speed;       /* that resume_at goes by */
    JobCopyError skipped; /* the first that was ignored and left out */
};

/* Are ranges that could not be copied left out? */
bool job_copy_skips(const JobCopy *copy);
/* A range was copied, or not: counters, bits, and it is given back. On the nodes' loop. */
void job_copy_finish(JobCopy *copy, JobCopyRange *range, int result);
/* Start copying another range, if there is one and room for it: its length, else 0. */
int64_t job_copy_start_worker(JobCopy *copy);

#endif
