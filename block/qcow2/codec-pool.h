/* SPDX-License-Identifier: Apache-2.0 */
/* Many clusters at once, by all processors. */
#ifndef VIREO_BLOCK_QCOW2_CODEC_POOL_H
#define VIREO_BLOCK_QCOW2_CODEC_POOL_H

#include "block/qcow2/codec.h"
#include "block/qcow2/qcow2.h"

typedef struct CodecJob {
    const void *src;
    void *dst;
    size_t src_size, dst_size;
    ssize_t result;       /* as of the codec's function */
} CodecJob;

/* In a coroutine: until all are done. -ENOTSUP: this kind of compression is not built in. */
int codec_run(Qcow2 *q, bool compress, CodecJob *jobs, unsigned n);
void codec_pool_free(Qcow2 *q);

#endif
