/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUID leaves of one CPU: Intel SDM vol. 2 ("CPUID"), AMD APM vol. 3 appendix E, KVM's
 * cpuid.rst. A table says which leaves there are and who fills them; leaves that would be all zero
 * are left out.
 */
#include "cpu/x86/cpu-internal.h"

#include <string.h>

#include "util/bits.h"

#define KVM_SIGNATURE "KVMKVMKVM\0\0\0"
#define KVM_TSC_LEAF_OFFSET 0x10 /* TSC and APIC bus frequency, in kHz, as VMware guests know it */
#define APIC_BUS_KHZ 1000000u
#define CLFLUSH_UNITS 8u /* of 8 bytes */
#define LEVEL_TYPE_SMT 1u
#define LEVEL_TYPE_CORE 2u
#define LEVEL_TYPE_DIE 5u
#define XSAVE_LEGACY_SIZE 576u /* x87, SSE and the header */
#define XSAVE_ALIGN_64 BIT(1)
#define SVM_REVISION 1u
#define SVM_ASIDS 16u
/* APM vol. 3, E.4.2: bits of 0x80000001 EDX that repeat those of leaf 1. */
#define AMD_REPEATED_BITS 0x0183f3ffu
#define MWAIT_EMX_IBE 3u

typedef struct Build {
    const X86CpuConfig *config;
    const X86Topology *topology;
    uint32_t apic_id;
    X86CpuidEntry *out;
    unsigned count;
} Build;

static unsigned per_package(const X86Topology *topology)
{
    return topology->threads * topology->cores * topology->dies;
}

uint32_t x86_apic_id(const X86Topology *topology, unsigned cpu_index)
{
    unsigned thread_bits = x86_width_of(topology->threads);
    unsigned core_bits = x86_width_of(topology->cores);
    unsigned thread = cpu_index % topology->threads;
    unsigned core = cpu_index / topology->threads % topology->cores;
    unsigned die = cpu_index / (topology->threads * topology->cores) % topology->dies;
    unsigned package = cpu_index / per_package(topology);

    return thread | core << thread_bits | die << (thread_bits + core_bits) |
           package << (thread_bits + core_bits + x86_width_of(topology->dies));
}

static uint32_t word32(const Build *build, X86FeatureWord word)
{
    return (uint32_t)build->config->words[word];
}

static unsigned package_bits(const X86Topology *topology)
{
    return x86_width_of(topology->threads) + x86_width_of(topology->cores) +
           x86_width_of(topology->dies);
}

static void put_vendor(const X86CpuConfig *config, X86CpuidEntry *entry)
{
    memcpy(&entry->ebx, config->vendor, 4);
    memcpy(&entry->edx, config->vendor + 4, 4);
    memcpy(&entry->ecx, config->vendor + 8, 4);
}

static bool has_dies(const Build *build)
{
    return build->topology->dies > 1;
}

static uint32_t max_leaf(const Build *build)
{
    const X86CpuConfig *config = build->config;

    return config->props[P_LEVEL] == X86_LEVEL_AUTO && has_dies(build) ? MAX(config->level, 0x1f)
                                                                       : config->level;
}

static void leaf_0(const Build *build, X86CpuidEntry *entry)
{
    entry->eax = max_leaf(build);
    put_vendor(build->config, entry);
}

static void leaf_1(const Build *build, X86CpuidEntry *entry)
{
    unsigned cpus = per_package(build->topology);

    entry->eax = x86_cpu_config_signature(build->config);
    entry->ebx = (build->apic_id & 0xff) << 24 | CLFLUSH_UNITS << 8;
    entry->ecx = word32(build, X86_FEAT_1_ECX);
    entry->edx = word32(build, X86_FEAT_1_EDX);
    if (cpus > 1) {
        entry->ebx |= MIN(cpus, 255) << 16;
        entry->edx |= BIT(F_HT & 31);
    }
}

/* AMD reserves leaves 2 and 4: its own are 0x80000005, 6 and 1D. */
static bool has_intel_caches(const Build *build)
{
    return !build->config->props[P_VENDOR_CPUID_ONLY] || !x86_config_is_amd(build->config);
}

static void leaf_2(const Build *build, X86CpuidEntry *entry)
{
    if (has_intel_caches(build)) {
        x86_cache_leaf2(build->config, entry);
    }
}

static void leaf_4(const Build *build, X86CpuidEntry *entry)
{
    if (has_intel_caches(build)) {
        x86_cache_leaf4(build->config, build->topology, entry->index, entry);
    }
}

static void leaf_5(const Build *build, X86CpuidEntry *entry)
{
    entry->ecx = MWAIT_EMX_IBE;
}

static void leaf_6(const Build *build, X86CpuidEntry *entry)
{
    entry->eax = word32(build, X86_FEAT_6_EAX);
}

static void leaf_7(const Build *build, X86CpuidEntry *entry)
{
    if (entry->index == 1) {
        entry->eax = word32(build, X86_FEAT_7_1_EAX);
        return;
    }
    entry->eax = build->config->level_func7;
    entry->ebx = word32(build, X86_FEAT_7_0_EBX);
    entry->ecx = word32(build, X86_FEAT_7_0_ECX);
    entry->edx = word32(build, X86_FEAT_7_0_EDX);
}

static void pass_on(const Build *build, X86CpuidEntry *entry)
{
    const X86CpuidEntry *host = x86_find_leaf(build->config->pass, build->config->pass_count,
                                              entry->function, entry->index);

    if (host) {
        const bool has_index = entry->has_index;

        *entry = *host;
        entry->has_index = has_index;
    }
}

static void leaf_a(const Build *build, X86CpuidEntry *entry)
{
    if (build->config->props[P_PMU]) {
        pass_on(build, entry);
    }
}

static void leaf_14(const Build *build, X86CpuidEntry *entry)
{
    if (x86_config_has(build->config, F_INTEL_PT)) {
        pass_on(build, entry);
        if (entry->index == 0) {
            entry->ecx &= word32(build, X86_FEAT_14_0_ECX) | ~BIT(31);
        }
    }
}

/*
 * One level of leaves 0xb and 0x1f: how far to shift the APIC id for the next, how many CPUs, type.
 */
static void put_level(const Build *build, X86CpuidEntry *entry, unsigned shift, unsigned cpus,
                      uint32_t type)
{
    entry->eax = shift;
    entry->ebx = cpus;
    entry->ecx = entry->index | type << 8;
    entry->edx = build->apic_id;
}

static void leaf_b(const Build *build, X86CpuidEntry *entry)
{
    const X86Topology *topology = build->topology;

    if (!build->config->props[P_CPUID_0XB]) {
        return;
    }
    if (entry->index == 0) {
        put_level(build, entry, x86_width_of(topology->threads), topology->threads,
                  LEVEL_TYPE_SMT);
    } else if (entry->index == 1) {
        put_level(build, entry, package_bits(topology), per_package(topology), LEVEL_TYPE_CORE);
    } else {
        put_level(build, entry, 0, 0, 0);
    }
}

static void leaf_1f(const Build *build, X86CpuidEntry *entry)
{
    const X86Topology *topology = build->topology;
    unsigned threads = x86_width_of(topology->threads);

    if (!has_dies(build)) {
        return;
    }
    switch (entry->index) {
    case 0:
        put_level(build, entry, threads, topology->threads, LEVEL_TYPE_SMT);
        break;
    case 1:
        put_level(build, entry, threads + x86_width_of(topology->cores),
                  topology->threads * topology->cores, LEVEL_TYPE_CORE);
        break;
    case 2:
        put_level(build, entry, package_bits(topology), per_package(topology), LEVEL_TYPE_DIE);
        break;
    default:
        put_level(build, entry, 0, 0, 0);
        break;
    }
}

/*
 * Size, standard offset and flags of an XSAVE component: the host's, since KVM copies its image;
 * where there is no host, those that all processors share.
 */
static X86CpuidEntry xsave_component(const X86CpuConfig *config, unsigned component)
{
    static const X86CpuidEntry usual[] = {
        { 0xd, 2, true, 256, 576, 0, 0 },   { 0xd, 3, true, 64, 960, 0, 0 },
        { 0xd, 4, true, 64, 1024, 0, 0 },   { 0xd, 5, true, 64, 1088, 0, 0 },
        { 0xd, 6, true, 512, 1152, 0, 0 },  { 0xd, 7, true, 1024, 1664, 0, 0 },
        { 0xd, 9, true, 8, 2688, 0, 0 },    { 0xd, 15, true, 808, 0, 1, 0 },
    };
    const X86CpuidEntry *found = x86_find_leaf(config->pass, config->pass_count, 0xd, component);

    if (!found || !found->eax) {
        found = x86_find_leaf(usual, G_N_ELEMENTS(usual), 0xd, component);
    }
    return found ? *found : (X86CpuidEntry) { .function = 0xd };
}

static uint32_t xsave_size(const X86CpuConfig *config, uint64_t components, bool compacted)
{
    uint32_t size = XSAVE_LEGACY_SIZE;

    for (uint64_t left = components & ~3ULL; left; left &= left - 1) {
        X86CpuidEntry part = xsave_component(config, (unsigned)__builtin_ctzll(left));

        if (compacted) {
            size = (part.ecx & XSAVE_ALIGN_64 ? ROUND_UP(size, 64) : size) + part.eax;
        } else {
            size = MAX(size, part.ebx + part.eax);
        }
    }
    return size;
}

static void leaf_d(const Build *build, X86CpuidEntry *entry)
{
    const X86CpuConfig *config = build->config;
    uint64_t xcr0 = word32(build, X86_FEAT_XSAVE_XCR0_LO) |
                    (uint64_t)word32(build, X86_FEAT_XSAVE_XCR0_HI) << 32;
    uint64_t xss = word32(build, X86_FEAT_XSAVE_XSS_LO);

    if (!x86_config_has(config, F_XSAVE)) {
        return;
    }
    if (entry->index == 0) {
        entry->eax = (uint32_t)xcr0;
        entry->edx = (uint32_t)(xcr0 >> 32);
        entry->ebx = entry->ecx = xsave_size(config, xcr0, false);
    } else if (entry->index == 1) {
        entry->eax = word32(build, X86_FEAT_XSAVE);
        entry->ebx = xsave_size(config, xcr0 | xss, true);
        entry->ecx = (uint32_t)xss;
    } else if ((xcr0 | xss) & BIT_ULL(entry->index)) {
        X86CpuidEntry part = xsave_component(config, entry->index);

        entry->eax = part.eax;
        entry->ebx = part.ebx;
        entry->ecx = part.ecx;
    }
}

static void leaf_ext_0(const Build *build, X86CpuidEntry *entry)
{
    entry->eax = build->config->xlevel;
    put_vendor(build->config, entry);
}

static void leaf_ext_1(const Build *build, X86CpuidEntry *entry)
{
    entry->eax = x86_cpu_config_signature(build->config);
    entry->ecx = word32(build, X86_FEAT_8000_0001_ECX);
    entry->edx = word32(build, X86_FEAT_8000_0001_EDX);
    if (x86_config_is_amd(build->config)) {
        entry->edx |= word32(build, X86_FEAT_1_EDX) & AMD_REPEATED_BITS;
        if (per_package(build->topology) > 1) {
            entry->ecx |= BIT(F_CMP_LEGACY & 31);
        }
    }
}

static void leaf_name(const Build *build, X86CpuidEntry *entry)
{
    const char *part = build->config->model_id + 16 * (entry->function - 0x80000002);

    memcpy(&entry->eax, part, 4);
    memcpy(&entry->ebx, part + 4, 4);
    memcpy(&entry->ecx, part + 8, 4);
    memcpy(&entry->edx, part + 12, 4);
}

static void leaf_ext_5(const Build *build, X86CpuidEntry *entry)
{
    x86_cache_leaf5(build->config, entry);
}

static void leaf_ext_6(const Build *build, X86CpuidEntry *entry)
{
    x86_cache_leaf6(build->config, entry);
}

static void leaf_ext_7(const Build *build, X86CpuidEntry *entry)
{
    entry->edx = word32(build, X86_FEAT_8000_0007_EDX);
}

static void leaf_ext_8(const Build *build, X86CpuidEntry *entry)
{
    unsigned cpus = per_package(build->topology);
    unsigned linear = x86_config_has(build->config, F_LA57) ? 57 : 48;

    entry->eax = build->config->phys_bits;
    if (x86_config_has(build->config, F_LM)) {
        entry->eax |= linear << 8;
    }
    entry->ebx = word32(build, X86_FEAT_8000_0008_EBX);
    if (cpus > 1) {
        entry->ecx = package_bits(build->topology) << 12 | MIN(cpus - 1, 255);
    }
}

static void leaf_ext_a(const Build *build, X86CpuidEntry *entry)
{
    if (x86_config_has(build->config, F_SVM)) {
        entry->eax = SVM_REVISION;
        entry->ebx = SVM_ASIDS;
        entry->edx = word32(build, X86_FEAT_SVM);
    }
}

static void leaf_ext_1d(const Build *build, X86CpuidEntry *entry)
{
    if (x86_config_has(build->config, F_TOPOEXT)) {
        x86_cache_leaf_1d(build->config, build->topology, entry->index, entry);
    }
}

static void leaf_ext_1e(const Build *build, X86CpuidEntry *entry)
{
    const X86Topology *topology = build->topology;
    unsigned thread_bits = x86_width_of(topology->threads);
    unsigned core_bits = x86_width_of(topology->cores);

    if (x86_config_has(build->config, F_TOPOEXT)) {
        uint32_t core = (build->apic_id >> thread_bits) & ((1u << core_bits) - 1);
        uint32_t die = (build->apic_id >> (thread_bits + core_bits)) &
                       ((1u << x86_width_of(topology->dies)) - 1);

        entry->eax = build->apic_id;
        entry->ebx = (topology->threads - 1) << 8 | (core & 0xff);
        entry->ecx = (topology->dies - 1) << 8 | (die & 0xff);
    }
}

/* Sub-leaves first..last; a leaf without them has last < 0. */
static const struct {
    uint32_t function;
    int last;
    void (*fill)(const Build *build, X86CpuidEntry *entry);
} leaves[] = {
    { 0, -1, leaf_0 },
    { 1, -1, leaf_1 },
    { 2, -1, leaf_2 },
    { 4, 4, leaf_4 },
    { 5, -1, leaf_5 },
    { 6, -1, leaf_6 },
    { 7, 1, leaf_7 },
    { 0xa, -1, leaf_a },
    { 0xb, 2, leaf_b },
    { 0xd, 18, leaf_d },
    { 0x14, 1, leaf_14 },
    { 0x1f, 3, leaf_1f },
    { 0x80000000, -1, leaf_ext_0 },
    { 0x80000001, -1, leaf_ext_1 },
    { 0x80000002, -1, leaf_name },
    { 0x80000003, -1, leaf_name },
    { 0x80000004, -1, leaf_name },
    { 0x80000005, -1, leaf_ext_5 },
    { 0x80000006, -1, leaf_ext_6 },
    { 0x80000007, -1, leaf_ext_7 },
    { 0x80000008, -1, leaf_ext_8 },
    { 0x8000000a, -1, leaf_ext_a },
    { 0x8000001d, 4, leaf_ext_1d },
    { 0x8000001e, -1, leaf_ext_1e },
};

static void put(Build *build, X86CpuidEntry entry)
{
    /* An absent leaf reads as zero. */
    if ((entry.eax || entry.ebx || entry.ecx || entry.edx) && build->count < X86_CPUID_MAX) {
        build->out[build->count++] = entry;
    }
}

static void put_kvm(Build *build, uint32_t base)
{
    const X86CpuConfig *config = build->config;
    uint32_t khz = x86_cpu_config_tsc_khz(config);
    X86CpuidEntry signature = { .function = base, .eax = base + 1 };
    X86CpuidEntry frequency = { .function = base + KVM_TSC_LEAF_OFFSET, .ebx = APIC_BUS_KHZ };

    memcpy(&signature.ebx, KVM_SIGNATURE, 4);
    memcpy(&signature.ecx, KVM_SIGNATURE + 4, 4);
    memcpy(&signature.edx, KVM_SIGNATURE + 8, 4);
    frequency.eax = khz ? khz : config->host_tsc_khz;
    /* Only a rate that will not change may be told. */
    if (config->props[P_VMWARE_CPUID_FREQ] && frequency.eax && base == 0x40000000 &&
        (khz || x86_config_has(config, F_INVTSC))) {
        signature.eax = frequency.function;
        put(build, frequency);
    }
    put(build, signature);
    put(build, (X86CpuidEntry) { .function = base + 1,
                                 .eax = word32(build, X86_FEAT_KVM),
                                 .edx = word32(build, X86_FEAT_KVM_HINTS) });
}

static void put_hypervisor(Build *build)
{
    const X86CpuConfig *config = build->config;
    bool hyperv = x86_cpu_config_hyperv_enabled(config);

    if (hyperv) {
        X86CpuidEntry entries[8];
        unsigned count = x86_hyperv_cpuid(config, entries);

        for (unsigned i = 0; i < count; i++) {
            put(build, entries[i]);
        }
    }
    if (config->paravirtual && config->props[P_KVM]) {
        put_kvm(build, hyperv ? 0x40000100 : 0x40000000);
    }
}

unsigned x86_cpu_config_cpuid(const X86CpuConfig *config, const X86Topology *topology,
                              uint32_t apic_id, unsigned cpu_index,
                              X86CpuidEntry out[X86_CPUID_MAX])
{
    Build build = { .config = config, .topology = topology, .apic_id = apic_id, .out = out };

    put_hypervisor(&build);
    for (size_t i = 0; i < G_N_ELEMENTS(leaves); i++) {
        uint32_t limit = leaves[i].function >> 31 ? config->xlevel : max_leaf(&build);

        for (int index = 0; leaves[i].function <= limit && index <= MAX(leaves[i].last, 0);
             index++) {
            X86CpuidEntry entry = { .function = leaves[i].function, .index = (uint32_t)index,
                                    .has_index = leaves[i].last >= 0 };

            leaves[i].fill(&build, &entry);
            put(&build, entry);
        }
    }
    return build.count;
}
