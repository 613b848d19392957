/* SPDX-License-Identifier: Apache-2.0 */
/* SSE conversions and FMA3 by soft-float.h. */
#include "accel/emu/vec-float-soft.h"

/* ---- Vectors ---- */

SOFT_PACKED(dq2ps, u32, soft_f32_from_i32(&env, b->s32[i]))
SOFT_PACKED(ps2dq, u32, soft_f32_to_i32(&env, b->u32[i], env.rounding))
SOFT_PACKED(tps2dq, u32, soft_f32_to_i32(&env, b->u32[i], SOFT_ROUND_ZERO))
SOFT_PACKED(dq2pd, u64, soft_f64_from_i32(&env, b->s32[i]))
SOFT_PACKED(ps2pd, u64, soft_f32_to_f64(&env, b->u32[i]))
SOFT_PACKED(ph2ps, u32, soft_f16_to_f32(&env, b->u16[i]))
SOFT_SCALAR(ss2sd, u64, soft_f32_to_f64(&env, b->u32[i]))
SOFT_SCALAR(sd2ss, u32, soft_f64_to_f32(&env, b->u64[i]))

/* Observed: a denormal source is inexact even if underflow is unmasked and its digits would fit. */
static uint16_t convert_to_f16(SoftFloatEnv *env, uint32_t value, unsigned rounding)
{
    bool denormal = (value & 0x7fffffff) - 1 < 0x007fffff && !env->daz;

    env->flags |= denormal ? SOFT_INEXACT : 0;
    return soft_f32_to_f16(env, value, rounding);
}

/* To elements of half the size; what is left of 16 bytes is cleared. */
#define SOFT_NARROW(op, from, to, value) \
    EMU_FLOAT_FN(emu_soft_##op) \
    { \
        SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr); \
        dst->u64[1] = 0; \
        for (unsigned i = 0; i < bytes / sizeof(b->from[0]); i++) { \
            dst->to[i] = (value); \
        } \
        soft_leave(cpu, &env); \
    }
SOFT_NARROW(pd2dq, u64, u32, soft_f64_to_i32(&env, b->u64[i], env.rounding))
SOFT_NARROW(tpd2dq, u64, u32, soft_f64_to_i32(&env, b->u64[i], SOFT_ROUND_ZERO))
SOFT_NARROW(pd2ps, u64, u32, soft_f64_to_f32(&env, b->u64[i]))
SOFT_NARROW(ps2ph, u32, u16, convert_to_f16(&env, b->u32[i], soft_rounding(&env, imm)))

/* ---- General registers ---- */

#define SOFT_TO_GPR(op, f, lane, rounding) \
    SOFT_SCALAR(op, u64, imm == 8 ? (uint64_t)soft_##f##_to_i64(&env, b->lane[i], rounding) \
                                  : (uint32_t)soft_##f##_to_i32(&env, b->lane[i], rounding))
SOFT_TO_GPR(ss2si, f32, u32, env.rounding)
SOFT_TO_GPR(tss2si, f32, u32, SOFT_ROUND_ZERO)
SOFT_TO_GPR(sd2si, f64, u64, env.rounding)
SOFT_TO_GPR(tsd2si, f64, u64, SOFT_ROUND_ZERO)

SOFT_SCALAR(si2ss, u32, imm == 8 ? soft_f32_from_i64(&env, b->s64[i])
                                 : soft_f32_from_i32(&env, b->s32[i]))
SOFT_SCALAR(si2sd, u64, imm == 8 ? soft_f64_from_i64(&env, b->s64[i])
                                 : soft_f64_from_i32(&env, b->s32[i]))

/* ---- FMA3 ---- */

/* What soft_*_fma negates in even and odd elements. */
enum {
    ADD = 0,
    SUB = SOFT_NEGATE_ADDEND,
    NEGATED_ADD = SOFT_NEGATE_PRODUCT,
    NEGATED_SUB = SOFT_NEGATE_PRODUCT | SOFT_NEGATE_ADDEND,
};
#define SIGNS_fmadd(i) ADD
#define SIGNS_fmsub(i) SUB
#define SIGNS_fnmadd(i) NEGATED_ADD
#define SIGNS_fnmsub(i) NEGATED_SUB
#define SIGNS_fmaddsub(i) ((i) & 1 ? ADD : SUB)
#define SIGNS_fmsubadd(i) ((i) & 1 ? SUB : ADD)

#define FACTORS_132(lane) a->lane[i], b->lane[i], c->lane[i]
#define FACTORS_213(lane) c->lane[i], a->lane[i], b->lane[i]
#define FACTORS_231(lane) c->lane[i], b->lane[i], a->lane[i]

#define SOFT_FMA_PACKED(order, op) \
    SOFT_PACKED(op##order##_ps, u32, soft_f32_fma(&env, FACTORS_##order(u32), SIGNS_##op(i))) \
    SOFT_PACKED(op##order##_pd, u64, soft_f64_fma(&env, FACTORS_##order(u64), SIGNS_##op(i)))
#define SOFT_FMA_SCALAR(order, op) \
    SOFT_SCALAR(op##order##_ss, u32, soft_f32_fma(&env, FACTORS_##order(u32), SIGNS_##op(i))) \
    SOFT_SCALAR(op##order##_sd, u64, soft_f64_fma(&env, FACTORS_##order(u64), SIGNS_##op(i)))
#define SOFT_FMA_PACKED_OP(op) EMU_FMA_ORDERS(SOFT_FMA_PACKED, op)
#define SOFT_FMA_SCALAR_OP(op) EMU_FMA_ORDERS(SOFT_FMA_SCALAR, op)

EMU_FMA_PACKED_OPS(SOFT_FMA_PACKED_OP)
EMU_FMA_SCALAR_OPS(SOFT_FMA_SCALAR_OP)
