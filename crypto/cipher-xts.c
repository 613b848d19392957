/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XTS over any cipher with blocks of 16 bytes. Each block is masked before and after the cipher
 * with a tweak: the encrypted vector, multiplied by x in GF(2^128) once for each block. The masks
 * of a batch are made first and the cipher gets the batch in one call, because processors run
 * several blocks of AES side by side.
 */
#include <string.h>

#include "crypto/cipher-internal.h"
#include "util/bits.h"

#define BLOCK 16
/* Blocks in one batch: a disk's sector. */
#define BATCH 32

typedef struct Tweak {
    uint64_t low, high;
} Tweak;

/* The tweak as numbers; multiplied by x the bit that falls off comes back as x^7 + x^2 + x + 1. */
static inline Tweak tweak_next(Tweak tweak)
{
    uint64_t carry = (uint64_t)((int64_t)tweak.high >> 63) & 0x87;

    return (Tweak) { .low = tweak.low << 1 ^ carry, .high = tweak.high << 1 | tweak.low >> 63 };
}

static void mask(uint8_t *out, const uint8_t *in, const Tweak *masks, size_t blocks)
{
    for (size_t i = 0; i < blocks; i++) {
        uint64_t words[2];

        memcpy(words, in + i * BLOCK, BLOCK);
        words[0] ^= masks[i].low;
        words[1] ^= masks[i].high;
        memcpy(out + i * BLOCK, words, BLOCK);
    }
}

static void xts_unit(BlockKey data, Tweak tweak, const uint8_t *in, uint8_t *out, size_t blocks)
{
    Tweak masks[BATCH];

    while (blocks) {
        size_t now = MIN(blocks, BATCH);

        for (size_t i = 0; i < now; i++) {
            masks[i] = (Tweak) { .low = htole64(tweak.low), .high = htole64(tweak.high) };
            tweak = tweak_next(tweak);
        }
        mask(out, in, masks, now);
        data.fn(data.ctx, now * BLOCK, out, out);
        mask(out, out, masks, now);
        in += now * BLOCK;
        out += now * BLOCK;
        blocks -= now;
    }
}

void crypto_xts_units(BlockKey data, BlockKey tweak, const uint8_t *ivs, const uint8_t *in,
                      uint8_t *out, size_t len, size_t n)
{
    uint8_t tweaks[BATCH * BLOCK];

    G_STATIC_ASSERT(CRYPTO_MAX_BLOCK == BLOCK);
    while (n) {
        size_t now = MIN(n, BATCH);

        tweak.fn(tweak.ctx, now * BLOCK, tweaks, ivs);
        for (size_t i = 0; i < now; i++) {
            const uint8_t *at = tweaks + i * BLOCK;

            xts_unit(data, (Tweak) { .low = ldq_le(at), .high = ldq_le(at + 8) }, in, out,
                     len / BLOCK);
            in += len;
            out += len;
        }
        ivs += now * BLOCK;
        n -= now;
    }
}
