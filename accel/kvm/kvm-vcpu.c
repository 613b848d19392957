/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a KVM vCPU: its file descriptor and mapping, CPUID, machine-check banks, SMM. */
#include "accel/kvm/kvm-internal.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/x86/msr.h"
#include "util/bits.h"
#include "util/error.h"

/* As many as QEMU and most hardware have; MCG_CTL_P and SER_P say that they can be controlled. */
#define MCE_BANKS 10
#define MCG_CTL_P BIT(8)
#define MCG_SER_P BIT(24)
#define CPUID_1_EDX_MCE 7
#define CPUID_1_EDX_MCA 14

static bool map_run(KvmAccel *kvm, KvmVCpu *vcpu, GError **error)
{
    void *run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    size_t ring_offset = (size_t)kvm->coalesced_page * 4096;

    if (run == MAP_FAILED) {
        error_set_errno(error, errno, "cannot map a vCPU's run structure");
        return false;
    }
    vcpu->run = run;
    if (kvm->coalesced_page && !kvm->coalesced_ring && ring_offset + 4096 <= kvm->run_size) {
        kvm->coalesced_ring = (void *)((uint8_t *)run + ring_offset);
    }
    return true;
}

static bool set_cpuid(VCpu *cpu, GError **error)
{
    g_autofree X86CpuidEntry *entries = g_new0(X86CpuidEntry, X86_CPUID_MAX);
    g_autofree struct kvm_cpuid2 *cpuid =
        g_malloc0(sizeof(*cpuid) + X86_CPUID_MAX * sizeof(cpuid->entries[0]));
    unsigned count;
    int ret;

    if (!cpu->config) {
        return true; /* bare tests */
    }
    count = x86_cpu_config_cpuid(cpu->config, &cpu->topology, cpu->apic_id, cpu->index, entries);
    cpuid->nent = count;
    for (unsigned i = 0; i < count; i++) {
        cpuid->entries[i] = (struct kvm_cpuid_entry2) {
            .function = entries[i].function,
            .index = entries[i].index,
            .flags = entries[i].has_index ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = entries[i].eax,
            .ebx = entries[i].ebx,
            .ecx = entries[i].ecx,
            .edx = entries[i].edx,
        };
    }
    ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_CPUID2, cpuid);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM refuses the CPUID of model '%s'",
                        x86_cpu_config_model_name(cpu->config));
        return false;
    }
    return true;
}

static bool set_machine_check(VCpu *cpu, GError **error)
{
    uint64_t supported = 0, wanted;
    int banks = kvm_check_extension(kvm_accel()->kvm_fd, KVM_CAP_MCE);
    int ret;

    if (!cpu->config || banks <= 0 ||
        !x86_cpu_config_has(cpu->config, X86_FEAT_1_EDX, CPUID_1_EDX_MCE) ||
        !x86_cpu_config_has(cpu->config, X86_FEAT_1_EDX, CPUID_1_EDX_MCA)) {
        return true;
    }
    ret = kvm_ioctl(kvm_accel()->kvm_fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &supported);
    wanted = MIN(MCE_BANKS, banks) | (supported & (MCG_CTL_P | MCG_SER_P));
    if (ret == 0) {
        ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_X86_SETUP_MCE, &wanted);
    }
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM cannot set up %d machine-check banks", MCE_BANKS);
        return false;
    }
    return true;
}

/* The state right after creation is the power-up state, with the MSRs that this kernel has. */
static bool read_first_state(VCpu *cpu, GError **error)
{
    cpu->state_valid = kvm_get_state(cpu, error);
    return cpu->state_valid;
}

static void park_fd(KvmAccel *kvm, uint32_t apic_id, int fd)
{
    const KvmParked parked = { .apic_id = apic_id, .fd = fd };

    if (!kvm->parked) {
        kvm->parked = g_array_new(FALSE, FALSE, sizeof(KvmParked));
    }
    g_array_append_val(kvm->parked, parked);
}

/* The file descriptor of a new vCPU, or of the one that had this place before. -1: errno is set. */
static int open_vcpu(KvmAccel *kvm, uint32_t apic_id)
{
    for (unsigned i = 0; kvm->parked && i < kvm->parked->len; i++) {
        const KvmParked parked = g_array_index(kvm->parked, KvmParked, i);

        if (parked.apic_id == apic_id) {
            g_array_remove_index_fast(kvm->parked, i);
            return parked.fd;
        }
    }
    return ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (unsigned long)apic_id);
}

bool kvm_vcpu_create(VCpu *cpu, GError **error)
{
    KvmAccel *kvm = kvm_accel();
    KvmVCpu *vcpu = g_new0(KvmVCpu, 1);

    cpu->accel_data = vcpu;
    vcpu->fd = -1;
    kvm_memory_add_smm(kvm);
    if (!kvm_irqchip_create(kvm, error)) {
        kvm_vcpu_destroy(cpu);
        return false;
    }
    vcpu->fd = open_vcpu(kvm, cpu->apic_id);
    if (vcpu->fd < 0) {
        error_set_errno(error, errno, "KVM cannot create CPU %u (APIC id %u)", cpu->index,
                        cpu->apic_id);
        kvm_vcpu_destroy(cpu);
        return false;
    }
    if (!map_run(kvm, vcpu, error) || !kvm_dirty_ring_map(kvm, vcpu, error) ||
        !kvm_hyperv_init_vcpu(cpu, error) || !set_cpuid(cpu, error) ||
        !kvm_set_feature_msrs(cpu, error) || !kvm_set_tsc_khz(cpu, error) ||
        !set_machine_check(cpu, error) || !read_first_state(cpu, error)) {
        kvm_vcpu_destroy(cpu);
        return false;
    }
    return true;
}

void kvm_vcpu_destroy(VCpu *cpu)
{
    KvmAccel *kvm = kvm_accel();
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    void *ring = kvm->coalesced_ring;

    if (vcpu->run) {
        /* Each vCPU maps the same ring page; the one that is used must outlive the others. */
        if (ring == (uint8_t *)vcpu->run + (size_t)kvm->coalesced_page * 4096) {
            kvm_drain_coalesced(kvm);
            kvm->coalesced_ring = NULL;
        }
        kvm_dirty_ring_unmap(kvm, vcpu);
        munmap(vcpu->run, kvm->run_size);
    }
    if (vcpu->fd >= 0) {
        park_fd(kvm, cpu->apic_id, vcpu->fd);
    }
    cpu->accel_data = NULL;
    g_free(vcpu);
}

void kvm_vcpus_cleanup(KvmAccel *kvm)
{
    for (unsigned i = 0; kvm->parked && i < kvm->parked->len; i++) {
        close(g_array_index(kvm->parked, KvmParked, i).fd);
    }
    g_clear_pointer(&kvm->parked, g_array_unref);
}

void kvm_vcpu_kick(VCpu *cpu)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);

    if (vcpu && vcpu->run) {
        __atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    }
}

/* KVM_GET_SUPPORTED_CPUID and its Hyper-V sibling, into our entries. */
static unsigned get_cpuid(int fd, unsigned long request, X86CpuidEntry *out, unsigned max)
{
    g_autofree struct kvm_cpuid2 *cpuid =
        g_malloc0(sizeof(*cpuid) + max * sizeof(cpuid->entries[0]));

    cpuid->nent = max;
    if (kvm_ioctl(fd, request, cpuid) < 0) {
        return 0;
    }
    for (unsigned i = 0; i < cpuid->nent; i++) {
        out[i] = (X86CpuidEntry) {
            .function = cpuid->entries[i].function,
            .index = cpuid->entries[i].index,
            .has_index = cpuid->entries[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            .eax = cpuid->entries[i].eax,
            .ebx = cpuid->entries[i].ebx,
            .ecx = cpuid->entries[i].ecx,
            .edx = cpuid->entries[i].edx,
        };
    }
    return cpuid->nent;
}

uint64_t kvm_get_one_msr(int fd, uint32_t index)
{
    struct {
        struct kvm_msrs header;
        struct kvm_msr_entry entry;
    } request = { .header.nmsrs = 1, .entry.index = index };

    return kvm_ioctl(fd, KVM_GET_MSRS, &request) == 1 ? request.entry.data : 0;
}

static bool caps_have_vmx(const X86AccelCaps *caps)
{
    for (unsigned i = 0; i < caps->supported_count; i++) {
        if (caps->supported[i].function == 1) {
            return caps->supported[i].ecx & BIT(5);
        }
    }
    return false;
}

static void add_bits(X86AccelCaps *caps, uint32_t function, uint32_t set_ecx, uint32_t clear_ecx)
{
    for (unsigned i = 0; i < caps->supported_count; i++) {
        if (caps->supported[i].function == function) {
            caps->supported[i].ecx = (caps->supported[i].ecx | set_ecx) & ~clear_ecx;
        }
    }
}

/* Paravirtual features that need the local APIC in the kernel. */
static void drop_apic_features(X86AccelCaps *caps)
{
    const uint32_t features = BIT(KVM_FEATURE_ASYNC_PF) | BIT(KVM_FEATURE_PV_EOI) |
                              BIT(KVM_FEATURE_PV_UNHALT) | BIT(KVM_FEATURE_ASYNC_PF_VMEXIT) |
                              BIT(KVM_FEATURE_PV_SEND_IPI) | BIT(KVM_FEATURE_PV_SCHED_YIELD) |
                              BIT(KVM_FEATURE_ASYNC_PF_INT);

    for (unsigned i = 0; i < caps->supported_count; i++) {
        if (caps->supported[i].function == KVM_CPUID_FEATURES) {
            caps->supported[i].eax &= ~features;
        }
    }
}

bool kvm_cpu_caps(Accel *accel, X86AccelCaps *caps, GError **error)
{
    KvmAccel *kvm = (KvmAccel *)accel;
    int khz = ioctl(kvm->vm_fd, KVM_GET_TSC_KHZ, 0);

    *caps = (X86AccelCaps) { .name = "kvm" };
    caps->supported_count =
        get_cpuid(kvm->kvm_fd, KVM_GET_SUPPORTED_CPUID, caps->supported, X86_CPUID_MAX);
    if (!caps->supported_count) {
        error_setf(error, "KVM does not say which CPUID it supports");
        return false;
    }
    if (kvm_check_extension(kvm->kvm_fd, KVM_CAP_SYS_HYPERV_CPUID) > 0) {
        caps->hyperv_count = get_cpuid(kvm->kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, caps->hyperv,
                                       G_N_ELEMENTS(caps->hyperv));
    }
    caps->arch_capabilities = kvm_get_one_msr(kvm->kvm_fd, MSR_ARCH_CAPABILITIES);
    caps->perf_capabilities = kvm_get_one_msr(kvm->kvm_fd, MSR_PERF_CAPABILITIES);
    /* All zero where VMX cannot be nested. */
    for (unsigned i = 0; i < G_N_ELEMENTS(caps->vmx) && caps_have_vmx(caps); i++) {
        caps->vmx[i] = kvm_get_one_msr(kvm->kvm_fd, MSR_VMX_BASIC + i);
    }
    caps->has_tsc_scaling = kvm_check_extension(kvm->kvm_fd, KVM_CAP_TSC_CONTROL) > 0;
    caps->has_x2apic_api = kvm_check_extension(kvm->kvm_fd, KVM_CAP_X2APIC_API) > 0;
    caps->has_tsc_deadline =
        kvm_has_lapic() ? kvm_check_extension(kvm->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0
                        : kvm->has_user_msr;
    caps->host_tsc_khz = khz > 0 ? khz : 0;
    for (unsigned i = 0; i < caps->supported_count; i++) {
        if (caps->supported[i].function == 0x80000008) {
            caps->host_phys_bits = caps->supported[i].eax & 0xff;
        }
    }
    if (!kvm_has_lapic()) {
        drop_apic_features(caps);
    }
    /* KVM leaves these two to whoever provides the APIC. */
    add_bits(caps, 1, BIT(21) | (caps->has_tsc_deadline ? BIT(24) : 0),
             (kvm_has_lapic() || kvm->has_user_msr ? 0 : BIT(21)) |
             (caps->has_tsc_deadline ? 0 : BIT(24)));
    return true;
}
