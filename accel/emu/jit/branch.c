/* SPDX-License-Identifier: Apache-2.0 */
/* Branches: within the page by links, elsewhere through the jump table, back by the host's RET. */
#include "accel/emu/jit/internal.h"

/* RAX = the linear address `target` bytes from the start of the block's page. */
static void load_target(JitTranslation *t, int64_t target)
{
    jit_load64(t->as, HOST_RAX, HOST_RBP, JIT_REG(EMU_REG_PAGE_RIP));
    jit_lea(t->as, !t->narrow, HOST_RAX, JIT_MEM(HOST_RAX, (int32_t)target));
}

/* The block's first five bytes must hold no displacement that links patch: JitBlock.entry. */
static void pad_entry(JitTranslation *t)
{
    static const uint8_t nop[] = { 0x90 };

    while (t->as->at - t->info->entry < 5 && !t->as->full) {
        jit_bytes(t->as, nop, sizeof(nop));
    }
}

/* A way out whose jump is to come; NULL and t->failed: no room. */
static JitExit *take_exit(JitTranslation *t, int32_t target)
{
    JitExit *exit = jit_data_take(t->jit, sizeof(*exit));

    if (!exit) {
        t->failed = true;
        return NULL;
    }
    *exit = (JitExit) {
        .block = t->block,
        .target = target,
        .crosses = target < 0 || target >= (int32_t)EMU_PAGE_SIZE,
        .backward = target <= (int32_t)(t->block->physical & (EMU_PAGE_SIZE - 1)),
    };
    return exit;
}

/* Where exit->jump leads until it is linked. */
static void place_leave(JitTranslation *t, JitExit *exit)
{
    exit->leave = t->as->at;
    if (!t->as->full) {
        jit_patch(exit->jump, exit->leave);
    }
    jit_mov_imm(t->as, HOST_RAX, (uintptr_t)exit);
    jit_jmp_to(t->as, t->jit->stubs.leave_exit);
}

/* `jump`: the displacement of a jump that may lead to the other block itself, or NULL. */
static void emit_link(JitTranslation *t, int32_t target, uint8_t *jump)
{
    JitExit *exit = take_exit(t, target);

    if (!exit) {
        return;
    }
    if (jump && !t->as->full) {
        jit_patch(jump, t->as->at);
    }
    if (exit->crosses) {
        load_target(t, target);
    }
    if (jump && !exit->crosses) {
        exit->jump = jump;
    } else {
        jit_pad_jump(t->as, 5);
        exit->jump = jit_jmp(t->as);
    }
    place_leave(t, exit);
}

void jit_emit_exit(JitTranslation *t, int64_t target)
{
    jit_vec_spill(t, t->vec_dirty);
    pad_entry(t);
    emit_link(t, (int32_t)target, NULL);
    t->ended = true;
}

/* Where a direct branch leads, from the page's start. */
static int64_t branch_target(const EmuOp *op)
{
    return (int64_t)op->page_offset + op->length + (int64_t)op->imm;
}

static bool is_canonical(uint64_t linear, unsigned bits)
{
    return (uint64_t)((int64_t)(linear << (64 - bits)) >> (64 - bits)) == linear;
}

/*
 * Can it be a link: is it sure to lead to a canonical address? Blocks that may reach the hole know
 * their page; where CR4.LA57 decides, the handler does. (The displacement counts from the
 * instruction's end, JitExit.target from the page's start.)
 */
static bool is_linkable(const JitTranslation *t)
{
    int64_t target = branch_target(t->op);
    uint64_t page = t->block->own_page;

    return target == (int32_t)target &&
           (!page || is_canonical(page + (uint64_t)target, is_canonical(page, 48) ? 48 : 57));
}

void jit_emit_forks(JitTranslation *t)
{
    for (unsigned i = 0; i < t->fork_count && !t->as->full; i++) {
        const JitFork *fork = &t->forks[i];

        if (fork->vec_spill) {
            jit_patch(fork->jump, t->as->at);
            jit_vec_spill(t, fork->vec_spill);
        }
        emit_link(t, fork->target, fork->vec_spill ? NULL : fork->jump);
    }
}

bool jit_emit_jcc(JitTranslation *t)
{
    bool last = t->index + 1 == t->block->op_count;
    JitFork *fork = &t->forks[t->fork_count];

    if (t->decoded.insn.operand_width != t->word * 8 || !is_linkable(t)) {
        return false;
    }
    if (last) {
        jit_vec_spill(t, t->vec_dirty);
        t->vec_dirty = 0;
    }
    pad_entry(t);
    jit_pad_jump(t->as, JIT_JCC_BYTES);
    *fork = (JitFork) { .jump = jit_jcc(t->as, t->decoded.insn.opcode & 15),
                        .target = (int32_t)branch_target(t->op), .vec_spill = t->vec_dirty };
    t->fork_count++;
    if (last) {
        jit_emit_exit(t, t->op->page_offset + t->op->length);
    }
    t->keeps_cached = true;
    return true;
}

/* RAX = target, already there. In place, not by the stub: the host predicts each such jump. */
static void dispatch(JitTranslation *t)
{
    jit_vec_spill(t, t->vec_dirty);
    jit_put_dispatch(t->jit, t->as);
    t->ended = true;
}

/*
 * RAX = target, where only the block's own half of the canonical addresses is expected: everything
 * else is the handler's, which raises #GP with nothing changed.
 */
static void check_target(JitTranslation *t)
{
    HostReg from = HOST_RAX;

    if (t->narrow) {
        return; /* the segment has 4 GiB */
    }
    if (t->cpu->rip >> 63) {
        jit_mov(t->as, HOST_RDX, HOST_RAX);
        jit_not(t->as, HOST_RDX);
        from = HOST_RDX;
    }
    jit_mov_imm(t->as, HOST_RCX, 47);
    jit_shrx(t->as, HOST_RCX, from, HOST_RCX);
    jit_slow_unless_zero(t);
}

/* RAX = operand of an indirect branch, from a register or memory. */
static void load_indirect(JitTranslation *t)
{
    const EmuOp *op = t->op;

    if (op->flags & EMU_OP_MEM) {
        jit_operand_address(t, t->word, false, 1);
        jit_op_mem(t->as, !t->narrow, 0x8b, HOST_RAX, &t->mem);
    } else if (t->narrow) {
        jit_mov32(t->as, HOST_RAX, jit_host_reg[op->r[0]]);
    } else {
        jit_mov(t->as, HOST_RAX, jit_get_reg(t, op->r[0], HOST_RAX));
    }
    jit_forget_cached(t);
}

static bool is_near(const JitTranslation *t)
{
    return t->decoded.insn.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR &&
           t->decoded.insn.operand_width == t->word * 8;
}

static bool is_direct(const JitTranslation *t)
{
    return t->decoded.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

bool jit_emit_jmp(JitTranslation *t)
{
    if (!is_near(t) || (is_direct(t) && !is_linkable(t))) {
        return false;
    }
    if (is_direct(t)) {
        jit_emit_exit(t, branch_target(t->op));
    } else {
        load_indirect(t);
        check_target(t);
        dispatch(t);
    }
    return true;
}

/* ---- Calls and returns ---- */

/* RDX = the return address, which goes on the stack; RSP moves once that works. RAX is lost. */
static void push_return_address(JitTranslation *t)
{
    HostReg rsp = jit_host_reg[X86_RSP];

    jit_stack_access(t, X86_RSP, -t->word, true);
    jit_settle_address(t);
    jit_load64(t->as, HOST_RDX, HOST_RBP, JIT_REG(EMU_REG_PAGE_RIP));
    jit_lea(t->as, !t->narrow, HOST_RDX, JIT_MEM(HOST_RDX, t->op->page_offset + t->op->length));
    jit_op_mem(t->as, !t->narrow, 0x89, HOST_RDX, &t->mem);
    jit_lea(t->as, !t->narrow, rsp, JIT_MEM(rsp, -t->word));
}

static void dispatch_unless_zero(JitTranslation *t)
{
    jit_jrcxz_over_jmp(t->as);
    jit_jmp_to(t->as, t->jit->stubs.dispatch);
}

/*
 * A RET comes here, RAX its target, by the frame of this block's call: on to what follows the call,
 * if that is where it goes, and in this mode (which says the kind of TLB). Both have to be looked
 * at: the guest may have other stacks by now, or other return addresses on its own.
 */
static JitExit *emit_return_site(JitTranslation *t)
{
    int32_t behind = t->op->page_offset + t->op->length;
    JitExit *exit = take_exit(t, behind);
    JitAsm *as = t->as;

    jit_pop(as, HOST_RCX);
    jit_not(as, HOST_RCX);
    jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RAX, 0, 1 });
    dispatch_unless_zero(t);
    jit_load32(as, HOST_RCX, HOST_RBP, JIT_CPU(mode));
    jit_lea(as, false, HOST_RCX, JIT_MEM(HOST_RCX, -(int32_t)t->block->mode));
    dispatch_unless_zero(t);
    jit_lea(as, true, HOST_RCX, JIT_MEM(HOST_RAX, -behind));
    jit_store64(as, HOST_RBP, JIT_REG(EMU_REG_PAGE_RIP), HOST_RCX);
    if (exit) {
        exit->jump = jit_jmp(as);
    }
    return exit;
}

/*
 * RDX = the return address: makes a frame and calls, directly by `to` or, where that is NULL, what
 * RAX names. A full stack is forgotten, so that its pointer's low 16 bits are not zero.
 */
static void emit_host_call(JitTranslation *t, JitExit *to)
{
    static const uint8_t movzx_ecx_sp[] = { 0x0f, 0xb7, 0xcc };
    JitAsm *as = t->as;
    uint8_t *full, *again, *back;
    JitExit *behind;

    jit_bytes(as, movzx_ecx_sp, sizeof(movzx_ecx_sp));
    full = jit_jrcxz(as);
    again = as->at;
    jit_push(as, HOST_RDX);
    if (to) {
        to->jump = jit_call(as);
    } else {
        jit_put_dispatched_call(t->jit, as);
    }
    behind = emit_return_site(t);
    if (!as->full) {
        jit_patch_short(full, as->at);
    }
    jit_load64(as, HOST_RSP, HOST_RBP, JIT_CPU(returns_base));
    back = jit_jmp(as);
    if (!as->full) {
        jit_patch(back, again);
    }
    if (to) {
        place_leave(t, to);
    }
    if (behind) {
        place_leave(t, behind);
    }
    t->ended = true;
}

static void call_direct(JitTranslation *t)
{
    JitExit *to = take_exit(t, (int32_t)branch_target(t->op));

    push_return_address(t);
    jit_vec_spill(t, t->vec_dirty);
    if (to && to->crosses) {
        load_target(t, to->target);
    }
    emit_host_call(t, to);
}

bool jit_emit_call(JitTranslation *t)
{
    if (!is_near(t) || (is_direct(t) && !is_linkable(t))) {
        return false;
    }
    if (is_direct(t)) {
        call_direct(t);
        return true;
    }
    load_indirect(t);
    check_target(t);
    jit_store64(t->as, HOST_RBP, JIT_CPU(jit_target), HOST_RAX);
    push_return_address(t);
    jit_vec_spill(t, t->vec_dirty);
    jit_load64(t->as, HOST_RAX, HOST_RBP, JIT_CPU(jit_target));
    emit_host_call(t, NULL);
    return true;
}

bool jit_emit_ret(JitTranslation *t)
{
    HostReg rsp = jit_host_reg[X86_RSP];
    /* RET imm16 releases that much more. */
    int32_t release = t->word + (t->decoded.insn.operand_count_visible ? (uint16_t)t->op->imm : 0);

    if (!is_near(t)) {
        return false;
    }
    jit_stack_access(t, X86_RSP, 0, false);
    jit_op_mem(t->as, !t->narrow, 0x8b, HOST_RAX, &t->mem);
    check_target(t);
    jit_lea(t->as, !t->narrow, rsp, JIT_MEM(rsp, release));
    jit_vec_spill(t, t->vec_dirty);
    jit_ret(t->as);
    t->ended = true;
    return true;
}
