/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models with Intel's name, from the 486 to the Xeons and Atoms of 2020. Each row: identity,
 * then what it has more or less than its parent. Feature sets as guests of other VMMs know these
 * names, so that a guest's image keeps its CPU.
 */
#include "cpu/x86/cpu-table.h"

const X86CpuModel x86_models_intel[] = {
    {
        .name = "486-v1",
        .vendor = VENDOR_INTEL,
        .family = 4, .model = 8, .stepping = 0,
        .level = 1, .xlevel = 0,
        .adds = FEATURES(
            F_FPU, F_VME, F_PSE, F_HYPERVISOR),
    },
    {
        .name = "pentium-v1",
        .vendor = VENDOR_INTEL,
        .family = 5, .model = 4, .stepping = 3,
        .level = 1, .xlevel = 0,
        .parent = "486-v1",
        .adds = FEATURES(
            F_DE, F_TSC, F_MSR, F_MCE, F_CX8, F_APIC, F_MMX),
    },
    {
        .name = "pentium2-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 5, .stepping = 2,
        .level = 2, .xlevel = 0,
        .parent = "pentium-v1",
        .adds = FEATURES(
            F_PAE, F_SEP, F_MTRR, F_PGE, F_MCA, F_CMOV, F_PAT, F_PSE36, F_FXSR),
    },
    {
        .name = "pentium3-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 7, .stepping = 3,
        .level = 3, .xlevel = 0,
        .parent = "pentium2-v1",
        .adds = FEATURES(
            F_SSE),
    },
    {
        .name = "qemu32-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 6, .stepping = 3,
        .level = 4, .xlevel = 0x80000004,
        .model_id = "QEMU Virtual CPU version 2.5+",
        .parent = "pentium3-v1",
        .adds = FEATURES(
            F_SSE2, F_PNI),
        .removes = FEATURES(
            F_VME, F_MTRR, F_MCA, F_PSE36),
    },
    {
        .name = "kvm32-v1",
        .vendor = VENDOR_INTEL,
        .family = 15, .model = 6, .stepping = 1,
        .level = 5, .xlevel = 0x80000008,
        .model_id = "Common 32-bit KVM processor",
        .parent = "pentium3-v1",
        .adds = FEATURES(
            F_CLFLUSH, F_SSE2, F_PNI, F_VMX_INTR_EXIT, F_VMX_NMI_EXIT, F_VMX_VINTR_PENDING,
            F_VMX_TSC_OFFSET, F_VMX_HLT_EXIT, F_VMX_INVLPG_EXIT, F_VMX_MWAIT_EXIT,
            F_VMX_RDPMC_EXIT, F_VMX_RDTSC_EXIT, F_VMX_MOVDR_EXIT, F_VMX_IO_EXIT, F_VMX_IO_BITMAP,
            F_VMX_MSR_BITMAP, F_VMX_MONITOR_EXIT, F_VMX_PAUSE_EXIT, F_VMX_EXIT_ACK_INTR,
            F_VMX_ACTIVITY_HLT),
    },
    {
        .name = "coreduo-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 14, .stepping = 8,
        .level = 0xa, .xlevel = 0x80000008,
        .model_id = "Genuine Intel(R) CPU           T2600  @ 2.16GHz",
        .parent = "kvm32-v1",
        .adds = FEATURES(
            F_ACPI, F_SS, F_MONITOR, F_NX),
        .removes = FEATURES(
            F_PSE36),
    },
    {
        .name = "n270-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 28, .stepping = 2,
        .level = 0xa, .xlevel = 0x80000008,
        .model_id = "Intel(R) Atom(TM) CPU N270   @ 1.60GHz",
        .parent = "pentium3-v1",
        .adds = FEATURES(
            F_CLFLUSH, F_ACPI, F_SSE2, F_SS, F_PNI, F_MONITOR, F_SSSE3, F_MOVBE, F_NX, F_LAHF_LM),
        .removes = FEATURES(
            F_PSE36),
    },
    {
        .name = "core2duo-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 15, .stepping = 11,
        .level = 0xa, .xlevel = 0x80000008,
        .model_id = "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
        .parent = "coreduo-v1",
        .adds = FEATURES(
            F_PSE36, F_SSSE3, F_CX16, F_SYSCALL, F_LM, F_LAHF_LM, F_VMX_VNMI, F_VMX_CR8_LOAD_EXIT,
            F_VMX_CR8_STORE_EXIT, F_VMX_FLEXPRIORITY, F_VMX_VNMI_PENDING, F_VMX_SECONDARY_CTLS,
            F_VMX_APICV_XAPIC, F_VMX_ENTRY_IA32E_MODE, F_VMX_INS_OUTS),
    },
    {
        .name = "kvm64-v1",
        .vendor = VENDOR_INTEL,
        .family = 15, .model = 6, .stepping = 1,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Common KVM processor",
        .parent = "core2duo-v1",
        .removes = FEATURES(
            F_ACPI, F_SS, F_MONITOR, F_SSSE3, F_LAHF_LM, F_VMX_VNMI, F_VMX_VNMI_PENDING,
            F_VMX_MSR_BITMAP, F_VMX_SECONDARY_CTLS, F_VMX_APICV_XAPIC, F_VMX_INS_OUTS),
    },
    {
        .name = "Conroe-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 15, .stepping = 3,
        .level = 0xa, .xlevel = 0x80000008,
        .model_id = "Intel Celeron_4x0 (Conroe/Merom Class Core 2)",
        .parent = "core2duo-v1",
        .removes = FEATURES(
            F_ACPI, F_SS, F_MONITOR, F_CX16),
    },
    {
        .name = "Penryn-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 23, .stepping = 3,
        .level = 0xa, .xlevel = 0x80000008,
        .model_id = "Intel Core 2 Duo P9xxx (Penryn Class Core 2)",
        .parent = "Conroe-v1",
        .adds = FEATURES(
            F_CX16, F_SSE4_1, F_VMX_WBINVD_EXIT, F_VMX_EXIT_LOAD_PERF_GLOBAL_CTRL,
            F_VMX_ENTRY_LOAD_PERF_GLOBAL_CTRL),
    },
    {
        .name = "Nehalem-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 26, .stepping = 3,
        .level = 0xb, .xlevel = 0x80000008,
        .model_id = "Intel Core i7 9xx (Nehalem Class Core i7)",
        .parent = "Penryn-v1",
        .adds = FEATURES(
            F_SSE4_2, F_POPCNT, F_VMX_PREEMPTION_TIMER, F_VMX_CR3_LOAD_NOEXIT,
            F_VMX_CR3_STORE_NOEXIT, F_VMX_MTF, F_VMX_EPT, F_VMX_DESC_EXIT, F_VMX_APICV_X2APIC,
            F_VMX_VPID, F_VMX_EXIT_NOSAVE_DEBUGCTL, F_VMX_EXIT_SAVE_PAT, F_VMX_EXIT_LOAD_PAT,
            F_VMX_EXIT_SAVE_EFER, F_VMX_EXIT_LOAD_EFER, F_VMX_EXIT_SAVE_PREEMPTION_TIMER,
            F_VMX_ENTRY_NOLOAD_DEBUGCTL, F_VMX_ENTRY_LOAD_PAT, F_VMX_ENTRY_LOAD_EFER,
            F_VMX_EPT_EXECONLY, F_VMX_PAGE_WALK_4, F_VMX_EPT_2MB, F_VMX_EPT_1GB, F_VMX_INVEPT,
            F_VMX_INVEPT_SINGLE_CONTEXT, F_VMX_INVEPT_ALL_CONTEXT, F_VMX_INVVPID,
            F_VMX_INVVPID_SINGLE_ADDR, F_VMX_INVVPID_SINGLE_CONTEXT, F_VMX_INVVPID_ALL_CONTEXT,
            F_VMX_INVVPID_NOGLOBALS, F_VMX_TRUE_CTLS),
    },
    {
        .name = "Nehalem-v2",
        .alias = "Nehalem-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 26, .stepping = 3,
        .level = 0xb, .xlevel = 0x80000008,
        .model_id = "Intel Core i7 9xx (Nehalem Core i7, IBRS update)",
        .parent = "Nehalem-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "Westmere-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 44, .stepping = 1,
        .level = 0xb, .xlevel = 0x80000008,
        .model_id = "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
        .parent = "Nehalem-v1",
        .adds = FEATURES(
            F_PCLMULQDQ, F_AES, F_ARAT, F_VMX_UNRESTRICTED_GUEST, F_VMX_STORE_LMA),
    },
    {
        .name = "Westmere-v2",
        .alias = "Westmere-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 44, .stepping = 1,
        .level = 0xb, .xlevel = 0x80000008,
        .model_id = "Westmere E56xx/L56xx/X56xx (IBRS update)",
        .parent = "Westmere-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "SandyBridge-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 42, .stepping = 1,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon E312xx (Sandy Bridge)",
        .parent = "Westmere-v1",
        .adds = FEATURES(
            F_X2APIC, F_TSC_DEADLINE, F_XSAVE, F_AVX, F_RDTSCP, F_XSAVEOPT, F_VMX_RDTSCP_EXIT),
    },
    {
        .name = "SandyBridge-v2",
        .alias = "SandyBridge-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 42, .stepping = 1,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon E312xx (Sandy Bridge, IBRS update)",
        .parent = "SandyBridge-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "IvyBridge-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 58, .stepping = 9,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon E3-12xx v2 (Ivy Bridge)",
        .parent = "SandyBridge-v1",
        .adds = FEATURES(
            F_F16C, F_RDRAND, F_FSGSBASE, F_SMEP, F_ERMS, F_VMX_POSTED_INTR, F_VMX_APICV_REGISTER,
            F_VMX_APICV_VID, F_VMX_RDRAND_EXIT),
    },
    {
        .name = "IvyBridge-v2",
        .alias = "IvyBridge-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 58, .stepping = 9,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)",
        .parent = "IvyBridge-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "Haswell-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 60, .stepping = 4,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Haswell)",
        .parent = "IvyBridge-v1",
        .adds = FEATURES(
            F_FMA, F_PCID, F_MOVBE, F_BMI1, F_HLE, F_AVX2, F_BMI2, F_INVPCID, F_RTM, F_ABM,
            F_VMX_INVPCID_EXIT, F_VMX_VMFUNC, F_VMX_SHADOW_VMCS, F_VMX_VMWRITE_VMEXIT_FIELDS,
            F_VMX_EPTAD, F_VMX_EPTP_SWITCHING),
    },
    {
        .name = "Haswell-v2",
        .alias = "Haswell-noTSX",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 60, .stepping = 1,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Haswell, no TSX)",
        .parent = "Haswell-v1",
        .removes = FEATURES(
            F_HLE, F_RTM),
    },
    {
        .name = "Haswell-v3",
        .alias = "Haswell-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 60, .stepping = 4,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Haswell, IBRS)",
        .parent = "Haswell-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "Haswell-v4",
        .alias = "Haswell-noTSX-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 60, .stepping = 1,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Haswell, no TSX, IBRS)",
        .parent = "Haswell-v2",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "Broadwell-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 61, .stepping = 2,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Broadwell)",
        .parent = "Haswell-v1",
        .adds = FEATURES(
            F_RDSEED, F_ADX, F_SMAP, F_3DNOWPREFETCH, F_VMX_RDSEED_EXIT, F_VMX_PML),
    },
    {
        .name = "Broadwell-v2",
        .alias = "Broadwell-noTSX",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 61, .stepping = 2,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Broadwell, no TSX)",
        .parent = "Broadwell-v1",
        .removes = FEATURES(
            F_HLE, F_RTM),
    },
    {
        .name = "Broadwell-v3",
        .alias = "Broadwell-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 61, .stepping = 2,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Broadwell, IBRS)",
        .parent = "Broadwell-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "Broadwell-v4",
        .alias = "Broadwell-noTSX-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 61, .stepping = 2,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Broadwell, no TSX, IBRS)",
        .parent = "Broadwell-v2",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "Skylake-Client-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 94, .stepping = 3,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Skylake)",
        .parent = "Broadwell-v1",
        .adds = FEATURES(
            F_XSAVEC, F_XGETBV1),
        .removes = FEATURES(
            F_VMX_POSTED_INTR, F_VMX_APICV_X2APIC, F_VMX_APICV_REGISTER, F_VMX_APICV_VID),
    },
    {
        .name = "Skylake-Client-v2",
        .alias = "Skylake-Client-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 94, .stepping = 3,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Skylake, IBRS)",
        .parent = "Skylake-Client-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
    },
    {
        .name = "Skylake-Client-v3",
        .alias = "Skylake-Client-noTSX-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 94, .stepping = 3,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Skylake, IBRS, no TSX)",
        .parent = "Skylake-Client-v2",
        .removes = FEATURES(
            F_HLE, F_RTM),
    },
    {
        .name = "Skylake-Client-v4",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 94, .stepping = 3,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Core Processor (Skylake, IBRS, no TSX)",
        .parent = "Skylake-Client-v3",
        .adds = FEATURES(
            F_XSAVES, F_VMX_XSAVES),
    },
    {
        .name = "Skylake-Server-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 4,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Skylake)",
        .parent = "Skylake-Client-v1",
        .adds = FEATURES(
            F_AVX512F, F_AVX512DQ, F_CLFLUSHOPT, F_CLWB, F_AVX512CD, F_AVX512BW, F_AVX512VL,
            F_PKU, F_PDPE1GB, F_VMX_POSTED_INTR, F_VMX_APICV_X2APIC, F_VMX_APICV_REGISTER,
            F_VMX_APICV_VID),
        .removes = FEATURES(
            F_VMX_EPTP_SWITCHING),
    },
    {
        .name = "Skylake-Server-v2",
        .alias = "Skylake-Server-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 4,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Skylake, IBRS)",
        .parent = "Skylake-Server-v1",
        .adds = FEATURES(
            F_SPEC_CTRL),
        .removes = FEATURES(
            F_CLFLUSHOPT),
    },
    {
        .name = "Skylake-Server-v3",
        .alias = "Skylake-Server-noTSX-IBRS",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 4,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Skylake, IBRS, no TSX)",
        .parent = "Skylake-Server-v2",
        .removes = FEATURES(
            F_HLE, F_RTM),
    },
    {
        .name = "Skylake-Server-v4",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 4,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Skylake, IBRS, no TSX)",
        .parent = "Skylake-Server-v3",
        .adds = FEATURES(
            F_VMX_EPTP_SWITCHING),
    },
    {
        .name = "Skylake-Server-v5",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 4,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Skylake, IBRS, no TSX)",
        .parent = "Skylake-Server-v4",
        .adds = FEATURES(
            F_XSAVES, F_VMX_XSAVES),
    },
    {
        .name = "Cascadelake-Server-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 6,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Cascadelake)",
        .parent = "Skylake-Server-v2",
        .adds = FEATURES(
            F_CLFLUSHOPT, F_AVX512VNNI, F_SSBD),
    },
    {
        .name = "Cascadelake-Server-v2",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 6,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Cascadelake)",
        .parent = "Cascadelake-Server-v1",
        .adds = FEATURES(
            F_ARCH_CAPABILITIES, F_RDCTL_NO, F_IBRS_ALL, F_SKIP_L1DFL_VMENTRY, F_MDS_NO),
    },
    {
        .name = "Cascadelake-Server-v3",
        .alias = "Cascadelake-Server-noTSX",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 6,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Cascadelake)",
        .parent = "Cascadelake-Server-v2",
        .removes = FEATURES(
            F_HLE, F_RTM),
    },
    {
        .name = "Cascadelake-Server-v4",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 6,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Cascadelake)",
        .parent = "Cascadelake-Server-v3",
        .adds = FEATURES(
            F_VMX_EPTP_SWITCHING),
    },
    {
        .name = "Cascadelake-Server-v5",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 6,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Cascadelake)",
        .parent = "Cascadelake-Server-v4",
        .adds = FEATURES(
            F_XSAVES, F_VMX_XSAVES),
    },
    {
        .name = "Cooperlake-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 10,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Cooperlake)",
        .parent = "Cascadelake-Server-v2",
        .adds = FEATURES(
            F_STIBP, F_AVX512_BF16, F_PSCHANGE_MC_NO, F_TAA_NO, F_VMX_EPTP_SWITCHING),
    },
    {
        .name = "Cooperlake-v2",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 85, .stepping = 10,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Cooperlake)",
        .parent = "Cooperlake-v1",
        .adds = FEATURES(
            F_XSAVES, F_VMX_XSAVES),
    },
    {
        .name = "Icelake-Server-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 134, .stepping = 0,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Icelake)",
        .parent = "Cascadelake-Server-v1",
        .adds = FEATURES(
            F_AVX512VBMI, F_UMIP, F_AVX512VBMI2, F_GFNI, F_VAES, F_VPCLMULQDQ, F_AVX512BITALG,
            F_AVX512_VPOPCNTDQ, F_LA57, F_WBNOINVD),
        .removes = FEATURES(
            F_VMX_RDSEED_EXIT, F_VMX_PML),
    },
    {
        .name = "Icelake-Server-v2",
        .alias = "Icelake-Server-noTSX",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 134, .stepping = 0,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Icelake)",
        .parent = "Icelake-Server-v1",
        .removes = FEATURES(
            F_HLE, F_RTM),
    },
    {
        .name = "Icelake-Server-v3",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 134, .stepping = 0,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Icelake)",
        .parent = "Icelake-Server-v2",
        .adds = FEATURES(
            F_ARCH_CAPABILITIES, F_RDCTL_NO, F_IBRS_ALL, F_SKIP_L1DFL_VMENTRY, F_MDS_NO,
            F_PSCHANGE_MC_NO, F_TAA_NO),
    },
    {
        .name = "Icelake-Server-v4",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 106, .stepping = 0,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Icelake)",
        .parent = "Icelake-Server-v3",
        .adds = FEATURES(
            F_AVX512IFMA, F_SHA_NI, F_RDPID, F_FSRM, F_VMX_RDSEED_EXIT, F_VMX_PML,
            F_VMX_EPTP_SWITCHING),
    },
    {
        .name = "Icelake-Server-v5",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 106, .stepping = 0,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Icelake)",
        .parent = "Icelake-Server-v4",
        .adds = FEATURES(
            F_XSAVES, F_VMX_XSAVES),
    },
    {
        .name = "Icelake-Server-v6",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 106, .stepping = 0,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Processor (Icelake)",
        .parent = "Icelake-Server-v5",
        .adds = FEATURES(
            F_VMX_PAGE_WALK_5),
    },
    {
        .name = "Denverton-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 95, .stepping = 1,
        .level = 0x15, .xlevel = 0x80000008,
        .model_id = "Intel Atom Processor (Denverton)",
        .parent = "Broadwell-v4",
        .adds = FEATURES(
            F_MONITOR, F_MPX, F_CLFLUSHOPT, F_SHA_NI, F_ARCH_CAPABILITIES, F_SSBD, F_PDPE1GB,
            F_XSAVEC, F_XGETBV1, F_RDCTL_NO, F_SKIP_L1DFL_VMENTRY),
        .removes = FEATURES(
            F_FMA, F_PCID, F_AVX, F_F16C, F_BMI1, F_AVX2, F_BMI2, F_INVPCID, F_ADX, F_ABM,
            F_VMX_INVPCID_EXIT),
    },
    {
        .name = "Denverton-v2",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 95, .stepping = 1,
        .level = 0x15, .xlevel = 0x80000008,
        .model_id = "Intel Atom Processor (Denverton)",
        .parent = "Denverton-v1",
        .removes = FEATURES(
            F_MONITOR, F_MPX),
    },
    {
        .name = "Denverton-v3",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 95, .stepping = 1,
        .level = 0x15, .xlevel = 0x80000008,
        .model_id = "Intel Atom Processor (Denverton)",
        .parent = "Denverton-v2",
        .adds = FEATURES(
            F_XSAVES, F_VMX_XSAVES),
    },
    {
        .name = "Snowridge-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 134, .stepping = 1,
        .level = 0x1b, .xlevel = 0x80000008,
        .model_id = "Intel Atom Processor (SnowRidge)",
        .parent = "Denverton-v1",
        .adds = FEATURES(
            F_CLWB, F_UMIP, F_GFNI, F_CLDEMOTE, F_MOVDIRI, F_MOVDIR64B, F_CORE_CAPABILITY,
            F_SPLIT_LOCK_DETECT),
        .removes = FEATURES(
            F_RDCTL_NO, F_SKIP_L1DFL_VMENTRY),
    },
    {
        .name = "Snowridge-v2",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 134, .stepping = 1,
        .level = 0x1b, .xlevel = 0x80000008,
        .model_id = "Intel Atom Processor (Snowridge, no MPX)",
        .parent = "Snowridge-v1",
        .removes = FEATURES(
            F_MPX),
    },
    {
        .name = "Snowridge-v3",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 134, .stepping = 1,
        .level = 0x1b, .xlevel = 0x80000008,
        .model_id = "Intel Atom Processor (Snowridge, no MPX)",
        .parent = "Snowridge-v2",
        .adds = FEATURES(
            F_XSAVES, F_VMX_XSAVES),
    },
    {
        .name = "Snowridge-v4",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 134, .stepping = 1,
        .level = 0x1b, .xlevel = 0x80000008,
        .model_id = "Intel Atom Processor (Snowridge, no MPX)",
        .parent = "Snowridge-v3",
        .removes = FEATURES(
            F_CORE_CAPABILITY, F_SPLIT_LOCK_DETECT),
    },
    {
        .name = "KnightsMill-v1",
        .vendor = VENDOR_INTEL,
        .family = 6, .model = 133, .stepping = 0,
        .level = 0xd, .xlevel = 0x80000008,
        .model_id = "Intel Xeon Phi Processor (Knights Mill)",
        .parent = "n270-v1",
        .adds = FEATURES(
            F_PSE36, F_PCLMULQDQ, F_FMA, F_CX16, F_SSE4_1, F_SSE4_2, F_X2APIC, F_POPCNT,
            F_TSC_DEADLINE, F_AES, F_XSAVE, F_AVX, F_F16C, F_RDRAND, F_FSGSBASE, F_BMI1, F_AVX2,
            F_SMEP, F_BMI2, F_ERMS, F_AVX512F, F_RDSEED, F_ADX, F_AVX512PF, F_AVX512ER,
            F_AVX512CD, F_AVX512_VPOPCNTDQ, F_AVX512_4VNNIW, F_AVX512_4FMAPS, F_SYSCALL,
            F_PDPE1GB, F_RDTSCP, F_LM, F_ABM, F_3DNOWPREFETCH, F_ARAT, F_XSAVEOPT),
        .removes = FEATURES(
            F_ACPI, F_MONITOR),
    },
};

const unsigned x86_models_intel_count = G_N_ELEMENTS(x86_models_intel);
