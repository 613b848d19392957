/* SPDX-License-Identifier: Apache-2.0 */
/* binary32, binary64 and binary16, as SSE instructions use them. */
#include "accel/emu/soft-float-num.h"

#define UNPACK(f, x) soft_unpack(&soft_format_##f, (x), env->daz)
#define PACK(f, num) soft_pack(&soft_format_##f, (num))
#define ANY_NAN(x, y) (soft_is_nan(&(x)) || soft_is_nan(&(y)))

#define SOFT_DEFINE(f, T) \
    T soft_##f##_add(SoftFloatEnv *env, T a, T b) \
    { \
        return PACK(f, soft_num_add(env, &soft_format_##f, UNPACK(f, a), UNPACK(f, b), false)); \
    } \
    T soft_##f##_sub(SoftFloatEnv *env, T a, T b) \
    { \
        return PACK(f, soft_num_add(env, &soft_format_##f, UNPACK(f, a), UNPACK(f, b), true)); \
    } \
    T soft_##f##_mul(SoftFloatEnv *env, T a, T b) \
    { \
        return PACK(f, soft_num_mul(env, &soft_format_##f, UNPACK(f, a), UNPACK(f, b))); \
    } \
    T soft_##f##_div(SoftFloatEnv *env, T a, T b) \
    { \
        return PACK(f, soft_num_div(env, &soft_format_##f, UNPACK(f, a), UNPACK(f, b))); \
    } \
    T soft_##f##_sqrt(SoftFloatEnv *env, T a) \
    { \
        return PACK(f, soft_num_sqrt(env, &soft_format_##f, UNPACK(f, a))); \
    } \
    T soft_##f##_fma(SoftFloatEnv *env, T a, T b, T c, unsigned negate) \
    { \
        return PACK(f, soft_num_fma(env, &soft_format_##f, UNPACK(f, a), UNPACK(f, b), \
                                    UNPACK(f, c), negate)); \
    } \
    static T soft_##f##_pick(SoftFloatEnv *env, T a, T b, SoftOrder wanted) \
    { \
        SoftNum x = UNPACK(f, a), y = UNPACK(f, b); \
        T zero = (T)1 << (sizeof(T) * 8 - 1); \
        bool first = soft_num_compare(env, x, y, false) == wanted; \
        \
        /* A denormal that counts as zero also arrives as one. */ \
        if ((first ? x.kind : y.kind) == SOFT_KIND_ZERO) { \
            return first ? a & zero : b & zero; \
        } \
        return first ? a : b; \
    } \
    T soft_##f##_min(SoftFloatEnv *env, T a, T b) \
    { \
        return soft_##f##_pick(env, a, b, SOFT_LESS); \
    } \
    T soft_##f##_max(SoftFloatEnv *env, T a, T b) \
    { \
        return soft_##f##_pick(env, a, b, SOFT_GREATER); \
    } \
    SoftOrder soft_##f##_compare(SoftFloatEnv *env, T a, T b, bool quiet) \
    { \
        return soft_num_compare(env, UNPACK(f, a), UNPACK(f, b), quiet); \
    } \
    T soft_##f##_round(SoftFloatEnv *env, T a, unsigned rounding, bool exact) \
    { \
        return PACK(f, soft_num_round(env, &soft_format_##f, UNPACK(f, a), rounding, exact)); \
    } \
    int32_t soft_##f##_to_i32(SoftFloatEnv *env, T a, unsigned rounding) \
    { \
        return (int32_t)soft_num_to_int(env, UNPACK(f, a), rounding, 32, true); \
    } \
    int64_t soft_##f##_to_i64(SoftFloatEnv *env, T a, unsigned rounding) \
    { \
        return (int64_t)soft_num_to_int(env, UNPACK(f, a), rounding, 64, true); \
    } \
    uint32_t soft_##f##_to_u32(SoftFloatEnv *env, T a, unsigned rounding) \
    { \
        return (uint32_t)soft_num_to_int(env, UNPACK(f, a), rounding, 32, false); \
    } \
    uint64_t soft_##f##_to_u64(SoftFloatEnv *env, T a, unsigned rounding) \
    { \
        return soft_num_to_int(env, UNPACK(f, a), rounding, 64, false); \
    } \
    T soft_##f##_from_i32(SoftFloatEnv *env, int32_t a) \
    { \
        return soft_##f##_from_i64(env, a); \
    } \
    T soft_##f##_from_i64(SoftFloatEnv *env, int64_t a) \
    { \
        return PACK(f, soft_num_from_int(env, &soft_format_##f, a < 0, \
                                         a < 0 ? -(uint64_t)a : (uint64_t)a)); \
    } \
    T soft_##f##_from_u32(SoftFloatEnv *env, uint32_t a) \
    { \
        return PACK(f, soft_num_from_int(env, &soft_format_##f, false, a)); \
    } \
    T soft_##f##_from_u64(SoftFloatEnv *env, uint64_t a) \
    { \
        return PACK(f, soft_num_from_int(env, &soft_format_##f, false, a)); \
    }

SOFT_DEFINE(f32, uint32_t)
SOFT_DEFINE(f64, uint64_t)

uint64_t soft_f32_to_f64(SoftFloatEnv *env, uint32_t a)
{
    return PACK(f64, soft_num_convert(env, &soft_format_f64, UNPACK(f32, a), true));
}

uint32_t soft_f64_to_f32(SoftFloatEnv *env, uint64_t a)
{
    return PACK(f32, soft_num_convert(env, &soft_format_f32, UNPACK(f64, a), true));
}

uint32_t soft_f16_to_f32(SoftFloatEnv *env, uint16_t a)
{
    return PACK(f32, soft_num_convert(env, &soft_format_f32,
                                      soft_unpack(&soft_format_f16, a, false), false));
}

uint16_t soft_f32_to_f16(SoftFloatEnv *env, uint32_t a, unsigned rounding)
{
    SoftFloatEnv unflushed = *env;
    SoftNum result;

    unflushed.ftz = false;
    unflushed.rounding = rounding;
    result = soft_num_convert(&unflushed, &soft_format_f16, UNPACK(f32, a), true);
    env->flags = unflushed.flags;
    return PACK(f16, result);
}
