/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BT BTS BTR BTC, BSF BSR LZCNT TZCNT POPCNT, CRC32. BT and its kin change CF only. A search in
 * zero leaves its destination, all 64 bits of it, and processors set PF besides ZF.
 */
#include "accel/emu/op-int.h"

static inline uint64_t bit_none(uint64_t a, uint64_t bit) { return a; }
static uint64_t bit_set(uint64_t a, uint64_t bit) { return a | bit; }
static uint64_t bit_reset(uint64_t a, uint64_t bit) { return a & ~bit; }
static uint64_t bit_flip(uint64_t a, uint64_t bit) { return a ^ bit; }

/* A register as bit offset is signed and reaches beyond the operand. */
#define DEFINE_BIT_ADDRESS(bits) \
    static inline uint64_t bit_operand##bits(EmuCpu *cpu, const EmuOp *op, EmuAccess access) \
    { \
        int64_t offset = (int##bits##_t)emu_get_r##bits(cpu, op->r[0]); \
        uint64_t ea = emu_effective(cpu, op) + (uint64_t)(offset / bits - (offset % bits < 0)) * \
                      (bits / 8); \
        return emu_linear(cpu, op->seg, ea << op->addr_shift >> op->addr_shift, bits / 8, access); \
    }
EMU_FOR_WIDE_SIZES(DEFINE_BIT_ADDRESS)

#define DEFINE_BIT_TEST(bits) \
    static void bt_mr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t a = emu_read_u##bits(cpu, bit_operand##bits(cpu, op, EMU_READ)); \
        emu_set_cf(cpu, a >> (cpu->regs[op->r[0]] & (bits - 1)) & 1); \
        EMU_NEXT(cpu, op); \
    } \
    static void bt_mi##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_set_cf(cpu, EMU_LOAD(cpu, op, bits) >> (op->imm & (bits - 1)) & 1); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_WIDE_SIZES(DEFINE_BIT_TEST)

#define DEFINE_BIT_REGISTER(name, bits, change) \
    static inline void do_##name##bits(EmuCpu *cpu, const EmuOp *op, uint64_t offset) \
    { \
        uint64_t a = emu_get_r##bits(cpu, op->r[0]); \
        offset &= bits - 1; \
        emu_set_cf(cpu, a >> offset & 1); \
        if (change != bit_none) { \
            emu_put_r##bits(cpu, op->r[0], change(a, 1ULL << offset)); \
        } \
    } \
    static void name##_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_##name##bits(cpu, op, cpu->regs[op->r[1]]); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_ri##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_##name##bits(cpu, op, op->imm); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_BIT_MEMORY(name, form, bits, change, address, offset_of) \
    static void name##_##form##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = address, offset = (offset_of) & (bits - 1); \
        uint64_t a = emu_read_for_write_u##bits(cpu, linear); \
        emu_write_u##bits(cpu, linear, (uint##bits##_t)change(a, 1ULL << offset)); \
        emu_set_cf(cpu, a >> offset & 1); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_locked_##form##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = address, offset = (offset_of) & (bits - 1); \
        uint64_t a = emu_locked_rmw_u##bits(cpu, linear, change, 1ULL << offset); \
        emu_set_cf(cpu, a >> offset & 1); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_BIT_CHANGE(name, bits, change) \
    DEFINE_BIT_REGISTER(name, bits, change) \
    DEFINE_BIT_MEMORY(name, mr, bits, change, bit_operand##bits(cpu, op, EMU_WRITE), \
                      cpu->regs[op->r[0]]) \
    DEFINE_BIT_MEMORY(name, mi, bits, change, EMU_TARGET(cpu, op, bits), op->imm)

#define DEFINE_BITS(bits) \
    DEFINE_BIT_REGISTER(bt, bits, bit_none) \
    DEFINE_BIT_CHANGE(bts, bits, bit_set) \
    DEFINE_BIT_CHANGE(btr, bits, bit_reset) \
    DEFINE_BIT_CHANGE(btc, bits, bit_flip)
EMU_FOR_WIDE_SIZES(DEFINE_BITS)

typedef struct BitRow {
    EmuOpFn *rr[4], *ri[4], *mr[4], *mi[4], *locked_mr[4], *locked_mi[4];
} BitRow;

#define BIT_ROW(name) \
    static const BitRow row_##name = { \
        .rr = EMU_BY_WIDE_SIZE(name##_rr), .ri = EMU_BY_WIDE_SIZE(name##_ri), \
        .mr = EMU_BY_WIDE_SIZE(name##_mr), .mi = EMU_BY_WIDE_SIZE(name##_mi), \
        .locked_mr = EMU_BY_WIDE_SIZE(name##_locked_mr), \
        .locked_mi = EMU_BY_WIDE_SIZE(name##_locked_mi), \
    };
BIT_ROW(bts)
BIT_ROW(btr)
BIT_ROW(btc)
static const BitRow row_bt = {
    .rr = EMU_BY_WIDE_SIZE(bt_rr), .ri = EMU_BY_WIDE_SIZE(bt_ri),
    .mr = EMU_BY_WIDE_SIZE(bt_mr), .mi = EMU_BY_WIDE_SIZE(bt_mi),
};

static EmuOpFn *bind_bit(const EmuDecoded *decoded, EmuOp *op)
{
    const BitRow *row = decoded->row->data;
    unsigned size = emu_operand_index(decoded);
    bool locked = emu_is_locked(decoded);

    switch (emu_form(decoded)) {
    case EMU_FORM_RR:
        return row->rr[size];
    case EMU_FORM_RI:
        return row->ri[size];
    case EMU_FORM_MR:
        return locked ? row->locked_mr[size] : row->mr[size];
    case EMU_FORM_MI:
        return locked ? row->locked_mi[size] : row->mi[size];
    default:
        return NULL;
    }
}

/* ---- Searching and counting ---- */

/* Position of the lowest and the highest set bit; the operand is not 0. */
static inline unsigned lowest(uint64_t a) { return (unsigned)__builtin_ctzll(a); }
static inline unsigned highest(uint64_t a) { return 63 - (unsigned)__builtin_clzll(a); }

/* True: the destination is written. */
#define DEFINE_SEARCH(name, find) \
    static inline bool do_##name(EmuCpu *cpu, uint64_t a, unsigned bits, uint64_t *result) \
    { \
        cpu->flag_carry = 0; \
        cpu->flag_result = 0; \
        if (!a) { \
            return false; \
        } \
        *result = find(a); \
        cpu->flag_result = *result | BIT_ULL(8); /* not zero; PF by the low byte */ \
        return true; \
    }
DEFINE_SEARCH(bsf, lowest)
DEFINE_SEARCH(bsr, highest)

static inline bool do_tzcnt(EmuCpu *cpu, uint64_t a, unsigned bits, uint64_t *result)
{
    *result = a ? lowest(a) : bits;
    emu_flags_no_parity(cpu, *result, !a);
    return true;
}

static inline bool do_lzcnt(EmuCpu *cpu, uint64_t a, unsigned bits, uint64_t *result)
{
    *result = a ? bits - 1 - highest(a) : bits;
    emu_flags_no_parity(cpu, *result, !a);
    return true;
}

static inline bool do_popcnt(EmuCpu *cpu, uint64_t a, unsigned bits, uint64_t *result)
{
    *result = (unsigned)__builtin_popcountll(a);
    emu_flags_no_parity(cpu, *result, false);
    return true;
}

#define DEFINE_COUNT(name, bits) \
    static void name##_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t result; \
        if (do_##name(cpu, emu_get_r##bits(cpu, op->r[1]), bits, &result)) { \
            emu_put_r##bits(cpu, op->r[0], result); \
        } \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t result; \
        if (do_##name(cpu, EMU_LOAD(cpu, op, bits), bits, &result)) { \
            emu_put_r##bits(cpu, op->r[0], result); \
        } \
        EMU_NEXT(cpu, op); \
    }
#define DEFINE_COUNTS(bits) \
    DEFINE_COUNT(bsf, bits) \
    DEFINE_COUNT(bsr, bits) \
    DEFINE_COUNT(tzcnt, bits) \
    DEFINE_COUNT(lzcnt, bits) \
    DEFINE_COUNT(popcnt, bits)
EMU_FOR_WIDE_SIZES(DEFINE_COUNTS)

typedef struct CountRow {
    EmuOpFn *rr[4], *rm[4];
    uint16_t feature; /* X86FeatureId; F_END: always there */
} CountRow;

#define COUNT_ROW(name, needs) \
    static const CountRow row_##name = { \
        .rr = EMU_BY_WIDE_SIZE(name##_rr), .rm = EMU_BY_WIDE_SIZE(name##_rm), .feature = needs, \
    };
COUNT_ROW(bsf, F_END)
COUNT_ROW(bsr, F_END)
COUNT_ROW(tzcnt, F_BMI1)
COUNT_ROW(lzcnt, F_ABM)
COUNT_ROW(popcnt, F_POPCNT)

static EmuOpFn *bind_count(const EmuDecoded *decoded, EmuOp *op)
{
    const CountRow *row = decoded->row->data;
    unsigned size = emu_operand_index(decoded);

    if (row->feature != F_END && !emu_has_feature(decoded->cpu, row->feature)) {
        return NULL;
    }
    return emu_form(decoded) == EMU_FORM_RR ? row->rr[size] : row->rm[size];
}

/* ---- CRC32 (Castagnoli, reflected) ---- */

static uint32_t crc32c(uint32_t crc, uint64_t value, unsigned bytes)
{
    /* The remainders of four bits. */
    static const uint32_t nibbles[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
        0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab,
        0xe330a81a, 0xf36e6f75,
    };

    for (unsigned i = 0; i < bytes * 2; i++, value >>= 4) {
        crc = crc >> 4 ^ nibbles[(crc ^ value) & 15];
    }
    return crc;
}

#define DEFINE_CRC32(bits) \
    static void crc32_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r32(cpu, op->r[0], crc32c((uint32_t)cpu->regs[op->r[0]], \
                                          emu_get_r##bits(cpu, op->r[1]), bits / 8)); \
        EMU_NEXT(cpu, op); \
    } \
    static void crc32_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t value = EMU_LOAD(cpu, op, bits); \
        emu_put_r32(cpu, op->r[0], crc32c((uint32_t)cpu->regs[op->r[0]], value, bits / 8)); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_SIZES(DEFINE_CRC32)

static EmuOpFn *bind_crc32(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const rr[4] = EMU_BY_SIZE(crc32_rr), *const rm[4] = EMU_BY_SIZE(crc32_rm);
    unsigned size = emu_size_index(emu_operand_bits(decoded, 1));

    if (!emu_has_feature(decoded->cpu, F_SSE4_2)) {
        return NULL;
    }
    return emu_form(decoded) == EMU_FORM_RR ? rr[size] : rm[size];
}

static const EmuInsn rows[] = {
    EMU_INT_ROW(BT, bind_bit, &row_bt),
    EMU_INT_ROW(BTS, bind_bit, &row_bts),
    EMU_INT_ROW(BTR, bind_bit, &row_btr),
    EMU_INT_ROW(BTC, bind_bit, &row_btc),
    EMU_INT_ROW(BSF, bind_count, &row_bsf),
    EMU_INT_ROW(BSR, bind_count, &row_bsr),
    EMU_INT_ROW(TZCNT, bind_count, &row_tzcnt),
    EMU_INT_ROW(LZCNT, bind_count, &row_lzcnt),
    EMU_INT_ROW(POPCNT, bind_count, &row_popcnt),
    EMU_INT_ROW(CRC32, bind_crc32, NULL),
};

const EmuInsnTable emu_insns_bit = EMU_INSN_TABLE(rows);
