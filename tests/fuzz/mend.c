/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/mend.h"

#include <string.h>

#include "tests/fuzz/disk.h"
#include "util/bits.h"
#include "util/crc32c.h"

/* ---- VHD: the sum of all bytes, inverted ---- */

static void mend_sum(uint8_t *bytes, size_t len, size_t field)
{
    uint32_t sum = 0;

    stl_be(bytes + field, 0);
    for (size_t i = 0; i < len; i++) {
        sum += bytes[i];
    }
    stl_be(bytes + field, ~sum);
}

static void mend_vpc(uint8_t *bytes, size_t size)
{
    if (size >= 2048) {
        uint64_t at = ldq_be(bytes + 16);

        mend_sum(bytes, 512, 64);
        mend_sum(bytes + size - 512, 512, 64);
        if (range_ok(at, 1024, size)) {
            mend_sum(bytes + at, 1024, 36);
        }
    }
}

/* ---- VHDX ---- */

static void mend_crc(uint8_t *bytes, size_t len)
{
    stl_le(bytes + 4, 0);
    stl_le(bytes + 4, crc32c(0, bytes, len));
}

/* Entries that wrap at the end of the log stay as they are. */
static void mend_log(uint8_t *log, size_t len)
{
    for (size_t at = 0; at + 4096 <= len; at += 4096) {
        uint32_t entry = ldl_le(log + at + 8);

        if (!memcmp(log + at, "loge", 4) && entry % 4096 == 0 && entry <= len - at) {
            mend_crc(log + at, entry);
        }
    }
}

static void mend_vhdx(uint8_t *bytes, size_t size)
{
    for (size_t at = 64 * KiB; at <= 128 * KiB && at + 4096 <= size; at += 64 * KiB) {
        uint32_t len = ldl_le(bytes + at + 68);
        uint64_t log = ldq_le(bytes + at + 72);

        mend_crc(bytes + at, 4096);
        if (len <= MiB && log >= MiB && range_ok(log, len, size)) {
            mend_log(bytes + log, len);
        }
    }
    for (size_t at = 192 * KiB; at <= 256 * KiB && at + 64 * KiB <= size; at += 64 * KiB) {
        mend_crc(bytes + at, 64 * KiB);
    }
}

/* ---- LUKS: a volume, or in a qcow2 image ---- */

#define MAX_ROUNDS 1000
#define LUKS_HEADER 592

static void fewer(uint8_t *field)
{
    stl_be(field, MIN(ldl_be(field), MAX_ROUNDS));
}

static void mend_luks(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + LUKS_HEADER <= size; at += 512) {
        if (!memcmp(bytes + at, "LUKS", 4)) {
            fewer(bytes + at + 164);
            for (unsigned i = 0; i < 8; i++) {
                fewer(bytes + at + 208 + 48 * i + 4);
            }
        }
    }
}

void fuzz_mend(const char *format)
{
    size_t size;
    uint8_t *bytes = fuzz_disk_bytes(&size);

    if (strcmp(format, "vpc") == 0) {
        mend_vpc(bytes, size);
    } else if (strcmp(format, "vhdx") == 0) {
        mend_vhdx(bytes, size);
    }
    mend_luks(bytes, size);
}
