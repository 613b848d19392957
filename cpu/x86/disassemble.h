/* SPDX-License-Identifier: Apache-2.0 */
/* One instruction as text, for people: x/i, and where a CPU stopped. */
#ifndef VIREO_CPU_X86_DISASSEMBLE_H
#define VIREO_CPU_X86_DISASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Was this program built with a disassembler? */
bool x86_disassemble_available(void);
/*
 * The instruction at the start of code, in AT&T syntax; bits: 16, 32 or 64, what CS says. addr
 * gives branches their targets. *length: its bytes; 1 and NULL for what is no instruction. The text
 * is the caller's. Any thread.
 */
char *x86_disassemble(const uint8_t *code, size_t len, unsigned bits, uint64_t addr,
                      unsigned *length);

#endif
