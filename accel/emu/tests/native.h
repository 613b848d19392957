/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: run one instruction on the host's own processor with all of its user state, faults
 * included. x86-64 hosts with AVX2.
 */
#ifndef VIREO_ACCEL_EMU_TESTS_NATIVE_H
#define VIREO_ACCEL_EMU_TESTS_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The standard form of XSAVE with x87, SSE and AVX state (SDM vol. 1, 13.4). */
typedef struct NativeXsave {
    uint16_t fcw, fsw;
    uint8_t valid, pad0;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    struct {
        uint64_t significand;
        uint16_t sign_exponent, pad[3];
    } st[8];
    uint64_t xmm[16][2];
    uint8_t pad1[96];
    uint64_t header[8]; /* XSTATE_BV first */
    uint64_t ymm[16][2];
} NativeXsave;

typedef struct NativeState {
    uint64_t regs[16]; /* X86Reg order; RSP is not loaded */
    uint64_t rflags;
    unsigned trap;     /* vector of the fault, 0: none */
    uint64_t address;  /* of a page fault */
    NativeXsave fpu __attribute__((aligned(64)));
} NativeState;

typedef struct Native Native;

/* Can the host do it? */
bool native_usable(void);
/* Catches the signals of faults until freed. */
Native *native_new(void);
void native_free(Native *native);
/* RIP and RSP are the test's. After a fault the state is as the fault's handler sees it. */
void native_run(Native *native, const uint8_t *code, size_t length, NativeState *state);

#endif
