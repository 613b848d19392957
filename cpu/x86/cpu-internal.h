/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files that resolve a -cpu argument and answer from the result. A config is made in
 * steps: x86_cpu_parse (model and properties), x86_cpu_expand (features, levels), x86_cpu_filter
 * (what the accelerator lacks); it does not change afterwards.
 */
#ifndef VIREO_CPU_X86_CPU_INTERNAL_H
#define VIREO_CPU_X86_CPU_INTERNAL_H

#include "cpu/x86/cpu-table.h"

/* Properties of a CPU that are not features; the table is in cpu-props.c. */
typedef enum X86CpuProp {
    P_FAMILY, P_MODEL, P_STEPPING, P_LEVEL, P_XLEVEL, P_XLEVEL2, P_LEVEL_FUNC7, P_MIN_LEVEL,
    P_MIN_XLEVEL, P_MIN_XLEVEL2, P_PHYS_BITS, P_HOST_PHYS_BITS, P_HOST_PHYS_BITS_LIMIT,
    P_TSC_FREQUENCY, P_KVM, P_PMU, P_L3_CACHE, P_LEGACY_CACHE, P_HOST_CACHE_INFO, P_MIGRATABLE,
    P_CHECK, P_ENFORCE, P_CPUID_0XB, P_VMWARE_CPUID_FREQ, P_LMCE, P_UCODE_REV, P_LBR_FMT,
    P_FORCE_FEATURES, P_VENDOR_CPUID_ONLY, P_HV_SPINLOCKS, P_HV_PASSTHROUGH,
    P_HV_NO_NONARCH_CORESHARING, P_HV_VERSION_BUILD, P_HV_VERSION_MAJOR, P_HV_VERSION_MINOR,
    P_HV_VERSION_SPACK, P_HV_VERSION_SBRANCH, P_HV_VERSION_SNUMBER, P_HV_MAX_VPS,
    P_HV_FEATURES_FIRST, /* one per X86HypervBit up to X86_HV_TLBFLUSH_DIRECT */
    P_HV_FEATURES_LAST = P_HV_FEATURES_FIRST + X86_HV_TLBFLUSH_DIRECT,
    P_HV_ENFORCE_CPUID, P_FULL_CPUID_AUTO_LEVEL, P_FILL_MTRR_MASK, P_TCG_CPUID,
    P_KVM_NO_SMI_MIGRATION, P_KVM_PV_ENFORCE_CPUID, P_X_MIGRATE_SMI_COUNT,
    P_X_INTEL_PT_AUTO_LEVEL, P_X_HV_SYNIC_KVM_ONLY, P_START_POWERED_OFF, P_APIC_ID, P_NODE_ID,
    P_SOCKET_ID, P_DIE_ID, P_CORE_ID, P_THREAD_ID,
    P_VENDOR, P_MODEL_ID, P_HV_VENDOR_ID, /* text */
    P__MAX
} X86CpuProp;

typedef enum X86PropKind {
    X86_PROP_BOOL,
    X86_PROP_NUMBER,
    X86_PROP_FREQUENCY,   /* a number that may end in K, M, G: powers of 1000 */
    X86_PROP_ON_OFF_AUTO, /* 0, 1, 2 */
    X86_PROP_TEXT,
} X86PropKind;

typedef struct X86PropInfo {
    const char *name;
    X86PropKind kind;
    int64_t initial;
    int64_t min, max; /* of numbers; the longest text */
    bool host_only;   /* of host and max only */
    bool per_cpu;     /* the machine sets it: not in -cpu */
} X86PropInfo;

#define X86_LEVEL_AUTO UINT32_MAX
#define X86_SPINLOCKS_NEVER UINT32_MAX
enum { X86_OFF, X86_ON, X86_AUTO };

const X86PropInfo *x86_prop_info(X86CpuProp prop);

/* Leaves of the accelerator that a guest may see as they are: XSAVE components, caches, PT, PMU. */
#define X86_PASS_MAX 40

struct X86CpuConfig {
    int refs;
    const X86CpuModel *model;
    char name[64]; /* as the user said it */
    bool kvm;      /* the accelerator is KVM: instructions are the host's own */
    bool paravirtual; /* it has KVM's paravirtual interface */
    bool everything; /* the accelerator takes any feature */
    int64_t props[P__MAX];
    bool prop_set[P__MAX];
    char vendor[13], model_id[49], hv_vendor[13];
    uint64_t words[X86_FEATURE_WORD__MAX];
    uint64_t user_on[X86_FEATURE_WORD__MAX], user_off[X86_FEATURE_WORD__MAX];
    uint64_t orphans[X86_FEATURE_WORD__MAX]; /* asked for, but not what they depend on */
    uint64_t missing[X86_FEATURE_WORD__MAX]; /* asked for, but the accelerator lacks them */
    uint64_t arch_capabilities;
    uint32_t level, xlevel, level_func7;
    uint8_t phys_bits;
    uint32_t host_tsc_khz;
    bool hv_no_nonarch_host;
    X86CpuidEntry pass[X86_PASS_MAX];
    unsigned pass_count;
};

static inline bool x86_config_has(const X86CpuConfig *config, X86FeatureId id)
{
    return config->words[x86_feature_word(id)] & x86_feature_mask(id);
}
static inline bool x86_config_is_host(const X86CpuConfig *config)
{
    return config->model->kind == X86_MODEL_HOST || config->model->kind == X86_MODEL_MAX;
}
static inline bool x86_config_is_amd(const X86CpuConfig *config)
{
    return !g_strcmp0(config->vendor, VENDOR_AMD) || !g_strcmp0(config->vendor, VENDOR_HYGON);
}

/* A config with the model's identity and default properties. NULL: no such model. */
X86CpuConfig *x86_cpu_config_for_model(const char *name, const X86AccelCaps *caps, GError **error);
/* Parse "feat=on,+x,-y,key=value" into properties and user_on/user_off. */
bool x86_cpu_parse(X86CpuConfig *config, const char *options, GError **error);
/* One property or feature from JSON (query-cpu-model-expansion). */
bool x86_cpu_set_json(X86CpuConfig *config, const char *key, json_object *value, GError **error);
/* Settings that contradict one another are an error. */
bool x86_cpu_expand(X86CpuConfig *config, const X86AccelCaps *caps, GError **error);
/* Moves what the accelerator lacks from words to missing. */
void x86_cpu_filter(X86CpuConfig *config, const X86AccelCaps *caps);
/* What the accelerator can give of a word. */
uint64_t x86_caps_word(const X86AccelCaps *caps, X86FeatureWord word);
void x86_cpu_adjust_levels(X86CpuConfig *config);

/* Hyper-V: which hv-* another one needs, whether the host's KVM has all. */
bool x86_hyperv_check(const X86CpuConfig *config, const X86AccelCaps *caps, GError **error);
/* hv-passthrough: every enlightenment that caps show. */
uint64_t x86_hyperv_available(const X86AccelCaps *caps);
const char *x86_hyperv_name(X86HypervBit bit);
/* Leaves 0x40000000..; returns how many. out has room for 8. */
unsigned x86_hyperv_cpuid(const X86CpuConfig *config, X86CpuidEntry *out);

/* Cache leaf `index` of 4 or 0x8000001D, leaf 2, 0x80000005/6. */
void x86_cache_leaf4(const X86CpuConfig *config, const X86Topology *topology, unsigned index,
                     X86CpuidEntry *entry);
void x86_cache_leaf_1d(const X86CpuConfig *config, const X86Topology *topology, unsigned index,
                       X86CpuidEntry *entry);
void x86_cache_leaf2(const X86CpuConfig *config, X86CpuidEntry *entry);
void x86_cache_leaf5(const X86CpuConfig *config, X86CpuidEntry *entry);
void x86_cache_leaf6(const X86CpuConfig *config, X86CpuidEntry *entry);

/* Bits that hold the numbers 0..n-1. */
static inline unsigned x86_width_of(unsigned n)
{
    return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1);
}

#endif
