/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter that stands above a disk while it is mirrored: it tells the job of writes, or makes
 * them in the copy too before they are complete.
 */
#ifndef VIREO_BLOCK_MIRROR_TOP_H
#define VIREO_BLOCK_MIRROR_TOP_H

#include "block/job-copy.h"
#include "block/job-filter.h"

/* The node's opaque. Changed on the main thread while the node is drained. */
typedef struct MirrorTop {
    JobCopy *copy;       /* NULL: only pass on */
    bool write_blocking;
    bool commit;         /* the target is below: what it shows may be written */
    bool silent;         /* about to go: wants nothing, and lets others do everything */
} MirrorTop;

extern const BlockDriver mirror_top_driver;

#endif
