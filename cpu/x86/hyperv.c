/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hyper-V enlightenments in CPUID: Microsoft's Hypervisor Top-Level Functional Specification,
 * "Feature and Interface Discovery". Guests find them at leaf 0x40000000; KVM's own leaves then
 * move to 0x40000100.
 */
#include "cpu/x86/cpu-internal.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"

enum { HV_VENDOR = 0x40000000, HV_INTERFACE, HV_VERSION, HV_FEATURES, HV_ADVICE, HV_LIMITS };
#define HV_NESTED 0x4000000au
#define HV_INTERFACE_1 0x31237648u /* "Hv#1" */
#define HV_LOGICAL_PROCESSORS 64

#define FEATURES_HYPERCALL_MSRS BIT(5)
#define FEATURES_POST_MESSAGES BIT(4)
#define FEATURES_SIGNAL_EVENTS BIT(5)
#define FEATURES_DYNAMIC_PARTITIONING BIT(3)
#define ADVICE_NO_NONARCH_CORESHARING BIT(18)
#define EVMCS_VERSION 0x0101u /* 1 to 1 */

#define NEEDS(bit) BIT(X86_HV_##bit)

/*
 * What each enlightenment sets: EAX, EDX of the features leaf, EAX of the advice and nested leaves.
 */
static const struct {
    uint32_t eax, edx, advice, nested;
    uint32_t needs;
} rows[X86_HV__MAX] = {
    [X86_HV_RELAXED] = { .advice = BIT(5) },
    [X86_HV_VAPIC] = { .eax = BIT(4), .advice = BIT(3) },
    [X86_HV_TIME] = { .eax = BIT(1) | BIT(9) },
    [X86_HV_CRASH] = { .edx = BIT(10) },
    [X86_HV_RESET] = { .eax = BIT(7) },
    [X86_HV_VPINDEX] = { .eax = BIT(6) },
    [X86_HV_RUNTIME] = { .eax = BIT(0) },
    [X86_HV_SYNIC] = { .eax = BIT(2), .needs = NEEDS(VPINDEX) },
    [X86_HV_STIMER] = { .eax = BIT(3), .needs = NEEDS(SYNIC) | NEEDS(TIME) },
    [X86_HV_FREQUENCIES] = { .eax = BIT(11), .edx = BIT(8) },
    [X86_HV_REENLIGHTENMENT] = { .eax = BIT(13) },
    [X86_HV_TLBFLUSH] = { .advice = BIT(2) | BIT(11), .needs = NEEDS(VPINDEX) },
    [X86_HV_EVMCS] = { .advice = BIT(14), .needs = NEEDS(VAPIC) },
    [X86_HV_IPI] = { .advice = BIT(10) | BIT(11), .needs = NEEDS(VPINDEX) },
    [X86_HV_STIMER_DIRECT] = { .edx = BIT(19), .needs = NEEDS(STIMER) },
    [X86_HV_AVIC] = { .advice = BIT(9) },
    [X86_HV_SYNDBG] = { .edx = BIT(11), .needs = NEEDS(RELAXED) },
    [X86_HV_EMSR_BITMAP] = { .nested = BIT(19), .needs = NEEDS(EVMCS) },
    [X86_HV_XMM_INPUT] = { .edx = BIT(4) },
    [X86_HV_TLBFLUSH_EXT] = { .edx = BIT(14), .needs = NEEDS(TLBFLUSH) },
    [X86_HV_TLBFLUSH_DIRECT] = { .nested = BIT(17), .needs = NEEDS(VAPIC) },
};

const char *x86_hyperv_name(X86HypervBit bit)
{
    return bit <= X86_HV_TLBFLUSH_DIRECT
               ? x86_prop_info((X86CpuProp)(P_HV_FEATURES_FIRST + bit))->name
               : "hv-spinlocks";
}

static bool offers(const X86AccelCaps *caps, unsigned bit)
{
    const X86CpuidEntry *features =
        x86_find_leaf(caps->hyperv, caps->hyperv_count, HV_FEATURES, 0);
    const X86CpuidEntry *advice = x86_find_leaf(caps->hyperv, caps->hyperv_count, HV_ADVICE, 0);
    const X86CpuidEntry *nested = x86_find_leaf(caps->hyperv, caps->hyperv_count, HV_NESTED, 0);

    return features && advice && !(rows[bit].eax & ~features->eax) &&
           !(rows[bit].edx & ~features->edx) && !(rows[bit].advice & ~advice->eax) &&
           !(rows[bit].nested & ~(nested ? nested->eax : 0));
}

uint64_t x86_hyperv_available(const X86AccelCaps *caps)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i <= X86_HV_TLBFLUSH_DIRECT; i++) {
        /* The debugger's leaves are only for those who ask; nested ones need VMX besides. */
        if (i != X86_HV_SYNDBG && !rows[i].nested && i != X86_HV_EVMCS && offers(caps, i)) {
            bits |= BIT_ULL(i);
        }
    }
    return bits;
}

bool x86_hyperv_check(const X86CpuConfig *config, const X86AccelCaps *caps, GError **error)
{
    uint64_t bits = config->words[X86_FEAT_HYPERV];

    for (unsigned i = 0; i <= X86_HV_TLBFLUSH_DIRECT; i++) {
        uint64_t lacking = rows[i].needs & ~bits;

        if (!(bits & BIT_ULL(i))) {
            continue;
        }
        if (lacking) {
            error_setf(error, "%s needs %s", x86_hyperv_name((X86HypervBit)i),
                       x86_hyperv_name((X86HypervBit)__builtin_ctzll(lacking)));
            return false;
        }
        if (config->kvm && caps->hyperv_count && !offers(caps, i)) {
            error_setf(error, "this host's KVM has no %s", x86_hyperv_name((X86HypervBit)i));
            return false;
        }
    }
    return true;
}

unsigned x86_hyperv_cpuid(const X86CpuConfig *config, X86CpuidEntry *out)
{
    const int64_t *props = config->props;
    uint64_t bits = config->words[X86_FEAT_HYPERV];
    X86CpuidEntry features = { .function = HV_FEATURES, .eax = FEATURES_HYPERCALL_MSRS,
                               .edx = FEATURES_DYNAMIC_PARTITIONING };
    X86CpuidEntry advice = { .function = HV_ADVICE, .ebx = (uint32_t)props[P_HV_SPINLOCKS] };
    X86CpuidEntry nested = { .function = HV_NESTED };
    unsigned count = 0;

    for (unsigned i = 0; i < X86_HV__MAX; i++) {
        if (bits & BIT_ULL(i)) {
            features.eax |= rows[i].eax;
            features.edx |= rows[i].edx;
            advice.eax |= rows[i].advice;
            nested.eax |= rows[i].nested | (i == X86_HV_EVMCS ? EVMCS_VERSION : 0);
        }
    }
    if (bits & BIT_ULL(X86_HV_SYNIC)) {
        features.ebx |= FEATURES_POST_MESSAGES | FEATURES_SIGNAL_EVENTS;
    }
    if (props[P_HV_NO_NONARCH_CORESHARING] == X86_ON ||
        (props[P_HV_NO_NONARCH_CORESHARING] == X86_AUTO && config->hv_no_nonarch_host)) {
        advice.eax |= ADVICE_NO_NONARCH_CORESHARING;
    }
    out[count] = (X86CpuidEntry) { .function = HV_VENDOR,
                                   .eax = nested.eax ? HV_NESTED : HV_LIMITS };
    memcpy(&out[count].ebx, config->hv_vendor, 4);
    memcpy(&out[count].ecx, config->hv_vendor + 4, 4);
    memcpy(&out[count++].edx, config->hv_vendor + 8, 4);
    out[count++] = (X86CpuidEntry) { .function = HV_INTERFACE, .eax = HV_INTERFACE_1 };
    out[count++] = (X86CpuidEntry) {
        .function = HV_VERSION,
        .eax = (uint32_t)props[P_HV_VERSION_BUILD],
        .ebx = (uint32_t)(props[P_HV_VERSION_MAJOR] << 16 | props[P_HV_VERSION_MINOR]),
        .ecx = (uint32_t)props[P_HV_VERSION_SPACK],
        .edx = (uint32_t)(props[P_HV_VERSION_SBRANCH] << 24 | props[P_HV_VERSION_SNUMBER]),
    };
    out[count++] = features;
    out[count++] = advice;
    out[count++] = (X86CpuidEntry) { .function = HV_LIMITS, .eax = (uint32_t)props[P_HV_MAX_VPS],
                                     .ebx = HV_LOGICAL_PROCESSORS };
    if (nested.eax) {
        out[count++] = nested;
    }
    return count;
}
