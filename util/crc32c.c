/* SPDX-License-Identifier: Apache-2.0 */
#include "util/crc32c.h"

#include <string.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* reflected */

/* What eight shifts do to a register of this value, four bits at a time. */
#define STEP(c) (((c) >> 1) ^ (((c) & 1) ? POLYNOMIAL : 0))
#define STEP4(c) STEP(STEP(STEP(STEP((uint32_t)(c)))))

uint32_t crc32c_by_table(uint32_t crc, const void *buf, size_t len)
{
    static const uint32_t nibbles[16] = {
        STEP4(0), STEP4(1), STEP4(2), STEP4(3), STEP4(4), STEP4(5), STEP4(6), STEP4(7),
        STEP4(8), STEP4(9), STEP4(10), STEP4(11), STEP4(12), STEP4(13), STEP4(14), STEP4(15),
    };
    const uint8_t *at = buf;

    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *buf,
                                                               size_t len)
{
    const uint8_t *at = buf;
    uint64_t wide = (uint32_t)~crc;
    uint32_t rest;

    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    rest = wide;
    for (; len > 0; at++, len--) {
        rest = _mm_crc32_u8(rest, *at);
    }
    return ~rest;
}
#endif

uint32_t crc32c(uint32_t crc, const void *buf, size_t len)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return crc32c_sse42(crc, buf, len);
    }
#endif
    return crc32c_by_table(crc, buf, len);
}
