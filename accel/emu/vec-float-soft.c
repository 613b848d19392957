/* SPDX-License-Identifier: Apache-2.0 */
/* SSE arithmetic by soft-float.h. */
#include "accel/emu/flags.h"
#include "accel/emu/vec-float-soft.h"

#define SOFT_BINARY(op) \
    SOFT_PACKED(op##_ps, u32, soft_f32_##op(&env, a->u32[i], b->u32[i])) \
    SOFT_PACKED(op##_pd, u64, soft_f64_##op(&env, a->u64[i], b->u64[i])) \
    SOFT_SCALAR(op##_ss, u32, soft_f32_##op(&env, a->u32[i], b->u32[i])) \
    SOFT_SCALAR(op##_sd, u64, soft_f64_##op(&env, a->u64[i], b->u64[i]))

SOFT_BINARY(add)
SOFT_BINARY(sub)
SOFT_BINARY(mul)
SOFT_BINARY(div)
SOFT_BINARY(min)
SOFT_BINARY(max)

SOFT_PACKED(sqrt_ps, u32, soft_f32_sqrt(&env, b->u32[i]))
SOFT_PACKED(sqrt_pd, u64, soft_f64_sqrt(&env, b->u64[i]))
SOFT_SCALAR(sqrt_ss, u32, soft_f32_sqrt(&env, b->u32[i]))
SOFT_SCALAR(sqrt_sd, u64, soft_f64_sqrt(&env, b->u64[i]))

SOFT_PACKED(round_ps, u32, soft_f32_round(&env, b->u32[i], soft_rounding(&env, imm), imm & 8))
SOFT_PACKED(round_pd, u64, soft_f64_round(&env, b->u64[i], soft_rounding(&env, imm), imm & 8))
SOFT_SCALAR(round_ss, u32, soft_f32_round(&env, b->u32[i], soft_rounding(&env, imm), imm & 8))
SOFT_SCALAR(round_sd, u64, soft_f64_round(&env, b->u64[i], soft_rounding(&env, imm), imm & 8))

/* ---- Sums across elements ---- */

SOFT_PACKED(addsub_ps, u32, i & 1 ? soft_f32_add(&env, a->u32[i], b->u32[i])
                                  : soft_f32_sub(&env, a->u32[i], b->u32[i]))
SOFT_PACKED(addsub_pd, u64, i & 1 ? soft_f64_add(&env, a->u64[i], b->u64[i])
                                  : soft_f64_sub(&env, a->u64[i], b->u64[i]))

/* In each 128-bit lane the lower half of the results comes from a, the upper one from b. */
#define SOFT_HORIZONTAL(op) \
    EMU_FLOAT_FN(emu_soft_h##op##_ps) \
    { \
        SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr); \
        for (unsigned i = 0; i < bytes / 4; i++) { \
            const uint32_t *pair = &(i & 2 ? b : a)->u32[(i & 4) + 2 * (i & 1)]; \
            dst->u32[i] = soft_f32_##op(&env, pair[0], pair[1]); \
        } \
        soft_leave(cpu, &env); \
    } \
    EMU_FLOAT_FN(emu_soft_h##op##_pd) \
    { \
        SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr); \
        for (unsigned i = 0; i < bytes / 8; i++) { \
            const uint64_t *pair = &(i & 1 ? b : a)->u64[i & 2]; \
            dst->u64[i] = soft_f64_##op(&env, pair[0], pair[1]); \
        } \
        soft_leave(cpu, &env); \
    }
SOFT_HORIZONTAL(add)
SOFT_HORIZONTAL(sub)

/*
 * Dot products work in steps: one that raises hides the exceptions of those behind it. Each
 * element of the result is a sum of its own, with the operands in the processor's order: it decides
 * which of several NaNs comes out.
 */
static void leave_step(EmuCpu *cpu, SoftFloatEnv *env)
{
    soft_leave(cpu, env);
    env->flags = 0;
}

EMU_FLOAT_FN(emu_soft_dp_ps)
{
    SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr);
    uint32_t product[8], sum[8];

    for (unsigned i = 0; i < bytes / 4; i++) {
        product[i] = imm >> (4 + i % 4) & 1 ? soft_f32_mul(&env, a->u32[i], b->u32[i]) : 0;
    }
    leave_step(cpu, &env);
    for (unsigned i = 0; i < bytes / 4; i++) {
        sum[i] = soft_f32_add(&env, product[i ^ 1], product[i]);
    }
    leave_step(cpu, &env);
    for (unsigned i = 0; i < bytes / 4; i++) {
        uint32_t total = soft_f32_add(&env, sum[i], sum[i ^ 2]);

        dst->u32[i] = imm >> i % 4 & 1 ? total : 0;
    }
    soft_leave(cpu, &env);
}

EMU_FLOAT_FN(emu_soft_dp_pd)
{
    SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr);
    uint64_t product[2];

    for (unsigned i = 0; i < 2; i++) {
        product[i] = imm >> (4 + i) & 1 ? soft_f64_mul(&env, a->u64[i], b->u64[i]) : 0;
    }
    leave_step(cpu, &env);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t total = soft_f64_add(&env, product[i], product[i ^ 1]);

        dst->u64[i] = imm >> i & 1 ? total : 0;
    }
    soft_leave(cpu, &env);
}

/* ---- Comparisons ---- */

/* When the low four bits of a predicate hold: bit 0 less, 1 equal, 2 greater, 3 unordered. */
static const uint8_t predicate_holds[16] = {
    0x2, 0x1, 0x3, 0x8, 0xd, 0xe, 0xc, 0x7, 0xa, 0x9, 0xb, 0x0, 0x5, 0x6, 0x4, 0xf,
};
/* Those for which quiet NaNs are invalid; bit 4 of a predicate turns it round. */
#define PREDICATES_SIGNAL 0x6666u

static bool predicate_is_quiet(unsigned predicate)
{
    return !((PREDICATES_SIGNAL >> (predicate & 15) ^ predicate >> 4) & 1);
}

static bool order_matches(unsigned predicate, SoftOrder order)
{
    return predicate_holds[predicate & 15] >> (order + 1) & 1;
}

static uint32_t compare_f32(SoftFloatEnv *env, uint32_t a, uint32_t b, unsigned imm)
{
    return -order_matches(imm, soft_f32_compare(env, a, b, predicate_is_quiet(imm)));
}

static uint64_t compare_f64(SoftFloatEnv *env, uint64_t a, uint64_t b, unsigned imm)
{
    return -(uint64_t)order_matches(imm, soft_f64_compare(env, a, b, predicate_is_quiet(imm)));
}

SOFT_PACKED(cmp_ps, u32, compare_f32(&env, a->u32[i], b->u32[i], imm))
SOFT_PACKED(cmp_pd, u64, compare_f64(&env, a->u64[i], b->u64[i], imm))
SOFT_SCALAR(cmp_ss, u32, compare_f32(&env, a->u32[i], b->u32[i], imm))
SOFT_SCALAR(cmp_sd, u64, compare_f64(&env, a->u64[i], b->u64[i], imm))

static uint32_t order_flags(SoftOrder order)
{
    switch (order) {
    case SOFT_UNORDERED:
        return FLAG_ZF | FLAG_PF | FLAG_CF;
    case SOFT_LESS:
        return FLAG_CF;
    case SOFT_EQUAL:
        return FLAG_ZF;
    default:
        return 0;
    }
}

#define SOFT_ORDER(op, type, f, lane, quiet) \
    EMU_FLOAT_FN(emu_soft_##op##_##type) \
    { \
        SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr); \
        SoftOrder order = soft_##f##_compare(&env, a->lane[0], b->lane[0], quiet); \
        soft_leave(cpu, &env); \
        emu_flags_set(cpu, order_flags(order)); \
    }
SOFT_ORDER(comi, ss, f32, u32, false)
SOFT_ORDER(comi, sd, f64, u64, false)
SOFT_ORDER(ucomi, ss, f32, u32, true)
SOFT_ORDER(ucomi, sd, f64, u64, true)

/*
 * ---- Approximations ----
 *
 * The architecture asks for a relative error of at most 1.5 * 2^-12 and no exceptions, denormals
 * being zeros on both sides; processors differ in the digits. Here: the nearest value.
 */

enum { F32_SIGN = 1u << 31, F32_INFINITY = 0xffu << 23, F32_ONE = 0x7fu << 23,
       F32_QUIET = 1u << 22, F32_DEFAULT_NAN = 0x1ffu << 22 | F32_SIGN };

static SoftFloatEnv approximate_env(void)
{
    return (SoftFloatEnv) { .masks = SOFT_FLAGS, .daz = true, .ftz = true, .precision = 64 };
}

static uint32_t approximate_rcp(uint32_t x)
{
    SoftFloatEnv env = approximate_env();

    return soft_f32_div(&env, (x & ~F32_SIGN) > F32_INFINITY ? x : F32_ONE, x);
}

static uint32_t approximate_rsqrt(uint32_t x)
{
    SoftFloatEnv env = approximate_env();

    return soft_f32_div(&env, F32_ONE, soft_f32_sqrt(&env, x));
}

EMU_FLOAT_FN(emu_soft_rcp_ps)
{
    for (unsigned i = 0; i < bytes / 4; i++) {
        dst->u32[i] = approximate_rcp(b->u32[i]);
    }
}

EMU_FLOAT_FN(emu_soft_rcp_ss)
{
    dst->u32[0] = approximate_rcp(b->u32[0]);
}

EMU_FLOAT_FN(emu_soft_rsqrt_ps)
{
    for (unsigned i = 0; i < bytes / 4; i++) {
        dst->u32[i] = approximate_rsqrt(b->u32[i]);
    }
}

EMU_FLOAT_FN(emu_soft_rsqrt_ss)
{
    dst->u32[0] = approximate_rsqrt(b->u32[0]);
}
