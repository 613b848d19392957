/* SPDX-License-Identifier: Apache-2.0 */
/* PUSH, POP and LEAVE of 64-bit operands. */
#include "accel/emu/jit/internal.h"

static bool is_wide(const JitTranslation *t)
{
    return t->op->size == 8;
}

/* RAX = host address of the new top of the stack. */
static void prepare_push(JitTranslation *t)
{
    jit_lea(t->as, true, HOST_RAX, JIT_MEM(jit_host_reg[X86_RSP], -8));
    jit_translate_address(t, 8, true, 1);
}

static void move_stack(JitTranslation *t, int32_t by)
{
    HostReg rsp = jit_host_reg[X86_RSP];

    jit_lea(t->as, true, rsp, JIT_MEM(rsp, by));
}

static bool is_general_register(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_GPR64;
}

static void push_memory(JitTranslation *t)
{
    jit_linear(t);
    jit_translate_address(t, 8, false, 1);
    jit_load64(t->as, HOST_RAX, HOST_RAX, 0);
    jit_store64(t->as, HOST_RBP, JIT_CPU(jit_target), HOST_RAX);
    prepare_push(t);
    jit_load64(t->as, HOST_RCX, HOST_RBP, JIT_CPU(jit_target));
    jit_store64(t->as, HOST_RAX, 0, HOST_RCX);
}

bool jit_emit_push(JitTranslation *t)
{
    const ZydisDecodedOperand *operand = &t->decoded.operands[0];

    if (!is_wide(t)) {
        return false;
    }
    if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        prepare_push(t);
        jit_op_mem(t->as, true, 0xc7, 0, JIT_MEM(HOST_RAX, 0)); /* MOV m64, simm32 */
        jit_u32(t->as, (uint32_t)t->op->imm);
    } else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
        push_memory(t);
    } else if (is_general_register(operand)) {
        prepare_push(t);
        jit_store64(t->as, HOST_RAX, 0, jit_get_reg(t, t->op->r[0], HOST_RCX));
    } else {
        return false;
    }
    move_stack(t, -8);
    jit_slow_done(t);
    return true;
}

bool jit_emit_pop(JitTranslation *t)
{
    if (!is_wide(t) || !is_general_register(&t->decoded.operands[0])) {
        return false;
    }
    jit_mov(t->as, HOST_RAX, jit_host_reg[X86_RSP]);
    jit_translate_address(t, 8, false, 1);
    move_stack(t, 8);
    jit_load64(t->as, HOST_RCX, HOST_RAX, 0);
    jit_put_reg(t, t->op->r[0], HOST_RCX);
    jit_slow_done(t);
    return true;
}

bool jit_emit_leave(JitTranslation *t)
{
    HostReg rbp = jit_host_reg[X86_RBP];

    if (!is_wide(t)) {
        return false;
    }
    jit_mov(t->as, HOST_RAX, rbp);
    jit_translate_address(t, 8, false, 1);
    jit_lea(t->as, true, jit_host_reg[X86_RSP], JIT_MEM(rbp, 8));
    jit_load64(t->as, rbp, HOST_RAX, 0);
    jit_slow_done(t);
    return true;
}
