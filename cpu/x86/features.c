/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constant tables behind features.h. Sources: Intel SDM vol. 2 (CPUID), vol. 3 appendix A and
 * vol. 4; AMD APM vol. 3 appendix E; KVM's cpuid.rst.
 */
#include "cpu/x86/features.h"

#include <string.h>

#include "util/bits.h"

static const X86FeatureInfo features[] = {
#define X86_FEATURE_ROW(word, bit, id, name) { name, F_##id },
    X86_FEATURES(X86_FEATURE_ROW)
#undef X86_FEATURE_ROW
};

enum { EAX, EBX, ECX, EDX };

#define LEAF(f, r) { .kind = X86_WORD_CPUID, .function = (f), .reg = (r) }
#define SUBLEAF(f, i, r)                                                                           \
    { .kind = X86_WORD_CPUID, .function = (f), .index = (i), .has_index = true, .reg = (r) }
#define MSR(n) { .kind = X86_WORD_MSR, .function = (n) }
#define CTLS(n) { .kind = X86_WORD_VMX_CTLS, .function = (n) }

static const X86WordInfo words[X86_FEATURE_WORD__MAX] = {
    [X86_FEAT_1_EDX] = LEAF(1, EDX),
    [X86_FEAT_1_ECX] = LEAF(1, ECX),
    [X86_FEAT_7_0_EBX] = SUBLEAF(7, 0, EBX),
    [X86_FEAT_7_0_ECX] = SUBLEAF(7, 0, ECX),
    [X86_FEAT_7_0_EDX] = SUBLEAF(7, 0, EDX),
    [X86_FEAT_7_1_EAX] = SUBLEAF(7, 1, EAX),
    [X86_FEAT_8000_0001_EDX] = LEAF(0x80000001, EDX),
    [X86_FEAT_8000_0001_ECX] = LEAF(0x80000001, ECX),
    [X86_FEAT_8000_0007_EDX] = LEAF(0x80000007, EDX),
    [X86_FEAT_8000_0008_EBX] = LEAF(0x80000008, EBX),
    [X86_FEAT_6_EAX] = LEAF(6, EAX),
    [X86_FEAT_XSAVE] = SUBLEAF(0xd, 1, EAX),
    [X86_FEAT_XSAVE_XCR0_LO] = SUBLEAF(0xd, 0, EAX),
    [X86_FEAT_XSAVE_XCR0_HI] = SUBLEAF(0xd, 0, EDX),
    [X86_FEAT_XSAVE_XSS_LO] = SUBLEAF(0xd, 1, ECX),
    [X86_FEAT_SVM] = LEAF(0x8000000a, EDX),
    [X86_FEAT_KVM] = LEAF(0x40000001, EAX),
    [X86_FEAT_KVM_HINTS] = LEAF(0x40000001, EDX),
    [X86_FEAT_ARCH_CAPABILITIES] = MSR(0x10a),
    [X86_FEAT_CORE_CAPABILITY] = MSR(0xcf),
    [X86_FEAT_PERF_CAPABILITIES] = MSR(0x345),
    [X86_FEAT_14_0_ECX] = SUBLEAF(0x14, 0, ECX),
    [X86_FEAT_12_0_EAX] = SUBLEAF(0x12, 0, EAX),
    [X86_FEAT_12_0_EBX] = SUBLEAF(0x12, 0, EBX),
    [X86_FEAT_12_1_EAX] = SUBLEAF(0x12, 1, EAX),
    [X86_FEAT_C000_0001_EDX] = LEAF(0xc0000001, EDX),
    [X86_FEAT_VMX_PINBASED] = CTLS(0x48d),
    [X86_FEAT_VMX_PROCBASED] = CTLS(0x48e),
    [X86_FEAT_VMX_SECONDARY] = CTLS(0x48b),
    [X86_FEAT_VMX_EXIT] = CTLS(0x48f),
    [X86_FEAT_VMX_ENTRY] = CTLS(0x490),
    [X86_FEAT_VMX_MISC] = MSR(0x485),
    [X86_FEAT_VMX_EPT_VPID] = MSR(0x48c),
    [X86_FEAT_VMX_BASIC] = MSR(0x480),
    [X86_FEAT_VMX_VMFUNC] = MSR(0x491),
    [X86_FEAT_HYPERV] = { .kind = X86_WORD_SOFTWARE },
};

static const X86FeatureAlias aliases[] = {
    { "cmp_legacy", "cmp-legacy" },
    { "ds_cpl", "ds-cpl" },
    { "ffxsr", "fxsr-opt" },
    { "fxsr_opt", "fxsr-opt" },
    { "i64", "lm" },
    { "kvm_asyncpf", "kvm-asyncpf" },
    { "kvm_asyncpf_int", "kvm-asyncpf-int" },
    { "kvm_mmu", "kvm-mmu" },
    { "kvm_nopiodelay", "kvm-nopiodelay" },
    { "kvm_poll_control", "kvm-poll-control" },
    { "kvm_pv_eoi", "kvm-pv-eoi" },
    { "kvm_pv_unhalt", "kvm-pv-unhalt" },
    { "kvm_steal_time", "kvm-steal-time" },
    { "lahf_lm", "lahf-lm" },
    { "nodeid_msr", "nodeid-msr" },
    { "nrip_save", "nrip-save" },
    { "pause_filter", "pause-filter" },
    { "pclmuldq", "pclmulqdq" },
    { "perfctr_core", "perfctr-core" },
    { "perfctr_nb", "perfctr-nb" },
    { "sse3", "pni" },
    { "sse4-1", "sse4.1" },
    { "sse4-2", "sse4.2" },
    { "sse4_1", "sse4.1" },
    { "sse4_2", "sse4.2" },
    { "svm_lock", "svm-lock" },
    { "tsc_adjust", "tsc-adjust" },
    { "tsc_scale", "tsc-scale" },
    { "vmcb_clean", "vmcb-clean" },
    { "xd", "nx" },
};

#define ALL (~0ULL)
#define B(id) (1ULL << ((id) & 63))
/* VMX secondary controls that stand alone with one feature. */
#define NEEDS(feature, dependent)                                                                  \
    { F_##feature, (X86FeatureWord)(F_##dependent >> 6), B(F_##dependent) }

#define AVX512_EBX                                                                                 \
    (B(F_AVX512DQ) | B(F_AVX512IFMA) | B(F_AVX512PF) | B(F_AVX512ER) | B(F_AVX512CD) |             \
     B(F_AVX512BW) | B(F_AVX512VL))
#define AVX512_ECX                                                                                 \
    (B(F_AVX512VBMI) | B(F_AVX512VBMI2) | B(F_AVX512VNNI) | B(F_AVX512BITALG) |                    \
     B(F_AVX512_VPOPCNTDQ))
#define AVX512_EDX                                                                                 \
    (B(F_AVX512_4VNNIW) | B(F_AVX512_4FMAPS) | B(F_AVX512_VP2INTERSECT) | B(F_AVX512_FP16))
#define EPT_BITS MASK_ULL(26, 0)
#define VPID_BITS MASK_ULL(43, 32)

/* In an order in which one pass is enough: what others need comes first. */
static const X86FeatureDependency dependencies[] = {
    /* Register state that XSAVE alone can save (SDM vol. 1, chapter 13). */
    NEEDS(XSAVE, AVX),
    NEEDS(XSAVE, MPX),
    NEEDS(XSAVE, PKU),
    { F_XSAVE, X86_FEAT_XSAVE, ALL },
    NEEDS(XSAVEC, XSAVES),
    /* SDM vol. 1, 14.3 and 15.3: what must be seen besides before an extension may be used. */
    NEEDS(AVX, FMA),
    NEEDS(AVX, F16C),
    NEEDS(AVX, AVX2),
    NEEDS(AVX, VAES),
    NEEDS(AVX, VPCLMULQDQ),
    NEEDS(AVX, FMA4),
    NEEDS(AVX, XOP),
    NEEDS(AVX2, AVX512F),
    NEEDS(AVX2, AVX_VNNI),
    { F_AVX512F, X86_FEAT_7_0_EBX, AVX512_EBX },
    { F_AVX512F, X86_FEAT_7_0_ECX, AVX512_ECX },
    { F_AVX512F, X86_FEAT_7_0_EDX, AVX512_EDX },
    NEEDS(AVX512F, AVX512_BF16),
    NEEDS(AMX_TILE, AMX_INT8),
    NEEDS(AMX_TILE, AMX_BF16),
    /* Words that only one feature makes readable. */
    { F_ARCH_CAPABILITIES, X86_FEAT_ARCH_CAPABILITIES, ALL },
    { F_CORE_CAPABILITY, X86_FEAT_CORE_CAPABILITY, ALL },
    { F_PDCM, X86_FEAT_PERF_CAPABILITIES, ALL },
    { F_INTEL_PT, X86_FEAT_14_0_ECX, ALL },
    { F_SGX, X86_FEAT_12_0_EAX, ALL },
    { F_SGX, X86_FEAT_12_0_EBX, ALL },
    { F_SGX, X86_FEAT_12_1_EAX, ALL },
    NEEDS(SGX, SGXLC),
    { F_SVM, X86_FEAT_SVM, ALL },
    /* SDM vol. 3, appendix A. */
    { F_VMX, X86_FEAT_VMX_PINBASED, ALL },
    { F_VMX, X86_FEAT_VMX_PROCBASED, ALL },
    { F_VMX, X86_FEAT_VMX_EXIT, ALL },
    { F_VMX, X86_FEAT_VMX_ENTRY, ALL },
    { F_VMX, X86_FEAT_VMX_MISC, ALL },
    { F_VMX, X86_FEAT_VMX_BASIC, ALL },
    NEEDS(LM, VMX_ENTRY_IA32E_MODE),
    NEEDS(MPX, VMX_EXIT_CLEAR_BNDCFGS),
    NEEDS(MPX, VMX_ENTRY_LOAD_BNDCFGS),
    { F_VMX_SECONDARY_CTLS, X86_FEAT_VMX_SECONDARY, ALL },
    NEEDS(XSAVES, VMX_XSAVES),
    NEEDS(RDTSCP, VMX_RDTSCP_EXIT),
    NEEDS(RDRAND, VMX_RDRAND_EXIT),
    NEEDS(RDSEED, VMX_RDSEED_EXIT),
    NEEDS(INVPCID, VMX_INVPCID_EXIT),
    NEEDS(VMX_EPT, VMX_UNRESTRICTED_GUEST),
    { F_VMX_EPT, X86_FEAT_VMX_EPT_VPID, EPT_BITS },
    { F_VMX_VPID, X86_FEAT_VMX_EPT_VPID, VPID_BITS },
    { F_VMX_VMFUNC, X86_FEAT_VMX_VMFUNC, ALL },
};

const X86FeatureInfo *x86_features(size_t *count)
{
    *count = G_N_ELEMENTS(features);
    return features;
}

const X86FeatureAlias *x86_feature_aliases(size_t *count)
{
    *count = G_N_ELEMENTS(aliases);
    return aliases;
}

const X86FeatureDependency *x86_feature_dependencies(size_t *count)
{
    *count = G_N_ELEMENTS(dependencies);
    return dependencies;
}

static bool same_name(const char *table, const char *typed)
{
    for (; *table && *typed; table++, typed++) {
        if (*table != *typed && !(*table == '-' && *typed == '_')) {
            return false;
        }
    }
    return *table == *typed;
}

const X86FeatureInfo *x86_feature_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++) {
        if (same_name(aliases[i].alias, name)) {
            name = aliases[i].name;
            break;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        if (same_name(features[i].name, name)) {
            return &features[i];
        }
    }
    return NULL;
}

const char *x86_feature_name(X86FeatureWord word, unsigned bit)
{
    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        if (features[i].id == (X86FeatureId)X86_FEATURE_ID(word, bit)) {
            return features[i].name;
        }
    }
    return NULL;
}

uint64_t x86_feature_named_bits(X86FeatureWord word)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        if (x86_feature_word(features[i].id) == word) {
            mask |= x86_feature_mask(features[i].id);
        }
    }
    return mask;
}

const X86WordInfo *x86_word_info(X86FeatureWord word)
{
    return &words[word];
}

char *x86_feature_describe(X86FeatureWord word, unsigned bit)
{
    static const char *const registers[] = { "EAX", "EBX", "ECX", "EDX" };
    const X86WordInfo *info = &words[word];
    const char *name = x86_feature_name(word, bit);
    const char *dot = name ? "." : "";

    if (!name) {
        name = "";
    }
    if (info->kind == X86_WORD_CPUID) {
        return g_strdup_printf("CPUID.%02XH:%s%s%s [bit %u]", info->function,
                               registers[info->reg], dot, name, bit);
    }
    return g_strdup_printf("MSR(%XH)%s%s [bit %u]", info->function, dot, name, bit);
}

uint32_t x86_entry_register(const X86CpuidEntry *entry, unsigned reg)
{
    const uint32_t values[4] = { entry->eax, entry->ebx, entry->ecx, entry->edx };

    return values[reg];
}

const X86CpuidEntry *x86_find_leaf(const X86CpuidEntry *entries, unsigned count, uint32_t function,
                                   uint32_t index)
{
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].function == function &&
            (!entries[i].has_index || entries[i].index == index)) {
            return &entries[i];
        }
    }
    return NULL;
}
