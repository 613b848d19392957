/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software CPUs for tests: on a few MiB of RAM at address 0, run by the test's thread. Their own
 * threads exist and stay idle. The test holds the VM lock from new to free.
 */
#ifndef VIREO_ACCEL_EMU_TESTS_EMU_HARNESS_H
#define VIREO_ACCEL_EMU_TESTS_EMU_HARNESS_H

#include "accel/emu/mem.h"
#include "memory/memory.h"

#define EMU_HARNESS_RAM (8 * MiB)
#define EMU_HARNESS_CPUS 4u
/* Where emu_harness_run() puts code, and the three page tables of EMU_HARNESS_LONG64. */
#define EMU_HARNESS_CODE 0x8000u
#define EMU_HARNESS_TABLES 0x5000u

typedef struct EmuHarness {
    MemoryRegion *ram;
    uint8_t *bytes;      /* of the RAM */
    X86CpuConfig *config;
    VCpu *vcpus[EMU_HARNESS_CPUS];
    EmuCpu *cpus[EMU_HARNESS_CPUS];
    unsigned count;
    EmuCpu *cpu;         /* the first */
} EmuHarness;

typedef enum EmuHarnessMode {
    EMU_HARNESS_REAL16,
    EMU_HARNESS_PROT16,  /* flat, CPL 0, no paging */
    EMU_HARNESS_PROT32,
    EMU_HARNESS_LONG64,  /* CPL 0; the first 8 MiB mapped to themselves, for users too */
    EMU_HARNESS_USER64,  /* the same at CPL 3 */
} EmuHarnessMode;

/* `model` as for -cpu; NULL: "max". */
EmuHarness *emu_harness_new(unsigned cpus, const char *model);
void emu_harness_free(EmuHarness *harness);

/* Segments, control registers, mode; flushes the TLB. General registers are left alone. */
void emu_harness_set_mode(EmuCpu *cpu, EmuHarnessMode mode);

/*
 * 64-bit code at CPL 0 with a stack at EMU_HARNESS_STACK, descriptors for its segments, and a
 * handler for one vector at EMU_HARNESS_HANDLER. For a CPU in EMU_HARNESS_LONG64.
 */
void emu_harness_set_handler(EmuHarness *harness, unsigned vector, const uint8_t *handler,
                             size_t len);
#define EMU_HARNESS_STACK 0x7000u
#define EMU_HARNESS_HANDLER 0x9000u

/*
 * Call fn in guest code. True: it returned. False: it raised; *fault says what (vector 0xff: it
 * left by emu_escape()).
 */
bool emu_harness_try(EmuCpu *cpu, void (*fn)(EmuCpu *cpu, void *opaque), void *opaque,
                     EmuFault *fault);
/*
 * Run that many instructions of the code, one at a time. RIP (base 0) is where it stopped: behind
 * the last one, or at the one that raised.
 */
bool emu_harness_run(EmuHarness *harness, EmuCpu *cpu, const void *code, size_t len,
                     unsigned instructions, EmuFault *fault);
/* As the accelerator does, in blocks, until HLT or (false) a triple fault or 1000 turns. */
bool emu_harness_run_to_halt(EmuCpu *cpu);

#endif
