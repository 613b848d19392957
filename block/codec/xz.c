/* SPDX-License-Identifier: Apache-2.0 */
/* xz streams (LZMA): Apple's images have them. */
#include <errno.h>
#include <lzma.h>

#include "block/codec/codec.h"

/* For the dictionary, whose size the stream says. */
#define MAX_MEMORY (64 * 1024 * 1024)

static void *state_new(void)
{
    return g_malloc(1);
}

static ssize_t xz_decompress(void *state, void *dst, size_t dst_size, const void *src,
                             size_t src_size)
{
    uint64_t memory = MAX_MEMORY;
    size_t in = 0, out = 0;
    lzma_ret ret = lzma_stream_buffer_decode(&memory, 0, NULL, src, &in, src_size, dst, &out,
                                             dst_size);

    return ret == LZMA_OK ? (ssize_t)out : ret == LZMA_MEM_ERROR ? -ENOMEM : -EIO;
}

const Codec codec_xz = { .state_new = state_new, .state_free = g_free,
                         .decompress = xz_decompress };
