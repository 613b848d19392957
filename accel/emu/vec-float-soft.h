/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the portable back end share. */
#ifndef VIREO_ACCEL_EMU_VEC_FLOAT_SOFT_H
#define VIREO_ACCEL_EMU_VEC_FLOAT_SOFT_H

#include "accel/emu/soft-float.h"
#include "accel/emu/vec-float.h"

/* The end of every operation: may raise. */
static inline void soft_leave(EmuCpu *cpu, const SoftFloatEnv *env)
{
    emu_float_flags(cpu, soft_float_sse_flags(env));
}

/* ROUNDPS, VCVTPS2PH: the rounding that an immediate asks for. */
static inline unsigned soft_rounding(const SoftFloatEnv *env, unsigned imm)
{
    return imm & 4 ? env->rounding : imm & 3;
}

/*
 * An operation on elements: emu_soft_<op>, whose element i, u32 or u64, is `value`; for scalars i
 * is 0.
 */
#define SOFT_PACKED(op, lane, value) \
    EMU_FLOAT_FN(emu_soft_##op) \
    { \
        SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr); \
        for (unsigned i = 0; i < bytes / sizeof(dst->lane[0]); i++) { \
            dst->lane[i] = (value); \
        } \
        soft_leave(cpu, &env); \
    }
#define SOFT_SCALAR(op, lane, value) \
    EMU_FLOAT_FN(emu_soft_##op) \
    { \
        SoftFloatEnv env = soft_float_env_sse(cpu->mxcsr); \
        const unsigned i = 0; \
        dst->lane[i] = (value); \
        soft_leave(cpu, &env); \
    }

#endif
