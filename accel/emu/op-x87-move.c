/* SPDX-License-Identifier: Apache-2.0 */
/* x87 instructions that move: loads, stores, exchanges, signs, the stack. */
#include "accel/emu/x87-op.h"

/* Room for a push? If not, the masked response is made and false returned. */
static bool push_ready(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;

    if (EMU_LIKELY(!x87_is_valid(fpu, 7))) {
        return true;
    }
    if (emu_x87_stack_fault(cpu, op, true)) {
        *x87_push(fpu) = x87_indefinite();
    }
    return false;
}

/* ---- Loads ---- */

#define DEFINE_LOAD(kind, bits) \
    void emu_op_fld_##kind(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        EmuF80 value; \
        uint64_t raw; \
        \
        emu_x87_check(cpu); \
        raw = emu_read_u##bits(cpu, emu_operand(cpu, op, bits / 8, EMU_READ)); \
        x87_record(cpu, op); \
        if (push_ready(cpu, op)) { \
            uint16_t status = x87_ld_##kind(fpu, &value, raw); \
            \
            x87_merge(cpu, op, status, X87_C1); \
            /* An unmasked denormal is loaded all the same. */ \
            if (EMU_LIKELY(!(status & ~fpu->fcw & X87_IE))) { \
                EmuF80 *st = x87_push(fpu); \
                \
                st->significand = value.significand; \
                st->sign_exponent = value.sign_exponent; \
            } \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_LOAD(f32, 32)
DEFINE_LOAD(f64, 64)

static void push(EmuCpu *cpu, const EmuOp *op, EmuF80 value)
{
    x87_record(cpu, op);
    if (push_ready(cpu, op)) {
        cpu->fpu.fsw &= ~X87_C1;
        *x87_push(&cpu->fpu) = value;
    }
}

#define DEFINE_LOAD_INT(bits) \
    void emu_op_fild_i##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        emu_x87_check(cpu); \
        push(cpu, op, x87_from_int((int##bits##_t)emu_read_u##bits( \
                          cpu, emu_operand(cpu, op, bits / 8, EMU_READ)))); \
        EMU_NEXT(cpu, op); \
    }
DEFINE_LOAD_INT(16)
DEFINE_LOAD_INT(32)
DEFINE_LOAD_INT(64)

/* In two pieces, as processors do it: it shows where only the second one faults. */
static void read_80(EmuCpu *cpu, const EmuOp *op, void *value)
{
    uint64_t linear = emu_operand(cpu, op, 10, EMU_READ);

    stq_le(value, emu_read_u64(cpu, linear));
    stw_le((uint8_t *)value + 8, emu_read_u16(cpu, linear + 8));
}

static void write_80(EmuCpu *cpu, const EmuOp *op, const void *value)
{
    uint64_t linear = emu_operand(cpu, op, 10, EMU_WRITE);

    emu_write_u64(cpu, linear, ldq_le(value));
    emu_write_u16(cpu, linear + 8, ldw_le((const uint8_t *)value + 8));
}

void emu_op_fld_f80(EmuCpu *cpu, const EmuOp *op)
{
    EmuF80 value = { 0 };

    emu_x87_check(cpu);
    read_80(cpu, op, &value);
    push(cpu, op, value);
    EMU_NEXT(cpu, op);
}

void emu_op_fbld(EmuCpu *cpu, const EmuOp *op)
{
    uint8_t bcd[10];

    emu_x87_check(cpu);
    read_80(cpu, op, bcd);
    push(cpu, op, x87_from_bcd(bcd));
    EMU_NEXT(cpu, op);
}

void emu_op_fconstant(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_check(cpu);
    push(cpu, op, x87_constant(&cpu->fpu, (X87Constant)(op->imm >> X87_OP_CONSTANT_SHIFT)));
    EMU_NEXT(cpu, op);
}

void emu_op_fld_st(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;

    emu_x87_check(cpu);
    if (EMU_LIKELY(x87_is_valid(fpu, op->r[1]))) {
        push(cpu, op, *x87_st(fpu, op->r[1]));
    } else {
        x87_record(cpu, op);
        if (emu_x87_stack_fault(cpu, op, false)) {
            *x87_push(fpu) = x87_indefinite();
        }
    }
    EMU_NEXT(cpu, op);
}

/* ---- Stores ---- */

/* `forbidding`: exceptions that, unmasked, prevent the store: memory is not looked at then. */
#define DEFINE_STORE(name, fn, bits, indefinite, forbidding) \
    void emu_op_##name(EmuCpu *cpu, const EmuOp *op) \
    { \
        EmuFpu *fpu = &cpu->fpu; \
        uint64_t value; \
        uint16_t status; \
        \
        emu_x87_check(cpu); \
        if (EMU_LIKELY(x87_is_valid(fpu, 0))) { \
            status = X87(fn)(fpu, &value, x87_st(fpu, 0)); \
            if (EMU_LIKELY(!(status & ~fpu->fcw & (forbidding)))) { \
                emu_write_u##bits(cpu, emu_operand(cpu, op, bits / 8, EMU_WRITE), value); \
            } \
            x87_record(cpu, op); \
            x87_merge(cpu, op, status, X87_C1); \
            if (!(status & ~fpu->fcw & (forbidding))) { \
                x87_pop_by(fpu, op); \
            } \
            EMU_NEXT(cpu, op); \
        } \
        if (fpu->fcw & X87_IE) { \
            emu_write_u##bits(cpu, emu_operand(cpu, op, bits / 8, EMU_WRITE), indefinite); \
        } \
        x87_record(cpu, op); \
        if (emu_x87_stack_fault(cpu, op, false)) { \
            x87_pop_by(fpu, op); \
        } \
        EMU_NEXT(cpu, op); \
    }
DEFINE_STORE(fst_f32, st_f32, 32, 0xffc00000, X87_IE | X87_OE | X87_UE)
DEFINE_STORE(fst_f64, st_f64, 64, 0xfff8000000000000, X87_IE | X87_OE | X87_UE)
DEFINE_STORE(fist_i16, ist_i16, 16, 1u << 15, X87_IE)
DEFINE_STORE(fist_i32, ist_i32, 32, 1u << 31, X87_IE)
DEFINE_STORE(fist_i64, ist_i64, 64, 1ULL << 63, X87_IE)
DEFINE_STORE(fistt_i16, istt_i16, 16, 1u << 15, X87_IE)
DEFINE_STORE(fistt_i32, istt_i32, 32, 1u << 31, X87_IE)
DEFINE_STORE(fistt_i64, istt_i64, 64, 1ULL << 63, X87_IE)

void emu_op_fstp_f80(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;
    EmuF80 nan = x87_indefinite();

    emu_x87_check(cpu);
    if (EMU_LIKELY(x87_is_valid(fpu, 0))) {
        write_80(cpu, op, x87_st(fpu, 0));
        x87_record(cpu, op);
        fpu->fsw &= ~X87_C1;
        x87_pop(fpu);
        EMU_NEXT(cpu, op);
    }
    if (fpu->fcw & X87_IE) {
        write_80(cpu, op, &nan);
    }
    x87_record(cpu, op);
    if (emu_x87_stack_fault(cpu, op, false)) {
        x87_pop(fpu);
    }
    EMU_NEXT(cpu, op);
}

void emu_op_fbstp(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;
    EmuF80 nan = x87_indefinite();
    bool valid = x87_is_valid(fpu, 0);
    uint8_t bcd[10];
    uint16_t status;

    emu_x87_check(cpu);
    status = x87_to_bcd(fpu, bcd, valid ? x87_st(fpu, 0) : &nan);
    if (!(status & ~fpu->fcw & X87_IE)) {
        write_80(cpu, op, bcd);
    }
    x87_record(cpu, op);
    if (valid) {
        x87_merge(cpu, op, status, X87_C1);
    } else {
        emu_x87_stack_fault(cpu, op, false);
    }
    if (!(status & ~fpu->fcw & X87_IE)) {
        x87_pop(fpu);
    }
    EMU_NEXT(cpu, op);
}

void emu_op_fst_st(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (EMU_LIKELY(x87_is_valid(fpu, 0))) {
        *x87_st(fpu, op->r[1]) = *x87_st(fpu, 0);
        fpu->fsw &= ~X87_C1;
    } else if (emu_x87_stack_fault(cpu, op, false)) {
        *x87_st(fpu, op->r[1]) = x87_indefinite();
    } else {
        EMU_NEXT(cpu, op);
    }
    x87_set_valid(fpu, op->r[1]);
    x87_pop_by(fpu, op);
    EMU_NEXT(cpu, op);
}

/* FSTPNCE, undocumented: an empty register is popped without a word. */
void emu_op_fstpnce(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    fpu->fsw &= ~X87_C1;
    if (x87_is_valid(fpu, 0)) {
        *x87_st(fpu, op->r[1]) = *x87_st(fpu, 0);
        x87_set_valid(fpu, op->r[1]);
    }
    x87_pop(fpu);
    EMU_NEXT(cpu, op);
}

/* ---- Between registers ---- */

void emu_op_fxch(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;
    EmuF80 *a = x87_st(fpu, 0), *b = x87_st(fpu, op->r[1]), old;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (EMU_UNLIKELY(!x87_is_valid(fpu, 0) || !x87_is_valid(fpu, op->r[1]))) {
        if (!emu_x87_stack_fault(cpu, op, false)) {
            EMU_NEXT(cpu, op);
        }
        *(x87_is_valid(fpu, 0) ? b : a) = x87_indefinite();
        if (!x87_is_valid(fpu, op->r[1])) {
            *b = x87_indefinite();
        }
        x87_set_valid(fpu, 0);
        x87_set_valid(fpu, op->r[1]);
    }
    fpu->fsw &= ~X87_C1;
    old = *a;
    *a = *b;
    *b = old;
    EMU_NEXT(cpu, op);
}

/* FOP tells the condition: DA inverts nothing, DB all; reg is B, E, BE, U. */
void emu_op_fcmov(EmuCpu *cpu, const EmuOp *op)
{
    static const uint8_t codes[4] = { 2, 4, 6, 10 };
    EmuFpu *fpu = &cpu->fpu;
    unsigned code = codes[op->imm2 >> 3 & 3] | (op->imm2 >> 8 & 1);

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (EMU_UNLIKELY(!x87_is_valid(fpu, 0) || !x87_is_valid(fpu, op->r[1]))) {
        if (emu_x87_stack_fault(cpu, op, false)) {
            *x87_st(fpu, 0) = x87_indefinite();
            x87_set_valid(fpu, 0);
        }
    } else if (emu_condition(cpu, code)) {
        *x87_st(fpu, 0) = *x87_st(fpu, op->r[1]);
    }
    EMU_NEXT(cpu, op);
}

/* ST(0) is there, or the masked response was made, or nothing may be done. */
static bool top_ready(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    if (EMU_LIKELY(x87_is_valid(fpu, 0))) {
        fpu->fsw &= ~X87_C1;
        return true;
    }
    if (emu_x87_stack_fault(cpu, op, false)) {
        *x87_st(fpu, 0) = x87_indefinite();
        x87_set_valid(fpu, 0);
    }
    return false;
}

void emu_op_fchs(EmuCpu *cpu, const EmuOp *op)
{
    if (top_ready(cpu, op)) {
        x87_st(&cpu->fpu, 0)->sign_exponent ^= 0x8000;
    }
    EMU_NEXT(cpu, op);
}

void emu_op_fabs(EmuCpu *cpu, const EmuOp *op)
{
    if (top_ready(cpu, op)) {
        x87_st(&cpu->fpu, 0)->sign_exponent &= 0x7fff;
    }
    EMU_NEXT(cpu, op);
}

void emu_op_ffree(EmuCpu *cpu, const EmuOp *op)
{
    EmuFpu *fpu = &cpu->fpu;

    emu_x87_check(cpu);
    x87_record(cpu, op);
    fpu->fsw &= ~X87_C1;
    fpu->valid &= ~(1u << ((fpu->top + op->r[1]) & 7));
    x87_pop_by(fpu, op);
    EMU_NEXT(cpu, op);
}

void emu_op_fincstp(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_check(cpu);
    x87_record(cpu, op);
    cpu->fpu.fsw &= ~X87_C1;
    cpu->fpu.top = (cpu->fpu.top + 1) & 7;
    EMU_NEXT(cpu, op);
}

void emu_op_fdecstp(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_check(cpu);
    x87_record(cpu, op);
    cpu->fpu.fsw &= ~X87_C1;
    cpu->fpu.top = (cpu->fpu.top - 1) & 7;
    EMU_NEXT(cpu, op);
}

void emu_op_fnop(EmuCpu *cpu, const EmuOp *op)
{
    emu_x87_check(cpu);
    x87_record(cpu, op);
    EMU_NEXT(cpu, op);
}
