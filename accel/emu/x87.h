/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 register stack of an EmuCpu (SDM vol. 1, chapter 8), for its handlers, for MMX, which
 * shares the registers, and for what loads and stores the whole state.
 */
#ifndef VIREO_ACCEL_EMU_X87_H
#define VIREO_ACCEL_EMU_X87_H

#include "accel/emu/mem.h"

/* Bits of the status word; 0..5 are the exceptions as in SOFT_*. */
enum {
    X87_IE = 1u << 0, X87_DE = 1u << 1, X87_ZE = 1u << 2, X87_OE = 1u << 3, X87_UE = 1u << 4,
    X87_PE = 1u << 5, X87_SF = 1u << 6, X87_ES = 1u << 7, X87_C0 = 1u << 8, X87_C1 = 1u << 9,
    X87_C2 = 1u << 10, X87_TOP_SHIFT = 11, X87_C3 = 1u << 14, X87_BUSY = 1u << 15,
    X87_EXCEPTIONS = 0x3f,
    X87_CC = X87_C0 | X87_C1 | X87_C2 | X87_C3,
};

#define X87_FCW_RESET 0x037fu

/*
 * An exception is pending and the instruction waits for such: #MF with CR0.NE; without, the
 * processor raises FERR# unless IGNNE# is asserted (accel/accel.h).
 */
void emu_x87_pending(EmuCpu *cpu);
/* No unmasked exception is pending any more: IGNNE# is deasserted. */
void emu_x87_settled(void);

/* First thing in every waiting x87 and MMX instruction. */
static inline void emu_x87_check(EmuCpu *cpu)
{
    if (EMU_UNLIKELY(cpu->fpu.fsw & X87_ES)) {
        emu_x87_pending(cpu);
    }
}

/*
 * In every MMX instruction but EMMS: emu_x87_check() first, then the operands (they may fault),
 * then this: TOP = 0, all registers valid. emu_mmx_set() writes registers; emu_mmx() reads.
 */
static inline void emu_mmx_begin(EmuCpu *cpu)
{
    cpu->fpu.top = 0;
    cpu->fpu.valid = 0xff;
}

static inline uint64_t emu_mmx(const EmuCpu *cpu, unsigned r)
{
    return cpu->fpu.fpr[r].significand;
}

static inline void emu_mmx_set(EmuCpu *cpu, unsigned r, uint64_t value)
{
    cpu->fpu.fpr[r].significand = value;
    cpu->fpu.fpr[r].sign_exponent = 0xffff;
}

/* FNINIT, and the x87 part of reset and of an XRSTOR to the initial state. */
void emu_x87_init(EmuFpu *fpu);
/* The status word with TOP, as FNSTSW shows it. */
static inline uint16_t emu_x87_status(const EmuFpu *fpu)
{
    return fpu->fsw | (uint16_t)(fpu->top << X87_TOP_SHIFT);
}
/* Load a status word: TOP apart, ES and B by the exceptions that `fcw` leaves unmasked. */
void emu_x87_set_status(EmuFpu *fpu, uint16_t fsw);
/* The full 16-bit tag word of FNSTENV, from the registers' contents. */
uint16_t emu_x87_tag_word(const EmuFpu *fpu);

/* Does the processor no longer keep FCS and FDS (CPUID.7.0:EBX bit 13)? */
bool emu_x87_no_selectors(const EmuCpu *cpu);

/*
 * The 512 bytes of FXSAVE and of XSAVE's legacy region, for state.c and op-xsave.c. `components` is
 * bits 0 (x87) and 1 (all 16 SSE registers) of XCR0; MXCSR is separate. wide: 64-bit FIP and FDP
 * (REX.W). Only the fields of the components are touched.
 */
void emu_fxsave_put(const EmuCpu *cpu, uint8_t *area, unsigned components, bool wide);
void emu_fxsave_get(EmuCpu *cpu, const uint8_t *area, unsigned components, bool wide);
/* XINUSE: which of the components 0 to 2 are not in their initial state (XGETBV with ECX 1). */
uint64_t emu_xinuse(const EmuCpu *cpu);

#endif
