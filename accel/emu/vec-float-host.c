/* SPDX-License-Identifier: Apache-2.0 */
/* SSE arithmetic by the host's instructions. */
#include "accel/emu/vec-float-host.h"

#include "accel/emu/flags.h"

/*
 * What to load for a guest whose controls are not the default: all masked. If a guest's exception
 * is not, only new flags are of interest; and as tiny results that are exact raise an unmasked
 * underflow, flushing makes the host report these too.
 */
static uint32_t host_controls(uint32_t mxcsr)
{
    if ((mxcsr & MXCSR_MASKS) != MXCSR_MASKS) {
        mxcsr = (mxcsr & ~MXCSR_FLAGS) | (mxcsr & MXCSR_UM ? 0 : MXCSR_FTZ) | MXCSR_MASKS;
    }
    return mxcsr;
}

static void load_mxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

void host_enter_special(EmuCpu *cpu)
{
    load_mxcsr(host_controls(cpu->mxcsr));
}

void host_enter_rounding(EmuCpu *cpu, unsigned imm)
{
    uint32_t mxcsr = host_controls(cpu->mxcsr);

    if (!(imm & 4)) {
        mxcsr = (mxcsr & ~MXCSR_RC) | (imm & 3) << MXCSR_RC_SHIFT;
    }
    load_mxcsr(mxcsr);
}

bool host_leave_special(EmuCpu *cpu)
{
    uint32_t flags;

    __asm__ volatile("stmxcsr %0" : "=m"(flags));
    load_mxcsr(EMU_HOST_MXCSR);
    flags &= MXCSR_FLAGS;
    if ((cpu->mxcsr & MXCSR_MASKS) != MXCSR_MASKS &&
        (flags & ~(cpu->mxcsr >> MXCSR_MASK_SHIFT))) {
        return true;
    }
    cpu->mxcsr |= flags;
    return false;
}

/* ---- Two operands in, one out ---- */

#define HOST_PACKED_BODY(insn) \
    __m128i low = host_load(a, 0), high; \
    __asm__ volatile(insn " %1, %0" : "+x"(low) : "x"(host_load(b, 0))); \
    if (bytes > 16) { \
        high = host_load(a, 1); \
        __asm__ volatile(insn " %1, %0" : "+x"(high) : "x"(host_load(b, 1))); \
        host_store(dst, 1, high); \
    } \
    host_store(dst, 0, low);

#define HOST_PACKED(op, insn) HOST_OP(op, HOST_PACKED_BODY(insn))
#define HOST_PACKED_SSE3(op, insn) HOST_OP_NEEDS("sse3", op, HOST_PACKED_BODY(insn))
#define HOST_SCALAR(op, type, insn) \
    HOST_OP(op##_##type, \
            __m128i value = host_load_##type(a); \
            __asm__ volatile(insn " %1, %0" : "+x"(value) : "x"(host_load_##type(b))); \
            host_store_##type(dst, value);)

#define HOST_ARITHMETIC(op) \
    HOST_PACKED(op##_ps, #op "ps") \
    HOST_PACKED(op##_pd, #op "pd") \
    HOST_SCALAR(op, ss, #op "ss") \
    HOST_SCALAR(op, sd, #op "sd")

HOST_ARITHMETIC(add)
HOST_ARITHMETIC(sub)
HOST_ARITHMETIC(mul)
HOST_ARITHMETIC(div)
HOST_ARITHMETIC(min)
HOST_ARITHMETIC(max)
HOST_ARITHMETIC(sqrt)

HOST_PACKED_SSE3(addsub_ps, "addsubps")
HOST_PACKED_SSE3(addsub_pd, "addsubpd")
HOST_PACKED_SSE3(hadd_ps, "haddps")
HOST_PACKED_SSE3(hadd_pd, "haddpd")
HOST_PACKED_SSE3(hsub_ps, "hsubps")
HOST_PACKED_SSE3(hsub_pd, "hsubpd")

/* ---- Approximations: MXCSR plays no part ---- */

#define HOST_APPROXIMATE(op) \
    EMU_FLOAT_FN(emu_host_##op##_ps) \
    { \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            host_store(dst, i, (__m128i)_mm_##op##_ps((__m128)host_load(b, i))); \
        } \
    } \
    EMU_FLOAT_FN(emu_host_##op##_ss) \
    { \
        host_store_ss(dst, (__m128i)_mm_##op##_ss((__m128)host_load_ss(b))); \
    }

HOST_APPROXIMATE(rcp)
HOST_APPROXIMATE(rsqrt)

/* ---- Comparisons ---- */

#define HOST_ORDER(op, type) \
    static inline __attribute__((always_inline)) unsigned \
    op##_##type##_order(const EmuVec *a, const EmuVec *b) \
    { \
        bool zf, pf, cf; \
        __asm__ volatile(#op #type " %4, %3" \
                         : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) \
                         : "x"(host_load_##type(a)), "x"(host_load_##type(b))); \
        return (zf ? FLAG_ZF : 0) | (pf ? FLAG_PF : 0) | (cf ? FLAG_CF : 0); \
    } \
    EMU_FLOAT_FN(emu_host_##op##_##type) \
    { \
        unsigned order; \
        if (host_is_default(cpu->mxcsr)) { \
            __asm__ volatile("ldmxcsr %0" : : "m"(cpu->mxcsr)); \
            order = op##_##type##_order(a, b); \
            __asm__ volatile("stmxcsr %0" : "=m"(cpu->mxcsr)); \
        } else { \
            host_enter_special(cpu); \
            order = op##_##type##_order(a, b); \
            if (EMU_UNLIKELY(host_leave_special(cpu))) { \
                emu_soft_##op##_##type(EMU_FLOAT_ARGS); \
                return; \
            } \
        } \
        emu_flags_set(cpu, order); \
    }

HOST_ORDER(comi, ss)
HOST_ORDER(comi, sd)
HOST_ORDER(ucomi, ss)
HOST_ORDER(ucomi, sd)

/* The predicates 0 to 7 are in the legacy form as well. */
#define HOST_CMP_LEGACY(n, type) \
    case n: \
        __asm__ volatile("cmp" type " $" #n ", %1, %0" : "+x"(a) : "x"(b)); \
        break;
#define HOST_CMP_VEX(n, type) \
    case n: \
        __asm__ volatile("vcmp" type " $" #n ", %1, %0, %0" : "+x"(a) : "x"(b)); \
        break;
#define HOST_8(X, type) X(0, type) X(1, type) X(2, type) X(3, type) X(4, type) X(5, type) \
    X(6, type) X(7, type)
#define HOST_8_TO_31(X, type) X(8, type) X(9, type) X(10, type) X(11, type) X(12, type) \
    X(13, type) X(14, type) X(15, type) X(16, type) X(17, type) X(18, type) X(19, type) \
    X(20, type) X(21, type) X(22, type) X(23, type) X(24, type) X(25, type) X(26, type) \
    X(27, type) X(28, type) X(29, type) X(30, type) X(31, type)

#define HOST_CMP(type) \
    static inline __attribute__((always_inline)) __m128i \
    compare_##type(__m128i a, __m128i b, unsigned predicate) \
    { \
        switch (predicate & 31) { \
            HOST_8(HOST_CMP_LEGACY, #type) \
            HOST_8_TO_31(HOST_CMP_VEX, #type) \
        } \
        return a; \
    }
HOST_CMP(ps)
HOST_CMP(pd)
HOST_CMP(ss)
HOST_CMP(sd)

#define HOST_CMP_PACKED(type) \
    HOST_DEFINE(cmp_##type, imm < 8 || __builtin_cpu_supports("avx"), host_enter_special(cpu), \
                host_is_default(cpu->mxcsr), \
                for (unsigned i = 0; i < bytes / 16; i++) { \
                    host_store(dst, i, compare_##type(host_load(a, i), host_load(b, i), imm)); \
                })
#define HOST_CMP_SCALAR(type) \
    HOST_DEFINE(cmp_##type, imm < 8 || __builtin_cpu_supports("avx"), host_enter_special(cpu), \
                host_is_default(cpu->mxcsr), \
                host_store_##type(dst, compare_##type(host_load_##type(a), \
                                                      host_load_##type(b), imm));)
HOST_CMP_PACKED(ps)
HOST_CMP_PACKED(pd)
HOST_CMP_SCALAR(ss)
HOST_CMP_SCALAR(sd)

/*
 * ---- Dot products ----
 *
 * Elements that are left out are zeros, which raise nothing. Each element of the result is a sum of
 * its own: which of several NaNs it gets depends on the order of its operands.
 */

static __m128i mask_ps(unsigned bits)
{
    const __m128i lanes = _mm_setr_epi32(1, 2, 4, 8);

    return _mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32(bits), lanes), lanes);
}

static __m128i mask_pd(unsigned bits)
{
    const __m128i lanes = _mm_setr_epi32(1, 1, 2, 2);

    return _mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32(bits), lanes), lanes);
}

HOST_OP(dp_ps,
    __m128i use = mask_ps(imm >> 4), keep = mask_ps(imm), product, other;

    for (unsigned i = 0; i < bytes / 16; i++) {
        product = _mm_and_si128(host_load(a, i), use);
        other = _mm_and_si128(host_load(b, i), use);
        __asm__ volatile("mulps %1, %0\n\t"
                         "movaps %0, %1\n\t"
                         "shufps $0xb1, %1, %1\n\t" /* the neighbours, first operands */
                         "addps %0, %1\n\t"
                         "movaps %1, %0\n\t"
                         "shufps $0x4e, %1, %1\n\t" /* the other halves, second operands */
                         "addps %1, %0"
                         : "+x"(product), "+x"(other));
        host_store(dst, i, _mm_and_si128(product, keep));
    })

HOST_OP(dp_pd,
    __m128i use = mask_pd(imm >> 4), product, other;

    product = _mm_and_si128(host_load(a, 0), use);
    other = _mm_and_si128(host_load(b, 0), use);
    __asm__ volatile("mulpd %1, %0\n\t"
                     "movapd %0, %1\n\t"
                     "shufpd $1, %1, %1\n\t"
                     "addpd %1, %0"
                     : "+x"(product), "+x"(other));
    host_store(dst, 0, _mm_and_si128(product, mask_pd(imm)));)

/* ---- Rounding to integral values: by MXCSR, which the immediate went into ---- */

#define HOST_ROUND(insn, value) \
    do { \
        if (imm & 8) { \
            __asm__ volatile(insn " $12, %0, %0" : "+x"(value)); \
        } else { \
            __asm__ volatile(insn " $4, %0, %0" : "+x"(value)); \
        } \
    } while (0)

#define HOST_ROUND_PACKED(type) \
    HOST_OP_ROUNDING("sse4.1", round_##type, \
        __m128i value; \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            value = host_load(b, i); \
            HOST_ROUND("round" #type, value); \
            host_store(dst, i, value); \
        })
#define HOST_ROUND_SCALAR(type) \
    HOST_OP_ROUNDING("sse4.1", round_##type, \
        __m128i value = host_load_##type(b); \
        HOST_ROUND("round" #type, value); \
        host_store_##type(dst, value);)
HOST_ROUND_PACKED(ps)
HOST_ROUND_PACKED(pd)
HOST_ROUND_SCALAR(ss)
HOST_ROUND_SCALAR(sd)
