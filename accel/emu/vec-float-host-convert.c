/* SPDX-License-Identifier: Apache-2.0 */
/* SSE conversions by the host's instructions. */
#include "accel/emu/vec-float-host.h"

/* ---- Elements of equal size ---- */

#define HOST_CONVERT(op, insn) \
    EMU_FLOAT_FN(emu_host_##op) \
    { \
        __m128i value; \
        host_enter(cpu); \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            __asm__ volatile(insn " %1, %0" : "=x"(value) : "x"(host_load(b, i))); \
            host_store(dst, i, value); \
        } \
        HOST_LEAVE(op); \
    }
HOST_CONVERT(dq2ps, "cvtdq2ps")
HOST_CONVERT(ps2dq, "cvtps2dq")
HOST_CONVERT(tps2dq, "cvttps2dq")

/* ---- To elements of twice the size, and half ---- */

#define HOST_WIDEN(op, insn) \
    EMU_FLOAT_FN(emu_host_##op) \
    { \
        __m128i value; \
        host_enter(cpu); \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            value = _mm_loadl_epi64((const __m128i *)&b->u64[i]); \
            __asm__ volatile(insn " %0, %0" : "+x"(value)); \
            host_store(dst, i, value); \
        } \
        HOST_LEAVE(op); \
    }
HOST_WIDEN(dq2pd, "cvtdq2pd")
HOST_WIDEN(ps2pd, "cvtps2pd")

#define HOST_NARROW(op, insn) \
    EMU_FLOAT_FN(emu_host_##op) \
    { \
        __m128i value; \
        dst->u64[1] = 0; \
        host_enter(cpu); \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            __asm__ volatile(insn " %1, %0" : "=x"(value) : "x"(host_load(b, i))); \
            _mm_storel_epi64((__m128i *)&dst->u64[i], value); \
        } \
        HOST_LEAVE(op); \
    }
HOST_NARROW(pd2dq, "cvtpd2dq")
HOST_NARROW(tpd2dq, "cvttpd2dq")
HOST_NARROW(pd2ps, "cvtpd2ps")

EMU_FLOAT_FN(emu_host_ss2sd)
{
    __m128i value = host_load_ss(b);

    host_enter(cpu);
    __asm__ volatile("cvtss2sd %0, %0" : "+x"(value));
    host_store_sd(dst, value);
    HOST_LEAVE(ss2sd);
}

EMU_FLOAT_FN(emu_host_sd2ss)
{
    __m128i value = host_load_sd(b);

    host_enter(cpu);
    __asm__ volatile("cvtsd2ss %0, %0" : "+x"(value));
    host_store_ss(dst, value);
    HOST_LEAVE(sd2ss);
}

EMU_FLOAT_FN(emu_host_ph2ps)
{
    __m128i value;

    HOST_NEED("f16c", ph2ps);
    host_enter(cpu);
    for (unsigned i = 0; i < bytes / 16; i++) {
        value = _mm_loadl_epi64((const __m128i *)&b->u64[i]);
        __asm__ volatile("vcvtph2ps %0, %0" : "+x"(value));
        host_store(dst, i, value);
    }
    HOST_LEAVE(ph2ps);
}

/* FTZ does not count here, so the host does not report exact tiny results. */
EMU_FLOAT_FN(emu_host_ps2ph)
{
    __m128i value;

    if (EMU_UNLIKELY(!(cpu->mxcsr & MXCSR_UM))) {
        emu_soft_ps2ph(EMU_FLOAT_ARGS);
        return;
    }
    HOST_NEED("f16c", ps2ph);
    dst->u64[1] = 0;
    host_enter_rounding(cpu, imm);
    for (unsigned i = 0; i < bytes / 16; i++) {
        value = host_load(b, i);
        __asm__ volatile("vcvtps2ph $4, %0, %0" : "+x"(value));
        _mm_storel_epi64((__m128i *)&dst->u64[i], value);
    }
    if (EMU_UNLIKELY(host_leave_special(cpu))) {
        emu_soft_ps2ph(EMU_FLOAT_ARGS);
    }
}

/* ---- General registers ---- */

#define HOST_TO_GPR(op, insn, type) \
    EMU_FLOAT_FN(emu_host_##op) \
    { \
        __m128i value = host_load_##type(b); \
        uint64_t result; \
        uint32_t narrow; \
        host_enter(cpu); \
        if (imm == 8) { \
            __asm__ volatile(insn " %1, %0" : "=r"(result) : "x"(value)); \
        } else { \
            __asm__ volatile(insn " %1, %0" : "=r"(narrow) : "x"(value)); \
            result = narrow; \
        } \
        dst->u64[0] = result; \
        HOST_LEAVE(op); \
    }
HOST_TO_GPR(ss2si, "cvtss2si", ss)
HOST_TO_GPR(tss2si, "cvttss2si", ss)
HOST_TO_GPR(sd2si, "cvtsd2si", sd)
HOST_TO_GPR(tsd2si, "cvttsd2si", sd)

#define HOST_FROM_GPR(op, insn, type) \
    EMU_FLOAT_FN(emu_host_##op) \
    { \
        __m128i value = _mm_setzero_si128(); \
        host_enter(cpu); \
        if (imm == 8) { \
            __asm__ volatile(insn "q %1, %0" : "+x"(value) : "r"(b->u64[0])); \
        } else { \
            __asm__ volatile(insn "l %1, %0" : "+x"(value) : "r"(b->u32[0])); \
        } \
        host_store_##type(dst, value); \
        HOST_LEAVE(op); \
    }
HOST_FROM_GPR(si2ss, "cvtsi2ss", ss)
HOST_FROM_GPR(si2sd, "cvtsi2sd", sd)
