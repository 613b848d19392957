/* SPDX-License-Identifier: Apache-2.0 */
/* PUSH, POP, LEAVE, PUSHF and POPF of operands as wide as addresses. */
#include "accel/emu/jit/internal.h"

static bool is_wide(const JitTranslation *t)
{
    return t->op->size == t->word;
}

void jit_stack_access(JitTranslation *t, unsigned base, int32_t disp, bool is_write)
{
    const JitWhere where = { .base = base, .index = EMU_REG_ZERO, .disp = disp,
                             .addr_shift = 64 - t->word * 8 };

    jit_access(t, &where, t->word, is_write, 1);
}

/* t->mem = the new top of the stack. */
static void prepare_push(JitTranslation *t)
{
    jit_stack_access(t, X86_RSP, -t->word, true);
}

static void load_word(JitTranslation *t, HostReg dst)
{
    jit_op_mem(t->as, !t->narrow, 0x8b, dst, &t->mem);
}

static void store_word(JitTranslation *t, HostReg src)
{
    jit_op_mem(t->as, !t->narrow, 0x89, src, &t->mem);
}

static void move_stack(JitTranslation *t, int32_t by)
{
    HostReg rsp = jit_host_reg[X86_RSP];

    jit_lea(t->as, !t->narrow, rsp, JIT_MEM(rsp, by));
}

static bool is_general_register(const JitTranslation *t, const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand->reg.value) ==
               (t->narrow ? ZYDIS_REGCLASS_GPR32 : ZYDIS_REGCLASS_GPR64);
}

static void push_memory(JitTranslation *t)
{
    jit_operand_address(t, t->word, false, 1);
    load_word(t, HOST_RAX);
    jit_store64(t->as, HOST_RBP, JIT_CPU(jit_target), HOST_RAX);
    jit_forget_cached(t);
    prepare_push(t);
    jit_load64(t->as, HOST_RCX, HOST_RBP, JIT_CPU(jit_target));
    store_word(t, HOST_RCX);
}

bool jit_emit_push(JitTranslation *t)
{
    const ZydisDecodedOperand *operand = &t->decoded.operands[0];

    if (!is_wide(t)) {
        return false;
    }
    if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        prepare_push(t);
        jit_op_mem(t->as, !t->narrow, 0xc7, 0, &t->mem); /* MOV m, simm32 */
        jit_u32(t->as, (uint32_t)t->op->imm);
    } else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        push_memory(t);
    } else if (is_general_register(t, operand)) {
        prepare_push(t);
        store_word(t, jit_get_reg(t, t->op->r[0], HOST_RCX));
        jit_note_cached(t, JIT_CACHE_RCX, t->op->r[0]);
    } else {
        return false;
    }
    move_stack(t, -t->word);
    jit_slow_done(t);
    t->keeps_cached = operand->type != ZYDIS_OPERAND_TYPE_MEMORY;
    return true;
}

bool jit_emit_pop(JitTranslation *t)
{
    unsigned guest = t->op->r[0];
    HostReg host = HOST_RCX;

    if (!is_wide(t) || !is_general_register(t, &t->decoded.operands[0])) {
        return false;
    }
    if (guest != X86_RSP && jit_host_reg[guest] != HOST_NONE) {
        host = jit_host_reg[guest];
    }
    jit_stack_access(t, X86_RSP, 0, false);
    load_word(t, host);
    move_stack(t, t->word);
    jit_put_reg(t, guest, host);
    jit_slow_done(t);
    if (host == HOST_RCX) {
        jit_note_cached(t, JIT_CACHE_RCX, guest);
    }
    t->keeps_cached = true;
    return true;
}

bool jit_emit_leave(JitTranslation *t)
{
    HostReg rbp = jit_host_reg[X86_RBP];

    if (!is_wide(t)) {
        return false;
    }
    jit_stack_access(t, X86_RBP, 0, false);
    jit_lea(t->as, !t->narrow, jit_host_reg[X86_RSP], JIT_MEM(rbp, t->word));
    load_word(t, rbp);
    jit_slow_done(t);
    return true;
}

/* ---- Flags ---- */

static void push_host_flags(JitTranslation *t)
{
    jit_u8(t->as, 0x9c);
}

static void pop_host_flags(JitTranslation *t)
{
    jit_u8(t->as, 0x9d);
}

bool jit_emit_pushf(JitTranslation *t)
{
    JitAsm *as = t->as;

    if (!is_wide(t) || t->jit->slow_pext) {
        return false;
    }
    prepare_push(t);
    jit_settle_address(t);
    push_host_flags(t);
    jit_pop(as, HOST_RCX);
    jit_and(as, HOST_RCX, FLAG_ARITH, HOST_RDX);
    jit_load32(as, HOST_RDX, HOST_RBP, JIT_CPU(rflags));
    jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RDX, 0, 0 });
    jit_and(as, HOST_RCX, ~(FLAG_RF | FLAG_VM), HOST_RDX);
    store_word(t, HOST_RCX);
    move_stack(t, -t->word);
    jit_slow_done(t);
    return true;
}

/* Where it changes nothing but arithmetic flags. Those alone become the host's. */
bool jit_emit_popf(JitTranslation *t)
{
    const uint32_t others = FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_ID;
    JitAsm *as = t->as;

    if (!is_wide(t) || t->jit->slow_pext) {
        return false;
    }
    jit_stack_access(t, X86_RSP, 0, false);
    load_word(t, HOST_RCX);
    jit_store64(as, HOST_RBP, JIT_CPU(jit_target), HOST_RCX);
    jit_and(as, HOST_RCX, others, HOST_RAX);
    jit_load32(as, HOST_RDX, HOST_RBP, JIT_CPU(rflags));
    jit_and(as, HOST_RDX, others | FLAG_RF, HOST_RAX); /* which it clears */
    jit_not(as, HOST_RDX);
    jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RDX, 0, 1 });
    jit_slow_unless_zero(t);
    jit_load64(as, HOST_RCX, HOST_RBP, JIT_CPU(jit_target));
    jit_and(as, HOST_RCX, FLAG_ARITH, HOST_RDX);
    jit_push(as, HOST_RCX);
    pop_host_flags(t);
    move_stack(t, t->word);
    jit_emit_exit(t, t->op->page_offset + t->op->length);
    return true;
}
