/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models: which CPUID leaves and feature MSRs a guest sees. A model is a row of a const table
 * (family, model, stepping, vendor, feature words); -cpu MODEL,+feat,-feat,feat=on|off,key=value
 * edits a copy; the accelerator says what it can support; the result is an X86CpuConfig.
 */
#ifndef VIREO_CPU_X86_CPU_MODEL_H
#define VIREO_CPU_X86_CPU_MODEL_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct X86CpuidEntry {
    uint32_t function, index;
    bool has_index; /* the index is significant */
    uint32_t eax, ebx, ecx, edx;
} X86CpuidEntry;

#define X86_CPUID_MAX 128

/*
 * Groups of feature bits: CPUID registers and feature MSRs. The bits' names are in feature-list.h,
 * the places in features.c. VMX words hold what may be set to 1 (the high half of the control
 * MSRs).
 */
typedef enum X86FeatureWord {
    X86_FEAT_1_EDX, X86_FEAT_1_ECX, X86_FEAT_7_0_EBX, X86_FEAT_7_0_ECX, X86_FEAT_7_0_EDX,
    X86_FEAT_7_1_EAX, X86_FEAT_8000_0001_EDX, X86_FEAT_8000_0001_ECX, X86_FEAT_8000_0007_EDX,
    X86_FEAT_8000_0008_EBX, X86_FEAT_6_EAX, X86_FEAT_XSAVE, X86_FEAT_XSAVE_XCR0_LO,
    X86_FEAT_XSAVE_XCR0_HI, X86_FEAT_XSAVE_XSS_LO, X86_FEAT_SVM, X86_FEAT_KVM, X86_FEAT_KVM_HINTS,
    X86_FEAT_ARCH_CAPABILITIES, X86_FEAT_CORE_CAPABILITY, X86_FEAT_PERF_CAPABILITIES,
    X86_FEAT_14_0_ECX, X86_FEAT_12_0_EAX, X86_FEAT_12_0_EBX, X86_FEAT_12_1_EAX,
    X86_FEAT_C000_0001_EDX, X86_FEAT_VMX_PINBASED, X86_FEAT_VMX_PROCBASED, X86_FEAT_VMX_SECONDARY,
    X86_FEAT_VMX_EXIT, X86_FEAT_VMX_ENTRY, X86_FEAT_VMX_MISC, X86_FEAT_VMX_EPT_VPID,
    X86_FEAT_VMX_BASIC, X86_FEAT_VMX_VMFUNC, X86_FEAT_HYPERV,
    X86_FEATURE_WORD__MAX
} X86FeatureWord;

/* Bits of X86_FEAT_HYPERV: the hv-* enlightenments of Microsoft's top-level functional
   specification. */
typedef enum X86HypervBit {
    X86_HV_RELAXED, X86_HV_VAPIC, X86_HV_TIME, X86_HV_CRASH, X86_HV_RESET, X86_HV_VPINDEX,
    X86_HV_RUNTIME, X86_HV_SYNIC, X86_HV_STIMER, X86_HV_FREQUENCIES, X86_HV_REENLIGHTENMENT,
    X86_HV_TLBFLUSH, X86_HV_EVMCS, X86_HV_IPI, X86_HV_STIMER_DIRECT, X86_HV_AVIC,
    X86_HV_SYNDBG, X86_HV_EMSR_BITMAP, X86_HV_XMM_INPUT, X86_HV_TLBFLUSH_EXT,
    X86_HV_TLBFLUSH_DIRECT, X86_HV_SPINLOCKS, X86_HV_NO_NONARCH_CORESHARING,
    X86_HV_ENFORCE_CPUID, /* not a leaf: the accelerator refuses what CPUID does not show */
    X86_HV__MAX
} X86HypervBit;

/* What an accelerator offers; filled by accel->cpu_caps. */
typedef struct X86AccelCaps {
    X86CpuidEntry supported[X86_CPUID_MAX]; /* as KVM_GET_SUPPORTED_CPUID */
    unsigned supported_count;
    X86CpuidEntry hyperv[32];               /* as KVM_GET_SUPPORTED_HV_CPUID */
    unsigned hyperv_count;
    uint64_t arch_capabilities;
    uint64_t core_capability, perf_capabilities;
    uint64_t vmx[18];                       /* MSRs 0x480..0x491, if VMX can be nested */
    bool everything;                        /* nothing is filtered: no guest code runs (qtest) */
    bool has_tsc_scaling, has_x2apic_api, has_tsc_deadline;
    uint32_t host_tsc_khz;
    uint8_t host_phys_bits;
    const char *name;                       /* "kvm", "emu", "qtest" */
} X86AccelCaps;

typedef struct X86Topology {
    unsigned sockets, dies, cores, threads; /* per level below; >= 1 */
} X86Topology;

typedef struct X86CpuConfig X86CpuConfig;

/*
 * Parse the argument of -cpu and resolve it. Without enforce, features that the accelerator lacks
 * are dropped (with check: warned about); with enforce they are an error naming each one. Unknown
 * model or feature: an error with the nearest name.
 */
X86CpuConfig *x86_cpu_config_new(const char *cpu_option, const X86AccelCaps *caps, GError **error);
X86CpuConfig *x86_cpu_config_ref(X86CpuConfig *config);
void x86_cpu_config_unref(X86CpuConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X86CpuConfig, x86_cpu_config_unref)

const char *x86_cpu_config_model_name(const X86CpuConfig *config);
/* CPUID leaves for the CPU with this APIC id in this topology; returns how many were written. */
unsigned x86_cpu_config_cpuid(const X86CpuConfig *config, const X86Topology *topology,
                              uint32_t apic_id, unsigned cpu_index,
                              X86CpuidEntry out[X86_CPUID_MAX]);
bool x86_cpu_config_has(const X86CpuConfig *config, X86FeatureWord word, unsigned bit);
uint64_t x86_cpu_config_word(const X86CpuConfig *config, X86FeatureWord word);
uint32_t x86_cpu_config_signature(const X86CpuConfig *config); /* CPUID.1:EAX */
uint8_t x86_cpu_config_phys_bits(const X86CpuConfig *config);
uint32_t x86_cpu_config_tsc_khz(const X86CpuConfig *config);   /* 0: host's */
bool x86_cpu_config_kvm_hidden(const X86CpuConfig *config);    /* kvm=off */
bool x86_cpu_config_hyperv_enabled(const X86CpuConfig *config);

/* APIC id of a CPU index in this topology (SDM vol. 3, 9.9: power-of-two fields per level). */
uint32_t x86_apic_id(const X86Topology *topology, unsigned cpu_index);

/* query-cpu-definitions, query-cpu-model-expansion: JSON in QEMU's documented form. */
json_object *x86_cpu_definitions(const X86AccelCaps *caps);
json_object *x86_cpu_model_expansion(const char *type, json_object *model,
                                     const X86AccelCaps *caps, GError **error);
/* -cpu help */
char *x86_cpu_help(void);

#endif
