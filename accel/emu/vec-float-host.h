/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the host back end enters and leaves the guest's MXCSR around host instructions. Between
 * host_enter() and host_leave() there are only asm statements, moves and integer code. x86-64
 * hosts only.
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

static inline void host_enter(EmuCpu *cpu)
{
    if (host_is_default(cpu->mxcsr)) {
        __asm__ volatile("ldmxcsr %0" : : "m"(cpu->mxcsr));
    } else {
        host_enter_special(cpu);
    }
}

/* As host_leave_special(). The usual controls are the host's too: nothing to restore. */
static inline bool host_leave(EmuCpu *cpu)
{
    if (host_is_default(cpu->mxcsr)) {
        __asm__ volatile("stmxcsr %0" : "=m"(cpu->mxcsr));
        return false;
    }
    return host_leave_special(cpu);
}

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

/* The end of every operation: have its twin raise what is unmasked. */
#define HOST_LEAVE(op) \
    do { \
        if (EMU_UNLIKELY(host_leave(cpu))) { \
            emu_soft_##op(EMU_FLOAT_ARGS); \
        } \
    } while (0)

/* The start of operations that not every x86-64 host has. */
#define HOST_NEED(feature, op) \
    do { \
        if (!__builtin_cpu_supports(feature)) { \
            emu_soft_##op(EMU_FLOAT_ARGS); \
            return; \
        } \
    } while (0)

#endif
