/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "block/dmg-bzip2.h"

int dmg_unpack_bzip2(void *dst, size_t dst_len, const void *src, size_t src_len)
{
    return -ENOTSUP;
}
