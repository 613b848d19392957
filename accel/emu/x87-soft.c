/* SPDX-License-Identifier: Apache-2.0 */
/* The portable form of x87 arithmetic. */
#include <math.h>
#include <string.h>

#include "accel/emu/soft-float.h"
#include "accel/emu/x87-arith.h"

static SoftF80 to_soft(const EmuF80 *a)
{
    return (SoftF80) { a->significand, a->sign_exponent };
}

static EmuF80 from_soft(SoftF80 a)
{
    return (EmuF80) { .significand = a.significand, .sign_exponent = a.sign_exponent };
}

static uint16_t soft_status(const SoftFloatEnv *env)
{
    return env->flags | (env->rounded_up ? X87_C1 : 0);
}

static bool writes(const SoftFloatEnv *env)
{
    return !(env->flags & ~env->masks & SOFT_FLAGS_BEFORE);
}

/* An unmasked exception before computing hides those found by computing. */
static uint16_t finish(SoftFloatEnv *env, EmuF80 *dst, SoftF80 result)
{
    if (!writes(env)) {
        return env->flags & SOFT_FLAGS_BEFORE;
    }
    *dst = from_soft(result);
    return soft_status(env);
}

/* ---- Arithmetic and comparison ---- */

typedef SoftF80 SoftBinary(SoftFloatEnv *env, SoftF80 a, SoftF80 b);

static SoftF80 soft_f80_subr(SoftFloatEnv *env, SoftF80 a, SoftF80 b)
{
    return soft_f80_sub(env, b, a);
}

static SoftF80 soft_f80_divr(SoftFloatEnv *env, SoftF80 a, SoftF80 b)
{
    return soft_f80_div(env, b, a);
}

static SoftF80 widen_f32(SoftFloatEnv *env, uint64_t value)
{
    return soft_f32_widen(env, (uint32_t)value);
}

static SoftF80 widen_f64(SoftFloatEnv *env, uint64_t value)
{
    return soft_f64_widen(env, value);
}

static SoftF80 widen_i16(SoftFloatEnv *env, uint64_t value)
{
    return soft_f80_from_i64((int16_t)value);
}

static SoftF80 widen_i32(SoftFloatEnv *env, uint64_t value)
{
    return soft_f80_from_i64((int32_t)value);
}

#define DEFINE_SOURCE(name, source) \
    uint16_t x87_soft_##name##_##source(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, \
                                          uint64_t b) \
    { \
        SoftFloatEnv env = soft_float_env_x87(fpu->fcw); \
        SoftF80 wide = widen_##source(&env, b); \
        \
        return finish(&env, dst, soft_f80_##name(&env, to_soft(a), wide)); \
    }
#define DEFINE_BINARY(name) \
    uint16_t x87_soft_##name(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b) \
    { \
        SoftFloatEnv env = soft_float_env_x87(fpu->fcw); \
        \
        return finish(&env, dst, soft_f80_##name(&env, to_soft(a), to_soft(b))); \
    } \
    X87_FOR_EACH_SOURCE(DEFINE_SOURCE, name)
X87_FOR_EACH_BINARY(DEFINE_BINARY)

static uint16_t compare(SoftFloatEnv *env, SoftF80 a, SoftF80 b, bool quiet)
{
    switch (soft_f80_compare(env, a, b, quiet)) {
    case SOFT_LESS:
        return env->flags | X87_C0;
    case SOFT_EQUAL:
        return env->flags | X87_C3;
    case SOFT_GREATER:
        return env->flags;
    default:
        return env->flags | X87_C0 | X87_C2 | X87_C3;
    }
}

uint16_t x87_soft_com(const EmuFpu *fpu, const EmuF80 *a, const EmuF80 *b)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    return compare(&env, to_soft(a), to_soft(b), false);
}

uint16_t x87_soft_ucom(const EmuFpu *fpu, const EmuF80 *a, const EmuF80 *b)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    return compare(&env, to_soft(a), to_soft(b), true);
}

#define DEFINE_COMPARE(name, source) \
    uint16_t x87_soft_##name##_##source(const EmuFpu *fpu, const EmuF80 *a, uint64_t b) \
    { \
        SoftFloatEnv env = soft_float_env_x87(fpu->fcw); \
        SoftF80 wide = widen_##source(&env, b); \
        \
        return compare(&env, to_soft(a), wide, false); \
    }
X87_FOR_EACH_SOURCE(DEFINE_COMPARE, com)

uint16_t x87_soft_sqrt(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    return finish(&env, dst, soft_f80_sqrt(&env, to_soft(a)));
}

uint16_t x87_soft_rndint(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    return finish(&env, dst, soft_f80_round(&env, to_soft(a)));
}

uint16_t x87_soft_scale(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    return finish(&env, dst, soft_f80_scale(&env, to_soft(a), to_soft(b)));
}

static uint16_t remainder_step(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b,
                               bool nearest)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);
    unsigned quotient;
    bool complete;
    SoftF80 rest = soft_f80_rem(&env, to_soft(a), to_soft(b), nearest, &quotient, &complete);

    if (!writes(&env)) {
        return finish(&env, dst, rest);
    }
    return (finish(&env, dst, rest) & ~X87_C1) | (quotient & 1 ? X87_C1 : 0) |
           (quotient & 2 ? X87_C3 : 0) | (quotient & 4 ? X87_C0 : 0) | (complete ? 0 : X87_C2);
}

uint16_t x87_soft_prem(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b)
{
    return remainder_step(fpu, dst, a, b, false);
}

uint16_t x87_soft_prem1(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b)
{
    return remainder_step(fpu, dst, a, b, true);
}

uint16_t x87_soft_xtract(const EmuFpu *fpu, EmuF80 *high, EmuF80 *low, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);
    SoftF80 exponent, significand = soft_f80_extract(&env, to_soft(a), &exponent);
    uint16_t status = finish(&env, high, exponent);

    finish(&env, low, significand);
    return status & ~X87_C1;
}

/* ---- Loads and stores ---- */

uint16_t x87_load_odd_f32(const EmuFpu *fpu, EmuF80 *dst, uint64_t value)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    *dst = from_soft(soft_f32_to_f80(&env, (uint32_t)value));
    return env.flags;
}

uint16_t x87_load_odd_f64(const EmuFpu *fpu, EmuF80 *dst, uint64_t value)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    *dst = from_soft(soft_f64_to_f80(&env, value));
    return env.flags;
}

uint16_t x87_soft_st_f32(const EmuFpu *fpu, uint64_t *value, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    *value = soft_f80_to_f32(&env, to_soft(a));
    return soft_status(&env);
}

uint16_t x87_soft_st_f64(const EmuFpu *fpu, uint64_t *value, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    *value = soft_f80_to_f64(&env, to_soft(a));
    return soft_status(&env);
}

#define DEFINE_STORE(name, rounding, bits) \
    uint16_t x87_soft_##name##_i##bits(const EmuFpu *fpu, uint64_t *value, const EmuF80 *a) \
    { \
        SoftFloatEnv env = soft_float_env_x87(fpu->fcw); \
        \
        *value = (uint##bits##_t)soft_f80_to_int(&env, to_soft(a), rounding, bits); \
        return soft_status(&env); \
    }
DEFINE_STORE(ist, env.rounding, 16)
DEFINE_STORE(ist, env.rounding, 32)
DEFINE_STORE(ist, env.rounding, 64)
DEFINE_STORE(istt, SOFT_ROUND_ZERO, 16)
DEFINE_STORE(istt, SOFT_ROUND_ZERO, 32)
DEFINE_STORE(istt, SOFT_ROUND_ZERO, 64)

EmuF80 x87_from_bcd(const uint8_t bcd[10])
{
    uint64_t value = 0;
    EmuF80 a;

    for (int i = 8; i >= 0; i--) {
        value = value * 100 + (bcd[i] >> 4) * 10 + (bcd[i] & 15);
    }
    a = x87_from_int((int64_t)value);
    a.sign_exponent |= (bcd[9] & 0x80) << 8;
    return a;
}

uint16_t x87_to_bcd(const EmuFpu *fpu, uint8_t bcd[10], const EmuF80 *a)
{
    static const uint8_t indefinite[10] = { [7] = 0xc0, 0xff, 0xff };
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);
    int64_t value = soft_f80_to_int(&env, to_soft(a), env.rounding, 64);
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

    if ((env.flags & SOFT_INVALID) || magnitude > 999999999999999999) {
        memcpy(bcd, indefinite, 10);
        return SOFT_INVALID;
    }
    for (unsigned i = 0; i < 9; i++) {
        bcd[i] = (magnitude / 10 % 10) << 4 | magnitude % 10;
        magnitude /= 100;
    }
    bcd[9] = a->sign_exponent >> 8 & 0x80;
    return soft_status(&env);
}

EmuF80 x87_constant(const EmuFpu *fpu, X87Constant which)
{
    /* Rounded down, and by how much the other directions differ. */
    static const struct {
        uint64_t significand;
        uint16_t exponent;
        uint8_t nearest, up;
    } constants[] = {
        [X87_ONE] = { 0x8000000000000000, 0x3fff, 0, 0 },
        [X87_L2T] = { 0xd49a784bcd1b8afe, 0x4000, 0, 1 },
        [X87_L2E] = { 0xb8aa3b295c17f0bb, 0x3fff, 1, 1 },
        [X87_PI] = { 0xc90fdaa22168c234, 0x4000, 1, 1 },
        [X87_LG2] = { 0x9a209a84fbcff798, 0x3ffd, 1, 1 },
        [X87_LN2] = { 0xb17217f7d1cf79ab, 0x3ffe, 1, 1 },
        [X87_ZERO] = { 0, 0, 0, 0 },
    };
    unsigned rounding = fpu->fcw >> 10 & 3;
    unsigned more = rounding == SOFT_ROUND_NEAREST ? constants[which].nearest
                    : rounding == SOFT_ROUND_UP ? constants[which].up : 0;

    return (EmuF80) {
        .significand = constants[which].significand + more,
        .sign_exponent = constants[which].exponent,
    };
}

/* ---- Transcendentals ---- */

static bool is_zero(const EmuF80 *a)
{
    return a->significand == 0 && (a->sign_exponent & 0x7fff) == 0;
}

static bool is_infinite(const EmuF80 *a)
{
    return (a->sign_exponent & 0x7fff) == 0x7fff && a->significand == 1ULL << 63;
}

/* A NaN, or no number at all. */
static bool is_special(const EmuF80 *a)
{
    unsigned exponent = a->sign_exponent & 0x7fff;

    return exponent != 0 && (!(a->significand >> 63) ||
                             (exponent == 0x7fff && a->significand << 1 != 0));
}

static void note_denormal(SoftFloatEnv *env, const EmuF80 *a)
{
    if ((a->sign_exponent & 0x7fff) == 0 && a->significand != 0) {
        env->flags |= SOFT_DENORMAL;
    }
}

static long double to_host(const EmuF80 *a)
{
    unsigned exponent = a->sign_exponent & 0x7fff;
    long double value = ldexpl((long double)a->significand,
                               (int)(exponent ? exponent : 1) - 16383 - 63);

    if (is_infinite(a)) {
        value = INFINITY;
    }
    return a->sign_exponent >> 15 ? -value : value;
}

static SoftF80 from_host(SoftFloatEnv *env, long double value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    long double fraction;
    int exponent;

    value = fabsl(value);
    if (value == 0) {
        return (SoftF80) { 0, sign };
    }
    if (isinf(value)) {
        return (SoftF80) { 1ULL << 63, sign | 0x7fff };
    }
    fraction = frexpl(value, &exponent);
    env->flags |= SOFT_INEXACT;
    if (exponent < -16381) {
        env->flags |= SOFT_UNDERFLOW;
        return (SoftF80) { (uint64_t)ldexpl(fraction, 64 + exponent + 16381), sign };
    }
    return (SoftF80) { (uint64_t)ldexpl(fraction, 64), sign | (uint16_t)(exponent + 16382) };
}

static uint16_t invalid(SoftFloatEnv *env, EmuF80 *dst)
{
    EmuF80 nan = x87_indefinite();

    env->flags |= SOFT_INVALID;
    return finish(env, dst, to_soft(&nan));
}

/* The NaN of one or two operands, through an addition. */
static uint16_t propagate(SoftFloatEnv *env, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b)
{
    return finish(env, dst, soft_f80_add(env, to_soft(a), to_soft(b)));
}

uint16_t x87_soft_f2xm1(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    if (is_special(a)) {
        return propagate(&env, dst, a, a);
    }
    if (is_infinite(a)) {
        return finish(&env, dst, a->sign_exponent >> 15 ? soft_f80_from_i64(-1) : to_soft(a));
    }
    if ((a->sign_exponent & 0x7fff) >= 16383 && !(a->significand == 1ULL << 63 &&
                                                  (a->sign_exponent & 0x7fff) == 16383)) {
        return 0; /* undefined beyond -1 to 1: processors leave it alone */
    }
    note_denormal(&env, a);
    if (is_zero(a)) {
        return finish(&env, dst, to_soft(a));
    }
    return finish(&env, dst, from_host(&env, expm1l(to_host(a) * M_LN2l)));
}

/* What sine, cosine and tangent share: false if the result is decided. */
static bool angle_is_plain(SoftFloatEnv *env, EmuF80 *dst, const EmuF80 *a, uint16_t *status)
{
    if (is_special(a)) {
        *status = propagate(env, dst, a, a);
        return false;
    }
    if (is_infinite(a)) {
        *status = invalid(env, dst);
        return false;
    }
    if ((a->sign_exponent & 0x7fff) >= 16383 + 63) {
        *status = X87_C2;
        return false;
    }
    note_denormal(env, a);
    return true;
}

uint16_t x87_soft_sin(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);
    uint16_t status;

    return angle_is_plain(&env, dst, a, &status)
           ? finish(&env, dst, from_host(&env, sinl(to_host(a)))) : status;
}

uint16_t x87_soft_cos(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);
    uint16_t status;

    if (!angle_is_plain(&env, dst, a, &status)) {
        return status;
    }
    if (is_zero(a)) {
        return finish(&env, dst, soft_f80_from_i64(1));
    }
    return finish(&env, dst, from_host(&env, cosl(to_host(a))));
}

uint16_t x87_soft_sincos(const EmuFpu *fpu, EmuF80 *high, EmuF80 *low, const EmuF80 *a)
{
    EmuF80 copy = *a;
    uint16_t status = x87_soft_cos(fpu, low, &copy);

    return status & X87_C2 ? status : status | x87_soft_sin(fpu, high, &copy);
}

uint16_t x87_soft_ptan(const EmuFpu *fpu, EmuF80 *high, EmuF80 *low, const EmuF80 *a)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);
    EmuF80 copy = *a;
    uint16_t status;

    if (!angle_is_plain(&env, high, &copy, &status)) {
        if (!(status & X87_C2) && writes(&env)) {
            *low = *high;
        }
        return status;
    }
    if (writes(&env)) {
        *low = x87_from_int(1);
    }
    return finish(&env, high, from_host(&env, tanl(to_host(&copy))));
}

uint16_t x87_soft_patan(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    if (is_special(a) || is_special(b)) {
        return propagate(&env, dst, a, b);
    }
    note_denormal(&env, a);
    note_denormal(&env, b);
    return finish(&env, dst, from_host(&env, atan2l(to_host(b), to_host(a))));
}

/* b * log2 of something, where the logarithm is `log`, exactly 0, or infinite. */
static uint16_t times_log(SoftFloatEnv *env, EmuF80 *dst, const EmuF80 *b, long double log)
{
    if ((isinf(log) && is_zero(b)) || (log == 0 && is_infinite(b))) {
        return invalid(env, dst);
    }
    return finish(env, dst, from_host(env, to_host(b) * log));
}

uint16_t x87_soft_yl2x(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);

    if (is_special(a) || is_special(b)) {
        return propagate(&env, dst, a, b);
    }
    if (a->sign_exponent >> 15 && !is_zero(a)) {
        return invalid(&env, dst);
    }
    if (is_zero(a) && !is_zero(b) && !is_infinite(b)) {
        env.flags |= SOFT_DIV_ZERO;
        return finish(&env, dst, (SoftF80) { 1ULL << 63,
                                             (~b->sign_exponent & 0x8000) | 0x7fff });
    }
    note_denormal(&env, a);
    note_denormal(&env, b);
    return times_log(&env, dst, b, log2l(fabsl(to_host(a))));
}

uint16_t x87_soft_yl2xp1(const EmuFpu *fpu, EmuF80 *dst, const EmuF80 *a, const EmuF80 *b)
{
    SoftFloatEnv env = soft_float_env_x87(fpu->fcw);
    long double x;

    if (is_special(a) || is_special(b)) {
        return propagate(&env, dst, a, b);
    }
    x = to_host(a);
    if (x < -1) {
        return invalid(&env, dst);
    }
    note_denormal(&env, a);
    note_denormal(&env, b);
    return times_log(&env, dst, b, log1pl(x) / M_LN2l);
}
