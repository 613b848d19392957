/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: seeded floating-point numbers that dwell on the borders of what can happen. */
#ifndef VIREO_ACCEL_EMU_TESTS_RANDOM_FLOAT_H
#define VIREO_ACCEL_EMU_TESTS_RANDOM_FLOAT_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t random_bits(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t random_fraction(uint64_t *state, unsigned bits)
{
    uint64_t mask = (1ULL << bits) - 1, x = random_bits(state);

    switch (random_bits(state) % 6) {
    case 0:
        return 0;
    case 1:
        return x & 3;
    case 2:
        return mask - (x & 3);
    case 3:
        return 1ULL << x % bits;
    case 4:
        return mask & -(1ULL << x % bits);
    default:
        return x & mask;
    }
}

/* Denormals, infinities and NaNs, about 1, integers, halves of the range, tiny beside 1, any. */
static inline uint64_t random_exponent(uint64_t *state, unsigned bits)
{
    unsigned max = (1u << bits) - 1, bias = max >> 1;
    uint64_t x = random_bits(state);

    switch (random_bits(state) % 8) {
    case 0:
        return x % 3;
    case 1:
        return max - x % 3;
    case 2:
    case 3:
        return bias - 4 + x % 9;
    case 4:
        return (bias + 10 + x % 60) & max;
    case 5:
        return (bias / 2 - 4 + x % 9) & max;
    case 6:
        return (bias - bits * 4 - 2 + x % 5) & max;
    default:
        return x & max;
    }
}

static inline uint64_t random_float(uint64_t *state, unsigned exponent_bits,
                                    unsigned fraction_bits)
{
    uint64_t sign = random_bits(state) & 1, exponent = random_exponent(state, exponent_bits);

    return sign << (exponent_bits + fraction_bits) | exponent << fraction_bits |
           random_fraction(state, fraction_bits);
}

static inline uint64_t random_integer(uint64_t *state)
{
    uint64_t x = random_bits(state) >> random_bits(state) % 64;

    return random_bits(state) & 1 ? x : -x;
}

typedef enum RandomKind { RANDOM_F32, RANDOM_F64, RANDOM_F16, RANDOM_I32 } RandomKind;

/* 64 bits of elements. tame: nothing but inexactness comes of them. */
static inline uint64_t random_elements(uint64_t *state, RandomKind kind, bool tame)
{
    uint64_t x = 0;

    if (tame) {
        x = random_bits(state) & 0x800fffff807fffffULL;
        return kind == RANDOM_F64 ? x | (1016 + random_bits(state) % 16) << 52
                                  : (x & 0x807fffff807fffffULL) | 0x3d8000003e000000ULL;
    }
    switch (kind) {
    case RANDOM_F32:
        return random_float(state, 8, 23) | random_float(state, 8, 23) << 32;
    case RANDOM_F64:
        return random_float(state, 11, 52);
    case RANDOM_F16:
        for (unsigned i = 0; i < 4; i++) {
            x = x << 16 | random_float(state, 5, 10);
        }
        return x;
    default:
        return random_integer(state) << 32 | (uint32_t)random_integer(state);
    }
}

#endif
