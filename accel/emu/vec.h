/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of MMX, SSE and AVX instructions. A row of a group names a pure function on vectors; the
 * handlers of vec.c do everything else: fetch operands (checking alignment where the legacy form
 * does), merge or zero what lies above, write the result. One function so serves PADDB mm, PADDB xmm,
 * VPADDB xmm and VPADDB ymm.
 */
#ifndef VIREO_ACCEL_EMU_VEC_H
#define VIREO_ACCEL_EMU_VEC_H

#include "accel/emu/decode.h"
#include "accel/emu/mem.h"

/*
 * dst = f(a, b, c) over `bytes` (8: MMX, 16 or 32) bytes, all of which it writes. dst aliases no
 * source. a is the first source (legacy forms: the destination's old value), b the second, register
 * or memory, c the third (BLENDV's mask, FMA's addend) or NULL. What shuffles does so within each
 * 128-bit lane if the instruction does. SSE arithmetic collects exceptions in cpu->mxcsr and raises
 * #XM before anything is written.
 */
typedef void EmuVecFn(EmuCpu *cpu, EmuVec *dst, const EmuVec *a, const EmuVec *b, const EmuVec *c,
                      unsigned imm, unsigned bytes);

/* A scalar result occupies this many low bytes of dst; the rest comes from a. 0: packed. */
typedef struct EmuVecRow {
    EmuVecFn *fn;
    uint8_t scalar;      /* 0: packed; else bytes of the scalar result */
    uint8_t mem_bytes;   /* bytes of a memory source; 0: the vector's length; 0xff: half of it,
                            0xfe: a quarter, 0xfd: an eighth (PMOVZX and friends) */
    uint8_t flags;       /* EMU_VEC_* */
} EmuVecRow;

enum {
    EMU_VEC_UNARY = 1u << 0,     /* one source, which arrives as b; a is the old destination */
    EMU_VEC_UNALIGNED = 1u << 1, /* the legacy form takes unaligned 16-byte operands */
    EMU_VEC_FLOAT = 1u << 2,     /* computes by MXCSR: may raise #XM */
};

/* For EmuInsn.bind; EmuInsn.data is an EmuVecRow. Handles every form with a vector destination. */
EmuBind emu_vec_bind;

#endif
