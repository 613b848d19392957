/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a -cpu argument to the features that the guest sees: the model's row, the accelerator's
 * defaults, the user's words, then what depends on what, then what the accelerator lacks.
 */
#include "cpu/x86/cpu-internal.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"

#define DEFAULT_PHYS_BITS 40
/* CR3 and page-table entries end at bit 51 (SDM vol. 3, 4.1.4). */
#define MIN_PHYS_BITS 32
#define MAX_PHYS_BITS 52

/*
 * On whatever the model says, where the accelerator offers them: KVM's paravirtual interface, and
 * an x2APIC that is faster than the older one.
 */
static const uint16_t paravirtual_adds[] = {
    F_KVMCLOCK, F_KVMCLOCK2, F_KVM_NOPIODELAY, F_KVM_ASYNCPF, F_KVM_STEAL_TIME, F_KVM_PV_EOI,
    F_KVMCLOCK_STABLE_BIT, F_X2APIC, F_END,
};
/* On with the software CPU: saves guests from measuring the APIC timer on a busy host. */
static const uint16_t emu_adds[] = { F_TSC_DEADLINE, F_END };
/* Off unless asked for, but where no guest code runs: what accelerators do not emulate, and nested
   virtualization. */
static const uint16_t not_by_default[] = { F_ACPI, F_MONITOR, F_SVM, F_END };

/* Features that a guest sees without any help of the accelerator's CPUID. */
static const uint16_t always_supported[] = {
    F_MCE, F_MTRR, F_MCA, F_PAT, F_HYPERVISOR, F_ARAT, F_TOPOEXT, F_HT, F_KVM_HINT_DEDICATED, F_END,
};
/* SGX needs memory of its own kind, AMX more XSAVE area than a CPU's state here holds. */
static const uint16_t never_supported[] = {
    F_SGX, F_SGXLC, F_AMX_TILE, F_AMX_INT8, F_AMX_BF16, F_XFD, F_END,
};

/*
 * XSAVE state components (SDM vol. 1, 13.1) and the feature that brings each. x87 and SSE: XSAVE.
 */
static const struct {
    unsigned component;
    X86FeatureId feature;
    X86FeatureWord word;
} xsave_components[] = {
    { 0, F_XSAVE, X86_FEAT_XSAVE_XCR0_LO },    { 1, F_XSAVE, X86_FEAT_XSAVE_XCR0_LO },
    { 2, F_AVX, X86_FEAT_XSAVE_XCR0_LO },      { 3, F_MPX, X86_FEAT_XSAVE_XCR0_LO },
    { 4, F_MPX, X86_FEAT_XSAVE_XCR0_LO },      { 5, F_AVX512F, X86_FEAT_XSAVE_XCR0_LO },
    { 6, F_AVX512F, X86_FEAT_XSAVE_XCR0_LO },  { 7, F_AVX512F, X86_FEAT_XSAVE_XCR0_LO },
    { 9, F_PKU, X86_FEAT_XSAVE_XCR0_LO },      { 15, F_ARCH_LBR, X86_FEAT_XSAVE_XSS_LO },
    { 17, F_AMX_TILE, X86_FEAT_XSAVE_XCR0_LO }, { 18, F_AMX_TILE, X86_FEAT_XSAVE_XCR0_LO },
};

/* The lowest leaf number with which a word, or one feature, can be read. */
static const struct {
    X86FeatureWord word;
    uint64_t mask;
    uint32_t level;
} word_levels[] = {
    { X86_FEAT_1_EDX, ~0ULL, 1 },
    { X86_FEAT_1_ECX, ~0ULL, 1 },
    { X86_FEAT_1_ECX, 1ULL << (F_XSAVE & 63), 0xd },
    { X86_FEAT_6_EAX, ~0ULL, 6 },
    { X86_FEAT_7_0_EBX, ~0ULL, 7 },
    { X86_FEAT_7_0_ECX, ~0ULL, 7 },
    { X86_FEAT_7_0_EDX, ~0ULL, 7 },
    { X86_FEAT_7_1_EAX, ~0ULL, 7 },
    { X86_FEAT_XSAVE, ~0ULL, 0xd },
    { X86_FEAT_7_0_EBX, 1ULL << (F_INTEL_PT & 63), 0x14 },
    { X86_FEAT_7_0_EBX, 1ULL << (F_SGX & 63), 0x12 },
    { X86_FEAT_8000_0001_EDX, ~0ULL, 0x80000001 },
    { X86_FEAT_8000_0001_ECX, ~0ULL, 0x80000001 },
    { X86_FEAT_8000_0007_EDX, ~0ULL, 0x80000007 },
    { X86_FEAT_8000_0008_EBX, ~0ULL, 0x80000008 },
    { X86_FEAT_8000_0001_ECX, 1ULL << (F_SVM & 63), 0x8000000a },
    { X86_FEAT_8000_0001_ECX, 1ULL << (F_TOPOEXT & 63), 0x8000001e },
};

/* A property of an expanded config: the user's, or else what `automatic` says. */
static uint32_t chosen_level(const X86CpuConfig *config, X86CpuProp prop, uint32_t automatic)
{
    return config->props[prop] == X86_LEVEL_AUTO ? automatic : (uint32_t)config->props[prop];
}

void x86_cpu_adjust_levels(X86CpuConfig *config)
{
    uint32_t level = (uint32_t)config->props[P_MIN_LEVEL];
    uint32_t xlevel = (uint32_t)config->props[P_MIN_XLEVEL];

    for (size_t i = 0; i < G_N_ELEMENTS(word_levels); i++) {
        uint32_t *target = word_levels[i].level >> 31 ? &xlevel : &level;

        if (config->words[word_levels[i].word] & word_levels[i].mask) {
            *target = MAX(*target, word_levels[i].level);
        }
    }
    config->level_func7 =
        chosen_level(config, P_LEVEL_FUNC7, config->words[X86_FEAT_7_1_EAX] ? 1 : 0);
    config->level = chosen_level(config, P_LEVEL, level);
    config->xlevel = chosen_level(config, P_XLEVEL, xlevel);
}

static void apply_ids(uint64_t *words, const uint16_t *ids, bool set)
{
    for (; *ids != F_END; ids++) {
        uint64_t mask = x86_feature_mask((X86FeatureId)*ids);
        uint64_t *word = &words[x86_feature_word((X86FeatureId)*ids)];

        *word = set ? *word | mask : *word & ~mask;
    }
}

static uint64_t ids_in_word(const uint16_t *ids, X86FeatureWord word)
{
    uint64_t mask = 0;

    for (; *ids != F_END; ids++) {
        if (x86_feature_word((X86FeatureId)*ids) == word) {
            mask |= x86_feature_mask((X86FeatureId)*ids);
        }
    }
    return mask;
}

/* Defaults that nobody asked for by name are not missed where they are not offered. */
static void add_offered(X86CpuConfig *config, const uint16_t *ids, const X86AccelCaps *caps)
{
    for (; *ids != F_END; ids++) {
        X86FeatureWord word = x86_feature_word((X86FeatureId)*ids);

        config->words[word] |= x86_feature_mask((X86FeatureId)*ids) & x86_caps_word(caps, word);
    }
}

static uint64_t msr_caps(const X86AccelCaps *caps, const X86WordInfo *info)
{
    switch (info->function) {
    case 0x10a:
        return caps->arch_capabilities;
    case 0xcf:
        return caps->core_capability;
    case 0x345:
        return caps->perf_capabilities;
    default:
        return caps->vmx[info->function - 0x480];
    }
}

uint64_t x86_caps_word(const X86AccelCaps *caps, X86FeatureWord word)
{
    const X86WordInfo *info = x86_word_info(word);
    const X86CpuidEntry *leaf;
    uint64_t offered = 0;

    if (caps->everything) {
        return ~0ULL;
    }
    switch (info->kind) {
    case X86_WORD_CPUID:
        leaf = x86_find_leaf(caps->supported, MIN(caps->supported_count, X86_CPUID_MAX),
                             info->function, info->index);
        offered = leaf ? x86_entry_register(leaf, info->reg) : 0;
        break;
    case X86_WORD_MSR:
        offered = msr_caps(caps, info);
        break;
    case X86_WORD_VMX_CTLS:
        offered = msr_caps(caps, info) >> 32;
        break;
    case X86_WORD_SOFTWARE:
        return ~0ULL;
    }
    if (g_strcmp0(caps->name, "kvm") == 0) {
        offered |= ids_in_word(always_supported, word);
    }
    return offered & ~ids_in_word(never_supported, word);
}

static void read_vendor(const X86AccelCaps *caps, char vendor[13])
{
    const X86CpuidEntry *leaf = x86_find_leaf(caps->supported, caps->supported_count, 0, 0);

    if (leaf && !caps->everything) {
        memcpy(vendor, &leaf->ebx, 4);
        memcpy(vendor + 4, &leaf->edx, 4);
        memcpy(vendor + 8, &leaf->ecx, 4);
        vendor[12] = '\0';
    }
}

/* host and max: the identity of the processor below, as far as the accelerator tells it. */
static void copy_identity(X86CpuConfig *config, const X86AccelCaps *caps)
{
    unsigned count = caps->supported_count;
    const X86CpuidEntry *leaf = x86_find_leaf(caps->supported, count, 1, 0);

    if (leaf && !caps->everything) {
        unsigned base = (unsigned)extract64(leaf->eax, 8, 4);

        config->props[P_FAMILY] = base + (base == 15 ? extract64(leaf->eax, 20, 8) : 0);
        config->props[P_MODEL] = (int64_t)(extract64(leaf->eax, 4, 4) |
                                           extract64(leaf->eax, 16, 4) << 4);
        config->props[P_STEPPING] = (int64_t)extract64(leaf->eax, 0, 4);
    }
    leaf = x86_find_leaf(caps->supported, count, 0, 0);
    config->props[P_MIN_LEVEL] = leaf ? MIN(leaf->eax, 0x1f) : 0xd;
    leaf = x86_find_leaf(caps->supported, count, 0x80000000, 0);
    config->props[P_MIN_XLEVEL] = leaf && leaf->eax >> 31 ? MIN(leaf->eax, 0x80000021) : 0x80000008;
    for (unsigned i = 0; i < 3; i++) {
        leaf = x86_find_leaf(caps->supported, count, 0x80000002 + i, 0);
        if (leaf && !caps->everything) {
            memcpy(config->model_id + 16 * i, &leaf->eax, 4);
            memcpy(config->model_id + 16 * i + 4, &leaf->ebx, 4);
            memcpy(config->model_id + 16 * i + 8, &leaf->ecx, 4);
            memcpy(config->model_id + 16 * i + 12, &leaf->edx, 4);
        }
    }
    if (!config->model_id[0]) {
        g_strlcpy(config->model_id, "Virtual CPU", sizeof(config->model_id));
    }
}

static void set_identity(X86CpuConfig *config, const X86AccelCaps *caps)
{
    const X86CpuModel *model = config->model;

    g_strlcpy(config->vendor, model->vendor, sizeof(config->vendor));
    g_strlcpy(config->model_id, model->model_id ? model->model_id : "", sizeof(config->model_id));
    config->props[P_FAMILY] = model->family;
    config->props[P_MODEL] = model->model;
    config->props[P_STEPPING] = model->stepping;
    config->props[P_MIN_LEVEL] = model->level;
    config->props[P_MIN_XLEVEL] = model->xlevel;
    config->props[P_LEGACY_CACHE] = model->caches == NULL;
    if (x86_config_is_host(config)) {
        copy_identity(config, caps);
        config->props[P_HOST_PHYS_BITS] = true;
        config->props[P_PMU] = config->kvm;
    }
    /* Instructions differ between vendors (SYSENTER, SYSCALL), and KVM runs the host's. */
    if (config->kvm && model->kind != X86_MODEL_BASE) {
        read_vendor(caps, config->vendor);
    } else if (x86_config_is_host(config)) {
        g_strlcpy(config->vendor, VENDOR_AMD, sizeof(config->vendor));
        read_vendor(caps, config->vendor);
    }
}

static bool is_passed_on(const X86CpuidEntry *entry)
{
    static const uint32_t functions[] = { 2, 4, 0xa, 0xd, 0x14, 0x80000005, 0x80000006 };

    for (size_t i = 0; i < G_N_ELEMENTS(functions); i++) {
        if (entry->function == functions[i]) {
            return entry->function != 0xd || entry->index >= 2;
        }
    }
    return false;
}

X86CpuConfig *x86_cpu_config_for_model(const char *name, const X86AccelCaps *caps, GError **error)
{
    g_autoptr(X86CpuConfig) config = g_new0(X86CpuConfig, 1);

    config->refs = 1;
    g_strlcpy(config->name, name, sizeof(config->name));
    config->model = strlen(name) < sizeof(config->name) ? x86_model_find(name) : NULL;
    if (!config->model) {
        g_autofree const char **names = x86_model_names();

        error_setf(error, "unknown CPU model '%s'", config->name);
        error_append_nearest(error, config->name, names);
        return NULL;
    }
    config->kvm = g_strcmp0(caps->name, "kvm") == 0;
    config->paravirtual = config->kvm || g_strcmp0(caps->name, "emu") == 0;
    config->everything = caps->everything;
    for (int i = 0; i < P__MAX; i++) {
        config->props[i] = x86_prop_info((X86CpuProp)i)->initial;
    }
    g_strlcpy(config->hv_vendor, "Microsoft Hv", sizeof(config->hv_vendor));
    set_identity(config, caps);
    config->host_tsc_khz = caps->host_tsc_khz;
    for (unsigned i = 0; i < MIN(caps->supported_count, X86_CPUID_MAX) && !caps->everything; i++) {
        if (is_passed_on(&caps->supported[i]) && config->pass_count < X86_PASS_MAX) {
            config->pass[config->pass_count++] = caps->supported[i];
        }
    }
    return g_steal_pointer(&config);
}

static void base_words(X86CpuConfig *config, const X86AccelCaps *caps)
{
    if (!x86_config_is_host(config)) {
        if (config->model->kind == X86_MODEL_NAMED) {
            x86_model_words(config->model, config->words);
        }
        if (config->paravirtual && config->model->kind != X86_MODEL_BASE) {
            add_offered(config, paravirtual_adds, caps);
            if (!config->kvm) {
                add_offered(config, emu_adds, caps);
            }
        }
        if (!caps->everything && config->model->kind != X86_MODEL_BASE) {
            apply_ids(config->words, not_by_default, false);
        }
        return;
    }
    for (unsigned i = 0; i < X86_FEAT_HYPERV; i++) {
        uint64_t offered = x86_caps_word(caps, (X86FeatureWord)i);

        if (config->props[P_MIGRATABLE] || caps->everything) {
            offered &= x86_feature_named_bits((X86FeatureWord)i);
        }
        config->words[i] = offered;
    }
    config->words[X86_FEAT_KVM_HINTS] = 0;
    if (config->props[P_MIGRATABLE] && g_strcmp0(caps->name, "emu") != 0) {
        /* Its promise, a TSC of one rate for ever, holds on this host only; the software CPU's is
           the same everywhere. */
        config->words[X86_FEAT_8000_0007_EDX] &= ~x86_feature_mask(F_INVTSC);
    }
}

static void apply_dependencies(X86CpuConfig *config)
{
    size_t count;
    const X86FeatureDependency *rows = x86_feature_dependencies(&count);

    for (size_t i = 0; i < count; i++) {
        if (!x86_config_has(config, rows[i].needs)) {
            uint64_t lost = config->words[rows[i].word] & rows[i].mask;

            config->orphans[rows[i].word] |= lost & config->user_on[rows[i].word];
            config->words[rows[i].word] &= ~lost;
        }
    }
}

static void derive_xsave(X86CpuConfig *config)
{
    config->words[X86_FEAT_XSAVE_XCR0_LO] = 0;
    config->words[X86_FEAT_XSAVE_XCR0_HI] = 0;
    config->words[X86_FEAT_XSAVE_XSS_LO] = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(xsave_components); i++) {
        if (x86_config_has(config, xsave_components[i].feature)) {
            config->words[xsave_components[i].word] |= BIT_ULL(xsave_components[i].component);
        }
    }
    if (!x86_config_has(config, F_XSAVES)) {
        config->words[X86_FEAT_XSAVE_XSS_LO] = 0;
    }
}

static bool choose_phys_bits(X86CpuConfig *config, const X86AccelCaps *caps, GError **error)
{
    int64_t bits = config->props[P_PHYS_BITS];
    int64_t limit = config->props[P_HOST_PHYS_BITS_LIMIT];

    if (bits == 0 && config->props[P_HOST_PHYS_BITS]) {
        bits = caps->host_phys_bits;
        bits = limit ? MIN(bits, limit) : bits;
    }
    if (!x86_config_has(config, F_LM)) {
        if (config->props[P_PHYS_BITS]) {
            error_setf(error, "phys-bits cannot be chosen for a 32-bit CPU model");
            return false;
        }
        config->phys_bits = x86_config_has(config, F_PSE36) ? 36 : 32;
        return true;
    }
    if (bits != 0 && (bits < MIN_PHYS_BITS || bits > MAX_PHYS_BITS)) {
        error_setf(error, "phys-bits must be from %d to %d", MIN_PHYS_BITS, MAX_PHYS_BITS);
        return false;
    }
    config->phys_bits = (uint8_t)(bits ? bits : DEFAULT_PHYS_BITS);
    return true;
}

static void set_hyperv(X86CpuConfig *config, const X86AccelCaps *caps)
{
    uint64_t bits = config->props[P_HV_PASSTHROUGH] ? x86_hyperv_available(caps) : 0;

    for (unsigned i = 0; i <= X86_HV_TLBFLUSH_DIRECT; i++) {
        if (config->prop_set[P_HV_FEATURES_FIRST + i]) {
            bits = deposit64(bits, i, 1, (uint64_t)config->props[P_HV_FEATURES_FIRST + i]);
        }
    }
    if (config->props[P_HV_SPINLOCKS] != X86_SPINLOCKS_NEVER) {
        bits |= BIT_ULL(X86_HV_SPINLOCKS);
    }
    if (config->props[P_HV_NO_NONARCH_CORESHARING] == X86_ON) {
        bits |= BIT_ULL(X86_HV_NO_NONARCH_CORESHARING);
    }
    if (config->props[P_HV_ENFORCE_CPUID]) {
        bits |= BIT_ULL(X86_HV_ENFORCE_CPUID);
    }
    config->words[X86_FEAT_HYPERV] = bits;
    if (caps->hyperv_count) {
        const X86CpuidEntry *leaf = x86_find_leaf(caps->hyperv, caps->hyperv_count, 0x40000004, 0);

        config->hv_no_nonarch_host = leaf && (leaf->eax & BIT(18));
    }
}

bool x86_cpu_expand(X86CpuConfig *config, const X86AccelCaps *caps, GError **error)
{
    base_words(config, caps);
    for (unsigned i = 0; i < X86_FEAT_HYPERV; i++) {
        config->words[i] = (config->words[i] | config->user_on[i]) & ~config->user_off[i];
    }
    if (!config->props[P_KVM] || !config->paravirtual) {
        config->words[X86_FEAT_KVM] = 0;
        config->words[X86_FEAT_KVM_HINTS] = 0;
    }
    if (!config->props[P_PMU]) {
        config->words[X86_FEAT_1_ECX] &= ~x86_feature_mask(F_PDCM);
    }
    apply_dependencies(config);
    derive_xsave(config);
    x86_cpu_adjust_levels(config);
    set_hyperv(config, caps);
    return choose_phys_bits(config, caps, error);
}

void x86_cpu_filter(X86CpuConfig *config, const X86AccelCaps *caps)
{
    if (config->props[P_FORCE_FEATURES]) {
        return;
    }
    for (unsigned i = 0; i < X86_FEAT_HYPERV; i++) {
        uint64_t lacking = config->words[i] & ~x86_caps_word(caps, (X86FeatureWord)i);

        config->missing[i] = lacking;
        config->words[i] &= ~lacking;
    }
    /* The words behind a feature that is missing are not missing on top of it. */
    apply_dependencies(config);
    if (config->missing[X86_FEAT_1_ECX] & x86_feature_mask(F_VMX)) {
        for (unsigned i = X86_FEAT_VMX_PINBASED; i <= X86_FEAT_VMX_VMFUNC; i++) {
            config->missing[i] &= config->user_on[i];
        }
    }
    if (config->missing[X86_FEAT_8000_0001_ECX] & x86_feature_mask(F_SVM)) {
        config->missing[X86_FEAT_SVM] &= config->user_on[X86_FEAT_SVM];
    }
    config->missing[X86_FEAT_XSAVE_XCR0_LO] = 0;
    config->missing[X86_FEAT_XSAVE_XCR0_HI] = 0;
    config->missing[X86_FEAT_XSAVE_XSS_LO] = 0;
    derive_xsave(config);
    if (!caps->everything) {
        config->words[X86_FEAT_XSAVE_XCR0_LO] &= x86_caps_word(caps, X86_FEAT_XSAVE_XCR0_LO);
        config->words[X86_FEAT_XSAVE_XSS_LO] &= x86_caps_word(caps, X86_FEAT_XSAVE_XSS_LO);
    }
}

/* One line for each bit set in `words`: a warning, or names joined in *list. */
static void tell_each(const uint64_t words[X86_FEATURE_WORD__MAX], const char *format,
                      GString *list)
{
    for (unsigned word = 0; word < X86_FEATURE_WORD__MAX; word++) {
        for (uint64_t left = words[word]; left; left &= left - 1) {
            g_autofree char *text =
                x86_feature_describe((X86FeatureWord)word, (unsigned)__builtin_ctzll(left));

            if (list) {
                g_string_append_printf(list, "%s%s", list->len ? ", " : "", text);
            } else {
                g_autofree char *line = g_strconcat(format, text, NULL);

                warn_report("%s", line);
            }
        }
    }
}

static bool report_missing(const X86CpuConfig *config, const char *accel, GError **error)
{
    g_autofree char *lacks = g_strdup_printf("%s on this host cannot give the guest ", accel);

    if (config->props[P_ENFORCE]) {
        g_autoptr(GString) list = g_string_new(NULL);

        tell_each(config->orphans, NULL, list);
        if (list->len) {
            error_setf(error, "features that need others which are off: %s (enforce)", list->str);
            return false;
        }
        tell_each(config->missing, NULL, list);
        if (list->len) {
            error_setf(error, "%s%s (enforce)", lacks, list->str);
            return false;
        }
    } else if (config->props[P_CHECK]) {
        tell_each(config->orphans, "left out, because what it needs is off: ", NULL);
        tell_each(config->missing, lacks, NULL);
    }
    return true;
}

static bool check_tsc(X86CpuConfig *config, const X86AccelCaps *caps, GError **error)
{
    int64_t khz = config->props[P_TSC_FREQUENCY] / 1000;

    if (config->props[P_TSC_FREQUENCY] && khz == 0) {
        error_setf(error, "tsc-frequency is in Hz and must be at least 1000");
        return false;
    }
    return true;
}

X86CpuConfig *x86_cpu_config_new(const char *cpu_option, const X86AccelCaps *caps, GError **error)
{
    const char *comma = strchrnul(cpu_option, ',');
    g_autofree char *name = g_strndup(cpu_option, (gsize)(comma - cpu_option));
    g_autoptr(X86CpuConfig) config = x86_cpu_config_for_model(name, caps, error);

    if (!config || !x86_cpu_parse(config, *comma ? comma + 1 : "", error) ||
        !x86_cpu_expand(config, caps, error)) {
        return NULL;
    }
    if (config->model->kind == X86_MODEL_HOST && g_strcmp0(caps->name, "emu") == 0) {
        error_setf(error, "model 'host' needs -accel kvm; 'max' is the nearest without it");
        return NULL;
    }
    x86_cpu_filter(config, caps);
    if (!report_missing(config, caps->name, error) || !x86_hyperv_check(config, caps, error) ||
        !check_tsc(config, caps, error)) {
        return NULL;
    }
    return g_steal_pointer(&config);
}

X86CpuConfig *x86_cpu_config_ref(X86CpuConfig *config)
{
    __atomic_add_fetch(&config->refs, 1, __ATOMIC_RELAXED);
    return config;
}

void x86_cpu_config_unref(X86CpuConfig *config)
{
    if (config && __atomic_sub_fetch(&config->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        g_free(config);
    }
}

const char *x86_cpu_config_model_name(const X86CpuConfig *config)
{
    return config->name;
}

bool x86_cpu_config_has(const X86CpuConfig *config, X86FeatureWord word, unsigned bit)
{
    return (config->words[word] >> bit) & 1;
}

uint64_t x86_cpu_config_word(const X86CpuConfig *config, X86FeatureWord word)
{
    return config->words[word];
}

uint32_t x86_cpu_config_signature(const X86CpuConfig *config)
{
    uint32_t family = (uint32_t)config->props[P_FAMILY];
    uint32_t model = (uint32_t)config->props[P_MODEL];
    uint32_t extended = family > 15 ? family - 15 : 0;

    return extended << 20 | (model >> 4) << 16 | MIN(family, 15) << 8 | (model & 15) << 4 |
           (uint32_t)config->props[P_STEPPING];
}

uint8_t x86_cpu_config_phys_bits(const X86CpuConfig *config)
{
    return config->phys_bits;
}

uint32_t x86_cpu_config_tsc_khz(const X86CpuConfig *config)
{
    return (uint32_t)(config->props[P_TSC_FREQUENCY] / 1000);
}

bool x86_cpu_config_kvm_hidden(const X86CpuConfig *config)
{
    return !config->props[P_KVM];
}

bool x86_cpu_config_hyperv_enabled(const X86CpuConfig *config)
{
    return config->words[X86_FEAT_HYPERV] != 0;
}
