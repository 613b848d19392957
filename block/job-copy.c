/* SPDX-License-Identifier: Apache-2.0 */
#include "block/job-copy.h"

#include <errno.h>
#include <stdlib.h>

#include "block/io.h"

static int copy_data(const JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed)
{
    void *buf = block_alloc(copy->source->node, (size_t)bytes);
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    ret = block_pread(copy->source, offset, bytes, buf);
    *read_failed = ret < 0;
    if (ret >= 0) {
        ret = block_pwrite(copy->target, offset, bytes, buf, copy->write_flags);
    }
    free(buf);
    return ret;
}

int job_copy_range(const JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed)
{
    int ret = block_is_zero(copy->source->node, offset, bytes);

    *read_failed = ret < 0;
    if (ret < 0) {
        return ret;
    }
    if (!ret) {
        return copy_data(copy, offset, bytes, read_failed);
    }
    if (copy->target_is_zero) {
        return 0;
    }
    return block_pwrite_zeroes(copy->target, offset, bytes,
                               (copy->zeroes_unmap ? BLOCK_REQ_MAY_UNMAP : 0) |
                                   (copy->write_flags &
                                    (BLOCK_REQ_WRITE_UNCHANGED | BLOCK_REQ_SERIALISING)));
}

typedef struct CopyRun {
    const JobCopy *copy;
    int64_t offset, bytes;
    bool *read_failed;
    int result;
} CopyRun;

static void run_copy(void *opaque)
{
    CopyRun *run = opaque;

    run->result = job_copy_range(run->copy, run->offset, run->bytes, run->read_failed);
}

int job_copy_remote(const JobCopy *copy, int64_t offset, int64_t bytes, bool *read_failed)
{
    CopyRun run = { copy, offset, bytes, read_failed, 0 };

    block_run(copy->source->node, run_copy, &run);
    return run.result;
}
