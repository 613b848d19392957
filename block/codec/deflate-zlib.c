/* SPDX-License-Identifier: Apache-2.0 */
/* Deflate by zlib alone, which keeps no memory between two calls: where libdeflate is missing. */
#include <errno.h>
#include <stdint.h>
#include <zlib.h>

#include "block/codec/codec.h"
#include "block/codec/inflate.h"

#define RAW_WINDOW (-15)
#define ZLIB_WINDOW 15
#define MEMORY_LEVEL 9

static void *state_new(void)
{
    return g_malloc(1);
}

static size_t bound(size_t bytes)
{
    return compressBound((uLong)bytes);
}

static ssize_t compress_by(int window_bits, void *dst, size_t dst_size, const void *src,
                           size_t src_size)
{
    z_stream stream = {
        .next_in = (Bytef *)(uintptr_t)src, .avail_in = (uInt)src_size,
        .next_out = dst, .avail_out = (uInt)dst_size,
    };
    int ret;

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return -ENOMEM;
    }
    ret = deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    return ret == Z_STREAM_END ? (ssize_t)(dst_size - stream.avail_out) : -ENOSPC;
}

static ssize_t deflate_compress(void *state, void *dst, size_t dst_size, const void *src,
                                size_t src_size)
{
    return compress_by(RAW_WINDOW, dst, dst_size, src, src_size);
}

static ssize_t deflate_decompress(void *state, void *dst, size_t dst_size, const void *src,
                                  size_t src_size)
{
    return codec_inflate(RAW_WINDOW, dst, dst_size, src, src_size);
}

static ssize_t zlib_compress(void *state, void *dst, size_t dst_size, const void *src,
                             size_t src_size)
{
    return compress_by(ZLIB_WINDOW, dst, dst_size, src, src_size);
}

static ssize_t zlib_decompress(void *state, void *dst, size_t dst_size, const void *src,
                               size_t src_size)
{
    return codec_inflate(ZLIB_WINDOW, dst, dst_size, src, src_size);
}

const Codec codec_deflate = { state_new, g_free, bound, deflate_compress, deflate_decompress };
const Codec codec_zlib = { state_new, g_free, bound, zlib_compress, zlib_decompress };
