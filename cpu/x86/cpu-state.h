/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The architectural state of one x86-64 CPU, as Intel SDM vol. 1 and 3 define it, in host byte
 * order. Accelerators load it before running and store it when asked (accel.h: get_state,
 * set_state); reset, saved state, debuggers and `info registers` use nothing else.
 */
#ifndef VIREO_CPU_X86_CPU_STATE_H
#define VIREO_CPU_X86_CPU_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum X86Reg {
    X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
    X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
    X86_REG__MAX
} X86Reg;

/* In the encoding order of the instruction set. */
typedef enum X86SegReg {
    X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_LDTR, X86_TR, X86_SEG__MAX
} X86SegReg;

/* attr holds descriptor bits 40..55: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15;
   bit 16: unusable. limit is in bytes, already scaled. */
typedef struct X86Segment {
    uint64_t base;
    uint32_t limit;
    uint32_t attr;
    uint16_t selector;
} X86Segment;

typedef struct X86Table {
    uint64_t base;
    uint16_t limit;
} X86Table;

/* What an interruption left pending (SDM vol. 3, 6.9); mirrors what KVM_GET_VCPU_EVENTS can
   tell. */
typedef struct X86Events {
    bool exception_pending, exception_injected, exception_has_error;
    uint8_t exception_vector;
    uint32_t exception_error;
    bool exception_has_payload;
    uint64_t exception_payload;
    bool interrupt_injected, interrupt_soft;
    uint8_t interrupt_vector;
    uint8_t interrupt_shadow; /* bit 0: MOV SS, bit 1: STI */
    bool nmi_pending, nmi_injected, nmi_masked;
    bool smi_pending, in_smm, smm_inside_nmi, init_latched;
    bool triple_fault_pending;
    uint8_t sipi_vector;
} X86Events;

typedef enum X86MpState {
    X86_MP_RUNNABLE,
    X86_MP_WAIT_FOR_SIPI, /* an AP after reset */
    X86_MP_INIT_RECEIVED,
    X86_MP_HALTED,
    X86_MP_SIPI_RECEIVED,
} X86MpState;

#define X86_XSAVE_MAX 4096 /* legacy + header + AVX..AVX-512, PKRU; AMX is kept apart */
#define X86_MSR_MAX 512

typedef struct X86Msr {
    uint32_t index;
    uint64_t value;
} X86Msr;

typedef struct X86CpuState {
    uint64_t regs[X86_REG__MAX];
    uint64_t rip, rflags;
    X86Segment segs[X86_SEG__MAX];
    X86Table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
    uint64_t xcr0;
    bool pdptrs_valid; /* PAE paging: the loaded PDPTEs may differ from those in memory */
    uint64_t pdptrs[4];
    uint64_t dr[8]; /* 4 and 5 unused */
    uint8_t xsave[X86_XSAVE_MAX]; /* standard (non-compacted) XSAVE image */
    uint32_t xsave_size;
    X86Msr msrs[X86_MSR_MAX]; /* all MSRs of the accelerator's list, but EFER and APIC_BASE */
    uint32_t msr_count;
    X86Events events;
    X86MpState mp_state;
    uint8_t lapic[1024]; /* APIC register page, 16-byte strided, if the accelerator holds it */
} X86CpuState;

/* Power-up / RESET# state (SDM vol. 3, table 10-1): real mode at F000:FFF0. bsp: runs at once; else
   waits for SIPI. signature is CPUID.1:EAX, left in EDX. */
void x86_cpu_state_reset(X86CpuState *state, bool bsp, uint32_t apic_id, uint32_t signature);
/* INIT: as reset, but keeps what INIT keeps (SDM vol. 3, table 10-1): CR0.CD/NW, XMM, TSC, MSRs. */
void x86_cpu_state_init(X86CpuState *state, bool bsp);

/* The value of an MSR in the list; false if it is not there. */
bool x86_cpu_state_get_msr(const X86CpuState *state, uint32_t index, uint64_t *value);
/* Adds it if there is room; false if not. */
bool x86_cpu_state_set_msr(X86CpuState *state, uint32_t index, uint64_t value);

/* `info registers`: text, the caller's. */
char *x86_cpu_state_describe(const X86CpuState *state, unsigned cpu_index);

#endif
