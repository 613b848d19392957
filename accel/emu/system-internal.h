/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the system part of the software CPU keeps beside EmuCpu: MSRs, CPUID, the time stamp
 * counter, events that wait. For the files of that part alone; others use system.h.
 */
#ifndef VIREO_ACCEL_EMU_SYSTEM_INTERNAL_H
#define VIREO_ACCEL_EMU_SYSTEM_INTERNAL_H

#include "accel/emu/system.h"
#include "cpu/x86/features.h"

#define EMU_MTRR_VARIABLE 8
#define EMU_MTRR_FIXED 11
#define EMU_MCE_BANKS 10
#define EMU_RANDOM_WORDS 64

enum {
    DR6_HIT = 0xf, DR6_BD = 1u << 13, DR6_BS = 1u << 14, DR6_BT = 1u << 15,
    DR7_ENABLES = 0xff, DR7_GD = 1u << 13,
};
#define DR6_FIXED 0xffff0ff0u
#define DR7_FIXED 0x400u
#define DEBUGCTL_BTF 2u /* RFLAGS.TF traps branches alone (SDM vol. 3, 17.4.3) */

/* Registers that only RDMSR and WRMSR use. */
typedef struct EmuPlainMsrs {
    uint64_t pat;
    uint64_t mtrr_def_type, mtrr_fixed[EMU_MTRR_FIXED], mtrr_variable[2 * EMU_MTRR_VARIABLE];
    uint64_t misc_enable, spec_ctrl, debugctl;
    uint64_t mcg_status, mcg_ctl, mce_banks[4 * EMU_MCE_BANKS];
    uint64_t hwcr, syscfg, top_mem, top_mem2, nb_cfg, de_cfg, vm_hsave, virt_spec_ctrl;
    uint64_t iorr[4];
    uint64_t kvm_wall, kvm_time; /* kvmclock.c */
} EmuPlainMsrs;

struct EmuSystem {
    EmuMsrs msrs; /* first: emu_msrs() */
    EmuPlainMsrs plain;

    /* What -cpu made of the processor; constant. */
    X86CpuConfig *config;
    X86CpuidEntry cpuid[X86_CPUID_MAX];
    unsigned cpuid_count;
    uint32_t max_basic, max_extended;
    uint64_t features[X86_FEATURE_WORD__MAX];
    uint64_t physical_mask;
    uint64_t xcr0_allowed;
    bool amd;               /* and what that means: vendor.h */

    /* TSC = ticks of the virtual clock + offset. */
    uint64_t tsc_khz, tsc_offset, tsc_adjust, tsc_deadline;
    uint64_t tsc_told; /* what the last emu_get_state() said */

    /* Events. */
    bool wait_for_sipi;     /* as is cpu->halted then */
    bool left_guest;        /* emu_lock_vm() did; valid while it is locked */
    uint32_t debug_pending; /* DR6 bits of traps that the running instruction earned */
    bool debugger_pending;  /* it hit a debugger's watchpoint, VCpu.debug.hit_point */
    bool traced;            /* TF was set when it began */
    bool branched;          /* the last instruction that ran alone did not go on to the next one */
    unsigned pauses;        /* PAUSEs since the host was last asked to run others */
    X86Events injected;     /* from set_state: an exception or interrupt to deliver first */
    /* How many triple faults came shortly after another, and when the last was (monotonic). */
    unsigned triple_faults;
    int64_t triple_fault_us;
    uint64_t smm_pdptr[4];  /* of the interrupted program, while in SMM */

    uint64_t random[EMU_RANDOM_WORDS];
    unsigned random_left;
};

static inline bool emu_sys_has(const EmuSystem *sys, X86FeatureId id)
{
    return sys->features[x86_feature_word(id)] & x86_feature_mask(id);
}

static inline uint32_t emu_irq_lines(const EmuCpu *cpu)
{
    return __atomic_load_n(&cpu->vcpu->irq_lines, __ATOMIC_SEQ_CST);
}

/* cpuid.c */
bool emu_cpuid_init(EmuCpu *cpu);
/* Bytes that XSAVE needs for these components, standard form. */
unsigned emu_xsave_size(uint64_t components);

/* msr.c */

void emu_msrs_reset(EmuSystem *sys);
/* The MSRs of cpu->vcpu->state's list, without the checks that a guest's access meets. */
void emu_get_msr_list(EmuCpu *cpu, X86CpuState *state);
void emu_set_msr_list(EmuCpu *cpu, const X86CpuState *state);
/* IA32_APIC_BASE, with or without an APIC model. */
uint64_t emu_read_apic_base(EmuCpu *cpu);
/* EFER as a guest may set it: false: #GP. */
bool emu_write_efer(EmuCpu *cpu, uint64_t value);

/* control.c */

/* Bits of CR4 that this processor has. */
uint64_t emu_cr4_allowed(const EmuSystem *sys);
/* Is the combination one that MOV CR and RSM may make? */
bool emu_cr0_valid(const EmuCpu *cpu, uint64_t cr0);

/* tsc.c */

void emu_tsc_init(EmuCpu *cpu);
/* The guest's clock reads `value` from now on. */
void emu_write_tsc(EmuCpu *cpu, uint64_t value);
void emu_write_tsc_adjust(EmuCpu *cpu, uint64_t value);
void emu_write_tsc_deadline(EmuCpu *cpu, uint64_t value);
uint64_t emu_read_tsc_deadline(EmuCpu *cpu);
/* The TSC, and the virtual clock at that moment. */
uint64_t emu_read_tsc_at(const EmuCpu *cpu, uint64_t *ns);
/* set_state's: one counter for all CPUs, though they are set one after another. */
void emu_restore_tsc(EmuCpu *cpu, uint64_t value);

/* kvmclock.c */

/* MSR writes; false: #GP. */
bool emu_kvmclock_write_wall(EmuCpu *cpu, uint32_t index, uint64_t value);
bool emu_kvmclock_write_time(EmuCpu *cpu, uint32_t index, uint64_t value);
/* The guest set a TSC: tell it anew how clocks follow from them. */
void emu_kvmclock_tsc_changed(EmuCpu *cpu);
/* How to make ns of ticks; khz != 0. */
void emu_kvmclock_scale(uint64_t khz, uint32_t *multiplier, int8_t *shift);

/* interrupt.c */

/* The VM lock, taken outside of guest code. End with emu_unlock_vm(). True: it was not held. */
bool emu_lock_vm(EmuCpu *cpu);
void emu_unlock_vm(EmuCpu *cpu, bool taken);
/* After IF became set or a device model of this thread may have raised a line. */
void emu_check_lines(EmuCpu *cpu);

/* HLT and its end; vcpu->halted follows. Sets attention. */
void emu_set_halted(EmuCpu *cpu, bool halted);

/* What emu_take_interrupts() would do now. */
typedef enum EmuBoundaryEvent {
    EMU_TAKE_NOTHING, EMU_TAKE_SMI, EMU_TAKE_INIT, EMU_TAKE_SIPI, EMU_TAKE_NMI, EMU_TAKE_INTERRUPT,
} EmuBoundaryEvent;
EmuBoundaryEvent emu_next_event(const EmuCpu *cpu);

/* smm.c */
EmuOpFn emu_op_rsm;

/* debug.c */

/* DR7 or a debugger's points changed. */
void emu_debug_changed(EmuCpu *cpu);
/* DR7.GD: a MOV of a debug register is #DB. */
G_NORETURN void emu_debug_general_detect(EmuCpu *cpu);
/* A port access by the guest. */
void emu_debug_io_access(EmuCpu *cpu, uint16_t port, unsigned size);

#endif
