/* SPDX-License-Identifier: Apache-2.0 */
/* soft-float.h against the host's processor: edge values and seeded random ones, all modes. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "accel/emu/soft-float.h"

#if defined(__x86_64__)


static unsigned case_count(void)
{
    return g_test_slow() ? 10000000 : 50000;
}

typedef struct Random {
    uint64_t state;
} Random;

static uint64_t random_next(Random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * 0x2545f4914f6cdd1dULL;
}

/* A fraction of `bits` bits, often an odd one. */
static uint64_t random_fraction(Random *r, unsigned bits)
{
    uint64_t mask = (1ULL << (bits - 1) << 1) - 1;
    uint64_t x = random_next(r);

    switch (random_next(r) % 8) {
    case 0:
        return 0;
    case 1:
        return x & 3;
    case 2:
        return mask - (x & 3);
    case 3:
        return 1ULL << (x % bits);
    case 4:
        return mask & -(1ULL << (x % bits));
    case 5:
        return mask & (x & 15) << (bits - 4);
    default:
        return x & mask;
    }
}

static unsigned random_exponent(Random *r, unsigned bits)
{
    unsigned max = (1u << bits) - 1, bias = max >> 1;
    uint64_t x = random_next(r);

    switch (random_next(r) % 8) {
    case 0:
        return x % 3;
    case 1:
        return max - x % 3;
    case 2:
    case 3:
    case 4:
        return bias - 4 + x % 9;
    case 5:
        return (bias - 70 + x % 140) & max;
    default:
        return x & max;
    }
}

static uint64_t random_float(Random *r, unsigned exponent_bits, unsigned fraction_bits)
{
    uint64_t sign = random_next(r) & 1;
    uint64_t exponent = random_exponent(r, exponent_bits);

    return sign << (exponent_bits + fraction_bits) | exponent << fraction_bits |
           random_fraction(r, fraction_bits);
}

/* ---- SSE ---- */

typedef uint64_t SoftFn(SoftFloatEnv *env, const uint64_t *in);
typedef uint64_t NativeFn(uint32_t *mxcsr, const uint64_t *in);

typedef enum Kind { F16, F32, F64, I32, I64 } Kind;

typedef struct Case {
    const char *name;
    const char *feature;
    Kind in, out;
    SoftFn *soft;
    NativeFn *native;
} Case;

/* Everything in one asm, so that the compiler's own arithmetic never runs under this MXCSR. */
#define NATIVE(name, insn) \
    static uint64_t native_##name(uint32_t *mxcsr, const uint64_t *in) \
    { \
        uint32_t saved; \
        uint64_t result = 0; \
        \
        __asm__ volatile("stmxcsr %[saved]\n\t" \
                         "movq %[a], %%xmm0\n\t" \
                         "movq %[b], %%xmm1\n\t" \
                         "movq %[c], %%xmm2\n\t" \
                         "ldmxcsr %[csr]\n\t" insn "\n\t" \
                         "stmxcsr %[csr]\n\t" \
                         "ldmxcsr %[saved]" \
                         : [csr] "+m"(*mxcsr), [saved] "=&m"(saved), [r] "=&r"(result) \
                         : [a] "m"(in[0]), [b] "m"(in[1]), [c] "m"(in[2]) \
                         : "xmm0", "xmm1", "xmm2", "cc"); \
        return result; \
    }
/* SOFT_* order from the flags of a comparison. */
#define ORDER "jp 1f\n\tmov $-1, %[r]\n\tjb 1f\n\tmov $0, %k[r]\n\tje 1f\n\tmov $1, %k[r]\n" \
              "1:\tjnp 2f\n\tmov $2, %k[r]\n2:"
#define OUT "\n\tmovq %%xmm0, %[r]"
#define SOFT(name, expression) \
    static uint64_t soft_case_##name(SoftFloatEnv *env, const uint64_t *in) \
    { \
        return expression; \
    }
#define BOTH(name, insn, expression) NATIVE(name, insn) SOFT(name, expression)

#define ARITHMETIC(f, s) \
    BOTH(f##_add, "add" s " %%xmm1, %%xmm0" OUT, soft_##f##_add(env, in[0], in[1])) \
    BOTH(f##_sub, "sub" s " %%xmm1, %%xmm0" OUT, soft_##f##_sub(env, in[0], in[1])) \
    BOTH(f##_mul, "mul" s " %%xmm1, %%xmm0" OUT, soft_##f##_mul(env, in[0], in[1])) \
    BOTH(f##_div, "div" s " %%xmm1, %%xmm0" OUT, soft_##f##_div(env, in[0], in[1])) \
    BOTH(f##_min, "min" s " %%xmm1, %%xmm0" OUT, soft_##f##_min(env, in[0], in[1])) \
    BOTH(f##_max, "max" s " %%xmm1, %%xmm0" OUT, soft_##f##_max(env, in[0], in[1])) \
    BOTH(f##_sqrt, "sqrt" s " %%xmm0, %%xmm0" OUT, soft_##f##_sqrt(env, in[0])) \
    BOTH(f##_rint, "round" s " $4, %%xmm0, %%xmm0" OUT, \
         soft_##f##_round(env, in[0], env->rounding, false)) \
    BOTH(f##_ceil, "round" s " $10, %%xmm0, %%xmm0" OUT, \
         soft_##f##_round(env, in[0], SOFT_ROUND_UP, true)) \
    BOTH(f##_fma, "vfmadd213" s " %%xmm2, %%xmm1, %%xmm0" OUT, \
         soft_##f##_fma(env, in[1], in[0], in[2], 0)) \
    BOTH(f##_fms, "vfmsub231" s " %%xmm2, %%xmm1, %%xmm0" OUT, \
         soft_##f##_fma(env, in[1], in[2], in[0], SOFT_NEGATE_ADDEND)) \
    BOTH(f##_fnma, "vfnmadd132" s " %%xmm2, %%xmm1, %%xmm0" OUT, \
         soft_##f##_fma(env, in[0], in[2], in[1], SOFT_NEGATE_PRODUCT)) \
    BOTH(f##_comi, "comi" s " %%xmm1, %%xmm0\n\t" ORDER, \
         (uint64_t)(int64_t)soft_##f##_compare(env, in[0], in[1], false)) \
    BOTH(f##_ucomi, "ucomi" s " %%xmm1, %%xmm0\n\t" ORDER, \
         (uint64_t)(int64_t)soft_##f##_compare(env, in[0], in[1], true)) \
    BOTH(f##_to_i32, "cvt" s "2si %%xmm0, %k[r]", \
         (uint32_t)soft_##f##_to_i32(env, in[0], env->rounding)) \
    BOTH(f##_to_i64, "cvt" s "2si %%xmm0, %q[r]", \
         (uint64_t)soft_##f##_to_i64(env, in[0], env->rounding)) \
    BOTH(f##_trunc_i32, "cvtt" s "2si %%xmm0, %k[r]", \
         (uint32_t)soft_##f##_to_i32(env, in[0], SOFT_ROUND_ZERO)) \
    BOTH(f##_trunc_i64, "cvtt" s "2si %%xmm0, %q[r]", \
         (uint64_t)soft_##f##_to_i64(env, in[0], SOFT_ROUND_ZERO)) \
    BOTH(f##_to_u32, "vcvt" s "2usi %%xmm0, %k[r]", \
         soft_##f##_to_u32(env, in[0], env->rounding)) \
    BOTH(f##_to_u64, "vcvt" s "2usi %%xmm0, %q[r]", \
         soft_##f##_to_u64(env, in[0], env->rounding)) \
    BOTH(f##_from_i32, "cvtsi2" s "l %[a], %%xmm0" OUT, soft_##f##_from_i32(env, (int32_t)in[0])) \
    BOTH(f##_from_i64, "cvtsi2" s "q %[a], %%xmm0" OUT, soft_##f##_from_i64(env, (int64_t)in[0])) \
    BOTH(f##_from_u32, "vcvtusi2" s "l %[a], %%xmm0, %%xmm0" OUT, \
         soft_##f##_from_u32(env, (uint32_t)in[0])) \
    BOTH(f##_from_u64, "vcvtusi2" s "q %[a], %%xmm0, %%xmm0" OUT, \
         soft_##f##_from_u64(env, in[0]))

ARITHMETIC(f32, "ss")
ARITHMETIC(f64, "sd")
BOTH(f32_to_f64, "cvtss2sd %%xmm0, %%xmm0" OUT, soft_f32_to_f64(env, in[0]))
BOTH(f64_to_f32, "cvtsd2ss %%xmm0, %%xmm0" OUT, soft_f64_to_f32(env, in[0]))
BOTH(f16_to_f32, "vcvtph2ps %%xmm0, %%xmm0" OUT, soft_f16_to_f32(env, in[0]))
BOTH(f32_to_f16, "vcvtps2ph $4, %%xmm0, %%xmm0" OUT, soft_f32_to_f16(env, in[0], env->rounding))
BOTH(f32_to_f16_down, "vcvtps2ph $1, %%xmm0, %%xmm0" OUT,
     soft_f32_to_f16(env, in[0], SOFT_ROUND_DOWN))

#define CASE(name, feature, in, out) \
    { #name, feature, in, out, soft_case_##name, native_##name }
#define CASES_OF(f, F) \
    CASE(f##_add, NULL, F, F), CASE(f##_sub, NULL, F, F), CASE(f##_mul, NULL, F, F), \
    CASE(f##_div, NULL, F, F), CASE(f##_min, NULL, F, F), CASE(f##_max, NULL, F, F), \
    CASE(f##_sqrt, NULL, F, F), CASE(f##_rint, "sse4.1", F, F), CASE(f##_ceil, "sse4.1", F, F), \
    CASE(f##_fma, "fma", F, F), CASE(f##_fms, "fma", F, F), CASE(f##_fnma, "fma", F, F), \
    CASE(f##_comi, NULL, F, I64), CASE(f##_ucomi, NULL, F, I64), \
    CASE(f##_to_i32, NULL, F, I32), CASE(f##_to_i64, NULL, F, I64), \
    CASE(f##_trunc_i32, NULL, F, I32), CASE(f##_trunc_i64, NULL, F, I64), \
    CASE(f##_to_u32, "avx512f", F, I32), CASE(f##_to_u64, "avx512f", F, I64), \
    CASE(f##_from_i32, NULL, I32, F), CASE(f##_from_i64, NULL, I64, F), \
    CASE(f##_from_u32, "avx512f", I32, F), CASE(f##_from_u64, "avx512f", I64, F)

static const Case cases[] = {
    CASES_OF(f32, F32), CASES_OF(f64, F64),
    CASE(f32_to_f64, NULL, F32, F64), CASE(f64_to_f32, NULL, F64, F32),
    CASE(f16_to_f32, "f16c", F16, F32), CASE(f32_to_f16, "f16c", F32, F16),
    CASE(f32_to_f16_down, "f16c", F32, F16),
};

static bool host_has(const char *feature)
{
    return !feature || (!strcmp(feature, "fma") && __builtin_cpu_supports("fma")) ||
           (!strcmp(feature, "sse4.1") && __builtin_cpu_supports("sse4.1")) ||
           (!strcmp(feature, "f16c") && __builtin_cpu_supports("f16c")) ||
           (!strcmp(feature, "avx512f") && __builtin_cpu_supports("avx512f"));
}

static uint64_t random_operand(Random *r, Kind kind)
{
    switch (kind) {
    case F16:
        return random_float(r, 5, 10);
    case F32:
        return random_float(r, 8, 23);
    case F64:
        return random_float(r, 11, 52);
    default:
        return random_next(r) & 1 ? random_fraction(r, kind == I32 ? 32 : 64)
                                  : -random_fraction(r, kind == I32 ? 32 : 64);
    }
}

static uint64_t kind_mask(Kind kind)
{
    return kind == F16 ? 0xffff : kind == F32 || kind == I32 ? 0xffffffff : UINT64_MAX;
}

static void test_sse(const void *opaque)
{
    const Case *c = opaque;
    Random r = { 0x9e3779b97f4a7c15ULL };

    if (!host_has(c->feature)) {
        g_test_skip("the host lacks the instruction");
        return;
    }
    for (unsigned i = 0; i < case_count(); i++) {
        uint64_t in[3] = { random_operand(&r, c->in), random_operand(&r, c->in),
                           random_operand(&r, c->in) };
        uint32_t mode = random_next(&r) & 0xe040, csr = mode | 0x1f80;
        SoftFloatEnv env = soft_float_env_sse(csr);
        uint64_t soft = c->soft(&env, in) & kind_mask(c->out);
        uint64_t native = c->native(&csr, in) & kind_mask(c->out);

        if (soft != native || env.flags != (csr & SOFT_FLAGS)) {
            g_error("%s mxcsr %#x: %#" G_GINT64_MODIFIER "x %#" G_GINT64_MODIFIER "x %#"
                    G_GINT64_MODIFIER "x gives %#" G_GINT64_MODIFIER "x flags %#x, not %#"
                    G_GINT64_MODIFIER "x flags %#x", c->name, mode, in[0], in[1], in[2], soft,
                    env.flags, native, csr & SOFT_FLAGS);
        }
    }
}

/* ---- x87 ---- */

typedef struct X87Result {
    SoftF80 st0, st1;
    uint64_t memory;
    uint16_t fsw;
} X87Result;

typedef void X87NativeFn(uint16_t fcw, const SoftF80 *in, const uint64_t *memory, X87Result *out);
typedef void X87SoftFn(SoftFloatEnv *env, const SoftF80 *in, const uint64_t *memory,
                       X87Result *out);

/*
 * ST(0) = in[0], ST(1) = in[1]; unmasked exceptions are cleared before an instruction would wait
 * for them.
 */
#define X87_NATIVE(name, insn) \
    static void x87_native_##name(uint16_t fcw, const SoftF80 *in, const uint64_t *memory, \
                                  X87Result *out) \
    { \
        __asm__ volatile("fninit\n\tfldt %[b]\n\tfldt %[a]\n\tfldcw %[fcw]\n\t" insn "\n\t" \
                         "fnstsw %[fsw]\n\tfnclex\n\t" \
                         "fstpt %[st0]\n\tfstpt %[st1]\n\tfninit" \
                         : [fsw] "=m"(out->fsw), [st0] "=m"(out->st0), [st1] "=m"(out->st1), \
                           [to] "+m"(out->memory) \
                         : [a] "m"(in[0]), [b] "m"(in[1]), [m] "m"(*memory), [fcw] "m"(fcw) \
                         : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"); \
    }
#define X87_SOFT(name, statement) \
    static void x87_soft_##name(SoftFloatEnv *env, const SoftF80 *in, const uint64_t *memory, \
                                X87Result *out) \
    { \
        out->st0 = in[0]; \
        out->st1 = in[1]; \
        statement; \
    }
#define X87_BOTH(name, insn, statement) X87_NATIVE(name, insn) X87_SOFT(name, statement)

/* C0, C2 and C3 of a comparison or remainder, in `order`. */
static uint16_t compare_bits(SoftOrder order)
{
    return order == SOFT_LESS ? 0x100 : order == SOFT_EQUAL ? 0x4000
           : order == SOFT_GREATER ? 0 : 0x4500;
}

static void remainder_case(SoftFloatEnv *env, const SoftF80 *in, bool nearest, X87Result *out)
{
    unsigned quotient;
    bool complete;

    out->st0 = soft_f80_rem(env, in[0], in[1], nearest, &quotient, &complete);
    env->rounded_up = quotient & 1;
    out->fsw = (quotient & 4) << 6 | (quotient & 2) << 13 | (complete ? 0 : 0x400);
}

X87_BOTH(add, "fadd %%st(1), %%st", out->st0 = soft_f80_add(env, in[0], in[1]))
X87_BOTH(sub, "fsub %%st(1), %%st", out->st0 = soft_f80_sub(env, in[0], in[1]))
X87_BOTH(mul, "fmul %%st(1), %%st", out->st0 = soft_f80_mul(env, in[0], in[1]))
X87_BOTH(div, "fdiv %%st(1), %%st", out->st0 = soft_f80_div(env, in[0], in[1]))
X87_BOTH(divr, "fdivr %%st(1), %%st", out->st0 = soft_f80_div(env, in[1], in[0]))
X87_BOTH(sqrt, "fsqrt", out->st0 = soft_f80_sqrt(env, in[0]))
X87_BOTH(rndint, "frndint", out->st0 = soft_f80_round(env, in[0]))
X87_BOTH(scale, "fscale", out->st0 = soft_f80_scale(env, in[0], in[1]))
X87_BOTH(com, "fcom %%st(1)", out->fsw = compare_bits(soft_f80_compare(env, in[0], in[1], false)))
X87_BOTH(ucom, "fucom %%st(1)", out->fsw = compare_bits(soft_f80_compare(env, in[0], in[1], true)))
X87_BOTH(prem, "fprem", remainder_case(env, in, false, out))
X87_BOTH(prem1, "fprem1", remainder_case(env, in, true, out))
X87_BOTH(add_m32, "fadds %[m]", {
    SoftF80 b = soft_f32_widen(env, (uint32_t)*memory);
    out->st0 = soft_f80_add(env, in[0], b);
})
X87_BOTH(div_m64, "fdivl %[m]", {
    SoftF80 b = soft_f64_widen(env, *memory);
    out->st0 = soft_f80_div(env, in[0], b);
})
X87_BOTH(com_m64, "fcoml %[m]", {
    SoftF80 b = soft_f64_widen(env, *memory);
    out->fsw = compare_bits(soft_f80_compare(env, in[0], b, false));
})
X87_BOTH(ld_m32, "flds %[m]\n\tfxch\n\tfstp %%st", out->st0 = soft_f32_to_f80(env, *memory))
X87_BOTH(ld_m64, "fldl %[m]\n\tfxch\n\tfstp %%st", out->st0 = soft_f64_to_f80(env, *memory))
X87_BOTH(st_m32, "fsts %[to]", *(uint32_t *)&out->memory = soft_f80_to_f32(env, in[0]))
X87_BOTH(st_m64, "fstl %[to]", out->memory = soft_f80_to_f64(env, in[0]))
X87_BOTH(ist_m16, "fists %[to]",
         *(uint16_t *)&out->memory = soft_f80_to_int(env, in[0], env->rounding, 16))
X87_BOTH(ist_m32, "fistl %[to]",
         *(uint32_t *)&out->memory = soft_f80_to_int(env, in[0], env->rounding, 32))
X87_BOTH(xtract, "fxtract\n\tfstp %%st(2)\n\tfxch", {
    out->st0 = soft_f80_extract(env, in[0], &out->st1);
})

typedef struct X87Case {
    const char *name;
    X87NativeFn *native;
    X87SoftFn *soft;
    bool masked;  /* run with masked exceptions only: several instructions, or nothing stored */
    bool memory32;
    uint16_t conditions;  /* C bits that are compared */
} X87Case;

#define X87_CASE(name, ...) { #name, x87_native_##name, x87_soft_##name, __VA_ARGS__ }

static const X87Case x87_cases[] = {
    X87_CASE(add, .conditions = 0x200), X87_CASE(sub, .conditions = 0x200),
    X87_CASE(mul, .conditions = 0x200), X87_CASE(div, .conditions = 0x200),
    X87_CASE(divr, .conditions = 0x200), X87_CASE(sqrt, .conditions = 0x200),
    X87_CASE(rndint, .conditions = 0x200), X87_CASE(scale, .conditions = 0x200),
    X87_CASE(com, .conditions = 0x4700), X87_CASE(ucom, .conditions = 0x4700),
    X87_CASE(prem, .conditions = 0x4700), X87_CASE(prem1, .conditions = 0x4700),
    X87_CASE(add_m32, .memory32 = true, .conditions = 0x200),
    X87_CASE(div_m64, .conditions = 0x200), X87_CASE(com_m64, .conditions = 0x4700),
    X87_CASE(ld_m32, .memory32 = true, .masked = true), X87_CASE(ld_m64, .masked = true),
    X87_CASE(st_m32, .conditions = 0x200), X87_CASE(st_m64, .conditions = 0x200),
    X87_CASE(ist_m16, .conditions = 0x200), X87_CASE(ist_m32, .conditions = 0x200),
    X87_CASE(xtract, .masked = true),
};

static SoftF80 random_f80(Random *r)
{
    unsigned exponent = random_exponent(r, 15);
    uint64_t integer = exponent != 0;

    if (random_next(r) % 32 == 0) {
        integer ^= 1;
    }
    return (SoftF80) { integer << 63 | random_fraction(r, 63),
                       exponent | (random_next(r) & 1) << 15 };
}

static bool same(SoftF80 a, SoftF80 b)
{
    return a.significand == b.significand && a.sign_exponent == b.sign_exponent;
}

static void test_x87(const void *opaque)
{
    const X87Case *c = opaque;
    Random r = { 0x9e3779b97f4a7c15ULL };

    for (unsigned i = 0; i < case_count(); i++) {
        SoftF80 in[2] = { random_f80(&r), random_f80(&r) };
        uint64_t memory = c->memory32 ? random_float(&r, 8, 23) : random_float(&r, 11, 52);
        uint16_t fcw = (random_next(&r) & 0xf00) | 0x40;
        SoftFloatEnv env;
        X87Result native = { .memory = 0x5555 }, soft = { .memory = 0x5555 };
        uint8_t unmasked;

        fcw |= c->masked || random_next(&r) % 4 ? 0x3f : random_next(&r) & 0x3f;
        if ((fcw & 0x300) == 0x100) {
            fcw |= 0x300;
        }
        env = soft_float_env_x87(fcw);
        c->native(fcw, in, &memory, &native);
        c->soft(&env, in, &memory, &soft);
        unmasked = env.flags & ~env.masks;
        if (unmasked & SOFT_FLAGS_BEFORE) {
            soft = (X87Result) { .st0 = in[0], .st1 = in[1], .memory = 0x5555 };
            env.flags &= SOFT_FLAGS_BEFORE;
            native.fsw &= ~c->conditions;
        } else if (env.rounded_up) {
            soft.fsw |= 0x200;
        }
        if (unmasked & ~SOFT_INEXACT) {
            soft.memory = 0x5555;
        }
        if (!same(soft.st0, native.st0) || !same(soft.st1, native.st1) ||
            soft.memory != native.memory || env.flags != (native.fsw & SOFT_FLAGS) ||
            ((soft.fsw ^ native.fsw) & c->conditions)) {
            g_error("%s fcw %#x: %04x:%016" G_GINT64_MODIFIER "x %04x:%016" G_GINT64_MODIFIER
                    "x m %#" G_GINT64_MODIFIER "x gives %04x:%016" G_GINT64_MODIFIER
                    "x %04x:%016" G_GINT64_MODIFIER "x m %#" G_GINT64_MODIFIER
                    "x fsw %#x flags %#x, not %04x:%016" G_GINT64_MODIFIER "x %04x:%016"
                    G_GINT64_MODIFIER "x m %#" G_GINT64_MODIFIER "x fsw %#x", c->name, fcw,
                    in[0].sign_exponent, in[0].significand, in[1].sign_exponent,
                    in[1].significand, memory, soft.st0.sign_exponent, soft.st0.significand,
                    soft.st1.sign_exponent, soft.st1.significand, soft.memory, soft.fsw,
                    env.flags, native.st0.sign_exponent, native.st0.significand,
                    native.st1.sign_exponent, native.st1.significand, native.memory, native.fsw);
        }
    }
}

static void add_host_tests(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/soft-float/sse/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_sse);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(x87_cases); i++) {
        g_autofree char *path = g_strdup_printf("/soft-float/x87/%s", x87_cases[i].name);

        g_test_add_data_func(path, &x87_cases[i], test_x87);
    }
}

#else

static void add_host_tests(void)
{
}

#endif

/* A few values that hold on every host. */
static void test_values(void)
{
    SoftFloatEnv env = soft_float_env_sse(0x1f80);

    g_assert_cmphex(soft_f64_add(&env, 0x3ff0000000000000, 0x4000000000000000), ==,
                    0x4008000000000000);
    g_assert_cmphex(env.flags, ==, 0);
    g_assert_cmphex(soft_f32_div(&env, 0x3f800000, 0x40400000), ==, 0x3eaaaaab);
    g_assert_cmphex(env.flags, ==, SOFT_INEXACT);
    g_assert_cmphex(soft_f32_sqrt(&env, 0xbf800000), ==, 0xffc00000);
    g_assert_cmphex(env.flags, ==, SOFT_INEXACT | SOFT_INVALID);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/soft-float/values", test_values);
    add_host_tests();
    return g_test_run();
}
