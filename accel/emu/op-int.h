/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the groups of general-purpose instructions share: forms of operands, registers by width, and
 * LOCKed read-modify-writes.
 */
#ifndef VIREO_ACCEL_EMU_OP_INT_H
#define VIREO_ACCEL_EMU_OP_INT_H

#include "accel/emu/decode.h"
#include "accel/emu/flags.h"
#include "accel/emu/mem.h"
#include "cpu/x86/features.h"

/* A macro that defines handlers of one width, for all of them. */
#define EMU_FOR_SIZES(define) define(8) define(16) define(32) define(64)
#define EMU_FOR_WIDE_SIZES(define) define(16) define(32) define(64)
/* The handlers name8 .. name64 in the order of emu_size_index(). */
#define EMU_BY_SIZE(name) { name##8, name##16, name##32, name##64 }
#define EMU_BY_WIDE_SIZE(name) { NULL, name##16, name##32, name##64 }

/* Linear address of the memory operand of `bits`. */
#define EMU_SOURCE(cpu, op, bits) emu_operand((cpu), (op), (bits) / 8, EMU_READ)
#define EMU_TARGET(cpu, op, bits) emu_operand((cpu), (op), (bits) / 8, EMU_WRITE)
/* The value of the memory operand. */
#define EMU_LOAD(cpu, op, bits) emu_read_u##bits((cpu), EMU_SOURCE((cpu), (op), bits))

/* 8, 16, 32, 64 bits: 0 to 3. */
static inline unsigned emu_size_index(unsigned bits)
{
    return (unsigned)__builtin_ctz(bits) - 3;
}

/* The kinds of the visible operands, two bits each from the first up. */
enum {
    EMU_FORM_NONE = 0,
    EMU_FORM_R = 1, EMU_FORM_M = 2, EMU_FORM_I = 3,
    EMU_FORM_RR = EMU_FORM_R | EMU_FORM_R << 2,
    EMU_FORM_RM = EMU_FORM_R | EMU_FORM_M << 2,
    EMU_FORM_RI = EMU_FORM_R | EMU_FORM_I << 2,
    EMU_FORM_MR = EMU_FORM_M | EMU_FORM_R << 2,
    EMU_FORM_MI = EMU_FORM_M | EMU_FORM_I << 2,
    EMU_FORM_RRR = EMU_FORM_RR | EMU_FORM_R << 4,
    EMU_FORM_RRM = EMU_FORM_RR | EMU_FORM_M << 4,
    EMU_FORM_RRI = EMU_FORM_RR | EMU_FORM_I << 4,
    EMU_FORM_RMR = EMU_FORM_RM | EMU_FORM_R << 4,
    EMU_FORM_RMI = EMU_FORM_RM | EMU_FORM_I << 4,
    EMU_FORM_MRR = EMU_FORM_MR | EMU_FORM_R << 4,
    EMU_FORM_MRI = EMU_FORM_MR | EMU_FORM_I << 4,
    EMU_FORM_OTHER = 0xff, /* a register that is not a general one, a far pointer */
};

/* The form of an instruction with general registers only; else EMU_FORM_OTHER. */
unsigned emu_form(const EmuDecoded *decoded);
/* Width in bits of a visible operand. */
unsigned emu_operand_bits(const EmuDecoded *decoded, unsigned operand);
/* 0 to 3 of the first operand's width. */
unsigned emu_operand_index(const EmuDecoded *decoded);

static inline bool emu_has_feature(const EmuCpu *cpu, X86FeatureId id)
{
    return emu_has(cpu, x86_feature_word(id), id & 63);
}

static inline bool emu_is_locked(const EmuDecoded *decoded)
{
    return decoded->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK;
}

static inline uint8_t emu_get_r8(EmuCpu *cpu, unsigned r)
{
    return *emu_r8(cpu, r);
}

static inline uint16_t emu_get_r16(EmuCpu *cpu, unsigned r)
{
    return (uint16_t)cpu->regs[r];
}

static inline uint32_t emu_get_r32(EmuCpu *cpu, unsigned r)
{
    return (uint32_t)cpu->regs[r];
}

static inline uint64_t emu_get_r64(EmuCpu *cpu, unsigned r)
{
    return cpu->regs[r];
}

static inline void emu_put_r8(EmuCpu *cpu, unsigned r, uint64_t v)
{
    *emu_r8(cpu, r) = (uint8_t)v;
}

static inline void emu_put_r16(EmuCpu *cpu, unsigned r, uint64_t v)
{
    *emu_r16(cpu, r) = (uint16_t)v;
}

static inline void emu_put_r32(EmuCpu *cpu, unsigned r, uint64_t v)
{
    cpu->regs[r] = (uint32_t)v;
}

static inline void emu_put_r64(EmuCpu *cpu, unsigned r, uint64_t v)
{
    cpu->regs[r] = v;
}

/* Flags by value: AF 0; result (sign-extended) gives ZF, SF, PF. */
static inline void emu_flags_result(EmuCpu *cpu, uint64_t result, bool cf, bool of)
{
    cpu->flag_result = result;
    cpu->flag_carry = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
}

/* As most of BMI leaves them: CF as given, OF = AF = PF = 0, ZF and SF by the result. */
static inline void emu_flags_no_parity(EmuCpu *cpu, uint64_t result, bool cf)
{
    /* Keep the sign, and a low byte of odd parity; 0 is the one result of even parity. */
    cpu->flag_result = result ? (result & BIT_ULL(63)) | 1 : 0;
    cpu->flag_carry = (uint64_t)cf << 63 | (uint64_t)cf << 62 | (result ? 0 : EMU_INVERT_PF);
}

/* Give OF another value and leave the others. */
static inline void emu_set_of(EmuCpu *cpu, bool of)
{
    uint64_t cf = cpu->flag_carry >> 63;

    cpu->flag_carry = (cpu->flag_carry & ~EMU_CARRY_INTO_TOP) | (cf ^ of) << 62;
}

/* What a LOCKed instruction makes of memory's old value. Pure. */
typedef uint64_t EmuRmwFn(uint64_t old, uint64_t source);

/* *linear = fn(*linear, source), atomically; gives the old value. Raises the write's faults. */
uint64_t emu_locked_rmw(EmuCpu *cpu, uint64_t linear, unsigned size, EmuRmwFn *fn,
                        uint64_t source);

/*
 * The same, inlined for RAM that hits the TLB. Hosts other than x86 have no atomic access across
 * a cache line: there only aligned operands go this way.
 */
#define EMU_DEFINE_LOCKED(bits) \
    static inline __attribute__((always_inline)) uint64_t \
    emu_locked_rmw_u##bits(EmuCpu *cpu, uint64_t linear, EmuRmwFn *fn, uint64_t source) \
    { \
        uint##bits##_t *host = emu_fast_write_ptr(cpu, linear, bits / 8, cpu->tlb.current); \
        uint##bits##_t old; \
        if (EMU_UNLIKELY(!host || linear % (bits / 8))) { \
            return emu_locked_rmw(cpu, linear, bits / 8, fn, source); \
        } \
        old = __atomic_load_n(host, __ATOMIC_RELAXED); \
        while (!__atomic_compare_exchange_n(host, &old, (uint##bits##_t)fn(old, source), false, \
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) { \
        } \
        return old; \
    }
EMU_FOR_SIZES(EMU_DEFINE_LOCKED)

/* A row of a group: mnemonic, bind and the group's data. */
#define EMU_INT_ROW(name, bind_fn, row_data) \
    { .mnemonic = ZYDIS_MNEMONIC_##name, .unit = EMU_UNIT_INTEGER, .bind = (bind_fn), \
      .data = (row_data) }
#define EMU_INSN_TABLE(rows_) { .rows = (rows_), .count = G_N_ELEMENTS(rows_) }

#endif
