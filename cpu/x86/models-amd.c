/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models with AMD's or Hygon's name, and qemu64; rows as in models-intel.c.
 */
#include "cpu/x86/cpu-table.h"

const X86CpuModel x86_models_amd[] = {
    {
        .name = "athlon-v1",
        .vendor = VENDOR_AMD,
        .family = 6, .model = 2, .stepping = 3,
        .level = 2, .xlevel = 0x80000008,
        .model_id = "QEMU Virtual CPU version 2.5+",
        .adds = FEATURES(
            F_FPU, F_VME, F_DE, F_PSE, F_TSC, F_MSR, F_PAE, F_MCE, F_CX8, F_APIC, F_SEP, F_MTRR,
            F_PGE, F_MCA, F_CMOV, F_PAT, F_PSE36, F_MMX, F_FXSR, F_SSE, F_SSE2, F_HYPERVISOR,
            F_MMXEXT, F_3DNOWEXT, F_3DNOW),
    },
    {
        .name = "qemu64-v1",
        .vendor = VENDOR_AMD,
        .family = 15, .model = 107, .stepping = 1,
        .level = 0xd, .xlevel = 0x8000000a,
        .model_id = "QEMU Virtual CPU version 2.5+",
        .parent = "athlon-v1",
        .adds = FEATURES(
            F_CLFLUSH, F_PNI, F_CX16, F_SYSCALL, F_NX, F_LM, F_LAHF_LM, F_SVM),
        .removes = FEATURES(
            F_VME, F_MMXEXT, F_3DNOWEXT, F_3DNOW),
    },
    {
        .name = "phenom-v1",
        .vendor = VENDOR_AMD,
        .family = 16, .model = 2, .stepping = 3,
        .level = 5, .xlevel = 0x8000001a,
        .model_id = "AMD Phenom(tm) 9550 Quad-Core Processor",
        .parent = "qemu64-v1",
        .adds = FEATURES(
            F_VME, F_MONITOR, F_POPCNT, F_MMXEXT, F_FXSR_OPT, F_PDPE1GB, F_RDTSCP, F_3DNOWEXT,
            F_3DNOW, F_ABM, F_SSE4A, F_NPT),
    },
    {
        .name = "Opteron_G1-v1",
        .vendor = VENDOR_AMD,
        .family = 15, .model = 6, .stepping = 1,
        .level = 5, .xlevel = 0x80000008,
        .model_id = "AMD Opteron 240 (Gen 1 Class Opteron)",
        .parent = "qemu64-v1",
        .adds = FEATURES(
            F_VME),
        .removes = FEATURES(
            F_CX16, F_LAHF_LM, F_SVM),
    },
    {
        .name = "Opteron_G2-v1",
        .vendor = VENDOR_AMD,
        .family = 15, .model = 6, .stepping = 1,
        .level = 5, .xlevel = 0x80000008,
        .model_id = "AMD Opteron 22xx (Gen 2 Class Opteron)",
        .parent = "Opteron_G1-v1",
        .adds = FEATURES(
            F_CX16, F_LAHF_LM, F_SVM),
    },
    {
        .name = "Opteron_G3-v1",
        .vendor = VENDOR_AMD,
        .family = 16, .model = 2, .stepping = 3,
        .level = 5, .xlevel = 0x80000008,
        .model_id = "AMD Opteron 23xx (Gen 3 Class Opteron)",
        .parent = "Opteron_G2-v1",
        .adds = FEATURES(
            F_MONITOR, F_POPCNT, F_RDTSCP, F_ABM, F_SSE4A, F_MISALIGNSSE),
    },
    {
        .name = "Opteron_G4-v1",
        .vendor = VENDOR_AMD,
        .family = 21, .model = 1, .stepping = 2,
        .level = 0xd, .xlevel = 0x8000001a,
        .model_id = "AMD Opteron 62xx class CPU",
        .parent = "Opteron_G3-v1",
        .adds = FEATURES(
            F_PCLMULQDQ, F_SSSE3, F_SSE4_1, F_SSE4_2, F_AES, F_XSAVE, F_AVX, F_PDPE1GB,
            F_3DNOWPREFETCH, F_XOP, F_FMA4, F_NPT, F_NRIP_SAVE),
        .removes = FEATURES(
            F_MONITOR),
    },
    {
        .name = "Opteron_G5-v1",
        .vendor = VENDOR_AMD,
        .family = 21, .model = 2, .stepping = 0,
        .level = 0xd, .xlevel = 0x8000001a,
        .model_id = "AMD Opteron 63xx class CPU",
        .parent = "Opteron_G4-v1",
        .adds = FEATURES(
            F_FMA, F_F16C, F_TBM),
    },
    {
        .name = "EPYC-v1",
        .vendor = VENDOR_AMD,
        .family = 23, .model = 1, .stepping = 2,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "AMD EPYC Processor",
        .caches = &x86_caches_zen,
        .parent = "Opteron_G5-v1",
        .adds = FEATURES(
            F_MONITOR, F_MOVBE, F_RDRAND, F_FSGSBASE, F_BMI1, F_AVX2, F_SMEP, F_BMI2, F_RDSEED,
            F_ADX, F_SMAP, F_CLFLUSHOPT, F_SHA_NI, F_MMXEXT, F_FXSR_OPT, F_CR8LEGACY, F_OSVW,
            F_TOPOEXT, F_ARAT, F_XSAVEOPT, F_XSAVEC, F_XGETBV1),
        .removes = FEATURES(
            F_XOP, F_FMA4, F_TBM),
    },
    {
        .name = "EPYC-v2",
        .alias = "EPYC-IBPB",
        .vendor = VENDOR_AMD,
        .family = 23, .model = 1, .stepping = 2,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "AMD EPYC Processor (with IBPB)",
        .caches = &x86_caches_zen,
        .parent = "EPYC-v1",
        .adds = FEATURES(
            F_IBPB),
    },
    {
        .name = "EPYC-v3",
        .vendor = VENDOR_AMD,
        .family = 23, .model = 1, .stepping = 2,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "AMD EPYC Processor",
        .caches = &x86_caches_zen,
        .parent = "EPYC-v2",
        .adds = FEATURES(
            F_PERFCTR_CORE, F_CLZERO, F_XSAVEERPTR, F_XSAVES),
    },
    {
        .name = "Dhyana-v1",
        .vendor = VENDOR_HYGON,
        .family = 24, .model = 0, .stepping = 1,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "Hygon Dhyana Processor",
        .caches = &x86_caches_zen,
        .parent = "EPYC-v2",
        .removes = FEATURES(
            F_PCLMULQDQ, F_AES, F_SHA_NI),
    },
    {
        .name = "Dhyana-v2",
        .vendor = VENDOR_HYGON,
        .family = 24, .model = 0, .stepping = 1,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "Hygon Dhyana Processor",
        .caches = &x86_caches_zen,
        .parent = "Dhyana-v1",
        .adds = FEATURES(
            F_XSAVES),
    },
    {
        .name = "EPYC-Rome-v1",
        .vendor = VENDOR_AMD,
        .family = 23, .model = 49, .stepping = 0,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "AMD EPYC-Rome Processor",
        .caches = &x86_caches_zen2,
        .parent = "EPYC-v2",
        .adds = FEATURES(
            F_CLWB, F_UMIP, F_RDPID, F_PERFCTR_CORE, F_CLZERO, F_XSAVEERPTR, F_WBNOINVD,
            F_AMD_STIBP, F_XSAVES),
    },
    {
        .name = "EPYC-Rome-v2",
        .vendor = VENDOR_AMD,
        .family = 23, .model = 49, .stepping = 0,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "AMD EPYC-Rome Processor",
        .caches = &x86_caches_zen2,
        .parent = "EPYC-Rome-v1",
        .adds = FEATURES(
            F_IBRS, F_AMD_SSBD),
    },
    {
        .name = "EPYC-Milan-v1",
        .vendor = VENDOR_AMD,
        .family = 25, .model = 1, .stepping = 1,
        .level = 0xd, .xlevel = 0x8000001e,
        .model_id = "AMD EPYC-Milan Processor",
        .caches = &x86_caches_zen3,
        .parent = "EPYC-Rome-v2",
        .adds = FEATURES(
            F_PCID, F_ERMS, F_INVPCID, F_PKU, F_FSRM, F_SVME_ADDR_CHK),
    },
};

const unsigned x86_models_amd_count = G_N_ELEMENTS(x86_models_amd);
