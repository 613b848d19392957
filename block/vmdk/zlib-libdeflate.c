/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libdeflate.h>

#include "block/vmdk/vmdk.h"

/* About the size of zlib's usual level, in a fraction of its time. */
#define LEVEL 3

void *vmdk_zlib_state_new(bool compress)
{
    return compress ? (void *)libdeflate_alloc_compressor(LEVEL)
                    : (void *)libdeflate_alloc_decompressor();
}

void vmdk_zlib_state_free(bool compress, void *state)
{
    if (compress) {
        libdeflate_free_compressor(state);
    } else {
        libdeflate_free_decompressor(state);
    }
}

size_t vmdk_zlib_bound(size_t bytes)
{
    return libdeflate_zlib_compress_bound(NULL, bytes);
}

void vmdk_zlib_compress(void *state, VmdkCodecJob *job)
{
    size_t n = libdeflate_zlib_compress(state, job->src, job->src_size, job->dst, job->dst_size);

    job->result = n ? (ssize_t)n : -ENOSPC;
}

void vmdk_zlib_decompress(void *state, VmdkCodecJob *job)
{
    size_t in, out = 0;
    enum libdeflate_result result;

    result = libdeflate_zlib_decompress_ex(state, job->src, job->src_size, job->dst, job->dst_size,
                                           &in, &out);
    job->result = result == LIBDEFLATE_SUCCESS ? (ssize_t)out : -EIO;
}
