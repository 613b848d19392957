/* SPDX-License-Identifier: Apache-2.0 */
#include "block/codec/inflate.h"

#include <errno.h>
#include <stdint.h>
#include <zlib.h>

ssize_t codec_inflate(int window_bits, void *dst, size_t dst_size, const void *src,
                      size_t src_size)
{
    z_stream stream = {
        .next_in = (Bytef *)(uintptr_t)src, .avail_in = (uInt)src_size,
        .next_out = dst, .avail_out = (uInt)dst_size,
    };
    int ret;

    if (inflateInit2(&stream, window_bits) != Z_OK) {
        return -ENOMEM;
    }
    ret = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (ret == Z_STREAM_END || (ret == Z_BUF_ERROR && stream.avail_out == 0)) {
        return (ssize_t)(dst_size - stream.avail_out);
    }
    return -EIO;
}
