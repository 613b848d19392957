/* SPDX-License-Identifier: Apache-2.0 */
/* An ExtentUnpack of bzip2 streams; -ENOTSUP where the library is missing. */
#ifndef VIREO_BLOCK_DMG_BZIP2_H
#define VIREO_BLOCK_DMG_BZIP2_H

#include "block/extent.h"

int dmg_unpack_bzip2(void *dst, size_t dst_len, const void *src, size_t src_len);

#endif
