/* SPDX-License-Identifier: Apache-2.0 */
/* One instruction on the host's own processor (x86-64), for comparison. */
#ifndef VIREO_ACCEL_EMU_TESTS_HOST_INSN_H
#define VIREO_ACCEL_EMU_TESTS_HOST_INSN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct HostState {
    uint64_t regs[16];
    uint64_t rflags;
    bool branched;  /* out: the instruction jumped to HOST_TAKEN bytes behind itself */
} HostState;

/* The displacement of branches. */
#define HOST_TAKEN 9

/* Once, before all. */
void host_insn_init(void);
/* 0: done, *state is what came out; else the signal that the instruction raised. */
int host_insn_run(HostState *state, const uint8_t *insn, unsigned len);

#endif
