/* SPDX-License-Identifier: Apache-2.0 */
/* Guest time under KVM: the paravirtual clock stands still with the VM; the TSC's frequency. */
#include "accel/kvm/kvm-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "util/error.h"
#include "util/log.h"

/* Guests cannot tell frequencies apart that are as near as this (parts per million). */
#define TSC_TOLERANCE_PPM 250

/* The guest's watchdogs must not take the pause for a hang. */
static void tell_guest_of_pause(VCpu *cpu, void *opaque)
{
    /* EINVAL: this guest does not use the clock. */
    ioctl(kvm_vcpu(cpu)->fd, KVM_KVMCLOCK_CTRL, 0);
}

void kvm_vm_state_changed(Accel *accel, bool running)
{
    KvmAccel *kvm = (KvmAccel *)accel;
    struct kvm_clock_data clock = { 0 };
    int ret;

    if (!running) {
        ret = kvm_ioctl(kvm->vm_fd, KVM_GET_CLOCK, &kvm->clock);
        kvm->clock_valid = ret == 0;
        return;
    }
    if (!kvm->clock_valid) {
        return;
    }
    kvm->clock_valid = false;
    clock.clock = kvm->clock.clock;
    ret = kvm_ioctl(kvm->vm_fd, KVM_SET_CLOCK, &clock);
    if (ret < 0) {
        log_unimplemented("kvm: KVM_SET_CLOCK: %s", g_strerror(-ret));
    }
    for (VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        vcpu_run_on(cpu, tell_guest_of_pause, NULL);
    }
}

bool kvm_set_tsc_khz(VCpu *cpu, GError **error)
{
    KvmAccel *kvm = kvm_accel();
    uint32_t wanted = cpu->config ? x86_cpu_config_tsc_khz(cpu->config) : 0;
    int now = ioctl(kvm_vcpu(cpu)->fd, KVM_GET_TSC_KHZ, 0);
    int ret;

    if (!wanted || (now > 0 && wanted == (uint32_t)now)) {
        return true;
    }
    if (kvm_check_extension(kvm->vm_fd, KVM_CAP_TSC_CONTROL) > 0) {
        ret = ioctl(kvm_vcpu(cpu)->fd, KVM_SET_TSC_KHZ, (unsigned long)wanted) < 0 ? -errno : 0;
        if (ret < 0) {
            error_set_errno(error, -ret, "KVM cannot run the TSC at %u kHz", wanted);
            return false;
        }
        return true;
    }
    if (now <= 0 || llabs((long long)wanted - now) * 1000000 > (long long)now * TSC_TOLERANCE_PPM) {
        error_setf(error, "tsc-frequency: this host cannot scale the TSC: it runs at %d kHz, "
                   "not %u", now, wanted);
        return false;
    }
    return true;
}
