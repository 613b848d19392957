/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one unpacked form that all formats of soft-float.h share, and arithmetic on it. Private to
 * soft-float*.c.
 */
#ifndef VIREO_ACCEL_EMU_SOFT_FLOAT_NUM_H
#define VIREO_ACCEL_EMU_SOFT_FLOAT_NUM_H

#include "accel/emu/soft-float.h"

typedef unsigned __int128 SoftWide;

typedef enum SoftKind {
    SOFT_KIND_ZERO,
    SOFT_KIND_FINITE,
    SOFT_KIND_INFINITE,
    SOFT_KIND_QUIET,
    SOFT_KIND_SIGNALLING,
    SOFT_KIND_UNSUPPORTED, /* f80 only */
} SoftKind;

/*
 * Finite: sig / 2^63 * 2^exp. Operands have bit 63 set; a result with bit 63 clear is a denormal
 * (exp is then the format's emin). NaN: sig as f80 has it: bit 63 set, bit 62 quiet.
 */
typedef struct SoftNum {
    uint8_t kind;
    bool sign;
    bool denormal; /* as an operand */
    int32_t exp;
    uint64_t sig;
} SoftNum;

typedef struct SoftFormat {
    int32_t emin, emax; /* of normal numbers */
    int32_t wrap;       /* what an unmasked overflow or underflow moves the exponent by */
    uint8_t precision;
    bool x87;           /* x87 NaN rules; no flushing to zero */
} SoftFormat;

extern const SoftFormat soft_format_f16, soft_format_f32, soft_format_f64, soft_format_f80;

static inline bool soft_is_nan(const SoftNum *a)
{
    return a->kind == SOFT_KIND_QUIET || a->kind == SOFT_KIND_SIGNALLING;
}

static inline SoftNum soft_zero(bool sign)
{
    return (SoftNum) { .kind = SOFT_KIND_ZERO, .sign = sign };
}

static inline SoftNum soft_infinity(bool sign)
{
    return (SoftNum) { .kind = SOFT_KIND_INFINITE, .sign = sign, .sig = 1ULL << 63 };
}

static inline SoftNum soft_default_nan(void)
{
    return (SoftNum) { .kind = SOFT_KIND_QUIET, .sign = true, .sig = 3ULL << 62 };
}

static inline SoftNum soft_invalid(SoftFloatEnv *env)
{
    env->flags |= SOFT_INVALID;
    return soft_default_nan();
}

/* Shift right; what falls out leaves a trace in bit 0. */
static inline SoftWide soft_shift_jam(SoftWide value, unsigned count)
{
    if (count == 0) {
        return value;
    }
    if (count > 127) {
        return value != 0;
    }
    return value >> count | ((value << (128 - count)) != 0);
}

/* Unpack a 32- or 64-bit (or 16-bit) pattern that `fmt` describes; daz: denormals are zeros. */
SoftNum soft_unpack(const SoftFormat *fmt, uint64_t bits, bool daz);
uint64_t soft_pack(const SoftFormat *fmt, SoftNum a);
SoftNum soft_unpack_f80(SoftF80 a);
SoftF80 soft_pack_f80(SoftNum a);

/* Would rounding the magnitude at bit `drop` go up? */
bool soft_rounds_up(unsigned rounding, bool sign, SoftWide sig, unsigned drop);
/*
 * Round sig / 2^127 * 2^exp, sig not 0, to `precision` bits in the format, with overflow and
 * underflow. Tininess is detected after rounding.
 */
SoftNum soft_round_pack(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision, bool sign,
                        int32_t exp, SoftWide sig);
/* Same for an operand taken as it is. */
SoftNum soft_round_num(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision, SoftNum a);

/* The NaN or invalid result of operands of which one is a NaN or unsupported. */
SoftNum soft_propagate(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b);

SoftNum soft_num_add(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b, bool negate_b);
SoftNum soft_num_mul(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b);
SoftNum soft_num_div(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b);
SoftNum soft_num_sqrt(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a);
SoftNum soft_num_fma(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b, SoftNum c,
                     unsigned negate);
SoftOrder soft_num_compare(SoftFloatEnv *env, SoftNum a, SoftNum b, bool quiet);
/* Finite and zero only matter; exact: no inexact flag. */
SoftNum soft_num_round(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, unsigned rounding,
                       bool exact);
/* To another format; NaNs are quieted (invalid), denormals reported if `report`. */
SoftNum soft_num_convert(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, bool report);
uint64_t soft_num_to_int(SoftFloatEnv *env, SoftNum a, unsigned rounding, unsigned bits,
                         bool is_signed);
SoftNum soft_num_from_int(SoftFloatEnv *env, const SoftFormat *fmt, bool sign, uint64_t magnitude);

#endif
