/* SPDX-License-Identifier: Apache-2.0 */
#include "accel/emu/jit/asm.h"

#include <glib.h>

void jit_rex(JitAsm *as, bool w, unsigned reg, unsigned index, unsigned base, bool force)
{
    uint8_t rex = 0x40 | w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);

    if (rex != 0x40 || force) {
        jit_u8(as, rex);
    }
}

void jit_modrm_mem(JitAsm *as, unsigned reg, const JitMem *mem)
{
    bool no_base = mem->base == HOST_NONE;
    bool sib = mem->index != HOST_NONE || no_base || (mem->base & 7) == HOST_RSP;
    bool short_disp = mem->disp == (int8_t)mem->disp && !no_base;
    /* Base RBP or R13 without displacement is another form. */
    unsigned mod = no_base || (!mem->disp && (mem->base & 7) != HOST_RBP) ? 0 : short_disp ? 1 : 2;
    unsigned base = no_base ? HOST_RBP : mem->base & 7;
    unsigned index = mem->index == HOST_NONE ? HOST_RSP : mem->index & 7;

    jit_u8(as, mod << 6 | (reg & 7) << 3 | (sib ? 4 : base));
    if (sib) {
        jit_u8(as, mem->scale << 6 | index << 3 | base);
    }
    if (mod == 1) {
        jit_u8(as, mem->disp);
    } else if (mod == 2 || no_base) {
        jit_u32(as, mem->disp);
    }
}

void jit_op_mem(JitAsm *as, bool w, uint8_t opcode, HostReg reg, const JitMem *mem)
{
    jit_rex(as, w, reg, mem->index == HOST_NONE ? 0 : mem->index,
            mem->base == HOST_NONE ? 0 : mem->base, false);
    jit_u8(as, opcode);
    jit_modrm_mem(as, reg, mem);
}

void jit_push(JitAsm *as, HostReg reg)
{
    jit_rex(as, false, 0, 0, reg, false);
    jit_u8(as, 0x50 | (reg & 7));
}

void jit_pop(JitAsm *as, HostReg reg)
{
    jit_rex(as, false, 0, 0, reg, false);
    jit_u8(as, 0x58 | (reg & 7));
}

void jit_ret(JitAsm *as)
{
    jit_u8(as, 0xc3);
}

void jit_mov(JitAsm *as, HostReg dst, HostReg src)
{
    if (dst != src) {
        jit_rex(as, true, src, 0, dst, false);
        jit_u8(as, 0x89);
        jit_u8(as, 0xc0 | (src & 7) << 3 | (dst & 7));
    }
}

void jit_mov32(JitAsm *as, HostReg dst, HostReg src)
{
    jit_rex(as, false, src, 0, dst, false);
    jit_u8(as, 0x89);
    jit_u8(as, 0xc0 | (src & 7) << 3 | (dst & 7));
}

void jit_movsxd(JitAsm *as, HostReg dst, HostReg src)
{
    jit_rex(as, true, dst, 0, src, false);
    jit_u8(as, 0x63);
    jit_u8(as, 0xc0 | (dst & 7) << 3 | (src & 7));
}

void jit_not(JitAsm *as, HostReg reg)
{
    jit_rex(as, true, 0, 0, reg, false);
    jit_u8(as, 0xf7);
    jit_u8(as, 0xd0 | (reg & 7));
}

void jit_not32(JitAsm *as, HostReg reg)
{
    jit_rex(as, false, 0, 0, reg, false);
    jit_u8(as, 0xf7);
    jit_u8(as, 0xd0 | (reg & 7));
}

void jit_mov_imm(JitAsm *as, HostReg dst, uint64_t value)
{
    bool wide = value != (uint32_t)value;

    jit_rex(as, wide, 0, 0, dst, false);
    jit_u8(as, 0xb8 | (dst & 7));
    if (wide) {
        jit_u64(as, value);
    } else {
        jit_u32(as, value);
    }
}

/* A three-byte VEX prefix for W=1 instructions of map `map` with prefix code `pp`. */
static void vex3(JitAsm *as, unsigned map, unsigned pp, HostReg reg, HostReg vvvv, HostReg rm)
{
    jit_u8(as, 0xc4);
    jit_u8(as, (~reg >> 3 & 1) << 7 | 1 << 6 | (~rm >> 3 & 1) << 5 | map);
    jit_u8(as, 1 << 7 | (~vvvv & 15) << 3 | pp);
}

void jit_rorx(JitAsm *as, HostReg dst, HostReg src, unsigned count)
{
    vex3(as, 3, 3, dst, 0, src);
    jit_u8(as, 0xf0);
    jit_u8(as, 0xc0 | (dst & 7) << 3 | (src & 7));
    jit_u8(as, count);
}

static void shift_x(JitAsm *as, unsigned pp, HostReg dst, HostReg src, HostReg count)
{
    vex3(as, 2, pp, dst, count, src);
    jit_u8(as, 0xf7);
    jit_u8(as, 0xc0 | (dst & 7) << 3 | (src & 7));
}

void jit_shlx(JitAsm *as, HostReg dst, HostReg src, HostReg count)
{
    shift_x(as, 1, dst, src, count);
}

void jit_shrx(JitAsm *as, HostReg dst, HostReg src, HostReg count)
{
    shift_x(as, 3, dst, src, count);
}

void jit_sarx(JitAsm *as, HostReg dst, HostReg src, HostReg count)
{
    shift_x(as, 2, dst, src, count);
}

static void gather(JitAsm *as, unsigned pp, HostReg dst, HostReg src, HostReg mask)
{
    vex3(as, 2, pp, dst, src, mask);
    jit_u8(as, 0xf5);
    jit_u8(as, 0xc0 | (dst & 7) << 3 | (mask & 7));
}

void jit_pext(JitAsm *as, HostReg dst, HostReg src, HostReg mask)
{
    gather(as, 2, dst, src, mask);
}

void jit_pext_mem(JitAsm *as, HostReg dst, HostReg src, const JitMem *mask)
{
    vex3(as, 2, 2, dst, src, mask->base);
    jit_u8(as, 0xf5);
    jit_modrm_mem(as, dst, mask);
}

void jit_pdep(JitAsm *as, HostReg dst, HostReg src, HostReg mask)
{
    gather(as, 3, dst, src, mask);
}

void jit_field(JitAsm *as, HostReg dst, HostReg src, unsigned shift, unsigned bits,
               HostReg scratch, bool slow_pext)
{
    if (slow_pext) {
        jit_mov_imm(as, dst, 64 - bits - shift);
        jit_shlx(as, dst, src, dst);
        jit_mov_imm(as, scratch, 64 - bits);
        jit_shrx(as, dst, dst, scratch);
    } else {
        jit_mov_imm(as, dst, ((1ull << bits) - 1) << shift);
        jit_pext(as, dst, src, dst);
    }
}

/* What the mask selects, to the bottom and back. */
void jit_and(JitAsm *as, HostReg reg, uint32_t mask, HostReg scratch)
{
    jit_mov_imm(as, scratch, mask);
    jit_pext(as, reg, reg, scratch);
    jit_pdep(as, reg, reg, scratch);
}

void jit_pad_jump(JitAsm *as, unsigned len)
{
    static const uint8_t nops[][8] = {
        { 0x90 },
        { 0x66, 0x90 },
        { 0x0f, 0x1f, 0x00 },
        { 0x0f, 0x1f, 0x40, 0x00 },
        { 0x0f, 0x1f, 0x44, 0x00, 0x00 },
        { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
        { 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
        { 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
    };
    unsigned left = JIT_JUMP_LINE - (uintptr_t)as->at % JIT_JUMP_LINE;

    for (unsigned count; left <= len && left; left -= count) {
        count = MIN(left, G_N_ELEMENTS(nops));
        jit_bytes(as, nops[count - 1], count);
    }
}

static uint8_t *displacement(JitAsm *as)
{
    uint8_t *at = as->at;

    jit_u32(as, 0);
    return at;
}

uint8_t *jit_jmp(JitAsm *as)
{
    jit_u8(as, 0xe9);
    return displacement(as);
}

uint8_t *jit_jcc(JitAsm *as, unsigned condition)
{
    jit_u8(as, 0x0f);
    jit_u8(as, 0x80 | condition);
    return displacement(as);
}

uint8_t *jit_call(JitAsm *as)
{
    jit_u8(as, 0xe8);
    return displacement(as);
}

void jit_jrcxz_back(JitAsm *as, const uint8_t *target)
{
    jit_pad_jump(as, 2);
    jit_u8(as, 0xe3);
    jit_u8(as, (uint8_t)(target - (as->at + 1)));
}

uint8_t *jit_jrcxz(JitAsm *as)
{
    uint8_t *at;

    jit_u8(as, 0xe3);
    at = as->at;
    jit_u8(as, 0);
    return at;
}

void jit_patch_short(uint8_t *disp, const uint8_t *target)
{
    ptrdiff_t distance = target - (disp + 1);

    g_assert(distance == (int8_t)distance);
    *disp = (uint8_t)distance;
}

void jit_jrcxz_over_jmp(JitAsm *as)
{
    jit_pad_jump(as, 2);
    jit_u8(as, 0xe3);
    jit_u8(as, 5);
}

static void patch_to_run(JitAsm *as, uint8_t *disp, const void *run_target)
{
    if (!as->full) {
        jit_patch(disp, (const uint8_t *)run_target - as->delta);
    }
}

void jit_jmp_to(JitAsm *as, const void *run_target)
{
    patch_to_run(as, jit_jmp(as), run_target);
}

void jit_call_to(JitAsm *as, const void *run_target)
{
    patch_to_run(as, jit_call(as), run_target);
}
