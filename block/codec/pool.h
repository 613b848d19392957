/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many pieces at once, by as many threads as there are processors, and no more: each has the
 * library's working memory. One pool per image.
 */
#ifndef VIREO_BLOCK_CODEC_POOL_H
#define VIREO_BLOCK_CODEC_POOL_H

#include "block/codec/codec.h"
#include "util/loop.h"

typedef struct CodecJob {
    const void *src;
    void *dst;
    size_t src_size, dst_size;
    ssize_t result;      /* as of the codec's function */
} CodecJob;

typedef struct CodecPool CodecPool;

/* Loads nothing yet. */
CodecPool *codec_pool_new(CodecMethod method);
/* While no job runs. May be NULL. */
void codec_pool_free(CodecPool *pool);
/*
 * In a coroutine: until all are done, whatever their results. -ENOTSUP: the method cannot be had,
 * which was reported.
 */
int codec_pool_run(CodecPool *pool, bool compress, CodecJob *jobs, unsigned n);
/* The method, or NULL, which was reported. */
const Codec *codec_pool_codec(CodecPool *pool);

#endif
