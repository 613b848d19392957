/* SPDX-License-Identifier: Apache-2.0 */
/* Entering and leaving translated code, calling handlers, and the jump table. */
#include <stddef.h>

#include "accel/emu/exec.h"
#include "accel/emu/flags.h"
#include "accel/emu/jit/internal.h"

/*
 * The most used guest registers live in host registers; RAX, RCX and RDX are scratch because so
 * many instructions name them, RBP is the EmuCpu, RSP the host's stack.
 */
const int8_t jit_host_reg[16] = {
    [X86_RAX] = HOST_R9, [X86_RCX] = HOST_R10, [X86_RDX] = HOST_R11, [X86_RBX] = HOST_RBX,
    [X86_RSP] = HOST_R14, [X86_RBP] = HOST_R15, [X86_RSI] = HOST_RSI, [X86_RDI] = HOST_RDI,
    [X86_R8] = HOST_R8, [X86_R12] = HOST_R12, [X86_R13] = HOST_R13,
    [X86_R9] = HOST_NONE, [X86_R10] = HOST_NONE, [X86_R11] = HOST_NONE, [X86_R14] = HOST_NONE,
    [X86_R15] = HOST_NONE,
};

static const HostReg callee_saved[] = {
    HOST_RBX, HOST_RBP, HOST_R12, HOST_R13, HOST_R14, HOST_R15,
};

static void load_guest_regs(JitAsm *as)
{
    for (unsigned i = 0; i < 16; i++) {
        if (jit_host_reg[i] != HOST_NONE) {
            jit_load64(as, jit_host_reg[i], HOST_RBP, JIT_REG(i));
        }
    }
}

static void store_guest_regs(JitAsm *as)
{
    for (unsigned i = 0; i < 16; i++) {
        if (jit_host_reg[i] != HOST_NONE) {
            jit_store64(as, HOST_RBP, JIT_REG(i), jit_host_reg[i]);
        }
    }
}

/* Flags travel as LAHF and SETO AL leave them in AX. RAX is lost. */
static void save_flags(JitAsm *as)
{
    static const uint8_t lahf_seto[] = { 0x9f, 0x0f, 0x90, 0xc0 };

    jit_bytes(as, lahf_seto, sizeof(lahf_seto));
    jit_store32(as, HOST_RBP, JIT_CPU(host_flags), HOST_RAX);
}

static void restore_flags(JitAsm *as)
{
    static const uint8_t add_sahf[] = { 0x04, 0x7f, 0x9e }; /* ADD AL, 7Fh; SAHF */

    jit_load32(as, HOST_RAX, HOST_RBP, JIT_CPU(host_flags));
    jit_bytes(as, add_sahf, sizeof(add_sahf));
}

static uint32_t unpack_flags(uint32_t ax)
{
    return (ax >> 8 & (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF | FLAG_CF)) | (ax & 1 ? FLAG_OF : 0);
}

static uint32_t pack_flags(uint32_t flags)
{
    return (flags & (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF | FLAG_CF)) << 8 |
           (flags & FLAG_OF ? 1 : 0);
}

void jit_do_callout(EmuCpu *cpu, JitCallout *callout)
{
    cpu->stats.callouts++;
    cpu->block = callout->block;
    cpu->op = callout->ops;
    if (callout->keeps_flags) {
        cpu->jit->flags_in_host = true;
        callout->ops[0].fn(cpu, callout->ops);
        cpu->jit->flags_in_host = false;
    } else {
        emu_flags_set(cpu, unpack_flags(cpu->host_flags));
        callout->ops[0].fn(cpu, callout->ops);
        cpu->host_flags = pack_flags(emu_flags_get(cpu));
    }
    if (emu_lines_deliverable(cpu)) {
        emu_set_attention(cpu); /* what the instruction itself caused through a device */
    }
}

const void *jit_find_next(EmuCpu *cpu)
{
    const void *code;

    cpu->op = NULL;
    cpu->block = NULL;
    cpu->jit->flags_in_host = true; /* the fetch may fault */
    code = jit_find_code(cpu);
    cpu->jit->flags_in_host = false;
    return code;
}

const void *jit_do_callout_end(EmuCpu *cpu, JitCallout *callout)
{
    jit_do_callout(cpu, callout);
    return jit_find_next(cpu);
}

void jit_flags_to_host(EmuCpu *cpu)
{
    cpu->host_flags = pack_flags(emu_flags_get(cpu));
}

void jit_flags_from_host(EmuCpu *cpu)
{
    emu_flags_set(cpu, unpack_flags(cpu->host_flags));
}

static const void *here(const JitAsm *as)
{
    return jit_run_address(as, as->at);
}

static void ldmxcsr(JitAsm *as, int32_t disp)
{
    jit_u8(as, 0x0f);
    jit_u8(as, 0xae);
    jit_modrm_mem(as, 2, JIT_MEM(HOST_RBP, disp));
}

static void stmxcsr(JitAsm *as, int32_t disp)
{
    jit_u8(as, 0x0f);
    jit_u8(as, 0xae);
    jit_modrm_mem(as, 3, JIT_MEM(HOST_RBP, disp));
}

/*
 * LDMXCSR from `wanted` unless the bits of `mask` are already so in the register, which is also at
 * `have`: it is slow, and programs rarely change them. RAX and the flags are lost.
 */
static void change_mxcsr(JitAsm *as, int32_t wanted, int32_t have, uint32_t mask)
{
    uint8_t *skip;

    jit_load32(as, HOST_RAX, HOST_RBP, wanted);
    jit_op_mem(as, false, 0x33, HOST_RAX, JIT_MEM(HOST_RBP, have)); /* XOR */
    jit_u8(as, 0xa9); /* TEST EAX, imm32 */
    jit_u32(as, mask);
    skip = jit_jcc(as, 4);
    ldmxcsr(as, wanted);
    jit_patch(skip, as->at);
}

/* The guest's goes to the EmuCpu. Handlers do not mind its sticky bits. RAX and flags are lost. */
static void leave_mxcsr(JitAsm *as)
{
    const uint32_t sticky = 0x3f;

    stmxcsr(as, JIT_CPU(mxcsr));
    change_mxcsr(as, JIT_CPU(host_mxcsr), JIT_CPU(mxcsr), ~sticky);
}

/*
 * The stack that translated code works on lies on the host's, its top at a multiple of
 * JIT_RETURNS_BYTES, and holds a frame for each of the guest's calls that has not returned: the
 * guest's return address, and behind it, as the host's CALL leaves it, where the calling block goes
 * on (branch.c). The host thereby predicts the guest's returns as its own. A RET that finds no
 * frame comes to `unpaired`. Frames are forgotten when guest code is left, or the stack is full, or
 * linear addresses lead elsewhere.
 */
static void make_unpaired(EmuJit *jit, JitAsm *as)
{
    jit->stubs.unpaired = here(as);
    jit_mov_imm(as, HOST_RDX, (uintptr_t)jit->stubs.unpaired);
    jit_push(as, HOST_RDX);
    jit_jmp_to(as, jit->stubs.dispatch);
}

/* RDI: EmuCpu, RSI: code. */
static void make_enter(EmuJit *jit, JitAsm *as)
{
    static const uint8_t and_rsp[] = { 0x48, 0x81, 0xe4 }; /* imm32 */

    jit->stubs.enter = (void *(*)(EmuCpu *, const void *))(uintptr_t)here(as);
    for (size_t i = 0; i < G_N_ELEMENTS(callee_saved); i++) {
        jit_push(as, callee_saved[i]);
    }
    jit_lea(as, true, HOST_RBP, JIT_MEM(HOST_RDI, JIT_BIAS));
    jit_store64(as, HOST_RBP, JIT_CPU(host_stack), HOST_RSP);
    jit_store64(as, HOST_RBP, JIT_CPU(jit_target), HOST_RSI);
    jit_bytes(as, and_rsp, sizeof(and_rsp));
    jit_u32(as, -JIT_RETURNS_BYTES);
    jit_mov_imm(as, HOST_RAX, (uintptr_t)jit->stubs.unpaired);
    jit_push(as, HOST_RAX); /* for alignment alone */
    jit_push(as, HOST_RAX);
    jit_store64(as, HOST_RBP, JIT_CPU(returns_base), HOST_RSP);
    stmxcsr(as, JIT_CPU(host_mxcsr));
    change_mxcsr(as, JIT_CPU(mxcsr), JIT_CPU(host_mxcsr), UINT32_MAX);
    load_guest_regs(as);
    restore_flags(as);
    jit_load64(as, HOST_RAX, HOST_RBP, JIT_CPU(rip));
    jit_u8(as, 0xff); /* JMP [jit_target] */
    jit_modrm_mem(as, 4, JIT_MEM(HOST_RBP, JIT_CPU(jit_target)));
}

static void make_leave(EmuJit *jit, JitAsm *as)
{
    static const uint8_t zero_rax[] = { 0x48, 0xc7, 0xc0, 0, 0, 0, 0 }; /* MOV: keeps the flags */

    jit->stubs.leave = here(as);
    jit_bytes(as, zero_rax, sizeof(zero_rax));
    jit->stubs.leave_exit = here(as);
    jit_mov(as, HOST_RDX, HOST_RAX);
    save_flags(as);
    store_guest_regs(as);
    leave_mxcsr(as);
    jit_mov(as, HOST_RAX, HOST_RDX);
    jit_load64(as, HOST_RSP, HOST_RBP, JIT_CPU(host_stack));
    for (size_t i = G_N_ELEMENTS(callee_saved); i-- > 0;) {
        jit_pop(as, callee_saved[i]);
    }
    jit_ret(as);
}

/*
 * RDX = JitCallout, nothing but frames on the stack: everything into the EmuCpu, and out to
 * `function`, which may make the frames go. RDX is what it gave.
 */
static void call_out(JitAsm *as, uintptr_t function)
{
    save_flags(as);
    store_guest_regs(as);
    leave_mxcsr(as);
    jit_store64(as, HOST_RBP, JIT_CPU(returns), HOST_RSP);
    jit_lea(as, true, HOST_RDI, JIT_MEM(HOST_RBP, -JIT_BIAS));
    jit_mov(as, HOST_RSI, HOST_RDX);
    jit_mov_imm(as, HOST_RAX, function);
    jit_u8(as, 0xff); /* CALL RAX */
    jit_u8(as, 0xd0);
    jit_load64(as, HOST_RSP, HOST_RBP, JIT_CPU(returns));
    jit_mov(as, HOST_RDX, HOST_RAX);
    stmxcsr(as, JIT_CPU(left_mxcsr));
    change_mxcsr(as, JIT_CPU(mxcsr), JIT_CPU(left_mxcsr), UINT32_MAX);
    load_guest_regs(as);
}

static void make_callout(EmuJit *jit, JitAsm *as)
{
    const JitMem back = { HOST_RBP, HOST_NONE, 0, JIT_CPU(callout_back) };

    jit->stubs.callout = here(as);
    jit_u8(as, 0x8f); /* POP */
    jit_modrm_mem(as, 0, &back);
    call_out(as, (uintptr_t)jit_do_callout);
    restore_flags(as);
    jit_u8(as, 0xff); /* PUSH, and not a jump: the host has seen a CALL */
    jit_modrm_mem(as, 6, &back);
    jit_ret(as);
}

/* Out to what finds the code to go on with, which expects RIP in RAX. */
static void call_and_jump(JitAsm *as, uintptr_t function)
{
    call_out(as, function);
    restore_flags(as);
    jit_load64(as, HOST_RAX, HOST_RBP, JIT_CPU(rip));
    jit_u8(as, 0xff); /* JMP RDX */
    jit_u8(as, 0xe2);
}

static void make_callout_end(EmuJit *jit, JitAsm *as)
{
    jit->stubs.callout_end = here(as);
    call_and_jump(as, (uintptr_t)jit_do_callout_end);
    jit->stubs.callout_reuse = here(as);
    call_and_jump(as, (uintptr_t)jit_do_callout_reuse);
}

static void make_find(EmuJit *jit, JitAsm *as)
{
    jit->stubs.find = here(as);
    jit_store64(as, HOST_RBP, JIT_CPU(rip), HOST_RAX);
    call_and_jump(as, (uintptr_t)jit_find_next);
}

/* RCX = 0: RAX is in the table, at RDX. */
static void look_up_jump(const EmuJit *jit, JitAsm *as)
{
    jit_field(as, HOST_RCX, HOST_RAX, JIT_JUMP_SHIFT, JIT_JUMP_BITS, HOST_RDX, jit->slow_pext);
    jit_load64(as, HOST_RDX, HOST_RBP, JIT_CPU(jump_table));
    jit_lea(as, true, HOST_RDX, &(JitMem) { HOST_RDX, HOST_RCX, 3, 0 });
    jit_load64(as, HOST_RCX, HOST_RDX, offsetof(JitJumpTable, negated));
    jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RAX, 0, 0 });
}

void jit_put_dispatch(const EmuJit *jit, JitAsm *as)
{
    look_up_jump(jit, as);
    jit_jrcxz_over_jmp(as);
    jit_jmp_to(as, jit->stubs.find);
    jit_u8(as, 0xff); /* JMP [RDX + code] */
    jit_modrm_mem(as, 4, JIT_MEM(HOST_RDX, offsetof(JitJumpTable, code)));
}

void jit_put_dispatched_call(const EmuJit *jit, JitAsm *as)
{
    uint8_t *known, *back;

    look_up_jump(jit, as);
    known = jit_jrcxz(as);
    jit_call_to(as, jit->stubs.find);
    back = jit_jmp(as);
    if (!as->full) {
        jit_patch_short(known, as->at);
    }
    jit_u8(as, 0xff); /* CALL [RDX + code] */
    jit_modrm_mem(as, 2, JIT_MEM(HOST_RDX, offsetof(JitJumpTable, code)));
    if (!as->full) {
        jit_patch(back, as->at);
    }
}

static void make_dispatch(EmuJit *jit, JitAsm *as)
{
    jit->stubs.dispatch = here(as);
    jit_put_dispatch(jit, as);
}

void jit_make_stubs(EmuJit *jit)
{
    JitAsm *as = &jit->as;

    *as = (JitAsm) { .at = jit->write, .end = jit->write + jit->size,
                     .delta = jit->run - jit->write };
    make_find(jit, as);
    make_dispatch(jit, as);
    make_unpaired(jit, as);
    make_enter(jit, as);
    make_leave(jit, as);
    make_callout(jit, as);
    make_callout_end(jit, as);
    g_assert(!as->full);
    jit->stubs_size = ROUND_UP(as->at - jit->write, 64);
}
