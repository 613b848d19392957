/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the software CPU that software configures: CPUID, MSRs, control and debug registers,
 * the time stamp counter.
 */
#ifndef VIREO_ACCEL_EMU_SYSTEM_H
#define VIREO_ACCEL_EMU_SYSTEM_H

#include "accel/emu/emu.h"

typedef struct EmuSystem EmuSystem;

EmuSystem *emu_system_new(EmuCpu *cpu);
void emu_system_free(EmuSystem *sys);

void emu_cpuid(EmuCpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* False: #GP(0). */
bool emu_read_msr(EmuCpu *cpu, uint32_t index, uint64_t *value);
bool emu_write_msr(EmuCpu *cpu, uint32_t index, uint64_t value);
uint64_t emu_read_tsc(EmuCpu *cpu);

/* MOV CRn with all checks, flushes and mode changes; raise #GP(0). */
void emu_write_cr0(EmuCpu *cpu, uint64_t value);
void emu_write_cr3(EmuCpu *cpu, uint64_t value);
void emu_write_cr4(EmuCpu *cpu, uint64_t value);
uint64_t emu_read_cr8(EmuCpu *cpu);
void emu_write_cr8(EmuCpu *cpu, uint64_t value);
bool emu_write_xcr0(EmuCpu *cpu, uint64_t value);
void emu_write_dr(EmuCpu *cpu, unsigned n, uint64_t value);

/* What emu can run, in the form of KVM_GET_SUPPORTED_CPUID (AccelOps.cpu_caps). */
bool emu_cpu_caps(Accel *accel, X86AccelCaps *caps, GError **error);

/* Breakpoints (debug.c). After a data access or before a fetch; set DR6 and pending traps. */
bool emu_debug_armed(const EmuCpu *cpu);

#endif
