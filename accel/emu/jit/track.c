/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/jit/track.h"

static JitValue new_unknown(JitTrack *track)
{
    return (JitValue) { .unknown = track->next++ };
}

void jit_track_forget(JitTrack *track)
{
    for (unsigned i = 0; i < EMU_REG_ZERO; i++) {
        track->regs[i] = new_unknown(track);
    }
}

void jit_track_begin(JitTrack *track, unsigned word)
{
    track->next = 1;
    track->word = word;
    track->regs[EMU_REG_ZERO] = (JitValue) { 0 };
    track->regs[EMU_REG_PAGE_RIP] = new_unknown(track);
    jit_track_forget(track);
}

static JitValue plus(JitValue value, int64_t more)
{
    value.plus = (int64_t)((uint64_t)value.plus + (uint64_t)more);
    return value;
}

/* ---- Registers ---- */

/* A general register as wide as addresses. */
static bool is_full(const JitTrack *track, const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand->reg.value) ==
               (track->word == 8 ? ZYDIS_REGCLASS_GPR64 : ZYDIS_REGCLASS_GPR32);
}

bool jit_is_general(const ZydisDecodedOperand *operand)
{
    ZydisRegisterClass class;

    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
        return false;
    }
    class = ZydisRegisterGetClass(operand->reg.value);
    return class == ZYDIS_REGCLASS_GPR8 || class == ZYDIS_REGCLASS_GPR16 ||
           class == ZYDIS_REGCLASS_GPR32 || class == ZYDIS_REGCLASS_GPR64;
}

/* X86Reg of a general register of any width; AH to BH are their wide ones. */
static unsigned number_of(ZydisRegister reg)
{
    return ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)) &
           15;
}

static void forget_written(JitTrack *track, const EmuDecoded *decoded)
{
    for (unsigned i = 0; i < decoded->insn.operand_count; i++) {
        const ZydisDecodedOperand *operand = &decoded->operands[i];

        if (jit_is_general(operand) && (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            track->regs[number_of(operand->reg.value)] = new_unknown(track);
        }
    }
}

/* What a register becomes by an instruction that adds a constant, or copies. */
static bool find_sum(const JitTrack *track, const EmuOp *op, const EmuDecoded *decoded,
                     JitValue *value)
{
    const ZydisDecodedOperand *operands = decoded->operands;

    if (op->size != track->word || !decoded->insn.operand_count_visible ||
        !is_full(track, &operands[0])) {
        return false;
    }
    *value = track->regs[op->r[0]];
    switch (op->mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
        *value = plus(*value, op->mnemonic == ZYDIS_MNEMONIC_ADD ? (int64_t)op->imm
                                                                  : (int64_t)-op->imm);
        return operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    case ZYDIS_MNEMONIC_INC:
        *value = plus(*value, 1);
        return true;
    case ZYDIS_MNEMONIC_DEC:
        *value = plus(*value, -1);
        return true;
    case ZYDIS_MNEMONIC_MOV:
        *value = track->regs[op->r[1]];
        return is_full(track, &operands[1]);
    case ZYDIS_MNEMONIC_LEA:
        *value = plus(track->regs[op->base], op->disp);
        return op->index == EMU_REG_ZERO && op->addr_shift == jit_track_addr_shift(track);
    default:
        return false;
    }
}

void jit_track_op(JitTrack *track, const EmuOp *op, const EmuDecoded *decoded)
{
    JitValue rsp = track->regs[X86_RSP], rbp = track->regs[X86_RBP], sum;
    bool wide = op->size == track->word;

    if (find_sum(track, op, decoded, &sum)) {
        track->regs[op->r[0]] = sum;
        return;
    }
    forget_written(track, decoded);
    if (wide && op->mnemonic == ZYDIS_MNEMONIC_PUSH) {
        track->regs[X86_RSP] = plus(rsp, -track->word);
    } else if (wide && op->mnemonic == ZYDIS_MNEMONIC_POP &&
               is_full(track, &decoded->operands[0]) && op->r[0] != X86_RSP) {
        track->regs[X86_RSP] = plus(rsp, track->word);
    } else if (wide && op->mnemonic == ZYDIS_MNEMONIC_LEAVE) {
        track->regs[X86_RSP] = plus(rbp, track->word);
    }
}

/* ---- Addresses ---- */

JitWhere jit_op_where(const EmuOp *op)
{
    return (JitWhere) {
        .base = op->base, .index = op->index, .scale = op->scale, .disp = op->disp,
        .seg = op->seg >= X86_FS ? op->seg : 0, .addr_shift = op->addr_shift,
    };
}

bool jit_place_of(const JitTrack *track, const JitWhere *where, JitPlace *place)
{
    const JitValue *base = &track->regs[where->base], *index = &track->regs[where->index];

    *place = (JitPlace) {
        .base = base->unknown, .index = index->unknown,
        .scale = index->unknown ? where->scale : 0, .seg = where->seg,
        .plus = (int64_t)((uint64_t)base->plus + ((uint64_t)index->plus << where->scale) +
                          (uint64_t)(int64_t)where->disp),
    };
    return where->addr_shift == jit_track_addr_shift(track);
}

bool jit_same_unknowns(const JitPlace *a, const JitPlace *b)
{
    return a->base == b->base && a->index == b->index && a->scale == b->scale && a->seg == b->seg;
}

static bool is_access(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.type == ZYDIS_MEMOP_TYPE_MEM;
}

/* What PUSH, POP, CALL, RET and LEAVE do to the stack. */
static bool stack_access(const JitTrack *track, const EmuOp *op, JitWhere *where, bool *write)
{
    *where = (JitWhere) { .base = X86_RSP, .index = EMU_REG_ZERO,
                          .addr_shift = jit_track_addr_shift(track) };
    *write = op->mnemonic == ZYDIS_MNEMONIC_PUSH || op->mnemonic == ZYDIS_MNEMONIC_CALL;
    if (*write) {
        where->disp = -track->word;
        return true;
    }
    if (op->mnemonic == ZYDIS_MNEMONIC_LEAVE) {
        where->base = X86_RBP;
        return true;
    }
    return op->mnemonic == ZYDIS_MNEMONIC_POP || op->mnemonic == ZYDIS_MNEMONIC_RET;
}

unsigned jit_expect_accesses(const JitTrack *track, const EmuOp *op, const EmuDecoded *decoded,
                             JitAccess accesses[2])
{
    JitWhere where = jit_op_where(op);
    unsigned count = 0;
    bool write;

    for (unsigned i = 0; i < decoded->insn.operand_count_visible && !count; i++) {
        const ZydisDecodedOperand *operand = &decoded->operands[i];

        if (is_access(operand) && jit_place_of(track, &where, &accesses[0].place)) {
            accesses[0].size = operand->size / 8;
            accesses[0].write = operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
            count++;
        }
    }
    if (stack_access(track, op, &where, &write) &&
        jit_place_of(track, &where, &accesses[count].place)) {
        accesses[count].size = track->word;
        accesses[count].write = write;
        count++;
    }
    return count;
}
