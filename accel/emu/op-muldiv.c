/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MUL IMUL MULX DIV IDIV. Of the undefined flags, processors set SF and PF by the low half of a
 * product and clear ZF and AF; divisions leave all.
 */
#include "accel/emu/op-int.h"

typedef unsigned __int128 Wide;
typedef __int128 SignedWide;

/* ---- Multiplication ---- */

/* `low` is sign-extended; bit 8 makes a zero result "not zero" without giving another flag away. */
static inline void product_flags(EmuCpu *cpu, uint64_t low, bool overflow)
{
    emu_flags_result(cpu, low ? low : BIT_ULL(8), overflow, overflow);
}

static inline void mul_8(EmuCpu *cpu, uint8_t b)
{
    uint16_t product = (uint16_t)((uint8_t)cpu->regs[X86_RAX] * b);

    emu_put_r16(cpu, X86_RAX, product);
    product_flags(cpu, emu_sign_extend(product, 8), product >> 8);
}

static inline void imul_8(EmuCpu *cpu, uint8_t b)
{
    int16_t product = (int16_t)((int8_t)cpu->regs[X86_RAX] * (int8_t)b);

    emu_put_r16(cpu, X86_RAX, (uint16_t)product);
    product_flags(cpu, emu_sign_extend((uint16_t)product, 8), product != (int8_t)product);
}

#define DEFINE_WIDE_MUL(bits, uwide, swide) \
    static inline void mul_##bits(EmuCpu *cpu, uint##bits##_t b) \
    { \
        uwide product = (uwide)(uint##bits##_t)cpu->regs[X86_RAX] * b; \
        uint64_t high = (uint##bits##_t)(product >> bits); \
        emu_put_r##bits(cpu, X86_RAX, (uint64_t)product); \
        emu_put_r##bits(cpu, X86_RDX, high); \
        product_flags(cpu, emu_sign_extend((uint64_t)product, bits), high); \
    } \
    /* The low half, and whether it is all. */ \
    static inline uint64_t imul_low##bits(EmuCpu *cpu, uint##bits##_t a, uint##bits##_t b, \
                                          uint64_t *high) \
    { \
        swide product = (swide)(int##bits##_t)a * (int##bits##_t)b; \
        *high = (uint64_t)(product >> bits); \
        product_flags(cpu, emu_sign_extend((uint64_t)product, bits), \
                      product != (swide)(int##bits##_t)product); \
        return (uint64_t)product; \
    } \
    static inline void imul_##bits(EmuCpu *cpu, uint##bits##_t b) \
    { \
        uint64_t high, low = imul_low##bits(cpu, (uint##bits##_t)cpu->regs[X86_RAX], b, &high); \
        emu_put_r##bits(cpu, X86_RAX, low); \
        emu_put_r##bits(cpu, X86_RDX, high); \
    } \
    static void imul_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t high; \
        emu_put_r##bits(cpu, op->r[0], imul_low##bits(cpu, emu_get_r##bits(cpu, op->r[0]), \
                                                      emu_get_r##bits(cpu, op->r[1]), &high)); \
        EMU_NEXT(cpu, op); \
    } \
    static void imul_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t b = EMU_LOAD(cpu, op, bits); \
        uint64_t high; \
        emu_put_r##bits(cpu, op->r[0], imul_low##bits(cpu, emu_get_r##bits(cpu, op->r[0]), b, \
                                                      &high)); \
        EMU_NEXT(cpu, op); \
    } \
    static void imul_rri##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t high; \
        emu_put_r##bits(cpu, op->r[0], imul_low##bits(cpu, emu_get_r##bits(cpu, op->r[1]), \
                                                      (uint##bits##_t)op->imm, &high)); \
        EMU_NEXT(cpu, op); \
    } \
    static void imul_rmi##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t a = EMU_LOAD(cpu, op, bits); \
        uint64_t high; \
        emu_put_r##bits(cpu, op->r[0], imul_low##bits(cpu, a, (uint##bits##_t)op->imm, &high)); \
        EMU_NEXT(cpu, op); \
    }
DEFINE_WIDE_MUL(16, uint32_t, int32_t)
DEFINE_WIDE_MUL(32, uint64_t, int64_t)
DEFINE_WIDE_MUL(64, Wide, SignedWide)

/* MULX: low half to the second destination, high half to the first, which wins if they are one. */
#define DEFINE_MULX(bits, uwide) \
    static inline void do_mulx##bits(EmuCpu *cpu, const EmuOp *op, uint##bits##_t b) \
    { \
        uwide product = (uwide)(uint##bits##_t)cpu->regs[X86_RDX] * b; \
        emu_put_r##bits(cpu, op->r[1], (uint64_t)product); \
        emu_put_r##bits(cpu, op->r[0], (uint64_t)(product >> bits)); \
    } \
    static void mulx_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_mulx##bits(cpu, op, emu_get_r##bits(cpu, op->r[2])); \
        EMU_NEXT(cpu, op); \
    } \
    static void mulx_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_mulx##bits(cpu, op, EMU_LOAD(cpu, op, bits)); \
        EMU_NEXT(cpu, op); \
    }
DEFINE_MULX(32, uint64_t)
DEFINE_MULX(64, Wide)

/* ---- Division ---- */

static G_NORETURN void divide_error(EmuCpu *cpu)
{
    emu_raise_plain(cpu, X86_DE);
}

static inline void div_8(EmuCpu *cpu, uint8_t b)
{
    uint16_t a = (uint16_t)cpu->regs[X86_RAX];

    if ((a >> 8) >= b) {
        divide_error(cpu);
    }
    emu_put_r16(cpu, X86_RAX, (uint64_t)(a % b) << 8 | a / b);
}

static inline void idiv_8(EmuCpu *cpu, uint8_t b)
{
    int a = (int16_t)cpu->regs[X86_RAX], divisor = (int8_t)b;

    if (!divisor || a / divisor != (int8_t)(a / divisor)) {
        divide_error(cpu);
    }
    emu_put_r16(cpu, X86_RAX, (uint64_t)(uint8_t)(a % divisor) << 8 | (uint8_t)(a / divisor));
}

/* high >= b says that the quotient has no room, and b == 0 too. */
#define DEFINE_DIV(bits, uwide, swide) \
    static inline void div_##bits(EmuCpu *cpu, uint##bits##_t b) \
    { \
        uint##bits##_t low = (uint##bits##_t)cpu->regs[X86_RAX]; \
        uint##bits##_t high = (uint##bits##_t)cpu->regs[X86_RDX]; \
        uwide a = (uwide)high << bits | low; \
        if (high >= b) { \
            divide_error(cpu); \
        } \
        if (high == 0) { \
            emu_put_r##bits(cpu, X86_RAX, low / b); \
            emu_put_r##bits(cpu, X86_RDX, low % b); \
        } else { \
            emu_put_r##bits(cpu, X86_RAX, (uint64_t)(a / b)); \
            emu_put_r##bits(cpu, X86_RDX, (uint64_t)(a % b)); \
        } \
    } \
    /* By magnitudes, so that the widest negative dividend does not trap here. */ \
    static inline void idiv_##bits(EmuCpu *cpu, uint##bits##_t b) \
    { \
        uwide a = (uwide)(uint##bits##_t)cpu->regs[X86_RDX] << bits | \
                  (uint##bits##_t)cpu->regs[X86_RAX]; \
        bool negative = (swide)a < 0, differ = negative != ((int##bits##_t)b < 0); \
        uwide magnitude = negative ? -a : a; \
        uint##bits##_t divisor = (int##bits##_t)b < 0 ? (uint##bits##_t)-b : b; \
        uint##bits##_t limit = (uint##bits##_t)((uint##bits##_t)~0ull / 2 + differ); \
        uint##bits##_t quotient, remainder; \
        if ((uint##bits##_t)(magnitude >> bits) >= divisor) { \
            divide_error(cpu); \
        } \
        quotient = (uint##bits##_t)(magnitude / divisor); \
        remainder = (uint##bits##_t)(magnitude % divisor); \
        if (quotient > limit) { \
            divide_error(cpu); \
        } \
        emu_put_r##bits(cpu, X86_RAX, (uint##bits##_t)(differ ? -quotient : quotient)); \
        emu_put_r##bits(cpu, X86_RDX, (uint##bits##_t)(negative ? -remainder : remainder)); \
    }
DEFINE_DIV(16, uint32_t, int32_t)
DEFINE_DIV(32, uint64_t, int64_t)
DEFINE_DIV(64, Wide, SignedWide)

/* ---- Handlers ---- */

#define DEFINE_ONE_OPERAND(name, bits) \
    static void name##_r##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        name##_##bits(cpu, emu_get_r##bits(cpu, op->r[0])); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        name##_##bits(cpu, EMU_LOAD(cpu, op, bits)); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_ONE_OPERAND_ALL(bits) \
    DEFINE_ONE_OPERAND(mul, bits) \
    DEFINE_ONE_OPERAND(imul, bits) \
    DEFINE_ONE_OPERAND(div, bits) \
    DEFINE_ONE_OPERAND(idiv, bits)
EMU_FOR_SIZES(DEFINE_ONE_OPERAND_ALL)

typedef struct MulRow {
    EmuOpFn *r[4], *m[4], *rr[4], *rm[4], *rri[4], *rmi[4];
} MulRow;

static const MulRow row_mul = { .r = EMU_BY_SIZE(mul_r), .m = EMU_BY_SIZE(mul_m) };
static const MulRow row_imul = {
    .r = EMU_BY_SIZE(imul_r), .m = EMU_BY_SIZE(imul_m),
    .rr = EMU_BY_WIDE_SIZE(imul_rr), .rm = EMU_BY_WIDE_SIZE(imul_rm),
    .rri = EMU_BY_WIDE_SIZE(imul_rri), .rmi = EMU_BY_WIDE_SIZE(imul_rmi),
};
static const MulRow row_div = { .r = EMU_BY_SIZE(div_r), .m = EMU_BY_SIZE(div_m) };
static const MulRow row_idiv = { .r = EMU_BY_SIZE(idiv_r), .m = EMU_BY_SIZE(idiv_m) };

static EmuOpFn *bind_mul(const EmuDecoded *decoded, EmuOp *op)
{
    const MulRow *row = decoded->row->data;
    unsigned size = emu_operand_index(decoded);

    switch (emu_form(decoded)) {
    case EMU_FORM_R:
        return row->r[size];
    case EMU_FORM_M:
        return row->m[size];
    case EMU_FORM_RR:
        return row->rr[size];
    case EMU_FORM_RM:
        return row->rm[size];
    case EMU_FORM_RRI:
        return row->rri[size];
    case EMU_FORM_RMI:
        return row->rmi[size];
    default:
        return NULL;
    }
}

static EmuOpFn *bind_mulx(const EmuDecoded *decoded, EmuOp *op)
{
    bool wide = emu_operand_bits(decoded, 0) == 64;

    if (!emu_has_feature(decoded->cpu, F_BMI2)) {
        return NULL;
    }
    return emu_form(decoded) == EMU_FORM_RRR ? wide ? mulx_rr64 : mulx_rr32
                                             : wide ? mulx_rm64 : mulx_rm32;
}

static const EmuInsn rows[] = {
    EMU_INT_ROW(MUL, bind_mul, &row_mul),
    EMU_INT_ROW(IMUL, bind_mul, &row_imul),
    EMU_INT_ROW(DIV, bind_mul, &row_div),
    EMU_INT_ROW(IDIV, bind_mul, &row_idiv),
    EMU_INT_ROW(MULX, bind_mulx, NULL),
};

const EmuInsnTable emu_insns_muldiv = EMU_INSN_TABLE(rows);
