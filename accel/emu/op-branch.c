/* SPDX-License-Identifier: Apache-2.0 */
/* Near branches: JMP, CALL, RET, Jcc, JrCXZ, LOOP, BOUND. Far ones are in op-far.c. */
#include "accel/emu/op-stack.h"

static G_NORETURN void raise_bad_target(EmuCpu *cpu)
{
    emu_raise(cpu, X86_GP, 0);
}

/*
 * A branch target by operand size, checked as the processor checks it before anything changes: 64
 * bits mean 64-bit code, and canonical form; else the limit of CS.
 */
static inline uint64_t target64(EmuCpu *cpu, uint64_t target)
{
    if (EMU_UNLIKELY((target + BIT_ULL(47)) >> 48) && !emu_is_canonical(cpu, target)) {
        raise_bad_target(cpu);
    }
    return target;
}

static inline uint64_t target32(EmuCpu *cpu, uint64_t target)
{
    target = (uint32_t)target;
    if (!(cpu->mode & EMU_MODE_FLAT) && target > cpu->segs[X86_CS].limit) {
        raise_bad_target(cpu);
    }
    return target;
}

static inline uint64_t target16(EmuCpu *cpu, uint64_t target)
{
    target = (uint16_t)target;
    if (!(cpu->mode & EMU_MODE_FLAT) && target > cpu->segs[X86_CS].limit) {
        raise_bad_target(cpu);
    }
    return target;
}

static inline uint64_t behind(const EmuCpu *cpu, const EmuOp *op)
{
    return emu_op_rip(cpu, op) + op->length;
}

/*
 * What is pushed: the next instruction's address by operand size. The processor has written it
 * already when it finds the target to be non-canonical or beyond the limit; RSP has not moved then.
 */
static inline void call64(EmuCpu *cpu, const EmuOp *op, uint64_t target)
{
    uint64_t sp = cpu->regs[X86_RSP] - 8;

    emu_write_u64(cpu, sp, behind(cpu, op));
    cpu->rip = target64(cpu, target);
    cpu->regs[X86_RSP] = sp;
}

static inline void call32(EmuCpu *cpu, const EmuOp *op, uint64_t target)
{
    uint64_t sp = (cpu->regs[X86_RSP] - 4) & emu_stack_mask(cpu);

    emu_write_u32(cpu, emu_stack_linear(cpu, sp, 4, EMU_WRITE), behind(cpu, op));
    cpu->rip = target32(cpu, target);
    emu_set_sp(cpu, sp);
}

static inline void call16(EmuCpu *cpu, const EmuOp *op, uint64_t target)
{
    uint64_t sp = (cpu->regs[X86_RSP] - 2) & emu_stack_mask(cpu);

    emu_write_u16(cpu, emu_stack_linear(cpu, sp, 2, EMU_WRITE), behind(cpu, op));
    cpu->rip = target16(cpu, target);
    emu_set_sp(cpu, sp);
}

#define DEFINE_BRANCH(bits) \
    static void jump_i##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        cpu->rip = target##bits(cpu, behind(cpu, op) + op->imm); \
    } \
    static void jump_r##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        cpu->rip = target##bits(cpu, cpu->regs[op->r[0]]); \
    } \
    static void jump_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        cpu->rip = target##bits(cpu, EMU_LOAD(cpu, op, bits)); \
    } \
    static void call_i##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        call##bits(cpu, op, behind(cpu, op) + op->imm); \
    } \
    static void call_r##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        call##bits(cpu, op, cpu->regs[op->r[0]]); \
    } \
    static void call_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t target = EMU_LOAD(cpu, op, bits); \
        emu_stack_linear(cpu, (cpu->regs[X86_RSP] - bits / 8) & emu_stack_mask(cpu), bits / 8, \
                         EMU_WRITE); \
        call##bits(cpu, op, target); \
    } \
    static void ret##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t target = target##bits(cpu, emu_peek##bits(cpu, 0)); \
        emu_release##bits(cpu, 0); \
        cpu->rip = target; \
    } \
    static void ret_i##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t target = target##bits(cpu, emu_peek##bits(cpu, 0)); \
        emu_release##bits(cpu, (uint16_t)op->imm); \
        cpu->rip = target; \
    }
EMU_FOR_WIDE_SIZES(DEFINE_BRANCH)

/* ---- Conditional ---- */

#define EMU_FOR_CONDITIONS(define) \
    define(0) define(1) define(2) define(3) define(4) define(5) define(6) define(7) \
    define(8) define(9) define(10) define(11) define(12) define(13) define(14) define(15)

#define DEFINE_JCC_SIZE(code, bits) \
    static void jcc##code##_##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        if (emu_condition(cpu, code)) { \
            cpu->rip = target##bits(cpu, behind(cpu, op) + op->imm); \
            return; \
        } \
        EMU_NEXT(cpu, op); \
    }
#define DEFINE_JCC(code) \
    DEFINE_JCC_SIZE(code, 16) \
    DEFINE_JCC_SIZE(code, 32) \
    DEFINE_JCC_SIZE(code, 64) \
    static EmuOpFn *const jcc##code[4] = EMU_BY_WIDE_SIZE(jcc##code##_);
EMU_FOR_CONDITIONS(DEFINE_JCC)

/* The counter by address size. */
static inline uint64_t counter(const EmuCpu *cpu, const EmuOp *op)
{
    return cpu->regs[X86_RCX] << op->addr_shift >> op->addr_shift;
}

static uint64_t branch_target(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t target = behind(cpu, op) + op->imm;

    return cpu->mode & EMU_MODE_CS64 ? target64(cpu, target)
           : op->size == 2 ? target16(cpu, target) : target32(cpu, target);
}

static void jrcxz(EmuCpu *cpu, const EmuOp *op)
{
    cpu->rip = counter(cpu, op) == 0 ? branch_target(cpu, op) : emu_next_rip(cpu, op);
}

/* op->imm2: the value of ZF that LOOPE (1) or LOOPNE (0) wants, 2: any. */
static void loop(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t count = counter(cpu, op) - 1;
    bool taken = count << op->addr_shift && (op->imm2 == 2 || op->imm2 == emu_zf(cpu));
    uint64_t rip = taken ? branch_target(cpu, op) : emu_next_rip(cpu, op);

    emu_set_reg(cpu, X86_RCX, (64 - op->addr_shift) / 8, count);
    cpu->rip = rip;
}

/* ---- BOUND ---- */

/* The upper bound is an access of its own, of who has passed the lower one. */
static uint64_t upper_bound(EmuCpu *cpu, const EmuOp *op, unsigned size)
{
    uint64_t offset = emu_effective(cpu, op) + size;

    return emu_linear(cpu, op->seg, offset << op->addr_shift >> op->addr_shift, size, EMU_READ);
}

#define DEFINE_BOUND(bits) \
    static void bound##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        int##bits##_t low = (int##bits##_t)EMU_LOAD(cpu, op, bits); \
        int##bits##_t index = (int##bits##_t)emu_get_r##bits(cpu, op->r[0]); \
        if (index < low || \
            index > (int##bits##_t)emu_read_u##bits(cpu, upper_bound(cpu, op, bits / 8))) { \
            emu_raise_plain(cpu, X86_BR); \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_BOUND(16)
DEFINE_BOUND(32)

/* ---- Binding ---- */

typedef struct BranchRow {
    EmuOpFn *direct[4], *reg[4], *memory[4];
} BranchRow;

static const BranchRow row_jmp = {
    .direct = EMU_BY_WIDE_SIZE(jump_i), .reg = EMU_BY_WIDE_SIZE(jump_r),
    .memory = EMU_BY_WIDE_SIZE(jump_m),
};
static const BranchRow row_call = {
    .direct = EMU_BY_WIDE_SIZE(call_i), .reg = EMU_BY_WIDE_SIZE(call_r),
    .memory = EMU_BY_WIDE_SIZE(call_m),
};

/* In 64-bit code 64 bits whatever the prefix, or 16 for some vendors: the decoder knows. */
static unsigned branch_index(const EmuDecoded *decoded)
{
    return emu_size_index(decoded->insn.operand_width);
}

static bool is_far(const EmuDecoded *decoded)
{
    return decoded->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

static EmuOpFn *bind_branch(const EmuDecoded *decoded, EmuOp *op)
{
    const BranchRow *row = decoded->row->data;
    unsigned size = branch_index(decoded), form = emu_form(decoded);

    if (is_far(decoded)) {
        return NULL;
    }
    op->flags |= EMU_OP_ENDS;
    if (form != EMU_FORM_M) {
        op->seg = X86_SS;
    }
    return form == EMU_FORM_I ? row->direct[size]
           : form == EMU_FORM_R ? row->reg[size]
           : form == EMU_FORM_M ? row->memory[size] : NULL;
}

static EmuOpFn *bind_ret(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const plain[4] = EMU_BY_WIDE_SIZE(ret);
    static EmuOpFn *const releasing[4] = EMU_BY_WIDE_SIZE(ret_i);
    unsigned size = branch_index(decoded);

    if (is_far(decoded)) {
        return NULL;
    }
    op->flags |= EMU_OP_ENDS;
    op->seg = X86_SS;
    return decoded->insn.operand_count_visible ? releasing[size] : plain[size];
}

static EmuOpFn *bind_jcc(const EmuDecoded *decoded, EmuOp *op)
{
    EmuOpFn *const *fns = decoded->row->data;

    op->flags |= EMU_OP_FORKS;
    return fns[branch_index(decoded)];
}

static EmuOpFn *bind_jrcxz(const EmuDecoded *decoded, EmuOp *op)
{
    op->flags |= EMU_OP_ENDS;
    return jrcxz;
}

static EmuOpFn *bind_loop(const EmuDecoded *decoded, EmuOp *op)
{
    op->flags |= EMU_OP_ENDS;
    op->imm2 = decoded->insn.mnemonic == ZYDIS_MNEMONIC_LOOPE ? 1
               : decoded->insn.mnemonic == ZYDIS_MNEMONIC_LOOPNE ? 0 : 2;
    return loop;
}

static EmuOpFn *bind_bound(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_operand_bits(decoded, 0) == 16 ? bound16 : bound32;
}

#define JCC_ROW(name, code) EMU_INT_ROW(J##name, bind_jcc, jcc##code)

static const EmuInsn rows[] = {
    EMU_INT_ROW(JMP, bind_branch, &row_jmp),
    EMU_INT_ROW(CALL, bind_branch, &row_call),
    EMU_INT_ROW(RET, bind_ret, NULL),
    JCC_ROW(O, 0), JCC_ROW(NO, 1), JCC_ROW(B, 2), JCC_ROW(NB, 3), JCC_ROW(Z, 4), JCC_ROW(NZ, 5),
    JCC_ROW(BE, 6), JCC_ROW(NBE, 7), JCC_ROW(S, 8), JCC_ROW(NS, 9), JCC_ROW(P, 10),
    JCC_ROW(NP, 11), JCC_ROW(L, 12), JCC_ROW(NL, 13), JCC_ROW(LE, 14), JCC_ROW(NLE, 15),
    EMU_INT_ROW(JCXZ, bind_jrcxz, NULL),
    EMU_INT_ROW(JECXZ, bind_jrcxz, NULL),
    EMU_INT_ROW(JRCXZ, bind_jrcxz, NULL),
    EMU_INT_ROW(LOOP, bind_loop, NULL),
    EMU_INT_ROW(LOOPE, bind_loop, NULL),
    EMU_INT_ROW(LOOPNE, bind_loop, NULL),
    EMU_INT_ROW(BOUND, bind_bound, NULL),
};

const EmuInsnTable emu_insns_branch = EMU_INSN_TABLE(rows);
