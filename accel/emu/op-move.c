/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data transfer between general registers and memory, widening, and single flags: MOV, MOVZX, LEA,
 * XCHG, CMOVcc, SETcc, LAHF, CLC and their kin.
 */
#include "accel/emu/op-int.h"

typedef struct MoveRow {
    EmuOpFn *rr[4], *ri[4], *rm[4], *mr[4], *mi[4];
} MoveRow;

#define DEFINE_MOV(bits) \
    static void mov_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], emu_get_r##bits(cpu, op->r[1])); \
        EMU_NEXT(cpu, op); \
    } \
    static void mov_ri##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], op->imm); \
        EMU_NEXT(cpu, op); \
    } \
    static void mov_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], EMU_LOAD(cpu, op, bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void mov_mr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_write_u##bits(cpu, EMU_TARGET(cpu, op, bits), emu_get_r##bits(cpu, op->r[0])); \
        EMU_NEXT(cpu, op); \
    } \
    static void mov_mi##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_write_u##bits(cpu, EMU_TARGET(cpu, op, bits), (uint##bits##_t)op->imm); \
        EMU_NEXT(cpu, op); \
    } \
    /* MOV moffs: the offset is op->imm, in r[0] the accumulator (0). */ \
    static void mov_load_offset##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = emu_linear(cpu, op->seg, op->imm, bits / 8, EMU_READ); \
        emu_put_r##bits(cpu, X86_RAX, emu_read_u##bits(cpu, linear)); \
        EMU_NEXT(cpu, op); \
    } \
    static void mov_store_offset##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = emu_linear(cpu, op->seg, op->imm, bits / 8, EMU_WRITE); \
        emu_write_u##bits(cpu, linear, emu_get_r##bits(cpu, X86_RAX)); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_SIZES(DEFINE_MOV)

static const MoveRow row_mov = {
    .rr = EMU_BY_SIZE(mov_rr), .ri = EMU_BY_SIZE(mov_ri), .rm = EMU_BY_SIZE(mov_rm),
    .mr = EMU_BY_SIZE(mov_mr), .mi = EMU_BY_SIZE(mov_mi),
};
static EmuOpFn *const mov_load_offset[4] = EMU_BY_SIZE(mov_load_offset);
static EmuOpFn *const mov_store_offset[4] = EMU_BY_SIZE(mov_store_offset);

static const ZydisDecodedOperand *memory_operand(const EmuDecoded *decoded)
{
    for (unsigned i = 0; i < decoded->insn.operand_count_visible; i++) {
        if (decoded->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            return &decoded->operands[i];
        }
    }
    return NULL;
}

/* MOV AL/eAX,moffs has no ModRM byte and an offset as wide as addresses. */
static EmuOpFn *bind_offset(const EmuDecoded *decoded, EmuOp *op, EmuOpFn *const fns[4])
{
    const ZydisDecodedOperand *memory = memory_operand(decoded);
    unsigned shift = 64 - decoded->insn.address_width;

    op->imm = (uint64_t)memory->mem.disp.value << shift >> shift;
    return fns[emu_operand_index(decoded)];
}

static EmuOpFn *bind_mov(const EmuDecoded *decoded, EmuOp *op)
{
    const MoveRow *row = decoded->row->data;
    unsigned form = emu_form(decoded);
    bool offset = !(decoded->insn.attributes & ZYDIS_ATTRIB_HAS_MODRM);

    if (form == EMU_FORM_OTHER) {
        return NULL;
    }
    switch (form) {
    case EMU_FORM_RR:
        return row->rr[emu_operand_index(decoded)];
    case EMU_FORM_RI:
        return row->ri[emu_operand_index(decoded)];
    case EMU_FORM_RM:
        return offset ? bind_offset(decoded, op, mov_load_offset)
                      : row->rm[emu_operand_index(decoded)];
    case EMU_FORM_MR:
        return offset ? bind_offset(decoded, op, mov_store_offset)
                      : row->mr[emu_operand_index(decoded)];
    case EMU_FORM_MI:
        return row->mi[emu_operand_index(decoded)];
    default:
        return NULL;
    }
}

/* MOVNTI: MOV m,r of 32 or 64 bits; the hint is lost on us. */
static const MoveRow row_movnti = { .mr = { NULL, NULL, mov_mr32, mov_mr64 } };

static EmuOpFn *bind_movnti(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_has_feature(decoded->cpu, F_SSE2) ? bind_mov(decoded, op) : NULL;
}

/* ---- Other widths, other byte orders ---- */

/* By the sizes of destination (row) and source. */
typedef struct WidenRow {
    EmuOpFn *rr[4][3], *rm[4][3];
} WidenRow;

#define DEFINE_WIDEN(name, to, from, type) \
    static void name##to##_rr##from(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##to(cpu, op->r[0], (uint64_t)(type)emu_get_r##from(cpu, op->r[1])); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##to##_rm##from(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##to(cpu, op->r[0], (uint64_t)(type)EMU_LOAD(cpu, op, from)); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_WIDEN_TO(to) \
    DEFINE_WIDEN(movzx, to, 8, uint8_t) \
    DEFINE_WIDEN(movzx, to, 16, uint16_t) \
    DEFINE_WIDEN(movsx, to, 8, int8_t) \
    DEFINE_WIDEN(movsx, to, 16, int16_t)
EMU_FOR_WIDE_SIZES(DEFINE_WIDEN_TO)
DEFINE_WIDEN(movsx, 16, 32, int32_t)
DEFINE_WIDEN(movsx, 32, 32, int32_t)
DEFINE_WIDEN(movsx, 64, 32, int32_t)

static const WidenRow row_movzx = {
    .rr = { { NULL }, { movzx16_rr8, movzx16_rr16 }, { movzx32_rr8, movzx32_rr16 },
            { movzx64_rr8, movzx64_rr16 } },
    .rm = { { NULL }, { movzx16_rm8, movzx16_rm16 }, { movzx32_rm8, movzx32_rm16 },
            { movzx64_rm8, movzx64_rm16 } },
};
/* MOVSXD too; without REX.W it copies 32 (or, by 66h, 16) bits. */
static const WidenRow row_movsx = {
    .rr = { { NULL }, { movsx16_rr8, movsx16_rr16, movsx16_rr32 },
            { movsx32_rr8, movsx32_rr16, movsx32_rr32 },
            { movsx64_rr8, movsx64_rr16, movsx64_rr32 } },
    .rm = { { NULL }, { movsx16_rm8, movsx16_rm16, movsx16_rm32 },
            { movsx32_rm8, movsx32_rm16, movsx32_rm32 },
            { movsx64_rm8, movsx64_rm16, movsx64_rm32 } },
};

static EmuOpFn *bind_widen(const EmuDecoded *decoded, EmuOp *op)
{
    const WidenRow *row = decoded->row->data;
    unsigned to = emu_operand_index(decoded);
    unsigned from = emu_size_index(emu_operand_bits(decoded, 1));

    if (decoded->insn.mnemonic == ZYDIS_MNEMONIC_MOVSXD && to == 1) {
        from = 1; /* of memory, too, it reads no more */
    }
    return from > 2 ? NULL : emu_form(decoded) == EMU_FORM_RR ? row->rr[to][from]
                                                              : row->rm[to][from];
}

#define DEFINE_LEA(bits) \
    static void lea_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], emu_effective(cpu, op)); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_WIDE_SIZES(DEFINE_LEA)

/* The two commonest: base and displacement, and with an index, addresses of 64 bits. */
static void lea_base_disp64(EmuCpu *cpu, const EmuOp *op)
{
    cpu->regs[op->r[0]] = cpu->regs[op->base] + (int64_t)op->disp;
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_lea(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const fns[4] = EMU_BY_WIDE_SIZE(lea_rm);

    if (emu_form(decoded) != EMU_FORM_RM) {
        return NULL;
    }
    if (emu_operand_bits(decoded, 0) == 64 && !op->addr_shift && op->index == EMU_REG_ZERO) {
        return lea_base_disp64;
    }
    return fns[emu_operand_index(decoded)];
}

/* BSWAP r16 is undefined; processors clear the register. */
static inline uint16_t swap16(uint16_t value) { return __builtin_bswap16(value); }
static inline uint32_t swap32(uint32_t value) { return __builtin_bswap32(value); }
static inline uint64_t swap64(uint64_t value) { return __builtin_bswap64(value); }

#define DEFINE_MOVBE(bits) \
    static void movbe_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], swap##bits(EMU_LOAD(cpu, op, bits))); \
        EMU_NEXT(cpu, op); \
    } \
    static void movbe_mr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_write_u##bits(cpu, EMU_TARGET(cpu, op, bits), \
                          swap##bits(emu_get_r##bits(cpu, op->r[0]))); \
        EMU_NEXT(cpu, op); \
    } \
    static void bswap##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], \
                        bits == 16 ? 0 : swap##bits(emu_get_r##bits(cpu, op->r[0]))); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_WIDE_SIZES(DEFINE_MOVBE)

static const MoveRow row_movbe = {
    .rm = EMU_BY_WIDE_SIZE(movbe_rm), .mr = EMU_BY_WIDE_SIZE(movbe_mr),
};

static EmuOpFn *bind_movbe(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_has_feature(decoded->cpu, F_MOVBE) ? bind_mov(decoded, op) : NULL;
}

static EmuOpFn *bind_bswap(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const fns[4] = EMU_BY_WIDE_SIZE(bswap);

    return fns[emu_operand_index(decoded)];
}

/* ---- XCHG ---- */

static uint64_t rmw_exchange(uint64_t old, uint64_t source) { return source; }

#define DEFINE_XCHG(bits) \
    static void xchg_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t a = emu_get_r##bits(cpu, op->r[0]), b = emu_get_r##bits(cpu, op->r[1]); \
        emu_put_r##bits(cpu, op->r[0], b); \
        emu_put_r##bits(cpu, op->r[1], a); \
        EMU_NEXT(cpu, op); \
    } \
    /* Locked with or without the prefix. */ \
    static void xchg_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t source = emu_get_r##bits(cpu, op->r[0]); \
        emu_put_r##bits(cpu, op->r[0], \
                        emu_locked_rmw_u##bits(cpu, linear, rmw_exchange, source)); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_SIZES(DEFINE_XCHG)

static const MoveRow row_xchg = {
    .rr = EMU_BY_SIZE(xchg_rr), .rm = EMU_BY_SIZE(xchg_m), .mr = EMU_BY_SIZE(xchg_m),
};

static EmuOpFn *bind_xchg(const EmuDecoded *decoded, EmuOp *op)
{
    unsigned form = emu_form(decoded), size = emu_operand_index(decoded);

    return form == EMU_FORM_RR ? row_xchg.rr[size]
           : form == EMU_FORM_MR || form == EMU_FORM_RM ? row_xchg.mr[size] : NULL;
}

/* XLAT: the table at rBX of the address size, in op->imm. */
static void xlat(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t offset = cpu->regs[X86_RBX] + (uint8_t)cpu->regs[X86_RAX];

    offset = offset << op->addr_shift >> op->addr_shift;
    emu_put_r8(cpu, 0, emu_read_u8(cpu, emu_linear(cpu, op->seg, offset, 1, EMU_READ)));
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_xlat(const EmuDecoded *decoded, EmuOp *op)
{
    return xlat;
}

/* ---- Conditional moves and sets: a handler for each condition, which the compiler unfolds ---- */

#define EMU_FOR_CONDITIONS(define) \
    define(0) define(1) define(2) define(3) define(4) define(5) define(6) define(7) \
    define(8) define(9) define(10) define(11) define(12) define(13) define(14) define(15)

/* A false CMOVcc still reads its source and still clears the upper half of a 32-bit destination. */
#define DEFINE_CMOV(code, bits) \
    static void cmov##code##_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        unsigned r = emu_condition(cpu, code) ? op->r[1] : op->r[0]; \
        emu_put_r##bits(cpu, op->r[0], emu_get_r##bits(cpu, r)); \
        EMU_NEXT(cpu, op); \
    } \
    static void cmov##code##_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t value = EMU_LOAD(cpu, op, bits); \
        if (!emu_condition(cpu, code)) { \
            value = emu_get_r##bits(cpu, op->r[0]); \
        } \
        emu_put_r##bits(cpu, op->r[0], value); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_CONDITION(code) \
    DEFINE_CMOV(code, 16) \
    DEFINE_CMOV(code, 32) \
    DEFINE_CMOV(code, 64) \
    static void set##code##_r(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r8(cpu, op->r[0], emu_condition(cpu, code)); \
        EMU_NEXT(cpu, op); \
    } \
    static void set##code##_m(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_write_u8(cpu, EMU_TARGET(cpu, op, 8), emu_condition(cpu, code)); \
        EMU_NEXT(cpu, op); \
    } \
    static const MoveRow row_cmov##code = { \
        .rr = EMU_BY_WIDE_SIZE(cmov##code##_rr), .rm = EMU_BY_WIDE_SIZE(cmov##code##_rm), \
    }; \
    static EmuOpFn *const set##code[2] = { set##code##_r, set##code##_m };
EMU_FOR_CONDITIONS(DEFINE_CONDITION)

static EmuOpFn *bind_cmov(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_has_feature(decoded->cpu, F_CMOV) ? bind_mov(decoded, op) : NULL;
}

static EmuOpFn *bind_set(const EmuDecoded *decoded, EmuOp *op)
{
    EmuOpFn *const *fns = decoded->row->data;

    return fns[emu_form(decoded) == EMU_FORM_M];
}

/* ---- Implicit operands ---- */

#define DEFINE_FIXED(name, statement) \
    static void name(EmuCpu *cpu, const EmuOp *op) \
    { \
        statement; \
        EMU_NEXT(cpu, op); \
    }
#define DEFINE_SIMPLE(name, statement) \
    DEFINE_FIXED(name, statement) \
    static EmuOpFn *bind_##name(const EmuDecoded *decoded, EmuOp *op) \
    { \
        return name; \
    }
DEFINE_SIMPLE(cbw, emu_put_r16(cpu, X86_RAX, (int8_t)cpu->regs[X86_RAX]))
DEFINE_SIMPLE(cwde, emu_put_r32(cpu, X86_RAX, (int16_t)cpu->regs[X86_RAX]))
DEFINE_SIMPLE(cdqe, emu_put_r64(cpu, X86_RAX, (int32_t)cpu->regs[X86_RAX]))
DEFINE_SIMPLE(cwd, emu_put_r16(cpu, X86_RDX, -((uint16_t)cpu->regs[X86_RAX] >> 15)))
DEFINE_SIMPLE(cdq, emu_put_r32(cpu, X86_RDX, -((uint32_t)cpu->regs[X86_RAX] >> 31)))
DEFINE_SIMPLE(cqo, emu_put_r64(cpu, X86_RDX, -(cpu->regs[X86_RAX] >> 63)))
DEFINE_SIMPLE(clc, emu_set_cf(cpu, false))
DEFINE_SIMPLE(stc, emu_set_cf(cpu, true))
DEFINE_SIMPLE(cmc, emu_set_cf(cpu, !emu_cf(cpu)))
DEFINE_SIMPLE(cld, cpu->rflags &= ~(uint64_t)FLAG_DF)
DEFINE_SIMPLE(std, cpu->rflags |= FLAG_DF)
/* AH is byte 1 of regs[]. */
DEFINE_FIXED(lahf, emu_put_r8(cpu, 1, FLAG_ONE | (uint8_t)emu_flags_get(cpu)))
DEFINE_FIXED(sahf, emu_flags_set(cpu, emu_get_r8(cpu, 1) | (emu_of(cpu) ? FLAG_OF : 0)))

/* LAHF and SAHF in 64-bit code are a feature. */
static EmuOpFn *bind_flags_ah(const EmuDecoded *decoded, EmuOp *op)
{
    if ((decoded->mode & EMU_MODE_CS64) && !emu_has_feature(decoded->cpu, F_LAHF_LM)) {
        return NULL;
    }
    return decoded->insn.mnemonic == ZYDIS_MNEMONIC_LAHF ? lahf : sahf;
}

#define CMOV_ROW(name, code) EMU_INT_ROW(CMOV##name, bind_cmov, &row_cmov##code)
#define SET_ROW(name, code) EMU_INT_ROW(SET##name, bind_set, set##code)
#define SIMPLE_ROW(upper, lower) EMU_INT_ROW(upper, bind_##lower, NULL)

static const EmuInsn rows[] = {
    EMU_INT_ROW(MOV, bind_mov, &row_mov),
    EMU_INT_ROW(MOVNTI, bind_movnti, &row_movnti),
    EMU_INT_ROW(MOVZX, bind_widen, &row_movzx),
    EMU_INT_ROW(MOVSX, bind_widen, &row_movsx),
    EMU_INT_ROW(MOVSXD, bind_widen, &row_movsx),
    EMU_INT_ROW(LEA, bind_lea, NULL),
    EMU_INT_ROW(MOVBE, bind_movbe, &row_movbe),
    EMU_INT_ROW(BSWAP, bind_bswap, NULL),
    EMU_INT_ROW(XCHG, bind_xchg, NULL),
    EMU_INT_ROW(XLAT, bind_xlat, NULL),
    CMOV_ROW(O, 0), CMOV_ROW(NO, 1), CMOV_ROW(B, 2), CMOV_ROW(NB, 3), CMOV_ROW(Z, 4),
    CMOV_ROW(NZ, 5), CMOV_ROW(BE, 6), CMOV_ROW(NBE, 7), CMOV_ROW(S, 8), CMOV_ROW(NS, 9),
    CMOV_ROW(P, 10), CMOV_ROW(NP, 11), CMOV_ROW(L, 12), CMOV_ROW(NL, 13), CMOV_ROW(LE, 14),
    CMOV_ROW(NLE, 15),
    SET_ROW(O, 0), SET_ROW(NO, 1), SET_ROW(B, 2), SET_ROW(NB, 3), SET_ROW(Z, 4),
    SET_ROW(NZ, 5), SET_ROW(BE, 6), SET_ROW(NBE, 7), SET_ROW(S, 8), SET_ROW(NS, 9),
    SET_ROW(P, 10), SET_ROW(NP, 11), SET_ROW(L, 12), SET_ROW(NL, 13), SET_ROW(LE, 14),
    SET_ROW(NLE, 15),
    SIMPLE_ROW(CBW, cbw), SIMPLE_ROW(CWDE, cwde), SIMPLE_ROW(CDQE, cdqe),
    SIMPLE_ROW(CWD, cwd), SIMPLE_ROW(CDQ, cdq), SIMPLE_ROW(CQO, cqo),
    SIMPLE_ROW(CLC, clc), SIMPLE_ROW(STC, stc), SIMPLE_ROW(CMC, cmc),
    SIMPLE_ROW(CLD, cld), SIMPLE_ROW(STD, std),
    EMU_INT_ROW(LAHF, bind_flags_ah, NULL),
    EMU_INT_ROW(SAHF, bind_flags_ah, NULL),
};

const EmuInsnTable emu_insns_move = EMU_INSN_TABLE(rows);
