/* SPDX-License-Identifier: Apache-2.0 */
/* The module block-dmg-xz: chunks of Apple's disk images that are xz streams (LZMA). */
#include <errno.h>
#include <lzma.h>

#include "block/dmg-codec.h"

/* For the dictionary, whose size the stream says. */
#define MAX_MEMORY (64 * 1024 * 1024)

static int unpack_xz(void *dst, size_t dst_len, const void *src, size_t src_len)
{
    uint64_t memory = MAX_MEMORY;
    size_t in = 0, out = 0;
    lzma_ret ret = lzma_stream_buffer_decode(&memory, 0, NULL, src, &in, src_len, dst, &out,
                                             dst_len);

    return ret == LZMA_OK && out == dst_len ? 0 : ret == LZMA_MEM_ERROR ? -ENOMEM : -EIO;
}

static __attribute__((constructor)) void register_codec(void)
{
    dmg_codec_register(DMG_CODEC_XZ, unpack_xz);
}
