/* SPDX-License-Identifier: Apache-2.0 */
/* Zstandard. What is decompressed may consist of several frames. */
#include <errno.h>
#include <zstd.h>

#include "block/codec/codec.h"

#define LEVEL 2

typedef struct State {
    ZSTD_CCtx *compressor; /* NULL: not needed yet */
    ZSTD_DCtx *decompressor;
} State;

static void *state_new(void)
{
    return g_new0(State, 1);
}

static void state_free(void *opaque)
{
    State *state = opaque;

    ZSTD_freeCCtx(state->compressor);
    ZSTD_freeDCtx(state->decompressor);
    g_free(state);
}

static ssize_t zstd_compress(void *opaque, void *dst, size_t dst_size, const void *src,
                             size_t src_size)
{
    State *state = opaque;
    size_t n;

    if (!state->compressor) {
        state->compressor = ZSTD_createCCtx();
    }
    if (!state->compressor) {
        return -ENOMEM;
    }
    n = ZSTD_compressCCtx(state->compressor, dst, dst_size, src, src_size, LEVEL);
    return ZSTD_isError(n) ? -ENOSPC : (ssize_t)n;
}

static ssize_t zstd_decompress(void *opaque, void *dst, size_t dst_size, const void *src,
                               size_t src_size)
{
    State *state = opaque;
    size_t done = 0, used = 0;

    if (!state->decompressor) {
        state->decompressor = ZSTD_createDCtx();
    }
    if (!state->decompressor) {
        return -ENOMEM;
    }
    while (done < dst_size) {
        size_t frame = ZSTD_findFrameCompressedSize((const char *)src + used, src_size - used);
        size_t n;

        if (ZSTD_isError(frame) || !frame) {
            return -EIO;
        }
        n = ZSTD_decompressDCtx(state->decompressor, (char *)dst + done, dst_size - done,
                                (const char *)src + used, frame);
        if (ZSTD_isError(n)) {
            return -EIO;
        }
        done += n;
        used += frame;
    }
    return (ssize_t)done;
}

const Codec codec_zstd = {
    state_new, state_free, ZSTD_compressBound, zstd_compress, zstd_decompress,
};
