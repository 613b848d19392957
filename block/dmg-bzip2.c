/* SPDX-License-Identifier: Apache-2.0 */
/* The module block-dmg-bzip2: chunks of Apple's disk images that bzip2 has compressed. */
#include <bzlib.h>
#include <errno.h>

#include "block/dmg-codec.h"

static int unpack_bzip2(void *dst, size_t dst_len, const void *src, size_t src_len)
{
    unsigned len = (unsigned)dst_len;
    int ret = BZ2_bzBuffToBuffDecompress(dst, &len, (char *)(uintptr_t)src, (unsigned)src_len, 0,
                                         0);

    return ret == BZ_OK && len == dst_len ? 0 : ret == BZ_MEM_ERROR ? -ENOMEM : -EIO;
}

static __attribute__((constructor)) void register_codec(void)
{
    dmg_codec_register(DMG_CODEC_BZIP2, unpack_bzip2);
}
