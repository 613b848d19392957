/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact floating point without the host's: binary16, binary32, binary64 and the x87's 80-bit
 * format, with the exceptions, NaN rules and rounding of x86 processors (SDM vol. 1, chapters 4, 8
 * and 11). Values are bit patterns. Results are those of masked exceptions; a caller that finds an
 * unmasked one in `flags` drops the result (SSE) or, for f80, gets the exponent-wrapped one of the
 * SDM.
 *
 * Pure functions of their arguments and *env. Tested against the host's processor.
 */
#ifndef VIREO_ACCEL_EMU_SOFT_FLOAT_H
#define VIREO_ACCEL_EMU_SOFT_FLOAT_H

#include <stdbool.h>
#include <stdint.h>

/* As RC of MXCSR and of the x87 control word. */
enum {
    SOFT_ROUND_NEAREST = 0, /* even */
    SOFT_ROUND_DOWN = 1,
    SOFT_ROUND_UP = 2,
    SOFT_ROUND_ZERO = 3,
};

/* As the low six bits of MXCSR and of the x87 status word. */
enum {
    SOFT_INVALID = 1u << 0,
    SOFT_DENORMAL = 1u << 1,
    SOFT_DIV_ZERO = 1u << 2,
    SOFT_OVERFLOW = 1u << 3,
    SOFT_UNDERFLOW = 1u << 4,
    SOFT_INEXACT = 1u << 5,
    SOFT_FLAGS = 0x3f,
    SOFT_FLAGS_BEFORE = SOFT_INVALID | SOFT_DENORMAL | SOFT_DIV_ZERO, /* found before computing */
};

typedef struct SoftFloatEnv {
    uint8_t rounding;   /* SOFT_ROUND_* */
    uint8_t precision;  /* 24, 53 or 64: significand bits of f80 add, sub, mul, div and sqrt */
    uint8_t masks;      /* SOFT_* that are masked; decides when underflow is one, for instance */
    uint8_t flags;      /* SOFT_*, accumulated */
    bool ftz, daz;      /* f32 and f64 only; ftz counts only while underflow is masked */
    bool rounded_up;    /* the last result was rounded away from zero (x87's C1) */
    bool denormal_seen; /* f80 arithmetic: an operand was a denormal before it was widened */
} SoftFloatEnv;

static inline SoftFloatEnv soft_float_env_sse(uint32_t mxcsr)
{
    return (SoftFloatEnv) {
        .rounding = mxcsr >> 13 & 3, .precision = 64, .masks = mxcsr >> 7 & SOFT_FLAGS,
        .ftz = mxcsr >> 15 & 1, .daz = mxcsr >> 6 & 1,
    };
}

static inline SoftFloatEnv soft_float_env_x87(uint16_t fcw)
{
    static const uint8_t precision[4] = { 24, 64, 53, 64 };

    return (SoftFloatEnv) {
        .rounding = fcw >> 10 & 3, .precision = precision[fcw >> 8 & 3],
        .masks = fcw & SOFT_FLAGS,
    };
}

/*
 * Flags as one SSE instruction reports them: an unmasked exception found before computing, in any
 * element, hides those that computing would have found.
 */
static inline uint8_t soft_float_sse_flags(const SoftFloatEnv *env)
{
    return env->flags & ~env->masks & SOFT_FLAGS_BEFORE ? env->flags & SOFT_FLAGS_BEFORE
                                                        : env->flags;
}

/* The 80-bit format; FSTP m80 stores significand, then sign_exponent. */
typedef struct SoftF80 {
    uint64_t significand;
    uint16_t sign_exponent;
} SoftF80;

typedef enum SoftOrder {
    SOFT_LESS = -1, SOFT_EQUAL = 0, SOFT_GREATER = 1, SOFT_UNORDERED = 2,
} SoftOrder;

/* Operands of soft_*_fma to negate (not if they are NaNs). */
enum {
    SOFT_NEGATE_PRODUCT = 1u << 0,
    SOFT_NEGATE_ADDEND = 1u << 1,
};

/*
 * NaNs: the first operand's, quieted, if it is one, else the second's. min and max give the second
 * operand for NaNs and for two zeros. compare: `quiet` raises invalid for signalling NaNs only
 * (UCOMIS, CMPEQ), else for all. round: to an integral value by `rounding`, inexact only if
 * `exact` is false (ROUNDSS's bit 3). to_i32 and so on: the "integer indefinite" (80..0, unsigned:
 * FF..F) where the value does not fit; `rounding` is env->rounding or SOFT_ROUND_ZERO (CVTT).
 */
#define SOFT_DECLARE(f, T) \
    T soft_##f##_add(SoftFloatEnv *env, T a, T b); \
    T soft_##f##_sub(SoftFloatEnv *env, T a, T b); \
    T soft_##f##_mul(SoftFloatEnv *env, T a, T b); \
    T soft_##f##_div(SoftFloatEnv *env, T a, T b); \
    T soft_##f##_sqrt(SoftFloatEnv *env, T a); \
    /* a * b + c, rounded once. */ \
    T soft_##f##_fma(SoftFloatEnv *env, T a, T b, T c, unsigned negate); \
    T soft_##f##_min(SoftFloatEnv *env, T a, T b); \
    T soft_##f##_max(SoftFloatEnv *env, T a, T b); \
    SoftOrder soft_##f##_compare(SoftFloatEnv *env, T a, T b, bool quiet); \
    T soft_##f##_round(SoftFloatEnv *env, T a, unsigned rounding, bool exact); \
    int32_t soft_##f##_to_i32(SoftFloatEnv *env, T a, unsigned rounding); \
    int64_t soft_##f##_to_i64(SoftFloatEnv *env, T a, unsigned rounding); \
    uint32_t soft_##f##_to_u32(SoftFloatEnv *env, T a, unsigned rounding); \
    uint64_t soft_##f##_to_u64(SoftFloatEnv *env, T a, unsigned rounding); \
    T soft_##f##_from_i32(SoftFloatEnv *env, int32_t a); \
    T soft_##f##_from_i64(SoftFloatEnv *env, int64_t a); \
    T soft_##f##_from_u32(SoftFloatEnv *env, uint32_t a); \
    T soft_##f##_from_u64(SoftFloatEnv *env, uint64_t a);

SOFT_DECLARE(f32, uint32_t)
SOFT_DECLARE(f64, uint64_t)

uint64_t soft_f32_to_f64(SoftFloatEnv *env, uint32_t a);
uint32_t soft_f64_to_f32(SoftFloatEnv *env, uint64_t a);
/* VCVTPH2PS and VCVTPS2PH: FTZ and, for f16, DAZ do not count. */
uint32_t soft_f16_to_f32(SoftFloatEnv *env, uint16_t a);
uint16_t soft_f32_to_f16(SoftFloatEnv *env, uint32_t a, unsigned rounding);

/*
 * f80. NaNs: a quiet one before a signalling one, else the larger significand. Unsupported
 * encodings are invalid.
 */
SoftF80 soft_f80_add(SoftFloatEnv *env, SoftF80 a, SoftF80 b);
SoftF80 soft_f80_sub(SoftFloatEnv *env, SoftF80 a, SoftF80 b);
SoftF80 soft_f80_mul(SoftFloatEnv *env, SoftF80 a, SoftF80 b);
SoftF80 soft_f80_div(SoftFloatEnv *env, SoftF80 a, SoftF80 b);
SoftF80 soft_f80_sqrt(SoftFloatEnv *env, SoftF80 a);
/*
 * One step of FPREM (nearest false) or FPREM1 (true): *quotient gets the low bits of the quotient;
 * false in *complete is C2: only the exponent was reduced.
 */
SoftF80 soft_f80_rem(SoftFloatEnv *env, SoftF80 a, SoftF80 b, bool nearest, unsigned *quotient,
                     bool *complete);
/* FSCALE: a * 2^trunc(b). */
SoftF80 soft_f80_scale(SoftFloatEnv *env, SoftF80 a, SoftF80 b);
/* FXTRACT: the significand; *exponent gets the exponent. */
SoftF80 soft_f80_extract(SoftFloatEnv *env, SoftF80 a, SoftF80 *exponent);
SoftOrder soft_f80_compare(SoftFloatEnv *env, SoftF80 a, SoftF80 b, bool quiet);
SoftF80 soft_f80_round(SoftFloatEnv *env, SoftF80 a);
/* bits: 16, 32 or 64; the integer indefinite of that size where it does not fit. */
int64_t soft_f80_to_int(SoftFloatEnv *env, SoftF80 a, unsigned rounding, unsigned bits);
SoftF80 soft_f80_from_i64(int64_t a);
uint32_t soft_f80_to_f32(SoftFloatEnv *env, SoftF80 a);
uint64_t soft_f80_to_f64(SoftFloatEnv *env, SoftF80 a);
/* As FLD m32 and m64: quiets signalling NaNs (invalid), reports denormals. */
SoftF80 soft_f32_to_f80(SoftFloatEnv *env, uint32_t a);
SoftF80 soft_f64_to_f80(SoftFloatEnv *env, uint64_t a);
/* As an operand of arithmetic: NaNs stay signalling, a denormal sets env->denormal_seen. */
SoftF80 soft_f32_widen(SoftFloatEnv *env, uint32_t a);
SoftF80 soft_f64_widen(SoftFloatEnv *env, uint64_t a);

#endif
