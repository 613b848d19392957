/* SPDX-License-Identifier: Apache-2.0 */
/* IN and OUT, and port accesses for INS and OUTS. */
#include "accel/emu/decode.h"
#include "accel/emu/exec.h"
#include "accel/emu/segment.h"
#include "accel/emu/system-internal.h"
#include "memory/memory.h"

uint32_t emu_io_read(EmuCpu *cpu, uint16_t port, unsigned size)
{
    uint64_t value = UINT64_MAX;
    bool inside = cpu->in_guest;

    if (inside) {
        emu_guest_leave(cpu);
    }
    address_space_load(address_space_io(), port, size, &value);
    if (inside) {
        emu_guest_enter(cpu);
    }
    emu_check_lines(cpu);
    emu_debug_io_access(cpu, port, size);
    return (uint32_t)(value & MASK_ULL(size * 8 - 1, 0));
}

void emu_io_write(EmuCpu *cpu, uint16_t port, uint32_t value, unsigned size)
{
    bool inside = cpu->in_guest;

    if (inside) {
        emu_guest_leave(cpu);
    }
    address_space_store(address_space_io(), port, size, value);
    if (inside) {
        emu_guest_enter(cpu);
    }
    emu_check_lines(cpu);
    emu_debug_io_access(cpu, port, size);
}

#define DEFINE_IO(bits, SET) \
    static void do_in##bits(EmuCpu *cpu, const EmuOp *op, uint16_t port) \
    { \
        uint32_t value; \
        emu_check_io(cpu, port, bits / 8); \
        value = emu_io_read(cpu, port, bits / 8); \
        SET; \
    } \
    static void op_in##bits##_imm(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_in##bits(cpu, op, (uint8_t)op->imm); \
        EMU_END(cpu, op); \
    } \
    static void op_in##bits##_dx(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_in##bits(cpu, op, (uint16_t)cpu->regs[X86_RDX]); \
        EMU_END(cpu, op); \
    } \
    static void do_out##bits(EmuCpu *cpu, uint16_t port) \
    { \
        emu_check_io(cpu, port, bits / 8); \
        emu_io_write(cpu, port, (uint##bits##_t)cpu->regs[X86_RAX], bits / 8); \
    } \
    static void op_out##bits##_imm(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_out##bits(cpu, (uint8_t)op->imm); \
        EMU_END(cpu, op); \
    } \
    static void op_out##bits##_dx(EmuCpu *cpu, const EmuOp *op) \
    { \
        do_out##bits(cpu, (uint16_t)cpu->regs[X86_RDX]); \
        EMU_END(cpu, op); \
    }

DEFINE_IO(8, *emu_r8(cpu, 0) = (uint8_t)value)
DEFINE_IO(16, *emu_r16(cpu, X86_RAX) = (uint16_t)value)
DEFINE_IO(32, cpu->regs[X86_RAX] = value)

/* By [DX or immediate][log2 of the size]. */
typedef EmuOpFn *const IoHandlers[2][3];
static IoHandlers in_handlers = {
    { op_in8_imm, op_in16_imm, op_in32_imm }, { op_in8_dx, op_in16_dx, op_in32_dx },
};
static IoHandlers out_handlers = {
    { op_out8_imm, op_out16_imm, op_out32_imm }, { op_out8_dx, op_out16_dx, op_out32_dx },
};

static EmuOpFn *bind_io(const EmuDecoded *decoded, EmuOp *op)
{
    const IoHandlers *handlers = decoded->row->data;
    bool is_in = decoded->insn.mnemonic == ZYDIS_MNEMONIC_IN;
    const ZydisDecodedOperand *port = &decoded->operands[is_in ? 1 : 0];
    const ZydisDecodedOperand *data = &decoded->operands[is_in ? 0 : 1];
    unsigned log2_size = data->size == 8 ? 0 : data->size == 16 ? 1 : 2;

    op->flags |= EMU_OP_ENDS;
    return (*handlers)[port->type == ZYDIS_OPERAND_TYPE_REGISTER][log2_size];
}

static const EmuInsn rows[] = {
    { ZYDIS_MNEMONIC_IN, EMU_UNIT_INTEGER, bind_io, &in_handlers },
    { ZYDIS_MNEMONIC_OUT, EMU_UNIT_INTEGER, bind_io, &out_handlers },
};

const EmuInsnTable emu_insns_io = { rows, G_N_ELEMENTS(rows) };
