/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: what the software CPU offers to -cpu, and what the guest reads (SDM vol. 2, "CPUID").
 */
#include "accel/emu/decode.h"
#include "accel/emu/system-internal.h"
#include "accel/emu/vendor.h"
#include "cpu/x86/msr.h"

#define MAX_PHYS_BITS 46
#define MAX_BASIC_LEAF 0x16
#define MAX_EXTENDED_LEAF 0x80000008u
#define SIGNATURE 0x000506e3u /* family 6, model 94, stepping 3: a client processor with AVX2 */
#define HYPERVISOR_FIRST 0x40000000u
#define HYPERVISOR_LAST 0x4fffffffu
#define EXTENDED_FIRST 0x80000000u
/* The core crystal's clock, which the local APIC model's timer counts. */
#define CRYSTAL_KHZ 1000000u
#define XSAVE_LEGACY 576u
#define XSAVE_AVX 832u
#define XSTATE_AVX BIT_ULL(2)
/* Components that the software CPU has: x87, SSE, AVX. */
#define XSTATE_ALL 7u

enum { ECX_OSXSAVE = 1u << 27, EDX_APIC = 1u << 9, EDX_APIC_AMD = 1u << 9 };

/* Everything that some part of accel/emu implements. */
static const uint16_t offered[] = {
    F_FPU, F_VME, F_DE, F_PSE, F_TSC, F_MSR, F_PAE, F_MCE, F_CX8, F_APIC, F_SEP, F_MTRR, F_PGE,
    F_MCA, F_CMOV, F_PAT, F_PSE36, F_CLFLUSH, F_MMX, F_FXSR, F_SSE, F_SSE2, F_SS, F_HT,
    F_PNI, F_PCLMULQDQ, F_SSSE3, F_FMA, F_CX16, F_PCID, F_SSE4_1, F_SSE4_2, F_X2APIC, F_MOVBE,
    F_POPCNT, F_TSC_DEADLINE, F_AES, F_XSAVE, F_AVX, F_F16C, F_RDRAND, F_HYPERVISOR,
    F_FSGSBASE, F_TSC_ADJUST, F_BMI1, F_AVX2, F_SMEP, F_BMI2, F_ERMS, F_INVPCID, F_RDSEED, F_ADX,
    F_SMAP, F_CLFLUSHOPT, F_CLWB,
    F_UMIP, F_RDPID,
    F_FSRM, F_MD_CLEAR, F_SERIALIZE, F_SPEC_CTRL, F_STIBP, F_ARCH_CAPABILITIES, F_SSBD,
    F_SYSCALL, F_NX, F_MMXEXT, F_PDPE1GB, F_RDTSCP, F_LM,
    F_LAHF_LM, F_CMP_LEGACY, F_ABM, F_3DNOWPREFETCH, F_OSVW, F_TOPOEXT,
    F_INVTSC,
    F_XSAVEERPTR, F_WBNOINVD, F_IBPB, F_IBRS, F_AMD_STIBP, F_AMD_SSBD, F_AMD_NO_SSB,
    F_ARAT,
    F_XSAVEOPT, F_XSAVEC, F_XGETBV1,
    F_KVMCLOCK, F_KVMCLOCK2, F_KVM_NOPIODELAY, F_KVMCLOCK_STABLE_BIT,
};

/* ARCH_CAPABILITIES: nothing is speculated upon, so none of these faults exist. */
static const uint16_t offered_arch[] = {
    F_RDCTL_NO, F_IBRS_ALL, F_SKIP_L1DFL_VMENTRY, F_SSB_NO, F_MDS_NO, F_PSCHANGE_MC_NO, F_TAA_NO,
};

static X86CpuidEntry *caps_leaf(X86AccelCaps *caps, uint32_t function, uint32_t index,
                                bool has_index)
{
    for (unsigned i = 0; i < caps->supported_count; i++) {
        X86CpuidEntry *entry = &caps->supported[i];

        if (entry->function == function && entry->index == index) {
            return entry;
        }
    }
    g_assert(caps->supported_count < X86_CPUID_MAX);
    caps->supported[caps->supported_count] =
        (X86CpuidEntry) { .function = function, .index = index, .has_index = has_index };
    return &caps->supported[caps->supported_count++];
}

static void offer(X86AccelCaps *caps, X86FeatureId id)
{
    const X86WordInfo *info = x86_word_info(x86_feature_word(id));
    X86CpuidEntry *entry = caps_leaf(caps, info->function, info->index, info->has_index);
    uint32_t *const registers[] = { &entry->eax, &entry->ebx, &entry->ecx, &entry->edx };

    *registers[info->reg] |= (uint32_t)x86_feature_mask(id);
}

/* Whom -cpu max looks like. */
static void offer_identity(X86AccelCaps *caps)
{
    static const char name[48] = "Vireo software CPU";
    X86CpuidEntry *entry = caps_leaf(caps, 0, 0, false);

    entry->eax = MAX_BASIC_LEAF;
    memcpy(&entry->ebx, "Genu", 4);
    memcpy(&entry->edx, "ineI", 4);
    memcpy(&entry->ecx, "ntel", 4);
    caps_leaf(caps, 1, 0, false)->eax = SIGNATURE;
    entry = caps_leaf(caps, EXTENDED_FIRST, 0, false);
    entry->eax = MAX_EXTENDED_LEAF;
    for (unsigned i = 0; i < 3; i++) {
        entry = caps_leaf(caps, 0x80000002u + i, 0, false);
        memcpy(&entry->eax, name + 16 * i, 4);
        memcpy(&entry->ebx, name + 16 * i + 4, 4);
        memcpy(&entry->ecx, name + 16 * i + 8, 4);
        memcpy(&entry->edx, name + 16 * i + 12, 4);
    }
    caps_leaf(caps, 0x80000008u, 0, false)->eax = MAX_PHYS_BITS | 48 << 8;
}

bool emu_cpu_caps(Accel *accel, X86AccelCaps *caps, GError **error)
{
    *caps = (X86AccelCaps) {
        .name = "emu", .host_phys_bits = MAX_PHYS_BITS,
        .has_tsc_scaling = true, .has_x2apic_api = true, .has_tsc_deadline = true,
    };
    offer_identity(caps);
    for (size_t i = 0; i < G_N_ELEMENTS(offered); i++) {
        offer(caps, (X86FeatureId)offered[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(offered_arch); i++) {
        caps->arch_capabilities |= x86_feature_mask((X86FeatureId)offered_arch[i]);
    }
    caps_leaf(caps, 0xd, 0, true)->eax = XSTATE_ALL;
    *caps_leaf(caps, 0xd, 2, true) = (X86CpuidEntry) {
        .function = 0xd, .index = 2, .has_index = true,
        .eax = XSAVE_AVX - XSAVE_LEGACY, .ebx = XSAVE_LEGACY,
    };
    return true;
}

static const X86CpuidEntry *find_leaf(const EmuSystem *sys, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < sys->cpuid_count; i++) {
        const X86CpuidEntry *entry = &sys->cpuid[i];

        if (entry->function == function && (!entry->has_index || entry->index == index)) {
            return entry;
        }
    }
    return NULL;
}

/* What this CPU would be without a machine: unit tests have no -cpu. */
static X86CpuConfig *default_config(void)
{
    g_autofree X86AccelCaps *caps = g_new0(X86AccelCaps, 1);

    emu_cpu_caps(NULL, caps, NULL);
    return x86_cpu_config_new("max", caps, NULL);
}

bool emu_cpuid_init(EmuCpu *cpu)
{
    EmuSystem *sys = cpu->sys;
    const VCpu *vcpu = cpu->vcpu;
    X86Topology one = { 1, 1, 1, 1 };
    const X86CpuidEntry *leaf;

    sys->config = vcpu->config ? x86_cpu_config_ref(vcpu->config) : default_config();
    if (!sys->config) {
        return false;
    }
    sys->cpuid_count = x86_cpu_config_cpuid(sys->config,
                                            vcpu->topology.threads ? &vcpu->topology : &one,
                                            vcpu->apic_id, vcpu->index, sys->cpuid);
    for (unsigned i = 0; i < X86_FEATURE_WORD__MAX; i++) {
        sys->features[i] = x86_cpu_config_word(sys->config, (X86FeatureWord)i);
    }
    leaf = find_leaf(sys, 0, 0);
    sys->max_basic = leaf ? leaf->eax : 1;
    sys->amd = leaf && (memcmp(&leaf->ebx, "Auth", 4) == 0 || memcmp(&leaf->ebx, "Hygo", 4) == 0);
    leaf = find_leaf(sys, EXTENDED_FIRST, 0);
    sys->max_extended = leaf ? leaf->eax : 0;
    sys->physical_mask = MASK_ULL(x86_cpu_config_phys_bits(sys->config) - 1, 0);
    sys->xcr0_allowed = emu_sys_has(sys, F_XSAVE) ? 3 : 1;
    sys->xcr0_allowed |= emu_sys_has(sys, F_AVX) ? XSTATE_AVX : 0;
    return true;
}

bool emu_has(const EmuCpu *cpu, X86FeatureWord word, unsigned bit)
{
    return cpu->sys->features[word] >> bit & 1;
}

const EmuVendor *emu_vendor(const EmuCpu *cpu)
{
    static const EmuVendor intel = {
        .sysenter_in_long = true, .sysret_checks_rip = true, .sysret_loads_ss = true,
        .null_clears_base = true, .far_pointers64 = true, .cpuid_last_leaf = true,
    };
    static const EmuVendor amd = {
        .syscall_in_legacy = true, .near_branches16 = true, .cpuid_shows_apic_twice = true,
    };

    return cpu->sys->amd ? &amd : &intel;
}

uint64_t emu_physical_mask(const EmuCpu *cpu)
{
    return cpu->sys->physical_mask;
}

unsigned emu_xsave_size(uint64_t components)
{
    return components & XSTATE_AVX ? XSAVE_AVX : XSAVE_LEGACY;
}

/*
 * TSC / crystal, and the crystal in Hz: saves guests measuring. They multiply the crystal's kHz by
 * the numerator in 32 bits; a rate for which that overflows is left for them to find out.
 */
static void tell_tsc_rate(const EmuSystem *sys, uint32_t out[4])
{
    uint64_t a = CRYSTAL_KHZ, b = sys->tsc_khz;

    while (b) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    if (sys->tsc_khz / a * CRYSTAL_KHZ <= UINT32_MAX) {
        out[0] = (uint32_t)(CRYSTAL_KHZ / a);
        out[1] = (uint32_t)(sys->tsc_khz / a);
        out[2] = CRYSTAL_KHZ * 1000;
    }
}

/* Bits that follow the state of the CPU. */
static void add_live_bits(EmuCpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    bool apic = emu_read_apic_base(cpu) & BIT(11);

    switch (leaf) {
    case 1:
        out[2] &= ~(uint32_t)ECX_OSXSAVE;
        out[2] |= cpu->cr4 & CR4_OSXSAVE ? ECX_OSXSAVE : 0;
        out[3] &= apic ? ~0u : ~(uint32_t)EDX_APIC;
        break;
    case 0xb:
    case 0x1f:
        /* Levels beyond the last: no type, but the level's number and the id. */
        out[2] |= subleaf & 0xff;
        out[3] = find_leaf(cpu->sys, leaf, 0) ? cpu->vcpu->apic_id : 0;
        break;
    case 0xd:
        if (emu_sys_has(cpu->sys, F_XSAVE) && subleaf <= 1) {
            out[1] = emu_xsave_size(cpu->xcr0);
        }
        break;
    case 0x15:
        tell_tsc_rate(cpu->sys, out);
        break;
    case 0x16:
        out[0] = out[1] = (uint32_t)(cpu->sys->tsc_khz / 1000) & 0xffff;
        out[2] = 100;
        break;
    case 0x80000001u:
        out[3] &= apic || !emu_vendor(cpu)->cpuid_shows_apic_twice ? ~0u : ~(uint32_t)EDX_APIC_AMD;
        break;
    default:
        break;
    }
}

void emu_cpuid(EmuCpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const EmuSystem *sys = cpu->sys;
    const X86CpuidEntry *entry;
    bool hypervisor = leaf >= HYPERVISOR_FIRST && leaf <= HYPERVISOR_LAST;
    uint32_t limit = leaf >= EXTENDED_FIRST ? sys->max_extended : sys->max_basic;

    memset(out, 0, 4 * sizeof(*out));
    if (leaf > limit && !hypervisor) {
        if (!emu_vendor(cpu)->cpuid_last_leaf) {
            return;
        }
        leaf = sys->max_basic;
    }
    entry = find_leaf(sys, leaf, subleaf);
    if (entry) {
        out[0] = entry->eax;
        out[1] = entry->ebx;
        out[2] = entry->ecx;
        out[3] = entry->edx;
    }
    add_live_bits(cpu, leaf, subleaf, out);
}
