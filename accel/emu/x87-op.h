/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the handlers of op-x87*.c share. In their ops imm holds X87_OP_*, imm2 the 11 bits of FOP,
 * r[0] and r[1] the numbers of ST(i).
 */
#ifndef VIREO_ACCEL_EMU_X87_OP_H
#define VIREO_ACCEL_EMU_X87_OP_H

#include "accel/emu/decode.h"
#include "accel/emu/flags.h"
#include "accel/emu/x87-arith.h"

enum {
    X87_OP_POP = 1u << 0,
    X87_OP_POP2 = 1u << 1,
    X87_OP_TO_STI = 1u << 2,     /* the destination is ST(i), not ST(0) (bind only) */
    X87_OP_FDP = 1u << 3,        /* record the data pointer always (an older processor) */
    X87_OP_SELECTORS = 1u << 4,  /* record FCS and FDS (an older processor) */
    X87_OP_QUIET = 1u << 5,      /* FUCOM */
    X87_OP_CONSTANT_SHIFT = 8,   /* X87Constant */
};

/* An exception is unmasked: it becomes pending. True: the result counts all the same. */
bool emu_x87_unmasked(EmuCpu *cpu, const EmuOp *op, uint16_t status);
/* Stack overflow or underflow. True: masked, the response is the caller's. */
bool emu_x87_stack_fault(EmuCpu *cpu, const EmuOp *op, bool overflow);
/* Of an op with X87_OP_SELECTORS or X87_OP_FDP. */
void emu_x87_record_more(EmuCpu *cpu, const EmuOp *op);

static inline EmuF80 *x87_st(EmuFpu *fpu, unsigned i)
{
    return &fpu->fpr[(fpu->top + i) & 7];
}

static inline bool x87_is_valid(const EmuFpu *fpu, unsigned i)
{
    return fpu->valid >> ((fpu->top + i) & 7) & 1;
}

static inline void x87_set_valid(EmuFpu *fpu, unsigned i)
{
    fpu->valid |= 1u << ((fpu->top + i) & 7);
}

static inline void x87_pop(EmuFpu *fpu)
{
    fpu->valid &= ~(1u << fpu->top);
    fpu->top = (fpu->top + 1) & 7;
}

static inline EmuF80 *x87_push(EmuFpu *fpu)
{
    fpu->top = (fpu->top - 1) & 7;
    fpu->valid |= 1u << fpu->top;
    return &fpu->fpr[fpu->top];
}

/* Remember the instruction; of all but control instructions. */
static inline void x87_record(EmuCpu *cpu, const EmuOp *op)
{
    cpu->fpu.fip = emu_op_rip(cpu, op);
    if (EMU_UNLIKELY(op->imm & (X87_OP_FDP | X87_OP_SELECTORS))) {
        emu_x87_record_more(cpu, op);
    }
}

/* Take over exceptions and the condition bits `cc`. False: the instruction has no result. */
static inline bool x87_merge(EmuCpu *cpu, const EmuOp *op, uint16_t status, uint16_t cc)
{
    cpu->fpu.fsw = (cpu->fpu.fsw & ~cc) | (status & (X87_EXCEPTIONS | cc));
    if (EMU_UNLIKELY(status & ~cpu->fpu.fcw & X87_EXCEPTIONS)) {
        return emu_x87_unmasked(cpu, op, status);
    }
    return true;
}

static inline void x87_pop_by(EmuFpu *fpu, const EmuOp *op)
{
    if (op->imm & X87_OP_POP) {
        x87_pop(fpu);
    }
}

/* op-x87-env.c */
EmuOpFn emu_op_fldcw, emu_op_fnstcw, emu_op_fnstsw_ax, emu_op_fnstsw, emu_op_fldenv,
    emu_op_fnstenv, emu_op_frstor, emu_op_fnsave, emu_op_fninit, emu_op_fnclex, emu_op_fwait,
    emu_op_emms, emu_op_x87_ignored;
/* op-x87-move.c */
EmuOpFn emu_op_fld_f32, emu_op_fld_f64, emu_op_fld_f80, emu_op_fld_st, emu_op_fild_i16,
    emu_op_fild_i32, emu_op_fild_i64, emu_op_fbld, emu_op_fst_f32, emu_op_fst_f64,
    emu_op_fstp_f80, emu_op_fst_st, emu_op_fstpnce, emu_op_fist_i16, emu_op_fist_i32,
    emu_op_fist_i64, emu_op_fistt_i16, emu_op_fistt_i32, emu_op_fistt_i64, emu_op_fbstp,
    emu_op_fxch, emu_op_fcmov, emu_op_ffree, emu_op_fincstp, emu_op_fdecstp, emu_op_fchs,
    emu_op_fabs, emu_op_fconstant, emu_op_fnop;

#endif
