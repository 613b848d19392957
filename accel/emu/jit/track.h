/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a block's addresses have in common: each general register as a value unknown when the block
 * began, or made in it, plus a constant. Two accesses with the same unknown parts differ by the
 * constant, whatever registers and stack instructions lie between them.
 */
#ifndef VIREO_ACCEL_EMU_JIT_TRACK_H
#define VIREO_ACCEL_EMU_JIT_TRACK_H

#include "accel/emu/decode.h"

/* An unknown value plus a constant. */
typedef struct JitValue {
    uint32_t unknown;       /* 0: none, the constant is all */
    int64_t plus;
} JitValue;

typedef struct JitTrack {
    JitValue regs[EMU_REG_COUNT];
    uint32_t next;          /* unknown values are numbered */
    uint8_t word;           /* 8 bytes, or 4: then all is modulo 2^32 */
} JitTrack;

/* An address as instructions give it. */
typedef struct JitWhere {
    uint8_t base, index;    /* X86Reg, EMU_REG_ZERO, EMU_REG_PAGE_RIP */
    uint8_t scale, seg;     /* seg: X86_FS, X86_GS, else 0 */
    uint8_t addr_shift;     /* as EmuOp.addr_shift */
    int32_t disp;
} JitWhere;

/* Its unknown parts and its constant one. */
typedef struct JitPlace {
    uint32_t base, index;
    uint8_t scale, seg;
    int64_t plus;
} JitPlace;

typedef struct JitAccess {
    JitPlace place;
    uint16_t size;
    bool write;
    uint8_t op;             /* which of the block */
} JitAccess;

/* Of 64-bit code (word 8) or 32-bit code (4). */
void jit_track_begin(JitTrack *track, unsigned word);
/* A general register of any width? */
bool jit_is_general(const ZydisDecodedOperand *operand);
/* As EmuOp.addr_shift, of plain addresses. */
static inline unsigned jit_track_addr_shift(const JitTrack *track)
{
    return 64 - track->word * 8;
}

/* Nothing is known of any register now. */
void jit_track_forget(JitTrack *track);
/* The registers behind the op. */
void jit_track_op(JitTrack *track, const EmuOp *op, const EmuDecoded *decoded);
/* Where the op's memory operand is. */
JitWhere jit_op_where(const EmuOp *op);
/* False: an address that is not a plain sum of as many bits as the code has. */
bool jit_place_of(const JitTrack *track, const JitWhere *where, JitPlace *place);
bool jit_same_unknowns(const JitPlace *a, const JitPlace *b);
/* The accesses that the op is expected to make, at most two. */
unsigned jit_expect_accesses(const JitTrack *track, const EmuOp *op, const EmuDecoded *decoded,
                             JitAccess accesses[2]);

#endif
