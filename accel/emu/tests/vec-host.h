/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: run one instruction on the host's own processor, with all vector, MMX and general
 * registers (but RSP and RDI), MXCSR and arithmetic flags. x86-64 hosts with AVX.
 */
#ifndef VIREO_ACCEL_EMU_TESTS_VEC_HOST_H
#define VIREO_ACCEL_EMU_TESTS_VEC_HOST_H

#include "accel/emu/emu.h"

typedef struct VecHostState {
    EmuVec vec[16];
    uint64_t regs[16];  /* X86Reg order; RSP is not loaded, RDI points to `memory` */
    uint64_t mm[8];
    uint8_t memory[64] __attribute__((aligned(64)));
    uint64_t rflags;    /* arithmetic flags */
    uint32_t mxcsr;
    uint64_t code, length; /* filled by vec_host_run() */
    int signal;         /* the fault's: SIGFPE is #XM, SIGILL #UD, SIGSEGV others; else 0 */
} VecHostState;

/* An executable page, and handlers for the signals until it is freed. */
typedef struct VecHost VecHost;
VecHost *vec_host_new(void);
void vec_host_free(VecHost *host);
bool vec_host_usable(void);
/* At most 15 bytes. After a fault the state is as the instruction left it. */
void vec_host_run(VecHost *host, const uint8_t *code, unsigned length, VecHostState *state);

#endif
