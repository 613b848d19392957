/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-XTS with AES-NI (Intel SDM volume 1, section 12.13; FIPS 197; IEEE 1619). An instruction does
 * a round of one block and takes several cycles, but one can begin every cycle; so eight blocks go
 * through the rounds together. Nothing here depends on data but by these instructions, so it takes
 * the same time for every key.
 */
#include "crypto/aes-xts.h"

#include <glib.h>
#include <immintrin.h>
#include <string.h>

#define WIDE 8
/* Vectors that are encrypted at a time. */
#define BATCH 32
#define AES_NI __attribute__((target("aes,sse2")))
#define INLINE AES_NI static inline __attribute__((always_inline))

AES_NI static uint32_t sub_word(uint32_t word)
{
    return (uint32_t)_mm_cvtsi128_si32(
        _mm_aeskeygenassist_si128(_mm_set1_epi32((int)word), 0));
}

/* FIPS 197, section 5.2. Words are little-endian, so a rotation to the left goes to the right. */
AES_NI static void expand_key(const uint8_t *key, size_t key_len, unsigned rounds,
                              uint8_t out[AES_MAX_ROUND_KEYS][16])
{
    unsigned nk = (unsigned)key_len / 4;
    uint32_t words[4 * AES_MAX_ROUND_KEYS];
    uint8_t rcon = 1;

    memcpy(words, key, key_len);
    for (unsigned i = nk; i < 4 * (rounds + 1); i++) {
        uint32_t word = words[i - 1];

        if (i % nk == 0) {
            word = sub_word(word >> 8 | word << 24) ^ rcon;
            rcon = (uint8_t)(rcon << 1 ^ (rcon >> 7) * 0x1b);
        } else if (nk > 6 && i % nk == 4) {
            word = sub_word(word);
        }
        words[i] = words[i - nk] ^ word;
    }
    memcpy(out, words, 16 * (rounds + 1));
    explicit_bzero(words, sizeof(words));
}

/* The equivalent inverse cipher's keys (section 5.3.5). */
AES_NI static void invert_key(const uint8_t in[AES_MAX_ROUND_KEYS][16], unsigned rounds,
                              uint8_t out[AES_MAX_ROUND_KEYS][16])
{
    memcpy(out[0], in[rounds], 16);
    memcpy(out[rounds], in[0], 16);
    for (unsigned i = 1; i < rounds; i++) {
        __m128i key = _mm_loadu_si128((const __m128i *)in[rounds - i]);

        _mm_storeu_si128((__m128i *)out[i], _mm_aesimc_si128(key));
    }
}

bool aes_xts_init(AesXtsKey *xts, const uint8_t *key, size_t key_len)
{
    if (!__builtin_cpu_supports("aes")) {
        return false;
    }
    xts->rounds = (unsigned)key_len / 8 + 6;
    expand_key(key, key_len / 2, xts->rounds, xts->encrypt);
    expand_key(key + key_len / 2, key_len / 2, xts->rounds, xts->tweak);
    invert_key(xts->encrypt, xts->rounds, xts->decrypt);
    return true;
}

INLINE __m128i round_key(const uint8_t keys[AES_MAX_ROUND_KEYS][16], unsigned round)
{
    return _mm_loadu_si128((const __m128i *)keys[round]);
}

/* Whole rounds of n blocks, n a constant. */
INLINE void crypt_blocks(const uint8_t keys[AES_MAX_ROUND_KEYS][16], unsigned rounds, bool encrypt,
                         __m128i *blocks, unsigned n)
{
    __m128i key = round_key(keys, 0);

#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i++) {
        blocks[i] = _mm_xor_si128(blocks[i], key);
    }
    for (unsigned round = 1; round < rounds; round++) {
        key = round_key(keys, round);
#pragma GCC unroll 8
        for (unsigned i = 0; i < n; i++) {
            blocks[i] = encrypt ? _mm_aesenc_si128(blocks[i], key)
                                : _mm_aesdec_si128(blocks[i], key);
        }
    }
    key = round_key(keys, rounds);
#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i++) {
        blocks[i] = encrypt ? _mm_aesenclast_si128(blocks[i], key)
                            : _mm_aesdeclast_si128(blocks[i], key);
    }
}

/* Times x in GF(2^128): both halves doubled, the bits that leave them come back lower down. */
INLINE __m128i next_mask(__m128i mask)
{
    const __m128i carries = _mm_set_epi32(0, 1, 0, 0x87);
    __m128i tops = _mm_srai_epi32(_mm_shuffle_epi32(mask, 0x13), 31);

    return _mm_xor_si128(_mm_add_epi64(mask, mask), _mm_and_si128(tops, carries));
}

/* n blocks, n a constant; *mask is the first one's, afterwards the next one's. */
INLINE void crypt_masked(const AesXtsKey *xts, bool encrypt, const uint8_t *in, uint8_t *out,
                         __m128i *mask, unsigned n)
{
    __m128i masks[WIDE], blocks[WIDE];

#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i++) {
        masks[i] = *mask;
        blocks[i] = _mm_xor_si128(_mm_loadu_si128((const __m128i *)in + i), masks[i]);
        *mask = next_mask(*mask);
    }
    crypt_blocks(encrypt ? xts->encrypt : xts->decrypt, xts->rounds, encrypt, blocks, n);
#pragma GCC unroll 8
    for (unsigned i = 0; i < n; i++) {
        _mm_storeu_si128((__m128i *)out + i, _mm_xor_si128(blocks[i], masks[i]));
    }
}

INLINE void crypt_unit(const AesXtsKey *xts, bool encrypt, const uint8_t *in, uint8_t *out,
                       size_t len, __m128i mask)
{
    for (; len >= 16 * WIDE; len -= 16 * WIDE) {
        crypt_masked(xts, encrypt, in, out, &mask, WIDE);
        in += 16 * WIDE;
        out += 16 * WIDE;
    }
    for (; len; len -= 16) {
        crypt_masked(xts, encrypt, in, out, &mask, 1);
        in += 16;
        out += 16;
    }
}

/* The first masks of n units, at most BATCH. */
AES_NI static void make_masks(const AesXtsKey *xts, const uint8_t *ivs, __m128i *masks, size_t n)
{
    memset(masks, 0, BATCH * sizeof(*masks));
    memcpy(masks, ivs, n * 16);
    for (size_t i = 0; i < n; i += WIDE) {
        crypt_blocks(xts->tweak, xts->rounds, true, masks + i, WIDE);
    }
}

INLINE void crypt_units(const AesXtsKey *xts, bool encrypt, const uint8_t *ivs, const uint8_t *in,
                        uint8_t *out, size_t len, size_t n)
{
    __m128i masks[BATCH];

    while (n) {
        size_t now = MIN(n, BATCH);

        make_masks(xts, ivs, masks, now);
        for (size_t i = 0; i < now; i++) {
            crypt_unit(xts, encrypt, in, out, len, masks[i]);
            in += len;
            out += len;
        }
        ivs += now * 16;
        n -= now;
    }
}

AES_NI void aes_xts_encrypt(const AesXtsKey *xts, const uint8_t *ivs, const uint8_t *in,
                            uint8_t *out, size_t len, size_t n)
{
    crypt_units(xts, true, ivs, in, out, len, n);
}

AES_NI void aes_xts_decrypt(const AesXtsKey *xts, const uint8_t *ivs, const uint8_t *in,
                            uint8_t *out, size_t len, size_t n)
{
    crypt_units(xts, false, ivs, in, out, len, n);
}
