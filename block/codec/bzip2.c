/* SPDX-License-Identifier: Apache-2.0 */
/* bzip2 streams: Apple's images have them. */
#include <bzlib.h>
#include <errno.h>
#include <stdint.h>

#include "block/codec/codec.h"

static void *state_new(void)
{
    return g_malloc(1);
}

static ssize_t bzip2_decompress(void *state, void *dst, size_t dst_size, const void *src,
                                size_t src_size)
{
    unsigned len = (unsigned)dst_size;
    int ret = BZ2_bzBuffToBuffDecompress(dst, &len, (char *)(uintptr_t)src, (unsigned)src_size, 0,
                                         0);

    return ret == BZ_OK ? (ssize_t)len : ret == BZ_MEM_ERROR ? -ENOMEM : -EIO;
}

const Codec codec_bzip2 = { .state_new = state_new, .state_free = g_free,
                            .decompress = bzip2_decompress };
