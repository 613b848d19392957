/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models: the tables against what guests know, the grammar of -cpu, CPUID leaves, hostile
 * words.
 */
#include "cpu/x86/cpu-model.h"
#include "cpu/x86/cpu-table.h"
#include "cpu/x86/features.h"
#include "cpu/x86/model-names.h"
#include "cpu/x86/tests/observed.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"

#define ALL (~0u)

static void add_leaf(X86AccelCaps *caps, X86CpuidEntry entry)
{
    caps->supported[caps->supported_count++] = entry;
}

/* A KVM on an Intel host that offers every feature bit. */
static void caps_init(X86AccelCaps *caps)
{
    static const X86CpuidEntry leaves[] = {
        { 0, 0, false, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, false, 0x50657, ALL, ALL, ALL },
        { 6, 0, false, ALL, 0, 0, 0 },
        { 7, 0, true, 1, ALL, ALL, ALL },
        { 7, 1, true, ALL, ALL, ALL, ALL },
        { 0xd, 0, true, ALL, 0, 0, ALL },
        { 0xd, 1, true, ALL, 0, ALL, 0 },
        { 0x80000000, 0, false, 0x80000008, 0, 0, 0 },
        { 0x80000001, 0, false, 0, 0, ALL, ALL },
        { 0x80000007, 0, false, 0, 0, 0, ALL },
        { 0x80000008, 0, false, 46, ALL, 0, 0 },
        { 0x8000000a, 0, false, 1, 0, 0, ALL },
        { 0x40000001, 0, false, ALL, 0, 0, 1 },
    };

    *caps = (X86AccelCaps) { .name = "kvm", .arch_capabilities = ~0ULL, .core_capability = ~0ULL,
                             .perf_capabilities = ~0ULL, .host_phys_bits = 46,
                             .host_tsc_khz = 2500000 };
    memset(caps->vmx, 0xff, sizeof(caps->vmx));
    for (size_t i = 0; i < G_N_ELEMENTS(leaves); i++) {
        add_leaf(caps, leaves[i]);
    }
}

static X86CpuConfig *config_new(const char *option)
{
    X86AccelCaps caps;
    g_autoptr(GError) error = NULL;
    X86CpuConfig *config;

    caps_init(&caps);
    config = x86_cpu_config_new(option, &caps, &error);
    g_assert_no_error(error);
    g_assert_nonnull(config);
    return config;
}

/* The error that this -cpu argument gives must contain the text. */
static void refused(const char *option, const char *text)
{
    X86AccelCaps caps;
    g_autoptr(GError) error = NULL;
    X86CpuConfig *config;

    caps_init(&caps);
    caps.supported[1].ecx &= ~BIT(F_AVX & 31); /* this host has no AVX */
    config = x86_cpu_config_new(option, &caps, &error);
    g_assert_null(config);
    g_assert_nonnull(error);
    if (!strstr(error->message, text)) {
        g_test_fail_printf("-cpu %s: '%s' does not say '%s'", option, error->message, text);
    }
    g_assert_null(strchr(error->message, '\n'));
}

static bool feature_on(const X86CpuConfig *config, const char *name)
{
    const X86FeatureInfo *feature = x86_feature_find(name);

    g_assert_nonnull(feature);
    return x86_cpu_config_word(config, x86_feature_word(feature->id)) &
           x86_feature_mask(feature->id);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint32_t hash_on(json_object *props, unsigned *count)
{
    size_t total;
    const X86FeatureInfo *features = x86_features(&total);
    g_autofree const char **names = g_new(const char *, total);
    uint32_t hash = 0x811c9dc5;
    const char *previous = "";

    *count = 0;
    for (size_t i = 0; i < total; i++) {
        names[i] = features[i].name;
    }
    qsort(names, total, sizeof(names[0]), compare_names);
    for (size_t i = 0; i < total; i++) {
        json_object *on = json_object_object_get(props, names[i]);

        g_assert_true(json_object_is_type(on, json_type_boolean));
        if (!json_object_get_boolean(on) || g_str_equal(previous, names[i])) {
            continue;
        }
        for (const char *at = *count ? "," : ""; *at; at++) {
            hash = (hash ^ (uint8_t)*at) * 0x01000193;
        }
        for (const char *at = names[i]; *at; at++) {
            hash = (hash ^ (uint8_t)*at) * 0x01000193;
        }
        previous = names[i];
        ++*count;
    }
    return hash;
}

static json_object *expand(const char *type, const char *name, const char *props)
{
    X86AccelCaps caps;
    g_autoptr(GError) error = NULL;
    json_object *model = json_object_new_object();
    json_object *result;

    caps_init(&caps);
    json_object_object_add(model, "name", json_object_new_string(name));
    if (props) {
        json_object_object_add(model, "props", json_tokener_parse(props));
    }
    result = x86_cpu_model_expansion(type, model, &caps, &error);
    json_object_put(model);
    g_assert_no_error(error);
    return result;
}

static json_object *props_of(json_object *expansion)
{
    return json_object_object_get(json_object_object_get(expansion, "model"), "props");
}

static void test_feature_sets(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(observed_features); i++) {
        json_object *expansion = expand("static", observed_features[i].name, NULL);
        unsigned count;
        uint32_t hash = hash_on(props_of(expansion), &count);

        if (count != observed_features[i].count || hash != observed_features[i].hash) {
            g_test_fail_printf("%s: %u features, not %u, or others", observed_features[i].name,
                               count, observed_features[i].count);
        }
        json_object_put(expansion);
    }
}

static void test_tables(void)
{
    size_t count;
    const X86FeatureInfo *features = x86_features(&count);

    for (size_t i = 0; i < count; i++) {
        g_assert_cmpstr(x86_feature_name(x86_feature_word(features[i].id), features[i].id & 63),
                        ==, features[i].name);
        g_assert_true(i == 0 || features[i].id > features[i - 1].id);
    }
    for (unsigned i = 0; i < x86_model_count(); i++) {
        const X86CpuModel *model = x86_model_get(i);

        g_assert_true(x86_model_find(model->name) == model);
        g_assert_true(!model->parent || x86_model_find(model->parent));
        g_assert_true(!model->model_id || strlen(model->model_id) <= 48);
    }
}

static void test_names(void)
{
    static const char *const listed[] = {
#define NAME(name) name,
        X86_MODEL_NAMES(NAME)
#undef NAME
    };
    g_autofree const char **names = x86_model_names();
    unsigned count = 0;

    for (; names[count]; count++) {
        bool found = false;

        for (size_t i = 0; i < G_N_ELEMENTS(listed); i++) {
            found = found || g_str_equal(listed[i], names[count]);
        }
        g_assert_true(found);
    }
    g_assert_cmpuint(count, ==, G_N_ELEMENTS(listed));
}

static void check_leaves(const char *option, const X86Topology *topology,
                         const X86CpuidEntry *expected, size_t expected_count)
{
    g_autoptr(X86CpuConfig) config = config_new(option);
    X86CpuidEntry out[X86_CPUID_MAX];
    unsigned count = x86_cpu_config_cpuid(config, topology, 0, 0, out);

    for (size_t i = 0; i < expected_count; i++) {
        const X86CpuidEntry *leaf =
            x86_find_leaf(out, count, expected[i].function, expected[i].index);

        if (!leaf || leaf->eax != expected[i].eax || leaf->ebx != expected[i].ebx ||
            leaf->ecx != expected[i].ecx || leaf->edx != expected[i].edx) {
            g_test_fail_printf("%s: leaf 0x%x.%u differs", option, expected[i].function,
                               expected[i].index);
        }
    }
    if (count != expected_count) {
        g_test_fail_printf("%s: %u leaves, not %zu", option, count, expected_count);
    }
}

static void test_cpuid(void)
{
    static const X86Topology one = { 1, 1, 1, 1 }, four = { 1, 1, 2, 2 };

    check_leaves("qemu64", &one, qemu64_leaves, G_N_ELEMENTS(qemu64_leaves));
    check_leaves("Icelake-Server-v6", &one, icelake_server_v6_leaves,
                 G_N_ELEMENTS(icelake_server_v6_leaves));
    check_leaves("EPYC-v3", &four, epyc_v3_leaves, G_N_ELEMENTS(epyc_v3_leaves));
    check_leaves("KnightsMill", &four, knightsmill_leaves,
                 G_N_ELEMENTS(knightsmill_leaves));
}

static void test_topology(void)
{
    static const X86Topology topology = { 2, 2, 3, 2 };
    g_autoptr(X86CpuConfig) config = config_new("Icelake-Server");
    X86CpuidEntry out[X86_CPUID_MAX];
    uint32_t previous = 0;
    unsigned count;

    for (unsigned i = 0; i < 24; i++) {
        uint32_t id = x86_apic_id(&topology, i);

        g_assert_true(i == 0 || id > previous);
        previous = id;
    }
    /* Thread 1 bit, core 2, die 1: the last CPU is socket 1, die 1, core 2, thread 1. */
    g_assert_cmpuint(previous, ==, 1u << 4 | 1u << 3 | 2u << 1 | 1);
    count = x86_cpu_config_cpuid(config, &topology, previous, 23, out);
    g_assert_cmpuint(x86_find_leaf(out, count, 0, 0)->eax, ==, 0x1f);
    g_assert_cmpuint(x86_find_leaf(out, count, 0x1f, 2)->eax, ==, 4);
    g_assert_cmpuint(x86_find_leaf(out, count, 0x1f, 2)->ebx, ==, 12);
    g_assert_cmpuint(x86_find_leaf(out, count, 0xb, 1)->edx, ==, previous);
    g_assert_cmpuint(x86_find_leaf(out, count, 1, 0)->ebx >> 24, ==, previous);
}

static void test_features(void)
{
    g_autoptr(X86CpuConfig) plain = config_new("Haswell");
    g_autoptr(X86CpuConfig) less = config_new("Haswell,-avx");
    g_autoptr(X86CpuConfig) more = config_new("qemu64,+sse4_1,ssse3=on,xsave,avx=on,-xsave");
    g_autoptr(X86CpuConfig) order = config_new("qemu64,-ssse3,+ssse3,ssse3=off");

    g_assert_true(feature_on(plain, "avx2"));
    g_assert_cmphex(x86_cpu_config_word(plain, X86_FEAT_XSAVE_XCR0_LO), ==, 7);
    g_assert_false(feature_on(less, "avx2"));
    g_assert_false(feature_on(less, "fma"));
    g_assert_cmphex(x86_cpu_config_word(less, X86_FEAT_XSAVE_XCR0_LO), ==, 3);
    g_assert_true(feature_on(more, "sse4.1"));
    g_assert_true(feature_on(more, "ssse3"));
    g_assert_false(feature_on(more, "avx"));
    g_assert_cmphex(x86_cpu_config_word(more, X86_FEAT_XSAVE_XCR0_LO), ==, 0);
    g_assert_false(feature_on(order, "ssse3")); /* minus comes last */
}

static void test_properties(void)
{
    g_autoptr(X86CpuConfig) config =
        config_new("qemu64,family=6,model=0x3c,stepping=3,vendor=AuthenticAMD,"
                   "tsc-frequency=2G,phys-bits=46,kvm=off,level=4");
    g_autoptr(X86CpuConfig) host = config_new("host,migratable=off,host-phys-bits-limit=40");
    g_autoptr(X86CpuConfig) max = config_new("max");
    X86Topology one = { 1, 1, 1, 1 };
    X86CpuidEntry out[X86_CPUID_MAX];
    unsigned count = x86_cpu_config_cpuid(config, &one, 0, 0, out);

    g_assert_cmphex(x86_cpu_config_signature(config), ==, 0x306c3);
    g_assert_cmpuint(x86_cpu_config_tsc_khz(config), ==, 2000000);
    g_assert_cmpuint(x86_cpu_config_phys_bits(config), ==, 46);
    g_assert_true(x86_cpu_config_kvm_hidden(config));
    g_assert_null(x86_find_leaf(out, count, 0x40000000, 0));
    g_assert_null(x86_find_leaf(out, count, 5, 0));
    g_assert_cmphex(x86_find_leaf(out, count, 0, 0)->ebx, ==, 0x68747541); /* "Auth" */
    /* AMD repeats leaf 1's bits. */
    g_assert_true(x86_find_leaf(out, count, 0x80000001, 0)->edx & BIT(0));
    g_assert_cmpuint(x86_cpu_config_phys_bits(host), ==, 40);
    g_assert_true(feature_on(host, "invtsc"));
    g_assert_false(feature_on(max, "invtsc"));
    g_assert_cmphex(x86_cpu_config_signature(host), ==, 0x50657);
}

static void test_hyperv(void)
{
    g_autoptr(X86CpuConfig) config =
        config_new("qemu64,hv_relaxed,hv-vapic,hv-time=on,hv-vpindex,hv-synic,hv-stimer,"
                   "hv-spinlocks=0x1fff,hv-vendor-id=Vireo");
    X86Topology one = { 1, 1, 1, 1 };
    X86CpuidEntry out[X86_CPUID_MAX];
    unsigned count = x86_cpu_config_cpuid(config, &one, 0, 0, out);
    const X86CpuidEntry *leaf = x86_find_leaf(out, count, 0x40000000, 0);

    g_assert_true(x86_cpu_config_hyperv_enabled(config));
    g_assert_cmphex(leaf->eax, ==, 0x40000005);
    g_assert_cmpmem(&leaf->ebx, 4, "Vire", 4);
    g_assert_cmphex(x86_find_leaf(out, count, 0x40000001, 0)->eax, ==, 0x31237648);
    leaf = x86_find_leaf(out, count, 0x40000003, 0);
    g_assert_cmphex(leaf->eax, ==, 0x27e);
    g_assert_cmphex(leaf->ebx, ==, 0x30);
    g_assert_cmphex(leaf->edx, ==, 8);
    leaf = x86_find_leaf(out, count, 0x40000004, 0);
    g_assert_cmphex(leaf->eax, ==, 0x28);
    g_assert_cmphex(leaf->ebx, ==, 0x1fff);
    g_assert_cmphex(x86_find_leaf(out, count, 0x40000100, 0)->eax, ==, 0x40000101);
}

static void test_refused(void)
{
    refused("", "unknown CPU model");
    refused(",", "unknown CPU model");
    refused("EPICC", "did you mean 'EPYC'");
    refused("EPYC-v9", "unknown CPU model");
    refused("qemu64,avx22=on", "did you mean 'avx2'");
    refused("qemu64,+", "no feature or property ''");
    refused("qemu64,=on", "no feature or property ''");
    refused("qemu64,avx=maybe", "neither on nor off");
    refused("qemu64,family=900", "family must be from 0 to 270");
    refused("qemu64,family=99999999999999999999", "not a number");
    refused("qemu64,stepping=-1", "stepping must be");
    refused("qemu64,level=", "not a number");
    refused("qemu64,vendor=Intel", "12 characters");
    refused("qemu64,tsc-frequency=9223372036854775807G", "not a number");
    refused("qemu64,tsc-frequency=12", "at least 1000");
    refused("qemu64,phys-bits=99", "phys-bits must be");
    refused("pentium3,phys-bits=40", "32-bit");
    refused("qemu64,migratable=off", "no feature or property 'migratable'");
    refused("qemu64,apic-id=3", "no feature or property 'apic-id'");
    refused("qemu64,hv-stimer,hv-time", "hv-stimer needs hv-synic");
    refused("Haswell,enforce", "CPUID.01H:ECX.avx [bit 28]");
    refused("qemu64,+avx2,enforce", "CPUID.07H:EBX.avx2 [bit 5]");
}

/* Every prefix and many damaged copies of a long argument: an answer or an error, nothing else. */
static void test_hostile(void)
{
    static const char option[] =
        "EPYC-v3,+svm,-vgif,hv_relaxed,hv-spinlocks=0x1fff,hv-vendor-id=123456789012,family=0x17,"
        "tsc-frequency=2G,model-id=A very long name that does not fit into the leaves at all ....,"
        "kvm=off,l3-cache=off,x2apic=on,check=off,host-phys-bits=on,xlevel=0x8000001e,enforce=no";
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    g_autofree char *longest = g_strnfill(1 << 15, ',');
    X86AccelCaps caps;

    caps_init(&caps);
    for (size_t length = 0; length < 4 * sizeof(option); length++) {
        g_autofree char *text = g_strdup(option);
        g_autoptr(GError) error = NULL;
        X86CpuConfig *config;

        if (length < sizeof(option)) {
            text[length] = '\0';
        } else {
            for (unsigned i = 0; i < 3; i++) {
                text[g_rand_int_range(random, 0, sizeof(option) - 1)] =
                    (char)g_rand_int_range(random, 1, 256);
            }
        }
        if (strstr(text, "vendor")) {
            continue; /* its warning about length would fill the log */
        }
        config = x86_cpu_config_new(text, &caps, &error);
        g_assert_true((config != NULL) == (error == NULL));
        x86_cpu_config_unref(config);
    }
    memcpy(longest, "qemu64", 6);
    refused(longest, "more than");
    longest[8192] = '\0';
    x86_cpu_config_unref(config_new(longest));
    memset(longest, 'x', 1 << 15);
    refused(longest, "unknown CPU model");
    memcpy(longest, "qemu64,", 7);
    longest[8192] = '\0';
    refused(longest, "no feature or property");
}

static void test_queries(void)
{
    X86AccelCaps caps;
    json_object *list, *full = expand("full", "max", "{\"avx2\":false,\"family\":7}");
    g_autofree char *help = x86_cpu_help();
    bool found = false;

    caps_init(&caps);
    caps.supported[3].ebx = 0; /* no leaf 7 features */
    list = x86_cpu_definitions(&caps);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *entry = json_object_array_get_idx(list, i);
        const char *name = json_object_get_string(json_object_object_get(entry, "name"));
        json_object *lacking = json_object_object_get(entry, "unavailable-features");

        if (g_str_equal(name, "Haswell")) {
            found = true;
            g_assert_cmpstr(json_object_get_string(json_object_object_get(entry, "alias-of")), ==,
                            "Haswell-v1");
            g_assert_cmpuint(json_object_array_length(lacking), >, 5);
        } else if (g_str_equal(name, "max") || g_str_equal(name, "qemu64")) {
            g_assert_cmpuint(json_object_array_length(lacking), ==, 0);
        }
    }
    g_assert_true(found);
    json_object_put(list);
    g_assert_false(json_object_get_boolean(json_object_object_get(props_of(full), "avx2")));
    g_assert_cmpint(json_object_get_int(json_object_object_get(props_of(full), "family")), ==, 7);
    g_assert_nonnull(json_object_object_get(props_of(full), "hv-relaxed"));
    g_assert_nonnull(json_object_object_get(props_of(full), "migratable"));
    json_object_put(full);
    g_assert_nonnull(strstr(help, "Cascadelake-Server-noTSX"));
    g_assert_nonnull(strstr(help, "avx512f"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test-cpu-model");
    g_test_add_func("/cpu-model/tables", test_tables);
    g_test_add_func("/cpu-model/names", test_names);
    g_test_add_func("/cpu-model/feature-sets", test_feature_sets);
    g_test_add_func("/cpu-model/cpuid", test_cpuid);
    g_test_add_func("/cpu-model/topology", test_topology);
    g_test_add_func("/cpu-model/features", test_features);
    g_test_add_func("/cpu-model/properties", test_properties);
    g_test_add_func("/cpu-model/hyperv", test_hyperv);
    g_test_add_func("/cpu-model/refused", test_refused);
    g_test_add_func("/cpu-model/hostile", test_hostile);
    g_test_add_func("/cpu-model/queries", test_queries);
    return g_test_run();
}
