/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment registers, descriptors and transfers of control between segments (SDM vol. 3, chapters 3,
 * 5, 6, 7). Everything here may raise; nothing visible has changed then.
 */
#ifndef VIREO_ACCEL_EMU_SEGMENT_H
#define VIREO_ACCEL_EMU_SEGMENT_H

#include "accel/emu/exec.h"
#include "accel/emu/mem.h"

typedef struct EmuDescriptor {
    uint64_t raw;        /* the low eight bytes */
    uint64_t high;       /* the upper eight of a system descriptor in long mode, else 0 */
    uint64_t base;       /* 64-bit system descriptors: all 64 bits */
    uint32_t limit;      /* in bytes */
    uint32_t attr;       /* as X86Segment.attr */
    uint64_t address;    /* linear, of the descriptor */
    /* Gates. */
    uint16_t selector;
    uint64_t offset;
    uint8_t count;       /* parameters of a call gate; IST index of an IDT gate */
} EmuDescriptor;

/* Read the descriptor of a selector; `vector` with the selector as error code if it is outside. */
void emu_read_descriptor(EmuCpu *cpu, uint16_t selector, unsigned fault_vector,
                         EmuDescriptor *descriptor);
/* Same without raising; false if outside or null. (LAR, LSL, VERR, VERW.) Page faults raise. */
bool emu_try_descriptor(EmuCpu *cpu, uint16_t selector, EmuDescriptor *descriptor);
/* MOV, POP, LES...: load ES, SS, DS, FS or GS with all checks of the current mode. */
void emu_load_segment(EmuCpu *cpu, unsigned seg, uint16_t selector);
/* Real-mode and v8086 style: base = selector << 4. */
void emu_load_segment_real(EmuCpu *cpu, unsigned seg, uint16_t selector);

void emu_far_jump(EmuCpu *cpu, uint16_t selector, uint64_t offset, unsigned size);
void emu_far_call(EmuCpu *cpu, uint16_t selector, uint64_t offset, unsigned size);
void emu_far_return(EmuCpu *cpu, unsigned size, unsigned release);
void emu_iret(EmuCpu *cpu, unsigned size);

typedef enum EmuTaskCause {
    EMU_TASK_JUMP,
    EMU_TASK_CALL,
    EMU_TASK_IRET,
    EMU_TASK_EVENT,
} EmuTaskCause;

typedef struct EmuTaskSwitch {
    EmuTaskCause cause;
    uint16_t selector;      /* of the new TSS */
    EmuDescriptor tss;      /* checked: a present TSS that the cause may go to */
    uint64_t rip, rflags;   /* what the old task will resume with */
    bool has_error;         /* an event's error code goes on the new stack */
    uint32_t error;
} EmuTaskSwitch;

/* Hardware task switch (task.c). Faults behind its point of no return are the new task's. */
void emu_task_switch(EmuCpu *cpu, const EmuTaskSwitch *change);

/* SS:RSP and RSP fields of the current TSS for a privilege level. */
void emu_tss_stack(EmuCpu *cpu, unsigned level, uint16_t *ss, uint64_t *sp);
/* May CPL and IOPL, or the TSS's bitmap, use `size` ports from `port`? Raises #GP(0) if not. */
void emu_check_io(EmuCpu *cpu, uint16_t port, unsigned size);

#endif
