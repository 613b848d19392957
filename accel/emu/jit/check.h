/* SPDX-License-Identifier: Apache-2.0 */
/* What a block does, by the interpreter and by its host code (accel/emu/check.h has the memory). */
#ifndef VIREO_ACCEL_EMU_JIT_CHECK_H
#define VIREO_ACCEL_EMU_JIT_CHECK_H

#include "accel/emu/check.h"
#include "accel/emu/jit/internal.h"

/*
 * What a block may change, and both ways of running it must change alike. The words of flags.h come
 * last: there are several for the same flags.
 */
typedef struct JitState {
    uint64_t regs[EMU_REG_COUNT];
    uint64_t rip, rflags;     /* rflags: with the arithmetic flags */
    uint32_t mode, mxcsr;
    uint32_t shadow, halted;
    EmuFpu fpu;
    X86Segment segs[X86_SEG__MAX];
    EmuVec vec[16];
    uint64_t flag_result, flag_carry;
} JitState;

/* How a run on shadows went. */
typedef struct JitOutcome {
    JitState state;
    int escaped;          /* EmuExit, or 0: it came to its end */
    EmuFault fault;
    EmuCheckStray stray;
    uint64_t stray_linear;
} JitOutcome;

/* Say in words what differs; false: nothing does. `text` NULL: only look. */
bool jit_check_differs(const EmuCpu *cpu, const EmuBlock *block, const JitState *expected,
                       const JitOutcome *outcome, GString *text);
/* The whole story: the block, the differences, host code. */
char *jit_check_story(const EmuCpu *cpu, const EmuBlock *block, const JitState *before,
                      const JitState *expected, const JitOutcome *outcome);

#endif
