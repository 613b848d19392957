/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of MMX, SSE and AVX instructions. A row of a group names a pure function on vectors;
 * the handlers of vec.c do everything else: fetch operands (checking alignment where the legacy
 * form does), merge or zero what lies above, write the result. One function so serves PADDB mm,
 * PADDB xmm, VPADDB xmm and VPADDB ymm.
 */
#ifndef VIREO_ACCEL_EMU_VEC_H
#define VIREO_ACCEL_EMU_VEC_H

#include "accel/emu/decode.h"
#include "accel/emu/mem.h"

/*
 * dst = f(a, b, c). `bytes` is the length of the instruction's vectors: 8 (MMX), 16 or 32, or, in
 * a row with `scalar`, that number. It writes at least that many bytes of dst (those above do not
 * matter; what converts 32 bytes to 16 need not write the upper half). dst aliases no source unless
 * the row says EMU_VEC_IN_PLACE. a is the first source (legacy forms: the destination's old value),
 * b the last, register or memory, c the third (BLENDV's mask, XMM0 if implicit; FMA: the second
 * operand) or an arbitrary register. What shuffles does so within each 128-bit lane if the
 * instruction does. Bits of memory and general registers above the operand's size read as zero up
 * to bit 127.
 *
 * Results in general registers are dst->u64[0]. General registers as sources are b->u64[0]. imm is
 * the immediate byte, or else the size in bytes of the general register operand, if there is one.
 * SSE arithmetic collects exceptions in cpu->mxcsr and raises #XM before anything is written.
 */
typedef void EmuVecFn(EmuCpu *cpu, EmuVec *dst, const EmuVec *a, const EmuVec *b, const EmuVec *c,
                      unsigned imm, unsigned bytes);

typedef struct EmuVecRow {
    EmuVecFn *fn;
    uint8_t scalar;      /* 0: packed; else only so many (4, 8) low bytes of dst are the result, the
                            rest up to bit 127 comes from a */
    uint8_t mem_bytes;   /* of a memory operand, where Zydis's operand size is wrong; else 0 */
    uint8_t flags;       /* EMU_VEC_* */
} EmuVecRow;

enum {
    EMU_VEC_UNALIGNED = 1u << 0, /* the legacy form takes unaligned 16-byte operands */
    EMU_VEC_FLOAT = 1u << 1,     /* computes by MXCSR: may raise #XM */
    EMU_VEC_IN_PLACE = 1u << 2,  /* dst may alias a source: 16 bytes of dst depend on the same 16 of
                                    the sources only and are written last; writes just `bytes`;
                                    cannot raise */
    EMU_VEC_FLAGS = 1u << 3,     /* no vector is written: a is the first operand, b the second; the
                                    function itself sets flags and general registers, last */
    EMU_VEC_FMA = 1u << 4,       /* three sources: a is the destination's old value, c the second
                                    operand, b the third */
};

/*
 * For EmuInsn.bind; EmuInsn.data is an EmuVecRow. Every form whose destination is a vector, an MMX
 * register, a general register or memory (the result's low bytes are stored), or with
 * EMU_VEC_FLAGS. Leaves in the op: imm the function, imm2 the immediate, r[0..3] dst, a, b, c.
 */
EmuBind emu_vec_bind;
/* The same with a row of the caller's choice. */
EmuOpFn *emu_vec_bind_row(const EmuDecoded *decoded, EmuOp *op, const EmuVecRow *row);
/* For instructions that have a form with an immediate and one without: data is an EmuVecPair. */
typedef struct EmuVecPair {
    EmuVecRow by_vec, by_imm;
} EmuVecPair;
EmuBind emu_vec_bind_pair;
/* Does the guest have the instruction's feature, and is the encoding legacy or VEX? */
bool emu_vec_allowed(const EmuDecoded *decoded);

/* Rows of an EmuInsn table: EMU_VEC_BOTH(PADDB, .fn = ...) is PADDB and VPADDB. */
#define EMU_VEC_ROW(name, ...) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, emu_vec_bind, &(const EmuVecRow) { __VA_ARGS__ } }
#define EMU_VEC_BOTH(name, ...) EMU_VEC_ROW(name, __VA_ARGS__), EMU_VEC_ROW(V##name, __VA_ARGS__)

/* ---- Vectors of the compiler: lane functions go through EmuVec in steps of 16 bytes ---- */

#define EMU_VECTOR_TYPES(bits) \
    typedef uint##bits##_t EmuV16u##bits __attribute__((vector_size(16), may_alias)); \
    typedef int##bits##_t EmuV16s##bits __attribute__((vector_size(16), may_alias));
EMU_VECTOR_TYPES(8)
EMU_VECTOR_TYPES(16)
EMU_VECTOR_TYPES(32)
EMU_VECTOR_TYPES(64)

/* ---- Memory ---- */

/* 16 bytes of guest RAM, in two accesses at most. */
static inline void emu_host_load16(const void *host, uint64_t out[2])
{
#if defined(__x86_64__)
    EmuV16u64 value;

    __asm__ volatile("movdqu %1, %0" : "=x"(value) : "m"(*(const uint8_t (*)[16])host));
    *(EmuV16u64 *)out = value;
#else
    out[0] = emu_host_load_u64(host);
    out[1] = emu_host_load_u64((const uint8_t *)host + 8);
#endif
}

static inline void emu_host_store16(void *host, const uint64_t in[2])
{
#if defined(__x86_64__)
    EmuV16u64 value = *(const EmuV16u64 *)in;

    __asm__ volatile("movdqu %1, %0" : "=m"(*(uint8_t (*)[16])host) : "x"(value));
#else
    emu_host_store_u64(host, in[0]);
    emu_host_store_u64((uint8_t *)host + 8, in[1]);
#endif
}

/* Changes nothing of `vec` if the access faults. */
void emu_vec_load_slow(EmuCpu *cpu, uint64_t linear, EmuVec *vec, unsigned bytes);

/* 16 or 32 bytes. */
static inline void emu_vec_load(EmuCpu *cpu, uint64_t linear, EmuVec *vec, unsigned bytes)
{
    const uint8_t *host = emu_fast_read_ptr(cpu, linear, bytes, cpu->tlb.current);

    if (EMU_UNLIKELY(!host)) {
        emu_vec_load_slow(cpu, linear, vec, bytes);
        return;
    }
    emu_host_load16(host, vec->u64);
    if (bytes == 32) {
        emu_host_load16(host + 16, vec->u64 + 2);
    }
}

static inline void emu_vec_store(EmuCpu *cpu, uint64_t linear, const EmuVec *vec, unsigned bytes)
{
    uint8_t *host = emu_fast_write_ptr(cpu, linear, bytes, cpu->tlb.current);

    if (EMU_UNLIKELY(!host)) {
        emu_write_bytes(cpu, linear, vec, bytes);
        return;
    }
    emu_host_store16(host, vec->u64);
    if (bytes == 32) {
        emu_host_store16(host + 16, vec->u64 + 2);
    }
}

/* 1, 2, 4, 8, 16 or 32 bytes; up to 16 bytes are cleared above. */
void emu_vec_load_any(EmuCpu *cpu, uint64_t linear, EmuVec *vec, unsigned bytes);
void emu_vec_store_any(EmuCpu *cpu, uint64_t linear, const EmuVec *vec, unsigned bytes);

/*
 * Linear address of a memory operand whose alignment is `mask` + 1; else #GP(0), which goes before
 * the #SS(0) of what is beyond a stack segment's limit.
 */
static inline uint64_t emu_vec_operand(EmuCpu *cpu, const EmuOp *op, unsigned size,
                                       EmuAccess access, unsigned mask)
{
    uint64_t linear;

    if (EMU_UNLIKELY(!(cpu->mode & EMU_MODE_FLAT)) && op->seg == X86_SS &&
        ((cpu->segs[X86_SS].base + emu_effective(cpu, op)) & mask)) {
        emu_raise(cpu, X86_GP, 0);
    }
    linear = emu_operand(cpu, op, size, access);
    if (EMU_UNLIKELY(linear & mask)) {
        emu_raise(cpu, X86_GP, 0);
    }
    return linear;
}

#endif
