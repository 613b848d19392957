/* SPDX-License-Identifier: Apache-2.0 */
/* x87 control instructions: words, environments and whole states (SDM vol. 1, 8.1.8 to 8.1.11). */
#include <string.h>

#include "accel/emu/x87-op.h"

void emu_op_fwait(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_check(cpu);
    EMU_NEXT(cpu, op);
}

/* FENI, FDISI, FSETPM: nothing since the 80387. */
void emu_op_x87_ignored(EmuCpu *cpu, const EmuOp *op)
{
    EMU_NEXT(cpu, op);
}

void emu_op_emms(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_check(cpu);
    cpu->fpu.valid = 0;
    cpu->fpu.top = 0;
    EMU_NEXT(cpu, op);
}

void emu_op_fninit(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_init(&cpu->fpu);
    EMU_NEXT(cpu, op);
}

void emu_op_fnclex(EmuCpu *cpu, const EmuOp *op)
{
    cpu->fpu.fsw &= X87_CC;
    emu_x87_settled();
    EMU_NEXT(cpu, op);
}

static void set_control(EmuFpu *fpu, uint16_t fcw)
{
    fpu->fcw = (fcw & 0x1f3f) | 0x40;
    emu_x87_set_status(fpu, emu_x87_status(fpu));
}

void emu_op_fldcw(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_check(cpu);
    set_control(&cpu->fpu, emu_read_u16(cpu, emu_operand(cpu, op, 2, EMU_READ)));
    EMU_NEXT(cpu, op);
}

void emu_op_fnstcw(EmuCpu *cpu, const EmuOp *op)
{
    emu_write_u16(cpu, emu_operand(cpu, op, 2, EMU_WRITE), cpu->fpu.fcw);
    EMU_NEXT(cpu, op);
}

void emu_op_fnstsw(EmuCpu *cpu, const EmuOp *op)
{
    emu_write_u16(cpu, emu_operand(cpu, op, 2, EMU_WRITE), emu_x87_status(&cpu->fpu));
    EMU_NEXT(cpu, op);
}

void emu_op_fnstsw_ax(EmuCpu *cpu, const EmuOp *op)
{
    *emu_r16(cpu, X86_RAX) = emu_x87_status(&cpu->fpu);
    EMU_NEXT(cpu, op);
}

/* ---- Environments ---- */

/* Real and v8086 mode have one linear address in place of selector and offset. */
static bool is_protected(const EmuCpu *cpu)
{
    return (cpu->mode & EMU_MODE_PROT) && !(cpu->mode & EMU_MODE_VM86);
}

static void put_environment(const EmuCpu *cpu, uint8_t *env, bool is32)
{
    const EmuFpu *fpu = &cpu->fpu;
    unsigned step = is32 ? 4 : 2;
    uint32_t fip = (uint32_t)fpu->fip, fdp = (uint32_t)fpu->fdp;
    uint16_t words[3] = { fpu->fcw, emu_x87_status(fpu), emu_x87_tag_word(fpu) };

    memset(env, 0xff, 7 * step);
    for (unsigned i = 0; i < 3; i++) {
        stw_le(env + i * step, words[i]);
    }
    if (is_protected(cpu)) {
        stn_le(env + 3 * step, step, fip);
        stw_le(env + 4 * step, fpu->fcs);
        if (is32) {
            stw_le(env + 18, fpu->fop);
        }
        stn_le(env + 5 * step, step, fdp);
        stw_le(env + 6 * step, fpu->fds);
        return;
    }
    fip += (uint32_t)fpu->fcs << 4;
    fdp += (uint32_t)fpu->fds << 4;
    if (is32) {
        stw_le(env + 12, fip);
        stl_le(env + 16, fip >> 16 << 12 | fpu->fop);
        stw_le(env + 20, fdp);
        stl_le(env + 24, fdp >> 16 << 12);
    } else {
        stw_le(env + 6, fip);
        stw_le(env + 8, (fip >> 16 << 12) | fpu->fop);
        stw_le(env + 10, fdp);
        stw_le(env + 12, fdp >> 16 << 12);
    }
}

static void get_environment(EmuCpu *cpu, const uint8_t *env, bool is32)
{
    EmuFpu *fpu = &cpu->fpu;
    unsigned step = is32 ? 4 : 2;
    uint16_t tags = ldw_le(env + 2 * step);

    fpu->fcw = (ldw_le(env) & 0x1f3f) | 0x40;
    emu_x87_set_status(fpu, ldw_le(env + step));
    fpu->valid = 0;
    for (unsigned i = 0; i < 8; i++) {
        fpu->valid |= (tags >> (2 * i) & 3) != 3 ? 1u << i : 0;
    }
    fpu->fcs = fpu->fds = 0;
    if (is_protected(cpu)) {
        fpu->fip = ldn_le(env + 3 * step, step);
        fpu->fcs = ldw_le(env + 4 * step);
        fpu->fop = is32 ? ldw_le(env + 18) & 0x7ff : 0;
        fpu->fdp = ldn_le(env + 5 * step, step);
        fpu->fds = ldw_le(env + 6 * step);
    } else if (is32) {
        fpu->fip = ldw_le(env + 12) | (ldl_le(env + 16) << 4 & 0xffff0000);
        fpu->fop = ldl_le(env + 16) & 0x7ff;
        fpu->fdp = ldw_le(env + 20) | (ldl_le(env + 24) << 4 & 0xffff0000);
    } else {
        fpu->fip = ldw_le(env + 6) | (ldw_le(env + 8) & 0xf000u) << 4;
        fpu->fop = ldw_le(env + 8) & 0x7ff;
        fpu->fdp = ldw_le(env + 10) | (ldw_le(env + 12) & 0xf000u) << 4;
    }
    if (emu_x87_no_selectors(cpu)) {
        fpu->fcs = fpu->fds = 0;
    }
}

/* Processors reach for the first field, then for the last byte. */
static uint64_t area(EmuCpu *cpu, const EmuOp *op, unsigned size, EmuAccess access)
{
    uint64_t linear = emu_operand(cpu, op, size, access), last = linear + size - 1;
    unsigned field = op->size == 2 ? 2 : 4;

    if ((linear ^ last) >> EMU_PAGE_BITS &&
        !(cpu->mode & EMU_MODE_ALIGN && linear & (field - 1))) {
        if (access == EMU_WRITE) {
            emu_probe_write(cpu, linear, field);
            emu_probe_write(cpu, last, 1);
        } else {
            emu_probe_read(cpu, linear, field);
            emu_probe_read(cpu, last, 1);
        }
    }
    return linear;
}

static bool is_32(const EmuOp *op)
{
    return op->size != 2;
}

void emu_op_fnstenv(EmuCpu *cpu, const EmuOp *op)
{
    unsigned size = is_32(op) ? 28 : 14;
    uint8_t env[28];

    put_environment(cpu, env, is_32(op));
    emu_write_bytes(cpu, area(cpu, op, size, EMU_WRITE), env, size);
    set_control(&cpu->fpu, cpu->fpu.fcw | X87_EXCEPTIONS);
    EMU_NEXT(cpu, op);
}

void emu_op_fldenv(EmuCpu *cpu, const EmuOp *op)
{
    unsigned size = is_32(op) ? 28 : 14;
    uint8_t env[28];

    emu_x87_check(cpu);
    emu_read_bytes(cpu, area(cpu, op, size, EMU_READ), env, size);
    get_environment(cpu, env, is_32(op));
    EMU_NEXT(cpu, op);
}

void emu_op_fnsave(EmuCpu *cpu, const EmuOp *op)
{
    unsigned size = is_32(op) ? 28 : 14;
    uint8_t image[28 + 80];

    put_environment(cpu, image, is_32(op));
    for (unsigned i = 0; i < 8; i++) {
        const EmuF80 *reg = x87_st(&cpu->fpu, i);

        stq_le(image + size + 10 * i, reg->significand);
        stw_le(image + size + 10 * i + 8, reg->sign_exponent);
    }
    emu_write_bytes(cpu, area(cpu, op, size + 80, EMU_WRITE), image, size + 80);
    emu_x87_init(&cpu->fpu);
    EMU_NEXT(cpu, op);
}

void emu_op_frstor(EmuCpu *cpu, const EmuOp *op)
{
    unsigned size = is_32(op) ? 28 : 14;
    uint8_t image[28 + 80];

    emu_x87_check(cpu);
    emu_read_bytes(cpu, area(cpu, op, size + 80, EMU_READ), image, size + 80);
    get_environment(cpu, image, is_32(op));
    for (unsigned i = 0; i < 8; i++) {
        EmuF80 *reg = x87_st(&cpu->fpu, i);

        reg->significand = ldq_le(image + size + 10 * i);
        reg->sign_exponent = ldw_le(image + size + 10 * i + 8);
    }
    EMU_NEXT(cpu, op);
}
