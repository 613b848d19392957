/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of the model-specific registers that this program names: Intel SDM vol. 4, AMD APM vol. 2
 * appendix A, the Hyper-V top-level functional specification, and KVM's paravirtual interface.
 */
#ifndef VIREO_CPU_X86_MSR_H
#define VIREO_CPU_X86_MSR_H

enum {
    MSR_IA32_TSC = 0x10,
    MSR_IA32_PLATFORM_ID = 0x17,
    MSR_IA32_APIC_BASE = 0x1b,
    MSR_IA32_FEATURE_CONTROL = 0x3a,
    MSR_IA32_TSC_ADJUST = 0x3b,
    MSR_IA32_SPEC_CTRL = 0x48,
    MSR_IA32_BIOS_SIGN_ID = 0x8b,
    MSR_SMBASE = 0x9e,
    MSR_PLATFORM_INFO = 0xce,
    MSR_CORE_CAPABILITY = 0xcf,
    MSR_MTRR_CAP = 0xfe,
    MSR_ARCH_CAPABILITIES = 0x10a,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_MCG_CTL = 0x17b,
    MSR_IA32_MISC_ENABLE = 0x1a0,
    MSR_MTRR_PHYS_BASE0 = 0x200,
    MSR_MTRR_FIX64K_00000 = 0x250,
    MSR_MTRR_FIX16K_80000 = 0x258,
    MSR_MTRR_FIX16K_A0000 = 0x259,
    MSR_MTRR_FIX4K_C0000 = 0x268,
    MSR_MTRR_FIX4K_F8000 = 0x26f,
    MSR_IA32_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff,
    MSR_PERF_CAPABILITIES = 0x345,
    MSR_MC0_CTL = 0x400,
    MSR_VMX_BASIC = 0x480,
    MSR_VMX_LAST = 0x491,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC_FIRST = 0x800,
    MSR_X2APIC_LAST = 0x8ff,
    MSR_HYPERV_GUEST_OS_ID = 0x40000000,
    MSR_HYPERV_CRASH_P0 = 0x40000100,
    MSR_HYPERV_LAST = 0x400001ff,
};
/* Above INT_MAX, so no enumerators. */
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

#endif
