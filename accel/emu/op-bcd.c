/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DAA DAS AAA AAS AAM AAD, and SALC; none exists in 64-bit code. Of the undefined flags, processors
 * set SF, ZF and PF by AL everywhere and clear OF, but AAD's are those of its 8-bit addition.
 */
#include "accel/emu/op-int.h"

static void set_flags(EmuCpu *cpu, uint8_t al, bool cf, bool af)
{
    emu_flags_result(cpu, emu_sign_extend(al, 8), cf, false);
    cpu->flag_carry |= af ? EMU_CARRY_AUX : 0;
}

/* Decimal adjustment after an addition (sign 1) or a subtraction (-1). */
static inline void adjust_packed(EmuCpu *cpu, int sign)
{
    uint8_t al = (uint8_t)cpu->regs[X86_RAX], result = al;
    bool low = (al & 15) > 9 || emu_af(cpu), high = al > 0x99 || emu_cf(cpu);
    bool borrow = sign < 0 && low && al < 6;

    if (low) {
        result += sign * 6;
    }
    if (high) {
        result += sign * 0x60;
    }
    emu_put_r8(cpu, 0, result);
    set_flags(cpu, result, high || borrow, low);
}

static inline void adjust_unpacked(EmuCpu *cpu, int sign)
{
    uint16_t ax = (uint16_t)cpu->regs[X86_RAX];
    bool adjust = (ax & 15) > 9 || emu_af(cpu);

    if (adjust) {
        ax += sign * 0x106;
    }
    ax &= 0xff0f;
    emu_put_r16(cpu, X86_RAX, ax);
    set_flags(cpu, (uint8_t)ax, adjust, adjust);
}

static void daa(EmuCpu *cpu, const EmuOp *op)
{
    adjust_packed(cpu, 1);
    EMU_NEXT(cpu, op);
}

static void das(EmuCpu *cpu, const EmuOp *op)
{
    adjust_packed(cpu, -1);
    EMU_NEXT(cpu, op);
}

static void aaa(EmuCpu *cpu, const EmuOp *op)
{
    adjust_unpacked(cpu, 1);
    EMU_NEXT(cpu, op);
}

static void aas(EmuCpu *cpu, const EmuOp *op)
{
    adjust_unpacked(cpu, -1);
    EMU_NEXT(cpu, op);
}

static void aam(EmuCpu *cpu, const EmuOp *op)
{
    uint8_t al = (uint8_t)cpu->regs[X86_RAX], base = (uint8_t)op->imm;

    if (!base) {
        emu_raise_plain(cpu, X86_DE);
    }
    emu_put_r16(cpu, X86_RAX, (uint64_t)(al / base) << 8 | al % base);
    set_flags(cpu, al % base, false, false);
    EMU_NEXT(cpu, op);
}

static void aad(EmuCpu *cpu, const EmuOp *op)
{
    uint8_t al = (uint8_t)cpu->regs[X86_RAX];
    uint8_t tens = (uint8_t)((uint8_t)(cpu->regs[X86_RAX] >> 8) * (uint8_t)op->imm);

    emu_flags_add(cpu, al, tens, (uint64_t)al + tens, 8);
    emu_put_r16(cpu, X86_RAX, (uint8_t)(al + tens));
    EMU_NEXT(cpu, op);
}

static void salc(EmuCpu *cpu, const EmuOp *op)
{
    emu_put_r8(cpu, 0, emu_cf(cpu) ? 0xff : 0);
    EMU_NEXT(cpu, op);
}

typedef struct BcdRow {
    EmuOpFn *fn;
} BcdRow;

static EmuOpFn *bind_bcd(const EmuDecoded *decoded, EmuOp *op)
{
    const BcdRow *row = decoded->row->data;

    return decoded->mode & EMU_MODE_CS64 ? NULL : row->fn;
}

#define BCD_ROW(upper, lower) \
    EMU_INT_ROW(upper, bind_bcd, (&(const BcdRow) { .fn = lower }))

static const EmuInsn rows[] = {
    BCD_ROW(DAA, daa), BCD_ROW(DAS, das), BCD_ROW(AAA, aaa), BCD_ROW(AAS, aas),
    BCD_ROW(AAM, aam), BCD_ROW(AAD, aad), BCD_ROW(SALC, salc),
};

const EmuInsnTable emu_insns_bcd = EMU_INSN_TABLE(rows);
