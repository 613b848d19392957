/* SPDX-License-Identifier: Apache-2.0 */
/* SSE conversions by the host's instructions. */
#include "accel/emu/vec-float-host.h"

/* ---- Elements of equal size ---- */

#define HOST_CONVERT(op, insn) \
    HOST_OP(op, \
        __m128i value; \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            __asm__ volatile(insn " %1, %0" : "=x"(value) : "x"(host_load(b, i))); \
            host_store(dst, i, value); \
        })
HOST_CONVERT(dq2ps, "cvtdq2ps")
HOST_CONVERT(ps2dq, "cvtps2dq")
HOST_CONVERT(tps2dq, "cvttps2dq")

/* ---- To elements of twice the size, and half ---- */

#define HOST_WIDEN(op, insn) \
    HOST_OP(op, \
        __m128i value; \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            value = _mm_loadl_epi64((const __m128i *)&b->u64[i]); \
            __asm__ volatile(insn " %0, %0" : "+x"(value)); \
            host_store(dst, i, value); \
        })
HOST_WIDEN(dq2pd, "cvtdq2pd")
HOST_WIDEN(ps2pd, "cvtps2pd")

#define HOST_NARROW(op, insn) \
    HOST_OP(op, \
        __m128i value; \
        dst->u64[1] = 0; \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            __asm__ volatile(insn " %1, %0" : "=x"(value) : "x"(host_load(b, i))); \
            _mm_storel_epi64((__m128i *)&dst->u64[i], value); \
        })
HOST_NARROW(pd2dq, "cvtpd2dq")
HOST_NARROW(tpd2dq, "cvttpd2dq")
HOST_NARROW(pd2ps, "cvtpd2ps")

HOST_OP(ss2sd,
    __m128i value = host_load_ss(b);

    __asm__ volatile("cvtss2sd %0, %0" : "+x"(value));
    host_store_sd(dst, value);)

HOST_OP(sd2ss,
    __m128i value = host_load_sd(b);

    __asm__ volatile("cvtsd2ss %0, %0" : "+x"(value));
    host_store_ss(dst, value);)

HOST_OP_NEEDS("f16c", ph2ps,
    __m128i value;

    for (unsigned i = 0; i < bytes / 16; i++) {
        value = _mm_loadl_epi64((const __m128i *)&b->u64[i]);
        __asm__ volatile("vcvtph2ps %0, %0" : "+x"(value));
        host_store(dst, i, value);
    })

/* FTZ does not count here, so the host does not report tiny results that are exact. */
HOST_DEFINE(ps2ph, __builtin_cpu_supports("f16c") && (cpu->mxcsr & MXCSR_UM),
            host_enter_rounding(cpu, imm), false,
    __m128i value;

    dst->u64[1] = 0;
    for (unsigned i = 0; i < bytes / 16; i++) {
        value = host_load(b, i);
        __asm__ volatile("vcvtps2ph $4, %0, %0" : "+x"(value));
        _mm_storel_epi64((__m128i *)&dst->u64[i], value);
    })

/* ---- General registers ---- */

#define HOST_TO_GPR(op, insn, type) \
    HOST_OP(op, \
        __m128i value = host_load_##type(b); \
        uint64_t result; \
        uint32_t narrow; \
        if (imm == 8) { \
            __asm__ volatile(insn " %1, %0" : "=r"(result) : "x"(value)); \
        } else { \
            __asm__ volatile(insn " %1, %0" : "=r"(narrow) : "x"(value)); \
            result = narrow; \
        } \
        dst->u64[0] = result;)
HOST_TO_GPR(ss2si, "cvtss2si", ss)
HOST_TO_GPR(tss2si, "cvttss2si", ss)
HOST_TO_GPR(sd2si, "cvtsd2si", sd)
HOST_TO_GPR(tsd2si, "cvttsd2si", sd)

#define HOST_FROM_GPR(op, insn, type) \
    HOST_OP(op, \
        __m128i value = _mm_setzero_si128(); \
        if (imm == 8) { \
            __asm__ volatile(insn "q %1, %0" : "+x"(value) : "r"(b->u64[0])); \
        } else { \
            __asm__ volatile(insn "l %1, %0" : "+x"(value) : "r"(b->u32[0])); \
        } \
        host_store_##type(dst, value);)
HOST_FROM_GPR(si2ss, "cvtsi2ss", ss)
HOST_FROM_GPR(si2sd, "cvtsi2sd", sd)
