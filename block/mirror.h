/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mirror job: a copy of a disk that is kept equal to it until somebody ends the job; and, as
 * its special case, committing the topmost image of a chain. Main thread.
 */
#ifndef VIREO_BLOCK_MIRROR_H
#define VIREO_BLOCK_MIRROR_H

#include "block/job-copy.h"

/* What becomes of the target's backing file when it takes the disk's place. */
typedef enum MirrorBacking {
    MIRROR_BACKING_LEAVE,  /* it is the client's affair */
    MIRROR_BACKING_SOURCE, /* it gets the source's */
    MIRROR_BACKING_OPEN,   /* what its header says is opened then */
} MirrorBacking;

typedef struct MirrorArgs {
    const char *job_id, *filter_node_name, *replaces; /* each may be NULL */
    BlockNode *source, *target;
    MirrorSyncMode sync;     /* full, top or none */
    MirrorBacking backing;
    bool commit;             /* the target is a backing image of the source */
    bool target_is_new;      /* and all zeroes */
    bool write_blocking, unmap;
    bool has_granularity;
    uint32_t granularity;
    int64_t buf_size, speed; /* 0: the default / no limit */
    BlockdevOnError on_source_error, on_target_error;
    JobFlags flags;
} MirrorArgs;

/* Created but not started. NULL with the error set. */
Job *block_mirror_new(const MirrorArgs *args, GError **error);

#endif
