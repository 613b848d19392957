/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and memory operands of translated instructions. */
#include "accel/emu/jit/internal.h"

HostReg jit_get_reg(JitTranslation *t, unsigned guest, HostReg scratch)
{
    if (jit_host_reg[guest] != HOST_NONE) {
        return jit_host_reg[guest];
    }
    jit_load64(t->as, scratch, HOST_RBP, JIT_REG(guest));
    return scratch;
}

void jit_put_reg(JitTranslation *t, unsigned guest, HostReg host)
{
    if (jit_host_reg[guest] != HOST_NONE) {
        jit_mov(t->as, jit_host_reg[guest], host);
    } else {
        jit_store64(t->as, HOST_RBP, JIT_REG(guest), host);
    }
}

static HostReg address_part(JitTranslation *t, unsigned guest, HostReg scratch)
{
    if (guest == EMU_REG_ZERO) {
        return HOST_NONE;
    }
    if (guest == EMU_REG_PAGE_RIP) {
        jit_load64(t->as, scratch, HOST_RBP, JIT_CPU(regs) + EMU_REG_PAGE_RIP * 8);
        return scratch;
    }
    return jit_get_reg(t, guest, scratch);
}

void jit_effective(JitTranslation *t, HostReg dst, bool wide)
{
    const EmuOp *op = t->op;
    JitMem mem = { .scale = op->scale, .disp = op->disp };

    mem.base = address_part(t, op->base, HOST_RAX);
    mem.index = address_part(t, op->index, HOST_RCX);
    if (mem.base == HOST_NONE && mem.index == HOST_NONE) {
        /* Sign-extended to the address size. */
        jit_mov_imm(t->as, dst, wide ? (uint64_t)(int64_t)op->disp : (uint32_t)op->disp);
        return;
    }
    jit_lea(t->as, wide, dst, &mem);
}

void jit_linear(JitTranslation *t)
{
    const EmuOp *op = t->op;

    jit_effective(t, HOST_RAX, op->addr_shift == 0);
    if (op->seg >= X86_FS) {
        jit_load64(t->as, HOST_RCX, HOST_RBP,
                   JIT_CPU(segs) + op->seg * (int)sizeof(X86Segment) +
                   (int)offsetof(X86Segment, base));
        jit_lea(t->as, true, HOST_RAX, &(JitMem) { HOST_RAX, HOST_RCX, 0, 0 });
    }
}

/* Frequent ones whose handlers leave the arithmetic flags alone. */
static bool keeps_flags(const EmuOp *op)
{
    static const uint16_t keeping[] = {
        ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_MOVZX, ZYDIS_MNEMONIC_MOVSX, ZYDIS_MNEMONIC_MOVSXD,
        ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_POP, ZYDIS_MNEMONIC_RET, ZYDIS_MNEMONIC_CALL,
        ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_LEAVE, ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSQ,
        ZYDIS_MNEMONIC_STOSB, ZYDIS_MNEMONIC_STOSQ, ZYDIS_MNEMONIC_IN, ZYDIS_MNEMONIC_OUT,
        ZYDIS_MNEMONIC_CLI, ZYDIS_MNEMONIC_STI, ZYDIS_MNEMONIC_SWAPGS, ZYDIS_MNEMONIC_RDTSC,
        ZYDIS_MNEMONIC_LFENCE, ZYDIS_MNEMONIC_PAUSE, ZYDIS_MNEMONIC_MOVUPS, ZYDIS_MNEMONIC_MOVAPS,
        ZYDIS_MNEMONIC_MOVDQU, ZYDIS_MNEMONIC_MOVDQA, ZYDIS_MNEMONIC_MOVQ, ZYDIS_MNEMONIC_MOVD,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(keeping); i++) {
        if (keeping[i] == op->mnemonic) {
            return true;
        }
    }
    return false;
}

JitCallout *jit_make_callout(JitTranslation *t)
{
    JitCallout *callout = jit_data_take(t->jit, sizeof(*callout));

    if (!callout) {
        t->failed = true;
        return NULL;
    }
    callout->op = *t->op;
    callout->stop = (EmuOp) { .fn = emu_op_stop,
                              .page_offset = t->op->page_offset + t->op->length };
    callout->block = t->block;
    callout->keeps_flags = keeps_flags(t->op);
    return callout;
}

static void add_slow_path(JitTranslation *t, uint8_t *jump)
{
    JitSlowPath *slow;

    if (t->slow_count == G_N_ELEMENTS(t->slow)) {
        t->failed = true;
        return;
    }
    slow = &t->slow[t->slow_count++];
    *slow = (JitSlowPath) { .jump = jump, .callout = jit_make_callout(t),
                            .vec_spill = t->vec_dirty_before };
}

void jit_slow_unless_zero(JitTranslation *t)
{
    jit_jrcxz_over_jmp(t->as);
    add_slow_path(t, jit_jmp(t->as));
}

void jit_slow_done(JitTranslation *t)
{
    /* Every slow path that this instruction opened returns here. */
    for (unsigned i = t->slow_count; i-- > 0 && !t->slow[i].back;) {
        t->slow[i].back = t->as->at;
        t->slow[i].vec_reload = t->vec_loaded;
    }
}

/* RCX = index of RAX's page in a first-level table. RDX is lost. */
static void tlb_index(JitTranslation *t)
{
    JitAsm *as = t->as;

    if (t->jit->slow_pext) {
        jit_mov_imm(as, HOST_RCX, 64 - EMU_PAGE_BITS - EMU_TLB_BITS);
        jit_shlx(as, HOST_RCX, HOST_RAX, HOST_RCX);
        jit_mov_imm(as, HOST_RDX, 64 - EMU_TLB_BITS);
        jit_shrx(as, HOST_RCX, HOST_RCX, HOST_RDX);
    } else {
        jit_mov_imm(as, HOST_RCX, (EMU_TLB_SIZE - 1) << EMU_PAGE_BITS);
        jit_pext(as, HOST_RCX, HOST_RAX, HOST_RCX);
    }
}

/*
 * entry = &table[page % EMU_TLB_SIZE]; d = linear + size - 1 + entry->negated; hit if d < 4096 (and
 * the address is aligned); RAX = linear + entry->addend.
 */
void jit_translate_address(JitTranslation *t, unsigned size, bool is_write, unsigned align)
{
    JitAsm *as = t->as;
    EmuTlbKind kind = emu_tlb_kind(t->block->mode);
    int32_t table = (int32_t)(offsetof(EmuCpu, tlb.kind) + kind * sizeof(EmuTlbTables) +
                              (is_write ? offsetof(EmuTlbTables, write)
                                        : offsetof(EmuTlbTables, read))) - JIT_BIAS;

    tlb_index(t);
    jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RCX, 0, 0 });
    jit_op_mem(as, true, 0x8b, HOST_RDX, &(JitMem) { HOST_RBP, HOST_RCX, 3, table });
    jit_lea(as, true, HOST_RDX, &(JitMem) { HOST_RDX, HOST_RAX, 0, size - 1 });
    jit_op_mem(as, true, 0x8b, HOST_RCX, &(JitMem) { HOST_RBP, HOST_RCX, 3, table + 8 });
    jit_lea(as, true, HOST_RAX, &(JitMem) { HOST_RAX, HOST_RCX, 0, 0 });
    jit_mov_imm(as, HOST_RCX, EMU_PAGE_BITS);
    jit_shrx(as, HOST_RCX, HOST_RDX, HOST_RCX);
    if (align > 1) {
        /* The host's page is aligned as the guest's: its address has the same low bits. */
        jit_mov_imm(as, HOST_RDX, 64 - __builtin_ctz(align));
        jit_shlx(as, HOST_RDX, HOST_RAX, HOST_RDX);
        jit_lea(as, true, HOST_RCX, &(JitMem) { HOST_RCX, HOST_RDX, 0, 0 });
    }
    jit_slow_unless_zero(t);
}
