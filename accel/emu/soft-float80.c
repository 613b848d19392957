/* SPDX-License-Identifier: Apache-2.0 */
/* The x87's 80-bit format. */
#include "accel/emu/soft-float-num.h"

#define FMT (&soft_format_f80)

SoftF80 soft_f80_add(SoftFloatEnv *env, SoftF80 a, SoftF80 b)
{
    return soft_pack_f80(soft_num_add(env, FMT, soft_unpack_f80(a), soft_unpack_f80(b), false));
}

SoftF80 soft_f80_sub(SoftFloatEnv *env, SoftF80 a, SoftF80 b)
{
    return soft_pack_f80(soft_num_add(env, FMT, soft_unpack_f80(a), soft_unpack_f80(b), true));
}

SoftF80 soft_f80_mul(SoftFloatEnv *env, SoftF80 a, SoftF80 b)
{
    return soft_pack_f80(soft_num_mul(env, FMT, soft_unpack_f80(a), soft_unpack_f80(b)));
}

SoftF80 soft_f80_div(SoftFloatEnv *env, SoftF80 a, SoftF80 b)
{
    return soft_pack_f80(soft_num_div(env, FMT, soft_unpack_f80(a), soft_unpack_f80(b)));
}

SoftF80 soft_f80_sqrt(SoftFloatEnv *env, SoftF80 a)
{
    return soft_pack_f80(soft_num_sqrt(env, FMT, soft_unpack_f80(a)));
}

/* An operand as a result, without rounding; a pseudo-denormal becomes the number that it is. */
static SoftF80 soft_unchanged(SoftF80 a)
{
    a.sign_exponent |= (a.sign_exponent & 0x7fff) == 0 && a.significand >> 63;
    return a;
}

static SoftNum soft_exact(SoftFloatEnv *env, bool sign, int32_t exp, uint64_t sig)
{
    unsigned shift;

    if (sig == 0) {
        return soft_zero(sign);
    }
    shift = __builtin_clzll(sig);
    return soft_round_pack(env, FMT, 64, sign, exp - (int32_t)shift,
                           (SoftWide)(sig << shift) << 64);
}

/*
 * a / b = q, rest r, where the exponents differ by d, 0 to 63. Gives the low 64 bits of the
 * quotient's integral part.
 */
static uint64_t soft_divide(uint64_t a, uint64_t b, unsigned d, uint64_t *rest)
{
    uint64_t quotient = a >= b;
    SoftWide r = quotient ? a - b : a;

    for (unsigned i = 0; i < d; i++) {
        r <<= 1;
        quotient <<= 1;
        if (r >= b) {
            r -= b;
            quotient |= 1;
        }
    }
    *rest = (uint64_t)r;
    return quotient;
}

/* Reduce a by b: |a| >= |b| / 2 at least; finite both. */
static SoftNum soft_reduce(SoftFloatEnv *env, SoftNum a, SoftNum b, bool nearest,
                           unsigned *quotient, bool *complete)
{
    int32_t d = a.exp - b.exp;
    uint64_t rest, q;

    if (d >= 64) {
        /* The processor subtracts b times a multiple of 2^(d - n), n from 32 to 63. */
        int32_t n = (d & 31) | 32;

        *complete = false;
        soft_divide(a.sig, b.sig, (unsigned)n, &rest);
        return soft_exact(env, a.sign, a.exp - n, rest);
    }
    if (d < 0) {
        /* Only reached by FPREM1 with |b| / 2 <= |a| < |b|: d is -1. */
        q = 0;
        rest = a.sig;
    } else {
        q = soft_divide(a.sig, b.sig, (unsigned)d, &rest);
    }
    if (nearest) {
        /* The rest in units of a.sig's last bit at b's scale; d < 0: at half of it. */
        SoftWide twice = d < 0 ? (SoftWide)rest : (SoftWide)rest << 1;

        if (twice > b.sig || (twice == b.sig && (q & 1))) {
            q++;
            *quotient = (unsigned)q;
            if (d < 0) {
                SoftWide left = ((SoftWide)b.sig << 1) - rest;
                bool wide = left >> 64 != 0;

                /* b in units of half its last bit. */
                return soft_exact(env, !a.sign, b.exp - 1 + wide,
                                  (uint64_t)(wide ? left >> 1 : left));
            }
            return soft_exact(env, !a.sign, b.exp, b.sig - rest);
        }
    }
    *quotient = (unsigned)q;
    return soft_exact(env, a.sign, d < 0 ? a.exp : b.exp, rest);
}

SoftF80 soft_f80_rem(SoftFloatEnv *env, SoftF80 fa, SoftF80 fb, bool nearest, unsigned *quotient,
                     bool *complete)
{
    SoftNum a = soft_unpack_f80(fa), b = soft_unpack_f80(fb);

    *quotient = 0;
    *complete = true;
    if (a.kind >= SOFT_KIND_QUIET || b.kind >= SOFT_KIND_QUIET) {
        return soft_pack_f80(soft_propagate(env, FMT, a, b));
    }
    if (a.kind == SOFT_KIND_INFINITE || b.kind == SOFT_KIND_ZERO) {
        return soft_pack_f80(soft_invalid(env));
    }
    if (a.denormal || b.denormal) {
        env->flags |= SOFT_DENORMAL;
    }
    if (a.kind == SOFT_KIND_ZERO || b.kind == SOFT_KIND_INFINITE) {
        return soft_unchanged(fa);
    }
    if (a.exp - b.exp < (nearest ? -1 : 0)) {
        return soft_pack_f80(soft_round_num(env, FMT, 64, a));
    }
    return soft_pack_f80(soft_reduce(env, a, b, nearest, quotient, complete));
}

SoftF80 soft_f80_scale(SoftFloatEnv *env, SoftF80 fa, SoftF80 fb)
{
    SoftNum a = soft_unpack_f80(fa), b = soft_unpack_f80(fb);
    int32_t by = 0;

    if (a.kind >= SOFT_KIND_QUIET || b.kind >= SOFT_KIND_QUIET) {
        return soft_pack_f80(soft_propagate(env, FMT, a, b));
    }
    if (b.kind == SOFT_KIND_INFINITE) {
        if (a.kind == (b.sign ? SOFT_KIND_INFINITE : SOFT_KIND_ZERO)) {
            return soft_pack_f80(soft_invalid(env));
        }
        if (a.denormal) {
            env->flags |= SOFT_DENORMAL;
        }
        return soft_pack_f80(b.sign ? soft_zero(a.sign) : soft_infinity(a.sign));
    }
    if (a.denormal || b.denormal) {
        env->flags |= SOFT_DENORMAL;
    }
    if (a.kind != SOFT_KIND_FINITE || b.kind == SOFT_KIND_ZERO) {
        return soft_unchanged(fa);
    }
    if (b.exp >= 0) {
        /* Beyond 2^17 nothing changes any more, wrapped exponents included. */
        by = b.exp > 17 ? 1 << 17 : (int32_t)(b.sig >> (63 - b.exp));
        by = b.sign ? -by : by;
    }
    a.exp += by;
    return soft_pack_f80(soft_round_num(env, FMT, 64, a));
}

SoftF80 soft_f80_extract(SoftFloatEnv *env, SoftF80 fa, SoftF80 *exponent)
{
    SoftNum a = soft_unpack_f80(fa);

    if (a.kind >= SOFT_KIND_QUIET) {
        a = soft_propagate(env, FMT, a, a);
        *exponent = soft_pack_f80(a);
        return *exponent;
    }
    if (a.kind == SOFT_KIND_ZERO) {
        env->flags |= SOFT_DIV_ZERO;
        *exponent = soft_pack_f80(soft_infinity(true));
        return fa;
    }
    if (a.kind == SOFT_KIND_INFINITE) {
        *exponent = soft_pack_f80(soft_infinity(false));
        return fa;
    }
    if (a.denormal) {
        env->flags |= SOFT_DENORMAL;
    }
    *exponent = soft_f80_from_i64(a.exp);
    a.exp = 0;
    return soft_pack_f80(a);
}

SoftOrder soft_f80_compare(SoftFloatEnv *env, SoftF80 a, SoftF80 b, bool quiet)
{
    return soft_num_compare(env, soft_unpack_f80(a), soft_unpack_f80(b), quiet);
}

SoftF80 soft_f80_round(SoftFloatEnv *env, SoftF80 fa)
{
    SoftNum a = soft_unpack_f80(fa);

    if (a.denormal) {
        env->flags |= SOFT_DENORMAL;
    }
    return soft_pack_f80(soft_num_round(env, FMT, a, env->rounding, false));
}

int64_t soft_f80_to_int(SoftFloatEnv *env, SoftF80 a, unsigned rounding, unsigned bits)
{
    return (int64_t)soft_num_to_int(env, soft_unpack_f80(a), rounding, bits, true);
}

SoftF80 soft_f80_from_i64(int64_t a)
{
    SoftFloatEnv env = { .precision = 64 };

    return soft_pack_f80(soft_num_from_int(&env, FMT, a < 0, a < 0 ? -(uint64_t)a : (uint64_t)a));
}

/* A store that an unmasked overflow or underflow prevents reports no more than that. */
static uint64_t soft_store(SoftFloatEnv *env, const SoftFormat *fmt, SoftF80 a)
{
    SoftFloatEnv own = *env;
    SoftNum num;

    own.flags = 0;
    num = soft_num_convert(&own, fmt, soft_unpack_f80(a), false);
    if (own.flags & ~own.masks & (SOFT_OVERFLOW | SOFT_UNDERFLOW)) {
        own.flags &= ~SOFT_INEXACT;
        own.rounded_up = false;
    }
    env->flags |= own.flags;
    env->rounded_up = own.rounded_up;
    return soft_pack(fmt, num);
}

uint32_t soft_f80_to_f32(SoftFloatEnv *env, SoftF80 a)
{
    return (uint32_t)soft_store(env, &soft_format_f32, a);
}

uint64_t soft_f80_to_f64(SoftFloatEnv *env, SoftF80 a)
{
    return soft_store(env, &soft_format_f64, a);
}

SoftF80 soft_f32_to_f80(SoftFloatEnv *env, uint32_t a)
{
    return soft_pack_f80(soft_num_convert(env, FMT, soft_unpack(&soft_format_f32, a, false), true));
}

SoftF80 soft_f64_to_f80(SoftFloatEnv *env, uint64_t a)
{
    return soft_pack_f80(soft_num_convert(env, FMT, soft_unpack(&soft_format_f64, a, false), true));
}

SoftF80 soft_f32_widen(SoftFloatEnv *env, uint32_t a)
{
    SoftNum num = soft_unpack(&soft_format_f32, a, false);

    env->denormal_seen = num.denormal;
    return soft_pack_f80(num);
}

SoftF80 soft_f64_widen(SoftFloatEnv *env, uint64_t a)
{
    SoftNum num = soft_unpack(&soft_format_f64, a, false);

    env->denormal_seen = num.denormal;
    return soft_pack_f80(num);
}
