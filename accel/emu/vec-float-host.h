/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the host back end computes under the guest's MXCSR. x86-64 hosts only.
 */
#ifndef VIREO_ACCEL_EMU_VEC_FLOAT_HOST_H
#define VIREO_ACCEL_EMU_VEC_FLOAT_HOST_H

#include <emmintrin.h>

#include "accel/emu/vec-float.h"

static inline bool host_is_default(uint32_t mxcsr)
{
    return EMU_LIKELY((mxcsr & ~MXCSR_FLAGS) == EMU_HOST_MXCSR);
}

/* Load the guest's controls, or what stands for them; leave by host_leave_special(). */
void host_enter_special(EmuCpu *cpu);
/* The same with the rounding of an immediate, as ROUNDPS has it. */
void host_enter_rounding(EmuCpu *cpu, unsigned imm);
/*
 * Back to the host's controls; the flags to the guest's. True: an unmasked exception came up, and
 * nothing was changed.
 */
bool host_leave_special(EmuCpu *cpu);

/* Whole 16-byte parts, and the lowest element of a vector (zeros above). */
static inline __m128i host_load(const EmuVec *v, unsigned part)
{
    return _mm_loadu_si128((const __m128i *)(v->u8 + 16 * part));
}

static inline void host_store(EmuVec *v, unsigned part, __m128i value)
{
    _mm_storeu_si128((__m128i *)(v->u8 + 16 * part), value);
}

static inline __m128i host_load_ss(const EmuVec *v)
{
    return _mm_cvtsi32_si128(v->s32[0]);
}

static inline __m128i host_load_sd(const EmuVec *v)
{
    return _mm_loadl_epi64((const __m128i *)v->u64);
}

static inline void host_store_ss(EmuVec *v, __m128i value)
{
    v->s32[0] = _mm_cvtsi128_si32(value);
}

static inline void host_store_sd(EmuVec *v, __m128i value)
{
    _mm_storel_epi64((__m128i *)v->u64, value);
}

/*
 * Define emu_host_<op>. The body writes dst under the guest's controls, by asm statements, moves
 * and integer code only. The usual controls are the host's too, so that there is nothing to
 * restore, and the function calls no other.
 */
#define HOST_DEFINE(op, check, enter_special, is_usual, ...) \
    static inline __attribute__((always_inline)) EMU_FLOAT_FN(op##_body) \
    { \
        __VA_ARGS__ \
    } \
    static __attribute__((noinline)) EMU_FLOAT_FN(op##_special) \
    { \
        enter_special; \
        op##_body(EMU_FLOAT_ARGS); \
        if (EMU_UNLIKELY(host_leave_special(cpu))) { \
            emu_soft_##op(EMU_FLOAT_ARGS); \
        } \
    } \
    EMU_FLOAT_FN(emu_host_##op) \
    { \
        if (EMU_UNLIKELY(!(check))) { \
            emu_soft_##op(EMU_FLOAT_ARGS); \
        } else if (is_usual) { \
            __asm__ volatile("ldmxcsr %0" : : "m"(cpu->mxcsr)); \
            op##_body(EMU_FLOAT_ARGS); \
            __asm__ volatile("stmxcsr %0" : "=m"(cpu->mxcsr)); \
        } else { \
            op##_special(EMU_FLOAT_ARGS); \
        } \
    }

#define HOST_OP(op, ...) \
    HOST_DEFINE(op, true, host_enter_special(cpu), host_is_default(cpu->mxcsr), __VA_ARGS__)
/* Not every x86-64 host has the instruction. */
#define HOST_OP_NEEDS(feature, op, ...) \
    HOST_DEFINE(op, __builtin_cpu_supports(feature), host_enter_special(cpu), \
                host_is_default(cpu->mxcsr), __VA_ARGS__)
/* The immediate chooses the rounding. */
#define HOST_OP_ROUNDING(feature, op, ...) \
    HOST_DEFINE(op, __builtin_cpu_supports(feature), host_enter_rounding(cpu, imm), false, \
                __VA_ARGS__)

#endif
