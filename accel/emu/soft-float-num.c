/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/soft-float-num.h"

const SoftFormat soft_format_f16 = { .emin = -14, .emax = 15, .wrap = 24, .precision = 11 };
const SoftFormat soft_format_f32 = { .emin = -126, .emax = 127, .wrap = 192, .precision = 24 };
const SoftFormat soft_format_f64 = { .emin = -1022, .emax = 1023, .wrap = 1536, .precision = 53 };
const SoftFormat soft_format_f80 = {
    .emin = -16382, .emax = 16383, .wrap = 24576, .precision = 64, .x87 = true,
};

/* ---- Packing ---- */

SoftNum soft_unpack(const SoftFormat *fmt, uint64_t bits, bool daz)
{
    unsigned fraction_bits = fmt->precision - 1u;
    unsigned max_exponent = 2u * (unsigned)fmt->emax + 1;
    unsigned exponent = bits >> fraction_bits & max_exponent;
    uint64_t fraction = bits << (64 - fraction_bits) >> 1; /* its first bit at bit 62 */
    SoftNum a = { .sign = bits >> (fraction_bits + __builtin_popcount(max_exponent)) & 1 };

    if (exponent == max_exponent) {
        a.kind = fraction == 0 ? SOFT_KIND_INFINITE
                 : fraction >> 62 ? SOFT_KIND_QUIET : SOFT_KIND_SIGNALLING;
        a.sig = fraction | 1ULL << 63;
    } else if (exponent != 0) {
        a.kind = SOFT_KIND_FINITE;
        a.exp = (int32_t)exponent - fmt->emax;
        a.sig = fraction | 1ULL << 63;
    } else if (fraction != 0 && !daz) {
        unsigned shift = __builtin_clzll(fraction);

        a.kind = SOFT_KIND_FINITE;
        a.denormal = true;
        a.exp = fmt->emin - (int32_t)shift;
        a.sig = fraction << shift;
    } else {
        a.kind = SOFT_KIND_ZERO;
    }
    return a;
}

uint64_t soft_pack(const SoftFormat *fmt, SoftNum a)
{
    unsigned fraction_bits = fmt->precision - 1u;
    uint64_t max_exponent = 2u * (unsigned)fmt->emax + 1;
    uint64_t fraction = a.sig << 1 >> (64 - fraction_bits);
    uint64_t exponent = 0;

    switch (a.kind) {
    case SOFT_KIND_ZERO:
        fraction = 0;
        break;
    case SOFT_KIND_FINITE:
        exponent = a.sig >> 63 ? (uint64_t)(a.exp + fmt->emax) & max_exponent : 0;
        break;
    default:
        exponent = max_exponent;
        break;
    }
    return (uint64_t)a.sign << (fraction_bits + __builtin_popcountll(max_exponent)) |
           exponent << fraction_bits | fraction;
}

SoftNum soft_unpack_f80(SoftF80 f)
{
    unsigned exponent = f.sign_exponent & 0x7fff;
    SoftNum a = { .sign = f.sign_exponent >> 15, .sig = f.significand };

    if (exponent == 0) {
        if (a.sig == 0) {
            a.kind = SOFT_KIND_ZERO;
        } else {
            unsigned shift = __builtin_clzll(a.sig);

            a.kind = SOFT_KIND_FINITE;
            a.denormal = true;
            a.exp = soft_format_f80.emin - (int32_t)shift;
            a.sig <<= shift;
        }
    } else if (!(a.sig >> 63)) {
        a.kind = SOFT_KIND_UNSUPPORTED;
    } else if (exponent == 0x7fff) {
        a.kind = a.sig << 1 == 0 ? SOFT_KIND_INFINITE
                 : a.sig >> 62 & 1 ? SOFT_KIND_QUIET : SOFT_KIND_SIGNALLING;
    } else {
        a.kind = SOFT_KIND_FINITE;
        a.exp = (int32_t)exponent - soft_format_f80.emax;
    }
    return a;
}

SoftF80 soft_pack_f80(SoftNum a)
{
    uint16_t sign = a.sign ? 0x8000 : 0;

    switch (a.kind) {
    case SOFT_KIND_ZERO:
        return (SoftF80) { 0, sign };
    case SOFT_KIND_FINITE:
        return (SoftF80) {
            a.sig, sign | (a.sig >> 63 ? (a.exp + soft_format_f80.emax) & 0x7fff : 0)
        };
    default:
        return (SoftF80) { a.sig, sign | 0x7fff };
    }
}

/* ---- Rounding ---- */

bool soft_rounds_up(unsigned rounding, bool sign, SoftWide sig, unsigned drop)
{
    SoftWide half = (SoftWide)1 << (drop - 1);
    SoftWide rest = sig & ((half << 1) - 1);

    switch (rounding) {
    case SOFT_ROUND_NEAREST:
        return rest > half || (rest == half && (sig >> drop & 1));
    case SOFT_ROUND_DOWN:
        return sign && rest != 0;
    case SOFT_ROUND_UP:
        return !sign && rest != 0;
    default:
        return false;
    }
}

static SoftNum soft_overflow(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision,
                             bool sign)
{
    bool to_infinity = env->rounding == SOFT_ROUND_NEAREST ||
                       env->rounding == (sign ? SOFT_ROUND_DOWN : SOFT_ROUND_UP);

    env->flags |= SOFT_OVERFLOW | SOFT_INEXACT;
    env->rounded_up = to_infinity;
    if (to_infinity) {
        return soft_infinity(sign);
    }
    return (SoftNum) {
        .kind = SOFT_KIND_FINITE, .sign = sign, .exp = fmt->emax, .sig = ~0ULL << (64 - precision),
    };
}

/* The exponent is below emin and underflow is masked: shift into place and round there. */
static SoftNum soft_denormalise(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision,
                                SoftNum a, SoftWide sig, bool tiny)
{
    unsigned drop = 128 - precision;
    SoftWide shifted = soft_shift_jam(sig, (unsigned)(fmt->emin - a.exp));
    bool inexact = (shifted & (((SoftWide)1 << drop) - 1)) != 0;
    bool up = soft_rounds_up(env->rounding, a.sign, shifted, drop);

    if (inexact) {
        env->flags |= SOFT_INEXACT | (tiny ? SOFT_UNDERFLOW : 0);
    }
    env->rounded_up = up;
    a.sig = ((uint64_t)(shifted >> drop) + up) << (64 - precision);
    a.exp = fmt->emin;
    if (a.sig == 0) {
        a.kind = SOFT_KIND_ZERO;
    }
    return a;
}

SoftNum soft_round_pack(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision, bool sign,
                        int32_t exp, SoftWide sig)
{
    unsigned drop = 128 - precision;
    bool inexact = (sig & (((SoftWide)1 << drop) - 1)) != 0;
    bool up = soft_rounds_up(env->rounding, sign, sig, drop);
    SoftNum a = { .kind = SOFT_KIND_FINITE, .sign = sign, .exp = exp };
    SoftWide rounded = (sig >> drop) + up;

    if (rounded >> precision) {
        rounded >>= 1;
        a.exp++;
    }
    if (a.exp < fmt->emin || exp < fmt->emin) {
        bool tiny = a.exp < fmt->emin;

        if (!tiny || (env->masks & SOFT_UNDERFLOW)) {
            if (tiny && env->ftz && !fmt->x87) {
                env->flags |= SOFT_UNDERFLOW | SOFT_INEXACT;
                return soft_zero(sign);
            }
            a.exp = exp;
            return soft_denormalise(env, fmt, precision, a, sig, tiny);
        }
        env->flags |= SOFT_UNDERFLOW;
        a.exp += fmt->wrap;
        if (a.exp < fmt->emin && fmt->x87) {
            env->flags |= SOFT_INEXACT;
            env->rounded_up = false;
            return soft_zero(sign);
        }
    } else if (a.exp > fmt->emax) {
        if (env->masks & SOFT_OVERFLOW) {
            return soft_overflow(env, fmt, precision, sign);
        }
        env->flags |= SOFT_OVERFLOW;
        a.exp -= fmt->wrap;
        if (a.exp > fmt->emax && fmt->x87) {
            env->flags |= SOFT_INEXACT;
            env->rounded_up = true;
            return soft_infinity(sign);
        }
    }
    if (inexact) {
        env->flags |= SOFT_INEXACT;
    }
    env->rounded_up = up;
    a.sig = (uint64_t)rounded << (64 - precision);
    return a;
}

SoftNum soft_round_num(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision, SoftNum a)
{
    if (a.kind != SOFT_KIND_FINITE) {
        return a;
    }
    return soft_round_pack(env, fmt, precision, a.sign, a.exp, (SoftWide)a.sig << 64);
}

/* ---- NaNs ---- */

static SoftNum soft_quiet(SoftNum a)
{
    a.kind = SOFT_KIND_QUIET;
    a.sig |= 1ULL << 62;
    return a;
}

SoftNum soft_propagate(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b)
{
    if (a.kind == SOFT_KIND_UNSUPPORTED || b.kind == SOFT_KIND_UNSUPPORTED) {
        return soft_invalid(env);
    }
    if (a.kind == SOFT_KIND_SIGNALLING || b.kind == SOFT_KIND_SIGNALLING) {
        env->flags |= SOFT_INVALID;
    }
    if (!soft_is_nan(&a)) {
        return soft_quiet(b);
    }
    if (!fmt->x87 || !soft_is_nan(&b)) {
        return soft_quiet(a);
    }
    if (a.kind != b.kind) {
        return a.kind == SOFT_KIND_QUIET ? a : b;
    }
    if (a.sig != b.sig) {
        return soft_quiet(a.sig > b.sig ? a : b);
    }
    return soft_quiet(a.sign ? b : a);
}

static inline bool soft_special2(const SoftNum *a, const SoftNum *b)
{
    return a->kind >= SOFT_KIND_QUIET || b->kind >= SOFT_KIND_QUIET;
}

static inline void soft_note_denormals(SoftFloatEnv *env, const SoftNum *a, const SoftNum *b)
{
    if (a->denormal || b->denormal || env->denormal_seen) {
        env->flags |= SOFT_DENORMAL;
    }
}

static inline unsigned soft_precision(const SoftFloatEnv *env, const SoftFormat *fmt)
{
    return fmt->x87 ? env->precision : fmt->precision;
}

/* ---- Arithmetic ---- */

/* Normalise and round; sig may have its first bit anywhere. Zero: exact cancellation. */
static SoftNum soft_finish(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision, bool sign,
                           int32_t exp, SoftWide sig)
{
    uint64_t high = sig >> 64;
    unsigned shift;

    if (sig == 0) {
        return soft_zero(env->rounding == SOFT_ROUND_DOWN);
    }
    shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)sig);
    return soft_round_pack(env, fmt, precision, sign, exp - (int32_t)shift, sig << shift);
}

/* Sum of two magnitudes with signs; the first bit of each is bit 126, where exponents count. */
static SoftNum soft_sum(SoftFloatEnv *env, const SoftFormat *fmt, unsigned precision, bool sign_a,
                        int32_t exp_a, SoftWide a, bool sign_b, int32_t exp_b, SoftWide b)
{
    int32_t exp = exp_a > exp_b ? exp_a : exp_b;

    if (exp_a < exp) {
        a = soft_shift_jam(a, (unsigned)(exp - exp_a));
    } else {
        b = soft_shift_jam(b, (unsigned)(exp - exp_b));
    }
    if (sign_a == sign_b) {
        return soft_finish(env, fmt, precision, sign_a, exp + 1, a + b);
    }
    return a >= b ? soft_finish(env, fmt, precision, sign_a, exp + 1, a - b)
                  : soft_finish(env, fmt, precision, sign_b, exp + 1, b - a);
}

SoftNum soft_num_add(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b, bool negate_b)
{
    unsigned precision = soft_precision(env, fmt);

    if (soft_special2(&a, &b)) {
        return soft_propagate(env, fmt, a, b);
    }
    b.sign ^= negate_b;
    if (a.kind == SOFT_KIND_INFINITE && b.kind == SOFT_KIND_INFINITE && a.sign != b.sign) {
        return soft_invalid(env);
    }
    soft_note_denormals(env, &a, &b);
    if (a.kind == SOFT_KIND_INFINITE || b.kind == SOFT_KIND_INFINITE) {
        return a.kind == SOFT_KIND_INFINITE ? a : b;
    }
    if (a.kind == SOFT_KIND_ZERO && b.kind == SOFT_KIND_ZERO) {
        return soft_zero(a.sign == b.sign ? a.sign : env->rounding == SOFT_ROUND_DOWN);
    }
    if (a.kind == SOFT_KIND_ZERO || b.kind == SOFT_KIND_ZERO) {
        return soft_round_num(env, fmt, precision, a.kind == SOFT_KIND_ZERO ? b : a);
    }
    return soft_sum(env, fmt, precision, a.sign, a.exp, (SoftWide)a.sig << 63, b.sign, b.exp,
                    (SoftWide)b.sig << 63);
}

SoftNum soft_num_mul(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b)
{
    bool sign = a.sign ^ b.sign;

    if (soft_special2(&a, &b)) {
        return soft_propagate(env, fmt, a, b);
    }
    if ((a.kind == SOFT_KIND_INFINITE && b.kind == SOFT_KIND_ZERO) ||
        (a.kind == SOFT_KIND_ZERO && b.kind == SOFT_KIND_INFINITE)) {
        return soft_invalid(env);
    }
    soft_note_denormals(env, &a, &b);
    if (a.kind == SOFT_KIND_INFINITE || b.kind == SOFT_KIND_INFINITE) {
        return soft_infinity(sign);
    }
    if (a.kind == SOFT_KIND_ZERO || b.kind == SOFT_KIND_ZERO) {
        return soft_zero(sign);
    }
    return soft_finish(env, fmt, soft_precision(env, fmt), sign, a.exp + b.exp + 1,
                       (SoftWide)a.sig * b.sig);
}

SoftNum soft_num_div(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b)
{
    bool sign = a.sign ^ b.sign;
    SoftWide dividend, quotient, rest;

    if (soft_special2(&a, &b)) {
        return soft_propagate(env, fmt, a, b);
    }
    if (a.kind == b.kind && a.kind != SOFT_KIND_FINITE) {
        return soft_invalid(env);
    }
    if (b.kind == SOFT_KIND_ZERO && a.kind == SOFT_KIND_FINITE) {
        env->flags |= SOFT_DIV_ZERO;
        return soft_infinity(sign);
    }
    soft_note_denormals(env, &a, &b);
    if (a.kind == SOFT_KIND_INFINITE) {
        return soft_infinity(sign);
    }
    if (a.kind == SOFT_KIND_ZERO || b.kind != SOFT_KIND_FINITE) {
        return b.kind == SOFT_KIND_ZERO ? soft_infinity(sign) : soft_zero(sign);
    }
    /* 64 bits of the quotient, the first of which may be zero, then 64 more, then a trace. */
    dividend = (SoftWide)a.sig << 63;
    quotient = dividend / b.sig;
    rest = (dividend - quotient * b.sig) << 64;
    quotient <<= 64;
    if (fmt->precision == 64) {
        SoftWide more = rest / b.sig;

        quotient |= more;
        rest -= more * b.sig;
    }
    return soft_finish(env, fmt, soft_precision(env, fmt), sign, a.exp - b.exp,
                       quotient | (rest != 0));
}

/* The integral root of a number with one of its two first bits set: 64 bits. */
static uint64_t soft_root(SoftWide n)
{
    uint64_t root = 0;
    SoftWide rest = 0;

    for (int i = 126; i >= 0; i -= 2) {
        SoftWide try = (SoftWide)root << 2 | 1;

        rest = rest << 2 | (n >> i & 3);
        root <<= 1;
        if (rest >= try) {
            rest -= try;
            root |= 1;
        }
    }
    return root;
}

SoftNum soft_num_sqrt(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a)
{
    SoftWide n, rest, sig;
    uint64_t root;

    if (a.kind >= SOFT_KIND_QUIET) {
        return soft_propagate(env, fmt, a, a);
    }
    if (a.kind == SOFT_KIND_ZERO) {
        return a;
    }
    if (a.sign) {
        return soft_invalid(env);
    }
    soft_note_denormals(env, &a, &a);
    if (a.kind == SOFT_KIND_INFINITE) {
        return a;
    }
    n = (SoftWide)a.sig << (a.exp & 1 ? 64 : 63);
    root = soft_root(n);
    rest = n - (SoftWide)root * root;
    /* The root is never halfway between two integers: (r + 1/2)^2 is no integer. */
    sig = (SoftWide)root << 64 | (rest > root ? 3ULL << 62 : rest != 0);
    return soft_round_pack(env, fmt, soft_precision(env, fmt), false, a.exp >> 1, sig);
}

SoftNum soft_num_fma(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, SoftNum b, SoftNum c,
                     unsigned negate)
{
    bool sign = a.sign ^ b.sign ^ (negate & SOFT_NEGATE_PRODUCT);
    bool bad_product = (a.kind == SOFT_KIND_INFINITE && b.kind == SOFT_KIND_ZERO) ||
                       (a.kind == SOFT_KIND_ZERO && b.kind == SOFT_KIND_INFINITE);
    bool infinite = a.kind == SOFT_KIND_INFINITE || b.kind == SOFT_KIND_INFINITE;
    SoftWide product;
    int32_t exp;

    if (soft_special2(&a, &b) || soft_is_nan(&c)) {
        if (c.kind == SOFT_KIND_SIGNALLING) {
            env->flags |= SOFT_INVALID;
        }
        return soft_special2(&a, &b) ? soft_propagate(env, fmt, a, b)
                                     : soft_propagate(env, fmt, c, c);
    }
    c.sign ^= (negate & SOFT_NEGATE_ADDEND) != 0;
    if (bad_product || (infinite && c.kind == SOFT_KIND_INFINITE && c.sign != sign)) {
        return soft_invalid(env);
    }
    soft_note_denormals(env, &a, &b);
    soft_note_denormals(env, &c, &c);
    if (infinite || c.kind == SOFT_KIND_INFINITE) {
        return soft_infinity(infinite ? sign : c.sign);
    }
    if (a.kind == SOFT_KIND_ZERO || b.kind == SOFT_KIND_ZERO) {
        if (c.kind == SOFT_KIND_ZERO) {
            return soft_zero(sign == c.sign ? sign : env->rounding == SOFT_ROUND_DOWN);
        }
        return soft_round_num(env, fmt, fmt->precision, c);
    }
    product = (SoftWide)a.sig * b.sig;
    exp = a.exp + b.exp;
    if (c.kind == SOFT_KIND_ZERO) {
        return soft_finish(env, fmt, fmt->precision, sign, exp + 1, product);
    }
    /* Significands of at most 53 bits leave 22 low bits of the product free. */
    if (product >> 127) {
        product >>= 1;
        exp++;
    }
    return soft_sum(env, fmt, fmt->precision, sign, exp, product, c.sign, c.exp,
                    (SoftWide)c.sig << 63);
}

SoftOrder soft_num_compare(SoftFloatEnv *env, SoftNum a, SoftNum b, bool quiet)
{
    int order;

    if (soft_special2(&a, &b)) {
        if (!quiet || a.kind >= SOFT_KIND_SIGNALLING || b.kind >= SOFT_KIND_SIGNALLING) {
            env->flags |= SOFT_INVALID;
        }
        return SOFT_UNORDERED;
    }
    soft_note_denormals(env, &a, &b);
    if (a.kind == SOFT_KIND_ZERO && b.kind == SOFT_KIND_ZERO) {
        return SOFT_EQUAL;
    }
    if (a.kind == SOFT_KIND_ZERO || b.kind == SOFT_KIND_ZERO) {
        return a.kind == SOFT_KIND_ZERO ? (b.sign ? SOFT_GREATER : SOFT_LESS)
                                        : (a.sign ? SOFT_LESS : SOFT_GREATER);
    }
    if (a.sign != b.sign) {
        return a.sign ? SOFT_LESS : SOFT_GREATER;
    }
    if (a.kind != b.kind) {
        order = a.kind == SOFT_KIND_INFINITE ? 1 : -1;
    } else if (a.exp != b.exp) {
        order = a.exp > b.exp ? 1 : -1;
    } else {
        order = (a.sig > b.sig) - (a.sig < b.sig);
    }
    return (SoftOrder)(a.sign ? -order : order);
}

/* ---- Integers and other formats ---- */

/* The magnitude's integral part above bit 64, its fraction below; exp is at most 63. */
static SoftWide soft_fixed(const SoftNum *a)
{
    return soft_shift_jam((SoftWide)a->sig << 64, (unsigned)(63 - a->exp));
}

SoftNum soft_num_round(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, unsigned rounding,
                       bool exact)
{
    SoftWide fixed;
    uint64_t whole;
    bool up;

    if (a.kind >= SOFT_KIND_QUIET) {
        return soft_propagate(env, fmt, a, a);
    }
    env->rounded_up = false;
    if (a.kind != SOFT_KIND_FINITE || a.exp >= 63) {
        return a;
    }
    fixed = soft_fixed(&a);
    up = soft_rounds_up(rounding, a.sign, fixed, 64);
    whole = (uint64_t)(fixed >> 64) + up;
    if ((uint64_t)fixed != 0) {
        env->rounded_up = up;
        env->flags |= exact ? 0 : SOFT_INEXACT;
    }
    if (whole == 0) {
        return soft_zero(a.sign);
    }
    a.exp = 63 - __builtin_clzll(whole);
    a.sig = whole << (63 - a.exp);
    return a;
}

SoftNum soft_num_convert(SoftFloatEnv *env, const SoftFormat *fmt, SoftNum a, bool report)
{
    if (a.kind >= SOFT_KIND_QUIET) {
        return soft_propagate(env, fmt, a, a);
    }
    if (a.denormal && report) {
        env->flags |= SOFT_DENORMAL;
    }
    env->rounded_up = false;
    return soft_round_num(env, fmt, fmt->precision, a);
}

uint64_t soft_num_to_int(SoftFloatEnv *env, SoftNum a, unsigned rounding, unsigned bits,
                         bool is_signed)
{
    uint64_t top = 1ULL << (bits - 1);
    uint64_t max = is_signed ? top - !a.sign : a.sign ? 0 : top - 1 + top;
    uint64_t magnitude = 0;
    SoftWide fixed = 0;
    bool up = false;
    bool fits = a.kind == SOFT_KIND_ZERO || (a.kind == SOFT_KIND_FINITE && a.exp <= 63);

    if (fits && a.kind == SOFT_KIND_FINITE) {
        fixed = soft_fixed(&a);
        up = soft_rounds_up(rounding, a.sign, fixed, 64);
        magnitude = (uint64_t)(fixed >> 64) + up;
        fits = magnitude <= max && (magnitude != 0 || !up);
    }
    if (!fits) {
        env->flags |= SOFT_INVALID;
        env->rounded_up = false;
        return is_signed ? top : top - 1 + top;
    }
    if ((uint64_t)fixed != 0) {
        env->flags |= SOFT_INEXACT;
    }
    env->rounded_up = up;
    return a.sign ? -magnitude : magnitude;
}

SoftNum soft_num_from_int(SoftFloatEnv *env, const SoftFormat *fmt, bool sign, uint64_t magnitude)
{
    unsigned shift;

    if (magnitude == 0) {
        return soft_zero(false);
    }
    shift = __builtin_clzll(magnitude);
    return soft_round_pack(env, fmt, fmt->precision, sign, 63 - (int32_t)shift,
                           (SoftWide)(magnitude << shift) << 64);
}
