/* SPDX-License-Identifier: Apache-2.0 */
/* Addition, subtraction, logic: ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT ADCX ADOX. */
#include "accel/emu/op-int.h"

typedef struct BinaryRow {
    EmuOpFn *rr[4], *ri[4], *rm[4], *mr[4], *mi[4], *locked_mr[4], *locked_mi[4];
} BinaryRow;

typedef struct UnaryRow {
    EmuOpFn *r[4], *m[4], *locked_m[4];
} UnaryRow;

/*
 * Operations: give the result, of which only the low `bits` count, and set the flags. Of the
 * operands only those bits count as well.
 */
static inline uint64_t do_add(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t result = a + b;

    emu_flags_add(cpu, a, b, result, bits);
    return result;
}

static inline uint64_t do_adc(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t result = a + b + emu_cf(cpu);

    emu_flags_add(cpu, a, b, result, bits);
    return result;
}

static inline uint64_t do_sub(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t result = a - b;

    emu_flags_sub(cpu, a, b, result, bits);
    return result;
}

static inline uint64_t do_sbb(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    uint64_t result = a - b - emu_cf(cpu);

    emu_flags_sub(cpu, a, b, result, bits);
    return result;
}

static inline uint64_t do_and(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    emu_flags_logic(cpu, a & b, bits);
    return a & b;
}

static inline uint64_t do_or(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    emu_flags_logic(cpu, a | b, bits);
    return a | b;
}

static inline uint64_t do_xor(EmuCpu *cpu, uint64_t a, uint64_t b, unsigned bits)
{
    emu_flags_logic(cpu, a ^ b, bits);
    return a ^ b;
}

/* INC and DEC leave CF. */
static inline uint64_t do_inc(EmuCpu *cpu, uint64_t a, unsigned bits)
{
    uint64_t cf = cpu->flag_carry & EMU_CARRY_OUT, result = emu_sign_extend(a + 1, bits);
    bool of = result == ~0ULL << (bits - 1);

    cpu->flag_result = result;
    cpu->flag_carry = (cf | (cf >> 1 ^ (uint64_t)of << 62)) |
                      ((a & 15) == 15 ? EMU_CARRY_AUX : 0);
    return result;
}

static inline uint64_t do_dec(EmuCpu *cpu, uint64_t a, unsigned bits)
{
    uint64_t cf = cpu->flag_carry & EMU_CARRY_OUT, result = emu_sign_extend(a - 1, bits);
    bool of = result == ~(~0ULL << (bits - 1));

    cpu->flag_result = result;
    cpu->flag_carry = (cf | (cf >> 1 ^ (uint64_t)of << 62)) | ((a & 15) == 0 ? EMU_CARRY_AUX : 0);
    return result;
}

static inline uint64_t do_neg(EmuCpu *cpu, uint64_t a, unsigned bits)
{
    return do_sub(cpu, 0, a, bits);
}

static inline uint64_t do_not(EmuCpu *cpu, uint64_t a, unsigned bits)
{
    return ~a;
}

/* The same on memory under LOCK: ADC and SBB get the carry as part of the source. */
static uint64_t rmw_add(uint64_t old, uint64_t source) { return old + source; }
static uint64_t rmw_sub(uint64_t old, uint64_t source) { return old - source; }
static uint64_t rmw_and(uint64_t old, uint64_t source) { return old & source; }
static uint64_t rmw_or(uint64_t old, uint64_t source) { return old | source; }
static uint64_t rmw_xor(uint64_t old, uint64_t source) { return old ^ source; }
static uint64_t rmw_inc(uint64_t old, uint64_t source) { return old + 1; }
static uint64_t rmw_dec(uint64_t old, uint64_t source) { return old - 1; }
static uint64_t rmw_neg(uint64_t old, uint64_t source) { return -old; }
static uint64_t rmw_not(uint64_t old, uint64_t source) { return ~old; }

#define DEFINE_REGISTER_FORMS(name, bits, store) \
    static void name##_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t result = do_##name(cpu, emu_get_r##bits(cpu, op->r[0]), \
                                    emu_get_r##bits(cpu, op->r[1]), bits); \
        store(cpu, op->r[0], result); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_ri##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t result = do_##name(cpu, emu_get_r##bits(cpu, op->r[0]), op->imm, bits); \
        store(cpu, op->r[0], result); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t b = EMU_LOAD(cpu, op, bits); \
        uint64_t result = do_##name(cpu, emu_get_r##bits(cpu, op->r[0]), b, bits); \
        store(cpu, op->r[0], result); \
        EMU_NEXT(cpu, op); \
    }

/* Memory is the destination; the write cannot fault any more when the flags are set. */
#define DEFINE_MEMORY_FORM(name, form, bits, source, carry) \
    static void name##_##form##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t a = emu_read_for_write_u##bits(cpu, linear); \
        emu_write_u##bits(cpu, linear, (uint##bits##_t)do_##name(cpu, a, (source), bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_locked_##form##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t b = (source); \
        uint64_t a = emu_locked_rmw_u##bits(cpu, linear, rmw_of_##name, b + (carry)); \
        do_##name(cpu, a, b, bits); \
        EMU_NEXT(cpu, op); \
    }

#define rmw_of_add rmw_add
#define rmw_of_adc rmw_add
#define rmw_of_sub rmw_sub
#define rmw_of_sbb rmw_sub
#define rmw_of_and rmw_and
#define rmw_of_or rmw_or
#define rmw_of_xor rmw_xor

#define DEFINE_BINARY(name, bits, carry) \
    DEFINE_REGISTER_FORMS(name, bits, emu_put_r##bits) \
    DEFINE_MEMORY_FORM(name, mr, bits, emu_get_r##bits(cpu, op->r[0]), carry) \
    DEFINE_MEMORY_FORM(name, mi, bits, op->imm, carry)

#define BINARY_ROW(name) \
    static const BinaryRow row_##name = { \
        .rr = EMU_BY_SIZE(name##_rr), .ri = EMU_BY_SIZE(name##_ri), .rm = EMU_BY_SIZE(name##_rm), \
        .mr = EMU_BY_SIZE(name##_mr), .mi = EMU_BY_SIZE(name##_mi), \
        .locked_mr = EMU_BY_SIZE(name##_locked_mr), .locked_mi = EMU_BY_SIZE(name##_locked_mi), \
    };

#define DEFINE_ADD(bits) DEFINE_BINARY(add, bits, 0)
#define DEFINE_OR(bits) DEFINE_BINARY(or, bits, 0)
#define DEFINE_ADC(bits) DEFINE_BINARY(adc, bits, emu_cf(cpu))
#define DEFINE_SBB(bits) DEFINE_BINARY(sbb, bits, emu_cf(cpu))
#define DEFINE_AND(bits) DEFINE_BINARY(and, bits, 0)
#define DEFINE_SUB(bits) DEFINE_BINARY(sub, bits, 0)
#define DEFINE_XOR(bits) DEFINE_BINARY(xor, bits, 0)
EMU_FOR_SIZES(DEFINE_ADD)
EMU_FOR_SIZES(DEFINE_OR)
EMU_FOR_SIZES(DEFINE_ADC)
EMU_FOR_SIZES(DEFINE_SBB)
EMU_FOR_SIZES(DEFINE_AND)
EMU_FOR_SIZES(DEFINE_SUB)
EMU_FOR_SIZES(DEFINE_XOR)
BINARY_ROW(add)
BINARY_ROW(or)
BINARY_ROW(adc)
BINARY_ROW(sbb)
BINARY_ROW(and)
BINARY_ROW(sub)
BINARY_ROW(xor)

/* CMP and TEST: no result is stored. */
#define DISCARD(cpu, r, result) (void)(result)
#define do_cmp do_sub
#define do_test do_and

#define DEFINE_COMPARE(name, bits) \
    DEFINE_REGISTER_FORMS(name, bits, DISCARD) \
    static void name##_mr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t a = EMU_LOAD(cpu, op, bits); \
        do_##name(cpu, a, emu_get_r##bits(cpu, op->r[0]), bits); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_mi##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t a = EMU_LOAD(cpu, op, bits); \
        do_##name(cpu, a, op->imm, bits); \
        EMU_NEXT(cpu, op); \
    }

#define COMPARE_ROW(name) \
    static const BinaryRow row_##name = { \
        .rr = EMU_BY_SIZE(name##_rr), .ri = EMU_BY_SIZE(name##_ri), .rm = EMU_BY_SIZE(name##_rm), \
        .mr = EMU_BY_SIZE(name##_mr), .mi = EMU_BY_SIZE(name##_mi), \
    };

#define DEFINE_CMP(bits) DEFINE_COMPARE(cmp, bits)
#define DEFINE_TEST(bits) DEFINE_COMPARE(test, bits)
EMU_FOR_SIZES(DEFINE_CMP)
EMU_FOR_SIZES(DEFINE_TEST)
COMPARE_ROW(cmp)
COMPARE_ROW(test)

#define DEFINE_UNARY(name, bits) \
    static void name##_r##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], do_##name(cpu, emu_get_r##bits(cpu, op->r[0]), bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t a = emu_read_for_write_u##bits(cpu, linear); \
        emu_write_u##bits(cpu, linear, (uint##bits##_t)do_##name(cpu, a, bits)); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_locked_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint64_t a = emu_locked_rmw_u##bits(cpu, linear, rmw_##name, 0); \
        do_##name(cpu, a, bits); \
        EMU_NEXT(cpu, op); \
    }

#define UNARY_ROW(name) \
    static const UnaryRow row_##name = { \
        .r = EMU_BY_SIZE(name##_r), .m = EMU_BY_SIZE(name##_m), \
        .locked_m = EMU_BY_SIZE(name##_locked_m), \
    };

#define DEFINE_INC(bits) DEFINE_UNARY(inc, bits)
#define DEFINE_DEC(bits) DEFINE_UNARY(dec, bits)
#define DEFINE_NEG(bits) DEFINE_UNARY(neg, bits)
#define DEFINE_NOT(bits) DEFINE_UNARY(not, bits)
EMU_FOR_SIZES(DEFINE_INC)
EMU_FOR_SIZES(DEFINE_DEC)
EMU_FOR_SIZES(DEFINE_NEG)
EMU_FOR_SIZES(DEFINE_NOT)
UNARY_ROW(inc)
UNARY_ROW(dec)
UNARY_ROW(neg)
UNARY_ROW(not)

/* XOR r,r and SUB r,r need not read the register. */
#define DEFINE_ZERO(bits) \
    static void zero##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_put_r##bits(cpu, op->r[0], 0); \
        cpu->flag_result = 0; \
        cpu->flag_carry = 0; \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_SIZES(DEFINE_ZERO)

static EmuOpFn *const zero[4] = EMU_BY_SIZE(zero);

static EmuOpFn *bind_binary(const EmuDecoded *decoded, EmuOp *op)
{
    const BinaryRow *row = decoded->row->data;
    unsigned size = emu_operand_index(decoded);
    bool locked = emu_is_locked(decoded);

    switch (emu_form(decoded)) {
    case EMU_FORM_RR:
        if (op->r[0] == op->r[1] && (row == &row_xor || row == &row_sub)) {
            return zero[size];
        }
        return row->rr[size];
    case EMU_FORM_RI:
        return row->ri[size];
    case EMU_FORM_RM:
        return row->rm[size];
    case EMU_FORM_MR:
        return locked ? row->locked_mr[size] : row->mr[size];
    case EMU_FORM_MI:
        return locked ? row->locked_mi[size] : row->mi[size];
    default:
        return NULL;
    }
}

static EmuOpFn *bind_unary(const EmuDecoded *decoded, EmuOp *op)
{
    const UnaryRow *row = decoded->row->data;
    unsigned size = emu_operand_index(decoded);

    switch (emu_form(decoded)) {
    case EMU_FORM_R:
        return row->r[size];
    case EMU_FORM_M:
        return emu_is_locked(decoded) ? row->locked_m[size] : row->m[size];
    default:
        return NULL;
    }
}

/* ADCX and ADOX: an addition whose carry goes in and out through one flag and touches no other. */
#define DEFINE_ADX(name, bits, get, set) \
    static inline void do_##name##bits(EmuCpu *cpu, const EmuOp *op, uint##bits##_t b) \
    { \
        uint##bits##_t a = emu_get_r##bits(cpu, op->r[0]), sum, result; \
        bool carry = __builtin_add_overflow(a, b, &sum); \
        carry |= __builtin_add_overflow(sum, (uint##bits##_t)get(cpu), &result); \
        emu_put_r##bits(cpu, op->r[0], result); \
        set(cpu, carry); \
    } \
    static void name##_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_##name##bits(cpu, op, emu_get_r##bits(cpu, op->r[1])); \
        EMU_NEXT(cpu, op); \
    } \
    static void name##_rm##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_##name##bits(cpu, op, EMU_LOAD(cpu, op, bits)); \
        EMU_NEXT(cpu, op); \
    }
DEFINE_ADX(adcx, 32, emu_cf, emu_set_cf)
DEFINE_ADX(adcx, 64, emu_cf, emu_set_cf)
DEFINE_ADX(adox, 32, emu_of, emu_set_of)
DEFINE_ADX(adox, 64, emu_of, emu_set_of)

static const BinaryRow row_adcx = {
    .rr = { NULL, NULL, adcx_rr32, adcx_rr64 }, .rm = { NULL, NULL, adcx_rm32, adcx_rm64 },
};
static const BinaryRow row_adox = {
    .rr = { NULL, NULL, adox_rr32, adox_rr64 }, .rm = { NULL, NULL, adox_rm32, adox_rm64 },
};

static EmuOpFn *bind_adx(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_has_feature(decoded->cpu, F_ADX) ? bind_binary(decoded, op) : NULL;
}

static const EmuInsn rows[] = {
    EMU_INT_ROW(ADD, bind_binary, &row_add),
    EMU_INT_ROW(OR, bind_binary, &row_or),
    EMU_INT_ROW(ADC, bind_binary, &row_adc),
    EMU_INT_ROW(SBB, bind_binary, &row_sbb),
    EMU_INT_ROW(AND, bind_binary, &row_and),
    EMU_INT_ROW(SUB, bind_binary, &row_sub),
    EMU_INT_ROW(XOR, bind_binary, &row_xor),
    EMU_INT_ROW(CMP, bind_binary, &row_cmp),
    EMU_INT_ROW(TEST, bind_binary, &row_test),
    EMU_INT_ROW(INC, bind_unary, &row_inc),
    EMU_INT_ROW(DEC, bind_unary, &row_dec),
    EMU_INT_ROW(NEG, bind_unary, &row_neg),
    EMU_INT_ROW(NOT, bind_unary, &row_not),
    EMU_INT_ROW(ADCX, bind_adx, &row_adcx),
    EMU_INT_ROW(ADOX, bind_adx, &row_adox),
};

const EmuInsnTable emu_insns_alu = EMU_INSN_TABLE(rows);
