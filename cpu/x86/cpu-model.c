/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models that need no table of generations: host and max (all that the accelerator offers) and
 * qemu64 (the least that a 64-bit guest needs, the same on every host).
 */
#include "cpu/x86/cpu-model.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"

#define CPUID_1_EDX_HTT 28
#define CPUID_1_ECX_HYPERVISOR 31
#define KVM_LEAF 0x40000000u

/* Where a feature word stands in CPUID; reg is 0..3 for EAX..EDX. */
static const struct {
    X86FeatureWord word;
    uint32_t function, index;
    unsigned reg;
} word_places[] = {
    { X86_FEAT_1_EDX, 1, 0, 3 },
    { X86_FEAT_1_ECX, 1, 0, 2 },
    { X86_FEAT_7_0_EBX, 7, 0, 1 },
    { X86_FEAT_7_0_ECX, 7, 0, 2 },
    { X86_FEAT_7_0_EDX, 7, 0, 3 },
    { X86_FEAT_7_1_EAX, 7, 1, 0 },
    { X86_FEAT_8000_0001_EDX, 0x80000001, 0, 3 },
    { X86_FEAT_8000_0001_ECX, 0x80000001, 0, 2 },
    { X86_FEAT_8000_0007_EDX, 0x80000007, 0, 3 },
    { X86_FEAT_8000_0008_EBX, 0x80000008, 0, 1 },
    { X86_FEAT_6_EAX, 6, 0, 0 },
    { X86_FEAT_XSAVE, 0xd, 1, 0 },
    { X86_FEAT_XSAVE_XCR0_LO, 0xd, 0, 0 },
    { X86_FEAT_XSAVE_XCR0_HI, 0xd, 0, 3 },
    { X86_FEAT_XSAVE_XSS_LO, 0xd, 1, 2 },
    { X86_FEAT_KVM, KVM_LEAF | 1, 0, 0 },
};

typedef struct ModelInfo {
    const char *name;
    const char *description;
    bool everything; /* all that the accelerator offers, with the host's identity */
    char vendor[13];
    uint32_t signature;
    uint32_t level, xlevel;
    const char *model_id;
    uint32_t words[X86_FEATURE_WORD__MAX];
} ModelInfo;

static const ModelInfo models[] = {
    {
        .name = "host",
        .description = "the host's processor, as far as the accelerator can pass it on",
        .everything = true,
    },
    {
        .name = "max",
        .description = "everything that the accelerator can offer",
        .everything = true,
    },
    {
        .name = "qemu64",
        .description = "a plain 64-bit processor, the same on every host",
        .vendor = "AuthenticAMD",
        .signature = 0x00060fb1,
        .level = 0xd,
        .xlevel = 0x8000000a,
        .model_id = "QEMU Virtual CPU version 2.5+",
        .words = {
            /* fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr
               sse sse2 */
            [X86_FEAT_1_EDX] = 0x078bfbfd,
            /* sse3 cx16 x2apic hypervisor */
            [X86_FEAT_1_ECX] = BIT(0) | BIT(13) | BIT(21) | BIT(31),
            /* the bits shared with leaf 1, syscall nx lm */
            [X86_FEAT_8000_0001_EDX] = 0x0183f3fd | BIT(11) | BIT(20) | BIT(29),
            [X86_FEAT_8000_0001_ECX] = BIT(0),
            [X86_FEAT_KVM] = ~0u,
        },
    },
};

struct X86CpuConfig {
    int refs;
    const ModelInfo *model;
    X86CpuidEntry supported[X86_CPUID_MAX];
    unsigned supported_count;
    uint32_t words[X86_FEATURE_WORD__MAX];
    uint64_t arch_capabilities;
    uint8_t phys_bits;
    uint32_t tsc_khz;
    bool kvm_hidden, is_kvm;
};

static const X86CpuidEntry *find_leaf(const X86CpuidEntry *entries, unsigned count,
                                      uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].function == function &&
            (!entries[i].has_index || entries[i].index == index)) {
            return &entries[i];
        }
    }
    return NULL;
}

static uint32_t leaf_register(const X86CpuidEntry *entry, unsigned reg)
{
    const uint32_t values[4] = { entry->eax, entry->ebx, entry->ecx, entry->edx };

    return values[reg];
}

static void set_register(X86CpuidEntry *entry, unsigned reg, uint32_t value)
{
    uint32_t *values[4] = { &entry->eax, &entry->ebx, &entry->ecx, &entry->edx };

    *values[reg] = value;
}

static const ModelInfo *find_model(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(models) + 1] = { NULL };

    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        if (g_str_equal(models[i].name, name)) {
            return &models[i];
        }
        names[i] = models[i].name;
    }
    error_setf(error, "unknown CPU model '%s'", name);
    error_append_nearest(error, name, names);
    return NULL;
}

static bool parse_options(X86CpuConfig *config, char **words, GError **error)
{
    for (; *words; words++) {
        if (g_str_equal(*words, "kvm=off")) {
            config->kvm_hidden = true;
        } else if (!g_str_equal(*words, "kvm=on") && !g_str_equal(*words, "migratable=off") &&
                   !g_str_equal(*words, "migratable=on")) {
            error_setf(error, "CPU option '%s' is not known", *words);
            return false;
        }
    }
    return true;
}

X86CpuConfig *x86_cpu_config_new(const char *cpu_option, const X86AccelCaps *caps, GError **error)
{
    g_auto(GStrv) words = g_strsplit(cpu_option, ",", -1);
    g_autoptr(X86CpuConfig) config = g_new0(X86CpuConfig, 1);
    const X86CpuidEntry *leaf;

    config->refs = 1;
    config->model = find_model(words[0] ? words[0] : "", error);
    if (!config->model || !parse_options(config, words + 1, error)) {
        return NULL;
    }
    memcpy(config->supported, caps->supported, sizeof(config->supported));
    config->supported_count = MIN(caps->supported_count, X86_CPUID_MAX);
    config->is_kvm = g_strcmp0(caps->name, "kvm") == 0;
    for (size_t i = 0; i < G_N_ELEMENTS(word_places); i++) {
        uint32_t offered;

        leaf = find_leaf(config->supported, config->supported_count, word_places[i].function,
                         word_places[i].index);
        offered = leaf ? leaf_register(leaf, word_places[i].reg) : 0;
        if (!config->model->everything) {
            offered &= config->model->words[word_places[i].word];
        }
        config->words[word_places[i].word] = offered;
    }
    config->words[X86_FEAT_1_ECX] |= BIT(CPUID_1_ECX_HYPERVISOR);
    config->arch_capabilities = config->model->everything ? caps->arch_capabilities : 0;
    config->phys_bits =
        config->model->everything && caps->host_phys_bits ? caps->host_phys_bits : 40;
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
    return config->model->name;
}

/* Bits that hold the numbers 0..n-1. */
static unsigned width_of(unsigned n)
{
    return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1);
}

uint32_t x86_apic_id(const X86Topology *topology, unsigned cpu_index)
{
    unsigned thread_bits = width_of(topology->threads), core_bits = width_of(topology->cores);
    unsigned thread = cpu_index % topology->threads;
    unsigned core = cpu_index / topology->threads % topology->cores;
    unsigned die = cpu_index / (topology->threads * topology->cores) % topology->dies;
    unsigned package = cpu_index / (topology->threads * topology->cores * topology->dies);

    return thread | core << thread_bits | die << (thread_bits + core_bits) |
           package << (thread_bits + core_bits + width_of(topology->dies));
}

static void fill_words(const X86CpuConfig *config, X86CpuidEntry *entry)
{
    for (size_t i = 0; i < G_N_ELEMENTS(word_places); i++) {
        if (word_places[i].function == entry->function &&
            (!entry->has_index || word_places[i].index == entry->index)) {
            set_register(entry, word_places[i].reg, config->words[word_places[i].word]);
        }
    }
}

static void fill_identity(const X86CpuConfig *config, X86CpuidEntry *entry)
{
    const ModelInfo *model = config->model;
    char id[48] = { 0 };

    if (model->everything) {
        return;
    }
    if (entry->function == 0 || entry->function == 0x80000000) {
        entry->eax = MIN(entry->eax, entry->function ? model->xlevel : model->level);
        memcpy(&entry->ebx, model->vendor, 4);
        memcpy(&entry->edx, model->vendor + 4, 4);
        memcpy(&entry->ecx, model->vendor + 8, 4);
    } else if (entry->function == 1) {
        entry->eax = model->signature;
    } else if (entry->function >= 0x80000002 && entry->function <= 0x80000004) {
        const char *part = id + 16 * (entry->function - 0x80000002);

        g_strlcpy(id, model->model_id, sizeof(id));
        memcpy(&entry->eax, part, 4);
        memcpy(&entry->ebx, part + 4, 4);
        memcpy(&entry->ecx, part + 8, 4);
        memcpy(&entry->edx, part + 12, 4);
    }
}

static void fill_topology(const X86CpuConfig *config, const X86Topology *topology, uint32_t apic_id,
                          X86CpuidEntry *entry)
{
    unsigned thread_bits = width_of(topology->threads);
    unsigned package_bits = thread_bits + width_of(topology->cores) + width_of(topology->dies);
    unsigned per_package = topology->threads * topology->cores * topology->dies;

    switch (entry->function) {
    case 1:
        entry->ebx = apic_id << 24 | MIN(1u << package_bits, 255) << 16 | 8 << 8;
        if (per_package > 1) {
            entry->edx |= BIT(CPUID_1_EDX_HTT);
        }
        break;
    case 4:
        if (entry->eax & 0x1f) {
            /* Only the last level is shared by the package. */
            unsigned sharing = extract64(entry->eax, 5, 3) >= 3 ? (1u << package_bits) - 1
                                                                 : topology->threads - 1;

            entry->eax = (entry->eax & 0x3fff) | sharing << 14 |
                         ((1u << (package_bits - thread_bits)) - 1) << 26;
        }
        break;
    case 0xb:
        entry->eax = entry->index == 0 ? thread_bits : entry->index == 1 ? package_bits : 0;
        entry->ebx = entry->index == 0 ? topology->threads : entry->index == 1 ? per_package : 0;
        entry->ecx = entry->index | (entry->index < 2 ? (entry->index + 1) << 8 : 0);
        entry->edx = apic_id;
        break;
    case 0x80000008:
        entry->eax = (entry->eax & ~0xffu) | config->phys_bits;
        entry->ecx = per_package - 1;
        break;
    default:
        break;
    }
}

static bool leaf_is_wanted(const X86CpuConfig *config, const X86CpuidEntry *entry)
{
    if (entry->function >= KVM_LEAF && entry->function < KVM_LEAF + 0x10000) {
        return config->is_kvm && !config->kvm_hidden;
    }
    /* Performance counters and cache topology 0x1f are not passed on; 0xb is rebuilt. */
    return entry->function != 0xa && entry->function != 0xb && entry->function != 0x1f &&
           (config->model->everything || entry->function < 0x80000000 ?
                config->model->everything || entry->function <= config->model->level :
                entry->function <= config->model->xlevel);
}

unsigned x86_cpu_config_cpuid(const X86CpuConfig *config, const X86Topology *topology,
                              uint32_t apic_id, unsigned cpu_index,
                              X86CpuidEntry out[X86_CPUID_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < config->supported_count && count < X86_CPUID_MAX - 3; i++) {
        if (!leaf_is_wanted(config, &config->supported[i])) {
            continue;
        }
        out[count] = config->supported[i];
        fill_words(config, &out[count]);
        fill_identity(config, &out[count]);
        fill_topology(config, topology, apic_id, &out[count]);
        count++;
    }
    for (unsigned level = 0; level < 3; level++) {
        out[count] = (X86CpuidEntry) { .function = 0xb, .index = level, .has_index = true };
        fill_topology(config, topology, apic_id, &out[count]);
        count++;
    }
    return count;
}

bool x86_cpu_config_has(const X86CpuConfig *config, X86FeatureWord word, unsigned bit)
{
    return (x86_cpu_config_word(config, word) >> bit) & 1;
}

uint64_t x86_cpu_config_word(const X86CpuConfig *config, X86FeatureWord word)
{
    return word == X86_FEAT_ARCH_CAPABILITIES ? config->arch_capabilities : config->words[word];
}

uint32_t x86_cpu_config_signature(const X86CpuConfig *config)
{
    const X86CpuidEntry *leaf = find_leaf(config->supported, config->supported_count, 1, 0);

    return config->model->everything && leaf ? leaf->eax : config->model->signature;
}

uint8_t x86_cpu_config_phys_bits(const X86CpuConfig *config)
{
    return config->phys_bits;
}

uint32_t x86_cpu_config_tsc_khz(const X86CpuConfig *config)
{
    return config->tsc_khz;
}

bool x86_cpu_config_kvm_hidden(const X86CpuConfig *config)
{
    return config->kvm_hidden;
}

bool x86_cpu_config_hyperv_enabled(const X86CpuConfig *config)
{
    return config->words[X86_FEAT_HYPERV] != 0;
}

json_object *x86_cpu_definitions(const X86AccelCaps *caps)
{
    json_object *list = json_object_new_array();

    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        json_object *entry = json_object_new_object();

        json_object_object_add(entry, "name", json_object_new_string(models[i].name));
        json_object_object_add(entry, "migration-safe",
                               json_object_new_boolean(!models[i].everything));
        json_object_object_add(entry, "static", json_object_new_boolean(false));
        json_object_object_add(entry, "deprecated", json_object_new_boolean(false));
        json_object_array_add(list, entry);
    }
    return list;
}

json_object *x86_cpu_model_expansion(const char *type, json_object *model,
                                     const X86AccelCaps *caps, GError **error)
{
    error_setf(error, "expansion of type '%s' is not possible for this CPU model", type);
    return NULL;
}

char *x86_cpu_help(void)
{
    GString *text = g_string_new("CPU models:\n");

    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        g_string_append_printf(text, "  %-12s %s\n", models[i].name, models[i].description);
    }
    return g_string_free(text, FALSE);
}
