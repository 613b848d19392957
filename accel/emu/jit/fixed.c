/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions whose encoding names registers: accumulator, counter, RDX. */
#include "accel/emu/jit/internal.h"

bool jit_emit_nop(JitTranslation *t)
{
    return true;
}

bool jit_emit_lea(JitTranslation *t)
{
    JitWhere where = jit_op_where(t->op);
    unsigned guest = t->op->r[0];
    HostReg dst = jit_host_reg[guest] != HOST_NONE ? jit_host_reg[guest] : HOST_RAX;

    if (t->op->size == 2) {
        return false;
    }
    if (t->op->addr_shift == 0 || t->op->size == 4) {
        jit_effective(t, &where, dst, t->op->size == 8);
    } else {
        jit_effective(t, &where, dst, false);
    }
    jit_put_reg(t, guest, dst);
    return true;
}

static const ZydisDecodedOperand *find_memory(const JitTranslation *t)
{
    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        if (t->decoded.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            return &t->decoded.operands[i];
        }
    }
    return NULL;
}

static bool has_high_byte(const JitTranslation *t)
{
    for (unsigned i = 0; i < t->decoded.insn.operand_count_visible; i++) {
        ZydisRegister reg = t->decoded.operands[i].reg.value;

        if (t->decoded.operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
            return true;
        }
    }
    return false;
}

/* Byte registers carry offsets in op->r (op.h). */
static unsigned guest_number(const EmuOp *op, unsigned i)
{
    return op->size == 1 ? op->r[i] / 8 : op->r[i];
}

/* Shifts by CL; by immediates they are copied. */
bool jit_emit_shift_cl(JitTranslation *t)
{
    const ZydisDecodedOperand *memory = find_memory(t);
    bool by_cl = t->decoded.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
    JitRename rename = { HOST_NONE, HOST_NONE, HOST_NONE, memory != NULL };
    unsigned guest = 0;

    if (!by_cl) {
        return jit_emit_copy(t);
    }
    if (has_high_byte(t)) {
        return false;
    }
    if (memory) {
        jit_operand_address(t, memory->size / 8, true, 1);
    } else {
        guest = guest_number(t->op, 0);
        rename.rm = jit_get_reg(t, guest, HOST_RDX);
    }
    jit_mov(t->as, HOST_RCX, jit_host_reg[X86_RCX]);
    jit_copy_bytes(t, &rename);
    if (!memory) {
        jit_put_reg(t, guest, rename.rm);
    }
    jit_slow_done(t);
    return true;
}

/* RAX and RDX as the instruction expects them; memory operands have their address in RCX then. */
static void load_accumulators(JitTranslation *t)
{
    jit_mov(t->as, HOST_RAX, jit_host_reg[X86_RAX]);
    jit_mov(t->as, HOST_RDX, jit_host_reg[X86_RDX]);
}

static void store_accumulators(JitTranslation *t)
{
    jit_mov(t->as, jit_host_reg[X86_RAX], HOST_RAX);
    jit_mov(t->as, jit_host_reg[X86_RDX], HOST_RDX);
}

/* One-operand MUL and IMUL: F6/F7 /4, /5. */
bool jit_emit_muldiv(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    const ZydisDecodedOperand *memory = find_memory(t);
    bool one_operand = insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
                       (insn->opcode & 0xfe) == 0xf6;
    HostReg rm = HOST_RCX;

    if (!one_operand) {
        return jit_emit_copy(t);
    }
    if (has_high_byte(t)) {
        return false;
    }
    if (insn->operand_width == 16) {
        return false;
    }
    if (memory) {
        jit_operand_address(t, memory->size / 8, false, 1);
        jit_mov(t->as, HOST_RCX, HOST_RAX);
    } else {
        rm = jit_get_reg(t, guest_number(t->op, 0), HOST_RCX);
    }
    load_accumulators(t);
    jit_rex(t->as, insn->raw.rex.W, 0, 0, rm, true);
    jit_u8(t->as, insn->opcode);
    if (memory) {
        jit_modrm_mem(t->as, insn->raw.modrm.reg, JIT_MEM(HOST_RCX, 0));
    } else {
        jit_u8(t->as, 0xc0 | insn->raw.modrm.reg << 3 | (rm & 7));
    }
    store_accumulators(t);
    jit_slow_done(t);
    return true;
}

/* MULX reg, vvvv, rm: RDX is a source. */
bool jit_emit_mulx(JitTranslation *t)
{
    JitRename rename = { HOST_NONE, HOST_NONE, HOST_NONE, false };
    const EmuOp *op = t->op;

    if (find_memory(t) || jit_host_reg[op->r[0]] == HOST_NONE ||
        jit_host_reg[op->r[1]] == HOST_NONE) {
        return false;
    }
    rename.reg = jit_host_reg[op->r[0]];
    rename.vvvv = jit_host_reg[op->r[1]];
    rename.rm = jit_get_reg(t, op->r[2], HOST_RCX);
    jit_mov(t->as, HOST_RDX, jit_host_reg[X86_RDX]);
    jit_copy_bytes(t, &rename);
    return true;
}

/* CBW, CWDE, CDQE (98) and CWD, CDQ, CQO (99). */
bool jit_emit_extend_acc(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;

    load_accumulators(t);
    if (t->op->size == 2) {
        jit_u8(t->as, 0x66);
    }
    jit_rex(t->as, t->op->size == 8, 0, 0, 0, false);
    jit_u8(t->as, insn->opcode);
    store_accumulators(t);
    return true;
}

bool jit_emit_cmpxchg(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    const ZydisDecodedOperand *memory = find_memory(t);
    HostReg source;

    if (!memory || has_high_byte(t)) {
        return false;
    }
    jit_operand_address(t, memory->size / 8, true, jit_lock_alignment(t));
    jit_mov(t->as, HOST_RCX, HOST_RAX);
    source = jit_get_reg(t, guest_number(t->op, 0), HOST_RDX);
    jit_mov(t->as, HOST_RAX, jit_host_reg[X86_RAX]);
    if (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK) {
        jit_u8(t->as, 0xf0);
    }
    if (t->op->size == 2) {
        jit_u8(t->as, 0x66);
    }
    jit_rex(t->as, t->op->size == 8, source, 0, HOST_RCX, true);
    jit_u8(t->as, 0x0f);
    jit_u8(t->as, insn->opcode);
    jit_modrm_mem(t->as, source, JIT_MEM(HOST_RCX, 0));
    jit_mov(t->as, jit_host_reg[X86_RAX], HOST_RAX);
    jit_slow_done(t);
    return true;
}

/* XCHG RAX, reg in one byte has no other place for the accumulator: use the general form. */
bool jit_emit_xchg_acc(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    HostReg other;

    if (insn->attributes & ZYDIS_ATTRIB_HAS_MODRM) {
        return jit_emit_copy(t);
    }
    if (t->op->size < 4) {
        return false;
    }
    other = t->op->r[0] == X86_RAX ? t->op->r[1] : t->op->r[0];
    jit_mov(t->as, HOST_RAX, jit_get_reg(t, other, HOST_RAX));
    jit_rex(t->as, t->op->size == 8, jit_host_reg[X86_RAX], 0, HOST_RAX, false);
    jit_u8(t->as, 0x87);
    jit_u8(t->as, 0xc0 | (jit_host_reg[X86_RAX] & 7) << 3 | HOST_RAX);
    jit_put_reg(t, other, HOST_RAX);
    return true;
}
