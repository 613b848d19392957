/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software CPU: an x86-64 PC processor that needs nothing of the host's.
 *
 * Guest code is decoded once (decode.h) into blocks of EmuOps (block.h), cached by the physical
 * page that holds it, and run by threaded dispatch: each op's handler ends by calling the next
 * one's. Memory goes through two levels of software TLB (tlb.h). A handler that must raise an
 * exception calls emu_raise(): the thread jumps back to the run loop (exec.c), which delivers it;
 * until then nothing of the instruction may have become visible. On x86-64 hosts hot blocks become
 * host code (jit/), which works on the same EmuCpu and calls the same handlers for what it does not
 * translate.
 *
 * An EmuCpu belongs to its vCPU's thread. Other threads touch `attention`, `requests` and the TLB
 * (under tlb.lock) only.
 */
#ifndef VIREO_ACCEL_EMU_EMU_H
#define VIREO_ACCEL_EMU_EMU_H

#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "accel/accel.h"
#include "accel/emu/stats.h"
#include "accel/emu/tlb.h"
#include "cpu/x86/cpu-state.h"
#include "util/bits.h"

typedef struct EmuCpu EmuCpu;
typedef struct EmuOp EmuOp;
typedef struct EmuBlock EmuBlock;
typedef struct EmuBlockCache EmuBlockCache;
typedef struct EmuJit EmuJit;
typedef struct EmuCheck EmuCheck;

/* A handler runs one instruction and goes on to the next op (EMU_NEXT) or leaves the block. */
typedef void EmuOpFn(EmuCpu *cpu, const EmuOp *op);

/* ---- Registers ---- */

/* Pseudo registers behind the sixteen: address arithmetic indexes all of them alike. */
enum {
    EMU_REG_ZERO = 16,    /* always 0: no base, no index */
    EMU_REG_PAGE_RIP = 17, /* RIP - EmuOp.page_offset, for every instruction of the running block */
    EMU_REG_COUNT = 18,
};

typedef union EmuVec {
    uint8_t u8[32];
    int8_t s8[32];
    uint16_t u16[16];
    int16_t s16[16];
    uint32_t u32[8];
    int32_t s32[8];
    uint64_t u64[4];
    int64_t s64[4];
    float f32[8];
    double f64[4];
} __attribute__((aligned(16))) EmuVec;

/* An x87 register as FSTP m80 stores it; MMX registers are the significands. */
typedef struct EmuF80 {
    uint64_t significand;
    uint16_t sign_exponent;
    uint16_t pad[3];
} EmuF80;

typedef struct EmuFpu {
    EmuF80 fpr[8];   /* physical R0..R7; ST(i) is fpr[(top + i) & 7] */
    uint16_t fcw;
    uint16_t fsw;    /* without TOP: bits 11..13 are zero here */
    uint8_t top;
    uint8_t valid;   /* bit i: Ri is not empty (the abridged tag word of FXSAVE) */
    uint16_t fop;    /* last x87 opcode, 11 bits */
    uint64_t fip, fdp;
    uint16_t fcs, fds;
} EmuFpu;

/*
 * Everything that decides how bytes become ops, besides the bytes. Blocks of different modes are
 * different blocks.
 */
typedef enum EmuMode {
    EMU_MODE_CPL = 3u << 0,       /* 0..3 */
    EMU_MODE_CS64 = 1u << 2,      /* 64-bit code */
    EMU_MODE_CS32 = 1u << 3,      /* D bit: 32-bit default size */
    EMU_MODE_SS32 = 1u << 4,      /* B bit: ESP, else SP (neither in 64-bit code) */
    EMU_MODE_PROT = 1u << 5,      /* CR0.PE */
    EMU_MODE_VM86 = 1u << 6,
    EMU_MODE_LONG = 1u << 7,      /* EFER.LMA */
    /* ES, SS, DS (and CS for reads) have base 0, limit 4 GiB and are readable, and all but CS
       writable: no checks needed. Always set with CS64. */
    EMU_MODE_FLAT = 1u << 8,
    EMU_MODE_CR0_EM = 1u << 9,
    EMU_MODE_CR0_TS = 1u << 10,
    EMU_MODE_CR0_MP = 1u << 11,
    EMU_MODE_OSFXSR = 1u << 12,
    EMU_MODE_OSXSAVE = 1u << 13,
    EMU_MODE_AVX = 1u << 14,      /* CR4.OSXSAVE and XCR0[2:1] == 3: VEX is allowed */
    EMU_MODE_STEP = 1u << 15,     /* RFLAGS.TF, a debugger's step, armed breakpoints, checking: one
                                     op a block */
    EMU_MODE_SMM = 1u << 16,
    EMU_MODE_MXCSR_TRAP = 1u << 17, /* an SSE exception is unmasked: no host code */
    EMU_MODE_SMAP = 1u << 18,     /* supervisor data accesses to user pages fault (CR4.SMAP, !AC) */
    EMU_MODE_ALIGN = 1u << 19,    /* CR0.AM, RFLAGS.AC, CPL 3: unaligned data faults */
} EmuMode;

/* What other threads ask of a vCPU; bits of EmuCpu.requests. */
typedef enum EmuRequest {
    EMU_REQUEST_FLUSH_TLB = 1u << 0,    /* the memory map or the protection of pages changed */
    EMU_REQUEST_INVALIDATE = 1u << 1,   /* pages with code were written: drop their blocks */
    EMU_REQUEST_EXCLUSIVE = 1u << 2,    /* somebody wants all others out of guest code */
    EMU_REQUEST_GRACE = 1u << 3,        /* somebody waits for the end of RCU read sections */
} EmuRequest;

/* An exception on its way to delivery. */
typedef struct EmuFault {
    uint8_t vector;
    bool has_error;
    uint32_t error;
} EmuFault;

typedef enum EmuExit {
    EMU_EXIT_FAULT = 1, /* deliver cpu->fault at the start of cpu->op */
    EMU_EXIT_AGAIN,     /* look up a block anew */
    EMU_EXIT_LEAVE,     /* return from vcpu_run */
} EmuExit;

/*
 * The part up to `jit_stack_top` is the register file of translated code as well: it addresses it
 * relative to the stack pointer, so offsets stay below 128 where it matters. Order is by heat.
 */
struct EmuCpu {
    uint64_t regs[EMU_REG_COUNT];
    /* RIP at block boundaries. Inside a block see emu_op_rip(). */
    uint64_t rip;
    /* Not 0 but all ones: leave guest code at the next block boundary and look at irq lines,
       requests and exit_request. Set by any thread, cleared by the run loop. */
    uint32_t attention;
    uint32_t mode;          /* EmuMode bits */
    /* The instruction being run. NULL: none, and cpu->rip is whole at any time (delivery of
       interrupts, faults in the context of a new task). */
    const EmuOp *op;

    /* Lazy arithmetic flags: see flags.h. */
    uint64_t flag_result, flag_carry;
    /* Translated code's: the flags as LAHF and SETO AL leave AX, an indirect call's target, the
       jump table for this mode, the host's own MXCSR, and as a handler left it. */
    uint32_t host_flags, host_mxcsr, left_mxcsr;
    uint64_t jit_target;
    const void *jump_table;
    /* Translated code's stack (jit/stubs.c): the host's stack pointer before it, its own with
       nothing on it, its own while a handler runs, and where a callout goes on. */
    uint64_t host_stack, returns_base, returns, callout_back;
    /* Also: what selects an address's index of the first-level TLB, and what several accesses of
       the running block share (jit/memory.c). */
    uint64_t jit_page_mask;
    uint64_t jit_slots[4], jit_slot_linear[4];
    uint64_t rflags;        /* all but CF PF AF ZF SF OF, which are zero here; bit 1 is set */

    /* Not 0: an access by FS, GS outside 64-bit code has more to check than its page. Kept by
       emu_note_segment(). */
    uint32_t seg_closed[2];
    X86Segment segs[X86_SEG__MAX];
    EmuTlb tlb;
    EmuVec vec[16] __attribute__((aligned(32))); /* XMM, YMM */
    uint32_t mxcsr;
    EmuFpu fpu;

    X86Table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
    uint64_t pdptr[4];
    uint64_t dr[8];
    uint64_t smbase;

    /* Interruptibility. */
    bool nmi_masked;
    bool in_smm, nmi_masked_before_smm;
    uint8_t shadow;         /* EmuShadow bits: the next instruction boundary is not interruptible */
    bool halted;
    bool triple_fault;

    /* Private to exec.c: where emu_raise() jumps, the exception, nesting for double faults. */
    sigjmp_buf escape;
    EmuFault fault;
    bool in_pieces;         /* the running instruction has done a part that it will not repeat */
    int8_t delivering;      /* class of the exception being delivered, -1: none */
    bool delivering_ext;    /* it is not INT n's: selector error codes have EXT set */

    EmuBlock *block;        /* the running one; NULL while none of its ops is run */
    /*
     * The instruction at rip runs as a block of its own (EMU_MODE_STEP), as it writes over code
     * that follows it: set with EMU_EXIT_AGAIN by stores (mem.c) and kept in the mode by
     * emu_update_mode(); the run loop clears it, and updates the mode, after that block.
     */
    bool step_once;
    EmuBlockCache *blocks;
    EmuJit *jit;            /* NULL: interpret only */
    uint32_t jit_hot;       /* runs of a block by the interpreter before it is translated */
    EmuCheck *check;        /* NULL, or host code is compared with the interpreter (check.h) */

    uint32_t requests;      /* EmuRequest bits, atomic */
    bool in_guest;          /* between emu_guest_enter() and _leave(); atomic */
    VCpu *vcpu;
    EmuStats stats;
    struct EmuSystem *sys;  /* MSRs, CPUID, TSC: see system.h */
};

/* Reasons why the next instruction boundary takes no interrupt (EmuCpu.shadow). */
enum {
    EMU_SHADOW_STI = 1u << 0,    /* blocks maskable interrupts */
    EMU_SHADOW_MOV_SS = 1u << 1, /* blocks NMI, SMI and debug traps too */
};

static inline EmuCpu *emu_cpu(const VCpu *vcpu)
{
    return vcpu->accel_data;
}

static inline unsigned emu_cpl(const EmuCpu *cpu)
{
    return cpu->mode & EMU_MODE_CPL;
}

/*
 * Recompute cpu->mode after CR0, CR4, EFER, XCR0, RFLAGS.(TF VM AC), MXCSR masks, a segment
 * register or CPL changed; the handler must end its block. CPL is SS.DPL (attr bits 5, 6), as
 * hardware keeps it.
 */
void emu_update_mode(EmuCpu *cpu);
/* FS or GS has changed; emu_update_mode() does it as well. */
void emu_note_segment(EmuCpu *cpu, unsigned seg);

/* ---- Leaving a handler ---- */

/* Deliver a fault at the running instruction. Never returns; nothing was changed yet. */
G_NORETURN void emu_raise(EmuCpu *cpu, unsigned vector, uint32_t error);
/* For vectors without an error code. */
G_NORETURN void emu_raise_plain(EmuCpu *cpu, unsigned vector);
/*
 * Leave the block at once with EMU_EXIT_AGAIN or EMU_EXIT_LEAVE. The running instruction will begin
 * anew; one that is done sets cpu->rip behind itself and cpu->op to NULL first.
 */
G_NORETURN void emu_escape(EmuCpu *cpu, EmuExit how);

static inline void emu_set_attention(EmuCpu *cpu)
{
    __atomic_store_n(&cpu->attention, UINT32_MAX, __ATOMIC_SEQ_CST);
}

/* Exception vectors (SDM vol. 3, table 6-1). */
enum {
    X86_DE = 0, X86_DB = 1, X86_NMI = 2, X86_BP = 3, X86_OF = 4, X86_BR = 5, X86_UD = 6, X86_NM = 7,
    X86_DF = 8, X86_TS = 10, X86_NP = 11, X86_SS_FAULT = 12, X86_GP = 13, X86_PF = 14, X86_MF = 16,
    X86_AC = 17, X86_MC = 18, X86_XM = 19,
};

/* RFLAGS bits. */
enum {
    FLAG_CF = 1u << 0, FLAG_ONE = 1u << 1, FLAG_PF = 1u << 2, FLAG_AF = 1u << 4, FLAG_ZF = 1u << 6,
    FLAG_SF = 1u << 7, FLAG_TF = 1u << 8, FLAG_IF = 1u << 9, FLAG_DF = 1u << 10, FLAG_OF = 1u << 11,
    FLAG_IOPL = 3u << 12, FLAG_NT = 1u << 14, FLAG_RF = 1u << 16, FLAG_VM = 1u << 17,
    FLAG_AC = 1u << 18, FLAG_VIF = 1u << 19, FLAG_VIP = 1u << 20, FLAG_ID = 1u << 21,
    FLAG_ARITH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};

/* Control register and EFER bits. */
enum {
    CR0_PE = 1u << 0, CR0_MP = 1u << 1, CR0_EM = 1u << 2, CR0_TS = 1u << 3, CR0_ET = 1u << 4,
    CR0_NE = 1u << 5, CR0_WP = 1u << 16, CR0_AM = 1u << 18, CR0_NW = 1u << 29, CR0_CD = 1u << 30,
    CR4_VME = 1u << 0, CR4_PVI = 1u << 1, CR4_TSD = 1u << 2, CR4_DE = 1u << 3, CR4_PSE = 1u << 4,
    CR4_PAE = 1u << 5, CR4_MCE = 1u << 6, CR4_PGE = 1u << 7, CR4_PCE = 1u << 8,
    CR4_OSFXSR = 1u << 9, CR4_OSXMMEXCPT = 1u << 10, CR4_UMIP = 1u << 11, CR4_LA57 = 1u << 12,
    CR4_FSGSBASE = 1u << 16, CR4_PCIDE = 1u << 17, CR4_OSXSAVE = 1u << 18, CR4_SMEP = 1u << 20,
    CR4_SMAP = 1u << 21,
    EFER_SCE = 1u << 0, EFER_LME = 1u << 8, EFER_LMA = 1u << 10, EFER_NXE = 1u << 11,
};
#define CR0_PG (1u << 31)

/* Segment attributes as X86Segment.attr holds them. */
enum {
    SEG_ACCESSED = 1u << 0, SEG_WRITABLE = 1u << 1, SEG_READABLE_CODE = 1u << 1,
    SEG_EXPAND_DOWN = 1u << 2, SEG_CONFORMING = 1u << 2, SEG_CODE = 1u << 3, SEG_S = 1u << 4,
    SEG_DPL_SHIFT = 5, SEG_DPL = 3u << 5, SEG_P = 1u << 7, SEG_L = 1u << 13, SEG_DB = 1u << 14,
    SEG_G = 1u << 15, SEG_UNUSABLE = 1u << 16,
};

#endif
