/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop and the delivery of exceptions and interrupts: what the parts of the software CPU
 * owe one another beyond handlers.
 */
#ifndef VIREO_ACCEL_EMU_EXEC_H
#define VIREO_ACCEL_EMU_EXEC_H

#include "accel/emu/emu.h"

/* AccelOps.vcpu_run. */
int emu_run(VCpu *vcpu);
/* Does an interrupt line want an instruction boundary, IF permitting? */
bool emu_lines_deliverable(const EmuCpu *cpu);

/* ---- exception.c ---- */

typedef enum EmuEventKind {
    EMU_EVENT_FAULT,     /* cpu->rip is the instruction's; RF is set in the frame */
    EMU_EVENT_TRAP,      /* #DB traps: cpu->rip is the next instruction's */
    EMU_EVENT_SOFT,      /* INT n, INT3, INTO: DPL of the gate is checked; rip is the next one's */
    EMU_EVENT_INT1,      /* as SOFT without the DPL check, EXT set */
    EMU_EVENT_EXTERNAL,  /* interrupts and NMI */
} EmuEventKind;

/*
 * Go through the IDT (or the real-mode table). Faults on the way become #DF or a triple fault, as
 * SDM vol. 3, table 6-5 says: the function may itself raise. On return cpu->rip is the handler's
 * first instruction and the mode is up to date.
 */
void emu_deliver(EmuCpu *cpu, unsigned vector, EmuEventKind kind, bool has_error, uint32_t error);
/*
 * cpu->fault became pending (emu_raise): deliver it, merging with the one that was being delivered.
 * cpu->rip is the faulting instruction's.
 */
void emu_deliver_fault(EmuCpu *cpu);
/*
 * Are events to be logged (-d int)? Not while the guest resets by triple faults again and again,
 * which emu_log_triple_fault() has said then.
 */
bool emu_log_events(const EmuCpu *cpu);
void emu_log_triple_fault(EmuCpu *cpu);
/* Nothing is being delivered, and the next fault is a first one. */
void emu_delivery_ends(EmuCpu *cpu);

/* ---- interrupt.c ---- */

/*
 * At an instruction boundary with attention set: INIT, SIPI, SMI, NMI, interrupts by priority, if
 * not masked; debug traps. True: state changed (look up anew).
 */
bool emu_take_interrupts(EmuCpu *cpu);
/* AccelOps.has_work. VM lock held. */
bool emu_has_work(VCpu *vcpu);

/* ---- smm.c ---- */
void emu_enter_smm(EmuCpu *cpu);

/* ---- requests of other threads (requests.c) ---- */

/* Serve cpu->requests: flush, invalidate, wait out an exclusive section. On its own thread. */
void emu_serve_requests(EmuCpu *cpu);
/* Ask one or all (cpu NULL) for something. Any thread. */
void emu_request(EmuCpu *cpu, uint32_t requests);
/*
 * Hold all other vCPUs out of guest code, for what cannot be done atomically. Nests not. While
 * waiting, serves the caller's own requests.
 */
void emu_exclusive_begin(EmuCpu *cpu);
void emu_exclusive_end(EmuCpu *cpu);
/*
 * Every EmuCpu that exists. fn must be short: CPUs come and go under the same lock. Any thread.
 */
void emu_cpus_foreach(void (*fn)(EmuCpu *cpu, void *opaque), void *opaque);
/*
 * A thread enters and leaves guest code (run loop; MMIO slow path leaves too while it may block),
 * which is an RCU read section. What the TLB led to may have gone while outside: entering serves
 * EMU_REQUEST_FLUSH_TLB once it is inside.
 */
void emu_guest_enter(EmuCpu *cpu);
void emu_guest_leave(EmuCpu *cpu);

/*
 * MemoryListener.grace: until all who are in a read section now have left it, CPUs in guest code
 * leave theirs every few milliseconds. VM lock held.
 */
void emu_grace_wanted(void);

/* ---- stats.c ---- */
/* AccelOps.describe_jit. */
char *emu_describe_jit(Accel *accel);

/* ---- state.c ---- */
bool emu_get_state(VCpu *vcpu, GError **error);
bool emu_set_state(VCpu *vcpu, GError **error);

#endif
