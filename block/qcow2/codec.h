/* SPDX-License-Identifier: Apache-2.0 */
/* Compressing and decompressing one cluster. */
#ifndef VIREO_BLOCK_QCOW2_CODEC_H
#define VIREO_BLOCK_QCOW2_CODEC_H

#include <stddef.h>
#include <sys/types.h>

typedef struct Qcow2Codec {
    /* The library's working memory, for one thread at a time. NULL: there is none. */
    void *(*state_new)(void);
    void (*state_free)(void *state);
    /* Bytes written to dst; -ENOMEM: they do not fit (dst is to be smaller than src); -errno. */
    ssize_t (*compress)(void *state, void *dst, size_t dst_size, const void *src, size_t src_size);
    /* Exactly dst_size bytes; src may have rubbish behind its end. 0 or -EIO. */
    int (*decompress)(void *state, void *dst, size_t dst_size, const void *src, size_t src_size);
} Qcow2Codec;

extern const Qcow2Codec qcow2_deflate;
/* Without functions where it was not built in. */
extern const Qcow2Codec qcow2_zstd;

#endif
