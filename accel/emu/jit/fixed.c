/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions whose encoding names registers: accumulator, counter, RDX. */
#include "accel/emu/jit/internal.h"

bool jit_emit_nop(JitTranslation *t)
{
    t->keeps_cached = true;
    return true;
}

/* Does it need no scratch register to be part of an address? */
static bool is_in_host(unsigned guest)
{
    return guest == EMU_REG_ZERO || (guest < EMU_REG_ZERO && jit_host_reg[guest] != HOST_NONE);
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
    if (!is_in_host(where.base) || !is_in_host(where.index)) {
        t->cached[JIT_CACHE_RAX] = t->cached[JIT_CACHE_RCX] = -1;
    }
    if (dst == HOST_RAX) {
        jit_note_cached(t, JIT_CACHE_RAX, guest);
    }
    t->keeps_cached = true;
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

/* ---- Division ---- */

/* To the slow path at `place`, which is near, unless RCX is zero. */
static void slow_unless_zero_near(JitTranslation *t, const uint8_t *place)
{
    jit_u8(t->as, 0xe3); /* JRCXZ over JMP */
    jit_u8(t->as, 2);
    jit_u8(t->as, 0xeb);
    jit_u8(t->as, (uint8_t)(place - (t->as->at + 1)));
}

/* RCX = the divisor, if it is not 0 and RDX is. */
static void check_unsigned(JitTranslation *t, const uint8_t *slow, bool wide)
{
    HostReg high = jit_host_reg[X86_RDX];

    if (wide) {
        jit_mov(t->as, HOST_RCX, high);
    } else {
        jit_mov32(t->as, HOST_RCX, high);
    }
    slow_unless_zero_near(t, slow);
    jit_mov(t->as, HOST_RCX, HOST_RAX);
    jit_jrcxz_back(t->as, slow);
}

/* RCX = the divisor, if it is neither 0 nor -1 and RDX is the sign of RAX. */
static void check_signed(JitTranslation *t, const uint8_t *slow, bool wide)
{
    HostReg low = jit_host_reg[X86_RAX], high = jit_host_reg[X86_RDX];
    JitAsm *as = t->as;

    if (!wide) {
        jit_movsxd(as, HOST_RCX, low);
        low = HOST_RCX;
    }
    jit_mov_imm(as, HOST_RDX, 63);
    jit_sarx(as, HOST_RCX, low, HOST_RDX);
    if (wide) {
        jit_mov(as, HOST_RDX, high);
    } else {
        jit_movsxd(as, HOST_RDX, high);
    }
    jit_not(as, HOST_RDX);
    jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RDX, 0, 1 });
    slow_unless_zero_near(t, slow);
    jit_mov(as, HOST_RCX, HOST_RAX);
    jit_jrcxz_back(as, slow);
    jit_lea(as, wide, HOST_RCX, JIT_MEM(HOST_RCX, 1));
    jit_jrcxz_back(as, slow);
    jit_lea(as, wide, HOST_RCX, JIT_MEM(HOST_RCX, -1));
}

/*
 * DIV and IDIV where they are sure not to raise #DE, which would be the host's: of a dividend as
 * wide as the divisor, which is neither 0 nor -1. Others are the handler's.
 */
bool jit_emit_div(JitTranslation *t)
{
    const ZydisDecodedInstruction *insn = &t->decoded.insn;
    const ZydisDecodedOperand *memory = find_memory(t);
    bool wide = t->op->size == 8, is_signed = insn->raw.modrm.reg == 7;
    const uint8_t *slow;

    if (t->op->size < 4) {
        return false;
    }
    if (memory) {
        jit_operand_address(t, t->op->size, false, 1);
        jit_op_mem(t->as, wide, 0x8b, HOST_RAX, JIT_MEM(HOST_RAX, 0));
    } else {
        jit_mov(t->as, HOST_RAX, jit_get_reg(t, t->op->r[0], HOST_RAX));
        if (!wide) {
            jit_mov32(t->as, HOST_RAX, HOST_RAX);
        }
    }
    slow = jit_slow_place(t);
    if (is_signed) {
        check_signed(t, slow, wide);
    } else {
        check_unsigned(t, slow, wide);
    }
    load_accumulators(t);
    jit_rex(t->as, wide, 0, 0, HOST_RCX, false);
    jit_u8(t->as, 0xf7);
    jit_u8(t->as, 0xc0 | insn->raw.modrm.reg << 3 | HOST_RCX);
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
        jit_host_reg[op->r[1]] == HOST_NONE || jit_is_wider_on_host(t)) {
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

/* CMPXCHG8B and 16B: no register is left for the address but one that the guest's RSI is in. */
bool jit_emit_cmpxchg_pair(JitTranslation *t)
{
    bool wide = t->op->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B;
    unsigned size = wide ? 16 : 8;
    JitAsm *as = t->as;

    jit_operand_address(t, size, true, size);
    jit_store64(as, HOST_RBP, JIT_CPU(jit_target), HOST_RSI);
    jit_mov(as, HOST_RSI, HOST_RAX);
    jit_mov(as, HOST_RCX, jit_host_reg[X86_RCX]); /* and RBX is in RBX */
    load_accumulators(t);
    if (t->decoded.insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) {
        jit_u8(as, 0xf0);
    }
    jit_rex(as, wide, 0, 0, HOST_RSI, false);
    jit_u8(as, 0x0f);
    jit_u8(as, 0xc7);
    jit_modrm_mem(as, 1, JIT_MEM(HOST_RSI, 0));
    jit_load64(as, HOST_RSI, HOST_RBP, JIT_CPU(jit_target));
    store_accumulators(t);
    jit_slow_done(t);
    return true;
}

/* SAHF and LAHF. */
bool jit_emit_ah_flags(JitTranslation *t)
{
    HostReg rax = jit_host_reg[X86_RAX];

    jit_mov(t->as, HOST_RAX, rax);
    jit_u8(t->as, t->decoded.insn.opcode);
    jit_mov(t->as, rax, HOST_RAX);
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
