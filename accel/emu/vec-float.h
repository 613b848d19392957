/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSE floating point: one list of operations, two back ends. emu_soft_* (vec-float-soft*.c) compute
 * with soft-float.h on any host and are exact in everything, unmasked exceptions included.
 * emu_host_* (vec-float-host*.c, x86-64 hosts) compute with the host's instructions under the
 * guest's rounding, DAZ and FTZ, all exceptions masked, and hand over to their twins when a guest's
 * unmasked exception came up or the host lacks the instruction. Both are EmuVecFn (vec.h): they add
 * their flags to cpu->mxcsr, raise #XM (#UD without CR4.OSXMMEXCPT), and so return only with a
 * result.
 *
 * While guest code runs the controls in the host's MXCSR are EMU_HOST_MXCSR's between operations;
 * its flags mean nothing.
 */
#ifndef VIREO_ACCEL_EMU_VEC_FLOAT_H
#define VIREO_ACCEL_EMU_VEC_FLOAT_H

#include "accel/emu/vec.h"

enum {
    MXCSR_FLAGS = 0x3f, MXCSR_DAZ = 1u << 6, MXCSR_MASK_SHIFT = 7, MXCSR_UM = 1u << 11,
    MXCSR_MASKS = 0x3fu << MXCSR_MASK_SHIFT, MXCSR_RC_SHIFT = 13, MXCSR_RC = 3u << 13,
    MXCSR_FTZ = 1u << 15,
};
#define EMU_HOST_MXCSR 0x1f80u

/*
 * ps pd: on all of `bytes`; ss sd: on the lowest element. cmp: imm is a predicate of the VEX form,
 * 0..31. comi, ucomi set the CPU's flags. dp, round, ps2ph: imm as encoded.
 *
 * Conversions are named source2destination, with a leading t if they truncate. dq: 32-bit integers;
 * packed ones to a narrower type clear what is left of 16 bytes. si: general registers, 64-bit ones
 * if imm is 8.
 */
#define EMU_FLOAT_OPS(X) \
    X(add_ps) X(add_pd) X(add_ss) X(add_sd) X(sub_ps) X(sub_pd) X(sub_ss) X(sub_sd) \
    X(mul_ps) X(mul_pd) X(mul_ss) X(mul_sd) X(div_ps) X(div_pd) X(div_ss) X(div_sd) \
    X(min_ps) X(min_pd) X(min_ss) X(min_sd) X(max_ps) X(max_pd) X(max_ss) X(max_sd) \
    X(sqrt_ps) X(sqrt_pd) X(sqrt_ss) X(sqrt_sd) X(rcp_ps) X(rcp_ss) X(rsqrt_ps) X(rsqrt_ss) \
    X(cmp_ps) X(cmp_pd) X(cmp_ss) X(cmp_sd) X(comi_ss) X(comi_sd) X(ucomi_ss) X(ucomi_sd) \
    X(addsub_ps) X(addsub_pd) X(hadd_ps) X(hadd_pd) X(hsub_ps) X(hsub_pd) X(dp_ps) X(dp_pd) \
    X(round_ps) X(round_pd) X(round_ss) X(round_sd) \
    X(dq2ps) X(ps2dq) X(tps2dq) X(dq2pd) X(pd2dq) X(tpd2dq) X(ps2pd) X(pd2ps) X(ss2sd) X(sd2ss) \
    X(ph2ps) X(ps2ph) X(ss2si) X(tss2si) X(sd2si) X(tsd2si) X(si2ss) X(si2sd)

/*
 * FMA3, in each order of operands: 132 is a * b + c, 213 c * a + b, 231 c * b + a, where a, b and c
 * are those of EMU_VEC_FMA (vec.h).
 */
#define EMU_FMA_ORDERS(X, op) X(132, op) X(213, op) X(231, op)
#define EMU_FMA_SCALAR_OPS(X) X(fmadd) X(fmsub) X(fnmadd) X(fnmsub)
#define EMU_FMA_PACKED_OPS(X) EMU_FMA_SCALAR_OPS(X) X(fmaddsub) X(fmsubadd)

#define EMU_FLOAT_DECLARE(op) EmuVecFn emu_host_##op, emu_soft_##op;
EMU_FLOAT_OPS(EMU_FLOAT_DECLARE)
#define EMU_FMA_DECLARE_PACKED(order, op) \
    EMU_FLOAT_DECLARE(op##order##_ps) EMU_FLOAT_DECLARE(op##order##_pd)
#define EMU_FMA_DECLARE_SCALAR(order, op) \
    EMU_FLOAT_DECLARE(op##order##_ss) EMU_FLOAT_DECLARE(op##order##_sd)
#define EMU_FMA_DECLARE_PACKED_OP(op) EMU_FMA_ORDERS(EMU_FMA_DECLARE_PACKED, op)
#define EMU_FMA_DECLARE_SCALAR_OP(op) EMU_FMA_ORDERS(EMU_FMA_DECLARE_SCALAR, op)
EMU_FMA_PACKED_OPS(EMU_FMA_DECLARE_PACKED_OP)
EMU_FMA_SCALAR_OPS(EMU_FMA_DECLARE_SCALAR_OP)

/* The back end that this host's handlers use. */
#if defined(__x86_64__)
#define EMU_FLOAT(op) emu_host_##op
#else
#define EMU_FLOAT(op) emu_soft_##op
#endif

/* Heads of functions of type EmuVecFn, and a call to a twin. */
#define EMU_FLOAT_FN(name) \
    void name(EmuCpu *cpu, EmuVec *dst, const EmuVec *a, const EmuVec *b, const EmuVec *c, \
              unsigned imm, unsigned bytes)
#define EMU_FLOAT_ARGS cpu, dst, a, b, c, imm, bytes

/* MXCSR_FLAGS that an operation found: make them visible, and raise if one is unmasked. */
void emu_float_flags(EmuCpu *cpu, uint32_t flags);

#endif
