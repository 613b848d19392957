/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic flags, computed only when somebody asks.
 *
 * flag_result is the last result, sign-extended to 64 bits: ZF, SF and (from the low byte) PF
 * follow. flag_carry keeps four bits of the vector of carries: bit 63 is the carry out of the top
 * bit and bit 62 the one into it, so CF is bit 63 and OF bit 63 xor bit 62; bit 3 is the carry out
 * of bit 3, AF. Combinations that no result gives (POPF, SAHF, shifts): bit 8 inverts SF, bit 9
 * inverts PF.
 */
#ifndef VIREO_ACCEL_EMU_FLAGS_H
#define VIREO_ACCEL_EMU_FLAGS_H

#include "accel/emu/emu.h"

#define EMU_CARRY_OUT BIT_ULL(63)
#define EMU_CARRY_INTO_TOP BIT_ULL(62)
#define EMU_CARRY_AUX BIT_ULL(3)
#define EMU_INVERT_SF BIT_ULL(8)
#define EMU_INVERT_PF BIT_ULL(9)

/* Move a vector of carries of `bits` wide operands into place. */
static inline uint64_t emu_carry_word(uint64_t carries, unsigned bits)
{
    return (carries << (64 - bits) & (EMU_CARRY_OUT | EMU_CARRY_INTO_TOP)) |
           (carries & EMU_CARRY_AUX);
}

static inline uint64_t emu_sign_extend(uint64_t value, unsigned bits)
{
    return (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

/* After result = a + b (+ carry), all truncated or not to `bits`. */
static inline void emu_flags_add(EmuCpu *cpu, uint64_t a, uint64_t b, uint64_t result,
                                 unsigned bits)
{
    cpu->flag_carry = emu_carry_word((a & b) | ((a | b) & ~result), bits);
    cpu->flag_result = emu_sign_extend(result, bits);
}

/* After result = a - b (- borrow). */
static inline void emu_flags_sub(EmuCpu *cpu, uint64_t a, uint64_t b, uint64_t result,
                                 unsigned bits)
{
    cpu->flag_carry = emu_carry_word((~a & b) | ((~a | b) & result), bits);
    cpu->flag_result = emu_sign_extend(result, bits);
}

/* After AND, OR, XOR, TEST: CF = OF = AF = 0. */
static inline void emu_flags_logic(EmuCpu *cpu, uint64_t result, unsigned bits)
{
    cpu->flag_carry = 0;
    cpu->flag_result = emu_sign_extend(result, bits);
}

static inline bool emu_cf(const EmuCpu *cpu)
{
    return cpu->flag_carry >> 63;
}

static inline bool emu_of(const EmuCpu *cpu)
{
    return (cpu->flag_carry ^ cpu->flag_carry << 1) >> 63;
}

static inline bool emu_zf(const EmuCpu *cpu)
{
    return cpu->flag_result == 0;
}

static inline bool emu_sf(const EmuCpu *cpu)
{
    return (cpu->flag_result >> 63) ^ (cpu->flag_carry >> 8 & 1);
}

static inline bool emu_pf(const EmuCpu *cpu)
{
    return (__builtin_parity((uint8_t)cpu->flag_result) ^ 1) ^ (cpu->flag_carry >> 9 & 1);
}

static inline bool emu_af(const EmuCpu *cpu)
{
    return cpu->flag_carry & EMU_CARRY_AUX;
}

/* Give CF another value and leave the others. */
static inline void emu_set_cf(EmuCpu *cpu, bool cf)
{
    uint64_t of = (cpu->flag_carry ^ cpu->flag_carry << 1) >> 63;

    cpu->flag_carry = (cpu->flag_carry & ~(EMU_CARRY_OUT | EMU_CARRY_INTO_TOP)) |
                      (uint64_t)cf << 63 | (cf ^ of) << 62;
}

/* All six as they stand in RFLAGS. */
static inline uint32_t emu_flags_get(const EmuCpu *cpu)
{
    return (emu_cf(cpu) ? FLAG_CF : 0) | (emu_pf(cpu) ? FLAG_PF : 0) | (emu_af(cpu) ? FLAG_AF : 0) |
           (emu_zf(cpu) ? FLAG_ZF : 0) | (emu_sf(cpu) ? FLAG_SF : 0) | (emu_of(cpu) ? FLAG_OF : 0);
}

/* Set all six from the bits of RFLAGS. */
static inline void emu_flags_set(EmuCpu *cpu, uint32_t flags)
{
    bool zf = flags & FLAG_ZF, cf = flags & FLAG_CF, of = flags & FLAG_OF;

    /* Result 0 has SF 0, PF 1; result 1 has SF 0, PF 0. */
    cpu->flag_result = !zf;
    cpu->flag_carry = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62 |
                      (flags & FLAG_AF ? EMU_CARRY_AUX : 0) |
                      (flags & FLAG_SF ? EMU_INVERT_SF : 0) |
                      (!!(flags & FLAG_PF) != zf ? EMU_INVERT_PF : 0);
}

/* RFLAGS as PUSHF or an exception frame shows them. */
static inline uint64_t emu_rflags(const EmuCpu *cpu)
{
    return cpu->rflags | emu_flags_get(cpu);
}

/* The conditions of Jcc, SETcc and CMOVcc by the low nibble of their opcode. */
static inline bool emu_condition(const EmuCpu *cpu, unsigned code)
{
    bool value;

    switch (code >> 1) {
    case 0: value = emu_of(cpu); break;
    case 1: value = emu_cf(cpu); break;
    case 2: value = emu_zf(cpu); break;
    case 3: value = emu_cf(cpu) || emu_zf(cpu); break;
    case 4: value = emu_sf(cpu); break;
    case 5: value = emu_pf(cpu); break;
    case 6: value = emu_sf(cpu) != emu_of(cpu); break;
    default: value = emu_zf(cpu) || emu_sf(cpu) != emu_of(cpu); break;
    }
    return value != (code & 1);
}

#endif
