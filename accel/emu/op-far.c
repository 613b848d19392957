/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Far branches, software interrupts, and the fast system calls.
 */
#include "accel/emu/decode.h"
#include "accel/emu/transfer.h"
#include "accel/emu/vendor.h"
#include "cpu/x86/cpu-model.h"

/* ---- JMP, CALL, RET far; IRET ---- */

/* The far pointer that a memory operand holds: offset first. */
static uint64_t load_pointer(EmuCpu *cpu, const EmuOp *op, uint16_t *selector)
{
    uint64_t linear = emu_operand(cpu, op, op->size + 2, EMU_READ);
    uint64_t offset = op->size == 2   ? emu_read_u16(cpu, linear)
                      : op->size == 4 ? emu_read_u32(cpu, linear)
                                      : emu_read_u64(cpu, linear);

    *selector = emu_read_u16(cpu, linear + op->size);
    return offset;
}

static void op_jump_direct(EmuCpu *cpu, const EmuOp *op)
{
    emu_far_jump(cpu, op->imm2, op->imm, op->size);
}

static void op_jump_memory(EmuCpu *cpu, const EmuOp *op)
{
    uint16_t selector;
    uint64_t offset = load_pointer(cpu, op, &selector);

    emu_far_jump(cpu, selector, offset, op->size);
}

static void op_call_direct(EmuCpu *cpu, const EmuOp *op)
{
    emu_far_call(cpu, op->imm2, op->imm, op->size);
}

static void op_call_memory(EmuCpu *cpu, const EmuOp *op)
{
    uint16_t selector;
    uint64_t offset = load_pointer(cpu, op, &selector);

    emu_far_call(cpu, selector, offset, op->size);
}

static void op_return(EmuCpu *cpu, const EmuOp *op)
{
    emu_far_return(cpu, op->size, (uint16_t)op->imm);
}

static void op_iret(EmuCpu *cpu, const EmuOp *op)
{
    emu_iret(cpu, op->size);
}

static EmuOpFn *bind_branch(const EmuDecoded *decoded, EmuOp *op)
{
    const ZydisDecodedInstruction *insn = &decoded->insn;
    bool is_jump = insn->mnemonic == ZYDIS_MNEMONIC_JMP;

    if (insn->meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
        return NULL;
    }
    op->flags |= EMU_OP_ENDS;
    op->size = insn->operand_width / 8;
    if (insn->mnemonic == ZYDIS_MNEMONIC_RET) {
        return op_return;
    }
    if (op->size == 8 && !emu_vendor(decoded->cpu)->far_pointers64) {
        op->size = 4;
    }
    if (op->flags & EMU_OP_MEM) {
        return is_jump ? op_jump_memory : op_call_memory;
    }
    return is_jump ? op_jump_direct : op_call_direct;
}

static EmuOpFn *bind_iret(const EmuDecoded *decoded, EmuOp *op)
{
    op->flags |= EMU_OP_ENDS;
    op->size = decoded->insn.mnemonic == ZYDIS_MNEMONIC_IRETQ   ? 8
               : decoded->insn.mnemonic == ZYDIS_MNEMONIC_IRETD ? 4
                                                                : 2;
    return op_iret;
}

/* ---- INT n, INT3, INTO, INT1 ---- */

/*
 * Virtual-8086 mode extensions: is this vector left to the 8086 program (SDM vol. 3, 20.3.3)? The
 * 32 bytes below the I/O bitmap have a bit for each.
 */
static bool is_redirected(EmuCpu *cpu, uint8_t vector)
{
    const X86Segment *tr = &cpu->segs[X86_TR];
    unsigned at;

    if (!(cpu->cr4 & CR4_VME)) {
        return false;
    }
    if ((tr->attr & SEG_UNUSABLE) || !(tr->attr & 8) || tr->limit < 0x67) {
        emu_raise(cpu, X86_GP, 0);
    }
    at = emu_implicit_read_u16(cpu, emu_table_address(cpu, tr->base + 0x66));
    if (at < 32 || at - 32 + vector / 8 > tr->limit) {
        emu_raise(cpu, X86_GP, 0);
    }
    at = at - 32 + vector / 8;
    return !(emu_implicit_read_u8(cpu, emu_table_address(cpu, tr->base + at)) >> (vector & 7) & 1);
}

/* Through the 8086 program's own vector table, without leaving v8086 mode. */
static void interrupt_in_v86(EmuCpu *cpu, const EmuOp *op, uint8_t vector)
{
    bool is_virtual = emu_iopl(cpu) < 3;
    uint64_t flags = emu_rflags(cpu), cleared = FLAG_TF | FLAG_AC | FLAG_RF;
    uint32_t target = emu_read_u32(cpu, vector * 4u);
    EmuStack stack;
    EmuFrame frame;

    if (is_virtual) {
        flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
    }
    emu_current_stack(cpu, false, &stack);
    emu_frame_init(&frame, &stack, 3, 0, 2);
    emu_frame_push(&frame, flags);
    emu_frame_push(&frame, cpu->segs[X86_CS].selector);
    emu_frame_push(&frame, emu_next_rip(cpu, op));
    emu_frame_check(cpu, &frame);
    emu_frame_write(cpu, &frame);
    emu_set_stack(cpu, &stack, frame.sp);
    emu_set_v86_segment(cpu, X86_CS, target >> 16);
    cpu->rip = target & 0xffff;
    cpu->rflags &= ~(cleared | (is_virtual ? FLAG_VIF : FLAG_IF));
    emu_update_mode(cpu);
}

static void deliver_soft(EmuCpu *cpu, const EmuOp *op, unsigned vector, EmuEventKind kind)
{
    cpu->rip = emu_next_rip(cpu, op);
    emu_deliver(cpu, vector, kind, false, 0);
}

static void op_int(EmuCpu *cpu, const EmuOp *op)
{
    uint8_t vector = op->imm;

    if (cpu->mode & EMU_MODE_VM86) {
        if (is_redirected(cpu, vector)) {
            interrupt_in_v86(cpu, op, vector);
            return;
        }
        if (emu_iopl(cpu) < 3) {
            emu_raise(cpu, X86_GP, 0);
        }
    }
    deliver_soft(cpu, op, vector, EMU_EVENT_SOFT);
}

static void op_int3(EmuCpu *cpu, const EmuOp *op)
{
    emu_debug_int3(cpu);
    deliver_soft(cpu, op, X86_BP, EMU_EVENT_SOFT);
}

static void op_int1(EmuCpu *cpu, const EmuOp *op)
{
    deliver_soft(cpu, op, X86_DB, EMU_EVENT_INT1);
}

static void op_into(EmuCpu *cpu, const EmuOp *op)
{
    if (emu_of(cpu)) {
        deliver_soft(cpu, op, X86_OF, EMU_EVENT_SOFT);
        return;
    }
    EMU_END(cpu, op);
}

static EmuOpFn *bind_interrupt(const EmuDecoded *decoded, EmuOp *op)
{
    op->flags |= EMU_OP_ENDS;
    switch (decoded->insn.mnemonic) {
    case ZYDIS_MNEMONIC_INT:
        return op_int;
    case ZYDIS_MNEMONIC_INT3:
        return op_int3;
    case ZYDIS_MNEMONIC_INT1:
        return op_int1;
    default:
        return decoded->mode & EMU_MODE_CS64 ? NULL : op_into;
    }
}

/* ---- SYSCALL, SYSRET, SYSENTER, SYSEXIT ---- */

enum {
    FLAT_DATA = SEG_G | SEG_DB | SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED,
    FLAT_CODE = SEG_G | SEG_P | SEG_S | SEG_CODE | SEG_READABLE_CODE | SEG_ACCESSED,
    FLAT_CODE32 = FLAT_CODE | SEG_DB,
    FLAT_CODE64 = FLAT_CODE | SEG_L,
};

static void set_flat(EmuCpu *cpu, unsigned seg, uint16_t selector, uint32_t attr, unsigned cpl)
{
    cpu->segs[seg] = (X86Segment) {
        .limit = UINT32_MAX,
        .attr = attr | cpl << SEG_DPL_SHIFT,
        .selector = selector,
    };
}

static void op_syscall(EmuCpu *cpu, const EmuOp *op)
{
    const EmuMsrs *msrs = emu_msrs(cpu);
    uint64_t flags = emu_rflags(cpu) & ~(uint64_t)FLAG_RF;
    uint16_t selector = msrs->star >> 32 & 0xfffc;
    bool long_mode = emu_in_long_mode(cpu);

    if (!(cpu->efer & EFER_SCE)) {
        emu_raise_plain(cpu, X86_UD);
    }
    cpu->regs[X86_RCX] = emu_next_rip(cpu, op);
    if (long_mode) {
        cpu->regs[X86_R11] = flags;
        cpu->rip = cpu->mode & EMU_MODE_CS64 ? msrs->lstar : msrs->cstar;
        flags &= ~(uint64_t)(uint32_t)msrs->sfmask;
    } else {
        cpu->rip = (uint32_t)msrs->star;
        flags &= ~(uint64_t)(FLAG_IF | FLAG_VM);
    }
    if (!(flags & FLAG_TF)) {
        emu_debug_drop_step(cpu);
    }
    emu_flags_set(cpu, flags);
    cpu->rflags = (flags & ~(uint64_t)FLAG_ARITH) | FLAG_ONE;
    set_flat(cpu, X86_CS, selector, long_mode ? FLAT_CODE64 : FLAT_CODE32, 0);
    set_flat(cpu, X86_SS, selector + 8, FLAT_DATA, 0);
    emu_update_mode(cpu);
}

static void op_sysret(EmuCpu *cpu, const EmuOp *op)
{
    uint16_t base = emu_msrs(cpu)->star >> 48;
    bool to64 = op->size == 8, from64 = cpu->mode & EMU_MODE_CS64;
    uint64_t ip = cpu->regs[X86_RCX];

    if (!(cpu->efer & EFER_SCE)) {
        emu_raise_plain(cpu, X86_UD);
    }
    if (emu_cpl(cpu) != 0) {
        emu_raise(cpu, X86_GP, 0);
    }
    if (to64 && !emu_is_canonical(cpu, ip) && emu_vendor(cpu)->sysret_checks_rip) {
        emu_raise(cpu, X86_GP, 0);
    }
    if (from64) {
        uint64_t flags = cpu->regs[X86_R11] & FLAG_WRITABLE & ~(uint64_t)FLAG_RF;

        emu_flags_set(cpu, flags);
        cpu->rflags = (flags & ~(uint64_t)FLAG_ARITH) | FLAG_ONE;
    } else {
        cpu->rflags |= FLAG_IF;
    }
    cpu->rip = to64 ? ip : (uint32_t)ip;
    set_flat(cpu, X86_CS, (base + (to64 ? 16 : 0)) | 3, to64 ? FLAT_CODE64 : FLAT_CODE32, 3);
    if (emu_vendor(cpu)->sysret_loads_ss) {
        set_flat(cpu, X86_SS, (base + 8) | 3, FLAT_DATA, 3);
    } else {
        cpu->segs[X86_SS].selector = (base + 8) | 3;
        cpu->segs[X86_SS].attr |= SEG_DPL; /* our CPL */
    }
    emu_update_mode(cpu);
}

static void op_sysenter(EmuCpu *cpu, const EmuOp *op)
{
    const EmuMsrs *msrs = emu_msrs(cpu);
    uint16_t selector = msrs->sysenter_cs & 0xfffc;
    bool long_mode = emu_in_long_mode(cpu);

    if (!(cpu->mode & EMU_MODE_PROT) || selector == 0) {
        emu_raise(cpu, X86_GP, 0);
    }
    cpu->rflags &= ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF);
    cpu->regs[X86_RSP] = long_mode ? msrs->sysenter_esp : (uint32_t)msrs->sysenter_esp;
    cpu->rip = long_mode ? msrs->sysenter_eip : (uint32_t)msrs->sysenter_eip;
    set_flat(cpu, X86_CS, selector, long_mode ? FLAT_CODE64 : FLAT_CODE32, 0);
    set_flat(cpu, X86_SS, selector + 8, FLAT_DATA, 0);
    emu_update_mode(cpu);
}

static void op_sysexit(EmuCpu *cpu, const EmuOp *op)
{
    uint16_t base = emu_msrs(cpu)->sysenter_cs & 0xfffc;
    bool to64 = op->size == 8;
    uint64_t sp = cpu->regs[X86_RCX], ip = cpu->regs[X86_RDX];
    uint16_t selector = base + (to64 ? 32 : 16);

    if (!(cpu->mode & EMU_MODE_PROT) || base == 0 || emu_cpl(cpu) != 0 ||
        (to64 && (!emu_is_canonical(cpu, sp) || !emu_is_canonical(cpu, ip)))) {
        emu_raise(cpu, X86_GP, 0);
    }
    cpu->regs[X86_RSP] = to64 ? sp : (uint32_t)sp;
    cpu->rip = to64 ? ip : (uint32_t)ip;
    set_flat(cpu, X86_CS, selector | 3, to64 ? FLAT_CODE64 : FLAT_CODE32, 3);
    set_flat(cpu, X86_SS, (selector + 8) | 3, FLAT_DATA, 3);
    emu_update_mode(cpu);
}

static EmuOpFn *bind_system_call(const EmuDecoded *decoded, EmuOp *op)
{
    const unsigned sep = 11, syscall = 11;
    const EmuVendor *vendor = emu_vendor(decoded->cpu);
    bool has_syscall = emu_has(decoded->cpu, X86_FEAT_8000_0001_EDX, syscall) &&
                       ((decoded->mode & EMU_MODE_CS64) || vendor->syscall_in_legacy);
    bool has_sysenter = emu_has(decoded->cpu, X86_FEAT_1_EDX, sep) &&
                        (!(decoded->mode & EMU_MODE_LONG) || vendor->sysenter_in_long);
    bool wide = decoded->insn.attributes & ZYDIS_ATTRIB_HAS_REX &&
                decoded->insn.raw.rex.W;

    op->flags |= EMU_OP_ENDS;
    op->size = wide ? 8 : 4;
    switch (decoded->insn.mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL:
        return has_syscall ? op_syscall : NULL;
    case ZYDIS_MNEMONIC_SYSRET:
        return has_syscall && (decoded->mode & EMU_MODE_PROT) ? op_sysret : NULL;
    case ZYDIS_MNEMONIC_SYSENTER:
        return has_sysenter ? op_sysenter : NULL;
    default:
        return has_sysenter ? op_sysexit : NULL;
    }
}

static const EmuInsn rows[] = {
    { ZYDIS_MNEMONIC_JMP, EMU_UNIT_INTEGER, bind_branch, NULL },
    { ZYDIS_MNEMONIC_CALL, EMU_UNIT_INTEGER, bind_branch, NULL },
    { ZYDIS_MNEMONIC_RET, EMU_UNIT_INTEGER, bind_branch, NULL },
    { ZYDIS_MNEMONIC_IRET, EMU_UNIT_INTEGER, bind_iret, NULL },
    { ZYDIS_MNEMONIC_IRETD, EMU_UNIT_INTEGER, bind_iret, NULL },
    { ZYDIS_MNEMONIC_IRETQ, EMU_UNIT_INTEGER, bind_iret, NULL },
    { ZYDIS_MNEMONIC_INT, EMU_UNIT_INTEGER, bind_interrupt, NULL },
    { ZYDIS_MNEMONIC_INT3, EMU_UNIT_INTEGER, bind_interrupt, NULL },
    { ZYDIS_MNEMONIC_INT1, EMU_UNIT_INTEGER, bind_interrupt, NULL },
    { ZYDIS_MNEMONIC_INTO, EMU_UNIT_INTEGER, bind_interrupt, NULL },
    { ZYDIS_MNEMONIC_SYSCALL, EMU_UNIT_INTEGER, bind_system_call, NULL },
    { ZYDIS_MNEMONIC_SYSRET, EMU_UNIT_INTEGER, bind_system_call, NULL },
    { ZYDIS_MNEMONIC_SYSENTER, EMU_UNIT_INTEGER, bind_system_call, NULL },
    { ZYDIS_MNEMONIC_SYSEXIT, EMU_UNIT_INTEGER, bind_system_call, NULL },
};

const EmuInsnTable emu_insns_far = { .rows = rows, .count = G_N_ELEMENTS(rows) };
