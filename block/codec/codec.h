/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressing and decompressing memory. Each library stands in a module, which is loaded when an
 * image asks for a method that needs it.
 */
#ifndef VIREO_BLOCK_CODEC_CODEC_H
#define VIREO_BLOCK_CODEC_CODEC_H

#include <glib.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum CodecMethod {
    CODEC_DEFLATE, /* RFC 1951, without any header */
    CODEC_ZLIB,    /* RFC 1950 */
    CODEC_ZSTD,    /* RFC 8878: frames, one after another */
    CODEC_BZIP2,   /* this and the next: only decompressing */
    CODEC_XZ,
} CodecMethod;

/* One call at a time per state; else any thread. Results are bytes in dst, or -errno. */
typedef struct Codec {
    /* The library's working memory, which is allocated when it is needed first. */
    void *(*state_new)(void);
    void (*state_free)(void *state);
    /* As much as `bytes` may become, and what has to be there for any size to be sure to fit. */
    size_t (*bound)(size_t bytes);
    /* -ENOSPC: it does not fit. NULL: cannot. */
    ssize_t (*compress)(void *state, void *dst, size_t dst_size, const void *src, size_t src_size);
    /* What is behind the stream's end in src does not matter. -EIO: that is no such stream. */
    ssize_t (*decompress)(void *state, void *dst, size_t dst_size, const void *src,
                          size_t src_size);
} Codec;

/* NULL: it is not built, not installed, or does not load. Any thread. */
const Codec *codec_load(CodecMethod method, GError **error);

/* What the modules export. */
extern const Codec codec_deflate, codec_zlib, codec_zstd, codec_bzip2, codec_xz;

#endif
