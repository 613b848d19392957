/* SPDX-License-Identifier: Apache-2.0 */
/* Random code for the translator's tests: each form that it has an emitter for, and more. */
#ifndef VIREO_ACCEL_EMU_TESTS_JIT_CODE_H
#define VIREO_ACCEL_EMU_TESTS_JIT_CODE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct JitCode {
    GRand *rand;
    /*
     * Never faults: memory is addressed by RBX and R14 alone, up to JIT_CODE_REACH bytes to either
     * side; these, RSP and R15 are not changed, and the stack is as it was.
     */
    bool safe;
    bool near;           /* few bases, displacements close together: what a block may check once */
    bool narrow;         /* 32-bit code; never safe */
    uint32_t area;       /* narrow: where absolute addresses point to */
    uint8_t *at;         /* next byte */
} JitCode;

#define JIT_CODE_REACH 0x700
#define JIT_CODE_MAX 32 /* bytes that one call writes at most */

/* An instruction that does not branch. */
void jit_code_plain(JitCode *code);
/* A Jcc, to anywhere near. Not safe. */
void jit_code_fork(JitCode *code);
/* One that ends a block: Jcc, JMP, CALL, RET, near, direct or not. Not safe. */
void jit_code_branch(JitCode *code);

#endif
