/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers: which ones this kernel can read and write, reading and writing them,
 * and those that come to userspace because the APIC lives there.
 *
 * KVM's own list lacks the MTRRs and the machine-check banks; they are tried. What a vCPU cannot
 * read back and write unchanged after its CPUID is set is left out of its list.
 */
#include "accel/kvm/kvm-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu/x86/msr.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/timer.h"
#include "util/log.h"
#include "util/vm-lock.h"

#define KVM_CLOCK_OLD_WALL 0x11
#define KVM_CLOCK_OLD_SYSTEM 0x12
#define KVM_PV_FIRST 0x4b564d00
#define KVM_PV_LAST 0x4b564dff
#define VARIABLE_MTRRS 8
#define MCE_BANK_MSRS 40

typedef struct MsrBatch {
    struct kvm_msrs header;
    struct kvm_msr_entry entries[X86_MSR_MAX];
} MsrBatch;

bool kvm_msr_list_init(KvmAccel *kvm, GError **error)
{
    struct kvm_msr_list probe = { 0 };
    g_autofree struct kvm_msr_list *list = NULL;
    int ret;

    /* The first call fails with E2BIG and says how many there are. */
    ret = kvm_ioctl(kvm->kvm_fd, KVM_GET_MSR_INDEX_LIST, &probe);
    if (ret < 0 && ret != -E2BIG) {
        error_set_errno(error, -ret, "KVM_GET_MSR_INDEX_LIST");
        return false;
    }
    list = g_malloc0(sizeof(*list) + probe.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = probe.nmsrs;
    ret = kvm_ioctl(kvm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_GET_MSR_INDEX_LIST");
        return false;
    }
    kvm->msr_index_count = list->nmsrs;
    kvm->msr_indices = g_memdup2(list->indices, list->nmsrs * sizeof(list->indices[0]));
    return true;
}

static void add_candidate(X86CpuState *state, uint32_t index)
{
    uint64_t value;

    /* These two travel with the control registers. */
    if (index != MSR_EFER && index != MSR_IA32_APIC_BASE &&
        !x86_cpu_state_get_msr(state, index, &value)) {
        x86_cpu_state_set_msr(state, index, 0);
    }
}

static void add_candidates(X86CpuState *state)
{
    static const struct {
        uint32_t first, count;
    } extra[] = {
        { MSR_MTRR_DEF_TYPE, 1 },
        { MSR_MTRR_PHYS_BASE0, 2 * VARIABLE_MTRRS },
        { MSR_MTRR_FIX64K_00000, 1 },
        { MSR_MTRR_FIX16K_80000, 2 },
        { MSR_MTRR_FIX4K_C0000, 8 },
        { MSR_MCG_STATUS, 2 },
        { MSR_MC0_CTL, MCE_BANK_MSRS },
    };
    const KvmAccel *kvm = kvm_accel();

    state->msr_count = 0;
    for (uint32_t i = 0; i < kvm->msr_index_count; i++) {
        add_candidate(state, kvm->msr_indices[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(extra); i++) {
        for (uint32_t j = 0; j < extra[i].count; j++) {
            add_candidate(state, extra[i].first + j);
        }
    }
}

/*
 * KVM stops at the first entry that it refuses and answers how many went well: go on after it.
 * refused[i] tells which; NULL: any refusal is -EIO.
 */
static int transfer(int fd, unsigned long request, MsrBatch *batch, uint32_t count, bool *refused)
{
    uint32_t done = 0;

    while (done < count) {
        MsrBatch *part = batch;
        g_autofree MsrBatch *rest = NULL;
        int ret;

        if (done) {
            rest = g_new0(MsrBatch, 1);
            memcpy(rest->entries, batch->entries + done,
                   (count - done) * sizeof(batch->entries[0]));
            part = rest;
        }
        part->header.nmsrs = count - done;
        ret = kvm_ioctl(fd, request, part);
        if (ret < 0) {
            return ret;
        }
        if (rest) {
            memcpy(batch->entries + done, rest->entries, ret * sizeof(batch->entries[0]));
        }
        done += ret;
        if (done < count) {
            if (!refused) {
                return -EIO;
            }
            refused[done++] = true;
        }
    }
    return 0;
}

/* Registers whose rewriting has an effect beyond storing the value are taken as they are. */
static bool rewriting_is_harmless(uint32_t index)
{
    return index != MSR_IA32_TSC && index != MSR_IA32_TSC_ADJUST && index != MSR_TSC_DEADLINE &&
           index != KVM_CLOCK_OLD_WALL && index != KVM_CLOCK_OLD_SYSTEM &&
           !(index >= KVM_PV_FIRST && index <= KVM_PV_LAST) &&
           !(index >= MSR_HYPERV_GUEST_OS_ID && index <= MSR_HYPERV_LAST);
}

static bool build_list(VCpu *cpu, GError **error)
{
    X86CpuState *state = &cpu->state;
    g_autofree MsrBatch *batch = g_new0(MsrBatch, 1);
    g_autofree MsrBatch *rewrite = g_new0(MsrBatch, 1);
    bool refused[X86_MSR_MAX] = { false };
    uint32_t count = 0, rewrites = 0;
    int ret;

    add_candidates(state);
    for (uint32_t i = 0; i < state->msr_count; i++) {
        batch->entries[i].index = state->msrs[i].index;
    }
    ret = transfer(kvm_vcpu(cpu)->fd, KVM_GET_MSRS, batch, state->msr_count, refused);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_GET_MSRS");
        return false;
    }
    for (uint32_t i = 0; i < state->msr_count; i++) {
        if (!refused[i] && rewriting_is_harmless(batch->entries[i].index)) {
            rewrite->entries[rewrites++] = batch->entries[i];
        } else if (!refused[i]) {
            state->msrs[count++] = (X86Msr) { batch->entries[i].index, batch->entries[i].data };
        }
    }
    memset(refused, 0, sizeof(refused));
    ret = transfer(kvm_vcpu(cpu)->fd, KVM_SET_MSRS, rewrite, rewrites, refused);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_SET_MSRS");
        return false;
    }
    for (uint32_t i = 0; i < rewrites; i++) {
        if (!refused[i]) {
            state->msrs[count++] = (X86Msr) { rewrite->entries[i].index, rewrite->entries[i].data };
        }
    }
    state->msr_count = count;
    return true;
}

static void remember(KvmVCpu *vcpu, const X86CpuState *state)
{
    memcpy(vcpu->known_msrs, state->msrs, state->msr_count * sizeof(state->msrs[0]));
    vcpu->known_msr_count = state->msr_count;
}

bool kvm_get_msrs(VCpu *cpu, GError **error)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    X86CpuState *state = &cpu->state;
    g_autofree MsrBatch *batch = NULL;
    int ret;

    if (!vcpu->msr_list_valid) {
        vcpu->msr_list_valid = build_list(cpu, error);
        remember(vcpu, state);
        return vcpu->msr_list_valid;
    }
    /* cpu->state may have been filled by others; the list is this vCPU's. */
    batch = g_new0(MsrBatch, 1);
    for (uint32_t i = 0; i < vcpu->known_msr_count; i++) {
        batch->entries[i].index = vcpu->known_msrs[i].index;
    }
    ret = transfer(vcpu->fd, KVM_GET_MSRS, batch, vcpu->known_msr_count, NULL);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_GET_MSRS");
        return false;
    }
    state->msr_count = vcpu->known_msr_count;
    for (uint32_t i = 0; i < state->msr_count; i++) {
        state->msrs[i] = (X86Msr) { batch->entries[i].index, batch->entries[i].data };
    }
    remember(vcpu, state);
    return true;
}

static bool is_known(const KvmVCpu *vcpu, const X86Msr *msr, uint32_t hint)
{
    if (hint < vcpu->known_msr_count && vcpu->known_msrs[hint].index == msr->index) {
        return vcpu->known_msrs[hint].value == msr->value;
    }
    for (uint32_t i = 0; i < vcpu->known_msr_count; i++) {
        if (vcpu->known_msrs[i].index == msr->index) {
            return vcpu->known_msrs[i].value == msr->value;
        }
    }
    return false;
}

bool kvm_set_msrs(VCpu *cpu, GError **error)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    const X86CpuState *state = &cpu->state;
    g_autofree MsrBatch *batch = g_new0(MsrBatch, 1);
    bool refused[X86_MSR_MAX] = { false };
    uint32_t count = 0;
    int ret;

    for (uint32_t i = 0; i < MIN(state->msr_count, X86_MSR_MAX); i++) {
        if (!is_known(vcpu, &state->msrs[i], i)) {
            batch->entries[count].index = state->msrs[i].index;
            batch->entries[count++].data = state->msrs[i].value;
        }
    }
    ret = transfer(vcpu->fd, KVM_SET_MSRS, batch, count, refused);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_SET_MSRS");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        /* Zero is what a register that is not there reads as. */
        if (refused[i] && batch->entries[i].data) {
            error_setf(error, "KVM refuses the value 0x%" PRIx64 " for MSR 0x%x",
                       (uint64_t)batch->entries[i].data, batch->entries[i].index);
            return false;
        }
    }
    for (uint32_t i = 0; i < vcpu->known_msr_count; i++) {
        x86_cpu_state_get_msr(state, vcpu->known_msrs[i].index, &vcpu->known_msrs[i].value);
    }
    return true;
}

bool kvm_msr_filter_init(KvmAccel *kvm, GError **error)
{
    uint8_t deny_all[8] = { 0 }; /* a clear bit denies */
    struct kvm_msr_filter filter = {
        .flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
        .ranges[0] = {
            .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
            .base = MSR_TSC_DEADLINE,
            .nmsrs = 1,
            .bitmap = deny_all,
        },
    };
    int ret;

    if (!kvm->has_user_msr) {
        return true; /* the APIC model then works without x2APIC and TSC deadline */
    }
    ret = kvm_enable_cap(kvm->vm_fd, KVM_CAP_X86_USER_SPACE_MSR,
                         KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |
                         KVM_MSR_EXIT_REASON_FILTER, 0);
    if (ret == 0) {
        ret = kvm_ioctl(kvm->vm_fd, KVM_X86_SET_MSR_FILTER, &filter);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not pass on MSRs as it says that it would");
        return false;
    }
    return true;
}

/* MSRs that CPUID announces and the model's feature words fill (SDM vol. 4, table 2-2). */
static const struct {
    X86FeatureWord announced_in;
    unsigned bit;
    X86FeatureWord word;
    uint32_t index;
    const char *name;
} feature_msrs[] = {
    { X86_FEAT_7_0_EDX, 29, X86_FEAT_ARCH_CAPABILITIES, MSR_ARCH_CAPABILITIES,
      "IA32_ARCH_CAPABILITIES" },
    { X86_FEAT_7_0_EDX, 30, X86_FEAT_CORE_CAPABILITY, MSR_CORE_CAPABILITY,
      "IA32_CORE_CAPABILITIES" },
    { X86_FEAT_1_ECX, 15, X86_FEAT_PERF_CAPABILITIES, MSR_PERF_CAPABILITIES,
      "IA32_PERF_CAPABILITIES" },
};

bool kvm_set_feature_msrs(VCpu *cpu, GError **error)
{
    for (size_t i = 0; cpu->config && i < G_N_ELEMENTS(feature_msrs); i++) {
        struct {
            struct kvm_msrs header;
            struct kvm_msr_entry entry;
        } request = { .header.nmsrs = 1, .entry.index = feature_msrs[i].index };

        if (!x86_cpu_config_has(cpu->config, feature_msrs[i].announced_in, feature_msrs[i].bit)) {
            continue;
        }
        request.entry.data = x86_cpu_config_word(cpu->config, feature_msrs[i].word);
        /* A kernel without the register is no loss if it would read as zero. */
        if (kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_MSRS, &request) != 1 && request.entry.data) {
            error_setf(error, "KVM refuses the value 0x%" PRIx64 " for %s of model '%s'",
                       (uint64_t)request.entry.data, feature_msrs[i].name,
                       x86_cpu_config_model_name(cpu->config));
            return false;
        }
    }
    return true;
}

static bool is_x2apic(uint32_t index)
{
    return index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST;
}

/* The APIC model counts virtual time; only KVM knows how far the guest's TSC has come. */
static void set_tsc_deadline(VCpu *cpu, uint64_t deadline)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    int khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);
    int64_t now = vm_clock_ns(VM_CLOCK_VIRTUAL);
    uint64_t tsc, wait = 0;

    vcpu->tsc_deadline = deadline;
    if (!cpu->apic_ops || !cpu->apic_ops->set_deadline) {
        return;
    }
    if (!deadline) {
        cpu->apic_ops->set_deadline(cpu->apic, 0);
        return;
    }
    tsc = kvm_get_one_msr(vcpu->fd, MSR_IA32_TSC);
    if (deadline > tsc && khz > 0) {
        wait = muldiv64(deadline - tsc, NS_PER_MS, khz);
    }
    cpu->apic_ops->set_deadline(cpu->apic, now + MIN(wait, (uint64_t)(INT64_MAX - now)));
}

int kvm_handle_rdmsr(VCpu *cpu, struct kvm_run *run)
{
    uint64_t value = 0;
    bool ok = false;
    VM_LOCK_GUARD();

    if (is_x2apic(run->msr.index)) {
        ok = cpu->apic_ops && cpu->apic_ops->msr_read &&
             cpu->apic_ops->msr_read(cpu->apic, run->msr.index, &value);
    } else if (run->msr.index == MSR_TSC_DEADLINE) {
        value = kvm_vcpu(cpu)->tsc_deadline;
        ok = true;
    }
    run->msr.data = value;
    run->msr.error = !ok;
    return 0;
}

int kvm_handle_wrmsr(VCpu *cpu, struct kvm_run *run)
{
    bool ok = false;
    VM_LOCK_GUARD();

    kvm_vcpu(cpu)->apic_touched = true;
    if (is_x2apic(run->msr.index)) {
        ok = cpu->apic_ops && cpu->apic_ops->msr_write &&
             cpu->apic_ops->msr_write(cpu->apic, run->msr.index, run->msr.data);
    } else if (run->msr.index == MSR_TSC_DEADLINE) {
        set_tsc_deadline(cpu, run->msr.data);
        ok = true;
    }
    run->msr.error = !ok;
    return 0;
}
