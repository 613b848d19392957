/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of a CPU and the grammar of -cpu: MODEL[,+FEATURE][,-FEATURE][,KEY=VALUE][,KEY]...
 * Settings apply in order; all +FEATURE after them, all -FEATURE last, as people's scripts expect.
 */
#include "cpu/x86/cpu-internal.h"

#include <errno.h>
#include <string.h>

#include "util/error.h"

#define MAX_OPTIONS 16384 /* every feature by name is a third of it */

#define FLAG(n, value) { .name = (n), .kind = X86_PROP_BOOL, .initial = (value) }
#define NUMBER(n, value, low, high)                                                                \
    { .name = (n), .kind = X86_PROP_NUMBER, .initial = (value), .min = (low), .max = (high) }
#define PER_CPU(n, value)                                                                          \
    { .name = (n), .kind = X86_PROP_NUMBER, .initial = (value), .min = -1, .max = UINT32_MAX,      \
      .per_cpu = true }
#define TEXT(n, longest) { .name = (n), .kind = X86_PROP_TEXT, .max = (longest) }
#define HV(bit) [P_HV_FEATURES_FIRST + (bit)]

static const X86PropInfo props[P__MAX] = {
    [P_FAMILY] = NUMBER("family", 0, 0, 0xff + 0xf),
    [P_MODEL] = NUMBER("model", 0, 0, 0xff),
    [P_STEPPING] = NUMBER("stepping", 0, 0, 0xf),
    [P_LEVEL] = NUMBER("level", X86_LEVEL_AUTO, 0, UINT32_MAX),
    [P_XLEVEL] = NUMBER("xlevel", X86_LEVEL_AUTO, 0, UINT32_MAX),
    [P_XLEVEL2] = NUMBER("xlevel2", X86_LEVEL_AUTO, 0, UINT32_MAX),
    [P_LEVEL_FUNC7] = NUMBER("level-func7", X86_LEVEL_AUTO, 0, UINT32_MAX),
    [P_MIN_LEVEL] = NUMBER("min-level", 0, 0, UINT32_MAX),
    [P_MIN_XLEVEL] = NUMBER("min-xlevel", 0, 0, UINT32_MAX),
    [P_MIN_XLEVEL2] = NUMBER("min-xlevel2", 0, 0, UINT32_MAX),
    [P_PHYS_BITS] = NUMBER("phys-bits", 0, 0, UINT32_MAX),
    [P_HOST_PHYS_BITS] = FLAG("host-phys-bits", 0),
    [P_HOST_PHYS_BITS_LIMIT] = NUMBER("host-phys-bits-limit", 0, 0, UINT8_MAX),
    [P_TSC_FREQUENCY] = { .name = "tsc-frequency", .kind = X86_PROP_FREQUENCY,
                          .max = 1000LL * UINT32_MAX },
    [P_KVM] = FLAG("kvm", 1),
    [P_PMU] = FLAG("pmu", 0),
    [P_L3_CACHE] = FLAG("l3-cache", 1),
    [P_LEGACY_CACHE] = FLAG("legacy-cache", 1),
    [P_HOST_CACHE_INFO] = { .name = "host-cache-info", .kind = X86_PROP_BOOL, .host_only = true },
    [P_MIGRATABLE] = { .name = "migratable", .kind = X86_PROP_BOOL, .initial = 1,
                       .host_only = true },
    [P_CHECK] = FLAG("check", 1),
    [P_ENFORCE] = FLAG("enforce", 0),
    [P_CPUID_0XB] = FLAG("cpuid-0xb", 1),
    [P_VMWARE_CPUID_FREQ] = FLAG("vmware-cpuid-freq", 1),
    [P_LMCE] = FLAG("lmce", 0),
    [P_UCODE_REV] = NUMBER("ucode-rev", 0, 0, INT64_MAX),
    [P_LBR_FMT] = NUMBER("lbr-fmt", -64, -64, 0x3f),
    [P_FORCE_FEATURES] = FLAG("x-force-features", 0),
    [P_VENDOR_CPUID_ONLY] = FLAG("x-vendor-cpuid-only", 1),
    [P_HV_SPINLOCKS] = NUMBER("hv-spinlocks", X86_SPINLOCKS_NEVER, 0, UINT32_MAX),
    [P_HV_PASSTHROUGH] = FLAG("hv-passthrough", 0),
    [P_HV_NO_NONARCH_CORESHARING] = { .name = "hv-no-nonarch-coresharing",
                                      .kind = X86_PROP_ON_OFF_AUTO },
    [P_HV_VERSION_BUILD] = NUMBER("hv-version-id-build", 14393, 0, UINT32_MAX),
    [P_HV_VERSION_MAJOR] = NUMBER("hv-version-id-major", 10, 0, UINT16_MAX),
    [P_HV_VERSION_MINOR] = NUMBER("hv-version-id-minor", 0, 0, UINT16_MAX),
    [P_HV_VERSION_SPACK] = NUMBER("hv-version-id-spack", 0, 0, UINT32_MAX),
    [P_HV_VERSION_SBRANCH] = NUMBER("hv-version-id-sbranch", 0, 0, UINT8_MAX),
    [P_HV_VERSION_SNUMBER] = NUMBER("hv-version-id-snumber", 0, 0, 0xffffff),
    [P_HV_MAX_VPS] = NUMBER("x-hv-max-vps", -1, -1, INT32_MAX),
    HV(X86_HV_RELAXED) = FLAG("hv-relaxed", 0),
    HV(X86_HV_VAPIC) = FLAG("hv-vapic", 0),
    HV(X86_HV_TIME) = FLAG("hv-time", 0),
    HV(X86_HV_CRASH) = FLAG("hv-crash", 0),
    HV(X86_HV_RESET) = FLAG("hv-reset", 0),
    HV(X86_HV_VPINDEX) = FLAG("hv-vpindex", 0),
    HV(X86_HV_RUNTIME) = FLAG("hv-runtime", 0),
    HV(X86_HV_SYNIC) = FLAG("hv-synic", 0),
    HV(X86_HV_STIMER) = FLAG("hv-stimer", 0),
    HV(X86_HV_FREQUENCIES) = FLAG("hv-frequencies", 0),
    HV(X86_HV_REENLIGHTENMENT) = FLAG("hv-reenlightenment", 0),
    HV(X86_HV_TLBFLUSH) = FLAG("hv-tlbflush", 0),
    HV(X86_HV_EVMCS) = FLAG("hv-evmcs", 0),
    HV(X86_HV_IPI) = FLAG("hv-ipi", 0),
    HV(X86_HV_STIMER_DIRECT) = FLAG("hv-stimer-direct", 0),
    HV(X86_HV_AVIC) = FLAG("hv-avic", 0),
    HV(X86_HV_SYNDBG) = FLAG("hv-syndbg", 0),
    HV(X86_HV_EMSR_BITMAP) = FLAG("hv-emsr-bitmap", 0),
    HV(X86_HV_XMM_INPUT) = FLAG("hv-xmm-input", 0),
    HV(X86_HV_TLBFLUSH_EXT) = FLAG("hv-tlbflush-ext", 0),
    HV(X86_HV_TLBFLUSH_DIRECT) = FLAG("hv-tlbflush-direct", 0),
    [P_HV_ENFORCE_CPUID] = FLAG("hv-enforce-cpuid", 0),
    /* Accepted because managers and old scripts say them; nothing here depends on them. */
    [P_FULL_CPUID_AUTO_LEVEL] = FLAG("full-cpuid-auto-level", 1),
    [P_FILL_MTRR_MASK] = FLAG("fill-mtrr-mask", 1),
    [P_TCG_CPUID] = FLAG("tcg-cpuid", 1),
    [P_KVM_NO_SMI_MIGRATION] = FLAG("kvm-no-smi-migration", 0),
    [P_KVM_PV_ENFORCE_CPUID] = FLAG("kvm-pv-enforce-cpuid", 0),
    [P_X_MIGRATE_SMI_COUNT] = FLAG("x-migrate-smi-count", 1),
    [P_X_INTEL_PT_AUTO_LEVEL] = FLAG("x-intel-pt-auto-level", 1),
    [P_X_HV_SYNIC_KVM_ONLY] = FLAG("x-hv-synic-kvm-only", 0),
    [P_START_POWERED_OFF] = { .name = "start-powered-off", .kind = X86_PROP_BOOL, .per_cpu = true },
    [P_APIC_ID] = PER_CPU("apic-id", UINT32_MAX),
    [P_NODE_ID] = PER_CPU("node-id", -1),
    [P_SOCKET_ID] = PER_CPU("socket-id", -1),
    [P_DIE_ID] = PER_CPU("die-id", -1),
    [P_CORE_ID] = PER_CPU("core-id", -1),
    [P_THREAD_ID] = PER_CPU("thread-id", -1),
    [P_VENDOR] = TEXT("vendor", 12),
    [P_MODEL_ID] = TEXT("model-id", 48),
    [P_HV_VENDOR_ID] = TEXT("hv-vendor-id", 12),
};

const X86PropInfo *x86_prop_info(X86CpuProp prop)
{
    return &props[prop];
}

static int find_prop(const X86CpuConfig *config, const char *key)
{
    static const char *const aliases[][2] = { { "hv-apicv", "hv-avic" },
                                              { "tsc-freq", "tsc-frequency" } };
    g_autofree char *name = g_strdelimit(g_strdup(key), "_", '-');

    for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++) {
        if (g_str_equal(name, aliases[i][0])) {
            g_free(name);
            name = g_strdup(aliases[i][1]);
        }
    }
    for (int i = 0; i < P__MAX; i++) {
        if (g_str_equal(props[i].name, name)) {
            return props[i].per_cpu || (props[i].host_only && !x86_config_is_host(config)) ? -1 : i;
        }
    }
    return -1;
}

static bool unknown_key(const X86CpuConfig *config, const char *key, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *shown = g_strndup(key, 64);
    size_t count;
    const X86FeatureInfo *features = x86_features(&count);

    for (size_t i = 0; i < count; i++) {
        g_ptr_array_add(names, (void *)features[i].name);
    }
    for (int i = 0; i < P__MAX; i++) {
        if (!props[i].per_cpu && (!props[i].host_only || x86_config_is_host(config))) {
            g_ptr_array_add(names, (void *)props[i].name);
        }
    }
    g_ptr_array_add(names, NULL);
    error_setf(error, "CPU model '%s' has no feature or property '%s'", config->name, shown);
    error_append_nearest(error, shown, (const char *const *)names->pdata);
    return false;
}

static bool set_feature(X86CpuConfig *config, const X86FeatureInfo *feature, bool on)
{
    size_t count;
    const X86FeatureInfo *all = x86_features(&count);

    /* A name may stand for two bits. */
    for (size_t i = 0; i < count; i++) {
        if (g_str_equal(all[i].name, feature->name)) {
            X86FeatureWord word = x86_feature_word(all[i].id);
            uint64_t mask = x86_feature_mask(all[i].id);

            config->user_on[word] = (config->user_on[word] & ~mask) | (on ? mask : 0);
            config->user_off[word] = (config->user_off[word] & ~mask) | (on ? 0 : mask);
        }
    }
    return true;
}

static bool parse_bool(const char *text, bool *value)
{
    static const char *const words[][2] = {
        { "off", "on" }, { "no", "yes" }, { "false", "true" }, { "n", "y" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        for (unsigned on = 0; on < 2; on++) {
            if (g_str_equal(text, words[i][on])) {
                *value = on;
                return true;
            }
        }
    }
    return false;
}

static bool set_number(X86CpuConfig *config, int prop, int64_t value, GError **error)
{
    const X86PropInfo *info = &props[prop];

    if (value < info->min || value > info->max) {
        error_setf(error, "%s must be from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, info->name,
                   info->min, info->max);
        return false;
    }
    config->props[prop] = value;
    config->prop_set[prop] = true;
    return true;
}

static bool parse_number(X86CpuConfig *config, int prop, const char *text, GError **error)
{
    static const struct {
        const char *suffix;
        int64_t factor;
    } suffixes[] = { { "", 1 },          { "K", 1000 },       { "k", 1000 },      { "M", 1000000 },
                     { "m", 1000000 },   { "G", 1000000000 }, { "g", 1000000000 } };
    const size_t allowed = props[prop].kind == X86_PROP_FREQUENCY ? G_N_ELEMENTS(suffixes) : 1;
    char *end = NULL;
    int64_t value, product;

    errno = 0;
    value = g_ascii_strtoll(text, &end, 0);
    if (end != text && errno == 0) {
        for (size_t i = 0; i < allowed; i++) {
            if (g_str_equal(end, suffixes[i].suffix) &&
                !__builtin_mul_overflow(value, suffixes[i].factor, &product)) {
                return set_number(config, prop, product, error);
            }
        }
    }
    error_setf(error, "%s: '%.40s' is not a number", props[prop].name, text);
    return false;
}

static bool set_text(X86CpuConfig *config, int prop, const char *text, GError **error)
{
    char *place = prop == P_VENDOR ? config->vendor
                                   : prop == P_MODEL_ID ? config->model_id : config->hv_vendor;

    if (prop == P_VENDOR && strlen(text) != 12) {
        error_setf(error, "vendor must be 12 characters, such as GenuineIntel");
        return false;
    }
    if (prop == P_HV_VENDOR_ID && strlen(text) > 12) {
        warn_report("hv-vendor-id: only the first 12 characters count");
    }
    g_strlcpy(place, text, (gsize)props[prop].max + 1);
    config->prop_set[prop] = true;
    return true;
}

static bool set_prop(X86CpuConfig *config, int prop, const char *text, GError **error)
{
    bool on;

    switch (props[prop].kind) {
    case X86_PROP_TEXT:
        return set_text(config, prop, text, error);
    case X86_PROP_NUMBER:
    case X86_PROP_FREQUENCY:
        return parse_number(config, prop, text, error);
    case X86_PROP_ON_OFF_AUTO:
        if (g_str_equal(text, "auto")) {
            config->props[prop] = X86_AUTO;
            return true;
        }
        break;
    case X86_PROP_BOOL:
        break;
    }
    if (!parse_bool(text, &on)) {
        error_setf(error, "%s: '%.40s' is neither on nor off%s", props[prop].name, text,
                   props[prop].kind == X86_PROP_ON_OFF_AUTO ? " nor auto" : "");
        return false;
    }
    config->props[prop] = on;
    config->prop_set[prop] = true;
    return true;
}

static bool set_key(X86CpuConfig *config, const char *key, const char *text, GError **error)
{
    const X86FeatureInfo *feature = x86_feature_find(key);
    int prop = feature ? -1 : find_prop(config, key);
    bool on;

    if (prop >= 0) {
        return set_prop(config, prop, text, error);
    }
    if (!feature) {
        return unknown_key(config, key, error);
    }
    if (!parse_bool(text, &on)) {
        error_setf(error, "CPU feature %s: '%.40s' is neither on nor off", feature->name, text);
        return false;
    }
    return set_feature(config, feature, on);
}

static bool parse_setting(X86CpuConfig *config, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    g_autofree char *key = equals ? g_strndup(word, (gsize)(equals - word)) : g_strdup(word);

    return set_key(config, key, equals ? equals + 1 : "on", error);
}

/* "+x" and "-x"; also of properties that are on or off, as old command lines have them. */
static bool parse_sign(X86CpuConfig *config, const char *word, GError **error)
{
    return set_key(config, word + 1, word[0] == '+' ? "on" : "off", error);
}

bool x86_cpu_parse(X86CpuConfig *config, const char *options, GError **error)
{
    static const char passes[] = { '=', '+', '-' };
    g_auto(GStrv) words = NULL;

    if (strnlen(options, MAX_OPTIONS + 1) > MAX_OPTIONS) {
        error_setf(error, "more than %d characters of CPU properties", MAX_OPTIONS);
        return false;
    }
    words = g_strsplit(options, ",", -1);
    for (size_t pass = 0; pass < G_N_ELEMENTS(passes); pass++) {
        for (char **word = words; *word; word++) {
            bool is_sign = **word == '+' || **word == '-';

            if (!**word || (passes[pass] == '=' ? is_sign : **word != passes[pass])) {
                continue;
            }
            if (is_sign ? !parse_sign(config, *word, error)
                        : !parse_setting(config, *word, error)) {
                return false;
            }
        }
    }
    return true;
}

bool x86_cpu_set_json(X86CpuConfig *config, const char *key, json_object *value, GError **error)
{
    /* Text, booleans and numbers all have the spelling that the command line uses. */
    const char *text = json_object_get_string(value);

    if (!text || json_object_is_type(value, json_type_object) ||
        json_object_is_type(value, json_type_array)) {
        error_setf(error, "property '%.64s' takes a single value", key);
        return false;
    }
    return set_key(config, key, text, error);
}
