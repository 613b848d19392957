/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels do all the time: flags, SWAPGS, fences. The mode says the privilege. */
#include "accel/emu/jit/internal.h"
#include "accel/emu/system.h"

/* Known not to fault: the mode says the privilege. */
bool jit_emit_swapgs(JitTranslation *t)
{
    int32_t base = JIT_CPU(segs) + X86_GS * (int)sizeof(X86Segment) + offsetof(X86Segment, base);

    if (t->block->mode & EMU_MODE_CPL) {
        return false;
    }
    jit_mov_imm(t->as, HOST_RDX, (uintptr_t)&emu_msrs(t->cpu)->kernel_gs_base);
    jit_load64(t->as, HOST_RAX, HOST_RBP, base);
    jit_load64(t->as, HOST_RCX, HOST_RDX, 0);
    jit_store64(t->as, HOST_RDX, 0, HOST_RAX);
    jit_store64(t->as, HOST_RBP, base, HOST_RCX);
    return true;
}

/* RCX = RFLAGS without `flag`, not counting arithmetic flags. RDX is lost. */
static void load_flags_without(JitTranslation *t, uint32_t flag)
{
    jit_load32(t->as, HOST_RCX, HOST_RBP, JIT_CPU(rflags));
    jit_and(t->as, HOST_RCX, ~flag, HOST_RDX);
}

static bool may_change_if(const JitTranslation *t)
{
    return !(t->block->mode & EMU_MODE_CPL) && !t->jit->slow_pext;
}

bool jit_emit_cli(JitTranslation *t)
{
    if (!may_change_if(t)) {
        return false;
    }
    load_flags_without(t, FLAG_IF);
    jit_store32(t->as, HOST_RBP, JIT_CPU(rflags), HOST_RCX);
    return true;
}

/*
 * While no interrupt line is up. The instruction that the shadow protects is in the same block;
 * what comes after a line is looked at sets attention. Else the handler ends the block, so that
 * the interrupt comes right behind the next instruction.
 */
bool jit_emit_sti(JitTranslation *t)
{
    if (!may_change_if(t) || t->op + 1 == &t->block->ops[t->block->op_count]) {
        jit_emit_ending_callout(t);
        return true;
    }
    jit_load64(t->as, HOST_RCX, HOST_RBP, JIT_CPU(vcpu));
    jit_load32(t->as, HOST_RCX, HOST_RCX, offsetof(VCpu, irq_lines));
    jit_slow_unless_zero(t);
    t->slow[t->slow_count - 1].ends = true;
    load_flags_without(t, FLAG_IF);
    jit_lea(t->as, false, HOST_RCX, JIT_MEM(HOST_RCX, FLAG_IF));
    jit_store32(t->as, HOST_RBP, JIT_CPU(rflags), HOST_RCX);
    return true;
}

bool jit_emit_cld(JitTranslation *t)
{
    if (t->jit->slow_pext) {
        return false;
    }
    load_flags_without(t, FLAG_DF);
    jit_store32(t->as, HOST_RBP, JIT_CPU(rflags), HOST_RCX);
    return true;
}

/* LFENCE, MFENCE, SFENCE: as they are. */
bool jit_emit_fence(JitTranslation *t)
{
    jit_u8(t->as, 0x0f);
    jit_u8(t->as, 0xae);
    jit_u8(t->as, t->decoded.insn.raw.modrm.reg << 3 | 0xc0);
    return true;
}
