/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caches in CPUID: descriptor bytes (leaf 2), deterministic parameters (leaf 4; AMD's 0x8000001D
 * has the same form), and AMD's older leaves 0x80000005 and 0x80000006. Intel SDM vol. 2, AMD APM
 * vol. 3, E.4.
 */
#include "cpu/x86/cpu-internal.h"

#include "util/bits.h"

/* TLB entries that leaves 0x80000005/6 tell: 255 and 512, one-way, as no guest depends on them. */
#define AMD_L1_TLB 0x01ff01ffu
#define AMD_L2_TLB 0x42004200u
#define LEAF2_ONE_ROUND 1u

static const X86Caches *caches(const X86CpuConfig *config)
{
    return config->props[P_LEGACY_CACHE] || !config->model->caches ? &x86_caches_plain
                                                                   : config->model->caches;
}

/* The cache that sub-leaf `index` describes; NULL after the last. */
static const X86Cache *cache_at(const X86CpuConfig *config, unsigned index)
{
    const X86Caches *set = caches(config);
    const X86Cache *order[] = { &set->l1d, &set->l1i, &set->l2, &set->l3 };
    unsigned count = config->props[P_L3_CACHE] ? 4 : 3;

    return index < count ? order[index] : NULL;
}

/* CPUs below one instance: the threads of a core, or for the third level those of a die. */
static unsigned sharing_mask(const X86Cache *cache, const X86Topology *topology)
{
    unsigned bits = x86_width_of(topology->threads);

    return (1u << (bits + (cache->level >= 3 ? x86_width_of(topology->cores) : 0))) - 1;
}

static void fill(const X86Cache *cache, const X86Topology *topology, X86CpuidEntry *entry)
{
    unsigned sets = cache->size_kib * KiB / cache->ways / cache->line;

    entry->eax = cache->type | (uint32_t)cache->level << 5 |
                 (cache->self_initializing ? BIT(8) : 0) |
                 sharing_mask(cache, topology) << 14;
    entry->ebx = (cache->line - 1u) | (cache->ways - 1u) << 22;
    entry->ecx = sets - 1;
    entry->edx = (cache->wbinvd_not_shared ? BIT(0) : 0) | (cache->inclusive ? BIT(1) : 0) |
                 (cache->complex_indexing ? BIT(2) : 0);
}

static uint32_t cores_field(const X86Topology *topology)
{
    unsigned bits = x86_width_of(topology->cores) + x86_width_of(topology->dies);

    return MIN((1u << bits) - 1, 63) << 26;
}

/* Passed on from the host, with our topology in it. */
static void fill_from_host(const X86CpuConfig *config, const X86Topology *topology, unsigned index,
                           X86CpuidEntry *entry)
{
    const X86CpuidEntry *host = x86_find_leaf(config->pass, config->pass_count, 4, index);

    if (host && (host->eax & 0x1f)) {
        const X86Cache shape = { .level = (uint8_t)extract64(host->eax, 5, 3) };

        *entry = *host;
        entry->eax = (host->eax & 0x3fff) | sharing_mask(&shape, topology) << 14;
    }
}

void x86_cache_leaf4(const X86CpuConfig *config, const X86Topology *topology, unsigned index,
                     X86CpuidEntry *entry)
{
    const X86Cache *cache = cache_at(config, index);

    if (config->props[P_HOST_CACHE_INFO]) {
        fill_from_host(config, topology, index, entry);
    } else if (cache) {
        fill(cache, topology, entry);
    }
    if (entry->eax & 0x1f) {
        entry->eax |= cores_field(topology);
    }
}

void x86_cache_leaf_1d(const X86CpuConfig *config, const X86Topology *topology, unsigned index,
                       X86CpuidEntry *entry)
{
    const X86Cache *cache = cache_at(config, index);

    if (cache) {
        fill(cache, topology, entry);
    }
}

static bool pass_leaf(const X86CpuConfig *config, uint32_t function, X86CpuidEntry *entry)
{
    const X86CpuidEntry *host = x86_find_leaf(config->pass, config->pass_count, function, 0);

    if (config->props[P_HOST_CACHE_INFO] && host) {
        *entry = *host;
        return true;
    }
    return false;
}

void x86_cache_leaf2(const X86CpuConfig *config, X86CpuidEntry *entry)
{
    const X86Caches *set = caches(config);

    if (pass_leaf(config, 2, entry)) {
        return;
    }
    entry->eax = LEAF2_ONE_ROUND;
    entry->ecx = config->props[P_L3_CACHE] ? set->l3.descriptor : 0;
    entry->edx = (uint32_t)set->l1d.descriptor << 16 | (uint32_t)set->l1i.descriptor << 8 |
                 set->l2.descriptor;
}

static uint32_t l1_field(const X86Cache *cache)
{
    return cache->size_kib << 24 | (uint32_t)cache->ways << 16 | 1u << 8 | cache->line;
}

/* APM vol. 3, table E-4: associativity in four bits. */
static uint32_t ways_code(unsigned ways)
{
    static const struct {
        uint16_t ways;
        uint8_t code;
    } codes[] = { { 1, 1 },  { 2, 2 },   { 4, 4 },   { 8, 6 },   { 16, 8 },
                  { 32, 10 }, { 48, 11 }, { 64, 12 }, { 96, 13 }, { 128, 14 } };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (codes[i].ways == ways) {
            return codes[i].code;
        }
    }
    return 0;
}

void x86_cache_leaf5(const X86CpuConfig *config, X86CpuidEntry *entry)
{
    const X86Caches *set = caches(config);

    if (pass_leaf(config, 0x80000005, entry)) {
        return;
    }
    entry->eax = entry->ebx = AMD_L1_TLB;
    entry->ecx = l1_field(&set->amd_l1d);
    entry->edx = l1_field(&set->amd_l1i);
}

void x86_cache_leaf6(const X86CpuConfig *config, X86CpuidEntry *entry)
{
    const X86Caches *set = caches(config);

    if (pass_leaf(config, 0x80000006, entry)) {
        return;
    }
    entry->ebx = AMD_L2_TLB;
    entry->ecx = set->amd_l2.size_kib << 16 | ways_code(set->amd_l2.ways) << 12 | 1u << 8 |
                 set->amd_l2.line;
    if (config->props[P_L3_CACHE]) {
        entry->edx = (set->l3.size_kib / 512) << 18 | ways_code(set->l3.ways) << 12 | 1u << 8 |
                     set->l3.line;
    }
}
