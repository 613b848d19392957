/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deflate by libdeflate, which is several times as fast as zlib. Its window is larger than the
 * 4 KiB that old writers of qcow2 kept to; readers that decompress a cluster at a stroke, as all
 * do, have the whole of it before them and do not mind.
 */
#include <errno.h>
#include <libdeflate.h>

#include "block/codec/codec.h"
#include "block/codec/inflate.h"

/* Smaller than what zlib makes with a 4 KiB window at its usual level, in much less time. */
#define LEVEL 1
#define RAW_WINDOW (-15)
#define ZLIB_WINDOW 15

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

static struct libdeflate_compressor *compressor(State *state)
{
    if (!state->compressor) {
        state->compressor = libdeflate_alloc_compressor(LEVEL);
    }
    return state->compressor;
}

static struct libdeflate_decompressor *decompressor(State *state)
{
    if (!state->decompressor) {
        state->decompressor = libdeflate_alloc_decompressor();
    }
    return state->decompressor;
}

static size_t deflate_bound(size_t bytes)
{
    return libdeflate_deflate_compress_bound(NULL, bytes);
}

static ssize_t deflate_compress(void *state, void *dst, size_t dst_size, const void *src,
                                size_t src_size)
{
    size_t n;

    if (!compressor(state)) {
        return -ENOMEM;
    }
    n = libdeflate_deflate_compress(compressor(state), src, src_size, dst, dst_size);
    return n ? (ssize_t)n : -ENOSPC;
}

static ssize_t deflate_decompress(void *state, void *dst, size_t dst_size, const void *src,
                                  size_t src_size)
{
    size_t in, out;

    if (decompressor(state) &&
        libdeflate_deflate_decompress_ex(decompressor(state), src, src_size, dst, dst_size, &in,
                                         &out) == LIBDEFLATE_SUCCESS) {
        return (ssize_t)out;
    }
    return codec_inflate(RAW_WINDOW, dst, dst_size, src, src_size);
}

static size_t zlib_bound(size_t bytes)
{
    return libdeflate_zlib_compress_bound(NULL, bytes);
}

static ssize_t zlib_compress(void *state, void *dst, size_t dst_size, const void *src,
                             size_t src_size)
{
    size_t n;

    if (!compressor(state)) {
        return -ENOMEM;
    }
    n = libdeflate_zlib_compress(compressor(state), src, src_size, dst, dst_size);
    return n ? (ssize_t)n : -ENOSPC;
}

static ssize_t zlib_decompress(void *state, void *dst, size_t dst_size, const void *src,
                               size_t src_size)
{
    size_t in, out;

    if (decompressor(state) &&
        libdeflate_zlib_decompress_ex(decompressor(state), src, src_size, dst, dst_size, &in,
                                      &out) == LIBDEFLATE_SUCCESS) {
        return (ssize_t)out;
    }
    return codec_inflate(ZLIB_WINDOW, dst, dst_size, src, src_size);
}

const Codec codec_deflate = {
    state_new, state_free, deflate_bound, deflate_compress, deflate_decompress,
};
const Codec codec_zlib = {
    state_new, state_free, zlib_bound, zlib_compress, zlib_decompress,
};
