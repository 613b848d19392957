/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What x87 instructions compute, twice: x87_soft_* in portable C (transcendentals through the
 * host's long double, so not to the last bit), x87_host_* by the host's own x87. X87(name) is the
 * one that handlers use.
 *
 * All work by fpu->fcw and return status word bits: exceptions, and C0-C3 as far as the
 * instruction defines them. Where an unmasked exception forbids a result, results are left alone;
 * otherwise they may be registers of fpu. Tags and TOP are the caller's.
 */
#ifndef VIREO_ACCEL_EMU_X87_ARITH_H
#define VIREO_ACCEL_EMU_X87_ARITH_H

#include "accel/emu/x87.h"

/* Second operands in memory: binary32, binary64, and integers. */
#define X87_FOR_EACH_BINARY(X) X(add) X(sub) X(subr) X(mul) X(div) X(divr)
#define X87_FOR_EACH_SOURCE(X, ...) \
    X(__VA_ARGS__, f32) X(__VA_ARGS__, f64) X(__VA_ARGS__, i16) X(__VA_ARGS__, i32)
#define X87_FOR_EACH_UNARY(X) X(sqrt) X(rndint) X(f2xm1) X(sin) X(cos)
#define X87_FOR_EACH_TWO(X) X(scale) X(prem) X(prem1) X(yl2x) X(yl2xp1) X(patan)
#define X87_FOR_EACH_SPLIT(X) X(xtract) X(ptan) X(sincos)
#define X87_FOR_EACH_STORE(X) \
    X(st_f32) X(st_f64) X(ist_i16) X(ist_i32) X(ist_i64) X(istt_i16) X(istt_i32) X(istt_i64)

/* *dst = a op b; sub is a - b, subr b - a. */
typedef uint16_t X87BinaryFn(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b);
/* The same with b as read from memory, zero-extended. */
typedef uint16_t X87BinaryMemoryFn(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, uint64_t b);
typedef uint16_t X87UnaryFn(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a);
/* *high is the new ST(1), *low the new ST(0) (pushed unless C2 is set). */
typedef uint16_t X87SplitFn(const EmuFpu *fpu, EmuF80 *high, EmuF80 *low, const EmuF80 *a);
typedef uint16_t X87CompareFn(const EmuFpu *fpu, const EmuF80 *a, const EmuF80 *b);
typedef uint16_t X87CompareMemoryFn(const EmuFpu *fpu, const EmuF80 *a, uint64_t b);
typedef uint16_t X87LoadFn(const EmuFpu *fpu, EmuF80 *dst, uint64_t value);
/* *value is undefined where an unmasked exception forbids the store. */
typedef uint16_t X87StoreFn(const EmuFpu *fpu, uint64_t *value, const EmuF80 *a);

#define X87_DECLARE_SOURCE(name, source) X87BinaryMemoryFn x87_soft_##name##_##source;
#define X87_DECLARE_BINARY(name) \
    X87BinaryFn x87_soft_##name; \
    X87_FOR_EACH_SOURCE(X87_DECLARE_SOURCE, name)
#define X87_DECLARE_UNARY(name) X87UnaryFn x87_soft_##name;
#define X87_DECLARE_TWO(name) X87BinaryFn x87_soft_##name;
#define X87_DECLARE_SPLIT(name) X87SplitFn x87_soft_##name;
#define X87_DECLARE_STORE(name) X87StoreFn x87_soft_##name;
#define X87_DECLARE_COMPARE(name, source) X87CompareMemoryFn x87_soft_##name##_##source;

X87_FOR_EACH_BINARY(X87_DECLARE_BINARY)
X87_FOR_EACH_UNARY(X87_DECLARE_UNARY)
/* a is ST(0), b ST(1); yl2x, yl2xp1 and patan go to ST(1) and pop. */
X87_FOR_EACH_TWO(X87_DECLARE_TWO)
X87_FOR_EACH_SPLIT(X87_DECLARE_SPLIT)
X87_FOR_EACH_STORE(X87_DECLARE_STORE)
X87_FOR_EACH_SOURCE(X87_DECLARE_COMPARE, com)
X87CompareFn x87_soft_com, x87_soft_ucom;
/* Loads are exact: only here. */
X87LoadFn x87_load_odd_f32, x87_load_odd_f64; /* zeros, denormals, infinities and NaNs */

static inline uint16_t x87_ld_f32(const EmuFpu *fpu, EmuF80 *dst, uint64_t value)
{
    unsigned exponent = value >> 23 & 0xff;

    if (EMU_UNLIKELY(exponent == 0 || exponent == 0xff)) {
        return x87_load_odd_f32(fpu, dst, value);
    }
    dst->significand = 1ULL << 63 | value << 41 >> 1;
    dst->sign_exponent = (value >> 16 & 0x8000) | (exponent + 16383 - 127);
    return 0;
}

static inline uint16_t x87_ld_f64(const EmuFpu *fpu, EmuF80 *dst, uint64_t value)
{
    unsigned exponent = value >> 52 & 0x7ff;

    if (EMU_UNLIKELY(exponent == 0 || exponent == 0x7ff)) {
        return x87_load_odd_f64(fpu, dst, value);
    }
    dst->significand = 1ULL << 63 | value << 12 >> 1;
    dst->sign_exponent = (value >> 48 & 0x8000) | (exponent + 16383 - 1023);
    return 0;
}

/* Of integers, exact: only here. */
static inline EmuF80 x87_from_int(int64_t value)
{
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    unsigned shift;

    if (value == 0) {
        return (EmuF80) { 0 };
    }
    shift = __builtin_clzll(magnitude);
    return (EmuF80) {
        .significand = magnitude << shift,
        .sign_exponent = (uint16_t)((value < 0 ? 0x8000 : 0) | (16383 + 63 - shift)),
    };
}

/* Packed decimal, 18 digits and a sign; only here as well. */
EmuF80 x87_from_bcd(const uint8_t bcd[10]);
uint16_t x87_to_bcd(const EmuFpu *fpu, uint8_t bcd[10], const EmuF80 *a);

typedef enum X87Constant {
    X87_ONE, X87_L2T, X87_L2E, X87_PI, X87_LG2, X87_LN2, X87_ZERO,
} X87Constant;
/* By the rounding control. */
EmuF80 x87_constant(const EmuFpu *fpu, X87Constant which);

static inline EmuF80 x87_indefinite(void)
{
    return (EmuF80) { .significand = 3ULL << 62, .sign_exponent = 0xffff };
}

#if defined(__x86_64__)
#include "accel/emu/x87-host.h"
#define X87(name) x87_host_##name
#else
#define X87(name) x87_soft_##name
#endif

#endif
