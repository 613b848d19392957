/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and addresses of translated instructions. */
#include "accel/emu/jit/internal.h"

#include <string.h>

HostReg jit_get_reg(JitTranslation *t, unsigned guest, HostReg scratch)
{
    if (jit_host_reg[guest] != HOST_NONE) {
        return jit_host_reg[guest];
    }
    jit_load64(t->as, scratch, HOST_RBP, JIT_REG(guest));
    return scratch;
}

void jit_forget_cached(JitTranslation *t)
{
    memset(t->cached, -1, sizeof(t->cached));
}

void jit_forget_copies(JitTranslation *t, int what)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(t->cached); i++) {
        if (t->cached[i] == what) {
            t->cached[i] = -1;
        }
    }
}

void jit_note_cached(JitTranslation *t, unsigned scratch, unsigned guest)
{
    t->cached[scratch] = -1;
    if (jit_host_reg[guest] == HOST_NONE) {
        jit_forget_copies(t, guest);
        t->cached[scratch] = guest;
    }
}

void jit_load_cached(JitTranslation *t, const int8_t cached[3])
{
    static const HostReg scratch[] = { HOST_RCX, HOST_RDX, HOST_RAX };

    for (unsigned i = 0; i < G_N_ELEMENTS(scratch); i++) {
        if (cached[i] >= JIT_CACHED_SLOT(0)) {
            jit_load64(t->as, scratch[i], HOST_RBP,
                       jit_slot_value(cached[i] - JIT_CACHED_SLOT(0)));
        } else if (cached[i] >= 0) {
            jit_load64(t->as, scratch[i], HOST_RBP, JIT_REG(cached[i]));
        }
    }
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

void jit_effective(JitTranslation *t, const JitWhere *where, HostReg dst, bool wide)
{
    JitMem mem = { .scale = where->scale, .disp = where->disp };

    mem.base = address_part(t, where->base, HOST_RAX);
    mem.index = address_part(t, where->index, HOST_RCX);
    if (mem.base == HOST_NONE && mem.index == HOST_NONE) {
        /* Sign-extended to the address size. */
        jit_mov_imm(t->as, dst, wide ? (uint64_t)(int64_t)where->disp : (uint32_t)where->disp);
    } else if (wide && mem.index == HOST_NONE && !where->disp) {
        jit_mov(t->as, dst, mem.base);
    } else {
        jit_lea(t->as, wide, dst, &mem);
    }
}

/* Is the address what a host register holds already? */
static bool is_register(const JitTranslation *t, const JitWhere *where)
{
    return !t->narrow && !where->seg && !where->addr_shift && !where->disp &&
           where->index == EMU_REG_ZERO && where->base < EMU_REG_ZERO &&
           jit_host_reg[where->base] != HOST_NONE;
}

HostReg jit_linear(JitTranslation *t, const JitWhere *where)
{
    if (is_register(t, where)) {
        return jit_host_reg[where->base];
    }
    if (t->narrow && where->seg) {
        jit_load32(t->as, HOST_RCX, HOST_RBP,
                   JIT_CPU(seg_closed) + (where->seg - X86_FS) * (int)sizeof(uint32_t));
        jit_slow_unless_zero(t);
    }
    jit_effective(t, where, HOST_RAX, where->addr_shift == 0);
    if (where->seg) {
        jit_load64(t->as, HOST_RCX, HOST_RBP,
                   JIT_CPU(segs) + where->seg * (int)sizeof(X86Segment) +
                   (int)offsetof(X86Segment, base));
        jit_lea(t->as, !t->narrow, HOST_RAX, &(JitMem) { HOST_RAX, HOST_RCX, 0, 0 });
    }
    return HOST_RAX;
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

bool jit_is_x87(const EmuDecoded *decoded)
{
    unsigned unit = decoded->row->unit;

    return unit == EMU_UNIT_X87 || unit == EMU_UNIT_MMX || unit == EMU_UNIT_WAIT;
}

/* FCOMI and FCMOV have to do with them. */
static bool is_x87_without_flags(const EmuDecoded *decoded)
{
    const ZydisAccessedFlags *flags = decoded->insn.cpu_flags;

    return jit_is_x87(decoded) && !(flags && (flags->tested | flags->modified | flags->set_0 |
                                              flags->set_1 | flags->undefined));
}

JitCallout *jit_make_callout(JitTranslation *t, unsigned count)
{
    size_t ops_size = count * sizeof(EmuOp);
    JitCallout *callout = jit_data_take(t->jit, sizeof(*callout) + ops_size + sizeof(EmuOp));

    if (!callout) {
        t->failed = true;
        return NULL;
    }
    *callout = (JitCallout) { .block = t->block, .keeps_flags = true };
    memcpy(callout->ops, t->op, ops_size);
    callout->ops[count] = (EmuOp) {
        .fn = emu_op_stop,
        .page_offset = t->op[count - 1].page_offset + t->op[count - 1].length,
    };
    for (unsigned i = 0; i < count; i++) {
        callout->keeps_flags &= keeps_flags(&t->op[i]) ||
                                (!emu_op_only_raises(&t->op[i]) &&
                                 is_x87_without_flags(&t->all_decoded[t->index + i]));
    }
    return callout;
}
