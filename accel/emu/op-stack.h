/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack as PUSH, CALL and their kin see it: SS:RSP in 64-bit code, else SS:ESP or SS:SP by
 * SS.B. None of these moves the stack pointer before the access has succeeded.
 */
#ifndef VIREO_ACCEL_EMU_OP_STACK_H
#define VIREO_ACCEL_EMU_OP_STACK_H

#include "accel/emu/op-int.h"
#include "accel/emu/system.h"

/* The bits of RSP that count. */
static inline uint64_t emu_stack_mask(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_CS64 ? ~0ULL : cpu->mode & EMU_MODE_SS32 ? UINT32_MAX : UINT16_MAX;
}

/* Write the stack pointer by the stack's size. */
static inline void emu_set_sp(EmuCpu *cpu, uint64_t sp)
{
    uint64_t mask = emu_stack_mask(cpu);

    cpu->regs[X86_RSP] = mask == UINT16_MAX ? (cpu->regs[X86_RSP] & ~mask) | (sp & mask)
                                            : sp & mask;
}

/*
 * Linear address of `size` bytes at offset sp of the stack. For ops whose `seg` is another
 * operand's: memory would raise #GP where a non-canonical stack is #SS.
 */
static inline uint64_t emu_stack_linear(EmuCpu *cpu, uint64_t sp, unsigned size, EmuAccess access)
{
    if ((cpu->mode & EMU_MODE_CS64) &&
        EMU_UNLIKELY(!emu_is_canonical(cpu, sp) || !emu_is_canonical(cpu, sp + size - 1))) {
        emu_raise(cpu, X86_SS_FAULT, 0);
    }
    return emu_linear(cpu, X86_SS, sp, size, access);
}

/* 64-bit operands mean 64-bit code, where the stack is flat. */
#define EMU_DEFINE_STACK(bits) \
    static inline void emu_push##bits(EmuCpu *cpu, uint##bits##_t value) \
    { \
        uint64_t sp = cpu->regs[X86_RSP] - bits / 8; \
        if (bits == 64) { \
            emu_write_u##bits(cpu, sp, value); \
            cpu->regs[X86_RSP] = sp; \
            return; \
        } \
        sp &= emu_stack_mask(cpu); \
        emu_write_u##bits(cpu, emu_stack_linear(cpu, sp, bits / 8, EMU_WRITE), value); \
        emu_set_sp(cpu, sp); \
    } \
    /* The value at the top plus `above` bytes; RSP stays. */ \
    static inline uint##bits##_t emu_peek##bits(EmuCpu *cpu, unsigned above) \
    { \
        uint64_t sp = cpu->regs[X86_RSP] + above; \
        if (bits == 64) { \
            return emu_read_u##bits(cpu, sp); \
        } \
        sp &= emu_stack_mask(cpu); \
        return emu_read_u##bits(cpu, emu_stack_linear(cpu, sp, bits / 8, EMU_READ)); \
    } \
    static inline void emu_release##bits(EmuCpu *cpu, unsigned more) \
    { \
        if (bits == 64) { \
            cpu->regs[X86_RSP] += 8 + more; \
        } else { \
            emu_set_sp(cpu, cpu->regs[X86_RSP] + bits / 8 + more); \
        } \
    }
EMU_FOR_WIDE_SIZES(EMU_DEFINE_STACK)

#endif
