/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing x86-64 host code: a cursor and the few instructions that translated code is glued
 * together with. None of the helpers here touches the arithmetic flags: they belong to the guest
 * while its code runs.
 */
#ifndef VIREO_ACCEL_EMU_JIT_ASM_H
#define VIREO_ACCEL_EMU_JIT_ASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Host registers by their encoding. */
typedef enum HostReg {
    HOST_RAX, HOST_RCX, HOST_RDX, HOST_RBX, HOST_RSP, HOST_RBP, HOST_RSI, HOST_RDI,
    HOST_R8, HOST_R9, HOST_R10, HOST_R11, HOST_R12, HOST_R13, HOST_R14, HOST_R15,
    HOST_NONE = -1,
} HostReg;

/* Code is written through one mapping and runs at another (W^X): run = write + delta. */
typedef struct JitAsm {
    uint8_t *at;      /* next byte */
    uint8_t *end;
    ptrdiff_t delta;
    bool full;        /* ran into the end: what was written is useless */
} JitAsm;

/* [base + index << scale + disp]; base may be HOST_NONE only with an index. */
typedef struct JitMem {
    HostReg base, index;
    uint8_t scale;
    int32_t disp;
} JitMem;

static inline void jit_u8(JitAsm *as, uint8_t byte)
{
    if (as->at < as->end) {
        *as->at++ = byte;
    } else {
        as->full = true;
    }
}

static inline void jit_bytes(JitAsm *as, const void *bytes, size_t len)
{
    if ((size_t)(as->end - as->at) >= len) {
        memcpy(as->at, bytes, len);
        as->at += len;
    } else {
        as->full = true;
    }
}

static inline void jit_u32(JitAsm *as, uint32_t value)
{
    jit_bytes(as, &value, sizeof(value));
}

static inline void jit_u64(JitAsm *as, uint64_t value)
{
    jit_bytes(as, &value, sizeof(value));
}

/* ModRM, SIB and displacement of a memory operand; `reg` is the low three bits of the other one. */
void jit_modrm_mem(JitAsm *as, unsigned reg, const JitMem *mem);
/* REX for these registers; left out if it would be 0x40 and `force` is not set. */
void jit_rex(JitAsm *as, bool w, unsigned reg, unsigned index, unsigned base, bool force);
/* opcode (one byte; 0x0fXX with `two`) reg, [mem] */
void jit_op_mem(JitAsm *as, bool w, uint8_t opcode, HostReg reg, const JitMem *mem);

#define JIT_MEM(b, d) (&(JitMem) { .base = (b), .index = HOST_NONE, .disp = (d) })

static inline void jit_load64(JitAsm *as, HostReg dst, HostReg base, int32_t disp)
{
    jit_op_mem(as, true, 0x8b, dst, JIT_MEM(base, disp));
}

static inline void jit_load32(JitAsm *as, HostReg dst, HostReg base, int32_t disp)
{
    jit_op_mem(as, false, 0x8b, dst, JIT_MEM(base, disp));
}

static inline void jit_store64(JitAsm *as, HostReg base, int32_t disp, HostReg src)
{
    jit_op_mem(as, true, 0x89, src, JIT_MEM(base, disp));
}

static inline void jit_store32(JitAsm *as, HostReg base, int32_t disp, HostReg src)
{
    jit_op_mem(as, false, 0x89, src, JIT_MEM(base, disp));
}

static inline void jit_lea(JitAsm *as, bool w, HostReg dst, const JitMem *mem)
{
    jit_op_mem(as, w, 0x8d, dst, mem);
}

void jit_push(JitAsm *as, HostReg reg);
void jit_pop(JitAsm *as, HostReg reg);
void jit_ret(JitAsm *as);
void jit_mov(JitAsm *as, HostReg dst, HostReg src);
/* The low 32 bits, the others zero. */
void jit_mov32(JitAsm *as, HostReg dst, HostReg src);
/* The low 32 bits, sign-extended. */
void jit_movsxd(JitAsm *as, HostReg dst, HostReg src);
void jit_not(JitAsm *as, HostReg reg);
void jit_not32(JitAsm *as, HostReg reg);
void jit_mov_imm(JitAsm *as, HostReg dst, uint64_t value);
/* BMI2 shifts, which leave the flags alone. */
void jit_rorx(JitAsm *as, HostReg dst, HostReg src, unsigned count);
void jit_shlx(JitAsm *as, HostReg dst, HostReg src, HostReg count);
void jit_shrx(JitAsm *as, HostReg dst, HostReg src, HostReg count);
void jit_sarx(JitAsm *as, HostReg dst, HostReg src, HostReg count);
/* The bits of src that mask selects, gathered at the bottom; and spread again. */
void jit_pext(JitAsm *as, HostReg dst, HostReg src, HostReg mask);
void jit_pext_mem(JitAsm *as, HostReg dst, HostReg src, const JitMem *mask);
void jit_pdep(JitAsm *as, HostReg dst, HostReg src, HostReg mask);

/*
 * dst = the `bits` bits of src from bit `shift` on. With `slow_pext` by shifts, and `scratch` is
 * lost. dst is neither src nor scratch.
 */
void jit_field(JitAsm *as, HostReg dst, HostReg src, unsigned shift, unsigned bits,
               HostReg scratch, bool slow_pext);
/* AND; `scratch` is lost. Two instructions of BMI2, which some hosts have as microcode. */
void jit_and(JitAsm *as, HostReg reg, uint32_t mask, HostReg scratch);

/*
 * Before a jump of `len` bytes (with the comparison that it fuses with): NOPs, if it would cross or
 * end at a multiple of 32 bytes. Where Intel's processors of 2015 to 2019 have the microcode for
 * their erratum of such jumps, they decode these 32 bytes anew each time.
 */
#define JIT_JUMP_LINE 32
void jit_pad_jump(JitAsm *as, unsigned len);

/* Jumps. The 32-bit ones return where their displacement stands, for jit_patch(). */
uint8_t *jit_jmp(JitAsm *as);
uint8_t *jit_jcc(JitAsm *as, unsigned condition);
uint8_t *jit_call(JitAsm *as);
/* To a place (writable address) shortly before, if RCX is zero. */
void jit_jrcxz_back(JitAsm *as, const uint8_t *target);
/* A short one forward if RCX is zero: where its displacement stands, for jit_patch_short(). */
uint8_t *jit_jrcxz(JitAsm *as);
void jit_patch_short(uint8_t *disp, const uint8_t *target);
/* Jumps over the 5 bytes of a jmp that follows, if RCX is zero. */
void jit_jrcxz_over_jmp(JitAsm *as);
void jit_jmp_to(JitAsm *as, const void *run_target);
void jit_call_to(JitAsm *as, const void *run_target);
/* Make the jump whose displacement is at `disp` (writable address) lead to `target` (writable). */
static inline void jit_patch(uint8_t *disp, const uint8_t *target)
{
    int32_t value = (int32_t)(target - (disp + 4));

    memcpy(disp, &value, sizeof(value));
}

#endif
