/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BMI1 and BMI2: ANDN BEXTR BLSI BLSMSK BLSR, BZHI PDEP PEXT RORX SARX SHLX SHRX. (MULX is with the
 * multiplications.) Where the manual leaves flags undefined, processors clear them.
 */
#include "accel/emu/op-int.h"

/* Operations on zero-extended operands; a is the first source, b the second. */
static inline uint64_t do_andn(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t result = ~a & b;

    emu_flags_no_parity(cpu, emu_sign_extend(result, bits), false);
    return result;
}

/* SF is cleared too. */
static inline uint64_t do_bextr(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    unsigned start = b & 0xff, length = b >> 8 & 0xff;
    uint64_t result = start < bits ? a >> start : 0;

    if (length < bits) {
        result &= BIT_ULL(length) - 1;
    }
    emu_flags_no_parity(cpu, result != 0, false);
    return result;
}

static inline uint64_t do_bzhi(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    unsigned index = b & 0xff;
    uint64_t result = index < bits ? a & (BIT_ULL(index) - 1) : a;

    emu_flags_no_parity(cpu, emu_sign_extend(result, bits), index >= bits);
    return result;
}

static inline uint64_t do_shlx(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    return a << (b & (bits - 1));
}

static inline uint64_t do_shrx(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    return a >> (b & (bits - 1));
}

static inline uint64_t do_sarx(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    return (uint64_t)((int64_t)emu_sign_extend(a, bits) >> (b & (bits - 1)));
}

static inline uint64_t do_rorx(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    unsigned count = b & (bits - 1);

    return count ? a >> count | a << (bits - count) : a;
}

/* The low bits of a to the places that mask b names, and back. */
static inline uint64_t do_pdep(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t result = 0;

    for (; b; b &= b - 1, a >>= 1) {
        result |= a & 1 ? b & -b : 0;
    }
    return result;
}

static inline uint64_t do_pext(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t result = 0;

    for (unsigned i = 0; b; b &= b - 1, i++) {
        result |= a & b & -b ? BIT_ULL(i) : 0;
    }
    return result;
}

static inline uint64_t do_blsi(EmuCpu *cpu, uint64_t a, unsigned bits)
{
    uint64_t result = a & -a;

    emu_flags_no_parity(cpu, emu_sign_extend(result, bits), a != 0);
    return result;
}

static inline uint64_t do_blsr(EmuCpu *cpu, uint64_t a, unsigned bits)
{
    uint64_t result = a & (a - 1);

    emu_flags_no_parity(cpu, emu_sign_extend(result, bits), a == 0);
    return result;
}

static inline uint64_t do_blsmsk(EmuCpu *cpu, uint64_t a, unsigned bits)
{
    uint64_t result = a ^ (a - 1);

    emu_flags_no_parity(cpu, emu_sign_extend(result, bits), a == 0);
    return result;
}

/* Register or memory is the second source. */
#define DEFINE_LAST(name, bits) \
    static void name##_rrr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], do_##name(cpu, emu_get_r##bits(cpu, op->r[1]), \
                                                 emu_get_r##bits(cpu, op->r[2]), bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rrm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t b = EMU_LOAD(cpu, op, bits); \
        emu_put_r##bits(cpu, op->r[0], do_##name(cpu, emu_get_r##bits(cpu, op->r[1]), b, bits)); \
        EMU_NEXT(cpu, op); \
    }

/* It is the first. */
#define DEFINE_MIDDLE(name, bits) \
    static void name##_rrr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], do_##name(cpu, emu_get_r##bits(cpu, op->r[1]), \
                                                 emu_get_r##bits(cpu, op->r[2]), bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rmr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t a = EMU_LOAD(cpu, op, bits); \
        emu_put_r##bits(cpu, op->r[0], do_##name(cpu, a, emu_get_r##bits(cpu, op->r[1]), bits)); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_UNARY(name, bits) \
    static void name##_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], do_##name(cpu, emu_get_r##bits(cpu, op->r[1]), bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], do_##name(cpu, EMU_LOAD(cpu, op, bits), bits)); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_ALL(bits) \
    DEFINE_LAST(andn, bits) \
    DEFINE_LAST(pdep, bits) \
    DEFINE_LAST(pext, bits) \
    DEFINE_MIDDLE(bextr, bits) \
    DEFINE_MIDDLE(bzhi, bits) \
    DEFINE_MIDDLE(shlx, bits) \
    DEFINE_MIDDLE(shrx, bits) \
    DEFINE_MIDDLE(sarx, bits) \
    DEFINE_UNARY(blsi, bits) \
    DEFINE_UNARY(blsr, bits) \
    DEFINE_UNARY(blsmsk, bits) \
    static void rorx_rri##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], do_rorx(cpu, emu_get_r##bits(cpu, op->r[1]), op->imm, \
                                               bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void rorx_rmi##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], do_rorx(cpu, EMU_LOAD(cpu, op, bits), op->imm, bits)); \
        EMU_NEXT(cpu, op); \
    }
DEFINE_ALL(32)
DEFINE_ALL(64)

/* By 32 or 64 bits. */
typedef struct BmiRow {
    EmuOpFn *reg[2], *memory[2];
    uint16_t feature; /* X86FeatureId */
} BmiRow;

#define BMI_ROW(name, reg_form, memory_form, needs) \
    static const BmiRow row_##name = { \
        .reg = { name##_##reg_form##32, name##_##reg_form##64 }, \
        .memory = { name##_##memory_form##32, name##_##memory_form##64 }, .feature = needs, \
    };
BMI_ROW(andn, rrr, rrm, F_BMI1)
BMI_ROW(bextr, rrr, rmr, F_BMI1)
BMI_ROW(blsi, rr, rm, F_BMI1)
BMI_ROW(blsr, rr, rm, F_BMI1)
BMI_ROW(blsmsk, rr, rm, F_BMI1)
BMI_ROW(bzhi, rrr, rmr, F_BMI2)
BMI_ROW(pdep, rrr, rrm, F_BMI2)
BMI_ROW(pext, rrr, rrm, F_BMI2)
BMI_ROW(shlx, rrr, rmr, F_BMI2)
BMI_ROW(shrx, rrr, rmr, F_BMI2)
BMI_ROW(sarx, rrr, rmr, F_BMI2)
BMI_ROW(rorx, rri, rmi, F_BMI2)

static EmuOpFn *bind_bmi(const EmuDecoded *decoded, EmuOp *op)
{
    const BmiRow *row = decoded->row->data;
    bool wide = emu_operand_bits(decoded, 0) == 64;

    if (decoded->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX ||
        !emu_has_feature(decoded->cpu, row->feature)) {
        return NULL;
    }
    return op->flags & EMU_OP_MEM ? row->memory[wide] : row->reg[wide];
}

static const EmuInsn rows[] = {
    EMU_INT_ROW(ANDN, bind_bmi, &row_andn),
    EMU_INT_ROW(BEXTR, bind_bmi, &row_bextr),
    EMU_INT_ROW(BLSI, bind_bmi, &row_blsi),
    EMU_INT_ROW(BLSR, bind_bmi, &row_blsr),
    EMU_INT_ROW(BLSMSK, bind_bmi, &row_blsmsk),
    EMU_INT_ROW(BZHI, bind_bmi, &row_bzhi),
    EMU_INT_ROW(PDEP, bind_bmi, &row_pdep),
    EMU_INT_ROW(PEXT, bind_bmi, &row_pext),
    EMU_INT_ROW(RORX, bind_bmi, &row_rorx),
    EMU_INT_ROW(SARX, bind_bmi, &row_sarx),
    EMU_INT_ROW(SHLX, bind_bmi, &row_shlx),
    EMU_INT_ROW(SHRX, bind_bmi, &row_shrx),
};

const EmuInsnTable emu_insns_bmi = EMU_INSN_TABLE(rows);
