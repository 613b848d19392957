/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deflate streams without a header. Written with libdeflate, which is several times as fast as
 * zlib. Its window is larger than the 4 KiB that old writers kept to; readers that decompress a
 * cluster at a stroke, as all do, have the whole of it before them and do not mind.
 */
#include <errno.h>
#include <glib.h>
#include <libdeflate.h>
#include <zlib.h>

#include "block/qcow2/codec.h"

/* Smaller than what zlib makes with a 4 KiB window at its usual level, in much less time. */
#define LEVEL 1
#define WINDOW_BITS 15

typedef struct State {
    struct libdeflate_compressor *compressor; /* NULL: not needed yet */
    struct libdeflate_decompressor *decompressor;
} State;

static void *state_new(void)
{
    return g_new0(State, 1);
}

static void state_free(void *opaque)
{
    State *state = opaque;

    if (state->compressor) {
        libdeflate_free_compressor(state->compressor);
    }
    if (state->decompressor) {
        libdeflate_free_decompressor(state->decompressor);
    }
    g_free(state);
}

static ssize_t deflate_compress(void *opaque, void *dst, size_t dst_size, const void *src,
                                size_t src_size)
{
    State *state = opaque;
    size_t n;

    if (!state->compressor) {
        state->compressor = libdeflate_alloc_compressor(LEVEL);
    }
    if (!state->compressor) {
        return -EIO;
    }
    n = libdeflate_deflate_compress(state->compressor, src, src_size, dst, dst_size);
    return n ? (ssize_t)n : -ENOMEM;
}

/* A stream that is not ended, or goes on after the cluster: enough data is all that counts. */
static int inflate_unended(void *dst, size_t dst_size, const void *src, size_t src_size)
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

static int deflate_decompress(void *opaque, void *dst, size_t dst_size, const void *src,
                              size_t src_size)
{
    State *state = opaque;
    enum libdeflate_result result = LIBDEFLATE_BAD_DATA;

    if (!state->decompressor) {
        state->decompressor = libdeflate_alloc_decompressor();
    }
    if (state->decompressor) {
        result = libdeflate_deflate_decompress_ex(state->decompressor, src, src_size, dst,
                                                  dst_size, NULL, NULL);
    }
    return result == LIBDEFLATE_SUCCESS ? 0 : inflate_unended(dst, dst_size, src, src_size);
}

const Qcow2Codec qcow2_deflate = { state_new, state_free, deflate_compress, deflate_decompress };
