/* SPDX-License-Identifier: Apache-2.0 */
/* Moves of vectors and of their low elements: between registers, memory and general registers. */
#include "accel/emu/vec-lanes.h"

/* ---- Whole vectors ---- */

static inline void zero_above(EmuVec *vec, bool vex)
{
    if (vex) {
        vec->u64[2] = vec->u64[3] = 0;
    }
}

#define FULL_MOVE(name, vex, bytes) \
    static void op_copy_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuVec *dst = &cpu->vec[op->r[0]]; \
        \
        memcpy(dst, &cpu->vec[op->r[1]], bytes); \
        zero_above(dst, (vex) && (bytes) == 16); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_load_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = emu_vec_operand(cpu, op, bytes, EMU_READ, op->size); \
        EmuVec *dst = &cpu->vec[op->r[0]]; \
        \
        emu_vec_load(cpu, linear, dst, bytes); \
        zero_above(dst, (vex) && (bytes) == 16); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_store_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = emu_vec_operand(cpu, op, bytes, EMU_WRITE, op->size); \
        \
        emu_vec_store(cpu, linear, &cpu->vec[op->r[0]], bytes); \
        EMU_NEXT(cpu, op); \
    }
FULL_MOVE(legacy, false, 16)
FULL_MOVE(vex128, true, 16)
FULL_MOVE(vex256, true, 32)

enum { COPY, LOAD, STORE };

/* Which of the three a move of two operands is. */
static unsigned direction(const EmuOp *op)
{
    return op->mem_at == 0xff ? COPY : op->mem_at == 0 ? STORE : LOAD;
}

typedef struct FullMove {
    bool aligned; /* VEX forms too, to 16 or 32 bytes */
} FullMove;

static EmuOpFn *bind_full(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const handlers[3][3] = {
        { op_copy_legacy, op_load_legacy, op_store_legacy },
        { op_copy_vex128, op_load_vex128, op_store_vex128 },
        { op_copy_vex256, op_load_vex256, op_store_vex256 },
    };
    const FullMove *data = decoded->row->data;
    unsigned length = op->flags & EMU_OP_L256 ? 2 : op->flags & EMU_OP_VEX ? 1 : 0;

    if (!emu_vec_allowed(decoded)) {
        return NULL;
    }
    op->size = data->aligned ? (length == 2 ? 31 : 15) : 0;
    return handlers[length][direction(op)];
}

/* ---- Low elements ---- */

#define LOW_MOVE(bits, bytes) \
    static inline void load_##bits(EmuCpu *cpu, const EmuOp *op, bool vex) \
    { \
        uint64_t linear = emu_operand(cpu, op, bytes, EMU_READ); \
        EmuVec *dst = &cpu->vec[op->r[0]]; \
        \
        dst->u64[0] = emu_read_u##bits(cpu, linear); \
        dst->u64[1] = 0; \
        zero_above(dst, vex); \
    } \
    static void op_load_legacy_##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        load_##bits(cpu, op, false); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_load_vex_##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        load_##bits(cpu, op, true); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_store_##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = emu_operand(cpu, op, bytes, EMU_WRITE); \
        \
        emu_write_u##bits(cpu, linear, cpu->vec[op->r[0]].u##bits[0]); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_to_gpr_##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        cpu->regs[op->r[0]] = cpu->vec[op->r[1]].u##bits[0]; \
        EMU_NEXT(cpu, op); \
    } \
    static inline void from_gpr_##bits(EmuCpu *cpu, const EmuOp *op, bool vex) \
    { \
        EmuVec *dst = &cpu->vec[op->r[0]]; \
        \
        dst->u64[0] = (uint##bits##_t)cpu->regs[op->r[1]]; \
        dst->u64[1] = 0; \
        zero_above(dst, vex); \
    } \
    static void op_from_gpr_legacy_##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        from_gpr_##bits(cpu, op, false); \
        EMU_NEXT(cpu, op); \
    } \
    static void op_from_gpr_vex_##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        from_gpr_##bits(cpu, op, true); \
        EMU_NEXT(cpu, op); \
    }
LOW_MOVE(32, 4)
LOW_MOVE(64, 8)

/* Handlers that a move of the low element has, by its size and VEX. */
typedef struct LowHandlers {
    EmuOpFn *load, *store, *to_gpr, *from_gpr;
} LowHandlers;

static const LowHandlers low_handlers[2][2] = {
    { { op_load_legacy_32, op_store_32, op_to_gpr_32, op_from_gpr_legacy_32 },
      { op_load_vex_32, op_store_32, op_to_gpr_32, op_from_gpr_vex_32 } },
    { { op_load_legacy_64, op_store_64, op_to_gpr_64, op_from_gpr_legacy_64 },
      { op_load_vex_64, op_store_64, op_to_gpr_64, op_from_gpr_vex_64 } },
};

EMU_VEC_LANES(copy, { r = y; })
EMU_VEC_LANES(copy64, { r = (EmuLane) { .u64 = { y.u64[0] } }; })

typedef struct LowMove {
    uint8_t bytes;
    EmuVecRow others; /* between vector registers, and all that MMX has */
} LowMove;

static EmuOpFn *bind_low(const EmuDecoded *decoded, EmuOp *op)
{
    const LowMove *data = decoded->row->data;
    const LowHandlers *handlers = &low_handlers[data->bytes == 8][!!(op->flags & EMU_OP_VEX)];
    ZydisRegisterClass class[2] = { ZYDIS_REGCLASS_INVALID, ZYDIS_REGCLASS_INVALID };

    if (!emu_vec_allowed(decoded)) {
        return NULL;
    }
    for (unsigned i = 0; i < 2 && i < decoded->insn.operand_count_visible; i++) {
        if (decoded->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            class[i] = ZydisRegisterGetClass(decoded->operands[i].reg.value);
        }
    }
    if (class[0] == ZYDIS_REGCLASS_XMM && op->mem_at == 1) {
        return handlers->load;
    }
    if (class[1] == ZYDIS_REGCLASS_XMM && op->mem_at == 0) {
        return handlers->store;
    }
    if (class[0] == ZYDIS_REGCLASS_XMM &&
        (class[1] == ZYDIS_REGCLASS_GPR32 || class[1] == ZYDIS_REGCLASS_GPR64)) {
        return handlers->from_gpr;
    }
    if (class[1] == ZYDIS_REGCLASS_XMM &&
        (class[0] == ZYDIS_REGCLASS_GPR32 || class[0] == ZYDIS_REGCLASS_GPR64)) {
        return handlers->to_gpr;
    }
    return emu_vec_bind_row(decoded, op, &data->others);
}

/* ---- Halves ---- */

EMU_VEC_LANES(to_low, { r = (EmuLane) { .u64 = { y.u64[0], x.u64[1] } }; })
EMU_VEC_LANES(to_high, { r = (EmuLane) { .u64 = { x.u64[0], y.u64[0] } }; })
EMU_VEC_LANES(high_to_low, { r = (EmuLane) { .u64 = { y.u64[1], x.u64[1] } }; })

typedef struct HalfMove {
    EmuVecRow load, store;
} HalfMove;

static EmuOpFn *bind_half(const EmuDecoded *decoded, EmuOp *op)
{
    const HalfMove *data = decoded->row->data;

    return emu_vec_bind_row(decoded, op, op->mem_at == 0 ? &data->store : &data->load);
}

/* ---- Instructions ---- */

#define FULL(name, is_aligned) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind_full, &(const FullMove) { is_aligned } }, \
    { ZYDIS_MNEMONIC_V##name, EMU_UNIT_SSE, bind_full, &(const FullMove) { is_aligned } }
#define LOW_ROW(name, size, ...) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind_low, &(const LowMove) { size, { __VA_ARGS__ } } }
#define LOW(name, size, ...) LOW_ROW(name, size, __VA_ARGS__), LOW_ROW(V##name, size, __VA_ARGS__)
#define HALF_ROW(name, load_fn, store_fn) \
    { ZYDIS_MNEMONIC_##name, EMU_UNIT_SSE, bind_half, \
      &(const HalfMove) { { .fn = load_fn }, { .fn = store_fn } } }
#define HALF(name, load_fn, store_fn) \
    HALF_ROW(name, load_fn, store_fn), HALF_ROW(V##name, load_fn, store_fn)

static const EmuInsn rows[] = {
    FULL(MOVAPS, true), FULL(MOVAPD, true), FULL(MOVDQA, true),
    FULL(MOVUPS, false), FULL(MOVUPD, false), FULL(MOVDQU, false), FULL(LDDQU, false),
    FULL(MOVNTPS, true), FULL(MOVNTPD, true), FULL(MOVNTDQ, true), FULL(MOVNTDQA, true),
    LOW(MOVSS, 4, .fn = copy, .scalar = 4),
    LOW(MOVSD, 8, .fn = copy, .scalar = 8),
    LOW(MOVD, 4, .fn = copy),
    LOW(MOVQ, 8, .fn = copy64),
    HALF(MOVLPS, to_low, copy), HALF(MOVLPD, to_low, copy),
    HALF(MOVHPS, to_high, high_to_low), HALF(MOVHPD, to_high, high_to_low),
    EMU_VEC_BOTH(MOVHLPS, .fn = high_to_low), EMU_VEC_BOTH(MOVLHPS, .fn = to_high),
    EMU_VEC_ROW(MOVQ2DQ, .fn = copy64), EMU_VEC_ROW(MOVDQ2Q, .fn = copy),
    EMU_VEC_ROW(MOVNTQ, .fn = copy),
};

const EmuInsnTable emu_insns_vec_move = { .rows = rows, .count = G_N_ELEMENTS(rows) };
