/* SPDX-License-Identifier: Apache-2.0 */
/* SSE and AVX floating-point arithmetic and comparisons. */
#include "accel/emu/vec-float.h"

static void raise_unmasked(EmuCpu *cpu)
{
    emu_raise_plain(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? X86_XM : X86_UD);
}

void emu_float_flags(EmuCpu *cpu, uint32_t flags)
{
    cpu->mxcsr |= flags;
    if (EMU_UNLIKELY(flags & ~(cpu->mxcsr >> MXCSR_MASK_SHIFT))) {
        raise_unmasked(cpu);
    }
}

/* The legacy forms have eight predicates, VEX ones 32. (CMPSD is a string instruction too.) */
static EmuOpFn *bind_compare(const EmuDecoded *decoded, EmuOp *op)
{
    const ZydisDecodedOperand *first = &decoded->operands[0];

    if (first->type != ZYDIS_OPERAND_TYPE_REGISTER ||
        ZydisRegisterGetClass(first->reg.value) == ZYDIS_REGCLASS_MASK) {
        return NULL;
    }
    op->imm &= op->flags & EMU_OP_VEX ? 31 : 7;
    return emu_vec_bind(decoded, op);
}

#define PACKED(name, op) EMU_VEC_BOTH(name, .fn = EMU_FLOAT(op), .flags = EMU_VEC_FLOAT)
#define SCALAR(name, op, size) \
    EMU_VEC_BOTH(name, .fn = EMU_FLOAT(op), .scalar = size, .flags = EMU_VEC_FLOAT)
#define ARITHMETIC(name, op) \
    PACKED(name##PS, op##_ps), PACKED(name##PD, op##_pd), SCALAR(name##SS, op##_ss, 4), \
    SCALAR(name##SD, op##_sd, 8)
#define PAIR(name, op) PACKED(name##PS, op##_ps), PACKED(name##PD, op##_pd)
#define APPROXIMATE(name, op) \
    EMU_VEC_BOTH(name##PS, .fn = EMU_FLOAT(op##_ps)), \
    EMU_VEC_BOTH(name##SS, .fn = EMU_FLOAT(op##_ss), .scalar = 4)
#define ORDER(name, op, size) \
    EMU_VEC_BOTH(name, .fn = EMU_FLOAT(op), .scalar = size, \
                 .flags = EMU_VEC_FLOAT | EMU_VEC_FLAGS)
#define COMPARE_ROW(name, op, size) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind_compare, \
      &(const EmuVecRow) { .fn = EMU_FLOAT(op), .scalar = size, .flags = EMU_VEC_FLOAT } }
#define COMPARE(name, op, size) COMPARE_ROW(name, op, size), COMPARE_ROW(V##name, op, size)

static const EmuInsn rows[] = {
    ARITHMETIC(ADD, add),
    ARITHMETIC(SUB, sub),
    ARITHMETIC(MUL, mul),
    ARITHMETIC(DIV, div),
    ARITHMETIC(MIN, min),
    ARITHMETIC(MAX, max),
    ARITHMETIC(SQRT, sqrt),
    ARITHMETIC(ROUND, round),
    PAIR(ADDSUB, addsub),
    PAIR(HADD, hadd),
    PAIR(HSUB, hsub),
    PAIR(DP, dp),
    APPROXIMATE(RCP, rcp),
    APPROXIMATE(RSQRT, rsqrt),
    ORDER(COMISS, comi_ss, 4),
    ORDER(COMISD, comi_sd, 8),
    ORDER(UCOMISS, ucomi_ss, 4),
    ORDER(UCOMISD, ucomi_sd, 8),
    COMPARE(CMPPS, cmp_ps, 0),
    COMPARE(CMPPD, cmp_pd, 0),
    COMPARE(CMPSS, cmp_ss, 4),
    COMPARE(CMPSD, cmp_sd, 8),
};

const EmuInsnTable emu_insns_vec_float = { .rows = rows, .count = G_N_ELEMENTS(rows) };
