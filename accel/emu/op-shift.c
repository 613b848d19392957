/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHL SHR SAR ROL ROR RCL RCR SHLD SHRD. Counts are taken modulo 32 (64 for 64-bit operands); 0
 * leaves all flags. Where the manual leaves OF undefined (counts above 1), processors give what the
 * first step would, but leave it in ROL and ROR of a register by an immediate; AF they clear
 * (shifts) or leave (rotations).
 */
#include "accel/emu/op-int.h"

static inline unsigned count_mask(unsigned bits)
{
    return bits == 64 ? 63 : 31;
}

/* CF and OF only: rotations. */
static inline void set_cf_of(EmuCpu *cpu, bool cf, bool of)
{
    cpu->flag_carry = (cpu->flag_carry & ~(EMU_CARRY_OUT | EMU_CARRY_INTO_TOP)) |
                      (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
}

/* The two top bits of an operand differ. */
static inline bool tops_differ(uint64_t a, unsigned bits)
{
    return (a ^ a << 1) >> (bits - 1) & 1;
}

static inline bool top(uint64_t a, unsigned bits)
{
    return a >> (bits - 1) & 1;
}

/* Operations on zero-extended operands; the count is masked and not 0. */
static inline uint64_t do_shl(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    uint64_t result = a << count;

    emu_flags_result(cpu, emu_sign_extend(result, bits), top(a << (count - 1), bits),
                     tops_differ(a, bits));
    return result;
}

static inline uint64_t do_shr(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    uint64_t result = a >> count;

    emu_flags_result(cpu, emu_sign_extend(result, bits), a >> (count - 1) & 1, top(a, bits));
    return result;
}

static inline uint64_t do_sar(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    int64_t value = (int64_t)emu_sign_extend(a, bits);

    emu_flags_result(cpu, (uint64_t)(value >> count), value >> (count - 1) & 1, false);
    return (uint64_t)(value >> count);
}

static inline uint64_t do_rol(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    unsigned n = count % bits;
    uint64_t result = n ? a << n | a >> (bits - n) : a;

    set_cf_of(cpu, result & 1, tops_differ(a, bits));
    return result;
}

static inline uint64_t do_ror(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    unsigned n = count % bits;
    uint64_t result = n ? a >> n | a << (bits - n) : a;

    set_cf_of(cpu, top(result, bits), (a & 1) ^ top(a, bits));
    return result;
}

static inline uint64_t do_rol_imm(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    bool of = count == 1 ? tops_differ(a, bits) : emu_of(cpu);
    uint64_t result = do_rol(cpu, a, count, bits);

    emu_set_of(cpu, of);
    return result;
}

static inline uint64_t do_ror_imm(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    bool of = count == 1 ? (a & 1) ^ top(a, bits) : emu_of(cpu);
    uint64_t result = do_ror(cpu, a, count, bits);

    emu_set_of(cpu, of);
    return result;
}

/* Through the carry: the operand has bits + 1 bits. */
static inline uint64_t do_rcl(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    unsigned n = bits < 32 ? count % (bits + 1) : count;
    uint64_t result;

    if (!n) {
        return a;
    }
    result = a << n | (uint64_t)emu_cf(cpu) << (n - 1) | (n > 1 ? a >> (bits + 1 - n) : 0);
    set_cf_of(cpu, a >> (bits - n) & 1, tops_differ(a, bits));
    return result;
}

static inline uint64_t do_rcr(EmuCpu *cpu, uint64_t a, unsigned count, unsigned bits)
{
    unsigned n = bits < 32 ? count % (bits + 1) : count;
    bool cf = emu_cf(cpu);
    uint64_t result;

    if (!n) {
        return a;
    }
    result = a >> n | (uint64_t)cf << (bits - n) | (n > 1 ? a << (bits + 1 - n) : 0);
    set_cf_of(cpu, a >> (n - 1) & 1, cf ^ top(a, bits));
    return result;
}

/* For 16 bits and counts above 16, bits of the destination follow those of the source. */
static inline uint64_t do_shld(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned count, unsigned bits)
{
    uint64_t result;
    bool cf;

    if (bits == 64) {
        result = a << count | b >> (64 - count);
        cf = a >> (64 - count) & 1;
    } else {
        unsigned width = bits == 16 ? 48 : 64;
        uint64_t all = bits == 16 ? a << 32 | b << 16 | a : a << 32 | b;

        result = all << count >> (width - bits);
        cf = all >> (width - count) & 1;
    }
    emu_flags_result(cpu, emu_sign_extend(result, bits), cf, tops_differ(a, bits));
    return result;
}

static inline uint64_t do_shrd(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned count, unsigned bits)
{
    uint64_t all = bits == 64 ? a : bits == 16 ? a << 32 | b << 16 | a : b << 32 | a;
    uint64_t result = all >> count | (bits == 64 ? b << (64 - count) : 0);

    emu_flags_result(cpu, emu_sign_extend(result, bits), all >> (count - 1) & 1,
                     (b & 1) ^ top(a, bits));
    return result;
}

/* The immediate is masked when the op is bound, and not 0 for register destinations. */
#define DEFINE_SHIFT(name, by_imm, by_count, bits) \
    static void name##_ri##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], by_imm(cpu, emu_get_r##bits(cpu, op->r[0]), \
                                              (unsigned)op->imm, bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rc##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        unsigned count = cpu->regs[X86_RCX] & count_mask(bits); \
        uint64_t a = emu_get_r##bits(cpu, op->r[0]); \
        emu_put_r##bits(cpu, op->r[0], count ? by_count(cpu, a, count, bits) : a); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_mi##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t a = emu_read_for_write_u##bits(cpu, linear); \
        emu_write_u##bits(cpu, linear, \
                          (uint##bits##_t)(op->imm ? by_count(cpu, a, (unsigned)op->imm, bits) \
                                                   : a)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_mc##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        unsigned count = cpu->regs[X86_RCX] & count_mask(bits); \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t a = emu_read_for_write_u##bits(cpu, linear); \
        emu_write_u##bits(cpu, linear, \
                          (uint##bits##_t)(count ? by_count(cpu, a, count, bits) : a)); \
        EMU_NEXT(cpu, op); \
    }

#define DEFINE_DOUBLE(name, bits) \
    static inline void name##_reg##bits(EmuCpu *cpu, const EmuOp *op, unsigned count) \
    { \
        uint64_t a = emu_get_r##bits(cpu, op->r[0]), b = emu_get_r##bits(cpu, op->r[1]); \
        emu_put_r##bits(cpu, op->r[0], count ? do_##name(cpu, a, b, count, bits) : a); \
    } \
    static inline void name##_memory##bits(EmuCpu *cpu, const EmuOp *op, unsigned count) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t a = emu_read_for_write_u##bits(cpu, linear); \
        uint64_t b = emu_get_r##bits(cpu, op->r[0]); \
        emu_write_u##bits(cpu, linear, \
                          (uint##bits##_t)(count ? do_##name(cpu, a, b, count, bits) : a)); \
    } \
    static void name##_ri##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        name##_reg##bits(cpu, op, (unsigned)op->imm); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rc##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        name##_reg##bits(cpu, op, cpu->regs[X86_RCX] & count_mask(bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_mi##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        name##_memory##bits(cpu, op, (unsigned)op->imm); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_mc##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        name##_memory##bits(cpu, op, cpu->regs[X86_RCX] & count_mask(bits)); \
        EMU_NEXT(cpu, op); \
    }

/* A count of 0 in a register form: only the upper half of a 32-bit destination changes. */
#define DEFINE_NOTHING(bits) \
    static void nothing##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], emu_get_r##bits(cpu, op->r[0])); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_SIZES(DEFINE_NOTHING)

static EmuOpFn *const nothing[4] = EMU_BY_SIZE(nothing);

#define DEFINE_SHIFTS(bits) \
    DEFINE_SHIFT(shl, do_shl, do_shl, bits) \
    DEFINE_SHIFT(shr, do_shr, do_shr, bits) \
    DEFINE_SHIFT(sar, do_sar, do_sar, bits) \
    DEFINE_SHIFT(rol, do_rol_imm, do_rol, bits) \
    DEFINE_SHIFT(ror, do_ror_imm, do_ror, bits) \
    DEFINE_SHIFT(rcl, do_rcl, do_rcl, bits) \
    DEFINE_SHIFT(rcr, do_rcr, do_rcr, bits)
EMU_FOR_SIZES(DEFINE_SHIFTS)

#define DEFINE_DOUBLES(bits) \
    DEFINE_DOUBLE(shld, bits) \
    DEFINE_DOUBLE(shrd, bits)
EMU_FOR_WIDE_SIZES(DEFINE_DOUBLES)

/* By destination (register, memory) and count (immediate, CL). */
typedef struct ShiftRow {
    EmuOpFn *ri[4], *rc[4], *mi[4], *mc[4];
} ShiftRow;

#define SHIFT_ROW(name, by_size) \
    static const ShiftRow row_##name = { \
        .ri = by_size(name##_ri), .rc = by_size(name##_rc), .mi = by_size(name##_mi), \
        .mc = by_size(name##_mc), \
    };
SHIFT_ROW(shl, EMU_BY_SIZE)
SHIFT_ROW(shr, EMU_BY_SIZE)
SHIFT_ROW(sar, EMU_BY_SIZE)
SHIFT_ROW(rol, EMU_BY_SIZE)
SHIFT_ROW(ror, EMU_BY_SIZE)
SHIFT_ROW(rcl, EMU_BY_SIZE)
SHIFT_ROW(rcr, EMU_BY_SIZE)
SHIFT_ROW(shld, EMU_BY_WIDE_SIZE)
SHIFT_ROW(shrd, EMU_BY_WIDE_SIZE)

static EmuOpFn *bind_shift(const EmuDecoded *decoded, EmuOp *op)
{
    const ShiftRow *row = decoded->row->data;
    unsigned size = emu_operand_index(decoded), form = emu_form(decoded);

    op->imm &= count_mask(emu_operand_bits(decoded, 0));
    switch (form) {
    case EMU_FORM_RI:
    case EMU_FORM_RRI:
        return op->imm ? row->ri[size] : nothing[size];
    case EMU_FORM_RR:
    case EMU_FORM_RRR:
        return row->rc[size];
    case EMU_FORM_MI:
    case EMU_FORM_MRI:
        return row->mi[size];
    case EMU_FORM_MR:
    case EMU_FORM_MRR:
        return row->mc[size];
    default:
        return NULL;
    }
}

static const EmuInsn rows[] = {
    EMU_INT_ROW(SHL, bind_shift, &row_shl),
    EMU_INT_ROW(SHR, bind_shift, &row_shr),
    EMU_INT_ROW(SAR, bind_shift, &row_sar),
    EMU_INT_ROW(ROL, bind_shift, &row_rol),
    EMU_INT_ROW(ROR, bind_shift, &row_ror),
    EMU_INT_ROW(RCL, bind_shift, &row_rcl),
    EMU_INT_ROW(RCR, bind_shift, &row_rcr),
    EMU_INT_ROW(SHLD, bind_shift, &row_shld),
    EMU_INT_ROW(SHRD, bind_shift, &row_shrd),
};

const EmuInsnTable emu_insns_shift = EMU_INSN_TABLE(rows);
