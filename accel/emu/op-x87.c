/* SPDX-License-Identifier: Apache-2.0 */
/* x87 arithmetic and comparison, and the table of all x87 instructions. */
#include "accel/emu/x87-op.h"
#include "cpu/x86/features.h"

/* ---- Exceptions ---- */

void emu_x87_record_more(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;

    if ((op->flags & EMU_OP_MEM) && (op->imm & X87_OP_FDP)) {
        fpu->fdp = emu_effective(cpu, op);
    }
    if (op->imm & X87_OP_SELECTORS) {
        fpu->fcs = cpu->segs[X86_CS].selector;
        if (op->flags & EMU_OP_MEM) {
            fpu->fds = cpu->segs[op->seg].selector;
        }
    }
}

bool emu_x87_unmasked(EmuCpu *cpu, const EmuOp *op, uint16_t status)
{
    EmuFpu *fpu = &cpu->fpu;

    fpu->fsw |= X87_ES | X87_BUSY;
    fpu->fop = op->imm2;
    if (op->flags & EMU_OP_MEM) {
        fpu->fdp = emu_effective(cpu, op);
    }
    return !(status & ~fpu->fcw & (X87_IE | X87_DE | X87_ZE));
}

bool emu_x87_stack_fault(EmuCpu *cpu, const EmuOp *op, bool overflow)
{
    cpu->fpu.fsw |= X87_SF;
    return x87_merge(cpu, op, X87_IE | (overflow ? X87_C1 : 0), X87_C1);
}

/* ---- Arithmetic ---- */

/* ST(d) is the first operand and the destination. */
#define DEFINE_BINARY_ST(name) \
    static void op_##name##_st(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        unsigned d = (fpu->top + op->r[0]) & 7, s = (fpu->top + op->r[1]) & 7; \
        \
        emu_x87_check(cpu); \
        x87_record(cpu, op); \
        if (EMU_LIKELY(fpu->valid >> d & fpu->valid >> s & 1)) { \
            uint16_t status = X87(name)(fpu, &fpu->fpr[d], &fpu->fpr[d], &fpu->fpr[s]); \
            \
            if (x87_merge(cpu, op, status, X87_C1)) { \
                x87_pop_by(fpu, op); \
            } \
        } else if (emu_x87_stack_fault(cpu, op, false)) { \
            fpu->fpr[d] = x87_indefinite(); \
            fpu->valid |= 1u << d; \
            x87_pop_by(fpu, op); \
        } \
        EMU_NEXT(cpu, op); \
    }
#define DEFINE_BINARY_MEMORY(name, source, bits) \
    static void op_##name##_##source(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        uint64_t value; \
        \
        emu_x87_check(cpu); \
        value = emu_read_u##bits(cpu, emu_operand(cpu, op, bits / 8, EMU_READ)); \
        x87_record(cpu, op); \
        if (EMU_LIKELY(x87_is_valid(fpu, 0))) { \
            EmuF80 *st = x87_st(fpu, 0); \
            \
            x87_merge(cpu, op, X87(name##_##source)(fpu, st, st, value), X87_C1); \
        } else if (emu_x87_stack_fault(cpu, op, false)) { \
            *x87_st(fpu, 0) = x87_indefinite(); \
            x87_set_valid(fpu, 0); \
        } \
        EMU_NEXT(cpu, op); \
    }
#define DEFINE_BINARY(name) \
    DEFINE_BINARY_ST(name) \
    DEFINE_BINARY_MEMORY(name, f32, 32) \
    DEFINE_BINARY_MEMORY(name, f64, 64) \
    DEFINE_BINARY_MEMORY(name, i16, 16) \
    DEFINE_BINARY_MEMORY(name, i32, 32)
X87_FOR_EACH_BINARY(DEFINE_BINARY)

/* `cc`: the condition bits that the instruction sets, besides C1. */
#define DEFINE_UNARY(name, cc) \
    static void op_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        EmuF80 *st = x87_st(fpu, 0); \
        \
        emu_x87_check(cpu); \
        x87_record(cpu, op); \
        if (EMU_LIKELY(x87_is_valid(fpu, 0))) { \
            x87_merge(cpu, op, X87(name)(fpu, st, st), X87_C1 | (cc)); \
        } else { \
            fpu->fsw &= ~(cc); \
            if (emu_x87_stack_fault(cpu, op, false)) { \
                *st = x87_indefinite(); \
                x87_set_valid(fpu, 0); \
            } \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_UNARY(sqrt, 0)
DEFINE_UNARY(rndint, 0)
DEFINE_UNARY(f2xm1, 0)
DEFINE_UNARY(sin, X87_C2)
DEFINE_UNARY(cos, X87_C2)

/* Of ST(0) and ST(1); the destination is ST(d), and ST(0) is popped if that is ST(1). */
#define DEFINE_TWO(name, d) \
    static void op_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        EmuF80 *dst = x87_st(fpu, d); \
        \
        emu_x87_check(cpu); \
        x87_record(cpu, op); \
        if (EMU_LIKELY(x87_is_valid(fpu, 0) && x87_is_valid(fpu, 1))) { \
            uint16_t status = X87(name)(fpu, dst, x87_st(fpu, 0), x87_st(fpu, 1)); \
            \
            if (x87_merge(cpu, op, status, X87_C1) && (d)) { \
                x87_pop(fpu); \
            } \
        } else if (emu_x87_stack_fault(cpu, op, false)) { \
            *dst = x87_indefinite(); \
            x87_set_valid(fpu, d); \
            if (d) { \
                x87_pop(fpu); \
            } \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_TWO(scale, 0)
DEFINE_TWO(yl2x, 1)
DEFINE_TWO(yl2xp1, 1)
DEFINE_TWO(patan, 1)

static bool is_nan(const EmuF80 *a)
{
    return (a->sign_exponent & 0x7fff) == 0x7fff && a->significand << 1 != 0;
}

/* Without a quotient C0 and C3 stay as they are. */
#define DEFINE_REMAINDER(name) \
    static void op_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        EmuF80 *a = x87_st(fpu, 0); \
        const EmuF80 *b = x87_st(fpu, 1); \
        \
        emu_x87_check(cpu); \
        x87_record(cpu, op); \
        if (EMU_LIKELY(x87_is_valid(fpu, 0) && x87_is_valid(fpu, 1))) { \
            bool nan = is_nan(a) || is_nan(b); \
            uint16_t status = X87(name)(fpu, a, a, b); \
            \
            nan |= is_nan(a) || (status & ~fpu->fcw & (X87_IE | X87_DE)); \
            x87_merge(cpu, op, status, nan ? X87_C1 | X87_C2 : X87_CC); \
        } else { \
            fpu->fsw &= ~X87_C2; \
            if (emu_x87_stack_fault(cpu, op, false)) { \
                *a = x87_indefinite(); \
                x87_set_valid(fpu, 0); \
            } \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_REMAINDER(prem)
DEFINE_REMAINDER(prem1)

/* ST(0) becomes two values, of which one is pushed. */
#define DEFINE_SPLIT(name, cc) \
    static void op_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        EmuF80 *st = x87_st(fpu, 0); \
        bool empty = !x87_is_valid(fpu, 0); \
        \
        emu_x87_check(cpu); \
        x87_record(cpu, op); \
        if (EMU_LIKELY(!empty && !x87_is_valid(fpu, 7))) { \
            EmuF80 low; \
            uint16_t status = X87(name)(fpu, st, &low, st); \
            \
            if (x87_merge(cpu, op, status, X87_C1 | (cc)) && !(status & (cc))) { \
                *x87_push(fpu) = low; \
            } \
        } else { \
            fpu->fsw &= ~(cc); \
            if (emu_x87_stack_fault(cpu, op, !empty)) { \
                *st = x87_indefinite(); \
                x87_set_valid(fpu, 0); \
                *x87_push(fpu) = x87_indefinite(); \
            } \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_SPLIT(xtract, 0)
DEFINE_SPLIT(ptan, X87_C2)
DEFINE_SPLIT(sincos, X87_C2)

/* ---- Comparison ---- */

/* FCOM with ST(i), FUCOM: pop none, one or both. */
static void op_com_st(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;
    const EmuF80 *a = x87_st(fpu, 0), *b = x87_st(fpu, op->r[1]);
    bool done;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (EMU_LIKELY(x87_is_valid(fpu, 0) && x87_is_valid(fpu, op->r[1]))) {
        done = x87_merge(cpu, op, op->imm & X87_OP_QUIET ? X87(ucom)(fpu, a, b)
                                                         : X87(com)(fpu, a, b), X87_CC);
    } else {
        done = emu_x87_stack_fault(cpu, op, false);
        fpu->fsw |= X87_C0 | X87_C2 | X87_C3;
    }
    if (done) {
        x87_pop_by(fpu, op);
        if (op->imm & X87_OP_POP2) {
            x87_pop(fpu);
            x87_pop(fpu);
        }
    }
    EMU_NEXT(cpu, op);
}

#define DEFINE_COMPARE_MEMORY(source, bits) \
    static void op_com_##source(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        uint64_t value; \
        bool done; \
        \
        emu_x87_check(cpu); \
        value = emu_read_u##bits(cpu, emu_operand(cpu, op, bits / 8, EMU_READ)); \
        x87_record(cpu, op); \
        if (EMU_LIKELY(x87_is_valid(fpu, 0))) { \
            done = x87_merge(cpu, op, X87(com_##source)(fpu, x87_st(fpu, 0), value), X87_CC); \
        } else { \
            done = emu_x87_stack_fault(cpu, op, false); \
            fpu->fsw |= X87_C0 | X87_C2 | X87_C3; \
        } \
        if (done) { \
            x87_pop_by(fpu, op); \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_COMPARE_MEMORY(f32, 32)
DEFINE_COMPARE_MEMORY(f64, 64)
DEFINE_COMPARE_MEMORY(i16, 16)
DEFINE_COMPARE_MEMORY(i32, 32)

/* FCOMI, FUCOMI: into ZF, PF and CF. */
static void op_comi(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;
    const EmuF80 *a = x87_st(fpu, 0), *b = x87_st(fpu, op->r[1]);
    uint16_t status = X87_C0 | X87_C2 | X87_C3;
    bool done;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (EMU_LIKELY(x87_is_valid(fpu, 0) && x87_is_valid(fpu, op->r[1]))) {
        status = op->imm & X87_OP_QUIET ? X87(ucom)(fpu, a, b) : X87(com)(fpu, a, b);
        done = x87_merge(cpu, op, status, 0);
    } else {
        done = emu_x87_stack_fault(cpu, op, false);
    }
    emu_flags_set(cpu, (status & X87_C0 ? FLAG_CF : 0) | (status & X87_C2 ? FLAG_PF : 0) |
                       (status & X87_C3 ? FLAG_ZF : 0));
    if (done) {
        x87_pop_by(fpu, op);
    }
    EMU_NEXT(cpu, op);
}

static void op_tst(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;
    static const EmuF80 zero;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (EMU_LIKELY(x87_is_valid(fpu, 0))) {
        x87_merge(cpu, op, X87(com)(fpu, x87_st(fpu, 0), &zero), X87_CC);
    } else {
        emu_x87_stack_fault(cpu, op, false);
        fpu->fsw |= X87_C0 | X87_C2 | X87_C3;
    }
    EMU_NEXT(cpu, op);
}

static void op_xam(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;
    const EmuF80 *st = x87_st(fpu, 0);
    unsigned exponent = st->sign_exponent & 0x7fff;
    uint16_t class = X87_C2; /* a normal number */

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (!x87_is_valid(fpu, 0)) {
        class = X87_C3 | X87_C0;
    } else if (exponent == 0) {
        class = st->significand ? X87_C3 | X87_C2 : X87_C3;
    } else if (!(st->significand >> 63)) {
        class = 0;
    } else if (exponent == 0x7fff) {
        class = st->significand << 1 ? X87_C0 : X87_C2 | X87_C0;
    }
    fpu->fsw = (fpu->fsw & ~X87_CC) | class | (st->sign_exponent >> 15 ? X87_C1 : 0);
    EMU_NEXT(cpu, op);
}

/* ---- The table ---- */

typedef struct X87Form {
    EmuOpFn *fn;
    uint16_t flags; /* X87_OP_* */
} X87Form;

#define ARITHMETIC_MEMORY(source) \
    { { op_add_##source }, { op_mul_##source }, { op_com_##source }, \
      { op_com_##source, X87_OP_POP }, { op_sub_##source }, { op_subr_##source }, \
      { op_div_##source }, { op_divr_##source } }

/* By the low three bits of the opcode, D8..DF, and reg of ModRM. */
static const X87Form memory_forms[8][8] = {
    ARITHMETIC_MEMORY(f32),
    { { emu_op_fld_f32 }, { NULL }, { emu_op_fst_f32 }, { emu_op_fst_f32, X87_OP_POP },
      { emu_op_fldenv }, { emu_op_fldcw }, { emu_op_fnstenv }, { emu_op_fnstcw } },
    ARITHMETIC_MEMORY(i32),
    { { emu_op_fild_i32 }, { emu_op_fistt_i32, X87_OP_POP }, { emu_op_fist_i32 },
      { emu_op_fist_i32, X87_OP_POP }, { NULL }, { emu_op_fld_f80 }, { NULL },
      { emu_op_fstp_f80 } },
    ARITHMETIC_MEMORY(f64),
    { { emu_op_fld_f64 }, { emu_op_fistt_i64, X87_OP_POP }, { emu_op_fst_f64 },
      { emu_op_fst_f64, X87_OP_POP }, { emu_op_frstor }, { NULL }, { emu_op_fnsave },
      { emu_op_fnstsw } },
    ARITHMETIC_MEMORY(i16),
    { { emu_op_fild_i16 }, { emu_op_fistt_i16, X87_OP_POP }, { emu_op_fist_i16 },
      { emu_op_fist_i16, X87_OP_POP }, { emu_op_fbld }, { emu_op_fild_i64 }, { emu_op_fbstp },
      { emu_op_fist_i64, X87_OP_POP } },
};

#define TO_STI X87_OP_TO_STI
#define POP_STI (X87_OP_TO_STI | X87_OP_POP)
#define QUIET X87_OP_QUIET

/* With ST(i); NULL: see single_forms. */
static const X87Form register_forms[8][8] = {
    { { op_add_st }, { op_mul_st }, { op_com_st }, { op_com_st, X87_OP_POP }, { op_sub_st },
      { op_subr_st }, { op_div_st }, { op_divr_st } },
    { { emu_op_fld_st }, { emu_op_fxch }, { NULL }, { emu_op_fstpnce } },
    { { emu_op_fcmov }, { emu_op_fcmov }, { emu_op_fcmov }, { emu_op_fcmov }, { NULL },
      { op_com_st, X87_OP_POP2 | QUIET } },
    { { emu_op_fcmov }, { emu_op_fcmov }, { emu_op_fcmov }, { emu_op_fcmov }, { NULL },
      { op_comi, QUIET }, { op_comi } },
    { { op_add_st, TO_STI }, { op_mul_st, TO_STI }, { op_com_st }, { op_com_st, X87_OP_POP },
      { op_subr_st, TO_STI }, { op_sub_st, TO_STI }, { op_divr_st, TO_STI },
      { op_div_st, TO_STI } },
    { { emu_op_ffree }, { emu_op_fxch }, { emu_op_fst_st }, { emu_op_fst_st, X87_OP_POP },
      { op_com_st, QUIET }, { op_com_st, QUIET | X87_OP_POP } },
    { { op_add_st, POP_STI }, { op_mul_st, POP_STI }, { op_com_st, X87_OP_POP },
      { op_com_st, X87_OP_POP2 }, { op_subr_st, POP_STI }, { op_sub_st, POP_STI },
      { op_divr_st, POP_STI }, { op_div_st, POP_STI } },
    { { emu_op_ffree, X87_OP_POP }, { emu_op_fxch }, { emu_op_fst_st, X87_OP_POP },
      { emu_op_fst_st, X87_OP_POP }, { emu_op_fnstsw_ax }, { op_comi, QUIET | X87_OP_POP },
      { op_comi, X87_OP_POP } },
};

#define CONSTANT(which) { emu_op_fconstant, X87_##which << X87_OP_CONSTANT_SHIFT }

/* D9 E0 to FF. */
static const X87Form d9_forms[32] = {
    { emu_op_fchs }, { emu_op_fabs }, { NULL }, { NULL }, { op_tst }, { op_xam }, { NULL },
    { NULL },
    CONSTANT(ONE), CONSTANT(L2T), CONSTANT(L2E), CONSTANT(PI), CONSTANT(LG2), CONSTANT(LN2),
    CONSTANT(ZERO), { NULL },
    { op_f2xm1 }, { op_yl2x }, { op_ptan }, { op_patan }, { op_xtract }, { op_prem1 },
    { emu_op_fdecstp }, { emu_op_fincstp },
    { op_prem }, { op_yl2xp1 }, { op_sqrt }, { op_sincos }, { op_rndint }, { op_scale }, { op_sin },
    { op_cos },
};

/* DB E0 to E7. */
static const X87Form db_forms[8] = {
    { emu_op_x87_ignored }, { emu_op_x87_ignored }, { emu_op_fnclex }, { emu_op_fninit },
    { emu_op_x87_ignored },
};

static const X87Form *find_form(unsigned group, unsigned mod, unsigned reg, unsigned rm)
{
    static const X87Form nop = { emu_op_fnop };

    if (mod != 3) {
        return &memory_forms[group][reg];
    }
    if (group == 1 && reg >= 4) {
        return &d9_forms[(reg - 4) * 8 + rm];
    }
    if (group == 1 && reg == 2) {
        return &nop;
    }
    if (group == 3 && reg == 4) {
        return &db_forms[rm];
    }
    return &register_forms[group][reg];
}

static EmuOpFn *bind_x87(const EmuDecoded *decoded, EmuOp *op)
{
    const ZydisDecodedInstruction *insn = &decoded->insn;
    unsigned group = insn->opcode & 7, modrm = insn->raw.modrm.mod << 6 |
                     insn->raw.modrm.reg << 3 | insn->raw.modrm.rm;
    const X87Form *form = find_form(group, insn->raw.modrm.mod, insn->raw.modrm.reg,
                                    insn->raw.modrm.rm);

    if ((op->flags & EMU_OP_LOCK) || !form->fn) {
        return NULL;
    }
    op->r[0] = form->flags & X87_OP_TO_STI ? insn->raw.modrm.rm : 0;
    op->r[1] = form->flags & X87_OP_TO_STI ? 0 : insn->raw.modrm.rm;
    op->imm2 = group << 8 | modrm;
    op->imm = form->flags;
    if (!emu_has(decoded->cpu, X86_FEAT_7_0_EBX, 6)) {
        op->imm |= X87_OP_FDP;
    }
    if (!emu_has(decoded->cpu, X86_FEAT_7_0_EBX, 13)) {
        op->imm |= X87_OP_SELECTORS;
    }
    return form->fn;
}

static EmuOpFn *bind_fwait(const EmuDecoded *decoded, EmuOp *op)
{
    return op->flags & EMU_OP_LOCK ? NULL : emu_op_fwait;
}

static EmuOpFn *bind_emms(const EmuDecoded *decoded, EmuOp *op)
{
    return op->flags & EMU_OP_LOCK || !emu_has(decoded->cpu, X86_FEAT_1_EDX, 23) ? NULL
                                                                                 : emu_op_emms;
}

#define ROW(name) { ZYDIS_MNEMONIC_##name, EMU_UNIT_X87, bind_x87 }

static const EmuInsn rows[] = {
    ROW(F2XM1), ROW(FABS), ROW(FADD), ROW(FADDP), ROW(FBLD), ROW(FBSTP), ROW(FCHS), ROW(FCMOVB),
    ROW(FCMOVBE), ROW(FCMOVE), ROW(FCMOVNB), ROW(FCMOVNBE), ROW(FCMOVNE), ROW(FCMOVNU),
    ROW(FCMOVU), ROW(FCOM), ROW(FCOMI), ROW(FCOMIP), ROW(FCOMP), ROW(FCOMPP), ROW(FCOS),
    ROW(FDECSTP), ROW(FDISI8087_NOP), ROW(FDIV), ROW(FDIVP), ROW(FDIVR), ROW(FDIVRP),
    ROW(FENI8087_NOP), ROW(FFREE), ROW(FFREEP), ROW(FIADD), ROW(FICOM), ROW(FICOMP), ROW(FIDIV),
    ROW(FIDIVR), ROW(FILD), ROW(FIMUL), ROW(FINCSTP), ROW(FIST), ROW(FISTP), ROW(FISTTP),
    ROW(FISUB), ROW(FISUBR), ROW(FLD), ROW(FLD1), ROW(FLDCW), ROW(FLDENV), ROW(FLDL2E),
    ROW(FLDL2T), ROW(FLDLG2), ROW(FLDLN2), ROW(FLDPI), ROW(FLDZ), ROW(FMUL), ROW(FMULP),
    ROW(FNCLEX), ROW(FNINIT), ROW(FNOP), ROW(FNSAVE), ROW(FNSTCW), ROW(FNSTENV), ROW(FNSTSW),
    ROW(FPATAN), ROW(FPREM), ROW(FPREM1), ROW(FPTAN), ROW(FRNDINT), ROW(FRSTOR), ROW(FSCALE),
    ROW(FSETPM287_NOP), ROW(FSIN), ROW(FSINCOS), ROW(FSQRT), ROW(FST), ROW(FSTP), ROW(FSTPNCE),
    ROW(FSUB), ROW(FSUBP), ROW(FSUBR), ROW(FSUBRP), ROW(FTST), ROW(FUCOM), ROW(FUCOMI),
    ROW(FUCOMIP), ROW(FUCOMP), ROW(FUCOMPP), ROW(FXAM), ROW(FXCH), ROW(FXTRACT), ROW(FYL2X),
    ROW(FYL2XP1),
    { ZYDIS_MNEMONIC_FWAIT, EMU_UNIT_WAIT, bind_fwait },
    { ZYDIS_MNEMONIC_EMMS, EMU_UNIT_MMX, bind_emms },
};

const EmuInsnTable emu_insns_x87 = { .rows = rows, .count = G_N_ELEMENTS(rows) };
