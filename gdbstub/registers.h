/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU's registers as GDB numbers them, and the target description that tells it (GDB manual,
 * appendix "Target Descriptions"): GDB's own names for what it must know, and a feature of ours for
 * system registers.
 */
#ifndef VIREO_GDBSTUB_REGISTERS_H
#define VIREO_GDBSTUB_REGISTERS_H

#include "accel/accel.h"

#define GDB_REGISTER_BYTES 16

typedef struct GdbRegister GdbRegister;

/* The registers of one kind of CPU; static. */
typedef struct GdbLayout {
    const char *architecture; /* GDB's name */
    const GdbRegister *registers;
    unsigned count;           /* without AVX registers if the CPU has none */
    bool avx;
} GdbLayout;

/*
 * i386 if the CPU has no long mode or runs with paging outside of it (a 32-bit system); else
 * x86-64, which CPUs become that are in firmware. Syncs state.
 */
GdbLayout gdb_layout_for(VCpu *cpu);
/* target.xml; the caller's. */
char *gdb_layout_describe(const GdbLayout *layout);

/* Numbers of the program counter, the stack pointer and the frame pointer. */
void gdb_layout_expedited(const GdbLayout *layout, unsigned numbers[3]);

/* Bytes of register n, little-endian, or 0 if there is none. */
unsigned gdb_register_read(const GdbLayout *layout, unsigned n, const X86CpuState *state,
                           uint8_t bytes[GDB_REGISTER_BYTES]);
unsigned gdb_register_size(const GdbLayout *layout, unsigned n);
/* False: this one cannot be written, or not so. */
bool gdb_register_write(const GdbLayout *layout, unsigned n, X86CpuState *state,
                        const uint8_t bytes[GDB_REGISTER_BYTES]);

#endif
