/* SPDX-License-Identifier: Apache-2.0 */
/* Decompressing by zlib, which unlike libdeflate can tell how far it came. */
#ifndef VIREO_BLOCK_CODEC_INFLATE_H
#define VIREO_BLOCK_CODEC_INFLATE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * window_bits as of inflateInit2(). A stream that is not ended, or goes on, is good if it fills
 * dst. Bytes, or -errno.
 */
ssize_t codec_inflate(int window_bits, void *dst, size_t dst_size, const void *src,
                      size_t src_size);

#endif
