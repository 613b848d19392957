/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of accel/kvm share: the VM (KvmAccel), a vCPU (KvmVCpu), and who does what.
 *
 * Locks: the VM lock covers everything here but the run loop's own vCPU; slots_gate keeps vCPUs out
 * of KVM_RUN while memory slots are being replaced.
 */
#ifndef VIREO_ACCEL_KVM_KVM_INTERNAL_H
#define VIREO_ACCEL_KVM_KVM_INTERNAL_H

#include <linux/kvm.h>

#include "accel/accel.h"
#include "memory/memory.h"

/* IOAPIC pins, and so the GSIs that are lines; MSI routes come after them. */
#define KVM_GSI_LINES 24
/* Guest pages that KVM takes for itself on Intel hosts (accel.h: ACCEL_RESERVED_BASE). */
#define KVM_IDENTITY_MAP_BASE ACCEL_RESERVED_BASE
#define KVM_TSS_BASE (ACCEL_RESERVED_BASE + 0x1000)

typedef enum KvmNotifyVmexit {
    KVM_NOTIFY_VMEXIT_RUN,
    KVM_NOTIFY_VMEXIT_INTERNAL_ERROR,
    KVM_NOTIFY_VMEXIT_DISABLE,
} KvmNotifyVmexit;

/* A stretch of guest RAM as KVM knows it. */
typedef struct KvmSlot {
    uint64_t gpa, size;
    uint8_t *host;
    MemoryRegion *region; /* borrowed: mapped while the slot exists */
    uint64_t offset;      /* of the slot's start in the region */
    bool readonly, logged;
    bool installed;       /* the kernel has it, with these flags: */
    uint32_t installed_flags;
    uint32_t space;       /* KvmMemory.id */
    uint32_t id;          /* KVM's: the space's number in bits 31:16 */
} KvmSlot;

typedef struct KvmAccel KvmAccel;

/* One of our address spaces as one of KVM's. */
typedef struct KvmMemory {
    MemoryListener listener;
    KvmAccel *kvm;
    uint32_t id; /* KVM's number: 1 is what CPUs in SMM see */
    bool changed; /* slots, since begin */
} KvmMemory;

struct KvmAccel {
    Accel parent;

    /* properties */
    uint64_t shadow_mem;
    uint32_t dirty_ring_size; /* entries per vCPU; 0: bitmaps */
    int notify_vmexit;        /* KvmNotifyVmexit */
    uint32_t notify_window;

    int kvm_fd, vm_fd;
    size_t run_size;          /* of a vCPU's mapping */
    int coalesced_page;       /* page of the ring in that mapping; 0: none */
    bool has_blockirq, has_immediate_exit, has_xcrs, has_debugregs, has_sregs2, has_smm,
        has_payload, has_triple_fault_event, has_any_length_ioeventfd, has_readonly, has_user_msr;
    bool manual_dirty_protect;

    KvmMemory memory, smm_memory; /* KVM's address spaces 0 and 1 */
    MemoryListener io_listener;
    GPtrArray *slots;         /* KvmSlot *, of both spaces */
    GPtrArray *retired;       /* slots to be deleted at commit */
    bool slots_exhausted;
    uint32_t max_slots;
    struct kvm_coalesced_mmio_ring *coalesced_ring; /* of the first vCPU */

    /* the gate; see kvm-memory.c */
    bool gate_closed;
    pthread_mutex_t gate_lock;
    pthread_cond_t gate_cond;

    bool irqchip_created;
    struct kvm_irq_routing *routing; /* entries in use, MSI entries by gsi */
    uint32_t routing_capacity;
    uint32_t max_routes;
    GArray *free_virqs;       /* int, given back by route_del */
    int next_virq;

    GArray *parked;           /* KvmParked: file descriptors of unplugged vCPUs */
    uint32_t *msr_indices;    /* as KVM lists them */
    uint32_t msr_index_count;

    pthread_t reaper;
    bool reaper_running, reaper_stop;
    pthread_cond_t reaper_cond; /* with gate_lock */
    struct kvm_clock_data clock;
    bool clock_valid;
};

/* KVM cannot take a vCPU out of a VM: it waits here until its place is filled again. */
typedef struct KvmParked {
    uint32_t apic_id;
    int fd;
} KvmParked;

typedef struct KvmVCpu {
    int fd;
    struct kvm_run *run;
    bool in_run;
    bool wait_for_sipi;       /* irqchip off: an AP that INIT or reset stopped */
    bool apic_touched;        /* irqchip off: the guest may have changed its APIC's TPR or base */
    uint64_t last_cr8, last_apic_base, tsc_deadline;
    /* MSRs and APIC page as last read: only what changed since is written back. */
    X86Msr known_msrs[X86_MSR_MAX];
    uint32_t known_msr_count;
    uint8_t known_lapic[1024];
    bool msr_list_valid;
    struct kvm_dirty_gfn *ring;
    uint32_t ring_next;
} KvmVCpu;

static inline KvmAccel *kvm_accel(void)
{
    return (KvmAccel *)accel_current();
}

static inline KvmVCpu *kvm_vcpu(const VCpu *cpu)
{
    return cpu->accel_data;
}

/* Are the local APICs in the kernel? */
static inline bool kvm_has_lapic(void)
{
    return accel_irqchip() != ACCEL_IRQCHIP_OFF;
}

/* ioctl that is called again when a signal interrupts it; -errno on failure. */
int kvm_ioctl(int fd, unsigned long request, void *argument);
int kvm_check_extension(int fd, int capability);
/* KVM_ENABLE_CAP with up to two arguments. 0 or -errno. */
int kvm_enable_cap(int fd, uint32_t capability, uint64_t arg0, uint64_t arg1);

/* kvm-probe.c */
void kvm_probe(Accel *accel, AccelProbe *probe);
/*
 * By what the KVM does alone, whatever processor and kind it says that it is: what kvm_probe() does
 * with a kind it does not know.
 */
void kvm_probe_by_test(AccelProbe *probe);

/* kvm-memory.c: slots, ioeventfds, coalesced MMIO */
bool kvm_memory_init(KvmAccel *kvm, GError **error);
void kvm_memory_cleanup(KvmAccel *kvm);
/* SMM's view of memory, if the machine has one and this KVM can show it. Before the first vCPU. */
void kvm_memory_add_smm(KvmAccel *kvm);
/* Around every KVM_RUN. */
void kvm_gate_enter(KvmAccel *kvm, KvmVCpu *vcpu);
void kvm_gate_leave(KvmAccel *kvm, KvmVCpu *vcpu);
/* Force every vCPU out of KVM_RUN and keep it out / let them in again. VM lock held. */
void kvm_gate_close(KvmAccel *kvm);
void kvm_gate_open(KvmAccel *kvm);
void kvm_drain_coalesced(KvmAccel *kvm);

/* kvm-dirty.c */
void kvm_dirty_init(KvmAccel *kvm);
bool kvm_dirty_ring_init(KvmAccel *kvm, GError **error);
bool kvm_dirty_ring_map(KvmAccel *kvm, KvmVCpu *vcpu, GError **error);
void kvm_dirty_ring_unmap(KvmAccel *kvm, KvmVCpu *vcpu);
void kvm_dirty_cleanup(KvmAccel *kvm);
void kvm_dirty_sync_slot(KvmAccel *kvm, KvmSlot *slot);
/* Collect every vCPU's ring. VM lock held. */
void kvm_dirty_ring_collect(KvmAccel *kvm);

/* kvm-irq.c */
/* init decides where the controllers are; create, before the first vCPU, makes the kernel's. */
bool kvm_irqchip_init(KvmAccel *kvm, GError **error);
bool kvm_irqchip_create(KvmAccel *kvm, GError **error);
void kvm_irqchip_cleanup(KvmAccel *kvm);
void kvm_set_gsi(Accel *accel, unsigned gsi, bool level);
int kvm_msi_send(Accel *accel, uint64_t address, uint32_t data);
int kvm_route_add_msi(Accel *accel, uint64_t address, uint32_t data);
int kvm_route_update_msi(Accel *accel, int virq, uint64_t address, uint32_t data);
void kvm_route_del(Accel *accel, int virq);
int kvm_route_commit(Accel *accel);
int kvm_irqfd_add(Accel *accel, EventNotifier *trigger, EventNotifier *resample, int virq);
int kvm_irqfd_del(Accel *accel, EventNotifier *trigger, int virq);
void kvm_ioapic_routes(Accel *accel, const uint64_t *msi_address, const uint32_t *msi_data,
                       const bool *valid, unsigned count);
/* One MSR of a vCPU (fd), or a feature MSR of KVM itself; 0 if there is none. */
uint64_t kvm_get_one_msr(int fd, uint32_t index);
bool kvm_irqchip_get(Accel *accel, unsigned chip, void *data, size_t size, GError **error);
bool kvm_irqchip_set(Accel *accel, unsigned chip, const void *data, size_t size, GError **error);
bool kvm_pit_get(Accel *accel, void *data, size_t size, GError **error);
bool kvm_pit_set_reinject(Accel *accel, bool on, GError **error);
bool kvm_pit_set(Accel *accel, const void *data, size_t size, GError **error);
bool kvm_inject_nmi(VCpu *cpu);

/* kvm-vcpu.c */
bool kvm_vcpu_create(VCpu *cpu, GError **error);
void kvm_vcpu_destroy(VCpu *cpu);
/* Close what unplugged vCPUs left. */
void kvm_vcpus_cleanup(KvmAccel *kvm);
void kvm_vcpu_kick(VCpu *cpu);
bool kvm_cpu_caps(Accel *accel, X86AccelCaps *caps, GError **error);

/* kvm-state.c, kvm-msr.c */
bool kvm_get_state(VCpu *cpu, GError **error);
bool kvm_set_state(VCpu *cpu, GError **error);
bool kvm_msr_list_init(KvmAccel *kvm, GError **error);
bool kvm_get_msrs(VCpu *cpu, GError **error);
bool kvm_set_msrs(VCpu *cpu, GError **error);
/* Give the MSRs that belong to CPUID the values of the CPU model. After CPUID is set. */
bool kvm_set_feature_msrs(VCpu *cpu, GError **error);
/* Let the APIC model's MSRs come to userspace (irqchip off). */
bool kvm_msr_filter_init(KvmAccel *kvm, GError **error);
int kvm_handle_rdmsr(VCpu *cpu, struct kvm_run *run);
int kvm_handle_wrmsr(VCpu *cpu, struct kvm_run *run);

/* kvm-run.c */
int kvm_vcpu_run(VCpu *cpu);

/* kvm-inject.c: interrupts with the APIC in userspace, or EXTINT with the split irqchip */
bool kvm_has_work(VCpu *cpu);
/* Deliver what is due before entering; false if the CPU must not run now. */
bool kvm_pre_run(VCpu *cpu);
/* Tell the APIC model about CR8 and APIC_BASE. */
void kvm_post_run(VCpu *cpu);

/* kvm-report.c: one readable report of why a vCPU cannot go on, on stderr. */
const char *kvm_exit_name(uint32_t reason);
void kvm_report_exit(VCpu *cpu, const char *what);

/* kvm-debug.c */
#define KVM_DEBUG_POINTS 4 /* DR0..3 */
bool kvm_update_debug(VCpu *cpu, GError **error);
int kvm_handle_debug(VCpu *cpu, struct kvm_run *run);
/* An internal error that is a debugger's breakpoint: the CPU has been stopped. */
bool kvm_stop_at_failed_int3(VCpu *cpu, const struct kvm_run *run);

/* kvm-clock.c */
void kvm_vm_state_changed(Accel *accel, bool running);
bool kvm_set_tsc_khz(VCpu *cpu, GError **error);

/* kvm-hyperv.c */
bool kvm_hyperv_init_vcpu(VCpu *cpu, GError **error);
int kvm_handle_hyperv(VCpu *cpu, struct kvm_run *run);
void kvm_report_crash(VCpu *cpu);

#endif
