/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying ranges from one node to another, as most jobs do. In the job's coroutine, on the main
 * thread; the requests run on the nodes' loop, which is the same for both.
 */
#ifndef VIREO_BLOCK_JOB_COPY_H
#define VIREO_BLOCK_JOB_COPY_H

#include "block/job.h"

/* What a job copies at once. */
#define JOB_COPY_CHUNK (1 << 20)

typedef struct JobCopy {
    BlockChild *source, *target;
    unsigned write_flags;     /* BlockReqFlags */
    bool zeroes_unmap;        /* zeroes may become holes */
    bool target_is_zero;      /* zeroes need not be written */
} JobCopy;

/*
 * One range of at most JOB_COPY_CHUNK: read and written, or zeroed where the source is known to be
 * zero. 0 or -errno; *read_failed says on which side. In a coroutine on the nodes' loop.
 */
int job_copy_range(const JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed);
/* The same from the job's coroutine. */
int job_copy_remote(const JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed);

#endif
