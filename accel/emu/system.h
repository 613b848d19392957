/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the software CPU that software configures: CPUID, MSRs, control and debug registers,
 * the time stamp counter.
 */
#ifndef VIREO_ACCEL_EMU_SYSTEM_H
#define VIREO_ACCEL_EMU_SYSTEM_H

#include "accel/emu/emu.h"

typedef struct EmuSystem EmuSystem;

/* cpu->vcpu is set. */
EmuSystem *emu_system_new(EmuCpu *cpu);
void emu_system_free(EmuSystem *sys);

/* The MSRs that instructions use, as the guest last wrote them. The rest are msr.c's. */
typedef struct EmuMsrs {
    uint64_t star, lstar, cstar, sfmask;
    uint64_t kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t tsc_aux;
} EmuMsrs;

/* EmuSystem begins with them. */
static inline EmuMsrs *emu_msrs(const EmuCpu *cpu)
{
    return (EmuMsrs *)cpu->sys;
}

/* Bits that a physical address of this guest may have. */
uint64_t emu_physical_mask(const EmuCpu *cpu);

/* Is the address in 48 (CR4.LA57: 57) bits' canonical form? */
static inline bool emu_is_canonical(const EmuCpu *cpu, uint64_t address)
{
    unsigned unused = cpu->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

void emu_cpuid(EmuCpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* False: #GP(0). */
bool emu_read_msr(EmuCpu *cpu, uint32_t index, uint64_t *value);
bool emu_write_msr(EmuCpu *cpu, uint32_t index, uint64_t value);
uint64_t emu_read_tsc(EmuCpu *cpu);

/*
 * Replace the bits of `mask` in RFLAGS, arithmetic ones too; bit 1 stays. Recomputes the mode where
 * it depends on them and sees to interrupts that wait for IF: the handler must end its block if
 * mask has TF, IF, AC or VM. RF is dropped while no breakpoint is armed.
 */
void emu_write_rflags(EmuCpu *cpu, uint64_t value, uint64_t mask);
/* IRET's last step: NMIs may come again. */
void emu_unmask_nmi(EmuCpu *cpu);

/*
 * Port accesses of 1, 2 or 4 bytes; rights are checked already (emu_check_io). They may block on
 * the VM lock and raise nothing. A handler that made one ends its block, or looks at
 * cpu->attention.
 */
uint32_t emu_io_read(EmuCpu *cpu, uint16_t port, unsigned size);
void emu_io_write(EmuCpu *cpu, uint16_t port, uint32_t value, unsigned size);

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

/*
 * Breakpoints and single steps, the guest's and a debugger's (debug.c). While something is armed,
 * or TF is set, emu_update_mode() sets EMU_MODE_STEP; then the run loop calls emu_debug_before()
 * before each instruction and emu_debug_after() behind it. cpu->rip is whole at both. Both may
 * raise, deliver or leave by emu_escape().
 */
bool emu_debug_armed(const EmuCpu *cpu);
void emu_debug_before(EmuCpu *cpu);
void emu_debug_after(EmuCpu *cpu);
/*
 * The instruction at cpu->rip faulted. If a part of its work is done for good (EmuCpu.in_pieces),
 * traps that it has earned come first, and the fault when it goes on. False: there is none.
 */
bool emu_debug_trap_first(EmuCpu *cpu);
/* Exceptions, INT n and friends, SYSCALL: the instruction is not traced. */
void emu_debug_drop_step(EmuCpu *cpu);
/* May data at these addresses be watched? Such pages get no entry in the first-level TLB. */
bool emu_debug_watches_page(const EmuCpu *cpu, uint64_t linear);
/*
 * Before a data access with a debugger's watchpoints set: an instruction that will hit one begins
 * anew as a block of its own.
 */
void emu_debug_before_access(EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write);
/* After a data access in such a page: notes a hit, which emu_debug_after() turns into a trap. */
void emu_debug_data_access(EmuCpu *cpu, uint64_t linear, unsigned size, bool is_write);
/* INT3, before anything else: does not return if a debugger wrote it. */
void emu_debug_int3(EmuCpu *cpu);
/*
 * A block is to be found at a linear address, and not in EMU_MODE_STEP: in pages with breakpoints
 * of a debugger's all instructions run as blocks of their own. Does not return in such a page.
 */
void emu_debug_before_lookup(EmuCpu *cpu, uint64_t linear);
/* An exception has been delivered: that is a step. Does not return if a debugger steps. */
void emu_debug_delivered(EmuCpu *cpu);
/* An interrupt wants in while a debugger's step keeps interrupts out. */
void emu_debug_hold_interrupts(EmuCpu *cpu);
/* AccelOps.update_debug. */
bool emu_update_debug(VCpu *vcpu, GError **error);

#endif
