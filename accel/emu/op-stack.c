/* SPDX-License-Identifier: Apache-2.0 */
/* PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE. Segment registers' forms are elsewhere. */
#include "accel/emu/op-stack.h"

#define DEFINE_PUSH(bits) \
    static void push_r##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_push##bits(cpu, emu_get_r##bits(cpu, op->r[0])); \
        EMU_NEXT(cpu, op); \
    } \
    static void push_i##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_push##bits(cpu, (uint##bits##_t)op->imm); \
        EMU_NEXT(cpu, op); \
    } \
    static void push_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t value = EMU_LOAD(cpu, op, bits); \
        emu_stack_linear(cpu, (cpu->regs[X86_RSP] - bits / 8) & emu_stack_mask(cpu), bits / 8, \
                         EMU_WRITE); \
        emu_push##bits(cpu, value); \
        EMU_NEXT(cpu, op); \
    } \
    /* POP rSP: the popped value stays. */ \
    static void pop_r##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t value = emu_peek##bits(cpu, 0); \
        emu_release##bits(cpu, 0); \
        emu_put_r##bits(cpu, op->r[0], value); \
        EMU_NEXT(cpu, op); \
    } \
    static void pop_m##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t old = cpu->regs[X86_RSP], offset; \
        uint##bits##_t value; \
        emu_stack_linear(cpu, old & emu_stack_mask(cpu), bits / 8, EMU_READ); \
        value = emu_peek##bits(cpu, 0); \
        offset = popped_operand(cpu, op, bits / 8); \
        emu_write_u##bits(cpu, emu_linear(cpu, op->seg, offset, bits / 8, EMU_WRITE), value); \
        emu_release##bits(cpu, 0); \
        EMU_NEXT(cpu, op); \
    } \
    /* The stack's size decides where the frame is, the operand size how wide rBP is. */ \
    static void leave##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t sp = cpu->regs[X86_RBP] & emu_stack_mask(cpu); \
        uint##bits##_t frame = emu_read_u##bits(cpu, emu_stack_linear(cpu, sp, bits / 8, \
                                                                      EMU_READ)); \
        emu_set_sp(cpu, sp + bits / 8); \
        emu_put_r##bits(cpu, X86_RBP, frame); \
        EMU_NEXT(cpu, op); \
    }

/* POP m computes its address with the stack pointer behind the value. */
static uint64_t popped_operand(const EmuCpu *cpu, const EmuOp *op, unsigned size)
{
    uint64_t sp = cpu->regs[X86_RSP], mask = emu_stack_mask(cpu);
    uint64_t moved = (sp & ~mask) | ((sp + size) & mask);
    uint64_t offset = cpu->regs[op->base] + (cpu->regs[op->index] << op->scale) +
                      (int64_t)op->disp + (op->base == X86_RSP ? moved - sp : 0);

    return offset << op->addr_shift >> op->addr_shift;
}

EMU_FOR_WIDE_SIZES(DEFINE_PUSH)

typedef struct StackRow {
    EmuOpFn *reg[4], *imm[4], *memory[4];
} StackRow;

static const StackRow row_push = {
    .reg = EMU_BY_WIDE_SIZE(push_r), .imm = EMU_BY_WIDE_SIZE(push_i),
    .memory = EMU_BY_WIDE_SIZE(push_m),
};
static const StackRow row_pop = {
    .reg = EMU_BY_WIDE_SIZE(pop_r), .memory = EMU_BY_WIDE_SIZE(pop_m),
};

/* An immediate is narrower than what it becomes on the stack. */
static EmuOpFn *bind_stack(const EmuDecoded *decoded, EmuOp *op)
{
    const StackRow *row = decoded->row->data;
    unsigned size = emu_size_index(decoded->insn.operand_width);

    switch (emu_form(decoded)) {
    case EMU_FORM_R:
        op->seg = X86_SS;
        return row->reg[size];
    case EMU_FORM_I:
        op->seg = X86_SS;
        return row->imm[size];
    case EMU_FORM_M:
        return row->memory[size];
    default:
        return NULL;
    }
}

static EmuOpFn *bind_leave(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const fns[4] = EMU_BY_WIDE_SIZE(leave);

    op->seg = X86_SS;
    return fns[emu_size_index(decoded->insn.operand_width)];
}

/* ---- ENTER ---- */

static uint64_t read_stack(EmuCpu *cpu, uint64_t sp, unsigned size)
{
    uint64_t linear = emu_stack_linear(cpu, sp & emu_stack_mask(cpu), size, EMU_READ);

    return size == 2 ? emu_read_u16(cpu, linear)
           : size == 4 ? emu_read_u32(cpu, linear) : emu_read_u64(cpu, linear);
}

/* All of the frame is known to be writable when the first byte is written. */
static void write_stack(EmuCpu *cpu, uint64_t sp, unsigned size, uint64_t value)
{
    uint64_t linear = emu_stack_linear(cpu, sp & emu_stack_mask(cpu), size, EMU_WRITE);

    switch (size) {
    case 2:
        emu_write_u16(cpu, linear, (uint16_t)value);
        break;
    case 4:
        emu_write_u32(cpu, linear, (uint32_t)value);
        break;
    default:
        emu_write_u64(cpu, linear, value);
        break;
    }
}

static void probe_stack(EmuCpu *cpu, uint64_t sp, unsigned size)
{
    emu_probe_write(cpu, emu_stack_linear(cpu, sp & emu_stack_mask(cpu), size, EMU_WRITE), size);
}

/*
 * ENTER imm16, imm8: rBP, then copies of the enclosing frames' pointers (display), then room. The
 * display of `level` frames lies below the old rBP.
 */
static void enter(EmuCpu *cpu, const EmuOp *op)
{
    unsigned size = op->size, level = op->imm2 & 31, slots = level + 1;
    uint64_t sp = cpu->regs[X86_RSP], bp = cpu->regs[X86_RBP], frame = sp - size;

    /* As in processors, what was pushed before a fault stays. */
    for (unsigned i = 0; i < slots; i++) {
        uint64_t value = i == 0 ? bp : i == level ? frame : read_stack(cpu, bp - i * size, size);

        probe_stack(cpu, sp - (i + 1) * size, size);
        write_stack(cpu, sp - (i + 1) * size, size, value);
    }
    /* The processor tries the room's last byte, which a push would need. */
    if (!(cpu->mode & EMU_MODE_CS64)) {
        emu_stack_linear(cpu, (sp - slots * size - (uint16_t)op->imm) & emu_stack_mask(cpu), 1,
                         EMU_WRITE);
    }
    if (cpu->mode & EMU_MODE_ALIGN && (sp - slots * size - (uint16_t)op->imm) & (size - 1)) {
        emu_raise(cpu, X86_AC, 0);
    }
    probe_stack(cpu, sp - slots * size - (uint16_t)op->imm, 1);
    emu_set_sp(cpu, sp - slots * size - (uint16_t)op->imm);
    /* As wide as the operands; the frame's address is cut to the stack's size. */
    emu_set_reg(cpu, X86_RBP, size, frame & (emu_stack_mask(cpu) | ~(uint64_t)UINT16_MAX));
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_enter(const EmuDecoded *decoded, EmuOp *op)
{
    op->seg = X86_SS;
    op->size = decoded->insn.operand_width / 8;
    return enter;
}

/* ---- PUSHA, POPA ---- */

/*
 * In the order of their encoding, the first at the highest address; SP as it was. Where one has no
 * room, those before it are in memory already.
 */
static void pusha(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t sp = cpu->regs[X86_RSP];

    for (unsigned i = 0; i < 8; i++) {
        write_stack(cpu, sp - (i + 1) * op->size, op->size, cpu->regs[i]);
    }
    emu_set_sp(cpu, sp - 8 * op->size);
    EMU_NEXT(cpu, op);
}

/* Where one cannot be read, those before it have been loaded. */
static void popa(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t sp = cpu->regs[X86_RSP];

    for (unsigned i = 8; i-- > 0;) {
        uint64_t value = read_stack(cpu, sp + (7 - i) * op->size, op->size);

        if (i != X86_RSP) {
            emu_set_reg(cpu, i, op->size, value);
        }
    }
    emu_set_sp(cpu, sp + 8 * op->size);
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_all(const EmuDecoded *decoded, EmuOp *op)
{
    op->seg = X86_SS;
    op->size = decoded->insn.operand_width / 8;
    return decoded->row->data ? popa : pusha;
}

/* ---- PUSHF, POPF ---- */

static bool in_vm86(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_VM86;
}

static unsigned iopl(const EmuCpu *cpu)
{
    return (cpu->rflags & FLAG_IOPL) / (FLAG_IOPL & -FLAG_IOPL);
}

/* In virtual-8086 mode with IOPL below 3, 16-bit PUSHF and POPF use VIF instead of IF (CR4.VME). */
static bool uses_vif(EmuCpu *cpu, const EmuOp *op)
{
    if (!in_vm86(cpu) || iopl(cpu) == 3) {
        return false;
    }
    if (op->size != 2 || !(cpu->cr4 & CR4_VME)) {
        emu_raise(cpu, X86_GP, 0);
    }
    return true;
}

static void pushf(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t image = emu_rflags(cpu) & ~(uint64_t)(FLAG_VM | FLAG_RF);

    if (uses_vif(cpu, op)) {
        image = (image & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (cpu->rflags & FLAG_VIF ? FLAG_IF : 0);
    }
    switch (op->size) {
    case 2:
        emu_push16(cpu, (uint16_t)image);
        break;
    case 4:
        emu_push32(cpu, (uint32_t)image);
        break;
    default:
        emu_push64(cpu, image);
        break;
    }
    EMU_NEXT(cpu, op);
}

/* The flags that POPF may change here, RF (which it clears) apart. */
static uint64_t popf_mask(const EmuCpu *cpu)
{
    uint64_t mask = FLAG_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;

    if (emu_cpl(cpu) <= iopl(cpu) || !(cpu->mode & EMU_MODE_PROT)) {
        mask |= FLAG_IF;
    }
    if (emu_cpl(cpu) == 0 && !in_vm86(cpu)) {
        mask |= FLAG_IOPL;
    }
    return mask;
}

static uint64_t peek_flags(EmuCpu *cpu, unsigned size)
{
    return size == 2 ? emu_peek16(cpu, 0) : size == 4 ? emu_peek32(cpu, 0) : emu_peek64(cpu, 0);
}

static void popf(EmuCpu *cpu, const EmuOp *op)
{
    bool vif = uses_vif(cpu, op);
    uint64_t value = peek_flags(cpu, op->size), mask = popf_mask(cpu);

    if (vif) {
        if ((value & FLAG_TF) || ((value & FLAG_IF) && (cpu->rflags & FLAG_VIP))) {
            emu_raise(cpu, X86_GP, 0);
        }
        value = value & FLAG_IF ? value | FLAG_VIF : value & ~(uint64_t)FLAG_VIF;
        mask = (mask & ~(uint64_t)FLAG_IF & UINT16_MAX) | FLAG_VIF;
    } else if (op->size == 2) {
        mask &= UINT16_MAX;
    } else {
        value &= ~(uint64_t)FLAG_RF;
        mask |= FLAG_RF;
    }
    emu_set_sp(cpu, cpu->regs[X86_RSP] + op->size);
    cpu->rip = emu_next_rip(cpu, op);
    emu_write_rflags(cpu, value, mask);
}

static EmuOpFn *bind_flags(const EmuDecoded *decoded, EmuOp *op)
{
    op->seg = X86_SS;
    op->size = decoded->insn.operand_width / 8;
    if (!decoded->row->data) {
        return pushf;
    }
    op->flags |= EMU_OP_ENDS;
    return popf;
}

static const EmuInsn rows[] = {
    EMU_INT_ROW(PUSH, bind_stack, &row_push),
    EMU_INT_ROW(POP, bind_stack, &row_pop),
    EMU_INT_ROW(LEAVE, bind_leave, NULL),
    EMU_INT_ROW(ENTER, bind_enter, NULL),
    EMU_INT_ROW(PUSHA, bind_all, NULL),
    EMU_INT_ROW(PUSHAD, bind_all, NULL),
    EMU_INT_ROW(POPA, bind_all, "pop"),
    EMU_INT_ROW(POPAD, bind_all, "pop"),
    EMU_INT_ROW(PUSHF, bind_flags, NULL),
    EMU_INT_ROW(PUSHFD, bind_flags, NULL),
    EMU_INT_ROW(PUSHFQ, bind_flags, NULL),
    EMU_INT_ROW(POPF, bind_flags, "pop"),
    EMU_INT_ROW(POPFD, bind_flags, "pop"),
    EMU_INT_ROW(POPFQ, bind_flags, "pop"),
};

const EmuInsnTable emu_insns_stack = EMU_INSN_TABLE(rows);
