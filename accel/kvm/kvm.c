/* SPDX-License-Identifier: Apache-2.0 */
/* The KVM accelerator: its type, properties and the life of the VM. */
#include "accel/kvm/kvm-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/error.h"

#define KVM_API_SUPPORTED 12

int kvm_ioctl(int fd, unsigned long request, void *argument)
{
    int ret;

    do {
        ret = ioctl(fd, request, argument);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

int kvm_check_extension(int fd, int capability)
{
    int ret = ioctl(fd, KVM_CHECK_EXTENSION, capability);

    return MAX(ret, 0);
}

int kvm_enable_cap(int fd, uint32_t capability, uint64_t arg0, uint64_t arg1)
{
    struct kvm_enable_cap cap = { .cap = capability, .args = { arg0, arg1 } };

    return kvm_ioctl(fd, KVM_ENABLE_CAP, &cap);
}

static bool open_vm(KvmAccel *kvm, GError **error)
{
    int version;

    kvm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm->kvm_fd < 0) {
        error_set_errno(error, errno, "cannot open /dev/kvm");
        return false;
    }
    version = ioctl(kvm->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_SUPPORTED) {
        error_setf(error, "this kernel's KVM speaks API version %d, not %d", version,
                   KVM_API_SUPPORTED);
        return false;
    }
    do {
        kvm->vm_fd = ioctl(kvm->kvm_fd, KVM_CREATE_VM, 0);
    } while (kvm->vm_fd < 0 && errno == EINTR);
    if (kvm->vm_fd < 0) {
        error_set_errno(error, errno, "KVM cannot create a VM");
        return false;
    }
    return true;
}

static void read_caps(KvmAccel *kvm)
{
    const struct {
        int cap;
        bool *flag;
    } flags[] = {
        { KVM_CAP_IMMEDIATE_EXIT, &kvm->has_immediate_exit },
        { KVM_CAP_XCRS, &kvm->has_xcrs },
        { KVM_CAP_DEBUGREGS, &kvm->has_debugregs },
        { KVM_CAP_SREGS2, &kvm->has_sregs2 },
        { KVM_CAP_X86_SMM, &kvm->has_smm },
        { KVM_CAP_EXCEPTION_PAYLOAD, &kvm->has_payload },
        { KVM_CAP_X86_TRIPLE_FAULT_EVENT, &kvm->has_triple_fault_event },
        { KVM_CAP_IOEVENTFD_ANY_LENGTH, &kvm->has_any_length_ioeventfd },
        { KVM_CAP_READONLY_MEM, &kvm->has_readonly },
        { KVM_CAP_X86_USER_SPACE_MSR, &kvm->has_user_msr },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        *flags[i].flag = kvm_check_extension(kvm->vm_fd, flags[i].cap) > 0;
    }
    kvm->has_smm = kvm->has_smm &&
                   kvm_check_extension(kvm->vm_fd, KVM_CAP_MULTI_ADDRESS_SPACE) > 1;
    kvm->has_user_msr = kvm->has_user_msr &&
                        kvm_check_extension(kvm->vm_fd, KVM_CAP_X86_MSR_FILTER) > 0;
    kvm->has_blockirq = kvm_check_extension(kvm->vm_fd, KVM_CAP_SET_GUEST_DEBUG2) &
                        KVM_GUESTDBG_BLOCKIRQ;
    kvm->coalesced_page = kvm_check_extension(kvm->vm_fd, KVM_CAP_COALESCED_MMIO);
    kvm->has_payload = kvm->has_payload &&
                       kvm_enable_cap(kvm->vm_fd, KVM_CAP_EXCEPTION_PAYLOAD, 1, 0) == 0;
    kvm->has_triple_fault_event =
        kvm->has_triple_fault_event &&
        kvm_enable_cap(kvm->vm_fd, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1, 0) == 0;
}

/* What nothing works without; all of it is in every kernel since 4.13. */
static bool check_required_caps(KvmAccel *kvm, GError **error)
{
    static const struct {
        int cap;
        const char *name;
    } required[] = {
        { KVM_CAP_USER_MEMORY, "USER_MEMORY" },
        { KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR" },
        { KVM_CAP_EXT_CPUID, "EXT_CPUID" },
        { KVM_CAP_XSAVE, "XSAVE" },
        { KVM_CAP_VCPU_EVENTS, "VCPU_EVENTS" },
        { KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(required); i++) {
        if (kvm_check_extension(kvm->vm_fd, required[i].cap) <= 0) {
            error_set_code(error, VIREO_ERROR_KVM_MISSING_CAP,
                           "this kernel's KVM lacks KVM_CAP_%s", required[i].name);
            return false;
        }
    }
    return true;
}

/* The reserved guest pages must be known before the first vCPU. */
static bool set_reserved_pages(KvmAccel *kvm, GError **error)
{
    uint64_t identity = KVM_IDENTITY_MAP_BASE;
    int ret;

    if (kvm_check_extension(kvm->vm_fd, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0) {
        ret = kvm_ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
        if (ret < 0) {
            error_set_errno(error, -ret, "KVM_SET_IDENTITY_MAP_ADDR");
            return false;
        }
    }
    ret = ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS_BASE) < 0 ? -errno : 0;
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_SET_TSS_ADDR");
        return false;
    }
    return true;
}

static bool apply_options(KvmAccel *kvm, GError **error)
{
    int ret;

    if (kvm->shadow_mem) {
        ret = ioctl(kvm->vm_fd, KVM_SET_NR_MMU_PAGES, (unsigned long)(kvm->shadow_mem >> 12));
        if (ret < 0) {
            error_set_errno(error, errno, "kvm-shadow-mem");
            return false;
        }
    }
    if (kvm->notify_vmexit != KVM_NOTIFY_VMEXIT_DISABLE &&
        kvm_check_extension(kvm->vm_fd, KVM_CAP_X86_NOTIFY_VMEXIT) > 0) {
        uint64_t flags = (uint64_t)kvm->notify_window << 32 | KVM_X86_NOTIFY_VMEXIT_ENABLED |
                         KVM_X86_NOTIFY_VMEXIT_USER;

        ret = kvm_enable_cap(kvm->vm_fd, KVM_CAP_X86_NOTIFY_VMEXIT, flags, 0);
        if (ret < 0) {
            error_set_errno(error, -ret, "notify-vmexit");
            return false;
        }
    }
    return true;
}

static void kvm_cleanup(Accel *accel)
{
    KvmAccel *kvm = (KvmAccel *)accel;

    kvm_dirty_cleanup(kvm);
    kvm_memory_cleanup(kvm);
    kvm_irqchip_cleanup(kvm);
    g_clear_pointer(&kvm->msr_indices, g_free);
    kvm_vcpus_cleanup(kvm);
    if (kvm->vm_fd >= 0) {
        close(kvm->vm_fd);
        kvm->vm_fd = -1;
    }
    if (kvm->kvm_fd >= 0) {
        close(kvm->kvm_fd);
        kvm->kvm_fd = -1;
    }
}

/*
 * -overcommit cpu-pm=on: HLT, MWAIT and PAUSE run on the host's CPU without an exit (api.rst,
 * 7.13). CSTATE is left out: it lets a guest slow its siblings.
 */
static bool disable_idle_exits(KvmAccel *kvm, GError **error)
{
    const int wanted = KVM_X86_DISABLE_EXITS_MWAIT | KVM_X86_DISABLE_EXITS_HLT |
                       KVM_X86_DISABLE_EXITS_PAUSE;
    int possible = ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS);
    int ret;

    if (possible <= 0 || !(possible & wanted)) {
        warn_report("-overcommit cpu-pm=on: this KVM cannot let guests idle; it has no effect");
        return true;
    }
    ret = kvm_enable_cap(kvm->vm_fd, KVM_CAP_X86_DISABLE_EXITS, possible & wanted, 0);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_CAP_X86_DISABLE_EXITS");
        return false;
    }
    return true;
}

static bool kvm_init(Accel *accel, const AccelConfig *config, GError **error)
{
    KvmAccel *kvm = (KvmAccel *)accel;
    int size;

    if (!open_vm(kvm, error) || !check_required_caps(kvm, error)) {
        goto fail;
    }
    read_caps(kvm);
    size = ioctl(kvm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run)) {
        error_setf(error, "KVM_GET_VCPU_MMAP_SIZE answers %d", size);
        goto fail;
    }
    kvm->run_size = size;
    if (!set_reserved_pages(kvm, error) || !apply_options(kvm, error) ||
        (config->cpu_pm && !disable_idle_exits(kvm, error)) ||
        !kvm_dirty_ring_init(kvm, error) || !kvm_irqchip_init(kvm, error) ||
        !kvm_msr_list_init(kvm, error) || !kvm_memory_init(kvm, error)) {
        goto fail;
    }
    return true;
fail:
    kvm_cleanup(accel);
    return false;
}

static bool kvm_has_smm(Accel *accel)
{
    return ((const KvmAccel *)accel)->has_smm;
}

static const char *const irqchip_names[] = { "off", "split", "on", NULL };

static json_object *get_irqchip(Object *obj, const Property *prop)
{
    const Accel *accel = (const Accel *)obj;

    return json_object_new_string(irqchip_names[accel->irqchip_prop]);
}

static bool set_irqchip(Object *obj, const Property *prop, json_object *value, GError **error)
{
    Accel *accel = (Accel *)obj;
    const char *word = json_object_get_string(value);

    for (unsigned i = 0; irqchip_names[i]; i++) {
        if (g_strcmp0(word, irqchip_names[i]) == 0) {
            accel->irqchip_prop = i;
            accel->irqchip_prop_set = true;
            return true;
        }
    }
    error_setf(error, "kernel-irqchip is on, off or split, not '%s'", word ? word : "");
    return false;
}

static const char *const notify_names[] = { "run", "internal-error", "disable", NULL };

static const Property kvm_properties[] = {
    PROP_COMPUTED("kernel-irqchip", prop_kind_string, get_irqchip, set_irqchip,
                  "interrupt controllers in the kernel: on, off or split (only local APICs)"),
    PROP_SIZE("kvm-shadow-mem", KvmAccel, shadow_mem, 0, "memory for shadow page tables"),
    PROP_UINT32("dirty-ring-size", KvmAccel, dirty_ring_size, 0,
                "entries of each CPU's dirty page ring, a power of two (0: bitmaps)"),
    PROP_ENUM("notify-vmexit", KvmAccel, notify_vmexit, notify_names, KVM_NOTIFY_VMEXIT_RUN,
              "when a guest stalls a CPU without an exit: run, internal-error or disable"),
    PROP_UINT32("notify-window", KvmAccel, notify_window, 0,
                "how long a stall may last before notify-vmexit acts, in core cycles"),
    PROP_END,
};

static void kvm_instance_init(Object *obj)
{
    KvmAccel *kvm = (KvmAccel *)obj;

    kvm->kvm_fd = kvm->vm_fd = -1;
    kvm->parent.irqchip_prop = ACCEL_IRQCHIP_ON;
    pthread_mutex_init(&kvm->gate_lock, NULL);
    pthread_cond_init(&kvm->gate_cond, NULL);
    pthread_cond_init(&kvm->reaper_cond, NULL);
}

static void kvm_instance_finalize(Object *obj)
{
    KvmAccel *kvm = (KvmAccel *)obj;

    pthread_mutex_destroy(&kvm->gate_lock);
    pthread_cond_destroy(&kvm->gate_cond);
    pthread_cond_destroy(&kvm->reaper_cond);
}

static const AccelOps kvm_ops = {
    .name = "kvm",
    .probe = kvm_probe,
    .init = kvm_init,
    .cleanup = kvm_cleanup,
    .cpu_caps = kvm_cpu_caps,
    .vcpu_create = kvm_vcpu_create,
    .vcpu_destroy = kvm_vcpu_destroy,
    .vcpu_run = kvm_vcpu_run,
    .vcpu_kick = kvm_vcpu_kick,
    .has_work = kvm_has_work,
    .has_smm = kvm_has_smm,
    .get_state = kvm_get_state,
    .set_state = kvm_set_state,
    .inject_nmi = kvm_inject_nmi,
    .set_gsi = kvm_set_gsi,
    .msi_send = kvm_msi_send,
    .route_add_msi = kvm_route_add_msi,
    .route_update_msi = kvm_route_update_msi,
    .route_del = kvm_route_del,
    .route_commit = kvm_route_commit,
    .irqfd_add = kvm_irqfd_add,
    .irqfd_del = kvm_irqfd_del,
    .ioapic_routes = kvm_ioapic_routes,
    .irqchip_get = kvm_irqchip_get,
    .irqchip_set = kvm_irqchip_set,
    .pit_get = kvm_pit_get,
    .pit_set = kvm_pit_set,
    .pit_set_reinject = kvm_pit_set_reinject,
    .vm_state_changed = kvm_vm_state_changed,
    .update_debug = kvm_update_debug,
    .debug_points = KVM_DEBUG_POINTS,
};

static const TypeInfo kvm_accel_type = {
    .name = "kvm-accel",
    .parent = TYPE_ACCEL,
    .description = "the host kernel's KVM",
    .instance_size = sizeof(KvmAccel),
    .properties = kvm_properties,
    .instance_init = kvm_instance_init,
    .instance_finalize = kvm_instance_finalize,
    .ops = &kvm_ops,
};
QOM_TYPE(kvm_accel_type);
