/* SPDX-License-Identifier: Apache-2.0 */
/* Where libdeflate is not. The library keeps no memory between two jobs. */
#include <errno.h>
#include <zlib.h>

#include "block/vmdk/vmdk.h"

void *vmdk_zlib_state_new(bool compress)
{
    return g_malloc(1);
}

void vmdk_zlib_state_free(bool compress, void *state)
{
    g_free(state);
}

size_t vmdk_zlib_bound(size_t bytes)
{
    return compressBound(bytes);
}

void vmdk_zlib_compress(void *state, VmdkCodecJob *job)
{
    uLongf n = job->dst_size;

    job->result = compress2(job->dst, &n, job->src, job->src_size, Z_DEFAULT_COMPRESSION) == Z_OK
                      ? (ssize_t)n : -ENOSPC;
}

void vmdk_zlib_decompress(void *state, VmdkCodecJob *job)
{
    uLongf n = job->dst_size, in = job->src_size;

    job->result = uncompress2(job->dst, &n, job->src, &in) == Z_OK ? (ssize_t)n : -EIO;
}
