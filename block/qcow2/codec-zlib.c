/* SPDX-License-Identifier: Apache-2.0 */
/* Deflate streams without a header, by zlib alone: where libdeflate is missing. */
#include <errno.h>
#include <stdint.h>
#include <zlib.h>

#include "block/qcow2/codec.h"

#define WINDOW_BITS 15

static void *state_new(void)
{
    static const char none;

    return (void *)(uintptr_t)&none;
}

static void state_free(void *state)
{
}

static ssize_t deflate_compress(void *state, void *dst, size_t dst_size, const void *src,
                                size_t src_size)
{
    z_stream stream = {
        .next_in = (Bytef *)(uintptr_t)src, .avail_in = (uInt)src_size,
        .next_out = dst, .avail_out = (uInt)dst_size,
    };
    int ret;

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -WINDOW_BITS, 9,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return -EIO;
    }
    ret = deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    return ret == Z_STREAM_END ? (ssize_t)(dst_size - stream.avail_out) : -ENOMEM;
}

static int deflate_decompress(void *state, void *dst, size_t dst_size, const void *src,
                              size_t src_size)
{
    z_stream stream = {
        .next_in = (Bytef *)(uintptr_t)src, .avail_in = (uInt)src_size,
        .next_out = dst, .avail_out = (uInt)dst_size,
    };
    int ret;

    if (inflateInit2(&stream, -WINDOW_BITS) != Z_OK) {
        return -EIO;
    }
    ret = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && stream.avail_out == 0 ? 0 : -EIO;
}

const Qcow2Codec qcow2_deflate = { state_new, state_free, deflate_compress, deflate_decompress };
