/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the jobs that work on a chain of images. Main thread. */
#ifndef VIREO_BLOCK_COMMIT_H
#define VIREO_BLOCK_COMMIT_H

#include "block/job.h"

typedef struct CommitArgs {
    const char *job_id, *filter_node_name, *backing_file; /* each may be NULL */
    BlockNode *device;       /* the topmost of the chain, which no other job gets meanwhile */
    BlockNode *top;          /* below another image; nobody writes to it */
    BlockNode *base;         /* in the chain below top */
    int64_t speed;
    BlockdevOnError on_error;
    JobFlags flags;
} CommitArgs;

typedef struct StreamArgs {
    const char *job_id, *filter_node_name, *backing_file; /* each may be NULL */
    BlockNode *top;
    BlockNode *base;         /* what stays below top; NULL: nothing */
    BlockNode *bottom;       /* the lowest to be copied, which stands on base; NULL: all are */
    int64_t speed;
    BlockdevOnError on_error;
    JobFlags flags;
} StreamArgs;

/* Created but not started. NULL with the error set. */
Job *block_commit_new(const CommitArgs *args, GError **error);
Job *block_stream_new(const StreamArgs *args, GError **error);

#endif
