/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native translation on x86-64 hosts: hot blocks become host code.
 *
 * Guest and host are of the same kind, so most instructions are copied: their registers renamed,
 * their memory operand replaced by the host address that an inline look into the first-level TLB
 * gives. Eleven guest registers live in host registers, the others and everything else in the
 * EmuCpu, which RBP points to (plus JIT_BIAS); RAX, RCX and RDX are scratch. The guest's arithmetic
 * flags are the host's: glue code uses only instructions that do not touch them. MXCSR is the
 * guest's.
 *
 * What is not copied, and every access that the TLB does not answer, is done by the instruction's
 * handler, with all state in the EmuCpu as if it had been interpreted: so faults are precise and
 * there is one implementation of each instruction.
 *
 * Translated blocks jump to their successors in the same page directly, and to others through a
 * table by linear address. All of it belongs to one vCPU and its thread.
 */
#ifndef VIREO_ACCEL_EMU_JIT_JIT_H
#define VIREO_ACCEL_EMU_JIT_JIT_H

#include "accel/emu/block.h"
#include "accel/emu/check.h"

/* Can this host run translated code (x86-64-v3)? */
bool emu_jit_supported(void);
/* NULL with error set if the host gives no executable memory. */
EmuJit *emu_jit_new(EmuCpu *cpu, size_t code_bytes, GError **error);
void emu_jit_free(EmuJit *jit);

/* Runs of a block by the interpreter before it is worth translating. */
#define EMU_JIT_HOT 24
#define EMU_CHECK_HOT 1 /* where host code is checked, not wanted for its speed */

/* Is block->code to be had? Translates a hot block at cpu->rip; false if it stays interpreted. */
bool emu_jit_translate(EmuCpu *cpu, EmuBlock *block);
/* The last translation found no room: flush all blocks and go on. */
bool emu_jit_full(const EmuCpu *cpu);
/*
 * Run a translated block and what follows until something needs the run loop; cpu->rip is whole
 * then. The next lookup's block should be offered to emu_jit_link().
 */
void emu_jit_run(EmuCpu *cpu, EmuBlock *block);
/* `next` was found at cpu->rip after emu_jit_run() left: lead there directly from now on. */
void emu_jit_link(EmuCpu *cpu, EmuBlock *next);
/* After emu_escape() out of translated code: what it still held in the host. */
void emu_jit_abandoned(EmuCpu *cpu);

/*
 * The checking mode (accel/emu/check.h). A difference stops the machine and sets
 * cpu->check->failed; so does not return.
 */
void emu_check_start(EmuCpu *cpu, EmuCheckMode mode);
/* As emu_jit_run(), but this block alone, as the interpreter does it. Compared or not. */
void emu_check_run(EmuCpu *cpu, EmuBlock *block);
/* After emu_escape() out of a block that was being checked. */
void emu_check_abandoned(EmuCpu *cpu);

/* A block is no longer valid: jumps to its code leave instead. */
void emu_jit_retire(EmuCpu *cpu, EmuBlock *block);
/* All blocks are gone. */
void emu_jit_flush(EmuCpu *cpu);
/* Linear addresses lead elsewhere. */
void emu_jit_forget_linear(EmuCpu *cpu);
void emu_jit_forget_local(EmuCpu *cpu);
/* One of them does that nobody looked up, but that calls may return to. */
void emu_jit_forget_returns(EmuCpu *cpu);
size_t emu_jit_bytes_used(const EmuJit *jit);

#endif
