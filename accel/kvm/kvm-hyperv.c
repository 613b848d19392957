/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hyper-V enlightenments (Microsoft's Hypervisor Top-Level Functional Specification): what KVM must
 * be told besides CPUID, its exits, and the crash registers by which Windows says why it died.
 */
#include "accel/kvm/kvm-internal.h"

#include "accel/vm-events.h"
#include "cpu/x86/msr.h"
#include "util/error.h"

#define HV_STATUS_INVALID_HYPERCALL_CODE 2

static bool has_bit(const VCpu *cpu, X86HypervBit bit)
{
    return x86_cpu_config_has(cpu->config, X86_FEAT_HYPERV, bit);
}

/* Enlightenments that need a capability of the VM, by the option that asks for them. */
static const struct {
    X86HypervBit bit;
    int capability;
    const char *option;
} needed_caps[] = {
    { X86_HV_TIME, KVM_CAP_HYPERV_TIME, "hv-time" },
    { X86_HV_VPINDEX, KVM_CAP_HYPERV_VP_INDEX, "hv-vpindex" },
    { X86_HV_SYNIC, KVM_CAP_HYPERV_SYNIC, "hv-synic" },
    { X86_HV_TLBFLUSH, KVM_CAP_HYPERV_TLBFLUSH, "hv-tlbflush" },
    { X86_HV_IPI, KVM_CAP_HYPERV_SEND_IPI, "hv-ipi" },
    { X86_HV_EVMCS, KVM_CAP_HYPERV_ENLIGHTENED_VMCS, "hv-evmcs" },
    { X86_HV_TLBFLUSH_DIRECT, KVM_CAP_HYPERV_DIRECT_TLBFLUSH, "hv-tlbflush-direct" },
    { X86_HV_ENFORCE_CPUID, KVM_CAP_HYPERV_ENFORCE_CPUID, "hv-enforce-cpuid" },
};

/* Those that must also be switched on for each vCPU. */
static const struct {
    X86HypervBit bit;
    uint32_t capability, fallback;
    uint64_t argument;
    const char *option;
} vcpu_caps[] = {
    { X86_HV_SYNIC, KVM_CAP_HYPERV_SYNIC2, KVM_CAP_HYPERV_SYNIC, 0, "hv-synic" },
    { X86_HV_EVMCS, KVM_CAP_HYPERV_ENLIGHTENED_VMCS, 0, 0, "hv-evmcs" },
    { X86_HV_TLBFLUSH_DIRECT, KVM_CAP_HYPERV_DIRECT_TLBFLUSH, 0, 0, "hv-tlbflush-direct" },
    { X86_HV_ENFORCE_CPUID, KVM_CAP_HYPERV_ENFORCE_CPUID, 0, 1, "hv-enforce-cpuid" },
};

static bool check_caps(VCpu *cpu, GError **error)
{
    const KvmAccel *kvm = kvm_accel();

    if (kvm_check_extension(kvm->vm_fd, KVM_CAP_HYPERV) <= 0) {
        error_setf(error, "this host's KVM has no Hyper-V enlightenments (hv-*)");
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(needed_caps); i++) {
        if (has_bit(cpu, needed_caps[i].bit) &&
            kvm_check_extension(kvm->vm_fd, needed_caps[i].capability) <= 0) {
            error_setf(error, "this host's KVM has no %s", needed_caps[i].option);
            return false;
        }
    }
    return true;
}

bool kvm_hyperv_init_vcpu(VCpu *cpu, GError **error)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    uint16_t evmcs_version = 0;

    if (!cpu->config || !x86_cpu_config_hyperv_enabled(cpu->config)) {
        return true;
    }
    if (!check_caps(cpu, error)) {
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(vcpu_caps); i++) {
        uint64_t argument = vcpu_caps[i].argument;
        int ret;

        if (!has_bit(cpu, vcpu_caps[i].bit)) {
            continue;
        }
        if (vcpu_caps[i].bit == X86_HV_EVMCS) {
            argument = (uintptr_t)&evmcs_version; /* KVM writes the version there */
        }
        ret = kvm_enable_cap(vcpu->fd, vcpu_caps[i].capability, argument, 0);
        if (ret < 0 && vcpu_caps[i].fallback) {
            ret = kvm_enable_cap(vcpu->fd, vcpu_caps[i].fallback, argument, 0);
        }
        if (ret < 0) {
            error_set_errno(error, -ret, "KVM cannot switch on %s", vcpu_caps[i].option);
            return false;
        }
    }
    return true;
}

int kvm_handle_hyperv(VCpu *cpu, struct kvm_run *run)
{
    if (run->hyperv.type == KVM_EXIT_HYPERV_HCALL) {
        run->hyperv.u.hcall.result = HV_STATUS_INVALID_HYPERCALL_CODE;
    }
    /* SynIC: the message pages changed; nothing here posts messages. Debug hypercalls: no
       debugger. */
    return 0;
}

void kvm_report_crash(VCpu *cpu)
{
    VmPanicInfo info = { .kind = VM_PANIC_HYPERV };

    for (unsigned i = 0; i < G_N_ELEMENTS(info.args); i++) {
        struct {
            struct kvm_msrs header;
            struct kvm_msr_entry entry;
        } request = { .header.nmsrs = 1, .entry.index = MSR_HYPERV_CRASH_P0 + i };

        if (kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_GET_MSRS, &request) == 1) {
            info.args[i] = request.entry.data;
        }
    }
    vm_report_guest_panic(&info);
}
